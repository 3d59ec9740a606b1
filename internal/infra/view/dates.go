package view

import (
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/document"
)

// CalendarStep is a date of the procedure beside what happened. A date is kept
// when it is on time.
type CalendarStep struct {
	Amendment int64                `json:"amendment"`
	Ring      string               `json:"ring,omitempty"` // empty: the verification
	Planned   time.Time            `json:"planned"`
	Closes    time.Time            `json:"closes,omitzero"`
	Happened  time.Time            `json:"happened,omitzero"`
	Passed    time.Time            `json:"passed,omitzero"` // its gate
	How       document.Punctuality `json:"how"`
	Expedited *Expedited           `json:"expedited,omitempty"`
}

func calendarOf(b Board) []CalendarStep {
	out := []CalendarStep{}
	for _, a := range b.Amendments {
		for _, g := range a.Rings {
			step := CalendarStep{Amendment: a.Number, Ring: g.Ring, Planned: g.Opens, Closes: g.Closes, Happened: g.Opened, Expedited: g.Expedited,
				How: document.Punctual(g.Opens, g.Opened, b.At)}
			if campaign.RingState(g.State).Passed() {
				step.Passed = g.Decided
			}
			out = append(out, step)
		}
	}
	c := b.Campaign
	return append(out, CalendarStep{Planned: c.Verification, Happened: c.Verified, How: document.Punctual(c.Verification, c.Verified, b.At)})
}

// passedAt tells when gates passed: a ring keeps when its gate was last looked
// at, which it still is afterwards.
func (d *Dossier) passedAt() {
	for i, step := range d.Calendar {
		if step.Passed.IsZero() {
			continue
		}
		for _, v := range d.Proceedings.Evaluations { // oldest first
			if v.Amendment == step.Amendment && v.Ring == step.Ring && v.Verdict == string(campaign.Pass) {
				d.Calendar[i].Passed = v.At
				break
			}
		}
	}
}
