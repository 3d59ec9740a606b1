package console

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/policy"
	"patchring/internal/face/console/assets"
	"patchring/internal/face/console/stories"
)

func TestAStrangerIsSentToTheDoorAndComesBack(t *testing.T) {
	w := newWorld(t)
	v := w.visitor(t)
	got := v.get("/devices?name=rh")
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/login?back=%2Fdevices%3Fname%3Drh" {
		t.Fatalf("status %d to %q, want the door", got.status, got.header.Get("Location"))
	}
	got = v.post("/login", "name", "exploitation", "password", "wrong", "back", "/devices?name=rh")
	if got.status != http.StatusUnauthorized || !strings.Contains(got.body, "The name or the password is wrong") {
		t.Fatalf("status %d, want 401 and why", got.status)
	}
	got = v.post("/login", "name", "exploitation", "password", "secret", "back", "/devices?name=rh")
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/devices?name=rh" {
		t.Fatalf("status %d to %q, want back where it began", got.status, got.header.Get("Location"))
	}
	if got = v.get("/devices?name=rh"); got.status != http.StatusOK {
		t.Fatalf("status %d after the login, want 200", got.status)
	}
	if got = v.post("/logout"); got.status != http.StatusSeeOther {
		t.Fatalf("log out: status %d", got.status)
	}
	if got = v.get("/"); got.status != http.StatusSeeOther {
		t.Errorf("status %d after the logout, want the door", got.status)
	}
}

func TestALoginNeverLeadsElsewhere(t *testing.T) {
	w := newWorld(t)
	for _, back := range []string{"https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "", "evil"} {
		got := w.visitor(t).post("/login", "name", "exploitation", "password", "secret", "back", back)
		if to := got.header.Get("Location"); to != "/" {
			t.Errorf("back %q leads to %q", back, to)
		}
	}
}

func TestAnOutageIsNotARefusal(t *testing.T) {
	w := newWorld(t)
	v := w.as(t, "exploitation")
	w.accounts.outage = errors.New("disk I/O error")
	got := v.get("/")
	if got.status != http.StatusInternalServerError || strings.Contains(got.body, "disk I/O") {
		t.Errorf("status %d, want 500 without the cause", got.status)
	}
}

func TestAClosedAccountIsOutAtItsNextRequest(t *testing.T) {
	w := newWorld(t)
	v := w.as(t, "exploitation")
	w.accounts.closed = true
	if got := v.get("/"); got.status != http.StatusSeeOther {
		t.Errorf("status %d, want the door", got.status)
	}
	if got := v.get("/campaigns/x/live", "Accept", "text/event-stream"); got.status != http.StatusUnauthorized {
		t.Errorf("live: status %d, want 401", got.status)
	}
	if got := v.post("/campaigns/x/close", "reason", "r"); got.status != http.StatusUnauthorized {
		t.Errorf("act: status %d, want 401", got.status)
	}
}

func TestFormsFromElsewhereAreRefused(t *testing.T) {
	w := newWorld(t)
	v := w.as(t, "exploitation")
	r, err := http.NewRequest(http.MethodPost, w.URL+"/campaigns/x/close", strings.NewReader("reason=r"))
	if err != nil {
		t.Fatal(err)
	}
	got := v.send(r, "Content-Type", "application/x-www-form-urlencoded", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
	if got.status != http.StatusForbidden {
		t.Errorf("status %d, want 403", got.status)
	}
	if len(w.acts.asked) != 0 {
		t.Errorf("it was done: %v", w.acts.asked)
	}
}

func TestChoicesStayWithTheBrowser(t *testing.T) {
	w := newWorld(t)
	v := w.as(t, "exploitation")
	if got := v.get("/", "Accept-Language", "en"); !strings.Contains(got.body, `<html lang="en" data-theme="system">`) {
		t.Fatalf("the first page begins with %s", got.body[:120])
	}
	if got := v.post("/preferences", "lang", "fr", "back", "/campaigns"); got.header.Get("Location") != "/campaigns" {
		t.Fatalf("it leads to %q, want back", got.header.Get("Location"))
	}
	v.post("/preferences", "theme", "dark", "back", "/")
	if got := v.get("/", "Accept-Language", "en"); !strings.Contains(got.body, `<html lang="fr" data-theme="dark">`) {
		t.Errorf("the page begins with %s, want French and dark", got.body[:120])
	}
	// Another browser of the same person starts with the account's language.
	if got := w.as(t, "exploitation").get("/", "Accept-Language", "en"); !strings.Contains(got.body, `<html lang="fr" data-theme="system">`) {
		t.Errorf("another browser begins with %s, want French", got.body[:120])
	}
}

func TestPagesForbidWhatTheyDoNotNeed(t *testing.T) {
	got := newWorld(t).as(t, "audit").get("/")
	for name, want := range map[string]string{
		"Content-Security-Policy": contentPolicy, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "X-Frame-Options": "DENY",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.header.Get(name), want)
		}
	}
	if strings.Contains(contentPolicy, "unsafe") {
		t.Errorf("the policy is unsafe: %s", contentPolicy)
	}
}

