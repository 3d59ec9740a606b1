package apt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/provider"
	"patchring/internal/endpoint/provider/apt/dpkg"
	"patchring/internal/endpoint/provider/apt/query"
	"patchring/internal/endpoint/provider/tool"
	"patchring/wire"
)

// maxTransactions bounds how often the rest is tried again after an item that
// failed was put back.
const maxTransactions = 8

// Download implements provider.Provider. It asks for what the items name
// without simulating first; only when apt refuses are those sorted out that
// have become impossible since they were planned.
func (p *Provider) Download(ctx context.Context, items []wire.Item, limits provider.Limits, tell provider.Progress) error {
	in, err := p.intend(ctx, wire.OrderInstall, items)
	if err != nil || len(in.targets) == 0 {
		return err
	}
	if err := p.device.WaitLocks(ctx, query.TransactionLocks, limits.LockWait, tell); err != nil {
		return err
	}
	exit, err := p.download(ctx, in, limits, tell)
	if err != nil || exit.Code == 0 {
		return err
	}
	if p.classify(exit).Code == fault.DownloadFailed {
		// The lists may name files that the repository has replaced since. Fresh
		// ones tell which version is gone, and the others go on without it.
		if err := p.scanner.Refresh(ctx); err != nil {
			return p.classify(exit)
		}
	}
	asked := len(in.targets)
	if _, err := p.resolve(ctx, in, limits); err != nil {
		return err
	}
	if len(in.targets) == asked {
		return p.classify(exit)
	}
	if len(in.targets) == 0 {
		return nil
	}
	if exit, err = p.download(ctx, in, limits, tell); err != nil || exit.Code == 0 {
		return err
	}
	return p.classify(exit)
}

func (p *Provider) download(ctx context.Context, in *intent, limits provider.Limits, tell provider.Progress) (tool.Exit, error) {
	args, err := p.arguments(ctx, in.kind, in.targets)
	if err != nil {
		return tool.Exit{}, err
	}
	c := p.device.Command("apt-get", slices.Concat([]string{"-y", "-q", "--download-only"}, throttle(limits), args)...)
	if c.Timeout = downloadTimeout; limits.BytesPerS > 0 {
		c.Timeout = slowDownloadTimeout
	}
	return tool.Lines(ctx, c, func(line []byte) error {
		if tell != nil {
			tell(wire.Clean(string(line), wire.MaxTextBytes))
		}
		return nil
	})
}

// throttle bounds how fast apt downloads: Dl-Limit counts kilobytes a second for
// each connection (apt.conf(5)), and the queue mode makes it one for a method.
func throttle(limits provider.Limits) []string {
	if limits.BytesPerS <= 0 {
		return nil
	}
	rate := strconv.FormatInt(max(1, limits.BytesPerS/1024), 10)
	return []string{"-o", "Acquire::Queue-Mode=access", "-o", "Acquire::http::Dl-Limit=" + rate, "-o", "Acquire::https::Dl-Limit=" + rate}
}

// downloadTimeout ends a download that hangs, slowDownloadTimeout one that was
// told to be slow; what arrived is kept by apt.
const (
	downloadTimeout     = 2 * time.Hour
	slowDownloadTimeout = 12 * time.Hour
)

// Install implements provider.Provider.
func (p *Provider) Install(ctx context.Context, items []wire.Item, limits provider.Limits, tell provider.Progress) (provider.Log, []wire.Outcome, error) {
	return p.act(ctx, wire.OrderInstall, items, limits, tell)
}

// Rollback implements provider.Provider.
func (p *Provider) Rollback(ctx context.Context, items []wire.Item, limits provider.Limits, tell provider.Progress) (provider.Log, []wire.Outcome, error) {
	return p.act(ctx, wire.OrderRollback, items, limits, tell)
}

func (p *Provider) act(ctx context.Context, kind wire.OrderKind, items []wire.Item, limits provider.Limits, tell provider.Progress) (provider.Log, []wire.Outcome, error) {
	if err := ctx.Err(); err != nil {
		return provider.Log{}, nil, fmt.Errorf("%s: %w", kind, err)
	}
	native, err := p.device.Architecture(ctx)
	if err != nil {
		return provider.Log{}, nil, err
	}
	log, err := p.bench.Open(string(kind))
	if err != nil {
		return provider.Log{}, nil, err
	}
	var outcomes []wire.Outcome
	r := &run{p: p, kind: kind, native: native, limits: limits, tell: tell, log: log, failed: map[string]fault.Reason{}}
	err = r.recover(ctx, items)
	if err == nil {
		outcomes, err = r.do(ctx, items)
	}
	kept, err := closed(log, err)
	return kept, outcomes, err
}

