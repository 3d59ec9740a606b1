package procedure_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
	"patchring/internal/core/procedure"
)

const gateOfR0 = "    gate: {evidence: {min_devices: 2}}\n"

func tested(t *testing.T, tests string) string {
	t.Helper()
	return with(t, gateOfR0, "    gate:\n      evidence: {min_devices: 2}\n      tests:\n"+tests)
}

func TestTestsOfAGate(t *testing.T) {
	p := parse(t, tested(t, `        - name: office
          title: {fr: Bureautique, en: Office}
          department: finance
          assigned: business
          severity: major
          items: {fr: [Imprimer, Enregistrer], en: [Print, Save]}
        - {name: net, title: Net, group: kiosks, automatic: {probe: intranet}}
`))
	want := []procedure.TestRule{
		{Name: "office", Title: manifest.Text{FR: "Bureautique", EN: "Office"}, Department: "finance", Assigned: "business", Severity: procedure.Major,
			Items: []manifest.Text{{FR: "Imprimer", EN: "Print"}, {FR: "Enregistrer", EN: "Save"}}},
		{Name: "net", Title: manifest.Text{FR: "Net", EN: "Net"}, Group: "kiosks", Probe: "intranet"},
	}
	got := p.Rings[0].Gate.Tests
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got[0].Width() != 2 || got[1].Width() != 1 {
		t.Errorf("widths %d and %d", got[0].Width(), got[1].Width())
	}
	fin := fleet.Member{Tags: fleet.Tags{"department": "finance"}}
	if !got[0].About().Selects(fin) || got[0].About().Selects(fleet.Member{}) || got[1].About().Selects(fin) {
		t.Error("a test is about its department or its group, and nobody else")
	}
	if p.OnFeedback != procedure.FeedbackNone || parse(t, short+"on_feedback: incident\n").OnFeedback != procedure.FeedbackIncident {
		t.Error("on_feedback is none unless the file says another thing")
	}
}

func TestRefusedTests(t *testing.T) {
	for tests, want := range map[string]string{
		"        - {name: a, title: A}\n":                                                                                    "tests nothing; list items to tick",
		"        - {name: a, title: A, items: []}\n":                                                                         "tests[0].items: is empty",
		"        - {name: a, title: A, items: [x]}\n":                                                                        "is assigned to nobody",
		"        - {name: a, title: A, items: [x], assigned: it, automatic: {probe: p}}\n":                                   "stands beside automatic",
		"        - {name: a, title: A, automatic: {probe: p}, assigned: it}\n":                                               "what a probe says, nobody ticks",
		"        - {name: a, title: A, items: [x], assigned: it, department: d, group: g}\n":                                 "stands beside department",
		"        - {name: a, title: A, items: [x], assigned: it, severity: bad}\n":                                           `"bad" is not known here`,
		"        - {name: a, title: A, automatic: {}}\n":                                                                     "automatic.probe: is missing",
		"        - {name: a, title: A, items: [x], assigned: it}\n        - {name: a, title: A, items: [x], assigned: it}\n": "test a is already on line",
	} {
		_, err := procedure.Parse("p.yaml", []byte(tested(t, tests)))
		var problems *manifest.Error
		if !errors.As(err, &problems) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", tests, err, want)
		}
	}
	if _, err := procedure.Parse("p.yaml", []byte(short+"on_feedback: mail\n")); err == nil || !strings.Contains(err.Error(), "on_feedback") {
		t.Errorf("on_feedback: mail: %v", err)
	}
}

func TestHowManyIncidentsAGateAllows(t *testing.T) {
	g := parse(t, with(t, "{min_devices: 2}", "{min_devices: 2, max_incidents: {major: 1, minor: 3}}")).Rings[0].Gate
	if diff := cmp.Diff(map[procedure.Severity]int{procedure.Major: 1, procedure.Minor: 3}, g.Incidents); diff != "" {
		t.Error(diff)
	}
	if most, limited := g.MaxIncidents(procedure.Critical); most != 0 || !limited {
		t.Errorf("critical, left out: %d, %t; want none", most, limited)
	}
	if _, limited := (procedure.Gate{}).MaxIncidents(procedure.Minor); limited {
		t.Error("minor ones, left out, have a limit")
	}
	for value, want := range map[string]string{"{major: -1}": "out of range", "{majr: 1}": "did you mean major", "3": "wants fields"} {
		if _, err := procedure.Parse("p.yaml", []byte(with(t, "{min_devices: 2}", "{max_incidents: "+value+"}"))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("max_incidents: %s: %v", value, err)
		}
	}
}

func TestTheExampleWithTests(t *testing.T) {
	p := example(t, "postes-metiers.yaml")
	if p.OnFeedback != procedure.FeedbackIncident || len(p.Warnings) != 0 || p.Rings[0].Gate.Incidents[procedure.Minor] != 5 {
		t.Errorf("got feedback %q, incidents %v, warnings %v", p.OnFeedback, p.Rings[0].Gate.Incidents, p.Warnings)
	}
	r1 := p.Rings[1].Gate.Tests
	if len(r1) != 2 || r1[0].Department != "finance" || r1[0].Severity != procedure.Major || r1[1].Group != "caisses" || len(p.Rings[0].Gate.Tests[0].Items) != 2 {
		t.Errorf("R1 tests %+v", r1)
	}
}
