package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
)

type campaignVerifyOptions struct {
	missing, sign bool
	csv           string
	bucket        string
	of            string
	limit         int
	signOptions
}

func (c *cli) campaignVerify() *cobra.Command {
	var o campaignVerifyOptions
	cmd := c.verb(verb{
		use: "verify CAMPAIGN", short: "Say what a campaign has reached, and sign its verification", args: 1,
		long: `Coverage in five numbers by ring, department, site and system, and why devices are
missing. With --missing each of them, with its reason and its next attempt; --csv
writes them all into a file for spreadsheets.

With --sign the verification is signed off: closing the campaign waits for it where
the procedure asks for one. You need the role.`,
		example: `  patchring campaign verify 2026-11
  patchring campaign verify 2026-11 --missing --of site=Lyon
  patchring campaign verify 2026-11 --csv missing.csv
  patchring campaign verify 2026-11 --sign --role it --tick all`,
		run: func(ctx context.Context, api *client, args []string) error { return o.run(ctx, c, api, args[0]) },
	})
	flags := cmd.Flags()
	flags.BoolVar(&o.missing, "missing", false, "list the devices that are missing")
	flags.StringVar(&o.csv, "csv", "", "write the missing devices into this file")
	flags.StringVar(&o.bucket, "bucket", "", "of the missing devices only these: failed, not_reached or unreachable")
	flags.StringVar(&o.of, "of", "", "of the missing devices only these: ring=R1, department=NAME, site=NAME or system=NAME")
	flags.BoolVar(&o.sign, "sign", false, "sign off the verification")
	o.flags(cmd)
	limitFlag(cmd, &o.limit)
	return cmd
}

func (o campaignVerifyOptions) run(ctx context.Context, c *cli, api *client, name string) error {
	by, value, found := strings.Cut(o.of, "=")
	if o.of != "" && !found {
		return usage{fmt.Errorf("--of %q: write site=Lyon", o.of)}
	}
	query := filters("bucket", o.bucket, "by", by, "value", value)
	switch {
	case o.sign && (o.missing || o.csv != ""):
		return usage{errors.New("--sign stands alone")}
	case o.sign:
		return o.signed(ctx, c, api, name)
	case o.csv != "":
		query.Set("lang", string(c.words().Lang()))
		return c.saved(ctx, api, path("campaigns", name, "missing.csv")+"?"+query.Encode(), o.csv)
	case o.missing:
		return o.list(ctx, c, api, name)
	}
	var v view.Verification
	if err := api.get(ctx, path("campaigns", name, "verification"), nil, &v); err != nil {
		return err
	}
	return c.emit(v, func() error { return c.verification(v) })
}

// saved writes a file that the server made.
func (c *cli) saved(ctx context.Context, api *client, from, to string) error {
	n, err := api.save(ctx, from, to)
	if err != nil {
		return err
	}
	return c.emit(map[string]any{"file": to, "bytes": n}, func() error {
		w := c.words()
		return c.say(w.T("cli.saved", "file", to, "size", w.Bytes(n)))
	})
}

func (o campaignVerifyOptions) signed(ctx context.Context, c *cli, api *client, name string) error {
	var v view.Verification
	if err := api.get(ctx, path("campaigns", name, "verification"), nil, &v); err != nil {
		return err
	}
	slot, ticked, err := o.chosen(ctx, c, api, v.SignOffs)
	if err != nil {
		return err
	}
	in := body{"role": slot.Role, "yes": o.decision == "yes", "ticked": ticked}.set("comment", o.comment)
	if err := api.post(ctx, path("campaigns", v.Campaign.ID, "verification", "sign"), in, nil); err != nil {
		return err
	}
	return c.emit(map[string]any{"role": slot.Role, "yes": o.decision == "yes"}, func() error { return c.say(c.words().T("done.sign")) })
}

func (o campaignVerifyOptions) list(ctx context.Context, c *cli, api *client, name string) error {
	by, value, _ := strings.Cut(o.of, "=")
	list, more, err := rows[view.MissingDevice](ctx, api, path("campaigns", name, "missing"), filters("bucket", o.bucket, "by", by, "value", value), o.limit)
	if err != nil {
		return err
	}
	defer c.more(more)
	return c.emit(list, func() error {
		w := c.words()
		var out [][]string
		for _, m := range list {
			why := ""
			if m.Reason != nil {
				why = w.Reason(*m.Reason)
			}
			next := w.T("verification.by_hand")
			if !m.Next.IsZero() {
				next = when(w, m.Next)
			}
			out = append(out, []string{m.Device.Name, m.Ring, orElse(m.Department, "—"), orElse(m.Site, "—"), w.Word(lang.Bucket, m.Bucket), why, next})
		}
		return c.table([]string{"col.device", "col.ring", "verification.department", "verification.site", "col.state", "col.why", "col.next"}, out)
	})
}

func (c *cli) verification(v view.Verification) error {
	w := c.words()
	if v.Campaign.Closed.IsZero() && v.At.Before(v.Due) {
		if err := c.say(w.T("dossier.watched_until", "at", w.Moment(v.Due))); err != nil {
			return err
		}
	}
	five := func(first string, n view.Numbers, proven *int64) []string {
		known := "—" // nobody has looked, which is not none
		if proven != nil {
			known = w.Number(*proven)
		}
		return []string{first, w.Number(n.Done), w.Number(n.Failed), w.Number(n.NotReached), w.Number(n.Unreachable), w.Number(n.Exempt), w.Share(n.Done, n.Total()-n.Exempt), known}
	}
	tables := []struct {
		head, none string
		lines      []view.CoverageLine
	}{{"verification.departments", "verification.no_department", v.Departments}, {"verification.sites", "verification.no_site", v.Sites}, {"verification.systems", "verification.no_system", v.Systems}}
	var out [][]string
	for _, r := range v.Rings {
		name := r.Ring
		if r.Amendment > 0 {
			name += " · " + w.T("board.amendment", "n", w.Number(r.Amendment))
		}
		out = append(out, five(name, r.Numbers, r.Proven))
	}
	out = append(out, five(w.T("verification.total"), v.Total, v.Proven))
	numbers := []string{"verification.done", "verification.failed", "verification.not_reached", "verification.unreachable", "verification.exempt", "paper.reached", "col.proven"}
	if err := c.table(append([]string{"col.ring"}, numbers...), out); err != nil {
		return err
	}
	for _, t := range tables {
		out = nil
		for _, l := range t.lines {
			proven := v.Proven
			if proven != nil {
				proven = &l.Proven
			}
			out = append(out, five(orElse(l.Value, w.T(t.none)), l.Numbers, proven))
		}
		if err := c.say(""); err != nil {
			return err
		}
		if err := c.table(append([]string{t.head}, numbers...), out); err != nil {
			return err
		}
	}
	return c.verificationEnd(v)
}

// verificationEnd says why devices are missing, and what closing waits for.
func (c *cli) verificationEnd(v view.Verification) error {
	w := c.words()
	var out [][]string
	for _, r := range v.Reasons {
		out = append(out, []string{w.Word(lang.Bucket, r.Bucket), w.Cause(r.Code), w.Number(r.Devices)})
	}
	if len(out) > 0 {
		if err := c.say(""); err != nil {
			return err
		}
		if err := c.table([]string{"col.state", "col.why", "col.devices"}, out); err != nil {
			return err
		}
	}
	for _, why := range v.Missing {
		if err := c.say(w.T("verification.closing_waits", "why", w.Reason(why))); err != nil {
			return err
		}
	}
	return nil
}
