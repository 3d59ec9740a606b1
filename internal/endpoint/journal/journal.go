// Package journal is the agent's durable memory: the orders it keeps and where
// each one stands, the events it has not delivered, the holds in force, the
// register's checkpoints it has seen, the parts it last measured, the reboots
// it asked for, what it is to watch and the points of its measures that are not
// delivered, and (in a file of its own) the identity it enrolled with.
//
// It refuses to decide anything: what a step means, when it may run and what
// an event tells are the executor's. It promises that a change and the events
// that tell of it are stored together or not at all, that they are on disk
// when a method returns nil, and that no result of an order is ever given up.
//
// The journal is one bbolt file, which is fsynced at each commit and which one
// process at a time may open. Its methods are safe from any goroutine. A
// method that returns an error may or may not have stored the change (a commit
// can fail after its last write): the caller reads back and goes on from what
// it finds, as after a crash.
package journal

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Files in the agent's state directory.
const (
	fileName    = "journal.db"
	reserveName = "journal.reserve"
)

// How long Open waits for another process to let the journal go. A service
// manager that restarts the agent can start the new one while the old one
// still closes its file.
const lockWait = 5 * time.Second

// Why a journal cannot be opened.
var (
	ErrInUse = errors.New("journal is in use by another process")
)

// Buckets. Keys of orders and events are big-endian integers, so that a cursor
// walks them in the order of their serial or sequence.
var (
	bucketOrders = []byte("orders") // serial → Order
	bucketEvents = []byte("events") // seq → wire.Event; its bolt sequence is the last seq given
	bucketParts  = []byte("parts")  // part name → wire.Part
	bucketPoints = []byte("points") // beginning → wire.Point
	bucketMeta   = []byte("meta")   // the single values below
)

// Journal is the open file.
type Journal struct {
	dir    string
	db     *bbolt.DB
	commit func(func(*bbolt.Tx) error) error // db.Update; tests make it fail
	limits spoolLimits
	aside  string
}

// Open opens or makes the journal in dir. A file that is no journal any more
// (its storage lied or broke) is moved aside and a new one started: an agent
// that cannot start is worse than one that has forgotten an order, because the
// server sends that order again. SetAside names the old file.
func Open(dir string) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make state directory: %w", err)
	}
	if err := sweep(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, fileName)
	j := &Journal{dir: dir, limits: defaultLimits}
	db, err := open(path, false)
	if broken(err) {
		j.aside = path + ".broken-" + time.Now().UTC().Format("20060102T150405.000000000")
		if err := os.Rename(path, j.aside); err != nil {
			return nil, fmt.Errorf("move broken journal aside: %w", err)
		}
		db, err = open(path, false)
	}
	if err != nil {
		return nil, fmt.Errorf("open journal %s: %w", path, err)
	}
	j.db, j.commit = db, db.Update
	if err := j.prepare(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return j, nil
}

// Peek opens the journal for reading while no agent runs; ErrInUse tells that
// one does.
func Peek(dir string) (*Journal, error) {
	path := filepath.Join(dir, fileName)
	db, err := open(path, true)
	if err != nil {
		return nil, fmt.Errorf("read journal %s: %w", path, err)
	}
	refuse := func(func(*bbolt.Tx) error) error { return berrors.ErrDatabaseReadOnly }
	return &Journal{dir: dir, db: db, commit: refuse}, nil
}

// prepare makes what a new journal lacks.
//
// Crash story: until the directory is synced a power cut may leave no file at
// all, which the next start sees as a new journal; nothing was promised yet.
func (j *Journal) prepare() error {
	err := j.commit(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketOrders, bucketEvents, bucketParts, bucketPoints, bucketMeta} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return fmt.Errorf("make bucket %s: %w", name, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("prepare journal: %w", err)
	}
	return syncDir(j.dir)
}

// SetAside is the broken journal that Open moved away, if it did.
func (j *Journal) SetAside() string { return j.aside }

// Close lets the file go. It waits for the reads and writes under way.
func (j *Journal) Close() error {
	if err := j.db.Close(); err != nil {
		return fmt.Errorf("close journal: %w", err)
	}
	return nil
}

// open turns bbolt's panics about a page it cannot make sense of into an error.
func open(path string, readOnly bool) (db *bbolt.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, fmt.Errorf("%w: %v", berrors.ErrInvalid, p)
		}
	}()
	wait := lockWait
	if readOnly {
		wait = time.Millisecond
	}
	db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: wait, ReadOnly: readOnly, FreelistType: bbolt.FreelistMapType})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, ErrInUse
	}
	return db, err
}

func broken(err error) bool {
	return errors.Is(err, berrors.ErrInvalid) || errors.Is(err, berrors.ErrChecksum) ||
		errors.Is(err, berrors.ErrVersionMismatch) || errors.Is(err, berrors.ErrInvalidMapping)
}

// write runs one change and commits it. When the disk is full it gives the
// reserve back to the file system and tries once more, so that an order in
// progress can always write down how it ended. change may therefore run twice.
func (j *Journal) write(change func(*bbolt.Tx) error) error {
	err := j.commit(change)
	if err == nil || !j.isFull(err) {
		return err
	}
	if releaseErr := j.releaseReserve(); releaseErr != nil {
		return errors.Join(err, releaseErr)
	}
	return j.commit(change)
}

func get[T any](tx *bbolt.Tx, bucket []byte, key []byte) (value T, found bool, err error) {
	b := tx.Bucket(bucket)
	if b == nil {
		return value, false, nil
	}
	raw := b.Get(key)
	if raw == nil {
		return value, false, nil
	}
	if err := json.Unmarshal(raw, &value); err != nil {
		return value, false, fmt.Errorf("decode %s of journal: %w", key, err)
	}
	return value, true, nil
}

func put(tx *bbolt.Tx, bucket []byte, key []byte, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode %s for journal: %w", key, err)
	}
	if err := tx.Bucket(bucket).Put(key, raw); err != nil {
		return fmt.Errorf("put %s into journal: %w", key, err)
	}
	return nil
}

// read is get in a transaction of its own; what is not there is the zero value.
func read[T any](j *Journal, bucket []byte, key string) (value T, err error) {
	err = j.db.View(func(tx *bbolt.Tx) error {
		value, _, err = get[T](tx, bucket, []byte(key))
		return err
	})
	return value, err
}

func intKey(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }
