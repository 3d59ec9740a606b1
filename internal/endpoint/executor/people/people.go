// Package people decides between an order and whoever works at the device:
// whether an act (an install, a reboot) may begin, whether people are asked
// first, what they may answer, and when they are told that it begins anyway.
//
// Until the deadline an act begins only when everybody logged in to a desktop
// has said "now". No answer is never a yes: a person who is away, or whose
// screen showed nothing, has agreed to nothing. It counts as "later" until the
// next window, costs none of the postponements, and ends at the deadline: so
// silence delays no longer than answers do. Of several answers the latest
// "later" wins.
//
// From the deadline on nobody is asked. Each is told, and the act begins when
// a countdown that every one of them has seen whole is over, inside one window;
// where it does not fit before a window's end it waits for the next window.
//
// Everything here is values in, values out; the executor asks, stores and acts.
package people

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

const (
	// justSaid: who has said "now" this moment ago is at the screen and knows
	// what it shows.
	justSaid = 2 * time.Minute
	// A countdown not looked at for longer was not on a screen either: the
	// device slept, or the agent was down. It begins again.
	unseen = 2 * time.Minute
	// A countdown that is over still stands for an act that was put off by a
	// lock or a hook, longer than the longest backoff and not much more.
	stands = 45 * time.Minute
)

// Scene is what a decision is made from.
type Scene struct {
	Now     time.Time // in the device's own zone
	Boot    string
	Uptime  time.Duration
	Act     wire.Act
	Mode    wire.RebootMode
	Terms   wire.People
	Chances []Chance // as they come; they may overlap
	Users   []User   // logged in to a desktop
	Battery Battery
	Asked   journal.Asked
}

// Chance is when an act may begin: [From, Last].
type Chance struct{ From, Last time.Time }

// User is one person who is logged in to a desktop, however often. An empty
// name is whoever may be there when the sessions cannot be read: nobody can
// answer for them, and the countdown is theirs too.
type User struct {
	Name string
	Busy fault.Reason // why not to disturb; zero is none
}

// Battery is what the device runs on.
type Battery struct {
	InUse   bool
	Percent int
}

// Do is what follows.
type Do string

// What follows from a look.
const (
	Go    Do = "go"
	Ask   Do = "ask"
	Wait  Do = "wait"
	Count Do = "countdown"
)

// Decision is what follows, until when, why, and what to remember and to
// spool with it.
type Decision struct {
	Do     Do
	Until  time.Time // to be looked at again then; zero: when something changes
	Reason fault.Reason
	Asked  journal.Asked
	Events []wire.Notice
	Forced []string // on whom it begins because the deadline has passed
}

// Decide decides whether the act may begin now.
func Decide(s Scene) Decision {
	s.Chances = merge(s.Chances)
	s.Asked = Of(s.Asked, s.Act)
	s.Users = slices.SortedFunc(slices.Values(s.Users), func(a, b User) int { return strings.Compare(a.Name, b.Name) })
	c, ok := s.chance(0)
	switch {
	case !ok:
		return s.wait(fault.Because(fault.NoWindow), time.Time{})
	case s.Now.Before(s.deadline()):
		return s.before(c)
	default:
		return s.after(c)
	}
}

// Of is what is remembered of an act; of another one than the last, nothing.
func Of(a journal.Asked, act wire.Act) journal.Asked {
	if a.Act != act {
		return journal.Asked{Act: act}
	}
	a.Answers = maps.Clone(a.Answers)
	a.Countdown.Users = slices.Clone(a.Countdown.Users)
	return a
}

// before is the time until the deadline: only a yes of everybody begins.
func (s Scene) before(c Chance) Decision {
	if s.byUser() && len(s.Users) == 0 {
		return s.wait(fault.Because(fault.RebootByUser, "until", rfc(s.deadline())), s.deadline())
	}
	if d := s.putOff(); d != nil {
		return *d
	}
	if from := s.asksFrom(c); s.Now.Before(from) {
		return s.closed(c, from)
	}
	if why := s.disturbed(); !why.IsZero() {
		return s.wait(why, time.Time{})
	}
	d, waiting := s.ask(c)
	if len(waiting) > 0 {
		d.Do, d.Until = Ask, earlier(c.Last, s.deadline())
		d.Reason = fault.Because(fault.AwaitingUser, "user", waiting[0], "until", rfc(d.Until))
		if s.byUser() {
			d.Reason = fault.Because(fault.RebootByUser, "until", rfc(s.deadline()))
		}
		return d
	}
	if s.Now.Before(c.From) {
		return s.closed(c, c.From)
	}
	d.Do = Go
	return d
}