func TestAssetsAreKeptForEverAndCompressed(t *testing.T) {
	w := newWorld(t)
	files, err := assets.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"console.css", "console.js", "htmx.min.js", "hx-sse.min.js", "inter.woff2", "mark.svg"} {
		got := w.visitor(t).get(files.URL(name))
		if got.status != http.StatusOK || !strings.Contains(got.header.Get("Cache-Control"), "immutable") || len(got.body) == 0 {
			t.Errorf("%s: status %d, %q", name, got.status, got.header.Get("Cache-Control"))
		}
	}
	if got := w.visitor(t).get(assets.Prefix + "old/console.css"); got.status != http.StatusNotFound {
		t.Errorf("an address of another version answers %d, want 404", got.status)
	}
}

func TestAnActWithoutAReasonComesBackFilledIn(t *testing.T) {
	w := newWorld(t)
	v := w.as(t, "exploitation")
	v.post("/preferences", "lang", "fr", "back", "/")
	form := v.get("/campaigns/c1/hold?ring=R1")
	if form.status != http.StatusOK || !strings.Contains(form.body, `name="ring" value="R1"`) {
		t.Fatalf("status %d, want the form of R1", form.status)
	}
	got := v.post("/campaigns/c1/hold", "ring", "R1", "reason", "", "back", "/campaigns/c1")
	if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "Un motif est obligatoire") || !strings.Contains(got.body, `name="ring" value="R1"`) {
		t.Fatalf("status %d, want 422 with the sentence and the ring", got.status)
	}
	got = v.post("/campaigns/c1/hold", "ring", "R1", "reason", "imprimantes muettes", "back", "/campaigns/c1")
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/campaigns/c1" {
		t.Fatalf("status %d to %q, want back to the board", got.status, got.header.Get("Location"))
	}
	want := campaign.PlaceHold{Campaign: "c1", Ring: "R1", Reason: "imprimantes muettes"}
	if asked := w.acts.last(t); asked != want {
		t.Errorf("asked %+v, want %+v", asked, want)
	}
	if w.acts.by[0] != "user:exploitation" {
		t.Errorf("by %q, want the person", w.acts.by[0])
	}
	if page := v.get("/campaigns/c1"); !strings.Contains(page.body, "La suspension est en vigueur") {
		t.Error("the board does not say that the hold is in force")
	}
	if page := v.get("/campaigns/c1"); strings.Contains(page.body, "La suspension est en vigueur") {
		t.Error("it is said twice")
	}
}

func TestARefusalIsShownAndAnOutageIsNotOne(t *testing.T) {
	w := newWorld(t)
	v := w.as(t, "exploitation")
	w.acts.refusal = fault.New(fault.CampaignClosed)
	if got := v.post("/campaigns/c1/close", "reason", "done"); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "The campaign is closed") {
		t.Errorf("status %d, want 422 and why", got.status)
	}
	w.acts.refusal = errors.New("database is locked")
	if got := v.post("/campaigns/c1/close", "reason", "done"); got.status != http.StatusInternalServerError || strings.Contains(got.body, "locked") {
		t.Errorf("status %d, want 500 without the cause", got.status)
	}
}

func TestWhoMayNotActIsNotOfferedItAndCannot(t *testing.T) {
	w := newWorld(t)
	v := w.as(t, "audit")
	board := v.get("/campaigns/c1")
	if board.status != http.StatusOK {
		t.Fatalf("status %d: an auditor may see", board.status)
	}
	for pattern := range acts() {
		path := strings.Replace(pattern, "{id}", "c1", 1)
		if strings.Contains(board.body, `href="`+path) {
			t.Errorf("the board offers %s", path)
		}
		if got := v.get(path + "?ring=R1&role=it&item=p-openssl"); got.status != http.StatusForbidden {
			t.Errorf("GET %s: status %d, want 403", path, got.status)
		}
		if got := v.post(path, "ring", "R1", "role", "it", "reason", "r", "decision", "yes"); got.status != http.StatusForbidden {
			t.Errorf("POST %s: status %d, want 403", path, got.status)
		}
	}
	if len(w.acts.asked) != 0 {
		t.Errorf("it was done: %v", w.acts.asked)
	}
}

