// Package procedure owns the procedure: the reusable definition of a campaign,
// read from a file that people sign. It owns what such a file may say, every
// rule it must obey, and the dates it gives to a month.
//
// It refuses what it does not understand: an unknown key, a repeated key, a
// duration that does not parse, a ring that would close before it opens. All of
// it is refused at once, each with its line, its field and the way to put it
// right, so that nothing later has to doubt a Procedure that Parse returned.
//
// Bytes in, values out; safe from any goroutine, a Procedure is never changed.
package procedure

import (
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
	"patchring/internal/core/patch"
)

// Procedure says who gets which patches, in which rings, on which days, under
// which evidence and whose sign-off.
type Procedure struct {
	Name      string
	Title     manifest.Text
	Owner     string // a role or a team
	Zone      *time.Location
	Perimeter fleet.Selector
	Exclude   fleet.Selector // wins over Perimeter
	Classes   []patch.Class  // what policy approves by itself
	Rings     []Ring
	Windows   []WindowRule

	Reboot           Reboot
	Attempts         int
	RetryAfter       time.Duration
	UnreachableAfter time.Duration

	RollbackOn   Severity // an incident of this severity or worse rolls back; NoSeverity never does
	HoldOn       Severity // an incident of this severity or worse holds; never above RollbackOn
	Rollback     Rollback
	Verification Verification
	Emergency    Emergency
	OnFeedback   OnFeedback // what is made of what somebody says an update broke
	Breaker      Breaker
	AfterGlobal  Breaker // of the last ring, from its opening on
	Visas        []Visa

	Classification manifest.Text // of the documents of its campaigns: who may read them
	SLA            SLA

	// Warnings are what is allowed and probably not meant.
	Warnings []manifest.Problem
}

// Ring is one step of the roll-out.
type Ring struct {
	Name    string
	Title   manifest.Text
	Members fleet.Selector
	Opens   DayTime
	// Closes is zero when the file does not say: the ring then closes when the
	// next one opens, and the last ring at the verification.
	Closes DayTime
	Soak   time.Duration
	Gate   Gate
}

// DayTime is an hour of a campaign day, day 1 being Patch Tuesday.
type DayTime struct {
	Day int
	At  calendar.Clock
}

// IsZero tells that the file gave none: days count from 1.
func (d DayTime) IsZero() bool { return d.Day == 0 }

func (d DayTime) before(e DayTime) bool { return d.minutes() < e.minutes() }

func (d DayTime) minutes() int { return d.Day*int(calendar.EndOfDay) + int(d.At) }

func (d DayTime) in(patchTuesday calendar.Date, zone *time.Location) time.Time {
	return calendar.Day(patchTuesday, d.Day).At(d.At, zone)
}

// Gate is what must be true before the next ring opens. What the file leaves
// out is at its strictest: every device done, none failed, unreachable or not
// reached.
type Gate struct {
	MinDevices            int // never below 1: no data is never a pass
	MinDonePercent        float64
	MaxFailed             int
	MaxUnreachablePercent float64
	MaxNotReachedPercent  float64
	// MinProvenPercent is of the devices expected: verified, probes green, and in
	// use for MinHoursOfUse since. 0: not asked.
	MinProvenPercent float64
	// MinHoursOfUse is how long the median of the patched devices must have been
	// in use since; 0: not asked.
	MinHoursOfUse  float64
	MaxRegressions int // measures that are worse; only what is measured counts
	// HealthRequired: measures of which too little is known are insufficient
	// evidence; else they stop nothing.
	HealthRequired bool
	MaxComplaints  int // devices whose users say that something broke, and nobody dealt with it
	SignOffs       []SignOffRule
	Tests          []TestRule // all of their items must be ok
	// Incidents are how many of a severity may be open; MaxIncidents says what
	// holds for those that the file leaves out.
	Incidents map[Severity]int
}

// Breaker is what holds a ring or a patch at once, without waiting for a gate.
// It never lifts what it holds. A number of 0 takes its part out.
type Breaker struct {
	// Failures: more than FailuresPercent of the outcomes and at least
	// FailuresDevices, and more than the ring's gate allows.
	FailuresPercent float64
	FailuresDevices int
	// Unreachable devices, so long after their reboot began: so many in the first
	// two rings; in the others as many as failures.
	UnreachableAfter    time.Duration
	UnreachableDevices  int
	Regressions         int // measures that are worse
	ProbeServers        int // servers and critical devices with a probe that says no since the install
	ProbeWorkstations   int
	ServiceServers      int // servers and critical devices on which the same service stopped since the install
	ServiceWorkstations int
	Complaints          int    // devices whose users say that the same patch broke something
	Acts                string // the role that must act; empty: those that sign the ring's gate
}

