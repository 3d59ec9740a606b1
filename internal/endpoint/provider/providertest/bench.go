package providertest

import (
	"slices"
	"testing"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/provider"
	"patchring/wire"
)

// bench is a world with a person who checks.
type bench struct {
	*testing.T
	World
}

func (b *bench) installed(name, want string) {
	b.Helper()
	if got := b.Installed(name); got != want {
		b.Errorf("%s is installed at %q, want %q", name, got, want)
	}
}

func (b *bench) sound() {
	b.Helper()
	if complaint := b.Complaint(); complaint != "" {
		b.Errorf("the package manager complains: %s", complaint)
	}
}

// scan must succeed.
func (b *bench) scan() wire.Patches {
	b.Helper()
	result := b.Provider().Scan(b.Context(), true)
	if result.Status != wire.ScanOK {
		b.Fatalf("scan is %s (%+v), want ok", result.Status, result.Cause)
	}
	return result
}

// item orders a patch as the scan reported it.
func (b *bench) item(name string) wire.Item {
	b.Helper()
	result := b.scan()
	i := slices.IndexFunc(result.Patches, func(p wire.Patch) bool { return p.Name == name })
	if i < 0 {
		b.Fatalf("scan does not list %s: %+v", name, result.Patches)
	}
	p := result.Patches[i]
	return wire.Item{ID: "item-" + name, Provider: p.Provider, Name: p.Name, Version: p.Version, Packages: p.Packages}
}

// at is the item with another target version.
func at(item wire.Item, version string) wire.Item {
	item.Version, item.Packages = version, slices.Clone(item.Packages)
	for i := range item.Packages {
		item.Packages[i].To = version
	}
	return item
}

func (b *bench) plan(items ...wire.Item) provider.Plan {
	b.Helper()
	plan, err := b.Provider().Plan(b.Context(), items, patient)
	if err != nil {
		b.Fatalf("plan: %v", err)
	}
	return plan
}

func (b *bench) problem(plan provider.Plan, item string, want fault.Code) {
	b.Helper()
	if got := plan.Problems[item].Code; got != want {
		b.Errorf("problem of %s is %q, want %q", item, plan.Problems[item], want)
	}
}

func (b *bench) install(items ...wire.Item) []wire.Outcome {
	b.Helper()
	log, outcomes, err := b.Provider().Install(b.Context(), items, patient, nil)
	if err != nil {
		b.Fatalf("install: %v\n%s", err, log.Tail)
	}
	return outcomes
}

func (b *bench) state(outcomes []wire.Outcome, item string, want wire.ItemState, code fault.Code) wire.Outcome {
	b.Helper()
	i := slices.IndexFunc(outcomes, func(o wire.Outcome) bool { return o.Item == item })
	if i < 0 {
		b.Fatalf("no outcome for %s", item)
	}
	o, got := outcomes[i], fault.Code("")
	if o.Cause != nil {
		got = fault.Code(o.Cause.Code)
	}
	if o.State != want || got != code {
		b.Errorf("%s ended %s %+v, want %s %s", item, o.State, o.Cause, want, code)
	}
	return o
}

// offerUpgrade installs name 1.0 and offers 1.1.
func (b *bench) offerUpgrade(names ...string) {
	for _, name := range names {
		b.Offer(Version{Name: name, Version: "1.0"})
		b.InstallByHand(Version{Name: name, Version: "1.0"})
		b.Offer(Version{Name: name, Version: "1.1"})
	}
}
