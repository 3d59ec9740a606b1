package apt

import (
	"context"
	"slices"
	"strconv"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/provider/apt/dpkg"
	"patchring/internal/endpoint/provider/apt/query"
	"patchring/wire"
)

// want is one package that an item takes to another version on this device.
type want struct {
	key dpkg.Key
	to  string
	now dpkg.Package
}

// reached tells that the package is where it should be and in order.
func (w want) reached(db map[dpkg.Key]dpkg.Package) bool {
	now := db[w.key]
	return now.Version == w.to && now.Sound()
}

// target is an item with what it still changes here; wants is empty when
// there is nothing left to do.
type target struct {
	item  string
	wants []want
}

func (t target) reached(db map[dpkg.Key]dpkg.Package) bool {
	return !slices.ContainsFunc(t.wants, func(w want) bool { return !w.reached(db) })
}

// intent is an order's items as this device must take them.
type intent struct {
	kind     wire.OrderKind
	native   string // the device's architecture
	targets  []target
	allowed  map[dpkg.Key]string       // versions the order names, new packages too
	owner    map[dpkg.Key]string       // the item that names a package
	problems map[string]fault.Reason   // items that are out, and why
	before   map[dpkg.Key]dpkg.Package // the database when the intent was made
}

// intend compares the items with the database.
func (p *Provider) intend(ctx context.Context, kind wire.OrderKind, items []wire.Item) (*intent, error) {
	native, err := p.device.Architecture(ctx)
	if err != nil {
		return nil, err
	}
	db, err := p.device.Packages(ctx, nil)
	if err != nil {
		return nil, err
	}
	in := &intent{
		kind: kind, native: native, before: db, allowed: map[dpkg.Key]string{}, owner: map[dpkg.Key]string{}, problems: map[string]fault.Reason{},
	}
	for _, item := range items {
		t := target{item: item.ID}
		var held, removed []string
		for _, change := range item.Packages {
			key := dpkg.KeyOf(change.Name, change.Arch, native)
			now := db[key]
			if change.To == "" {
				if kind == wire.OrderInstall {
					removed = append(removed, string(key))
				}
				continue // a rollback leaves what came new where it is
			}
			in.allowed[key], in.owner[key] = change.To, item.ID
			if !applies(kind, change, now) {
				continue
			}
			if now.Held() && now.Version != change.To {
				held = append(held, string(key))
			}
			t.wants = append(t.wants, want{key: key, to: change.To, now: now})
		}
		switch {
		case len(removed) > 0:
			in.problem(item.ID, fault.Because(fault.WouldRemove, "packages", query.List(removed)))
		case len(held) > 0:
			in.problem(item.ID, fault.Because(fault.HeldOnDevice, "packages", query.List(held)))
		case len(t.wants) > 0:
			in.targets = append(in.targets, t)
		}
	}
	return in, nil
}

// applies tells whether a change still has something to do. A package that is
// not installed is not brought onto the device by naming it: a new one comes
// as a dependency, at the version the order says or not at all. What another
// actor took further in the asked direction is left there.
func applies(kind wire.OrderKind, change wire.Change, now dpkg.Package) bool {
	if !now.Present() {
		return false
	}
	order := dpkg.Compare(now.Version, change.To)
	if order == 0 {
		return now.Broken()
	}
	return (order < 0) == (kind == wire.OrderInstall)
}

// problem takes an item out, with the versions it named.
func (in *intent) problem(item string, why fault.Reason) {
	in.problems[item] = why
	in.targets = slices.DeleteFunc(in.targets, func(t target) bool { return t.item == item })
	for key, owner := range in.owner {
		if owner == item {
			delete(in.owner, key)
			delete(in.allowed, key)
		}
	}
}

// judge says what is wrong with a simulated plan, or nothing.
func (in *intent) judge(s query.Simulation, allowNew bool) fault.Reason {
	if s.Exit != 0 {
		return fault.Because(fault.ToolFailed, "tool", "apt-get", "exit", strconv.Itoa(s.Exit), "error", wire.Clean(s.Problem(), wire.MaxTextBytes))
	}
	if removed := s.Removed(); len(removed) > 0 {
		return fault.Because(fault.WouldRemove, "packages", query.List(removed))
	}
	var drift []string
	for _, a := range s.Actions {
		if a.Verb != "Inst" || in.allowed[dpkg.Key(a.Name)] == a.Version {
			continue
		}
		if _, named := in.allowed[dpkg.Key(a.Name)]; a.Old == "" && allowNew && !named {
			continue
		}
		drift = append(drift, a.Name+"="+a.Version)
	}
	if len(drift) > 0 {
		return fault.Because(fault.PlanDrift, "packages", query.List(drift))
	}
	return fault.Reason{}
}
