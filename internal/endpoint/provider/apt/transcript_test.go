package apt

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/patch"
	"patchring/internal/endpoint/provider/apt/dpkg"
)

var recorded = []string{"bullseye-apt2.2.4", "bookworm-apt2.6.1", "trixie-apt3.0.3"}

// transcript is what a tool printed; a missing file means it printed nothing.
func transcript(t testing.TB, dir, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", dir, name))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return text
}

func simulated(t testing.TB, text []byte) simulation {
	t.Helper()
	var s simulation
	for line := range bytes.Lines(text) {
		if err := s.line(bytes.TrimRight(line, "\n")); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestDistUpgradeTranscripts(t *testing.T) {
	lab := []origin{{"Fleet (Lab), odd: text", "lab"}}
	for _, tc := range []struct {
		dir              string
		keptBack, phased []string
		upgrades         int
		one              action
	}{
		// apt 2.2 honours phasing only in `upgrade`: phased is in the plan.
		{"bullseye-apt2.2.4", []string{"held"}, nil, 32, action{
			verb: "Inst", name: "libpam-modules-bin", old: "1.4.0-9+deb11u1", version: "1.4.0-9+deb11u2", arch: "amd64",
			origins: []origin{{"Debian-Security", "oldoldstable-security"}}}},
		{"bookworm-apt2.6.1", []string{"held", "phased"}, nil, 10, action{
			verb: "Inst", name: "tzdata", old: "2026b-0+deb12u1", version: "2026f-0+deb12u1", arch: "all",
			origins: []origin{{"Debian-Security", "oldstable-security"}}}},
		{"trixie-apt3.0.3", []string{"held"}, []string{"phased"}, 11, action{
			verb: "Inst", name: "zlib1g", old: "1:1.3.dfsg+really1.3.1-1+b1", version: "1:1.3.dfsg+really1.3.1-1+deb13u1", arch: "amd64",
			origins: []origin{{"Debian-Security", "stable-security"}}}},
	} {
		t.Run(tc.dir, func(t *testing.T) {
			s := simulated(t, transcript(t, tc.dir, "dist-upgrade.stdout"))
			if !slices.Equal(s.keptBack, tc.keptBack) || !slices.Equal(s.phased, tc.phased) {
				t.Errorf("kept back %v, phased %v; want %v, %v", s.keptBack, s.phased, tc.keptBack, tc.phased)
			}
			upgrades, byName := 0, map[string]action{}
			for _, a := range s.actions {
				if a.verb == "Inst" {
					byName[a.name] = a
				}
				if a.verb == "Inst" && a.old != "" {
					upgrades++
				}
			}
			if upgrades != tc.upgrades {
				t.Errorf("%d upgrades, want %d as apt counts them", upgrades, tc.upgrades)
			}
			for _, want := range []action{
				tc.one,
				{verb: "Inst", name: "good", old: "1.0", version: "1.1", arch: "all", origins: lab},
				{verb: "Inst", name: "newdep", version: "1", arch: "all", origins: lab},
			} {
				if diff := cmp.Diff(want, byName[want.name], cmp.AllowUnexported(action{}, origin{})); diff != "" {
					t.Error(diff)
				}
			}
			if removed := s.removed(); !slices.Equal(removed, []string{"victim"}) {
				t.Errorf("removed %v, want victim", removed)
			}
		})
	}
}

func TestPolicyTranscripts(t *testing.T) {
	for _, dir := range recorded {
		t.Run(dir, func(t *testing.T) {
			table := policyTable{native: "amd64", status: "/var/lib/dpkg/status", found: map[dpkg.Key]choice{}}
			for line := range bytes.Lines(transcript(t, dir, "policy.stdout")) {
				if err := table.line(bytes.TrimRight(line, "\n")); err != nil {
					t.Fatal(err)
				}
			}
			table.end()
			phased := table.found["phased"]
			if to, ok := phased.target("1.0"); !ok || to.version != "1.1" || !to.phased || !slices.Equal(to.places, []string{"copy:/srv/repo ./ Packages"}) {
				t.Errorf("phased would go to %+v", to)
			}
			held := table.found["held"]
			if held.installed != "1.0" || held.available() != "1.1" || !held.offers("1.0") || held.offers("0.9") {
				t.Errorf("held is %+v", held)
			}
			libc := table.found["libc6"]
			if libc.installed == "" || libc.candidate == "" || !libc.offers(libc.candidate) {
				t.Errorf("libc6 is %+v", libc)
			}
			if len(table.found) != 4 {
				t.Errorf("%d packages, want 4: an unknown one is left out", len(table.found))
			}
		})
	}
}

func TestPlacesTranscripts(t *testing.T) {
	for _, dir := range recorded {
		found := map[string]origin{}
		place := ""
		for line := range bytes.Lines(transcript(t, dir, "policy-places.stdout")) {
			place = placeLine(line, place, found)
		}
		if got, want := found["copy:/srv/repo ./ Packages"], (origin{"Fleet (Lab), odd: text", "lab"}); got != want {
			t.Errorf("%s: the local repository is %+v, want %+v", dir, got, want)
		}
		suite, _, _ := strings.Cut(dir, "-")
		if got := found["http://deb.debian.org/debian-security "+suite+"-security/main amd64 Packages"]; !got.security() || got.label != "Debian-Security" {
			t.Errorf("%s: Debian's security repository is %+v", dir, got)
		}
	}
}

func TestErrorTranscripts(t *testing.T) {
	for _, dir := range recorded {
		errs, err := readErrors(filepath.Join("testdata", dir, "install-bad.status-fd"))
		want := []packageError{{"bad", "installed bad package post-installation script subprocess returned error exit status 1"}}
		if err != nil || !slices.Equal(errs, want) {
			t.Errorf("%s: %v %+v, want %+v", dir, err, errs, want)
		}
		if got := errorLines(string(transcript(t, dir, "install-gone.stderr"))); !slices.Equal(got, []string{"Version '9' for 'good' was not found"}) {
			t.Errorf("%s: vanished version says %q", dir, got)
		}
		if got := errorLines(string(transcript(t, dir, "update-down.stderr"))); len(got) != 2 || !strings.HasPrefix(got[0], "Failed to fetch copy:/srv/repo/") {
			t.Errorf("%s: update says %q", dir, got)
		}
	}
	s := simulated(t, transcript(t, "trixie-apt3.0.3", "install-unmet.stdout"))
	if got, want := s.problem(), "unmet : Depends: nowhere (>= 2) but it is not installable"; got != want {
		t.Errorf("unmet says %q, want %q", got, want)
	}
	got := errorLines(string(transcript(t, "trixie-apt3.0.3", "install-unmet.stderr")))
	if len(got) != 2 || !strings.Contains(got[1], "1. unmet:amd64=1.1 is selected as an upgrade 2. unmet") {
		t.Errorf("the new solver says %q", got)
	}
}

func TestParseErrorFindsThePackage(t *testing.T) {
	for line, want := range map[string]packageError{
		"pmerror:libc6:amd64:12.5000:text: with colons":                                   {"libc6:amd64", "text: with colons"},
		"pmerror:/var/cache/apt/archives/worse_1%3a1.1_all.deb:20.0000:new worse package": {"worse", "new worse package"},
	} {
		if got, ok := parseError(line); !ok || got != want {
			t.Errorf("%q is %+v, want %+v", line, got, want)
		}
	}
	for _, line := range []string{"", "pmerror:", "pmstatus:a:1.0:b", "pmerror:a:b:c"} {
		if got, ok := parseError(line); ok {
			t.Errorf("%q is taken for %+v", line, got)
		}
	}
}

func TestParseActionRefusesWhatIsNoPlan(t *testing.T) {
	for _, line := range []string{"", "Inst", "Inst ", "Inst a", "Inst a [1", "Inst a (", "Inst a ()", "Installing a (1)", " Inst a (1 x [all])"} {
		if a, ok := parseAction(line); ok {
			t.Errorf("%q is taken for %+v", line, a)
		}
	}
}

func TestParseOrigins(t *testing.T) {
	for text, want := range map[string][]origin{
		"Debian:6.0.6/stable, Debian-Security:6.0/stable": {{"Debian", "stable"}, {"Debian-Security", "stable"}},
		"FleetLab:lab, local-deb":                         {{"FleetLab", "lab"}, {"", "local-deb"}},
		". nodistro:nodistro":                             {{". nodistro", "nodistro"}},
		"packages.example.test, Debian:12.15/oldstable":   {{"", "packages.example.test"}, {"Debian", "oldstable"}},
		"UbuntuESMApps:22.04/jammy-apps-security":         {{"UbuntuESMApps", "jammy-apps-security"}},
		"Fleet, Lab:1/lab-security, Ubuntu:24.04/noble":   {{"Fleet, Lab", "lab-security"}, {"Ubuntu", "noble"}},
		"": nil,
	} {
		if got := parseOrigins(text); !slices.Equal(got, want) {
			t.Errorf("%q is %+v, want %+v", text, got, want)
		}
	}
}

func TestClassAndSuite(t *testing.T) {
	r := repositories{families: []string{"ubuntu", "debian"}, codenames: map[origin]string{
		{"Debian-Security", "oldstable-security"}: "bookworm-security", {"Ubuntu", "noble-security"}: "noble"}}
	for _, tc := range []struct {
		origins []origin
		class   patch.Class
		suite   string
	}{
		{[]origin{{"Debian", "oldstable"}, {"Debian-Security", "oldstable-security"}}, patch.Security, "bookworm-security"},
		{[]origin{{"Ubuntu", "noble-security"}}, patch.Security, "noble-security"},
		{[]origin{{"Ubuntu", "noble-updates"}}, patch.Quality, "noble-updates"},
		{[]origin{{"Debian Backports", "stable-backports"}}, patch.Quality, "stable-backports"},
		{[]origin{{"Docker CE", "bookworm"}}, patch.ThirdParty, "bookworm"},
		{nil, patch.Unknown, ""},
	} {
		if got := r.class(tc.origins); got != tc.class {
			t.Errorf("%v is %s, want %s", tc.origins, got, tc.class)
		}
		if got := r.suite(mainOrigin(tc.origins)); got != tc.suite {
			t.Errorf("%v is of suite %q, want %q", tc.origins, got, tc.suite)
		}
	}
}

func FuzzPlanLine(f *testing.F) {
	for _, dir := range recorded {
		for line := range bytes.Lines(transcript(f, dir, "dist-upgrade.stdout")) {
			f.Add(string(line))
		}
	}
	f.Fuzz(func(t *testing.T, line string) {
		a, ok := parseAction(line)
		if !ok {
			return
		}
		if a.name == "" || !a.removes() && a.version == "" {
			t.Errorf("%q is %+v: a name and a version are certain", line, a)
		}
		if strings.ContainsAny(a.name+a.version, " \n") && !strings.Contains(line, "\n") {
			t.Errorf("%q is %+v: neither holds a blank", line, a)
		}
	})
}
