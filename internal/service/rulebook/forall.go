package rulebook

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"patchring/internal/core/fleet"
	"patchring/internal/core/policy"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// ForAll stands in the place of a tenant for what holds for all of them. List
// and Show take it.
const ForAll = fleet.TenantID(store.Provider)

// SiteDiff is what a policy for all tenants would change, tenant by tenant.
type SiteDiff struct {
	Checked
	Tenants []TenantDiff `json:"tenants" doc:"every tenant, those that change most first"`
}

// TenantDiff is what changes for one tenant.
type TenantDiff struct {
	Tenant   fleet.TenantID `json:"tenant"`
	Devices  int            `json:"devices"` // of its fleet
	Changed  int            `json:"changed"` // devices for which anything changes
	Verdicts []Moved        `json:"verdicts"`
	Settings []Resettled    `json:"settings"`
}

// CheckForAll reads a policy for all tenants and plays the catalogue of each
// over.
func (b *Rulebook) CheckForAll(ctx context.Context, file string, text []byte) (Checked, error) {
	p, err := policy.Parse(file, text)
	if err != nil {
		return Checked{}, err
	}
	return b.checkForAll(ctx, p)
}

func (b *Rulebook) checkForAll(ctx context.Context, p policy.Policy) (Checked, error) {
	out := checked(p)
	err := b.DB.Snapshot(ctx, func(r store.Reads) error {
		return eachTenant(ctx, r, func(tenant fleet.TenantID) error {
			now, in, err := b.inForce(ctx, r, tenant)
			if err != nil {
				return err
			}
			in.Provider = &p
			starved, err := b.starved(ctx, r, tenant, policy.Rules{Policies: in}, now)
			out.Starved = join(out.Starved, starved)
			return err
		})
	})
	return out, err
}

// join unites what starves in several tenants: the largest figure is told.
func join(all, more []policy.Starved) []policy.Starved {
	for _, s := range more {
		at := slices.IndexFunc(all, func(o policy.Starved) bool {
			return o.Provider == s.Provider && o.Name == s.Name && o.Suite == s.Suite && o.Rule == s.Rule
		})
		if at < 0 {
			all = append(all, s)
			continue
		}
		all[at].Versions = max(all[at].Versions, s.Versions)
	}
	return all
}

// DiffForAll weighs a policy for all tenants against the one in force, on every
// device of every tenant.
func (b *Rulebook) DiffForAll(ctx context.Context, file string, text []byte) (SiteDiff, error) {
	p, err := policy.Parse(file, text)
	if err != nil {
		return SiteDiff{}, err
	}
	out := SiteDiff{Checked: checked(p), Tenants: []TenantDiff{}}
	err = b.DB.Snapshot(ctx, func(r store.Reads) error {
		return eachTenant(ctx, r, func(tenant fleet.TenantID) error {
			w, err := b.weigh(ctx, r, tenant, func(in *policy.Policies) { in.Provider = &p })
			if err != nil {
				return err
			}
			d := w.diff()
			out.Tenants = append(out.Tenants, TenantDiff{tenant, d.Devices, d.Changed, d.Verdicts, d.Settings})
			starved, err := starvedBy(ctx, r, string(tenant), w.after.rules, w.matchList(), w.now)
			out.Starved = join(out.Starved, starved)
			return err
		})
	})
	slices.SortStableFunc(out.Tenants, func(a, b TenantDiff) int { return -cmp.Compare(a.Changed, b.Changed) })
	return out, err
}

// ApplyForAll puts a policy in force under every tenant's own, in one
// transaction, with an entry in the register of each: a tenant has to see who
// put a rule over its fleet.
func (b *Rulebook) ApplyForAll(ctx context.Context, by register.Actor, file string, text []byte) (AppliedPolicy, error) {
	p, err := policy.Parse(file, text)
	if err != nil {
		return AppliedPolicy{}, err
	}
	out := AppliedPolicy{}
	if out.Checked, err = b.checkForAll(ctx, p); err != nil {
		return AppliedPolicy{}, err
	}
	err = b.DB.Write(ctx, func(tx *store.Tx) error {
		kept, err := b.keep(ctx, tx, ForAll, by, &out, text)
		if err != nil || out.Unchanged {
			return err
		}
		return eachTenant(ctx, tx.Reads, func(tenant fleet.TenantID) error {
			return b.enforce(ctx, tx, tenant, p, policyForAll(kept, by))
		})
	})
	if err == nil && !out.Unchanged {
		b.Changed()
	}
	return out, err
}

func policyForAll(kept gen.AddPolicyVersionParams, by register.Actor) register.Entry {
	return register.Entry{
		AtUS: kept.AtUs, Actor: by, Kind: register.PolicyForAll,
		Detail: map[string]any{"policy": kept.Name, "version": kept.Version, "sha256": kept.Sha256},
	}
}

func eachTenant(ctx context.Context, r store.Reads, do func(fleet.TenantID) error) error {
	tenants, err := r.Tenants(ctx)
	if err != nil {
		return fmt.Errorf("read tenants: %w", err)
	}
	for _, t := range tenants {
		if err := do(fleet.TenantID(t.ID)); err != nil {
			return fmt.Errorf("tenant %s: %w", t.ID, err)
		}
	}
	return nil
}
