package cleaner

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/cleanup"
	"patchring/internal/core/fault"
	"patchring/internal/core/policy"
	"patchring/internal/infra/rounds"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// group is a batch of devices of one tenant with all that is read for it.
type group struct {
	*Cleaner
	tx        *store.Tx
	batch     store.Batch
	policies  policy.Policies
	approvals []gen.CleanUpApproval
	holds     []gen.Hold
	windows   map[policy.Match][]calendar.Interval
	sent      bool
}

func (c *Cleaner) group(ctx context.Context, tx *store.Tx, tenant string, rows []gen.CleanUpLook) (*group, error) {
	g := &group{Cleaner: c, tx: tx, windows: map[policy.Match][]calendar.Interval{}}
	ids := make([]string, 0, len(rows))
	for _, r := range rows {
		ids = append(ids, r.Device)
	}
	var err error
	if g.policies, err = c.Policies(ctx, tx.Reads, tenant); err != nil {
		return nil, err
	}
	if g.batch, err = tx.Batch(ctx, tenant, ids); err != nil {
		return nil, err
	}
	if g.policies.AskSoftware() {
		if g.batch.Software, err = tx.Software(ctx, tenant, ids); err != nil {
			return nil, err
		}
	}
	if g.approvals, err = tx.CleanUpApprovals(ctx, tenant); err != nil {
		return nil, fmt.Errorf("read approvals: %w", err)
	}
	if g.holds, err = tx.HoldsInForce(ctx, tenant); err != nil {
		return nil, fmt.Errorf("read holds: %w", err)
	}
	return g, nil
}

// decide one device: close what no longer stands, give what is due, and write
// where each item is.
func (g *group) decide(ctx context.Context, row gen.CleanUpLook) error {
	dr, known := g.batch.Devices[row.Device]
	if !known || dr.RetiredUs > 0 {
		return g.tx.DropCleanUpLook(ctx, row.Tenant, row.Device)
	}
	items, err := g.tx.CleanUpItems(ctx, row.Tenant, row.Device)
	if err != nil {
		return fmt.Errorf("read items: %w", err)
	}
	now := g.Clock()
	settings, match, err := g.settings(row.Device, now)
	if err != nil {
		return err
	}
	device, open, err := g.device(row.Device, settings, match, items, now)
	if err != nil {
		return err
	}
	d := cleanup.Decide(now, device)
	if err := g.close(ctx, row, open, d); err != nil {
		return err
	}
	if d.Order != nil {
		if err := g.issue(ctx, row, settings.CleanUp, *d.Order); err != nil {
			return err
		}
	}
	if err := g.keep(ctx, row, settings.CleanUp, items, d); err != nil {
		return err
	}
	if settings.CleanUp == nil && open == nil && !g.policies.HaveCleanUps() {
		return g.tx.DropCleanUpLook(ctx, row.Tenant, row.Device)
	}
	due := rounds.Never
	if !d.Look.IsZero() {
		due = d.Look.UnixMicro()
	}
	return g.tx.SetCleanUpLook(ctx, gen.SetCleanUpLookParams{Tenant: row.Tenant, Device: row.Device, SeenUs: row.DueUs, DueUs: due})
}

func (g *group) settings(id string, now time.Time) (policy.Settings, policy.Match, error) {
	var match policy.Match
	if g.policies.AskDevices() {
		d, err := store.Subject(g.batch.Devices[id], g.batch.Groups[id], g.batch.Traits[id], g.batch.Software[id])
		if err != nil {
			return policy.Settings{}, "", err
		}
		match = g.policies.Match(&d, now)
	}
	return g.policies.Settings(match), match, nil
}

