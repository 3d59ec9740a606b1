package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/executor/people"
	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

// heardKept is how many answers from the page an order remembers: more than can
// still be on their way.
const heardKept = 8

// Hear takes an answer that somebody gave on the device's page. It says "later"
// for everybody who is asked at the device, by the rules that hold there. What
// came of it is spooled as notices that name it.
//
// Crash story: before the commit nothing was heard and the server sends it again
// at the next check-in; after it a second copy changes nothing.
func (e *Executor) Hear(ctx context.Context, envelope wire.Envelope) error {
	var said wire.Said
	if err := envelope.Open(wire.EnvelopeSaid, e.Keys, &said); err != nil {
		return fmt.Errorf("hear an answer from the page: %w", err)
	}
	if said.Tenant != e.Tenant || said.Device != e.Device {
		return fmt.Errorf("hear an answer from the page: it is for device %s of %s", said.Device, said.Tenant)
	}
	o, err := e.Journal.Order(said.Serial)
	if errors.Is(err, journal.ErrNoOrder) {
		return e.unheard(said)
	}
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
	err = e.Journal.Update(said.Serial, func(tx *journal.Tx, k *journal.Order) error {
		if slices.Contains(k.Heard, said.ID) {
			return errNoNews
		}
		k.Heard = append(k.Heard, said.ID)
		k.Heard = k.Heard[max(0, len(k.Heard)-heardKept):]
		for _, event := range e.heard(s, k, said) {
			tx.Emit(event)
		}
		return nil
	})
	if errors.Is(err, errNoNews) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("hear an answer to order %d: %w", said.Serial, err)
	}
	e.Log.Info("an answer from the page", "serial", said.Serial, "answer", string(said.Choice))
	e.Changed()
	e.Wake()
	return nil
}

// heard is what comes of an answer: a notice for each person whose "later" it
// is, or why it is nobody's.
func (e *Executor) heard(s scene, k *journal.Order, said wire.Said) (list []wire.Event) {
	act, asks := askedAbout(*k)
	later := said.Choice == people.Hour || said.Choice == people.Evening || said.Choice == people.Tomorrow
	refused := &people.Refusal{Why: people.NothingAsked}
	switch {
	case !asks || !later:
	case s.now.After(time.UnixMicro(said.ExpiresUS)):
		refused = &people.Refusal{Why: people.TooOld}
	default:
		for _, u := range s.present.Users {
			asked, told, no := people.Take(s.people(*k, act), people.Reply{User: u.Name, Choice: said.Choice})
			if no != nil {
				refused = no
			}
			if told != nil {
				k.Asked, told.Said = asked, said.ID
				list = append(list, e.noticed(*k, *told))
			}
		}
	}
	if len(list) == 0 {
		list = append(list, e.notTaken(k.Order.ID, said, act, *refused))
	}
	return list
}

// unheard: the order that was answered is no longer kept here.
func (e *Executor) unheard(said wire.Said) error {
	if !e.firstSaying(said.Serial, "said "+said.ID) {
		return nil
	}
	event := e.notTaken("", said, wire.ActInstall, people.Refusal{Why: people.NothingAsked})
	if err := e.Journal.Append(event); err != nil {
		return fmt.Errorf("spool that an answer was not taken: %w", err)
	}
	e.Changed()
	return nil
}

func (e *Executor) notTaken(order string, said wire.Said, act wire.Act, why people.Refusal) wire.Event {
	args := []string{"why", string(why.Why)}
	if !why.At.IsZero() {
		args = append(args, "at", rfc(why.At))
	}
	n := wire.Notice{What: wire.NoticeRefused, Act: act, Said: said.ID}
	return wire.Event{
		AtUS: us(e.Now()), Kind: wire.EventNotice, Order: order, Serial: said.Serial, Notice: &n,
		Cause: causeOf(fault.Because(fault.AnswerNotTaken, args...)),
	}
}
