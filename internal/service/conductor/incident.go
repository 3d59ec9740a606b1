package conductor

import (
	"context"
	"errors"
	"fmt"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// AnswerIncident does at once what the procedure says of an incident's
// severity, in the transaction of whoever keeps the incident: either both are
// there after a crash, or neither is. It places the incident first: the ring is
// that of its device, when none was named. A campaign that is over answers
// nothing. The caller wakes the conductor after the commit.
func (c *Conductor) AnswerIncident(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, by register.Actor, ask campaign.Incident) (campaign.Answered, error) {
	row, err := find(ctx, tx.Queries, tenant, ask.Campaign)
	if err != nil {
		return campaign.Answered{}, err
	}
	s, err := c.scene(ctx, tx.Queries, row)
	if err != nil {
		return campaign.Answered{}, err
	}
	if ask.Ring, err = s.ringOfIncident(ctx, tx, ask); err != nil {
		return campaign.Answered{}, err
	}
	out := campaign.Answered{Campaign: campaign.ID(row.ID), Ring: ask.Ring, Response: campaign.RecordOnly}
	if ask.Patch != "" {
		if err := s.knows(ctx, tx, campaign.PlaceHold{Patch: ask.Patch}); err != nil {
			return out, err
		}
	}
	if row.State == string(campaign.Closed) {
		return out, nil
	}
	if out.Response, err = c.respond(ctx, tx, s, by, ask); err != nil {
		return out, err
	}
	return out, tx.TouchCampaign(ctx, row.Tenant, row.ID)
}

// ringOfIncident is the ring that was named, or that the device is in.
func (s *scene) ringOfIncident(ctx context.Context, tx *store.Tx, ask campaign.Incident) (string, error) {
	if ask.Ring != "" {
		row, err := s.ringRow(0, ask.Ring)
		return row.Ring, err
	}
	if ask.Device == "" {
		return "", nil
	}
	rows, err := tx.CampaignDevicesIn(ctx, gen.CampaignDevicesInParams{Tenant: s.row.Tenant, Campaign: s.row.ID, Device: string(ask.Device)})
	if err != nil {
		return "", fmt.Errorf("read device of the campaign: %w", err)
	}
	for _, r := range rows {
		if r.Amendment == 0 {
			return ringName(s, r.Position), nil
		}
	}
	return "", nil
}

// respond carries the plan out. A rollback with nothing to undo leaves its
// holds: an incident of that severity never leaves the campaign running.
func (c *Conductor) respond(ctx context.Context, tx *store.Tx, s *scene, by register.Actor, ask campaign.Incident) (campaign.Response, error) {
	response := campaign.Respond(s.procedure, ask.Severity)
	if s.undo() && response == campaign.RollsBackAll {
		response = campaign.PlacesHold // there is nothing to go back to
	}
	if response == campaign.RollsBackAll {
		_, err := c.rollBack(ctx, tx, s, by, campaign.Rollback{Ring: ask.Ring, Patch: ask.Patch, Reason: ask.What})
		switch {
		case errors.Is(err, fault.New(fault.NothingToDo)):
			response = campaign.PlacesHold
		case err != nil:
			return response, err
		}
	}
	for _, hold := range campaign.HoldsFor(response, ask) {
		if _, err := c.placeHold(ctx, tx, s, by, hold); err != nil {
			return response, err
		}
	}
	return response, nil
}
