package people

import (
	"slices"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

// Choice is what a person may answer.
type Choice = wire.Choice

// The choices. At names an instant of the person's own.
const (
	Now      = wire.ChoiceNow
	Hour     = wire.ChoiceHour
	Evening  = wire.ChoiceEvening
	Tomorrow = wire.ChoiceTomorrow
	At       = wire.ChoiceAt
)

// Hours of the device's own zone that "this evening" and "tomorrow" begin at.
const (
	eveningHour = 18
	morningHour = 8
)

// Offer is a choice and when it would be.
type Offer struct {
	Choice Choice    `json:"choice"`
	At     time.Time `json:"at"`
}

// State is what a notice says.
type State string

// The states.
const (
	StateAsked     State = "asked"     // an answer is awaited
	StateAgreed    State = "agreed"    // it begins in the window, or when everybody else agrees
	StatePostponed State = "postponed" // until At
	StateCountdown State = "countdown" // begins at At
	StateAnnounced State = "announced" // nothing to do yet; Reason says why
)

// Notice is what one person is told of one act.
type Notice struct {
	Act      wire.Act     `json:"act"`
	User     string       `json:"user"`
	Round    int          `json:"round"`
	State    State        `json:"state"`
	At       time.Time    `json:"at,omitzero"`
	Deadline time.Time    `json:"deadline"`
	Left     int          `json:"left"`
	Offers   []Offer      `json:"offers,omitempty"`
	Reason   fault.Reason `json:"reason,omitzero"`
}

// Notices are what each person is told after a decision.
func Notices(s Scene, d Decision) (list []Notice) {
	s.Chances, s.Asked = merge(s.Chances), Of(d.Asked, s.Act)
	for _, u := range s.Users {
		a := s.Asked.Answers[u.Name]
		n := Notice{
			Act: s.Act, User: u.Name, Round: a.Round, State: StateAnnounced, At: d.Until, Reason: d.Reason,
			Deadline: s.deadline(), Left: s.left(a), Offers: s.offers(a),
		}
		switch {
		case d.Do == Count:
			n.State = StateCountdown
		case s.agreed(a):
			n.State = StateAgreed
		case s.postponed(a) && s.Now.Before(s.deadline()):
			n.State, n.At = StatePostponed, at(a.UntilUS)
		case d.Do == Ask:
			n.State = StateAsked
		}
		list = append(list, n)
	}
	return list
}

// offers are what a person may answer now. "Later" is offered only where an act
// could begin then, and not past the deadline.
func (s Scene) offers(a journal.Answer) (list []Offer) {
	c, ok := s.chance(0)
	if !ok {
		return nil
	}
	if s.mayNow(c) && !s.agreed(a) {
		list = append(list, Offer{Now, later(c.From, s.Now)})
	}
	if !s.mayLater(c, a) {
		return list
	}
	for _, choice := range []Choice{Hour, Evening, Tomorrow} {
		at, ok := s.when(choice)
		twice := slices.ContainsFunc(list, func(o Offer) bool { return o.Choice != Now && o.At.Equal(at) })
		if ok && !twice {
			list = append(list, Offer{choice, at})
		}
	}
	return list
}

func onWire(offers []Offer) (list []wire.Offer) {
	for _, o := range offers {
		list = append(list, wire.Offer{Choice: o.Choice, AtUS: us(o.At)})
	}
	return list
}

// mayNow: the window is open, or opens so soon that people are asked for it.
func (s Scene) mayNow(c Chance) bool { return !s.Now.Before(s.nowFrom(c)) }

// mayLater: the question stands or was answered with a "now" that has not begun.
func (s Scene) mayLater(c Chance, a journal.Answer) bool {
	return s.Now.Before(s.deadline()) && a.ChanceUS == us(c.From) && !s.postponed(a) && s.left(a) > 0
}

// when is the instant a choice stands for.
func (s Scene) when(choice Choice) (time.Time, bool) {
	y, m, d := s.Now.Date()
	clock := func(day, hour int) time.Time { return time.Date(y, m, day, hour, 0, 0, 0, s.Now.Location()) }
	switch choice {
	case Hour:
		t := s.Now.Add(time.Hour)
		return s.first(t, t)
	case Evening:
		if from := clock(d, eveningHour); s.Now.Before(from) {
			return s.first(from, clock(d+1, 0))
		}
	case Tomorrow:
		return s.first(clock(d+1, morningHour), clock(d+2, 0))
	}
	return time.Time{}, false
}

// first is the first instant of [from, to] at which an act may begin, not past
// the deadline.
func (s Scene) first(from, to time.Time) (time.Time, bool) {
	to = earlier(to, s.deadline())
	for _, c := range s.Chances {
		t := later(from, c.From)
		if !t.After(to) && !t.After(c.Last) {
			return t, true
		}
	}
	return time.Time{}, false
}

// Reply is what a person answers. Round names the question; zero is the one
// that stands. Until goes with At.
type Reply struct {
	User   string
	Round  int
	Choice Choice
	Until  time.Time
}

// Refusal says why an answer is not taken.
type Refusal struct {
	Why Why
	At  time.Time // what it names, if anything
}

// Error implements error; it is for logs.
func (r *Refusal) Error() string { return string(r.Why) }

// Why an answer is not taken.
type Why string

// The reasons.
const (
	NothingAsked Why = "nothing_asked"
	TooOld       Why = "too_old"       // the question is no longer the one that stands
	TooEarly     Why = "too_early"     // now: from At on
	NoneLeft     Why = "none_left"     // later was said as often as it may
	PastDeadline Why = "past_deadline" // the deadline At would be passed
	DeadlineOver Why = "deadline_over" // it has passed: it is counted down
	NoWindowThen Why = "no_window_then"
	AlreadyLater Why = "already_later" // until At
	NotYours     Why = "not_yours"     // the person is not logged in to a desktop here
)

// Take takes an answer: what to remember, and what to spool if it is news.
func Take(s Scene, r Reply) (journal.Asked, *wire.Notice, *Refusal) {
	s.Chances, s.Asked = merge(s.Chances), Of(s.Asked, s.Act)
	c, ok := s.chance(0)
	a := s.Asked.Answers[r.User]
	switch {
	case !slices.ContainsFunc(s.Users, func(u User) bool { return u.Name == r.User }):
		return s.Asked, nil, &Refusal{Why: NotYours}
	case !ok:
		return s.Asked, nil, &Refusal{Why: NothingAsked}
	case r.Round != 0 && r.Round != a.Round:
		return s.Asked, nil, &Refusal{Why: TooOld}
	case r.Choice == Now:
		return s.takeNow(c, r, a)
	default:
		return s.takeLater(c, r, a)
	}
}

func (s Scene) takeNow(c Chance, r Reply, a journal.Answer) (journal.Asked, *wire.Notice, *Refusal) {
	if !s.mayNow(c) {
		return s.Asked, nil, &Refusal{Why: TooEarly, At: s.nowFrom(c)}
	}
	if s.agreed(a) {
		return s.Asked, nil, nil
	}
	a.ChanceUS, a.Said, a.SaidUS, a.UntilUS = us(c.From), journal.SaidNow, us(s.Now), us(c.Last)
	told := &wire.Notice{What: wire.NoticeAccepted, Act: s.Act, User: r.User, UntilUS: a.UntilUS, Left: s.left(a)}
	return remember(s.Asked, r.User, a), told, nil
}

func (s Scene) takeLater(c Chance, r Reply, a journal.Answer) (journal.Asked, *wire.Notice, *Refusal) {
	switch {
	case !s.Now.Before(s.deadline()):
		return s.Asked, nil, &Refusal{Why: DeadlineOver}
	case s.postponed(a) && r.Round == a.Round:
		return s.Asked, nil, nil // the same answer again
	case s.postponed(a):
		return s.Asked, nil, &Refusal{Why: AlreadyLater, At: at(a.UntilUS)}
	case a.ChanceUS != us(c.From):
		return s.Asked, nil, &Refusal{Why: NothingAsked}
	case s.left(a) == 0:
		return s.Asked, nil, &Refusal{Why: NoneLeft}
	}
	until, ok := s.when(r.Choice)
	if r.Choice == At {
		if r.Until.After(s.deadline()) {
			return s.Asked, nil, &Refusal{Why: PastDeadline, At: s.deadline()}
		}
		until, ok = s.first(later(r.Until, s.Now.Add(time.Second)), s.deadline())
	}
	if !ok {
		return s.Asked, nil, &Refusal{Why: NoWindowThen, At: s.deadline()}
	}
	a.Said, a.SaidUS, a.UntilUS = journal.SaidLater, us(s.Now), us(until)
	if !s.byUser() {
		a.Postponed++
	}
	told := &wire.Notice{What: wire.NoticePostponed, Act: s.Act, User: r.User, UntilUS: a.UntilUS, Left: s.left(a)}
	return remember(s.Asked, r.User, a), told, nil
}
