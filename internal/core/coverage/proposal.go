package coverage

import (
	"cmp"
	"slices"
	"strconv"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
)

// Proposal is a choice of pilots with what it reaches.
type Proposal struct {
	Fleet    int       `json:"fleet"`    // devices that the choice is made for
	Eligible int       `json:"eligible"` // of them, those that can be pilots
	Chosen   []Choice  `json:"chosen"`
	Share    float64   `json:"share"` // of everything asked for, percent; every kind weighs the same
	Coverage []Reached `json:"coverage"`
	Missing  []Gap     `json:"missing"`       // what no pilot has, of most devices first
	Gaps     int       `json:"missing_count"` // how many there are; Missing has the first
	Rare     Rare      `json:"rare"`
	Refused  []Refused `json:"refused"` // asked for, and cannot be
	Barred   []Barred  `json:"barred"`
}

// Choice is one pilot.
type Choice struct {
	Device fleet.DeviceID `json:"device"`
	Name   string         `json:"name"`
	Must   bool           `json:"must,omitempty"` // asked for by name or group
	Round  int            `json:"round"`          // 2 and more: it stands behind others that have the same
	New    int            `json:"new"`            // features that no pilot before it has
	Gain   float64        `json:"gain"`           // what they are of everything asked for, percent
	Adds   []Feature      `json:"adds"`           // the first of them, of most devices first
}

// Reached is what the pilots have of one kind.
type Reached struct {
	Kind      Kind `json:"kind"`
	Values    int  `json:"values"` // that a pilot has
	OfValues  int  `json:"of_values"`
	Devices   int  `json:"devices"`    // of the fleet, of which a pilot has every value of this kind
	OfDevices int  `json:"of_devices"` // of the fleet that have a value of this kind
}

// Gap is what no pilot has.
type Gap struct {
	Feature
	Devices int `json:"devices"`
}

// Rare is the software that was not asked for.
type Rare struct {
	Below    int      `json:"below"` // on fewer devices
	Values   int      `json:"values"`
	Devices  int      `json:"devices"`  // that have some of it
	Examples []string `json:"examples"` // that no pilot has
}

// Refused is a device that was asked for and cannot be a pilot.
type Refused struct {
	Device fleet.DeviceID `json:"device"`
	Name   string         `json:"name"`
	Reason fault.Reason   `json:"reason"`
}

// Barred counts those that cannot be pilots for one reason.
type Barred struct {
	Code    fault.Code `json:"code"`
	Devices int        `json:"devices"`
}

// How much of the long lists an answer shows.
const (
	shownAdds     = 8
	shownGaps     = 200
	shownExamples = 20
)

// Devices are the pilots' ids.
func (p Proposal) Devices() []fleet.DeviceID {
	out := make([]fleet.DeviceID, 0, len(p.Chosen))
	for _, c := range p.Chosen {
		out = append(out, c.Device)
	}
	return out
}

// finish counts what was reached.
func (c *choosing) finish() Proposal {
	var total, have int64
	values := map[Kind]*Reached{}
	for i, f := range c.features {
		if values[f.Kind] == nil {
			values[f.Kind] = &Reached{Kind: f.Kind}
		}
		if c.weights[i] == 0 {
			c.rareOne(i)
			continue
		}
		total += c.weights[i]
		values[f.Kind].OfValues++
		if c.seen[i] {
			have += c.weights[i]
			values[f.Kind].Values++
		} else {
			c.out.Missing = append(c.out.Missing, Gap{f, int(c.counts[i])})
		}
	}
	if total > 0 {
		c.out.Share = 100 * float64(have) / float64(total)
		for i := range c.out.Chosen {
			c.out.Chosen[i].Gain *= 100 / float64(total)
		}
	}
	c.countDevices(values)
	for _, k := range Kinds() {
		if r := values[k]; r != nil {
			c.out.Coverage = append(c.out.Coverage, *r)
		}
	}
	c.out.trim(c.ask)
	return c.out
}

func (c *choosing) rareOne(feature int) {
	c.out.Rare.Values++
	if !c.seen[feature] {
		c.out.Rare.Examples = append(c.out.Rare.Examples, c.features[feature].Value)
	}
}

// countDevices counts, for each kind, the devices whose every value a pilot has.
func (c *choosing) countDevices(values map[Kind]*Reached) {
	place := map[Kind]uint8{}
	for i, k := range Kinds() {
		place[k] = 1 << i
	}
	bits := make([]uint8, len(c.features)) // the kind of each: maps are slow over a hundred thousand inventories
	for i, f := range c.features {
		bits[i] = place[f.Kind]
	}
	for i := range c.members {
		var asked, lacks uint8
		rare := false
		for _, f := range c.members[i].has {
			if c.weights[f] == 0 {
				rare = true
				continue
			}
			asked |= bits[f]
			if !c.seen[f] {
				lacks |= bits[f]
			}
		}
		if rare {
			c.out.Rare.Devices++
		}
		for k, r := range values {
			if asked&place[k] != 0 {
				r.OfDevices++
				if lacks&place[k] == 0 {
					r.Devices++
				}
			}
		}
	}
}

// trim orders the lists, cuts the long ones, and makes none of them nil.
func (p *Proposal) trim(ask Ask) {
	slices.SortFunc(p.Missing, func(a, b Gap) int {
		return cmp.Or(-cmp.Compare(a.Devices, b.Devices), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value))
	})
	p.Gaps = len(p.Missing)
	p.Missing = p.Missing[:min(len(p.Missing), shownGaps)]
	slices.Sort(p.Rare.Examples)
	p.Rare.Examples = p.Rare.Examples[:min(len(p.Rare.Examples), shownExamples)]
	p.Rare.Below = ask.RareBelow
	p.Chosen, p.Coverage, p.Missing = orEmpty(p.Chosen), orEmpty(p.Coverage), orEmpty(p.Missing)
	p.Refused, p.Barred, p.Rare.Examples = orEmpty(p.Refused), orEmpty(p.Barred), orEmpty(p.Rare.Examples)
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func itoa(n int) string { return strconv.Itoa(n) }
