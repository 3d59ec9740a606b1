package campaign

import (
	"slices"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fault"
	"patchring/internal/core/policy"
	"patchring/internal/core/procedure"
	"patchring/wire"
)

// Schedule works out the dates of a campaign started by hand. One started now
// keeps the procedure's days, counted from now, in real time unless a shorter
// day was asked for.
func (c Create) Schedule(p procedure.Procedure, now time.Time) (procedure.Schedule, error) {
	now = now.In(p.Zone)
	if !c.Now {
		month, err := time.ParseInLocation("2006-01", c.Month, p.Zone)
		if err != nil {
			return procedure.Schedule{}, fault.New(fault.InvalidField, "field", "month", "problem", "not_a_month", "fix", "2026-12")
		}
		s := p.Schedule(month.Year(), month.Month())
		if s.Verification.Before(now) {
			return procedure.Schedule{}, fault.New(fault.InvalidField, "field", "month", "problem", "month_is_over", "fix", "later_month_or_now")
		}
		return s, nil
	}
	s := p.Schedule(now.Year(), now.Month())
	if c.Day > 0 {
		return s.Compressed(now, c.Day), nil
	}
	return s.Shifted(now), nil
}

// Horizon is how far ahead an order's windows reach: long enough that an agent
// without the server has its next two weekly windows, short enough that a
// change of the rules is not outlived by old orders.
const Horizon = 15 * 24 * time.Hour

// Openings are the intervals from now on in which devices of one place may act
// by the rules: those of their profile, else of the procedure, without the
// freezes; and what freezes them now.
func Openings(p procedure.Procedure, rules procedure.RuleSet, s policy.Settings, now time.Time) ([]calendar.Interval, fault.Reason) {
	return openIn(windowsOf(p, rules, s), s, calendar.Interval{Start: now, End: now.Add(Horizon)}), FrozenBy(s, now)
}

// windowsOf are those of the devices' profile, else of the procedure.
func windowsOf(p procedure.Procedure, rules procedure.RuleSet, s policy.Settings) []calendar.Window {
	if s.Windows != nil {
		return s.Windows
	}
	return p.WindowsOf(rules)
}

func openIn(windows []calendar.Window, s policy.Settings, in calendar.Interval) []calendar.Interval {
	return s.WindowsIn(calendar.Intervals(windows, in.Start, in.End))
}

// Opening is a stretch in which devices of one place may act, with the windows
// that it comes from. Windows that touch make one stretch.
type Opening struct {
	calendar.Interval
	Windows []string
}

// OpeningsBetween are the Openings of any stretch of time, for people who ask
// when devices may act.
func OpeningsBetween(p procedure.Procedure, rules procedure.RuleSet, s policy.Settings, in calendar.Interval) []Opening {
	windows := windowsOf(p, rules, s)
	all := openIn(windows, s, in)
	out := make([]Opening, len(all))
	for i, one := range all {
		out[i].Interval = one
	}
	for _, w := range windows {
		for _, of := range openIn([]calendar.Window{w}, s, in) {
			for i := range out {
				if !out[i].Intersect(of).Empty() && !slices.Contains(out[i].Windows, w.Name) {
					out[i].Windows = append(out[i].Windows, w.Name)
				}
			}
		}
	}
	return out
}

// FrozenBy is the freeze that is on for devices of these settings; zero: none.
func FrozenBy(s policy.Settings, now time.Time) fault.Reason {
	f, on := s.FrozenAt(now)
	if !on {
		return fault.Reason{}
	}
	return fault.Because(fault.Frozen, "freeze", f.Name, "reason_fr", f.Reason.FR, "reason_en", f.Reason.EN, "until", rfc(f.Interval().End))
}

// Excepted is the exception that leaves a whole device out of everything; zero:
// none.
func Excepted(rules policy.Rules, h policy.Holder, now time.Time) fault.Reason {
	e, out := rules.LeftOut(h, now)
	if !out {
		return fault.Reason{}
	}
	return verdictReason(policy.Outcome{Verdict: policy.Declined, Until: e.Until, Exception: e})
}

// Restarts is when an order may restart its device.
type Restarts struct {
	Mode    wire.RebootMode
	Windows []calendar.Interval // of wire.RebootWindow
}

// RestartsOf are those of the device's profile, else of the procedure. Where no
// window for reboots lies ahead, none happens.
func RestartsOf(s policy.Settings, t Terms, now time.Time) Restarts {
	switch {
	case s.Reboot == nil:
		return Restarts{Mode: wire.RebootMode(t.Reboot)}
	case s.Reboot.Mode != policy.RebootInWindow:
		return Restarts{Mode: wire.RebootMode(s.Reboot.Mode)}
	}
	windows := s.WindowsIn(calendar.Intervals(s.Reboot.Windows, now, now.Add(Horizon)))
	if len(windows) == 0 {
		return Restarts{Mode: wire.RebootNever}
	}
	return Restarts{wire.RebootWindow, windows}
}

// When is how and when a device may restart that has open windows for installs.
// A mode with windows of its own keeps it when none of them lies ahead: the
// device is not forbidden to restart, it has no window to.
func (r Restarts) When(s policy.Settings, open []calendar.Interval) (wire.RebootMode, []calendar.Interval) {
	switch {
	case r.Mode == wire.RebootWindow:
		return r.Mode, r.Windows
	case r.Mode == wire.RebootNever && s.Reboot != nil && s.Reboot.Mode == policy.RebootInWindow:
		return wire.RebootWindow, nil
	}
	return r.Mode, open
}

// MarginIn is the margin of an order for these windows: it never eats more than
// half of the shortest.
func (t Terms) MarginIn(windows []calendar.Interval) time.Duration {
	margin := t.Margin
	for _, w := range windows {
		margin = min(margin, w.Length()/2)
	}
	return margin
}