func TestAGateIsSignedByItsRole(t *testing.T) {
	w := newWorld(t)
	v := w.as(t, "exploitation") // holds the role it, not metier
	if got := v.get("/campaigns/c1/sign?ring=R1&role=metier"); got.status != http.StatusForbidden {
		t.Errorf("status %d for a role one does not hold, want 403", got.status)
	}
	form := v.get("/campaigns/c1/sign?ring=R1&role=it")
	if form.status != http.StatusOK || !strings.Contains(form.body, "Ouverture de session") {
		t.Fatalf("status %d, want the checklist", form.status)
	}
	if got := v.post("/campaigns/c1/sign", "ring", "R1", "role", "it", "decision", "no"); got.status != http.StatusUnprocessableEntity {
		t.Errorf("status %d for a no without a comment, want 422", got.status)
	}
	got := v.post("/campaigns/c1/sign", "ring", "R1", "role", "it", "decision", "yes", "ticked", "0", "ticked", "2", "comment", "fait")
	if got.status != http.StatusSeeOther {
		t.Fatalf("status %d, want 303", got.status)
	}
	sign := w.acts.last(t).(campaign.Sign)
	if !sign.Yes || sign.Role != "it" || sign.Ring != "R1" || len(sign.Ticked) != 2 || sign.Ticked[1] != 2 || sign.Comment != "fait" {
		t.Errorf("asked %+v", sign)
	}
}

func TestARollbackSaysFirstWhatCannotGoBack(t *testing.T) {
	w := newWorld(t)
	v := w.as(t, "exploitation")
	form := v.get("/campaigns/c1/rollback?ring=R1")
	for _, want := range []string{"56 devices go back", "301 patches", "1 package cannot go back: compta-02 (libc6)",
		"A device takes about 4", "1 patch is open again, under an exception until", "nginx 1.22.1-9", "Ring after ring"} {
		if !strings.Contains(form.body, want) {
			t.Errorf("the form lacks %q", want)
		}
	}
	v.post("/campaigns/c1/rollback", "ring", "R1", "when", "1h", "how", "by_ring", "reason", "régression")
	ask := w.acts.last(t).(campaign.Rollback)
	if ask.Ring != "R1" || ask.Now.Hours() != 1 || !ask.ByRing {
		t.Errorf("asked %+v", ask)
	}
	if got := v.post("/campaigns/c1/rollback", "how", "slowly", "reason", "r"); got.status != http.StatusBadRequest {
		t.Errorf("status %d for an order of rings that there is not, want 400", got.status)
	}
	if got := v.post("/campaigns/c1/rollback", "when", "never", "reason", "r"); got.status != http.StatusBadRequest {
		t.Errorf("status %d for a length that does not parse, want 400", got.status)
	}
}

func TestADecisionNamesItsScopeAndItsEnd(t *testing.T) {
	w := newWorld(t)
	v := w.as(t, "exploitation")
	if got := v.post("/patches/p-cups/delay", "scope", "name", "until", "31/01/2026", "reason", "r"); got.status != http.StatusUnprocessableEntity {
		t.Errorf("status %d for a date that does not parse, want 422", got.status)
	}
	v.post("/patches/p-cups/delay", "scope", "name", "until", "2026-01-31", "reason", "r")
	ask := w.acts.last(t).(campaign.Decide)
	if ask.Verdict != policy.Delayed || ask.Patch != "" || ask.Provider != "apt" || ask.Name != "cups" {
		t.Errorf("asked %+v, want a delay of every version of cups", ask)
	}
	if got, want := ask.Until.UTC().Format("2006-01-02 15:04"), "2026-01-30 23:00"; got != want {
		t.Errorf("until %s, want midnight in Paris, %s", got, want)
	}
	v.post("/patches/p-cups/approve", "scope", "patch", "until", "2026-01-31", "reason", "r")
	ask = w.acts.last(t).(campaign.Decide)
	if ask.Verdict != policy.Approved || ask.Patch != "p-cups" || !ask.Until.IsZero() {
		t.Errorf("asked %+v, want an approval of the exact patch without an end", ask)
	}
}

func TestWhatIsNotThereSaysSo(t *testing.T) {
	v := newWorld(t).as(t, "exploitation")
	for path, want := range map[string]int{
		"/campaigns/nowhere": http.StatusNotFound, "/nothing/here": http.StatusNotFound,
		"/calendar?from=janvier": http.StatusBadRequest, "/procedures/p?version=-1": http.StatusBadRequest,
	} {
		if got := v.get(path); got.status != want {
			t.Errorf("%s: status %d, want %d", path, got.status, want)
		}
	}
}

