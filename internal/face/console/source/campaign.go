package source

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/manifest"
	"patchring/internal/face/console/page"
	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
)

// Campaigns fills the list of campaigns.
func (s *Source) Campaigns(ctx context.Context, who Viewer, q page.CampaignQuery) (page.Campaigns, error) {
	list, err := s.View.Campaigns(ctx, who.Tenant, view.CampaignQuery{State: string(q.State), Paging: view.Paging{Cursor: q.After}})
	if err != nil {
		return page.Campaigns{}, err
	}
	out := page.Campaigns{Query: q, Next: list.Next}
	for _, c := range list.Rows {
		out.Campaigns = append(out.Campaigns, campaignLine(c))
	}
	return out, nil
}

func campaignLine(c view.CampaignRow) page.CampaignLine {
	out := page.CampaignLine{
		ID: c.ID, Name: c.Name, Procedure: c.Procedure, State: campaign.State(c.State), Held: c.Held,
		Starts: c.Starts, Verification: c.Verification,
	}
	for _, r := range c.Rings {
		add(&out.Counters, r.Numbers)
		if out.Ring == "" && !campaign.RingState(r.State).Passed() {
			out.Ring = r.Ring
		}
	}
	if out.Ring == "" && len(c.Rings) > 0 {
		out.Ring = c.Rings[len(c.Rings)-1].Ring
	}
	return out
}

func add(c *campaign.Counters, n view.Numbers) {
	c.Done += int(n.Done)
	c.Failed += int(n.Failed)
	c.NotReached += int(n.NotReached)
	c.Unreachable += int(n.Unreachable)
	c.Exempt += int(n.Exempt)
}

func counters(n view.Numbers) campaign.Counters {
	var c campaign.Counters
	add(&c, n)
	return c
}

// causesOf bounds how many failed devices of a ring are looked at for their
// causes: beyond it the most frequent ones are known anyway.
const causesOf = 200

// shownAlerts are those that a device or a board shows; the rest is a page away.
const shownAlerts = 8

// Board fills the board of a campaign.
func (s *Source) Board(ctx context.Context, who Viewer, id string) (page.Board, error) {
	b, err := s.View.Board(ctx, who.Tenant, id)
	if err != nil {
		return page.Board{}, err
	}
	c := b.Campaign
	alerts, err := s.View.Alerts(ctx, who.Tenant, view.AlertQuery{Campaign: c.ID, Paging: view.Paging{Limit: shownAlerts}})
	if err != nil {
		return page.Board{}, err
	}
	out := page.Board{
		Alerts: alerts.Rows,
		ID:     c.ID, Name: c.Name, State: campaign.State(c.State), Held: c.Held, Origin: campaign.Origin(c.Origin),
		Procedure: c.Procedure, ProcedureVersion: c.ProcedureVersion, Starts: c.Starts, Verification: c.Verification,
		Sealed: c.Sealed, Closed: c.Closed, Day: time.Duration(c.DayS) * time.Second, Zone: b.Zone,
		Holds: holds(b.Holds), Tasks: taskLines(b.Tasks), Incidents: b.Incidents, Events: events(who.Words, b.Events),
	}
	for _, a := range b.Amendments {
		rings := rings(who.Words, a)
		out.Content = append(out.Content, items(a)...)
		if a.Number == 0 {
			out.Rings = rings
			continue
		}
		out.Amendments = append(out.Amendments, page.Amendment{Number: a.Number, Reason: a.Reason, By: a.Actor, At: a.Created, Rings: rings})
	}
	out.Emergency = emergency(who.Words, b.Emergency)
	out.Rollback, out.Rollbacks = rollback(b)
	if out.Causes, err = s.causes(ctx, who, out); err != nil {
		return out, err
	}
	if out.Tests, err = s.View.Tests(ctx, who.Tenant, view.TestsQuery{Campaign: id}); err != nil {
		return out, err
	}
	return out, s.saidOf(ctx, who, &out)
}

