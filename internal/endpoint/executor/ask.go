package executor

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/executor/people"
	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

// Presence is who is logged in to a desktop of the device, and what it runs on.
type Presence struct {
	Users   []people.User
	Battery people.Battery
}

// Announcement is a notice with the order it is of.
type Announcement struct {
	people.Notice
	Order  string           `json:"order"`
	Serial int64            `json:"serial"`
	Kind   wire.OrderKind   `json:"kind,omitempty"` // a rollback puts previous versions back
	Items  []string         `json:"items"`
	Text   *wire.NoticeText `json:"text,omitempty"`
	Link   string           `json:"link,omitempty"` // the device's page
	Logo   string           `json:"logo,omitempty"` // its hash
}

// attend reads who is there, for an order that asks people. When that cannot be
// read there may be somebody, who agrees to nothing and is warned of everything.
func (e *Executor) attend(ctx context.Context, s *scene, o journal.Order) error {
	if o.Order.People == nil {
		return nil
	}
	boot, err := e.BootID()
	if err != nil {
		return fmt.Errorf("read boot id: %w", err)
	}
	s.boot, s.uptime = boot, e.Uptime()
	s.present, err = e.Present(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		e.Log.Warn("who is logged in cannot be read", "err", err)
		s.present.Users = []people.User{{}}
	}
	return nil
}

// people is the scene as people.Decide sees it.
func (s scene) people(o journal.Order, act wire.Act) people.Scene {
	windows := o.Order.Windows
	if act == wire.ActReboot {
		windows = people.BootWindows(o.Order)
	}
	return people.Scene{
		Now: s.now, Boot: s.boot, Uptime: s.uptime, Act: act, Mode: o.Order.Reboot, Terms: *o.Order.People,
		Chances: s.chances(o.Order, windows, people.Margin(o.Order, act)), Users: s.present.Users, Battery: s.present.Battery, Asked: o.Asked,
	}
}

// chances are the windows as mayAct opens them: without the margin at their
// end, the blocked hours of the local file, and what comes after the expiry.
func (s scene) chances(o wire.Order, windows []wire.Interval, margin time.Duration) (list []people.Chance) {
	for _, w := range windows {
		from, last := time.UnixMicro(w.StartUS), time.UnixMicro(min(w.EndUS-margin.Microseconds(), w.EndUS-1e6, o.ExpiresUS-1e6))
		for !from.After(last) {
			free, ok := s.local.Clear(from.In(s.now.Location()), margin)
			if !ok || free.After(last) {
				break
			}
			blocked, ok := s.local.NextBlocked(free, last.Sub(free)+margin)
			if !ok {
				list = append(list, people.Chance{From: free, Last: last})
				break
			}
			list = append(list, people.Chance{From: free, Last: blocked.Add(-margin - time.Second)})
			from = blocked
		}
	}
	return list
}

// agreed decides with the people there.
func (s scene) agreed(k journal.Order, act wire.Act) (d people.Decision, w *wait) {
	if k.Order.People == nil {
		return people.Decision{Do: people.Go, Asked: k.Asked}, nil
	}
	d = people.Decide(s.people(k, act))
	if d.Do == people.Go {
		return d, nil
	}
	return d, &wait{d.Reason, d.Until}
}

// concerns tells that a wait is only for the right time, so that people can be
// told already; held, vetoed and unbelieved orders disturb nobody.
func concerns(w *wait) bool {
	return w == nil || w.cause.Code == fault.OutsideWindow || w.cause.Code == fault.WindowTooShort ||
		w.cause.Code == fault.LocalVeto && !w.next.IsZero()
}

// consult asks the people at the device whether an act may begin that w lets
// begin, or lets begin later. What they are told is stored before they are.
//
// Crash story: before the commit nobody was told; after it the next look shows
// the same notice again, and its round makes an answer that came meanwhile
// count once.
func (e *Executor) consult(o journal.Order, s scene, act wire.Act, w *wait) (*wait, error) {
	if o.Order.People == nil || !concerns(w) {
		return w, nil
	}
	var d people.Decision
	var asks *wait
	err := e.update(o, func(tx *journal.Tx, k *journal.Order) error {
		d, asks = s.agreed(*k, act)
		if reflect.DeepEqual(d.Asked, k.Asked) {
			return errNoNews
		}
		k.Asked = d.Asked
		for _, n := range d.Events {
			tx.Emit(e.noticed(*k, n))
		}
		return nil
	})
	if err != nil && !errors.Is(err, errNoNews) {
		return nil, fmt.Errorf("consult the people at the device: %w", err)
	}
	if asks == nil {
		return w, nil
	}
	e.announce(o, people.Notices(s.people(o, act), d))
	if d.Reason.Code == fault.NoWindow && w != nil {
		return w, nil
	}
	return asks, nil
}

