package source

import (
	"context"
	"slices"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/face/console/page"
	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
	"patchring/wire"
)

const (
	// awaySince is the silence after which people are told that the device is
	// not reached: several check-ins, and no more than they would wait.
	awaySince = 5 * time.Minute
	// hearing is the capability of agents that hear what is said on the page.
	hearing = 3
	// saidFor is how long the page tells what came of a "later".
	saidFor = 24 * time.Hour
	// arrivedShown is how many campaigns people are asked about.
	arrivedShown = 2
	// saidOnBoard bounds what a campaign's page and the first page list.
	saidOnBoard = 8
)

// Personal fills the page of one device.
func (s *Source) Personal(ctx context.Context, who Viewer, id fleet.DeviceID) (page.Personal, error) {
	v, err := s.View.Personal(ctx, who.Tenant, id)
	if err != nil {
		return page.Personal{}, err
	}
	now := s.Clock()
	out := page.Personal{
		Device: v.Device.Name, Zone: v.Zone, Seen: v.Seen, Away: now.Sub(v.Seen) > awaySince, Mute: v.Capability < hearing,
	}
	waiting := false
	for _, said := range v.Said {
		if now.Sub(said.At) > saidFor {
			continue
		}
		expired := said.State == "sent" && !now.Before(said.Expires)
		waiting = waiting || said.State == "sent" && !expired
		if len(out.Said) == 0 && (said.State != "taken" || said.Until.After(now)) { // the last word is the one that counts
			l := page.SaidLater{Choice: said.Choice, State: said.State, Until: said.Until, At: said.At, Expired: expired}
			if said.Reason != nil {
				l.Why = said.Reason.Args["why"]
				l.WhyAt, _ = time.Parse(time.RFC3339, said.Reason.Args["at"]) // most have none
			}
			out.Said = append(out.Said, l)
		}
	}
	ordered := map[string]bool{}
	for _, o := range v.Orders {
		ordered[o.Campaign.ID] = true
		c := coming(who.Words.Lang(), o, v.Notices, now)
		if waiting || out.Mute {
			c.Offers = nil // one answer at a time
		}
		out.Coming = append(out.Coming, c)
	}
	for _, c := range v.Campaigns {
		if c.State != "closed" && !ordered[c.Campaign.ID] {
			if p := planned(c); len(p.Items) > 0 {
				out.Later = append(out.Later, p)
			}
		}
		if a := arrived(c, v.Feedback); len(a.Items) > 0 && len(out.Done) < arrivedShown {
			out.Done = append(out.Done, a)
		}
	}
	return out, nil
}

func coming(l lang.Lang, o view.PersonalOrder, notices []view.PersonalNotice, now time.Time) page.Coming {
	c := page.Coming{Order: o.ID, Campaign: o.Campaign.Name, Deadline: o.Deadline, Back: o.Back, Trial: o.Trial}
	for _, it := range o.Items {
		c.Items = append(c.Items, it.Name+" "+it.Version)
	}
	if o.Text != nil && !o.Back { // the tenant's words speak of what is installed
		own := o.Text.EN
		if l == lang.French {
			own = o.Text.FR
		}
		c.Title, c.Body = own.Title, own.Body
	}
	for _, w := range o.Windows {
		from, to := time.UnixMicro(w.StartUS), time.UnixMicro(w.EndUS)
		if to.After(now) && (c.From.IsZero() || from.Before(c.From)) {
			c.From, c.To, c.Open = from, to, !now.Before(from)
		}
	}
	c.Running = slices.Contains([]wire.Step{wire.StepInstall, wire.StepSettle, wire.StepVerify, wire.StepProbe, wire.StepReport}, o.Step)
	for _, n := range notices {
		if n.Order == o.ID {
			hear(&c, n, now)
		}
	}
	return c
}

