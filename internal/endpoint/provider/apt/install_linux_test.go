package apt_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/provider"
	"patchring/internal/endpoint/provider/apt"
	"patchring/internal/endpoint/provider/apt/aptworld"
	"patchring/wire"
)

// limits of a patient order.
var limits = provider.Limits{LockWait: 10 * time.Second}

func newWorld(t *testing.T) *aptworld.World {
	t.Helper()
	aptworld.Need(t)
	return aptworld.New(t)
}

// item is a content item of one package, as a server orders it.
func item(name, from, to string) wire.Item {
	return wire.Item{ID: "item-" + name, Provider: apt.Name, Name: name, Version: to,
		Packages: []wire.Change{{Name: name, Arch: "all", From: from, To: to}}}
}

func outcome(t *testing.T, outcomes []wire.Outcome, id string) wire.Outcome {
	t.Helper()
	i := slices.IndexFunc(outcomes, func(o wire.Outcome) bool { return o.Item == id })
	if i < 0 {
		t.Fatalf("no outcome for %s in %+v", id, outcomes)
	}
	return outcomes[i]
}

func install(t *testing.T, p *apt.Provider, items ...wire.Item) []wire.Outcome {
	t.Helper()
	log, outcomes, err := p.Install(context.Background(), items, limits, nil)
	if err != nil {
		t.Fatalf("install: %v\n%s", err, log.Tail)
	}
	t.Logf("log:\n%s", log.Tail)
	return outcomes
}

func wantStatus(t *testing.T, w *aptworld.World, name, want string) {
	t.Helper()
	if got := w.Status(name); got != want {
		t.Errorf("dpkg says of %s %q, want %q", name, got, want)
	}
}

func TestInstallKeepsTheOthersWhenAPostinstFails(t *testing.T) {
	w := newWorld(t)
	w.Offer(aptworld.Package{Name: "good", Version: "1.0"}, aptworld.Package{Name: "bad", Version: "1:1.0"}, aptworld.Package{Name: "worse", Version: "1.0"})
	w.Install("good", "bad", "worse")
	w.Offer(aptworld.Package{Name: "good", Version: "1.1"},
		aptworld.Package{Name: "bad", Version: "1:1.1", Scripts: map[string]string{"postinst": "echo boom >&2; exit 3"}},
		aptworld.Package{Name: "worse", Version: "1.1", Scripts: map[string]string{"preinst": `[ "$1" = upgrade ] && exit 1; exit 0`}})
	w.ByHand("apt-get", "update")
	p := w.Provider()
	items := []wire.Item{item("bad", "1:1.0", "1:1.1"), item("good", "1.0", "1.1"), item("worse", "1.0", "1.1")}
	kept, err := p.Preserve(context.Background(), items)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range kept {
		if got := i.Packages[0].Rollback; got != "ready" {
			t.Errorf("rollback of %s is %q (%s), want ready", i.Name, got, i.Packages[0].Why)
		}
	}
	w.Withdraw("bad", "1:1.0") // only what was kept can bring it back
	w.ByHand("apt-get", "update")

	outcomes := install(t, p, kept...)

	if got := outcome(t, outcomes, "item-good"); got.State != wire.ItemClaimed || got.Packages[0].From != "1.0" || got.Packages[0].To != "1.1" {
		t.Errorf("good ended %+v, want claimed from 1.0 to 1.1", got)
	}
	bad := outcome(t, outcomes, "item-bad")
	if bad.State != wire.ItemFailed || bad.Cause == nil || bad.Cause.Code != string(fault.PackageFailed) ||
		bad.Cause.Args["state"] != "half-configured" || !strings.Contains(bad.Cause.Args["error"], "exit status 3") {
		t.Errorf("bad ended %+v (%+v), want failed half-configured with exit status 3", bad, bad.Cause)
	}
	if got := outcome(t, outcomes, "item-worse"); got.State != wire.ItemFailed || got.Cause == nil || got.Cause.Code != string(fault.PackageFailed) {
		t.Errorf("worse ended %+v (%+v), want failed", got, got.Cause)
	}
	wantStatus(t, w, "good", "install ok installed 1.1")
	wantStatus(t, w, "bad", "install ok installed 1:1.0")
	wantStatus(t, w, "worse", "install ok installed 1.0")
	if audit := w.Audit(); audit != "" {
		t.Errorf("dpkg --audit says %q", audit)
	}
	w.ByHand("apt-get", "check")
	if _, err := os.Stat(filepath.Join(w.Dir, "agent", "apt", "running.json")); !os.IsNotExist(err) {
		t.Errorf("a running transaction is still recorded: %v", err)
	}
}