// disturbed says why nobody is to be disturbed: the battery, or whoever is busy.
func (s Scene) disturbed() fault.Reason {
	if need := s.Terms.BatteryPercent; s.Battery.InUse && s.Battery.Percent < need {
		return fault.Because(fault.OnBattery, "percent", itoa(s.Battery.Percent), "need", itoa(need))
	}
	for _, u := range s.Users {
		a := s.Asked.Answers[u.Name]
		fresh := a.Said == journal.SaidNow && s.Now.Sub(at(a.SaidUS)).Abs() <= justSaid
		if !u.Busy.IsZero() && !fresh {
			return u.Busy
		}
	}
	return fault.Reason{}
}

// putOff is the wait for the latest "later" of those who are there.
func (s Scene) putOff() *Decision {
	var who string
	var until time.Time
	for _, u := range s.Users {
		if a := s.Asked.Answers[u.Name]; s.postponed(a) && at(a.UntilUS).After(until) {
			who, until = u.Name, at(a.UntilUS)
		}
	}
	if who == "" {
		return nil
	}
	d := s.wait(fault.Because(fault.UserPostponed, "user", who, "until", rfc(until)), until)
	return &d
}

// ask puts the question to everybody who has not answered it for this chance,
// and says whose answer is missing.
func (s Scene) ask(c Chance) (d Decision, waiting []string) {
	d.Asked = s.Asked
	for _, u := range s.Users {
		a := s.Asked.Answers[u.Name]
		if s.agreed(a) {
			continue
		}
		waiting = append(waiting, u.Name)
		if a.Round > 0 && a.ChanceUS == us(c.From) && a.Said == "" {
			continue // asked already
		}
		a = journal.Answer{Round: a.Round + 1, ChanceUS: us(c.From), ToldUS: us(s.Now), Postponed: a.Postponed}
		d.Asked = remember(d.Asked, u.Name, a)
		d.Events = append(d.Events, wire.Notice{
			What: wire.NoticeAsked, Act: s.Act, User: u.Name, UntilUS: us(earlier(c.Last, s.deadline())), Left: s.left(a),
			DeadlineUS: us(s.deadline()), Offers: onWire(s.offers(a)),
		})
	}
	return d, waiting
}

// after is the time from the deadline on.
func (s Scene) after(c Chance) Decision {
	if s.everybodyAgreed() {
		if s.Now.Before(c.From) {
			return s.closed(c, c.From)
		}
		return Decision{Do: Go, Asked: s.Asked}
	}
	need := s.lead()
	d, lived := s.live(c)
	if lived >= need && !s.Now.Before(c.From) {
		d.Do, d.Forced = Go, slices.DeleteFunc(s.names(), func(name string) bool { return s.agreed(s.Asked.Answers[name]) })
		return d
	}
	if s.Now.Before(c.From) || s.Now.Add(need-lived).After(c.Last) {
		return s.nextRoom(need)
	}
	until := at(d.Asked.Countdown.BeganUS).Add(need)
	if real := s.Now.Add(need - lived); real.Sub(until).Abs() > 5*time.Second {
		until = real.Truncate(time.Second) // the clock was set meanwhile
	}
	for i := range d.Events {
		d.Events[i].UntilUS = us(until)
	}
	d.Do, d.Until, d.Reason = Count, until, fault.Because(fault.DeadlineCountdown, "until", rfc(until))
	return d
}

// live goes on with the countdown, or begins it for everybody who is there:
// somebody new has a right to the whole of it, but only once a window, so
// that logging out and in again gains nothing.
func (s Scene) live(c Chance) (d Decision, lived time.Duration) {
	k, up := s.Asked.Countdown, s.Uptime.Microseconds()
	gap := time.Duration(up-k.UptimeUS) * time.Microsecond
	same := k.ChanceUS == us(c.From) && k.Boot == s.Boot
	over := same && time.Duration(k.LivedUS)*time.Microsecond >= s.lead()
	seen := same && gap >= 0 && (gap <= unseen || over && gap <= stands)
	newcomers := slices.DeleteFunc(s.names(), func(name string) bool { return slices.Contains(k.Users, name) })
	switch {
	case seen && len(newcomers) == 0:
		k.LivedUS += max(0, up-k.UptimeUS)
	case seen:
		k.BeganUS, k.LivedUS, k.Users = us(s.Now), 0, append(k.Users, newcomers...)
	default:
		newcomers = s.names()
		k = journal.Countdown{ChanceUS: us(c.From), BeganUS: us(s.Now), Users: newcomers}
	}
	k.Boot, k.UptimeUS = s.Boot, up
	d.Asked = s.Asked
	d.Asked.Countdown = k
	for _, name := range newcomers {
		d.Events = append(d.Events, wire.Notice{What: wire.NoticeCountdown, Act: s.Act, User: name})
	}
	return d, time.Duration(k.LivedUS) * time.Microsecond
}

