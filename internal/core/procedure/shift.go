package procedure

import "time"

// Shifted moves a schedule so that its first ring opens at start. What the
// calendar notes say of real dates no longer holds, so they are gone.
func (s Schedule) Shifted(start time.Time) Schedule {
	by := start.Sub(s.Rings[0].Opens)
	out := s
	out.Notes, out.Release, out.Verification = nil, start, s.Verification.Add(by)
	out.Rings = nil
	for _, r := range s.Rings {
		out.Rings = append(out.Rings, RingSpan{Ring: r.Ring, Opens: r.Opens.Add(by), Closes: r.Closes.Add(by)})
	}
	return out
}
