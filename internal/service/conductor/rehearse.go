package conductor

import (
	"context"
	"fmt"

	"patchring/internal/core/campaign"
	"patchring/internal/core/patch"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// loadRehearsals reads how far the first ring has come with the rehearsals that
// the procedure asks for.
func (s *scene) loadRehearsals(ctx context.Context, q *gen.Queries) (err error) {
	if s.undo() || !s.procedure.Rollback.Rehearse {
		return nil
	}
	s.rehearsals, err = q.Rehearsals(ctx, s.row.Tenant, s.row.ID)
	if err != nil {
		return fmt.Errorf("read rehearsals: %w", err)
	}
	return nil
}

// rehearse is what devices of the first ring are asked to rehearse.
func (s *scene) rehearse() campaign.Rehearse {
	out := campaign.Rehearse{
		Asked: s.procedure.Rollback.Rehearse && !s.undo(), Devices: s.procedure.Rollback.RehearseDevices, Begun: map[patch.ID]int{},
	}
	for _, r := range s.rehearsals {
		out.Begun[patch.ID(r.Item)] = int(r.Begun)
	}
	return out
}

// rehearsed is what the gate of a first ring waits for: every patch that some of
// its devices have, and can put back, on as many of them as the procedure says.
func (s *scene) rehearsed(amendment int64) campaign.Rehearsals {
	out := campaign.Rehearsals{Asked: s.procedure.Rollback.Rehearse && !s.undo()}
	for _, r := range s.rehearsals {
		possible, name := r.Installed-r.Impossible, ""
		for _, item := range s.items {
			if string(item.ID) == r.Item && !item.Withdrawn {
				name = item.Key.Name
			}
		}
		if r.Amendment != amendment || possible <= 0 || name == "" {
			continue
		}
		if n := int64(s.procedure.Rollback.RehearseDevices); n > 0 {
			possible = min(possible, n)
		}
		if out.Need++; r.Done >= possible {
			out.Done++
		} else {
			out.Missing = append(out.Missing, name)
		}
	}
	return out
}

// leavesRehearsals is told of a device that leaves the first ring. Where only so
// many rehearse each patch, another one takes the place that it may have had:
// the others are done, and would not look again by themselves.
func (s *scene) leavesRehearsals(ctx context.Context, tx *store.Tx, row gen.CampaignDevice) error {
	if row.Position != 0 || s.undo() || !s.procedure.Rollback.Rehearse || s.procedure.Rollback.RehearseDevices == 0 {
		return nil
	}
	if _, err := tx.TouchRingDevices(ctx, gen.TouchRingDevicesParams{
		Tenant: row.Tenant, Campaign: row.Campaign, Amendment: row.Amendment, Position: row.Position,
	}); err != nil {
		return fmt.Errorf("wake the first ring: %w", err)
	}
	return nil
}

// begun counts what an order begins to rehearse: the next device of this batch
// sees it.
func (g *group) begun(row gen.CampaignDevice, device campaign.Device, o *campaign.OrderSpec) {
	if g.scene.undo() || o.Kind != wire.OrderRollback {
		return
	}
	for _, item := range o.Items {
		if p, _ := progressOn(device.Progress, patch.ID(item.ID)); p.Rehearsal.Stage == campaign.NotRehearsed {
			g.scenes[row.Amendment].Rehearse.Begun[patch.ID(item.ID)]++
		}
	}
}

// recordRehearsal keeps the end of one, which the ring's gate waits for.
func (g *group) recordRehearsal(row gen.CampaignDevice, after campaign.Progress) {
	g.moved = true
	if after.Rehearsal.Stage == campaign.RehearsalMoot {
		return
	}
	g.tx.Record(register.Entry{
		Tenant: row.Tenant, AtUS: g.Clock().UnixMicro(), Actor: actor, Kind: register.RollbackRehearsed, Device: row.Device, Campaign: row.Campaign,
		Ring: ringName(g.scene, row.Position), Patch: string(after.Item), Reason: after.Rehearsal.Why, Detail: map[string]any{
			"state": string(after.Rehearsal.Stage), "back_ms": after.Rehearsal.Back.Milliseconds(), "again_ms": after.Rehearsal.Again.Milliseconds(),
		},
	})
}
