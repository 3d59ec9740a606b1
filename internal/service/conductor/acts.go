package conductor

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// act runs what an operator asked of one campaign in one transaction, lets the
// campaign and its devices be decided again, and wakes the loop.
func (c *Conductor) act(ctx context.Context, tenant fleet.TenantID, ref string, f func(*store.Tx, *scene) error) error {
	err := c.DB.Write(ctx, func(tx *store.Tx) error {
		row, err := find(ctx, tx.Queries, tenant, ref)
		if err != nil {
			return err
		}
		if row.State == string(campaign.Closed) {
			return fault.New(fault.CampaignClosed)
		}
		s, err := c.scene(ctx, tx.Queries, row)
		if err != nil {
			return err
		}
		if err := f(tx, s); err != nil {
			return err
		}
		return tx.TouchCampaign(ctx, row.Tenant, row.ID)
	})
	if err != nil {
		return err
	}
	c.Wake()
	return nil
}

// find resolves a campaign by its id or its name.
func find(ctx context.Context, q *gen.Queries, tenant fleet.TenantID, ref string) (gen.Campaign, error) {
	row, err := q.Campaign(ctx, string(tenant), ref)
	if store.IsNone(err) {
		row, err = q.CampaignByName(ctx, string(tenant), ref)
	}
	if store.IsNone(err) {
		return row, fault.New(fault.NotFound, "what", "campaign", "name", ref)
	}
	if err != nil {
		return row, fmt.Errorf("read campaign %s: %w", ref, err)
	}
	return row, nil
}

// ringRow finds a ring of an amendment by its name.
func (s *scene) ringRow(amendment int, name string) (gen.CampaignRing, error) {
	var known []string
	for _, r := range s.rings {
		if r.Amendment != int64(amendment) {
			continue
		}
		if strings.EqualFold(r.Ring, name) {
			return r, nil
		}
		known = append(known, r.Ring)
	}
	return gen.CampaignRing{}, fault.New(fault.InvalidField, "field", "ring", "problem", "not_a_choice", "fix", strings.Join(known, ", "))
}

func needReason(reason string) error {
	if strings.TrimSpace(reason) == "" {
		return fault.New(fault.ReasonRequired)
	}
	return nil
}

// Hold places a stop and tells every agent at once. It returns the hold's id.
func (c *Conductor) Hold(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.PlaceHold) (id string, err error) {
	if err := needReason(ask.Reason); err != nil {
		return "", err
	}
	err = c.act(ctx, tenant, ask.Campaign, func(tx *store.Tx, s *scene) error {
		id, err = c.placeHold(ctx, tx, s, by, ask)
		return err
	})
	return id, err
}

// HoldIn is Hold in the transaction of whoever has the reason: both are there
// after a crash, or neither. The caller calls done after its commit.
func (c *Conductor) HoldIn(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, by register.Actor, ask campaign.PlaceHold) (id string, done func(), err error) {
	row, err := find(ctx, tx.Queries, tenant, ask.Campaign)
	if err != nil {
		return "", nil, err
	}
	if row.State == string(campaign.Closed) {
		return "", nil, fault.New(fault.CampaignClosed)
	}
	s, err := c.scene(ctx, tx.Queries, row)
	if err != nil {
		return "", nil, err
	}
	if id, err = c.placeHold(ctx, tx, s, by, ask); err != nil {
		return "", nil, err
	}
	return id, c.Wake, tx.TouchCampaign(ctx, row.Tenant, row.ID)
}

func (c *Conductor) placeHold(ctx context.Context, tx *store.Tx, s *scene, by register.Actor, ask campaign.PlaceHold) (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make a hold id: %w", err)
	}
	ring := ask.Ring
	if ring != "" {
		row, err := s.ringRow(0, ring)
		if err != nil {
			return "", err
		}
		ring = row.Ring
	}
	if err := s.knows(ctx, tx, ask); err != nil {
		return "", err
	}
	now := c.Clock().UnixMicro()
	err = tx.AddHold(ctx, gen.AddHoldParams{
		Tenant: s.row.Tenant, ID: id.String(), Campaign: s.row.ID, Ring: ring, Item: string(ask.Patch), Device: string(ask.Device),
		Reason: ask.Reason, Actor: string(by), PlacedUs: now,
	})
	if err != nil {
		return "", fmt.Errorf("place hold: %w", err)
	}
	c.record(tx, s, register.Entry{
		Kind: register.HoldPlaced, Actor: by, Ring: ring, Patch: string(ask.Patch), Device: string(ask.Device),
		Detail: map[string]any{"hold": id.String(), "why": ask.Reason},
	})
	return id.String(), c.holdsChanged(ctx, tx, s)
}