// nextRoom waits for the first window that holds the whole countdown. None
// tells how much is missing.
func (s Scene) nextRoom(need time.Duration) Decision {
	for _, c := range s.Chances {
		if c.From.After(s.Now) && !c.From.Add(need).After(c.Last) {
			return s.closed(c, c.From)
		}
	}
	c, _ := s.chance(0)
	left := c.Last.Sub(later(c.From, s.Now))
	return s.wait(fault.Because(fault.WindowTooShort, "need", need.String(), "left", left.Round(time.Second).String()), time.Time{})
}

func (s Scene) wait(why fault.Reason, until time.Time) Decision {
	return Decision{Do: Wait, Until: until, Reason: why, Asked: s.Asked}
}

func (s Scene) closed(c Chance, until time.Time) Decision {
	return s.wait(fault.Because(fault.OutsideWindow, "next", rfc(c.From)), until)
}

// everybodyAgreed is true when nobody is there.
func (s Scene) everybodyAgreed() bool {
	return !slices.ContainsFunc(s.Users, func(u User) bool { return !s.agreed(s.Asked.Answers[u.Name]) })
}

func (s Scene) agreed(a journal.Answer) bool {
	return a.Said == journal.SaidNow && !s.Now.After(at(a.UntilUS))
}

func (s Scene) postponed(a journal.Answer) bool {
	return a.Said == journal.SaidLater && s.Now.Before(at(a.UntilUS))
}

func (s Scene) names() (list []string) {
	for _, u := range s.Users {
		list = append(list, u.Name)
	}
	return list
}

func (s Scene) byUser() bool { return s.Act == wire.ActReboot && s.Mode == wire.RebootUser }

// left is how often a person may still say later. Whose reboot is their own
// until the deadline is counted nothing.
func (s Scene) left(a journal.Answer) int {
	if s.byUser() {
		return 1
	}
	return max(0, s.Terms.Postpones-a.Postponed)
}

// lead is the length of the countdown.
func (s Scene) lead() time.Duration { return Lead(s.Terms, s.Act) }

// Lead is the least announcement of an act after the deadline.
func Lead(t wire.People, act wire.Act) time.Duration {
	lead := max(t.CountdownS, minCountdownS)
	if act == wire.ActInstall {
		lead = max(lead, t.NoticeS)
	}
	return time.Duration(lead) * time.Second
}

// asksFrom is when people are asked for a chance. Whose reboot is their own may
// do it themselves at any time, and are told at once.
func (s Scene) asksFrom(c Chance) time.Time {
	if s.byUser() {
		return s.Now
	}
	return s.nowFrom(c)
}

// nowFrom is from when on "now" can be said for a chance.
func (s Scene) nowFrom(c Chance) time.Time {
	return c.From.Add(-time.Duration(s.Terms.NoticeS) * time.Second)
}

func (s Scene) deadline() time.Time { return at(s.Terms.DeadlineUS) }

// chance is the one that is open or comes next and holds an act after the given length.
func (s Scene) chance(length time.Duration) (Chance, bool) {
	for _, c := range s.Chances {
		if !later(c.From, s.Now).Add(length).After(c.Last) {
			return c, true
		}
	}
	return Chance{}, false
}

// merge sorts chances and joins those that overlap.
func merge(list []Chance) []Chance {
	list = slices.DeleteFunc(slices.Clone(list), func(c Chance) bool { return c.Last.Before(c.From) })
	slices.SortFunc(list, func(a, b Chance) int { return a.From.Compare(b.From) })
	var out []Chance
	for _, c := range list {
		if n := len(out); n > 0 && !c.From.After(out[n-1].Last) {
			out[n-1].Last = later(out[n-1].Last, c.Last)
			continue
		}
		out = append(out, c)
	}
	return out
}

// remember leaves what it is given as it was.
func remember(k journal.Asked, user string, a journal.Answer) journal.Asked {
	answers := maps.Clone(k.Answers)
	if answers == nil {
		answers = map[string]journal.Answer{}
	}
	answers[user] = a
	k.Answers = answers
	return k
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func us(t time.Time) int64      { return t.UnixMicro() }
func at(micros int64) time.Time { return time.UnixMicro(micros) }
func rfc(t time.Time) string    { return t.UTC().Format(time.RFC3339) }
func itoa(n int) string         { return strconv.Itoa(n) }

// Carry is what a newer order of the same campaign goes on from.
func Carry(k journal.Asked) journal.Asked {
	next := journal.Asked{Act: k.Act}
	for user, a := range k.Answers {
		if a.Said == journal.SaidNow {
			a.Said, a.SaidUS, a.UntilUS = "", 0, 0
			a.ChanceUS = 0 // to be asked again
		}
		next = remember(next, user, a)
	}
	return next
}
