//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"patchring/internal/core/register"
	"patchring/internal/infra/view"
	"patchring/lab/demo"
	"patchring/lab/fleet"
)

const (
	scanRuns      = 7
	scansOfAgent  = 10
	agentScanEach = 3 * time.Second
)

const agentProcedure = `
procedure: agent
title: {fr: "Banc", en: "Bench"}
owner: it
timezone: Europe/Paris
anchor: patch-tuesday
perimeter: {kinds: [workstation, server]}
rings:
  - name: ALL
    title: {fr: "Tous", en: "Everyone"}
    members: {rest: true}
    opens: {day: 1}
    closes: {day: 2}
    soak: 1h
    gate:
      evidence: {min_devices: 1, min_done_percent: 100, max_failed: 0, max_unreachable_percent: 0, max_not_reached_percent: 0}
windows:
  - {name: always, for: {all: true}, days: [mon, tue, wed, thu, fri, sat, sun], start: "00:00", end: "23:59"}
reboot: never
attempts: 1
retry_after: 4h
unreachable_after: 72h
verification: {days_after_last_ring_opens: 2}
`

// hosts of the agent's section: one has the agent, the other has only apt.
type hosts struct {
	*fleet.Fleet
	b               *bench
	managed, manual fleet.Host
}

// benchAgent measures the agent on a real Debian host, beside apt on the same
// host, and an order beside apt on another one like it.
func benchAgent(ctx context.Context, b *bench) (err error) {
	if err := b.binaries(); err != nil {
		return err
	}
	h, err := b.openHosts(ctx)
	if errors.Is(err, fleet.ErrUnsupported) {
		fmt.Printf("  left out: %v\n", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	server, err := demo.StartServer(ctx, h.Fleet, demo.ServerOptions{
		Binary: filepath.Join(b.bin, "patchring"), Data: filepath.Join(b.temp, "lab"), Fresh: true, Checkin: 2 * time.Second,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	admin, err := server.Login(ctx, server.First.Name, server.First.Password)
	if err != nil {
		return err
	}
	if err := h.scans(ctx); err != nil {
		return err
	}
	if err := h.enroll(ctx, admin); err != nil {
		return err
	}
	if err := h.memory(ctx); err != nil {
		return err
	}
	if err := h.samples(ctx); err != nil {
		return err
	}
	return h.order(ctx, admin)
}

// measurer is this program as a host sees it.
const measurer = "patchring-bench"

func shareSelf(share string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own program: %w", err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		return fmt.Errorf("read own program: %w", err)
	}
	if err := os.WriteFile(filepath.Join(share, measurer), program, 0o755); err != nil {
		return fmt.Errorf("share own program: %w", err)
	}
	return nil
}

// samples measures measuring where there is a service manager to be asked and a
// log to be read.
func (h *hosts) samples(ctx context.Context) error {
	out, err := h.Run(ctx, h.managed.Name, filepath.Join(filepath.Dir(demo.Agent), measurer), measureVerb)
	if err != nil {
		return err
	}
	var c cost
	if err := json.Unmarshal([]byte(out), &c); err != nil {
		return fmt.Errorf("read what a sample costs: %w", err)
	}
	h.b.cost("a real host", c)
	return nil
}

// binaries are the sizes of what is installed.
func (b *bench) binaries() error {
	size := func(name string) (float64, error) {
		st, err := os.Stat(filepath.Join(b.bin, name))
		if err != nil {
			return 0, fmt.Errorf("look at %s: %w", name, err)
		}
		return float64(st.Size()) / 1e6, nil
	}
	agent, e1 := size("patchring-agent")
	server, e2 := size("patchring")
	if err := errors.Join(e1, e2); err != nil {
		return err
	}
	b.add(Figure{Name: "agent's binary", Value: agent, Unit: "MB", Baseline: "server's binary", Base: server, Aim: 10})
	return nil
}

func (b *bench) openHosts(ctx context.Context) (*hosts, error) {
	table, err := fleet.Table(2)
	if err != nil {
		return nil, err
	}
	share := filepath.Join(b.temp, "share")
	if err := os.MkdirAll(share, 0o755); err != nil {
		return nil, fmt.Errorf("make %s: %w", share, err)
	}
	program, err := os.ReadFile(filepath.Join(b.bin, "patchring-agent"))
	if err != nil {
		return nil, fmt.Errorf("read the agent's binary: %w", err)
	}
	if err := os.WriteFile(filepath.Join(share, "patchring-agent"), program, 0o755); err != nil {
		return nil, fmt.Errorf("share the agent's binary: %w", err)
	}
	if err := shareSelf(share); err != nil {
		return nil, err
	}
	if err := fleet.Down(ctx, "", "bench"); err != nil && !errors.Is(err, fleet.ErrNotUp) {
		return nil, err
	}
	f, err := fleet.Open(ctx, fleet.Config{Name: "bench", Hosts: table, Share: share})
	if err != nil {
		return nil, err
	}
	return &hosts{Fleet: f, b: b, managed: table[0], manual: table[1]}, nil
}

// cpuOfCommand is the processor time in milliseconds of a command with all its
// children, as bash in the host counts it.
func (h *hosts) cpuOfCommand(ctx context.Context, host string, args ...string) (float64, error) {
	script := `TIMEFORMAT="%U %S"; { time "$@" >/dev/null 2>/tmp/bench.err; } 2>&1 || { cat /tmp/bench.err >&2; exit 1; }`
	out, err := h.Run(ctx, host, append([]string{"bash", "-c", script, "bash"}, args...)...)
	if err != nil {
		return 0, err
	}
	var total float64
	for _, field := range strings.Fields(out) {
		seconds, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return 0, fmt.Errorf("measure %s: %q", args[0], out)
		}
		total += seconds * 1000
	}
	return total, nil
}

// scans compares a scan with what plain apt needs for the same answer, turn by
// turn, so that both meet the same machine.
func (h *hosts) scans(ctx context.Context) error {
	simulate := []string{"apt-get", "-s", "dist-upgrade"}
	offline := []string{demo.Agent, "scan", "--json", "--offline"}
	online := []string{demo.Agent, "scan", "--json"}
	refresh := []string{"sh", "-c", "apt-get -q update && apt-get -s dist-upgrade"}
	took := map[string][]float64{}
	for range scanRuns {
		for name, command := range map[string][]string{"simulate": simulate, "offline": offline, "online": online, "refresh": refresh} {
			cpu, err := h.cpuOfCommand(ctx, h.managed.Name, command...)
			if err != nil {
				return err
			}
			took[name] = append(took[name], cpu)
		}
	}
	h.b.add(Figure{
		Name: "agent's scan, lists as they are", Value: median(took["offline"]), Unit: "CPU-ms",
		Baseline: "apt-get -s dist-upgrade", Base: median(took["simulate"]), Aim: 1.3, OfRatio: true,
	})
	h.b.add(Figure{
		Name: "agent's scan with fresh lists", Value: median(took["online"]), Unit: "CPU-ms",
		Baseline: "apt-get update, then -s dist-upgrade", Base: median(took["refresh"]),
	})
	return nil
}

func median(values []float64) float64 {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}

// enroll makes the managed host a device.
func (h *hosts) enroll(ctx context.Context, admin *demo.Client) error {
	var invitation struct{ Text string }
	if err := admin.Post(ctx, "/enrollments", map[string]any{"kind": h.managed.Kind}, &invitation); err != nil {
		return err
	}
	_, err := h.Run(ctx, h.managed.Name, demo.Agent, "enroll", "https://"+fleet.ServerAddress+":8443", invitation.Text, "--name", h.managed.Name)
	return err
}

const agentUnit = "bench-agent"

// restart runs the agent anew, with these arguments.
func (h *hosts) restart(ctx context.Context, args ...string) error {
	if _, err := h.Exec(ctx, h.managed.Name, nil, "systemctl", "stop", agentUnit); err != nil { // none the first time
		return err
	}
	_, err := h.Run(ctx, h.managed.Name, append([]string{"systemd-run", "--unit", agentUnit, "--collect", demo.Agent, "run"}, args...)...)
	return err
}

// agentStatus is what the agent says of itself.
type agentStatus struct {
	PID     int       `json:"pid"`
	Scanned time.Time `json:"scanned"`
	Spooled int       `json:"spooled"`
}

func (h *hosts) status(ctx context.Context) (s agentStatus, err error) {
	res, err := h.Exec(ctx, h.managed.Name, nil, demo.Agent, "status", "--json")
	if err != nil {
		return s, err
	}
	if len(res.Stdout) == 0 {
		return s, nil // it has not written any yet
	}
	return s, json.Unmarshal(res.Stdout, &s)
}

// awaitScans waits until the agent has begun to rest after so many scans, and
// answers its process.
func (h *hosts) awaitScans(ctx context.Context, n int) (pid string, err error) {
	var last agentStatus
	seen := 0
	begun := time.Now()
	err = until(ctx, fmt.Sprintf("%d scans", n), 2*time.Minute, func() (bool, error) {
		s, err := h.status(ctx)
		if err != nil {
			return false, err
		}
		if s.Scanned.After(begun) && !s.Scanned.Equal(last.Scanned) {
			seen++
			last = s
		}
		return seen >= n && s.Spooled == 0, nil
	})
	return strconv.Itoa(last.PID), err
}

func (h *hosts) rssIn(ctx context.Context, pid string) (float64, error) {
	out, err := h.Run(ctx, h.managed.Name, "sh", "-c", `sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' /proc/"$1"/status`, "sh", pid)
	if err != nil {
		return 0, err
	}
	kib, err := strconv.ParseFloat(out, 64)
	if err != nil {
		return 0, fmt.Errorf("measure memory: %q", out)
	}
	return kib * 1024 / 1e6, nil
}

// agentRest is how long an agent that has nothing to do is left alone before it
// is looked at.
const agentRest = 10 * time.Second

// memory looks at an agent that rests, and at one that has just scanned ten
// times, beside the journal daemon of the same host.
func (h *hosts) memory(ctx context.Context) error {
	if err := h.restart(ctx); err != nil {
		return err
	}
	pid, err := h.awaitScans(ctx, 1)
	if err == nil {
		err = pause(ctx, agentRest)
	}
	if err != nil {
		return err
	}
	idle, err := h.rssIn(ctx, pid)
	if err != nil {
		return err
	}
	if err := h.restart(ctx, "--scan-every", agentScanEach.String()); err != nil {
		return err
	}
	if pid, err = h.awaitScans(ctx, scansOfAgent); err != nil {
		return err
	}
	later, err := h.rssIn(ctx, pid)
	if err != nil {
		return err
	}
	journal, err := h.Run(ctx, h.managed.Name, "systemctl", "show", "-p", "MainPID", "--value", "systemd-journald")
	if err != nil {
		return err
	}
	beside, err := h.rssIn(ctx, journal)
	if err != nil {
		return err
	}
	h.b.add(Figure{Name: "agent's memory, idle", Value: idle, Unit: "MB", Baseline: "systemd-journald on the same host", Base: beside, Aim: 12})
	h.b.add(Figure{Name: fmt.Sprintf("agent's memory, just after %d scans", scansOfAgent), Value: later, Unit: "MB", Baseline: "idle", Base: idle, Aim: 12})
	return h.restart(ctx)
}

// order installs everything on one host by a campaign and, from the moment its
// order is issued, on the other by apt: both meet the same machine.
func (h *hosts) order(ctx context.Context, admin *demo.Client) error {
	if _, err := h.Run(ctx, h.manual.Name, "apt-get", "-q", "update"); err != nil {
		return err
	}
	if err := admin.ApplyProcedure(ctx, "agent.yaml", []byte(agentProcedure)); err != nil {
		return err
	}
	name, err := admin.CreateCampaign(ctx, map[string]any{"procedure": "agent", "name": "agent", "now": true, "day": "1h"})
	if err != nil {
		return err
	}
	var o orderTimes
	await := func(what string, condition func() bool) error {
		return until(ctx, what, 4*time.Minute, func() (bool, error) {
			o, err = readOrder(ctx, admin, name)
			return condition(), err
		})
	}
	if err := await("the order", func() bool { return !o.issued.IsZero() }); err != nil {
		return err
	}
	type work struct {
		took    time.Duration
		changed int
		err     error
	}
	byHand := make(chan work, 1)
	go func() {
		took, changed, err := h.plainApt(ctx)
		byHand <- work{took, changed, err}
	}()
	ended := await("the order's result", func() bool { return !o.result.IsZero() })
	plain := <-byHand
	if err := errors.Join(ended, plain.err); err != nil {
		return err
	}
	if o.packages != plain.changed {
		return fmt.Errorf("the order changed %d packages and apt %d: they are not the same work", o.packages, plain.changed)
	}
	took := o.result.Sub(o.issued)
	h.b.add(Figure{
		Name: fmt.Sprintf("order of %d packages, issued to result", o.packages), Value: took.Seconds(), Unit: "s",
		Baseline: "apt-get dist-upgrade of the same, at the same time", Base: plain.took.Seconds(),
		Note: fmt.Sprintf("%+.1f s, with plan, old packages kept, verification and report", (took - plain.took).Seconds()),
	})
	return nil
}

// orderTimes is what the register says of the campaign's one order.
type orderTimes struct {
	issued, result time.Time
	packages       int
}

func readOrder(ctx context.Context, admin *demo.Client, campaign string) (o orderTimes, err error) {
	var page view.EventPage
	if err := admin.Get(ctx, "/campaigns/"+campaign+"/events?limit=200", &page); err != nil {
		return o, err
	}
	for _, e := range page.Rows {
		switch e.Kind {
		case register.OrderIssued:
			o.issued = e.At
		case register.OrderResult:
			o.result = e.At
			o.packages, err = changedPackages(e.Detail)
		}
	}
	return o, err
}

// changedPackages counts what an order's result says was verified, and refuses
// anything less than all.
func changedPackages(detail map[string]any) (int, error) {
	text, err := json.Marshal(detail)
	if err != nil {
		return 0, err
	}
	var r struct {
		Outcomes []struct {
			State    string
			Cause    string
			Packages []struct{ From, To string }
		}
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return 0, fmt.Errorf("read the order's result: %w", err)
	}
	n := 0
	for _, o := range r.Outcomes {
		if o.State != "verified" {
			return 0, fmt.Errorf("an item of the order ended as %s: %s", o.State, o.Cause)
		}
		n += len(o.Packages)
	}
	return n, nil
}

// plainApt does the same by hand on the other host.
func (h *hosts) plainApt(ctx context.Context) (took time.Duration, changed int, err error) {
	before, err := h.Versions(ctx, h.manual.Name)
	if err != nil {
		return 0, 0, err
	}
	begun := time.Now()
	_, err = h.Run(ctx, h.manual.Name, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y", "-q", "-o", "Dpkg::Options::=--force-confdef",
		"-o", "Dpkg::Options::=--force-confold", "dist-upgrade")
	took = time.Since(begun)
	if err != nil {
		return 0, 0, err
	}
	after, err := h.Versions(ctx, h.manual.Name)
	if err != nil {
		return 0, 0, err
	}
	for name, version := range after {
		if before[name] != version {
			changed++
		}
	}
	return took, changed, nil
}
