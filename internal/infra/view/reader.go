package view

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"patchring/internal/core/fault"
)

// Options of a Reader.
type Options struct {
	// UnreachableAfter is how long a device may stay silent before lists call
	// it unreachable. Procedures have their own, for their gates.
	UnreachableAfter time.Duration
	Clock            func() time.Time
}

// Reader answers from the read pool of the database.
type Reader struct {
	db   *sql.DB
	opts Options
	// asked hears each query; tests look at their plans. Nil: nobody listens.
	asked func(query)
}

// NewReader reads from the pool, SQLite's or PostgreSQL's alike.
func NewReader(pool *sql.DB, opts Options) *Reader {
	if opts.UnreachableAfter <= 0 {
		opts.UnreachableAfter = 72 * time.Hour
	}
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	return &Reader{db: pool, opts: opts}
}

func (r *Reader) now() time.Time { return r.opts.Clock().UTC() }

// silentSince is the instant before which a device was last heard of when it
// counts as unreachable.
func (r *Reader) silentSince() int64 {
	return r.now().Add(-r.opts.UnreachableAfter).UnixMicro()
}

// all runs a query and reads its rows with scan, which is called once a row.
func all[T any](ctx context.Context, r *Reader, q query, scan func(*sql.Rows) (T, error)) ([]T, error) {
	if r.asked != nil {
		r.asked(q)
	}
	rows, err := r.db.QueryContext(ctx, q.text, q.args...)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", q.what, err)
	}
	defer rows.Close()
	out := []T{}
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", q.what, err)
		}
		out = append(out, v)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", q.what, err)
	}
	return out, nil
}

// one reads the only row of a query, or answers not_found with its name.
func one[T any](ctx context.Context, r *Reader, q query, name string, scan func(*sql.Rows) (T, error)) (T, error) {
	rows, err := all(ctx, r, q, scan)
	if err != nil {
		var none T
		return none, err
	}
	if len(rows) == 0 {
		var none T
		return none, fault.New(fault.NotFound, "what", q.what, "name", name)
	}
	return rows[0], nil
}

func instant(us int64) time.Time {
	if us <= 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
