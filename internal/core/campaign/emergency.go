package campaign

import (
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/internal/core/procedure"
)

// StartEmergency asks for an emergency campaign: the procedure's rings and gates
// with shorter days, about named patches only. Exactly one of Patches, CVE and
// Missed says which.
type StartEmergency struct {
	Procedure string // empty: that of Missed, or the only one with emergencies
	Name      string
	Patches   []patch.ID
	CVE       string // the tenant's patches that mend it
	Missed    string // a campaign: what its devices still lack of its content
	Reason    string
	// Windows replace the devices' own; without any those stay.
	Windows []calendar.Interval
	// ThroughFreeze lets it act in a freeze, if a second person agrees.
	ThroughFreeze bool
	Day           time.Duration // zero: as long as the procedure says
}

// Cause is why an emergency began, as one of the three that may be asked for.
type Cause string

// Causes.
const (
	CausePatches Cause = "patches"
	CauseCVE     Cause = "cve"
	CauseMissed  Cause = "missed"
)

// Cause of what is asked for; it refuses none and several.
func (a StartEmergency) Cause() (Cause, error) {
	var named []Cause
	for cause, is := range map[Cause]bool{CausePatches: len(a.Patches) > 0, CauseCVE: a.CVE != "", CauseMissed: a.Missed != ""} {
		if is {
			named = append(named, cause)
		}
	}
	if len(named) != 1 {
		return "", fault.New(fault.InvalidField, "field", "patches", "problem", "one_cause", "fix", "patches, cve, missed")
	}
	return named[0], nil
}

// NameAt is what it is called: as asked, or by its cause and the hour.
func (a StartEmergency) NameAt(now time.Time) string {
	if a.Name != "" {
		return a.Name
	}
	at := now.Format("2006-01-02 15:04:05")
	if a.CVE != "" {
		return a.CVE + " " + at
	}
	return "emergency " + at
}

// Schedule of an emergency that starts at start.
func (a StartEmergency) Schedule(p procedure.Procedure, start time.Time) procedure.Schedule {
	start = start.In(p.Zone)
	day := a.Day
	if day == 0 {
		day = p.Emergency.Day
	}
	return p.Schedule(start.Year(), start.Month()).Compressed(start, day)
}

// StartPosition stands for the start in a sign-off's ring position: it comes
// before every ring.
const StartPosition = -1

// Approval is what an emergency waits for before it starts.
type Approval struct {
	Rules         []procedure.SignOffRule
	SignOffs      []SignOff
	StartedBy     string
	ThroughFreeze bool
}

// Missing is what stands in the way of the start; none: it may begin.
func (a Approval) Missing() []fault.Reason {
	reasons := missingSignOffs(a.Rules, a.SignOffs)
	if a.ThroughFreeze && !a.second() {
		reasons = append(reasons, fault.Because(fault.SecondPersonMissing, "by", a.StartedBy))
	}
	return reasons
}

// second tells that the last word of some role is a yes by another person than
// the one who asked.
func (a Approval) second() bool {
	for _, rule := range a.Rules {
		if s, signed := latest(a.SignOffs, rule.Role); signed && s.Yes && s.Actor != a.StartedBy {
			return true
		}
	}
	return false
}
