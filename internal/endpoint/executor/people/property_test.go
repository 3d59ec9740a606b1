package people

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"

	"patchring/internal/core/fault"
	"patchring/wire"
)

// desk is a device with people, seen from outside: it remembers what their
// screens showed and what they clicked, and judges each beginning by that
// alone.
type desk struct {
	t     *rapid.T
	scene Scene
	there map[string]bool
	busy  map[string]bool

	clicked map[string]click
	laters  map[string]int
	shown   map[string]time.Duration // by person and window, since when (awake time) the countdown is on the screen
	window  time.Time                // the one that is open
	awake   time.Duration
	last    Decision
	said    map[string]int // events by what they tell
}

type click struct {
	choice Choice
	at     time.Time
	until  time.Time
	chance Chance
}

var zones = []string{"Europe/Paris", "America/New_York", "Australia/Lord_Howe", "UTC", "Pacific/Apia", "America/Santiago", "Asia/Kolkata"}

var names = []string{"ann", "bob", "cat"}

func newDesk(t *rapid.T) *desk {
	zone, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2024, 1, 1, 0, 0, 0, 0, zone).Add(seconds(t, "start", 0, 10*365*24*time.Hour))
	d := &desk{
		t: t, there: map[string]bool{}, busy: map[string]bool{}, clicked: map[string]click{}, laters: map[string]int{},
		shown: map[string]time.Duration{}, said: map[string]int{},
	}
	d.scene = Scene{
		Now: start, Boot: "b", Uptime: time.Hour,
		Act:  rapid.SampledFrom([]wire.Act{wire.ActInstall, wire.ActReboot}).Draw(t, "act"),
		Mode: rapid.SampledFrom([]wire.RebootMode{wire.RebootIfNeeded, wire.RebootUser}).Draw(t, "mode"),
		Terms: wire.People{
			Postpones:  rapid.IntRange(0, 3).Draw(t, "postpones"),
			NoticeS:    int64(seconds(t, "notice", 0, time.Hour).Seconds()),
			CountdownS: int64(seconds(t, "countdown", time.Minute, time.Hour).Seconds()),
			DeadlineUS: us(start.Add(seconds(t, "deadline", 0, 4*24*time.Hour))), BatteryPercent: rapid.IntRange(0, 50).Draw(t, "battery"),
		},
		Battery: Battery{InUse: rapid.IntRange(0, 5).Draw(t, "on battery") == 0, Percent: rapid.IntRange(0, 100).Draw(t, "percent")},
	}
	for _, name := range names {
		d.there[name] = rapid.IntRange(0, 2).Draw(t, "there") > 0
	}
	for range rapid.IntRange(1, 5).Draw(t, "windows") {
		from := start.Add(seconds(t, "opens", -time.Hour, 5*24*time.Hour))
		d.scene.Chances = append(d.scene.Chances, Chance{from, from.Add(seconds(t, "lasts", 0, 8*time.Hour))})
	}
	return d
}

func seconds(t *rapid.T, name string, from, to time.Duration) time.Duration {
	return time.Duration(rapid.Int64Range(int64(from/time.Second), int64(to/time.Second)).Draw(t, name)) * time.Second
}

func (d *desk) now() time.Time { return d.scene.Now }

// look is what the executor does each minute.
func (d *desk) look() {
	d.scene.Users = nil
	for _, name := range names {
		if d.there[name] {
			u := User{Name: name}
			if d.busy[name] {
				u.Busy = fault.Because(fault.UserBusy, "user", name)
			}
			d.scene.Users = append(d.scene.Users, u)
		}
	}
	d.last = Decide(d.scene)
	d.scene.Asked = d.last.Asked
	for _, e := range d.last.Events {
		d.said[string(e.What)+" "+e.User]++
	}
	d.judge()
}

