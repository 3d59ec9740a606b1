package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"patchring/internal/infra/store/gen"
)

// Reads is what can be read of one state of the database: inside a write
// transaction, or in a Snapshot.
type Reads struct {
	*gen.Queries
	sql querier
}

// querier runs the texts that are made for a number of devices.
type querier interface {
	QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error)
}

// Snapshot runs f on one state of the database, the last commit when it began.
// It neither waits for a writer nor makes one wait, and it refuses to write.
func (db *DB) Snapshot(ctx context.Context, f func(Reads) error) (err error) {
	opts := &sql.TxOptions{ReadOnly: true}
	if db.Dialect == Postgres {
		opts.Isolation = sql.LevelRepeatableRead // by default each statement sees a state of its own
	}
	stx, err := db.read.BeginTx(ctx, opts)
	if err != nil {
		return fmt.Errorf("begin reading: %w", err)
	}
	defer func() { err = errors.Join(err, rollback(stx)) }() // nothing was written
	return f(Reads{Queries: gen.New(stx), sql: stx})
}
