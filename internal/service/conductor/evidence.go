package conductor

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// ringKey names one ring of one amendment.
type ringKey struct{ amendment, position int64 }

// loadSeen reads what is known of the rings beside their numbers. Complaints are
// counted here: they are never out of date.
func (s *scene) loadSeen(ctx context.Context, q *gen.Queries) error {
	s.seen = map[ringKey]campaign.Seen{}
	rows, err := q.RingEvidence(ctx, s.row.Tenant, s.row.ID)
	if err != nil {
		return fmt.Errorf("read evidence: %w", err)
	}
	for _, r := range rows {
		var seen campaign.Seen
		if err := json.Unmarshal([]byte(r.Seen), &seen); err != nil {
			return fmt.Errorf("read evidence of ring %d: %w", r.Position, err)
		}
		s.seen[ringKey{r.Amendment, r.Position}] = seen
	}
	return s.loadComplaints(ctx, q)
}

func (s *scene) loadComplaints(ctx context.Context, q *gen.Queries) error {
	devices, err := q.Complainants(ctx, s.row.Tenant, s.row.ID)
	if err != nil {
		return fmt.Errorf("count complaints: %w", err)
	}
	about, err := q.Complaints(ctx, s.row.Tenant, s.row.ID)
	if err != nil {
		return fmt.Errorf("count complaints by patch: %w", err)
	}
	for _, r := range s.rings {
		key := ringKey{r.Amendment, r.Position}
		seen := s.seen[key]
		seen.Complaints, seen.Complained = 0, nil
		for _, d := range devices {
			if d.Position == r.Position {
				seen.Complaints = int(d.Devices)
			}
		}
		for _, a := range about {
			if a.Position == r.Position && s.brings(r.Amendment, patch.ID(a.Patch)) {
				seen.Complained = append(seen.Complained, campaign.ItemCount{Item: patch.ID(a.Patch), Devices: int(a.Devices)})
			}
		}
		s.seen[key] = seen
	}
	return nil
}

// brings tells whether a complaint about a patch is one about an amendment; what
// is said of no patch is about the sealed content.
func (s *scene) brings(amendment int64, about patch.ID) bool {
	for _, i := range s.items {
		if i.ID == about {
			return int64(i.Amendment) == amendment
		}
	}
	return amendment == 0
}

// trip lets the breaker hold what it has not held before. What it held and a
// person lifted stays lifted: whoever lifts it has read why.
func (c *Conductor) trip(ctx context.Context, tx *store.Tx, s *scene) error {
	var known []gen.BreakerTrip
	read := false
	for _, r := range s.rings {
		if err := s.countFailures(ctx, tx.Queries, r); err != nil {
			return err
		}
		trips := s.ring(r).Trips(s.procedure.BreakerOf(int(r.Position)), int(r.Position), s.procedure.ActsOn(int(r.Position)))
		if len(trips) == 0 {
			continue
		}
		if !read {
			var err error
			if known, err = tx.Trips(ctx, s.row.Tenant, s.row.ID); err != nil {
				return fmt.Errorf("read what the breaker held: %w", err)
			}
			read = true
		}
		for _, t := range trips {
			if tripped(known, r, t) {
				continue
			}
			if err := c.holdFor(ctx, tx, s, r, t); err != nil {
				return fmt.Errorf("hold ring %s for %s: %w", r.Ring, t.Kind, err)
			}
		}
	}
	return nil
}

// countFailures counts what fails again where a ring's own number may trip the
// breaker: that number is of this instant, and one patch is to blame, or none,
// by numbers of the same instant. What else was seen of the patches stays.
func (s *scene) countFailures(ctx context.Context, q *gen.Queries, r gen.CampaignRing) error {
	if at := s.procedure.BreakerOf(int(r.Position)).FailuresDevices; at == 0 || r.Failed < int64(at) || !campaign.RingState(r.State).Opened() {
		return nil
	}
	rows, err := q.FailingItems(ctx, gen.FailingItemsParams{Tenant: r.Tenant, Campaign: r.Campaign, Amendment: r.Amendment, Position: r.Position})
	if err != nil {
		return fmt.Errorf("count failing patches of ring %s: %w", r.Ring, err)
	}
	key := ringKey{r.Amendment, r.Position}
	seen := s.seen[key]
	before := seen.Failures
	seen.Failures = nil
	for _, f := range rows {
		one := campaign.ItemFailures{ItemCount: campaign.ItemCount{Item: patch.ID(f.Item), Devices: int(f.Devices)}, Everywhere: int(f.Devices), Campaigns: 1}
		for _, b := range before {
			if b.Item == one.Item {
				one.Everywhere, one.Campaigns = max(b.Everywhere, one.Everywhere), b.Campaigns
			}
		}
		seen.Failures = append(seen.Failures, one)
	}
	s.seen[key] = seen
	return nil
}

