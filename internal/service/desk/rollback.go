package desk

import (
	"context"
	"fmt"
	"time"

	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Covered is what a rollback leaves open: somebody answers for it, and not for ever.
type Covered struct {
	Tenant   string
	Rollback string // the campaign's id
	Name     string
	Owner    string
	Reason   string
	Control  string
	By       register.Actor
	Until    time.Time
	Patches  []patch.ID
	// Ring, Device: only that part of the fleet; both empty: everyone.
	Ring    string
	Device  string
	Devices []string // its members
}

// Cover grants the exceptions of a rollback in its transaction: one for each
// patch, on everyone, on one device, or on a group of the devices that went
// back. What an exception of a rollback covers already is not covered twice.
func (d *Desk) Cover(ctx context.Context, tx *store.Tx, ask Covered) error {
	group := ""
	if ask.Ring != "" && ask.Device == "" && len(ask.Patches) > 0 {
		group = ask.Name
		if err := d.coverGroup(ctx, tx, ask); err != nil {
			return err
		}
	}
	known, err := tx.RollbackExceptions(ctx, ask.Tenant)
	if err != nil {
		return fmt.Errorf("read exceptions of rollbacks: %w", err)
	}
	for _, id := range ask.Patches {
		row := gen.AddExceptionParams{
			Tenant: ask.Tenant, Device: ask.Device, GroupName: group, Scope: string(policy.ScopeOf(id)), Patch: string(id), Owner: ask.Owner,
			Reason: ask.Reason, Control: ask.Control, FromUs: d.Clock().UnixMicro(), UntilUs: ask.Until.UnixMicro(), Actor: string(ask.By), Rollback: ask.Rollback,
		}
		if covered(known, row) {
			continue
		}
		if err := d.cover(ctx, tx, row); err != nil {
			return err
		}
	}
	return nil
}

// covered by one on everyone, or on the same device.
func covered(known []gen.RollbackExceptionsRow, row gen.AddExceptionParams) bool {
	for _, k := range known {
		e := k.Exception
		everyone := e.Device == "" && e.GroupName == ""
		if e.Scope == row.Scope && e.UntilUs > row.FromUs && (everyone || e.Device != "" && e.Device == row.Device) {
			return true
		}
	}
	return false
}

func (d *Desk) cover(ctx context.Context, tx *store.Tx, row gen.AddExceptionParams) (err error) {
	if row.ID, err = newID(); err != nil {
		return err
	}
	row.RemindUs = max(row.FromUs, store.Instant(row.UntilUs).AddDate(0, 0, -RemindDays).UnixMicro())
	if err := tx.AddException(ctx, row); err != nil {
		return fmt.Errorf("keep the exception: %w", err)
	}
	tx.Record(register.Entry{
		Tenant: row.Tenant, AtUS: row.FromUs, Actor: register.Actor(row.Actor), Kind: register.ExceptionGranted, Device: row.Device, Patch: row.Patch, Campaign: row.Rollback,
		Detail: map[string]any{
			"exception": row.ID, "group": row.GroupName, "scope": row.Scope, "owner": row.Owner, "why": row.Reason, "control": row.Control,
			"until": row.UntilUs, "rollback": row.Rollback,
		},
	})
	return nil
}

// coverGroup names the devices that went back, which no group had together.
func (d *Desk) coverGroup(ctx context.Context, tx *store.Tx, ask Covered) error {
	if err := tx.AddGroup(ctx, gen.AddGroupParams{Tenant: ask.Tenant, Name: ask.Name, Title: ask.Name, CreatedUs: d.Clock().UnixMicro()}); err != nil {
		return fmt.Errorf("add group %s: %w", ask.Name, err)
	}
	for _, device := range ask.Devices {
		if err := tx.AddGroupMember(ctx, gen.AddGroupMemberParams{Tenant: ask.Tenant, GroupName: ask.Name, Device: device}); err != nil {
			return fmt.Errorf("add %s to group %s: %w", device, ask.Name, err)
		}
	}
	return nil
}

// Mended ends the exceptions of rollbacks whose patch has a newer version that
// was verified, once no device of the rollback misses any version of it.
func (d *Desk) Mended(ctx context.Context, tx *store.Tx, tenant string, verified []patch.ID) error {
	open, err := tx.RollbackExceptions(ctx, tenant)
	if err != nil {
		return fmt.Errorf("read exceptions of rollbacks: %w", err)
	}
	if len(open) == 0 {
		return nil
	}
	for _, id := range verified {
		p, err := tx.Patch(ctx, tenant, string(id))
		if err != nil {
			return fmt.Errorf("read patch %s: %w", id, err)
		}
		for i, e := range open {
			ended, err := d.mended(ctx, tx, e, p)
			if err != nil {
				return err
			}
			if ended {
				open[i].Exception.EndedUs = d.Clock().UnixMicro()
			}
		}
	}
	return nil
}

func (d *Desk) mended(ctx context.Context, tx *store.Tx, e gen.RollbackExceptionsRow, by gen.Patch) (bool, error) {
	old := patch.Key{Provider: e.Provider, Name: e.Name, Version: e.Version, Suite: e.Suite}
	newer := patch.Key{Provider: by.Provider, Name: by.Name, Version: by.Version, Suite: by.Suite}
	same := old.Provider == newer.Provider && old.Name == newer.Name && old.Suite == newer.Suite
	if e.Exception.EndedUs > 0 || !same || !patch.Newer(newer, old) {
		return false, nil
	}
	n, err := tx.StillOpen(ctx, gen.StillOpenParams{
		Tenant: by.Tenant, Campaign: e.Exception.Rollback, Provider: by.Provider, Name: by.Name, Suite: by.Suite,
	})
	if err != nil {
		return false, fmt.Errorf("count what is still open: %w", err)
	}
	if n > 0 {
		return false, nil
	}
	return true, d.end(ctx, tx, e.Exception, ending{atUS: d.Clock().UnixMicro(), by: actor, why: by.Name + " " + by.Version})
}
