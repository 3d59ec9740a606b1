// Package alert owns the rules over live measures and events, and the life of an
// alert: pending, firing, acknowledged, resolved, with silence beside them. It
// reads the document in which a tenant writes its rules and outputs, says what a
// register entry or a sample means for them, and decides what is to be told now.
//
// It refuses to know how anything is stored or sent: an output is a description,
// a secret only the name of where the server finds it. Values in, values out;
// safe from any goroutine.
package alert

import (
	"cmp"
	"slices"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
	"patchring/wire"
)

// Severity of an alert.
type Severity string

// Severities.
const (
	Info     Severity = "info"
	Warning  Severity = "warning"
	Critical Severity = "critical"
)

// Severities lists them, from the mildest.
func Severities() []Severity { return []Severity{Info, Warning, Critical} }

// Rank orders severities; a stored number, so it never changes.
func (s Severity) Rank() int64 { return int64(slices.Index(Severities(), s) + 1) }

// During limits a rule to a time in the life of a device.
type During string

// When a rule looks.
const (
	Always         During = "always"
	DuringCampaign During = "campaign" // the device is in a campaign that is running
)

// Book is a tenant's rules and outputs: one document, one version.
type Book struct {
	Name     string
	Title    manifest.Text
	Lang     string // of what is sent
	Rules    []Rule
	Outputs  []Output
	Warnings []manifest.Problem
}

// Rule says when something is an alert, and whom it concerns.
type Rule struct {
	Name     string
	Title    manifest.Text
	Measure  wire.Measure // or
	Event    Event
	Below    bool // the value is bad below Threshold, not above it
	Limit    float64
	Clear    float64       // resolved on this side of it: the hysteresis
	For      time.Duration // it has to last so long
	After    time.Duration // of an event that is an absence: how long nothing came
	Expires  time.Duration // of an event: resolved when none came for so long
	Devices  fleet.Selector
	Sites    []string // values of the tag site; empty: every site
	During   During
	Severity Severity
	Who      string // who must act: a role or words
	Outputs  []string
	Escalate Escalation
	Remind   time.Duration // 0: never again
	Then     Do            // what the server does at once; empty: nothing
}

// Escalation is what follows when nobody acknowledges.
type Escalation struct {
	After   time.Duration // 0: never
	Outputs []string
	Who     string
}

// Rule finds a rule by its name.
func (b Book) Rule(name string) (Rule, bool) {
	for _, r := range b.Rules {
		if r.Name == name {
			return r, true
		}
	}
	return Rule{}, false
}

// Output finds an output by its name.
func (b Book) Output(name string) (Output, bool) {
	for _, o := range b.Outputs {
		if o.Name == name {
			return o, true
		}
	}
	return Output{}, false
}

// Covers tells whether the rule is for a device. One that is in no running
// campaign is outside of a rule that looks during campaigns only.
func (r Rule) Covers(m fleet.Member, inCampaign bool) bool {
	if r.During == DuringCampaign && !inCampaign {
		return false
	}
	if len(r.Sites) > 0 && !slices.Contains(r.Sites, m.Tags["site"]) {
		return false
	}
	return r.Devices.Selects(m)
}

// CoversCampaigns tells whether the rule is for what happens to a campaign as a
// whole: a rule for some devices is not.
func (r Rule) CoversCampaigns() bool {
	return r.Devices.All && len(r.Devices.Kinds) == 0 && len(r.Sites) == 0
}

// Answer is what a look says of a rule's condition.
type Answer int

// Answers. Unclear is between the threshold and the value that clears: what
// fires goes on, and what does not fire does not begin.
const (
	Unknown Answer = iota // nothing new was seen
	Bad
	Unclear
	Good
)

// Judge compares a value with the rule's threshold.
func (r Rule) Judge(value float64) Answer {
	sign := 1.0
	if r.Below {
		sign = -1
	}
	switch {
	case sign*value > sign*r.Limit:
		return Bad
	case sign*value > sign*r.Clear:
		return Unclear
	}
	return Good
}

// worse tells whether a value is so much worse than another that somebody who
// knew of the other wants to know of it.
func (r Rule) worse(value, than float64) bool {
	if r.Event != "" {
		return value > than
	}
	gap := max(abs(r.Limit-r.Clear), abs(r.Limit)/20)
	if r.Below {
		return value < than-gap
	}
	return value > than+gap
}

// beyond gives the worse of two values.
func (r Rule) beyond(a, b float64) float64 {
	if r.Below {
		return min(a, b)
	}
	return max(a, b)
}

func abs(x float64) float64 { return max(x, -x) }

// Targets are the outputs that are told, the one before and after escalation.
func (r Rule) Targets(kind NoticeKind, escalated bool) []string {
	list := slices.Clone(r.Outputs)
	if kind == Escalated {
		list = nil
	}
	if kind == Escalated || escalated {
		list = append(list, r.Escalate.Outputs...)
	}
	slices.SortFunc(list, cmp.Compare[string])
	return slices.Compact(list)
}
