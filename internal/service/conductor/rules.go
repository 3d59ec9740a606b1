package conductor

import (
	"context"

	"patchring/internal/core/campaign"
	"patchring/internal/core/policy"
	"patchring/internal/core/procedure"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Policies are those in force for a tenant.
func (c *Conductor) Policies(ctx context.Context, r store.Reads, tenant string) (policy.Policies, error) {
	return c.scenes.policies(ctx, r.Queries, tenant, c.Clock())
}

// Rules are what a new campaign of a tenant would be decided by: what people
// decided, the policies in force, and the holds that it would meet. The classes
// are its procedure's.
func (c *Conductor) Rules(ctx context.Context, r store.Reads, tenant string) (rules policy.Rules, met []campaign.Hold, err error) {
	if rules.Decisions, err = decisions(ctx, r.Queries, tenant); err != nil {
		return rules, nil, err
	}
	if rules.Policies, err = c.scenes.policies(ctx, r.Queries, tenant, c.Clock()); err != nil {
		return rules, nil, err
	}
	if rules.Exceptions, err = exceptions(ctx, r.Queries, tenant, c.Clock()); err != nil {
		return rules, nil, err
	}
	all, err := holds(ctx, r.Queries, tenant)
	for _, h := range all {
		if h.Campaign == "" {
			met = append(met, h)
		}
	}
	return rules, met, err
}

// Procedure is the version that a campaign runs by; it never changes.
func (c *Conductor) Procedure(ctx context.Context, q *gen.Queries, of gen.Campaign) (procedure.Procedure, error) {
	return c.scenes.procedure(ctx, q, of.Tenant, of.ProcedureName, of.ProcedureVersion)
}
