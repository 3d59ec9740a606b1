package survey

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/suspect"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Suspects are, for each patch of a campaign that fails on several devices, what
// these have in common.
type Suspects struct {
	Campaign string          `json:"campaign"`
	Patches  []PatchSuspects `json:"patches"`
}

// PatchSuspects are what devices share on which one patch fails.
type PatchSuspects struct {
	Patch    patch.ID  `json:"patch"`
	Name     string    `json:"name"`
	Version  string    `json:"version"`
	Failed   int       `json:"failed" doc:"devices that were looked at on which it fails"`
	Sound    int       `json:"sound" doc:"devices that were looked at on which it works"`
	Bounded  bool      `json:"bounded" doc:"there are more: these are the first of each"`
	Suspects []Suspect `json:"suspects"`
}

// Suspect is what they share, with the safeguard that would hold the patch back.
type Suspect struct {
	suspect.Suspect
	Condition string `json:"condition"`
	Safeguard string `json:"safeguard" doc:"to add to the policy, under safeguards"`
}

// How many devices are looked at, for a patch: their inventories are unpacked.
const (
	failedLooked = 300
	soundLooked  = 700
)

// Suspects looks at what failing devices of a campaign have in common.
func (s *Survey) Suspects(ctx context.Context, tenant fleet.TenantID, ref string) (Suspects, error) {
	out := Suspects{Patches: []PatchSuspects{}}
	err := s.DB.Snapshot(ctx, func(r store.Reads) error {
		row, err := campaignNamed(ctx, r, tenant, ref)
		if err != nil {
			return err
		}
		out = Suspects{Campaign: row.ID, Patches: []PatchSuspects{}}
		items, err := r.Items(ctx, string(tenant), row.ID)
		if err != nil {
			return fmt.Errorf("read the content: %w", err)
		}
		for _, item := range items {
			found, err := suspectsOf(ctx, r, item.CampaignItem)
			if err != nil {
				return fmt.Errorf("patch %s: %w", item.CampaignItem.Name, err)
			}
			if len(found.Suspects) > 0 {
				out.Patches = append(out.Patches, found)
			}
		}
		return nil
	})
	slices.SortFunc(out.Patches, func(a, b PatchSuspects) int {
		return cmp.Or(cmp.Compare(b.Failed, a.Failed), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Patch, b.Patch))
	})
	return out, err
}

func suspectsOf(ctx context.Context, r store.Reads, item gen.CampaignItem) (PatchSuspects, error) {
	out := PatchSuspects{Patch: patch.ID(item.ID), Name: item.Name, Version: item.Version, Suspects: []Suspect{}}
	failed, err := devicesIn(ctx, r, item, patch.Failed, failedLooked)
	if err != nil || len(failed) == 0 {
		return out, err
	}
	sound, err := devicesIn(ctx, r, item, patch.Verified, soundLooked)
	if err != nil {
		return out, err
	}
	out.Failed, out.Sound, out.Bounded = len(failed), len(sound), len(failed) == failedLooked || len(sound) == soundLooked
	devices, err := r.Subjects(ctx, item.Tenant, slices.Concat(failed, sound))
	if err != nil {
		return out, err
	}
	cases := make([]suspect.Case, 0, len(devices))
	for i, id := range slices.Concat(failed, sound) {
		cases = append(cases, suspect.Case{Device: devices[id], Failed: i < len(failed)})
	}
	for _, s := range suspect.Find(cases) {
		out.Suspects = append(out.Suspects, Suspect{Suspect: s, Condition: s.Condition(), Safeguard: safeguard(item.Name, s)})
	}
	return out, nil
}

func devicesIn(ctx context.Context, r store.Reads, item gen.CampaignItem, state patch.State, most int32) ([]string, error) {
	list, err := r.ItemDevices(ctx, gen.ItemDevicesParams{Tenant: item.Tenant, Campaign: item.Campaign, Item: item.ID, State: string(state), Max: most})
	if err != nil {
		return nil, fmt.Errorf("read devices: %w", err)
	}
	return list, nil
}

var notOfName = regexp.MustCompile(`[^a-z0-9]+`)

// safeguard is written as the policy file has it.
func safeguard(name string, s suspect.Suspect) string {
	id := strings.Trim(notOfName.ReplaceAllString(strings.ToLower(name+"-"+cmp.Or(s.Name, s.Value)), "-"), "-")
	if len(id) > 63 {
		id = strings.Trim(id[:63], "-")
	}
	quoted := func(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
	return fmt.Sprintf("- name: %s\n  devices: %s\n  patches: %s\n  reason: %s\n", id, quoted(s.Condition()),
		quoted("patch.name == "+strconv.Quote(name)), quoted(fmt.Sprintf("%d/%d", s.Failed, s.Failed+s.Sound)))
}

func campaignNamed(ctx context.Context, r store.Reads, tenant fleet.TenantID, ref string) (gen.Campaign, error) {
	row, err := r.Campaign(ctx, string(tenant), ref)
	if store.IsNone(err) {
		row, err = r.CampaignByName(ctx, string(tenant), ref)
	}
	if store.IsNone(err) {
		return row, fault.New(fault.NotFound, "what", "campaign", "name", ref)
	}
	if err != nil {
		return row, fmt.Errorf("read campaign %s: %w", ref, err)
	}
	return row, nil
}
