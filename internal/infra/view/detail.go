package view

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/wire"
)

// Device shows one device.
func (r *Reader) Device(ctx context.Context, tenant fleet.TenantID, id fleet.DeviceID) (DeviceDetail, error) {
	c, err := one(ctx, r, ask("device", deviceHead+" WHERE d.tenant = $1 AND d.id = $2", tenant, id), string(id), scanDevice)
	if err != nil {
		return DeviceDetail{}, err
	}
	page, err := r.finishDevices(ctx, tenant, Page[deviceColumns]{Rows: []deviceColumns{c}})
	if err != nil {
		return DeviceDetail{}, err
	}
	out := DeviceDetail{
		DeviceRow: page.Rows[0], MachineID: c.machineID, BootID: c.bootID, Booted: instant(c.bootedUS),
		Lists: instant(c.listsUS), ScanCause: reason(c.scanCause), RetiredWhy: c.retiredWhy, Capability: c.capability,
	}
	var e1, e2, e3, e4, e5, e6, e7, e8, e9 error
	out.Facts, e1 = r.facts(ctx, tenant, id)
	out.Campaigns, e2 = r.deviceCampaigns(ctx, tenant, id)
	out.Order, e3 = r.openOrder(ctx, tenant, id)
	out.Holds, e4 = r.holds(ctx, holdsOfDevice(tenant, id))
	out.Exceptions, e5 = r.exceptionsOfDevice(ctx, tenant, id, out.Groups)
	out.Tasks, e6 = r.openTasks(ctx, tenant, TaskQuery{Device: id})
	out.Reboot, e7 = r.pendingReboot(ctx, tenant, id)
	out.Wake, e8 = r.wake(ctx, tenant, id)
	out.Incidents, e9 = r.openIncidents(ctx, tenant, IncidentQuery{Device: id})
	if err := errors.Join(e1, e2, e3, e4, e5, e6, e7, e8, e9); err != nil {
		return DeviceDetail{}, err
	}
	out.Patches, err = r.missingOf(ctx, tenant, id, out.Campaigns)
	return out, err
}

// part reads and unpacks one stored part; false when there is none.
func (r *Reader) part(ctx context.Context, tenant fleet.TenantID, id fleet.DeviceID, name wire.PartName, v any) (time.Time, bool, error) {
	parts, err := all(ctx, r, ask("part of a device",
		"SELECT p.hash, p.at_us, p.body FROM device_part p WHERE p.tenant = $1 AND p.device = $2 AND p.name = $3", tenant, id, string(name)),
		func(rows *sql.Rows) (wire.Part, error) {
			p := wire.Part{Name: name}
			return p, rows.Scan(&p.Hash, &p.AtUS, &p.Gzip)
		})
	if err != nil || len(parts) == 0 {
		return time.Time{}, false, err
	}
	if err := parts[0].Unpack(v); err != nil {
		return time.Time{}, false, fmt.Errorf("read part of device %s: %w", id, err)
	}
	return instant(parts[0].AtUS), true, nil
}

