package apt_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/facts"
	"patchring/internal/endpoint/provider"
	"patchring/internal/endpoint/provider/apt"
	"patchring/internal/endpoint/provider/apt/aptworld"
	"patchring/wire"
)

func TestEditedConffileIsKeptAndTheNewOneNoted(t *testing.T) {
	w := newWorld(t)
	w.Offer(aptworld.Package{Name: "conf", Version: "1.0", Conffiles: map[string]string{"/etc/conf.conf": "a\n"}})
	w.Install("conf")
	w.Write("etc/conf.conf", "mine\n")
	w.Offer(aptworld.Package{Name: "conf", Version: "1.1", Conffiles: map[string]string{"/etc/conf.conf": "b\n"}})
	w.ByHand("apt-get", "update")
	log, outcomes, err := w.Provider().Install(t.Context(), []wire.Item{item("conf", "1.0", "1.1")}, limits, nil)
	if err != nil || outcomes[0].State != wire.ItemClaimed {
		t.Fatalf("install: %v %+v", err, outcomes)
	}
	if got := w.Read("etc/conf.conf"); got != "mine\n" {
		t.Errorf("the administrator's file is now %q", got)
	}
	if !strings.Contains(log.Tail, "# left: /etc/conf.conf.dpkg-dist") {
		t.Errorf("the log does not name the new file:\n%s", log.Tail)
	}
}

func TestSiblingsOfTheSameSourceAreLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.Offer(aptworld.Package{Name: "lib", Version: "1.0", Source: "src"}, aptworld.Package{Name: "tools", Version: "1.0", Source: "src"})
	w.Install("lib", "tools")
	w.Offer(aptworld.Package{Name: "lib", Version: "1.1", Source: "src"}, aptworld.Package{Name: "tools", Version: "1.1", Source: "src"})
	w.ByHand("apt-get", "update")
	if o := install(t, w.Provider(), item("lib", "1.0", "1.1"))[0]; o.State != wire.ItemClaimed {
		t.Errorf("lib ended %+v", o)
	}
	wantStatus(t, w, "tools", "install ok installed 1.0")
}

func TestPackageOfAnotherArchitectureIsItsOwn(t *testing.T) {
	w := newWorld(t)
	w.ByHand("dpkg", "--add-architecture", "i386")
	lib := func(arch, version string) aptworld.Package {
		return aptworld.Package{Name: "lib", Version: version, Fields: map[string]string{"Architecture": arch, "Multi-Arch": "same"}}
	}
	w.Offer(lib("amd64", "1.0"), lib("i386", "1.0"))
	w.Install("lib:amd64", "lib:i386")
	w.Offer(lib("amd64", "1.1"), lib("i386", "1.1"))
	p := w.Provider()
	scan := p.Scan(t.Context(), true)
	if scan.Status != wire.ScanOK || len(scan.Patches) != 1 || len(scan.Patches[0].Packages) != 2 {
		t.Fatalf("scan is %+v, want one patch with both architectures", scan)
	}
	order := wire.Item{ID: "lib", Packages: scan.Patches[0].Packages}
	if o := install(t, p, order)[0]; o.State != wire.ItemClaimed {
		t.Errorf("lib ended %+v %+v", o, o.Cause)
	}
	wantStatus(t, w, "lib:i386", "install ok installed 1.1")
	wantStatus(t, w, "lib:amd64", "install ok installed 1.1")
}