// knows refuses a hold on something the campaign does not have: it would look
// like a stop and stop nothing.
func (s *scene) knows(ctx context.Context, tx *store.Tx, ask campaign.PlaceHold) error {
	if ask.Patch != "" && !slices.ContainsFunc(s.items, func(i campaign.Item) bool { return i.ID == ask.Patch }) {
		return fault.New(fault.NotFound, "what", "patch", "name", string(ask.Patch))
	}
	if ask.Device == "" {
		return nil
	}
	rows, err := tx.CampaignDevicesIn(ctx, gen.CampaignDevicesInParams{Tenant: s.row.Tenant, Campaign: s.row.ID, Device: string(ask.Device)})
	if err != nil {
		return fmt.Errorf("read device of the campaign: %w", err)
	}
	if len(rows) == 0 {
		return fault.New(fault.NotFound, "what", "device", "name", string(ask.Device))
	}
	return nil
}

// holdsChanged signs the whole set of holds in force, sends it to all, and lets
// every device of the campaign be decided again.
func (c *Conductor) holdsChanged(ctx context.Context, tx *store.Tx, s *scene) error {
	tenant := fleet.TenantID(s.row.Tenant)
	list, err := holds(ctx, tx.Queries, s.row.Tenant)
	if err != nil {
		return err
	}
	serial, err := tx.NextHoldsSerial(ctx, s.row.Tenant)
	if err != nil {
		return fmt.Errorf("take a holds serial: %w", err)
	}
	now := c.Clock().UnixMicro()
	message := wire.Holds{Tenant: s.row.Tenant, Serial: serial, IssuedUS: now}
	for _, h := range list {
		message.Holds = append(message.Holds, wire.Hold{
			ID: h.ID, Campaign: string(h.Campaign), Ring: h.Ring, Item: h.Item, Device: h.Device, By: h.Actor, Reason: h.Reason,
		})
	}
	envelope, err := c.seal(tenant, wire.EnvelopeHolds, message)
	if err != nil {
		return err
	}
	text, err := json.Marshal(envelope)
	if err != nil {
		return fmt.Errorf("encode holds: %w", err)
	}
	if err := tx.SetHolds(ctx, string(text), s.row.Tenant); err != nil {
		return fmt.Errorf("keep holds: %w", err)
	}
	if _, err := tx.TouchCampaignDevices(ctx, s.row.Tenant, s.row.ID); err != nil {
		return err
	}
	return tx.Send(ctx, tenant, wire.SubjectOrderAll, envelope, now)
}

// Resume lifts one hold, or all of the campaign's.
func (c *Conductor) Resume(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.Resume) (lifted int, err error) {
	err = c.act(ctx, tenant, ask.Campaign, func(tx *store.Tx, s *scene) error {
		lifted = 0
		for _, h := range s.holds {
			if string(h.Campaign) != s.row.ID || ask.Hold != "" && h.ID != ask.Hold {
				continue
			}
			if _, err := tx.LiftHold(ctx, gen.LiftHoldParams{
				Tenant: s.row.Tenant, ID: h.ID, LiftedUs: c.Clock().UnixMicro(), LiftedBy: string(by),
			}); err != nil {
				return fmt.Errorf("lift hold %s: %w", h.ID, err)
			}
			c.record(tx, s, register.Entry{
				Kind: register.HoldLifted, Actor: by, Ring: h.Ring, Patch: h.Item, Device: h.Device,
				Detail: map[string]any{"hold": h.ID, "why": ask.Reason},
			})
			lifted++
		}
		if lifted == 0 {
			return fault.New(fault.NothingToDo, "what", "hold")
		}
		return c.holdsChanged(ctx, tx, s)
	})
	return lifted, err
}

