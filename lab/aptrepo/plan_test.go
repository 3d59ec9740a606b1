package aptrepo

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFirstPlanKeepsLaterVersionsBack(t *testing.T) {
	p := FirstPlan()
	for id, want := range map[ID]bool{
		{"lab-good", "1.0"}: true, {"lab-good", "1.1"}: true, {"lab-good", "1.2"}: false,
		{"lab-vanish", "1.1"}: true, {"lab-vanish", "1.2"}: false, {"lab-newdep", "1.0"}: true,
	} {
		if p.Has(id) != want {
			t.Errorf("first plan publishes %s = %v, want %v", id, !want, want)
		}
	}
}

func TestSupersedeReplacesAndLeavesTheRest(t *testing.T) {
	before := FirstPlan()
	after, err := before.Supersede("lab-vanish", "1.1", "1.2")
	if err != nil {
		t.Fatal(err)
	}
	if after.Has(ID{"lab-vanish", "1.1"}) || !after.Has(ID{"lab-vanish", "1.2"}) || !after.Has(ID{"lab-vanish", "1.0"}) {
		t.Errorf("after supersede: %v", after.Published)
	}
	if len(after.Published) != len(before.Published) {
		t.Errorf("supersede changed other packages: %s", cmp.Diff(before, after))
	}
	if !before.Has(ID{"lab-vanish", "1.1"}) {
		t.Error("supersede changed the plan it was given")
	}
}

func TestEditsRefuseWhatIsNotSo(t *testing.T) {
	p := FirstPlan()
	for name, edit := range map[string]func() (Plan, error){
		"unknown package":   func() (Plan, error) { return p.Add(ID{"lab-nothing", "1.0"}) },
		"unknown version":   func() (Plan, error) { return p.Add(ID{"lab-good", "9"}) },
		"published twice":   func() (Plan, error) { return p.Add(ID{"lab-good", "1.1"}) },
		"drop of absent":    func() (Plan, error) { return p.Drop(ID{"lab-good", "1.2"}) },
		"supersede of none": func() (Plan, error) { return p.Supersede("lab-good", "1.2", "1.1") },
	} {
		if got, err := edit(); err == nil {
			t.Errorf("%s: accepted", name)
		} else if diff := cmp.Diff(p, got); diff != "" {
			t.Errorf("%s: the plan changed: %s", name, diff)
		}
	}
}

func TestInSuiteSplitsByVersion(t *testing.T) {
	base, err := FirstPlan().InSuite(SuiteBase)
	if err != nil {
		t.Fatal(err)
	}
	security, err := FirstPlan().InSuite(SuiteSecurity)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(base, ID{"lab-svc", "1.0"}) || slices.Contains(base, ID{"lab-svc", "1.1"}) {
		t.Errorf("suite %s: %v", SuiteBase, base)
	}
	if !slices.Contains(security, ID{"lab-svc", "1.1"}) || slices.Contains(security, ID{"lab-svc", "1.0"}) {
		t.Errorf("suite %s: %v", SuiteSecurity, security)
	}
	if len(base)+len(security) != len(FirstPlan().Published) {
		t.Errorf("%d + %d versions, want %d", len(base), len(security), len(FirstPlan().Published))
	}
}

func TestStartingBringsCompanions(t *testing.T) {
	got, err := Starting([]string{"lab-svc", "lab-conflict", "lab-svc"})
	if err != nil {
		t.Fatal(err)
	}
	want := []ID{{"lab-conflict", "1.0"}, {"lab-svc", "1.0"}, {"lab-victim", "1.0"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("starting packages (-want +got):\n%s", diff)
	}
	if _, err := Starting([]string{"nginx"}); err == nil {
		t.Error("a package that is not the lab's was accepted")
	}
}

func TestEveryCaseIsConsistent(t *testing.T) {
	for _, c := range Cases() {
		if c.About == "" || len(c.Versions) == 0 {
			t.Errorf("%s: no words or no versions", c.Package)
		}
		for _, other := range c.With {
			if _, err := Find(other); err != nil {
				t.Errorf("%s: %v", c.Package, err)
			}
		}
		for _, v := range c.Versions {
			if v.Suite != SuiteBase && v.Suite != SuiteSecurity {
				t.Errorf("%s %s: no suite publishes %q", c.Package, v.Number, v.Suite)
			}
		}
	}
}

func TestControlNamesRelations(t *testing.T) {
	c, err := Find("lab-conflict")
	if err != nil {
		t.Fatal(err)
	}
	text := control(c, c.Versions[1])
	for _, line := range []string{"Package: lab-conflict\n", "Version: 1.1\n", "Conflicts: lab-victim\n", "Architecture: all\n"} {
		if !strings.Contains(text, line) {
			t.Errorf("control lacks %q:\n%s", line, text)
		}
	}
	if strings.Contains(text, "Depends") {
		t.Errorf("control has an empty relation:\n%s", text)
	}
}

func TestFingerprintFollowsContent(t *testing.T) {
	cases := Cases()
	before := fingerprint(cases)
	if before != fingerprint(Cases()) {
		t.Error("fingerprint differs for the same cases")
	}
	cases[0].Versions[0].Files = append(cases[0].Versions[0].Files, File{"/etc/x", 0o644, "x"})
	if before == fingerprint(cases) {
		t.Error("fingerprint did not follow a changed package")
	}
}
