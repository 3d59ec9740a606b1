package view

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/procedure"
)

const campaignHead = `SELECT c.id, c.name, c.procedure_name, c.procedure_version, c.state, c.origin, c.day_us, c.starts_us, c.verification_us,
  c.sealed_us, c.verified_us, c.closed_us, c.created_us, c.actor,
  EXISTS (SELECT 1 FROM hold h WHERE h.tenant = c.tenant AND h.campaign = c.id AND h.lifted_us = 0 AND h.ring = '' AND h.item = '' AND h.device = '')
FROM campaign c`

func scanCampaign(rows *sql.Rows) (CampaignRow, error) {
	c := CampaignRow{Rings: []RingBrief{}}
	var dayUS, startsUS, verificationUS, sealedUS, verifiedUS, closedUS, createdUS int64
	err := rows.Scan(&c.ID, &c.Name, &c.Procedure, &c.ProcedureVersion, &c.State, &c.Origin, &dayUS, &startsUS, &verificationUS,
		&sealedUS, &verifiedUS, &closedUS, &createdUS, &c.Actor, &c.Held)
	c.DayS = dayUS / time.Second.Microseconds()
	c.Starts, c.Verification, c.Sealed = instant(startsUS), instant(verificationUS), instant(sealedUS)
	c.Verified, c.Closed, c.Created = instant(verifiedUS), instant(closedUS), instant(createdUS)
	return c, err
}

// Campaigns lists campaigns, newest first: ids are UUIDv7, so their order is
// that of creation.
func (r *Reader) Campaigns(ctx context.Context, tenant fleet.TenantID, q CampaignQuery) (CampaignPage, error) {
	after, err := q.cursorFor("newest")
	if err != nil {
		return CampaignPage{}, err
	}
	var b builder
	b.and("c.tenant = ?", tenant)
	if q.Open {
		b.and("c.state <> 'closed'")
	}
	if q.State != "" {
		b.and("c.state = ?", q.State)
	}
	if after != nil {
		b.and("c.id < ?", after.ID)
	}
	rows, err := all(ctx, r, b.list("campaigns", campaignHead, "c.id DESC", q.limit()), scanCampaign)
	if err != nil {
		return CampaignPage{}, err
	}
	page := pageOf(rows, q.limit(), func(c CampaignRow) cursor { return cursor{Sort: "newest", ID: c.ID} })
	return page, r.addRings(ctx, tenant, page.Rows)
}

// addRings gives each campaign the rings of its sealed content.
func (r *Reader) addRings(ctx context.Context, tenant fleet.TenantID, rows []CampaignRow) error {
	if len(rows) == 0 {
		return nil
	}
	at := map[string]*CampaignRow{}
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i], at[rows[i].ID] = rows[i].ID, &rows[i]
	}
	var b builder
	b.and("g.tenant = ?", tenant)
	b.and("g.amendment = 0")
	b.in("g.campaign", ids)
	_, err := all(ctx, r, b.every("rings", ringHead, "g.campaign, g.position"), func(rows *sql.Rows) (struct{}, error) {
		g, err := scanRing(rows)
		if c := at[g.campaign]; err == nil && c != nil {
			c.Rings = append(c.Rings, g.ring.RingBrief)
		}
		return struct{}{}, err
	})
	return err
}

// FindCampaign finds a campaign by its id or its name.
func (r *Reader) FindCampaign(ctx context.Context, tenant fleet.TenantID, nameOrID string) (CampaignRef, error) {
	return one(ctx, r, ask("campaign", `SELECT c.id, c.name FROM campaign c WHERE c.tenant = $1 AND (c.id = $2 OR c.name = $2)
ORDER BY CASE c.id WHEN $2 THEN 0 ELSE 1 END LIMIT 1`, tenant, nameOrID), nameOrID, scanCampaignRef)
}

const ringHead = `SELECT g.campaign, g.amendment, g.position, g.ring, g.state, g.verdict, g.reasons, g.evidence, g.opens_us, g.closes_us,
  g.opened_us, g.soak_until_us, g.decided_us, g.expedited_by, g.expedited_why, g.done, g.failed, g.not_reached, g.unreachable, g.exempt, g.rollback_impossible
FROM campaign_ring g`

type ringOf struct {
	campaign  string
	amendment int64
	ring      BoardRing
	undo      bool // of a rollback
}

func scanRing(rows *sql.Rows) (ringOf, error) {
	out := ringOf{ring: BoardRing{SignOffs: []SignOffSlot{}, Devices: []RingDevice{}}}
	g := &out.ring
	var reasons, evidence, by, why string
	var opensUS, closesUS, openedUS, soakUS, decidedUS int64
	err := rows.Scan(&out.campaign, &out.amendment, &g.Position, &g.Ring, &g.State, &g.Verdict, &reasons, &evidence, &opensUS, &closesUS,
		&openedUS, &soakUS, &decidedUS, &by, &why,
		&g.Numbers.Done, &g.Numbers.Failed, &g.Numbers.NotReached, &g.Numbers.Unreachable, &g.Numbers.Exempt, &g.RollbackImpossible)
	if err != nil {
		return out, err
	}
	g.Opens, g.Closes, g.Opened = instant(opensUS), instant(closesUS), instant(openedUS)
	g.SoakUntil, g.Decided = instant(soakUS), instant(decidedUS)
	if by != "" {
		g.Expedited = &Expedited{By: by, Why: why}
	}
	var e1, e2 error
	g.Reasons, e1 = list[fault.Reason]("reasons", reasons)
	g.Evidence, e2 = list[campaign.Evidence]("evidence", evidence)
	return out, errors.Join(e1, e2)
}

