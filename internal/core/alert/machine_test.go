package alert_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"patchring/internal/core/alert"
)

var t0 = time.Date(2026, 3, 29, 0, 30, 0, 0, time.UTC) // the night of a change of the hour

func cpu() alert.Rule {
	return alert.Rule{
		Name: "cpu", Measure: "cpu_percent", Limit: 90, Clear: 75, For: 10 * time.Minute, Outputs: []string{"mail"},
		Escalate: alert.Escalation{After: 30 * time.Minute, Outputs: []string{"duty"}}, Remind: 4 * time.Hour,
	}
}

// play lets an alert live through values, one a minute, and writes what is told.
func play(r alert.Rule, a alert.Alert, from time.Time, values ...float64) (alert.Alert, []alert.NoticeKind) {
	var told []alert.NoticeKind
	for i, v := range values {
		var kinds []alert.NoticeKind
		a, kinds = alert.Decide(r, a, alert.Look{Now: from.Add(time.Duration(i) * time.Minute), Answer: r.Judge(v), Value: v})
		told = append(told, kinds...)
	}
	return a, told
}

func times(v float64, n int) []float64 { return slices.Repeat([]float64{v}, n) }

func expect(t *testing.T, what string, got []alert.NoticeKind, want ...alert.NoticeKind) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: told (-want +got):\n%s", what, diff)
	}
}

func TestAnAlertFiresAfterItsDurationAndIsOverOnce(t *testing.T) {
	a, told := play(cpu(), alert.Alert{}, t0, times(99, 10)...)
	expect(t, "nine minutes", told)
	if a.State != alert.Pending {
		t.Fatalf("it is %q", a.State)
	}
	a, told = play(cpu(), a, t0.Add(10*time.Minute), 99, 99, 80, 99, 76)
	expect(t, "ten minutes, then inside the hysteresis", told, alert.Fired)
	a, told = play(cpu(), a, t0.Add(15*time.Minute), 74)
	expect(t, "below what clears", told, alert.Over)
	if a.State != alert.Resolved {
		t.Errorf("it is %q", a.State)
	}
}

func TestADipBeginsTheDurationAgain(t *testing.T) {
	_, told := play(cpu(), alert.Alert{}, t0, slices.Concat(times(99, 9), []float64{89}, times(99, 9))...)
	expect(t, "a dip below the threshold", told)
}

func TestADeviceThatWasAwayHasNotBeenBadMeanwhile(t *testing.T) {
	a, _ := play(cpu(), alert.Alert{}, t0, 99)
	a, told := play(cpu(), a, t0.Add(time.Hour), 99)
	expect(t, "an hour without a sample", told)
	if !a.Since.Equal(t0.Add(time.Hour)) {
		t.Errorf("it lasts since %s", a.Since)
	}
	if gone, _ := alert.Decide(cpu(), a, alert.Look{Now: t0.Add(2 * time.Hour)}); gone.State != "" {
		t.Errorf("what nobody confirms is %q", gone.State)
	}
}

func TestWhoAcknowledgedHearsNothingUntilItGetsWorse(t *testing.T) {
	r := cpu()
	r.Below, r.Limit, r.Clear, r.For, r.Measure = true, 10, 12, 0, "disk_free_percent"
	a, told := play(r, alert.Alert{}, t0, 9)
	expect(t, "full", told, alert.Fired)
	a, ok := alert.Acknowledge(a)
	if !ok {
		t.Fatal("it cannot be acknowledged")
	}
	if _, twice := alert.Acknowledge(a); twice {
		t.Error("it can be acknowledged twice")
	}
	a, told = play(r, a, t0.Add(5*time.Hour), slices.Concat(times(9, 60), []float64{8, 7.5})...)
	expect(t, "hours later, and a little worse", told)
	a, told = play(r, a, t0.Add(7*time.Hour), 6)
	expect(t, "much worse", told, alert.Worse)
	if a.State != alert.Firing {
		t.Errorf("it is %q", a.State)
	}
	_, told = play(r, a, t0.Add(7*time.Hour+time.Minute), 50)
	expect(t, "over", told, alert.Over)
}

func TestWhatNobodyAcknowledgesIsEscalatedOnceAndReminded(t *testing.T) {
	a, _ := play(cpu(), alert.Alert{}, t0, times(99, 11)...)
	var told []alert.NoticeKind
	for i := range 9 * 60 {
		now := t0.Add(10*time.Minute + time.Duration(i)*time.Minute)
		var kinds []alert.NoticeKind
		a, kinds = alert.Decide(cpu(), a, alert.Look{Now: now})
		told = append(told, kinds...)
	}
	expect(t, "nine hours", told, alert.Escalated, alert.Reminded, alert.Reminded)
	if got := cpu().Targets(alert.Escalated, true); !slices.Equal(got, []string{"duty"}) {
		t.Errorf("escalated to %v", got)
	}
	if got := cpu().Targets(alert.Over, true); !slices.Equal(got, []string{"duty", "mail"}) {
		t.Errorf("the end is told to %v", got)
	}
}

