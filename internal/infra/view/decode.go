package view

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"patchring/internal/core/fault"
	"patchring/wire"
)

// reason reads a JSON column that holds a reason; empty and {} are none. A bare
// word is taken as a code.
func reason(text string) *fault.Reason {
	if text == "" {
		return nil
	}
	var out fault.Reason
	if !strings.HasPrefix(text, "{") {
		out.Code = fault.Code(text)
	} else if err := json.Unmarshal([]byte(text), &out); err != nil {
		// Shown rather than hidden: a page that lacks one reason is worth more
		// than no page, and the raw text tells what is broken.
		return &fault.Reason{Code: fault.Internal, Args: map[string]string{"reason": text}}
	}
	if out.IsZero() {
		return nil
	}
	return &out
}

// list reads a JSON array column; empty text is the empty list.
func list[T any](column, text string) ([]T, error) {
	out := []T{}
	if text == "" {
		return out, nil
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return nil, fmt.Errorf("decode %s: %w", column, err)
	}
	if out == nil {
		out = []T{}
	}
	return out, nil
}

func changes(text string) ([]wire.Change, error) { return list[wire.Change]("packages", text) }

// promised is the instant that a reason's arguments name as the next attempt.
func promised(r *fault.Reason) time.Time {
	if r == nil {
		return time.Time{}
	}
	for _, name := range [...]string{"next", "until", "opens"} {
		if t, err := time.Parse(time.RFC3339, r.Args[name]); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

func earliest(times ...time.Time) time.Time {
	var out time.Time
	for _, t := range times {
		if !t.IsZero() && (out.IsZero() || t.Before(out)) {
			out = t
		}
	}
	return out
}
