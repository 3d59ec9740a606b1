package procedure

import (
	"time"

	"patchring/internal/core/manifest"
)

// DefaultBreaker is in force where the file does not say otherwise: a procedure
// that never heard of breakers has one.
func DefaultBreaker() Breaker {
	return Breaker{
		FailuresPercent: 5, FailuresDevices: 2, UnreachableAfter: 30 * time.Minute, UnreachableDevices: 1,
		Regressions: 1, ProbeServers: 1, ProbeWorkstations: 2, ServiceServers: 1, ServiceWorkstations: 2, Complaints: 2,
	}
}

// Tightened is how the last ring is watched where the file does not say: whoever
// has passed every gate has proven much, so half as many failures, and one of
// anything else, are news. What was taken out stays out.
func (b Breaker) Tightened() Breaker {
	b.FailuresPercent /= 2
	for _, n := range []*int{&b.Regressions, &b.ProbeServers, &b.ProbeWorkstations, &b.ServiceServers, &b.ServiceWorkstations, &b.Complaints} {
		*n = min(*n, 1)
	}
	return b
}

// BreakerOf is the breaker of a ring: after the last one has opened, and until
// the campaign is closed, that of AfterGlobal.
func (p Procedure) BreakerOf(ring int) Breaker {
	if ring == len(p.Rings)-1 {
		return p.AfterGlobal
	}
	return p.Breaker
}

// readBreakers reads what holds in every ring, and what holds in the last.
func readBreakers(o manifest.Object) (b, last Breaker) {
	b = DefaultBreaker()
	if !o.Has("breaker") {
		return b, b.Tightened()
	}
	in := o.Reader.Object(o.Field("breaker"), append(breakerParts(), "after_global", "acts")...)
	b = readParts(in, b)
	if in.Has("acts") {
		b.Acts = in.Identifier("acts")
	}
	last = b.Tightened()
	if in.Has("after_global") {
		at := in.Field("after_global")
		last = readParts(o.Reader.Object(at, breakerParts()...), last)
		if last.looserThan(b) {
			o.Reader.Refuse(at, "is looser than before the last ring", "write the same or smaller numbers; 0 only where the breaker has 0")
		}
	}
	return b, last
}

func breakerParts() []string {
	return []string{"failures", "unreachable_after_reboot", "regressions", "probes", "services", "complaints"}
}

// looserThan tells whether anything is held later than by another.
func (b Breaker) looserThan(other Breaker) bool {
	for _, n := range [][2]int{
		{b.FailuresDevices, other.FailuresDevices}, {b.UnreachableDevices, other.UnreachableDevices}, {b.Regressions, other.Regressions},
		{b.ProbeServers, other.ProbeServers}, {b.ProbeWorkstations, other.ProbeWorkstations},
		{b.ServiceServers, other.ServiceServers}, {b.ServiceWorkstations, other.ServiceWorkstations}, {b.Complaints, other.Complaints},
	} {
		if n[1] > 0 && (n[0] == 0 || n[0] > n[1]) {
			return true
		}
	}
	return b.FailuresPercent > other.FailuresPercent || b.UnreachableAfter > other.UnreachableAfter
}

func readParts(in manifest.Object, b Breaker) Breaker {
	count := manifest.Limits{Low: 0, High: 1e6}
	if in.Has("failures") {
		f := in.Reader.Object(in.Field("failures"), "percent", "devices")
		b.FailuresPercent = f.Number("percent", b.FailuresPercent, manifest.Limits{Low: 0, High: 100})
		b.FailuresDevices = f.Integer("devices", b.FailuresDevices, count)
	}
	if in.Has("unreachable_after_reboot") {
		u := in.Reader.Object(in.Field("unreachable_after_reboot"), "after", "devices")
		b.UnreachableAfter = u.Duration("after", b.UnreachableAfter)
		b.UnreachableDevices = u.Integer("devices", b.UnreachableDevices, count)
		if b.UnreachableAfter < minUnreachable {
			in.Reader.Refuse(u.Or("after"), "is shorter than a restart takes", "write 5m or longer, for example 30m")
		}
	}
	for _, part := range []struct {
		name                  string
		servers, workstations *int
	}{{"probes", &b.ProbeServers, &b.ProbeWorkstations}, {"services", &b.ServiceServers, &b.ServiceWorkstations}} {
		if in.Has(part.name) {
			p := in.Reader.Object(in.Field(part.name), "servers", "workstations")
			*part.servers = p.Integer("servers", *part.servers, count)
			*part.workstations = p.Integer("workstations", *part.workstations, count)
		}
	}
	b.Regressions = in.Integer("regressions", b.Regressions, count)
	b.Complaints = in.Integer("complaints", b.Complaints, count)
	return b
}

// minUnreachable: a slow server takes minutes to restart, and agents report
// every few.
const minUnreachable = 5 * time.Minute

// ActsOn is the role that must act on what the breaker held in a ring: the one
// named, else the first that signs the ring's gate. Empty: the procedure's owner.
func (p Procedure) ActsOn(ring int) string {
	if p.Breaker.Acts != "" {
		return p.Breaker.Acts
	}
	for _, s := range p.Rings[ring].Gate.SignOffs {
		return s.Role
	}
	return ""
}