// Expedite opens a ring before its date, or moves one device to a ring.
func (c *Conductor) Expedite(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.Expedite) error {
	if err := needReason(ask.Reason); err != nil {
		return err
	}
	return c.act(ctx, tenant, ask.Campaign, func(tx *store.Tx, s *scene) error {
		ring, err := s.ringRow(ask.Amendment, ask.Ring)
		if err != nil {
			return err
		}
		c.record(tx, s, register.Entry{
			Kind: register.RingExpedited, Actor: by, Ring: ring.Ring, Device: string(ask.Device),
			Reason: fault.Because(fault.Expedited, "by", string(by), "reason", ask.Reason), Detail: map[string]any{"amendment": ask.Amendment},
		})
		if ask.Device != "" {
			if err := s.notUndo(); err != nil {
				return err
			}
			return c.moveDevice(ctx, tx, s, ring, ask.Device)
		}
		_, err = tx.ExpediteRing(ctx, gen.ExpediteRingParams{
			Tenant: s.row.Tenant, Campaign: s.row.ID, Amendment: ring.Amendment, Position: ring.Position,
			ExpeditedBy: string(by), ExpeditedWhy: ask.Reason,
		})
		return err
	})
}

// Withdraw takes one patch out; the others go on.
func (c *Conductor) Withdraw(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.Withdraw) error {
	if err := needReason(ask.Reason); err != nil {
		return err
	}
	return c.act(ctx, tenant, ask.Campaign, func(tx *store.Tx, s *scene) error {
		if err := s.notUndo(); err != nil {
			return err
		}
		return c.withdraw(ctx, tx, s, by, ask)
	})
}

func (c *Conductor) withdraw(ctx context.Context, tx *store.Tx, s *scene, by register.Actor, ask campaign.Withdraw) error {
	n, err := tx.WithdrawItem(ctx, gen.WithdrawItemParams{
		Tenant: s.row.Tenant, Campaign: s.row.ID, ID: string(ask.Patch), WithdrawnUs: c.Clock().UnixMicro(),
		WithdrawnBy: string(by), WithdrawnReason: ask.Reason,
	})
	if err != nil {
		return fmt.Errorf("withdraw %s: %w", ask.Patch, err)
	}
	if n == 0 {
		return fault.New(fault.NotFound, "what", "patch", "name", string(ask.Patch))
	}
	c.record(tx, s, register.Entry{Kind: register.ItemWithdrawn, Actor: by, Patch: string(ask.Patch), Detail: map[string]any{"why": ask.Reason}})
	_, err = tx.TouchCampaignDevices(ctx, s.row.Tenant, s.row.ID)
	return err
}

// Amend adds late patches as an amendment that starts at the first ring, with
// the procedure's days counted from now.
func (c *Conductor) Amend(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.Amend) (number int, err error) {
	if err := needReason(ask.Reason); err != nil {
		return 0, err
	}
	err = c.act(ctx, tenant, ask.Campaign, func(tx *store.Tx, s *scene) error {
		if err := s.notUndo(); err != nil {
			return err
		}
		items, err := c.amendItems(ctx, tx, s, ask)
		if err != nil {
			return err
		}
		number = len(s.amended)
		if err := c.addAmendment(ctx, tx, s.row.Tenant, s.row.ID, int64(number), by, ask.Reason); err != nil {
			return err
		}
		if err := c.addItems(ctx, tx, s, number, items); err != nil {
			return err
		}
		c.record(tx, s, register.Entry{
			Kind: register.AmendmentAdded, Actor: by, Detail: map[string]any{"amendment": number, "items": itemTexts(items), "why": ask.Reason},
		})
		return c.copyRings(ctx, tx, s, number)
	})
	return number, err
}

