package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // driver "sqlite"

	"patchring/internal/core/register"
	"patchring/internal/infra/store/gen"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Dialect tells the two databases apart where one text cannot serve both.
type Dialect string

// Dialects.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// Notary signs the register's checkpoint after an append. It is called inside
// the transaction.
type Notary func(tenant string, c register.Checkpoint) (signed string, err error)

// Options of a database.
type Options struct {
	// URL is a file path (SQLite) or postgres://….
	URL    string
	Notary Notary
	Clock  func() time.Time
	// Fault, when set, is asked before and after each commit; tests make a
	// commit fail "not stored" or "but stored" with it.
	Fault func(stored bool) error
}

// DB is an open database with its migrations applied.
type DB struct {
	Dialect Dialect
	write   *sql.DB // SQLite: exactly one connection
	read    *sql.DB
	// The parsed statements of write and read; nil where the driver keeps them.
	parsed, parsedReads *parsed

	opts Options
}

// Open connects, and brings the schema up to date.
func Open(ctx context.Context, opts Options) (*DB, error) {
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	db, err := connect(opts)
	if err != nil {
		return nil, err
	}
	if err := db.migrate(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Peek opens a SQLite database that nobody serves any more, to read what it
// held: it is not written to, and its schema stays as it is, so only queries
// that every schema understands are for it.
func Peek(ctx context.Context, path string) (*DB, error) {
	q := url.Values{}
	q.Add("mode", "ro")
	q.Add("_pragma", "busy_timeout(10000)")
	q.Add("_pragma", "query_only(ON)")
	pool, err := sql.Open("sqlite", fileURL(path, q))
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	pool.SetMaxOpenConns(4)
	db := &DB{Dialect: SQLite, write: pool, read: pool, opts: Options{URL: path}}
	if err := db.Ping(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), db.Close())
	}
	return db, nil
}

func connect(opts Options) (*DB, error) {
	if strings.HasPrefix(opts.URL, "postgres://") || strings.HasPrefix(opts.URL, "postgresql://") {
		pool, err := sql.Open("pgx", opts.URL)
		if err != nil {
			return nil, fmt.Errorf("open database: %w", err)
		}
		pool.SetMaxOpenConns(16)
		return &DB{Dialect: Postgres, write: pool, read: pool, opts: opts}, nil
	}
	write, err := sql.Open("sqlite", sqliteURL(opts.URL, true))
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", opts.URL, err)
	}
	write.SetMaxOpenConns(1)
	write.SetConnMaxIdleTime(0)
	read, err := sql.Open("sqlite", sqliteURL(opts.URL, false))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", opts.URL, err), write.Close())
	}
	read.SetMaxOpenConns(4)
	return &DB{Dialect: SQLite, write: write, read: read, parsed: newParsed(write), parsedReads: newParsed(read), opts: opts}, nil
}

// sqliteURL: WAL so that readers never wait for the writer; synchronous=FULL
// because an acknowledged report must survive a power cut; immediate, so that
// a writer takes its lock before it reads what it decides on.
func sqliteURL(path string, write bool) string {
	q := url.Values{}
	q.Add("_pragma", "busy_timeout(10000)")
	q.Add("_pragma", "journal_mode(WAL)")
	q.Add("_pragma", "synchronous(FULL)")
	q.Add("_pragma", "foreign_keys(ON)")
	q.Add("_pragma", "temp_store(MEMORY)")
	if write {
		q.Add("_txlock", "immediate")
	} else {
		q.Add("_pragma", "query_only(ON)")
	}
	return fileURL(path, q)
}

func (db *DB) migrate(ctx context.Context) error {
	tree, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	dialect := goose.DialectSQLite3
	if db.Dialect == Postgres {
		dialect = goose.DialectPostgres
	}
	p, err := goose.NewProvider(dialect, db.write, tree)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bring the database's schema up to date: %w", err)
	}
	for _, statement := range db.Dialect.guards() {
		if _, err := db.write.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("guard the register: %w", err)
		}
	}
	return nil
}

// Close ends all connections.
func (db *DB) Close() error {
	if db.read == db.write {
		return db.write.Close()
	}
	return errors.Join(db.read.Close(), db.write.Close())
}

// Read gives the generated queries on the read pool: no transaction, each
// query sees the last commit.
func (db *DB) Read() *gen.Queries {
	if db.parsedReads == nil {
		return gen.New(db.read)
	}
	return gen.New(inPool{DB: db.read, parsed: db.parsedReads})
}

// Pool is the read pool, for the read side (package view).
func (db *DB) Pool() *sql.DB { return db.read }

// Raw runs one statement as it is. Only tests and the restore of a backup have
// a reason to pass the generated queries.
func (db *DB) Raw(ctx context.Context, statement string) error {
	if _, err := db.write.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("run statement: %w", err)
	}
	return nil
}

// Ping tells whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.write.PingContext(ctx); err != nil {
		return fmt.Errorf("reach the database: %w", err)
	}
	return nil
}

// fileURL names a file to SQLite; a folder may well be called "100 %".
func fileURL(path string, q url.Values) string {
	escaped := url.URL{Path: filepath.ToSlash(path)}
	return "file:" + escaped.EscapedPath() + "?" + q.Encode()
}
