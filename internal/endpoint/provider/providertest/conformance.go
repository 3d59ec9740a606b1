package providertest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/provider"
	"patchring/wire"
)

var patient = provider.Limits{LockWait: 30 * time.Second}

// check is one case of the suite.
type check struct {
	name string
	test func(*testing.T, *bench)
}

func checks() []check {
	return []check{
		{"scan lists what is applicable and nothing else", scanLists},
		{"scan of unreachable repositories is not an empty list", scanUnreachable},
		{"scan shows a held package as held", scanHeld},
		{"inventory says what is installed", inventorySays},
		{"plan changes nothing", planChangesNothing},
		{"plan refuses a version that is gone", planGone},
		{"plan refuses a removal and keeps the rest", planRemoval},
		{"plan refuses what is outside the order", planDrift},
		{"plan refuses a held package", planHeld},
		{"download installs nothing", downloadOnly},
		{"install takes the version asked for, not the newest", installExact},
		{"install a second time changes nothing", installTwice},
		{"install of a version that is gone installs no other", installGone},
		{"install keeps the others when one fails", installFails},
		{"install that was cancelled before does nothing", installCancelled},
		{"preserve says what cannot be put back", preserveSays},
		{"rollback restores what the repositories dropped", rollbackRestores},
		{"verify reads the device, not the order", verifyReads},
		{"recover does nothing when all is well", recoverNothing},
		{"forget drops only what is not kept", forgetDrops},
	}
}

// Names are the cases' names, for a world that can only be used once.
func Names() []string {
	var names []string
	for _, c := range checks() {
		names = append(names, c.name)
	}
	return names
}

// Run checks one provider against the contract, method by method.
func Run(t *testing.T, make Make) {
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) { c.test(t, &bench{T: t, World: make(t)}) })
	}
}

func scanLists(t *testing.T, b *bench) {
	if got := b.Provider().Scan(t.Context(), true); len(got.Patches) != 0 {
		t.Errorf("nothing is installed, but %d patches are listed", len(got.Patches))
	}
	b.offerUpgrade("alpha")
	b.Offer(Version{Name: "beta", Version: "1.0"}) // offered, not installed: not applicable
	first := b.scan()
	if len(first.Patches) != 1 || first.Patches[0].Name != "alpha" || first.Patches[0].State != wire.PatchOffered || first.ListsUS == 0 {
		t.Fatalf("scan lists %+v, want alpha offered", first)
	}
	want := wire.Change{Name: "alpha", Arch: first.Patches[0].Packages[0].Arch, From: "1.0", To: "1.1"}
	if diff := cmp.Diff([]wire.Change{want}, first.Patches[0].Packages); diff != "" {
		t.Error(diff)
	}
	again := b.scan()
	if diff := cmp.Diff(first.Patches, again.Patches); diff != "" {
		t.Errorf("a second scan says otherwise: %s", diff)
	}
}

func scanUnreachable(t *testing.T, b *bench) {
	b.offerUpgrade("alpha")
	b.scan()
	b.Unreachable()
	defer b.Reachable()
	got := b.Provider().Scan(t.Context(), true)
	if got.Status == wire.ScanOK || got.Cause == nil {
		t.Errorf("scan without repositories is %s, cause %+v; want stale or failed, and why", got.Status, got.Cause)
	}
	if got.Status == wire.ScanStale && len(got.Patches) != 1 {
		t.Errorf("what was known is %d patches, want 1", len(got.Patches))
	}
}

func scanHeld(t *testing.T, b *bench) {
	if !b.Provider().Capabilities().Holds {
		return
	}
	b.offerUpgrade("alpha")
	b.Hold("alpha")
	got := b.scan()
	if len(got.Patches) != 1 || got.Patches[0].State != wire.PatchHeld {
		t.Errorf("scan lists %+v, want alpha held", got.Patches)
	}
}

func inventorySays(t *testing.T, b *bench) {
	b.offerUpgrade("alpha")
	got, err := b.Provider().Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(got.Software, func(p wire.Package) bool { return p.Name == "alpha" })
	if i < 0 || got.Software[i].Version != "1.0" || got.Software[i].State != "" {
		t.Errorf("inventory is %+v, want alpha 1.0 in it", got.Software)
	}
}