// run is one install or rollback.
type run struct {
	p      *Provider
	kind   wire.OrderKind
	native string
	limits provider.Limits
	tell   provider.Progress
	log    *tool.Log
	base   baseline                  // when the items were first acted on
	before map[dpkg.Key]string       // its versions
	db     map[dpkg.Key]dpkg.Package // as last read
	failed map[string]fault.Reason   // by item
}

// recover goes on with broken packages when they are the order's own: its
// transaction repairs them, or restores what was before.
func (r *run) recover(ctx context.Context, items []wire.Item) error {
	err := r.p.recover(ctx, r.log, r.limits, r.tell)
	if !errors.Is(err, fault.New(fault.DpkgBroken)) {
		return err
	}
	broken, brokenErr := r.p.device.Broken(ctx)
	if brokenErr != nil {
		return brokenErr
	}
	for _, item := range items {
		for _, change := range item.Packages {
			if slices.Contains(broken, string(dpkg.KeyOf(change.Name, change.Arch, r.native))) {
				return nil
			}
		}
	}
	return err
}

func (r *run) do(ctx context.Context, items []wire.Item) ([]wire.Outcome, error) {
	in, err := r.p.intend(ctx, r.kind, items)
	if err != nil {
		return nil, err
	}
	if len(in.targets) > 0 {
		if err := r.p.device.WaitLocks(ctx, query.TransactionLocks, r.limits.LockWait, r.tell); err != nil {
			return nil, err
		}
		// What the lock's holder did meanwhile counts.
		if in, err = r.p.intend(ctx, r.kind, items); err != nil {
			return nil, err
		}
	}
	r.db = in.before
	if r.base, err = r.p.baseline(r.kind, items, in); err != nil {
		return nil, err
	}
	r.before = r.base.flat()
	plan, err := r.p.resolve(ctx, in, r.limits)
	if err != nil {
		return nil, err
	}
	for item, why := range in.problems {
		r.failed[item] = why
	}
	if len(in.targets) > 0 {
		if err := r.p.keepBaseline(r.base, plan); err != nil {
			return nil, err
		}
		// From here on nothing is cancelled: ctx would only end the questions
		// between the transactions and leave the device half way.
		if err := r.transact(context.WithoutCancel(ctx), in); err != nil {
			return nil, err
		}
	}
	r.noteConffiles(in)
	return r.outcomes(items), nil
}

// transact brings all targets there in one transaction, puts back what failed,
// and tries the rest again while that makes sense.
func (r *run) transact(ctx context.Context, in *intent) error {
	left := in.targets
	for attempt := 0; len(left) > 0 && attempt < maxTransactions; attempt++ {
		args, err := r.p.arguments(ctx, r.kind, left)
		if err != nil {
			return err
		}
		exit, errs, err := r.apt(ctx, args)
		if err != nil {
			return err
		}
		left = slices.DeleteFunc(slices.Clone(left), func(t target) bool { return t.reached(r.db) })
		blamed, err := r.blame(ctx, left, errs)
		if err != nil {
			return err
		}
		if len(blamed) == 0 {
			return r.giveUp(in, left, exit)
		}
		r.restore(ctx, blamed)
		left = slices.DeleteFunc(left, func(t target) bool { _, out := r.failed[t.item]; return out })
	}
	for _, t := range left {
		r.failed[t.item] = fault.Because(fault.AttemptsExhausted, "attempts", strconv.Itoa(maxTransactions))
	}
	return nil
}

// apt runs one transaction and reads what it left.
func (r *run) apt(ctx context.Context, args []string) (tool.Exit, []packageError, error) {
	exit, err := r.p.bench.Run(r.log, r.p.transaction(args), r.tell)
	if err != nil {
		return exit, nil, err
	}
	errs, err := readErrors(r.p.bench.StatusFile())
	if err != nil {
		return exit, nil, err
	}
	r.db, err = r.p.device.Packages(ctx, nil)
	return exit, errs, err
}

