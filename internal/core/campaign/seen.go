package campaign

import (
	"math"
	"strconv"
	"strings"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/health"
	"patchring/internal/core/patch"
	"patchring/internal/core/procedure"
)

// Seen is what is known of a ring beside its five numbers: what its devices
// measured since they were patched, how much they were used, what their users
// say. Its zero value is that nobody has looked yet.
type Seen struct {
	Looked   bool           `json:"looked"`
	Proven   int            `json:"proven"`    // devices: verified, probes green, and in use since
	UseHours float64        `json:"use_hours"` // of the median patched device, since its install
	Health   health.Verdict `json:"health"`    // empty: never judged
	Worse    []string       `json:"worse"`     // measures
	Unsure   []string       `json:"unsure"`    // measures

	Complaints int `json:"complaints"` // devices with one that nobody has dealt with; always known

	// What the breaker looks at.
	Failures    []ItemFailures `json:"failures,omitempty"`
	Complained  []ItemCount    `json:"complained,omitempty"`
	Unreachable []string       `json:"unreachable,omitempty"` // names of devices that did not come back from their restart
	// Probes that say no since the install, and the devices they are on.
	ProbeServers      int `json:"probe_servers"`
	ProbeWorkstations int `json:"probe_workstations"`
	// Of how many patched devices that is; counted while any says no.
	PatchedServers      int      `json:"patched_servers,omitempty"`
	PatchedWorkstations int      `json:"patched_workstations,omitempty"`
	Probes              []string `json:"probes,omitempty"`
	// Services that stopped since the install, on the most devices first.
	Services []ServiceDown `json:"services,omitempty"`
}

// ServiceDown is a service that ran before the install on devices of the ring,
// and does not since. Servers are those that are not workstations.
type ServiceDown struct {
	Service      string         `json:"service"`
	Since        time.Time      `json:"since"` // on the first of them
	Servers      health.Stopped `json:"servers"`
	Workstations health.Stopped `json:"workstations"`
	Devices      []string       `json:"devices"`          // names of the first few
	Item         patch.ID       `json:"item,omitempty"`   // the only one that all of them have of the content
	Shared       []string       `json:"shared,omitempty"` // conditions on devices: what they have in common
}

// ItemCount is a number of devices about one patch.
type ItemCount struct {
	Item    patch.ID `json:"item"`
	Devices int      `json:"devices"`
}

// ItemFailures are the devices on which a patch fails.
type ItemFailures struct {
	ItemCount
	Everywhere int `json:"everywhere"` // in all open campaigns of the tenant, these included
	Campaigns  int `json:"campaigns"`
}

// unmeasured are the criteria that were asked for and that nobody has looked at
// yet. They are not failed: they are not known.
func (r Ring) unmeasured() []fault.Reason {
	var out []fault.Reason
	g := r.Gate
	for _, c := range []struct {
		name  string
		asked bool
	}{
		{EvidenceProven, g.MinProvenPercent > 0}, {EvidenceUse, g.MinHoursOfUse > 0},
	} {
		if c.asked && !r.Seen.Looked {
			out = append(out, fault.Because(fault.GateUnmeasured, "what", c.name))
		}
	}
	if g.HealthRequired && (r.Seen.Health == "" || r.Seen.Health == health.Insufficient) {
		out = append(out, fault.Because(fault.GateHealthUnknown, "measures", strings.Join(r.Seen.Unsure, ",")))
	}
	return out
}

// proof are the criteria about what was seen since the install, where they are
// asked for.
func (r Ring) proof() []criterion {
	g, s := r.Gate, r.Seen
	var out []criterion
	if g.MinProvenPercent > 0 {
		out = append(out, criterion{EvidenceProven, r.percent(s.Proven), g.MinProvenPercent, true, fault.GateProvenTooLow})
	}
	if g.MinHoursOfUse > 0 {
		out = append(out, criterion{EvidenceUse, s.UseHours, g.MinHoursOfUse, true, fault.GateUseTooShort})
	}
	if s.Complaints > 0 || g.MaxComplaints > 0 {
		out = append(out, criterion{EvidenceComplaints, float64(s.Complaints), float64(g.MaxComplaints), false, fault.GateComplaints})
	}
	if s.Health != "" {
		out = append(out, criterion{EvidenceRegressions, float64(len(s.Worse)), float64(g.MaxRegressions), false, fault.GateRegressions})
	}
	return out
}

// proofEvidence shows them, and the need for health that has nothing to compare.
func (r Ring) proofEvidence() []Evidence {
	var out []Evidence
	for _, c := range r.proof() {
		e := c.evidence()
		if !r.Seen.Looked && c.name != EvidenceComplaints {
			e.Have, e.OK, e.Unknown = "", false, true
		}
		out = append(out, e)
	}
	if r.Gate.HealthRequired {
		known := r.Seen.Health != "" && r.Seen.Health != health.Insufficient
		out = append(out, Evidence{Name: EvidenceHealth, Have: string(r.Seen.Health), Need: "known", OK: known, Unknown: !known})
	}
	return out
}

