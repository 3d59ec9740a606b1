package policy

import (
	"fmt"
	"slices"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/manifest"
)

// Origin says where a freeze comes from.
type Origin string

// Origins.
const (
	FromTenant   Origin = "tenant"   // the tenant's policy
	FromProvider Origin = "global"   // the policy for all tenants
	FromHand     Origin = "hand"     // somebody placed it
	HandForAll   Origin = "hand_all" // somebody placed it for all tenants
)

// Origins lists them.
func Origins() []Origin { return []Origin{FromTenant, FromProvider, FromHand, HandForAll} }

var origins = map[place]Origin{ofTenant: FromTenant, ofProvider: FromProvider, ofHand: FromHand}

// Freeze is a stretch of time in which nothing is installed, whatever the
// windows say. One of a policy begins when From begins and ends when To has
// ended, in Zone; one placed by hand has its very instants.
type Freeze struct {
	Name    string
	Devices Chosen
	From    calendar.Date
	To      calendar.Date // included
	Reason  manifest.Text
	Zone    *time.Location
	Exactly calendar.Interval // in place of the dates
	Origin  Origin            // as Settings and Frozen give it
}

// Interval is the freeze in real time.
func (f Freeze) Interval() calendar.Interval {
	if !f.Exactly.Start.IsZero() {
		return f.Exactly
	}
	return calendar.Interval{Start: f.From.At(0, f.Zone), End: f.To.AddDays(1).At(0, f.Zone)}
}

// HandFreeze is a freeze that somebody places beside the policy's file.
type HandFreeze struct {
	Name    string
	Devices string // a condition; empty: every device
	During  calendar.Interval
	Reason  string
	ForAll  bool // tenants
}

// ByHand makes of freezes placed by hand what Policies weigh; nil of none. An
// error means a condition that this program cannot read any more: deciding
// without the freeze would install in it.
func ByHand(list []HandFreeze) (*Policy, error) {
	if len(list) == 0 {
		return nil, nil
	}
	p := &Policy{Freezes: make([]Freeze, 0, len(list))}
	for _, h := range list {
		f := Freeze{
			Name: h.Name, Devices: Chosen{condition: -1}, Reason: manifest.Text{FR: h.Reason, EN: h.Reason}, Zone: time.UTC,
			Exactly: h.During, Origin: FromHand,
		}
		if h.ForAll {
			f.Origin = HandForAll
		}
		if h.Devices != "" {
			c, err := CompileDevices(h.Devices)
			if err != nil {
				return nil, fmt.Errorf("read the condition of freeze %s: %w", h.Name, err)
			}
			p.conditions = append(p.conditions, c)
			f.Devices = Chosen{Source: h.Devices, condition: len(p.conditions) - 1}
		}
		p.Freezes = append(p.Freezes, f)
	}
	return p, nil
}

// Frozen lists every freeze of the policies, whatever the device, by their
// beginning.
func (p Policies) Frozen() []Freeze {
	var out []Freeze
	p.each(func(at place, _ int, policy *Policy) {
		for _, f := range policy.Freezes {
			if f.Origin == "" {
				f.Origin = origins[at]
			}
			out = append(out, f)
		}
	})
	slices.SortStableFunc(out, func(a, b Freeze) int { return a.Interval().Start.Compare(b.Interval().Start) })
	return out
}

// Unfrozen are the settings without their freezes, for an emergency that two
// people let through.
func (s Settings) Unfrozen() Settings {
	s.Freezes = nil
	return s
}

// WindowsIn are the intervals of the settings' windows between two instants,
// without the freezes.
func (s Settings) WindowsIn(windows []calendar.Interval) []calendar.Interval {
	frozen := make([]calendar.Interval, 0, len(s.Freezes))
	for _, f := range s.Freezes {
		frozen = append(frozen, f.Interval())
	}
	return calendar.Subtract(windows, calendar.Union(frozen...))
}

// FrozenAt is the freeze that is on at an instant, the one that ends last.
func (s Settings) FrozenAt(now time.Time) (Freeze, bool) {
	var on []Freeze
	for _, f := range s.Freezes {
		if f.Interval().Contains(now) {
			on = append(on, f)
		}
	}
	if len(on) == 0 {
		return Freeze{}, false
	}
	return slices.MaxFunc(on, func(a, b Freeze) int { return a.Interval().End.Compare(b.Interval().End) }), true
}
