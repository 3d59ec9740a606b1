package view

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/register"
)

// Proceedings are what happened in a campaign and what was decided of it, whole:
// a board shows the latest of each, a document all.
type Proceedings struct {
	Evaluations []RingEvaluation  `json:"evaluations"` // every kept answer of every gate, by ring, oldest first
	Incidents   []DossierIncident `json:"incidents"`   // closed ones too, oldest first
	Holds       []DossierHold     `json:"holds"`       // lifted ones too, oldest first
	Rollbacks   []DossierRollback `json:"rollbacks"`   // oldest first
	Rehearsals  []Rehearsed       `json:"rehearsals"`  // of rollbacks, by patch
	Tests       []RingTests       `json:"tests"`       // of gates, by ring
}

// RingEvaluation is one answer of a ring's gate.
type RingEvaluation struct {
	Amendment int64  `json:"amendment"`
	Ring      string `json:"ring"`
	GateEvaluation
}

// DossierIncident is an incident with what it was, and what put it right.
type DossierIncident struct {
	IncidentRow
	What        string      `json:"what"`
	Cause       string      `json:"cause,omitempty"`
	Correction  string      `json:"correction,omitempty"`
	Corrected   time.Time   `json:"corrected,omitzero"`
	CorrectedBy string      `json:"corrected_by,omitempty"`
	Reopened    int64       `json:"reopened,omitempty"` // how often
	On          []DeviceRef `json:"on"`                 // the first of its devices
}

// DossierHold is a hold with its end.
type DossierHold struct {
	HoldRow
	Lifted   time.Time `json:"lifted,omitzero"`
	LiftedBy string    `json:"lifted_by,omitempty"`
	Why      string    `json:"lifted_why,omitempty"`
}

// DossierRollback is a rollback of the campaign, how far it came, and what it
// left open.
type DossierRollback struct {
	RollbackRef
	About      BoardRollback  `json:"about"`
	Started    time.Time      `json:"started"`
	Ended      time.Time      `json:"ended,omitzero"`
	Rings      []CoverageRing `json:"rings"`
	Impossible int64          `json:"impossible"` // device × patch that could not be put back
	Exceptions []ExceptionRow `json:"exceptions"` // made for what is open again
}

// Rehearsed is what the first ring knows of the way back of a patch.
type Rehearsed struct {
	Patch     PatchRef      `json:"patch"`
	Amendment int64         `json:"amendment"`
	Done      int64         `json:"done"`    // devices that went back and forth
	Failed    int64         `json:"failed"`  // that could not be put back
	Running   int64         `json:"running"` // on their way
	BackS     int64         `json:"back_s"`  // what the way back took at most, in seconds
	AgainS    int64         `json:"again_s"` // and the way forth again
	Why       *fault.Reason `json:"why,omitempty"`
}

const (
	proceedingsEvaluations = 5000
	proceedingsIncidents   = 500
	proceedingsOn          = 20 // devices named of an incident
)

// Proceedings reads them. Its cost follows what happened and the first ring,
// never the fleet.
func (r *Reader) Proceedings(ctx context.Context, tenant fleet.TenantID, id string, story []Event) (Proceedings, error) {
	var p Proceedings
	var e1, e2, e3, e4, e5, e6 error
	p.Evaluations, e1 = r.allEvaluations(ctx, tenant, id)
	p.Incidents, e2 = r.dossierIncidents(ctx, tenant, id)
	p.Holds, e3 = r.dossierHolds(ctx, tenant, id, story)
	p.Rollbacks, e4 = r.dossierRollbacks(ctx, tenant, id)
	p.Rehearsals, e5 = r.rehearsed(ctx, tenant, id)
	p.Tests, e6 = r.Tests(ctx, tenant, TestsQuery{Campaign: id})
	return p, errors.Join(e1, e2, e3, e4, e5, e6)
}

const allEvaluationsText = `SELECT v.amendment, v.ring, v.at_us, v.state, v.verdict, v.actor, v.evidence, v.reasons FROM gate_evaluation v
WHERE v.tenant = $1 AND v.campaign = $2 ORDER BY v.amendment, v.position, v.at_us, v.id LIMIT $3`

