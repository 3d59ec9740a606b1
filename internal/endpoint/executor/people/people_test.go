package people

import (
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

var noon = time.Date(2026, 12, 8, 12, 0, 0, 0, time.UTC)

// office is one person at work in an open window, two days before the deadline.
func office() Scene {
	return Scene{
		Now: noon, Boot: "b", Uptime: time.Hour, Act: wire.ActInstall, Users: []User{{Name: "ann"}},
		Chances: []Chance{{noon.Add(-time.Hour), noon.Add(8 * time.Hour)}, {noon.Add(20 * time.Hour), noon.Add(60 * time.Hour)}},
		Terms:   wire.People{Postpones: 2, NoticeS: 600, CountdownS: 300, DeadlineUS: us(noon.Add(48 * time.Hour)), BatteryPercent: 30},
	}
}

func (s Scene) must(t *testing.T, do Do, code fault.Code) Scene {
	t.Helper()
	d := Decide(s)
	if d.Do != do || d.Reason.Code != code {
		t.Fatalf("%s: %s because of %s, want %s because of %s", s.Now, d.Do, d.Reason, do, code)
	}
	s.Asked = d.Asked
	return s
}

func (s Scene) answer(t *testing.T, r Reply, want Why) Scene {
	t.Helper()
	asked, _, refused := Take(s, r)
	if refused == nil && want != "" || refused != nil && refused.Why != want {
		t.Fatalf("%s: %+v: %v, want %q", s.Now, r, refused, want)
	}
	s.Asked = asked
	return s
}

func (s Scene) later(d time.Duration) Scene {
	s.Now, s.Uptime = s.Now.Add(d), s.Uptime+d
	return s
}

func TestNobodyThereIsAskedNothing(t *testing.T) {
	s := office()
	s.Users = nil
	s.must(t, Go, "")
	s.Act, s.Mode = wire.ActReboot, wire.RebootUser
	s.must(t, Wait, fault.RebootByUser)
}

func TestWhoIsBusyIsLeftAloneUnlessTheyHaveJustAgreed(t *testing.T) {
	for _, why := range []fault.Code{fault.UserBusy, fault.UserFullScreen, fault.UserUndisturbed} {
		s := office()
		s.Users[0].Busy = fault.Because(why, "user", "ann")
		s = s.must(t, Wait, why)
		s = s.answer(t, Reply{User: "ann", Choice: Now}, "").must(t, Go, "")
		s.later(justSaid+time.Second).must(t, Wait, why)
		s.Users[0].Busy = fault.Reason{}
		s.later(justSaid+time.Second).must(t, Go, "")
	}
}

func TestTheBatteryIsRespectedUntilTheDeadline(t *testing.T) {
	s := office()
	s.Battery = Battery{InUse: true, Percent: 29}
	s = s.must(t, Wait, fault.OnBattery)
	s.answer(t, Reply{User: "ann", Choice: Now}, "").must(t, Wait, fault.OnBattery)
	s.later(48*time.Hour).must(t, Count, fault.DeadlineCountdown)
	s.Battery.Percent = 30
	s.must(t, Ask, fault.AwaitingUser)
}

func TestAnAnswerGivenTwiceCountsOnce(t *testing.T) {
	s := office().must(t, Ask, fault.AwaitingUser)
	s = s.answer(t, Reply{User: "ann", Round: 1, Choice: Hour}, "")
	s = s.answer(t, Reply{User: "ann", Round: 1, Choice: Hour}, "")
	s = s.answer(t, Reply{User: "ann", Choice: Hour}, AlreadyLater)
	if got := s.Asked.Answers["ann"].Postponed; got != 1 {
		t.Fatalf("postponed %d times, want 1", got)
	}
	s = s.later(time.Hour).must(t, Ask, fault.AwaitingUser)
	s = s.answer(t, Reply{User: "ann", Round: 1, Choice: Hour}, TooOld)
	s = s.answer(t, Reply{User: "ann", Round: 2, Choice: Evening}, "").must(t, Wait, fault.UserPostponed)
	s = s.later(5*time.Hour).must(t, Ask, fault.AwaitingUser)
	s.answer(t, Reply{User: "ann", Choice: Hour}, NoneLeft)
}

func TestTheLatestLaterWins(t *testing.T) {
	s := office()
	s.Users = []User{{Name: "ann"}, {Name: "bob"}, {Name: "cat"}}
	s = s.must(t, Ask, fault.AwaitingUser)
	s = s.answer(t, Reply{User: "ann", Choice: Now}, "").answer(t, Reply{User: "bob", Choice: Evening}, "").answer(t, Reply{User: "cat", Choice: Hour}, "")
	d := Decide(s)
	if d.Do != Wait || !d.Until.Equal(noon.Add(6*time.Hour)) || d.Reason.Args["user"] != "bob" {
		t.Fatalf("%+v, want bob's evening", d)
	}
	s.Users = s.Users[:1] // the others have gone home
	s.must(t, Go, "")
}

func TestAnswersThatAreRefused(t *testing.T) {
	s := office().must(t, Ask, fault.AwaitingUser)
	s.answer(t, Reply{User: "eve", Choice: Now}, NotYours)
	s.answer(t, Reply{User: "ann", Choice: At, Until: noon.Add(49 * time.Hour)}, PastDeadline)
	s.Terms.DeadlineUS = us(noon.Add(10 * time.Hour)) // between the windows
	s.answer(t, Reply{User: "ann", Choice: Tomorrow}, NoWindowThen)
	s.later(9*time.Hour).answer(t, Reply{User: "ann", Choice: Now}, TooEarly)
	s.later(9*time.Hour).answer(t, Reply{User: "ann", Choice: Hour}, NothingAsked)
	s.later(11*time.Hour).answer(t, Reply{User: "ann", Choice: Hour}, DeadlineOver)
	s.Chances = nil
	s.answer(t, Reply{User: "ann", Choice: Now}, NothingAsked)
}

func TestSomebodyWhoCannotBeAskedAgreesToNothing(t *testing.T) {
	s := office()
	s.Users = []User{{}} // the sessions cannot be read
	s = s.must(t, Ask, fault.AwaitingUser)
	s = s.later(49*time.Hour).must(t, Count, fault.DeadlineCountdown)
	for range 10 {
		s = s.later(time.Minute)
		s.Asked = Decide(s).Asked
	}
	s.must(t, Go, "")
	if d := Decide(s); len(d.Forced) != 1 {
		t.Fatalf("forced on %q, want the one that cannot be known", d.Forced)
	}
}

func TestThisEveningIsAnHourOfTheDay(t *testing.T) {
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ now, evening, tomorrow string }{
		{"2026-03-28 12:00", "2026-03-28T18:00:00+01:00", "2026-03-29T08:00:00+02:00"}, // 23 hours that night
		{"2026-10-24 12:00", "2026-10-24T18:00:00+02:00", "2026-10-25T08:00:00+01:00"}, // 25 hours
		{"2026-12-31 17:59", "2026-12-31T18:00:00+01:00", "2027-01-01T08:00:00+01:00"},
	} {
		now, err := time.ParseInLocation("2006-01-02 15:04", c.now, paris)
		if err != nil {
			t.Fatal(err)
		}
		s := office()
		s.Now, s.Terms.DeadlineUS = now, us(now.Add(100*time.Hour))
		s.Chances = []Chance{{now, now.Add(99 * time.Hour)}}
		for choice, want := range map[Choice]string{Evening: c.evening, Tomorrow: c.tomorrow} {
			if got, ok := s.when(choice); !ok || got.Format(time.RFC3339) != want {
				t.Errorf("%s at %s is %s, want %s", choice, c.now, got.Format(time.RFC3339), want)
			}
		}
	}
}

