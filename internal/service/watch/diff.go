package watch

import (
	"context"
	"errors"
	"fmt"

	"patchring/internal/core/alert"
	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
)

// BookDiff is what putting a document in force would change.
type BookDiff struct {
	CheckedBook
	Changes alert.Difference `json:"changes"`
	// InForce and Version name what it is compared with; version 0 are the rules
	// that hold where none was ever applied.
	InForce   string `json:"in_force"`
	Version   int64  `json:"version"`
	Unchanged bool   `json:"unchanged"` // this very text is in force
}

// Diff compares a document with the one in force, and changes nothing. Of one
// that this program cannot read any more no rule is in force, so that everything
// in the new one is added: it is how a tenant gets out of that.
func (w *Watch) Diff(ctx context.Context, tenant fleet.TenantID, file string, text []byte) (BookDiff, error) {
	checked, err := w.Check(file, text)
	if err != nil {
		return BookDiff{}, err
	}
	after, err := alert.Parse(file, text)
	if err != nil {
		return BookDiff{}, err
	}
	now, err := w.Show(ctx, tenant, 0)
	if err != nil {
		return BookDiff{}, err
	}
	before, err := alert.Parse(now.Name, []byte(now.Body))
	var unreadable *manifest.Error
	if err != nil && !errors.As(err, &unreadable) {
		return BookDiff{}, fmt.Errorf("parse alert rules %s version %d: %w", now.Name, now.Version, err)
	}
	return BookDiff{
		CheckedBook: checked, Changes: alert.Compare(before, after), InForce: now.Name, Version: now.Version, Unchanged: now.Version > 0 && now.Body == string(text),
	}, nil
}