func (d *desk) judge() {
	over := !d.now().Before(d.scene.deadline())
	d.window = time.Time{}
	for _, c := range merge(d.scene.Chances) {
		if !d.now().Before(c.From) && !d.now().After(c.Last) {
			d.window = c.From
		}
	}
	for _, n := range Notices(d.scene, d.last) {
		if _, ok := d.shown[d.here(n.User)]; n.State == StateCountdown && !ok {
			d.shown[d.here(n.User)] = d.awake
		}
		for _, o := range n.Offers {
			d.mayOffer(o)
		}
	}
	switch d.last.Do {
	case Go:
		d.mustBegin(over)
	case Count:
		if !over || d.window.IsZero() {
			d.t.Fatalf("%s: countdown before the deadline or outside a window", d.now())
		}
	default:
		code := d.last.Reason.Code
		byPeople := code == fault.AwaitingUser || code == fault.UserPostponed || code == fault.UserBusy || code == fault.OnBattery || code == fault.RebootByUser
		if over && byPeople {
			d.t.Fatalf("%s: after the deadline it waits for %s", d.now(), code)
		}
		if d.last.Do == Wait && code == fault.UserPostponed && d.last.Until.After(d.scene.deadline()) {
			d.t.Fatalf("put off until %s, past the deadline %s", d.last.Until, d.scene.deadline())
		}
	}
}

// here is a person in the window that is open.
func (d *desk) here(user string) string { return user + " " + d.window.UTC().String() }

func (d *desk) mayOffer(o Offer) {
	if o.Choice == Now {
		return
	}
	inside := slices.ContainsFunc(d.scene.Chances, func(c Chance) bool { return !o.At.Before(c.From) && !o.At.After(c.Last) })
	if !inside || o.At.After(d.scene.deadline()) || !o.At.After(d.now()) {
		d.t.Fatalf("%s: %s is offered at %s; deadline %s", d.now(), o.Choice, o.At, d.scene.deadline())
	}
	local := o.At.In(d.now().Location())
	y, m, day := d.now().Date()
	switch o.Choice {
	case Evening:
		if oy, om, od := local.Date(); local.Hour() < eveningHour || oy != y || om != m || od != day {
			d.t.Fatalf("%s: this evening is %s", d.now(), local)
		}
	case Tomorrow:
		next := time.Date(y, m, day+1, 12, 0, 0, 0, d.now().Location())
		if oy, om, od := local.Date(); oy != next.Year() || om != next.Month() || od != next.Day() {
			d.t.Fatalf("%s: tomorrow is %s", d.now(), local)
		}
	}
}

// mustBegin is the property itself.
func (d *desk) mustBegin(over bool) {
	if d.window.IsZero() {
		d.t.Fatalf("%s: begins outside every window", d.now())
	}
	if d.scene.Battery.InUse && d.scene.Battery.Percent < d.scene.Terms.BatteryPercent && !over {
		d.t.Fatalf("begins on battery before the deadline")
	}
	if d.scene.byUser() && len(d.scene.Users) == 0 && !over {
		d.t.Fatalf("a reboot that is the user's own happens with nobody there")
	}
	for name := range d.there {
		if !d.there[name] {
			continue
		}
		c := d.clicked[name]
		agreed := c.choice == Now && !d.now().After(c.chance.Last)
		switch {
		case agreed && d.busy[name] && !over && d.now().Sub(c.at).Abs() > justSaid:
			d.t.Fatalf("begins while %s is busy", name)
		case agreed:
		case !over:
			d.t.Fatalf("%s: begins before the deadline %s and %s has not said so: %+v", d.now(), d.scene.deadline(), name, c)
		default:
			since, told := d.shown[d.here(name)]
			if lead := d.scene.lead(); !told || d.awake-since < lead {
				d.t.Fatalf("%s: begins upon %s, told %v since %s, want %s", d.now(), name, told, d.awake-since, lead)
			}
		}
	}
}

