// Package cli is the command line: one verb a file, each with an options
// struct, a text for people and --json for programs. It speaks to a server by
// the HTTP API alone; only serve and restore act in their own process, by what
// the caller gives them, and calendar and register verify need no server.
//
// It owns flags, exit codes, what is asked before something is destroyed, and
// how answers are laid out. It refuses to decide: the server says what may be
// done, and codes become sentences in package lang.
//
// The client is written by hand: answers are the types of package view, which
// the server encodes too, so generated copies of them would be a second truth;
// requests are a few fields each, and the contract refuses unknown ones.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"patchring/internal/core/register"
	"patchring/internal/face/lang"
)

// Exit codes, the same for every verb that does not say otherwise.
const (
	exitDone       = 0
	exitFailed     = 1 // it could not be done: the server cannot be reached, a file cannot be written
	exitUsage      = 2
	exitRefused    = 3 // the server refused, and said why
	exitNotAllowed = 4
	exitNotAsked   = 5 // somebody has to say yes
)

const exitCodes = `
Exit codes:
  0  done
  1  it could not be done: server not reached, file not written; try again
  2  the flags make no sense
  3  refused, with the reason
  4  not logged in, or the role for it is missing
  5  it needs a yes: answer the question, or give --yes`

// Program is what the command line runs in.
type Program struct {
	In      io.Reader
	Out     io.Writer
	Err     io.Writer
	Env     func(string) string
	Version string
	Clock   func() time.Time
	// Serve is the verb that runs a server in this process.
	Serve *cobra.Command
	// Restore puts a backup in the place of a stopped server's database, and
	// tells what that loses.
	Restore func(context.Context, Restore) (register.Restoration, error)
}

// cli is one run of the program.
type cli struct {
	Program
	server string // --server
	lang   string // --lang
	json   bool   // --json
	yes    bool   // --yes
}

