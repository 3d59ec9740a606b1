package server

import (
	"context"
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
)

// RestoreBackup puts a backup in the place of a stopped server's database. The
// backup's register must verify by the keys that are in the data folder, and
// gets an entry that says what happened. The database that was there is kept
// beside it.
//
// Crash story: everything is done on a copy; dying before the last rename
// leaves at worst the old database under its other name, and the copy, whole,
// beside it.
func RestoreBackup(ctx context.Context, c Config, backup string, now time.Time) error {
	c, err := c.complete()
	if err != nil {
		return err
	}
	if strings.HasPrefix(c.Database, "postgres") {
		return errors.New("restore: this site's database is PostgreSQL, use pg_restore")
	}
	if err := stopped(c.Listen); err != nil {
		return err
	}
	site, err := keys.Open(c.Data+"/keys", now)
	if err != nil {
		return err
	}
	copied := c.Database + ".restoring"
	if err := copyAside(backup, copied); err != nil {
		return err
	}
	if err := adopt(ctx, site, copied, now); err != nil {
		return errors.Join(fmt.Errorf("restore %s: %w", backup, err), os.Remove(copied))
	}
	return swap(copied, c.Database, now)
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

// adopt verifies the copy and notes the restore in the register of each tenant.
func adopt(ctx context.Context, site *keys.Site, path string, now time.Time) (err error) {
	notary := func(tenant, treeText string) (string, error) {
		tree, err := register.ParseTree(treeText)
		if err != nil {
			return "", err
		}
		key, err := site.RegisterKey(fleet.TenantID(tenant))
		if err != nil {
			return "", err
		}
		return tree.Checkpoint(tenant).Sign(key.Signer)
	}
	db, err := store.Open(ctx, store.Options{URL: path, Notary: notary})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tenants, err := db.Read().Tenants(ctx)
	if err != nil {
		return fmt.Errorf("read tenants: %w", err)
	}
	if len(tenants) == 0 {
		return errors.New("no tenant in it: this is not a backup of a server")
	}
	for _, t := range tenants {
		key, err := site.RegisterKey(fleet.TenantID(t.ID))
		if err != nil {
			return err
		}
		stored, err := db.Register(ctx, t.ID)
		if err != nil {
			return err
		}
		if _, err := register.VerifyStored(stored, register.Trust{Key: key.Verifier}); err != nil {
			return fmt.Errorf("register of %s: %w", t.ID, err)
		}
	}
	return db.Write(ctx, func(tx *store.Tx) error {
		for _, t := range tenants {
			tx.Record(register.Entry{Tenant: t.ID, AtUS: now.UnixMicro(), Actor: register.System("restore"), Kind: register.RegisterRestored})
		}
		return nil
	})
}

// swap keeps the old database under another name, with what its journal still
// holds, and puts the new one in its place.
func swap(from, to string, now time.Time) error {
	aside := to + ".before-" + now.UTC().Format("20060102T150405Z")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(to+suffix, aside+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("set the old database aside: %w", err)
		}
	}
	// The copy was closed, so its journal is folded into it.
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("put the backup in place: %w", err)
	}
	return nil
}