// pass lets time pass, awake, looking each minute at least.
func (d *desk) pass(span time.Duration) {
	for span > 0 {
		step := min(span, time.Minute)
		if until := d.last.Until.Sub(d.now()); until > 0 {
			step = min(step, max(until, time.Second))
		}
		d.scene.Now, d.scene.Uptime, d.awake = d.now().Add(step), d.scene.Uptime+step, d.awake+step
		span -= step
		d.look()
	}
}

func (d *desk) act() {
	t := d.t
	name := rapid.SampledFrom(names).Draw(t, "who")
	switch rapid.SampledFrom([]string{"log in", "log out", "busy", "pass", "pass", "pass", "pass", "sleep", "clock", "boot", "answer", "answer", "answer", "answer", "battery"}).Draw(t, "act") {
	case "log in":
		d.there[name] = true
	case "log out":
		d.there[name] = false
	case "busy":
		d.busy[name] = !d.busy[name]
	case "pass":
		d.pass(d.span())
	case "sleep": // suspended: the clock and the time since boot go on, nobody sees anything
		gap := seconds(t, "for", unseen+time.Second, 20*time.Hour)
		d.scene.Now, d.scene.Uptime = d.now().Add(gap), d.scene.Uptime+gap
		maps.DeleteFunc(d.shown, func(_ string, since time.Duration) bool {
			return gap > stands || d.awake-since < d.scene.lead() // what was seen whole stands a while
		})
	case "clock":
		d.scene.Now = d.now().Add(seconds(t, "by", -10*time.Minute, 10*time.Minute))
	case "boot":
		d.scene.Boot += "b"
		d.scene.Now, d.scene.Uptime = d.now().Add(time.Minute), time.Minute
		d.shown, d.there = map[string]time.Duration{}, map[string]bool{}
	case "answer":
		d.answer(name)
	case "battery":
		d.scene.Battery.InUse = !d.scene.Battery.InUse
	}
	d.look()
}

// span is some time, or until something happens.
func (d *desk) span() time.Duration {
	c, ok := d.scene.chance(0)
	kind := rapid.SampledFrom([]string{"minutes", "hours", "window", "deadline", "until"}).Draw(d.t, "span")
	switch {
	case kind == "minutes":
		return seconds(d.t, "for", 0, 10*time.Minute)
	case kind == "window" && ok:
		return c.From.Sub(d.now())
	case kind == "deadline":
		return d.scene.deadline().Sub(d.now())
	case kind == "until":
		return d.last.Until.Sub(d.now())
	}
	return seconds(d.t, "for", 0, 5*time.Hour)
}

// answer clicks something, once or twice.
func (d *desk) answer(name string) {
	r := Reply{User: name, Choice: rapid.SampledFrom([]Choice{Now, Now, Hour, Evening, Tomorrow, At}).Draw(d.t, "choice")}
	if r.Choice == At {
		r.Until = d.now().Add(seconds(d.t, "until", -time.Hour, 5*24*time.Hour))
	}
	r.Round = d.scene.Asked.Answers[name].Round
	for range rapid.IntRange(1, 2).Draw(d.t, "times") {
		asked, told, refused := Take(d.scene, r)
		if (told != nil || refused == nil) && !d.there[name] {
			d.t.Fatalf("%s answers and is not there", name)
		}
		if refused != nil || told == nil {
			continue
		}
		d.scene.Asked = asked
		c, ok := d.scene.chance(0)
		if !ok {
			d.t.Fatalf("an answer is taken and there is no window left")
		}
		d.clicked[name] = click{choice: r.Choice, at: d.now(), until: at(told.UntilUS), chance: merged(d.scene.Chances, c)}
		if r.Choice != Now {
			d.laters[name]++
			if at(told.UntilUS).After(d.scene.deadline()) {
				d.t.Fatalf("put off past the deadline")
			}
		}
	}
}

