package conductor

import (
	"context"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/procedure"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// SignVerification records a sign-off on the verification of a campaign.
func (c *Conductor) SignVerification(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.Sign) error {
	return c.act(ctx, tenant, ask.Campaign, func(tx *store.Tx, s *scene) error {
		v := s.verification()
		if len(v.Rules) == 0 {
			return fault.New(fault.NothingToDo, "what", "verification_sign_off")
		}
		rule, err := signOffRule(procedure.Gate{SignOffs: v.Rules}, ask.Role)
		if err != nil {
			return err
		}
		if !v.Signable() {
			return fault.New(fault.VerificationAhead, "at", v.At.UTC().Format(time.RFC3339))
		}
		if err := allTicked(rule, ask); err != nil {
			return err
		}
		return c.addSignOff(ctx, tx, s, gen.CampaignRing{Position: campaign.VerificationPosition}, by, ask)
	})
}

// verification is what closing the campaign of a scene waits for.
func (s *scene) verification() campaign.Verification {
	_, held := campaign.HeldAsAWhole(s.holds, campaign.ID(s.row.ID))
	return campaign.Verification{
		State: campaign.State(s.row.State), Held: held, At: store.Instant(s.row.VerificationUs), Sealed: s.row.SealedUs > 0,
		Rules: s.procedure.Verification.SignOffs, SignOffs: s.signOffsOn(0, campaign.VerificationPosition),
	}
}

// vouched refuses to close a campaign that nobody has vouched for, with the
// first word that is missing.
func (s *scene) vouched() error {
	v := s.verification()
	missing := v.Missing()
	if len(missing) == 0 {
		return nil
	}
	if !v.Signable() {
		return fault.New(fault.VerificationAhead, "at", v.At.UTC().Format(time.RFC3339))
	}
	if missing[0].Code == fault.GateSignOffRefused {
		return fault.New(fault.VerificationRefused, "role", missing[0].Args["role"], "by", missing[0].Args["by"], "comment", missing[0].Args["comment"])
	}
	return fault.New(fault.VerificationUnsigned, "role", missing[0].Args["role"])
}
