// Package reboot decides when a device that needs a reboot gets an order for
// it, whatever campaigns want of it: only on the device's own live signal, by
// its profile's mode, inside its windows and outside freezes, under the limits
// it is under, not in the same minute as its neighbours, and not for ever.
//
// It refuses to infer: that something was installed is no signal, and that
// something failed takes none away. Pure values; safe from any goroutine.
package reboot

import (
	"strconv"
	"strings"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/wire"
)

// Survivals is how many boots a signal may outlive before the device is left
// alone: what two reboots have not helped a third one will not.
const Survivals = 2

// Memory is how long a signal that is gone is remembered. One that comes back
// after a boot within it has outlived that boot: right after it a device does
// not know all of them yet.
const Memory = time.Hour

// Device is all that is decided on for one device.
type Device struct {
	ID         fleet.DeviceID
	Retired    bool
	Capability int
	LastSeen   time.Time

	Pending  bool      // as it last checked in
	Read     bool      // its signals are known of the boot it is in
	Signals  []string  // their names
	Survived int       // boots that they outlived
	Cleared  time.Time // when its facts first had none; zero: they have

	Mode      wire.RebootMode     // empty: nobody has said how it reboots
	Windows   []calendar.Interval // in which it may, sorted, disjoint, without freezes
	Frozen    fault.Reason        // the freeze that is on now
	Exception fault.Reason        // a person left the whole device out

	Crowds []campaign.Crowd
	Order  *Order // its open order to reboot
	Other  *Other // an open order of a campaign
	Last   End    // of the order before
}

// Order is an open order to reboot.
type Order struct {
	Step    wire.Step
	Cause   fault.Reason // why it waits, in the agent's words
	Next    time.Time
	Issued  time.Time
	Expires time.Time
	Windows []calendar.Interval
}

// Other is an open order of a campaign. It reboots by itself where that is
// needed, so nothing else does while it may act.
type Other struct {
	Begun bool
	Opens time.Time // its first window
}

// End is how an order to reboot ended without one.
type End struct {
	Why fault.Reason // zero: it did what it was for
	At  time.Time
}

// Decision is what a device gets now.
type Decision struct {
	Reason  fault.Reason // why it waits; zero when nothing is to be done
	Next    time.Time    // when it may go on by itself; zero: not known
	Order   *Spec
	Cancel  bool // the open order no longer stands
	Expired bool // the open order's time has run out
	Over    bool // nothing is left to remember of it
	Look    time.Time
}

// Spec is an order to be written.
type Spec struct {
	Windows []calendar.Interval
	Expires time.Time
}

// Rests after an order that ended without what it was for.
const (
	restVeto    = 24 * time.Hour // the administrator's file, or a device in a loop
	restFailure = time.Hour
	noWindow    = 24 * time.Hour // windows may have been given since
)

// Decide gives a device's next act. It changes nothing it is given.
func Decide(now time.Time, d Device) Decision {
	busy := d.Order != nil && now.Before(d.Order.ends())
	begun := busy && campaign.Begun(d.Order.Step)
	out := Decision{Expired: d.Order != nil && !busy}
	switch {
	case d.Retired:
		out.Cancel, out.Expired, out.Over = d.Order != nil, false, true
		return out
	case begun: // only its own end ends it
		out.busyWith(d.Order)
		return out
	case !d.Pending:
		out.calm(now, &d, busy)
		return out
	}
	windows := d.windows(now)
	out.Reason, out.Next = d.stop(now, windows)
	switch stopped := !out.Reason.IsZero(); {
	case busy && (stopped || campaign.Strayed(d.Order.Windows, windows, now)):
		out.Cancel, out.Look = true, now // without that order another may be due at once
		return out
	case busy:
		out.busyWith(d.Order)
		return out
	case stopped:
		out.look(now, out.Next)
		return out
	}
	out.order(now, &d, windows)
	return out
}

// ends is when the open order is over without a word from the device.
func (o *Order) ends() time.Time {
	if campaign.Begun(o.Step) {
		return o.Expires.Add(silence)
	}
	return o.Expires
}

// silence is how long an order that has begun is waited for after its expiry.
const silence = 24 * time.Hour

