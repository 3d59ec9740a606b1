//go:build linux

// Command bench measures Patchring and prints each figure beside its baseline
// of the same run, with the ratio: a figure alone says how busy the machine
// was. It talks to loopback and to what it started itself only, and is bounded
// in count and time.
//
// It is run by scripts/bench, which has built the programs before. It writes
// everything to bench/out/bench.json.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"time"

	"patchring/lab/fleet"
)

// section is one part of the bench.
type section struct {
	name string
	what string
	run  func(context.Context, *bench) error
}

func sections() []section {
	return []section{
		{"report", "check-in and reports, in the server's own process", benchReports},
		{"decide", "deciding a campaign", benchDecide},
		{"policy", "verdicts of a policy, and what a change of it would do", benchPolicy},
		{"rehearse", "rehearsing a month before it begins", benchRehearse},
		{"coverage", "choosing pilots by coverage", benchCoverage},
		{"health", "the judge of measures, on made-up campaigns of a known truth", benchHealth},
		{"dossier", "verifying a campaign and writing its documents", benchDossier},
		{"tick", "a tick after one report in a large fleet", benchTick},
		{"measure", "measuring this machine as the agent does", benchMeasure},
		{"evidence", "watching the rings of a campaign", benchEvidence},
		{"measures", "keeping and reading what devices measure", benchMeasures},
		{"fleet", "connected agents, beside the bare broker", benchFleet},
		{"agent", "the agent on a real host, beside plain apt", benchAgent},
	}
}

func main() {
	fleet.Reexec()
	if len(os.Args) > 1 && os.Args[1] == bareVerb {
		exit(runBare(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == measureVerb {
		exit(runMeasure())
	}
	b := &bench{started: time.Now()}
	only := flag.String("only", "", "sections to run, of: "+strings.Join(names(), ", ")+"; all when empty")
	flag.StringVar(&b.bin, "bin", "bin", "folder of the built programs")
	flag.StringVar(&b.out, "out", "bench/out", "folder to write to")
	flag.IntVar(&b.devices, "devices", 5000, "agents of the largest simulated fleet")
	flag.IntVar(&b.enrolled, "enrolled", 100_000, "devices of the largest campaign")
	flag.StringVar(&b.profile, "profile", "", "file for a CPU profile of this process")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(b.run(ctx, *only))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func names() []string {
	var list []string
	for _, s := range sections() {
		list = append(list, s.name)
	}
	return list
}

// bench is one run.
type bench struct {
	bin, out string
	profile  string
	devices  int
	enrolled int
	started  time.Time
	figures  []Figure
	temp     string // for databases and keys; gone afterwards
}

// run does what was asked for. A section that fails is told at the end, and the
// others are still measured and written.
func (b *bench) run(ctx context.Context, only string) (err error) {
	wanted := strings.FieldsFunc(only, func(r rune) bool { return r == ',' || r == ' ' })
	for _, w := range wanted {
		if !slices.Contains(names(), w) {
			return fmt.Errorf("no section %q; there are %s", w, strings.Join(names(), ", "))
		}
	}
	if b.temp, err = os.MkdirTemp("", "patchring-bench-"); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.temp)) }()
	stop, err := b.profiled()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	var failed []error
	for _, s := range sections() {
		if len(wanted) > 0 && !slices.Contains(wanted, s.name) || ctx.Err() != nil {
			continue
		}
		begun := time.Now()
		fmt.Printf("\n%s: %s\n", s.name, s.what)
		if err := s.run(ctx, b); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", s.name, err))
			fmt.Printf("  failed: %v\n", err)
		}
		fmt.Printf("  (%.0f s)\n", time.Since(begun).Seconds())
	}
	return errors.Join(errors.Join(failed...), ctx.Err(), b.write())
}

// profiled starts the profile, if one is wanted.
func (b *bench) profiled() (stop func() error, err error) {
	if b.profile == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(b.profile)
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("profile: %w", err), f.Close())
	}
	return func() error { pprof.StopCPUProfile(); return f.Close() }, nil
}
