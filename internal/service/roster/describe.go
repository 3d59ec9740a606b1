package roster

import (
	"context"
	"encoding/json"
	"fmt"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Changed is a device's description before and after, and what the change
// means in the open campaigns where it means anything.
type Changed struct {
	Device fleet.DeviceID   `json:"device"`
	Before fleet.Described  `json:"before"`
	After  fleet.Described  `json:"after"`
	Places []campaign.Place `json:"places"`
}

// Describe changes what is said of a device. Rings of campaigns that are not
// sealed follow it; what is sealed stays, and the answer names it.
func (r *Roster) Describe(ctx context.Context, tenant fleet.TenantID, by register.Actor, device fleet.DeviceID, ask fleet.Describe) (out Changed, err error) {
	err = r.DB.Write(ctx, func(tx *store.Tx) error {
		out, err = r.describe(ctx, tx, tenant, by, device, ask)
		return err
	})
	if err != nil {
		return Changed{}, err
	}
	r.Wake()
	return out, nil
}

func (r *Roster) describe(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, by register.Actor, device fleet.DeviceID, ask fleet.Describe) (Changed, error) {
	row, err := tx.Device(ctx, string(tenant), string(device))
	switch {
	case store.IsNone(err):
		return Changed{}, fault.New(fault.NotFound, "what", "device", "name", string(device))
	case err != nil:
		return Changed{}, fmt.Errorf("read device %s: %w", device, err)
	case row.RetiredUs > 0:
		return Changed{}, fault.New(fault.DeviceRetired, "device", row.Name)
	}
	out := Changed{Device: device, Before: fleet.Described{Name: row.Name, Kind: fleet.Kind(row.Kind), Tags: fleet.Tags{}}}
	if err := json.Unmarshal([]byte(row.Tags), &out.Before.Tags); err != nil {
		return Changed{}, fmt.Errorf("read tags of device %s: %w", device, err)
	}
	if out.After, err = ask.Apply(out.Before); err != nil {
		return Changed{}, err
	}
	if err := keep(ctx, tx, row, out.After); err != nil {
		return Changed{}, err
	}
	if out.Places, err = r.replace(ctx, tx, tenant, row.ID); err != nil {
		return Changed{}, err
	}
	tx.Record(register.Entry{
		Tenant: row.Tenant, AtUS: r.Clock().UnixMicro(), Actor: by, Kind: register.DeviceChanged, Device: row.ID,
		Detail: map[string]any{"before": descriptionText(out.Before), "after": descriptionText(out.After), "places": placeTexts(out.Places), "why": ask.Reason},
	})
	return out, nil
}

// keep writes the description and the tags that lists search by. Nobody else
// may have changed it meanwhile: what one person took away, another's change
// must not bring back.
func keep(ctx context.Context, tx *store.Tx, was gen.Device, after fleet.Described) error {
	tags, err := json.Marshal(after.Tags)
	if err != nil {
		return fmt.Errorf("encode tags: %w", err)
	}
	n, err := tx.DescribeDevice(ctx, gen.DescribeDeviceParams{
		Tenant: was.Tenant, ID: was.ID, Name: after.Name, Kind: string(after.Kind), Tags: string(tags),
		WasName: was.Name, WasKind: was.Kind, WasTags: was.Tags,
	})
	if err != nil {
		return fmt.Errorf("describe device %s: %w", was.ID, err)
	}
	if n == 0 {
		return fault.New(fault.Conflict, "what", "device "+was.Name, "state", "changed", "wanted", "unchanged")
	}
	if err := tx.DropDeviceTags(ctx, was.Tenant, was.ID); err != nil {
		return fmt.Errorf("drop tags of device %s: %w", was.ID, err)
	}
	for name, value := range after.Tags {
		if err := tx.AddDeviceTag(ctx, gen.AddDeviceTagParams{Tenant: was.Tenant, Device: was.ID, Name: name, Value: value}); err != nil {
			return fmt.Errorf("tag device %s: %w", was.ID, err)
		}
	}
	return nil
}

// replace reads the device as it is now and lets its rings follow.
func (r *Roster) replace(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, device string) ([]campaign.Place, error) {
	row, err := tx.Device(ctx, string(tenant), device)
	if err != nil {
		return nil, fmt.Errorf("read device %s: %w", device, err)
	}
	groups, err := tx.GroupsOfDevice(ctx, string(tenant), device)
	if err != nil {
		return nil, fmt.Errorf("read groups of device %s: %w", device, err)
	}
	return r.Replace(ctx, tx, row, groups)
}

func descriptionText(d fleet.Described) map[string]any {
	tags := map[string]any{}
	for k, v := range d.Tags {
		tags[k] = v
	}
	return map[string]any{"name": d.Name, "kind": string(d.Kind), "tags": tags}
}

func placeTexts(places []campaign.Place) []any {
	out := make([]any, 0, len(places))
	for _, p := range places {
		out = append(out, map[string]any{"campaign": string(p.Campaign), "name": p.Name, "from": p.From, "to": p.To, "follows": p.Follows})
	}
	return out
}
