package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"patchring/internal/core/register"
	"patchring/internal/infra/store"
)

// numbers are how far a tenant had come in a database that a restore replaces.
type numbers struct {
	orders, holds, restoredUS int64
}

// compare reads what the database at old has and the backup has not. It may be
// the very database that broke: whatever it cannot tell is said in Problem, and
// stops no restore.
func compare(ctx context.Context, old string, backup *store.DB) (register.Restoration, map[string]numbers) {
	var done register.Restoration
	had := map[string]numbers{}
	if _, err := os.Stat(old); errors.Is(err, fs.ErrNotExist) {
		return done, had
	}
	db, err := store.Peek(ctx, old)
	if err != nil {
		done.Problem = err.Error()
		return done, had
	}
	tenants, err := db.Read().Tenants(ctx)
	errs := []error{err}
	for _, t := range tenants { // one that the backup lacks is lost whole
		n, err := reached(ctx, db, t.ID)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		had[t.ID] = n
		loss, err := register.Lost(t.ID, db.RegisterEntries(ctx, t.ID), backup.RegisterEntries(ctx, t.ID))
		if err != nil {
			errs = append(errs, err)
		}
		if loss.Entries > 0 {
			done.Losses = append(done.Losses, loss) // as far as it could be read
		}
	}
	if err := errors.Join(append(errs, db.Close())...); err != nil {
		done.Problem = err.Error()
		return done, had
	}
	done.Compared = true
	return done, had
}

func reached(ctx context.Context, db *store.DB, tenant string) (n numbers, err error) {
	if n.orders, err = db.Read().HighestOrderSerial(ctx, tenant); err != nil {
		return n, fmt.Errorf("read order serials of %s: %w", tenant, err)
	}
	t, err := db.Read().Tenant(ctx, tenant)
	if err != nil && !store.IsNone(err) {
		return n, fmt.Errorf("read tenant %s: %w", tenant, err)
	}
	n.holds = t.HoldsSerial
	if n.restoredUS, err = db.Read().RestoredUS(ctx, tenant); err != nil {
		return n, fmt.Errorf("read the restores of %s: %w", tenant, err)
	}
	return n, nil
}
