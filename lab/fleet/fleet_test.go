package fleet

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseStatSurvivesAnyProcessName(t *testing.T) {
	line := "4211 (a b) S (lab)) S 1 4211 4211 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 9 0 1234567 100 200\n"
	mode, start, err := parseStat(line)
	if err != nil || mode != "S" || start != 1234567 {
		t.Errorf("parseStat = %q, %d, %v; want S, 1234567", mode, start, err)
	}
	for _, bad := range []string{"", "1 (x) S 1", "no parentheses"} {
		if _, _, err := parseStat(bad); err == nil {
			t.Errorf("parseStat(%q) was accepted", bad)
		}
	}
}

func TestParseVersionsTakesWhatHasFiles(t *testing.T) {
	got := parseVersions("installed nginx 1.22.1-9+deb12u11\nhalf-configured lab-broken 1.1\nconfig-files gone 1.0\nnot-installed never 1.0\nunpacked lab-conf 1.1\n")
	want := map[string]string{"nginx": "1.22.1-9+deb12u11", "lab-broken": "1.1", "lab-conf": "1.1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCleanDirRefusesWhatCannotWorkInside(t *testing.T) {
	for _, dir := range []string{"/run/lab", "/srv/a:b", "/srv/a,b", `/srv/a\b`} {
		if got, err := cleanDir(dir); err == nil {
			t.Errorf("cleanDir(%q) = %q, want an error", dir, got)
		}
	}
	if got, err := cleanDir(""); err != nil || got != DefaultDir {
		t.Errorf("cleanDir of nothing = %q, %v; want %q", got, err, DefaultDir)
	}
}

func TestConfigRefusesWhatItCannotBring(t *testing.T) {
	hosts, err := Table(1)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]Config{
		"no hosts":        {},
		"run name":        {Hosts: hosts, Name: "../x"},
		"missing share":   {Hosts: hosts, Share: "/nowhere/at/all"},
		"share is a file": {Hosts: hosts, Share: file},
		"host twice":      {Hosts: append(hosts, hosts...)},
	} {
		if _, err := c.withDefaults(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	c, err := Config{Hosts: hosts}.withDefaults()
	if err != nil || c.Dir != DefaultDir || c.Name != DefaultName || c.Suite != DefaultSuite || c.Binary == "" {
		t.Errorf("defaults = %+v, %v", c, err)
	}
}

func TestInstallJoinsPackagesOfFleetAndHost(t *testing.T) {
	c := Config{Packages: []string{"lab-good"}, HostPackages: map[string][]string{"a": {"lab-held", "lab-good"}}}
	names, prepare, err := install(c, "a")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"lab-good=1.0", "lab-held=1.0"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][]string{{"apt-mark", "hold", "lab-held"}}, prepare); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if names, _, err := install(c, "b"); err != nil || len(names) != 1 {
		t.Errorf("other hosts get %v, %v", names, err)
	}
	if _, _, err := install(Config{Packages: []string{"nginx"}}, "b"); err == nil {
		t.Error("a package that the lab does not have was accepted")
	}
}

func TestStateIsReadBackWhole(t *testing.T) {
	dir := t.TempDir()
	if _, err := readState(dir); !errors.Is(err, ErrNotUp) {
		t.Errorf("state of no run: %v, want ErrNotUp", err)
	}
	hosts, err := Table(2)
	if err != nil {
		t.Fatal(err)
	}
	want := state{Lab: process{PID: 12, Start: 34}, Detached: true, Hosts: hosts, ImageDir: "/x", Debs: "/y"}
	if err := want.write(dir); err != nil {
		t.Fatal(err)
	}
	got, err := readState(dir)
	want.Image.Dir = "/x"
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(state{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNamesListsOnlyLivingRuns(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(runDir(dir, "dead"), 0o755); err != nil {
		t.Fatal(err)
	}
	dead := state{Lab: process{PID: os.Getpid(), Start: 1}} // a number used again
	if err := dead.write(runDir(dir, "dead")); err != nil {
		t.Fatal(err)
	}
	if names, err := Names(dir); err != nil || len(names) != 0 {
		t.Errorf("Names = %v, %v; want none", names, err)
	}
}
