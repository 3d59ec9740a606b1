package view

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
	"patchring/internal/core/procedure"
)

// boardEvents and boardDevices bound what a board shows beside its numbers.
const (
	boardEvents  = 20
	boardDevices = 4
)

// Board reads a campaign's board. Its cost follows the campaign's rings and
// items, never its devices.
func (r *Reader) Board(ctx context.Context, tenant fleet.TenantID, id string) (Board, error) {
	row, err := one(ctx, r, ask("campaign", campaignHead+" WHERE c.tenant = $1 AND c.id = $2", tenant, id), id, scanCampaign)
	if err != nil {
		return Board{}, err
	}
	b := Board{Campaign: row, At: r.now()}
	var rings []ringOf
	var items []itemOf
	var given []signOffOf
	var e1, e2, e3, e4, e5, e6, e7, e8 error
	b.Amendments, e1 = r.amendments(ctx, tenant, id)
	rings, e2 = all(ctx, r, ask("rings", ringHead+" WHERE g.tenant = $1 AND g.campaign = $2 ORDER BY g.amendment, g.position", tenant, id), scanRing)
	items, e3 = r.items(ctx, tenant, id)
	given, e4 = r.signOffs(ctx, tenant, id)
	b.Holds, e5 = r.holds(ctx, holdsOfCampaign(tenant, id))
	var events EventPage
	events, e6 = r.Events(ctx, tenant, EventQuery{Campaign: id, Paging: Paging{Limit: boardEvents}})
	b.Events = events.Rows
	b.Tasks, e7 = r.openTasks(ctx, tenant, TaskQuery{Campaign: id})
	b.Incidents, e8 = r.openIncidents(ctx, tenant, IncidentQuery{Campaign: id})
	if err := errors.Join(e1, e2, e3, e4, e5, e6, e7, e8); err != nil {
		return Board{}, err
	}
	p, err := r.procedureOf(ctx, tenant, row)
	if err != nil {
		return Board{}, err
	}
	b.Title = p.Title
	if p.Zone != nil {
		b.Zone = p.Zone.String()
	}
	if b.Emergency, err = r.emergency(ctx, tenant, row, p, given); err != nil {
		return Board{}, err
	}
	held, err := r.heldRoles(ctx, tenant)
	if err != nil {
		return Board{}, err
	}
	b.put(p, rings, items, given, held)
	if err := r.addRollbacks(ctx, tenant, &b); err != nil {
		return Board{}, err
	}
	return b, r.addSamples(ctx, tenant, &b)
}

// procedureOf is the procedure a campaign runs by; empty when this program
// cannot read its text any more.
func (r *Reader) procedureOf(ctx context.Context, tenant fleet.TenantID, c CampaignRow) (procedure.Procedure, error) {
	text, err := one(ctx, r, ask("procedure", "SELECT v.body FROM procedure_version v WHERE v.tenant = $1 AND v.name = $2 AND v.version = $3",
		tenant, c.Procedure, c.ProcedureVersion), c.Procedure, func(rows *sql.Rows) (string, error) {
		var body string
		return body, rows.Scan(&body)
	})
	if err != nil {
		return procedure.Procedure{}, err
	}
	p, err := procedure.Parse(c.Procedure, []byte(text))
	if err != nil {
		return procedure.Procedure{}, nil //nolint:nilerr // shown without titles rather than not at all
	}
	return p, nil
}

func (r *Reader) amendments(ctx context.Context, tenant fleet.TenantID, id string) ([]BoardAmendment, error) {
	return all(ctx, r, ask("amendments", `SELECT a.number, a.reason, a.actor, a.created_us FROM campaign_amendment a
WHERE a.tenant = $1 AND a.campaign = $2 ORDER BY a.number`, tenant, id), func(rows *sql.Rows) (BoardAmendment, error) {
		a := BoardAmendment{Items: []BoardItem{}, Rings: []BoardRing{}}
		var createdUS int64
		err := rows.Scan(&a.Number, &a.Reason, &a.Actor, &createdUS)
		a.Created = instant(createdUS)
		return a, err
	})
}

const itemColumns = `i.id, i.amendment, i.provider, i.name, i.version, i.suite, i.promoted, coalesce(g.ring, ''), i.withdrawn_us, i.withdrawn_by, i.withdrawn_reason`

const itemsText = `SELECT ` + itemColumns + ` FROM campaign_item i
LEFT JOIN campaign_ring g ON g.tenant = i.tenant AND g.campaign = i.campaign AND g.amendment = i.amendment AND g.position = i.promoted
WHERE i.tenant = $1 AND i.campaign = $2 ORDER BY i.amendment, i.name, i.version`

// itemScan reads itemColumns.
type itemScan struct {
	BoardItem
	amendment   int64
	withdrawnUS int64
	by, why     string
}

func (s *itemScan) into() []any {
	return []any{&s.Patch.ID, &s.amendment, &s.Provider, &s.Patch.Name, &s.Patch.Version, &s.Suite, &s.Promoted, &s.Ring, &s.withdrawnUS, &s.by, &s.why}
}

func (s *itemScan) item() BoardItem {
	if s.withdrawnUS > 0 {
		s.Withdrawn = &Withdrawn{At: instant(s.withdrawnUS), By: s.by, Reason: s.why}
	}
	return s.BoardItem
}

