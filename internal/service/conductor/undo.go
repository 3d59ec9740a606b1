package conductor

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
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
)

// What is different in a campaign that undoes another one.

// undo tells that the campaign is a rollback.
func (s *scene) undo() bool { return campaign.Origin(s.row.Origin) == campaign.ByRollback }

// notUndo refuses on a rollback what only makes sense where patches are brought.
func (s *scene) notUndo() error {
	if !s.undo() {
		return nil
	}
	return fault.New(fault.Conflict, "what", "campaign "+s.row.Name, "state", s.row.Origin, "wanted", "calendar, manual, emergency")
}

// loadRollback completes the scene of a rollback: its items say who asked.
func (s *scene) loadRollback(ctx context.Context, q *gen.Queries) (err error) {
	if !s.undo() {
		s.goingBack, err = q.OpenRollbacks(ctx, s.row.Tenant, s.row.ID)
		return err
	}
	if s.rollback, err = q.Rollback(ctx, s.row.Tenant, s.row.ID); err != nil {
		return err
	}
	for i := range s.items {
		s.items[i].By, s.items[i].Why = s.rollback.AskedBy, s.rollback.Reason
	}
	return nil
}

// verifyRollback is when people look at what has not gone back.
const verifyRollback = 48 * time.Hour

// shortestRing is how long a ring of a rollback is open at least, so that one
// whose devices are off is not judged before they are back at work.
const shortestRing = 24 * time.Hour

// backSchedule: all rings may begin now; they are as long as they were.
func (s *scene) backSchedule(now time.Time) procedure.Schedule {
	out, verify, shortest := s.schedule, verifyRollback, shortestRing
	if c := s.schedule.Compress; !c.IsZero() {
		verify, shortest = c.Duration(verify), c.Duration(shortest)
	}
	out.Rings, out.Verification = nil, now.Add(verify).In(s.procedure.Zone)
	for _, r := range s.schedule.Rings {
		r.Closes = now.Add(max(r.Closes.Sub(r.Opens), shortest)).In(s.procedure.Zone)
		r.Opens = now.In(s.procedure.Zone)
		out.Rings = append(out.Rings, r)
	}
	return out
}

// undoRing makes a ring one of a rollback: evidence alone, and no soak.
func (s *scene) undoRing(r *campaign.Ring, position int64) {
	if !s.undo() {
		return
	}
	r.Undo, r.Soak, r.SignOffs, r.OpenTasks = true, 0, nil, 0
	r.First = position == 0 || s.rollback.ByRing == 0
	r.Gate = campaign.RollbackGate(s.procedure.Rings[position].Gate)
}

// foundOn completes what a rollback knows of a device with what the campaign
// that it undoes has there now.
func (g *group) foundOn(device string, progress []campaign.Progress) error {
	if !g.scene.undo() {
		return nil
	}
	for _, i := range g.batch.Items[device] {
		if i.Campaign != g.scene.rollback.Undoes {
			continue
		}
		p, err := store.Progress(i)
		if err != nil {
			return err
		}
		for at := range progress {
			if progress[at].Item == patch.ID(i.Item) {
				progress[at].Found, progress[at].Packages = &p, p.Packages
			}
		}
	}
	return nil
}

// join gives a rollback of the whole fleet what an order that was out when it was
// asked for has brought on a device after it.
func (g *group) join(ctx context.Context, row gen.CampaignDevice, device campaign.Device) error {
	for i := range device.Progress {
		p := &device.Progress[i]
		if !p.ToUndo(false) {
			continue
		}
		for _, back := range g.scene.goingBack {
			ask := campaign.Rollback{Ring: back.Ring, Device: fleet.DeviceID(back.Device), Patch: patch.ID(back.Item)}
			if !ask.Everywhere() || !ask.Covers("", "", p.Item) {
				continue
			}
			if err := g.joinOne(ctx, row, back, *p); err != nil {
				return fmt.Errorf("join rollback %s: %w", back.Campaign, err)
			}
			break
		}
	}
	return nil
}

func (g *group) joinOne(ctx context.Context, row gen.CampaignDevice, back gen.CampaignRollback, p campaign.Progress) error {
	at := slices.IndexFunc(g.scene.items, func(i campaign.Item) bool { return i.ID == p.Item && i.Withdrawn })
	if at < 0 {
		return nil // it was brought in again since
	}
	now, key := g.Clock(), g.scene.items[at].Key
	if _, err := g.tx.AddUndoItem(ctx, gen.AddUndoItemParams{
		Tenant: row.Tenant, Campaign: back.Campaign, ID: string(p.Item), Provider: key.Provider, Name: key.Name, Version: key.Version, Suite: key.Suite,
		Promoted: int64(len(g.scene.schedule.Rings) - 1),
	}); err != nil {
		return err
	}
	n, err := g.tx.AddUndoDevice(ctx, gen.AddUndoDeviceParams{
		Tenant: row.Tenant, Campaign: back.Campaign, Device: row.Device, Position: row.Position, UpdatedUs: now.UnixMicro(),
	})
	if err != nil {
		return err
	}
	if err := g.tx.AddRingCounts(ctx, gen.AddRingCountsParams{Tenant: row.Tenant, Campaign: back.Campaign, Position: row.Position, NotReached: n}); err != nil {
		return err
	}
	if err := takeItem(ctx, g.tx, row, taken{rollback: back.Campaign, progress: p, why: campaign.Asked(back.AskedBy, back.Reason), at: now}); err != nil {
		return err
	}
	if _, err := g.tx.TouchDeviceRows(ctx, row.Tenant, row.Device); err != nil {
		return err
	}
	return g.tx.TouchCampaign(ctx, row.Tenant, back.Campaign)
}

// withOwn puts a window of a rollback's own before those of the device, which
// come into their right again when it is over: a device that was off at night
// goes back in the morning.
func withOwn(text string, of openings, now time.Time) (openings, error) {
	if text == "" {
		return of, nil
	}
	var own []interval
	if err := json.Unmarshal([]byte(text), &own); err != nil {
		return of, fmt.Errorf("read windows: %w", err)
	}
	own = clip(own, now)
	of.windows = calendar.Union(append(own, of.windows...)...)
	if len(own) > 0 {
		of.frozen = fault.Reason{}
	}
	return of, nil
}

// ended closes a rollback that has nothing left to do, after recording what it
// came to, there and in the campaign that it undid.
func (c *Conductor) ended(ctx context.Context, tx *store.Tx, s *scene) (bool, error) {
	var states []campaign.RingState
	for _, r := range s.rings {
		states = append(states, campaign.RingState(r.State))
	}
	if !s.undo() || !campaign.Undone(states) {
		return false, nil
	}
	if s.row.State == string(campaign.Running) {
		if err := c.enter(ctx, tx, s, campaign.Verifying); err != nil {
			return true, err
		}
	}
	return true, c.closeCampaign(ctx, tx, s, actor, "")
}

// tellUndone records in the campaign that went back how its rollback ended.
func (c *Conductor) tellUndone(tx *store.Tx, s *scene, by register.Actor, numbers map[string]any) {
	if !s.undo() {
		return
	}
	tx.Record(register.Entry{
		Tenant: s.row.Tenant, AtUS: c.Clock().UnixMicro(), Actor: by, Kind: register.RollbackEnded, Campaign: s.rollback.Undoes,
		Reason: campaign.Asked(s.rollback.AskedBy, s.rollback.Reason),
		Detail: map[string]any{"rollback": s.row.ID, "name": s.row.Name, "rings": numbers["rings"]},
	})
}
