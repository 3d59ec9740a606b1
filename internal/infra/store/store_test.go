package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/store/storetest"
)

func TestWriteKeepsStateRegisterAndMessagesTogether(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		boom := errors.New("boom")
		err := db.Write(ctx, func(tx *store.Tx) error {
			if err := tx.AddTenant(ctx, gen.AddTenantParams{ID: "acme", Name: "Acme", CreatedUs: 1}); err != nil {
				return err
			}
			tx.Record(entry("acme", register.ProcedureApplied))
			if err := tx.Send(ctx, "acme", "all.ord", map[string]int{"a": 1}, 1); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatalf("Write: got %v, want the error of its function", err)
		}
		if left := counts(ctx, t, db); left != [3]int{} {
			t.Errorf("after a failed transaction: tenants, entries, messages = %v, want none", left)
		}
		write(t, db, func(tx *store.Tx) error {
			tx.Record(entry("acme", register.ProcedureApplied))
			return tx.Send(ctx, "acme", "all.ord", map[string]int{"a": 1}, 1)
		})
		if left := counts(ctx, t, db); left != [3]int{0, 1, 1} {
			t.Errorf("after a transaction: tenants, entries, messages = %v, want 0 1 1", left)
		}
	})
}

func TestRegisterVerifiesAndNamesTheEditedEntry(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		for range 7 {
			write(t, db, func(tx *store.Tx) error {
				tx.Record(entry("acme", register.HoldPlaced))
				tx.Record(entry("acme", register.HoldLifted))
				return nil
			})
		}
		stored, err := db.Register(ctx, "acme")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := register.VerifyStored(stored, register.Trust{Key: storetest.VerifierKey}); err != nil {
			t.Fatalf("verify an untouched register: %v", err)
		}
		storetest.Tamper(t, db, "UPDATE register_entry SET body = replace(replace(CAST(body AS TEXT), 'hold_lifted', 'hold_placed'), '', '') WHERE idx = 5",
			"UPDATE register_entry SET body = convert_to(replace(convert_from(body, 'UTF8'), 'hold_lifted', 'hold_placed'), 'UTF8') WHERE idx = 5")
		stored, err = db.Register(ctx, "acme")
		if err != nil {
			t.Fatal(err)
		}
		_, err = register.VerifyStored(stored, register.Trust{Key: storetest.VerifierKey})
		var broken *register.Broken
		if !errors.As(err, &broken) || broken.First != 5 {
			t.Errorf("verify after an edit of entry 5: got %v, want entry 5 named", err)
		}
	})
}

func TestRegisterRefusesUpdateAndDelete(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		write(t, db, func(tx *store.Tx) error {
			tx.Record(entry("acme", register.HoldPlaced))
			return nil
		})
		for _, statement := range []string{
			"UPDATE register_entry SET kind = 'x'", "DELETE FROM register_entry",
			"UPDATE register_hash SET idx = 9", "DELETE FROM register_hash",
		} {
			if err := storetest.Exec(db, statement); err == nil || !strings.Contains(err.Error(), "append-only") {
				t.Errorf("%s: got %v, want a refusal", statement, err)
			}
		}
	})
}

func TestOpenTwiceKeepsWhatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "site.db")
	for i := range 2 {
		db, err := store.Open(t.Context(), store.Options{URL: path})
		if err != nil {
			t.Fatalf("open %d: %v", i, err)
		}
		write(t, db, func(tx *store.Tx) error {
			return tx.AddTenant(t.Context(), gen.AddTenantParams{ID: "acme", Name: "Acme", CreatedUs: 1})
		})
		tenants, err := db.Read().Tenants(t.Context())
		if err != nil || len(tenants) != 1 {
			t.Errorf("open %d: tenants %v, %v; want one", i, tenants, err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestBackupIsAWholeDatabase(t *testing.T) {
	db := storetest.SQLite(t)
	write(t, db, func(tx *store.Tx) error {
		return tx.AddTenant(t.Context(), gen.AddTenantParams{ID: "acme", Name: "Acme", CreatedUs: 1})
	})
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := db.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	copied, err := store.Open(t.Context(), store.Options{URL: path})
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	if tenants, err := copied.Read().Tenants(t.Context()); err != nil || len(tenants) != 1 {
		t.Errorf("tenants of the copy: %v, %v; want one", tenants, err)
	}
}

func TestDuplicateIsTold(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		add := func(tx *store.Tx) error {
			return tx.AddAccount(t.Context(), gen.AddAccountParams{Tenant: "acme", ID: "1", Name: "it", Roles: "[]"})
		}
		write(t, db, add)
		if err := db.Write(t.Context(), add); !store.IsDuplicate(err) {
			t.Errorf("second insert: got %v, want a duplicate", err)
		}
	})
}

func entry(tenant string, kind register.Kind) register.Entry {
	return register.Entry{Tenant: tenant, Kind: kind, Actor: register.System("test"), AtUS: 1}
}

func write(t *testing.T, db *store.DB, f func(*store.Tx) error) {
	t.Helper()
	if err := db.Write(t.Context(), f); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func counts(ctx context.Context, t *testing.T, db *store.DB) [3]int {
	t.Helper()
	tenants, err := db.Read().Tenants(ctx)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := db.Read().RegisterEntriesFrom(ctx, gen.RegisterEntriesFromParams{Tenant: "acme", Max: 10})
	if err != nil {
		t.Fatal(err)
	}
	messages, err := db.Read().Outbox(ctx, 10)
	if err != nil {
		t.Fatal(err)
	}
	return [3]int{len(tenants), len(entries), len(messages)}
}

// Statements are parsed between transactions, on the one connection that
// transactions use too: nobody may wait for the other.
func TestWritersMeetNewStatementsTogether(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		if err := db.Write(ctx, func(tx *store.Tx) error {
			return tx.AddTenant(ctx, gen.AddTenantParams{ID: "acme", Name: "acme", CreatedUs: 1})
		}); err != nil {
			t.Fatal(err)
		}
		const writers, rounds = 8, 5
		var writing sync.WaitGroup
		for i := range writers {
			writing.Go(func() {
				for round := range rounds {
					err := db.Write(ctx, func(tx *store.Tx) error {
						id := fmt.Sprintf("d%d-%d", i, round)
						if err := tx.AddDevice(ctx, gen.AddDeviceParams{Tenant: "acme", ID: id, Name: id, Kind: "server", Tags: "{}"}); err != nil {
							return err
						}
						d, err := tx.Device(ctx, "acme", id)
						if err == nil && d.Name != id {
							err = fmt.Errorf("read %q back as %q", id, d.Name)
						}
						return err
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		writing.Wait()
		all, err := db.Read().DevicesAfter(ctx, gen.DevicesAfterParams{Tenant: "acme", Max: 1000})
		if err != nil || len(all) != writers*rounds {
			t.Errorf("%d devices, %v; want %d", len(all), err, writers*rounds)
		}
	})
}
