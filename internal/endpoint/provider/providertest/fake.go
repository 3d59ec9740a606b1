package providertest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/provider"
	"patchring/wire"
)

// FakeName is the provider name of a Fake.
const FakeName = "fake"

// Fake is a device in memory with a package manager of its own. It passes Run,
// so that what a test of the agent sees is what a real provider does. Versions
// are ordered as texts. The zero value is a device without packages.
type Fake struct {
	// Before, if set, is called before a method acts, with the method's name;
	// its error becomes the method's. A test blocks, fails or kills there.
	Before func(method string) error
	// Lie makes Install claim success and change nothing.
	Lie bool

	mu        sync.Mutex // guards what follows
	repo      map[string]map[string]Version
	listed    map[string]map[string]Version // as of the last refresh
	installed map[string]string
	held      map[string]bool
	kept      map[string]bool // name=version
	cut       bool
	acted     int
	last      []wire.Item // of the last install or rollback, and what was there before
	lastKind  wire.OrderKind
	before    map[string]string
}

// Installs counts the transactions that changed the device.
func (f *Fake) Installs() int { f.mu.Lock(); defer f.mu.Unlock(); return f.acted }

// Provider implements World.
func (f *Fake) Provider() provider.Provider { return &fakeProvider{f} }

// Offer implements World.
func (f *Fake) Offer(versions ...Version) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, v := range versions {
		put(&f.repo, v)
	}
}

func put(repo *map[string]map[string]Version, v Version) {
	if *repo == nil {
		*repo = map[string]map[string]Version{}
	}
	if (*repo)[v.Name] == nil {
		(*repo)[v.Name] = map[string]Version{}
	}
	(*repo)[v.Name][v.Version] = v
}

// Withdraw implements World.
func (f *Fake) Withdraw(name, version string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.repo[name], version)
}

// Unreachable implements World.
func (f *Fake) Unreachable() { f.mu.Lock(); defer f.mu.Unlock(); f.cut = true }

// Reachable implements World.
func (f *Fake) Reachable() { f.mu.Lock(); defer f.mu.Unlock(); f.cut = false }

// InstallByHand implements World.
func (f *Fake) InstallByHand(versions ...Version) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refresh()
	for _, v := range versions {
		f.set(v.Name, v.Version)
	}
}

func (f *Fake) set(name, version string) {
	if f.installed == nil {
		f.installed = map[string]string{}
	}
	f.installed[name] = version
}

// Hold implements World.
func (f *Fake) Hold(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held == nil {
		f.held = map[string]bool{}
	}
	f.held[name] = true
}

// Installed implements World.
func (f *Fake) Installed(name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.installed[name]
}

// Complaint implements World: a fake transaction is never interrupted.
func (f *Fake) Complaint() string { return "" }

func (f *Fake) refresh() {
	f.listed = map[string]map[string]Version{}
	for _, versions := range f.repo {
		for _, v := range versions {
			put(&f.listed, v)
		}
	}
}

func (f *Fake) newest(name string) string {
	versions := slices.Sorted(maps.Keys(f.listed[name]))
	if len(versions) == 0 {
		return ""
	}
	return versions[len(versions)-1]
}

// fakeProvider is one agent's view of the device.
type fakeProvider struct{ f *Fake }

var _ provider.Provider = (*fakeProvider)(nil)

// enter locks the device after the test had its say.
func (p *fakeProvider) enter(method string) (leave func(), err error) {
	if p.f.Before != nil {
		if err := p.f.Before(method); err != nil {
			return nil, err
		}
	}
	p.f.mu.Lock()
	return p.f.mu.Unlock, nil
}

func (p *fakeProvider) Name() string  { return FakeName }
func (p *fakeProvider) Present() bool { return true }
func (p *fakeProvider) Capabilities() provider.Capabilities {
	return provider.Capabilities{ExactVersion: true, DownloadOnly: true, Rollback: true, Holds: true}
}

func (p *fakeProvider) Scan(_ context.Context, refresh bool) wire.Patches {
	result := wire.Patches{Provider: FakeName, Status: wire.ScanOK, ListsUS: 1}
	leave, err := p.enter("scan")
	if err != nil {
		result.Status, result.Cause = wire.ScanFailed, &wire.Cause{Code: string(fault.CodeOf(err))}
		return result
	}
	defer leave()
	f := p.f
	switch {
	case refresh && f.cut:
		result.Status, result.Cause = wire.ScanStale, &wire.Cause{Code: string(fault.RepositoryDown)}
	case refresh:
		f.refresh()
	}
	for _, name := range slices.Sorted(maps.Keys(f.installed)) {
		if to := f.newest(name); to > f.installed[name] {
			state := wire.PatchOffered
			if f.held[name] {
				state = wire.PatchHeld
			}
			result.Patches = append(result.Patches, wire.Patch{
				Provider: FakeName, Name: name, Version: to, Suite: "fake", Origin: "Fake", Class: "security", State: state,
				Packages: []wire.Change{{Name: name, From: f.installed[name], To: to}},
			})
		}
	}
	return result
}