func (c *Conductor) amendItems(ctx context.Context, tx *store.Tx, s *scene, ask campaign.Amend) ([]campaign.Item, error) {
	if len(ask.Patches) == 0 {
		return nil, fault.New(fault.InvalidField, "field", "patches", "problem", "empty", "fix", "name_a_patch")
	}
	if s.row.SealedUs == 0 {
		return nil, fault.New(fault.Conflict, "what", "campaign "+s.row.Name, "state", s.row.State, "wanted", "sealed")
	}
	var items []campaign.Item
	for _, id := range ask.Patches {
		if slices.ContainsFunc(s.items, func(i campaign.Item) bool { return i.ID == id }) {
			return nil, fault.New(fault.AlreadyExists, "what", "patch", "name", string(id))
		}
		p, err := tx.Patch(ctx, s.row.Tenant, string(id))
		if store.IsNone(err) {
			return nil, fault.New(fault.NotFound, "what", "patch", "name", string(id))
		}
		if err != nil {
			return nil, fmt.Errorf("read patch %s: %w", id, err)
		}
		item := campaign.Item{ID: id}
		item.Key.Provider, item.Key.Name, item.Key.Version, item.Key.Suite = p.Provider, p.Name, p.Version, p.Suite
		items = append(items, item)
	}
	return items, nil
}

// copyRings gives the amendment its own rings, as far apart as the first ones,
// and every member.
func (c *Conductor) copyRings(ctx context.Context, tx *store.Tx, s *scene, number int) error {
	by := c.Clock().Sub(s.schedule.Rings[0].Opens)
	for i, r := range s.schedule.Rings {
		r.Opens, r.Closes = r.Opens.Add(by), r.Closes.Add(by)
		if err := addRing(ctx, tx, s.row.Tenant, s.row.ID, int64(number), i, r); err != nil {
			return fmt.Errorf("add ring %s: %w", r.Ring, err)
		}
	}
	if err := tx.CopyMembers(ctx, gen.CopyMembersParams{
		Tenant: s.row.Tenant, Campaign: s.row.ID, Amendment: int64(number), UpdatedUs: c.Clock().UnixMicro(),
	}); err != nil {
		return fmt.Errorf("copy members: %w", err)
	}
	members, err := tx.CountMembers(ctx, gen.CountMembersParams{Tenant: s.row.Tenant, Campaign: s.row.ID, Amendment: int64(number)})
	if err != nil {
		return fmt.Errorf("count members: %w", err)
	}
	for _, m := range members {
		if err := tx.AddRingCounts(ctx, gen.AddRingCountsParams{
			Tenant: s.row.Tenant, Campaign: s.row.ID, Amendment: int64(number), Position: m.Position, NotReached: m.Members,
		}); err != nil {
			return fmt.Errorf("count ring: %w", err)
		}
	}
	return tx.WantCampaignScans(ctx, s.row.Tenant, s.row.ID)
}

// Close ends the campaign: open orders are cancelled and what was not reached
// is recorded as such. It waits for the sign-offs of the verification.
func (c *Conductor) Close(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.Close) error {
	return c.act(ctx, tenant, ask.Campaign, func(tx *store.Tx, s *scene) error {
		if !s.undo() {
			if err := s.vouched(); err != nil {
				return err
			}
		}
		return c.closeCampaign(ctx, tx, s, by, ask.Reason)
	})
}

func (c *Conductor) closeCampaign(ctx context.Context, tx *store.Tx, s *scene, by register.Actor, reason string) error {
	now := c.Clock().UnixMicro()
	orders, err := tx.CancelOrders(ctx, s.row.Tenant, s.row.ID)
	if err != nil {
		return fmt.Errorf("read open orders: %w", err)
	}
	for _, o := range orders {
		if _, err := tx.CloseOrder(ctx, gen.CloseOrderParams{Tenant: o.Tenant, ID: o.ID, State: orderCancelled, Step: o.Step, StepUs: now}); err != nil {
			return fmt.Errorf("cancel order %s: %w", o.ID, err)
		}
	}
	detail := s.fiveNumbers()
	detail["why"], detail["cancelled_orders"] = reason, len(orders)
	c.record(tx, s, register.Entry{Kind: register.CampaignClosed, Actor: by, Detail: detail})
	c.tellUndone(tx, s, by, detail)
	s.row.State, s.row.ClosedUs = string(campaign.Closed), now
	if err := c.setState(ctx, tx, s.row); err != nil {
		return err
	}
	return tx.ParkCampaignDevices(ctx, s.row.Tenant, s.row.ID)
}
