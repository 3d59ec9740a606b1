// Package local is what the device's own administrator says, on the device: a
// file of things that are never done here, and hooks around an install. The
// network can add nothing to either and overrides neither.
//
// It refuses a file that it cannot understand to the last key, and hooks that
// somebody else could have written. The executor asks it; its values are safe
// from any goroutine.
package local

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"patchring/internal/core/cleanup"
	"patchring/wire"
)

// File is where the administrator forbids more than the server does.
const File = "/etc/patchring/local.json"

// Rules are what the administrator forbids. The zero value forbids nothing.
type Rules struct {
	NeverReboot   bool     `json:"never_reboot"`
	BlockedHours  []Hours  `json:"blocked_hours"`
	NeverPackages []string `json:"never_packages"` // names, with * and ? as in file names
	NeverCleanUp  []string `json:"never_clean_up"` // kinds of clean-up; "*" is all of them
	NeverWake     bool     `json:"never_wake"`     // no neighbour is woken from here
	NeverProbes   []string `json:"never_probes"`   // types of probes, or targets with * and ?; "*" is all of them
}

// Hours are hours of the device's own zone in which nothing is started. To may
// be earlier than From: they then end the next day. Days are those they begin
// on; none means every day.
type Hours struct {
	From string   `json:"from"` // 08:00
	To   string   `json:"to"`
	Days []string `json:"days"` // mon, tue, …

	from, to time.Duration
	days     []time.Weekday
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// Read reads the file. None forbids nothing; one that cannot be
// understood to the last key is an error, and the executor then starts
// nothing: what it forbids is not known.
func Read(file string) (Rules, error) {
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Rules{}, nil
	}
	if err != nil {
		return Rules{}, fmt.Errorf("read local file: %w", err)
	}
	return parse(raw)
}

func parse(raw []byte) (Rules, error) {
	var r Rules
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return Rules{}, fmt.Errorf("decode local file: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Rules{}, errors.New("decode local file: something after the object")
	}
	for i := range r.BlockedHours {
		if err := r.BlockedHours[i].parse(); err != nil {
			return Rules{}, fmt.Errorf("blocked hours %d of local file: %w", i+1, err)
		}
	}
	for _, pattern := range r.NeverPackages {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return Rules{}, fmt.Errorf("never_packages of local file: pattern %q cannot be read", pattern)
		}
	}
	for _, kind := range r.NeverCleanUp {
		if kind != "*" && !slices.Contains(cleanup.Kinds(), cleanup.Kind(kind)) {
			return Rules{}, fmt.Errorf("never_clean_up of local file: %q is no kind of clean-up", kind)
		}
	}
	for _, pattern := range r.NeverProbes {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return Rules{}, fmt.Errorf("never_probes of local file: pattern %q cannot be read", pattern)
		}
	}
	return r, nil
}

func (h *Hours) parse() error {
	for _, clock := range []struct {
		text string
		into *time.Duration
	}{{h.From, &h.from}, {h.To, &h.to}} {
		t, err := time.Parse("15:04", clock.text)
		if err != nil {
			return fmt.Errorf("%q is not hours and minutes", clock.text)
		}
		*clock.into = time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
	}
	h.days = nil
	for _, day := range h.Days {
		at := slices.Index(weekdays, strings.ToLower(day))
		if at < 0 {
			return fmt.Errorf("day %q is none of %s", day, strings.Join(weekdays, " "))
		}
		h.days = append(h.days, time.Weekday(at))
	}
	return nil
}

// on is the span that begins on the day of noon, in its zone.
func (h Hours) on(noon time.Time) (start, end time.Time, ok bool) {
	if len(h.days) > 0 && !slices.Contains(h.days, noon.Weekday()) {
		return start, end, false
	}
	y, m, d := noon.Date()
	at := func(day int, clock time.Duration) time.Time {
		return time.Date(y, m, day, int(clock.Hours()), int(clock.Minutes())%60, 0, 0, noon.Location())
	}
	start, end = at(d, h.from), at(d, h.to)
	if h.to <= h.from {
		end = at(d+1, h.to)
	}
	return start, end, true
}

// Clear is the first instant from now on at which an act of the given length
// touches no blocked hours; false when there is none for a fortnight. now is
// in the device's zone.
func (r Rules) Clear(now time.Time, length time.Duration) (time.Time, bool) {
	at := now
	for at.Before(now.AddDate(0, 0, 14)) {
		until := r.Blocked(at, length)
		if until.IsZero() {
			return at, true
		}
		at = until
	}
	return time.Time{}, false
}

// Blocked is the end of blocked hours that touch [at, at+length], or zero.
func (r Rules) Blocked(at time.Time, length time.Duration) time.Time {
	for start, end := range r.spans(at, length) {
		touches := !start.After(at) || start.Before(at.Add(length))
		if touches && end.After(at) {
			return end
		}
	}
	return time.Time{}
}

// NextBlocked is the first beginning of blocked hours within the length after at.
func (r Rules) NextBlocked(at time.Time, length time.Duration) (first time.Time, ok bool) {
	for start := range r.spans(at, length) {
		if start.After(at) && !start.After(at.Add(length)) && (!ok || start.Before(first)) {
			first, ok = start, true
		}
	}
	return first, ok
}

// spans are the blocked hours of the days around [at, at+length].
func (r Rules) spans(at time.Time, length time.Duration) iter.Seq2[time.Time, time.Time] {
	y, m, d := at.Date()
	days := 2 + int(length/(24*time.Hour))
	return func(yield func(start, end time.Time) bool) {
		for _, h := range r.BlockedHours {
			for day := -2; day <= days; day++ {
				start, end, ok := h.on(time.Date(y, m, d+day, 12, 0, 0, 0, at.Location()))
				if ok && !yield(start, end) {
					return
				}
			}
		}
	}
}

// ForbidsCleanUp tells whether nothing of a kind is ever removed here.
func (r Rules) ForbidsCleanUp(kind cleanup.Kind) bool {
	return slices.Contains(r.NeverCleanUp, "*") || slices.Contains(r.NeverCleanUp, string(kind))
}

// ForbidsProbe names the rule that forbids a probe of a type to a target: "*",
// its type, or a pattern of its target in which * stands for anything.
func (r Rules) ForbidsProbe(kind, target string) (rule string, yes bool) {
	// As in names of packages, but that a target has slashes: * is to pass them.
	flat := func(s string) string { return strings.ReplaceAll(s, "/", "\x00") }
	for _, rule := range r.NeverProbes {
		// The pattern was tried when the file was read.
		hit, err := path.Match(flat(rule), flat(target))
		if rule == "*" || rule == kind || hit || err != nil {
			return rule, true
		}
	}
	return "", false
}

// Forbids names the pattern that forbids a package of the item, if one does.
func (r Rules) Forbids(item wire.Item) (pattern string, yes bool) {
	for _, pattern := range r.NeverPackages {
		for _, p := range item.Packages {
			// The pattern was tried when the file was read.
			if hit, err := path.Match(pattern, p.Name); hit || err != nil {
				return pattern, true
			}
		}
	}
	return "", false
}
