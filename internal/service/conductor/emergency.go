package conductor

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/procedure"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// StartEmergency makes an emergency campaign, which waits for its own sign-offs.
// It returns the campaign's id.
func (c *Conductor) StartEmergency(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.StartEmergency) (campaign.ID, error) {
	if err := needReason(ask.Reason); err != nil {
		return "", err
	}
	cause, err := ask.Cause()
	if err != nil {
		return "", err
	}
	ask.CVE = strings.ToUpper(strings.TrimSpace(ask.CVE))
	row := gen.AddEmergencyParams{Tenant: string(tenant), Cause: string(cause), Reference: ask.CVE, Reason: ask.Reason, AskedBy: string(by)}
	if ask.ThroughFreeze {
		row.ThroughFreeze = 1
	}
	if cause == campaign.CauseMissed {
		missed, err := find(ctx, c.DB.Read(), tenant, ask.Missed)
		if err != nil {
			return "", err
		}
		row.Reference, ask.Missed = missed.ID, missed.ID
		if ask.Procedure == "" {
			ask.Procedure = missed.ProcedureName
		}
	}
	if ask.Patches, err = c.emergencyPatches(ctx, tenant, ask); err != nil {
		return "", err
	}
	p, version, err := c.emergencyProcedure(ctx, tenant, ask.Procedure)
	if err != nil {
		return "", err
	}
	now := c.Clock()
	return c.create(ctx, tenant, by, newCampaign{
		ask:       campaign.Create{Procedure: p.Name, Name: ask.NameAt(now.In(p.Zone)), Windows: ask.Windows, Patches: ask.Patches, Day: ask.Day},
		procedure: p, version: version, schedule: ask.Schedule(p, now), origin: campaign.ByEmergency, emergency: &row,
	})
}

// emergencyPatches are those that the emergency is about.
func (c *Conductor) emergencyPatches(ctx context.Context, tenant fleet.TenantID, ask campaign.StartEmergency) ([]patch.ID, error) {
	read := c.DB.Read()
	var out []patch.ID
	switch {
	case ask.CVE != "":
		ids, err := read.PatchesOfCVE(ctx, string(tenant), ask.CVE)
		if err != nil {
			return nil, fmt.Errorf("read patches of %s: %w", ask.CVE, err)
		}
		for _, id := range ids {
			out = append(out, patch.ID(id))
		}
	case ask.Missed != "":
		rows, err := read.MissedPatches(ctx, string(tenant), ask.Missed)
		if err != nil {
			return nil, fmt.Errorf("read what was missed: %w", err)
		}
		for _, p := range rows {
			out = append(out, patch.ID(p.ID))
		}
	default:
		for _, id := range ask.Patches {
			if _, err := read.Patch(ctx, string(tenant), string(id)); store.IsNone(err) {
				return nil, fault.New(fault.NotFound, "what", "patch", "name", string(id))
			} else if err != nil {
				return nil, fmt.Errorf("read patch %s: %w", id, err)
			}
			out = append(out, id)
		}
	}
	if len(out) == 0 {
		return nil, fault.New(fault.NothingToDo, "what", "emergency")
	}
	return out, nil
}

// emergencyProcedure is the one named, or the only one that has emergencies.
func (c *Conductor) emergencyProcedure(ctx context.Context, tenant fleet.TenantID, name string) (procedure.Procedure, int64, error) {
	if name != "" {
		p, version, err := c.latest(ctx, tenant, name)
		if err == nil && p.Emergency.Day == 0 {
			err = fault.New(fault.NoEmergency, "procedure", name)
		}
		return p, version, err
	}
	rows, err := c.DB.Read().LatestProcedures(ctx, string(tenant))
	if err != nil {
		return procedure.Procedure{}, 0, fmt.Errorf("read procedures: %w", err)
	}
	var names []string
	for _, row := range rows {
		p, err := c.scenes.procedure(ctx, c.DB.Read(), string(tenant), row.Name, row.Version)
		if err != nil {
			return p, 0, err
		}
		if p.Emergency.Day > 0 {
			names = append(names, p.Name)
		}
	}
	switch len(names) {
	case 0:
		return procedure.Procedure{}, 0, fault.New(fault.NoEmergency, "procedure", "")
	case 1:
		return c.latest(ctx, tenant, names[0])
	default:
		return procedure.Procedure{}, 0, fault.New(fault.InvalidField, "field", "procedure", "problem", "not_a_choice", "fix", strings.Join(names, ", "))
	}
}

