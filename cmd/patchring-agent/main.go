// Command patchring-agent is the agent on a device.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"patchring/internal/endpoint/agent"
	"patchring/internal/endpoint/facts"
	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

// version is set by the build.
var version = "dev"

const usage = `patchring-agent: the Patchring agent

  patchring-agent enroll URL TOKEN [--name NAME] [--again]
  patchring-agent run          work in the foreground (what the service runs)
  patchring-agent install      make it a service, now and at every boot
  patchring-agent uninstall    remove the service; the enrolment stays
  patchring-agent status       what it does and whether it is connected [--json]
  patchring-agent scan         facts and missing patches now, without a server [--json] [--offline]
  patchring-agent measure      what this device measures now, without a server [--json]
  patchring-agent probe service|process|tcp|http|certificate TARGET
                               make one probe now [--json] [--days N] [--contains TEXT]
  patchring-agent notices      what is announced to you, its deadline and your choices [--json]
  patchring-agent defer [1h|evening|tomorrow]   later, or [--until YYYY-MM-DDTHH:MM]
  patchring-agent install-now  begin as soon as it may
  patchring-agent version

notices, defer and install-now are for everybody with a desktop session, and for
root. They speak the language of LANG (fr, en).

Every verb takes --dir DIR (default /var/lib/patchring-agent).

Exit status: 0 done, 1 failed, 2 usage, 3 not enrolled, 4 enrolled already,
5 not running (status, notices, defer, install-now), 6 running without its
server (status), 7 the answer was not taken (defer, install-now), 8 the probe says
no (probe).
`

const (
	exitFailed      = 1
	exitUsage       = 2
	exitNotEnrolled = 3
	exitEnrolled    = 4
	exitNotRunning  = 5
	exitAlone       = 6
	exitNotTaken    = 7
	exitProbeDown   = 8
)

var (
	errUsage      = errors.New("see patchring-agent help")
	errNotRunning = errors.New("the agent does not run")
	errAlone      = errors.New("the agent runs and does not reach its server")
	errNotTaken   = errors.New("not taken")
	errProbeDown  = errors.New("the probe says no")
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first signal asks, a second one ends it; a package transaction survives both
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "patchring-agent:", err)
	}
	os.Exit(exit(err))
}

func exit(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		return exitUsage
	case errors.Is(err, journal.ErrNotEnrolled):
		return exitNotEnrolled
	case errors.Is(err, agent.ErrEnrolled):
		return exitEnrolled
	case errors.Is(err, errNotRunning):
		return exitNotRunning
	case errors.Is(err, errAlone):
		return exitAlone
	case errors.Is(err, errNotTaken):
		return exitNotTaken
	case errors.Is(err, errProbeDown):
		return exitProbeDown
	default:
		return exitFailed
	}
}

// options are the flags of all verbs; each reads its own.
type options struct {
	dir       string
	name      string
	again     bool
	json      bool
	offline   bool
	until     string
	days      int
	contains  string
	scanEvery time.Duration
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		return say(out, usage)
	}
	verb, o, rest, err := parse(args)
	if err != nil {
		return err
	}
	switch verb {
	case "enroll":
		return o.enroll(ctx, rest, out)
	case "run":
		return o.work(ctx)
	case "install":
		return agent.Install(ctx, o.dir)
	case "uninstall":
		return agent.Uninstall(ctx)
	case "status":
		return o.status(out)
	case "scan":
		return o.scan(ctx, out)
	case "measure":
		return o.measure(ctx, out)
	case "probe":
		return o.probe(ctx, rest, out)
	case "notices":
		return o.notices(ctx, out)
	case "defer":
		return o.later(ctx, rest, out)
	case "install-now":
		return o.now(ctx, out)
	case agent.HelperVerb:
		return agent.Help(ctx)
	case "version":
		return say(out, "%s\n", version)
	default:
		return fmt.Errorf("unknown verb %q: %w", verb, errUsage)
	}
}

// parse takes flags before and after the positional arguments.
func parse(args []string) (verb string, o options, rest []string, err error) {
	f := flag.NewFlagSet(args[0], flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.dir, "dir", agent.DefaultDir, "")
	switch args[0] {
	case "enroll":
		f.StringVar(&o.name, "name", "", "")
		f.BoolVar(&o.again, "again", false, "")
	case "run":
		f.DurationVar(&o.scanEvery, "scan-every", 0, "")
	case "probe":
		f.BoolVar(&o.json, "json", false, "")
		f.IntVar(&o.days, "days", 0, "")
		f.StringVar(&o.contains, "contains", "", "")
	case "status", "notices", "measure":
		f.BoolVar(&o.json, "json", false, "")
	case "defer":
		f.StringVar(&o.until, "until", "", "")
	case "scan":
		f.BoolVar(&o.json, "json", false, "")
		f.BoolVar(&o.offline, "offline", false, "")
	}
	for left := args[1:]; len(left) > 0; {
		if err := f.Parse(left); err != nil {
			return "", o, nil, fmt.Errorf("%w: %w", err, errUsage)
		}
		if left = f.Args(); len(left) > 0 {
			rest = append(rest, left[0])
			left = left[1:]
		}
	}
	return args[0], o, rest, nil
}

