package watch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"patchring/internal/core/alert"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// BookVersion is one version of a tenant's document. Version 0 are the rules
// that hold where none was ever applied.
type BookVersion struct {
	Name    string    `json:"name"`
	Version int64     `json:"version"`
	SHA256  string    `json:"sha256,omitempty"`
	By      string    `json:"by,omitempty"`
	At      time.Time `json:"at,omitzero"`
	Body    string    `json:"body,omitempty"`
}

// CheckedBook is what is to be said of a document before it is in force.
type CheckedBook struct {
	Name     string             `json:"name"`
	Rules    int                `json:"rules"`
	Outputs  int                `json:"outputs"`
	Warnings []manifest.Problem `json:"warnings"`
}

// AppliedBook is the outcome of Apply.
type AppliedBook struct {
	CheckedBook
	Version   int64 `json:"version"`
	Unchanged bool  `json:"unchanged"` // this very text is in force
}

// bookAge is how long a document is believed to be the one in force: another
// server may have put one in force meanwhile.
const bookAge = 5 * time.Second

// Book is the document in force for a tenant.
func (w *Watch) Book(ctx context.Context, tenant fleet.TenantID) (alert.Book, error) {
	now := w.Clock()
	w.mu.Lock()
	have, ok := w.books[tenant]
	w.mu.Unlock()
	if age := now.Sub(have.asked); ok && age >= 0 && age < bookAge {
		return have.book, nil
	}
	head, err := w.DB.Read().AlertBookHead(ctx, string(tenant))
	if err != nil {
		return alert.Book{}, fmt.Errorf("read the version of the alert rules: %w", err)
	}
	if !ok || head != have.version {
		if have.book, err = w.read(ctx, tenant, head); err != nil {
			return alert.Book{}, err
		}
		have.version = head
	}
	have.asked = now
	w.mu.Lock()
	w.books[tenant] = have
	w.mu.Unlock()
	return have.book, nil
}

func (w *Watch) read(ctx context.Context, tenant fleet.TenantID, version int64) (alert.Book, error) {
	if version == 0 {
		return alert.Default(), nil
	}
	row, err := w.DB.Read().AlertBook(ctx, string(tenant), version)
	if err != nil {
		return alert.Book{}, fmt.Errorf("read the alert rules: %w", err)
	}
	book, err := alert.Parse(row.Name, []byte(row.Body))
	if err != nil {
		return alert.Book{}, fmt.Errorf("parse alert rules %s version %d: %w", row.Name, version, err)
	}
	return book, nil
}

// Check reads a document and says what is wrong with it.
func (w *Watch) Check(file string, text []byte) (CheckedBook, error) {
	b, err := alert.Parse(file, text)
	if err != nil {
		return CheckedBook{}, err
	}
	return CheckedBook{Name: b.Name, Rules: len(b.Rules), Outputs: len(b.Outputs), Warnings: append([]manifest.Problem{}, b.Warnings...)}, nil
}

// Apply puts a document in force, with an entry in the register. Alerts whose
// rule is no more in it are over at the next step, and nobody is told.
func (w *Watch) Apply(ctx context.Context, tenant fleet.TenantID, by register.Actor, file string, text []byte) (AppliedBook, error) {
	checked, err := w.Check(file, text)
	if err != nil {
		return AppliedBook{}, err
	}
	out := AppliedBook{CheckedBook: checked}
	err = w.DB.Write(ctx, func(tx *store.Tx) error {
		out.Version, out.Unchanged, err = w.keepBook(ctx, tx, tenant, by, checked.Name, text)
		return err
	})
	if err != nil || out.Unchanged {
		return out, err
	}
	w.mu.Lock()
	delete(w.books, tenant)
	w.whole = time.Time{} // a new rule of silence looks at everybody
	w.mu.Unlock()
	w.nudge()
	w.Changed(tenant)
	return out, nil
}

func (w *Watch) keepBook(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, by register.Actor, name string, text []byte) (version int64, unchanged bool, err error) {
	sum := sha256.Sum256(text)
	row := gen.AddAlertBookParams{
		Tenant: string(tenant), Version: 1, Name: name, Body: string(text), Sha256: hex.EncodeToString(sum[:]), Actor: string(by), AtUs: w.Clock().UnixMicro(),
	}
	last, err := tx.AlertBookInForce(ctx, row.Tenant)
	if err != nil {
		return 0, false, fmt.Errorf("read the alert rules in force: %w", err)
	}
	if len(last) == 1 {
		if last[0].Sha256 == row.Sha256 {
			return last[0].Version, true, nil
		}
		row.Version = last[0].Version + 1
	}
	if err := tx.AddAlertBook(ctx, row); err != nil {
		return 0, false, fmt.Errorf("keep alert rules %s: %w", name, err)
	}
	if _, err := tx.TouchAlerts(ctx, gen.TouchAlertsParams{Tenant: row.Tenant}); err != nil {
		return 0, false, fmt.Errorf("touch open alerts: %w", err)
	}
	tx.Record(register.Entry{
		Tenant: row.Tenant, AtUS: row.AtUs, Actor: by, Kind: register.AlertRulesApplied,
		Detail: map[string]any{"rules": name, "version": row.Version, "sha256": row.Sha256},
	})
	return row.Version, false, nil
}

// Versions lists a tenant's documents, the one in force first.
func (w *Watch) Versions(ctx context.Context, tenant fleet.TenantID) ([]BookVersion, error) {
	rows, err := w.DB.Read().AlertBooks(ctx, string(tenant))
	if err != nil {
		return nil, fmt.Errorf("list alert rules: %w", err)
	}
	out := make([]BookVersion, 0, len(rows))
	for _, r := range rows {
		out = append(out, BookVersion{Name: r.Name, Version: r.Version, SHA256: r.Sha256, By: r.Actor, At: store.Instant(r.AtUs)})
	}
	return out, nil
}

// Show gives one version with its text; 0 is the one in force, which may be
// those rules that hold without any.
func (w *Watch) Show(ctx context.Context, tenant fleet.TenantID, version int64) (BookVersion, error) {
	if version == 0 {
		var err error
		if version, err = w.DB.Read().AlertBookHead(ctx, string(tenant)); err != nil {
			return BookVersion{}, fmt.Errorf("read the version of the alert rules: %w", err)
		}
		if version == 0 {
			return BookVersion{Name: alert.Default().Name, Body: alert.DefaultText}, nil
		}
	}
	r, err := w.DB.Read().AlertBook(ctx, string(tenant), version)
	if store.IsNone(err) {
		return BookVersion{}, fault.New(fault.NotFound, "what", "alert_rules", "name", fmt.Sprint(version))
	}
	if err != nil {
		return BookVersion{}, fmt.Errorf("read alert rules version %d: %w", version, err)
	}
	return BookVersion{Name: r.Name, Version: r.Version, SHA256: r.Sha256, By: r.Actor, At: store.Instant(r.AtUs), Body: r.Body}, nil
}

func (w *Watch) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
