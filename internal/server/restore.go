package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/infra/keys"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// RestoreBackup puts a backup in the place of a stopped server's database. The
// backup's register must verify by the keys that are in the data folder, and
// gets an entry that says what happened; so does every checkpoint after it. The
// database that was there is kept beside it, and compared: what it had and the
// backup has not is told.
//
// Crash story: everything is done on a copy; dying before the last rename
// leaves at worst the old database under its other name, and the copy, whole,
// beside it.
func RestoreBackup(ctx context.Context, c Config, backup string, now time.Time) (register.Restoration, error) {
	var done register.Restoration
	c, err := c.complete()
	if err != nil {
		return done, err
	}
	if strings.HasPrefix(c.Database, "postgres") {
		return done, errors.New("restore: this site's database is PostgreSQL: restore it with pg_restore, then run patchring restore --adopt")
	}
	if err := stopped(c.Listen); err != nil {
		return done, err
	}
	site, err := keys.Open(c.Data+"/keys", now)
	if err != nil {
		return done, err
	}
	r := restore{site: site, now: now, copied: c.Database + ".restoring"}
	if err := copyAside(backup, r.copied); err != nil {
		return done, err
	}
	if done, err = r.adopt(ctx, c.Database); err != nil {
		return done, errors.Join(fmt.Errorf("restore %s: %w", backup, err), os.Remove(r.copied))
	}
	done.Aside, err = swap(r.copied, c.Database, now)
	return done, err
}

// AdoptRestored makes a database that something else has restored in its place,
// pg_restore for one, the successor of the one before: without that, agents
// take its shorter register for a forgery. What was lost is not known.
func AdoptRestored(ctx context.Context, c Config, now time.Time) (register.Restoration, error) {
	c, err := c.complete()
	if err != nil {
		return register.Restoration{}, err
	}
	if err := stopped(c.Listen); err != nil {
		return register.Restoration{}, err
	}
	site, err := keys.Open(c.Data+"/keys", now)
	if err != nil {
		return register.Restoration{}, err
	}
	done, err := restore{site: site, now: now, copied: c.Database}.adopt(ctx, "")
	if err != nil {
		return done, fmt.Errorf("adopt the restored database: %w", err)
	}
	return done, nil
}

// restore is one restore of a backup, on a copy of it.
type restore struct {
	site   *keys.Site
	now    time.Time
	copied string
}

// stopped refuses while something listens where the server would.
func stopped(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("restore: the server seems to be running, stop it first: %w", err)
	}
	return l.Close()
}

func copyAside(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("read the backup: %w", err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("copy the backup: %w", err)
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return fmt.Errorf("copy the backup: %w", err)
	}
	return nil
}

