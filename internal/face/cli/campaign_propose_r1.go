package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"patchring/internal/core/coverage"
	"patchring/internal/face/lang"
	"patchring/internal/service/roster"
	"patchring/internal/service/survey"
)

type pilotsOptions struct {
	ring, day, apply                                           string
	size, perDepartment, rare                                  int
	include, exclude, includeGroups, excludeGroups, theDevices []string
}

func (c *cli) campaignProposeR1() *cobra.Command {
	var o pilotsOptions
	cmd := c.verb(verb{
		use: "propose-r1 PROCEDURE", short: "Choose pilot devices by what they cover", args: 1, asks: true,
		long: `About 50 devices that together have most departments, sites, models, systems and
software of the procedure's perimeter, with what each adds, what is reached and
what no pilot has. A device tagged pilot=no, or absent_until=YYYY-MM-DD on the day
the ring opens or later, is never chosen; nor is a silent one, or one of an
earlier ring. --apply gives a group exactly these devices, after a yes.`,
		example: `  patchring campaign propose-r1 workstations
  patchring campaign propose-r1 workstations --size 30 --per-department 5 --exclude pc-direction --apply r1-pilots`,
		run: func(ctx context.Context, api *client, args []string) error { return o.run(ctx, c, api, args[0]) },
	})
	flags := cmd.Flags()
	flags.IntVar(&o.size, "size", coverage.DefaultSize, "devices wanted")
	flags.StringVar(&o.ring, "ring", "", "another ring than R1")
	flags.StringVar(&o.day, "day", "", "day on which they are needed: YYYY-MM-DD (default: when the ring opens next)")
	flags.IntVar(&o.perDepartment, "per-department", 0, "at most so many of one department")
	flags.IntVar(&o.rare, "rare-below", coverage.DefaultRare, "software on fewer devices is not asked for")
	flags.StringSliceVar(&o.include, "include", nil, "devices that must be there")
	flags.StringSliceVar(&o.exclude, "exclude", nil, "devices that must not")
	flags.StringSliceVar(&o.includeGroups, "include-group", nil, "groups whose devices must be there")
	flags.StringSliceVar(&o.excludeGroups, "exclude-group", nil, "groups whose devices must not")
	flags.StringSliceVar(&o.theDevices, "devices", nil, "measure exactly these devices in place of choosing")
	flags.StringVar(&o.apply, "apply", "", "group to give exactly these devices")
	return cmd
}

func (o pilotsOptions) run(ctx context.Context, c *cli, api *client, procedure string) error {
	ask := body{"size": o.size, "per_department": o.perDepartment, "rare_below": o.rare}.set("ring", o.ring).set("day", o.day)
	for key, list := range map[string][]string{
		"include": o.include, "exclude": o.exclude, "include_groups": o.includeGroups, "exclude_groups": o.excludeGroups, "exactly": o.theDevices,
	} {
		if len(list) > 0 {
			ask[key] = list
		}
	}
	var p survey.Pilots
	if err := api.post(ctx, path("procedures", procedure, "pilots"), ask, &p); err != nil {
		return err
	}
	if o.apply == "" {
		return c.emit(p, func() error { return c.pilots(p) })
	}
	return o.give(ctx, c, api, p)
}

// give puts the choice into the group, once somebody has seen it and said yes.
func (o pilotsOptions) give(ctx context.Context, c *cli, api *client, p survey.Pilots) error {
	w := c.words()
	if !c.json {
		if err := c.pilots(p); err != nil {
			return err
		}
	}
	if err := c.confirm(w.T("pilots.confirm", "group", o.apply, "n", w.Number(int64(len(p.Chosen))))); err != nil {
		return err
	}
	var done roster.SetResult
	if err := api.post(ctx, path("groups", o.apply, "set"), body{"devices": p.Devices()}, &done); err != nil {
		return err
	}
	out := struct {
		survey.Pilots
		Applied roster.SetResult `json:"applied"`
	}{p, done}
	return c.emit(out, func() error {
		return c.say(w.T("pilots.applied", "group", o.apply, "added", w.Number(int64(done.Added)), "removed", w.Number(int64(done.Removed)), "devices", w.Number(int64(done.Devices))))
	})
}