// SignOffRule is one recorded yes a gate asks for. A role signs a gate once.
type SignOffRule struct {
	Role      string
	Title     manifest.Text
	Checklist []manifest.Text // functional or business tests to tick before signing
}

// WindowRule gives a window to the devices it selects. A device has every
// window whose rule selects it; one that has none is closed.
type WindowRule struct {
	For fleet.Selector
	calendar.Window
}

// Rollback is what the procedure says of rollbacks beside who starts them.
type Rollback struct {
	// Rehearse puts back and installs again, on devices of the first ring, what was
	// verified there, before the ring's gate lets it go on.
	Rehearse        bool
	RehearseDevices int // how many devices for each patch; 0: every one of the ring
	// ExceptionDays is how long the exception lasts that covers what a rollback
	// leaves open.
	ExceptionDays int
	Control       string // what protects meanwhile, as the exception says it
}

// Reboot says whether an order may reboot the device.
type Reboot string

// Reboots, as orders spell them.
const (
	RebootNever    Reboot = "never"
	RebootIfNeeded Reboot = "if_needed" // on a live signal, inside a window
)

// Severity of an incident.
type Severity string

// Severities, from the mildest.
const (
	NoSeverity Severity = ""
	Minor      Severity = "minor"
	Major      Severity = "major"
	Critical   Severity = "critical"
)

// Severities lists them, from the mildest.
func Severities() []Severity { return []Severity{Minor, Major, Critical} }

// AtLeast tells whether an incident of severity s calls for what is done from
// threshold on; NoSeverity as threshold calls for nothing.
func (s Severity) AtLeast(threshold Severity) bool {
	return threshold != NoSeverity && s.rank() >= threshold.rank()
}

func (s Severity) rank() int {
	for i, known := range Severities() {
		if s == known {
			return i + 1
		}
	}
	return 0
}

// Verification is the check that follows the last ring's opening.
type Verification struct {
	DaysAfterLastRingOpens int
	SignOffs               []SignOffRule // all are needed before the campaign is closed
}

// Emergency is how fast the procedure goes when it cannot wait, and who lets it:
// the same rings and gates, their days shorter. Day 0: the procedure has no
// emergencies.
type Emergency struct {
	Day      time.Duration // how long a procedure day lasts
	SignOffs []SignOffRule // all are needed before it starts; at least one
}

// Visa is somebody's signature on the procedure itself: who, in which function,
// when, and as what. A name is there only where the procedure gives one.
type Visa struct {
	Kind VisaKind
	Name string
	Role string
	Date calendar.Date
}

// VisaKind is as what a controlled document was signed.
type VisaKind string

// Kinds of visas, in their order.
const (
	Drafted   VisaKind = "drafted"
	Verified  VisaKind = "verified"
	Validated VisaKind = "validated"
)

// VisaKinds lists them.
func VisaKinds() []VisaKind { return []VisaKind{Drafted, Verified, Validated} }

// Covers tells whether the procedure is about the device.
func (p Procedure) Covers(m fleet.Member) bool {
	return p.Perimeter.Selects(m) && !p.Exclude.Selects(m)
}

// RingOf is the index of the device's ring: the first one that selects it. It
// answers false for a device outside the perimeter or in no ring.
func (p Procedure) RingOf(m fleet.Member) (int, bool) {
	if !p.Covers(m) {
		return 0, false
	}
	for i, ring := range p.Rings {
		if ring.Members.Selects(m) {
			return i, true
		}
	}
	return 0, false
}

// RuleSet is the set of window rules that select a device, one bit a rule.
// Devices of equal sets have equal windows, so a fleet needs them worked out
// once a set and not once a device.
type RuleSet uint64

const maxWindows = 64 // one bit each

// RulesFor is the set of rules that select the device.
func (p Procedure) RulesFor(m fleet.Member) RuleSet {
	var set RuleSet
	for i, rule := range p.Windows {
		if rule.For.Selects(m) {
			set |= 1 << i
		}
	}
	return set
}

// WindowsOf lists the windows of a set.
func (p Procedure) WindowsOf(set RuleSet) []calendar.Window {
	var windows []calendar.Window
	for i, rule := range p.Windows {
		if set&(1<<i) != 0 {
			windows = append(windows, rule.Window)
		}
	}
	return windows
}

// WindowsFor are the intervals between two instants in which the device may
// install or reboot, sorted and disjoint; none means closed.
func (p Procedure) WindowsFor(m fleet.Member, from, to time.Time) []calendar.Interval {
	return calendar.Intervals(p.WindowsOf(p.RulesFor(m)), from, to)
}
