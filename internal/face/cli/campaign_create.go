package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

type createOptions struct {
	procedure, name, month, day string
	now                         bool
	windows, patches            []string
}

func (c *cli) campaignCreate() *cobra.Command {
	var o createOptions
	cmd := c.verb(verb{
		use: "create --procedure NAME (--month YYYY-MM | --now)", short: "Start a campaign by hand",
		long: `With --month it has that month's dates. With --now it starts at once, the
procedure's days counted from now; --day makes each of them shorter, for tests
and demonstrations, and its windows are then open throughout unless given.`,
		example: `  patchring campaign create --procedure postes-france --month 2026-12
  patchring campaign create --procedure postes-france --now --day 2m --name trial`,
		run: func(ctx context.Context, api *client, _ []string) error { return o.run(ctx, c, api) },
	})
	flags := cmd.Flags()
	flags.StringVar(&o.procedure, "procedure", "", "the procedure, at its latest version")
	flags.StringVar(&o.name, "name", "", "name of the campaign (default: its month, or the date and hour)")
	flags.StringVar(&o.month, "month", "", "the calendar month whose dates it takes")
	flags.BoolVar(&o.now, "now", false, "start at once")
	flags.StringVar(&o.day, "day", "", "how long a procedure day lasts, for example 2m")
	flags.StringArrayVar(&o.windows, "window", nil, "START/END in RFC 3339, in place of the procedure's windows; may be repeated")
	flags.StringArrayVar(&o.patches, "patch", nil, "only this patch; may be repeated")
	return cmd
}

func (o createOptions) run(ctx context.Context, c *cli, api *client) error {
	in := body{"procedure": o.procedure}.set("name", o.name).set("month", o.month).set("day", o.day)
	if o.now {
		in["now"] = true
	}
	windows, err := windowsOf(o.windows)
	if err != nil {
		return usage{err}
	}
	if len(windows) > 0 {
		in["windows"] = windows
	}
	if len(o.patches) > 0 {
		in["patches"] = o.patches
	}
	var made struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	if err := api.post(ctx, "/campaigns", in, &made); err != nil {
		return err
	}
	return c.emit(made, func() error { return c.say(made.Name) })
}

func windowsOf(texts []string) ([]map[string]time.Time, error) {
	var out []map[string]time.Time
	for _, text := range texts {
		start, end, err := windowOf(text)
		if err != nil {
			return nil, err
		}
		out = append(out, map[string]time.Time{"start": start, "end": end})
	}
	return out, nil
}

func windowOf(text string) (start, end time.Time, err error) {
	from, to, ok := strings.Cut(text, "/")
	if ok {
		if start, err = time.Parse(time.RFC3339, from); err == nil {
			end, err = time.Parse(time.RFC3339, to)
		}
	}
	if !ok || err != nil {
		return start, end, fmt.Errorf("--window %q: write START/END, for example 2026-12-08T12:00:00+01:00/2026-12-08T14:00:00+01:00", text)
	}
	return start, end, nil
}
