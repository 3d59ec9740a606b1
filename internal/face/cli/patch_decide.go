package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"patchring/internal/core/policy"
)

type decideOptions struct {
	reason, until, provider string
	every                   bool
}

// decide is what approve, delay and decline have in common.
func (c *cli) decide(use, short string, verdict policy.Verdict) *cobra.Command {
	var o decideOptions
	cmd := c.verb(verb{
		use: use + " PATCH --reason TEXT", short: short, args: 1,
		long: `A patch is a name, a name and version in quotes, or an id: the decision is about
that exact version. With --every-version it is about the name, whatever comes.
A rejection wins over any approval.`,
		run: func(ctx context.Context, api *client, args []string) error {
			return o.run(ctx, c, api, args[0], verdict)
		},
	})
	flags := cmd.Flags()
	flags.StringVar(&o.reason, "reason", "", "why, for the register")
	flags.BoolVar(&o.every, "every-version", false, "decide on every version of the name")
	flags.StringVar(&o.provider, "provider", "apt", "provider of the name, with --every-version")
	if verdict != policy.Approved {
		flags.StringVar(&o.until, "until", "", "end of it: a date 2026-12-31, an instant, or a duration 72h")
	}
	return cmd
}

func (o decideOptions) run(ctx context.Context, c *cli, api *client, patch string, verdict policy.Verdict) error {
	in := body{"verdict": verdict}.set("reason", o.reason)
	if o.every {
		in["provider"], in["name"] = o.provider, patch
	} else {
		in["patch"] = patch
	}
	if o.until != "" {
		until, err := untilOf(o.until, c.Clock())
		if err != nil {
			return usage{err}
		}
		in["until"] = until
	}
	if err := api.post(ctx, "/decisions", in, nil); err != nil {
		return err
	}
	return c.done(patch)
}

// untilOf reads an end. A date ends when its day begins, where the operator is.
func untilOf(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(d), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, text, time.Local); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("--until %q: write 2026-12-31, 2026-12-31T18:00:00+01:00 or 72h", text)
}
