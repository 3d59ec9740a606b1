package conductor

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

var actor = register.System("conductor")

// stepCampaigns looks at every campaign that is due.
func (c *Conductor) stepCampaigns(ctx context.Context) (int, error) {
	now := c.Clock()
	var claimed []gen.Campaign
	err := c.DB.Write(ctx, func(tx *store.Tx) (err error) {
		claimed, err = tx.ClaimCampaigns(ctx, now.Add(lease).UnixMicro(), now.UnixMicro())
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("claim campaigns: %w", err)
	}
	for _, row := range claimed {
		if err := c.tick(ctx, row); err != nil {
			return 0, fmt.Errorf("conduct campaign %s: %w", row.Name, err)
		}
		c.Changed(fleet.TenantID(row.Tenant), campaign.ID(row.ID))
	}
	return len(claimed), nil
}

// tick moves one campaign as far as it goes now. Crash story: each step is a
// transaction of its own and leaves a campaign that the next tick goes on
// from; the lease runs out and another tick comes.
func (c *Conductor) tick(ctx context.Context, row gen.Campaign) error {
	if err := c.enlist(ctx, row); err != nil {
		return err
	}
	return c.DB.Write(ctx, func(tx *store.Tx) error {
		row, err := tx.Campaign(ctx, row.Tenant, row.ID)
		if err != nil {
			return err
		}
		s, err := c.scene(ctx, tx.Queries, row)
		if err != nil {
			return err
		}
		look, err := c.advance(ctx, tx, s)
		if err != nil {
			return err
		}
		return tx.SetCampaignDue(ctx, gen.SetCampaignDueParams{
			Tenant: row.Tenant, ID: row.ID, SeenUs: row.DueUs, DueUs: due(look),
		})
	})
}

// advance decides the campaign's state, seals its content, then its rings.
func (c *Conductor) advance(ctx context.Context, tx *store.Tx, s *scene) (time.Time, error) {
	now := c.Clock()
	state, look := campaign.DecideState(now, campaign.State(s.row.State), store.Instant(s.row.StartsUs), store.Instant(s.row.VerificationUs))
	if state != campaign.State(s.row.State) {
		if err := c.enter(ctx, tx, s, state); err != nil {
			return time.Time{}, err
		}
	}
	if !state.Active() {
		return look, nil
	}
	if s.row.SealedUs == 0 {
		sealed, again, err := c.seal0(ctx, tx, s)
		if err != nil || !sealed {
			return sooner(look, again), err
		}
	}
	if !s.undo() { // what is put back is why
		if err := c.trip(ctx, tx, s); err != nil {
			return time.Time{}, err
		}
	}
	if err := c.strays(ctx, tx, s); err != nil {
		return time.Time{}, err
	}
	ringLook, err := c.decideRings(ctx, tx, s)
	if err != nil {
		return time.Time{}, err
	}
	if over, err := c.ended(ctx, tx, s); over || err != nil {
		return time.Time{}, err
	}
	return sooner(look, ringLook), nil
}

// enter records a change of the campaign's own state.
func (c *Conductor) enter(ctx context.Context, tx *store.Tx, s *scene, state campaign.State) error {
	now := c.Clock().UnixMicro()
	before := s.row.State
	s.row.State = string(state)
	switch state {
	case campaign.Running:
		s.row.StartedUs = now
		if err := tx.WantCampaignScans(ctx, s.row.Tenant, s.row.ID); err != nil {
			return err
		}
	case campaign.Verifying:
		s.row.VerifiedUs = now
		c.record(tx, s, register.Entry{Kind: register.VerificationDone, Detail: s.fiveNumbers()})
	}
	c.Log.Info("campaign", "campaign", s.row.Name, "state", state, "before", before)
	return c.setState(ctx, tx, s.row)
}

func (c *Conductor) setState(ctx context.Context, tx *store.Tx, row gen.Campaign) error {
	return tx.SetCampaignState(ctx, gen.SetCampaignStateParams{
		Tenant: row.Tenant, ID: row.ID, State: row.State, StartedUs: row.StartedUs, SealedUs: row.SealedUs,
		VerifiedUs: row.VerifiedUs, ClosedUs: row.ClosedUs,
	})
}

// record adds an entry about the campaign.
func (c *Conductor) record(tx *store.Tx, s *scene, e register.Entry) {
	e.Tenant, e.Campaign, e.AtUS = s.row.Tenant, s.row.ID, c.Clock().UnixMicro()
	if e.Actor == "" {
		e.Actor = actor
	}
	tx.Record(e)
}

// fiveNumbers of each ring, as the register keeps them at the verification, and
// how many manual tasks people still have to do.
func (s *scene) fiveNumbers() map[string]any {
	rings := make([]any, 0, len(s.rings))
	for _, r := range s.rings {
		rings = append(rings, map[string]any{
			"ring": r.Ring, "amendment": r.Amendment, "done": r.Done, "failed": r.Failed,
			"not_reached": r.NotReached, "unreachable": r.Unreachable, "exempt": r.Exempt,
		})
	}
	tasks := 0
	for _, n := range s.tasks {
		tasks += n
	}
	return map[string]any{"rings": rings, "open_tasks": tasks}
}

// sealWait is how long the sealing waits for scans that were asked for when
// the campaign started; a day of a procedure at most has 24 of them.
const sealWait = time.Hour

const sealLook = 2 * time.Second

// seal0 seals the content once every reachable member has scanned since the
// start, or the wait is over: what a fleet has not looked for cannot be sealed.
func (c *Conductor) seal0(ctx context.Context, tx *store.Tx, s *scene) (sealed bool, again time.Time, err error) {
	now := c.Clock()
	wait := sealWait
	if compress := s.schedule.Compress; !compress.IsZero() {
		wait = max(compress.Duration(sealWait), 30*time.Second)
	}
	limit := store.Instant(s.row.StartedUs).Add(wait)
	unscanned, err := tx.CountUnscanned(ctx, gen.CountUnscannedParams{
		Tenant: s.row.Tenant, Campaign: s.row.ID, BeforeUs: s.row.StartedUs,
		ReachableUs: now.Add(-s.terms().UnreachableAfter).UnixMicro(),
	})
	if err != nil {
		return false, time.Time{}, fmt.Errorf("count devices to scan: %w", err)
	}
	if unscanned > 0 && now.Before(limit) {
		return false, now.Add(sealLook), nil
	}
	return true, time.Time{}, c.sealContent(ctx, tx, s)
}

func (c *Conductor) sealContent(ctx context.Context, tx *store.Tx, s *scene) error {
	candidates, err := c.candidates(ctx, tx, s)
	if err != nil {
		return err
	}
	only, err := s.only(ctx, tx, candidates)
	if err != nil {
		return err
	}
	items, left := campaign.Seal(c.Clock(), candidates, s.rules, only)
	if err := c.addItems(ctx, tx, s, 0, items); err != nil {
		return err
	}
	s.row.SealedUs = c.Clock().UnixMicro()
	c.record(tx, s, register.Entry{Kind: register.ContentSealed, Detail: map[string]any{
		"items": itemTexts(items), "left_out": leftTexts(left),
	}})
	c.Log.Info("content sealed", "campaign", s.row.Name, "items", len(items), "left_out", len(left))
	return c.setState(ctx, tx, s.row)
}

func (c *Conductor) candidates(ctx context.Context, tx *store.Tx, s *scene) ([]campaign.Candidate, error) {
	patches, err := tx.PerimeterPatches(ctx, s.row.Tenant, s.row.ID)
	if err != nil {
		return nil, fmt.Errorf("read what the fleet misses: %w", err)
	}
	holders, err := c.holders(ctx, tx, s)
	if err != nil {
		return nil, err
	}
	out := make([]campaign.Candidate, 0, len(patches))
	for _, p := range patches {
		out = append(out, campaign.Candidate{ID: patch.ID(p.ID), Patch: store.PatchSubject(p), Holders: holders[patch.ID(p.ID)]})
	}
	return out, nil
}

func (c *Conductor) addItems(ctx context.Context, tx *store.Tx, s *scene, amendment int, items []campaign.Item) error {
	for _, i := range items {
		i.Amendment = amendment
		s.items = append(s.items, i)
		err := tx.AddItem(ctx, gen.AddItemParams{
			Tenant: s.row.Tenant, Campaign: s.row.ID, ID: string(i.ID), Amendment: int64(amendment),
			Provider: i.Key.Provider, Name: i.Key.Name, Version: i.Key.Version, Suite: i.Key.Suite,
		})
		if err != nil {
			return fmt.Errorf("add %s to the content: %w", i.Key, err)
		}
	}
	return nil
}

func itemTexts(items []campaign.Item) []any {
	out := make([]any, 0, len(items))
	for _, i := range items {
		out = append(out, map[string]any{"patch": string(i.ID), "name": i.Key.Name, "version": i.Key.Version, "suite": i.Key.Suite})
	}
	return out
}

func leftTexts(left []campaign.LeftOut) []any {
	out := make([]any, 0, len(left))
	for _, l := range left {
		entry := map[string]any{"patch": string(l.ID), "name": l.Key.Name, "version": l.Key.Version}
		if l.Superseded != "" {
			entry["superseded_by"] = l.Superseded
		} else {
			entry["verdict"], entry["rule"] = string(l.Outcome.Verdict), l.Outcome.Rule
		}
		out = append(out, entry)
	}
	return out
}

// decideRings decides every ring, again while anything moves.
func (c *Conductor) decideRings(ctx context.Context, tx *store.Tx, s *scene) (look time.Time, err error) {
	for i := 0; i < len(s.rings); i++ {
		for {
			before := s.rings[i]
			d := campaign.DecideRing(c.Clock(), s.ring(before))
			if err := c.setRing(ctx, tx, s, i, d); err != nil {
				return time.Time{}, fmt.Errorf("ring %s: %w", before.Ring, err)
			}
			look = sooner(look, d.Look)
			if string(d.State) == before.State {
				break
			}
		}
	}
	return look, nil
}

// setRing writes what was decided, if it says anything new.
func (c *Conductor) setRing(ctx context.Context, tx *store.Tx, s *scene, i int, d campaign.RingDecision) error {
	before := s.rings[i]
	after := before
	reasons, err := json.Marshal(d.Reasons)
	if err != nil {
		return err
	}
	evidence, err := json.Marshal(d.Evidence)
	if err != nil {
		return err
	}
	after.State, after.Verdict, after.Reasons, after.Evidence = string(d.State), string(d.Verdict), string(reasons), string(evidence)
	after.SoakUntilUs = store.Micros(d.SoakUntil)
	if after == before {
		return nil
	}
	after.DecidedUs = c.Clock().UnixMicro()
	if after.State != before.State && d.State == campaign.RingOpen {
		after.OpenedUs = after.DecidedUs
	}
	s.rings[i] = after
	if err := c.ringMoved(ctx, tx, s, before, after); err != nil {
		return err
	}
	return tx.SetRing(ctx, gen.SetRingParams{
		Tenant: after.Tenant, Campaign: after.Campaign, Amendment: after.Amendment, Position: after.Position,
		State: after.State, Verdict: after.Verdict, Reasons: after.Reasons, Evidence: after.Evidence,
		OpenedUs: after.OpenedUs, SoakUntilUs: after.SoakUntilUs, DecidedUs: after.DecidedUs,
	})
}

// ringMoved does what follows from a ring's new state or verdict, and records it.
func (c *Conductor) ringMoved(ctx context.Context, tx *store.Tx, s *scene, before, after gen.CampaignRing) error {
	detail := map[string]any{"amendment": after.Amendment, "evidence": after.Evidence}
	if after.State != before.State {
		c.Log.Info("ring", "campaign", s.row.Name, "ring", after.Ring, "state", after.State, "amendment", after.Amendment)
		switch campaign.RingState(after.State) {
		case campaign.RingOpen:
			c.record(tx, s, register.Entry{Kind: register.RingOpened, Ring: after.Ring, Detail: detail})
			return c.openRing(ctx, tx, s, after)
		case campaign.RingSoaking:
			c.record(tx, s, register.Entry{Kind: register.RingSoaking, Ring: after.Ring, Detail: detail})
		case campaign.RingDone:
			c.record(tx, s, register.Entry{Kind: register.RingDone, Ring: after.Ring, Detail: detail})
		}
	}
	if after.Verdict != before.Verdict || after.State == string(campaign.RingGate) && after.Reasons != before.Reasons {
		detail["reasons"] = after.Reasons
		detail["verdict"] = after.Verdict
		c.record(tx, s, register.Entry{Kind: register.GateDecided, Ring: after.Ring, Detail: detail})
	}
	if campaign.RingState(before.State) != campaign.RingGate && campaign.RingState(after.State) != campaign.RingGate || after.Verdict == "" {
		return nil
	}
	return c.keepEvaluation(ctx, tx, after, actor, evaluated{campaign.Verdict(after.Verdict), json.RawMessage(after.Evidence), json.RawMessage(after.Reasons)})
}

// openRing promotes the content to the ring and wakes its devices.
func (c *Conductor) openRing(ctx context.Context, tx *store.Tx, s *scene, r gen.CampaignRing) error {
	if r.Position > 0 {
		if err := c.leaveBehind(ctx, tx, s, int(r.Amendment)); err != nil {
			return err
		}
	}
	err := tx.PromoteItems(ctx, gen.PromoteItemsParams{
		Tenant: r.Tenant, Campaign: r.Campaign, Amendment: r.Amendment, Promoted: r.Position,
	})
	if err != nil {
		return fmt.Errorf("promote the content: %w", err)
	}
	for i := range s.items {
		if s.items[i].Amendment == int(r.Amendment) && !s.items[i].Withdrawn {
			s.items[i].Promoted = max(s.items[i].Promoted, int(r.Position))
		}
	}
	_, err = tx.TouchRingDevices(ctx, gen.TouchRingDevicesParams{
		Tenant: r.Tenant, Campaign: r.Campaign, Amendment: r.Amendment, Position: r.Position,
	})
	return err
}

// leaveBehind takes out what was declined or delayed while the rings before
// this one were at work: none of them has validated it.
func (c *Conductor) leaveBehind(ctx context.Context, tx *store.Tx, s *scene, amendment int) error {
	unfits := campaign.NewContent(s.items).Unfits(c.Clock(), amendment, s.rules)
	for _, u := range unfits {
		by, why := u.Outcome.Decision.Actor, u.Outcome.Decision.Reason
		if _, err := tx.WithdrawItem(ctx, gen.WithdrawItemParams{
			Tenant: s.row.Tenant, Campaign: s.row.ID, ID: string(u.Item.ID), WithdrawnUs: c.Clock().UnixMicro(), WithdrawnBy: by, WithdrawnReason: why,
		}); err != nil {
			return fmt.Errorf("withdraw %s: %w", u.Item.Key, err)
		}
		for i := range s.items {
			if s.items[i].ID == u.Item.ID {
				s.items[i].Withdrawn, s.items[i].By, s.items[i].Why = true, by, why
			}
		}
		c.record(tx, s, register.Entry{
			Kind: register.ItemWithdrawn, Patch: string(u.Item.ID), Detail: map[string]any{"why": why, "verdict": string(u.Outcome.Verdict), "by": by},
		})
	}
	if len(unfits) == 0 {
		return nil
	}
	_, err := tx.TouchCampaignDevices(ctx, s.row.Tenant, s.row.ID)
	return err
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func ringName(s *scene, position int64) string {
	for _, r := range s.rings {
		if r.Position == position {
			return r.Ring
		}
	}
	return strconv.FormatInt(position, 10)
}
