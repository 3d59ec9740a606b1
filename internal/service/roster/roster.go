// Package roster keeps what an organisation says of its devices: their names,
// kinds and tags, and the groups that they are put in by name. It refuses a
// device it does not know, and a group's name that a procedure could not spell.
// Safe from any goroutine.
package roster

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Options of a roster.
type Options struct {
	DB    *store.DB
	Clock func() time.Time
	// Replace gives a device the ring that its description and groups mean now,
	// in the transaction of the change; the conductor does it.
	Replace func(ctx context.Context, tx *store.Tx, d gen.Device, groups []string) ([]campaign.Place, error)
	// Wake lets campaigns be decided again.
	Wake func()
}

// Roster of all tenants' groups.
type Roster struct{ Options }

// New makes a roster.
func New(o Options) *Roster { return &Roster{o} }

// Create makes a group, or gives an existing one a new title.
func (r *Roster) Create(ctx context.Context, tenant fleet.TenantID, by register.Actor, name, title string) error {
	if !validName(name) {
		return fault.New(fault.InvalidField, "field", "name", "problem", "not_a_word", "fix", "A-Z a-z 0-9 . _ -")
	}
	now := r.Clock().UnixMicro()
	return r.DB.Write(ctx, func(tx *store.Tx) error {
		err := tx.AddGroup(ctx, gen.AddGroupParams{Tenant: string(tenant), Name: name, Title: title, CreatedUs: now})
		if err != nil {
			return fmt.Errorf("create group %s: %w", name, err)
		}
		r.record(tx, tenant, by, "", map[string]any{"group": name, "act": "created", "title": title})
		return nil
	})
}

