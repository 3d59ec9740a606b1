package view

import (
	"context"
	"database/sql"

	"patchring/internal/core/fleet"
	"patchring/internal/core/procedure"
)

// heldRoles are the roles that at least one active account has.
func (r *Reader) heldRoles(ctx context.Context, tenant fleet.TenantID) (map[string]bool, error) {
	accounts, err := all(ctx, r, ask("roles of accounts", "SELECT a.roles FROM account a WHERE a.tenant = $1 AND a.closed_us = 0", tenant),
		func(rows *sql.Rows) ([]string, error) {
			var text string
			if err := rows.Scan(&text); err != nil {
				return nil, err
			}
			return list[string]("roles", text)
		})
	if err != nil {
		return nil, err
	}
	held := map[string]bool{}
	for _, roles := range accounts {
		for _, role := range roles {
			held[role] = true
		}
	}
	return held, nil
}

const aheadText = ` JOIN campaign c ON c.tenant = g.tenant AND c.id = g.campaign
WHERE g.tenant = $1 AND c.state <> 'closed' AND g.state NOT IN ('promoted', 'done')
ORDER BY g.campaign DESC, g.amendment, g.position LIMIT 200`

// unheld lists the sign-offs of open campaigns, also of rings that have not
// opened, that nobody can give.
func (r *Reader) unheld(ctx context.Context, tenant fleet.TenantID, at contexts) ([]UnheldRole, error) {
	rings, err := all(ctx, r, ask("rings ahead", ringHead+aheadText, tenant), scanRing)
	if err != nil {
		return nil, err
	}
	out := []UnheldRole{}
	for _, g := range rings {
		c, err := at.of(ctx, r, tenant, g.campaign)
		if err != nil {
			return nil, err
		}
		_, asked := slots(c.procedure, g, c.given, at.held)
		for _, slot := range asked {
			if slot.Unheld && slot.Given == nil {
				out = append(out, UnheldRole{
					Campaign: CampaignRef{ID: c.row.ID, Name: c.row.Name}, Amendment: g.amendment, Ring: g.ring.Ring, State: g.ring.State,
					Role: slot.Role, Title: slot.Title,
				})
			}
		}
	}
	return out, nil
}

// contexts are read once for a page: procedures are parsed for it.
type contexts struct {
	held map[string]bool
	by   map[string]gateContext
}

func (c contexts) of(ctx context.Context, r *Reader, tenant fleet.TenantID, id string) (gateContext, error) {
	if known, ok := c.by[id]; ok {
		return known, nil
	}
	read, err := r.gateContext(ctx, tenant, id)
	if err == nil {
		c.by[id] = read
	}
	return read, err
}

// gateContext is what the gates of one campaign are shown with.
type gateContext struct {
	row       CampaignRow
	procedure procedure.Procedure
	given     []signOffOf
}

func (r *Reader) gateContext(ctx context.Context, tenant fleet.TenantID, id string) (gateContext, error) {
	row, err := one(ctx, r, ask("campaign", campaignHead+" WHERE c.tenant = $1 AND c.id = $2", tenant, id), id, scanCampaign)
	if err != nil {
		return gateContext{}, err
	}
	p, err := r.procedureOf(ctx, tenant, row)
	if err != nil {
		return gateContext{}, err
	}
	given, err := r.signOffs(ctx, tenant, id)
	return gateContext{row: row, procedure: p, given: given}, err
}

const gatesText = ` JOIN campaign c ON c.tenant = g.tenant AND c.id = g.campaign
WHERE g.tenant = $1 AND c.state <> 'closed' AND g.state IN ('soaking', 'gate') ORDER BY g.campaign DESC, g.amendment, g.position LIMIT 50`

// gatesWaiting lists the rings that are at their gate, or soak while a
// sign-off can already be given.
func (r *Reader) gatesWaiting(ctx context.Context, tenant fleet.TenantID, at contexts) ([]GateWaiting, error) {
	rings, err := all(ctx, r, ask("gates", ringHead+gatesText, tenant), scanRing)
	if err != nil {
		return nil, err
	}
	out := []GateWaiting{}
	for _, g := range rings {
		c, err := at.of(ctx, r, tenant, g.campaign)
		if err != nil {
			return nil, err
		}
		w := GateWaiting{
			Campaign: CampaignRef{ID: c.row.ID, Name: c.row.Name}, Amendment: g.amendment, Position: g.ring.Position, Ring: g.ring.Ring,
			State: g.ring.State, Verdict: g.ring.Verdict, Reasons: g.ring.Reasons, Numbers: g.ring.Numbers, Missing: []SignOffSlot{},
		}
		_, asked := slots(c.procedure, g, c.given, at.held)
		for _, slot := range asked {
			if slot.Given == nil || !slot.Given.Yes {
				w.Missing = append(w.Missing, slot)
			}
		}
		if w.State == "gate" || len(w.Missing) > 0 {
			out = append(out, w)
		}
	}
	return out, nil
}