func merged(list []Chance, c Chance) Chance {
	for _, m := range merge(list) {
		if !c.From.Before(m.From) && !c.Last.After(m.Last) {
			return m
		}
	}
	return c
}

// Whatever people, windows, zones, clocks and power do: an act begins inside a
// window only; before the deadline only when everybody there said so and is
// not busy; after it only when everybody has seen the whole countdown; nobody
// postpones more often than allowed or past the deadline, and nothing is put
// off by people after it.
func TestNeverUponSomebody(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := newDesk(rt)
		d.look()
		for range rapid.IntRange(1, 60).Draw(rt, "acts") {
			d.act() // a beginning that came to nothing (a lock, a hook) may be followed by another
		}
		for name, n := range d.laters {
			if n > d.scene.Terms.Postpones && !d.scene.byUser() {
				rt.Fatalf("%s postponed %d times of %d", name, n, d.scene.Terms.Postpones)
			}
			if have := d.scene.Asked.Answers[name].Postponed; !d.scene.byUser() && have != n {
				rt.Fatalf("%s postponed %d times, counted %d", name, n, have)
			}
		}
	})
}

// At every setting an order may have, the warning can appear: from the
// deadline on, with people who never answer, the act begins in the first
// window that holds the countdown.
func TestTheDeadlineInstallsAtEverySetting(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := newDesk(rt)
		margin := seconds(rt, "margin", 0, 30*time.Minute)
		o := wire.Order{Reboot: d.scene.Mode, MarginS: int64(margin.Seconds()), People: &d.scene.Terms}
		for _, c := range d.scene.Chances {
			if c.Last.After(c.From) {
				o.Windows = append(o.Windows, wire.Interval{StartUS: us(c.From), EndUS: us(c.Last)})
			}
		}
		if field, _ := Problem(o); field != "" || len(o.Windows) == 0 {
			rt.Skip("no order that is kept")
		}
		d.scene.Chances, d.scene.Battery = nil, Battery{}
		past := false
		end := d.now()
		for _, w := range o.Windows {
			d.scene.Chances = append(d.scene.Chances, Chance{at(w.StartUS), at(w.EndUS).Add(-margin)})
			past = past || w.EndUS > o.People.DeadlineUS
			end = later(end, at(w.EndUS))
		}
		for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom(names), rapid.ID).Draw(rt, "there") {
			d.there[name] = true
		}
		d.look()
		for d.last.Do != Go && d.now().Before(end) {
			d.pass(time.Minute)
		}
		if past && d.last.Do != Go {
			rt.Fatalf("never begins: %+v, windows %v, deadline %s", d.last, d.scene.Chances, d.scene.deadline())
		}
	})
}

func ExampleDecide() {
	noon := time.Date(2026, 12, 8, 12, 0, 0, 0, time.UTC)
	s := Scene{
		Now: noon, Act: wire.ActInstall, Users: []User{{Name: "ann"}},
		Chances: []Chance{{noon.Add(-time.Hour), noon.Add(8 * time.Hour)}},
		Terms:   wire.People{Postpones: 2, CountdownS: 300, DeadlineUS: us(noon.Add(48 * time.Hour))},
	}
	d := Decide(s)
	fmt.Println(d.Do, d.Reason)
	for _, o := range Notices(s, d)[0].Offers {
		fmt.Println(o.Choice, o.At.Format("15:04"))
	}
	asked, _, _ := Take(Scene{Now: noon, Act: s.Act, Users: s.Users, Chances: s.Chances, Terms: s.Terms, Asked: d.Asked}, Reply{User: "ann", Choice: Evening})
	s.Asked = asked
	d = Decide(s)
	fmt.Println(d.Do, d.Reason)
	// Output:
	// ask awaiting_user until="2026-12-08T20:00:00Z" user="ann"
	// now 12:00
	// 1h 13:00
	// evening 18:00
	// wait user_postponed until="2026-12-08T18:00:00Z" user="ann"
}