func (p *fakeProvider) Inventory(context.Context) (wire.Inventory, error) {
	leave, err := p.enter("inventory")
	if err != nil {
		return wire.Inventory{}, err
	}
	defer leave()
	inventory := wire.Inventory{Provider: FakeName}
	for _, name := range slices.Sorted(maps.Keys(p.f.installed)) {
		pkg := wire.Package{Name: name, Version: p.f.installed[name]}
		if p.f.held[name] {
			pkg.State = "held"
		}
		inventory.Software = append(inventory.Software, pkg)
	}
	return inventory, nil
}

func (p *fakeProvider) Plan(_ context.Context, items []wire.Item, limits provider.Limits) (provider.Plan, error) {
	leave, err := p.enter("plan")
	if err != nil {
		return provider.Plan{}, err
	}
	defer leave()
	return p.f.plan(wire.OrderInstall, items, limits), nil
}

// plan follows one dependency deep, which is all the suite needs.
func (f *Fake) plan(kind wire.OrderKind, items []wire.Item, limits provider.Limits) provider.Plan {
	plan := provider.Plan{Problems: map[string]fault.Reason{}}
	named := map[string]string{}
	for _, item := range items {
		for _, c := range item.Packages {
			named[c.Name] = c.To
		}
	}
	for _, item := range items {
		changes, problem := f.planItem(kind, item, named, limits)
		if !problem.IsZero() {
			plan.Problems[item.ID] = problem
			continue
		}
		plan.Changes = append(plan.Changes, changes...)
	}
	slices.SortFunc(plan.Changes, func(a, b wire.Change) int { return strings.Compare(a.Name, b.Name) })
	return plan
}

func (f *Fake) planItem(kind wire.OrderKind, item wire.Item, named map[string]string, limits provider.Limits) ([]wire.Change, fault.Reason) {
	var changes []wire.Change
	for _, c := range item.Packages {
		now := f.installed[c.Name]
		if now == "" || now == c.To || (now < c.To) != (kind == wire.OrderInstall) {
			continue
		}
		v, offered := f.listed[c.Name][c.To]
		switch {
		case f.held[c.Name]:
			return nil, fault.Because(fault.HeldOnDevice, "packages", c.Name)
		case !offered && (kind != wire.OrderRollback || !f.kept[c.Name+"="+c.To]):
			return nil, fault.Because(fault.VersionGone, "package", c.Name, "version", c.To, "available", f.newest(c.Name))
		}
		for _, victim := range v.Removes {
			if f.installed[victim] != "" {
				return nil, fault.Because(fault.WouldRemove, "packages", victim)
			}
		}
		for _, need := range v.Needs {
			if f.installed[need] != "" {
				continue
			}
			to := f.newest(need)
			if want, ok := named[need]; ok && want != to || !ok && !limits.AllowNew {
				return nil, fault.Because(fault.PlanDrift, "packages", need+"="+to)
			}
			changes = append(changes, wire.Change{Name: need, To: to})
		}
		changes = append(changes, wire.Change{Name: c.Name, From: now, To: c.To})
	}
	return changes, fault.Reason{}
}

func (p *fakeProvider) Preserve(_ context.Context, items []wire.Item) ([]wire.Item, error) {
	leave, err := p.enter("preserve")
	if err != nil {
		return nil, err
	}
	defer leave()
	f, items := p.f, slices.Clone(items)
	for i := range items {
		items[i].Packages = slices.Clone(items[i].Packages)
		for j := range items[i].Packages {
			c := &items[i].Packages[j]
			old := c.From
			if now := f.installed[c.Name]; now != "" && now != c.To {
				old = now
			}
			id := c.Name + "=" + old
			_, offered := f.listed[c.Name][old]
			switch {
			case old == "":
				c.Rollback, c.Why = "impossible", string(fault.NewPackage)
			case offered || f.kept[id]:
				if f.kept == nil {
					f.kept = map[string]bool{}
				}
				f.kept[id] = true
				c.Rollback, c.Why = "ready", ""
			default:
				c.Rollback, c.Why = "impossible", string(fault.NoOldPackage)
			}
		}
	}
	return items, nil
}

func (p *fakeProvider) Download(ctx context.Context, _ []wire.Item, _ provider.Limits, _ provider.Progress) error {
	leave, err := p.enter("download")
	if err != nil {
		return err
	}
	defer leave()
	if p.f.cut {
		return fault.Again(fault.DownloadFailed, "error", "repositories are unreachable")
	}
	return ctx.Err()
}

func (p *fakeProvider) Install(ctx context.Context, items []wire.Item, limits provider.Limits, tell provider.Progress) (provider.Log, []wire.Outcome, error) {
	return p.act(ctx, wire.OrderInstall, items, limits, tell)
}

func (p *fakeProvider) Rollback(ctx context.Context, items []wire.Item, limits provider.Limits, tell provider.Progress) (provider.Log, []wire.Outcome, error) {
	return p.act(ctx, wire.OrderRollback, items, limits, tell)
}

