package executor

import (
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

func TestWindowsAtTheirEdges(t *testing.T) {
	zero := time.Date(2026, 12, 8, 18, 0, 0, 0, time.UTC)
	at := func(minutes int) time.Time { return zero.Add(time.Duration(minutes) * time.Minute) }
	windows := []wire.Interval{
		{StartUS: us(at(0)), EndUS: us(at(60))}, {StartUS: us(at(100)), EndUS: us(at(105))}, {StartUS: us(at(200)), EndUS: us(at(260))},
	}
	const margin = 10 * time.Minute
	for _, c := range []struct {
		minute int
		open   bool
		room   time.Duration
		next   int // -1: none
		cause  fault.Code
	}{
		{-1, false, 0, 0, fault.OutsideWindow},
		{0, true, 50 * time.Minute, 0, ""},
		{50, true, 0, 50, ""},
		{51, false, 0, 200, fault.WindowTooShort},
		{60, false, 0, 200, fault.OutsideWindow},
		{101, false, 0, 200, fault.WindowTooShort}, // a window shorter than the margin never opens
		{199, false, 0, 200, fault.OutsideWindow},
		{250, true, 0, 250, ""},
		{251, false, 0, -1, fault.WindowTooShort},
		{260, false, 0, -1, fault.NoWindow},
	} {
		room, ok := open(windows, at(c.minute), margin)
		if ok != c.open || room != c.room {
			t.Errorf("minute %d: open %v with room %s, want %v with %s", c.minute, ok, room, c.open, c.room)
		}
		next, found := nextOpen(windows, at(c.minute), margin)
		if found != (c.next >= 0) || found && !next.Equal(at(c.next)) {
			t.Errorf("minute %d: next %s %v, want minute %d", c.minute, next, found, c.next)
		}
		if !c.open {
			if got := outside(windows, at(c.minute), margin).Code; got != c.cause {
				t.Errorf("minute %d: %s, want %s", c.minute, got, c.cause)
			}
		}
	}
	if _, ok := open(nil, zero, 0); ok {
		t.Error("no window means open")
	}
}

func TestTheNarrowestScopeNamesTheHold(t *testing.T) {
	for _, c := range []struct {
		hold wire.Hold
		code fault.Code
	}{
		{wire.Hold{}, fault.CampaignHeld},
		{wire.Hold{Campaign: "c"}, fault.CampaignHeld},
		{wire.Hold{Campaign: "c", Ring: "R0"}, fault.RingHeld},
		{wire.Hold{Device: "d"}, fault.DeviceHeld},
		{wire.Hold{Item: "i"}, fault.ItemHeld},
	} {
		c.hold.By, c.hold.Reason = "ada", "smoke"
		got := because(c.hold)
		if got.Code != c.code || got.Args["by"] != "ada" || got.Args["reason"] != "smoke" {
			t.Errorf("%+v: %s, want %s", c.hold, got, c.code)
		}
	}
}

func TestRebootsOfADayAreBounded(t *testing.T) {
	now := time.Date(2026, 12, 8, 18, 0, 0, 0, time.UTC)
	o := journal.Order{Order: wire.Order{Reboot: wire.RebootIfNeeded, ExpiresUS: us(now.Add(time.Hour))}}
	s := scene{now: now}
	recent, old := us(now.Add(-time.Hour)), us(now.Add(-25*time.Hour))
	if why := s.bootForbidden(o, []int64{old, old, old, recent, recent, recent}); !why.IsZero() {
		t.Errorf("three today: %s, want allowed", why)
	}
	if why := s.bootForbidden(o, []int64{recent, recent, recent, recent}); why.Code != fault.RebootLoop {
		t.Errorf("four today: %s, want reboot_loop", why)
	}
	o.Order.ExpiresUS = us(now)
	if why := s.bootForbidden(o, nil); why.Code != fault.OrderExpired {
		t.Errorf("expired: %s", why)
	}
}

func TestClock(t *testing.T) {
	wall := time.Date(2026, 12, 8, 18, 0, 0, 0, time.UTC)
	anchor := journal.Anchor{WallUS: us(wall), UptimeUS: time.Hour.Microseconds(), BootID: "b1"}
	distrusted := anchor
	distrusted.OffUS = time.Hour.Microseconds()
	for name, c := range map[string]struct {
		anchor  journal.Anchor
		boot    string
		elapsed time.Duration // on the wall
		uptime  time.Duration
		trusted bool
	}{
		"first start ever":                    {journal.Anchor{}, "b1", -999 * time.Hour, time.Hour, true},
		"agent restarted":                     {anchor, "b1", 2 * time.Hour, 3 * time.Hour, true},
		"agent restarted, a drift":            {anchor, "b1", 2*time.Hour + 9*time.Minute, 3 * time.Hour, true},
		"agent restarted, clock forward":      {anchor, "b1", 2*time.Hour + 11*time.Minute, 3 * time.Hour, false},
		"agent restarted, clock back":         {anchor, "b1", 2*time.Hour - 11*time.Minute, 3 * time.Hour, false},
		"suspended: uptime counts it":         {anchor, "b1", 80 * time.Hour, 81 * time.Hour, true},
		"rebooted":                            {anchor, "b2", time.Hour, time.Minute, true},
		"rebooted with an empty battery":      {anchor, "b2", -30000 * time.Hour, time.Minute, false},
		"rebooted before the anchor, it says": {anchor, "b2", time.Minute, time.Hour, false},
		"rebooted while not believed":         {distrusted, "b2", time.Hour, time.Minute, false},
	} {
		var k clock
		k.start(c.anchor, c.boot, wall.Add(c.elapsed), c.uptime)
		if off := k.look(wall.Add(c.elapsed), c.uptime); (off == 0) != c.trusted {
			t.Errorf("%s: off by %s, want trusted %v", name, off, c.trusted)
		}
		later := c.uptime + time.Hour
		if off := k.hear(wall.Add(c.elapsed), later, wall.Add(c.elapsed+time.Minute)); off != 0 {
			t.Errorf("%s: off by %s although the server agrees", name, off)
		}
		if off := k.hear(wall.Add(c.elapsed), later, wall.Add(c.elapsed+11*time.Minute)); off != -11*time.Minute {
			t.Errorf("%s: off by %s, want 11 minutes behind the server", name, off)
		}
	}
}

func TestADistrustedClockStaysSoOverAReboot(t *testing.T) {
	w := newWorld(t)
	if err := w.exec.ServerTime(w.truth()); err != nil {
		t.Fatal(err)
	}
	w.wall, w.skew = w.wall.Add(3*time.Hour), 3*time.Hour
	w.tick() // no order yet: it is seen all the same
	w.restart(true)
	if w.exec.look() == 0 {
		t.Error("believed again after a reboot")
	}
	w.restart(true)
	if err := w.exec.ServerTime(w.wall); err != nil {
		t.Fatal(err)
	}
	w.restart(true)
	if off := w.exec.look(); off != 0 {
		t.Errorf("off by %s after the server agreed", off)
	}
}
