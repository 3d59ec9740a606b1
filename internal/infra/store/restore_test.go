package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/store/storetest"
)

func restoreEntry(atUS int64) register.Entry {
	return register.Entry{Tenant: "acme", AtUS: atUS, Actor: register.System("restore")}
}

func TestARestoreIsInEveryCheckpointAfterIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		record := func(kind register.Kind) {
			write(t, db, func(tx *store.Tx) error {
				tx.Record(entry("acme", kind))
				return nil
			})
		}
		wantRestored := func(want register.Restored) {
			t.Helper()
			stored, err := db.Register(ctx, "acme")
			if err != nil {
				t.Fatal(err)
			}
			got, err := register.VerifyStored(stored, register.Trust{Key: storetest.VerifierKey})
			if err != nil || got.Checkpoint.Restored != want {
				t.Errorf("the checkpoint says %+v, %v; want %+v", got.Checkpoint.Restored, err, want)
			}
		}
		record(register.HoldPlaced)
		record(register.HoldLifted)
		wantRestored(register.Restored{})
		write(t, db, func(tx *store.Tx) error { return tx.RecordRestore(ctx, restoreEntry(50)) })
		wantRestored(register.Restored{AtUS: 50, Size: 2})
		record(register.HoldPlaced)
		wantRestored(register.Restored{AtUS: 50, Size: 2})
		for _, at := range []int64{49, 50} {
			err := db.Write(ctx, func(tx *store.Tx) error { return tx.RecordRestore(ctx, restoreEntry(at)) })
			if err == nil || !strings.Contains(err.Error(), "not later") {
				t.Errorf("a restore at %d after one at 50: %v, want it refused", at, err)
			}
		}
		err := db.Write(ctx, func(tx *store.Tx) error {
			tx.Record(entry("acme", register.HoldPlaced))
			return tx.RecordRestore(ctx, restoreEntry(60))
		})
		if err == nil {
			t.Error("recorded a restore behind another entry: its size would be wrong")
		}
		write(t, db, func(tx *store.Tx) error { return tx.RecordRestore(ctx, restoreEntry(60)) })
		wantRestored(register.Restored{AtUS: 60, Size: 4})
		if at, err := db.Read().RestoredUS(ctx, "acme"); err != nil || at != 60 {
			t.Errorf("latest restore at %d, %v; want 60", at, err)
		}

		// Whoever takes the restore out of the database is found.
		if err := storetest.Exec(db, "UPDATE register_head SET restored_at_us = 0, restored_size = 0"); err != nil {
			t.Fatal(err)
		}
		stored, err := db.Register(ctx, "acme")
		if err != nil {
			t.Fatal(err)
		}
		var broken *register.Broken
		if _, err := register.VerifyStored(stored, register.Trust{Key: storetest.VerifierKey}); !errors.As(err, &broken) || broken.Flaw != register.FlawTree {
			t.Errorf("restore taken out: %v, want it found", err)
		}
	})
}

func TestSerialsJump(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		write(t, db, func(tx *store.Tx) error {
			return errors.Join(
				tx.AddTenant(ctx, gen.AddTenantParams{ID: "acme", Name: "Acme", CreatedUs: 1}),
				tx.AddTenant(ctx, gen.AddTenantParams{ID: "other", Name: "Other", CreatedUs: 1}),
				tx.AddDevice(ctx, gen.AddDeviceParams{Tenant: "acme", ID: "d1", Name: "d1", Tags: "{}"}),
				tx.AddDevice(ctx, gen.AddDeviceParams{Tenant: "other", ID: "d2", Name: "d2", Tags: "{}"}))
		})
		jump := func(jump, least, want int64) {
			t.Helper()
			write(t, db, func(tx *store.Tx) error {
				if err := tx.JumpOrderSerials(ctx, gen.JumpOrderSerialsParams{Tenant: "acme", Jump: jump, Least: least}); err != nil {
					return err
				}
				holds, err := tx.JumpHoldsSerial(ctx, gen.JumpHoldsSerialParams{ID: "acme", Jump: jump, Least: least})
				if err == nil && holds != want {
					t.Errorf("holds serial %d, want %d", holds, want)
				}
				return err
			})
			if n, err := db.Read().HighestOrderSerial(ctx, "acme"); err != nil || n != want {
				t.Errorf("order serial %d, %v; want %d", n, err, want)
			}
		}
		jump(10, 1000, 1000)
		jump(10, 1000, 1010)
		if n, err := db.Read().HighestOrderSerial(ctx, "other"); err != nil || n != 0 {
			t.Errorf("another tenant's serial %d, %v; want it untouched", n, err)
		}
		if n, err := db.Read().HighestOrderSerial(ctx, "nobody"); err != nil || n != 0 {
			t.Errorf("no device: %d, %v", n, err)
		}
	})
}

// Peek reads a database as it was left, journal and all, and changes nothing.
func TestPeekReadsAndWritesNothing(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "site.db")
	db, err := store.Open(ctx, store.Options{URL: path})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	write(t, db, func(tx *store.Tx) error {
		tx.Record(entry("acme", register.HoldPlaced))
		return nil
	})
	// As a server that was killed leaves it: the entry is in the journal.
	left := filepath.Join(t.TempDir(), "left.db")
	for _, suffix := range []string{"", "-wal"} {
		text, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(left+suffix, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	peek, err := store.Peek(ctx, left)
	if err != nil {
		t.Fatal(err)
	}
	entries := 0
	for _, err := range peek.RegisterEntries(ctx, "acme") {
		if err != nil {
			t.Fatal(err)
		}
		entries++
	}
	if entries != 1 {
		t.Errorf("%d entries, want 1", entries)
	}
	if err := peek.Raw(ctx, "CREATE TABLE x (y TEXT)"); err == nil {
		t.Error("it was written to")
	}
	if err := peek.Close(); err != nil {
		t.Error(err)
	}
	if now, err := os.Stat(left + "-wal"); err != nil || now.Size() == 0 {
		t.Errorf("the journal after it: %v, want it as it was", err)
	}
}
