package cleanup

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fault"
	"patchring/wire"
)

var (
	noon    = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	night   = calendar.Interval{Start: noon.Add(10 * time.Hour), End: noon.Add(13 * time.Hour)}
	tmp     = Item{Kind: wire.CleanTemporaryFiles, OlderThan: 10 * day}
	history = Item{Kind: wire.CleanBrowserHistory, OlderThan: 90 * day}
)

func wanted(i Item, change func(*Wanted)) Wanted {
	w := Wanted{ID: i.ID("pcs"), Item: i}
	if change != nil {
		change(&w)
	}
	return w
}

func TestWhereAnItemStands(t *testing.T) {
	counted := func(w *Wanted) { w.Counted = noon.Add(-day) }
	for _, c := range []struct {
		why    string
		item   Wanted
		change func(*Device)
		state  State
		reason fault.Code
		order  bool
		dry    bool
	}{
		{"the first run is a dry one", wanted(tmp, nil), nil, Ordered, "", true, true},
		{"also when it was approved before its figures", wanted(tmp, func(w *Wanted) { w.Approved = true }), nil, Ordered, "", true, true},
		{"also when the policy lets items go", wanted(tmp, nil), func(d *Device) { d.Auto = true }, Ordered, "", true, true},
		{"then a person is asked", wanted(tmp, counted), nil, AwaitingApproval, fault.CleanUpAsks, false, false},
		{"and lets it go", wanted(tmp, func(w *Wanted) { counted(w); w.Approved = true }), nil, Ordered, "", true, false},
		{"or the policy does", wanted(tmp, counted), func(d *Device) { d.Auto = true }, Ordered, "", true, false},
		{"after a day to object", wanted(tmp, func(w *Wanted) { w.Counted = noon.Add(-time.Hour) }), func(d *Device) { d.Auto = true }, Approved, fault.CleanUpResting, false, false},
		{"never for the history", wanted(history, counted), func(d *Device) { d.Auto = true }, AwaitingApproval, fault.CleanUpAsks, false, false},
		{"figures of last season are counted again", wanted(tmp, func(w *Wanted) { w.Counted = noon.Add(-31 * day) }), nil, Ordered, "", true, true},
		{"it rests", wanted(tmp, func(w *Wanted) { counted(w); w.Approved, w.Cleaned = true, noon.Add(-day) }), nil, Resting, fault.CleanUpResting, false, false},
		{"a changed item does not rest, it is counted", wanted(tmp, func(w *Wanted) { w.Cleaned = noon.Add(-day) }), nil, Ordered, "", true, true},
		{"it comes again", wanted(tmp, func(w *Wanted) { w.Counted, w.Approved, w.Cleaned = noon.Add(-40*day), true, noon.Add(-7*day) }), nil, Ordered, "", true, false},
		{"what failed is tried a day later", wanted(tmp, func(w *Wanted) { w.Tried = noon.Add(-time.Hour) }), nil, AwaitingDryRun, fault.CleanUpRetry, false, false},
		{"an old agent is asked nothing", wanted(tmp, nil), func(d *Device) { d.Able = false }, AwaitingDryRun, fault.CleanUpUnable, false, false},
		{"patches come first", wanted(tmp, nil), func(d *Device) { d.Others = d.Windows }, AwaitingDryRun, fault.CleanUpBehind, false, false},
		{"a held device is left alone", wanted(tmp, nil), func(d *Device) { d.Held = fault.Because(fault.DeviceHeld) }, AwaitingDryRun, fault.DeviceHeld, false, false},
		{"no window is closed", wanted(tmp, nil), func(d *Device) { d.Windows = nil }, AwaitingDryRun, fault.NoWindow, false, false},
		{"a freeze says so", wanted(tmp, nil), func(d *Device) { d.Windows, d.Frozen = nil, fault.Because(fault.Frozen) }, AwaitingDryRun, fault.Frozen, false, false},
	} {
		d := Device{Wanted: []Wanted{c.item}, Every: 7 * day, Windows: []calendar.Interval{night}, Able: true}
		if c.change != nil {
			c.change(&d)
		}
		got := Decide(noon, d)
		if got.Items[0].State != c.state || got.Items[0].Reason.Code != c.reason || (got.Order != nil) != c.order {
			t.Errorf("%s: got %+v and order %+v, want %s %s", c.why, got.Items[0], got.Order, c.state, c.reason)
		}
		if c.order && got.Order != nil && got.Order.Items[0].DryRun != c.dry {
			t.Errorf("%s: dry run is %v, want %v", c.why, got.Order.Items[0].DryRun, c.dry)
		}
		if got.Look.IsZero() {
			t.Errorf("%s: nobody would ever look again", c.why)
		}
	}
}