func emergency(w lang.Words, e *view.BoardEmergency) *page.Emergency {
	if e == nil {
		return nil
	}
	out := &page.Emergency{
		Cause: e.Cause, Name: e.Name(), Reason: e.Reason, By: e.AskedBy, ThroughFreeze: e.ThroughFreeze, Approved: e.Approved,
		Visas: visas(w, e.SignOffs), Missing: e.Missing,
	}
	if e.Missed != nil {
		out.Missed = e.Missed.ID
	}
	for _, p := range e.Patches {
		out.Patches = append(out.Patches, p.Name+" "+p.Version)
	}
	for _, i := range e.Windows {
		out.Windows = append(out.Windows, calendar.Interval{Start: i.Start, End: i.End})
	}
	return out
}

func rings(w lang.Words, a view.BoardAmendment) []page.Ring {
	out := make([]page.Ring, len(a.Rings))
	for i, r := range a.Rings {
		out[i] = page.Ring{
			Position: int(r.Position), Name: r.Ring, Title: r.Title.In(string(w.Lang())), Amendment: a.Number,
			State: campaign.RingState(r.State), Verdict: campaign.Verdict(r.Verdict), Held: r.Held, Counters: counters(r.Numbers),
			Opens: r.Opens, Closes: r.Closes, Opened: r.Opened, SoakUntil: r.SoakUntil,
			Reasons: r.Reasons, Evidence: r.Evidence, Visas: visas(w, r.SignOffs), RollbackImpossible: r.RollbackImpossible,
		}
		if r.Expedited != nil {
			out[i].Expedited = &page.Expedited{By: r.Expedited.By, Reason: r.Expedited.Why}
		}
		for _, d := range r.Devices {
			out[i].Devices = append(out[i].Devices, ringDevice(d))
		}
	}
	return out
}

func visas(w lang.Words, slots []view.SignOffSlot) []page.Visa {
	out := make([]page.Visa, len(slots))
	for i, s := range slots {
		out[i] = page.Visa{Role: s.Role, Title: title(w, s.Title, w.Role(s.Role)), Checklist: texts(w, s.Checklist), Unheld: s.Unheld}
		if g := s.Given; g != nil {
			out[i].Given, out[i].Yes, out[i].By, out[i].At, out[i].Comment = true, g.Yes, g.Actor, g.At, g.Comment
		}
	}
	return out
}

func title(w lang.Words, t manifest.Text, otherwise string) string {
	return cmp.Or(t.In(string(w.Lang())), otherwise)
}

func texts(w lang.Words, list []manifest.Text) []string {
	out := make([]string, len(list))
	for i, t := range list {
		out[i] = t.In(string(w.Lang()))
	}
	return out
}

func items(a view.BoardAmendment) []page.Item {
	out := make([]page.Item, len(a.Items))
	for i, it := range a.Items {
		out[i] = page.Item{
			ID: string(it.Patch.ID), Name: it.Patch.Name, Version: it.Patch.Version, Provider: it.Provider, Suite: it.Suite,
			Amendment: a.Number, Promoted: it.Ring,
			Rollback: page.WayBack{Readiness: it.Rollback, Took: time.Duration(it.RollbackS) * time.Second, Impossible: it.RollbackImpossible},
		}
		if it.RollbackWhy != nil {
			out[i].Rollback.Why = *it.RollbackWhy
		}
		if w := it.Withdrawn; w != nil {
			out[i].Withdrawn = &page.Withdrawn{By: w.By, Reason: w.Reason, At: w.At}
		}
	}
	return out
}

