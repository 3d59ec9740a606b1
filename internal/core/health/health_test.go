package health

import (
	"math"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"patchring/internal/core/fault"
	"patchring/wire"
)

var paris = func() *time.Location {
	z, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		panic(err)
	}
	return z
}()

// span is four weeks and one day, over the change of the clocks.
func span() Hours {
	from := time.Date(2026, time.March, 9, 0, 0, 0, 0, time.UTC)
	return NewHours(from, from.Add(28*24*time.Hour), from.Add(29*24*time.Hour), paris)
}

const pastEnd = 28 * 24

func weights(h Hours) []float64 {
	out := make([]float64, h.N)
	for i := pastEnd; i < h.N; i++ {
		out[i] = 1
	}
	return out
}

var cpu = Rules()[0]

// working is 10, and 40 from 9 to 17 of Paris on working days.
func working(h Hours) []float64 {
	out := make([]float64, h.N)
	for i := range out {
		out[i] = 10
		if t := h.From.Add(time.Duration(i) * time.Hour).In(paris); t.Weekday() != time.Saturday && t.Weekday() != time.Sunday && t.Hour() >= 9 && t.Hour() < 17 {
			out[i] = 40
		}
	}
	return out
}

func TestAWorkingWeekIsNoChange(t *testing.T) {
	h := span()
	m, gap := h.Past(cpu, working(h), pastEnd).Move(working(h), weights(h))
	if gap != NoGap || math.Abs(m.Change) > 3 || m.Hours != 24 {
		t.Fatalf("a day like all others moved: %+v %s", m, gap)
	}
	raised := working(h)
	for i := pastEnd; i < h.N; i++ {
		raised[i] += 20
	}
	up, _ := h.Past(cpu, raised, pastEnd).Move(raised, weights(h))
	if math.Abs(up.Change-m.Change-20) > 1e-9 || math.Abs(up.After-up.Before-up.Change) > 1e-9 {
		t.Errorf("20 more is %+v, from %+v", up, m)
	}
}

func TestHoursAreThoseOfTheZone(t *testing.T) {
	h := span()
	// 2026-03-29 at 01:00 UTC the clocks of Paris go forward: 9:00 there is 8:00
	// UTC before, and 7:00 after.
	before, after := h.At(time.Date(2026, 3, 23, 8, 0, 0, 0, time.UTC)), h.At(time.Date(2026, 3, 30, 7, 0, 0, 0, time.UTC))
	if h.week[before] != 9 || h.week[after] != 9 {
		t.Errorf("Monday 9:00 of Paris is hour %d before and %d after the change, want 9", h.week[before], h.week[after])
	}
}

func TestWhatIsNotMeasuredIsNoGoodNews(t *testing.T) {
	h := span()
	values := working(h)
	for i := pastEnd; i < h.N; i++ {
		values[i] = math.NaN()
	}
	if _, gap := h.Past(cpu, values, pastEnd).Move(values, weights(h)); gap != NoValues {
		t.Errorf("off since the install: %q, want %q", gap, NoValues)
	}
	values = working(h)
	for i := range pastEnd - 3*24 {
		values[i] = math.NaN()
	}
	if _, gap := h.Past(cpu, values, pastEnd).Move(values, weights(h)); gap != NoPast {
		t.Errorf("three days of past: %q, want %q", gap, NoPast)
	}
	if got := Judge(Ask{Look: 1, Patched: 5, Measures: map[wire.Measure]*Compared{}}); got.Verdict != Insufficient {
		t.Errorf("nothing measured is %s", got.Verdict)
	}
	one := Compared{Patched: flat(2, 0), Control: flat(40, 0), Gaps: map[Gap]int{NoValues: 8}}
	got := Judge(Ask{Look: 1, Patched: 10, Measures: map[wire.Measure]*Compared{wire.MeasureCPU: &one}})
	if got.Verdict != Insufficient || got.Findings[0].Reason.Code != fault.HealthUnsure || got.Findings[0].Reason.Args["why"] != string(NoValues) {
		t.Errorf("two of ten measured: %+v", got)
	}
}