func validName(name string) bool {
	return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`).MatchString(name)
}

// Add puts devices, by id or name, into a group. All of them or none.
func (r *Roster) Add(ctx context.Context, tenant fleet.TenantID, by register.Actor, group string, devices []string) error {
	return r.change(ctx, tenant, by, group, devices, "added", func(tx *store.Tx, device string) error {
		return tx.AddGroupMember(ctx, gen.AddGroupMemberParams{Tenant: string(tenant), GroupName: group, Device: device})
	})
}

// Remove takes devices out of a group. All of them or none.
func (r *Roster) Remove(ctx context.Context, tenant fleet.TenantID, by register.Actor, group string, devices []string) error {
	return r.change(ctx, tenant, by, group, devices, "removed", func(tx *store.Tx, device string) error {
		n, err := tx.DropGroupMember(ctx, gen.DropGroupMemberParams{Tenant: string(tenant), GroupName: group, Device: device})
		if err == nil && n == 0 {
			return fault.New(fault.NotFound, "what", "device", "name", device)
		}
		return err
	})
}

// SetResult is what Set changed.
type SetResult struct {
	Added   int `json:"added"`
	Removed int `json:"removed"`
	Devices int `json:"devices"` // in the group now
}

// Set gives a group exactly these devices, and makes it where there is none.
// All of them or none.
func (r *Roster) Set(ctx context.Context, tenant fleet.TenantID, by register.Actor, group string, devices []string) (out SetResult, err error) {
	if !validName(group) {
		return out, fault.New(fault.InvalidField, "field", "name", "problem", "not_a_word", "fix", "A-Z a-z 0-9 . _ -")
	}
	defer r.Wake()
	err = r.DB.Write(ctx, func(tx *store.Tx) error {
		out, err = r.set(ctx, tx, tenant, by, group, devices)
		return err
	})
	return out, err
}

func (r *Roster) set(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, by register.Actor, group string, devices []string) (out SetResult, err error) {
	if _, err := tx.Group(ctx, string(tenant), group); store.IsNone(err) {
		if err := tx.AddGroup(ctx, gen.AddGroupParams{Tenant: string(tenant), Name: group, CreatedUs: r.Clock().UnixMicro()}); err != nil {
			return out, fmt.Errorf("create group %s: %w", group, err)
		}
		r.record(tx, tenant, by, "", map[string]any{"group": group, "act": "created", "title": ""})
	} else if err != nil {
		return out, fmt.Errorf("read group %s: %w", group, err)
	}
	rows, err := tx.GroupMembers(ctx, string(tenant), group)
	if err != nil {
		return out, fmt.Errorf("read group %s: %w", group, err)
	}
	gone := map[string]bool{}
	for _, id := range rows {
		gone[id] = true
	}
	wanted := map[string]bool{}
	for _, ref := range devices {
		id, err := resolve(ctx, tx, tenant, ref)
		if err != nil {
			return out, err
		}
		wanted[id] = true
	}
	for _, id := range slices.Sorted(maps.Keys(wanted)) {
		if gone[id] {
			delete(gone, id)
			continue
		}
		if err := tx.AddGroupMember(ctx, gen.AddGroupMemberParams{Tenant: string(tenant), GroupName: group, Device: id}); err != nil {
			return out, fmt.Errorf("add %s to %s: %w", id, group, err)
		}
		if err := r.moved(ctx, tx, tenant, by, group, id, "added"); err != nil {
			return out, err
		}
		out.Added++
	}
	for _, id := range slices.Sorted(maps.Keys(gone)) {
		if _, err := tx.DropGroupMember(ctx, gen.DropGroupMemberParams{Tenant: string(tenant), GroupName: group, Device: id}); err != nil {
			return out, fmt.Errorf("remove %s from %s: %w", id, group, err)
		}
		if err := r.moved(ctx, tx, tenant, by, group, id, "removed"); err != nil {
			return out, err
		}
		out.Removed++
	}
	out.Devices = len(wanted)
	return out, nil
}

// moved lets the device's rings follow, and records the change.
func (r *Roster) moved(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, by register.Actor, group, device, act string) error {
	places, err := r.replace(ctx, tx, tenant, device)
	if err != nil {
		return err
	}
	detail := map[string]any{"group": group, "act": act}
	if len(places) > 0 {
		detail["places"] = placeTexts(places)
	}
	r.record(tx, tenant, by, device, detail)
	return nil
}

// Drop ends a group; its devices stay.
func (r *Roster) Drop(ctx context.Context, tenant fleet.TenantID, by register.Actor, group string) error {
	return r.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.DropGroupMembers(ctx, string(tenant), group); err != nil {
			return fmt.Errorf("empty group %s: %w", group, err)
		}
		n, err := tx.DropGroup(ctx, string(tenant), group)
		if err != nil {
			return fmt.Errorf("drop group %s: %w", group, err)
		}
		if n == 0 {
			return fault.New(fault.NotFound, "what", "group", "name", group)
		}
		r.record(tx, tenant, by, "", map[string]any{"group": group, "act": "dropped"})
		return nil
	})
}

func (r *Roster) change(ctx context.Context, tenant fleet.TenantID, by register.Actor, group string, devices []string, act string, f func(*store.Tx, string) error) error {
	defer r.Wake()
	return r.DB.Write(ctx, func(tx *store.Tx) error {
		if _, err := tx.Group(ctx, string(tenant), group); store.IsNone(err) {
			return fault.New(fault.NotFound, "what", "group", "name", group)
		} else if err != nil {
			return fmt.Errorf("read group %s: %w", group, err)
		}
		for _, ref := range devices {
			device, err := resolve(ctx, tx, tenant, ref)
			if err != nil {
				return err
			}
			if err := f(tx, device); err != nil {
				return fmt.Errorf("%s %s: %w", group, ref, err)
			}
			if err := r.moved(ctx, tx, tenant, by, group, device, act); err != nil {
				return err
			}
		}
		return nil
	})
}

// resolve finds a device by its id or its name. Two devices of one name are
// not guessed between.
func resolve(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, ref string) (string, error) {
	d, err := tx.Device(ctx, string(tenant), ref)
	if err == nil {
		return d.ID, nil
	}
	if !store.IsNone(err) {
		return "", fmt.Errorf("read device %s: %w", ref, err)
	}
	named, err := tx.DevicesByName(ctx, string(tenant), ref)
	if err != nil {
		return "", fmt.Errorf("read devices named %s: %w", ref, err)
	}
	var live []string
	for _, d := range named {
		if d.RetiredUs == 0 {
			live = append(live, d.ID)
		}
	}
	switch len(live) {
	case 0:
		return "", fault.New(fault.NotFound, "what", "device", "name", ref)
	case 1:
		return live[0], nil
	default:
		return "", fault.New(fault.InvalidField, "field", "device", "problem", "several_devices", "fix", "use_id")
	}
}

func (r *Roster) record(tx *store.Tx, tenant fleet.TenantID, by register.Actor, device string, detail map[string]any) {
	tx.Record(register.Entry{
		Tenant: string(tenant), AtUS: r.Clock().UnixMicro(), Actor: by, Kind: register.GroupChanged, Device: device, Detail: detail,
	})
}
