package view

import (
	"context"
	"database/sql"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	"patchring/wire"
)

// BoardRollback says what a rollback undoes, and who asked for it.
type BoardRollback struct {
	Undoes CampaignRef `json:"undoes"`
	Ring   string      `json:"ring,omitempty"` // of that campaign; empty: all of them
	Device *DeviceRef  `json:"device,omitempty"`
	Patch  *PatchRef   `json:"patch,omitempty"`
	Reason string      `json:"reason"`
	By     string      `json:"by"`
	ByRing bool        `json:"by_ring"` // a ring begins when the one before it has passed
}

// RollbackRef is a rollback of a campaign, as that campaign's board names it.
type RollbackRef struct {
	CampaignRef
	State  string `json:"state"`
	Reason string `json:"reason"`
}

// addRollbacks completes a board with what it undoes, or what undoes it and how
// ready its patches are to go back.
func (r *Reader) addRollbacks(ctx context.Context, tenant fleet.TenantID, b *Board) (err error) {
	if campaign.Origin(b.Campaign.Origin) == campaign.ByRollback {
		b.Rollbacks = []RollbackRef{}
		b.Rollback, err = r.rollback(ctx, tenant, b.Campaign.ID)
		return err
	}
	if b.Rollbacks, err = r.rollbacksOf(ctx, tenant, b.Campaign.ID); err != nil {
		return err
	}
	return r.addReadiness(ctx, tenant, b)
}

func (r *Reader) rollback(ctx context.Context, tenant fleet.TenantID, id string) (*BoardRollback, error) {
	out, err := one(ctx, r, ask("rollback", `SELECT c.id, c.name, r.ring, r.device, coalesce(d.name, ''), r.item, coalesce(p.name, ''), coalesce(p.version, ''),
  r.reason, r.asked_by, r.by_ring
FROM campaign_rollback r JOIN campaign c ON c.tenant = r.tenant AND c.id = r.undoes
LEFT JOIN device d ON d.tenant = r.tenant AND d.id = r.device LEFT JOIN patch p ON p.tenant = r.tenant AND p.id = r.item
WHERE r.tenant = $1 AND r.campaign = $2`, tenant, id), id, func(rows *sql.Rows) (BoardRollback, error) {
		var b BoardRollback
		var d DeviceRef
		var p PatchRef
		var byRing int64
		err := rows.Scan(&b.Undoes.ID, &b.Undoes.Name, &b.Ring, &d.ID, &d.Name, &p.ID, &p.Name, &p.Version, &b.Reason, &b.By, &byRing)
		if d.ID != "" {
			b.Device = &d
		}
		if p.ID != "" {
			b.Patch = &p
		}
		b.ByRing = byRing == 1
		return b, err
	})
	return &out, err
}

func (r *Reader) rollbacksOf(ctx context.Context, tenant fleet.TenantID, id string) ([]RollbackRef, error) {
	return all(ctx, r, ask("rollbacks", `SELECT c.id, c.name, c.state, r.reason FROM campaign_rollback r
JOIN campaign c ON c.tenant = r.tenant AND c.id = r.campaign WHERE r.tenant = $1 AND r.undoes = $2 ORDER BY r.campaign`, tenant, id),
		func(rows *sql.Rows) (RollbackRef, error) {
			var ref RollbackRef
			return ref, rows.Scan(&ref.ID, &ref.Name, &ref.State, &ref.Reason)
		})
}

// wayBack is what the devices of the first ring, and those that cannot put it
// back, know of one item.
type wayBack struct {
	item                             string
	installed, rehearsed, impossible int
	backUS                           int64
	packages                         string // of one that cannot
}

// addReadiness reads the first ring and what is impossible: never the fleet.
func (r *Reader) addReadiness(ctx context.Context, tenant fleet.TenantID, b *Board) error {
	of := map[string]wayBack{}
	first, err := all(ctx, r, ask("rehearsals", `SELECT i.item, count(*), sum(CASE WHEN i.rehearsal = 'done' THEN 1 ELSE 0 END),
  max(CASE WHEN i.rehearsal = 'done' THEN i.rehearsal_back_us ELSE 0 END)
FROM campaign_amendment a CROSS JOIN campaign_device c CROSS JOIN campaign_device_item i
WHERE a.tenant = $1 AND a.campaign = $2 AND c.tenant = a.tenant AND c.campaign = a.campaign AND c.amendment = a.number AND c.position = 0 AND i.tenant = c.tenant AND i.campaign = c.campaign AND i.device = c.device AND i.amendment = c.amendment
  AND i.packages <> '[]' AND (i.rehearsal <> '' OR i.state IN ('verified', 'installed_pending_reboot')) GROUP BY i.item`, tenant, b.Campaign.ID),
		func(rows *sql.Rows) (wayBack, error) {
			var n wayBack
			return n, rows.Scan(&n.item, &n.installed, &n.rehearsed, &n.backUS)
		})
	if err != nil {
		return err
	}
	for _, n := range first {
		of[n.item] = n
	}
	stuck, err := all(ctx, r, ask("items that cannot go back", `SELECT i.item, count(*), max(i.packages) FROM campaign_device_item i
WHERE i.tenant = $1 AND i.campaign = $2 AND i.rollback_impossible = 1 GROUP BY i.item`, tenant, b.Campaign.ID), func(rows *sql.Rows) (wayBack, error) {
		var n wayBack
		return n, rows.Scan(&n.item, &n.impossible, &n.packages)
	})
	if err != nil {
		return err
	}
	for _, n := range stuck {
		known := of[n.item]
		known.impossible, known.packages = n.impossible, n.packages
		of[n.item] = known
	}
	for a := range b.Amendments {
		for i := range b.Amendments[a].Items {
			if err := b.Amendments[a].Items[i].ready(of); err != nil {
				return err
			}
		}
	}
	return nil
}

func (it *BoardItem) ready(of map[string]wayBack) error {
	n, known := of[string(it.Patch.ID)]
	if !known {
		return nil
	}
	it.Rollback = campaign.ReadinessOf(n.installed, n.impossible, n.rehearsed)
	it.RollbackS, it.RollbackImpossible = int64((time.Duration(n.backUS)*time.Microsecond+time.Second-1)/time.Second), int64(n.impossible)
	if n.impossible == 0 {
		return nil
	}
	kept, err := list[wire.Change]("packages", n.packages)
	if err != nil {
		return err
	}
	if why, cannot := campaign.CannotGoBack(kept); cannot {
		it.RollbackWhy = &why
	}
	return nil
}
