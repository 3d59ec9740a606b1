package executor

import (
	"context"
	"errors"
	"slices"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/executor/people"
	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

// desk are the people at the world's device: who is there, what their screens
// show, and what they clicked.
type desk struct {
	there   []string
	busy    map[string]bool
	unknown bool          // the sessions cannot be read
	awake   time.Duration // time the device was up
	screens []Announcement
	seen    map[string]time.Duration // by person and countdown, since when (awake) it is on the screen
	yes     map[string]time.Time     // until when a person's "now" is good, by person and act
}

func (w *world) present(context.Context) (Presence, error) {
	if w.unknown {
		return Presence{}, errors.New("no answer from logind")
	}
	var p Presence
	for _, name := range w.there {
		u := people.User{Name: name}
		if w.busy[name] {
			u.Busy = fault.Because(fault.UserBusy, "user", name)
		}
		p.Users = append(p.Users, u)
	}
	return p, nil
}

func (w *world) show(list []Announcement) {
	w.screens = list
	for _, a := range list {
		if a.State != people.StateCountdown {
			continue
		}
		if w.seen == nil {
			w.seen = map[string]time.Duration{}
		}
		for i, window := range w.windows {
			key := a.User + string(a.Act) + itoa(i)
			inside := !w.wall.Before(time.UnixMicro(window.StartUS)) && w.wall.Before(time.UnixMicro(window.EndUS))
			if _, ok := w.seen[key]; inside && !ok {
				w.seen[key] = w.awake
			}
		}
	}
}

// click answers the notice on a person's screen.
func (w *world) click(user string, choice people.Choice) error {
	for _, a := range w.screens {
		if a.User != user {
			continue
		}
		r := people.Reply{User: user, Round: a.Round, Choice: choice}
		err := w.guard(func() error { return w.exec.Answer(context.Background(), a.Serial, r) })
		if err != nil {
			return err
		}
		if choice == people.Now {
			if w.yes == nil {
				w.yes = map[string]time.Time{}
			}
			w.yes[user+string(a.Act)+a.Order] = w.wall
		}
		return nil
	}
	return errors.New("nothing on the screen of " + user)
}

// mustSuitPeople is the property: before the deadline everybody there has said
// so; after it, so or they had the whole countdown on the screen.
func (w *world) mustSuitPeople(step wire.Step) {
	orders, err := w.journal.Orders()
	if err != nil {
		w.fail("read orders: %v", err)
	}
	at := slices.IndexFunc(orders, func(o journal.Order) bool { return o.Step == step && o.Order.People != nil })
	if at < 0 {
		return
	}
	o, act := orders[at], wire.ActInstall
	if step == wire.StepReboot {
		act = wire.ActReboot
	}
	lead := people.Lead(*o.Order.People, act)
	over := o.Order.People.DeadlineUS <= w.wall.UnixMicro()
	for _, user := range w.there {
		said, yes := w.yes[user+string(act)+o.Order.ID]
		switch {
		case yes && (over || !w.busy[user] || w.wall.Sub(said) < 10*time.Minute):
		case !over:
			w.fail("%s of %s at %s before the deadline without a yes of %s (busy %v)", act, o.Order.ID, w.wall, user, w.busy[user])
		case !w.warned(user, act, lead):
			w.fail("%s of %s at %s: %s was not warned for %s: %v, awake %s", act, o.Order.ID, w.wall, user, lead, w.seen, w.awake)
		}
	}
}

func (w *world) warned(user string, act wire.Act, lead time.Duration) bool {
	for i := range w.windows {
		if since, ok := w.seen[user+string(act)+itoa(i)]; ok && w.awake-since >= lead {
			return true
		}
	}
	return false
}
