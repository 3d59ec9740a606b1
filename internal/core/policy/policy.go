// Package policy owns the verdict: whether a patch may be installed on a
// device, and which rule said so; and what else a policy file says of a device:
// its windows, freezes, limits and probes.
//
// Precedence, strongest first; within one place the strictest wins, declined
// before delayed before approved:
//
//  1. what a person decided of that very patch: exceptions, then decisions;
//  2. rules of the profiles that the device fits;
//  3. rules of the tenant's policy;
//  4. the classes that the campaign's procedure carries;
//  5. rules of the provider's policy for all tenants.
//
// Without any, a patch is pending: it waits. An emergency ends waits, of the
// patches it names, and no decline. A person stands before the rules
// because at night, when something breaks, "decline" has to mean it.
//
// Pure values; safe from any goroutine, but for a Sheet.
package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"patchring/internal/core/fleet"
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

func rank(v Verdict) int {
	return slices.Index([]Verdict{"", Pending, Approved, Delayed, Declined}, v)
}

// Scope says which patches a decision is about: one exact patch by its id, or
// every version of a name.
type Scope string

// ScopeOf is the scope of one exact patch.
func ScopeOf(id patch.ID) Scope { return Scope(id) }

// ScopeOfName is the scope of every version of a name.
func ScopeOfName(provider, name string) Scope { return Scope("name:" + provider + "/" + name) }

// Name is the name that a scope has every version of; false when it is one
// exact patch, or nothing.
func (s Scope) Name() (provider, name string, every bool) {
	rest, every := strings.CutPrefix(string(s), "name:")
	if !every {
		return "", "", false
	}
	provider, name, _ = strings.Cut(rest, "/")
	return provider, name, true
}

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

// Exception leaves a patch, a device or a group out on purpose. It is never
// without an end.
type Exception struct {
	ID     string
	Device fleet.DeviceID // one device, or
	Group  string         // those of an explicit group; both empty: every device
	Patch  Scope          // empty: every patch
	Owner  string         // who answers for it
	Reason string
	From   time.Time
	Until  time.Time
}

// scopes are those in which people may have spoken of a patch.
type scopes [2]Scope

func scopesOf(p *Patch) scopes {
	return scopes{ScopeOf(p.Key.ID()), ScopeOfName(p.Key.Provider, p.Key.Name)}
}

// covers tells whether the exception leaves the patch of these scopes out on the
// device.
func (e Exception) covers(h Holder, of scopes, now time.Time) bool {
	if now.Before(e.From) || !now.Before(e.Until) {
		return false
	}
	if e.Device != "" && e.Device != h.Device || e.Group != "" && !slices.Contains(h.Groups, e.Group) {
		return false
	}
	return e.Patch == "" || slices.Contains(of[:], e.Patch)
}

// Holder is the device that a verdict is for. The zero Holder is no device: what
// holds for all of them.
type Holder struct {
	Device fleet.DeviceID
	Groups []string
	Match  Match // what it fits, by Rules.Match
	// Exposed is since when it lacks the patch or one that the patch replaces:
	// a new version does not start a delay anew.
	Exposed time.Time
}

// Rules are all that verdicts are made of for one tenant and procedure.
type Rules struct {
	Policies   Policies
	Decisions  map[Scope]Decision
	Exceptions []Exception
	Classes    []patch.Class // approved by the procedure
	// Urgent lets nothing wait that is only pending or delayed, for patches that
	// an emergency names; what is declined stays so.
	Urgent bool
}

// Outcome is a verdict with the rule that made it.
type Outcome struct {
	Verdict   Verdict
	Until     time.Time
	Rule      string // profile:NAME/RULE, tenant/RULE, global/RULE, class:NAME, a decision's scope, exception:ID, emergency, default
	Decision  Decision
	Exception Exception
}

// byHand is what people said of this very patch; the zero Outcome when nobody did.
func (r Rules) byHand(of scopes, h Holder, now time.Time) Outcome {
	for _, e := range r.Exceptions {
		if e.covers(h, of, now) {
			return Outcome{Verdict: Declined, Until: e.Until, Rule: "exception:" + e.ID, Exception: e}
		}
	}
	var best Outcome
	if len(r.Decisions) == 0 {
		return best
	}
	for _, scope := range of {
		d, ok := r.Decisions[scope]
		if !ok || !d.inForce(now) || rank(d.Verdict) <= rank(best.Verdict) {
			continue
		}
		best = Outcome{Verdict: d.Verdict, Until: d.Until, Rule: string(scope), Decision: d}
	}
	return best
}