// Approve records a sign-off on the start of an emergency. The last that was
// missing starts it.
func (c *Conductor) Approve(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.Sign) error {
	return c.act(ctx, tenant, ask.Campaign, func(tx *store.Tx, s *scene) error {
		if s.row.State != string(campaign.Draft) {
			return fault.New(fault.Conflict, "what", "campaign "+s.row.Name, "state", s.row.State, "wanted", string(campaign.Draft))
		}
		rule, err := signOffRule(procedure.Gate{SignOffs: s.procedure.Emergency.SignOffs}, ask.Role)
		if err != nil {
			return err
		}
		if err := allTicked(rule, ask); err != nil {
			return err
		}
		if s.windows != nil && ask.Yes && len(campaign.Ahead(s.windows, c.Clock())) == 0 {
			// It would start, and never act.
			return fault.New(fault.InvalidField, "field", "windows", "problem", "windows_over", "fix", "new_emergency")
		}
		if err := c.addSignOff(ctx, tx, s, gen.CampaignRing{Position: campaign.StartPosition}, by, ask); err != nil {
			return err
		}
		if s.signOffs, err = tx.SignOffs(ctx, s.row.Tenant, s.row.ID); err != nil {
			return fmt.Errorf("read sign-offs: %w", err)
		}
		if len(s.approval().Missing()) > 0 {
			return nil
		}
		return c.startEmergency(ctx, tx, s)
	})
}

// approval is what the emergency of a scene waits for.
func (s *scene) approval() campaign.Approval {
	return campaign.Approval{
		Rules: s.procedure.Emergency.SignOffs, SignOffs: s.signOffsOn(0, campaign.StartPosition),
		StartedBy: s.emergency.AskedBy, ThroughFreeze: s.emergency.ThroughFreeze == 1,
	}
}

// startEmergency counts its hours from now: nobody may have signed at once.
func (c *Conductor) startEmergency(ctx context.Context, tx *store.Tx, s *scene) error {
	now := c.Clock()
	s.schedule = campaign.StartEmergency{Day: time.Duration(s.row.DayUs) * time.Microsecond}.Schedule(s.procedure, now)
	text, err := json.Marshal(s.schedule)
	if err != nil {
		return fmt.Errorf("encode schedule: %w", err)
	}
	s.row.StartsUs, s.row.VerificationUs = s.schedule.Rings[0].Opens.UnixMicro(), s.schedule.Verification.UnixMicro()
	if err := tx.Reschedule(ctx, gen.RescheduleParams{
		Tenant: s.row.Tenant, ID: s.row.ID, Schedule: string(text), StartsUs: s.row.StartsUs, VerificationUs: s.row.VerificationUs,
	}); err != nil {
		return fmt.Errorf("set dates: %w", err)
	}
	for i, r := range s.schedule.Rings {
		if err := tx.RescheduleRing(ctx, gen.RescheduleRingParams{
			Tenant: s.row.Tenant, Campaign: s.row.ID, Position: int64(i), OpensUs: r.Opens.UnixMicro(), ClosesUs: r.Closes.UnixMicro(),
		}); err != nil {
			return fmt.Errorf("set dates of ring %s: %w", r.Ring, err)
		}
	}
	if err := tx.ApproveEmergency(ctx, gen.ApproveEmergencyParams{Tenant: s.row.Tenant, Campaign: s.row.ID, ApprovedUs: now.UnixMicro()}); err != nil {
		return fmt.Errorf("approve: %w", err)
	}
	c.record(tx, s, register.Entry{Kind: register.EmergencyApproved, Detail: map[string]any{
		"schedule": string(text), "through_freeze": s.emergency.ThroughFreeze == 1,
	}})
	s.row.State = string(campaign.Scheduled)
	return c.setState(ctx, tx, s.row)
}

