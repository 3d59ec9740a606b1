package console

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/face/console/page"
	"patchring/internal/face/console/source"
	"patchring/internal/face/console/stories"
	"patchring/internal/service/cleaner"
)

func (s *storyteller) CleanUps(_ context.Context, _ source.Viewer, q page.CleanUpQuery) (page.CleanUps, error) {
	out := stories.CleanUps()
	out.Query = q
	if q.Device != "" {
		out.Rows = out.Rows[2:3]
	}
	return out, nil
}

// cleaning keeps what was approved.
type cleaning struct {
	approved []cleaner.Approve
	revoked  []string
}

func (c *cleaning) Approve(_ context.Context, _ fleet.TenantID, _ register.Actor, ask cleaner.Approve) error {
	c.approved = append(c.approved, ask)
	return nil
}

func (c *cleaning) Revoke(_ context.Context, _ fleet.TenantID, _ register.Actor, item string, _ fleet.DeviceID) error {
	c.revoked = append(c.revoked, item)
	return nil
}

func TestACleanUpIsApprovedOnItsFigures(t *testing.T) {
	w := newWorld(t)
	v := w.as(t, "exploitation")
	list := v.get("/clean-ups")
	if list.status != http.StatusOK || !strings.Contains(list.body, "/clean-ups/approve?fingerprint=c3") || strings.Contains(list.body, "/clean-ups/approve?fingerprint=c2&amp;item=postes%2Ftemporary_files\"") {
		t.Errorf("status %d: the page must offer what nobody approved, and nothing else", list.status)
	}
	form := v.get("/clean-ups/approve?item=serveurs/journal&fingerprint=c3")
	if form.status != http.StatusOK || !strings.Contains(form.body, "38 devices found") {
		t.Errorf("status %d: the form must say what the dry runs counted: %s", form.status, form.body)
	}
	one := v.get("/clean-ups/approve?item=serveurs/journal&fingerprint=c3&device=d-3")
	if one.status != http.StatusOK || !strings.Contains(one.body, "srv-paie") {
		t.Errorf("status %d: the form of one device must name it", one.status)
	}
	if got := v.get("/clean-ups/approve?item=serveurs/journal&fingerprint=gone"); got.status != http.StatusNotFound {
		t.Errorf("the form of another form of the item: %d", got.status)
	}
	if got := v.post("/clean-ups/approve", "item", "serveurs/journal", "fingerprint", "c3", "device", "d-3", "back", "/clean-ups"); got.status != http.StatusSeeOther {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	if got := w.cleaning.approved; len(got) != 1 || got[0] != (cleaner.Approve{Item: "serveurs/journal", Fingerprint: "c3", Device: "d-3"}) {
		t.Errorf("approved %+v", got)
	}
	if got := v.post("/clean-ups/revoke", "item", "serveurs/journal", "back", "/clean-ups"); got.status != http.StatusSeeOther || len(w.cleaning.revoked) != 1 {
		t.Errorf("status %d, revoked %v", got.status, w.cleaning.revoked)
	}
	reader := w.as(t, "audit")
	for _, path := range []string{"/clean-ups/approve?item=serveurs/journal&fingerprint=c3", "/clean-ups/revoke?item=serveurs/journal"} {
		if got := reader.get(path); got.status != http.StatusForbidden {
			t.Errorf("a reader gets %s: %d", path, got.status)
		}
	}
	if got := reader.get("/clean-ups"); got.status != http.StatusOK || strings.Contains(got.body, "/clean-ups/approve") {
		t.Errorf("status %d: a reader is offered what it may not do", got.status)
	}
}