func (r *Reader) facts(ctx context.Context, tenant fleet.TenantID, id fleet.DeviceID) (*DeviceFacts, error) {
	var f wire.Facts
	at, ok, err := r.part(ctx, tenant, id, wire.PartFacts, &f)
	if err != nil || !ok {
		return nil, err
	}
	return &DeviceFacts{
		Measured: at, Hostname: f.Hostname, OS: f.OS, Hardware: f.Hardware, TimeZone: f.TimeZone,
		Disks: orEmpty(f.Disks), Interfaces: orEmpty(f.Interfaces), RebootSignals: orEmpty(f.RebootSignals),
		Actors: orEmpty(f.Actors), Providers: orEmpty(f.Providers),
	}, nil
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// Software lists what is installed on a device, as it last said.
func (r *Reader) Software(ctx context.Context, tenant fleet.TenantID, id fleet.DeviceID) (Software, error) {
	if _, err := r.FindDevice(ctx, tenant, string(id)); err != nil {
		return Software{}, err
	}
	var inv wire.Inventory
	at, _, err := r.part(ctx, tenant, id, wire.PartInventory, &inv)
	return Software{Measured: at, Provider: inv.Provider, Software: orEmpty(inv.Software)}, err
}

const deviceCampaignsText = `SELECT c.id, c.name, c.state, x.amendment, x.position, coalesce(g.ring, ''), coalesce(g.state, ''), x.goal, x.bucket, x.reason, x.updated_us
FROM campaign_device x
JOIN campaign c ON c.tenant = x.tenant AND c.id = x.campaign
LEFT JOIN campaign_ring g ON g.tenant = x.tenant AND g.campaign = x.campaign AND g.amendment = x.amendment AND g.position = x.position
WHERE x.tenant = $1 AND x.device = $2 ORDER BY c.created_us DESC, x.amendment LIMIT 50`

func (r *Reader) deviceCampaigns(ctx context.Context, tenant fleet.TenantID, id fleet.DeviceID) ([]DeviceCampaign, error) {
	out, err := all(ctx, r, ask("campaigns of a device", deviceCampaignsText, tenant, id), func(rows *sql.Rows) (DeviceCampaign, error) {
		c := DeviceCampaign{Items: []DeviceItem{}}
		var why string
		var updatedUS int64
		err := rows.Scan(&c.Campaign.ID, &c.Campaign.Name, &c.State, &c.Amendment, &c.Position, &c.Ring, &c.RingState, &c.Goal, &c.Bucket, &why, &updatedUS)
		c.Reason, c.Updated = reason(why), instant(updatedUS)
		return c, err
	})
	if err != nil {
		return nil, err
	}
	items, err := r.deviceItems(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	for i := range out {
		if of := items[itemsOf{out[i].Campaign.ID, out[i].Amendment}]; of != nil {
			out[i].Items = of
		}
	}
	return out, nil
}

type itemsOf struct {
	campaign  string
	amendment int64
}

const deviceItemsText = `SELECT x.campaign, x.amendment, x.item, i.name, i.version, x.state, x.reason, x.attempts, x.no_effects, x.rollback, x.packages, x.next_us, x.updated_us
FROM campaign_device_item x
JOIN campaign_item i ON i.tenant = x.tenant AND i.campaign = x.campaign AND i.id = x.item
WHERE x.tenant = $1 AND x.device = $2 ORDER BY i.name, i.version`

func (r *Reader) deviceItems(ctx context.Context, tenant fleet.TenantID, id fleet.DeviceID) (map[itemsOf][]DeviceItem, error) {
	out := map[itemsOf][]DeviceItem{}
	_, err := all(ctx, r, ask("items of a device", deviceItemsText, tenant, id), func(rows *sql.Rows) (struct{}, error) {
		var it DeviceItem
		var of itemsOf
		var why, packages string
		var rollback, nextUS, updatedUS int64
		err := rows.Scan(&of.campaign, &of.amendment, &it.Patch.ID, &it.Patch.Name, &it.Patch.Version, &it.State, &why, &it.Attempts, &it.NoEffects, &rollback, &packages, &nextUS, &updatedUS)
		if err != nil {
			return struct{}{}, err
		}
		it.Reason, it.Rollback, it.Next, it.Updated = reason(why), rollback != 0, instant(nextUS), instant(updatedUS)
		it.Packages, err = changes(packages)
		out[of] = append(out[of], it)
		return struct{}{}, err
	})
	return out, err
}

const openOrderText = `SELECT o.id, o.serial, o.campaign, coalesce(c.name, ''), o.kind, o.step, o.step_us, o.cause, o.next_us, o.issued_us, o.expires_us
FROM device_order o LEFT JOIN campaign c ON c.tenant = o.tenant AND c.id = o.campaign
WHERE o.tenant = $1 AND o.device = $2 AND o.state = 'open' ORDER BY CASE WHEN o.campaign = '' THEN 1 ELSE 0 END, o.serial DESC LIMIT 1`

func (r *Reader) openOrder(ctx context.Context, tenant fleet.TenantID, id fleet.DeviceID) (*OpenOrder, error) {
	orders, err := all(ctx, r, ask("open order", openOrderText, tenant, id), func(rows *sql.Rows) (OpenOrder, error) {
		var o OpenOrder
		var cause string
		var stepUS, nextUS, issuedUS, expiresUS int64
		err := rows.Scan(&o.ID, &o.Serial, &o.Campaign.ID, &o.Campaign.Name, &o.Kind, &o.Step, &stepUS, &cause, &nextUS, &issuedUS, &expiresUS)
		o.StepAt, o.Cause, o.Next, o.Issued, o.Expires = instant(stepUS), reason(cause), instant(nextUS), instant(issuedUS), instant(expiresUS)
		return o, err
	})
	if err != nil || len(orders) == 0 {
		return nil, err
	}
	return &orders[0], nil
}

const pendingRebootText = `SELECT p.since_us, p.signals, p.survived, p.last, p.reason, p.next_us, p.starts_us
FROM pending_reboot p JOIN device d ON d.tenant = p.tenant AND d.id = p.device
WHERE p.tenant = $1 AND p.device = $2 AND d.reboot_pending = 1 AND d.retired_us = 0`

func (r *Reader) pendingReboot(ctx context.Context, tenant fleet.TenantID, id fleet.DeviceID) (*PendingReboot, error) {
	list, err := all(ctx, r, ask("pending reboot", pendingRebootText, tenant, id), func(rows *sql.Rows) (PendingReboot, error) {
		var p PendingReboot
		var signals, last, why string
		var sinceUS, nextUS, startsUS int64
		if err := rows.Scan(&sinceUS, &signals, &p.Survived, &last, &why, &nextUS, &startsUS); err != nil {
			return p, err
		}
		p.Since, p.Last, p.Reason, p.Next, p.Starts = instant(sinceUS), reason(last), reason(why), instant(nextUS), instant(startsUS)
		return p, json.Unmarshal([]byte(signals), &p.Signals)
	})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

const wakeText = `SELECT CASE WHEN d.seen_us <= w.decided_us THEN w.reason ELSE '' END, w.asked_us, w.asked_of, w.heard_us
FROM device_wake w JOIN device d ON d.tenant = w.tenant AND d.id = w.device
JOIN device_order o ON o.tenant = w.tenant AND o.id = w.order_id AND o.state = 'open'
WHERE w.tenant = $1 AND w.device = $2 AND d.retired_us = 0`

// wake is where the device stands with waking, for the order that it has.
func (r *Reader) wake(ctx context.Context, tenant fleet.TenantID, id fleet.DeviceID) (*Wake, error) {
	list, err := all(ctx, r, ask("waking of a device", wakeText, tenant, id), func(rows *sql.Rows) (Wake, error) {
		var w Wake
		var why, by string
		var askedUS, heardUS int64
		if err := rows.Scan(&why, &askedUS, &by, &heardUS); err != nil {
			return w, err
		}
		w.Reason, w.Asked, w.Woken = reason(why), instant(askedUS), instant(heardUS)
		return w, json.Unmarshal([]byte(by), &w.By)
	})
	if err != nil || len(list) == 0 || list[0].Reason == nil && list[0].Woken.IsZero() {
		return nil, err
	}
	return &list[0], nil
}

const missingText = `SELECT p.id, p.provider, p.name, p.version, p.suite, p.class, m.state, m.state_detail, m.packages, m.since_us
FROM missing m JOIN patch p ON p.tenant = m.tenant AND p.id = m.patch
WHERE m.tenant = $1 AND m.device = $2 ORDER BY CASE p.class WHEN 'security' THEN 0 ELSE 1 END, p.name, p.id`

func (r *Reader) missingOf(ctx context.Context, tenant fleet.TenantID, id fleet.DeviceID, campaigns []DeviceCampaign) ([]MissingPatch, error) {
	var keys []patch.Key
	out, err := all(ctx, r, ask("missing patches of a device", missingText, tenant, id), func(rows *sql.Rows) (MissingPatch, error) {
		m := MissingPatch{State: patch.Applicable}
		var k patch.Key
		var packages string
		var sinceUS int64
		err := rows.Scan(&m.Patch.ID, &k.Provider, &k.Name, &k.Version, &k.Suite, &m.Class, &m.Offer, &m.OfferDetail, &packages, &sinceUS)
		if err != nil {
			return m, err
		}
		m.Patch.Name, m.Patch.Version, m.Since = k.Name, k.Version, instant(sinceUS)
		keys = append(keys, k)
		m.Packages, err = changes(packages)
		return m, err
	})
	if err != nil {
		return nil, err
	}
	decided, err := r.decisionsOn(ctx, tenant, keys)
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i].Decision = decided.inForce(keys[i], r.now())
		out[i].carriedBy(campaigns)
	}
	return out, nil
}

// carriedBy fills in where an open campaign stands with the patch; campaigns
// are newest first, and the newest that carries it is the one to speak of.
func (m *MissingPatch) carriedBy(campaigns []DeviceCampaign) {
	for _, c := range campaigns {
		if c.State == stateClosed {
			continue
		}
		for _, it := range c.Items {
			if it.Patch.ID != m.Patch.ID {
				continue
			}
			ref := c.Campaign
			m.Campaign, m.State, m.Reason, m.Attempts = &ref, it.State, it.Reason, it.Attempts
			m.Next = earliest(it.Next, promised(it.Reason))
			return
		}
	}
}

// stateClosed is the state of a campaign that is over.
const stateClosed = "closed"

func holdsOfDevice(tenant fleet.TenantID, id fleet.DeviceID) *builder {
	var b builder
	b.and("h.tenant = ?", tenant)
	b.and("h.lifted_us = 0")
	b.and("(h.device = ? OR h.device = '')", id)
	b.and("(h.campaign = '' OR h.campaign IN (SELECT x.campaign FROM campaign_device x WHERE x.tenant = ? AND x.device = ?))", tenant, id)
	return &b
}

const holdHead = `SELECT h.id, h.campaign, coalesce(c.name, ''), h.ring, h.item, coalesce(p.name, ''), coalesce(p.version, ''),
  h.device, coalesce(d.name, ''), h.reason, h.actor, h.placed_us FROM hold h
LEFT JOIN campaign c ON c.tenant = h.tenant AND c.id = h.campaign
LEFT JOIN patch p ON p.tenant = h.tenant AND p.id = h.item
LEFT JOIN device d ON d.tenant = h.tenant AND d.id = h.device`

func (r *Reader) holds(ctx context.Context, where *builder) ([]HoldRow, error) {
	return all(ctx, r, where.every("holds", holdHead, "h.placed_us DESC, h.id"), func(rows *sql.Rows) (HoldRow, error) {
		var h HoldRow
		var c CampaignRef
		var p PatchRef
		var d DeviceRef
		var placedUS int64
		err := rows.Scan(&h.ID, &c.ID, &c.Name, &h.Ring, &p.ID, &p.Name, &p.Version, &d.ID, &d.Name, &h.Reason, &h.Actor, &placedUS)
		h.Placed = instant(placedUS)
		if c.ID != "" {
			h.Campaign = &c
		}
		if p.ID != "" {
			h.Patch = &p
		}
		if d.ID != "" {
			h.Device = &d
		}
		return h, err
	})
}
