package apt

import (
	"context"
	"slices"
	"strconv"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/facts"
	"patchring/internal/endpoint/provider"
	"patchring/internal/endpoint/provider/apt/dpkg"
	"patchring/internal/endpoint/provider/apt/query"
	"patchring/internal/endpoint/provider/tool"
	"patchring/wire"
)

// keepConffiles answers dpkg's question about a changed configuration file
// once and for all: the device's own stays, the new one lands beside it as
// .dpkg-dist.
var keepConffiles = []string{"--force-confdef", "--force-confold"}

// Recover implements provider.Provider.
func (p *Provider) Recover(ctx context.Context, limits provider.Limits) (provider.Log, error) {
	log, err := p.bench.Open("recover")
	if err != nil {
		return provider.Log{}, err
	}
	err = p.recover(ctx, log, limits, nil)
	return closed(log, err)
}

// closed ends a log; an error of the action comes before one of the log.
func closed(log *tool.Log, err error) (provider.Log, error) {
	kept, logErr := log.Close()
	if err == nil {
		err = logErr
	}
	return kept, err
}

// recover waits for a transaction of ours that outlived its agent, then lets
// dpkg finish what was interrupted, then lets apt complete it if that neither
// removes nor adds anything.
func (p *Provider) recover(ctx context.Context, log *tool.Log, limits provider.Limits, tell provider.Progress) error {
	survivor, running, err := p.bench.Survivor()
	if err != nil {
		return err
	}
	if running {
		log.Note("an earlier transaction is still running: %s (pid %d), its output is in %s", survivor.Command, survivor.PID, survivor.Log)
		if err := p.bench.Await(ctx, survivor, tell); err != nil {
			return err
		}
		log.Include(survivor.Log)
	}
	broken, err := p.unfinished(ctx)
	if err != nil || len(broken) == 0 {
		return err
	}
	log.Note("dpkg was interrupted: %s", query.List(broken))
	if err := p.device.WaitLocks(ctx, query.TransactionLocks, limits.LockWait, tell); err != nil {
		return err
	}
	if _, err := p.bench.Run(log, p.device.Command("dpkg", append(slices.Clone(keepConffiles), "--configure", "-a")...), tell); err != nil {
		return err
	}
	if broken, err = p.unfinished(ctx); err != nil || len(broken) == 0 {
		return err
	}
	if err := p.fixBroken(ctx, log, tell); err != nil {
		return err
	}
	if broken, err = p.unfinished(ctx); err != nil || len(broken) == 0 {
		return err
	}
	return fault.New(fault.DpkgBroken, "packages", query.List(broken))
}

// unfinished lists what dpkg has not brought to an end. A journal that was not
// merged is named after itself.
func (p *Provider) unfinished(ctx context.Context) ([]string, error) {
	broken, err := p.device.Broken(ctx)
	if err != nil {
		return nil, err
	}
	interrupted, err := dpkg.Interrupted(p.device.Root)
	if err != nil {
		return nil, err
	}
	if interrupted && len(broken) == 0 {
		broken = append(broken, "dpkg's journal")
	}
	return broken, nil
}

// fixBroken runs apt-get -f install if its plan stays within the packages that
// are on the device already.
func (p *Provider) fixBroken(ctx context.Context, log *tool.Log, tell provider.Progress) error {
	fix := []string{"-f", "--no-install-recommends", "-o", "APT::Get::AutomaticRemove=false", "install"}
	s, err := p.device.Simulate(ctx, fix...)
	if err != nil {
		return err
	}
	if s.Exit != 0 || len(s.Removed()) > 0 || slices.ContainsFunc(s.Actions, foreign) {
		log.Note("apt-get -f install is not run: %s", planText(s))
		return nil
	}
	_, err = p.bench.Run(log, p.transaction(fix), tell)
	return err
}

// foreign is an action that brings in or changes a version: a repair only
// unpacks again what was there.
func foreign(a query.Action) bool { return a.Verb == "Inst" && a.Old != a.Version }

func planText(s query.Simulation) string {
	if s.Exit != 0 {
		return s.Problem()
	}
	var names []string
	for _, a := range s.Actions {
		if a.Verb != "Conf" {
			names = append(names, a.Verb+" "+a.Name+" "+a.Version)
		}
	}
	return "it would do " + query.List(names)
}

// transaction is an apt-get run that changes the device. Its options come
// before the caller's: apt-get lets the last one win.
func (p *Provider) transaction(args []string) tool.Command {
	fixed := []string{
		"-y", "-q", "--no-remove", "-o", "Dpkg::Use-Pty=false", "-o", "DPkg::Lock::Timeout=60",
		"-o", "APT::Status-Fd=" + strconv.Itoa(tool.StatusFD),
		"-o", facts.OwnMark, // no option of apt's: it tells our lines in history.log from another actor's
	}
	for _, o := range keepConffiles {
		fixed = append(fixed, "-o", "Dpkg::Options::="+o)
	}
	return p.device.Command("apt-get", append(fixed, args...)...)
}

// Verify implements provider.Provider.
func (p *Provider) Verify(ctx context.Context, kind wire.OrderKind, items []wire.Item) ([]wire.Outcome, error) {
	native, err := p.device.Architecture(ctx)
	if err != nil {
		return nil, err
	}
	db, err := p.device.Packages(ctx, nil)
	if err != nil {
		return nil, err
	}
	outcomes := make([]wire.Outcome, len(items))
	for i, item := range items {
		outcomes[i] = verify(kind, item, db, native)
	}
	return outcomes, nil
}

// verify reads one item's end off the database. One package that is behind
// decides; after that one that is further than asked.
func verify(kind wire.OrderKind, item wire.Item, db map[dpkg.Key]dpkg.Package, native string) wire.Outcome {
	done := wire.ItemVerified
	if kind == wire.OrderRollback {
		done = wire.ItemRolledBack
	}
	out := wire.Outcome{Item: item.ID, State: wire.ItemNotApplicable, Cause: cause(fault.Because(fault.NotApplicable))}
	var behind, broken, beyond *fault.Reason
	for _, change := range item.Packages {
		key := dpkg.KeyOf(change.Name, change.Arch, native)
		now := db[key]
		seen := change
		seen.To = ""
		if now.Present() {
			seen.To = now.Version
		}
		out.Packages = append(out.Packages, seen)
		if !now.Present() || change.To == "" {
			continue
		}
		order := dpkg.Compare(now.Version, change.To)
		switch {
		case now.Broken():
			broken = reason(fault.PackageFailed, "package", string(key), "state", now.State(), "error", "")
		case order == 0:
			if out.State == wire.ItemNotApplicable {
				out.State, out.Cause = done, nil
			}
		case (order < 0) == (kind == wire.OrderInstall):
			behind = reason(fault.NoEffect, "package", string(key), "version", now.Version)
		default:
			beyond = reason(fault.Superseded, "by", now.Version)
		}
	}
	switch {
	case broken != nil:
		out.State, out.Cause = wire.ItemFailed, cause(*broken)
	case behind != nil:
		out.State, out.Cause = wire.ItemNoEffect, cause(*behind)
	case beyond != nil:
		out.State, out.Cause = wire.ItemNotApplicable, cause(*beyond)
	}
	return out
}

func reason(code fault.Code, args ...string) *fault.Reason {
	r := fault.Because(code, args...)
	return &r
}
