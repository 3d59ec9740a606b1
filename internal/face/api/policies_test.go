package api_test

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/policy"
	"patchring/internal/face/api"
	"patchring/internal/service/rulebook"
)

func TestAPolicyIsCheckedWeighedAndApplied(t *testing.T) {
	s := newSite(t)
	text, err := os.ReadFile("../../../examples/policies/parc-france.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s.device("d1", "pc-1")
	file := api.PolicyFile{File: "parc-france.yaml", Text: string(text)}
	s.wantProblem("no policy yet", s.get("/policies/0"), http.StatusNotFound, fault.NotFound)
	if checked := decode[rulebook.Checked](t, s.post("/policies/check", file)); checked.Name != "parc-france" || len(checked.Warnings) != 0 {
		t.Errorf("checked %+v", checked)
	}
	diff := decode[rulebook.Diff](t, s.post("/policies/diff", file))
	if diff.Devices != 1 || diff.Changed != 1 || len(diff.Settings) != 1 || diff.Settings[0].After[0] != "postes" {
		t.Errorf("diff %+v", diff)
	}
	if list := decode[[]rulebook.PolicyVersion](t, s.get("/policies")); len(list) != 0 || s.decided != 0 {
		t.Errorf("a dry run left %+v, and campaigns decided %d times", list, s.decided)
	}
	applied := decode[rulebook.AppliedPolicy](t, s.post("/policies", file))
	if applied.Version != 1 || applied.Unchanged || s.decided != 1 {
		t.Errorf("applied %+v, campaigns decided %d times", applied, s.decided)
	}
	shown := decode[rulebook.PolicyVersion](t, s.get("/policies/0"))
	if shown.Version != 1 || shown.Body != string(text) || shown.By != "user:admin" {
		t.Errorf("shown version %d by %s", shown.Version, shown.By)
	}
	standing := decode[rulebook.Standing](t, s.get("/devices/pc-1/policy"))
	if len(standing.Profiles) != 1 || standing.Profiles[0].Title.FR != "Postes de travail" || len(standing.Windows) != 2 || standing.Windows[0].Start.IsZero() {
		t.Errorf("the device's standing is %+v", standing)
	}
}

func TestAPolicyWithProblemsIsRefusedWithAllOfThem(t *testing.T) {
	s := newSite(t)
	file := api.PolicyFile{File: "bad.yaml", Text: "policy: bad\ncolour: red\nrules:\n  - {name: one, verdict: perhaps}\n"}
	for _, path := range []string{"/policies", "/policies/check", "/policies/diff"} {
		p := s.wantProblem(path, s.post(path, file), http.StatusUnprocessableEntity, fault.InvalidField)
		var lines []string
		for _, one := range p.Problems {
			lines = append(lines, one.String())
		}
		if all := strings.Join(lines, "\n"); !strings.Contains(all, "2:1: colour") || !strings.Contains(all, "4:26: rules[0].verdict") {
			t.Errorf("%s: problems %s", path, all)
		}
	}
}

func TestOnlyOperatorsApplyAPolicy(t *testing.T) {
	s := newSite(t)
	guest := s.tokenOf("guest-1", "auditor")
	file := api.PolicyFile{File: "p.yaml", Text: "policy: p\ntitle: P\nowner: us\ntimezone: Europe/Paris\n"}
	post := func(path, token string) answer { return s.do(http.MethodPost, api.Prefix+path, token, file) }
	s.wantProblem("apply", post("/policies", guest), http.StatusForbidden, fault.Forbidden)
	for _, path := range []string{"/policies/check", "/policies/diff"} {
		if a := post(path, guest); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := post("/policies", s.tokenOf("night-1", "operator")); a.status != http.StatusOK {
		t.Errorf("an operator: %d %s", a.status, a.body)
	}
}

// An operator freezes the tenant's own devices; what is for all tenants is for an
// administrator, and every account sees it.
func TestWhatIsForAllTenantsIsForAnAdministrator(t *testing.T) {
	s := newSite(t)
	night := s.tokenOf("night-1", "operator")
	post := func(path string, body any) answer { return s.do(http.MethodPost, api.Prefix+path, night, body) }
	file := api.PolicyFile{File: "p.yaml", Text: "policy: p\ntitle: P\nowner: us\ntimezone: Europe/Paris\n"}
	freeze := api.PlaceFreeze{Name: "storm", To: s.now.AddDate(0, 0, 2).Format(time.DateOnly), Reason: "storm", AllTenants: true}
	s.wantProblem("a policy for all", post("/all-tenants/policies", file), http.StatusForbidden, fault.Forbidden)
	s.wantProblem("a freeze for all", post("/freezes", freeze), http.StatusForbidden, fault.Forbidden)
	freeze.AllTenants = false
	if a := post("/freezes", freeze); a.status != http.StatusCreated {
		t.Errorf("a freeze of the tenant: %d %s", a.status, a.body)
	}
	s.wantProblem("ended for all", post("/freezes/storm/end", api.EndFreeze{Reason: "over", AllTenants: true}), http.StatusForbidden, fault.Forbidden)
	if a := post("/freezes/storm/end", api.EndFreeze{Reason: "over"}); a.status != http.StatusNoContent {
		t.Errorf("ended: %d %s", a.status, a.body)
	}
	if applied := decode[rulebook.AppliedPolicy](t, s.post("/all-tenants/policies", file)); applied.Version != 1 {
		t.Errorf("applied %+v", applied)
	}
	a := s.do(http.MethodGet, api.Prefix+"/all-tenants/policies/0", night, nil)
	if shown := decode[rulebook.PolicyVersion](t, a); shown.By != "user:admin" || shown.Body != file.Text {
		t.Errorf("shown to an operator: %+v", shown)
	}
}

func TestFieldsAreThoseOfTheLanguage(t *testing.T) {
	got := decode[api.PolicyFields](t, newSite(t).get("/policies/fields"))
	if len(got.Devices) != len(policy.DeviceFields()) || len(got.Patches) != len(policy.PatchFields()) || got.Devices[0] != policy.DeviceFields()[0] {
		t.Errorf("%d and %d fields, beginning with %+v", len(got.Devices), len(got.Patches), got.Devices[0])
	}
}