func TestSilenceEndsByItself(t *testing.T) {
	until := t0.Add(time.Hour)
	a, told := alert.Alert{}, []alert.NoticeKind(nil)
	for i := range 61 {
		var kinds []alert.NoticeKind
		a, kinds = alert.Decide(cpu(), a, alert.Look{Now: t0.Add(time.Duration(i) * time.Minute), Answer: alert.Bad, Value: 99, Silent: until})
		if len(kinds) > 0 && i < 60 {
			t.Fatalf("told %v in the silence, after %d minutes", kinds, i)
		}
		told = append(told, kinds...)
		if due := alert.Due(cpu(), a, until); i == 30 && !due.Equal(until) {
			t.Errorf("due at %s", due)
		}
	}
	expect(t, "at the end", told, alert.Fired, alert.Escalated)
	b, _ := play(cpu(), alert.Alert{}, t0, times(99, 11)...)
	b, told = alert.Decide(cpu(), b, alert.Look{Now: t0.Add(12 * time.Minute), Answer: alert.Good, Silent: until})
	expect(t, "over in the silence", told)
	if b.State != alert.Resolved {
		t.Errorf("it is %q", b.State)
	}
}

func TestAnEventStandsUntilNoneHasFollowed(t *testing.T) {
	r := alert.Rule{Name: "failed", Event: alert.InstallFailed, Expires: time.Hour, Outputs: []string{"mail"}}
	a, told := alert.Decide(r, alert.Alert{}, alert.Look{Now: t0, Answer: alert.Bad, Value: 1})
	expect(t, "an event", told, alert.Fired)
	a, told = alert.Decide(r, a, alert.Look{Now: t0.Add(50 * time.Minute), Answer: alert.Bad, Value: 1})
	expect(t, "another", told)
	a, _ = alert.Acknowledge(a)
	a, told = alert.Decide(r, a, alert.Look{Now: t0.Add(52 * time.Minute), Answer: alert.Bad, Value: 3})
	expect(t, "a graver one", told, alert.Worse)
	if due := alert.Due(r, a, time.Time{}); !due.Equal(t0.Add(112 * time.Minute)) {
		t.Errorf("due at %s", due)
	}
	_, told = alert.Decide(r, a, alert.Look{Now: t0.Add(112 * time.Minute)})
	expect(t, "an hour after the last", told, alert.Over)
}

// What must never happen, whatever the values, gaps, silences and
// acknowledgements.
func TestNever(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := cpu()
		r.For = time.Duration(rapid.IntRange(0, 20).Draw(t, "for")) * time.Minute
		r.Remind = time.Duration(rapid.IntRange(0, 3).Draw(t, "remind")) * time.Hour
		var a alert.Alert
		var silent, badSince, last time.Time
		told := false // the last that was said is that it fires
		now := t0
		for range rapid.IntRange(1, 80).Draw(t, "looks") {
			now = now.Add(time.Duration(rapid.IntRange(1, 900).Draw(t, "seconds")) * time.Second)
			if rapid.IntRange(0, 9).Draw(t, "silence") == 0 {
				silent = now.Add(time.Duration(rapid.IntRange(0, 120).Draw(t, "minutes")) * time.Minute)
			}
			l := alert.Look{Now: now, Silent: silent}
			if rapid.IntRange(0, 4).Draw(t, "sample") > 0 {
				l.Value = rapid.Float64Range(0, 100).Draw(t, "value")
				l.Answer = r.Judge(l.Value)
			}
			if l.Answer == alert.Bad && (badSince.IsZero() || now.Sub(last) > alert.Gap) {
				badSince = now
			}
			before := a
			next, kinds := alert.Decide(r, a, l)
			again, twice := alert.Decide(r, next, l)
			if len(twice) > 0 || next != again && next.State != "" {
				t.Fatalf("deciding twice: %+v, then %+v telling %v", next, again, twice)
			}
			a = next
			if l.Answer != alert.Unknown {
				last = now
			}
			for _, k := range kinds {
				switch {
				case silent.After(now):
					t.Fatalf("told %s in a silence until %s at %s", k, silent, now)
				case k == alert.Fired && now.Sub(badSince) < r.For:
					t.Fatalf("fired after %s of %s", now.Sub(badSince), r.For)
				case k == alert.Fired && told, k == alert.Over && !told:
					t.Fatalf("told %s, and before that it was told: %t", k, told)
				case k != alert.Over && before.State == alert.Acknowledged && k != alert.Worse && k != alert.Escalated:
					t.Fatalf("told %s of what somebody acknowledged", k)
				case k == alert.Over && l.Answer == alert.Unclear:
					t.Fatal("over inside the hysteresis")
				}
				told = k != alert.Over
			}
			if l.Answer == alert.Unclear && (before.State == alert.Firing) != (a.State == alert.Firing) {
				t.Fatalf("inside the hysteresis it went from %q to %q", before.State, a.State)
			}
			if l.Answer == alert.Good || l.Answer == alert.Unclear {
				if a.State == "" || a.State == alert.Resolved {
					badSince = time.Time{}
				}
			}
			if a.State == alert.Resolved || a.State == "" {
				a, told = alert.Alert{}, false
			}
			if a.State == alert.Firing && rapid.IntRange(0, 5).Draw(t, "acknowledge") == 0 {
				a, _ = alert.Acknowledge(a)
			}
			if due := alert.Due(r, a, silent); !due.IsZero() && due.Before(now) && a.State != alert.Pending {
				t.Fatalf("due at %s, before %s: %+v", due, now, a)
			}
		}
	})
}
