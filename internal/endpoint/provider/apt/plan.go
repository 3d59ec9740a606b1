package apt

import (
	"cmp"
	"context"
	"slices"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/provider"
	"patchring/internal/endpoint/provider/apt/dpkg"
	"patchring/internal/endpoint/provider/apt/query"
	"patchring/wire"
)

// maxSimulations bounds the search for the items at fault; one simulation
// costs what one apt-get costs.
const maxSimulations = 64

// Plan implements provider.Provider.
func (p *Provider) Plan(ctx context.Context, items []wire.Item, limits provider.Limits) (provider.Plan, error) {
	in, err := p.intend(ctx, wire.OrderInstall, items)
	if err != nil {
		return provider.Plan{}, err
	}
	s, err := p.resolve(ctx, in, limits)
	if err != nil {
		return provider.Plan{}, err
	}
	plan := provider.Plan{Problems: in.problems}
	for _, a := range s.Actions {
		if a.Verb == "Inst" {
			plan.Changes = append(plan.Changes, wire.Change{Name: a.Named(), Arch: a.Arch, From: a.Old, To: a.Version})
		}
	}
	slices.SortFunc(plan.Changes, func(a, b wire.Change) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch))
	})
	return plan, nil
}

// resolve simulates the intent, takes the items at fault out of it, and
// returns the simulation of what remains.
func (p *Provider) resolve(ctx context.Context, in *intent, limits provider.Limits) (query.Simulation, error) {
	search := search{p: p, in: in, allowNew: limits.AllowNew, left: maxSimulations}
	for len(in.targets) > 0 {
		s, reason, err := search.try(ctx, in.targets)
		if err != nil || reason.IsZero() {
			return s, err
		}
		known := len(in.problems)
		if err := p.dropVanished(ctx, in); err != nil {
			return s, err
		}
		if len(in.problems) > known {
			continue
		}
		if err := search.isolate(ctx); err != nil {
			return s, err
		}
	}
	return query.Simulation{}, nil
}

// search finds the items that spoil a plan.
type search struct {
	p        *Provider
	in       *intent
	allowNew bool
	left     int
}

func (f *search) try(ctx context.Context, targets []target) (query.Simulation, fault.Reason, error) {
	args, err := f.p.arguments(ctx, f.in.kind, targets)
	if err != nil {
		return query.Simulation{}, fault.Reason{}, err
	}
	f.left--
	s, err := f.p.device.Simulate(ctx, args...)
	if err != nil {
		return s, fault.Reason{}, err
	}
	if s.Exit != 0 {
		broken, err := f.p.device.Broken(ctx)
		if err != nil {
			return s, fault.Reason{}, err
		}
		if len(broken) > 0 && !f.in.concerns(broken) {
			return s, fault.Reason{}, f.p.device.Explain(ctx, s)
		}
	}
	return s, f.in.judge(s, f.allowNew), nil
}

// concerns tells whether any of the packages is one the order names.
func (in *intent) concerns(names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return in.owner[dpkg.Key(n)] != "" })
}

// isolate adds the items to an accepted set, half by half, and makes a problem
// of each that spoils it. An item whose packages another one brings along is
// still allowed to come with it, because all versions of the order are.
func (f *search) isolate(ctx context.Context) error {
	var accepted []target
	queue := [][]target{slices.Clone(f.in.targets)}
	for len(queue) > 0 {
		chunk := queue[0]
		queue = queue[1:]
		_, reason, err := f.try(ctx, append(slices.Clone(accepted), chunk...))
		switch {
		case err != nil:
			return err
		case reason.IsZero():
			accepted = append(accepted, chunk...)
		case len(chunk) == 1 || f.left <= 0:
			for _, t := range chunk {
				f.in.problem(t.item, reason)
			}
		default:
			half := len(chunk) / 2
			queue = slices.Insert(queue, 0, chunk[:half], chunk[half:])
		}
	}
	return nil
}

// dropVanished makes problems of items whose version is no longer offered. No
// other version takes its place.
func (p *Provider) dropVanished(ctx context.Context, in *intent) error {
	var keys []dpkg.Key
	for _, t := range in.targets {
		for _, w := range t.wants {
			keys = append(keys, w.key)
		}
	}
	choices, err := p.device.Choices(ctx, keys)
	if err != nil {
		return err
	}
	for _, t := range slices.Clone(in.targets) {
		for _, w := range t.wants {
			c := choices[w.key]
			if c.Offers(w.to) || w.now.Version == w.to {
				continue
			}
			if in.kind == wire.OrderRollback {
				if _, kept, err := p.kept.File(ctx, w.key, w.to); err != nil {
					return err
				} else if kept {
					continue
				}
			}
			in.problem(t.item, fault.Because(fault.VersionGone, "package", string(w.key), "version", w.to, "available", c.Available()))
			break
		}
	}
	return nil
}

// arguments is the part of the command line that says what is wanted, the same
// in the simulation, the download and the transaction. Exactly the packages
// named and what they cannot do without: no siblings of the same source, no
// recommended ones, nothing removed on the way.
func (p *Provider) arguments(ctx context.Context, kind wire.OrderKind, targets []target) ([]string, error) {
	args := []string{
		"-o", "APT::Get::Upgrade-By-Source-Package=false", "-o", "APT::Get::AutomaticRemove=false",
		"--no-install-recommends", "install",
	}
	if kind == wire.OrderRollback {
		args = append(args, "--allow-downgrades")
	}
	for _, t := range targets {
		for _, w := range t.wants {
			arg := query.Version{Key: w.key, Version: w.to}.Arg()
			if kind == wire.OrderRollback {
				file, kept, err := p.kept.File(ctx, w.key, w.to)
				if err != nil {
					return nil, err
				}
				if kept {
					arg = file
				}
			}
			args = append(args, arg)
		}
		if needsReinstall(t) {
			args = append(args, "--reinstall")
		}
	}
	return args, nil
}

// needsReinstall tells that a package has the wanted version but not all of
// its files: naming the version alone would do nothing.
func needsReinstall(t target) bool {
	return slices.ContainsFunc(t.wants, func(w want) bool {
		return w.now.Version == w.to && (w.now.Status == dpkg.HalfInstalled || w.now.State() == "reinst-required")
	})
}
