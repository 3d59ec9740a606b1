package calendar_test

import (
	"slices"
	"testing"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/patch"

	"pgregory.net/rapid"
)

func TestFitsOrNeedsSeveralWindowsOrNever(t *testing.T) {
	h := time.Hour
	nights := []calendar.Interval{hours(0, 2), hours(24, 26), hours(48, 51)}
	for _, c := range []struct {
		why     string
		windows []calendar.Interval
		now     time.Time
		need    calendar.Needs
		want    calendar.Fitting
	}{
		{"in the first", nights, epoch, calendar.Needs{Install: h}, calendar.Fitting{Windows: 1, Last: hours(0, 2)}},
		{"no room left tonight", nights, epoch.Add(90 * time.Minute), calendar.Needs{Install: h}, calendar.Fitting{Windows: 1, Last: hours(24, 26)}},
		{"whole in the third, though parts would pass sooner", nights, epoch, calendar.Needs{Download: h, Install: h, Reboot: h}, calendar.Fitting{Windows: 1, Last: hours(48, 51)}},
		{"two nights", nights[:2], epoch, calendar.Needs{Download: h, Install: h, Reboot: h}, calendar.Fitting{Windows: 2, Last: hours(24, 26)}},
		{"the cut that ends sooner", []calendar.Interval{hours(0, 2), hours(24, 25), hours(48, 50)}, epoch, calendar.Needs{Download: h, Install: h, Reboot: h}, calendar.Fitting{Windows: 2, Last: hours(24, 25)}},
		{"three nights", nights, epoch, calendar.Needs{Download: 2 * h, Install: 2 * h, Reboot: 2 * h}, calendar.Fitting{Windows: 3, Last: hours(48, 51)}},
		{"an install longer than every night", nights, epoch, calendar.Needs{Install: 4 * h}, calendar.Fitting{}},
		{"more parts than nights", nights[:2], epoch, calendar.Needs{Download: 2 * h, Install: 2 * h, Reboot: 2 * h}, calendar.Fitting{}},
		{"nothing to do fits what is open", nights, epoch.Add(h), calendar.Needs{}, calendar.Fitting{Windows: 1, Last: hours(0, 2)}},
		{"windows that touch are one", []calendar.Interval{hours(1, 2), hours(0, 1)}, epoch, calendar.Needs{Install: 2 * h}, calendar.Fitting{Windows: 1, Last: hours(0, 2)}},
		{"no window", nil, epoch, calendar.Needs{}, calendar.Fitting{}},
		{"all windows are over", nights, epoch.Add(51 * h), calendar.Needs{}, calendar.Fitting{}},
	} {
		got := calendar.Fit(c.windows, c.now, c.need)
		if got != c.want || got.Fits() != (c.want.Windows == 1) || got.Never() != (c.want.Windows == 0) {
			t.Errorf("%s: got %+v, want %+v", c.why, got, c.want)
		}
	}
}

// leastWindows tries every way to give the parts windows.
func leastWindows(windows []calendar.Interval, now time.Time, parts []time.Duration) int {
	least := 0
	var try func(part, at, used int, free time.Time)
	try = func(part, at, used int, free time.Time) {
		if part == len(parts) {
			if used > 0 && (least == 0 || used < least) {
				least = used
			}
			return
		}
		for i := max(at, 0); i < len(windows); i++ {
			start, more := windows[i].Start, 1
			if start.Before(now) {
				start = now
			}
			if i == at {
				start, more = free, 0
			}
			if end := start.Add(parts[part]); start.Before(windows[i].End) && !end.After(windows[i].End) || i == at && parts[part] == 0 {
				try(part+1, i, used+more, end)
			}
		}
	}
	try(0, -1, 0, now)
	return least
}

