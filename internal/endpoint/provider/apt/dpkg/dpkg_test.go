package dpkg_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"patchring/internal/endpoint/provider/apt/dpkg"
)

func read(t testing.TB, text string) []dpkg.Package {
	t.Helper()
	var all []dpkg.Package
	if err := dpkg.ReadStatus(strings.NewReader(text), func(p dpkg.Package) error { all = append(all, p); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

const entry = "Package: %s\nStatus: %s\nArchitecture: amd64\nVersion: 1.2-3+b1\n"

func TestStatusOfRealDatabases(t *testing.T) {
	dirs, err := filepath.Glob("../testdata/*/dpkg-status")
	if err != nil || len(dirs) != 3 {
		t.Fatalf("have %v, %v; want three recorded databases", dirs, err)
	}
	for _, name := range dirs {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		byName := map[string]dpkg.Package{}
		for _, p := range read(t, string(text)) {
			byName[p.Name] = p
		}
		bad := byName["bad"]
		if bad.Status != dpkg.HalfConfigured || !bad.Broken() || bad.Sound() || bad.State() != "half-configured" || bad.Version != "1.1" {
			t.Errorf("%s: bad is %+v, want half-configured at 1.1", name, bad)
		}
		if held := byName["held"]; !held.Held() || !held.Sound() || held.State() != "held" {
			t.Errorf("%s: held is %+v, want held and sound", name, held)
		}
		if p := byName["perl-base"]; p.Source != "perl" || p.SourceVersion != p.Version || p.Arch != "amd64" || p.State() != "" {
			t.Errorf("%s: perl-base is %+v, want of source perl", name, p)
		}
		if p := byName["libc6"]; p.Source != "glibc" {
			t.Errorf("%s: libc6 is %+v, want of source glibc", name, p)
		}
	}
}

func TestStates(t *testing.T) {
	for status, want := range map[string]struct {
		state                  string
		present, broken, sound bool
	}{
		"install ok installed":             {"", true, false, true},
		"hold ok installed":                {"held", true, false, true},
		"install ok unpacked":              {"unpacked", true, true, false},
		"install ok half-configured":       {"half-configured", true, true, false},
		"install reinstreq half-installed": {"reinst-required", true, true, false},
		"install reinstreq installed":      {"reinst-required", true, true, false},
		"install ok triggers-awaited":      {"triggers-awaited", true, true, false},
		"install ok triggers-pending":      {"triggers-pending", true, true, false},
		"deinstall ok config-files":        {"config-files", false, false, false},
		"unknown ok not-installed":         {"not-installed", false, false, false},
	} {
		p := read(t, fmt.Sprintf(entry, "x", status))[0]
		if p.State() != want.state || p.Present() != want.present || p.Broken() != want.broken || p.Sound() != want.sound {
			t.Errorf("%s: state %q present %v broken %v sound %v, want %+v", status, p.State(), p.Present(), p.Broken(), p.Sound(), want)
		}
	}
	for _, text := range []string{"Package: x\nVersion: 1\n", "Status: install ok installed\nVersion: 1\n", "Package: x\nStatus: install ok\n", "\n\n# nothing\n"} {
		if got := read(t, text); len(got) != 0 {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}

func TestJournalIsNewerThanTheStatusFile(t *testing.T) {
	root := t.TempDir()
	admin := filepath.Join(root, dpkg.AdminDir)
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(admin, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("status", fmt.Sprintf(entry, "a", "install ok installed")+"\n"+fmt.Sprintf(entry, "b", "install ok installed"))
	if interrupted, err := dpkg.Interrupted(root); err != nil || interrupted {
		t.Errorf("a device at rest is interrupted: %v, %v", interrupted, err)
	}
	write("updates/0000", fmt.Sprintf(entry, "a", "install ok half-installed"))
	write("updates/0001", fmt.Sprintf(entry, "a", "install ok unpacked"))
	write("updates/0002", fmt.Sprintf(entry, "new", "install ok unpacked"))
	write("updates/tmp.i", fmt.Sprintf(entry, "b", "install ok unpacked"))
	got := map[string]dpkg.Status{}
	if err := dpkg.Read(root, func(p dpkg.Package) error { got[p.Name] = p.Status; return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got["a"] != dpkg.Unpacked || got["b"] != dpkg.Installed || got["new"] != dpkg.Unpacked {
		t.Errorf("database is %v, want a and new unpacked, b installed", got)
	}
	if interrupted, err := dpkg.Interrupted(root); err != nil || !interrupted {
		t.Errorf("a journal is left, but interrupted is %v, %v", interrupted, err)
	}
	if err := dpkg.Read(t.TempDir(), func(dpkg.Package) error { return nil }); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a device without a database reads as %v", err)
	}
}

func TestLongLinesAndFoldedFieldsAreSkipped(t *testing.T) {
	text := "Package: a\nStatus: install ok installed\nVersion: 1\nConffiles:\n /etc/a 123\n Version: 9\nDescription: " +
		strings.Repeat("long ", 20000) + "\n.\nSource: src (0.9)\n\nPackage: b\nStatus: install ok installed\nVersion: 2\n"
	got := read(t, text)
	if len(got) != 2 || got[0].Version != "1" || got[0].Source != "src" || got[0].SourceVersion != "0.9" || got[1].Source != "b" {
		t.Errorf("read %+v", got)
	}
}

// TestCompareAgreesWithDpkg asks dpkg itself where there is one.
func TestCompareAgreesWithDpkg(t *testing.T) {
	versions := []string{"1.0", "1.0~rc1", "1.0-1", "1.0-1+b1", "1.0-1+deb12u1", "1:0.9", "2:0.1-1", "1.0+dfsg", "1.0.0", "1.00", "1.0-1~bpo12+1", "0", "10", "9", "1.0a", "1.0-0ubuntu1.1"}
	var ask func(a, b string) int
	if path, err := exec.LookPath("dpkg"); err == nil {
		ask = func(a, b string) int {
			for op, want := range map[string]int{"lt": -1, "eq": 0, "gt": 1} {
				if exec.Command(path, "--compare-versions", a, op, b).Run() == nil {
					return want
				}
			}
			t.Fatalf("dpkg cannot compare %s and %s", a, b)
			return 0
		}
	} else {
		t.Logf("dpkg is not here, only the order's own laws are checked: %v", err)
	}
	for _, a := range versions {
		for _, b := range versions {
			got := sign(dpkg.Compare(a, b))
			if got != -sign(dpkg.Compare(b, a)) {
				t.Errorf("%s and %s compare differently the other way round", a, b)
			}
			if ask != nil && got != ask(a, b) {
				t.Errorf("%s and %s compare as %d, dpkg says %d", a, b, got, ask(a, b))
			}
		}
	}
	if dpkg.Compare("not a version", "0") >= 0 {
		t.Error("what is no version must sort before every version")
	}
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

func TestNames(t *testing.T) {
	for _, tc := range []struct{ name, arch, want string }{{"a", "amd64", "a"}, {"a", "all", "a"}, {"a", "", "a"}, {"a", "i386", "a:i386"}} {
		if got := dpkg.KeyOf(tc.name, tc.arch, "amd64"); string(got) != tc.want {
			t.Errorf("key of %s %s is %s, want %s", tc.name, tc.arch, got, tc.want)
		}
	}
	if got, want := dpkg.FileName("a", "1:2-3", "all"), "a_1%3a2-3_all.deb"; got != want {
		t.Errorf("file is %s, want %s", got, want)
	}
}

func FuzzStatus(f *testing.F) {
	dirs, err := filepath.Glob("../testdata/*/dpkg-status")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range dirs {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text[:min(len(text), 3000)]))
	}
	f.Add(fmt.Sprintf(entry, "a", "install ok installed"))
	f.Fuzz(func(t *testing.T, text string) {
		all := read(t, text)
		for _, p := range all {
			if p.Name == "" || p.Status == "" || p.Source == "" {
				t.Errorf("entry without a name, a status or a source: %+v", p)
			}
			if p.Sound() && p.Broken() || p.Broken() && !p.Present() {
				t.Errorf("contradicts itself: %+v", p)
			}
		}
		if again := read(t, text+"\n\n"); !slices.Equal(all, again) {
			t.Errorf("blank lines at the end change it: %v, %v", all, again)
		}
	})
}