func rollback(b view.Board) (*page.Rollback, []page.RollbackLine) {
	var lines []page.RollbackLine
	for _, r := range b.Rollbacks {
		lines = append(lines, page.RollbackLine{ID: r.ID, Name: r.Name, Reason: r.Reason, State: campaign.State(r.State)})
	}
	r := b.Rollback
	if r == nil {
		return nil, lines
	}
	var parts []string
	if r.Patch != nil {
		parts = append(parts, r.Patch.Name+" "+r.Patch.Version)
	}
	if r.Ring != "" {
		parts = append(parts, r.Ring)
	}
	if r.Device != nil {
		parts = append(parts, r.Device.Name)
	}
	return &page.Rollback{
		Undoes: r.Undoes.ID, Name: r.Undoes.Name, Part: strings.Join(parts, ", "), Reason: r.Reason, By: r.By, ByRing: r.ByRing,
	}, lines
}

func holds(rows []view.HoldRow) []page.Hold {
	out := make([]page.Hold, len(rows))
	for i, h := range rows {
		out[i] = page.Hold{ID: h.ID, Ring: h.Ring, Reason: h.Reason, By: h.Actor, At: h.Placed}
		if h.Campaign != nil {
			out[i].Campaign, out[i].Name = h.Campaign.ID, h.Campaign.Name
		}
		if h.Patch != nil {
			out[i].Item, out[i].ItemName = string(h.Patch.ID), patchName(*h.Patch)
		}
		if h.Device != nil {
			out[i].Device, out[i].DeviceName = string(h.Device.ID), h.Device.Name
		}
	}
	return out
}

// causes counts the reasons of the rings' failed devices, of the first few
// hundred of each.
func (s *Source) causes(ctx context.Context, who Viewer, b page.Board) ([]page.Cause, error) {
	counts := map[fault.Code]int64{}
	for _, r := range b.Rings {
		if r.Counters.Failed == 0 {
			continue
		}
		list, err := s.View.RingDevices(ctx, who.Tenant, view.RingDevicesQuery{
			Campaign: b.ID, Position: int64(r.Position), Bucket: string(campaign.Failed), Paging: view.Paging{Limit: causesOf},
		})
		if err != nil {
			return nil, err
		}
		for _, d := range list.Rows {
			counts[because(d.Reason).Code]++
		}
	}
	out := make([]page.Cause, 0, len(counts))
	for code, n := range counts {
		out = append(out, page.Cause{Code: code, N: n})
	}
	slices.SortFunc(out, func(a, b page.Cause) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Code, b.Code))
	})
	return out, nil
}

// Ring fills the devices of one ring.
func (s *Source) Ring(ctx context.Context, who Viewer, id string, q page.RingQuery) (page.RingDevices, error) {
	b, err := s.View.Board(ctx, who.Tenant, id)
	if err != nil {
		return page.RingDevices{}, err
	}
	out := page.RingDevices{Campaign: b.Campaign.ID, Name: b.Campaign.Name, Query: q, Zone: b.Zone}
	found := false
	for _, a := range b.Amendments {
		if a.Number != q.Amendment {
			continue
		}
		for _, r := range rings(who.Words, a) {
			if r.Name == q.Ring {
				out.Ring, found = r, true
			}
		}
	}
	if !found {
		return page.RingDevices{}, fault.New(fault.NotFound, "what", "ring", "name", q.Ring)
	}
	list, err := s.View.RingDevices(ctx, who.Tenant, view.RingDevicesQuery{
		Campaign: id, Amendment: q.Amendment, Position: int64(out.Ring.Position), Bucket: string(q.Bucket),
		Paging: view.Paging{Cursor: q.After},
	})
	if err != nil {
		return page.RingDevices{}, err
	}
	for _, d := range list.Rows {
		out.Devices = append(out.Devices, ringDevice(d))
	}
	out.Next = list.Next
	return out, nil
}

func ringDevice(d view.RingDevice) page.RingDevice {
	return page.RingDevice{
		ID: string(d.Device.ID), Name: d.Device.Name, Kind: d.Kind, Bucket: campaign.Bucket(d.Bucket), Step: d.Step,
		Reason: because(d.Reason), Next: d.Next, Updated: d.Updated,
	}
}
