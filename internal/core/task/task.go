// Package task owns what a manual task's dates mean: whether it is due soon,
// overdue or escalated, when somebody is reminded of it, and who.
//
// It refuses to know who exists and what a proof says; service/desk does. Every
// value is pure and safe from any goroutine.
package task

import "time"

// State is where a task stands.
type State string

// States. All but Closed follow from the clock alone.
const (
	Open      State = "open"
	DueSoon   State = "due_soon"
	Overdue   State = "overdue"
	Escalated State = "escalated" // overdue, and no longer its owner's affair alone
	Closed    State = "closed"
)

// Proof is what must be shown before a task closes.
type Proof string

// Proofs.
const (
	Text    Proof = "text"
	File    Proof = "file"
	Command Proof = "command" // a command with its output
	Rescan  Proof = "rescan"  // the device has scanned since, and no longer misses the patch
)

// Proofs lists them, in the order in which they are offered.
func Proofs() []Proof { return []Proof{Text, File, Command, Rescan} }

// Task is what its dates are worked out from.
type Task struct {
	Opened     time.Time // made, or opened again
	Due        time.Time
	Owner      string // an account's name or a role
	EscalateTo string // a role or an account; empty: never escalates
	// After is how many reminders its owner lets pass from the due instant on
	// before EscalateTo is told; at least one.
	After  int
	Closed bool
}

// How far apart reminders are.
const (
	// Soon is how long before the due instant the owner is first reminded; a
	// task that is given less than twice as long is due soon after half of it.
	Soon = 24 * time.Hour
	// Every is the time between two reminders of an overdue task, and
	// EveryEscalated between those of an escalated one.
	Every          = 24 * time.Hour
	EveryEscalated = 7 * 24 * time.Hour
)

// Status is where a task stands at an instant.
type Status struct {
	State State
	// Reminders is how many instants of reminding have passed; whoever keeps how
	// many were told knows from it whether one is owed.
	Reminders int
	Whom      string    // whom the last of them concerns, or the first to come
	Next      time.Time // of the next one; zero when there is none
}

// soon is when the task becomes due soon: the first reminder.
func (t Task) soon() time.Time {
	lead := min(Soon, t.Due.Sub(t.Opened)/2)
	return t.Due.Add(-max(0, lead))
}

// Escalates is when EscalateTo is told; zero when nobody is.
func (t Task) Escalates() time.Time {
	if t.EscalateTo == "" {
		return time.Time{}
	}
	return t.Due.Add(time.Duration(max(1, t.After)) * Every)
}

// Reminder is the instant of the n-th reminder, counted from 1: due soon, due,
// each day while overdue, and each week once escalated.
func (t Task) Reminder(n int) time.Time {
	switch {
	case n <= 1:
		return t.soon()
	case t.EscalateTo == "" || n-2 <= max(1, t.After):
		return t.Due.Add(time.Duration(n-2) * Every)
	default:
		return t.Escalates().Add(time.Duration(n-2-max(1, t.After)) * EveryEscalated)
	}
}

// passed is how many reminders lie at or before now.
func (t Task) passed(now time.Time) int {
	escalates := t.Escalates()
	switch {
	case now.Before(t.soon()):
		return 0
	case now.Before(t.Due):
		return 1
	case escalates.IsZero() || now.Before(escalates):
		return 2 + int(now.Sub(t.Due)/Every)
	default:
		return 2 + max(1, t.After) + int(now.Sub(escalates)/EveryEscalated)
	}
}

// At tells where the task stands.
func (t Task) At(now time.Time) Status {
	if t.Closed {
		return Status{State: Closed}
	}
	s := Status{State: Open, Reminders: t.passed(now), Whom: t.Owner}
	s.Next = t.Reminder(s.Reminders + 1)
	escalates := t.Escalates()
	switch {
	case !escalates.IsZero() && !now.Before(escalates):
		s.State, s.Whom = Escalated, t.EscalateTo
	case !now.Before(t.Due):
		s.State = Overdue
	case s.Reminders > 0:
		s.State = DueSoon
	}
	return s
}
