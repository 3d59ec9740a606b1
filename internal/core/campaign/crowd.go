package campaign

import (
	"strconv"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fault"
)

// Crowd is where a limit of the policy stands for one device: how many of those
// that must not be down together are down now.
type Crowd struct {
	Limit     string
	Allowed   int    // devices at once
	Down      int    // others that have an order, or were not heard of since
	Failed    int    // in this campaign
	StopAfter int    // failures; 0: no limit
	Before    string // a device whose turn comes first and that is not through
}

// stops is why the device must wait for the others; zero when it may start.
func (c Crowd) stops() fault.Reason {
	switch {
	case c.StopAfter > 0 && c.Failed >= c.StopAfter:
		return fault.Because(fault.LimitStopped, "limit", c.Limit, "have", strconv.Itoa(c.Failed), "max", strconv.Itoa(c.StopAfter))
	case c.Before != "":
		return fault.Because(fault.LimitTurn, "limit", c.Limit, "device", c.Before)
	case c.Down >= c.Allowed:
		return fault.Because(fault.LimitReached, "limit", c.Limit, "have", strconv.Itoa(c.Down), "max", strconv.Itoa(c.Allowed))
	}
	return fault.Reason{}
}

const (
	// limitLead is how long before its window a device under a limit gets its
	// order: long enough to download, not long enough to keep others waiting.
	limitLead = time.Hour
	// limitSilence is how recently it must have been heard of: an order to a
	// device that is off would keep the others waiting for nothing.
	limitSilence = 10 * time.Minute
	// limitLook repairs a wake-up that was lost.
	limitLook = 10 * time.Minute
)

// Turn is a device that asks for an order under limits.
type Turn struct {
	Crowds   []Crowd
	LastSeen time.Time
	Next     calendar.Interval // its next window
}

// Waits is why the limits keep the device from an order now, and when to look
// again; zero when they do not. A device under a limit gets its order for one
// window only: it holds its place until the order ends.
func (t Turn) Waits(now time.Time) (why fault.Reason, look time.Time) {
	if len(t.Crowds) == 0 {
		return why, look
	}
	if from := t.Next.Start.Add(-limitLead); now.Before(from) {
		return fault.Because(fault.OutsideWindow, "next", rfc(t.Next.Start)), from
	}
	if now.Sub(t.LastSeen) > limitSilence {
		return fault.Because(fault.DeviceUnreachable, "since", until(t.LastSeen)), now.Add(limitLook)
	}
	for _, c := range t.Crowds {
		if r := c.stops(); !r.IsZero() {
			return r, now.Add(limitLook)
		}
	}
	return why, look
}

// crowded tells whether a limit keeps the device from an order now.
func (w *weighing) crowded(next calendar.Interval) bool {
	why, look := Turn{w.device.Crowds, w.device.LastSeen, next}.Waits(w.now)
	if why.IsZero() {
		return false
	}
	w.wait(why)
	w.lookAt(look)
	return true
}
