package cli

import (
	"time"

	"github.com/spf13/cobra"

	"patchring/internal/core/register"
	"patchring/internal/face/lang"
)

// Restore puts a backup in the place of a stopped server's database.
type Restore struct {
	File   string // empty: adopt the database as something else restored it
	Config string
	Data   string
}

// restoredResult is the outcome for programs.
type restoredResult struct {
	Restored string     `json:"restored"` // the backup; empty when the database was adopted
	At       time.Time  `json:"at"`
	Aside    string     `json:"aside,omitempty"` // the database that was there
	Compared bool       `json:"compared"`        // false: what is lost is not known, or not in full
	Problem  string     `json:"problem,omitempty"`
	Lost     []lostFrom `json:"lost"`
}

type lostFrom struct {
	Tenant  string    `json:"tenant"`
	From    int64     `json:"from"`
	Entries int64     `json:"entries"`
	Again   []lostAct `json:"again"` // to be done again
}

type lostAct struct {
	Index  int64          `json:"index"`
	At     time.Time      `json:"at"`
	Kind   register.Kind  `json:"kind"`
	Actor  register.Actor `json:"actor"`
	Device string         `json:"device,omitempty"`
	Patch  string         `json:"patch,omitempty"`
	Detail map[string]any `json:"detail,omitempty"`
}

func (c *cli) restore() *cobra.Command {
	var o Restore
	var adopt bool
	cmd := &cobra.Command{
		Use: "restore FILE | restore --adopt", Short: "Put a backup in the place of a stopped server's database",
		Long: `Put a backup in the place of a stopped server's database. What happened after
the backup is lost, and the register says so for ever; the database that was
there is kept beside it, and where it can still be read, what is lost is told:
revocations, removals and holds in it must be done again. The keys are not in a
backup: they must be in --data.

With --adopt the database is taken as something else has restored it, as
pg_restore does for PostgreSQL: it is verified, and its register says that it was
restored. Without that, agents take a shorter register for a forgery.
` + exitCodes,
		Args: func(cmd *cobra.Command, args []string) error {
			if adopt {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			plan := c.words().T("cli.adopt_plan")
			if !adopt {
				o.File = args[0]
				plan = c.words().T("cli.restore_plan", "file", o.File)
			}
			if err := c.confirm(plan); err != nil {
				return err
			}
			done, err := c.Restore(cmd.Context(), o)
			if err != nil {
				return err
			}
			result := restoredOf(o.File, done)
			return c.emit(result, func() error { return c.say(result.lines(c.words())...) })
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&adopt, "adopt", false, "take the database as something else has restored it")
	flags.StringVarP(&o.Config, "config", "c", "", "the server's configuration file")
	flags.StringVar(&o.Data, "data", "", "the server's data directory (default /var/lib/patchring)")
	flags.BoolVar(&c.yes, "yes", false, "do not ask")
	flags.BoolVar(&c.json, "json", false, "write JSON")
	return cmd
}

func restoredOf(file string, r register.Restoration) restoredResult {
	out := restoredResult{
		Restored: file, At: time.UnixMicro(r.AtUS).UTC(), Aside: r.Aside, Compared: r.Compared, Problem: r.Problem, Lost: []lostFrom{},
	}
	for _, loss := range r.Losses {
		lost := lostFrom{Tenant: loss.Tenant, From: loss.From, Entries: loss.Entries, Again: []lostAct{}}
		for _, e := range loss.Again {
			lost.Again = append(lost.Again, lostAct{
				Index: e.Index, At: time.UnixMicro(e.AtUS).UTC(), Kind: e.Kind, Actor: e.Actor, Device: e.Device, Patch: e.Patch, Detail: e.Detail,
			})
		}
		out.Lost = append(out.Lost, lost)
	}
	return out
}

func (r restoredResult) lines(w lang.Words) []string {
	lines := []string{w.T("cli.adopted")}
	if r.Restored != "" {
		lines[0] = w.T("cli.restored", "file", r.Restored)
	}
	if r.Aside != "" {
		lines = append(lines, w.T("cli.restore_aside", "file", r.Aside))
	}
	switch {
	case r.Problem != "":
		lines = append(lines, w.T("cli.restore_unread", "problem", r.Problem))
	case !r.Compared:
		lines = append(lines, w.T("cli.restore_none"))
	case len(r.Lost) == 0:
		lines = append(lines, w.T("cli.restore_intact"))
	}
	for _, lost := range r.Lost {
		lines = append(lines, w.N("cli.restore_lost", lost.Entries, "tenant", lost.Tenant, "first", w.Number(lost.From)))
		if len(lost.Again) > 0 {
			lines = append(lines, w.T("cli.restore_again"))
		}
		for _, act := range lost.Again {
			lines = append(lines, act.line(w))
		}
	}
	return append(lines, w.T("cli.restore_witnesses"))
}

func (a lostAct) line(w lang.Words) string {
	line := "  " + w.Moment(a.At) + "  " + w.Word(lang.Act, string(a.Kind)) + ": " + a.subject()
	if why, ok := a.Detail["why"].(string); ok && why != "" {
		line += " (" + why + ")"
	}
	return line + ", " + w.Actor(string(a.Actor))
}

// subject is what the act was done to, by the name that people gave it.
func (a lostAct) subject() string {
	for _, key := range []string{"name", "account", "enrollment", "token", "hold"} {
		if text, ok := a.Detail[key].(string); ok && text != "" {
			return text
		}
	}
	if a.Patch != "" {
		return a.Patch
	}
	return a.Device
}
