package campaign

import "patchring/internal/core/procedure"

// Limit is from how much on one part of the breaker holds a ring.
type Limit struct {
	Kind         TripKind `json:"kind"`
	Percent      float64  `json:"percent,omitempty"` // of the outcomes: more than that
	Devices      int      `json:"devices,omitempty"`
	Measures     int      `json:"measures,omitempty"`
	Servers      int      `json:"servers,omitempty"`      // 0: none is enough
	Workstations int      `json:"workstations,omitempty"` // 0: none is enough
}

// Limits are those of the parts that a breaker has.
func Limits(b procedure.Breaker) []Limit {
	out := []Limit{}
	for _, l := range []Limit{
		{Kind: TripFailures, Percent: b.FailuresPercent, Devices: b.FailuresDevices},
		{Kind: TripUnreachable, Devices: b.UnreachableDevices},
		{Kind: TripRegression, Measures: b.Regressions},
		{Kind: TripProbe, Servers: b.ProbeServers, Workstations: b.ProbeWorkstations},
		{Kind: TripService, Servers: b.ServiceServers, Workstations: b.ServiceWorkstations},
		{Kind: TripComplaints, Devices: b.Complaints},
	} {
		if l.Devices+l.Measures+l.Servers+l.Workstations > 0 {
			out = append(out, l)
		}
	}
	return out
}