func planChangesNothing(t *testing.T, b *bench) {
	b.offerUpgrade("alpha", "beta")
	items := []wire.Item{b.item("alpha"), b.item("beta")}
	first, second := b.plan(items...), b.plan(items...)
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("two plans differ: %s", diff)
	}
	if len(first.Changes) != 2 || len(first.Problems) != 0 {
		t.Errorf("plan is %+v, want two changes and no problem", first)
	}
	b.installed("alpha", "1.0")
}

func planGone(t *testing.T, b *bench) {
	b.offerUpgrade("alpha", "beta")
	alpha, beta := b.item("alpha"), b.item("beta")
	b.Offer(Version{Name: "alpha", Version: "1.2"})
	b.Withdraw("alpha", "1.1")
	b.scan()
	plan := b.plan(alpha, beta)
	b.problem(plan, alpha.ID, fault.VersionGone)
	if got := plan.Problems[alpha.ID].Args["available"]; got != "1.2" {
		t.Errorf("available now is %q, want 1.2", got)
	}
	if len(plan.Changes) != 1 || plan.Changes[0].Name != "beta" {
		t.Errorf("the rest of the plan is %+v, want beta", plan.Changes)
	}
}

func planRemoval(t *testing.T, b *bench) {
	b.offerUpgrade("beta", "gamma", "delta")
	b.Offer(Version{Name: "alpha", Version: "1.0"}, Version{Name: "victim", Version: "1.0"})
	b.InstallByHand(Version{Name: "alpha", Version: "1.0"}, Version{Name: "victim", Version: "1.0"})
	b.Offer(Version{Name: "alpha", Version: "1.1", Removes: []string{"victim"}})
	alpha := at(b.item("beta"), "1.1")
	alpha.ID, alpha.Name, alpha.Packages[0].Name = "item-alpha", "alpha", "alpha"
	items := []wire.Item{b.item("beta"), alpha, b.item("gamma"), b.item("delta")}
	plan := b.plan(items...)
	b.problem(plan, alpha.ID, fault.WouldRemove)
	if len(plan.Changes) != 3 || len(plan.Problems) != 1 {
		t.Errorf("plan is %+v, want the three others", plan)
	}
	outcomes := b.install(items...)
	b.state(outcomes, alpha.ID, wire.ItemFailed, fault.WouldRemove)
	b.state(outcomes, "item-gamma", wire.ItemClaimed, "")
	b.installed("victim", "1.0")
	b.installed("alpha", "1.0")
}

