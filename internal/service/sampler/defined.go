package sampler

import (
	"context"
	"slices"
	"strings"

	"patchring/internal/core/fleet"
	"patchring/internal/core/policy"
	"patchring/internal/infra/store"
	"patchring/wire"
)

// Defined is a probe as a policy in force defines it.
type Defined struct {
	wire.Probe
	Devices  string `json:"devices"` // the condition; empty: every device
	Provider bool   `json:"provider"`
}

// Defined lists the probes of the policies in force, by name. A provider's
// probe of a name that the tenant's policy has too is made by those devices that
// the tenant's does not choose.
func (s *Sampler) Defined(ctx context.Context, tenant fleet.TenantID) (out []Defined, err error) {
	out = []Defined{}
	err = s.DB.Snapshot(ctx, func(r store.Reads) error {
		in, err := s.Policies(ctx, r, string(tenant))
		if err != nil {
			return err
		}
		for _, policy := range []*policy.Policy{in.Tenant, in.Provider} {
			if policy == nil {
				continue
			}
			for _, probe := range policy.Probes {
				out = append(out, Defined{Probe: probe.Check, Devices: probe.Devices.Source, Provider: policy == in.Provider})
			}
		}
		return nil
	})
	slices.SortStableFunc(out, func(a, b Defined) int { return strings.Compare(a.Name, b.Name) })
	return out, err
}