// flat are devices that all changed by so much, a little apart, after quiet days.
func flat(n int, by float64) []Movement {
	out := make([]Movement, n)
	for i := range out {
		apart := float64(i%7-3) / 4
		days := make([]float64, 28)
		for d := range days {
			days[d] = float64((d*5+i)%7-3) / 2
		}
		out[i] = Movement{Change: by + apart, Before: 14, After: 14 + by + apart, Hours: 8, Most: 1.5, Days: days}
	}
	return out
}

func judged(patched, control []Movement, m wire.Measure, look int) Finding {
	return Judge(Ask{Look: look, Patched: len(patched), Measures: map[wire.Measure]*Compared{m: {Patched: patched, Control: control}}}).Findings[0]
}

func TestVerdictsOnGroups(t *testing.T) {
	for _, c := range []struct {
		name             string
		patched, control []Movement
		want             Verdict
		code             fault.Code
	}{
		{"all rose", flat(12, 27), flat(40, 0), Worse, fault.HealthWorse},
		{"all rose, and so did the others", flat(12, 27), flat(40, 27), Same, fault.HealthSame},
		{"all rose by what does not matter", flat(12, 5), flat(40, 0), Same, fault.HealthSame},
		{"all fell", flat(12, -20), flat(40, 0), Better, fault.HealthBetter},
		{"some rose", append(flat(80, 0), flat(20, 30)...), flat(100, 0), Worse, fault.HealthWorseSome},
		{"two of few, by their own past", flat(2, 30), flat(3, 0), Worse, fault.HealthWorsePast},
		{"everyone is patched", flat(30, 30), nil, Worse, fault.HealthWorseAlone},
		{"everyone is patched, and a little rose", flat(30, 12), nil, Insufficient, fault.HealthUnsure},
		{"one and one, quiet", flat(1, 0), flat(1, 0), Same, fault.HealthSame},
	} {
		got := judged(c.patched, c.control, wire.MeasureCPU, 2)
		if got.Verdict != c.want || got.Reason.Code != c.code {
			t.Errorf("%s: %s, %s; want %s, %s (%+v)", c.name, got.Verdict, got.Reason, c.want, c.code, got)
		}
	}
}

func TestAFewDevicesAreNotJudgedByAnHour(t *testing.T) {
	patched := flat(2, 40)
	for i := range patched {
		patched[i].Hours = 1
	}
	if got := judged(patched, flat(3, 0), wire.MeasureCPU, 1); got.Verdict != Insufficient || got.Reason.Args["why"] != tooSoon {
		t.Errorf("after an hour: %+v", got)
	}
}

func TestCountsAskHowManyDevicesNotHowFar(t *testing.T) {
	quiet := func(n int, by float64) []Movement {
		out := flat(n, 0)
		for i := range out {
			out[i].Change, out[i].Most, out[i].Days = by, 0, make([]float64, 28)
		}
		return out
	}
	if got := judged(append(quiet(17, 0), quiet(3, 1)...), quiet(60, 0), wire.MeasureDown, 1); got.Verdict == Worse {
		t.Errorf("three of twenty is no evidence yet: %+v", got)
	}
	got := judged(append(quiet(10, 0), quiet(10, 1)...), quiet(60, 0), wire.MeasureDown, 1)
	if got.Verdict != Worse || got.Out != 10 || got.ControlOut != 0 || got.Reason.Code != fault.HealthWorseSome {
		t.Errorf("half of twenty: %+v", got)
	}
}

