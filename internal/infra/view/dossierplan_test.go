package view

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/infra/store"
)

// A verification counts the devices of its campaign, because nobody keeps five
// numbers by site; but of its campaign alone, and nothing of a dossier reads a
// table from its beginning. What a query makes by itself it may walk.
func TestADocumentReadsItsCampaignAlone(t *testing.T) {
	db, err := store.Open(t.Context(), store.Options{URL: filepath.Join(t.TempDir(), "site.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	const tenant = fleet.TenantID("acme")
	ctx := t.Context()
	var asked []query
	r := NewReader(db.Pool(), Options{})
	r.asked = func(q query) { asked = append(asked, q) }
	row := CampaignRow{ID: "c", Procedure: "p", ProcedureVersion: 1, Starts: time.Unix(1, 0)}
	later := Paging{Cursor: cursor{Sort: "missing", N: ringsMost + 2, Text: "failed", ID: "d"}.String()}
	read := map[string]func() error{
		"a ring's missing": func() error {
			_, err := all(ctx, r, MissingQuery{Campaign: "c"}.of(tenant, 1, nil).list("missing devices", missingHead, "x.bucket, x.device", 50), scanMissing)
			return err
		},
		"more of a ring's missing": func() error {
			at := cursor{N: 1, Text: "failed", ID: "d"}
			_, err := all(ctx, r, MissingQuery{Campaign: "c", By: BySite, Value: "Lyon"}.of(tenant, 1, &at).list("missing devices", missingHead, "x.bucket, x.device", 50), scanMissing)
			return err
		},
		"coverage":     func() error { return r.cover(ctx, tenant, &Verification{Campaign: row}) },
		"proven":       func() error { return r.addProven(ctx, tenant, &Verification{Campaign: row}) },
		"reasons":      func() error { _, err := r.missingReasons(ctx, tenant, "c"); return err },
		"missing":      func() error { _, err := r.Missing(ctx, tenant, MissingQuery{Campaign: "c"}); return err },
		"more missing": func() error { _, err := r.Missing(ctx, tenant, MissingQuery{Campaign: "c", Paging: later}); return err },
		"failed": func() error {
			_, err := r.Missing(ctx, tenant, MissingQuery{Campaign: "c", Bucket: "failed", By: BySite, Value: "Lyon"})
			return err
		},
		"missing of a ring": func() error {
			_, err := r.Missing(ctx, tenant, MissingQuery{Campaign: "c", By: ByRing, Value: "R1"})
			return err
		},
		"proceedings": func() error { _, err := r.Proceedings(ctx, tenant, "c", nil); return err },
		"a rollback's rest": func() error {
			_, err := r.dossierRollback(ctx, tenant, RollbackRef{CampaignRef: CampaignRef{ID: "r"}})
			return ignored(err)
		},
		"story":                func() error { _, _, err := r.story(ctx, tenant, "c"); return err },
		"revisions":            func() error { _, err := r.Revisions(ctx, tenant, "c"); return err },
		"issued":               func() error { _, err := r.IssuedBy(ctx, tenant, strings.Repeat("0", 64)); return ignored(err) },
		"procedure's versions": func() error { _, err := r.versionsUpTo(ctx, tenant, row); return err },
		"items":                func() error { return r.addItems(ctx, tenant, &Dossier{Board: Board{Campaign: row}}) },
		"times":                func() error { _, _, err := r.took(ctx, tenant, row); return err },
		"exceptions":           func() error { _, err := r.exceptionsDuring(ctx, tenant, row); return err },
		"evidence":             func() error { return r.ringEvidence(ctx, tenant, "c", &RingEvidence{}) },
	}
	for name, f := range read {
		asked = nil
		if err := f(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(asked) == 0 {
			t.Errorf("%s: asked nothing", name)
		}
		for _, q := range asked {
			for _, step := range plan(t, db.Pool(), q) {
				if table, scans := strings.CutPrefix(step, "SCAN "); scans && !made(table) {
					t.Errorf("%s: %s\n%s", name, step, q.text)
				}
				if strings.HasSuffix(name, "missing") && strings.Contains(step, "ORDER BY") {
					t.Errorf("%s: reads all before its first row: %s\n%s", name, step, q.text)
				}
				// A search by the tenant alone is a walk of all that it has.
				if strings.HasPrefix(step, "SEARCH ") && strings.HasSuffix(step, "(tenant=?)") && !small(step) {
					t.Errorf("%s: reads everything of the tenant: %s\n%s", name, step, q.text)
				}
			}
		}
	}
}

// made is what a query makes for itself.
func made(table string) bool {
	for _, name := range []string{"w", "s", "worst", "CONSTANT ROW"} {
		if table == name || strings.HasPrefix(table, name+" ") && !strings.Contains(table, "USING") {
			return true
		}
	}
	return false
}

// small are tables that hold little, however large the fleet.
func small(step string) bool {
	for _, name := range []string{"SEARCH e ", "SEARCH a "} { // exceptions, accounts
		if strings.HasPrefix(step, name) && !strings.Contains(step, "register_entry") {
			return true
		}
	}
	return false
}
