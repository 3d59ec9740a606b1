package console

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/campaign"
	"patchring/internal/service/desk"
	"patchring/internal/service/dossier"
)

// The person sees the plan first: without the tick nothing is made.
func TestFollowUpShowsItsPlanBeforeItActs(t *testing.T) {
	w := newWorld(t)
	v := w.as(t, "exploitation")
	form := []string{"catch_up", "1", "tasks", "failed", "tasks", "unreachable", "owner", "it", "due", "2026-02-01", "reason", "reste de janvier"}
	first := v.post("/campaigns/c1/follow-up", form...)
	if first.status != http.StatusUnprocessableEntity || len(w.acts.asked) != 0 {
		t.Fatalf("without the tick: %d, asked %+v", first.status, w.acts.asked)
	}
	for _, want := range []string{"242", "94", "confirm"} {
		if !strings.Contains(first.body, want) {
			t.Errorf("the plan does not say %q", want)
		}
	}
	if second := v.post("/campaigns/c1/follow-up", append(form, "confirm", "1")...); second.status != http.StatusSeeOther {
		t.Fatalf("with the tick: %d", second.status)
	}
	want := desk.FollowUp{Campaign: "c1", CatchUp: true, Tasks: []campaign.Bucket{campaign.Failed, campaign.Unreachable}, Owner: "it", Due: "2026-02-01", Reason: "reste de janvier"}
	if diff := cmp.Diff([]any{want}, w.acts.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestDossierIsIssuedInTheReadersLanguage(t *testing.T) {
	w := newWorld(t)
	v := w.as(t, "exploitation")
	if a := v.post("/campaigns/c1/dossier/issue", "reason", "Comité"); a.status != http.StatusSeeOther {
		t.Fatalf("issue: %d", a.status)
	}
	issue, ok := w.acts.asked[0].(dossier.Issue)
	if !ok || issue.Campaign != "c1" || issue.Reason != "Comité" || issue.Lang == "" {
		t.Errorf("asked %+v", w.acts.asked)
	}
}

// The month's report is where people look: beside the campaigns, and on the
// first page.
func TestTheMonthlyReportIsReachedFromWherePeopleLook(t *testing.T) {
	w := newWorld(t)
	v := w.as(t, "exploitation")
	for _, where := range []string{"/", "/campaigns"} {
		if a := v.get(where); a.status != http.StatusOK || !strings.Contains(a.body, `href="/reports/monthly"`) {
			t.Errorf("%s answers %d, and has no link to the monthly report", where, a.status)
		}
	}
}

// What a document says must not run as a page of ours: it is a download, in a
// sandbox, and nobody's cache keeps it.
func TestDocumentsAreDownloads(t *testing.T) {
	w := newWorld(t)
	v := w.as(t, "exploitation")
	for path, want := range map[string]string{
		"/campaigns/c1/dossier?format=html":            "dossier.html",
		"/campaigns/c1/dossier":                        "dossier.pdf",
		"/campaigns/c1/dossier?format=xlsx&revision=1": "dossier.xlsx",
		"/campaigns/c1/missing.csv?by=site&value=Lyon": "missing.csv",
		"/reports/monthly/file?month=2026-01":          "report.pdf",
	} {
		a := v.get(path)
		if a.status != http.StatusOK || a.header.Get("Content-Disposition") != "attachment; filename="+want || a.header.Get("Cache-Control") != "no-store" || a.header.Get("Content-Security-Policy") != "default-src 'none'; sandbox" {
			t.Errorf("%s: %d %v", path, a.status, a.header)
		}
	}
	if a := v.get("/campaigns/c1/dossier?format=docx"); a.status != http.StatusUnprocessableEntity && a.status != http.StatusBadRequest {
		t.Errorf("a format that is none: %d", a.status)
	}
	if a := v.get("/campaigns/c1/dossier?revision=first"); a.status == http.StatusOK {
		t.Error("a revision that is no number is handed out")
	}
}