// throughFreeze tells that two people let the emergency act in a freeze.
func (s *scene) throughFreeze() bool {
	return s.emergency.ThroughFreeze == 1 && s.emergency.ApprovedUs > 0
}

// only are the patches that limit the content. Those of an emergency are
// followed to newer versions.
func (s *scene) only(ctx context.Context, tx *store.Tx, candidates []campaign.Candidate) ([]patch.ID, error) {
	var only []patch.ID
	if err := json.Unmarshal([]byte(s.row.Patches), &only); err != nil {
		return nil, fmt.Errorf("read the chosen patches: %w", err)
	}
	if !s.rules.Urgent {
		return only, nil
	}
	named := make([]patch.Key, 0, len(only))
	for _, id := range only {
		p, err := tx.Patch(ctx, s.row.Tenant, string(id))
		if err != nil {
			return nil, fmt.Errorf("read patch %s: %w", id, err)
		}
		named = append(named, store.PatchSubject(p).Key)
	}
	return campaign.Renewed(named, candidates), nil
}

// other tells of an order of another campaign that the device has: whether an
// emergency, or a rollback, may take its place. Of several, all have to give way.
// What a campaign undoes to rehearse it gives way like what it installs; what a
// rollback undoes does not.
func (g *group) other(ctx context.Context, o gen.DeviceOrder, d *campaign.Device) error {
	yielded := d.OtherCampaign == "" || d.OtherYields
	d.OtherCampaign, d.OtherYields = o.Campaign, false
	if !yielded || !g.scene.rules.Urgent && !g.scene.undo() || campaign.Begun(wire.Step(o.Step)) {
		return nil
	}
	origin, err := g.reads.CampaignOrigin(ctx, g.scene.row.Tenant, o.Campaign)
	if err != nil {
		return fmt.Errorf("read campaign %s: %w", o.Campaign, err)
	}
	switch by := campaign.Origin(origin); wire.OrderKind(o.Kind) {
	case wire.OrderInstall:
		d.OtherYields = by != campaign.ByEmergency || g.scene.undo()
	case wire.OrderRollback:
		d.OtherYields = by != campaign.ByRollback
	}
	return nil
}

// preempt cancels the orders of other campaigns that have not begun. Those look
// at the device again: later, they give what is then left to do.
func (g *group) preempt(ctx context.Context, row gen.CampaignDevice) error {
	for _, o := range g.batch.Orders[row.Device] {
		if kind := wire.OrderKind(o.Kind); o.Campaign == row.Campaign || kind != wire.OrderInstall && kind != wire.OrderRollback {
			continue
		}
		of := gen.CampaignDevice{Tenant: row.Tenant, Device: row.Device, Campaign: o.Campaign}
		open := campaign.OpenOrder{ID: o.ID, Step: wire.Step(o.Step)}
		if err := g.shut(ctx, of, &open, orderCancelled, fault.Because(fault.OtherOrder, "campaign", row.Campaign)); err != nil {
			return err
		}
	}
	if _, err := g.tx.TouchDeviceRows(ctx, row.Tenant, row.Device); err != nil {
		return fmt.Errorf("wake device: %w", err)
	}
	return nil
}

// openNow are the intervals in which a compressed campaign acts without any
// windows of its own. An emergency is in earnest: it keeps to the devices'.
func (s *scene) openNow(now time.Time) ([]calendar.Interval, bool) {
	if s.schedule.Compress.IsZero() || s.rules.Urgent {
		return nil, false
	}
	return []calendar.Interval{{Start: now, End: now.Add(compressedHorizon)}}, true
}

// loadEmergency completes the scene of an emergency.
func (s *scene) loadEmergency(ctx context.Context, q *gen.Queries) (err error) {
	if campaign.Origin(s.row.Origin) != campaign.ByEmergency {
		return nil
	}
	s.rules.Urgent = true
	s.emergency, err = q.Emergency(ctx, s.row.Tenant, s.row.ID)
	return err
}
