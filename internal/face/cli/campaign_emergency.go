package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"

	"patchring/internal/infra/view"
)

type emergencyOptions struct {
	procedure, name, cve, missed, reason, day string
	patches, windows                          []string
	now                                       time.Duration
	throughFreeze                             bool
}

func (c *cli) campaignEmergency() *cobra.Command {
	var o emergencyOptions
	cmd := c.verb(verb{
		use: "emergency (--patch PATCH | --cve CVE | --missed CAMPAIGN) --reason TEXT", short: "Ask for an emergency campaign",
		long: `The same rings and gates as the procedure's, in hours: its section "emergency" says
how long a day lasts, and who must sign before anything happens ("campaign approve").
What is only pending or delayed is installed; what is declined, or under an
exception, is not.

Devices keep their own windows, unless --window or --now gives others. A freeze
stops an emergency too, unless --through-freeze asks for more and one of the
sign-offs is another person's than yours.`,
		example: `  patchring campaign emergency --cve CVE-2026-31337 --reason "exploited" --now 8h
  patchring campaign emergency --missed 2026-11 --reason "two weeks late"`,
		run: func(ctx context.Context, api *client, _ []string) error { return o.run(ctx, c, api) },
	})
	flags := cmd.Flags()
	flags.StringArrayVar(&o.patches, "patch", nil, "this patch; may be repeated")
	flags.StringVar(&o.cve, "cve", "", "the patches that mend this vulnerability")
	flags.StringVar(&o.missed, "missed", "", "what devices of this campaign still lack of its content")
	flags.StringVar(&o.reason, "reason", "", "why it cannot wait")
	flags.StringVar(&o.procedure, "procedure", "", "the procedure (default: the campaign's of --missed, or the only one with emergencies)")
	flags.StringVar(&o.name, "name", "", "name of the campaign (default: the vulnerability and the hour)")
	flags.StringArrayVar(&o.windows, "window", nil, "START/END in RFC 3339, in place of the devices' windows; may be repeated")
	flags.DurationVar(&o.now, "now", 0, "one window, from now on for so long, in place of the devices' windows: 8h")
	flags.BoolVar(&o.throughFreeze, "through-freeze", false, "act in a freeze too; a second person must sign")
	flags.StringVar(&o.day, "day", "", "how long a procedure day lasts (default: as the procedure says)")
	return cmd
}

func (o emergencyOptions) run(ctx context.Context, c *cli, api *client) error {
	windows, err := o.intervals(c.Clock())
	if err != nil {
		return usage{err}
	}
	in := body{"reason": o.reason}.set("procedure", o.procedure).set("name", o.name).set("cve", o.cve).set("missed", o.missed).set("day", o.day)
	if len(o.patches) > 0 {
		in["patches"] = o.patches
	}
	if len(windows) > 0 {
		in["windows"] = windows
	}
	if o.throughFreeze {
		in["through_freeze"] = true
	}
	var made struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	if err := api.post(ctx, "/emergencies", in, &made); err != nil {
		return err
	}
	return c.emit(made, func() error {
		b, err := api.board(ctx, made.ID)
		if err != nil {
			return err
		}
		_, err = lipgloss.Fprint(c.Out, boardText{words: c.words(), now: c.Clock()}.render(b))
		return err
	})
}

// intervals of --window and of --now.
func (o emergencyOptions) intervals(now time.Time) ([]map[string]time.Time, error) {
	out, err := windowsOf(o.windows)
	switch {
	case err != nil:
		return nil, err
	case o.now < 0:
		return nil, fmt.Errorf("--now %s: write how long, for example 8h", o.now)
	case o.now > 0 && len(out) > 0:
		return nil, errors.New("--now and --window: give one of them")
	case o.now > 0:
		return []map[string]time.Time{{"start": now, "end": now.Add(o.now)}}, nil
	}
	return out, nil
}

func (c *cli) campaignApprove() *cobra.Command {
	var o signOptions
	cmd := c.verb(verb{
		use: "approve CAMPAIGN", short: "Sign off the start of an emergency", args: 1,
		long: `You need the role that the procedure asks for; no other role stands for it. The last
sign-off that is missing starts the emergency.`,
		example: `  patchring campaign approve "CVE-2026-31337 2026-12-11 09:12:00" --role security --tick all`,
		run: func(ctx context.Context, api *client, args []string) error {
			return o.approve(ctx, c, api, args[0])
		},
	})
	o.flags(cmd)
	return cmd
}

func (o signOptions) approve(ctx context.Context, c *cli, api *client, campaign string) error {
	b, err := api.board(ctx, campaign)
	if err != nil {
		return err
	}
	var slots []view.SignOffSlot
	if b.Emergency != nil { // of another campaign the server says why not
		slots = b.Emergency.SignOffs
	}
	slot, ticked, err := o.chosen(ctx, c, api, slots)
	if err != nil {
		return err
	}
	in := body{"role": slot.Role, "yes": o.decision == "yes", "ticked": ticked}.set("comment", o.comment)
	if err := api.post(ctx, path("campaigns", b.Campaign.ID, "approve"), in, nil); err != nil {
		return err
	}
	return c.emit(map[string]any{"role": slot.Role, "yes": o.decision == "yes"}, func() error { return c.say(c.words().T("done.sign")) })
}

// emergency says why the campaign is one, and what its start waits for.
func (t boardText) emergency(out *strings.Builder, e *view.BoardEmergency) {
	w := t.words
	red := lipgloss.NewStyle().Foreground(lipgloss.Red)
	fmt.Fprintf(out, "%s  %s\n", red.Render(w.Emergency(e.Cause, e.Name())), w.Actor(e.AskedBy)+": "+e.Reason)
	if len(e.Patches) > 0 {
		names := make([]string, 0, len(e.Patches))
		for _, p := range e.Patches {
			names = append(names, p.Name+" "+p.Version)
		}
		fmt.Fprintf(out, "%s\n", strings.Join(names, ", "))
	}
	for _, s := range e.Windows {
		fmt.Fprintf(out, "%s\n", w.T("emergency.window", "start", w.Moment(s.Start), "end", w.Moment(s.End)))
	}
	if len(e.Windows) == 0 {
		fmt.Fprintf(out, "%s\n", w.T("emergency.own_windows"))
	}
	if e.ThroughFreeze {
		fmt.Fprintf(out, "%s\n", red.Render(w.T("emergency.through_freeze")))
	}
	t.signOffs(out, "", e.SignOffs)
	for _, r := range e.Missing {
		fmt.Fprintf(out, "%s\n", w.Reason(r))
	}
}
