package conductor

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/procedure"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Sign records a sign-off on a ring's gate. The ring must be open: nobody can
// vouch for what has not begun. Every test of the checklist must be ticked to
// say yes.
func (c *Conductor) Sign(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.Sign) error {
	return c.act(ctx, tenant, ask.Campaign, func(tx *store.Tx, s *scene) error {
		if err := s.notUndo(); err != nil {
			return err
		}
		ring, err := s.ringRow(ask.Amendment, ask.Ring)
		if err != nil {
			return err
		}
		rule, err := signOffRule(s.procedure.Rings[ring.Position].Gate, ask.Role)
		if err != nil {
			return err
		}
		if state := campaign.RingState(ring.State); !state.Opened() || state.Passed() {
			return fault.New(fault.Conflict, "what", "ring "+ring.Ring, "state", ring.State, "wanted", "open, soaking or gate")
		}
		if err := allTicked(rule, ask); err != nil {
			return err
		}
		return c.addSignOff(ctx, tx, s, ring, by, ask)
	})
}

// allTicked refuses a yes to tests that were not done.
func allTicked(rule procedure.SignOffRule, ask campaign.Sign) error {
	if missing := len(rule.Checklist) - len(slices.Compact(slices.Sorted(slices.Values(ask.Ticked)))); ask.Yes && missing > 0 {
		return fault.New(fault.InvalidField, "field", "ticked", "problem", "tests_not_ticked", "fix", "tick_or_refuse")
	}
	return nil
}

func signOffRule(g procedure.Gate, role string) (procedure.SignOffRule, error) {
	var roles []string
	for _, rule := range g.SignOffs {
		if rule.Role == role {
			return rule, nil
		}
		roles = append(roles, rule.Role)
	}
	return procedure.SignOffRule{}, fault.New(fault.NoSuchRole, "role", role, "roles", strings.Join(roles, ", "))
}

func (c *Conductor) addSignOff(ctx context.Context, tx *store.Tx, s *scene, ring gen.CampaignRing, by register.Actor, ask campaign.Sign) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make a sign-off id: %w", err)
	}
	if ask.Ticked == nil {
		ask.Ticked = []int{}
	}
	ticked, err := json.Marshal(ask.Ticked)
	if err != nil {
		return fmt.Errorf("encode ticked tests: %w", err)
	}
	decision := "no"
	if ask.Yes {
		decision = "yes"
	}
	c.record(tx, s, register.Entry{
		Kind: register.SignOff, Actor: by, Ring: ring.Ring,
		Detail: map[string]any{"role": ask.Role, "decision": decision, "comment": ask.Comment, "ticked": len(ask.Ticked), "amendment": ask.Amendment},
	})
	return tx.AddSignOff(ctx, gen.AddSignOffParams{
		Tenant: s.row.Tenant, ID: id.String(), Campaign: s.row.ID, Amendment: int64(ask.Amendment), Position: ring.Position,
		Role: ask.Role, Decision: decision, Comment: ask.Comment, Ticked: string(ticked), Actor: string(by), AtUs: c.Clock().UnixMicro(),
	})
}