func (e *Executor) noticed(o journal.Order, n wire.Notice) wire.Event {
	event := e.event(o, wire.EventNotice)
	event.Notice = &n
	return event
}

// forced stores what an act begins with, and tells of those on whom it begins
// because the deadline has passed.
func (e *Executor) forced(tx *journal.Tx, k *journal.Order, act wire.Act, d people.Decision) {
	k.Asked = d.Asked
	for _, user := range d.Forced {
		tx.Emit(e.noticed(*k, wire.Notice{What: wire.NoticeDeadline, Act: act, User: user}))
	}
}

// announce collects what a look tells people.
func (e *Executor) announce(o journal.Order, notices []people.Notice) {
	for _, n := range notices {
		a := Announcement{Notice: n, Order: o.Order.ID, Serial: o.Order.Serial, Kind: o.Order.Kind, Text: o.Order.People.Text, Link: o.Order.People.Link, Logo: o.Order.People.Logo}
		for _, item := range o.Items {
			a.Items = append(a.Items, item.Name)
		}
		e.telling = append(e.telling, a)
	}
}

// publish replaces what is announced by what this look told.
func (e *Executor) publish() {
	e.mu.Lock()
	e.announced = e.telling
	e.mu.Unlock()
	e.Show(slices.Clone(e.telling))
}

// Announced is what people are told at present.
func (e *Executor) Announced() []Announcement {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.announced)
}

// Answer takes what a person answers to an order's notice. A *people.Refusal
// says why it is not taken.
//
// Crash story: before the commit nothing was answered and the notice stands;
// after it a second copy of the answer changes nothing.
func (e *Executor) Answer(ctx context.Context, serial int64, r people.Reply) error {
	o, err := e.Journal.Order(serial)
	if err != nil {
		return err
	}
	s, err := e.scene()
	if err != nil {
		return err
	}
	if err := e.attend(ctx, &s, o); err != nil {
		return err
	}
	err = e.Journal.Update(serial, func(tx *journal.Tx, k *journal.Order) error {
		act, asks := askedAbout(*k)
		if !asks {
			return &people.Refusal{Why: people.NothingAsked}
		}
		asked, told, refused := people.Take(s.people(*k, act), r)
		if refused != nil {
			return refused
		}
		if told == nil {
			return errNoNews
		}
		k.Asked = asked
		tx.Emit(e.noticed(*k, *told))
		return nil
	})
	if errors.Is(err, errNoNews) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("answer to order %d: %w", serial, err)
	}
	e.Log.Info("a person answered", "serial", serial, "answer", string(r.Choice))
	e.Changed()
	e.Wake()
	return nil
}

// askedAbout is the act that an order may ask people about where it stands.
func askedAbout(o journal.Order) (wire.Act, bool) {
	switch {
	case o.Order.People == nil:
		return "", false
	case o.Step == wire.StepWait && o.Order.Kind == wire.OrderReboot:
		return wire.ActReboot, true
	case o.Step == wire.StepWait || o.Step == wire.StepQuiesce:
		return wire.ActInstall, true
	case o.Step == wire.StepReboot && o.AskedBoot == "":
		return wire.ActReboot, true
	}
	return "", false
}

// Shown spools that a notice is on a person's screen, or why it is not.
func (e *Executor) Shown(a Announcement, problem error) error {
	n := wire.Notice{What: wire.NoticeShown, Act: a.Act, User: a.User, UntilUS: us(a.At), Left: a.Left}
	event := wire.Event{AtUS: us(e.Now()), Kind: wire.EventNotice, Order: a.Order, Serial: a.Serial, Notice: &n}
	if problem != nil {
		n.What = wire.NoticeUnseen
		event.Cause = causeOf(fault.Because(fault.NoticeNotShown, "problem", wire.Clean(problem.Error(), wire.MaxTextBytes)))
	}
	if err := e.Journal.Append(event); err != nil {
		return fmt.Errorf("spool that a notice was shown: %w", err)
	}
	e.Changed()
	return nil
}

// carried is what a new order of a campaign inherits: how often its people have
// postponed, and until when. What they agreed to was another order.
func carried(kept []journal.Order, campaign string) journal.Asked {
	for _, k := range slices.Backward(kept) {
		if k.Order.Campaign == campaign && k.Installs == 0 && k.Asked.Act == wire.ActInstall {
			return people.Carry(k.Asked)
		}
	}
	return journal.Asked{}
}