func (o options) enroll(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 2 {
		return fmt.Errorf("enroll takes the server's URL and a token: %w", errUsage)
	}
	reply, err := agent.Enroll(ctx, agent.Enrolment{Dir: o.dir, Host: facts.This(), Server: args[0], Token: args[1], Name: o.name, Version: version, Again: o.again})
	if err != nil {
		return err
	}
	if reply.DuplicateOf != "" {
		err = say(os.Stderr, "patchring-agent: device %s has the same machine id; a cloned image must make its own (systemd-machine-id-setup)\n", reply.DuplicateOf)
	}
	return errors.Join(err, say(out, "enrolled as %s\n", reply.Device))
}

func (o options) work(ctx context.Context) error {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	a, err := agent.New(agent.Options{Dir: o.dir, Device: agent.ThisDevice(o.dir), Version: version, ScanEvery: o.scanEvery, Log: log})
	if err != nil {
		return err
	}
	return a.Run(ctx)
}

func (o options) status(out io.Writer) error {
	s, err := agent.ReadStatus(o.dir, version)
	if err != nil {
		return err
	}
	if o.json {
		err = json.NewEncoder(out).Encode(s)
	} else {
		err = say(out, "%s", statusText(s))
	}
	switch {
	case err != nil:
		return err
	case !s.Enrolled:
		return journal.ErrNotEnrolled
	case !s.Running:
		return errNotRunning
	case !s.Connected:
		return errAlone
	}
	return nil
}

func statusText(s agent.Status) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s "+format+"\n", append([]any{name}, args...)...)
	}
	line("version", "%s", s.Version)
	if !s.Enrolled {
		return b.String()
	}
	line("device", "%s (%s)", s.Name, s.Device)
	line("server", "%s", s.Server)
	line("running", "%t", s.Running)
	line("connected", "%t", s.Connected)
	if !s.Scanned.IsZero() {
		line("scanned", "%s: %s, %d missing", s.Scanned.Format(time.RFC3339), s.Scan, s.Missing)
	}
	if s.Spooled > 0 {
		line("spooled", "%d events to deliver", s.Spooled)
	}
	for _, r := range s.Abandoned {
		line("restored", "%s", abandonedText(r))
	}
	for _, order := range s.Orders {
		line("order", "%s: %s", order.ID, order.Step)
	}
	if s.Doing != "" {
		line("doing", "%s", s.Doing)
	}
	if s.Sample != nil {
		line("measured", "%s", time.UnixMicro(s.Sample.AtUS).Format(time.RFC3339))
		for _, text := range sampleText(*s.Sample) {
			line("", "%s", text)
		}
	}
	if s.Points > 0 {
		line("points", "%d of measures to deliver", s.Points)
	}
	return b.String()
}

// abandonedText says what this device has seen of a register that the server
// has since replaced by a backup.
func abandonedText(r journal.Abandoned) string {
	proof := "what the backup held is proven unchanged"
	if !r.Proven {
		proof = "NOTHING of what the backup held could be proven"
	}
	return fmt.Sprintf("%s: the server's register went back to %d entries; this device had seen %d, of which %d are lost; %s",
		time.UnixMicro(r.RestoredUS).UTC().Format(time.RFC3339), r.Backup, r.Seen, max(0, r.Seen-r.Backup), proof)
}

func say(out io.Writer, format string, args ...any) error {
	_, err := fmt.Fprintf(out, format, args...)
	return err
}

// scanned is the answer of scan --json.
type scanned struct {
	Facts   wire.Facts     `json:"facts"`
	Patches []wire.Patches `json:"patches"`
}

func (o options) scan(ctx context.Context, out io.Writer) error {
	f, patches, err := agent.Look(ctx, agent.ThisDevice(o.dir), !o.offline)
	if err != nil {
		err = say(os.Stderr, "patchring-agent: some facts could not be read: %v\n", err)
	}
	if o.json {
		return errors.Join(err, json.NewEncoder(out).Encode(scanned{f, patches}))
	}
	return errors.Join(err, say(out, "%s", scanText(f, patches)))
}

func scanText(f wire.Facts, patches []wire.Patches) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s, %s\n", f.Hostname, f.OS.Name, f.OS.Kernel)
	for _, s := range f.RebootSignals {
		fmt.Fprintf(&b, "reboot pending: %s %v\n", s.Signal, s.Detail)
	}
	for _, p := range patches {
		fmt.Fprintf(&b, "%s: %s, %d missing\n", p.Provider, p.Status, len(p.Patches))
		for _, m := range p.Patches {
			fmt.Fprintf(&b, "  %-28s %-28s %-10s %s\n", m.Name, m.Version, m.Class, m.State)
		}
	}
	return b.String()
}