// TripKind is which part of the breaker tripped.
type TripKind string

// Kinds of trips.
const (
	TripFailures    TripKind = "failures"
	TripElsewhere   TripKind = "elsewhere" // a patch fails in several campaigns
	TripUnreachable TripKind = "unreachable"
	TripRegression  TripKind = "regression"
	TripProbe       TripKind = "probe"
	TripService     TripKind = "service"
	TripComplaints  TripKind = "complaints"
)

// Trip is one reason to hold at once: the ring, or one patch where it alone is
// to blame.
type Trip struct {
	Kind    TripKind
	Item    patch.ID
	Service string // of TripService: each one is a reason of its own
	Reason  fault.Reason
}

// Trips are all reasons to hold an opened ring. They are worked out from what is
// there now and say nothing of what was held, and lifted, before.
func (r Ring) Trips(b procedure.Breaker, position int, role string) []Trip {
	if !r.Ring.Opened() {
		return nil
	}
	var out []Trip
	s := r.Seen
	out = append(out, r.failureTrips(b, role)...)
	if n := len(s.Unreachable); b.UnreachableDevices > 0 && n >= r.tooUnreachable(b, position) {
		out = append(out, Trip{Kind: TripUnreachable, Reason: fault.Because(fault.BreakerUnreachable, "have", strconv.Itoa(n), "devices", strings.Join(s.Unreachable[:min(n, 5)], ","), "role", role)})
	}
	if b.Regressions > 0 && len(s.Worse) >= b.Regressions {
		out = append(out, Trip{Kind: TripRegression, Reason: fault.Because(fault.BreakerRegressions, "measures", strings.Join(s.Worse, ","), "role", role)})
	}
	if health.TooMany(s.ProbeServers, s.PatchedServers, b.ProbeServers) || health.TooMany(s.ProbeWorkstations, s.PatchedWorkstations, b.ProbeWorkstations) {
		out = append(out, Trip{Kind: TripProbe, Reason: fault.Because(fault.BreakerProbes, "servers", strconv.Itoa(s.ProbeServers), "workstations", strconv.Itoa(s.ProbeWorkstations), "probes", strings.Join(s.Probes, ","), "role", role)})
	}
	for _, d := range s.Services {
		if d.Servers.TooMany(b.ServiceServers) || d.Workstations.TooMany(b.ServiceWorkstations) {
			out = append(out, d.trip(role))
		}
	}
	for _, c := range s.Complained {
		if health.TooMany(c.Devices, r.outcomes(), b.Complaints) {
			out = append(out, Trip{Kind: TripComplaints, Item: c.Item, Reason: fault.Because(fault.BreakerComplaints, "have", strconv.Itoa(c.Devices), "role", role)})
		}
	}
	return out
}

func (d ServiceDown) trip(role string) Trip {
	return Trip{Kind: TripService, Item: d.Item, Service: d.Service, Reason: fault.Because(fault.BreakerService,
		"service", d.Service, "servers", strconv.Itoa(d.Servers.Down), "workstations", strconv.Itoa(d.Workstations.Down),
		"devices", strings.Join(d.Devices, ","), "role", role)}
}

// failureTrips: more failures than the gate will accept stop the ring softly
// (Breaker); this many are held, so that somebody has to look. Where one patch
// explains them all it alone is held, and the others go on.
func (r Ring) failureTrips(b procedure.Breaker, role string) []Trip {
	var out []Trip
	failed := r.Counters.Failed
	tooMany := b.FailuresDevices > 0 && !r.Breaker().IsZero() && failed >= b.FailuresDevices && 100*float64(failed) > b.FailuresPercent*float64(r.outcomes())
	blamed := false
	for _, f := range r.Seen.Failures {
		switch {
		case tooMany && f.Devices >= failed:
			blamed = true
			out = append(out, Trip{Kind: TripFailures, Item: f.Item, Reason: fault.Because(fault.BreakerFailures, "have", strconv.Itoa(f.Devices), "of", strconv.Itoa(r.outcomes()), "role", role)})
		case b.FailuresDevices > 0 && f.Campaigns >= 2 && f.Everywhere > b.FailuresDevices:
			out = append(out, Trip{Kind: TripElsewhere, Item: f.Item, Reason: fault.Because(fault.BreakerElsewhere, "have", strconv.Itoa(f.Everywhere), "campaigns", strconv.Itoa(f.Campaigns), "role", role)})
		}
	}
	if tooMany && !blamed {
		out = append(out, Trip{Kind: TripFailures, Reason: fault.Because(fault.BreakerFailures, "have", strconv.Itoa(failed), "of", strconv.Itoa(r.outcomes()), "role", role)})
	}
	return out
}

// tooUnreachable: one pilot that does not come back is one too many; of
// thousands some never do.
func (r Ring) tooUnreachable(b procedure.Breaker, position int) int {
	if position < 2 {
		return b.UnreachableDevices
	}
	share := int(math.Ceil(b.FailuresPercent / 100 * float64(r.Counters.Expected())))
	return max(b.UnreachableDevices, b.FailuresDevices, share)
}
