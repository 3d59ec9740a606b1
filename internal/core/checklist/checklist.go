// Package checklist owns what the tests of a gate amount to: which items are
// ok, failed or still open, by what people ticked and what probes say, and how
// many of a ring's or a department's are left.
//
// It refuses to know who may tick and where results are kept; service/checklist
// does. A result of an item that the procedure does not have counts for
// nothing. Every value is pure and safe from any goroutine.
package checklist

import (
	"time"

	"patchring/internal/core/manifest"
	"patchring/internal/core/procedure"
)

// State is where one item stands.
type State string

// States.
const (
	Open   State = "open" // nobody has tried, or no probe has said anything
	OK     State = "ok"
	Failed State = "failed"
)

// Result is the last word on one item.
type Result struct {
	Test     string
	Item     int
	State    State
	Remark   string
	Incident string // that a failure made
	Actor    string
	At       time.Time
}

// Reading is what a probe says on the devices that a test is about.
type Reading struct {
	Green, Red int
	Unknown    int // it has said nothing there, or nothing lately
}

// Fresh is for how long a probe's state is believed of a device that has said
// nothing since: a night and a day, because devices are switched off.
const Fresh = 36 * time.Hour

// State of an automatic test: one red device fails it, and one that says
// nothing keeps it open; no device at all is no evidence either.
func (r Reading) State() State {
	switch {
	case r.Red > 0:
		return Failed
	case r.Unknown > 0 || r.Green == 0:
		return Open
	}
	return OK
}

// Item is one line to tick.
type Item struct {
	Text manifest.Text // empty: the test's own title says it
	Result
}

// Progress is one test and how far it has come.
type Progress struct {
	Rule    procedure.TestRule
	Items   []Item
	Reading Reading // of an automatic one
	Tally
}

// Tally counts items.
type Tally struct {
	OK     int `json:"ok"`
	Failed int `json:"failed"`
	Open   int `json:"open"`
}

// Total is how many there are.
func (t Tally) Total() int { return t.OK + t.Failed + t.Open }

// Plus adds two tallies.
func (t Tally) Plus(o Tally) Tally {
	return Tally{OK: t.OK + o.OK, Failed: t.Failed + o.Failed, Open: t.Open + o.Open}
}

func (t *Tally) count(s State) {
	switch s {
	case OK:
		t.OK++
	case Failed:
		t.Failed++
	default:
		t.Open++
	}
}

// Weigh tells how far each test has come. reading is what the probe of an
// automatic test says.
func Weigh(rules []procedure.TestRule, results []Result, reading func(procedure.TestRule) Reading) []Progress {
	type place struct {
		test string
		item int
	}
	said := map[place]Result{}
	for _, r := range results {
		said[place{r.Test, r.Item}] = r
	}
	out := make([]Progress, 0, len(rules))
	for _, rule := range rules {
		p := Progress{Rule: rule}
		if rule.Probe != "" {
			p.Reading = reading(rule)
			p.Items = []Item{{Result: Result{Test: rule.Name, State: p.Reading.State()}}}
		}
		for n, text := range rule.Items {
			r, ok := said[place{rule.Name, n}]
			if !ok {
				r = Result{Test: rule.Name, Item: n, State: Open}
			}
			p.Items = append(p.Items, Item{text, r})
		}
		for _, i := range p.Items {
			p.count(i.State)
		}
		out = append(out, p)
	}
	return out
}

// Sum counts the items of all tests.
func Sum(list []Progress) Tally {
	var t Tally
	for _, p := range list {
		t = t.Plus(p.Tally)
	}
	return t
}