// hear adds where a person stands; of several, whoever waits longest keeps the
// device waiting, and whoever may still answer may answer for all.
func hear(c *page.Coming, n view.PersonalNotice, now time.Time) {
	c.Restart = n.Act == wire.ActReboot
	if n.Until.After(c.Until) || c.State == "" {
		c.State, c.Until = n.What, n.Until
	}
	open := n.What == wire.NoticeAsked || n.What == wire.NoticeAccepted
	if !open || n.Remaining <= c.Remaining || !now.Before(n.Deadline) {
		return
	}
	c.Remaining, c.Offers = n.Remaining, nil
	for _, o := range n.Offers {
		// An hour is counted from when it is said; the others are over when they come.
		at := time.UnixMicro(o.AtUS)
		if o.Choice == wire.ChoiceHour && !now.Add(time.Hour).After(n.Deadline) || o.Choice != wire.ChoiceHour && o.Choice != wire.ChoiceNow && at.After(now) {
			c.Offers = append(c.Offers, o)
		}
	}
}

// planned is what an open campaign has not brought yet.
func planned(c view.DeviceCampaign) page.PlannedCampaign {
	p := page.PlannedCampaign{Name: c.Campaign.Name}
	for _, it := range c.Items {
		if state := it.State; state.Settled() || state == patch.InstalledPendingReboot {
			continue
		}
		p.Items = append(p.Items, patchName(it.Patch))
		if !it.Next.IsZero() && (p.Next.IsZero() || it.Next.Before(p.Next)) {
			p.Next = it.Next
		}
	}
	return p
}

// arrived is what a campaign has brought, with what was said of it.
func arrived(c view.DeviceCampaign, said []view.FeedbackRow) page.Arrived {
	a := page.Arrived{Campaign: c.Campaign.ID, Name: c.Campaign.Name}
	for _, it := range c.Items {
		if state := it.State; state == patch.Verified || state == patch.InstalledPendingReboot {
			a.Items = append(a.Items, page.ArrivedItem{Patch: string(it.Patch.ID), Name: patchName(it.Patch)})
		}
	}
	for _, f := range said {
		if f.Campaign.ID != c.Campaign.ID {
			continue
		}
		of := page.SaidOf{Says: f.Says, Words: f.Words, At: f.At}
		if f.Patch != nil {
			of.Name = patchName(*f.Patch)
		}
		a.Says = append(a.Says, of)
	}
	return a
}

// Feedback fills the list of what people said.
func (s *Source) Feedback(ctx context.Context, who Viewer, q page.FeedbackQuery) (page.FeedbackList, error) {
	list, err := s.View.Feedback(ctx, who.Tenant, view.FeedbackQuery{
		Which: q.Which, Campaign: q.Campaign, Device: fleet.DeviceID(q.Device), Paging: view.Paging{Cursor: q.After},
	})
	return page.FeedbackList{Query: q, Rows: feedback(list.Rows), Next: list.Next}, err
}

// FeedbackOne reads one.
func (s *Source) FeedbackOne(ctx context.Context, who Viewer, id string) (page.FeedbackLine, error) {
	f, err := s.View.FeedbackOne(ctx, who.Tenant, id)
	if err != nil {
		return page.FeedbackLine{}, err
	}
	return feedback([]view.FeedbackRow{f})[0], nil
}

func feedback(rows []view.FeedbackRow) []page.FeedbackLine {
	var out []page.FeedbackLine
	for _, f := range rows {
		l := page.FeedbackLine{
			ID: f.ID, Campaign: f.Campaign.ID, CampaignName: f.Campaign.Name, Ring: f.Ring, Device: string(f.Device.ID), DeviceName: f.Device.Name,
			Says: f.Says, Words: f.Words, At: f.At, Closed: f.Closed, ClosedBy: f.ClosedBy, ClosedWhy: f.ClosedWhy,
		}
		if f.Patch != nil {
			l.Patch, l.PatchName = string(f.Patch.ID), patchName(*f.Patch)
		}
		out = append(out, l)
	}
	return out
}

// saidOf adds to a campaign's board what people say of it.
func (s *Source) saidOf(ctx context.Context, who Viewer, out *page.Board) error {
	tally, err := s.View.FeedbackTally(ctx, who.Tenant, out.ID)
	if err != nil {
		return err
	}
	out.Feedback = page.FeedbackTally{Works: tally.Works, Broken: tally.Broken, Open: tally.Open}
	if tally.Open == 0 {
		return nil
	}
	open, err := s.View.Feedback(ctx, who.Tenant, view.FeedbackQuery{Campaign: out.ID, Paging: view.Paging{Limit: saidOnBoard}})
	out.Said = feedback(open.Rows)
	return err
}
