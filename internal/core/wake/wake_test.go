package wake_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fault"
	"patchring/internal/core/wake"
)

var (
	here  = netip.MustParsePrefix("192.0.2.0/24")
	there = netip.MustParsePrefix("198.51.100.0/24")
	start = time.Date(2026, 3, 2, 22, 0, 0, 0, time.UTC)
	end   = start.Add(2 * time.Hour)
)

// sleeper is a device that is to be woken, ten minutes before its window.
func sleeper() wake.Device {
	return wake.Device{
		ID: "pc", LastSeen: start.Add(-4 * time.Hour), Checkin: time.Minute, Allowed: true,
		Windows:    []calendar.Interval{{Start: start, End: end}},
		Cards:      []wake.Card{{MAC: "02:00:00:00:00:01", Prefix: here, Armed: true}},
		Neighbours: []wake.Neighbour{{"n1", "one", here}, {"n2", "two", here}, {"n3", "three", here}, {"n4", "four", there}, {"pc", "pc", here}},
	}
}

func TestDecide(t *testing.T) {
	at := start.Add(-wake.Lead)
	for name, c := range map[string]struct {
		change func(*wake.Device)
		now    time.Time
		code   fault.Code
		asks   int
		look   time.Time
	}{
		"woken":              {now: at, code: fault.WakeAsked, asks: 2, look: at.Add(wake.Again)},
		"in the open window": {now: start.Add(time.Hour), code: fault.WakeAsked, asks: 2, look: start.Add(time.Hour + wake.Again)},
		"too early":          {now: at.Add(-time.Second), look: at},
		"over":               {now: end},
		"not allowed":        {now: at, change: func(d *wake.Device) { d.Allowed = false }},
		"no order's window":  {now: at, change: func(d *wake.Device) { d.Windows = nil }},
		"gone for good":      {now: at, change: func(d *wake.Device) { d.LastSeen = at.Add(-wake.Gone - time.Second) }},
		"under a hold":       {now: at, change: func(d *wake.Device) { d.Held = true }, look: at.Add(wake.Again)},
		"awake":              {now: at, change: func(d *wake.Device) { d.LastSeen = at.Add(-time.Minute) }, look: at.Add(2 * time.Minute)},
		"card not armed":     {now: at, change: func(d *wake.Device) { d.Cards[0].Armed = false }, code: fault.WakeNoCard, look: at.Add(wake.Again)},
		"nobody there":       {now: at, change: func(d *wake.Device) { d.Neighbours = d.Neighbours[3:] }, code: fault.WakeNoNeighbour, look: at.Add(wake.Again)},
		"one neighbour":      {now: at, change: func(d *wake.Device) { d.Neighbours = d.Neighbours[:1] }, code: fault.WakeAsked, asks: 1, look: at.Add(wake.Again)},
		"just asked":         {now: at, change: func(d *wake.Device) { d.Window, d.Tries, d.Asked = start, 1, at.Add(-time.Minute) }, code: fault.WakeAsked, look: at.Add(wake.Again - time.Minute)},
		"asked again":        {now: at, change: func(d *wake.Device) { d.Window, d.Tries, d.Asked = start, 2, at.Add(-wake.Again) }, code: fault.WakeAsked, asks: 2, look: at.Add(wake.Again)},
		"given up":           {now: at, change: func(d *wake.Device) { d.Window, d.Tries, d.Asked = start, wake.Tries, at.Add(-wake.Again) }, code: fault.WakeUnanswered, look: end},
		"tries of another night": {now: at, change: func(d *wake.Device) {
			d.Window, d.Tries, d.Asked = start.AddDate(0, 0, -1), wake.Tries, at.AddDate(0, 0, -1)
		}, code: fault.WakeAsked, asks: 2, look: at.Add(wake.Again)},
	} {
		t.Run(name, func(t *testing.T) {
			d := sleeper()
			if c.change != nil {
				c.change(&d)
			}
			got := wake.Decide(c.now, d)
			if got.Reason.Code != c.code || len(got.Asks) != c.asks || !got.Look.Equal(c.look) {
				t.Errorf("%q, %v, again at %s; want %q, %d askings, %s", got.Reason.Code, got.Asks, got.Look, c.code, c.asks, c.look)
			}
		})
	}
}

// The next try goes to others, and the same try always to the same.
func TestNeighboursTakeTurns(t *testing.T) {
	d := sleeper()
	first := wake.Decide(start, d).Asks
	if again := wake.Decide(start, d).Asks; !slices.Equal(first, again) || first[0].Neighbour == first[1].Neighbour {
		t.Fatalf("%v, then %v", first, again)
	}
	slices.Reverse(d.Neighbours)
	if again := wake.Decide(start, d).Asks; !slices.Equal(first, again) {
		t.Errorf("%v, told in another order %v", first, again)
	}
	d.Window, d.Tries, d.Asked = start, 1, start.Add(-time.Hour)
	if second := wake.Decide(start, d).Asks; slices.Equal(first, second) {
		t.Errorf("the second try asks %v again", second)
	}
}

// Whatever happens to a device: nobody is asked outside the window and its lead,
// without a profile, for a card that is not armed, from another network, or more
// often than the tries allow.
func TestNeverMoreThanIsAllowed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := sleeper()
		d.Checkin = time.Duration(rapid.IntRange(1, 3600).Draw(t, "checkin")) * time.Second
		now, tries := start.Add(-6*time.Hour), map[time.Time]int{}
		d.Windows = append(d.Windows, calendar.Interval{Start: end.Add(time.Hour), End: end.Add(2 * time.Hour)})
		for i := range rapid.IntRange(1, 200).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(1, 900).Draw(t, fmt.Sprint("pause", i))) * time.Second)
			d.Allowed, d.Held, d.Cards[0].Armed = rapid.Bool().Draw(t, "allowed"), rapid.Bool().Draw(t, "held"), rapid.Bool().Draw(t, "armed")
			if rapid.IntRange(0, 9).Draw(t, "heard") == 0 {
				d.LastSeen = now
			}
			got := wake.Decide(now, d)
			if len(got.Asks) == 0 {
				continue
			}
			silent := now.Sub(d.LastSeen) >= wake.AsleepAfter(d.Checkin)
			inside := !now.Before(got.Window.Start.Add(-wake.Lead)) && now.Before(got.Window.End)
			if !d.Allowed || d.Held || !d.Cards[0].Armed || !silent || !inside || !slices.Contains(d.Windows, got.Window) || len(got.Asks) > wake.Helpers {
				t.Fatalf("at %s %+v for %+v", now, got, d)
			}
			for _, a := range got.Asks {
				if a.Prefix != here || a.Neighbour == d.ID || !slices.Contains(d.Neighbours, wake.Neighbour{Device: a.Neighbour, Name: a.Name, Prefix: here}) || a.MAC != d.Cards[0].MAC {
					t.Fatalf("asks %+v", a)
				}
			}
			if tries[got.Window.Start]++; tries[got.Window.Start] > wake.Tries {
				t.Fatalf("%d tries for one window", tries[got.Window.Start])
			}
			if !d.Window.Equal(got.Window.Start) {
				d.Tries = 0
			}
			d.Window, d.Asked, d.Tries = got.Window.Start, now, d.Tries+1
		}
	})
}

func TestAnAwakeNeighbourIsNeverAsleep(t *testing.T) {
	for _, every := range []time.Duration{time.Second, 30 * time.Second, time.Minute, time.Hour} {
		if wake.AwakeWithin(every) >= wake.AsleepAfter(every) {
			t.Errorf("with check-ins every %s a device is both", every)
		}
	}
}
