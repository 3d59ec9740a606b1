package checklist

import (
	"time"

	"patchring/internal/core/procedure"
	"patchring/internal/core/task"
)

// Span is when a ring was to open and to close, and when it did open.
type Span struct{ Opens, Closes, Opened time.Time }

// Due is until when the tests of a ring are to be ticked: its close, from which
// its gate is only waited for. A ring that opened late closes as much later.
func (s Span) Due() time.Time {
	if s.Opened.IsZero() {
		return s.Closes
	}
	return s.Closes.Add(s.Opened.Sub(s.Opens))
}

// ownReminders is how many reminders of a late test are its tester's alone.
const ownReminders = 2

// Waits tells where a test stands that waits for somebody: due soon, late, or
// the affair of above too, which is a role, an account or nobody. It is asked
// of a ring that has opened, and a test that nothing is left to tick of is
// closed; so is one that a probe decides, because nobody is to be reminded.
func (p Progress) Waits(s Span, above string, now time.Time) task.Status {
	if above == p.Rule.Assigned {
		above = ""
	}
	return task.Task{
		Opened: s.Opened, Due: s.Due(), Owner: p.Rule.Assigned, EscalateTo: above, After: ownReminders,
		Closed: p.Open == 0 || p.Rule.Probe != "",
	}.At(now)
}

// Left is how many items of one test are still to be ticked.
func Left(rule procedure.TestRule, results []Result) int {
	return Sum(Weigh([]procedure.TestRule{rule}, results, func(procedure.TestRule) Reading { return Reading{} })).Open
}
