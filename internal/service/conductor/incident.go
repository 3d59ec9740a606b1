package conductor

import (
	"context"
	"errors"
	"slices"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/procedure"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
)

// Incident records that something went wrong, and does at once what the
// procedure says of its severity, in the same transaction. What names a patch
// is answered for that patch alone. A rollback with nothing to undo becomes a
// hold: an incident of that severity never leaves the campaign running.
func (c *Conductor) Incident(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.Incident) (response campaign.Response, err error) {
	if err := needReason(ask.What); err != nil {
		return "", err
	}
	if !slices.Contains(procedure.Severities(), ask.Severity) {
		return "", fault.New(fault.InvalidField, "field", "severity", "problem", "not_a_choice", "fix", "minor, major, critical")
	}
	err = c.act(ctx, tenant, ask.Campaign, func(tx *store.Tx, s *scene) error {
		response, err = c.respond(ctx, tx, s, by, ask)
		return err
	})
	return response, err
}

func (c *Conductor) respond(ctx context.Context, tx *store.Tx, s *scene, by register.Actor, ask campaign.Incident) (campaign.Response, error) {
	response := campaign.Respond(s.procedure, ask.Severity)
	if s.undo() && response == campaign.RollsBackAll {
		response = campaign.PlacesHold // there is nothing to go back to
	}
	c.record(tx, s, register.Entry{
		Kind: register.IncidentOpened, Actor: by, Ring: ask.Ring, Device: string(ask.Device), Patch: string(ask.Patch),
		Detail: map[string]any{"severity": string(ask.Severity), "what": ask.What, "response": string(response)},
	})
	if response == campaign.RollsBackAll {
		_, err := c.rollBack(ctx, tx, s, by, campaign.Rollback{Patch: ask.Patch, Reason: ask.What})
		if !errors.Is(err, fault.New(fault.NothingToDo)) {
			return response, err
		}
		response = campaign.PlacesHold
	}
	if response == campaign.PlacesHold {
		_, err := c.placeHold(ctx, tx, s, by, campaign.PlaceHold{Patch: ask.Patch, Reason: ask.What})
		return response, err
	}
	return response, nil
}