// New is the whole command tree.
func New(p Program) *cobra.Command {
	c := &cli{Program: p}
	root := &cobra.Command{
		Use:   "patchring",
		Short: "Patch campaigns: rings, gates, evidence, sign-offs and a register",
		Long: `Patch campaigns: a procedure says who gets which exact patches, in which
rings, on which days, under which evidence and whose sign-off.

Start a server with "patchring serve"; everything else talks to one:
"patchring login https://SERVER:8443" once, then any verb. PATCHRING_SERVER,
PATCHRING_TOKEN and PATCHRING_CA (a file) take the place of a login.
` + exitCodes,
		SilenceUsage: true, SilenceErrors: true,
	}
	root.SetIn(p.In)
	root.SetOut(p.Out)
	root.SetErr(p.Err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage{err} })
	flags := root.PersistentFlags()
	flags.StringVar(&c.server, "server", "", "address of the server (default: of the last login)")
	flags.StringVar(&c.lang, "lang", "", "fr or en (default: the terminal's language)")
	if p.Serve != nil {
		root.AddCommand(p.Serve)
	}
	root.AddCommand(c.login(), NewCalendar(p.Out), c.version(), c.backup(), c.restore(),
		c.group("token", "API tokens", c.tokenCreate(), c.tokenList(), c.tokenRevoke()),
		c.group("user", "People and their roles", c.userCreate(), c.userList(), c.userRoles(), c.userPassword(), c.userClose()),
		c.group("enrollment", "Tokens that let devices in", c.enrollmentCreate(), c.enrollmentList(), c.enrollmentRevoke()),
		c.group("device", "Devices", c.deviceList(), c.deviceShow(), c.deviceWhy(), c.deviceMeasures(), c.deviceSet(), c.deviceLink(), c.deviceAllowReboot(), c.deviceRetire()),
		c.group("group", "Groups of devices", c.groupList(), c.groupCreate(), c.groupAdd(), c.groupRemove(), c.groupDrop()),
		c.group("patch", "Patches, and decisions on them", c.patchList(), c.patchShow(), c.patchApprove(), c.patchDelay(), c.patchDecline()),
		c.group("policy", "The policy: what may be installed where and when", c.policyApply(), c.policyCheck(), c.policyDiff(), c.policyShow(), c.policyList(), c.policyFields(), c.policyLogo()),
		c.group("freeze", "Freezes: dates in which nothing is installed", c.freezeCreate(), c.freezeList(), c.freezeEnd()),
		c.group("window", "Maintenance windows: when devices may act", c.windowList()),
		c.group("procedure", "Procedures", c.procedureApply(), c.procedureList(), c.procedureShow()),
		c.group("campaign", "Campaigns", c.campaignList(), c.campaignCreate(), c.campaignEmergency(), c.campaignApprove(), c.campaignRehearse(), c.campaignShow(), c.campaignWatch(), c.campaignSign(), c.campaignTests(), c.campaignTest(), c.campaignHold(), c.campaignIncident(),
			c.campaignResume(), c.campaignExpedite(), c.campaignWithdraw(), c.campaignAmend(), c.campaignRollback(), c.campaignVerify(), c.campaignFollowUp(), c.campaignDossier(), c.campaignClose(), c.campaignReadiness(), c.campaignProposeR1(), c.campaignSuspects(), c.campaignEvidence()),
		c.group("exception", "Exceptions: what is left out on purpose, until a date", c.exceptionCreate(), c.exceptionList(), c.exceptionEnd()),
		c.group("task", "Manual tasks: what a person must do", c.taskCreate(), c.taskList(), c.taskShow(), c.taskClose(), c.taskReopen()),
		c.group("incident", "Incidents: what went wrong, until it is put right", c.incidentCreate(), c.incidentList(), c.incidentShow(), c.incidentNote(), c.incidentCorrect(), c.incidentClose(), c.incidentReopen()),
		c.group("ticket", "Tickets: incidents in GLPI, Jira or another tool", c.ticketList(), c.ticketRetry(), c.ticketTest()),
		c.group("clean-up", "Clean-ups: what devices are freed of, apart from patches", c.cleanUpList(), c.cleanUpShow(), c.cleanUpApprove(), c.cleanUpRevoke()),
		c.group("probe", "Probes: what devices check again and again, as the policy says", c.probeList(), c.probeShow()),
		c.alert(),
		c.group("feedback", "What people say of the updates on their devices' pages", c.feedbackList(), c.feedbackShow(), c.feedbackClose()),
		c.group("lifecycle", "How long systems are supported", c.lifecycleImport(), c.lifecycleShow()),
		c.group("vulnerability", "Vulnerabilities: what is known of them, and what mends them", c.vulnerabilityImport(), c.vulnerabilityList(), c.vulnerabilityShow()),
		c.group("report", "Reports for those who answer for the fleet", c.reportMonthly()),
		c.group("register", "The tamper-evident record", c.registerExport(), c.registerVerify()),
	)
	c.speakHelp(root)
	return root
}

// Main runs the command line and gives its exit code.
func Main(ctx context.Context, p Program, args []string) int {
	root := New(p)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	chosen, _ := root.PersistentFlags().GetString("lang")
	if _, failed := fmt.Fprintln(p.Err, "patchring: "+sayError(wordsOf(p.Env, chosen), err)); failed != nil {
		return exitFailed
	}
	return exitCode(err)
}

func (c *cli) group(name, short string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short, Args: noVerb, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(verbs...)
	return cmd
}

// noVerb refuses a word that is no verb of the group; cobra would show the help
// and answer that all is well.
func noVerb(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage{fmt.Errorf("%s has no verb %q; see %s --help", cmd.CommandPath(), args[0], cmd.CommandPath())}
	}
	return nil
}

// verb describes a command that talks to a server.
type verb struct {
	use, short, long, example string
	args                      int  // exactly so many; -1: at least one
	optional                  int  // and up to so many more
	asks                      bool // it destroys: --yes
	offline                   bool // without a login it is run all the same, with no client
	run                       func(ctx context.Context, api *client, args []string) error
}

