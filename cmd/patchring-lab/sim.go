package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"patchring/lab/sim"
)

type simFlags struct {
	sim.Options
	asJSON  bool
	verbose bool
	harms   []string
	length  time.Duration
}

func newSimCommand() *cobra.Command {
	var f simFlags
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "play a fleet of simulated devices against a server",
		Long: `Play a fleet of simulated devices: each enrols over HTTPS, keeps a mutual TLS
connection of its own to the broker, checks in, reports, verifies its orders and
carries them out in its imagination, until interrupted.

The token needs as many uses as there are devices to enrol:

  patchring enrollment create --uses 5000
  patchring-lab sim --url https://server:8443 --token pre_... --devices 5000 \
      --identities fleet.ids --install-fails 0.02 --gone 0.01

With --identities the same fleet comes back later without a token. The seed
decides which device is slow, fails, is cloned or leaves; shares are from 0 to 1.
It needs neither root nor Debian.

Exit status: 0 interrupted, over after --for, or no device left; 1 the fleet could
not be enrolled; 2 wrong usage.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.register(cmd)
	return cmd
}

func (f *simFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.URL, "url", "", "https address of the server")
	flags.StringVar(&f.Token, "token", "", "enrolment token with enough uses")
	flags.IntVar(&f.Devices, "devices", 100, "number of devices")
	flags.Uint64Var(&f.Seed, "seed", 1, "what decides each device's traits")
	flags.StringVar(&f.Identities, "identities", "", "file that keeps enrolled identities for the next run")
	flags.DurationVar(&f.Spread, "start-spread", 0, "start the devices over this long")
	flags.DurationVar(&f.Checkin, "checkin", 0, "heartbeat, in place of the one the server asks for")
	flags.DurationVar(&f.Pace, "pace", sim.DefaultPace, "how long an order takes a usual device")
	flags.IntVar(&f.Packages, "packages", 0, "installed packages: 200, 800, 2500, or 0 for a mix")
	flags.IntVar(&f.Pending, "pending", sim.DefaultPending, "patches each device misses at first; 0 is all that are recorded")
	flags.Float64Var(&f.Shares.DownloadFails, "download-fails", 0, "share that cannot download")
	flags.Float64Var(&f.Shares.InstallFails, "install-fails", 0, "share whose package manager fails on one package")
	flags.Float64Var(&f.Shares.ServiceDies, "service-dies", 0, "share on which a service is dead after an install that succeeded")
	flags.Float64Var(&f.Shares.Slow, "slow", 0, "share that is twenty times slower")
	flags.Float64Var(&f.Shares.Gone, "gone", 0, "share that is cut off by its first order and never returns")
	flags.Float64Var(&f.Shares.Skewed, "skewed", 0, "share whose clock is wrong")
	flags.DurationVar(&f.SkewBy, "skew", sim.DefaultSkewBy, "by up to how much those clocks are wrong")
	flags.Float64Var(&f.Shares.Duplicate, "duplicate", 0, "share cloned from one image, with one machine id")
	flags.Float64Var(&f.Shares.Churns, "churn", 0, "share that disconnects and returns, again and again")
	flags.DurationVar(&f.ChurnEvery, "churn-every", sim.DefaultChurnEvery, "how often those leave")
	flags.DurationVar(&f.Sample, "sample", 0, "between two samples, in place of what the server asks for; negative measures nothing")
	flags.StringArrayVar(&f.harms, "harm", nil, "what an update does: PACKAGE[,share=0.5][,probes][,service=NAME][,cpu_percent=60]…; * is any package; again for more")
	flags.DurationVar(&f.length, "for", 0, "end after this long; 0 is when interrupted")
	flags.DurationVar(&f.Every, "every", time.Second, "how often to print progress")
	flags.BoolVar(&f.asJSON, "json", false, `print progress and summary as lines of JSON, the last with "summary":true`)
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "tell of each device's trouble")
}

func (f *simFlags) run(cmd *cobra.Command) error {
	ctx := cmd.Context()
	debug.SetGCPercent(50) // most of a fleet's memory lives as long as the fleet
	for _, text := range f.harms {
		h, err := sim.ParseHarm(text)
		if err != nil {
			return err
		}
		f.Harm = append(f.Harm, h)
	}
	if f.length > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, f.length)
		defer stop()
	}
	out := cmd.OutOrStdout()
	var broken error // of out, told when the fleet has ended
	f.Progress = func(c sim.Counts) {
		if err := f.print(out, c, false); err != nil && broken == nil {
			broken = err
		}
	}
	if f.verbose {
		f.Say = say(cmd)
	}
	counts, err := sim.Run(ctx, f.Options)
	if errors.Is(err, sim.ErrOptions) {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return errors.Join(err, broken, f.print(out, counts, true))
}

func (f *simFlags) print(w io.Writer, c sim.Counts, summary bool) error {
	if f.asJSON {
		return json.NewEncoder(w).Encode(struct {
			Summary bool `json:"summary"`
			sim.Counts
		}{summary, c})
	}
	if !summary {
		_, err := fmt.Fprintf(w, "enrolled %d  connected %d of %d  check-ins %d  orders %d done, %d open  failed %d  gone %d  left out %d\n",
			c.Enrolled+c.Reused, c.Connected, c.Devices, c.Checkins, c.Orders.Done, c.Orders.Open, total(c.Failed), c.Gone, total(c.LeftOut))
		return err
	}
	_, err := fmt.Fprintf(w, `
devices    %d, connected %d, gone %d
check-ins  %d, parts %d, events %d, answers %d
orders     %d accepted, %d done, %d cancelled, %d open
items      %s
failed     %s
waited     %s
refused    %s
left out   %s
`, c.Devices, c.Connected, c.Gone, c.Checkins, c.Parts, c.Events, c.Answers,
		c.Orders.Accepted, c.Orders.Done, c.Orders.Cancelled, c.Orders.Open,
		byName(c.Items), byName(c.Failed), byName(c.Waiting), byName(c.Refused), byName(c.LeftOut))
	return err
}

func total(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

func byName(counts map[string]int) string {
	if len(counts) == 0 {
		return "none"
	}
	parts := make([]string, 0, len(counts))
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(parts, ", ")
}
