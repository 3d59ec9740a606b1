package conductor

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/pace"
	"patchring/internal/core/policy"
	"patchring/internal/core/procedure"
	"patchring/internal/core/reboot"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// stepReboots decides on a batch of devices that need a reboot, in one
// transaction with their orders.
func (c *Conductor) stepReboots(ctx context.Context) (int, error) {
	decided := 0
	err := c.DB.Write(ctx, func(tx *store.Tx) error {
		now := c.Clock()
		claimed, err := tx.ClaimPendingReboots(ctx, gen.ClaimPendingRebootsParams{
			LeaseUs: now.Add(lease).UnixMicro(), NowUs: now.UnixMicro(), Max: deviceBatch,
		})
		if err != nil {
			return err
		}
		decided = len(claimed)
		tenants := map[string][]gen.PendingReboot{}
		for _, row := range claimed {
			tenants[row.Tenant] = append(tenants[row.Tenant], row)
		}
		for tenant, rows := range tenants {
			if err := c.decideReboots(ctx, tx, tenant, rows); err != nil {
				return fmt.Errorf("tenant %s: %w", tenant, err)
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("decide on reboots: %w", err)
	}
	return decided, nil
}

// reboots decides the claimed devices of one tenant.
type reboots struct {
	*Conductor
	tx    *store.Tx
	batch store.Batch
	bare  *scene            // of the devices in no open campaign
	open  map[string]*scene // by campaign
	taken map[reboot.Minute]int
	pace  pace.Learned
}

func (c *Conductor) decideReboots(ctx context.Context, tx *store.Tx, tenant string, rows []gen.PendingReboot) error {
	ids := make([]string, 0, len(rows))
	for _, r := range rows {
		ids = append(ids, r.Device)
	}
	batch, err := tx.Batch(ctx, tenant, ids)
	if err != nil {
		return err
	}
	bare, err := c.bareScene(ctx, tx.Queries, tenant)
	if err != nil {
		return err
	}
	if err := bare.readSoftware(ctx, tx.Reads, &batch); err != nil {
		return err
	}
	if err := bare.readLimits(ctx, tx.Reads, &batch); err != nil {
		return err
	}
	r := reboots{Conductor: c, tx: tx, batch: batch, bare: bare, open: map[string]*scene{}, taken: map[reboot.Minute]int{}}
	if r.pace, err = tx.Reboots(ctx, tenant); err != nil {
		return err
	}
	starts, err := tx.RebootStarts(ctx, tenant, c.Clock().UnixMicro())
	if err != nil {
		return fmt.Errorf("read when others reboot: %w", err)
	}
	for _, s := range starts {
		r.taken[reboot.MinuteOf(store.Instant(s.StartsUs))] += int(s.Devices)
	}
	for _, row := range rows {
		if err := r.decide(ctx, row); err != nil {
			return fmt.Errorf("device %s: %w", row.Device, err)
		}
	}
	return nil
}

// bareScene is what holds without a campaign: no procedure, so only what
// policies say.
func (c *Conductor) bareScene(ctx context.Context, q *gen.Queries, tenant string) (*scene, error) {
	s := &scene{
		row: gen.Campaign{Tenant: tenant}, amended: map[int64]int64{}, cache: map[devicePlace]openings{},
		settingsOf: map[policy.Match]policy.Settings{}, counted: map[sharing]int64{},
		procedure: procedure.Procedure{UnreachableAfter: procedure.DefaultUnreachable},
	}
	var err error
	if s.rules.Policies, err = c.scenes.policies(ctx, q, tenant, c.Clock()); err != nil {
		return nil, err
	}
	s.rules.Exceptions, err = exceptions(ctx, q, tenant, c.Clock())
	return s, err
}

// sceneOf is that of the newest open campaign the device is in: where its
// profile says nothing, its procedure does.
func (r *reboots) sceneOf(ctx context.Context, row gen.PendingReboot) (*scene, error) {
	ids, err := r.tx.RulingCampaign(ctx, row.Tenant, row.Device)
	if err != nil {
		return nil, fmt.Errorf("read the device's campaign: %w", err)
	}
	if len(ids) == 0 {
		return r.bare, nil
	}
	if s, ok := r.open[ids[0]]; ok {
		return s, nil
	}
	crow, err := r.tx.Campaign(ctx, row.Tenant, ids[0])
	if err != nil {
		return nil, fmt.Errorf("read campaign %s: %w", ids[0], err)
	}
	s, err := r.scene(ctx, r.tx.Queries, crow)
	if err != nil {
		return nil, err
	}
	r.open[ids[0]] = s
	return s, nil
}

func (r *reboots) decide(ctx context.Context, row gen.PendingReboot) error {
	s, err := r.sceneOf(ctx, row)
	if err != nil {
		return err
	}
	// As a row of a campaign without a name, the device shares limits, places and
	// the way orders are written with those of campaigns.
	g := &group{Conductor: r.Conductor, tx: r.tx, reads: r.tx.Reads, scene: s, batch: r.batch}
	of := gen.CampaignDevice{Tenant: row.Tenant, Device: row.Device}
	now := r.Clock()
	asks, err := g.rebooting(ctx, of, row, now)
	if err != nil {
		return err
	}
	d := reboot.Decide(now, asks.device)
	if err := r.close(ctx, g, of, asks, d); err != nil {
		return err
	}
	if d.Over {
		return r.tx.DropPendingReboot(ctx, row.Tenant, row.Device)
	}
	starts := row.StartsUs
	switch {
	case d.Order != nil:
		if starts, err = r.issue(ctx, g, of, asks, &d); err != nil {
			return err
		}
	case asks.device.Order == nil || d.Cancel || d.Expired:
		starts = 0
	}
	reason, err := store.ReasonText(d.Reason)
	if err != nil {
		return err
	}
	return r.tx.SetPendingReboot(ctx, gen.SetPendingRebootParams{
		Tenant: row.Tenant, Device: row.Device, Reason: reason, NextUs: store.Micros(d.Next), StartsUs: starts,
		SeenUs: row.DueUs, DueUs: due(d.Look),
	})
}

// close ends an open order that no longer stands, and gives places back.
func (r *reboots) close(ctx context.Context, g *group, of gen.CampaignDevice, asks asking, d reboot.Decision) error {
	if asks.order != nil && d.Cancel {
		if err := g.shut(ctx, of, asks.order, orderCancelled, fault.Because(fault.OrderCancelled)); err != nil {
			return err
		}
	} else if asks.order != nil && d.Expired {
		if err := g.shut(ctx, of, asks.order, orderExpired, fault.Because(fault.OrderExpired)); err != nil {
			return err
		}
	} else if asks.order != nil {
		return nil
	}
	return g.freeSlotsOf(ctx, of)
}

// asking is one device that needs a reboot, with what its order is made from.
type asking struct {
	device   reboot.Device
	order    *campaign.OpenOrder
	restarts campaign.Restarts
	settings policy.Settings
	limits   []under
	since    time.Time
}

// rebooting is the decision's view of one device.
func (g *group) rebooting(ctx context.Context, of gen.CampaignDevice, row gen.PendingReboot, now time.Time) (asking, error) {
	dr := g.batch.Devices[row.Device]
	a := asking{since: store.Instant(row.SinceUs), device: reboot.Device{
		ID: fleet.DeviceID(row.Device), Retired: dr.RetiredUs > 0, Capability: int(dr.Capability), LastSeen: store.Instant(dr.SeenUs),
		Pending: dr.RebootPending == 1, Read: row.BootID != "" && row.BootID == dr.BootID, Survived: int(row.Survived),
		Cleared: store.Instant(row.ClearedUs),
	}}
	d := &a.device
	if err := json.Unmarshal([]byte(row.Signals), &d.Signals); err != nil {
		return a, fmt.Errorf("read its signals: %w", err)
	}
	why, err := store.ReasonFrom(row.Last)
	if err != nil {
		return a, err
	}
	d.Last = reboot.End{Why: why, At: store.Instant(row.LastUs)}
	if err := a.addOrders(g.batch.Orders[row.Device]); err != nil {
		return a, err
	}
	match, err := g.scene.match(g.batch, row.Device, now)
	if err != nil {
		return a, err
	}
	a.settings = g.scene.settings(match)
	d.Exception = campaign.Excepted(g.scene.rules, policy.Holder{Device: d.ID, Groups: g.batch.Groups[row.Device], Match: match}, now)
	open, err := g.openings(of, dr, match, now)
	if err != nil {
		return a, err
	}
	a.restarts = g.scene.reboots(a.settings, g.scene.terms(), now)
	d.Frozen = open.frozen
	d.Mode, d.Windows = a.restarts.When(a.settings, open.windows)
	if a.limits, err = g.limits(ctx, of, match); err != nil || a.order != nil {
		return a, err // it has its places
	}
	d.Crowds, err = g.crowds(ctx, of, a.limits, now)
	return a, err
}

func (a *asking) addOrders(open []gen.DeviceOrder) error {
	for _, o := range open {
		known, err := openOrder(o)
		if err != nil {
			return err
		}
		if known.Kind == wire.OrderReboot {
			a.order = known
			a.device.Order = &reboot.Order{
				Step: known.Step, Cause: known.Cause, Next: known.Next, Issued: known.Issued, Expires: known.Expires, Windows: known.Windows,
			}
			continue
		}
		if known.Kind == wire.OrderCleanUp {
			continue // it gives way by itself
		}
		other := reboot.Other{Begun: campaign.Begun(known.Step)}
		if len(known.Windows) > 0 {
			other.Opens = known.Windows[0].Start
		}
		if before := a.device.Other; before == nil || other.Begun || !before.Begun && other.Opens.Before(before.Opens) {
			a.device.Other = &other
		}
	}
	return nil
}

// issue writes, signs and sends an order to reboot, if there is a place for it
// in every limit. It gives the instant from which on the order may act.
func (r *reboots) issue(ctx context.Context, g *group, of gen.CampaignDevice, a asking, d *reboot.Decision) (int64, error) {
	order, err := r.write(ctx, g, of, a, d.Order)
	if err != nil {
		return 0, err
	}
	placed, err := g.takeSlots(ctx, of, a.limits, order.ID, time.UnixMicro(order.ExpiresUS))
	if err != nil {
		return 0, err
	}
	if !placed {
		d.Order, d.Look = nil, r.Clock().Add(placeLook)
		return 0, nil
	}
	r.taken[reboot.MinuteOf(time.UnixMicro(order.Windows[0].StartUS))]++
	return order.Windows[0].StartUS, g.send(ctx, of, order)
}

func (r *reboots) write(ctx context.Context, g *group, of gen.CampaignDevice, a asking, spec *reboot.Spec) (wire.Order, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return wire.Order{}, fmt.Errorf("make an order id: %w", err)
	}
	serial, err := r.tx.NextOrderSerial(ctx, of.Tenant, of.Device)
	if err != nil {
		return wire.Order{}, fmt.Errorf("take an order serial: %w", err)
	}
	now := r.Clock()
	margin, err := r.margin(g, of, spec)
	if err != nil {
		return wire.Order{}, err
	}
	windows := reboot.Spread(spec.Windows, now, reboot.Spreading{Device: a.device.ID, Room: margin, Taken: r.taken})
	order := wire.Order{
		ID: id.String(), Serial: serial, Tenant: of.Tenant, Device: of.Device, Kind: wire.OrderReboot, Reboot: a.device.Mode,
		Windows: onWire(windows), IssuedUS: now.UnixMicro(), ExpiresUS: spec.Expires.UnixMicro(), MarginS: seconds(margin),
	}
	if order.Reboot == wire.RebootWindow {
		order.RebootWindows = order.Windows
	}
	if a.settings.People != nil && fleet.Kind(r.batch.Devices[of.Device].Kind) == fleet.Workstation {
		told := campaign.Announce(*a.settings.People, a.since, campaign.Acts{Install: windows, Reboot: windows, Margin: margin})
		order.People, order.MarginS = told.People, seconds(told.Margin)
	}
	if order.Reboot == wire.RebootUser && order.People == nil {
		order.Reboot = wire.RebootIfNeeded
	}
	return order, g.tx.Witness(ctx, g.batch.Devices[of.Device].CheckpointSize, &order)
}

// margin is at least what reboots of the device's model took.
func (r *reboots) margin(g *group, of gen.CampaignDevice, spec *reboot.Spec) (time.Duration, error) {
	model := ""
	if text := r.batch.Traits[of.Device]; text != "" {
		var traits policy.Traits
		if err := json.Unmarshal([]byte(text), &traits); err != nil {
			return 0, fmt.Errorf("read traits: %w", err)
		}
		model = traits.Model
	}
	return max(g.scene.terms().MarginIn(spec.Windows), r.pace.Reboot(model)), nil
}

// AllowReboot lets a device be rebooted again that was left alone because its
// reboots did not help.
func (c *Conductor) AllowReboot(ctx context.Context, tenant fleet.TenantID, by register.Actor, device fleet.DeviceID, reason string) error {
	if err := needReason(reason); err != nil {
		return err
	}
	err := c.DB.Write(ctx, func(tx *store.Tx) error {
		row, err := tx.PendingReboot(ctx, string(tenant), string(device))
		if store.IsNone(err) || err == nil && row.Survived == 0 && row.Last == "" {
			return fault.New(fault.NothingToDo, "what", "no_reboot_stopped")
		}
		if err != nil {
			return fmt.Errorf("read the device's reboot: %w", err)
		}
		if _, err := tx.AllowReboot(ctx, string(tenant), string(device)); err != nil {
			return fmt.Errorf("allow a reboot: %w", err)
		}
		tx.Record(register.Entry{
			Tenant: string(tenant), AtUS: c.Clock().UnixMicro(), Actor: by, Kind: register.RebootAllowed, Device: string(device),
			Detail: map[string]any{"why": reason, "survived": row.Survived},
		})
		return nil
	})
	if err != nil {
		return err
	}
	c.Wake()
	return nil
}
