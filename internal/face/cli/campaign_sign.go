package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"patchring/internal/infra/view"
)

type signOptions struct {
	role, decision, comment, tick string
	amendment                     int64
}

func (c *cli) campaignSign() *cobra.Command {
	var o signOptions
	cmd := c.verb(verb{
		use: "sign CAMPAIGN RING", short: "Sign off the gate of a ring", args: 2,
		long: `You need the role that the gate asks for; no other role stands for it. To say yes
every test of the checklist must be ticked: --tick all, or their numbers.`,
		example: `  patchring campaign sign 2026-12 R0 --role it --tick all
  patchring campaign sign 2026-12 R1 --role business --decision no --comment "printing is broken"`,
		run: func(ctx context.Context, api *client, args []string) error {
			return o.run(ctx, c, api, args[0], args[1])
		},
	})
	o.flags(cmd)
	cmd.Flags().Int64Var(&o.amendment, "amendment", 0, "the amendment whose gate it is")
	return cmd
}

func (o *signOptions) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.role, "role", "", "the role you sign for (default: the one that is waited for, if it is yours)")
	flags.StringVar(&o.decision, "decision", "yes", "yes or no")
	flags.StringVar(&o.comment, "comment", "", "what to remember of it")
	flags.StringVar(&o.tick, "tick", "", "all, or the numbers of the tests that were done: 1,2,4")
}

func (o signOptions) run(ctx context.Context, c *cli, api *client, campaign, ring string) error {
	b, err := api.board(ctx, campaign)
	if err != nil {
		return err
	}
	var slots []view.SignOffSlot
	for _, a := range b.Amendments {
		for _, r := range a.Rings {
			if a.Number == o.amendment && strings.EqualFold(r.Ring, ring) {
				slots = r.SignOffs
			}
		}
	}
	slot, ticked, err := o.chosen(ctx, c, api, slots)
	if err != nil {
		return err
	}
	in := body{"ring": ring, "role": slot.Role, "yes": o.decision == "yes", "ticked": ticked, "amendment": o.amendment}.set("comment", o.comment)
	if err := api.post(ctx, path("campaigns", b.Campaign.ID, "sign"), in, nil); err != nil {
		return err
	}
	return c.emit(map[string]any{"ring": ring, "role": slot.Role, "yes": o.decision == "yes"}, func() error { return c.say(c.words().T("done.sign")) })
}

// chosen is the sign-off meant among slots, and the tests that were done for it.
func (o signOptions) chosen(ctx context.Context, c *cli, api *client, slots []view.SignOffSlot) (view.SignOffSlot, []int, error) {
	if o.decision != "yes" && o.decision != "no" {
		return view.SignOffSlot{}, nil, usage{fmt.Errorf("--decision %q: write yes or no", o.decision)}
	}
	slot, err := o.slot(ctx, api, slots)
	if err != nil {
		return slot, nil, err
	}
	ticked, err := o.ticked(c, slot)
	return slot, ticked, err
}

// slot is the sign-off meant: the role's, or the only one that the signer has
// the role for.
func (o signOptions) slot(ctx context.Context, api *client, slots []view.SignOffSlot) (view.SignOffSlot, error) {
	if o.role != "" {
		i := slices.IndexFunc(slots, func(s view.SignOffSlot) bool { return s.Role == o.role })
		if i < 0 {
			return view.SignOffSlot{Role: o.role}, nil // the server names the roles there are
		}
		return slots[i], nil
	}
	var me struct {
		Roles []string `json:"roles"`
	}
	if err := api.get(ctx, "/me", nil, &me); err != nil {
		return view.SignOffSlot{}, err
	}
	slots = slices.DeleteFunc(slices.Clone(slots), func(s view.SignOffSlot) bool { return !slices.Contains(me.Roles, s.Role) })
	if len(slots) != 1 {
		return view.SignOffSlot{}, usage{errors.New("say which role you sign for with --role")}
	}
	return slots[0], nil
}

// ticked are the indexes of the tests that were done: from --tick, or asked one
// by one on a terminal.
func (o signOptions) ticked(c *cli, slot view.SignOffSlot) ([]int, error) {
	out := []int{}
	switch {
	case o.tick == "all":
		for i := range slot.Checklist {
			out = append(out, i)
		}
	case o.tick != "":
		for _, text := range strings.Split(o.tick, ",") {
			n, err := strconv.Atoi(strings.TrimSpace(text))
			if err != nil || n < 1 || n > len(slot.Checklist) {
				return nil, usage{fmt.Errorf("--tick %q: the checklist has tests 1 to %d", o.tick, len(slot.Checklist))}
			}
			out = append(out, n-1)
		}
	case o.decision == "yes" && isTerminal(c.In):
		w := c.words()
		for i, test := range slot.Checklist {
			c.tell(fmt.Sprintf("%d. %s — %s ", i+1, test.In(string(w.Lang())), w.T("cli.was_done")))
			answer, err := readLine(c.In)
			if err != nil {
				return nil, err
			}
			if a := strings.ToLower(answer); a == "y" || a == "yes" || a == "o" || a == "oui" {
				out = append(out, i)
			}
		}
	}
	return out, nil
}
