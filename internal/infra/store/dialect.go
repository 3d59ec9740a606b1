package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// guards are the triggers that make the register append-only against
// everything that speaks SQL, this program included. Made again at each start:
// whoever drops one is noticed by nobody else.
func (d Dialect) guards() []string {
	var out []string
	if d == Postgres {
		out = append(out, `CREATE OR REPLACE FUNCTION register_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the register is append-only'; END $$`)
	}
	for _, table := range []string{"register_entry", "register_hash"} {
		if d == Postgres {
			out = append(out,
				"DROP TRIGGER IF EXISTS "+table+"_append_only ON "+table,
				"CREATE TRIGGER "+table+"_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON "+table+
					" EXECUTE FUNCTION register_is_append_only()")
			continue
		}
		for _, act := range []string{"UPDATE", "DELETE"} {
			out = append(out, "CREATE TRIGGER IF NOT EXISTS "+table+"_no_"+strings.ToLower(act)+
				" BEFORE "+act+" ON "+table+" BEGIN SELECT RAISE(ABORT, 'the register is append-only'); END")
		}
	}
	return out
}

// IsDuplicate tells that a row with this key exists already.
func IsDuplicate(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "23505"
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return lite.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || lite.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	return false
}

// IsNone tells that a query for one row found none.
func IsNone(err error) bool { return errors.Is(err, sql.ErrNoRows) }

// retryable tells that the same transaction may pass if it is run again: the
// database chose it as the one to give way.
func retryable(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "40001" || pg.Code == "40P01"
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code()&0xff == sqlite3.SQLITE_BUSY
}

// Backup writes a consistent copy of a SQLite database to path, while it is in
// use. On PostgreSQL it refuses: pg_dump does this better than we could.
func (db *DB) Backup(ctx context.Context, path string) (err error) {
	if db.Dialect != SQLite {
		return errors.New("back up: this database is PostgreSQL, use pg_dump")
	}
	// A connection of its own: the read pool refuses to write even to another
	// file, and the one writer must not wait for a copy of everything.
	own, err := sql.Open("sqlite", sqliteURL(db.opts.URL, true))
	if err != nil {
		return fmt.Errorf("open database %s: %w", db.opts.URL, err)
	}
	defer func() { err = errors.Join(err, own.Close()) }()
	if _, err := own.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		return fmt.Errorf("back up the database to %s: %w", path, err)
	}
	return nil
}

// inserter builds one INSERT with many VALUES: the one place where SQL is put
// together from pieces, none of which comes from outside this package.
type inserter struct {
	head string
	tail string // what stands after the values: ON CONFLICT …
	cols int
	args []any
}

func insertInto(table string, cols ...string) *inserter {
	return &inserter{head: "INSERT INTO " + table + " (" + strings.Join(cols, ", ") + ") VALUES ", cols: len(cols)}
}

func (b *inserter) add(values ...any) { b.args = append(b.args, values...) }

// maxParams stays far below the limits of both, 65535 on PostgreSQL and 32766 on
// SQLite: the driver of SQLite looks each $N up among all of a statement's
// arguments, so a statement costs the square of their number.
const maxParams = 180

func (b *inserter) exec(ctx context.Context, tx *sql.Tx) error {
	step := maxParams / b.cols * b.cols
	for start := 0; start < len(b.args); start += step {
		args := b.args[start:min(start+step, len(b.args))]
		var text strings.Builder
		text.WriteString(b.head)
		for i := range args {
			switch {
			case i%b.cols == 0 && i > 0:
				text.WriteString("), (")
			case i%b.cols == 0:
				text.WriteString("(")
			default:
				text.WriteString(", ")
			}
			fmt.Fprintf(&text, "$%d", i+1)
		}
		text.WriteString(")" + b.tail)
		if _, err := tx.ExecContext(ctx, text.String(), args...); err != nil {
			return err
		}
	}
	return nil
}
