package incident

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/incident"
	"patchring/internal/core/patch"
	"patchring/internal/core/procedure"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Do is an act on an incident, with its words.
type Do struct {
	Incident string
	incident.Say
	// Severity of a note: what it is now judged to be. A worse one is answered by
	// the campaign; a milder one lifts nothing.
	Severity procedure.Severity
	Owner    string // of a note: who must act from now on
}

// kinds of register entries, by act.
var kinds = map[incident.Act]register.Kind{
	incident.Note: register.IncidentNoted, incident.Correct: register.IncidentCorrected,
	incident.Close: register.IncidentClosed, incident.Reopen: register.IncidentReopened,
}

// Do does it: state, note, register entry and what tickets are told, in one
// transaction.
func (k *Keeper) Do(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask Do) error {
	if err := checkDo(&ask); err != nil {
		return err
	}
	var row gen.Incident
	err := k.DB.Write(ctx, func(tx *store.Tx) (err error) {
		row, err = tx.Incident(ctx, string(tenant), ask.Incident)
		if err := missing(err, "incident", ask.Incident); err != nil {
			return err
		}
		if err := person(ctx, tx, tenant, ask.Owner); err != nil {
			return err
		}
		return k.do(ctx, tx, &row, by, ask)
	})
	if err == nil {
		k.after(tenant, campaign.ID(row.Campaign))
	}
	return err
}

func checkDo(ask *Do) error {
	if _, ok := kinds[ask.Act]; !ok {
		return invalid("act", "not_a_choice", "note, correct, close, reopen")
	}
	if ask.Severity != "" && !slices.Contains(procedure.Severities(), ask.Severity) {
		return invalid("severity", "not_a_choice", severities())
	}
	ask.Owner = strings.TrimSpace(ask.Owner)
	if ask.Act != incident.Note {
		ask.Severity, ask.Owner = "", ""
	}
	return nil
}

func (k *Keeper) do(ctx context.Context, tx *store.Tx, row *gen.Incident, by register.Actor, ask Do) error {
	was := row.State
	next, err := incident.Apply(incident.Incident{
		State: incident.State(row.State), Cause: row.Cause, Correction: row.Correction, Reopened: int(row.Reopened),
	}, ask.Say)
	if err != nil {
		return err
	}
	k.change(row, next, by)
	if ask.Owner != "" {
		row.Owner = ask.Owner
	}
	if err := k.judge(ctx, tx, row, by, ask); err != nil {
		return err
	}
	text := strings.TrimSpace(ask.Text)
	if err := k.say(ctx, tx, *row, was, ask.Act, text, by); err != nil {
		return err
	}
	detail := map[string]any{"text": text}
	switch ask.Act {
	case incident.Correct, incident.Close:
		detail["cause"], detail["correction"] = row.Cause, row.Correction
	case incident.Note:
		detail["severity"], detail["owner"] = row.Severity, row.Owner
	}
	k.record(tx, *row, by, kinds[ask.Act], "", detail)
	if row.Campaign != "" { // its gates count what is not closed
		if err := tx.TouchCampaign(ctx, row.Tenant, row.Campaign); err != nil {
			return err
		}
	}
	return k.Tell(ctx, tx, Told{Incident: *row, Act: ask.Act, Text: text, By: by})
}

// change puts what an act made of the incident into its row.
func (k *Keeper) change(row *gen.Incident, next incident.Incident, by register.Actor) {
	now := k.Clock().UnixMicro()
	row.Cause, row.Correction, row.Reopened = next.Cause, next.Correction, int64(next.Reopened)
	if string(next.State) == row.State {
		return
	}
	switch next.State {
	case incident.Open:
		row.CorrectedUs, row.CorrectedBy, row.ClosedUs, row.ClosedBy = 0, "", 0, ""
	case incident.Corrected:
		row.CorrectedUs, row.CorrectedBy = now, string(by)
	case incident.Closed:
		row.ClosedUs, row.ClosedBy = now, string(by)
		if row.CorrectedUs == 0 {
			row.CorrectedUs, row.CorrectedBy = now, string(by)
		}
	}
	row.State = string(next.State)
}

// judge changes the severity; the campaign answers one that is worse.
func (k *Keeper) judge(ctx context.Context, tx *store.Tx, row *gen.Incident, by register.Actor, ask Do) error {
	if ask.Severity == "" || string(ask.Severity) == row.Severity {
		return nil
	}
	if row.State == string(incident.Closed) {
		return fault.New(fault.Conflict, "what", "incident", "state", row.State, "wanted", "open, corrected")
	}
	again := worse(ask.Severity, row.Severity)
	row.Severity = string(ask.Severity)
	if !again || row.Campaign == "" {
		return nil
	}
	a, err := k.Answer(ctx, tx, fleet.TenantID(row.Tenant), by, campaign.Incident{
		Campaign: row.Campaign, Ring: row.Ring, Patch: patch.ID(row.Patch), Severity: ask.Severity, What: row.Title,
	})
	if err == nil {
		row.Response = string(a.Response)
	}
	return err
}

// say keeps the row as an act left it, with the act among its notes. Somebody
// who was quicker is not overwritten.
func (k *Keeper) say(ctx context.Context, tx *store.Tx, row gen.Incident, was string, act incident.Act, text string, by register.Actor) error {
	id, err := newID()
	if err != nil {
		return err
	}
	now := k.Clock().UnixMicro()
	n, err := tx.SetIncident(ctx, gen.SetIncidentParams{
		Tenant: row.Tenant, ID: row.ID, Was: was, State: row.State, Severity: row.Severity, Owner: row.Owner, Cause: row.Cause, Correction: row.Correction, Reopened: row.Reopened,
		Response: row.Response, ChangedUs: now, CorrectedUs: row.CorrectedUs, CorrectedBy: row.CorrectedBy, ClosedUs: row.ClosedUs, ClosedBy: row.ClosedBy,
	})
	if store.IsDuplicate(err) { // the same was said again after it was closed, and has an incident
		return fault.New(fault.AlreadyExists, "what", "incident", "name", row.Title)
	}
	if err != nil {
		return fmt.Errorf("keep the incident: %w", err)
	}
	if n == 0 {
		return fault.New(fault.Conflict, "what", "incident", "state", row.State, "wanted", was)
	}
	err = tx.AddIncidentNote(ctx, gen.AddIncidentNoteParams{
		Tenant: row.Tenant, ID: id, Incident: row.ID, Act: string(act), Text: text, Actor: string(by), AtUs: now,
	})
	if err != nil {
		return fmt.Errorf("keep a note of the incident: %w", err)
	}
	return nil
}