// LeftOut is the exception in force that leaves a whole device out, whatever the
// patch.
func (r Rules) LeftOut(h Holder, now time.Time) (Exception, bool) {
	for _, e := range r.Exceptions {
		if e.Patch == "" && e.covers(h, scopes{}, now) {
			return e, true
		}
	}
	return Exception{}, false
}

// Judge gives the verdict on a patch for a device.
func (r Rules) Judge(p *Patch, h Holder, now time.Time) Outcome {
	return r.hurry(r.judge(p, h, now))
}

// hurry ends a wait in an emergency. A decline is no wait, whoever said it.
func (r Rules) hurry(o Outcome) Outcome {
	if r.Urgent && (o.Verdict == Pending || o.Verdict == Delayed) {
		return Outcome{Verdict: Approved, Rule: "emergency"}
	}
	return o
}

func (r Rules) judge(p *Patch, h Holder, now time.Time) Outcome {
	if o := r.byHand(scopesOf(p), h, now); o.Verdict != "" {
		return r.cap(o, p, h, now)
	}
	return r.byRules(r.Policies.matching(h.Match, p, now), p, h, now)
}

// cap ends a delay at the longest exposure that the policy allows: delay upon
// delay must not add up to never.
func (r Rules) cap(o Outcome, p *Patch, h Holder, now time.Time) Outcome {
	limit := r.Policies.maxExposure()
	if o.Verdict != Delayed || limit == 0 {
		return o
	}
	end := exposed(p, h).Add(limit)
	switch {
	case exposed(p, h).IsZero() || o.Until.Before(end) && !o.Until.IsZero():
	case now.Before(end):
		o.Until = end
	default:
		o.Verdict, o.Until, o.Rule = Approved, time.Time{}, "max_exposure"
	}
	return o
}

// exposed is when a delay begins to count: since the device lacks the patch or
// one that it replaces, and at the latest when the patch was published.
func exposed(p *Patch, h Holder) time.Time {
	switch {
	case h.Exposed.IsZero():
		return p.Released
	case !p.Released.IsZero() && p.Released.Before(h.Exposed):
		return p.Released
	default:
		return h.Exposed
	}
}

// ForAll is the verdict that holds for every device, whatever it is: what a
// person said of the patch, or a rule that declines it everywhere. The zero
// Outcome when there is none.
func (r Rules) ForAll(p *Patch, now time.Time) Outcome {
	if o := r.byHand(scopesOf(p), Holder{}, now); o.Verdict != "" {
		return r.hurry(o)
	}
	if o := r.Judge(p, Holder{}, now); o.Verdict == Declined {
		return o
	}
	return Outcome{}
}

// byRules weighs the rules that speak of the patch, place by place.
func (r Rules) byRules(matched []matched, p *Patch, h Holder, now time.Time) Outcome {
	for _, place := range [...]place{ofProfile, ofTenant} {
		if o := strictest(matched, place, p, h, now); o.Verdict != "" {
			return r.cap(o, p, h, now)
		}
	}
	if slices.Contains(r.Classes, p.Class) {
		return r.plain(p)
	}
	if o := strictest(matched, ofProvider, p, h, now); o.Verdict != "" {
		return r.cap(o, p, h, now)
	}
	return r.plain(p)
}

// plain is the verdict on a patch of which nobody and no policy speaks.
func (r Rules) plain(p *Patch) Outcome {
	if slices.Contains(r.Classes, p.Class) {
		return Outcome{Verdict: Approved, Rule: "class:" + string(p.Class)}
	}
	return Outcome{Verdict: Pending, Rule: undecided}
}

// undecided names the rule that there is none.
const undecided = "default"

func strictest(list []matched, at place, p *Patch, h Holder, now time.Time) Outcome {
	var best Outcome
	for _, m := range list {
		if m.place != at {
			continue
		}
		o := m.rule.says(exposed(p, h), now)
		later := o.Verdict == Delayed && best.Verdict == Delayed && o.Until.After(best.Until)
		if rank(o.Verdict) > rank(best.Verdict) || later {
			o.Rule = m.name
			best = o
		}
	}
	return best
}
