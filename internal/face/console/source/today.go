package source

import (
	"context"
	"slices"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/face/console/page"
	"patchring/internal/infra/view"
)

// stuckShown and datesShown bound two lists of the page; their counts are on
// it, and what is beyond is a link away.
const stuckShown, datesShown = 8, 7

// Today fills what needs the reader now.
func (s *Source) Today(ctx context.Context, who Viewer) (page.Today, error) {
	t, err := s.View.Today(ctx, who.Tenant)
	if err != nil {
		return page.Today{}, err
	}
	out := page.Today{
		Devices: t.Devices, Holds: holds(t.Holds), Dates: dates(t.Campaigns, s.Clock()),
		Counts: []page.Count{
			{Filter: "overdue", N: t.Overdue}, {Filter: "failing", N: t.Failing}, {Filter: "unreachable", N: t.Unreachable},
			{Filter: "pending_reboot", N: t.PendingReboot},
		},
	}
	// These are rare, and shown when they are there.
	for _, c := range []page.Count{{Filter: "never_scanned", N: t.NeverScanned}, {Filter: "duplicate", N: t.Duplicate}, {Filter: "undecided", N: t.Undecided}} {
		if c.N > 0 {
			out.Counts = append(out.Counts, c)
		}
	}
	for _, g := range t.Gates {
		ring := page.Ring{
			Position: int(g.Position), Name: g.Ring, Amendment: g.Amendment, State: campaign.RingState(g.State),
			Verdict: campaign.Verdict(g.Verdict), Reasons: g.Reasons, Counters: counters(g.Numbers), Visas: visas(who.Words, g.Missing),
		}
		for _, v := range ring.Visas {
			if slices.Contains(who.Roles, v.Role) {
				out.Visas = append(out.Visas, page.AwaitedVisa{Campaign: g.Campaign.ID, Name: g.Campaign.Name, Ring: ring, Visa: v})
			}
		}
		if ring.Verdict == campaign.Stop || ring.Verdict == campaign.InsufficientEvidence {
			out.Rings = append(out.Rings, page.RingTrouble{Campaign: g.Campaign.ID, Name: g.Campaign.Name, Ring: ring})
		}
	}
	for _, q := range t.Quarantined[:min(stuckShown, len(t.Quarantined))] {
		out.Stuck = append(out.Stuck, page.Stuck{
			Device: string(q.Device.ID), DeviceName: q.Device.Name, Patch: string(q.Patch.ID), PatchName: patchName(q.Patch),
			Reason: q.Reason, At: q.Updated,
		})
	}
	out.RollbackImpossible = t.RollbackImpossible
	for _, i := range t.Impossible {
		out.Impossible = append(out.Impossible, impossible(i))
	}
	for _, u := range t.Unheld {
		out.Unheld = append(out.Unheld, page.UnheldRole{
			Campaign: u.Campaign.ID, Name: u.Campaign.Name, Ring: u.Ring, Role: u.Role, Title: title(who.Words, u.Title, who.Words.Role(u.Role)),
		})
	}
	for _, c := range t.Campaigns {
		if campaign.State(c.State) != campaign.Scheduled {
			out.Campaigns = append(out.Campaigns, campaignLine(c))
		}
	}
	return out, s.desk(ctx, who, t, &out)
}

// Impossible fills the page of what could not be put back.
func (s *Source) Impossible(ctx context.Context, who Viewer, q page.ImpossibleQuery) (page.Impossible, error) {
	out := page.Impossible{After: q.After}
	if q.Campaign != "" {
		ref, err := s.View.FindCampaign(ctx, who.Tenant, q.Campaign)
		if err != nil {
			return page.Impossible{}, err
		}
		out.Campaign, out.Name = ref.ID, ref.Name
	}
	list, err := s.View.ImpossibleRollbacks(ctx, who.Tenant, view.ImpossibleQuery{Campaign: out.Campaign, Paging: view.Paging{Cursor: q.After}})
	if err != nil {
		return page.Impossible{}, err
	}
	for _, i := range list.Rows {
		out.Rows = append(out.Rows, impossible(i))
	}
	out.Next = list.Next
	return out, nil
}

func impossible(i view.ImpossibleRollback) page.ImpossibleRollback {
	return page.ImpossibleRollback{
		Campaign: i.Campaign.ID, Name: i.Campaign.Name, Ring: i.Ring, Device: string(i.Device.ID), DeviceName: i.Device.Name,
		Patch: string(i.Patch.ID), PatchName: patchName(i.Patch), State: i.State, Reason: i.Reason, Updated: i.Updated,
	}
}

// dates are the coming events of the open campaigns, and the next Patch
// Tuesday, soonest first.
func dates(rows []view.CampaignRow, now time.Time) []page.Date {
	var out []page.Date
	coming := func(d page.Date) {
		if d.At.After(now) {
			out = append(out, d)
		}
	}
	for _, c := range rows {
		for _, r := range c.Rings {
			coming(page.Date{At: r.Opens, Kind: page.RingOpens, Campaign: c.ID, Name: c.Name, Ring: r.Ring})
		}
		coming(page.Date{At: c.Verification, Kind: page.Verification, Campaign: c.ID, Name: c.Name})
	}
	for m := range 2 {
		month := time.Date(now.Year(), now.Month()+time.Month(m), 1, 0, 0, 0, 0, time.UTC)
		release := calendar.Release(calendar.PatchTuesday(month.Year(), month.Month()))
		if release.After(now) {
			coming(page.Date{At: release, Kind: page.PatchTuesday, Name: month.Format("2006-01")})
			break
		}
	}
	slices.SortFunc(out, func(a, b page.Date) int { return a.At.Compare(b.At) })
	return out[:min(datesShown, len(out))]
}
