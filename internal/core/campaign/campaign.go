// Package campaign decides: when a ring opens, soaks, passes its gate or
// stops, and what one device does next. Everything it needs comes in as
// values, the instant included; what comes out is a state, reasons, and when
// to look again. The same functions serve the running server, a rehearsal and
// a question "why".
//
// It refuses to know how anything is stored, sent or shown. Safe from any
// goroutine.
package campaign

import (
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/procedure"
)

// ID names a campaign for good; its name is for people.
type ID string

// State of a campaign. Being held is not a state but the presence of a hold.
type State string

// States.
const (
	Draft     State = "draft" // an emergency that waits for its own sign-offs
	Scheduled State = "scheduled"
	Running   State = "running"
	Verifying State = "verifying" // the verification's date has come
	Closed    State = "closed"
)

// Active tells whether devices may still receive orders.
func (s State) Active() bool { return s == Running || s == Verifying }

// Origin says what created a campaign.
type Origin string

// Origins.
const (
	ByCalendar  Origin = "calendar"
	ByHand      Origin = "manual"
	ByEmergency Origin = "emergency"
	ByRollback  Origin = "rollback" // it undoes what another campaign installed
)

// Bucket is which of the five numbers counts a device.
type Bucket string

// The five numbers. Their sum is always the size of the ring: nobody leaves
// the denominator unseen.
const (
	Done        Bucket = "done"
	Failed      Bucket = "failed"
	NotReached  Bucket = "not_reached"
	Unreachable Bucket = "unreachable"
	Exempt      Bucket = "exempt"
)

// Counters are the five numbers of one ring.
type Counters struct {
	Done        int `json:"done"`
	Failed      int `json:"failed"`
	NotReached  int `json:"not_reached"`
	Unreachable int `json:"unreachable"`
	Exempt      int `json:"exempt"`
}

// Total is everyone.
func (c Counters) Total() int { return c.Done + c.Failed + c.NotReached + c.Unreachable + c.Exempt }

// Expected is everyone who is not left out on purpose: what percentages are of.
func (c Counters) Expected() int { return c.Total() - c.Exempt }

// Add counts n devices in bucket b.
func (c *Counters) Add(b Bucket, n int) {
	switch b {
	case Done:
		c.Done += n
	case Failed:
		c.Failed += n
	case NotReached:
		c.NotReached += n
	case Unreachable:
		c.Unreachable += n
	case Exempt:
		c.Exempt += n
	}
}

// Terms are what the procedure says that applies to every decision of one
// campaign, worked out once.
type Terms struct {
	Attempts         int
	RetryAfter       time.Duration
	UnreachableAfter time.Duration
	Reboot           procedure.Reboot
	// Margin is how long before the end of a window the last install may start.
	Margin time.Duration
}

// TermsOf reads a procedure's terms. In a compressed campaign its waits are
// compressed with its days, or a retry after four hours would never come.
func TermsOf(p procedure.Procedure, c calendar.Compress) Terms {
	t := Terms{
		Attempts: p.Attempts, RetryAfter: p.RetryAfter, UnreachableAfter: p.UnreachableAfter,
		Reboot: p.Reboot, Margin: DefaultMargin,
	}
	if !c.IsZero() {
		t.RetryAfter = max(c.Duration(t.RetryAfter), time.Second)
		t.UnreachableAfter = max(c.Duration(t.UnreachableAfter), compressedUnreachable)
		if c.Day < shortestRealDay {
			t.Margin = 0
		}
	}
	return t
}

// DefaultMargin keeps an install from starting in the last minutes of a
// window, where it could not end inside it.
const DefaultMargin = 15 * time.Minute

// shortestRealDay: with shorter ones a campaign is a demonstration, without any
// window of a real day. Emergencies have longer ones.
const shortestRealDay = time.Hour

// compressedUnreachable: a heartbeat takes seconds however short the days are.
const compressedUnreachable = 90 * time.Second

// DecideState is the campaign's own next state, by the calendar alone. Look is
// when to ask again, now at the earliest; zero when nothing is left to wait for.
// A campaign taken up after its verification's date runs first, and verifies at
// the next look: both must be entered.
func DecideState(now time.Time, state State, starts, verification time.Time) (next State, look time.Time) {
	switch {
	case state == Scheduled && now.Before(starts):
		return Scheduled, starts
	case state == Scheduled:
		return Running, later(now, verification)
	case state == Running && now.Before(verification):
		return Running, verification
	case state == Running:
		return Verifying, time.Time{}
	default:
		return state, time.Time{}
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// rfc is how instants travel in a reason's arguments; faces read them back.
func rfc(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// until writes an end that may be none.
func until(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return rfc(t)
}
