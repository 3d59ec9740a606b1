package view

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/wire"
)

// Personal is what the page of one device shows to whoever has its link. Nobody
// is named on it: the link is the device's, and what it opens may be on paper.
type Personal struct {
	Device     DeviceRef
	Zone       string // the device's own, as it says; empty when it does not
	Seen       time.Time
	Capability int64
	Retired    bool
	Orders     []PersonalOrder // open ones, the newest first
	Notices    []PersonalNotice
	Said       []PersonalSaid // the latest, newest first
	Campaigns  []DeviceCampaign
	Feedback   []FeedbackRow
}

// PersonalOrder is what is coming.
type PersonalOrder struct {
	ID       string
	Campaign CampaignRef
	Items    []wire.Item
	Windows  []wire.Interval
	Reboot   wire.RebootMode
	Deadline time.Time // zero: nobody is asked
	Step     wire.Step
	Back     bool // it puts previous versions back
	Trial    bool // and they are installed again afterwards
	Text     *wire.NoticeText
}

// PersonalNotice is where one person stands with an order.
type PersonalNotice struct {
	Order     string
	Act       wire.Act
	What      wire.NoticeWhat
	Until     time.Time
	Deadline  time.Time
	Remaining int64
	Offers    []wire.Offer
}

// PersonalSaid is a "later" that was said on the page.
type PersonalSaid struct {
	Order   string
	Choice  wire.Choice
	State   string // sent, taken, refused
	Reason  *fault.Reason
	Until   time.Time // taken: not before
	At      time.Time
	Expires time.Time
}

// saidShown is how many answers the page looks back on.
const saidShown = 3

// Personal fills a device's page.
func (r *Reader) Personal(ctx context.Context, tenant fleet.TenantID, id fleet.DeviceID) (Personal, error) {
	p, err := one(ctx, r, ask("device", "SELECT d.id, d.name, d.seen_us, d.capability, d.retired_us FROM device d WHERE d.tenant = $1 AND d.id = $2", tenant, id), string(id),
		func(rows *sql.Rows) (Personal, error) {
			var p Personal
			var seenUS, retiredUS int64
			err := rows.Scan(&p.Device.ID, &p.Device.Name, &seenUS, &p.Capability, &retiredUS)
			p.Seen, p.Retired = instant(seenUS), retiredUS > 0
			return p, err
		})
	if err != nil {
		return p, err
	}
	var e [6]error
	var facts *DeviceFacts
	if facts, e[0] = r.facts(ctx, tenant, id); facts != nil {
		p.Zone = facts.TimeZone
	}
	p.Orders, e[1] = r.personalOrders(ctx, tenant, id)
	p.Notices, e[2] = r.personalNotices(ctx, tenant, id)
	p.Said, e[3] = r.personalSaid(ctx, tenant, id)
	p.Campaigns, e[4] = r.deviceCampaigns(ctx, tenant, id)
	var said FeedbackPage
	said, e[5] = r.Feedback(ctx, tenant, FeedbackQuery{Which: "all", Device: id, Paging: Paging{Limit: MaxLimit}})
	p.Feedback = said.Rows
	return p, errors.Join(e[:]...)
}

const personalOrdersText = `SELECT o.id, o.campaign, coalesce(c.name, ''), o.step, o.kind, coalesce(c.origin, ''), o.envelope
FROM device_order o LEFT JOIN campaign c ON c.tenant = o.tenant AND c.id = o.campaign
WHERE o.tenant = $1 AND o.device = $2 AND o.state = 'open' AND o.kind IN ('install', 'rollback') AND o.expires_us > $3 ORDER BY o.serial DESC LIMIT 5`

func (r *Reader) personalOrders(ctx context.Context, tenant fleet.TenantID, id fleet.DeviceID) ([]PersonalOrder, error) {
	return all(ctx, r, ask("open orders", personalOrdersText, tenant, id, r.now().UnixMicro()), func(rows *sql.Rows) (PersonalOrder, error) {
		var p PersonalOrder
		var text, kind, origin string
		if err := rows.Scan(&p.ID, &p.Campaign.ID, &p.Campaign.Name, &p.Step, &kind, &origin, &text); err != nil {
			return p, err
		}
		var envelope wire.Envelope
		var o wire.Order
		if err := errors.Join(json.Unmarshal([]byte(text), &envelope), json.Unmarshal(envelope.Payload, &o)); err != nil {
			return p, fmt.Errorf("read order %s: %w", p.ID, err)
		}
		p.Back = wire.OrderKind(kind) == wire.OrderRollback
		p.Trial = p.Back && campaign.Origin(origin) != campaign.ByRollback
		p.Items, p.Windows, p.Reboot = o.Items, o.Windows, o.Reboot
		if o.People != nil {
			p.Deadline, p.Text = instant(o.People.DeadlineUS), o.People.Text
		}
		return p, nil
	})
}

const personalNoticesText = `SELECT n.order_id, n.act, n.what, n.until_us, n.deadline_us, n.remaining, n.offers
FROM notice n JOIN device_order o ON o.tenant = n.tenant AND o.id = n.order_id AND o.state = 'open'
WHERE n.tenant = $1 AND n.device = $2 ORDER BY n.at_us DESC LIMIT 20`

func (r *Reader) personalNotices(ctx context.Context, tenant fleet.TenantID, id fleet.DeviceID) ([]PersonalNotice, error) {
	return all(ctx, r, ask("notices", personalNoticesText, tenant, id), func(rows *sql.Rows) (PersonalNotice, error) {
		var n PersonalNotice
		var offers string
		var untilUS, deadlineUS int64
		if err := rows.Scan(&n.Order, &n.Act, &n.What, &untilUS, &deadlineUS, &n.Remaining, &offers); err != nil {
			return n, err
		}
		n.Until, n.Deadline = instant(untilUS), instant(deadlineUS)
		return n, json.Unmarshal([]byte(offers), &n.Offers)
	})
}

const personalSaidText = `SELECT s.order_id, s.choice, s.state, s.reason, s.until_us, s.said_us, s.expires_us
FROM said s WHERE s.tenant = $1 AND s.device = $2 ORDER BY s.said_us DESC LIMIT $3`

func (r *Reader) personalSaid(ctx context.Context, tenant fleet.TenantID, id fleet.DeviceID) ([]PersonalSaid, error) {
	return all(ctx, r, ask("answers of the page", personalSaidText, tenant, id, saidShown), func(rows *sql.Rows) (PersonalSaid, error) {
		var s PersonalSaid
		var why string
		var untilUS, saidUS, expiresUS int64
		err := rows.Scan(&s.Order, &s.Choice, &s.State, &why, &untilUS, &saidUS, &expiresUS)
		s.Reason, s.Until, s.At, s.Expires = reason(why), instant(untilUS), instant(saidUS), instant(expiresUS)
		return s, err
	})
}
