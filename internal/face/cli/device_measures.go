package cli

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
)

func (c *cli) deviceMeasures() *cobra.Command {
	var measure, since string
	cmd := c.verb(verb{
		use: "measures DEVICE", short: "Show what a device measured: its last sample, and each measure over time", args: 1,
		long: `Without --measure, the last value of each, with its mean and its worst over the
time. With --measure, that one hour by hour. --json gives every point that is
kept: five minutes for two days, hours before that.`,
		run: func(ctx context.Context, api *client, args []string) error {
			back, err := sinceOf(since)
			if err != nil {
				return err
			}
			query := filters("measure", measure, "since", c.Clock().Add(-back).UTC().Format(time.RFC3339))
			if !c.json {
				query.Set("hourly", "true")
			}
			var m view.Measured
			if err := api.get(ctx, path("devices", args[0], "measures"), query, &m); err != nil {
				return err
			}
			return c.emit(m, func() error {
				if measure != "" {
					return c.measureHours(m)
				}
				return c.measureSums(m)
			})
		},
	})
	cmd.Flags().StringVar(&measure, "measure", "", "only this one, for example cpu_percent")
	cmd.Flags().StringVar(&since, "since", "24h", "how far back: 90m, 24h or 7d; 62d at most")
	return cmd
}

var daysBack = regexp.MustCompile(`^(\d{1,3})d$`)

// sinceOf reads how far back somebody looks.
func sinceOf(text string) (time.Duration, error) {
	if m := daysBack.FindStringSubmatch(text); m != nil {
		n, err := strconv.Atoi(m[1])
		return time.Duration(n) * 24 * time.Hour, err
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, usage{fmt.Errorf("--since %q is not a duration: write 90m, 24h or 7d", text)}
	}
	return d, nil
}

func (c *cli) measureSums(m view.Measured) error {
	w := c.words()
	if m.TooOld {
		return c.say(w.T("measures.too_old"))
	}
	if m.Sample != nil {
		if err := c.say(w.T("measures.sampled", "at", w.Brief(m.Sample.At))); err != nil {
			return err
		}
	}
	out := [][]string{}
	for _, s := range m.Measures {
		mean, worst := s.Sum()
		last := ""
		if m.Sample != nil {
			if v, known := m.Sample.Values[s.Measure]; known {
				last = w.Measured(s.Measure, v)
			}
		}
		out = append(out, []string{w.Word(lang.Measure, string(s.Measure)), last, w.Measured(s.Measure, mean), w.Measured(s.Measure, worst)})
	}
	if err := c.table([]string{"col.measure", "col.last", "col.mean", "col.worst"}, out); err != nil || len(m.Probes) == 0 {
		return err
	}
	return c.probeTable(m.Probes)
}

func (c *cli) measureHours(m view.Measured) error {
	w, out := c.words(), [][]string{}
	for _, s := range m.Measures {
		for _, p := range s.Points {
			out = append(out, []string{w.Brief(p.At), w.Measured(s.Measure, p.Mean), w.Measured(s.Measure, p.Worst), w.Number(p.Samples)})
		}
	}
	return c.table([]string{"col.at", "col.mean", "col.worst", "col.samples"}, out)
}
