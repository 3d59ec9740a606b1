package executor

import (
	"time"

	"patchring/internal/core/fault"
	"patchring/wire"
)

// open tells whether an act that takes margin may begin at now: some window
// holds all of [now, now+margin]. room is how long it could still wait.
func open(windows []wire.Interval, now time.Time, margin time.Duration) (room time.Duration, ok bool) {
	for _, w := range windows {
		start, end := time.UnixMicro(w.StartUS), time.UnixMicro(w.EndUS)
		if last := end.Add(-margin); !start.After(now) && !last.Before(now) && now.Before(end) {
			room, ok = max(room, last.Sub(now)), true
		}
	}
	return room, ok
}

// nextOpen is the first instant from now on at which open would be true.
func nextOpen(windows []wire.Interval, now time.Time, margin time.Duration) (next time.Time, ok bool) {
	for _, w := range windows {
		start, end := time.UnixMicro(w.StartUS), time.UnixMicro(w.EndUS)
		if start.Before(now) {
			start = now
		}
		if end.Add(-margin).Before(start) || !start.Before(end) {
			continue
		}
		if !ok || start.Before(next) {
			next, ok = start, true
		}
	}
	return next, ok
}

// outside says why no act may begin at now: between windows, too late in one,
// or past the last.
func outside(windows []wire.Interval, now time.Time, margin time.Duration) fault.Reason {
	next, ok := nextOpen(windows, now, margin)
	for _, w := range windows {
		start, end := time.UnixMicro(w.StartUS), time.UnixMicro(w.EndUS)
		if !start.After(now) && now.Before(end) {
			return fault.Because(fault.WindowTooShort, "need", margin.String(), "left", end.Sub(now).Round(time.Second).String())
		}
	}
	if !ok {
		return fault.Because(fault.NoWindow)
	}
	return fault.Because(fault.OutsideWindow, "next", rfc(next))
}
