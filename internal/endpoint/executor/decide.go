package executor

import (
	"slices"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/executor/local"
	"patchring/internal/endpoint/executor/people"
	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

// scene is everything a decision is made from. Decisions on it are pure.
type scene struct {
	now      time.Time // in the device's own zone
	clockOff time.Duration
	holds    []wire.Hold
	local    local.Rules
	localErr error
	disk     fault.Reason

	// What follows is read for orders with terms for people only.
	boot    string
	uptime  time.Duration
	present Presence
}

// wait is why an order does not go on now, and when it tries again by itself;
// a zero next is when the cause goes, which is looked at every minute.
type wait struct {
	cause fault.Reason
	next  time.Time
}

// stepOrder is the order of the steps an order walks.
var stepOrder = []wire.Step{
	wire.StepAccepted, wire.StepPreflight, wire.StepPreserve, wire.StepDownload, wire.StepWait, wire.StepQuiesce,
	wire.StepInstall, wire.StepSettle, wire.StepReboot, wire.StepVerify, wire.StepProbe, wire.StepReport, wire.StepDone,
}

func rank(s wire.Step) int { return slices.Index(stepOrder, s) }

// begun tells that the order has touched the device: only its own end, and no
// longer a cancel, ends it.
func begun(o journal.Order) bool { return o.Installs > 0 || rank(o.Step) >= rank(wire.StepQuiesce) }

// ended says why what remains of an order is not begun any more.
func (s scene) ended(o journal.Order) fault.Reason {
	switch {
	case o.Cancelled:
		return fault.Because(fault.OrderCancelled)
	case o.SupersededBy != 0:
		return fault.Because(fault.Superseded, "by", itoa(o.SupersededBy))
	case s.expired(o.Order):
		return fault.Because(fault.OrderExpired, "at", rfc(time.UnixMicro(o.Order.ExpiresUS)))
	}
	return fault.Reason{}
}

// expired is false as long as the clock is not believed.
func (s scene) expired(o wire.Order) bool {
	return s.clockOff == 0 && s.now.UnixMicro() >= o.ExpiresUS
}

// mayPrepare decides on what installs nothing: it may happen before a window
// and with any clock.
func (s scene) mayPrepare(o journal.Order) *wait {
	if w := s.held(o); w != nil {
		return w
	}
	if s.localErr != nil {
		return s.localUnreadable()
	}
	if !s.disk.IsZero() {
		return &wait{cause: s.disk}
	}
	return nil
}

// transaction is what may be installed at once: the items of one provider.
type transaction struct {
	provider string
	items    []wire.Item
	skipped  []wire.Outcome // stopped by a hold or by the local file
	room     time.Duration  // how long the start may still be put off
}

// mayInstall decides whether an install may begin now, and of what.
func (s scene) mayInstall(o journal.Order) (transaction, *wait) {
	if w := s.mayPrepare(o); w != nil {
		return transaction{}, w
	}
	room, w := s.mayAct(o.Order, wire.ActInstall)
	if w != nil {
		return transaction{}, w
	}
	t := transaction{room: room}
	var held fault.Reason
	for _, item := range o.Items {
		if pattern, yes := s.local.Forbids(item); yes {
			t.skip(item, fault.Because(fault.LocalVeto, "rule", "never_packages "+pattern))
			continue
		}
		if h, ok := s.holdOn(o.Order, item.ID); ok {
			held = because(h)
			t.skip(item, held)
			continue
		}
		if t.provider == "" {
			t.provider = item.Provider
		}
		if item.Provider == t.provider {
			t.items = append(t.items, item)
		}
	}
	if len(t.items) == 0 && !held.IsZero() {
		return transaction{}, &wait{cause: held} // all that could be done is held: it may be lifted
	}
	return t, nil
}

func (t *transaction) skip(item wire.Item, why fault.Reason) {
	t.skipped = append(t.skipped, wire.Outcome{Item: item.ID, State: wire.ItemSkipped, Cause: causeOf(why), Packages: item.Packages})
}

// mayReboot decides whether the device may go down now.
func (s scene) mayReboot(o journal.Order) *wait {
	if w := s.held(o); w != nil {
		return w
	}
	if s.localErr != nil {
		return s.localUnreadable()
	}
	_, w := s.mayAct(o.Order, wire.ActReboot)
	return w
}

// mayAct asks clock, window and the local file's hours.
func (s scene) mayAct(o wire.Order, act wire.Act) (room time.Duration, w *wait) {
	if s.clockOff != 0 {
		by := s.clockOff.Round(time.Second).String()
		return 0, &wait{cause: fault.Because(fault.ClockJumped, "by", by)}
	}
	windows, margin := o.Windows, people.Margin(o, act)
	if act == wire.ActReboot {
		windows = people.BootWindows(o)
	}
	next := s.nextChance(windows, margin)
	room, ok := open(windows, s.now, margin)
	if !ok {
		cause := outside(windows, s.now, margin)
		if cause.Code == fault.OutsideWindow && next.IsZero() {
			cause = fault.Because(fault.LocalVeto, "rule", "blocked_hours") // in every window that is left
		}
		return 0, &wait{cause, next}
	}
	if !s.local.Blocked(s.now, margin).IsZero() {
		return 0, &wait{fault.Because(fault.LocalVeto, "rule", "blocked_hours"), next}
	}
	// The start may be put off as long as window, hours and expiry allow it, less
	// a second: the end of each is already outside.
	room = min(room, time.UnixMicro(o.ExpiresUS).Sub(s.now))
	if start, ok := s.local.NextBlocked(s.now, room+margin); ok {
		room = min(room, start.Add(-margin).Sub(s.now))
	}
	return max(room-time.Second, 0), nil
}

// nextChance is the first instant at which a window is open and the local file
// has no blocked hours; zero when there is none in sight.
func (s scene) nextChance(windows []wire.Interval, margin time.Duration) time.Time {
	at := s.now
	for {
		next, ok := nextOpen(windows, at, margin)
		if !ok {
			return time.Time{}
		}
		free, ok := s.local.Clear(next.In(s.now.Location()), margin)
		if !ok {
			return time.Time{}
		}
		if free.Equal(next) {
			return next
		}
		at = free
	}
}

// held is the wait for a hold on the whole order.
func (s scene) held(o journal.Order) *wait {
	if h, ok := s.holdOn(o.Order, ""); ok {
		return &wait{cause: because(h)}
	}
	return nil
}

// holdOn finds a hold: on the whole order without an item, on one item with it.
// Holds stop installs; a rollback is what usually follows one.
func (s scene) holdOn(o wire.Order, item string) (wire.Hold, bool) {
	if o.Kind == wire.OrderRollback {
		return wire.Hold{}, false
	}
	fits := func(wanted, have string) bool { return wanted == "" || wanted == have }
	for _, h := range s.holds {
		if (h.Item != "") == (item != "") && fits(h.Item, item) &&
			fits(h.Campaign, o.Campaign) && fits(h.Ring, o.Ring) && fits(h.Device, o.Device) {
			return h, true
		}
	}
	return wire.Hold{}, false
}

func because(h wire.Hold) fault.Reason {
	args := []string{"by", h.By, "reason", h.Reason, "hold", h.ID}
	switch {
	case h.Item != "":
		return fault.Because(fault.ItemHeld, args...)
	case h.Device != "":
		return fault.Because(fault.DeviceHeld, args...)
	case h.Ring != "":
		return fault.Because(fault.RingHeld, append(args, "ring", h.Ring)...)
	default:
		return fault.Because(fault.CampaignHeld, args...)
	}
}

func (s scene) localUnreadable() *wait {
	rule := wire.Clean(s.localErr.Error(), wire.MaxTextBytes)
	return &wait{cause: fault.Because(fault.LocalVeto, "rule", rule)}
}

// A device that reboots this often in this time is in a loop, whoever asks.
const (
	maxBootsOfOrder = 2
	maxBootsOfDay   = 4
)

// bootForbidden says why this order may not reboot the device at all.
func (s scene) bootForbidden(o journal.Order, boots []int64) fault.Reason {
	today := 0
	for _, at := range boots {
		if d := s.now.Sub(time.UnixMicro(at)); d > -24*time.Hour && d < 24*time.Hour {
			today++
		}
	}
	switch {
	case o.Order.Reboot == wire.RebootNever:
		return fault.Because(fault.RebootPendingNow)
	case s.localErr == nil && s.local.NeverReboot:
		return fault.Because(fault.LocalVeto, "rule", "never_reboot")
	case o.Boots >= maxBootsOfOrder:
		return fault.Because(fault.RebootLoop, "boots", itoa(o.Boots))
	case today >= maxBootsOfDay:
		return fault.Because(fault.RebootLoop, "boots", itoa(today))
	case s.expired(o.Order):
		return fault.Because(fault.OrderExpired, "at", rfc(time.UnixMicro(o.Order.ExpiresUS)))
	}
	return fault.Reason{}
}
