package view

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/health"
	"patchring/internal/core/suspect"
)

// CampaignEvidence is what the gates of a campaign are decided on, ring by ring.
type CampaignEvidence struct {
	Campaign CampaignRef    `json:"campaign"`
	At       time.Time      `json:"at"`
	Rings    []RingEvidence `json:"rings"` // that have opened
}

// RingEvidence is what is known of one ring.
type RingEvidence struct {
	Amendment   int64               `json:"amendment"`
	Position    int64               `json:"position"`
	Ring        string              `json:"ring"`
	State       string              `json:"state"`
	Verdict     string              `json:"verdict,omitempty"` // of its gate, as last decided
	Reasons     []fault.Reason      `json:"reasons"`
	Evidence    []campaign.Evidence `json:"evidence"`
	Seen        campaign.Seen       `json:"seen"`
	Health      *health.Health      `json:"health,omitempty"` // of the last look; none: measures were not judged yet
	Looked      time.Time           `json:"looked,omitzero"`
	Shared      []SharedTrait       `json:"shared"`   // what the devices that are worse have in common
	Unproven    []UnprovenDevice    `json:"unproven"` // the first of them
	Limits      []campaign.Limit    `json:"limits"`   // from how much on the breaker holds it
	Tight       bool                `json:"tight" doc:"it is the last ring: the breaker holds it for less"`
	Trips       []BreakerTrip       `json:"trips"`       // what the breaker held
	Evaluations []GateEvaluation    `json:"evaluations"` // what the gate answered, the latest first
}

// SharedTrait is something that worse devices have in common, as the policy asks
// for it.
type SharedTrait struct {
	suspect.Suspect
	Condition string `json:"condition"`
}

// UnprovenDevice is patched, and not proven yet.
type UnprovenDevice struct {
	Device     DeviceRef `json:"device"`
	Patched    time.Time `json:"patched"`
	UseHours   float64   `json:"use_hours" doc:"since then; -1: its agent does not say"`
	ProbesDown int64     `json:"probes_down"`
	Stopped    int64     `json:"services_down" doc:"that ran before the install, and do not since"`
}

// BreakerTrip is one act of the breaker.
type BreakerTrip struct {
	Kind   campaign.TripKind `json:"kind"`
	Patch  *PatchRef         `json:"patch,omitempty"`
	At     time.Time         `json:"at"`
	Hold   string            `json:"hold"`
	Reason string            `json:"reason"`
	Lifted time.Time         `json:"lifted,omitzero"`
	By     string            `json:"lifted_by,omitempty"`
}

// GateEvaluation is one answer of a gate.
type GateEvaluation struct {
	At       time.Time           `json:"at"`
	State    string              `json:"state"` // of the ring
	Verdict  string              `json:"verdict"`
	Actor    string              `json:"actor"` // who asked
	Evidence []campaign.Evidence `json:"evidence"`
	Reasons  []fault.Reason      `json:"reasons"`
}

const (
	evaluationsShown = 20
	unprovenShown    = 20
)

// Evidence reads what is known of a campaign's rings. Its cost follows the rings,
// never the devices.
func (r *Reader) Evidence(ctx context.Context, tenant fleet.TenantID, id string) (CampaignEvidence, error) {
	row, err := one(ctx, r, ask("campaign", campaignHead+" WHERE c.tenant = $1 AND c.id = $2", tenant, id), id, scanCampaign)
	if err != nil {
		return CampaignEvidence{}, err
	}
	out := CampaignEvidence{Campaign: CampaignRef{ID: row.ID, Name: row.Name}, At: r.now(), Rings: []RingEvidence{}}
	rings, err := all(ctx, r, ask("rings", ringHead+" WHERE g.tenant = $1 AND g.campaign = $2 AND g.state <> 'pending' ORDER BY g.amendment, g.position", tenant, id), scanRing)
	if err != nil {
		return out, err
	}
	p, err := r.procedureOf(ctx, tenant, row)
	if err != nil {
		return out, err
	}
	for _, g := range rings {
		e := RingEvidence{
			Amendment: g.amendment, Position: g.ring.Position, Ring: g.ring.Ring, State: g.ring.State, Verdict: g.ring.Verdict,
			Reasons: g.ring.Reasons, Evidence: g.ring.Evidence, Shared: []SharedTrait{}, Limits: []campaign.Limit{},
		}
		if at := int(e.Position); at < len(p.Rings) {
			b := p.BreakerOf(at)
			e.Limits, e.Tight = campaign.Limits(b), b != p.Breaker
		}
		if err := r.ringEvidence(ctx, tenant, id, &e); err != nil {
			return out, err
		}
		out.Rings = append(out.Rings, e)
	}
	return out, nil
}

const seenText = `SELECT e.seen, e.health, e.shared, e.look, e.look_us FROM ring_evidence e
WHERE e.tenant = $1 AND e.campaign = $2 AND e.amendment = $3 AND e.position = $4`

