package task_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"patchring/internal/core/task"
)

var monday = time.Date(2026, 1, 12, 9, 0, 0, 0, time.UTC)

func TestATaskGoesFromItsOwnerToTheRoleAboveIt(t *testing.T) {
	one := task.Task{Opened: monday, Due: monday.AddDate(0, 0, 5), Owner: "it", EscalateTo: "it-lead", After: 2}
	cases := []struct {
		at        string
		now       time.Time
		state     task.State
		reminders int
		whom      string
		next      time.Time
	}{
		{"made", monday, task.Open, 0, "it", one.Due.Add(-24 * time.Hour)},
		{"the day before", one.Due.Add(-24 * time.Hour), task.DueSoon, 1, "it", one.Due},
		{"just before", one.Due.Add(-time.Microsecond), task.DueSoon, 1, "it", one.Due},
		{"due", one.Due, task.Overdue, 2, "it", one.Due.Add(24 * time.Hour)},
		{"a day late", one.Due.Add(24 * time.Hour), task.Overdue, 3, "it", one.Due.Add(48 * time.Hour)},
		{"two days late", one.Due.Add(48 * time.Hour), task.Escalated, 4, "it-lead", one.Due.Add(9 * 24 * time.Hour)},
		{"nine days late", one.Due.Add(9 * 24 * time.Hour), task.Escalated, 5, "it-lead", one.Due.Add(16 * 24 * time.Hour)},
	}
	for _, c := range cases {
		if got, want := one.At(c.now), (task.Status{State: c.state, Reminders: c.reminders, Whom: c.whom, Next: c.next}); got != want {
			t.Errorf("%s: %+v, want %+v", c.at, got, want)
		}
	}
	one.Closed = true
	if got := one.At(one.Due.AddDate(1, 0, 0)); got != (task.Status{State: task.Closed}) {
		t.Errorf("closed: %+v, want nobody to be reminded", got)
	}
}

func TestAShortTaskIsDueSoonAfterHalfOfIt(t *testing.T) {
	one := task.Task{Opened: monday, Due: monday.Add(2 * time.Hour), Owner: "it"}
	if s := one.At(monday.Add(59 * time.Minute)); s.State != task.Open || !s.Next.Equal(monday.Add(time.Hour)) {
		t.Errorf("before half of it: %+v", s)
	}
	if s := one.At(monday.Add(time.Hour)); s.State != task.DueSoon {
		t.Errorf("after half of it: %+v", s)
	}
}

func drawn(t *rapid.T) task.Task {
	opened := monday.Add(time.Duration(rapid.Int64Range(0, int64(400*24*time.Hour)).Draw(t, "opened")))
	return task.Task{
		Opened: opened, Due: opened.Add(time.Duration(rapid.Int64Range(-int64(time.Hour), int64(90*24*time.Hour)).Draw(t, "given"))),
		Owner: "owner", EscalateTo: rapid.SampledFrom([]string{"", "role"}).Draw(t, "above"), After: rapid.IntRange(0, 9).Draw(t, "after"),
	}
}

var order = map[task.State]int{task.Open: 0, task.DueSoon: 1, task.Overdue: 2, task.Escalated: 3}

// A task never gets better by waiting, the next reminder is always ahead, and
// it is exactly then that one more has passed.
func TestRemindersGoOnAndOnlyForward(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one := drawn(t)
		now := one.Opened.Add(time.Duration(rapid.Int64Range(-int64(time.Hour), int64(200*24*time.Hour)).Draw(t, "waited")))
		s := one.At(now)
		if !s.Next.After(now) {
			t.Fatalf("at %s the next reminder is at %s", now, s.Next)
		}
		if before := one.At(s.Next.Add(-time.Nanosecond)); before.Reminders != s.Reminders {
			t.Fatalf("%d reminders just before the next, %d now", before.Reminders, s.Reminders)
		}
		then := one.At(s.Next)
		if then.Reminders <= s.Reminders {
			t.Fatalf("%d reminders at the next, %d before", then.Reminders, s.Reminders)
		}
		if s.Reminders > 0 && one.Reminder(s.Reminders).After(now) {
			t.Fatalf("reminder %d has passed and is at %s, after %s", s.Reminders, one.Reminder(s.Reminders), now)
		}
		later := one.At(now.Add(time.Duration(rapid.Int64Range(0, int64(100*24*time.Hour)).Draw(t, "more"))))
		if order[later.State] < order[s.State] || later.Reminders < s.Reminders {
			t.Fatalf("from %+v back to %+v", s, later)
		}
	})
}

// Nobody above the owner hears of a task before its owner had the reminders
// that are the owner's.
func TestTheOwnerIsRemindedFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one := drawn(t)
		now := one.Opened.Add(time.Duration(rapid.Int64Range(0, int64(200*24*time.Hour)).Draw(t, "waited")))
		s := one.At(now)
		above := s.Whom != one.Owner
		if above != (s.State == task.Escalated) || above && one.EscalateTo == "" {
			t.Fatalf("%s is told of a task that is %s", s.Whom, s.State)
		}
		if above && now.Before(one.Due.Add(time.Duration(max(1, one.After))*task.Every)) {
			t.Fatalf("told above at %s, which is too early", now)
		}
		if !above && s.State == task.Overdue && now.Before(one.Due) {
			t.Fatalf("overdue before it is due")
		}
	})
}
