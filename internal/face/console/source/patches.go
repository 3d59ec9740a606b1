package source

import (
	"context"
	"strings"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/face/console/page"
	"patchring/internal/infra/view"
)

// Patches fills the catalogue.
func (s *Source) Patches(ctx context.Context, who Viewer, q page.PatchQuery) (page.Patches, error) {
	list, err := s.View.Patches(ctx, who.Tenant, view.PatchQuery{
		Text: q.Name, Class: q.Class, Verdict: q.Verdict, Missing: q.Missing, Sort: q.Sort, Exploited: q.Exploited, Severity: q.Severity, Paging: view.Paging{Cursor: q.After},
	})
	if err != nil {
		return page.Patches{}, err
	}
	out := page.Patches{Query: q, Next: list.Next}
	for _, p := range list.Rows {
		out.Patches = append(out.Patches, patchLine(p))
	}
	return out, nil
}

func patchLine(p view.PatchRow) page.PatchLine {
	out := page.PatchLine{
		ID: string(p.ID), Provider: p.Provider, Name: p.Name, Version: p.Version, Suite: p.Suite, Class: p.Class,
		Devices: p.Devices, FirstSeen: p.FirstSeen, Download: p.DownloadBytes,
		Severity: p.Severity, Exploited: p.Exploited, Vulnerabilities: len(p.CVEs),
	}
	if p.Decision != nil {
		out.Verdict, out.Until = p.Decision.Verdict, p.Decision.Until
	}
	return out
}

// Patch fills the page of one patch.
func (s *Source) Patch(ctx context.Context, who Viewer, id string, q page.PatchDeviceQuery) (page.Patch, error) {
	p, err := s.View.Patch(ctx, who.Tenant, patch.ID(id))
	if err != nil {
		return page.Patch{}, err
	}
	where, err := s.View.PatchDevices(ctx, who.Tenant, view.PatchDevicesQuery{
		Patch: p.ID, Campaign: q.Campaign, Which: q.Which, Paging: view.Paging{Cursor: q.After},
	})
	if err != nil {
		return page.Patch{}, err
	}
	out := page.Patch{PatchLine: patchLine(p.PatchRow), Origin: p.Origin, Summary: p.Summary, Exceptions: exceptions(p.Exceptions), Query: q, Next: where.Next, Mends: p.Mends}
	for _, d := range p.Decisions {
		out.Decisions = append(out.Decisions, page.PatchDecision{
			Verdict: d.Verdict, Name: ofName(d.Scope), Until: d.Until, Reason: d.Reason, By: d.Actor, At: d.At,
		})
	}
	for _, c := range p.Campaigns {
		out.Campaigns = append(out.Campaigns, page.PatchCampaign{
			ID: c.Campaign.ID, Name: c.Campaign.Name, Ring: c.Item.Ring, Withdrawn: c.Item.Withdrawn != nil,
			Open: campaign.State(c.State) != campaign.Closed, Done: c.Done, Failed: c.Failed, Pending: c.Pending, RolledBack: c.RolledBack,
		})
	}
	if err := s.rulesOf(ctx, who, p.ID, &out); err != nil {
		return page.Patch{}, err
	}
	for _, t := range p.Pace {
		ms := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
		out.Pace = append(out.Pace, page.PatchPace{
			Model: t.Model, Samples: t.Samples, Download: ms(t.DownloadMS), Install: ms(t.InstallMS), Reboot: ms(t.RebootMS),
		})
	}
	for _, v := range p.Versions {
		out.Versions = append(out.Versions, patchLine(v))
	}
	for _, d := range where.Rows {
		out.Where = append(out.Where, page.PatchDevice{
			Device: string(d.Device.ID), Name: d.Device.Name, State: d.State, Reason: because(d.Reason), Since: d.Since, Next: d.Next,
		})
	}
	return out, nil
}

// ofName tells a decision on every version of a name from one on an exact patch.
func ofName(s policy.Scope) bool { return strings.HasPrefix(string(s), "name:") }

// Vulnerabilities fills the list of what known patches mend.
func (s *Source) Vulnerabilities(ctx context.Context, who Viewer, q page.VulnerabilityQuery) (page.Vulnerabilities, error) {
	list, err := s.View.Vulnerabilities(ctx, who.Tenant, view.VulnerabilityQuery{
		Text: q.Text, Severity: q.Severity, Exploited: q.Exploited, Open: q.Open, Paging: view.Paging{Cursor: q.After},
	})
	return page.Vulnerabilities{VulnerabilityPage: list, Query: q, Title: who.Words.T("vulnerability.title")}, err
}

// Vulnerability fills the page of one.
func (s *Source) Vulnerability(ctx context.Context, who Viewer, cve string) (page.Vulnerability, error) {
	one, err := s.View.Vulnerability(ctx, who.Tenant, cve)
	return page.Vulnerability{Vulnerability: one}, err
}
