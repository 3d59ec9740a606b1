package conductor

import (
	"context"
	"fmt"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/policy"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Decide records a verdict given by hand, and lets everything it touches be
// decided again.
func (c *Conductor) Decide(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.Decide) error {
	scope, err := c.scope(ctx, tenant, ask)
	if err != nil {
		return err
	}
	if err := checkDecision(c.Clock(), ask); err != nil {
		return err
	}
	err = c.DB.Write(ctx, func(tx *store.Tx) error {
		now := c.Clock().UnixMicro()
		if err := tx.PutDecision(ctx, gen.PutDecisionParams{
			Tenant: string(tenant), Scope: string(scope), Verdict: string(ask.Verdict), UntilUs: store.Micros(ask.Until),
			Reason: ask.Reason, Actor: string(by), AtUs: now,
		}); err != nil {
			return fmt.Errorf("keep the decision: %w", err)
		}
		tx.Record(register.Entry{
			Tenant: string(tenant), AtUS: now, Actor: by, Kind: register.VerdictGiven, Patch: string(ask.Patch),
			Detail: map[string]any{"scope": string(scope), "verdict": string(ask.Verdict), "until": store.Micros(ask.Until), "why": ask.Reason},
		})
		open, err := tx.OpenCampaigns(ctx, string(tenant))
		if err != nil {
			return fmt.Errorf("read open campaigns: %w", err)
		}
		for _, row := range open {
			if _, err := tx.TouchCampaignDevices(ctx, row.Tenant, row.ID); err != nil {
				return err
			}
		}
		return nil
	})
	c.Wake()
	return err
}

func (c *Conductor) scope(ctx context.Context, tenant fleet.TenantID, ask campaign.Decide) (policy.Scope, error) {
	if ask.Patch == "" {
		if ask.Provider == "" || ask.Name == "" {
			return "", fault.New(fault.InvalidField, "field", "patch", "problem", "empty", "fix", "patch_or_name")
		}
		return policy.ScopeOfName(ask.Provider, ask.Name), nil
	}
	if _, err := c.DB.Read().Patch(ctx, string(tenant), string(ask.Patch)); store.IsNone(err) {
		return "", fault.New(fault.NotFound, "what", "patch", "name", string(ask.Patch))
	} else if err != nil {
		return "", fmt.Errorf("read patch %s: %w", ask.Patch, err)
	}
	return policy.ScopeOf(ask.Patch), nil
}

func checkDecision(now time.Time, ask campaign.Decide) error {
	if _, err := policy.ParseVerdict(string(ask.Verdict)); err != nil {
		return fault.New(fault.InvalidField, "field", "verdict", "problem", "not_a_choice", "fix", "approved, delayed, declined")
	}
	if ask.Verdict == policy.Delayed && ask.Until.IsZero() {
		return fault.New(fault.InvalidField, "field", "until", "problem", "delay_without_end", "fix", "give_a_date")
	}
	if !ask.Until.IsZero() && !ask.Until.After(now) {
		return fault.New(fault.InvalidField, "field", "until", "problem", "past", "fix", "give_a_date")
	}
	return needReason(ask.Reason)
}
