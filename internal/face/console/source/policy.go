package source

import (
	"context"
	"errors"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/face/console/page"
	"patchring/internal/face/lang"
	"patchring/internal/service/rulebook"
)

// Policy fills the page of one version of the policy; 0 is the one in force. A
// tenant without any policy has an empty page.
func (s *Source) Policy(ctx context.Context, who Viewer, version int64) (page.Policy, error) {
	list, err := s.Rules.List(ctx, who.Tenant)
	if err != nil {
		return page.Policy{}, err
	}
	var out page.Policy
	for _, v := range list {
		out.Versions = append(out.Versions, policyVersion(v))
	}
	if out.ForAll, err = s.policyForAll(ctx); err != nil {
		return page.Policy{}, err
	}
	if len(list) == 0 && version == 0 {
		return out, nil
	}
	v, err := s.Rules.Show(ctx, who.Tenant, version)
	if err != nil {
		return page.Policy{}, err
	}
	out.PolicyVersion, out.Text, out.SHA256 = policyVersion(v), v.Body, v.SHA256
	// A text this program cannot read any more is shown as text alone.
	if p, err := policy.Parse(v.Name, []byte(v.Body)); err == nil {
		out.File = &p
	}
	return out, nil
}

// policyForAll is what the provider's policy puts under the tenant's own; nil:
// there is none.
func (s *Source) policyForAll(ctx context.Context) (*page.PolicyForAll, error) {
	v, err := s.Rules.Show(ctx, rulebook.ForAll, 0)
	if errors.Is(err, fault.New(fault.NotFound)) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := &page.PolicyForAll{PolicyVersion: policyVersion(v), Text: v.Body}
	if p, err := policy.Parse(v.Name, []byte(v.Body)); err == nil {
		out.File = &p
	}
	return out, nil
}

func policyVersion(v rulebook.PolicyVersion) page.PolicyVersion {
	return page.PolicyVersion{Number: v.Version, Name: v.Name, By: v.By, At: v.At}
}

// policyOf fills what policies say of a device, and of each patch that it
// misses.
func (s *Source) policyOf(ctx context.Context, who Viewer, d *page.Device) error {
	standing, err := s.Rules.OfDevice(ctx, who.Tenant, fleet.DeviceID(d.ID))
	if err != nil {
		return err
	}
	d.Policy = devicePolicy(who.Words, standing)
	said := map[string]rulebook.Said{}
	for _, v := range standing.Verdicts {
		said[string(v.Patch)] = v.Said
	}
	for i := range d.Patches {
		p := &d.Patches[i]
		if one, ok := said[p.ID]; ok && (one.Verdict != policy.Pending || one.Safeguard != "") {
			p.Policy = policySaid(one)
		}
	}
	return nil
}

func devicePolicy(w lang.Words, s rulebook.Standing) page.DevicePolicy {
	out := page.DevicePolicy{Limits: s.Limits}
	for _, p := range s.Profiles {
		out.Profiles = append(out.Profiles, page.PolicyProfile{Name: p.Name, Title: title(w, p.Title, p.Name)})
	}
	for _, o := range s.Windows {
		out.Windows = append(out.Windows, page.PolicyWindow{Name: o.Window, Start: o.Start, End: o.End})
	}
	for _, f := range s.Freezes {
		out.Freezes = append(out.Freezes, policyFreeze(w, f))
	}
	if s.Frozen != nil {
		frozen := policyFreeze(w, *s.Frozen)
		out.Frozen = &frozen
	}
	return out
}

func policyFreeze(w lang.Words, f rulebook.Freezing) page.PolicyFreeze {
	return page.PolicyFreeze{Name: f.Name, Reason: said(w, f.Reason), From: f.From, Until: f.Until}
}

func said(w lang.Words, t manifest.Text) string { return t.In(string(w.Lang())) }

// rulesOf fills which rules speak of a patch.
func (s *Source) rulesOf(ctx context.Context, who Viewer, id patch.ID, p *page.Patch) error {
	spoken, err := s.Rules.OfPatch(ctx, who.Tenant, id)
	if err != nil {
		return err
	}
	for _, r := range spoken.Rules {
		rule := page.PatchRule{Rule: r.Rule, Verdict: r.Verdict, Delay: time.Duration(r.DelayS) * time.Second, Until: r.Until, Devices: r.Devices}
		if r.Profile != nil {
			rule.Profile = title(who.Words, r.Profile.Title, r.Profile.Name)
		}
		p.Rules = append(p.Rules, rule)
	}
	for _, g := range spoken.Safeguards {
		p.Guards = append(p.Guards, page.PatchGuard{Name: g.Name, Devices: g.Devices, Reason: said(who.Words, g.Reason)})
	}
	return nil
}

// shownChanges are the lines of a difference that a page shows.
const shownChanges = 200

// Difference is what a policy would change, as a page shows it.
func Difference(d rulebook.Diff) *page.PolicyDiff {
	out := &page.PolicyDiff{Devices: int64(d.Devices), Changed: int64(d.Changed)}
	out.More = int64(max(0, len(d.Verdicts)-shownChanges) + max(0, len(d.Settings)-shownChanges))
	for _, m := range d.Verdicts[:min(shownChanges, len(d.Verdicts))] {
		out.Verdicts = append(out.Verdicts, page.PolicyMoved{
			Patch: string(m.Patch), Name: m.Name, Version: m.Version, Before: policySaid(m.Before), After: policySaid(m.After),
			Devices: int64(m.Devices), Examples: m.Examples,
		})
	}
	for _, s := range d.Settings[:min(shownChanges, len(d.Settings))] {
		out.Settings = append(out.Settings, page.PolicyResettled{Parts: s.Parts, Before: s.Before, After: s.After, Devices: int64(s.Devices), Examples: s.Examples})
	}
	return out
}

func policySaid(s rulebook.Said) page.PolicySaid {
	return page.PolicySaid{Verdict: s.Verdict, Rule: s.Rule, Safeguard: s.Safeguard, Until: s.Until, Last: s.UntilLast}
}
