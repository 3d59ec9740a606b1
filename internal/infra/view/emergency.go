package view

import (
	"context"
	"database/sql"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/procedure"
)

// BoardEmergency says why a campaign is an emergency, and what its start waits for.
type BoardEmergency struct {
	Cause         campaign.Cause `json:"cause"`
	CVE           string         `json:"cve,omitempty"`
	Missed        *CampaignRef   `json:"missed,omitempty"` // what this campaign left undone
	Patches       []PatchRef     `json:"patches"`          // that it was asked for, before the content is sealed
	Reason        string         `json:"reason"`
	AskedBy       string         `json:"asked_by"`
	ThroughFreeze bool           `json:"through_freeze"`
	Windows       []Span         `json:"windows"` // in place of the devices' own; empty: those
	Approved      time.Time      `json:"approved,omitzero"`
	SignOffs      []SignOffSlot  `json:"sign_offs"`
	Missing       []fault.Reason `json:"missing"` // what its start waits for
}

// Name is what its cause names: the vulnerability, the campaign, or nothing.
func (e BoardEmergency) Name() string {
	if e.Missed != nil {
		return e.Missed.Name
	}
	return e.CVE
}

// Span is an interval of time.
type Span struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// emergency is nil for every other campaign.
func (r *Reader) emergency(ctx context.Context, tenant fleet.TenantID, row CampaignRow, p procedure.Procedure, given []signOffOf) (*BoardEmergency, error) {
	if campaign.Origin(row.Origin) != campaign.ByEmergency {
		return nil, nil
	}
	var reference, windows, patches string
	e, err := one(ctx, r, ask("emergency", `SELECT e.cause, e.reference, e.reason, e.asked_by, e.through_freeze, e.approved_us, c.windows, c.patches
FROM campaign_emergency e JOIN campaign c ON c.tenant = e.tenant AND c.id = e.campaign
WHERE e.tenant = $1 AND e.campaign = $2`, tenant, row.ID), row.ID, func(rows *sql.Rows) (BoardEmergency, error) {
		var e BoardEmergency
		var through, approvedUS int64
		err := rows.Scan(&e.Cause, &reference, &e.Reason, &e.AskedBy, &through, &approvedUS, &windows, &patches)
		e.ThroughFreeze, e.Approved = through == 1, instant(approvedUS)
		return e, err
	})
	if err != nil {
		return nil, err
	}
	if e.Windows, err = list[Span]("windows", windows); err != nil {
		return nil, err
	}
	switch e.Cause {
	case campaign.CauseCVE:
		e.CVE = reference
	case campaign.CauseMissed:
		missed, err := r.FindCampaign(ctx, tenant, reference)
		if err != nil {
			return nil, err
		}
		e.Missed = &missed
	}
	if !row.Sealed.IsZero() {
		patches = "" // the content says it
	}
	if e.Patches, err = r.patchesNamed(ctx, tenant, patches); err != nil {
		return nil, err
	}
	held, err := r.heldRoles(ctx, tenant)
	if err != nil {
		return nil, err
	}
	e.SignOffs = slotsOf(p.Emergency.SignOffs, 0, campaign.StartPosition, given, held)
	if e.Approved.IsZero() {
		e.Missing = approvalOf(e, p).Missing()
	}
	e.Missing = orEmpty(e.Missing)
	return &e, nil
}

func approvalOf(e BoardEmergency, p procedure.Procedure) campaign.Approval {
	a := campaign.Approval{Rules: p.Emergency.SignOffs, StartedBy: e.AskedBy, ThroughFreeze: e.ThroughFreeze}
	for _, s := range e.SignOffs {
		if g := s.Given; g != nil {
			a.SignOffs = append(a.SignOffs, campaign.SignOff{Role: g.Role, Yes: g.Yes, Actor: g.Actor, Comment: g.Comment, At: g.At})
		}
	}
	return a
}

// patchesNamed reads a campaign's list of chosen patches.
func (r *Reader) patchesNamed(ctx context.Context, tenant fleet.TenantID, text string) ([]PatchRef, error) {
	ids, err := list[string]("patches", text)
	if err != nil {
		return nil, err
	}
	out := make([]PatchRef, 0, len(ids))
	for _, id := range ids {
		ref, err := r.FindPatch(ctx, tenant, id)
		if err != nil {
			return nil, err
		}
		out = append(out, ref)
	}
	return out, nil
}
