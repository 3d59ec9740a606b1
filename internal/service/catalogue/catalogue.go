// Package catalogue takes in what publishers know of vulnerabilities, and has
// every patch of every tenant judged anew when they know something new. The
// formats are core/feed's, what a patch mends is core/vulnerability's.
//
// It refuses a file with a problem whole, and one that is older than what is
// known. It asks nobody on the Internet: files come from people. Safe from any
// goroutine; imports take turns. Run finishes what an earlier run was stopped in.
package catalogue

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/feed"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Options of a Catalogue.
type Options struct {
	DB    *store.DB
	Clock func() time.Time
	Log   *slog.Logger
	// Changed lets campaigns decide again at once.
	Changed func()
}

// Catalogue of all tenants.
type Catalogue struct {
	Options
	turn sync.Mutex // held by the import or the judging that runs
}

// New makes a Catalogue.
func New(o Options) *Catalogue { return &Catalogue{Options: o} }

// ImportAsk is a file to import.
type ImportAsk struct {
	Feed    feed.Name
	File    string // its name, for the record
	Content []byte // plain or packed by gzip
	// Wrapped: Content was packed once more for the way. The record is of the
	// file itself, as it lies on the disk of whoever sent it.
	Wrapped bool
}

// open gives the file.
func (a ImportAsk) open() (io.Reader, error) {
	if !a.Wrapped {
		return bytes.NewReader(a.Content), nil
	}
	z, err := gzip.NewReader(bytes.NewReader(a.Content))
	if err != nil {
		return nil, invalid("file", "not_gzip", "Content-Encoding").Wrap(err)
	}
	return z, nil
}

// text gives what is in the file.
func (a ImportAsk) text() (io.Reader, error) {
	file, err := a.open()
	if err != nil {
		return nil, err
	}
	return feed.Unpack(file)
}

