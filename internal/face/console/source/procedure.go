package source

import (
	"context"
	"errors"
	"slices"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/procedure"
	"patchring/internal/face/console/page"
	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
	"patchring/internal/service/rulebook"
)

// Procedures fills the list of procedures.
func (s *Source) Procedures(ctx context.Context, who Viewer) (page.Procedures, error) {
	rows, err := s.View.Procedures(ctx, who.Tenant)
	if err != nil {
		return page.Procedures{}, err
	}
	var out page.Procedures
	for _, p := range rows {
		out.Procedures = append(out.Procedures, procedureLine(who.Words, p))
	}
	return out, nil
}

func procedureLine(w lang.Words, p view.ProcedureRow) page.ProcedureLine {
	return page.ProcedureLine{Name: p.Name, Title: title(w, p.Title, p.Name), Version: p.Version, By: p.Actor, At: p.At}
}

// Procedure fills the page of one version of a procedure; 0 is the latest.
func (s *Source) Procedure(ctx context.Context, who Viewer, name string, version int64) (page.Procedure, error) {
	d, err := s.View.Procedure(ctx, who.Tenant, name, version)
	if err != nil {
		return page.Procedure{}, err
	}
	out := page.Procedure{
		ProcedureLine: procedureLine(who.Words, d.ProcedureRow), Owner: d.Owner, Zone: d.Zone, Text: d.Body, SHA256: d.SHA256,
	}
	for _, v := range d.Versions {
		out.Versions = append(out.Versions, page.ProcedureLine{Name: d.Name, Version: v.Version, By: v.Actor, At: v.At})
	}
	// A text this program cannot read any more is shown as text alone.
	if p, err := procedure.Parse(name, []byte(d.Body)); err == nil {
		out.Rings, out.Visas = procedureRings(who.Words, p), procedureVisas(p)
	}
	open, err := s.View.Campaigns(ctx, who.Tenant, view.CampaignQuery{Open: true})
	if err != nil {
		return page.Procedure{}, err
	}
	for _, c := range open.Rows {
		if c.Procedure == name {
			out.Campaigns = append(out.Campaigns, campaignLine(c))
		}
	}
	return out, nil
}

func procedureRings(w lang.Words, p procedure.Procedure) []page.ProcedureRing {
	out := make([]page.ProcedureRing, len(p.Rings))
	for i, r := range p.Rings {
		out[i] = page.ProcedureRing{
			Name: r.Name, Title: r.Title.In(string(w.Lang())), Opens: r.Opens.Day, OpensAt: r.Opens.At.String(), Closes: r.Closes.Day,
			Soak: r.Soak, MinDone: r.Gate.MinDonePercent, MaxFails: int64(r.Gate.MaxFailed),
		}
		for _, rule := range r.Gate.SignOffs {
			out[i].Roles = append(out[i].Roles, rule.Role)
		}
	}
	return out
}

func procedureVisas(p procedure.Procedure) []page.ProcedureVisa {
	out := make([]page.ProcedureVisa, len(p.Visas))
	for i, v := range p.Visas {
		out[i] = page.ProcedureVisa{Kind: v.Kind, Name: v.Name, Role: v.Role, Date: v.Date.At(calendar.Clock(12*60), p.Zone)}
	}
	return out
}

// Calendar fills the months of a procedure, the first one when none is named.
func (s *Source) Calendar(ctx context.Context, who Viewer, q page.CalendarQuery) (page.Calendar, error) {
	rows, err := s.View.Procedures(ctx, who.Tenant)
	if err != nil {
		return page.Calendar{}, err
	}
	out := page.Calendar{Query: q}
	for _, p := range rows {
		out.Procedures = append(out.Procedures, p.Name)
	}
	if out.Query.Year == 0 {
		now := s.Clock()
		out.Query.Year, out.Query.Month = now.Year(), now.Month()
	}
	if q.Procedure == "" {
		if len(rows) == 0 {
			return out, s.closedAndOpen(ctx, who, s.Clock().Location(), &out)
		}
		out.Query.Procedure = rows[0].Name
	}
	d, err := s.View.Procedure(ctx, who.Tenant, out.Query.Procedure, 0)
	if err != nil {
		return page.Calendar{}, err
	}
	p, err := procedure.Parse(d.Name, []byte(d.Body))
	if err != nil {
		return page.Calendar{}, err
	}
	out.Zone = d.Zone
	if out.Months, err = s.months(ctx, who, p, out.Query); err != nil {
		return page.Calendar{}, err
	}
	return out, s.closedAndOpen(ctx, who, p.Zone, &out)
}

// closedAndOpen fills the freezes of the months, and the windows of the device
// that was chosen.
func (s *Source) closedAndOpen(ctx context.Context, who Viewer, zone *time.Location, out *page.Calendar) error {
	from, to := out.Query.Span(zone)
	in := calendar.Interval{Start: from, End: to}
	for _, past := range []bool{true, false} {
		list, err := s.Rules.Freezes(ctx, who.Tenant, past)
		if err != nil {
			return err
		}
		for _, f := range list {
			if !in.Intersect(calendar.Interval{Start: f.From, End: f.Until}).Empty() {
				out.Freezes = append(out.Freezes, f)
			}
		}
	}
	slices.SortStableFunc(out.Freezes, func(a, b rulebook.FreezeLine) int { return a.From.Compare(b.From) })
	if out.Query.Device == "" {
		return nil
	}
	d, err := s.View.FindDevice(ctx, who.Tenant, out.Query.Device)
	if errors.Is(err, fault.New(fault.NotFound)) {
		out.NoDevice = true
		return nil
	}
	if err != nil {
		return err
	}
	windows, err := s.Rules.Windows(ctx, who.Tenant, rulebook.WindowsAsk{Device: d.ID, From: from.Format(time.RFC3339), To: to.Format(time.RFC3339)})
	if err != nil {
		return err
	}
	out.Query.Device, out.Windows = d.Name, &windows
	return nil
}

// months matches each month with its campaign, which bears its name.
func (s *Source) months(ctx context.Context, who Viewer, p procedure.Procedure, q page.CalendarQuery) ([]page.Month, error) {
	list, err := s.View.Campaigns(ctx, who.Tenant, view.CampaignQuery{Paging: view.Paging{Limit: view.MaxLimit}})
	if err != nil {
		return nil, err
	}
	var out []page.Month
	for i := range page.MonthsShown {
		first := time.Date(q.Year, q.Month+time.Month(i), 1, 0, 0, 0, 0, time.UTC)
		m := page.Month{Schedule: p.Schedule(first.Year(), first.Month())}
		at := slices.IndexFunc(list.Rows, func(c view.CampaignRow) bool {
			return c.Procedure == p.Name && c.Name == m.Campaign
		})
		if at >= 0 {
			m.CampaignID, m.State = list.Rows[at].ID, campaign.State(list.Rows[at].State)
		}
		out = append(out, m)
	}
	return out, nil
}
