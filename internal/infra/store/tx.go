package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/infra/store/gen"
)

// Tx is one write transaction: what can be read, the generated queries, and
// what commits with them.
type Tx struct {
	Reads
	sql     *sql.Tx
	entries map[string][]register.Entry // by tenant, in the order recorded
}

// Write runs f in one transaction and commits what it did, with the register
// entries and messages it recorded. f may be run again from the start when the
// database asks for it, so it keeps its effects inside tx.
//
// Crash story: dying anywhere before the commit leaves nothing; dying after it
// leaves everything, with the messages in the outbox for the next start.
func (db *DB) Write(ctx context.Context, f func(*Tx) error) error {
	for attempt := 0; ; attempt++ {
		err := db.writeOnce(ctx, f)
		if err == nil || !retryable(err) || attempt == 4 || ctx.Err() != nil {
			return err
		}
	}
}

func (db *DB) writeOnce(ctx context.Context, f func(*Tx) error) error {
	if db.parsed != nil {
		db.parsed.parse(ctx)
	}
	stx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	tx := &Tx{Reads: Reads{Queries: gen.New(db.within(stx)), sql: stx}, sql: stx, entries: map[string][]register.Entry{}}
	if err := f(tx); err != nil {
		return errors.Join(err, rollback(stx))
	}
	if err := db.append(ctx, tx); err != nil {
		return errors.Join(err, rollback(stx))
	}
	return db.commit(stx)
}

func (db *DB) within(stx *sql.Tx) gen.DBTX {
	if db.parsed == nil {
		return stx
	}
	return &inTx{Tx: stx, parsed: db.parsed, bound: map[string]*sql.Stmt{}}
}

func (db *DB) commit(stx *sql.Tx) error {
	if db.opts.Fault != nil {
		if err := db.opts.Fault(false); err != nil {
			return errors.Join(err, rollback(stx))
		}
	}
	if err := stx.Commit(); err != nil {
		return fmt.Errorf("commit transaction: %w", err)
	}
	if db.opts.Fault != nil {
		return db.opts.Fault(true)
	}
	return nil
}

func rollback(stx *sql.Tx) error {
	if err := stx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return fmt.Errorf("roll back transaction: %w", err)
	}
	return nil
}

// Record adds an entry to the register of its tenant when the transaction
// commits. Index is given then.
func (tx *Tx) Record(e register.Entry) {
	tx.entries[e.Tenant] = append(tx.entries[e.Tenant], e)
}

// Send puts a message in the outbox: it leaves after the commit, at least once.
func (tx *Tx) Send(ctx context.Context, tenant fleet.TenantID, subject string, v any, atUS int64) error {
	payload, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode message for %s: %w", subject, err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make a message id: %w", err)
	}
	err = tx.AddOutbox(ctx, gen.AddOutboxParams{
		ID: id.String(), Tenant: string(tenant), Subject: subject, Payload: payload, CreatedUs: atUS,
	})
	if err != nil {
		return fmt.Errorf("keep message for %s: %w", subject, err)
	}
	return nil
}

// append writes the recorded entries of each tenant. Tenants go in a steady
// order, so two transactions never wait for each other's register.
func (db *DB) append(ctx context.Context, tx *Tx) error {
	for _, tenant := range slices.Sorted(maps.Keys(tx.entries)) {
		if err := db.appendTenant(ctx, tx, tenant); err != nil {
			return fmt.Errorf("append to the register of %s: %w", tenant, err)
		}
	}
	return nil
}

func (db *DB) appendTenant(ctx context.Context, tx *Tx, tenant string) error {
	if err := tx.EnsureRegisterHead(ctx, tenant); err != nil {
		return err
	}
	head, err := tx.LockRegisterHead(ctx, tenant)
	if err != nil {
		return err
	}
	tree, err := register.ParseTree(head.Tree)
	if err != nil {
		return err
	}
	entries := tx.entries[tenant]
	batch, err := register.Append(tree, entries)
	if err != nil {
		return err
	}
	rows := insertInto("register_entry", "tenant", "idx", "at_us", "kind", "actor", "device", "campaign", "ring", "patch", "body")
	for i, leaf := range batch.Leaves {
		e := entries[i]
		rows.add(tenant, leaf.Index, e.AtUS, string(e.Kind), string(e.Actor), e.Device, e.Campaign, e.Ring, e.Patch, leaf.Raw)
	}
	hashes := insertInto("register_hash", "tenant", "idx", "hash")
	for _, h := range batch.Stored {
		hashes.add(tenant, h.Index, h.Hash[:])
	}
	if err := errors.Join(rows.exec(ctx, tx.sql), hashes.exec(ctx, tx.sql)); err != nil {
		return err
	}
	head.AtUs = entries[len(entries)-1].AtUS
	return db.setHead(ctx, tx, head, batch.Tree)
}

// setHead signs the tree as it stands now, with the restore that the head is
// marked with.
func (db *DB) setHead(ctx context.Context, tx *Tx, head gen.RegisterHead, tree register.Tree) error {
	signed := ""
	if db.opts.Notary != nil {
		checkpoint := tree.Checkpoint(head.Tenant)
		checkpoint.Restored = restored(head)
		var err error
		if signed, err = db.opts.Notary(head.Tenant, checkpoint); err != nil {
			return err
		}
	}
	return tx.SetRegisterHead(ctx, gen.SetRegisterHeadParams{
		Tenant: head.Tenant, Size: tree.Size(), Tree: tree.String(), Checkpoint: signed, AtUs: head.AtUs,
	})
}

func restored(head gen.RegisterHead) register.Restored {
	return register.Restored{AtUS: head.RestoredAtUs, Size: head.RestoredSize}
}

// RecordRestore records that the register was restored from a backup, in its
// entry and in every checkpoint from this transaction's on. It comes before
// any other entry of the transaction, and later than the restore before it.
func (tx *Tx) RecordRestore(ctx context.Context, e register.Entry) error {
	if len(tx.entries[e.Tenant]) > 0 {
		return fmt.Errorf("record the restore of %s: it comes after another entry", e.Tenant)
	}
	if err := tx.EnsureRegisterHead(ctx, e.Tenant); err != nil {
		return fmt.Errorf("record the restore of %s: %w", e.Tenant, err)
	}
	n, err := tx.MarkRestored(ctx, e.AtUS, e.Tenant)
	if err == nil && n == 0 {
		err = errors.New("not later than the restore before it")
	}
	if err != nil {
		return fmt.Errorf("record the restore of %s: %w", e.Tenant, err)
	}
	e.Kind = register.RegisterRestored
	tx.Record(e)
	return nil
}
