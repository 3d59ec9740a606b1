package procedure

import (
	"time"

	"patchring/internal/core/manifest"
)

// SLAClock says when the time starts that a patch may take.
type SLAClock string

// Clocks. What a document says of the time kept says by which.
const (
	ClockFirstSeen SLAClock = "first_seen" // a scan of the fleet first reported the patch
	ClockRingOpens SLAClock = "ring_opens" // the device's ring opened
)

// SLAClocks lists them.
func SLAClocks() []SLAClock { return []SLAClock{ClockFirstSeen, ClockRingOpens} }

// Grades of patches that a limit can be set for, the gravest first: those of
// vulnerabilities, and what nobody graded.
const (
	GradeCritical = "critical"
	GradeHigh     = "high"
	GradeMedium   = "medium"
	GradeLow      = "low"
	GradeUnknown  = "unknown"
)

// Grades lists them, the gravest first.
func Grades() []string {
	return []string{GradeCritical, GradeHigh, GradeMedium, GradeLow, GradeUnknown}
}

// SLA is how long patches may take until a scan agrees that they are
// installed. It stops nothing: documents are measured by it.
type SLA struct {
	Clock  SLAClock
	Limits map[string]time.Duration // by grade; none where nothing was promised
}

// Promised tells that there is any limit.
func (s SLA) Promised() bool { return len(s.Limits) > 0 }

func readSLA(o manifest.Object) SLA {
	if !o.Has("sla") {
		return SLA{}
	}
	in := o.Reader.Object(o.Field("sla"), append(Grades(), "clock_starts")...)
	s := SLA{Clock: manifest.Choice(in, "clock_starts", ClockFirstSeen, SLAClocks()), Limits: map[string]time.Duration{}}
	for _, grade := range Grades() {
		if !in.Has(grade) {
			continue
		}
		limit := in.Duration(grade, time.Hour) // what does not parse is refused once
		if limit < time.Hour {
			o.Reader.Refuse(in.Field(grade), "is shorter than an hour", "write how long it may take, for example 7d")
		}
		s.Limits[grade] = limit
	}
	if !s.Promised() {
		o.Reader.Refuse(o.Field("sla"), "promises nothing", "write a limit, for example sla: {critical: 7d, high: 14d}")
	}
	return s
}
