// Package rulebook keeps the policies of tenants and the one for all tenants,
// version by version, and the freezes that people place by hand beside them. It
// says what a new policy would change before it is in force, and when devices
// may act. It decides nothing itself: verdicts and freezes are core/policy's, in
// the rehearsal of a change as in a campaign.
//
// It refuses a policy with a problem, tells the same text that is in force
// already, and lets no two freezes have one name. Whether somebody may speak for
// all tenants is for its callers to ask. Safe from any goroutine.
package rulebook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
	"patchring/internal/core/policy"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Options of a Rulebook.
type Options struct {
	DB    *store.DB
	Clock func() time.Time
	// Zone is where a day begins and ends that is given without a time; nil is UTC.
	Zone *time.Location
	// Changed lets campaigns decide again at once.
	Changed func()
}

// Rulebook of all tenants.
type Rulebook struct{ Options }

// New makes a Rulebook.
func New(o Options) *Rulebook {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	return &Rulebook{o}
}

// PolicyVersion is one version of a policy.
type PolicyVersion struct {
	Name    string    `json:"name"`
	Version int64     `json:"version"`
	SHA256  string    `json:"sha256"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Body    string    `json:"body,omitempty"`
}

// Checked is what is to be said of a policy before it is in force.
type Checked struct {
	Name     string             `json:"name"`
	Warnings []manifest.Problem `json:"warnings"`
	// Starved is what it would not have let through in the last twelve months.
	Starved []policy.Starved `json:"starved"`
}

// AppliedPolicy is the outcome of Apply.
type AppliedPolicy struct {
	Checked
	Version   int64 `json:"version"`
	Unchanged bool  `json:"unchanged"` // this very text is in force
}

// Check reads a policy and plays the recorded catalogue over.
func (b *Rulebook) Check(ctx context.Context, tenant fleet.TenantID, file string, text []byte) (Checked, error) {
	p, err := policy.Parse(file, text)
	if err != nil {
		return Checked{}, err
	}
	return b.check(ctx, tenant, p)
}

func (b *Rulebook) check(ctx context.Context, tenant fleet.TenantID, p policy.Policy) (Checked, error) {
	out := checked(p)
	err := b.DB.Snapshot(ctx, func(r store.Reads) error {
		now, before, err := b.inForce(ctx, r, tenant)
		if err != nil {
			return err
		}
		before.Tenant = &p
		out.Starved, err = b.starved(ctx, r, tenant, policy.Rules{Policies: before}, now)
		return err
	})
	return out, err
}

func checked(p policy.Policy) Checked {
	return Checked{Name: p.Name, Warnings: append([]manifest.Problem{}, p.Warnings...), Starved: []policy.Starved{}}
}

// Apply puts a policy in force, with an entry in the register. Orders that it
// no longer allows are taken back when their devices are decided again.
func (b *Rulebook) Apply(ctx context.Context, tenant fleet.TenantID, by register.Actor, file string, text []byte) (AppliedPolicy, error) {
	p, err := policy.Parse(file, text)
	if err != nil {
		return AppliedPolicy{}, err
	}
	out := AppliedPolicy{}
	if out.Checked, err = b.check(ctx, tenant, p); err != nil {
		return AppliedPolicy{}, err
	}
	err = b.DB.Write(ctx, func(tx *store.Tx) error {
		kept, err := b.keep(ctx, tx, tenant, by, &out, text)
		if err != nil || out.Unchanged {
			return err
		}
		return b.enforce(ctx, tx, tenant, p, register.Entry{
			AtUS: kept.AtUs, Actor: by, Kind: register.PolicyApplied,
			Detail: map[string]any{"policy": kept.Name, "version": kept.Version, "sha256": kept.Sha256},
		})
	})
	if err == nil && !out.Unchanged {
		b.Changed()
	}
	return out, err
}

// keep adds the version, unless this very text is in force.
func (b *Rulebook) keep(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, by register.Actor, out *AppliedPolicy, text []byte) (gen.AddPolicyVersionParams, error) {
	sum := sha256.Sum256(text)
	version := gen.AddPolicyVersionParams{
		Tenant: string(tenant), Version: 1, Name: out.Name, Body: string(text), Sha256: hex.EncodeToString(sum[:]), Actor: string(by), AtUs: b.Clock().UnixMicro(),
	}
	last, err := tx.PolicyInForce(ctx, version.Tenant)
	if err != nil {
		return version, fmt.Errorf("read the policy in force: %w", err)
	}
	if len(last) == 1 {
		version.Version = last[0].Version + 1
		if last[0].Sha256 == version.Sha256 {
			out.Version, out.Unchanged = last[0].Version, true
			return version, nil
		}
	}
	out.Version = version.Version
	if err := tx.AddPolicyVersion(ctx, version); err != nil {
		return version, fmt.Errorf("keep policy %s: %w", out.Name, err)
	}
	return version, nil
}

// enforce lets a tenant's campaigns decide by a policy that was just kept, and
// tells its register.
func (b *Rulebook) enforce(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, p policy.Policy, entry register.Entry) error {
	if err := b.noClash(ctx, tx, tenant, p); err != nil {
		return err
	}
	entry.Tenant = string(tenant)
	tx.Record(entry)
	if err := b.placeAll(ctx, tx, tenant); err != nil {
		return err
	}
	return touchCampaigns(ctx, tx, string(tenant))
}

func touchCampaigns(ctx context.Context, tx *store.Tx, tenant string) error {
	open, err := tx.OpenCampaigns(ctx, tenant)
	if err != nil {
		return fmt.Errorf("read open campaigns: %w", err)
	}
	for _, row := range open {
		if _, err := tx.TouchCampaignDevices(ctx, row.Tenant, row.ID); err != nil {
			return fmt.Errorf("wake campaign %s: %w", row.Name, err)
		}
	}
	if err := tx.TouchPendingReboots(ctx, tenant); err != nil {
		return fmt.Errorf("wake pending reboots: %w", err)
	}
	return nil
}

// List lists the versions of a tenant's policy, the one in force first.
func (b *Rulebook) List(ctx context.Context, tenant fleet.TenantID) ([]PolicyVersion, error) {
	rows, err := b.DB.Read().PolicyVersions(ctx, string(tenant))
	if err != nil {
		return nil, fmt.Errorf("list policies: %w", err)
	}
	out := make([]PolicyVersion, 0, len(rows))
	for _, r := range rows {
		out = append(out, PolicyVersion{Name: r.Name, Version: r.Version, SHA256: r.Sha256, By: r.Actor, At: store.Instant(r.AtUs)})
	}
	return out, nil
}

// Show gives one version with its text; 0 is the one in force.
func (b *Rulebook) Show(ctx context.Context, tenant fleet.TenantID, version int64) (PolicyVersion, error) {
	if version == 0 {
		var err error
		if version, err = b.DB.Read().PolicyHead(ctx, string(tenant)); err != nil {
			return PolicyVersion{}, fmt.Errorf("read the policy's version: %w", err)
		}
		if version == 0 {
			return PolicyVersion{}, fault.New(fault.NotFound, "what", "policy")
		}
	}
	row, err := b.DB.Read().PolicyVersion(ctx, string(tenant), version)
	if store.IsNone(err) {
		return PolicyVersion{}, fault.New(fault.NotFound, "what", "policy", "name", fmt.Sprint(version))
	}
	if err != nil {
		return PolicyVersion{}, fmt.Errorf("read policy version %d: %w", version, err)
	}
	return PolicyVersion{Name: row.Name, Version: row.Version, SHA256: row.Sha256, By: row.Actor, At: store.Instant(row.AtUs), Body: row.Body}, nil
}

// inForce reads the clock and the policies in force.
func (b *Rulebook) inForce(ctx context.Context, r store.Reads, tenant fleet.TenantID) (now time.Time, out policy.Policies, err error) {
	now = b.Clock()
	if out.Provider, err = read(ctx, r, store.Provider); err != nil {
		return now, out, err
	}
	if out.Tenant, err = read(ctx, r, string(tenant)); err != nil {
		return now, out, err
	}
	rows, err := r.FreezesOpen(ctx, string(tenant), now.UnixMicro())
	if err != nil {
		return now, out, fmt.Errorf("read freezes placed by hand: %w", err)
	}
	out.Hand, err = policy.ByHand(store.HandFreezes(rows))
	return now, out, err
}

func read(ctx context.Context, r store.Reads, tenant string) (*policy.Policy, error) {
	rows, err := r.PolicyInForce(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("read the policy in force: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	p, err := policy.Parse(rows[0].Name, []byte(rows[0].Body))
	if err != nil {
		return nil, fmt.Errorf("parse policy %s version %d: %w", rows[0].Name, rows[0].Version, err)
	}
	return &p, nil
}
