package alert

import "time"

// State of an alert.
type State string

// States. Silence is beside them: it stops what is told, not what is known.
const (
	Pending      State = "pending"
	Firing       State = "firing"
	Acknowledged State = "acknowledged"
	Resolved     State = "resolved"
)

// Gap is the silence of a device after which what it measured before says
// nothing of how long a state has lasted.
const Gap = 5 * time.Minute

// Alert is where one rule stands for one device or campaign. The zero Alert is
// none.
type Alert struct {
	State     State
	Since     time.Time // from when on the condition holds without a gap
	Last      time.Time // the last look that counted
	Episode   time.Time // fired, or fired again because it got worse
	Told      time.Time // the last notice; zero: nobody knows
	Escalated bool
	Quiet     bool // a silence kept something back
	Value     float64
	Worst     float64
	Known     float64 // the worst that was told or acknowledged
}

// Look is what is known at an instant.
type Look struct {
	Now    time.Time
	Answer Answer
	Value  float64   // of a measure; the grade of an event
	Silent time.Time // end of the silence; zero: none
}

// NoticeKind is what a message tells of an alert.
type NoticeKind string

// What is told.
const (
	Fired     NoticeKind = "fired"
	Worse     NoticeKind = "worse"
	Reminded  NoticeKind = "reminded"
	Escalated NoticeKind = "escalated"
	Acted     NoticeKind = "acted" // the server did what the rule says
	Over      NoticeKind = "resolved"
	Test      NoticeKind = "test"
)

// Decide is the whole life of an alert: what it is after a look, and what is to
// be told. Looking again at the same instant changes nothing and tells nothing.
func Decide(r Rule, a Alert, l Look) (Alert, []NoticeKind) {
	got := a.State == Acknowledged
	if l.Answer != Unknown && l.Now.After(a.Last) || a.State == "" {
		a = r.see(a, l)
	}
	a = r.lapse(a, l)
	switch {
	case a.State == "" || a.State == Pending:
		return a, nil
	case l.Silent.After(l.Now):
		a.Quiet = a.Quiet || a.State == Firing
		return a, nil
	}
	return r.tell(a, l, got && a.State == Firing)
}

// see takes a new look in.
func (r Rule) see(a Alert, l Look) Alert {
	if a.State == Pending && l.Now.Sub(a.Last) > Gap {
		a = Alert{}
	}
	switch {
	case l.Answer == Good, l.Answer == Unclear && a.State != Firing && a.State != Acknowledged:
		if a.State == Pending || a.State == "" {
			return Alert{}
		}
		a.State, a.Last, a.Value = Resolved, l.Now, l.Value
		return a
	case a.State == Resolved || l.Answer == Unknown:
		return a
	case a.State == "":
		a = Alert{State: Pending, Since: l.Now, Worst: l.Value}
	}
	a.Last, a.Value, a.Worst = l.Now, l.Value, r.beyond(a.Worst, l.Value)
	switch {
	case a.State == Pending && l.Now.Sub(a.Since) >= r.For:
		a.State, a.Episode = Firing, l.Now
	case a.State == Acknowledged && r.worse(l.Value, a.Known):
		a.State, a.Episode, a.Escalated = Firing, l.Now, false
	}
	return a
}

// lapse is what happens because nothing does: a pending alert of a device that
// fell silent was none, and an event is over when none has followed for long.
func (r Rule) lapse(a Alert, l Look) Alert {
	switch {
	case a.State == Pending && l.Now.Sub(a.Last) > Gap:
		return Alert{}
	case r.Expires > 0 && (a.State == Firing || a.State == Acknowledged) && l.Now.Sub(a.Last) >= r.Expires:
		a.State = Resolved
	}
	return a
}

// tell decides what is said, outside of any silence.
func (r Rule) tell(a Alert, l Look, again bool) (Alert, []NoticeKind) {
	var out []NoticeKind
	say := func(k NoticeKind) { out, a.Told, a.Known = append(out, k), l.Now, a.Worst }
	switch a.State {
	case Resolved:
		if !a.Told.IsZero() {
			out, a.Told = append(out, Over), time.Time{} // said once
		}
		return a, out
	case Acknowledged:
		a.Quiet = false
		return a, nil
	}
	switch {
	case a.Told.IsZero():
		say(Fired)
	case again || r.worse(a.Worst, a.Known) && a.Quiet:
		say(Worse)
	case a.Quiet, r.Remind > 0 && l.Now.Sub(a.Told) >= r.Remind:
		say(Reminded)
	}
	a.Quiet = false
	if r.Escalate.After > 0 && !a.Escalated && l.Now.Sub(a.Episode) >= r.Escalate.After {
		out, a.Escalated = append(out, Escalated), true
	}
	return a, out
}

// Acknowledge is a person's "I am on it": nothing more is told until it gets
// worse or is over. It answers false when there is nothing to acknowledge.
func Acknowledge(a Alert) (Alert, bool) {
	if a.State != Firing {
		return a, false
	}
	a.State, a.Known, a.Quiet = Acknowledged, a.Worst, false
	return a, true
}

// Due is when an alert has to be looked at though nothing new is seen; zero:
// never.
func Due(r Rule, a Alert, silent time.Time) time.Time {
	var due time.Time
	at := func(t time.Time) {
		if due.IsZero() || t.Before(due) {
			due = t
		}
	}
	switch a.State {
	case Pending:
		at(a.Last.Add(Gap + time.Second))
		return due
	case Firing, Acknowledged:
		if r.Expires > 0 {
			at(a.Last.Add(r.Expires))
		}
	}
	if a.State != Firing {
		return due
	}
	if a.Quiet {
		at(silent)
		return due
	}
	if r.Escalate.After > 0 && !a.Escalated {
		at(a.Episode.Add(r.Escalate.After))
	}
	if r.Remind > 0 && !a.Told.IsZero() {
		at(a.Told.Add(r.Remind))
	}
	return due
}
