package gateway

import (
	"context"
	"encoding/json"
	"fmt"

	"patchring/internal/core/fault"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// maxOffers bounds the choices that are kept of a notice.
const maxOffers = 8

// notice keeps where a person at the device stands, for the device's page, and
// what came of an answer that was given there. Of who is unknown nothing is
// kept beside the register.
func (g *Gateway) notice(ctx context.Context, tx *store.Tx, d gen.Device, e wire.Event) error {
	g.recordEvent(tx, d, e)
	n := e.Notice
	if n == nil {
		return nil
	}
	if n.Said != "" {
		if err := g.said(ctx, tx, d, e); err != nil {
			return err
		}
	}
	if n.User == "" || e.Order == "" {
		return nil
	}
	switch n.What {
	case wire.NoticeAsked:
		return g.asked(ctx, tx, d, e)
	case wire.NoticePostponed, wire.NoticeAccepted, wire.NoticeCountdown, wire.NoticeDeadline:
		moved, err := tx.MoveNotice(ctx, gen.MoveNoticeParams{
			Tenant: d.Tenant, Device: d.ID, Person: wire.Clean(n.User, 256), OrderID: wire.Clean(e.Order, 64), Act: wire.Clean(string(n.Act), 32),
			What: string(n.What), UntilUs: n.UntilUS, Remaining: int64(n.Left), AtUs: e.AtUS,
		})
		if err == nil && moved == 0 { // a countdown is told to who was never asked
			err = g.put(ctx, tx, d, e)
		}
		return err
	}
	return nil
}

// asked is a question: what was said to an order before is of no use any more.
func (g *Gateway) asked(ctx context.Context, tx *store.Tx, d gen.Device, e wire.Event) error {
	if _, err := tx.DropOtherNotices(ctx, gen.DropOtherNoticesParams{Tenant: d.Tenant, Device: d.ID, OrderID: wire.Clean(e.Order, 64)}); err != nil {
		return fmt.Errorf("drop old notices of %s: %w", d.ID, err)
	}
	return g.put(ctx, tx, d, e)
}

func (g *Gateway) put(ctx context.Context, tx *store.Tx, d gen.Device, e wire.Event) error {
	n := e.Notice
	offers := []wire.Offer{}
	for _, o := range n.Offers[:min(maxOffers, len(n.Offers))] {
		offers = append(offers, wire.Offer{Choice: wire.Choice(wire.Clean(string(o.Choice), 16)), AtUS: o.AtUS})
	}
	text, err := json.Marshal(offers)
	if err != nil {
		return fmt.Errorf("encode offers: %w", err)
	}
	return tx.PutNotice(ctx, gen.PutNoticeParams{
		Tenant: d.Tenant, Device: d.ID, Person: wire.Clean(n.User, 256), OrderID: wire.Clean(e.Order, 64), Act: wire.Clean(string(n.Act), 32),
		What: string(n.What), UntilUs: n.UntilUS, DeadlineUs: n.DeadlineUS, Remaining: int64(n.Left), Offers: string(text), AtUs: e.AtUS,
	})
}

// said is what came of an answer from the page. The device can tell only of its
// own; one that is told already, or was never given, changes nothing.
func (g *Gateway) said(ctx context.Context, tx *store.Tx, d gen.Device, e wire.Event) error {
	id := wire.Clean(e.Notice.Said, 64)
	if e.Notice.What != wire.NoticeRefused {
		_, err := tx.TakeSaid(ctx, gen.TakeSaidParams{Tenant: d.Tenant, Device: d.ID, ID: id, UntilUs: e.Notice.UntilUS, ToldUs: g.nowUS()})
		return err
	}
	why := fault.Because(fault.AnswerNotTaken)
	if e.Cause != nil {
		why = reasonOf(e.Cause)
	}
	text, err := store.ReasonText(why)
	if err != nil {
		return err
	}
	_, err = tx.RefuseSaid(ctx, gen.RefuseSaidParams{Tenant: d.Tenant, Device: d.ID, ID: id, ToldUs: g.nowUS(), Reason: text})
	return err
}

// fillSaid sends the answers from the page that the agent has told nothing of.
func (g *Gateway) fillSaid(ctx context.Context, tx *store.Tx, d gen.Device, m wire.Checkin, reply *wire.CheckinReply) error {
	if len(m.Orders) == 0 {
		return nil // nothing is asked of it
	}
	open, err := tx.OpenSaid(ctx, gen.OpenSaidParams{Tenant: d.Tenant, Device: d.ID, NowUs: g.nowUS()})
	if err != nil {
		return fmt.Errorf("read what was said of %s: %w", d.ID, err)
	}
	for _, s := range open {
		var envelope wire.Envelope
		if err := json.Unmarshal([]byte(s.Envelope), &envelope); err != nil {
			return fmt.Errorf("read what was said %s: %w", s.ID, err)
		}
		reply.Said = append(reply.Said, envelope)
	}
	return nil
}