func (r *Reader) allEvaluations(ctx context.Context, tenant fleet.TenantID, id string) ([]RingEvaluation, error) {
	return all(ctx, r, ask("evaluations", allEvaluationsText, tenant, id, proceedingsEvaluations), func(rows *sql.Rows) (RingEvaluation, error) {
		var v RingEvaluation
		var err error
		v.GateEvaluation, err = scanEvaluation(rows, &v.Amendment, &v.Ring)
		return v, err
	})
}

func (r *Reader) dossierIncidents(ctx context.Context, tenant fleet.TenantID, id string) ([]DossierIncident, error) {
	at := map[string]int{}
	out := []DossierIncident{}
	rows, err := all(ctx, r, ask("incidents", incidentHead+" WHERE i.tenant = $1 AND i.campaign = $2 ORDER BY i.opened_us, i.id LIMIT $3", tenant, id, proceedingsIncidents), scanIncident)
	for i, d := range rows {
		at[d.ID] = i
		out = append(out, DossierIncident{
			IncidentRow: d.IncidentRow, What: d.What, Cause: d.Cause, Correction: d.Correction, Corrected: d.Corrected, CorrectedBy: d.CorrectedBy, Reopened: d.Reopened, On: []DeviceRef{},
		})
	}
	if err != nil {
		return out, err
	}
	_, err = all(ctx, r, ask("devices of incidents", `SELECT x.incident, x.device, coalesce(d.name, '') FROM incident i CROSS JOIN incident_device x
LEFT JOIN device d ON d.tenant = x.tenant AND d.id = x.device
WHERE i.tenant = $1 AND i.campaign = $2 AND x.tenant = i.tenant AND x.incident = i.id`, tenant, id), func(rows *sql.Rows) (struct{}, error) {
		var incident string
		var d DeviceRef
		err := rows.Scan(&incident, &d.ID, &d.Name)
		if i, known := at[incident]; known && err == nil {
			out[i].On = append(out[i].On, d)
		}
		return struct{}{}, err
	})
	for i := range out {
		slices.SortFunc(out[i].On, func(a, b DeviceRef) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
		out[i].On = out[i].On[:min(len(out[i].On), proceedingsOn)]
	}
	return out, err
}

const dossierHoldsText = `SELECT h.id, h.ring, h.item, coalesce(p.name, ''), coalesce(p.version, ''), h.device, coalesce(d.name, ''), h.reason, h.actor, h.placed_us, h.lifted_us, h.lifted_by
FROM hold h
LEFT JOIN patch p ON p.tenant = h.tenant AND p.id = h.item
LEFT JOIN device d ON d.tenant = h.tenant AND d.id = h.device
WHERE h.tenant = $1 AND h.campaign = $2`

// dossierHolds reads the campaign's own holds. Why one was lifted is said in the
// register alone.
func (r *Reader) dossierHolds(ctx context.Context, tenant fleet.TenantID, id string, story []Event) ([]DossierHold, error) {
	out, err := all(ctx, r, ask("holds of the campaign", dossierHoldsText, tenant, id), func(rows *sql.Rows) (DossierHold, error) {
		var h DossierHold
		var p PatchRef
		var d DeviceRef
		var placedUS, liftedUS int64
		err := rows.Scan(&h.ID, &h.Ring, &p.ID, &p.Name, &p.Version, &d.ID, &d.Name, &h.Reason, &h.Actor, &placedUS, &liftedUS, &h.LiftedBy)
		h.Placed, h.Lifted = instant(placedUS), instant(liftedUS)
		if p.ID != "" {
			h.Patch = &p
		}
		if d.ID != "" {
			h.Device = &d
		}
		return h, err
	})
	why := map[string]string{}
	for _, e := range story {
		hold, _ := e.Detail["hold"].(string)
		if text, said := e.Detail["why"].(string); said && e.Kind == register.HoldLifted {
			why[hold] = text
		}
	}
	for i := range out {
		out[i].Why = why[out[i].ID]
	}
	slices.SortStableFunc(out, func(a, b DossierHold) int { return cmp.Or(a.Placed.Compare(b.Placed), cmp.Compare(a.ID, b.ID)) })
	return out, err
}

func (r *Reader) dossierRollbacks(ctx context.Context, tenant fleet.TenantID, id string) ([]DossierRollback, error) {
	refs, err := r.rollbacksOf(ctx, tenant, id)
	out := []DossierRollback{}
	for _, ref := range refs {
		one, err := r.dossierRollback(ctx, tenant, ref)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, err
}

func (r *Reader) dossierRollback(ctx context.Context, tenant fleet.TenantID, ref RollbackRef) (DossierRollback, error) {
	out := DossierRollback{RollbackRef: ref, Rings: []CoverageRing{}}
	about, e1 := r.rollback(ctx, tenant, ref.ID)
	row, e2 := one(ctx, r, ask("campaign", campaignHead+" WHERE c.tenant = $1 AND c.id = $2", tenant, ref.ID), ref.ID, scanCampaign)
	rings, e3 := all(ctx, r, ask("rings", ringHead+" WHERE g.tenant = $1 AND g.campaign = $2 ORDER BY g.amendment, g.position", tenant, ref.ID), scanRing)
	var e4 error
	out.Exceptions, e4 = all(ctx, r, ask("exceptions of a rollback", exceptionHead+" WHERE e.tenant = $1 AND e.rollback = $2 AND e.rollback <> '' ORDER BY e.until_us, e.id LIMIT $3", tenant, ref.ID, dossierExceptions), r.scanException)
	if err := errors.Join(e1, e2, e3, e4); err != nil {
		return out, err
	}
	out.About, out.Started, out.Ended = *about, row.Starts, row.Closed
	for _, g := range rings {
		out.Rings = append(out.Rings, CoverageRing{Amendment: g.amendment, Position: g.ring.Position, Ring: g.ring.Ring, State: g.ring.State, Numbers: g.ring.Numbers})
		out.Impossible += g.ring.RollbackImpossible
	}
	return out, nil
}

// rehearsedText reads the first ring alone: rehearsals are made nowhere else.
const rehearsedText = `SELECT i.item, i.amendment, coalesce(p.name, ''), coalesce(p.version, ''), i.rehearsal, i.rehearsal_back_us, i.rehearsal_again_us, i.rehearsal_why
FROM campaign_amendment a CROSS JOIN campaign_device c CROSS JOIN campaign_device_item i
LEFT JOIN patch p ON p.tenant = i.tenant AND p.id = i.item
WHERE a.tenant = $1 AND a.campaign = $2 AND c.tenant = a.tenant AND c.campaign = a.campaign AND c.amendment = a.number AND c.position = 0
  AND i.tenant = c.tenant AND i.campaign = c.campaign AND i.device = c.device AND i.amendment = c.amendment AND i.rehearsal NOT IN ('', 'moot')`

type rehearsedOn struct {
	Rehearsed
	stage         campaign.RehearsalStage
	backUS, forUS int64
}

func (r *Reader) rehearsed(ctx context.Context, tenant fleet.TenantID, id string) ([]Rehearsed, error) {
	rows, err := all(ctx, r, ask("rehearsals", rehearsedText, tenant, id), func(rows *sql.Rows) (rehearsedOn, error) {
		var on rehearsedOn
		var why string
		err := rows.Scan(&on.Patch.ID, &on.Amendment, &on.Patch.Name, &on.Patch.Version, &on.stage, &on.backUS, &on.forUS, &why)
		on.Why = reason(why)
		return on, err
	})
	at := map[patch.ID]int{}
	out := []Rehearsed{}
	for _, on := range rows {
		i, known := at[on.Patch.ID]
		if !known {
			i = len(out)
			at[on.Patch.ID], out = i, append(out, Rehearsed{Patch: on.Patch, Amendment: on.Amendment})
		}
		out[i].add(on)
	}
	slices.SortFunc(out, func(a, b Rehearsed) int {
		return cmp.Or(cmp.Compare(a.Amendment, b.Amendment), cmp.Compare(a.Patch.Name, b.Patch.Name), cmp.Compare(a.Patch.ID, b.Patch.ID))
	})
	return out, err
}

// add counts one device. A way that took less than a second took one: nobody
// reads of none.
func (h *Rehearsed) add(on rehearsedOn) {
	const second = int64(time.Second / time.Microsecond)
	switch on.stage {
	case campaign.RehearsalDone:
		h.Done++
		h.BackS, h.AgainS = max(h.BackS, (on.backUS+second-1)/second), max(h.AgainS, (on.forUS+second-1)/second)
	case campaign.RehearsalFailed:
		h.Failed++
		if on.Why != nil {
			h.Why = on.Why
		}
	default:
		h.Running++
	}
}