// Procedures lists the latest version of each procedure. There are a handful.
func (r *Reader) Procedures(ctx context.Context, tenant fleet.TenantID) ([]ProcedureRow, error) {
	found, err := all(ctx, r, ask("procedures", procedureHead+` WHERE v.tenant = $1
AND v.version = (SELECT max(w.version) FROM procedure_version w WHERE w.tenant = v.tenant AND w.name = v.name) ORDER BY v.name`, tenant), scanProcedure)
	if err != nil {
		return nil, err
	}
	out := make([]ProcedureRow, len(found))
	for i, f := range found {
		out[i] = f.ProcedureRow
	}
	return out, nil
}

const procedureHead = `SELECT v.name, v.version, v.body, v.sha256, v.actor, v.at_us FROM procedure_version v`

func scanProcedure(rows *sql.Rows) (ProcedureDetail, error) {
	var d ProcedureDetail
	var atUS int64
	if err := rows.Scan(&d.Name, &d.Version, &d.Body, &d.SHA256, &d.Actor, &atUS); err != nil {
		return d, err
	}
	d.At, d.Rings, d.Versions = instant(atUS), []string{}, []ProcedureVersion{}
	// What was applied was checked; a version that a later program refuses is
	// still listed, only without its titles.
	if p, err := procedure.Parse(d.Name, []byte(d.Body)); err == nil {
		d.Title, d.Owner, d.Zone = p.Title, p.Owner, p.Zone.String()
		for _, ring := range p.Rings {
			d.Rings = append(d.Rings, ring.Name)
		}
	}
	return d, nil
}

// Procedure shows one version of a procedure; version 0 is the latest.
func (r *Reader) Procedure(ctx context.Context, tenant fleet.TenantID, name string, version int64) (ProcedureDetail, error) {
	d, err := one(ctx, r, ask("procedure", procedureHead+` WHERE v.tenant = $1 AND v.name = $2 AND (v.version = $3 OR $3 = 0)
ORDER BY v.version DESC LIMIT 1`, tenant, name, version), name, scanProcedure)
	if err != nil {
		return d, err
	}
	d.Versions, err = all(ctx, r, ask("versions of a procedure", `SELECT v.version, v.sha256, v.actor, v.at_us FROM procedure_version v
WHERE v.tenant = $1 AND v.name = $2 ORDER BY v.version DESC LIMIT 100`, tenant, name), func(rows *sql.Rows) (ProcedureVersion, error) {
		var v ProcedureVersion
		var atUS int64
		err := rows.Scan(&v.Version, &v.SHA256, &v.Actor, &atUS)
		v.At = instant(atUS)
		return v, err
	})
	return d, err
}

const ringDeviceHead = `SELECT x.device, d.name, d.kind, x.bucket, x.goal, x.reason, coalesce(o.step, ''), coalesce(o.step_us, 0), coalesce(o.next_us, 0), coalesce(o.cause, ''), d.seen_us, x.updated_us
FROM campaign_device x
JOIN device d ON d.tenant = x.tenant AND d.id = x.device
LEFT JOIN device_order o ON o.tenant = x.tenant AND o.id = x.order_id AND o.state = 'open'`

func scanRingDevice(rows *sql.Rows) (RingDevice, error) {
	var d RingDevice
	var why, cause string
	var stepUS, nextUS, seenUS, updatedUS int64
	err := rows.Scan(&d.Device.ID, &d.Device.Name, &d.Kind, &d.Bucket, &d.Goal, &why, &d.Step, &stepUS, &nextUS, &cause, &seenUS, &updatedUS)
	d.Reason, d.StepAt, d.Seen, d.Updated = reason(why), instant(stepUS), instant(seenUS), instant(updatedUS)
	if waits := reason(cause); waits != nil {
		d.Reason = waits
	}
	d.Next = earliest(instant(nextUS), promised(d.Reason))
	return d, err
}

// Buckets are the values of RingDevicesQuery.Bucket, in the order a ring's
// devices are listed without one.
func Buckets() []string {
	return []string{string(campaign.Done), string(campaign.Exempt), string(campaign.Failed), string(campaign.NotReached), string(campaign.Unreachable)}
}

// RingDevices lists the devices of a ring, by bucket and then by id, which is
// the order of the index.
func (r *Reader) RingDevices(ctx context.Context, tenant fleet.TenantID, q RingDevicesQuery) (RingDevicePage, error) {
	after, err := q.cursorFor("bucket")
	if err != nil {
		return RingDevicePage{}, err
	}
	var b builder
	b.and("x.tenant = ?", tenant)
	b.and("x.campaign = ?", q.Campaign)
	b.and("x.amendment = ?", q.Amendment)
	b.and("x.position = ?", q.Position)
	if q.Bucket != "" {
		if _, err := oneOf("bucket", q.Bucket, Buckets()); err != nil {
			return RingDevicePage{}, err
		}
		b.and("x.bucket = ?", q.Bucket)
	}
	if after != nil {
		b.and("(x.bucket, x.device) > (?, ?)", after.Text, after.ID)
	}
	rows, err := all(ctx, r, b.list("devices of a ring", ringDeviceHead, "x.bucket, x.device", q.limit()), scanRingDevice)
	if err != nil {
		return RingDevicePage{}, err
	}
	return pageOf(rows, q.limit(), func(d RingDevice) cursor {
		return cursor{Sort: "bucket", Text: d.Bucket, ID: string(d.Device.ID)}
	}), nil
}
