package passport_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/infra/keys"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/storetest"
	"patchring/internal/service/passport"
)

const tenant = fleet.TenantID("acme")

// each runs f on both databases, with a register signed by a site's own key.
func each(t *testing.T, f func(t *testing.T, db *store.DB, office *passport.Office, key string)) {
	urls := map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { return filepath.Join(t.TempDir(), "site.db") },
		"postgres": func(t *testing.T) string { return storetest.PostgresURL(t) },
	}
	for name, url := range urls {
		t.Run(name, func(t *testing.T) {
			now := time.Date(2026, 1, 14, 9, 0, 0, 0, time.UTC)
			site, err := keys.Open(t.TempDir(), now)
			if err != nil {
				t.Fatal(err)
			}
			key, err := site.RegisterKey(tenant)
			if err != nil {
				t.Fatal(err)
			}
			db := open(t, url(t), key)
			f(t, db, passport.New(passport.Options{DB: db, Clock: func() time.Time { return now }, Key: site.RegisterKey}), key.Verifier)
		})
	}
}

func open(t *testing.T, url string, key keys.RegisterKey) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{URL: url, Notary: func(tenant string, c register.Checkpoint) (string, error) {
		return c.Sign(key.Signer)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	for i := range 5 {
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			device := []string{"d1", "d2"}[i%2]
			tx.Record(register.Entry{Tenant: string(tenant), AtUS: 1, Kind: register.OrderIssued, Actor: register.System("test"), Device: device})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return db
}

func TestExportVerifiesOfflineWithThePublicKeyAlone(t *testing.T) {
	each(t, func(t *testing.T, _ *store.DB, office *passport.Office, key string) {
		var file bytes.Buffer
		if err := office.Export(t.Context(), tenant, register.User("bob"), &file); err != nil {
			t.Fatal(err)
		}
		result, err := register.Verify(bytes.NewReader(file.Bytes()), register.Trust{Key: key})
		if err != nil || result.Entries != 6 || result.Form != register.FormExport {
			t.Errorf("export: %+v, %v; want 5 entries and the one of the export", result, err)
		}
		damaged := bytes.Replace(file.Bytes(), []byte(`"device":"d2"`), []byte(`"device":"d3"`), 1)
		_, err = register.Verify(bytes.NewReader(damaged), register.Trust{Key: key})
		var broken *register.Broken
		if !errors.As(err, &broken) || broken.First != 1 {
			t.Errorf("one byte changed: %v, want entry 1 named", err)
		}
	})
}

func TestPassportHasOneDevicesEntries(t *testing.T) {
	each(t, func(t *testing.T, _ *store.DB, office *passport.Office, key string) {
		var file bytes.Buffer
		if err := office.Passport(t.Context(), tenant, register.User("bob"), "d2", &file); err != nil {
			t.Fatal(err)
		}
		result, err := register.Verify(bytes.NewReader(file.Bytes()), register.Trust{Key: key})
		if err != nil || result.Entries != 3 || result.Device != "d2" {
			t.Errorf("passport: %+v, %v; want its 2 entries and the one of the passport", result, err)
		}
	})
}

func TestVerifyNamesTheEditedEntry(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB, office *passport.Office, _ string) {
		if v, err := office.Verify(t.Context(), tenant); err != nil || !v.OK || v.Entries != 5 {
			t.Fatalf("untouched: %+v, %v", v, err)
		}
		storetest.Tamper(t, db, "UPDATE register_entry SET body = replace(CAST(body AS TEXT), '\"d1\"', '\"d9\"') WHERE idx = 2",
			"UPDATE register_entry SET body = convert_to(replace(convert_from(body, 'UTF8'), '\"d1\"', '\"d9\"'), 'UTF8') WHERE idx = 2")
		if v, err := office.Verify(t.Context(), tenant); err != nil || v.OK || v.First != 2 {
			t.Errorf("after an edit of entry 2: %+v, %v; want entry 2 named", v, err)
		}
	})
}