func (out *Decision) busyWith(o *Order) {
	out.Reason, out.Next = o.Cause, o.Next
	if out.Reason.IsZero() {
		out.Reason = fault.Because(fault.OrderInFlight, "step", string(o.Step), "since", rfc(o.Issued))
	}
	out.Look = o.ends()
}

// calm: no reboot is pending, so an order for one no longer stands. The signal
// is remembered for a while.
func (out *Decision) calm(now time.Time, d *Device, busy bool) {
	out.Cancel = busy
	if d.Cleared.IsZero() {
		return // its facts are on their way
	}
	forget := d.Cleared.Add(Memory)
	if out.Over = !busy && d.Read && !now.Before(forget); !out.Over {
		out.look(now, forget)
	}
}

func (out *Decision) look(now, at time.Time) {
	if at.After(now) {
		out.Look = at
	}
}

// windows are those in which the device may reboot without getting in the way of
// a campaign's order.
func (d *Device) windows(now time.Time) []calendar.Interval {
	windows := campaign.Ahead(d.Windows, now)
	if d.Other == nil || len(windows) == 0 {
		return windows
	}
	return calendar.Intersect(windows, []calendar.Interval{{Start: windows[0].Start, End: d.Other.Opens}})
}

// stop is why the device gets no order now, apart from limits.
func (d *Device) stop(now time.Time, windows []calendar.Interval) (why fault.Reason, next time.Time) {
	rest, until := d.Last.rest(now)
	switch {
	case d.Capability < wire.CapabilityReboot:
		return fault.Because(fault.AgentOutdated, "have", strconv.Itoa(d.Capability), "need", strconv.Itoa(wire.CapabilityReboot)), next
	case d.Mode == "":
		return fault.Because(fault.RebootNoRule), next
	case d.Mode == wire.RebootNever:
		return fault.Because(fault.RebootNotHere), next
	case !d.Exception.IsZero():
		return d.Exception, next
	case !d.Read:
		return fault.Because(fault.RebootUnread), next
	case d.Survived >= Survivals:
		return fault.Because(fault.RebootSurvived, "boots", strconv.Itoa(d.Survived), "signals", strings.Join(d.Signals, ", ")), next
	case d.Other != nil && d.Other.Begun:
		return fault.Because(fault.RebootHappening), next
	case !rest.IsZero():
		return rest, until
	case len(windows) == 0 && d.Other != nil && len(campaign.Ahead(d.Windows, now)) > 0:
		return fault.Because(fault.RebootHappening), next
	case len(windows) == 0 && !d.Frozen.IsZero():
		return d.Frozen, now.Add(noWindow)
	case len(windows) == 0:
		return fault.Because(fault.NoWindow), now.Add(noWindow)
	}
	return fault.Reason{}, next
}

// rest is why and until when the end of the order before is waited out. One
// that only ran out of windows, or was taken back, is not.
func (e End) rest(now time.Time) (fault.Reason, time.Time) {
	length := restFailure
	switch e.Why.Code {
	case "", fault.OrderExpired, fault.OrderCancelled, fault.Superseded, fault.NoWindow, fault.WindowTooShort, fault.RebootUnhelped:
		return fault.Reason{}, time.Time{}
	case fault.LocalVeto, fault.RebootLoop:
		length = restVeto
	}
	if until := e.At.Add(length); now.Before(until) {
		return e.Why, until
	}
	return fault.Reason{}, time.Time{}
}

func (out *Decision) order(now time.Time, d *Device, windows []calendar.Interval) {
	turn := campaign.Turn{Crowds: d.Crowds, LastSeen: d.LastSeen, Next: windows[0]}
	if why, look := turn.Waits(now); !why.IsZero() {
		out.Reason, out.Next, out.Look = why, windows[0].Start, look
		return
	}
	if len(d.Crowds) > 0 {
		windows = windows[:1]
	}
	out.Order = &Spec{Windows: windows, Expires: windows[len(windows)-1].End}
	out.Reason = fault.Because(fault.OrderInFlight, "step", "", "since", rfc(now))
	out.Next, out.Look = windows[0].Start, out.Order.Expires
}

func rfc(t time.Time) string { return t.UTC().Format(time.RFC3339) }
