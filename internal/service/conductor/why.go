package conductor

import (
	"context"
	"fmt"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Why explains one device, or one patch on it, by the rules that decide.
func (c *Conductor) Why(ctx context.Context, tenant fleet.TenantID, device fleet.DeviceID, id patch.ID) ([]Explanation, error) {
	var out []Explanation
	err := c.DB.Snapshot(ctx, func(r store.Reads) error {
		if _, err := r.Device(ctx, string(tenant), string(device)); store.IsNone(err) {
			return fault.New(fault.DeviceUnknown, "device", string(device))
		} else if err != nil {
			return fmt.Errorf("read device %s: %w", device, err)
		}
		rows, err := r.CampaignDevicesOfDevice(ctx, string(tenant), string(device))
		if err != nil {
			return fmt.Errorf("read campaigns of device %s: %w", device, err)
		}
		for _, row := range rows {
			explained, err := c.explain(ctx, r, row, id)
			if err != nil {
				return err
			}
			out = append(out, explained...)
		}
		return nil
	})
	return out, err
}

// Explanation is the chain for one patch in one campaign, and what it amounts to.
type Explanation struct {
	Campaign  string           `json:"campaign"`
	Amendment int              `json:"amendment"`
	Ring      string           `json:"ring"`
	Bucket    campaign.Bucket  `json:"bucket"`
	Patch     patch.Key        `json:"patch"`
	State     patch.State      `json:"state"`
	Reason    fault.Reason     `json:"reason"`
	Next      time.Time        `json:"next"`
	Chain     []campaign.Check `json:"chain"`
}

func (c *Conductor) explain(ctx context.Context, r store.Reads, row gen.CampaignDevice, id patch.ID) ([]Explanation, error) {
	crow, err := r.Campaign(ctx, row.Tenant, row.Campaign)
	if err != nil {
		return nil, fmt.Errorf("read campaign %s: %w", row.Campaign, err)
	}
	if crow.State == string(campaign.Closed) && id == "" {
		return nil, nil
	}
	s, err := c.scene(ctx, r.Queries, crow)
	if err != nil {
		return nil, err
	}
	batch, err := r.Batch(ctx, row.Tenant, []string{row.Device})
	if err != nil {
		return nil, err
	}
	if err := s.readSoftware(ctx, r, &batch); err != nil {
		return nil, err
	}
	if s.pace, err = r.Pace(ctx, row.Tenant, row.Campaign); err != nil {
		return nil, err
	}
	g := group{Conductor: c, reads: r, scene: s, batch: batch}
	now := c.Clock()
	d, _, err := g.device(ctx, row, now)
	if err != nil {
		return nil, err
	}
	view := s.devices(row.Amendment)
	decision := campaign.DecideDevice(now, view, d)
	var out []Explanation
	for _, key := range subjects(view, d, decision, id) {
		e := Explanation{
			Campaign: crow.Name, Amendment: int(row.Amendment), Ring: ringName(s, row.Position), Bucket: decision.Bucket,
			Patch: key, Chain: campaign.Explain(now, view, d, key), State: patch.NotApplicable, Next: decision.Look,
		}
		for _, item := range decision.Items {
			if item.Item == key.ID() {
				e.State, e.Reason, e.Next = item.State, item.Reason, item.Next
			}
		}
		// An item has no reason of its own when it waits for what stops the whole
		// device: then the chain says what that is.
		if blocking, blocked := campaign.Blocking(e.Chain); blocked && e.Reason.IsZero() && e.State != patch.Verified {
			e.Reason, e.Next = blocking.Reason, blocking.Next
		}
		out = append(out, e)
	}
	return out, nil
}

// subjects are the patches to explain: the one asked for, or every one that
// concerns the device.
func subjects(view campaign.Scene, d campaign.Device, decision campaign.DeviceDecision, id patch.ID) []patch.Key {
	seen := map[patch.ID]bool{}
	var keys []patch.Key
	add := func(key patch.Key) {
		if !seen[key.ID()] && (id == "" || key.ID() == id) {
			seen[key.ID()] = true
			keys = append(keys, key)
		}
	}
	for _, i := range decision.Items {
		if item, ok := view.Content.Item(i.Item); ok {
			add(item.Key)
		}
	}
	for _, m := range d.Missing {
		add(m.Key)
	}
	if item, ok := view.Content.Item(id); ok {
		add(item.Key)
	}
	return keys
}
