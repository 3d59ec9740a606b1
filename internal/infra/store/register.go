package store

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"patchring/internal/core/register"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// Register is what register.VerifyStored and the exports read of one tenant.
func (db *DB) Register(ctx context.Context, tenant string) (register.Stored, error) {
	head, err := db.Read().RegisterHead(ctx, tenant)
	if IsNone(err) {
		return register.Stored{Tenant: tenant, Entries: func(func(register.Row, error) bool) {}, Hashes: db.Hashes(ctx, tenant)}, nil
	}
	if err != nil {
		return register.Stored{}, fmt.Errorf("read the register's head: %w", err)
	}
	tree, err := register.ParseTree(head.Tree)
	if err != nil {
		return register.Stored{}, err
	}
	return register.Stored{
		Tenant: tenant, Tree: tree, Checkpoint: head.Checkpoint, Restored: restored(head),
		Entries: db.entries(ctx, tenant), Hashes: db.Hashes(ctx, tenant),
	}, nil
}

// RegisterEntries are a tenant's entries alone, without the head that they
// must fit: for a database of any schema (Peek).
func (db *DB) RegisterEntries(ctx context.Context, tenant string) iter.Seq2[register.Row, error] {
	return db.entries(ctx, tenant)
}

const entriesPage = 500

func (db *DB) entries(ctx context.Context, tenant string) iter.Seq2[register.Row, error] {
	return func(yield func(register.Row, error) bool) {
		for from := int64(0); ; {
			page, err := db.Read().RegisterEntriesFrom(ctx, gen.RegisterEntriesFromParams{Tenant: tenant, Idx: from, Max: entriesPage})
			if err != nil {
				yield(register.Row{}, fmt.Errorf("read the register from entry %d: %w", from, err))
				return
			}
			for _, row := range page {
				if !yield(register.Row{Index: row.Idx, Raw: row.Body, Columns: columns(row)}, nil) {
					return
				}
				from = row.Idx + 1
			}
			if len(page) < entriesPage {
				return
			}
		}
	}
}

// columns are what is searched by beside the bytes: not under the hash, so the
// verifier compares them with what the bytes say.
func columns(row gen.RegisterEntry) *register.Columns {
	return &register.Columns{
		AtUS: row.AtUs, Actor: register.Actor(row.Actor), Kind: register.Kind(row.Kind),
		Device: row.Device, Campaign: row.Campaign, Ring: row.Ring, Patch: row.Patch,
	}
}

// Hashes reads stored hashes, for proofs.
func (db *DB) Hashes(ctx context.Context, tenant string) HashReader {
	return HashReader{ctx: ctx, q: db.Read(), tenant: tenant}
}

// Hashes reads stored hashes as this transaction sees them.
func (tx *Tx) Hashes(ctx context.Context, tenant string) HashReader {
	return HashReader{ctx: ctx, q: tx.Queries, tenant: tenant}
}

// HashReader implements tlog.HashReader on the stored hashes of one tenant.
type HashReader struct {
	ctx    context.Context
	q      *gen.Queries
	tenant string
}

// ReadHashes implements tlog.HashReader. A verification asks for thousands of
// neighbours at a time, a proof for a few that are far apart.
func (r HashReader) ReadHashes(indexes []int64) ([]register.Hash, error) {
	if len(indexes) == 0 {
		return nil, nil
	}
	first, last := slices.Min(indexes), slices.Max(indexes)
	if last-first >= int64(4*len(indexes)) {
		return r.readEach(indexes)
	}
	rows, err := r.q.RegisterHashes(r.ctx, gen.RegisterHashesParams{Tenant: r.tenant, First: first, Last: last})
	if err != nil {
		return nil, fmt.Errorf("read stored hashes %d to %d: %w", first, last, err)
	}
	found := make(map[int64][]byte, len(rows))
	for _, row := range rows {
		found[row.Idx] = row.Hash
	}
	out := make([]register.Hash, len(indexes))
	for i, index := range indexes {
		if out[i], err = hashFrom(index, found[index]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r HashReader) readEach(indexes []int64) ([]register.Hash, error) {
	out := make([]register.Hash, len(indexes))
	for i, index := range indexes {
		raw, err := r.q.RegisterHash(r.ctx, r.tenant, index)
		if err != nil && !IsNone(err) {
			return nil, fmt.Errorf("read stored hash %d: %w", index, err)
		}
		if out[i], err = hashFrom(index, raw); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func hashFrom(index int64, raw []byte) (h register.Hash, err error) {
	if raw == nil {
		return h, fmt.Errorf("stored hash %d: %w", index, register.ErrNoHash)
	}
	if copy(h[:], raw) != len(h) || len(raw) != len(h) {
		return h, fmt.Errorf("stored hash %d has %d bytes", index, len(raw))
	}
	return h, nil
}

// Witness gives an order the register's latest checkpoint, with the proof that
// it extends the one of size seen that the device remembers: every agent is a
// witness. A tenant without any entry has nothing to witness.
func (tx *Tx) Witness(ctx context.Context, seen int64, order *wire.Order) error {
	head, err := tx.RegisterHead(ctx, order.Tenant)
	if IsNone(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the register's head: %w", err)
	}
	order.Checkpoint, order.ProofFrom = head.Checkpoint, seen
	if seen == 0 || seen >= head.Size {
		return nil
	}
	proof, err := register.ProveExtends(seen, head.Size, tx.Hashes(ctx, order.Tenant))
	if err != nil {
		return fmt.Errorf("prove that the register only grew: %w", err)
	}
	for _, h := range proof {
		order.CheckpointProof = append(order.CheckpointProof, h[:])
	}
	return nil
}