func TestADeviceIsMovedToAnotherRingWithAReason(t *testing.T) {
	w := newWorld(t)
	v := w.as(t, "exploitation")
	id := stories.Board().ID
	page := v.get("/devices/d-compta-02")
	if !strings.Contains(page.body, "/devices/d-compta-02/ring?campaign="+id) {
		t.Error("the device's page does not offer to change its ring")
	}
	form := v.get("/devices/d-compta-02/ring?campaign=" + id)
	if form.status != http.StatusOK || !strings.Contains(form.body, `value="GLOBAL"`) || strings.Contains(form.body, `value="R1"`) {
		t.Fatalf("status %d, want a choice of the other rings:\n%s", form.status, form.body)
	}
	if got := v.post("/devices/d-compta-02/ring", "campaign", id, "ring", "GLOBAL"); got.status != http.StatusUnprocessableEntity {
		t.Errorf("status %d without a reason, want 422", got.status)
	}
	if got := v.get("/devices/d-compta-02/ring?campaign=elsewhere"); got.status != http.StatusNotFound {
		t.Errorf("status %d for a campaign that does not have the device, want 404", got.status)
	}
	if got := v.post("/devices/d-compta-02/ring", "campaign", id, "ring", "GLOBAL", "reason", "congés"); got.status != http.StatusSeeOther {
		t.Fatalf("status %d, want 303", got.status)
	}
	ask := w.acts.last(t).(campaign.Expedite)
	if ask.Campaign != id || ask.Ring != "GLOBAL" || ask.Device != "d-compta-02" || ask.Reason != "congés" {
		t.Errorf("asked %+v", ask)
	}
	auditor := w.as(t, "audit")
	if strings.Contains(auditor.get("/devices/d-compta-02").body, "/devices/d-compta-02/ring") {
		t.Error("an auditor is offered to move a device")
	}
	if got := auditor.post("/devices/d-compta-02/ring", "campaign", id, "ring", "GLOBAL", "reason", "r"); got.status != http.StatusForbidden {
		t.Errorf("status %d for an auditor, want 403", got.status)
	}
}

func TestADescriptionTakesAwayOnlyTheTagsThatWereSeen(t *testing.T) {
	w := newWorld(t)
	v := w.as(t, "exploitation")
	form := v.get("/devices/d-compta-02/describe")
	if form.status != http.StatusOK || !strings.Contains(form.body, "department=finance\nsite=paris") {
		t.Fatalf("status %d, want the tags one a line:\n%s", form.status, form.body)
	}
	got := v.post("/devices/d-compta-02/describe", "seen", "department=finance\nsite=paris", "name", "compta-02", "kind", "server",
		"tags", "department=finance\r\nowner=mme Roux\r\n", "reason", "réaffecté", "back", "/devices/d-compta-02")
	if got.status != http.StatusSeeOther {
		t.Fatalf("status %d, want 303: %s", got.status, got.body)
	}
	want := fleet.Describe{Name: "compta-02", Kind: fleet.Server, Tags: fleet.Tags{"owner": "mme Roux"}, Untag: []string{"site"}, Reason: "réaffecté"}
	if diff := cmp.Diff(want, w.acts.last(t)); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if after := v.get("/devices/d-compta-02"); !strings.Contains(after.body, "keeps its ring in: 2026-01") {
		t.Error("nobody says that the sealed campaign keeps the device's ring")
	}
	if got := v.post("/devices/d-compta-02/describe", "name", "x", "kind", "server", "tags", "owner", "reason", "r"); got.status != http.StatusUnprocessableEntity {
		t.Errorf("status %d for a tag without a value, want 422", got.status)
	}
	if got := v.post("/devices/d-compta-02/describe", "name", "x", "kind", "server", "tags", ""); got.status != http.StatusUnprocessableEntity {
		t.Errorf("status %d without a reason, want 422", got.status)
	}
}

func TestTodaySaysWhatCannotBePutBackAndWhatNobodyCanSign(t *testing.T) {
	w := newWorld(t)
	v := w.as(t, "exploitation")
	today := v.get("/")
	for _, want := range []string{`href="/rollbacks"`, "All 37", "role business is held by no account", "patchring user roles NAME --role business"} {
		if !strings.Contains(today.body, want) {
			t.Errorf("today lacks %q", want)
		}
	}
	if list := v.get("/rollbacks?campaign=" + stories.Board().ID); list.status != http.StatusOK || !strings.Contains(list.body, "glibc 2.36-9+deb12u13") {
		t.Errorf("status %d, want the list", list.status)
	}
}