func (c *cli) verb(v verb) *cobra.Command {
	cmd := &cobra.Command{Use: v.use, Short: v.short, Long: strings.TrimSpace(v.short+".\n\n"+v.long) + "\n" + exitCodes, Example: v.example}
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if n := len(args); v.args >= 0 && (n < v.args || n > v.args+v.optional) || v.args < 0 && n == 0 {
			return usage{fmt.Errorf("usage: patchring %s", usageLine(cmd))}
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		api, err := c.connect()
		var no *refused
		if err != nil && (!v.offline || !errors.As(err, &no)) {
			return err
		}
		return v.run(cmd.Context(), api, args)
	}
	cmd.Flags().BoolVar(&c.json, "json", false, "write JSON")
	if v.asks {
		cmd.Flags().BoolVar(&c.yes, "yes", false, "do not ask")
	}
	return cmd
}

func usageLine(cmd *cobra.Command) string {
	return strings.TrimPrefix(cmd.UseLine(), "patchring ")
}

// usage is an error of who typed the command.
type usage struct{ error }

// Unwrap gives the cause.
func (u usage) Unwrap() error { return u.error }

var errNotAsked = errors.New("nothing was done")

// exitCode maps an error to what the help promises.
func exitCode(err error) int {
	var own interface{ ExitCode() int }
	var typed usage
	switch {
	case errors.As(err, &own):
		return own.ExitCode()
	case errors.As(err, &typed) || strings.HasPrefix(err.Error(), "unknown command"):
		return exitUsage
	case errors.Is(err, errNotAsked):
		return exitNotAsked
	}
	return exitFailed
}

func wordsOf(env func(string) string, chosen string) lang.Words {
	return lang.For(chosen, env("LC_ALL"), env("LC_MESSAGES"), env("LANG")).In(time.Local)
}

func (c *cli) words() lang.Words { return wordsOf(c.Env, c.lang) }

// sayError is an error as people read it: a refusal in their language, with
// every problem of a file; anything else as it is.
func sayError(w lang.Words, err error) string {
	var no *refused
	if !errors.As(err, &no) {
		return err.Error()
	}
	text := w.Reason(no.reason())
	for _, p := range no.Problems {
		text += "\n  " + no.file + p.String()
	}
	return text
}

// emit writes v as JSON when --json was given, and else by text.
func (c *cli) emit(v any, text func() error) error {
	if !c.json {
		return text()
	}
	enc := json.NewEncoder(c.Out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

func (c *cli) say(lines ...string) error {
	_, err := fmt.Fprintln(c.Out, strings.Join(lines, "\n"))
	return err
}

// tell writes to the person, beside the answer. When even that fails there is
// nobody left to tell, and the answer itself still counts.
func (c *cli) tell(text string) {
	if _, err := io.WriteString(c.Err, text); err != nil {
		return
	}
}

// confirm shows what is about to happen and asks. Where nobody can answer, the
// answer is no.
func (c *cli) confirm(plan string) error {
	if c.yes {
		return nil
	}
	w := c.words()
	if _, err := lipgloss.Fprintln(c.Err, plan); err != nil {
		return err
	}
	if !isTerminal(c.In) {
		return fmt.Errorf("%w: %s", errNotAsked, w.T("cli.needs_yes"))
	}
	c.tell(w.T("cli.go_on") + " ")
	answer, err := readLine(c.In)
	if err != nil {
		return err
	}
	if a := strings.ToLower(answer); a != "y" && a != "yes" && a != "o" && a != "oui" {
		return errNotAsked
	}
	return nil
}

func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// readLine reads no further than the line's end: what follows may be another
// answer.
func readLine(r io.Reader) (string, error) {
	var line []byte
	one := make([]byte, 1)
	for {
		n, err := r.Read(one)
		if n == 1 && one[0] == '\n' || err != nil && len(line) > 0 {
			return strings.TrimSpace(string(line)), nil
		}
		if err != nil {
			return "", fmt.Errorf("read an answer: %w", err)
		}
		line = append(line, one[:n]...)
	}
}