func (p *fakeProvider) act(ctx context.Context, kind wire.OrderKind, items []wire.Item, limits provider.Limits, tell provider.Progress) (provider.Log, []wire.Outcome, error) {
	leave, err := p.enter(string(kind))
	if err != nil {
		return provider.Log{}, nil, err
	}
	defer leave()
	if err := ctx.Err(); err != nil {
		return provider.Log{}, nil, err
	}
	f := p.f
	if f.lastKind != kind || !sameItems(f.last, items) {
		f.last, f.lastKind, f.before = items, kind, maps.Clone(f.installed)
	}
	said := fmt.Sprintf("%s of %d items", kind, len(items))
	if tell != nil {
		tell(said)
	}
	plan := f.plan(kind, items, limits)
	outcomes := make([]wire.Outcome, len(items))
	for i, item := range items {
		outcomes[i] = f.actOn(kind, item, plan)
	}
	sum := sha256.Sum256([]byte(said))
	return provider.Log{Tail: said, SHA256: hex.EncodeToString(sum[:]), File: "memory"}, outcomes, nil
}

func sameItems(a, b []wire.Item) bool {
	return slices.EqualFunc(a, b, func(x, y wire.Item) bool { return x.ID == y.ID && x.Version == y.Version })
}

func (f *Fake) actOn(kind wire.OrderKind, item wire.Item, plan provider.Plan) wire.Outcome {
	if problem, ok := plan.Problems[item.ID]; ok {
		state := wire.ItemFailed
		if problem.Code == fault.HeldOnDevice {
			state = wire.ItemSkipped
		}
		return wire.Outcome{Item: item.ID, State: state, Cause: asCause(problem), Packages: f.seen(item, f.before)}
	}
	var failed string
	for _, c := range item.Packages {
		now := f.installed[c.Name]
		switch {
		case f.Lie || now == "" || now == c.To || (now < c.To) != (kind == wire.OrderInstall):
		case f.listed[c.Name][c.To].Fails && kind == wire.OrderInstall:
			failed = c.Name
		default:
			f.set(c.Name, c.To)
			f.acted++
		}
	}
	out := f.verify(kind, item)
	out.Packages = f.seen(item, f.before)
	moved := slices.ContainsFunc(out.Packages, func(c wire.Change) bool { return c.From != c.To })
	switch {
	case failed != "":
		out.State, out.Cause = wire.ItemFailed, asCause(fault.Because(fault.PackageFailed, "package", failed, "state", "half-configured", "error", "its script failed"))
	case out.State == wire.ItemVerified && moved:
		out.State = wire.ItemClaimed
	case out.State == wire.ItemVerified, out.State == wire.ItemRolledBack && !moved:
		out.State, out.Cause = wire.ItemNotApplicable, asCause(fault.Because(fault.NotApplicable))
	}
	return out
}

func (f *Fake) seen(item wire.Item, before map[string]string) []wire.Change {
	packages := slices.Clone(item.Packages)
	for i := range packages {
		packages[i].From, packages[i].To = before[packages[i].Name], f.installed[packages[i].Name]
	}
	return packages
}

func (p *fakeProvider) Verify(_ context.Context, kind wire.OrderKind, items []wire.Item) ([]wire.Outcome, error) {
	leave, err := p.enter("verify")
	if err != nil {
		return nil, err
	}
	defer leave()
	outcomes := make([]wire.Outcome, len(items))
	for i, item := range items {
		outcomes[i] = p.f.verify(kind, item)
	}
	return outcomes, nil
}

func (f *Fake) verify(kind wire.OrderKind, item wire.Item) wire.Outcome {
	out := wire.Outcome{Item: item.ID, State: wire.ItemNotApplicable, Cause: asCause(fault.Because(fault.NotApplicable))}
	for _, c := range item.Packages {
		now := f.installed[c.Name]
		switch {
		case now == "":
		case now == c.To && kind == wire.OrderInstall:
			out.State, out.Cause = wire.ItemVerified, nil
		case now == c.To:
			out.State, out.Cause = wire.ItemRolledBack, nil
		case (now < c.To) == (kind == wire.OrderInstall):
			out.State, out.Cause = wire.ItemNoEffect, asCause(fault.Because(fault.NoEffect, "package", c.Name, "version", now))
		default:
			out.Cause = asCause(fault.Because(fault.Superseded, "by", now))
		}
		c.To = now
		out.Packages = append(out.Packages, c)
	}
	return out
}

func asCause(r fault.Reason) *wire.Cause { return &wire.Cause{Code: string(r.Code), Args: r.Args} }

func (p *fakeProvider) Recover(context.Context, provider.Limits) (provider.Log, error) {
	leave, err := p.enter("recover")
	if err != nil {
		return provider.Log{}, err
	}
	leave()
	return provider.Log{}, nil
}

func (p *fakeProvider) Forget(_ context.Context, keep []wire.Item) error {
	leave, err := p.enter("forget")
	if err != nil {
		return err
	}
	defer leave()
	kept := map[string]bool{}
	for _, item := range keep {
		for _, c := range item.Packages {
			for _, id := range []string{c.Name + "=" + c.From, c.Name + "=" + c.To} {
				if p.f.kept[id] {
					kept[id] = true
				}
			}
		}
	}
	p.f.kept = kept
	return nil
}
