package console

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/register"
	"patchring/internal/face/console/stories"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/store/storetest"
	"patchring/internal/service/rulebook"
	"patchring/wire"
)

const firstPolicy = `policy: parc
title: {fr: Parc, en: Fleet}
owner: Exploitation
timezone: Europe/Paris
rules:
  - {name: securite, patches: 'patch.class == "security"', verdict: approve}
`

// ruled is a world with a rulebook over two devices that lack openssl.
func ruled(t *testing.T) (*world, *rulebook.Rulebook) {
	t.Helper()
	db := storetest.SQLite(t)
	key := patch.Key{Provider: "apt", Name: "openssl", Version: "3.0.17", Suite: "bookworm-security"}
	seen := stories.Now.Add(-48 * time.Hour).UnixMicro()
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.PutPatch(t.Context(), gen.PutPatchParams{Tenant: "main", ID: string(key.ID()), Provider: key.Provider, Name: key.Name, Version: key.Version,
			Suite: key.Suite, Class: string(patch.Security), FirstSeenUs: seen})
		for id, kind := range map[string]fleet.Kind{"pc-1": fleet.Workstation, "srv-1": fleet.Server} {
			err = errors.Join(err,
				tx.AddDevice(t.Context(), gen.AddDeviceParams{Tenant: "main", ID: id, Name: id, Kind: string(kind), EnrolledUs: 1, SeenUs: 1}),
				tx.PutMissing(t.Context(), gen.PutMissingParams{Tenant: "main", Device: id, Patch: string(key.ID()), State: wire.PatchOffered, Packages: "[]", SinceUs: seen, ExposedUs: seen}))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	rules := rulebook.New(rulebook.Options{DB: db, Clock: func() time.Time { return stories.Now }, Changed: func() {}})
	return worldWith(t, rules), rules
}

var hiddenValue = regexp.MustCompile(`name="(seen|base)" value="([^"]*)"`)

// confirmation are the fields by which an answer asks for a yes.
func confirmation(a answer) []string {
	var out []string
	for _, m := range hiddenValue.FindAllStringSubmatch(a.body, -1) {
		out = append(out, m[1], m[2])
	}
	return out
}

func inForce(t *testing.T, r *rulebook.Rulebook) []rulebook.PolicyVersion {
	t.Helper()
	list, err := r.List(t.Context(), "main")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestAPolicyIsPutInForceOnceItsConsequencesWereSeen(t *testing.T) {
	w, rules := ruled(t)
	v := w.as(t, "exploitation")
	if got := v.get("/policy"); got.status != http.StatusOK || !strings.Contains(got.body, "No policy is in force") {
		t.Fatalf("no policy: status %d", got.status)
	}
	if got := v.get("/policy/edit"); !strings.Contains(got.body, "policy: fleet") {
		t.Error("the editor begins with nothing")
	}
	// A browser's line ends.
	text := strings.ReplaceAll(firstPolicy, "\n", "\r\n")
	asked := v.post("/policy/edit", "text", text, "do", "apply")
	yes := confirmation(asked)
	if asked.status != http.StatusOK || len(yes) != 4 || !strings.Contains(asked.body, "rule “securite” of the policy") {
		t.Fatalf("asked: status %d, %q", asked.status, yes)
	}
	if list := inForce(t, rules); len(list) != 0 {
		t.Fatalf("it is in force before anybody said yes: %+v", list)
	}
	// Another text than the one that was shown is shown first.
	if got := v.post("/policy/edit", append([]string{"text", text + "# more\r\n", "do", "confirm"}, yes...)...); got.status != http.StatusOK || len(confirmation(got)) != 4 {
		t.Errorf("another text: status %d", got.status)
	}
	if got := v.post("/policy/edit", append([]string{"text", text, "do", "confirm"}, yes...)...); got.status != http.StatusSeeOther || got.header.Get("Location") != "/policy" {
		t.Fatalf("confirmed: status %d", got.status)
	}
	list := inForce(t, rules)
	if len(list) != 1 || list[0].By != "user:exploitation" {
		t.Fatalf("versions %+v", list)
	}
	if shown, err := rules.Show(t.Context(), "main", 0); err != nil || shown.Body != firstPolicy {
		t.Errorf("kept %q, %v", shown.Body, err)
	}
	if got := v.get("/policy"); !strings.Contains(got.body, "parc, version 1: in force") || !strings.Contains(got.body, "<b>securite</b>") {
		t.Error("the page tells neither that it was done nor the rule")
	}
}

func TestAYesDoesNotHoldAgainstAnotherVersion(t *testing.T) {
	w, rules := ruled(t)
	v := w.as(t, "exploitation")
	yes := confirmation(v.post("/policy/edit", "text", firstPolicy, "do", "apply"))
	other := strings.Replace(firstPolicy, "policy: parc", "policy: autre", 1)
	if _, err := rules.Apply(t.Context(), "main", register.User("claire"), "autre.yaml", []byte(other)); err != nil {
		t.Fatal(err)
	}
	if got := v.post("/policy/edit", append([]string{"text", firstPolicy, "do", "confirm"}, yes...)...); got.status != http.StatusOK || len(confirmation(got)) != 4 {
		t.Errorf("status %d, want the difference with the new version", got.status)
	}
	if list := inForce(t, rules); len(list) != 1 || list[0].Name != "autre" {
		t.Errorf("versions %+v, want claire's alone", list)
	}
}

func TestProblemsOfAPolicyHaveTheirLines(t *testing.T) {
	w, rules := ruled(t)
	v := w.as(t, "exploitation")
	for _, do := range []string{"check", "diff", "apply"} {
		got := v.post("/policy/edit", "text", firstPolicy+"colour: red\n", "do", do)
		if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, `data-line="7"`) || !strings.Contains(got.body, "colour") {
			t.Errorf("%s: status %d", do, got.status)
		}
		if !strings.Contains(got.body, "colour: red\n</textarea>") {
			t.Errorf("%s: the text is lost", do)
		}
	}
	if got := v.post("/policy/edit", "text", firstPolicy, "do", "dance"); got.status != http.StatusBadRequest {
		t.Errorf("an unknown button: status %d", got.status)
	}
	if list := inForce(t, rules); len(list) != 0 {
		t.Errorf("versions %+v", list)
	}
}

func TestWhoOnlyLooksMayWeighAPolicy(t *testing.T) {
	w, rules := ruled(t)
	v := w.as(t, "audit")
	if got := v.get("/policy/edit"); strings.Contains(got.body, `value="apply"`) {
		t.Error("who only looks is offered to put it in force")
	}
	if got := v.post("/policy/edit", "text", firstPolicy, "do", "check"); got.status != http.StatusOK || !strings.Contains(got.body, "No problem found") {
		t.Errorf("check: status %d", got.status)
	}
	if got := v.post("/policy/edit", "text", firstPolicy, "do", "diff"); got.status != http.StatusOK || !strings.Contains(got.body, "2 of 2 devices would see a change") {
		t.Errorf("diff: status %d", got.status)
	}
	for _, do := range []string{"apply", "confirm"} {
		if got := v.post("/policy/edit", "text", firstPolicy, "do", do); got.status != http.StatusForbidden {
			t.Errorf("%s: status %d, want 403", do, got.status)
		}
	}
	if list := inForce(t, rules); len(list) != 0 {
		t.Errorf("versions %+v", list)
	}
}

func TestALargePolicyPassesTheForm(t *testing.T) {
	w, _ := ruled(t)
	long := firstPolicy + strings.Repeat("# "+strings.Repeat("é", 60)+"\n", 4000)
	if encoded := len(url.QueryEscape(long)); encoded < maxForm {
		t.Fatalf("%d bytes, want more than other forms take", encoded)
	}
	if got := w.as(t, "audit").post("/policy/edit", "text", long, "do", "check"); got.status != http.StatusOK {
		t.Errorf("status %d", got.status)
	}
}
