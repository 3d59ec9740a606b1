package policy

import (
	"slices"
	"time"
)

// Sheet judges a list of patches for many devices: what rules say is worked out
// once for all devices of a match. It belongs to one goroutine.
type Sheet struct {
	rules   Rules
	patches []Patch
	said    []said // of each patch
	made    time.Time
	rows    map[Match][]cell
}

// said is what does not depend on the device.
type said struct {
	scopes scopes
	plain  Outcome
}

// cell is all that policies say of one patch on devices of one match.
type cell struct {
	matched   []matched
	safeguard *Safeguard
}

// NewSheet judges these patches by these rules.
func NewSheet(rules Rules, patches []Patch, now time.Time) *Sheet {
	s := &Sheet{rules: rules, patches: patches, said: make([]said, 0, len(patches)), made: now, rows: map[Match][]cell{}}
	for i := range patches {
		s.said = append(s.said, said{scopesOf(&patches[i]), rules.plain(&patches[i])})
	}
	return s
}

// Add puts one more patch on the sheet and gives its place: a fleet is read page
// by page, and what it misses is known at the end only.
func (s *Sheet) Add(p Patch) int {
	s.patches = append(s.patches, p)
	s.said = append(s.said, said{scopesOf(&p), s.rules.plain(&p)})
	return len(s.patches) - 1
}

func (s *Sheet) cell(at int, m Match) *cell {
	row := s.rows[m]
	if at >= len(row) {
		row = slices.Grow(row, len(s.patches)-len(row))
		for i := len(row); i < len(s.patches); i++ {
			p := &s.patches[i]
			row = append(row, cell{s.rules.Policies.matching(m, p, s.made), s.rules.Policies.safeguard(m, p, s.made)})
		}
		s.rows[m] = row
	}
	return &row[at]
}

// Current tells whether the sheet still holds at now: a rule may ask for the age
// of a patch, in days.
func (s *Sheet) Current(now time.Time) bool {
	return !s.rules.Policies.askAge() || now.Sub(s.made) < time.Hour && !now.Before(s.made)
}

// Judge gives the verdict on the patch at a place of the list, as Rules.Judge.
func (s *Sheet) Judge(at int, h Holder, now time.Time) Outcome {
	return s.rules.hurry(s.judge(at, h, now))
}

func (s *Sheet) judge(at int, h Holder, now time.Time) Outcome {
	p, known := &s.patches[at], &s.said[at]
	if o := s.rules.byHand(known.scopes, h, now); o.Verdict != "" {
		return s.rules.cap(o, p, h, now)
	}
	matched := s.cell(at, h.Match).matched
	if len(matched) == 0 {
		return known.plain
	}
	return s.rules.byRules(matched, p, h, now)
}

// Safeguard is what holds the patch at a place back from the device, or nil.
func (s *Sheet) Safeguard(at int, h Holder) *Safeguard { return s.cell(at, h.Match).safeguard }