// device is the decision's view.
func (g *group) device(id string, s policy.Settings, match policy.Match, items []gen.CleanUpItem, now time.Time) (cleanup.Device, *openOrder, error) {
	d := cleanup.Device{Able: g.batch.Devices[id].Capability >= wire.CleanUpCapability, Held: g.held(id), Frozen: campaign.FrozenBy(s, now)}
	if s.CleanUp != nil {
		d.Every, d.Auto = s.CleanUp.Every, s.CleanUp.AfterDryRun == policy.ApproveAfterDryRun
		d.Windows = g.windowsOf(s, match, now)
		for _, i := range s.CleanUp.Items {
			d.Wanted = append(d.Wanted, g.wanted(id, s.CleanUp.Profile, i, items))
		}
	}
	var open *openOrder
	for _, o := range g.batch.Orders[id] {
		order, err := read(o)
		if err != nil {
			return d, nil, err
		}
		if wire.OrderKind(o.Kind) != wire.OrderCleanUp {
			d.Others = append(d.Others, order.windows...)
			continue
		}
		open = &order
		d.Order = &cleanup.Open{Items: order.payload.CleanUp, Windows: order.windows, Expires: store.Instant(o.ExpiresUs)}
	}
	return d, open, nil
}

// windowsOf are worked out once for the devices that are treated alike.
func (g *group) windowsOf(s policy.Settings, match policy.Match, now time.Time) []calendar.Interval {
	known, ok := g.windows[match]
	if !ok {
		known = s.WindowsIn(calendar.Intervals(s.CleanUp.Windows, now, now.Add(campaign.Horizon)))
		g.windows[match] = known
	}
	return known
}

func (g *group) wanted(device, profile string, i cleanup.Item, items []gen.CleanUpItem) cleanup.Wanted {
	w := cleanup.Wanted{ID: i.ID(profile), Item: i}
	print := i.Fingerprint()
	w.Approved = slices.ContainsFunc(g.approvals, func(a gen.CleanUpApproval) bool {
		return a.Item == string(w.ID) && a.Fingerprint == print && (a.Device == "" || a.Device == device)
	})
	at := slices.IndexFunc(items, func(r gen.CleanUpItem) bool { return r.Item == string(w.ID) })
	if at < 0 {
		return w
	}
	w.Cleaned = store.Instant(items[at].CleanedUs)
	if items[at].Fingerprint == print {
		w.Counted, w.Tried = store.Instant(items[at].CountedUs), store.Instant(items[at].TriedUs)
	}
	return w
}

// held is a hold on all that happens to the device. The device knows it too.
func (g *group) held(device string) fault.Reason {
	for _, h := range g.holds {
		if h.Campaign == "" && h.Ring == "" && h.Item == "" && (h.Device == "" || h.Device == device) {
			return fault.Because(fault.DeviceHeld, "by", h.Actor, "reason", h.Reason)
		}
	}
	return fault.Reason{}
}

// keep writes where each item stands, and withdraws those that the policy wants
// no more.
func (g *group) keep(ctx context.Context, row gen.CleanUpLook, c *policy.CleanUp, items []gen.CleanUpItem, d cleanup.Decision) error {
	for k, i := range d.Items {
		item := c.Items[k]
		reason, err := store.ReasonText(i.Reason)
		if err != nil {
			return err
		}
		paths, err := json.Marshal(append([]string{}, item.Paths...))
		if err != nil {
			return fmt.Errorf("encode paths: %w", err)
		}
		err = g.tx.PutCleanUpItem(ctx, gen.PutCleanUpItemParams{
			Tenant: row.Tenant, Device: row.Device, Item: string(i.ID), Kind: string(item.Kind), Fingerprint: item.Fingerprint(),
			OlderThanS: int64(item.OlderThan / time.Second), Paths: string(paths), State: string(i.State), Reason: reason, NextUs: store.Micros(i.Next),
		})
		if err != nil {
			return fmt.Errorf("keep item %s: %w", i.ID, err)
		}
	}
	for _, r := range items {
		wanted := slices.ContainsFunc(d.Items, func(i cleanup.ItemDecision) bool { return string(i.ID) == r.Item })
		if wanted || r.State == string(cleanup.Withdrawn) {
			continue
		}
		if err := g.tx.WithdrawCleanUpItem(ctx, gen.WithdrawCleanUpItemParams{Tenant: row.Tenant, Device: row.Device, Item: r.Item}); err != nil {
			return fmt.Errorf("withdraw item %s: %w", r.Item, err)
		}
	}
	return nil
}
