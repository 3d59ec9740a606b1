package personal

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/identity"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

const (
	// needs is the capability of agents that hear what is said on a page.
	needs = 3
	// onItsWay is how long "later" waits for a device that is away. After that
	// the person has long seen what became of it.
	onItsWay = 24 * time.Hour
	// mostLaters bounds what one device's page can send in a day.
	mostLaters = 20
)

// Why a "later" is not even sent; the agent has its own reasons beside these.
const (
	nothingAsked = "nothing_asked"
	noneLeft     = "none_left"
	deadlineOver = "deadline_over"
	onTheWay     = "on_its_way"
	agentTooOld  = "agent_too_old"
)

// Later is what somebody says on a page: of which order, and when instead.
type Later struct {
	Order  string
	Choice wire.Choice // 1h, evening or tomorrow
}

// Postpone sends a "later" to the agent. It holds for everybody who is asked at
// the device, and is taken or refused there by the rules that hold there; a
// device that is away hears it when it comes back, while it stands.
//
// Crash story: before the commit nothing was said; after it the envelope is in
// the outbox, and goes with the device's next check-in too, until the agent has
// told what came of it.
func (o *Office) Postpone(ctx context.Context, p identity.Page, ask Later) error {
	if !slices.Contains([]wire.Choice{wire.ChoiceHour, wire.ChoiceEvening, wire.ChoiceTomorrow}, ask.Choice) {
		return invalid("choice", "not_a_choice", "1h, evening, tomorrow")
	}
	id, err := newID()
	if err != nil {
		return err
	}
	key, err := o.OrderKey(p.Tenant)
	if err != nil {
		return fmt.Errorf("open the order key of %s: %w", p.Tenant, err)
	}
	err = o.DB.Write(ctx, func(tx *store.Tx) error {
		now := o.Clock()
		order, until, err := o.askedOf(ctx, tx, p, ask)
		if err != nil {
			return err
		}
		envelope, err := wire.Seal(wire.EnvelopeSaid, wire.Said{
			ID: id, Tenant: string(p.Tenant), Device: string(p.ID), Serial: order.Serial, Choice: ask.Choice, ExpiresUS: until.UnixMicro(),
		}, key)
		if err != nil {
			return err
		}
		text, err := json.Marshal(envelope)
		if err != nil {
			return fmt.Errorf("encode envelope: %w", err)
		}
		if err := tx.AddSaid(ctx, gen.AddSaidParams{
			Tenant: order.Tenant, ID: id, Device: order.Device, OrderID: order.ID, Choice: string(ask.Choice), Envelope: string(text),
			SaidUs: now.UnixMicro(), ExpiresUs: until.UnixMicro(),
		}); err != nil {
			return fmt.Errorf("keep what was said: %w", err)
		}
		tx.Record(register.Entry{
			Tenant: order.Tenant, AtUS: now.UnixMicro(), Actor: actor, Kind: register.LaterSaid, Device: order.Device, Campaign: order.Campaign,
			Detail: map[string]any{"said": id, "order": order.ID, "choice": string(ask.Choice)},
		})
		return tx.Send(ctx, p.Tenant, wire.OrderSubject(order.Device), envelope, now.UnixMicro())
	})
	if err == nil {
		o.Wake()
	}
	return err
}

// askedOf is the order that is answered, and until when the answer stands. It
// refuses what the agent would refuse anyway, as far as it has told.
func (o *Office) askedOf(ctx context.Context, tx *store.Tx, p identity.Page, ask Later) (gen.DeviceOrder, time.Time, error) {
	tenant, device, now := string(p.Tenant), string(p.ID), o.Clock()
	no := func(why string) error { return fault.New(fault.AnswerNotTaken, "why", why) }
	row, err := tx.Device(ctx, tenant, device)
	if err := live(row, err, p.ID); err != nil {
		return gen.DeviceOrder{}, now, err
	}
	order, err := tx.Order(ctx, tenant, ask.Order)
	if err != nil && !store.IsNone(err) {
		return order, now, fmt.Errorf("read order %s: %w", ask.Order, err)
	}
	if err != nil || order.Device != device || order.State != "open" {
		return order, now, no(nothingAsked)
	}
	if row.Capability < needs {
		return order, now, no(agentTooOld)
	}
	sent, err := tx.OpenSaid(ctx, gen.OpenSaidParams{Tenant: tenant, Device: device, NowUs: now.UnixMicro()})
	if err != nil {
		return order, now, fmt.Errorf("read what was said: %w", err)
	}
	if len(sent) > 0 {
		return order, now, no(onTheWay)
	}
	today, err := tx.SaidSince(ctx, gen.SaidSinceParams{Tenant: tenant, Device: device, SinceUs: now.Add(-24 * time.Hour).UnixMicro()})
	if err != nil {
		return order, now, fmt.Errorf("count what was said: %w", err)
	}
	if today >= mostLaters {
		return order, now, fault.New(fault.TooManyTries)
	}
	deadline, err := standing(ctx, tx, order, now)
	if err != nil {
		return order, now, err
	}
	until := now.Add(onItsWay)
	if deadline.Before(until) {
		until = deadline
	}
	return order, until, nil
}

// standing is the deadline of the question, when one stands that somebody may
// still answer with "later".
func standing(ctx context.Context, tx *store.Tx, order gen.DeviceOrder, now time.Time) (time.Time, error) {
	notices, err := tx.Notices(ctx, order.Tenant, order.Device)
	if err != nil {
		return now, fmt.Errorf("read notices: %w", err)
	}
	why := nothingAsked
	for _, n := range notices {
		asked := n.What == string(wire.NoticeAsked) || n.What == string(wire.NoticeAccepted)
		switch deadline := store.Instant(n.DeadlineUs); {
		case n.OrderID != order.ID || !asked:
		case !now.Before(deadline):
			why = deadlineOver
		case n.Remaining == 0:
			why = noneLeft
		default:
			return deadline, nil
		}
	}
	return now, fault.New(fault.AnswerNotTaken, "why", why)
}