// giveUp ends the run when nobody is to blame. Success without effect is said
// as such. A failure before anything changed is the whole run's, and may pass
// later; one that came in the middle is that of the items it left behind.
func (r *run) giveUp(in *intent, left []target, exit tool.Exit) error {
	if len(left) == 0 {
		return nil
	}
	if exit.Code == 0 {
		for _, t := range left {
			w := t.wants[slices.IndexFunc(t.wants, func(w want) bool { return !w.reached(r.db) })]
			r.failed[t.item] = fault.Because(fault.NoEffect, "package", string(w.key), "version", r.db[w.key].Version)
		}
		return nil
	}
	failure := r.p.classify(exit)
	if len(r.failed) == len(in.problems) && len(left) == len(in.targets) && r.unchanged(left) {
		return failure
	}
	for _, t := range left {
		r.failed[t.item] = failure.Reason
	}
	return nil
}

func (r *run) unchanged(targets []target) bool {
	for _, t := range targets {
		for _, w := range t.wants {
			if r.db[w.key] != w.now {
				return false
			}
		}
	}
	return true
}

// outcomes says of each item how it ended, from the database.
func (r *run) outcomes(items []wire.Item) []wire.Outcome {
	outcomes := make([]wire.Outcome, len(items))
	for i, item := range items {
		item.Packages = slices.Clone(item.Packages)
		moved := false
		for j := range item.Packages {
			c := &item.Packages[j]
			key := dpkg.KeyOf(c.Name, c.Arch, r.native)
			c.From = r.before[key]
			moved = moved || r.db[key].Present() && r.db[key].Version != c.From
		}
		out := verify(r.kind, item, r.db, r.native)
		why, failed := r.failed[item.ID]
		switch {
		case failed && (why.Code == fault.HeldOnDevice):
			out.State, out.Cause = wire.ItemSkipped, cause(why)
		case failed && why.Code == fault.NoEffect:
			out.State, out.Cause = wire.ItemNoEffect, cause(why)
		case failed:
			out.State, out.Cause = wire.ItemFailed, cause(why)
		case out.State == wire.ItemVerified && moved:
			out.State = wire.ItemClaimed // verified is what a later reading says
		case out.State == wire.ItemVerified, out.State == wire.ItemRolledBack && !moved:
			out.State, out.Cause = wire.ItemNotApplicable, cause(fault.Because(fault.NotApplicable))
		}
		outcomes[i] = out
	}
	return outcomes
}

// noteConffiles writes into the log where a package's new configuration was
// laid beside the device's own.
func (r *run) noteConffiles(in *intent) {
	for _, t := range in.targets {
		for _, w := range t.wants {
			for _, path := range r.p.conffiles(w.now) {
				for _, suffix := range []string{".dpkg-dist", ".dpkg-new"} {
					if beside := path + suffix; exists(r.p.device.Path(beside)) {
						r.log.Note("left: %s", beside)
					}
				}
			}
		}
	}
}

// tellTale are words of apt's errors and what they mean. They are a hint for
// the operator; whether it worked is never read from them.
var tellTale = []struct {
	words string
	code  fault.Code
}{
	{"No space left on device", fault.DiskFull},
	{"You don't have enough free space", fault.DiskFull},
	{"Could not get lock", fault.LockHeld},
	{"Unable to acquire the dpkg frontend lock", fault.LockHeld},
	{"Failed to fetch", fault.DownloadFailed},
	{"Unable to fetch", fault.DownloadFailed},
	{"Hash Sum mismatch", fault.DownloadFailed},
	{"Size mismatch", fault.DownloadFailed},
}

// classify names why a run failed as a whole.
func (p *Provider) classify(exit tool.Exit) *fault.Error {
	failure := query.Failed("apt-get", exit.Code, exit.Stderr)
	said := failure.Args["error"]
	for _, tale := range tellTale {
		if !strings.Contains(exit.Stderr, tale.words) {
			continue
		}
		switch tale.code {
		case fault.DiskFull:
			archives := p.device.Path("var/cache/apt/archives")
			free, err := query.FreeBytes(archives)
			if err != nil {
				return failure
			}
			return fault.Again(fault.DiskFull, "mount", archives, "need", said, "free", fmt.Sprint(free))
		case fault.LockHeld:
			h, _, err := p.device.LockHolder(query.TransactionLocks)
			if err != nil {
				return failure
			}
			return fault.Again(fault.LockHeld, "holder", h.Name, "pid", strconv.Itoa(h.PID), "waited", "60s")
		default:
			return fault.Again(tale.code, "error", said)
		}
	}
	return failure
}
