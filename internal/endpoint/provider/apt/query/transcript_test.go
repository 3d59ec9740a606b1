package query

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/endpoint/provider/apt/dpkg"
)

var recorded = []string{"bullseye-apt2.2.4", "bookworm-apt2.6.1", "trixie-apt3.0.3"}

// transcript is what a tool printed; a missing file means it printed nothing.
func transcript(t testing.TB, dir, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../testdata", dir, name))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return text
}

func simulated(t testing.TB, text []byte) Simulation {
	t.Helper()
	var s Simulation
	for line := range bytes.Lines(text) {
		if err := s.line(bytes.TrimRight(line, "\n")); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestDistUpgradeTranscripts(t *testing.T) {
	lab := []Origin{{"Fleet (Lab), odd: text", "lab"}}
	for _, tc := range []struct {
		dir              string
		keptBack, phased []string
		upgrades         int
		one              Action
	}{
		// apt 2.2 honours phasing only in `upgrade`: phased is in the plan.
		{"bullseye-apt2.2.4", []string{"held"}, nil, 32, Action{
			Verb: "Inst", Name: "libpam-modules-bin", Old: "1.4.0-9+deb11u1", Version: "1.4.0-9+deb11u2", Arch: "amd64",
			Origins: []Origin{{"Debian-Security", "oldoldstable-security"}}}},
		{"bookworm-apt2.6.1", []string{"held", "phased"}, nil, 10, Action{
			Verb: "Inst", Name: "tzdata", Old: "2026b-0+deb12u1", Version: "2026f-0+deb12u1", Arch: "all",
			Origins: []Origin{{"Debian-Security", "oldstable-security"}}}},
		{"trixie-apt3.0.3", []string{"held"}, []string{"phased"}, 11, Action{
			Verb: "Inst", Name: "zlib1g", Old: "1:1.3.dfsg+really1.3.1-1+b1", Version: "1:1.3.dfsg+really1.3.1-1+deb13u1", Arch: "amd64",
			Origins: []Origin{{"Debian-Security", "stable-security"}}}},
	} {
		t.Run(tc.dir, func(t *testing.T) {
			s := simulated(t, transcript(t, tc.dir, "dist-upgrade.stdout"))
			if !slices.Equal(s.KeptBack, tc.keptBack) || !slices.Equal(s.Phased, tc.phased) {
				t.Errorf("kept back %v, phased %v; want %v, %v", s.KeptBack, s.Phased, tc.keptBack, tc.phased)
			}
			upgrades, byName := 0, map[string]Action{}
			for _, a := range s.Actions {
				if a.Verb == "Inst" {
					byName[a.Name] = a
				}
				if a.Verb == "Inst" && a.Old != "" {
					upgrades++
				}
			}
			if upgrades != tc.upgrades {
				t.Errorf("%d upgrades, want %d as apt counts them", upgrades, tc.upgrades)
			}
			for _, want := range []Action{
				tc.one,
				{Verb: "Inst", Name: "good", Old: "1.0", Version: "1.1", Arch: "all", Origins: lab},
				{Verb: "Inst", Name: "newdep", Version: "1", Arch: "all", Origins: lab},
			} {
				if diff := cmp.Diff(want, byName[want.Name]); diff != "" {
					t.Error(diff)
				}
			}
			if removed := s.Removed(); !slices.Equal(removed, []string{"victim"}) {
				t.Errorf("removed %v, want victim", removed)
			}
		})
	}
}

func TestPolicyTranscripts(t *testing.T) {
	for _, dir := range recorded {
		t.Run(dir, func(t *testing.T) {
			table := policyTable{native: "amd64", status: "/var/lib/dpkg/status", found: map[dpkg.Key]Choice{}}
			for line := range bytes.Lines(transcript(t, dir, "policy.stdout")) {
				if err := table.line(bytes.TrimRight(line, "\n")); err != nil {
					t.Fatal(err)
				}
			}
			table.end()
			phased := table.found["phased"]
			if to, ok := phased.Target("1.0"); !ok || to.Version != "1.1" || !to.Phased || !slices.Equal(to.Places, []string{"copy:/srv/repo ./ Packages"}) {
				t.Errorf("phased would go to %+v", to)
			}
			held := table.found["held"]
			if held.Installed != "1.0" || held.Available() != "1.1" || !held.Offers("1.0") || held.Offers("0.9") {
				t.Errorf("held is %+v", held)
			}
			libc := table.found["libc6"]
			if libc.Installed == "" || libc.Candidate == "" || !libc.Offers(libc.Candidate) {
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
		found := map[string]Origin{}
		place := ""
		for line := range bytes.Lines(transcript(t, dir, "policy-places.stdout")) {
			place = placeLine(line, place, found)
		}
		if got, want := found["copy:/srv/repo ./ Packages"], (Origin{"Fleet (Lab), odd: text", "lab"}); got != want {
			t.Errorf("%s: the local repository is %+v, want %+v", dir, got, want)
		}
		suite, _, _ := strings.Cut(dir, "-")
		if got := found["http://deb.debian.org/debian-security "+suite+"-security/main amd64 Packages"]; !got.Security() || got.Label != "Debian-Security" {
			t.Errorf("%s: Debian's security repository is %+v", dir, got)
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
	for text, want := range map[string][]Origin{
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
		if a.Name == "" || !a.Removes() && a.Version == "" {
			t.Errorf("%q is %+v: a name and a version are certain", line, a)
		}
		if strings.ContainsAny(a.Name+a.Version, " \n") && !strings.Contains(line, "\n") {
			t.Errorf("%q is %+v: neither holds a blank", line, a)
		}
	})
}

func TestErrorTranscripts(t *testing.T) {
	for _, dir := range recorded {
		if got := ErrorLines(string(transcript(t, dir, "install-gone.stderr"))); !slices.Equal(got, []string{"Version '9' for 'good' was not found"}) {
			t.Errorf("%s: vanished version says %q", dir, got)
		}
		if got := ErrorLines(string(transcript(t, dir, "update-down.stderr"))); len(got) != 2 || !strings.HasPrefix(got[0], "Failed to fetch copy:/srv/repo/") {
			t.Errorf("%s: update says %q", dir, got)
		}
	}
	s := simulated(t, transcript(t, "trixie-apt3.0.3", "install-unmet.stdout"))
	if got, want := s.Problem(), "unmet : Depends: nowhere (>= 2) but it is not installable"; got != want {
		t.Errorf("unmet says %q, want %q", got, want)
	}
	got := ErrorLines(string(transcript(t, "trixie-apt3.0.3", "install-unmet.stderr")))
	if len(got) != 2 || !strings.Contains(got[1], "1. unmet:amd64=1.1 is selected as an upgrade 2. unmet") {
		t.Errorf("the new solver says %q", got)
	}
}