// adopt verifies the copy, makes it the successor of the database at old, and
// tells what that one had besides.
func (r restore) adopt(ctx context.Context, old string) (done register.Restoration, err error) {
	db, err := store.Open(ctx, store.Options{URL: r.copied, Notary: notary(r.site)})
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tenants, err := r.verify(ctx, db)
	if err != nil {
		return done, err
	}
	done, had := compare(ctx, old, db)
	done.AtUS = r.now.UnixMicro()
	for _, t := range tenants {
		kept, err := db.Read().RestoredUS(ctx, t.ID)
		if err != nil {
			return done, fmt.Errorf("read the restores of %s: %w", t.ID, err)
		}
		// A clock that was set back must not make this restore the older one.
		done.AtUS = max(done.AtUS, kept+1, had[t.ID].restoredUS+1)
	}
	return done, db.Write(ctx, func(tx *store.Tx) error {
		for _, t := range tenants {
			if err := r.succeed(ctx, tx, t, done.AtUS, had[t.ID]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (r restore) verify(ctx context.Context, db *store.DB) ([]gen.Tenant, error) {
	tenants, err := db.Read().Tenants(ctx)
	if err != nil {
		return nil, fmt.Errorf("read tenants: %w", err)
	}
	if len(tenants) == 0 {
		return nil, errors.New("no tenant in it: this is not a backup of a server")
	}
	for _, t := range tenants {
		key, err := r.site.RegisterKey(fleet.TenantID(t.ID))
		if err != nil {
			return nil, err
		}
		stored, err := db.Register(ctx, t.ID)
		if err != nil {
			return nil, err
		}
		if _, err := register.VerifyStored(stored, register.Trust{Key: key.Verifier}); err != nil {
			return nil, fmt.Errorf("register of %s: %w", t.ID, err)
		}
	}
	return tenants, nil
}

// serialJump is how far the numbers of orders and of sets of holds move at a
// restore. Agents refuse a number that is not above the ones they have seen,
// and the backup does not know how far the lost part went. Where the database
// set aside cannot tell, the instant of the restore in seconds is a number that
// no device reaches by orders (one a second since the restore before), and a
// later restore of the same backup begins above the earlier one.
const serialJump = 1 << 20

// succeed makes a tenant of the backup go on where the lost part ended: agents
// take its next orders and holds for newer than all they have seen.
func (r restore) succeed(ctx context.Context, tx *store.Tx, t gen.Tenant, atUS int64, had numbers) error {
	if err := tx.RecordRestore(ctx, register.Entry{Tenant: t.ID, AtUS: atUS, Actor: register.System("restore")}); err != nil {
		return err
	}
	seconds := atUS / time.Second.Microseconds()
	if err := tx.JumpOrderSerials(ctx, gen.JumpOrderSerialsParams{
		Tenant: t.ID, Jump: serialJump, Least: max(seconds, had.orders+serialJump),
	}); err != nil {
		return fmt.Errorf("move order serials of %s: %w", t.ID, err)
	}
	serial, err := tx.JumpHoldsSerial(ctx, gen.JumpHoldsSerialParams{ID: t.ID, Jump: serialJump, Least: max(seconds, had.holds+serialJump)})
	if err != nil {
		return fmt.Errorf("move holds serial of %s: %w", t.ID, err)
	}
	return r.sealHolds(ctx, tx, t, wire.Holds{Tenant: t.ID, Serial: serial, IssuedUS: atUS})
}

// sealHolds signs the backup's holds anew, also when there are none: agents may
// have a set of the lost part, and replace it only by a newer one.
func (r restore) sealHolds(ctx context.Context, tx *store.Tx, t gen.Tenant, holds wire.Holds) error {
	key, err := r.site.OrderKey(fleet.TenantID(t.ID))
	if err != nil {
		return err
	}
	if t.Holds != "" {
		var kept wire.Holds
		var envelope wire.Envelope
		if err := json.Unmarshal([]byte(t.Holds), &envelope); err != nil {
			return fmt.Errorf("read holds of %s: %w", t.ID, err)
		}
		if err := json.Unmarshal(envelope.Payload, &kept); err != nil { // signed by us
			return fmt.Errorf("read holds of %s: %w", t.ID, err)
		}
		holds.Holds = kept.Holds
	}
	envelope, err := wire.Seal(wire.EnvelopeHolds, holds, key)
	if err != nil {
		return fmt.Errorf("seal holds of %s: %w", t.ID, err)
	}
	text, err := json.Marshal(envelope)
	if err != nil {
		return fmt.Errorf("encode holds of %s: %w", t.ID, err)
	}
	if err := tx.SetHolds(ctx, string(text), t.ID); err != nil {
		return fmt.Errorf("keep holds of %s: %w", t.ID, err)
	}
	return nil
}

// swap keeps the old database under another name, with what its journal still
// holds, and puts the new one in its place.
func swap(from, to string, now time.Time) (aside string, err error) {
	name := to + ".before-" + now.UTC().Format("20060102T150405.000000Z")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		err := os.Rename(to+suffix, name+suffix)
		switch {
		case err == nil:
			aside = name
		case !errors.Is(err, fs.ErrNotExist):
			return aside, fmt.Errorf("set the old database aside: %w", err)
		}
	}
	// The copy was closed, so its journal is folded into it.
	if err := os.Rename(from, to); err != nil {
		return aside, fmt.Errorf("put the backup in place: %w", err)
	}
	return aside, nil
}