// A ring of ten has two devices of the model that a patch does not get on with.
func TestAFewThatAreFarWorse(t *testing.T) {
	with := func(few, many []Movement) []Movement { return append(few, many...) }
	before := func(list []Movement, devices int) []Movement {
		for i := range devices { // on one day all of them were as bad
			list[i].Most, list[i].Days[5] = 60, 60
		}
		return list
	}
	for _, c := range []struct {
		name             string
		patched, control []Movement
		worse            bool
	}{
		{"two of ten", with(flat(2, 50), flat(8, 0)), flat(38, 0), true},
		{"two of ten, not far", with(flat(2, 18), flat(8, 0)), flat(38, 0), false},
		{"one of ten", with(flat(1, 50), flat(8, 0)), flat(38, 0), false},
		{"two of ten, and others too", with(flat(2, 50), flat(8, 0)), with(flat(8, 50), flat(30, 0)), false},
		{"two of ten, as on a day before", before(with(flat(8, 0), flat(2, 50)), 2), flat(38, 0), false},
		{"two of ten, worse than a day before", before(with(flat(8, 0), flat(2, 50)), 1), flat(38, 0), true},
		{"six of all", with(flat(6, 50), flat(30, 0)), nil, true},
		{"three of many", with(flat(3, 50), flat(60, 0)), flat(200, 0), false},
		{"two of ten, on a slow day", with(flat(2, 40), flat(8, 20)), flat(38, 20), false},
		{"two of ten, all having risen", with(flat(2, 50), flat(8, 30)), flat(38, 30), false},
	} {
		got := judged(c.patched, c.control, wire.MeasureCPU, 2)
		if (got.Verdict == Worse) != c.worse {
			t.Errorf("%s: %+v", c.name, got)
		}
		if c.worse && (got.Reason.Code != fault.HealthWorseSomePast || got.Reason.Args["count"] != strconv.Itoa(got.Out) || got.Reason.Args["days"] != "28") {
			t.Errorf("%s: %s", c.name, got.Reason)
		}
	}
}

func TestOneDeviceFarWorseIsNoRegression(t *testing.T) {
	for n, want := range map[int]bool{1: false, 2: true} {
		q := askFar(cpu, &Compared{Patched: flat(n, 50), Control: flat(38, 0)}, Alpha)
		if q.large != want {
			t.Errorf("%d devices: large is %t", n, q.large)
		}
	}
}

// Whatever the numbers: looking later asks for more, a device that is worse by
// what does not matter never makes a ring worse, and the same on both sides is
// never worse.
func TestJudgeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, m := rapid.IntRange(1, 60).Draw(t, "n"), rapid.IntRange(0, 60).Draw(t, "m")
		by := rapid.Float64Range(-40, 40).Draw(t, "by")
		look := rapid.IntRange(1, 8).Draw(t, "look")
		first, later := judged(flat(n, by), flat(m, 0), wire.MeasureCPU, look), judged(flat(n, by), flat(m, 0), wire.MeasureCPU, look+1)
		if later.Verdict == Worse && first.Verdict != Worse {
			t.Fatalf("worse at look %d, not at %d", look+1, look)
		}
		if by < cpu.Matters-1 && first.Verdict == Worse {
			t.Fatalf("%v is worse: %+v", by, first)
		}
		if m > 0 {
			if got := judged(flat(n, by), flat(m, by), wire.MeasureCPU, look); got.Verdict == Worse || got.Verdict == Better {
				t.Fatalf("the same on both sides is %s", got.Verdict)
			}
		}
		if first.Low > first.High || first.P < 0 || first.P > 1 {
			t.Fatalf("%+v", first)
		}
	})
}

func TestScalesKeepWhatTheyMean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := rapid.SampledFrom(Rules()).Draw(t, "rule")
		v := rapid.Float64Range(0, 1000).Draw(t, "v")
		if got := rule.raw(rule.scaled(v)); math.Abs(got-v) > 1e-6*(1+v) {
			t.Fatalf("%s: %v comes back as %v", rule.Measure, v, got)
		}
		if rule.matters() <= 0 || rule.scaled(v+1) > rule.scaled(v) == rule.Lower {
			t.Fatalf("%s: worse is not higher", rule.Measure)
		}
	})
}
