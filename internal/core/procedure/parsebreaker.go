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

func readBreaker(o manifest.Object) Breaker {
	b := DefaultBreaker()
	if !o.Has("breaker") {
		return b
	}
	in := o.Reader.Object(o.Field("breaker"), "failures", "unreachable_after_reboot", "regressions", "probes", "services", "complaints", "acts")
	count := manifest.Limits{Low: 0, High: 1e6}
	if in.Has("failures") {
		f := o.Reader.Object(in.Field("failures"), "percent", "devices")
		b.FailuresPercent = f.Number("percent", b.FailuresPercent, manifest.Limits{Low: 0, High: 100})
		b.FailuresDevices = f.Integer("devices", b.FailuresDevices, count)
	}
	if in.Has("unreachable_after_reboot") {
		u := o.Reader.Object(in.Field("unreachable_after_reboot"), "after", "devices")
		b.UnreachableAfter = u.Duration("after", b.UnreachableAfter)
		b.UnreachableDevices = u.Integer("devices", b.UnreachableDevices, count)
		if b.UnreachableAfter < minUnreachable {
			o.Reader.Refuse(u.Or("after"), "is shorter than a restart takes", "write 5m or longer, for example 30m")
		}
	}
	if in.Has("probes") {
		p := o.Reader.Object(in.Field("probes"), "servers", "workstations")
		b.ProbeServers = p.Integer("servers", b.ProbeServers, count)
		b.ProbeWorkstations = p.Integer("workstations", b.ProbeWorkstations, count)
	}
	if in.Has("services") {
		s := o.Reader.Object(in.Field("services"), "servers", "workstations")
		b.ServiceServers = s.Integer("servers", b.ServiceServers, count)
		b.ServiceWorkstations = s.Integer("workstations", b.ServiceWorkstations, count)
	}
	b.Regressions = in.Integer("regressions", b.Regressions, count)
	b.Complaints = in.Integer("complaints", b.Complaints, count)
	if in.Has("acts") {
		b.Acts = in.Identifier("acts")
	}
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
