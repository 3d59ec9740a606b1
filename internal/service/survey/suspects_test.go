package survey_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

func TestSuspects(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		key := patch.Key{Provider: "apt", Name: "linux", Version: "2", Suite: "bookworm"}
		s.write(func(ctx context.Context, tx *store.Tx) error {
			return errors.Join(
				tx.AddCampaign(ctx, gen.AddCampaignParams{Tenant: string(tenant), ID: "c1", Name: "2026-12", ProcedureName: "monthly", ProcedureVersion: 1, State: "running", Schedule: "{}", Patches: "[]"}),
				tx.AddItem(ctx, gen.AddItemParams{Tenant: string(tenant), Campaign: "c1", ID: string(key.ID()), Provider: key.Provider, Name: key.Name, Version: key.Version, Suite: key.Suite}))
		})
		for i := range 30 {
			d := pc{id: fmt.Sprintf("d%02d", i), traits: policy.Traits{OS: "debian", Model: fmt.Sprintf("m%d", i%3)}, software: []string{"openssl"}}
			state := patch.Verified
			if i%5 == 0 {
				d.software = append(d.software, "nvidia-driver")
				state = patch.Failed
			}
			s.add(d)
			s.write(func(ctx context.Context, tx *store.Tx) error {
				return tx.PutDeviceItem(ctx, gen.PutDeviceItemParams{Tenant: string(tenant), Campaign: "c1", Device: d.id, Item: string(key.ID()), State: string(state), Packages: "[]", UpdatedUs: 1})
			})
		}
		got, err := s.Suspects(t.Context(), tenant, "2026-12")
		if err != nil || got.Campaign != "c1" || len(got.Patches) != 1 {
			t.Fatalf("got %+v, %v", got, err)
		}
		p := got.Patches[0]
		if p.Patch != key.ID() || p.Failed != 6 || p.Sound != 24 || p.Bounded || p.Suspects[0].Condition != `"nvidia-driver" in device.software` {
			t.Errorf("got %+v", p)
		}
		text := "policy: p\ntitle: p\nowner: it\ntimezone: UTC\nsafeguards:\n" + p.Suspects[0].Safeguard
		read, err := policy.Parse("p.yaml", []byte(text))
		if err != nil || read.Safeguards[0].Name != "linux-nvidia-driver" {
			t.Errorf("its safeguard is none: %v\n%s", err, text)
		}
		if !strings.Contains(p.Suspects[0].Safeguard, "6/6") {
			t.Errorf("the safeguard does not say why: %s", p.Suspects[0].Safeguard)
		}
		if _, err := s.Suspects(t.Context(), tenant, "2027-01"); !errors.Is(err, fault.New(fault.NotFound)) {
			t.Errorf("of no campaign: %v", err)
		}
		if _, err := s.Suspects(t.Context(), "rival", "c1"); !errors.Is(err, fault.New(fault.NotFound)) {
			t.Errorf("of another tenant's campaign: %v", err)
		}
	})
}
