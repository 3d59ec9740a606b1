package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"patchring/internal/core/checklist"
	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
)

func (c *cli) campaignTests() *cobra.Command {
	var mine bool
	cmd := c.verb(verb{
		use: "tests [CAMPAIGN]", short: "Show the tests of a campaign's gates, and how far they have come", optional: 1,
		long: `Without a campaign, those that can be ticked now, of every open campaign; --mine
leaves those that are assigned to you or to one of your roles.`,
		example: `  patchring campaign tests 2026-12
  patchring campaign tests --mine`,
		run: func(ctx context.Context, api *client, args []string) error {
			var list struct {
				Rows []view.RingTests `json:"rows"`
			}
			where, query := "/tests", filters()
			switch {
			case len(args) > 0 && mine:
				return usage{fmt.Errorf("--mine goes without a campaign")}
			case len(args) > 0:
				where = path("campaigns", args[0], "tests")
			case mine:
				query = filters("mine", "true")
			}
			if err := api.get(ctx, where, query, &list); err != nil {
				return err
			}
			return c.emit(list.Rows, func() error { return c.showTests(list.Rows) })
		},
	})
	cmd.Flags().BoolVar(&mine, "mine", false, "only those assigned to you or your roles")
	return cmd
}

func (c *cli) showTests(list []view.RingTests) error {
	w := c.words()
	var out [][]string
	for _, r := range list {
		for _, t := range r.Tests {
			for _, i := range t.Items {
				name := t.Name
				if len(t.Items) > 1 {
					name += "/" + strconv.Itoa(i.Number)
				}
				about := orElse(t.Department, t.Group)
				who := w.Role(t.Assigned)
				if t.Probe != "" {
					who = w.T("test.probe", "probe", t.Probe, "green", strconv.Itoa(t.Green), "red", strconv.Itoa(t.Red), "unknown", strconv.Itoa(t.Unknown))
				}
				said := strings.TrimSpace(w.Actor(i.Actor) + " " + when(w, i.At))
				if i.Remark != "" {
					said += ": " + i.Remark
				}
				due := ""
				if t.Waits != nil && i.State == checklist.Open {
					due = when(w, r.Due) + " (" + w.Word(lang.TaskState, string(t.Waits.State)) + ")"
				}
				out = append(out, []string{r.Campaign.Name, r.Ring, name, about, i.Text.In(string(w.Lang())), w.Word(lang.TestState, string(i.State)), who, due, said})
			}
		}
	}
	if err := c.table([]string{"col.campaign", "col.ring", "col.item", "col.department", "col.test", "col.state", "col.whom", "col.due", "col.said"}, out); err != nil {
		return err
	}
	for _, r := range list {
		line := r.Campaign.Name + " " + r.Ring + ": " + w.T("test.tally", "ok", strconv.Itoa(r.Tally.OK), "failed", strconv.Itoa(r.Tally.Failed), "open", strconv.Itoa(r.Tally.Open))
		if r.Overdue > 0 {
			line += ", " + w.N("tests.overdue", int64(r.Overdue))
		}
		if err := c.say(line); err != nil {
			return err
		}
	}
	return nil
}