func tripped(known []gen.BreakerTrip, r gen.CampaignRing, t campaign.Trip) bool {
	for _, k := range known {
		same := k.Item == string(t.Item)
		if t.Service != "" { // which patch is to blame may be clear later
			same = k.Service == t.Service
		}
		if same && k.Amendment == r.Amendment && k.Position == r.Position && k.Kind == string(t.Kind) {
			return true
		}
	}
	return false
}

// holdFor places the hold and notes that it was placed, in the tick's own
// transaction: dying before its commit holds nothing and the next tick does, and
// after it the hold is signed, recorded and in the outbox.
func (c *Conductor) holdFor(ctx context.Context, tx *store.Tx, s *scene, r gen.CampaignRing, t campaign.Trip) error {
	ask := campaign.PlaceHold{Ring: r.Ring, Patch: t.Item, Reason: t.Reason.String()}
	id, err := c.placeHold(ctx, tx, s, actor, ask)
	if err != nil {
		return err
	}
	if s.holds, err = holds(ctx, tx.Queries, s.row.Tenant); err != nil {
		return err
	}
	c.Log.Warn("breaker", "campaign", s.row.Name, "ring", r.Ring, "reason", t.Reason.Code, "patch", string(t.Item))
	return tx.AddTrip(ctx, gen.AddTripParams{
		Tenant: r.Tenant, Campaign: r.Campaign, Amendment: r.Amendment, Position: r.Position,
		Kind: string(t.Kind), Item: string(t.Item), Service: t.Service, Hold: id, AtUs: c.Clock().UnixMicro(),
	})
}

// Evaluate asks the gates of a campaign's opened rings, or of one ring, and keeps
// what they answer.
func (c *Conductor) Evaluate(ctx context.Context, tenant fleet.TenantID, by register.Actor, ref, ring string) (out []campaign.Evaluation, err error) {
	err = c.act(ctx, tenant, ref, func(tx *store.Tx, s *scene) error {
		out = []campaign.Evaluation{}
		if ring != "" {
			if _, err := s.ringRow(0, ring); err != nil {
				return err
			}
		}
		for _, r := range s.rings {
			if !campaign.RingState(r.State).Opened() || ring != "" && r.Ring != ring {
				continue
			}
			verdict, evidence, reasons := s.ring(r).Judge()
			if err := c.keepEvaluation(ctx, tx, r, by, evaluated{verdict, evidence, reasons}); err != nil {
				return fmt.Errorf("evaluate ring %s: %w", r.Ring, err)
			}
			out = append(out, campaign.Evaluation{Ring: r.Ring, Amendment: int(r.Amendment), At: c.Clock()})
		}
		return nil
	})
	return out, err
}

// evaluated is one answer of a gate.
type evaluated struct {
	verdict  campaign.Verdict
	evidence any
	reasons  any
}

// keepEvaluation keeps an answer that is not the one before; whoever asked finds
// that it was asked, whatever the answer.
func (c *Conductor) keepEvaluation(ctx context.Context, tx *store.Tx, r gen.CampaignRing, by register.Actor, e evaluated) error {
	evidence, err := json.Marshal(e.evidence)
	if err != nil {
		return err
	}
	reasons, err := json.Marshal(e.reasons)
	if err != nil {
		return err
	}
	last, err := tx.LastEvaluation(ctx, gen.LastEvaluationParams{Tenant: r.Tenant, Campaign: r.Campaign, Amendment: r.Amendment, Position: r.Position})
	if err != nil {
		return fmt.Errorf("read the last evaluation: %w", err)
	}
	if by == actor && len(last) == 1 && last[0].Verdict == string(e.verdict) && last[0].Evidence == string(evidence) && last[0].Reasons == string(reasons) && last[0].State == r.State {
		return nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make an id: %w", err)
	}
	return tx.AddEvaluation(ctx, gen.AddEvaluationParams{
		Tenant: r.Tenant, ID: id.String(), Campaign: r.Campaign, Amendment: r.Amendment, Position: r.Position, Ring: r.Ring,
		AtUs: c.Clock().UnixMicro(), State: r.State, Verdict: string(e.verdict), Evidence: string(evidence), Reasons: string(reasons), Actor: string(by),
	})
}