type itemOf struct {
	amendment int64
	item      BoardItem
}

func (r *Reader) items(ctx context.Context, tenant fleet.TenantID, id string) ([]itemOf, error) {
	return all(ctx, r, ask("items", itemsText, tenant, id), func(rows *sql.Rows) (itemOf, error) {
		var s itemScan
		err := rows.Scan(s.into()...)
		return itemOf{s.amendment, s.item()}, err
	})
}

type signOffOf struct {
	amendment, position int64
	signOff             SignOff
}

func (r *Reader) signOffs(ctx context.Context, tenant fleet.TenantID, campaign string) ([]signOffOf, error) {
	return all(ctx, r, ask("sign-offs", `SELECT s.amendment, s.position, s.role, s.decision, s.comment, s.ticked, s.actor, s.at_us FROM sign_off s
WHERE s.tenant = $1 AND s.campaign = $2 ORDER BY s.at_us, s.id`, tenant, campaign), func(rows *sql.Rows) (signOffOf, error) {
		var s signOffOf
		var decision, ticked string
		var atUS int64
		err := rows.Scan(&s.amendment, &s.position, &s.signOff.Role, &decision, &s.signOff.Comment, &ticked, &s.signOff.Actor, &atUS)
		if err != nil {
			return s, err
		}
		s.signOff.Yes, s.signOff.At = decision == "yes", instant(atUS)
		s.signOff.Ticked, err = list[int]("ticked", ticked)
		return s, err
	})
}

func holdsOfCampaign(tenant fleet.TenantID, id string) *builder {
	var b builder
	b.and("h.tenant = ?", tenant)
	b.and("h.campaign IN (?, '')", id)
	b.and("h.lifted_us = 0")
	return &b
}

// put sorts rings, items and sign-offs under their amendments.
func (b *Board) put(p procedure.Procedure, rings []ringOf, items []itemOf, given []signOffOf, held map[string]bool) {
	at := map[int64]*BoardAmendment{}
	for i := range b.Amendments {
		at[b.Amendments[i].Number] = &b.Amendments[i]
	}
	for _, it := range items {
		if a := at[it.amendment]; a != nil {
			a.Items = append(a.Items, it.item)
		}
	}
	for _, g := range rings {
		g.undo = campaign.Origin(b.Campaign.Origin) == campaign.ByRollback // evidence alone
		if g.amendment == 0 {
			b.Campaign.Rings = append(b.Campaign.Rings, g.ring.RingBrief)
		}
		a := at[g.amendment]
		if a == nil {
			continue
		}
		ring := g.ring
		ring.Title, ring.SignOffs = slots(p, g, given, held)
		ring.Held = slices.ContainsFunc(b.Holds, func(h HoldRow) bool {
			return h.Patch == nil && h.Device == nil && (h.Ring == "" || h.Ring == ring.Ring)
		})
		a.Rings = append(a.Rings, ring)
	}
}

// slots are the sign-offs that the ring's gate asks for, each with the last
// word its role gave; held are the roles that somebody has.
func slots(p procedure.Procedure, g ringOf, given []signOffOf, held map[string]bool) (manifest.Text, []SignOffSlot) {
	i := slices.IndexFunc(p.Rings, func(ring procedure.Ring) bool { return ring.Name == g.ring.Ring })
	if i < 0 {
		return manifest.Text{}, []SignOffSlot{}
	}
	if g.undo {
		return p.Rings[i].Title, []SignOffSlot{}
	}
	return p.Rings[i].Title, slotsOf(p.Rings[i].Gate.SignOffs, g.amendment, g.ring.Position, given, held)
}

func slotsOf(rules []procedure.SignOffRule, amendment, position int64, given []signOffOf, held map[string]bool) []SignOffSlot {
	out := []SignOffSlot{}
	for _, rule := range rules {
		slot := SignOffSlot{Role: rule.Role, Title: rule.Title, Checklist: orEmpty(rule.Checklist), Unheld: !held[rule.Role]}
		for _, s := range given { // oldest first
			if s.amendment == amendment && s.position == position && s.signOff.Role == rule.Role {
				slot.Given = &s.signOff
			}
		}
		out = append(out, slot)
	}
	return out
}

// addSamples gives each ring a few devices: failed ones first, because they
// are what somebody must look at.
func (r *Reader) addSamples(ctx context.Context, tenant fleet.TenantID, b *Board) error {
	for i := range b.Amendments {
		for j := range b.Amendments[i].Rings {
			ring := &b.Amendments[i].Rings[j]
			counts := []struct {
				bucket campaign.Bucket
				n      int64
			}{{campaign.Failed, ring.Numbers.Failed}, {campaign.NotReached, ring.Numbers.NotReached}, {campaign.Unreachable, ring.Numbers.Unreachable}, {campaign.Done, ring.Numbers.Done}}
			for _, c := range counts {
				left := boardDevices - len(ring.Devices)
				if c.n == 0 || left <= 0 {
					continue
				}
				page, err := r.RingDevices(ctx, tenant, RingDevicesQuery{
					Campaign: b.Campaign.ID, Amendment: b.Amendments[i].Number, Position: ring.Position,
					Bucket: string(c.bucket), Paging: Paging{Limit: left},
				})
				if err != nil {
					return err
				}
				ring.Devices = append(ring.Devices, page.Rows...)
			}
		}
	}
	return nil
}
