// Package policy owns the verdict: whether a patch may be installed, and which
// rule said so. Decisions made by hand come before what the procedure approves
// by itself, and a rejection wins over everything. Pure values, safe from any
// goroutine.
package policy

import (
	"fmt"
	"slices"
	"time"

	"patchring/internal/core/patch"
)

// Verdict is what policy says of a patch.
type Verdict string

// Verdicts.
const (
	Pending  Verdict = "pending" // nobody and nothing has decided: it waits
	Approved Verdict = "approved"
	Delayed  Verdict = "delayed"  // until
	Declined Verdict = "declined" // until, or for ever
)

// ParseVerdict reads a verdict that a person may give.
func ParseVerdict(s string) (Verdict, error) {
	switch v := Verdict(s); v {
	case Approved, Delayed, Declined:
		return v, nil
	}
	return "", fmt.Errorf("verdict %q is not one of approved, delayed, declined", s)
}

// Scope says which patches a decision is about: one exact patch by its id, or
// every version of a name.
type Scope string

// ScopeOf is the scope of one exact patch.
func ScopeOf(id patch.ID) Scope { return Scope(id) }

// ScopeOfName is the scope of every version of a name.
func ScopeOfName(provider, name string) Scope { return Scope("name:" + provider + "/" + name) }

// Decision is one verdict given by hand.
type Decision struct {
	Verdict Verdict
	Until   time.Time // zero: without end
	Reason  string
	Actor   string
	At      time.Time
}

// inForce tells whether the decision still says something at now.
func (d Decision) inForce(now time.Time) bool {
	return d.Until.IsZero() || now.Before(d.Until)
}

// Rules are all that verdicts are made of for one tenant and procedure.
type Rules struct {
	Decisions map[Scope]Decision
	Classes   []patch.Class // approved automatically
}

// Outcome is a verdict with the rule that made it.
type Outcome struct {
	Verdict  Verdict
	Until    time.Time
	Rule     string // the decision's scope, class:NAME, or default
	Decision Decision
}

// Judge gives the verdict on a patch. Among the decisions in force that speak
// of it, declined wins over delayed, delayed over approved; without any, its
// class decides; without that, it is pending.
func (r Rules) Judge(key patch.Key, class patch.Class, now time.Time) Outcome {
	var best Outcome
	for _, scope := range [...]Scope{ScopeOf(key.ID()), ScopeOfName(key.Provider, key.Name)} {
		d, ok := r.Decisions[scope]
		if !ok || !d.inForce(now) || rank(d.Verdict) <= rank(best.Verdict) {
			continue
		}
		best = Outcome{Verdict: d.Verdict, Until: d.Until, Rule: string(scope), Decision: d}
	}
	switch {
	case best.Verdict != "":
		return best
	case slices.Contains(r.Classes, class):
		return Outcome{Verdict: Approved, Rule: "class:" + string(class)}
	default:
		return Outcome{Verdict: Pending, Rule: "default"}
	}
}

func rank(v Verdict) int {
	return slices.Index([]Verdict{"", Pending, Approved, Delayed, Declined}, v)
}