func TestOrdersThatMakeNoSenseForPeople(t *testing.T) {
	order := func() wire.Order {
		return wire.Order{
			Reboot: wire.RebootIfNeeded, MarginS: 600, Windows: []wire.Interval{{StartUS: us(noon), EndUS: us(noon.Add(2 * time.Hour))}},
			People: &wire.People{CountdownS: 300, NoticeS: 900, DeadlineUS: us(noon.Add(time.Hour))},
		}
	}
	for field, spoil := range map[string]func(*wire.Order){
		"":                       func(*wire.Order) {},
		"people.postpones":       func(o *wire.Order) { o.People.Postpones = -1 },
		"people.notice_s":        func(o *wire.Order) { o.People.NoticeS = -1 },
		"people.countdown_s":     func(o *wire.Order) { o.People.CountdownS = 59 },
		"people.battery_percent": func(o *wire.Order) { o.People.BatteryPercent = 101 },
		"people.deadline_us":     func(o *wire.Order) { o.People.DeadlineUS = us(noon) - 1 },
		"people.text.fr.body": func(o *wire.Order) {
			o.People.Text = &wire.NoticeText{FR: wire.NoticeWords{Body: string(make([]byte, wire.MaxTextBytes+1))}}
		},
		"reboot":         func(o *wire.Order) { o.Reboot, o.People = wire.RebootUser, nil },
		"reboot_windows": func(o *wire.Order) { o.Reboot = wire.RebootWindow },
	} {
		o := order()
		spoil(&o)
		if got, problem := Problem(o); got != field {
			t.Errorf("%q: refused for %q %s", field, got, problem)
		}
	}
	for room, want := range map[time.Duration]string{27 * time.Minute: "", 27*time.Minute - time.Second: "people.notice_s"} {
		o := order()
		o.People.DeadlineUS = us(noon.Add(2*time.Hour - room)) // notice 15, margin 10, two to spare
		if got, problem := Problem(o); got != want {
			t.Errorf("%s after the deadline: %q %s, want %q", room, got, problem, want)
		}
	}
	o := order()
	o.People.CountdownS = 7000
	if got, _ := Problem(o); got != "people.countdown_s" {
		t.Errorf("a countdown longer than the room: %q", got)
	}
	o = order()
	o.People.DeadlineUS = us(noon.Add(72 * time.Hour)) // the next order's matter
	if got, problem := Problem(o); got != "" {
		t.Errorf("a deadline after this order's windows: %s %s", got, problem)
	}
}

func TestWhatIsRememberedIsOfOneAct(t *testing.T) {
	s := office().must(t, Ask, fault.AwaitingUser)
	s = s.answer(t, Reply{User: "ann", Choice: Now}, "").must(t, Go, "")
	s.Act = wire.ActReboot
	s = s.must(t, Ask, fault.AwaitingUser) // the install was agreed to, not this
	if s.Asked.Answers["ann"].Said != "" || s.Asked.Act != wire.ActReboot {
		t.Fatalf("%+v", s.Asked)
	}
	var none journal.Asked
	if got := Of(none, wire.ActReboot); got.Act != wire.ActReboot {
		t.Fatalf("%+v", got)
	}
}