func (r *Reader) ringEvidence(ctx context.Context, tenant fleet.TenantID, id string, e *RingEvidence) error {
	_, err := all(ctx, r, ask("evidence", seenText, tenant, id, e.Amendment, e.Position), func(rows *sql.Rows) (struct{}, error) {
		return struct{}{}, e.scan(rows)
	})
	if err != nil {
		return err
	}
	var e1, e2, e3 error
	e.Unproven, e1 = r.unproven(ctx, tenant, id, e)
	e.Trips, e2 = r.trips(ctx, tenant, id, e)
	e.Evaluations, e3 = r.evaluations(ctx, tenant, id, e)
	return errors.Join(e1, e2, e3)
}

func (e *RingEvidence) scan(rows *sql.Rows) error {
	var seen, judged, shared string
	var look, lookUS int64
	if err := rows.Scan(&seen, &judged, &shared, &look, &lookUS); err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(seen), &e.Seen); err != nil {
		return fmt.Errorf("decode seen: %w", err)
	}
	if look > 0 {
		e.Health, e.Looked = &health.Health{}, instant(lookUS)
		if err := json.Unmarshal([]byte(judged), e.Health); err != nil {
			return fmt.Errorf("decode health: %w", err)
		}
	}
	suspects, err := list[suspect.Suspect]("shared", shared)
	for _, s := range suspects {
		e.Shared = append(e.Shared, SharedTrait{Suspect: s, Condition: s.Condition()})
	}
	return err
}

const unprovenText = `SELECT e.device, coalesce(d.name, ''), e.patched_us, e.use_s, e.probes_down, e.services_down FROM device_evidence e
LEFT JOIN device d ON d.tenant = e.tenant AND d.id = e.device
WHERE e.tenant = $1 AND e.campaign = $2 AND e.amendment = $3 AND e.position = $4 AND e.proven = 0 ORDER BY e.device LIMIT $5`

func (r *Reader) unproven(ctx context.Context, tenant fleet.TenantID, id string, e *RingEvidence) ([]UnprovenDevice, error) {
	return all(ctx, r, ask("unproven devices", unprovenText, tenant, id, e.Amendment, e.Position, unprovenShown), func(rows *sql.Rows) (UnprovenDevice, error) {
		var d UnprovenDevice
		var patchedUS, useS int64
		err := rows.Scan(&d.Device.ID, &d.Device.Name, &patchedUS, &useS, &d.ProbesDown, &d.Stopped)
		d.Patched, d.UseHours = instant(patchedUS), max(-1, float64(useS)/3600)
		if useS < 0 {
			d.UseHours = -1
		}
		return d, err
	})
}

const tripsText = `SELECT t.kind, t.item, coalesce(p.name, ''), coalesce(p.version, ''), t.at_us, t.hold, coalesce(h.reason, ''), coalesce(h.lifted_us, 0), coalesce(h.lifted_by, '')
FROM breaker_trip t
LEFT JOIN hold h ON h.tenant = t.tenant AND h.id = t.hold
LEFT JOIN patch p ON p.tenant = t.tenant AND p.id = t.item
WHERE t.tenant = $1 AND t.campaign = $2 AND t.amendment = $3 AND t.position = $4 ORDER BY t.at_us DESC, t.kind, t.item`

func (r *Reader) trips(ctx context.Context, tenant fleet.TenantID, id string, e *RingEvidence) ([]BreakerTrip, error) {
	return all(ctx, r, ask("breaker", tripsText, tenant, id, e.Amendment, e.Position), func(rows *sql.Rows) (BreakerTrip, error) {
		var t BreakerTrip
		var about PatchRef
		var atUS, liftedUS int64
		err := rows.Scan(&t.Kind, &about.ID, &about.Name, &about.Version, &atUS, &t.Hold, &t.Reason, &liftedUS, &t.By)
		t.At, t.Lifted = instant(atUS), instant(liftedUS)
		if about.ID != "" {
			t.Patch = &about
		}
		return t, err
	})
}

const evaluationsText = `SELECT v.at_us, v.state, v.verdict, v.actor, v.evidence, v.reasons FROM gate_evaluation v
WHERE v.tenant = $1 AND v.campaign = $2 AND v.amendment = $3 AND v.position = $4 ORDER BY v.at_us DESC, v.id DESC LIMIT $5`

func (r *Reader) evaluations(ctx context.Context, tenant fleet.TenantID, id string, e *RingEvidence) ([]GateEvaluation, error) {
	return all(ctx, r, ask("evaluations", evaluationsText, tenant, id, e.Amendment, e.Position, evaluationsShown), func(rows *sql.Rows) (GateEvaluation, error) {
		return scanEvaluation(rows)
	})
}

// scanEvaluation reads an answer, after what comes before it.
func scanEvaluation(rows *sql.Rows, before ...any) (GateEvaluation, error) {
	var v GateEvaluation
	var atUS int64
	var evidence, reasons string
	if err := rows.Scan(append(before, &atUS, &v.State, &v.Verdict, &v.Actor, &evidence, &reasons)...); err != nil {
		return v, err
	}
	v.At = instant(atUS)
	var e1, e2 error
	v.Evidence, e1 = list[campaign.Evidence]("evidence", evidence)
	v.Reasons, e2 = list[fault.Reason]("reasons", reasons)
	return v, errors.Join(e1, e2)
}
