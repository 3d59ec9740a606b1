// Package storetest gives tests a real database: SQLite always, and a real
// PostgreSQL server started once per test program from Debian's packages. It
// is only ever imported by tests.
package storetest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"patchring/internal/core/register"
	"patchring/internal/infra/store"
)

// signerKey is a note key made for tests only; it signs nothing else.
const signerKey = "PRIVATE+KEY+patchring/acme+82cb6c0a+AWqth1ggx5N5d9V78e+7WUHFIyl4HEYwCgYt6KPm/nNj"

// VerifierKey checks what the test notary signs for the tenant acme.
const VerifierKey = "patchring/acme+82cb6c0a+ATQZrYPPlhsUfLbDbp3hD7Yqw4pKki3Dd0oeVGofdO/U"

// Each runs f as a subtest on each database.
func Each(t *testing.T, f func(t *testing.T, db *store.DB)) {
	t.Run("sqlite", func(t *testing.T) { f(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { f(t, Postgres(t)) })
}

// SQLite opens a new database file.
func SQLite(t testing.TB) *store.DB {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "site.db"))
}

// Postgres opens a new database on the test program's server.
func Postgres(t testing.TB) *store.DB {
	t.Helper()
	return open(t, PostgresURL(t))
}

// PostgresURL makes a new, empty database on the test program's server.
func PostgresURL(t testing.TB) string {
	t.Helper()
	base, err := server()
	if err != nil {
		t.Fatalf("start PostgreSQL for the tests (Debian package postgresql): %v", err)
	}
	name := "t" + uuid.NewString()[:8]
	if err := execAt(base+"&dbname=postgres", "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	return base + "&dbname=" + name
}

// CopyPostgres copies a database that nobody uses at the moment, as a backup and
// its restore would.
func CopyPostgres(t testing.TB, url string) string {
	t.Helper()
	base, name, _ := strings.Cut(url, "&dbname=")
	copied := "c" + uuid.NewString()[:8]
	if err := execAt(base+"&dbname=postgres", "CREATE DATABASE "+copied+" TEMPLATE "+name); err != nil {
		t.Fatal(err)
	}
	return base + "&dbname=" + copied
}

func open(t testing.TB, url string) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), store.Options{URL: url, Notary: notary})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func notary(tenant string, c register.Checkpoint) (string, error) {
	key, err := signerKey, error(nil)
	if tenant != "acme" {
		// Steady and public: it is no secret that these tests sign nothing real.
		if key, _, err = note.GenerateKey(bytes.NewReader(make([]byte, 64)), register.Origin(tenant)); err != nil {
			return "", err
		}
	}
	signer, err := note.NewSigner(key)
	if err != nil {
		return "", err
	}
	return c.Sign(signer)
}

// Tamper changes the database as someone with the file, or the superuser's
// password, could: without the guards.
func Tamper(t testing.TB, db *store.DB, sqlite, postgres string) {
	t.Helper()
	statements := []string{"DROP TRIGGER register_entry_no_update", sqlite}
	if db.Dialect == store.Postgres {
		statements = []string{"DROP TRIGGER register_entry_append_only ON register_entry", postgres}
	}
	for _, s := range statements {
		if err := Exec(db, s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// Exec runs one statement past the store's own queries.
func Exec(db *store.DB, statement string) error {
	return db.Raw(context.Background(), statement)
}

var server = sync.OnceValues(startPostgres)

// startPostgres makes a cluster in a temporary directory and runs it on a unix
// socket, without durability: it lives as long as the test program, whose end
// the kernel tells it (Pdeathsig).
func startPostgres() (string, error) {
	bins, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(bins) == 0 {
		return "", fmt.Errorf("no /usr/lib/postgresql/*/bin/postgres: apt-get install postgresql")
	}
	bin := filepath.Dir(bins[len(bins)-1])
	dir, lock, err := claim()
	if err != nil {
		return "", err
	}
	who, err := ordinaryUser(dir)
	if err != nil {
		return "", err
	}
	data := filepath.Join(dir, "data")
	initdb := exec.Command(bin+"/initdb", "-D", data, "-U", "patchring", "--auth=trust", "-N", "-E", "UTF8", "--locale=C.UTF-8")
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	if out, err := initdb.CombinedOutput(); err != nil {
		return "", fmt.Errorf("initdb: %w: %s", err, out)
	}
	var log bytes.Buffer
	run := exec.Command(bin+"/postgres", "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off",
		"-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "shared_buffers=32MB")
	run.Stderr = &log
	run.ExtraFiles = []*os.File{lock} // its copy is held for as long as it runs
	run.SysProcAttr = &syscall.SysProcAttr{Credential: who, Pdeathsig: syscall.SIGKILL}
	if err := run.Start(); err != nil {
		return "", fmt.Errorf("start postgres: %w", err)
	}
	base := "postgres:///?host=" + dir + "&user=patchring"
	for deadline := time.Now().Add(30 * time.Second); ; {
		err := execAt(base+"&dbname=postgres", "SELECT 1")
		if err == nil {
			return base, nil
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("postgres does not answer: %w: %s", err, log.String())
		}
		<-time.After(20 * time.Millisecond)
	}
}

// claim makes a directory that is this test program's while the lock is held. The
// clusters of programs that have ended, which could not remove their own, are
// removed.
func claim() (dir string, lock *os.File, err error) {
	old, err := filepath.Glob(filepath.Join(os.TempDir(), "pr-pg-*"))
	if err != nil {
		return "", nil, err
	}
	for _, dir := range old {
		if lock, err := lockOf(dir, 0); err == nil {
			if err := errors.Join(os.RemoveAll(dir), lock.Close()); err != nil {
				return "", nil, fmt.Errorf("remove an old cluster: %w", err)
			}
		}
	}
	// Claimed first under a name that nobody looks for.
	made, err := os.MkdirTemp("", "pr-new-pg-")
	if err != nil {
		return "", nil, err
	}
	if lock, err = lockOf(made, os.O_CREATE); err != nil {
		return "", nil, err
	}
	dir = filepath.Join(os.TempDir(), "pr-pg-"+uuid.NewString()[:8])
	return dir, lock, os.Rename(made, dir)
}

func lockOf(dir string, flag int) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|flag, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// ordinaryUser: PostgreSQL refuses to run as root, so root becomes nobody.
func ordinaryUser(dir string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	const nobody = 65534
	if err := os.Chown(dir, nobody, nobody); err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: nobody, Gid: nobody}, nil
}

func execAt(url, statement string) error {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return err
	}
	_, err = db.Exec(statement)
	return errors.Join(err, db.Close())
}