func (a ImportAsk) digest() (string, error) {
	file, err := a.open()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(file, feed.MaxText+1))
	switch {
	case err != nil:
		return "", invalid("file", "cut_short", "download").Wrap(err)
	case n > feed.MaxText:
		return "", invalid("file", "too_long", fmt.Sprintf("%d MB", feed.MaxText>>20))
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// ImportedFeed is the outcome of an import.
type ImportedFeed struct {
	Feed    feed.Name `json:"feed"`
	File    string    `json:"file"`
	SHA256  string    `json:"sha256"`
	Entries int64     `json:"entries"`
	Made    time.Time `json:"made,omitzero"` // by its publisher, where it says
	By      string    `json:"by,omitempty"`  // where it was one of the tenant's people
	At      time.Time `json:"at"`
	Patches int       `json:"patches"` // of which something new is known
	// Unchanged: this very file was the last one.
	Unchanged bool `json:"unchanged,omitempty"`
}

// Import keeps the facts of a file, writes it into the register of every tenant
// and judges every patch anew.
//
// Crash story: the tracker's rows are written in parts under a generation that
// nobody reads; one transaction makes it the one that is read, and marks the
// feed as not judged yet. Before it the old facts stand, and the next import or
// start drops the parts; after it the new ones, and the next start judges the
// patches that were not.
func (c *Catalogue) Import(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask ImportAsk) (ImportedFeed, error) {
	if !slices.Contains(feed.Names(), ask.Feed) {
		return ImportedFeed{}, invalid("feed", "not_a_choice", "debian | kev | nvd")
	}
	c.turn.Lock()
	defer c.turn.Unlock()
	last, err := c.last(ctx, ask.Feed)
	if err != nil {
		return ImportedFeed{}, err
	}
	sum, err := ask.digest()
	if err != nil {
		return ImportedFeed{}, err
	}
	row := gen.Feed{
		Tenant: store.Shared, Name: string(ask.Feed), File: ask.File, Sha256: sum, Importer: string(tenant), Actor: string(by), Pending: 1,
		AtUs: max(c.Clock().UnixMicro(), last.AtUs+1), Generation: last.Generation,
	}
	if row.Sha256 == last.Sha256 {
		out := imported(last, tenant)
		out.Unchanged = true
		if last.Pending == 1 { // it was stored, and whoever asked was told that it was not
			out.Patches, err = c.judge(context.WithoutCancel(ctx), last)
		}
		return out, err
	}
	if err := c.keep(ctx, ask, last, &row); err != nil {
		return ImportedFeed{}, err
	}
	// The facts are in force: whoever asked may leave, the patches are judged.
	out := imported(row, tenant)
	if out.Patches, err = c.judge(context.WithoutCancel(ctx), row); err != nil {
		return ImportedFeed{}, err
	}
	c.Log.Info("feed imported", "feed", row.Name, "entries", row.Entries, "patches", out.Patches)
	if err := c.dropPast(context.WithoutCancel(ctx)); err != nil {
		c.Log.Error("clean up after an import", "feed", row.Name, "err", err) // the next start tries again
	}
	return out, nil
}

func imported(f gen.Feed, tenant fleet.TenantID) ImportedFeed {
	out := ImportedFeed{Feed: feed.Name(f.Name), File: f.File, SHA256: f.Sha256, Entries: f.Entries, Made: store.Instant(f.SnapshotUs), At: store.Instant(f.AtUs)}
	if f.Importer == string(tenant) {
		out.By = f.Actor
	}
	return out
}

func (c *Catalogue) last(ctx context.Context, name feed.Name) (gen.Feed, error) {
	rows, err := c.DB.Read().Feeds(ctx, store.Shared)
	if err != nil {
		return gen.Feed{}, fmt.Errorf("read feeds: %w", err)
	}
	for _, r := range rows {
		if r.Name == string(name) {
			return r, nil
		}
	}
	return gen.Feed{}, nil
}

func (c *Catalogue) keep(ctx context.Context, ask ImportAsk, last gen.Feed, row *gen.Feed) error {
	var write func(*store.Tx) error
	var err error
	switch ask.Feed {
	case feed.Debian:
		write, err = c.debian(ctx, ask, row)
	case feed.KEV:
		write, err = kev(ctx, ask, last, row)
	default:
		write, err = nvd(ctx, ask, row)
	}
	if err != nil {
		return err
	}
	return c.DB.Write(ctx, func(tx *store.Tx) error {
		if err := write(tx); err != nil {
			return err
		}
		if err := tx.PutFeed(ctx, gen.PutFeedParams(*row)); err != nil {
			return fmt.Errorf("keep feed %s: %w", row.Name, err)
		}
		return record(ctx, tx, *row)
	})
}

// record writes the import into every register: what it changes is seen by all
// tenants. Who did it is told to their own tenant only.
func record(ctx context.Context, tx *store.Tx, row gen.Feed) error {
	tenants, err := tx.Tenants(ctx)
	if err != nil {
		return fmt.Errorf("read tenants: %w", err)
	}
	for _, t := range tenants {
		actor := register.System("catalogue")
		if t.ID == row.Importer {
			actor = register.Actor(row.Actor)
		}
		tx.Record(register.Entry{
			Tenant: t.ID, AtUS: row.AtUs, Actor: actor, Kind: register.FeedImported,
			Detail: map[string]any{"feed": row.Name, "file": row.File, "sha256": row.Sha256, "entries": row.Entries, "made": row.SnapshotUs},
		})
	}
	return nil
}

// rowsAtOnce is how many rows of a feed are written together.
const rowsAtOnce = 2000

// debian writes the tracker under a generation of its own, in parts: agents'
// reports do not wait for sixty megabytes. What it gives back makes it the one
// that is read.
func (c *Catalogue) debian(ctx context.Context, ask ImportAsk, row *gen.Feed) (func(*store.Tx) error, error) {
	row.Generation = row.AtUs
	var part []feed.DebianSource
	rows, entries := 0, 0
	flush := func() error {
		err := c.DB.Write(ctx, func(tx *store.Tx) error { return tx.AddDebian(ctx, row.Generation, part) })
		part, rows = part[:0], 0
		return err
	}
	text, err := ask.text()
	if err == nil {
		err = feed.ReadDebian(text, func(s feed.DebianSource) error {
			part, rows, entries = append(part, s), rows+len(s.Rows), entries+len(s.Rows)
			if rows < rowsAtOnce {
				return nil
			}
			return flush()
		})
	}
	if err == nil {
		err = flush()
	}
	if err != nil {
		return nil, errors.Join(err, c.drop(context.WithoutCancel(ctx), row.Generation))
	}
	row.Entries = int64(entries)
	return func(tx *store.Tx) error {
		n, err := tx.CountDebian(ctx, store.Shared, row.Generation)
		if err != nil {
			return fmt.Errorf("count what was imported: %w", err)
		}
		if n != row.Entries { // another server dropped what it took for the rest of a crash
			return fault.Again(fault.Unavailable, "what", "another_import")
		}
		return nil
	}, nil
}

func kev(ctx context.Context, ask ImportAsk, last gen.Feed, row *gen.Feed) (func(*store.Tx) error, error) {
	text, err := ask.text()
	if err != nil {
		return nil, err
	}
	list, err := feed.ReadKEV(text)
	if err != nil {
		return nil, err
	}
	row.Entries, row.SnapshotUs = int64(len(list.Entries)), store.Micros(list.Released)
	if row.SnapshotUs < last.SnapshotUs {
		return nil, invalid("dateReleased", "older_than_known", store.Instant(last.SnapshotUs).Format(time.RFC3339))
	}
	return func(tx *store.Tx) error { return tx.ReplaceKEV(ctx, list.Entries) }, nil
}

// nvd reads the file twice: once to know that it is sound, and once to write it
// in one transaction without having all of it in memory. Its files are parts, so
// they add to what is known.
func nvd(ctx context.Context, ask ImportAsk, row *gen.Feed) (func(*store.Tx) error, error) {
	read := func(each func(feed.Graded) error) (time.Time, error) {
		text, err := ask.text()
		if err != nil {
			return time.Time{}, err
		}
		return feed.ReadNVD(text, each)
	}
	made, err := read(func(feed.Graded) error { row.Entries++; return nil })
	if err != nil {
		return nil, err
	}
	row.SnapshotUs = store.Micros(made)
	return func(tx *store.Tx) error {
		var part []feed.Graded
		_, err := read(func(g feed.Graded) error {
			if part = append(part, g); len(part) < rowsAtOnce {
				return nil
			}
			err := tx.PutNVD(ctx, part)
			part = part[:0]
			return err
		})
		if err != nil {
			return err
		}
		return tx.PutNVD(ctx, part)
	}, nil
}

// patchesAtOnce is how many patches are judged in one transaction.
const patchesAtOnce = 200

// judge has every patch of every tenant decided anew.
func (c *Catalogue) judge(ctx context.Context, f gen.Feed) (changed int, err error) {
	tenants, err := c.DB.Read().Tenants(ctx)
	if err != nil {
		return 0, fmt.Errorf("read tenants: %w", err)
	}
	for _, t := range tenants {
		n, err := c.judgeTenant(ctx, t.ID)
		if changed += n; err != nil {
			return changed, err
		}
	}
	if changed > 0 {
		c.Changed()
	}
	err = c.DB.Write(ctx, func(tx *store.Tx) error {
		return tx.FeedJudged(ctx, gen.FeedJudgedParams{Tenant: f.Tenant, Name: f.Name, AtUs: f.AtUs})
	})
	return changed, err
}

func (c *Catalogue) judgeTenant(ctx context.Context, tenant string) (changed int, err error) {
	after := ""
	for {
		var page []gen.Patch
		n := 0
		err := c.DB.Write(ctx, func(tx *store.Tx) (err error) {
			n = 0
			if page, err = tx.PatchesAfter(ctx, gen.PatchesAfterParams{Tenant: tenant, ID: after, Max: patchesAtOnce}); err != nil {
				return fmt.Errorf("read the catalogue: %w", err)
			}
			for _, p := range page {
				new, err := tx.Mend(ctx, p)
				if err != nil {
					return err
				}
				if new {
					n++
				}
			}
			return nil
		})
		if err != nil {
			return changed, err
		}
		changed += n
		if len(page) < patchesAtOnce {
			return changed, nil
		}
		after = page[len(page)-1].ID
	}
}

// dropPast drops every generation of the tracker but the one that is read.
func (c *Catalogue) dropPast(ctx context.Context) error {
	in, err := c.last(ctx, feed.Debian)
	if err != nil {
		return err
	}
	all, err := c.DB.Read().DebianGenerations(ctx, store.Shared)
	if err != nil {
		return fmt.Errorf("read the generations of the tracker: %w", err)
	}
	for _, generation := range all {
		if generation == in.Generation {
			continue
		}
		if err := c.drop(ctx, generation); err != nil {
			return err
		}
	}
	return nil
}

func (c *Catalogue) drop(ctx context.Context, generation int64) error {
	for more := true; more; {
		err := c.DB.Write(ctx, func(tx *store.Tx) (err error) {
			more, err = tx.DropPast(ctx, generation)
			return err
		})
		if err != nil {
			return fmt.Errorf("drop a past generation of the tracker: %w", err)
		}
	}
	return nil
}

// Run finishes what an earlier run of the server, or an earlier version of it,
// has left: installed versions that were never read, patches that were not
// judged, parts of an import. Then it ends.
func (c *Catalogue) Run(ctx context.Context) error {
	c.turn.Lock()
	defer c.turn.Unlock()
	err := c.finish(ctx)
	if ctx.Err() != nil {
		return nil // the next start goes on
	}
	if err != nil {
		c.Log.Error("finish the catalogue", "err", err)
	}
	return nil
}

func (c *Catalogue) finish(ctx context.Context) error {
	tenants, err := c.DB.Read().Tenants(ctx)
	if err != nil {
		return fmt.Errorf("read tenants: %w", err)
	}
	for _, t := range tenants {
		for n := rowsAtOnce; n == rowsAtOnce; {
			err := c.DB.Write(ctx, func(tx *store.Tx) (err error) {
				n, err = tx.ReadInstalled(ctx, t.ID, rowsAtOnce)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	feeds, err := c.DB.Read().Feeds(ctx, store.Shared)
	if err != nil {
		return fmt.Errorf("read feeds: %w", err)
	}
	for _, f := range feeds {
		if f.Pending == 1 {
			if _, err := c.judge(ctx, f); err != nil {
				return err
			}
		}
	}
	return c.dropPast(ctx)
}

func invalid(field, problem, fix string) *fault.Error {
	return fault.New(fault.InvalidField, "field", field, "problem", problem, "fix", fix)
}