func TestNewDependencyThatFailsIsTakenAwayAgain(t *testing.T) {
	w := newWorld(t)
	w.Offer(aptworld.Package{Name: "app", Version: "1.0"}, aptworld.Package{Name: "good", Version: "1.0"})
	w.Install("app", "good")
	w.Offer(aptworld.Package{Name: "app", Version: "1.1", Fields: map[string]string{"Depends": "extra"}},
		aptworld.Package{Name: "good", Version: "1.1"},
		aptworld.Package{Name: "extra", Version: "1", Scripts: map[string]string{"postinst": "exit 7"}})
	w.ByHand("apt-get", "update")
	p := w.Provider()
	items, err := p.Preserve(t.Context(), []wire.Item{item("app", "1.0", "1.1"), item("good", "1.0", "1.1")})
	if err != nil {
		t.Fatal(err)
	}
	_, outcomes, err := p.Install(t.Context(), items, provider.Limits{LockWait: time.Second, AllowNew: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if o := outcome(t, outcomes, "item-app"); o.State != wire.ItemFailed || !strings.Contains(o.Cause.Args["error"], "extra: ") {
		t.Errorf("app ended %+v %+v, want failed because of extra", o, o.Cause)
	}
	if o := outcome(t, outcomes, "item-good"); o.State != wire.ItemClaimed {
		t.Errorf("good ended %+v, want claimed", o)
	}
	wantStatus(t, w, "app", "install ok installed 1.0")
	if audit := w.Audit(); audit != "" {
		t.Errorf("dpkg --audit says %q", audit)
	}
}

func TestClaimedSuccessWithoutEffectIsNoEffect(t *testing.T) {
	w := newWorld(t)
	w.Offer(aptworld.Package{Name: "good", Version: "1.0"})
	w.Install("good")
	w.Offer(aptworld.Package{Name: "good", Version: "1.1"})
	w.ByHand("apt-get", "update")
	conf := w.Read("etc/apt/apt.conf")
	w.Write("etc/apt/apt.conf", conf+"Dpkg::Options:: \"--no-act\";\n") // dpkg says yes and does nothing
	if o := install(t, w.Provider(), item("good", "1.0", "1.1"))[0]; o.State != wire.ItemNoEffect ||
		o.Cause.Code != string(fault.NoEffect) || o.Cause.Args["version"] != "1.0" {
		t.Errorf("good ended %+v %+v, want no_effect at 1.0", o, o.Cause)
	}
}

func TestInstallWithoutRepositoryMayPassLater(t *testing.T) {
	w := newWorld(t)
	w.Offer(aptworld.Package{Name: "good", Version: "1.0"})
	w.Install("good")
	w.Offer(aptworld.Package{Name: "good", Version: "1.1"})
	w.ByHand("apt-get", "update")
	w.Break()
	order := []wire.Item{item("good", "1.0", "1.1")}
	if err := w.Provider().Download(t.Context(), order, limits, nil); !errors.Is(err, fault.New(fault.DownloadFailed)) || !fault.CanRetry(err) {
		t.Errorf("download: %v, want download_failed for now", err)
	}
	if _, _, err := w.Provider().Install(t.Context(), order, limits, nil); !errors.Is(err, fault.New(fault.DownloadFailed)) {
		t.Errorf("install: %v, want download_failed", err)
	}
	w.Repair()
	if err := w.Provider().Download(t.Context(), order, limits, nil); err != nil {
		t.Fatal(err)
	}
	w.Break() // what was downloaded is enough
	if o := install(t, w.Provider(), order...)[0]; o.State != wire.ItemClaimed {
		t.Errorf("good ended %+v", o)
	}
}

func TestOldPackageIsTakenFromAptsCache(t *testing.T) {
	w := newWorld(t)
	w.Offer(aptworld.Package{Name: "good", Version: "2:1.0"})
	w.ByHand("apt-get", "update")
	w.ByHand("apt-get", "-y", "install", "good") // and its file stays in the cache
	w.Offer(aptworld.Package{Name: "good", Version: "2:1.1"})
	w.Withdraw("good", "2:1.0")
	w.ByHand("apt-get", "update")
	items, err := w.Provider().Preserve(t.Context(), []wire.Item{item("good", "2:1.0", "2:1.1")})
	if err != nil {
		t.Fatal(err)
	}
	if c := items[0].Packages[0]; c.Rollback != "ready" {
		t.Errorf("rollback is %s (%s), want ready", c.Rollback, c.Why)
	}
}

func TestKeptFileThatChangedIsNotReady(t *testing.T) {
	w := newWorld(t)
	w.Offer(aptworld.Package{Name: "good", Version: "1.0"})
	w.Install("good")
	w.Offer(aptworld.Package{Name: "good", Version: "1.1"})
	w.ByHand("apt-get", "update")
	order := []wire.Item{item("good", "1.0", "1.1")}
	if _, err := w.Provider().Preserve(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	w.Withdraw("good", "1.0")
	w.ByHand("apt-get", "update")
	file := filepath.Join(w.Dir, "agent", "rollback", "good_1.0_all.deb")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(file, content, 0o644); err != nil {
		t.Fatal(err)
	}
	items, err := w.Provider().Preserve(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	if c := items[0].Packages[0]; c.Rollback != "impossible" || c.Why != string(fault.NoOldPackage) {
		t.Errorf("rollback is %s (%s), want impossible (no_old_package)", c.Rollback, c.Why)
	}
}

func TestKeptPackagesAreBounded(t *testing.T) {
	w := newWorld(t)
	w.Offer(aptworld.Package{Name: "good", Version: "1.0"})
	w.Install("good")
	w.Offer(aptworld.Package{Name: "good", Version: "1.1"})
	w.ByHand("apt-get", "update")
	for name, tight := range map[string]func(*apt.Options){
		"by their own limit": func(o *apt.Options) { o.KeepBytes = 100 },
		"by the free space":  func(o *apt.Options) { o.Reserve = 1 << 60 },
	} {
		items, err := w.Provider(tight).Preserve(t.Context(), []wire.Item{item("good", "1.0", "1.1")})
		if err != nil {
			t.Fatal(err)
		}
		if c := items[0].Packages[0]; c.Rollback != "impossible" || c.Why != string(fault.DiskFull) {
			t.Errorf("%s: rollback is %s (%s), want impossible (disk_full)", name, c.Rollback, c.Why)
		}
	}
}

func TestListsThatAreOldOrMissingAreStale(t *testing.T) {
	w := newWorld(t)
	w.Offer(aptworld.Package{Name: "good", Version: "1.0"})
	if got := w.Provider().Scan(t.Context(), false); got.Status != wire.ScanStale || got.ListsUS != 0 || got.Cause.Code != string(fault.ScanStale) {
		t.Errorf("scan without lists is %+v, want stale", got)
	}
	if got := w.Provider().Scan(t.Context(), true); got.Status != wire.ScanOK {
		t.Errorf("scan after a refresh is %+v, want ok", got)
	}
	later := func(hours time.Duration) func(*apt.Options) {
		return func(o *apt.Options) { o.Now = func() time.Time { return time.Now().Add(hours * time.Hour) } }
	}
	if got := w.Provider(later(47)).Scan(t.Context(), false); got.Status != wire.ScanOK {
		t.Errorf("scan a day later is %+v, want ok", got)
	}
	if got := w.Provider(later(49)).Scan(t.Context(), false); got.Status != wire.ScanStale || got.ListsUS == 0 {
		t.Errorf("scan two days later is %+v, want stale since the refresh", got)
	}
}

func TestScanTellsWhatWouldRemoveAndWhatIsPhased(t *testing.T) {
	w := newWorld(t)
	w.Offer(aptworld.Package{Name: "kicker", Version: "1.0"}, aptworld.Package{Name: "victim", Version: "1.0"},
		aptworld.Package{Name: "slow", Version: "1.0"}, aptworld.Package{Name: "fixed", Version: "1.0"})
	w.Install("kicker", "victim", "slow", "fixed")
	w.Write("etc/machine-id", "0123456789abcdef0123456789abcdef\n")
	w.Write("etc/apt/apt.conf", w.Read("etc/apt/apt.conf")+"APT::Get::Never-Include-Phased-Updates \"true\";\n")
	w.Offer(aptworld.Package{Name: "kicker", Version: "1.1", Fields: map[string]string{"Conflicts": "victim"}},
		aptworld.Package{Name: "slow", Version: "1.1", Fields: map[string]string{"Phased-Update-Percentage": "10"}},
		aptworld.Package{Name: "fixed", Version: "1.1", Source: "fix (1.1-1)", Suite: "lab-security"})
	scan := w.Provider().Scan(t.Context(), true)
	got := map[string][3]string{}
	for _, p := range scan.Patches {
		got[p.Name] = [3]string{p.State, p.Class, p.Suite}
	}
	want := map[string][3]string{
		"kicker": {wire.PatchKeptBack, "third-party", "lab"},
		"slow":   {wire.PatchPhased, "third-party", "lab"},
		"fix":    {wire.PatchOffered, "security", "lab-security"},
	}
	for name, w := range want {
		if got[name] != w {
			t.Errorf("%s is %v, want %v", name, got[name], w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("scan lists %v", got)
	}
}

func TestOnlyOthersAreInTheHistory(t *testing.T) {
	w := newWorld(t)
	start := time.Now().Add(-time.Second)
	w.Offer(aptworld.Package{Name: "good", Version: "1.0"}, aptworld.Package{Name: "own", Version: "1.0"})
	w.Install("good", "own")
	w.Offer(aptworld.Package{Name: "own", Version: "1.1"})
	w.ByHand("apt-get", "update")
	if o := install(t, w.Provider(), item("own", "1.0", "1.1"))[0]; o.State != wire.ItemClaimed {
		t.Fatalf("own ended %+v", o)
	}
	others, err := facts.ChangesSince(os.DirFS(w.Root), start, time.Local)
	if err != nil {
		t.Fatal(err)
	}
	if len(others) != 1 || others[0].Actor != "apt-get" || len(others[0].Changes) != 2 {
		t.Errorf("others did %+v, want one apt-get with two packages", others)
	}
}

// TestKernelComesAsANewPackage is how kernels are patched: a package that only
// depends on the newest image, which is a new one each time.
func TestKernelComesAsANewPackage(t *testing.T) {
	w := newWorld(t)
	image := func(version string) []aptworld.Package {
		return []aptworld.Package{
			{Name: "image", Version: version, Source: "linux", Fields: map[string]string{"Depends": "image-" + version}},
			{Name: "image-" + version, Version: version, Source: "linux"},
		}
	}
	w.Offer(image("1")...)
	w.Install("image")
	w.Offer(image("2")...)
	p := w.Provider()
	scan := p.Scan(t.Context(), true)
	if len(scan.Patches) != 1 || scan.Patches[0].Name != "linux" || scan.Patches[0].State != wire.PatchOffered || len(scan.Patches[0].Packages) != 2 {
		t.Fatalf("scan is %+v, want linux 2 with its new image", scan)
	}
	items, err := p.Preserve(t.Context(), []wire.Item{{ID: "linux", Name: "linux", Version: "2", Packages: scan.Patches[0].Packages}})
	if err != nil {
		t.Fatal(err)
	}
	if got := items[0].Packages; got[0].Rollback != "ready" || got[1].Why != string(fault.NewPackage) {
		t.Errorf("rollback is %+v, want ready and impossible (new_package)", got)
	}
	if o := install(t, p, items...)[0]; o.State != wire.ItemClaimed || o.Packages[1].From != "" || o.Packages[1].To != "2" {
		t.Errorf("linux ended %+v", o)
	}
	if auto := strings.Fields(w.ByHand("apt-mark", "showauto")); !slices.Contains(auto, "image-2") {
		t.Errorf("%v came by itself, want image-2 among them: else no old kernel is ever cleaned up", auto)
	}
}

func TestBrokenDependenciesFailTheScan(t *testing.T) {
	w := newWorld(t)
	w.Offer(aptworld.Package{Name: "lone", Version: "1", Fields: map[string]string{"Depends": "absent"}})
	w.ByHand("apt-get", "update")
	w.ByHand("dpkg", "--force-depends", "-i", filepath.Join(w.Dir, "repo", "lab", "lone_1_all.deb"))
	got := w.Provider().Scan(t.Context(), false)
	if got.Status != wire.ScanFailed || got.Cause == nil || got.Patches != nil || !strings.Contains(got.Cause.Args["error"], "absent") {
		t.Errorf("scan is %+v %+v, want failed and why", got, got.Cause)
	}
}

func TestADownloadThatIsToBeSlowIsMade(t *testing.T) {
	w := newWorld(t)
	w.Offer(aptworld.Package{Name: "a", Version: "1"})
	w.Install("a")
	w.Offer(aptworld.Package{Name: "a", Version: "2"})
	w.ByHand("apt-get", "update")
	slow := limits
	slow.BytesPerS = 1 << 20
	if err := w.Provider().Download(t.Context(), []wire.Item{item("a", "1", "2")}, slow, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(w.Root, "var/cache/apt/archives/a_2_all.deb")); err != nil {
		t.Errorf("a was not fetched: %v", err)
	}
}

// The lists still name a file that the repository has replaced.
func TestDownloadWithOldListsGoesOnWithoutWhatIsGone(t *testing.T) {
	w := newWorld(t)
	w.Offer(aptworld.Package{Name: "a", Version: "1"}, aptworld.Package{Name: "b", Version: "1"})
	w.Install("a", "b")
	w.Offer(aptworld.Package{Name: "a", Version: "2"}, aptworld.Package{Name: "b", Version: "2"})
	w.ByHand("apt-get", "update")
	w.Withdraw("a", "2")
	w.Offer(aptworld.Package{Name: "a", Version: "3"})
	order := []wire.Item{item("a", "1", "2"), item("b", "1", "2")}
	if err := w.Provider().Download(t.Context(), order, limits, nil); err != nil {
		t.Fatal(err)
	}
	ends := install(t, w.Provider(), order...)
	if ends[0].State != wire.ItemFailed || ends[0].Cause == nil || ends[0].Cause.Code != string(fault.VersionGone) || ends[1].State != wire.ItemClaimed {
		t.Errorf("ended %+v, want a failed by version_gone and b claimed", ends)
	}
}

func TestDownloadGoesOnWithoutWhatIsGone(t *testing.T) {
	w := newWorld(t)
	w.Offer(aptworld.Package{Name: "a", Version: "1"}, aptworld.Package{Name: "b", Version: "1"})
	w.Install("a", "b")
	w.Offer(aptworld.Package{Name: "a", Version: "2"}, aptworld.Package{Name: "b", Version: "2"})
	w.Withdraw("a", "2")
	w.ByHand("apt-get", "update")
	if err := w.Provider().Download(t.Context(), []wire.Item{item("a", "1", "2"), item("b", "1", "2")}, limits, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(w.Root, "var/cache/apt/archives/b_2_all.deb")); err != nil {
		t.Errorf("b was not fetched: %v", err)
	}
}
