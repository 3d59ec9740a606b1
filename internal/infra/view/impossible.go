package view

import (
	"context"
	"database/sql"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	"patchring/wire"
)

const impossibleHead = `SELECT c.id, c.name, coalesce(g.ring, ''), x.device, d.name, x.item, i.name, i.version, x.state, x.packages, x.updated_us
FROM campaign_device_item x
JOIN campaign c ON c.tenant = x.tenant AND c.id = x.campaign
JOIN campaign_item i ON i.tenant = x.tenant AND i.campaign = x.campaign AND i.id = x.item
JOIN device d ON d.tenant = x.tenant AND d.id = x.device
LEFT JOIN campaign_device m ON m.tenant = x.tenant AND m.campaign = x.campaign AND m.amendment = x.amendment AND m.device = x.device
LEFT JOIN campaign_ring g ON g.tenant = m.tenant AND g.campaign = m.campaign AND g.amendment = m.amendment AND g.position = m.position`

// ImpossibleRollbacks lists what could not be put back, by campaign, device
// and patch. Each campaign that has some is asked by itself: an index holds
// nothing but these rows, and those of years of closed campaigns too.
func (r *Reader) ImpossibleRollbacks(ctx context.Context, tenant fleet.TenantID, q ImpossibleQuery) (ImpossiblePage, error) {
	after, err := q.cursorFor("impossible")
	if err != nil {
		return ImpossiblePage{}, err
	}
	campaigns, err := r.withImpossible(ctx, tenant, q.Campaign, after)
	if err != nil {
		return ImpossiblePage{}, err
	}
	out := []ImpossibleRollback{}
	for _, id := range campaigns {
		var b builder
		b.and("x.tenant = ?", tenant)
		b.and("x.campaign = ?", id)
		b.and("x.rollback_impossible = 1")
		if after != nil && after.Provider == id {
			b.and("(x.device, x.item) > (?, ?)", after.Text, after.ID)
		}
		rows, err := all(ctx, r, b.list("impossible rollbacks", impossibleHead, "x.device, x.item", q.limit()-len(out)), scanImpossible)
		if err != nil {
			return ImpossiblePage{}, err
		}
		if out = append(out, rows...); len(out) > q.limit() {
			break
		}
	}
	return pageOf(out, q.limit(), func(i ImpossibleRollback) cursor {
		return cursor{Sort: "impossible", Provider: i.Campaign.ID, Text: string(i.Device.ID), ID: string(i.Patch.ID)}
	}), nil
}

// withImpossible are the campaigns to list from: the one asked for, or those
// that are open and whose rings count some.
func (r *Reader) withImpossible(ctx context.Context, tenant fleet.TenantID, only string, after *cursor) ([]string, error) {
	if only != "" {
		return []string{only}, nil
	}
	var b builder
	b.and("c.tenant = ?", tenant)
	b.and("c.state <> 'closed'")
	b.and("c.origin <> 'rollback'") // those are counted where they were installed
	b.and("EXISTS (SELECT 1 FROM campaign_ring g WHERE g.tenant = c.tenant AND g.campaign = c.id AND g.rollback_impossible > 0)")
	if after != nil {
		b.and("c.id >= ?", after.Provider)
	}
	return all(ctx, r, b.every("campaigns", "SELECT c.id FROM campaign c", "c.id"), func(rows *sql.Rows) (string, error) {
		var id string
		return id, rows.Scan(&id)
	})
}

func scanImpossible(rows *sql.Rows) (ImpossibleRollback, error) {
	var i ImpossibleRollback
	var packages string
	var updatedUS int64
	err := rows.Scan(&i.Campaign.ID, &i.Campaign.Name, &i.Ring, &i.Device.ID, &i.Device.Name, &i.Patch.ID, &i.Patch.Name, &i.Patch.Version,
		&i.State, &packages, &updatedUS)
	if err != nil {
		return i, err
	}
	i.Updated = instant(updatedUS)
	kept, err := list[wire.Change]("packages", packages)
	if err != nil {
		return i, err
	}
	i.Reason, _ = campaign.CannotGoBack(kept) // the row's flag says that there is one
	return i, nil
}

// countImpossible adds up the rings' own counts.
func (r *Reader) countImpossible(ctx context.Context, tenant fleet.TenantID) (int64, error) {
	return r.count(ctx, ask("impossible rollbacks", `SELECT coalesce(sum(g.rollback_impossible), 0) FROM campaign c
JOIN campaign_ring g ON g.tenant = c.tenant AND g.campaign = c.id WHERE c.tenant = $1 AND c.state <> 'closed' AND c.origin <> 'rollback'`, tenant))
}
