package view

import (
	"encoding/base64"
	"encoding/json"

	"patchring/internal/core/fault"
)

// Page is one page of a list. Next asks for the one after it, and is empty on
// the last. What a cursor says is the list's own business.
type Page[T any] struct {
	Rows []T    `json:"rows"`
	Next string `json:"next,omitempty"`
}

// Paging asks for a page.
type Paging struct {
	Cursor string // Next of the page before; empty for the first
	Limit  int    // rows wanted; 0 is DefaultLimit
}

// Limits of a page.
const (
	DefaultLimit = 50
	MaxLimit     = 500
)

func (p Paging) limit() int {
	if p.Limit <= 0 {
		return DefaultLimit
	}
	return min(p.Limit, MaxLimit)
}

// cursor is where a list goes on: behind the row with these sort values. Sort
// is the order it belongs to; a cursor of another order is refused.
type cursor struct {
	Sort     string `json:"s"`
	Provider string `json:"p,omitempty"`
	Text     string `json:"t,omitempty"`
	N        int64  `json:"n,omitempty"`
	ID       string `json:"i,omitempty"`
}

func (c cursor) String() string {
	raw, err := json.Marshal(c)
	if err != nil {
		panic("view: encode a cursor: " + err.Error()) // strings and integers always encode
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// cursorFor reads the cursor of a list in the given order; nil for its start.
func (p Paging) cursorFor(sort string) (*cursor, error) {
	if p.Cursor == "" {
		return nil, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	var c cursor
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err != nil || c.Sort != sort {
		return nil, fault.New(fault.InvalidField, "field", "cursor", "problem", "bad_cursor", "fix", "start_over")
	}
	return &c, nil
}

// pageOf cuts the one row that was read beyond the limit, and makes the cursor
// behind the last row kept.
func pageOf[T any](rows []T, limit int, after func(T) cursor) Page[T] {
	if len(rows) <= limit {
		return Page[T]{Rows: rows}
	}
	rows = rows[:limit]
	return Page[T]{Rows: rows, Next: after(rows[limit-1]).String()}
}