func TestFitNeedsNoMoreWindowsThanAnyPlan(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var windows []calendar.Interval
		at := 0
		for range rapid.IntRange(0, 5).Draw(rt, "windows") {
			at += rapid.IntRange(1, 3).Draw(rt, "gap")
			end := at + rapid.IntRange(1, 5).Draw(rt, "length")
			windows = append(windows, hours(at, end))
			at = end
		}
		some := func(name string) time.Duration {
			return time.Duration(rapid.IntRange(0, 5).Draw(rt, name)) * time.Hour
		}
		need := calendar.Needs{Download: some("download"), Install: some("install"), Reboot: some("reboot")}
		now := epoch.Add(some("now"))
		got := calendar.Fit(windows, now, need)
		if want := leastWindows(windows, now, []time.Duration{need.Download, need.Install, need.Reboot}); got.Windows != want {
			rt.Fatalf("%+v in %v at %s: needs %d windows, want %d", need, windows, now, got.Windows, want)
		}
		if got.Never() {
			return
		}
		if !slices.Contains(windows, got.Last) || !got.Last.End.After(now) {
			rt.Fatalf("%v is none of %v after %s", got.Last, windows, now)
		}
		for _, w := range windows {
			if got.Fits() && w.End.Before(got.Last.End) && calendar.Fits(w, now, need.Total()) {
				rt.Fatalf("%v comes before %v", w, got.Last)
			}
		}
	})
}

func TestP95(t *testing.T) {
	upTo := func(n int) []time.Duration {
		var out []time.Duration
		for i := n; i >= 1; i-- {
			out = append(out, time.Duration(i)*time.Minute)
		}
		return out
	}
	for n, want := range map[int]time.Duration{0: 0, 1: 1, 2: 2, 19: 19, 20: 19, 40: 38, 41: 39, 100: 95, 1000: 950} {
		samples := upTo(n)
		if got := calendar.P95(samples); got != want*time.Minute {
			t.Errorf("%d samples: got %s, want %d minutes", n, got, want)
		}
		if !slices.Equal(samples, upTo(n)) {
			t.Errorf("%d samples: they were moved", n)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		samples := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) time.Duration {
			return time.Duration(rapid.IntRange(0, 50).Draw(rt, "minutes")) * time.Minute
		}), 1, 200).Draw(rt, "samples")
		p := calendar.P95(samples)
		within, below := 0, 0
		for _, s := range samples {
			if s <= p {
				within++
			}
			if s < p {
				below++
			}
		}
		if !slices.Contains(samples, p) || 100*within < 95*len(samples) || 100*below >= 95*len(samples) {
			rt.Fatalf("%s of %v: %d within, %d below", p, samples, within, below)
		}
	})
}

func TestWhatIsExpectedOfAnInstall(t *testing.T) {
	past := calendar.Samples{Installs: []time.Duration{4 * time.Minute, 9 * time.Minute}}
	want := calendar.Usual(patch.Security)
	want.Install = 9 * time.Minute
	if got := calendar.Expected(patch.Security, past); got != want {
		t.Errorf("got %+v, want %+v: what has no past takes what is usual", got, want)
	}
	all := calendar.Samples{Downloads: []time.Duration{1}, Installs: []time.Duration{2}, Reboots: []time.Duration{3}}
	for _, class := range patch.Classes() {
		if got := calendar.Expected(class, all); got != (calendar.Needs{Download: 1, Install: 2, Reboot: 3}) {
			t.Errorf("%s: got %+v, want what its past shows", class, got)
		}
		u := calendar.Usual(class)
		if u.Download <= 0 || u.Install <= 0 || u.Total() < u.Install || u.Total() > 3*time.Hour || calendar.Expected(class, calendar.Samples{}) != u {
			t.Errorf("%s: usual %+v", class, u)
		}
	}
	if calendar.Usual(patch.Feature).Total() <= calendar.Usual(patch.Security).Total() || calendar.Usual(patch.Definition).Reboot != 0 {
		t.Error("a new system takes longer than a fix, and definitions restart nothing")
	}
	if calendar.Usual(patch.Unknown) != calendar.Usual(patch.Security) {
		t.Error("what nobody knows is treated like a fix of the system")
	}
}