func TestAnOpenOrderStandsOrFalls(t *testing.T) {
	d := Device{Wanted: []Wanted{wanted(tmp, nil)}, Every: 7 * day, Windows: []calendar.Interval{night}, Able: true}
	first := Decide(noon, d)
	d.Order = &Open{Items: first.Order.Items, Windows: []calendar.Interval{first.Order.Window}, Expires: first.Order.Expires}
	if got := Decide(noon, d); got.Cancel || got.Expired || got.Order != nil || got.Items[0].State != Ordered || !got.Items[0].Next.Equal(night.Start) {
		t.Errorf("decided again: %+v, want nothing new", got)
	}
	if got := Decide(night.End, d); !got.Expired {
		t.Errorf("after its window: %+v, want expired", got)
	}
	changed := d
	changed.Wanted = []Wanted{wanted(Item{Kind: tmp.Kind, OlderThan: 11 * day}, nil)}
	if got := Decide(noon, changed); !got.Cancel {
		t.Errorf("of a changed item: %+v, want cancelled", got)
	}
	moved := d
	moved.Windows = []calendar.Interval{{Start: night.Start.Add(time.Hour), End: night.End}}
	if got := Decide(noon, moved); !got.Cancel {
		t.Errorf("outside the new window: %+v, want cancelled", got)
	}
	patches := d
	patches.Others = []calendar.Interval{{Start: night.Start.Add(time.Hour), End: night.End}}
	if got := Decide(noon, patches); !got.Cancel {
		t.Errorf("when patches are ordered for its window: %+v, want cancelled", got)
	}
	gone := d
	gone.Wanted = nil
	if got := Decide(noon, gone); !got.Cancel {
		t.Errorf("of an item that is gone: %+v, want cancelled", got)
	}
}

// Whatever happens, in any order: nothing acts outside a window, nothing goes
// for real whose own dry run the device did not report, or that nobody let go.
func TestNever(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 7))
		play(t, seed, r)
	}
}

// story is one device over some weeks, as the server keeps it.
type story struct {
	device  Device
	counted map[string]bool // fingerprints whose dry run was reported
	let     map[string]bool
}

func play(t *testing.T, seed uint64, r *rand.Rand) {
	s := story{Device{Every: 7 * day, Able: true}, map[string]bool{}, map[string]bool{}}
	for _, i := range []Item{tmp, history} {
		s.device.Wanted = append(s.device.Wanted, wanted(i, nil))
	}
	now := noon
	for range 120 {
		now = now.Add(time.Duration(r.Int64N(int64(30 * time.Hour))))
		s.device.Windows = nil
		for at := now.Truncate(day); len(s.device.Windows) < r.IntN(4); at = at.Add(day) {
			s.device.Windows = append(s.device.Windows, calendar.Interval{Start: at.Add(22 * time.Hour), End: at.Add(25 * time.Hour)})
		}
		s.device.Auto, s.device.Others = r.IntN(3) == 0, nil
		if r.IntN(3) == 0 && len(s.device.Windows) > 0 {
			s.device.Others = s.device.Windows[:1]
		}
		s.people(r)
		d := Decide(now, s.device)
		if d.Cancel || d.Expired {
			s.device.Order = nil
		}
		if d.Order != nil {
			s.check(t, seed, now, d.Order)
			s.device.Order = &Open{d.Order.Items, []calendar.Interval{d.Order.Window}, d.Order.Expires}
		}
		if s.device.Order != nil && r.IntN(2) == 0 {
			s.report(r, now)
		}
	}
}

func (s *story) people(r *rand.Rand) {
	w := &s.device.Wanted[r.IntN(len(s.device.Wanted))]
	switch r.IntN(6) {
	case 0:
		w.Approved = true
		s.let[w.Item.Fingerprint()] = true
	case 1: // another age: another item
		w.Item.OlderThan += day
		w.Approved, w.Counted = false, time.Time{}
	}
}

func (s *story) check(t *testing.T, seed uint64, now time.Time, o *Order) {
	t.Helper()
	if !slices.Contains(s.device.Windows, o.Window) || o.Expires.After(o.Window.End) || !o.Window.End.After(now) {
		t.Fatalf("seed %d: order %+v at %s is outside the windows %v", seed, o, now, s.device.Windows)
	}
	if slices.Contains(s.device.Others, o.Window) {
		t.Fatalf("seed %d: order in the window of another", seed)
	}
	for _, c := range o.Items {
		i := FromWire(c)
		if c.DryRun {
			continue
		}
		if !s.counted[i.Fingerprint()] {
			t.Fatalf("seed %d: %s goes without its dry run", seed, c.ID)
		}
		if !s.let[i.Fingerprint()] && (!s.device.Auto || i.AlwaysAsks()) {
			t.Fatalf("seed %d: %s goes though nobody let it", seed, c.ID)
		}
	}
}

func (s *story) report(r *rand.Rand, now time.Time) {
	for _, c := range s.device.Order.Items {
		w := &s.device.Wanted[slices.IndexFunc(s.device.Wanted, func(w Wanted) bool { return string(w.ID) == c.ID })]
		switch {
		case r.IntN(4) == 0:
			w.Tried = now
		case c.DryRun && FromWire(c).Fingerprint() == w.Item.Fingerprint():
			w.Counted = now
			s.counted[w.Item.Fingerprint()] = true
		case !c.DryRun:
			w.Cleaned = now
		}
	}
	s.device.Order = nil
}

func TestPathsStayBelowTheirRoots(t *testing.T) {
	for p, ok := range map[string]bool{
		"/tmp": true, "/tmp/a b": true, "/var/tmp/x/y": true, "/tmp/..": false, "/tmp//x": false, "/tmp/": false, "/tmpx": false,
		"/": false, "": false, "tmp": false, "/tmp/*": false, "/etc": false, "/tmp/\x00": false, "~/.cache": false,
	} {
		if _, got := RootOf(wire.CleanTemporaryFiles, p); got != ok {
			t.Errorf("%q is below a root: %v, want %v", p, got, ok)
		}
	}
	if _, ok := RootOf(wire.CleanBrowserHistory, "/tmp"); ok {
		t.Error("the history takes a path")
	}
	if _, ok := RootOf(wire.CleanUserCaches, "~/.cache/thumbnails"); !ok {
		t.Error("~/.cache/thumbnails is no user cache")
	}
}
