package reboot_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/reboot"
	"patchring/wire"
)

var now = time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)

func night(day int) calendar.Interval {
	start := time.Date(2026, 3, 27+day, 22, 0, 0, 0, time.UTC)
	return calendar.Interval{Start: start, End: start.Add(4 * time.Hour)}
}

// needy is a device that would get an order.
func needy() reboot.Device {
	return reboot.Device{
		ID: "d1", Capability: wire.Capability, LastSeen: now, Pending: true, Read: true, Signals: []string{"kernel_newer"},
		Mode: wire.RebootIfNeeded, Windows: []calendar.Interval{night(0), night(1)},
	}
}

func TestDecide(t *testing.T) {
	open := func(step wire.Step) *reboot.Order {
		return &reboot.Order{Step: step, Issued: now.Add(-time.Hour), Expires: night(1).End, Windows: []calendar.Interval{night(0), night(1)}}
	}
	for name, tc := range map[string]struct {
		change func(*reboot.Device)
		want   string // what is done, and the reason's code
	}{
		"an order":                             {func(*reboot.Device) {}, "order order_in_flight"},
		"no signal":                            {func(d *reboot.Device) { d.Pending = false }, ""},
		"no signal any more, told an hour ago": {func(d *reboot.Device) { d.Pending, d.Cleared = false, now.Add(-time.Hour) }, "over"},
		"retired":                              {func(d *reboot.Device) { d.Retired, d.Order = true, open("") }, "cancel over"},
		"an old agent":                         {func(d *reboot.Device) { d.Capability = 2 }, "agent_outdated"},
		"nobody said how":                      {func(d *reboot.Device) { d.Mode = "" }, "reboot_no_rule"},
		"never":                                {func(d *reboot.Device) { d.Mode = wire.RebootNever }, "reboot_not_here"},
		"an exception":                         {func(d *reboot.Device) { d.Exception = fault.Because(fault.ExceptionInForce) }, "exception_in_force"},
		"signals of the boot before":           {func(d *reboot.Device) { d.Read = false }, "reboot_unread"},
		"a signal that survives":               {func(d *reboot.Device) { d.Survived = 2 }, "reboot_survived"},
		"no window":                            {func(d *reboot.Device) { d.Windows = nil }, "no_window"},
		"a freeze":                             {func(d *reboot.Device) { d.Windows, d.Frozen = nil, fault.Because(fault.Frozen) }, "frozen"},
		"a veto an hour ago": {func(d *reboot.Device) {
			d.Last = reboot.End{Why: fault.Because(fault.LocalVeto), At: now.Add(-time.Hour)}
		}, "local_veto"},
		"a veto of yesterday": {func(d *reboot.Device) {
			d.Last = reboot.End{Why: fault.Because(fault.LocalVeto), At: now.Add(-25 * time.Hour)}
		}, "order order_in_flight"},
		"an order that ran out of windows":  {func(d *reboot.Device) { d.Last = reboot.End{Why: fault.Because(fault.NoWindow), At: now} }, "order order_in_flight"},
		"an install under way":              {func(d *reboot.Device) { d.Other = &reboot.Other{Begun: true, Opens: now} }, "reboot_happening"},
		"an install in the same window":     {func(d *reboot.Device) { d.Other = &reboot.Other{Opens: night(0).Start} }, "reboot_happening"},
		"an install after the next window":  {func(d *reboot.Device) { d.Other = &reboot.Other{Opens: night(1).Start} }, "order order_in_flight"},
		"its order in hand":                 {func(d *reboot.Device) { d.Order = open(wire.StepWait) }, "order_in_flight"},
		"its order, and no signal any more": {func(d *reboot.Device) { d.Order, d.Pending = open(wire.StepWait), false }, "cancel"},
		"its order, and an install comes":   {func(d *reboot.Device) { d.Order, d.Other = open(wire.StepWait), &reboot.Other{Opens: night(1).Start} }, "cancel"},
		"its order, and a freeze comes":     {func(d *reboot.Device) { d.Order, d.Windows = open(wire.StepWait), []calendar.Interval{night(1)} }, "cancel"},
		"going down, whatever comes":        {func(d *reboot.Device) { d.Order, d.Windows, d.Survived = open(wire.StepReboot), nil, 2 }, "order_in_flight"},
		"under a limit, long before":        {func(d *reboot.Device) { d.Crowds = []campaign.Crowd{{Limit: "l", Allowed: 1}} }, "outside_window"},
	} {
		t.Run(name, func(t *testing.T) {
			d := needy()
			tc.change(&d)
			if got := said(reboot.Decide(now, d)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func said(d reboot.Decision) string {
	var words []string
	if d.Order != nil {
		words = append(words, "order")
	}
	if d.Cancel {
		words = append(words, "cancel")
	}
	if d.Over {
		words = append(words, "over")
	}
	if d.Reason.Code != "" && !d.Cancel {
		words = append(words, string(d.Reason.Code))
	}
	return strings.Join(words, " ")
}

// Whatever the device: no order outside its windows (which have no freezes),
// beyond a limit, with the mode never, without a live signal, for one that
// survived, nor into the window of a campaign's order; and the same again.
func TestNever(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := reboot.Device{
			ID: "d1", Retired: rapid.IntRange(0, 9).Draw(t, "retired") == 0, Capability: rapid.IntRange(1, 4).Draw(t, "capability"),
			LastSeen: now.Add(-minutes(t, "seen", 0, 60)), Pending: rapid.Bool().Draw(t, "pending"), Read: rapid.Bool().Draw(t, "read"),
			Survived: rapid.IntRange(0, 3).Draw(t, "survived"),
			Mode:     rapid.SampledFrom([]wire.RebootMode{"", wire.RebootNever, wire.RebootIfNeeded, wire.RebootWindow, wire.RebootUser}).Draw(t, "mode"),
		}
		at := now.Add(-5 * time.Hour)
		for range rapid.IntRange(0, 4).Draw(t, "windows") {
			at = at.Add(minutes(t, "gap", 1, 600))
			w := calendar.Interval{Start: at, End: at.Add(minutes(t, "length", 1, 600))}
			d.Windows, at = append(d.Windows, w), w.End
		}
		if rapid.Bool().Draw(t, "under a limit") {
			d.Crowds = []campaign.Crowd{{Limit: "l", Allowed: rapid.IntRange(0, 2).Draw(t, "allowed"), Down: rapid.IntRange(0, 2).Draw(t, "down")}}
		}
		if rapid.Bool().Draw(t, "another order") {
			d.Other = &reboot.Other{Begun: rapid.Bool().Draw(t, "begun"), Opens: now.Add(minutes(t, "opens", -600, 1200))}
		}
		got := reboot.Decide(now, d)
		if again := reboot.Decide(now, d); said(again) != said(got) {
			t.Fatalf("decided %q, then %q", said(got), said(again))
		}
		if !got.Look.IsZero() && got.Look.Before(now) {
			t.Fatalf("look again at %s, which is past", got.Look)
		}
		if got.Order == nil {
			return
		}
		never(t, d, got.Order.Windows)
		taken := map[reboot.Minute]int{}
		never(t, d, reboot.Spread(got.Order.Windows, now, reboot.Spreading{Device: d.ID, Room: minutes(t, "room", 0, 60), Taken: taken}))
	})
}

func never(t *rapid.T, d reboot.Device, windows []calendar.Interval) {
	if d.Retired || !d.Pending || !d.Read || d.Survived >= reboot.Survivals || d.Mode == "" || d.Mode == wire.RebootNever {
		t.Fatalf("an order for %+v", d)
	}
	if len(d.Crowds) > 0 && (d.Crowds[0].Down >= d.Crowds[0].Allowed || len(windows) > 1) {
		t.Fatalf("an order of %d windows beyond %+v", len(windows), d.Crowds[0])
	}
	for _, w := range windows {
		inside := slices.ContainsFunc(d.Windows, func(o calendar.Interval) bool { return !w.Start.Before(o.Start) && !w.End.After(o.End) })
		if w.Empty() || !inside {
			t.Fatalf("window %v of an order outside %v", w, d.Windows)
		}
		if d.Other != nil && (d.Other.Begun || w.End.After(d.Other.Opens)) {
			t.Fatalf("window %v against the order of a campaign %+v", w, d.Other)
		}
	}
}

func minutes(t *rapid.T, name string, from, to int) time.Duration {
	return time.Duration(rapid.IntRange(from, to).Draw(t, name)) * time.Minute
}

// As many devices as a window has minutes for, or fewer: no two share one. More
// of them: no minute has two more than another.
func TestSpreadIsEvenAndFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := calendar.Interval{Start: now, End: now.Add(minutes(t, "length", 2, 600))}
		room := minutes(t, "room", 0, 120)
		n := int(min(w.Length()/2, w.Length()-room) / time.Minute)
		taken := map[reboot.Minute]int{}
		for i := range rapid.IntRange(1, 400).Draw(t, "devices") {
			id := fleet.DeviceID(fmt.Sprintf("device-%d", i))
			out := reboot.Spread([]calendar.Interval{w}, now.Add(-time.Hour), reboot.Spreading{Device: id, Room: room, Taken: taken})
			if out[0].Length() < min(room, w.Length()) || out[0].End != w.End {
				t.Fatalf("%v of %v leaves no room of %s", out[0], w, room)
			}
			taken[reboot.MinuteOf(out[0].Start)]++
		}
		least, most := 1<<30, 0
		for i := range max(n, 1) {
			c := taken[reboot.MinuteOf(w.Start)+reboot.Minute(i)]
			least, most = min(least, c), max(most, c)
		}
		if most-least > 1 {
			t.Fatalf("minutes have from %d to %d devices", least, most)
		}
	})
}