func (c *cli) pilots(p survey.Pilots) error {
	w := c.words()
	about := w.T("pilots.about", "chosen", w.Number(int64(len(p.Chosen))), "eligible", w.Number(int64(p.Eligible)), "devices", w.Number(int64(p.Fleet)),
		"day", w.Day(p.Day), "share", w.Percent(p.Share))
	if err := c.say(w.T("pilots.title", "ring", p.Ring), about, ""); err != nil {
		return err
	}
	var reached [][]string
	of := func(n, of int) string {
		return w.T("pilots.of", "n", w.Number(int64(n)), "of", w.Number(int64(of))) + " (" + w.Share(int64(n), int64(of)) + ")"
	}
	for _, r := range p.Coverage {
		reached = append(reached, []string{w.Word(lang.Feature, string(r.Kind)), of(r.Values, r.OfValues), of(r.Devices, r.OfDevices)})
	}
	if err := c.table([]string{"col.feature", "col.values", "col.covered"}, reached); err != nil {
		return err
	}
	var chosen [][]string
	for _, d := range p.Chosen {
		chosen = append(chosen, []string{d.Name, w.Percent(d.Gain), adds(w, d)})
	}
	if err := c.say("", w.T("pilots.chosen")); err != nil {
		return err
	}
	if err := c.table([]string{"col.device", "col.gain", "col.adds"}, chosen); err != nil {
		return err
	}
	return c.pilotsNot(p)
}

// adds is what one pilot brings, in few words.
func adds(w lang.Words, d coverage.Choice) string {
	if d.New == 0 {
		return w.T("pilots.again")
	}
	var names []string
	for _, f := range d.Adds {
		names = append(names, f.Value)
	}
	text := strings.Join(names, ", ")
	if more := d.New - len(d.Adds); more > 0 {
		text += " " + w.T("pilots.more", "n", w.Number(int64(more)))
	}
	return text
}

// pilotsNot says what and whom the choice does not have.
func (c *cli) pilotsNot(p survey.Pilots) error {
	w := c.words()
	lines := []string{""}
	if len(p.Missing) > 0 {
		lines = append(lines, w.T("pilots.missing"))
	}
	for _, g := range p.Missing[:min(len(p.Missing), shownGaps)] {
		lines = append(lines, "  "+w.T("pilots.line", "what", w.Word(lang.Feature, string(g.Kind)), "why", g.Value+" ("+w.Number(int64(g.Devices))+")"))
	}
	if more := p.Gaps - min(len(p.Missing), shownGaps); more > 0 {
		lines = append(lines, "  "+w.T("pilots.more", "n", w.Number(int64(more))))
	}
	if p.Rare.Values > 0 {
		lines = append(lines, w.T("pilots.rare", "below", w.Number(int64(p.Rare.Below)), "values", w.Number(int64(p.Rare.Values)), "devices", w.Number(int64(p.Rare.Devices))))
	}
	if len(p.Refused) > 0 {
		lines = append(lines, w.T("pilots.refused"))
	}
	for _, r := range p.Refused {
		lines = append(lines, "  ✗ "+w.T("pilots.line", "what", r.Name, "why", w.Reason(r.Reason)))
	}
	if len(p.Barred) > 0 {
		lines = append(lines, w.T("pilots.barred"))
	}
	for _, b := range p.Barred {
		lines = append(lines, "  "+w.T("pilots.line", "what", w.Cause(b.Code), "why", w.Number(int64(b.Devices))))
	}
	return c.say(lines...)
}

// shownGaps is how much of what no pilot has a terminal shows; --json has more.
const shownGaps = 12