func planDrift(t *testing.T, b *bench) {
	b.offerUpgrade("alpha")
	b.Withdraw("alpha", "1.1")
	b.Offer(Version{Name: "alpha", Version: "1.2", Needs: []string{"extra"}}, Version{Name: "extra", Version: "3"})
	b.scan()
	alpha := wire.Item{ID: "item-alpha", Name: "alpha", Version: "1.2", Packages: []wire.Change{{Name: "alpha", From: "1.0", To: "1.2"}}}
	b.problem(b.plan(alpha), alpha.ID, fault.PlanDrift)

	allowed, err := b.Provider().Plan(t.Context(), []wire.Item{alpha}, provider.Limits{LockWait: patient.LockWait, AllowNew: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(allowed.Problems) != 0 || len(allowed.Changes) != 2 {
		t.Errorf("with new packages allowed the plan is %+v, want alpha and extra", allowed)
	}
	named := alpha
	named.Packages = append(slices.Clone(alpha.Packages), wire.Change{Name: "extra", To: "2"})
	b.problem(b.plan(named), alpha.ID, fault.PlanDrift) // extra 2 was ordered, 3 would come
}

func planHeld(t *testing.T, b *bench) {
	if !b.Provider().Capabilities().Holds {
		return
	}
	b.offerUpgrade("alpha", "beta")
	items := []wire.Item{b.item("alpha"), b.item("beta")}
	b.Hold("alpha")
	b.problem(b.plan(items...), "item-alpha", fault.HeldOnDevice)
	outcomes := b.install(items...)
	b.state(outcomes, "item-alpha", wire.ItemSkipped, fault.HeldOnDevice)
	b.state(outcomes, "item-beta", wire.ItemClaimed, "")
	b.installed("alpha", "1.0")
}

func downloadOnly(t *testing.T, b *bench) {
	if !b.Provider().Capabilities().DownloadOnly {
		return
	}
	b.offerUpgrade("alpha")
	items := []wire.Item{b.item("alpha")}
	for range 2 {
		if err := b.Provider().Download(t.Context(), items, patient, nil); err != nil {
			t.Fatal(err)
		}
	}
	b.installed("alpha", "1.0")
}

func installExact(t *testing.T, b *bench) {
	b.offerUpgrade("alpha")
	alpha := b.item("alpha")
	b.Offer(Version{Name: "alpha", Version: "1.2"})
	b.scan()
	said := 0
	log, outcomes, err := b.Provider().Install(t.Context(), []wire.Item{alpha}, patient, func(string) { said++ })
	if err != nil {
		t.Fatal(err)
	}
	o := b.state(outcomes, alpha.ID, wire.ItemClaimed, "")
	if len(o.Packages) != 1 || o.Packages[0].From != "1.0" || o.Packages[0].To != "1.1" {
		t.Errorf("outcome is %+v, want 1.0 to 1.1", o.Packages)
	}
	if log.Tail == "" || log.SHA256 == "" || log.File == "" || said == 0 {
		t.Errorf("log is %+v with %d lines of progress, want all of them", log, said)
	}
	b.installed("alpha", "1.1")
	b.sound()
}

func installTwice(t *testing.T, b *bench) {
	b.offerUpgrade("alpha")
	alpha := b.item("alpha")
	b.install(alpha)
	// The same order again is what an agent does that died before it could
	// note the first outcome: it is told the same.
	o := b.state(b.install(alpha), alpha.ID, wire.ItemClaimed, "")
	if o.Packages[0].From != "1.0" {
		t.Errorf("after a repetition it came from %q, want 1.0", o.Packages[0].From)
	}
	other := alpha
	other.ID = "item-other"
	b.state(b.install(other), other.ID, wire.ItemNotApplicable, fault.NotApplicable)
	if plan := b.plan(alpha); len(plan.Changes) != 0 {
		t.Errorf("plan of what is done is %+v", plan)
	}
	b.installed("alpha", "1.1")
}

func installGone(t *testing.T, b *bench) {
	b.offerUpgrade("alpha", "beta")
	alpha, beta := b.item("alpha"), b.item("beta")
	b.Offer(Version{Name: "alpha", Version: "1.2"})
	b.Withdraw("alpha", "1.1")
	b.scan()
	outcomes := b.install(alpha, beta)
	b.state(outcomes, alpha.ID, wire.ItemFailed, fault.VersionGone)
	b.state(outcomes, beta.ID, wire.ItemClaimed, "")
	b.installed("alpha", "1.0")
	b.installed("beta", "1.1")
}

func installFails(t *testing.T, b *bench) {
	b.offerUpgrade("alpha", "beta")
	b.Withdraw("alpha", "1.1")
	b.Offer(Version{Name: "alpha", Version: "1.2", Fails: true})
	items, err := b.Provider().Preserve(t.Context(), []wire.Item{b.item("alpha"), b.item("beta")})
	if err != nil {
		t.Fatal(err)
	}
	outcomes := b.install(items...)
	o := b.state(outcomes, "item-alpha", wire.ItemFailed, fault.PackageFailed)
	if o.Cause.Args["package"] != "alpha" || o.Cause.Args["error"] == "" {
		t.Errorf("cause is %+v, want the package and what its tool said", o.Cause)
	}
	b.state(outcomes, "item-beta", wire.ItemClaimed, "")
	b.installed("alpha", "1.0")
	b.installed("beta", "1.1")
	b.sound()
}

func installCancelled(t *testing.T, b *bench) {
	b.offerUpgrade("alpha")
	alpha := b.item("alpha")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, outcomes, err := b.Provider().Install(ctx, []wire.Item{alpha}, patient, nil); err == nil {
		t.Errorf("a cancelled install ended %+v, want an error", outcomes)
	}
	b.installed("alpha", "1.0")
}

func preserveSays(t *testing.T, b *bench) {
	b.offerUpgrade("alpha", "beta")
	alpha, beta := b.item("alpha"), b.item("beta")
	alpha.Packages = append(slices.Clone(alpha.Packages), wire.Change{Name: "extra", To: "2"})
	b.Withdraw("beta", "1.0")
	b.scan()
	first, err := b.Provider().Preserve(t.Context(), []wire.Item{alpha, beta})
	if err != nil {
		t.Fatal(err)
	}
	want := [][2]string{{"ready", ""}, {"impossible", string(fault.NewPackage)}, {"impossible", string(fault.NoOldPackage)}}
	for i, c := range append(slices.Clone(first[0].Packages), first[1].Packages...) {
		if got := [2]string{c.Rollback, c.Why}; got != want[i] {
			t.Errorf("rollback of %s is %v, want %v", c.Name, got, want[i])
		}
	}
	if alpha.Packages[0].Rollback != "" {
		t.Error("preserve wrote into the caller's items")
	}
	second, err := b.Provider().Preserve(t.Context(), []wire.Item{alpha, beta})
	if diff := cmp.Diff(first, second); err != nil || diff != "" {
		t.Errorf("a second time: %v %s", err, diff)
	}
}

func rollbackRestores(t *testing.T, b *bench) {
	if !b.Provider().Capabilities().Rollback {
		return
	}
	b.offerUpgrade("alpha", "beta")
	items, err := b.Provider().Preserve(t.Context(), []wire.Item{b.item("alpha"), b.item("beta")})
	if err != nil {
		t.Fatal(err)
	}
	b.install(items...)
	b.Withdraw("alpha", "1.0")
	b.Withdraw("beta", "1.0")
	b.scan()
	back := []wire.Item{at(items[0], "1.0"), at(items[1], "1.0")}
	for range 2 { // a repetition after a crash is told the same
		log, outcomes, err := b.Provider().Rollback(t.Context(), back, patient, nil)
		if err != nil {
			t.Fatalf("rollback: %v\n%s", err, log.Tail)
		}
		o := b.state(outcomes, "item-alpha", wire.ItemRolledBack, "")
		if o.Packages[0].From != "1.1" || o.Packages[0].To != "1.0" {
			t.Errorf("outcome is %+v, want 1.1 to 1.0", o.Packages)
		}
	}
	b.installed("alpha", "1.0")
	b.installed("beta", "1.0")
	b.sound()
}

func verifyReads(t *testing.T, b *bench) {
	b.offerUpgrade("alpha", "beta")
	alpha, beta := b.item("alpha"), b.item("beta")
	b.install(alpha)
	b.Offer(Version{Name: "beta", Version: "1.2"})
	gone := wire.Item{ID: "item-gone", Packages: []wire.Change{{Name: "gone", From: "1", To: "2"}}}
	verify := func(kind wire.OrderKind, items ...wire.Item) []wire.Outcome {
		outcomes, err := b.Provider().Verify(t.Context(), kind, items)
		if err != nil {
			t.Fatal(err)
		}
		return outcomes
	}
	outcomes := verify(wire.OrderInstall, alpha, beta, gone)
	b.state(outcomes, alpha.ID, wire.ItemVerified, "")
	b.state(outcomes, beta.ID, wire.ItemNoEffect, fault.NoEffect)
	b.state(outcomes, gone.ID, wire.ItemNotApplicable, fault.NotApplicable)
	b.state(verify(wire.OrderRollback, at(beta, "1.0")), beta.ID, wire.ItemRolledBack, "")
	b.state(verify(wire.OrderRollback, at(alpha, "1.0")), alpha.ID, wire.ItemNoEffect, fault.NoEffect)
	b.InstallByHand(Version{Name: "beta", Version: "1.2"})
	b.state(verify(wire.OrderInstall, beta), beta.ID, wire.ItemNotApplicable, fault.Superseded)
}

func recoverNothing(t *testing.T, b *bench) {
	b.offerUpgrade("alpha")
	for range 2 {
		log, err := b.Provider().Recover(t.Context(), patient)
		if err != nil {
			t.Fatal(err)
		}
		if log != (provider.Log{}) {
			t.Errorf("recover of a healthy device ran something: %+v", log)
		}
	}
	b.installed("alpha", "1.0")
}

func forgetDrops(t *testing.T, b *bench) {
	b.offerUpgrade("alpha", "beta")
	alpha, beta := b.item("alpha"), b.item("beta")
	if _, err := b.Provider().Preserve(t.Context(), []wire.Item{alpha, beta}); err != nil {
		t.Fatal(err)
	}
	if err := b.Provider().Forget(t.Context(), []wire.Item{alpha}); err != nil {
		t.Fatal(err)
	}
	b.Withdraw("alpha", "1.0")
	b.Withdraw("beta", "1.0")
	b.scan()
	items, err := b.Provider().Preserve(t.Context(), []wire.Item{alpha, beta})
	if err != nil {
		t.Fatal(err)
	}
	if got := items[0].Packages[0].Rollback; got != "ready" {
		t.Errorf("what was to be kept is %q", got)
	}
	if got := items[1].Packages[0].Why; got != string(fault.NoOldPackage) {
		t.Errorf("what was forgotten is %q (%s), want no_old_package", items[1].Packages[0].Rollback, got)
	}
}
