package rulebook

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/policy"
	"patchring/internal/core/procedure"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// WindowsAsk asks when devices may act.
type WindowsAsk struct {
	Device fleet.DeviceID // one device, or
	Group  string         // those of a group; both empty: the whole fleet
	// From and To are instants, wall clocks of the site's zone or dates, of which
	// To's is included; empty: from now on, for two weeks.
	From, To string
}

// Bounds of a list of windows.
const (
	windowsAhead = 14 * 24 * time.Hour
	longestList  = 366 * 24 * time.Hour
)

// WindowList is when devices may act, with devices of the same hours together.
type WindowList struct {
	From    time.Time     `json:"from"`
	To      time.Time     `json:"to"`
	Devices int           `json:"devices"`
	Alike   []AlikeDevice `json:"alike" doc:"devices that may act at the same times for the same reason, the most first; a device of two procedures is in both"`
}

// HoursOf says what gives devices their windows.
type HoursOf string

// What gives windows.
const (
	OfProfile   HoursOf = "profile"   // of the policy
	OfProcedure HoursOf = "procedure" // no profile of the devices has windows
	OfCampaign  HoursOf = "campaign"  // an open one that has hours of its own, or may act in freezes
	OfNothing   HoursOf = "none"      // neither: no window means closed
)

// AlikeDevice are devices that may act at the same times.
type AlikeDevice struct {
	Of       HoursOf   `json:"of" enum:"profile,procedure,campaign,none"`
	Name     string    `json:"name,omitempty" doc:"of the profile, procedure or campaign"`
	Devices  int       `json:"devices"`
	Examples []string  `json:"examples"`
	Open     []Stretch `json:"open" doc:"the freezes taken out"`
	Freezes  []Closed  `json:"freezes" doc:"those that fall in the dates asked for"`
}

// Stretch is when a window is open; windows that touch make one.
type Stretch struct {
	Start   time.Time `json:"start"`
	End     time.Time `json:"end"`
	Windows []string  `json:"windows"`
}

// Closed is a freeze that keeps windows shut.
type Closed struct {
	Freezing
	Origin policy.Origin `json:"origin" enum:"tenant,global,hand,hand_all"`
}

// Windows lists when devices may act, by the code that decides it.
func (b *Rulebook) Windows(ctx context.Context, tenant fleet.TenantID, ask WindowsAsk) (WindowList, error) {
	in, err := b.span(ask)
	if err != nil {
		return WindowList{}, err
	}
	out := WindowList{From: in.Start.UTC(), To: in.End.UTC(), Alike: []AlikeDevice{}}
	err = b.DB.Snapshot(ctx, func(r store.Reads) error {
		h := &hours{in: in, cache: map[hoursKey]AlikeDevice{}, alike: map[string]*AlikeDevice{}}
		if err := h.load(ctx, b, r, tenant); err != nil {
			return err
		}
		if err := b.eachAsked(ctx, r, tenant, h.policies, ask, func(id fleet.DeviceID, d *policy.Device) {
			out.Devices++
			h.device(id, d)
		}); err != nil {
			return err
		}
		for _, a := range h.alike {
			out.Alike = append(out.Alike, *a)
		}
		return nil
	})
	slices.SortFunc(out.Alike, func(a, b AlikeDevice) int {
		return cmp.Or(-cmp.Compare(a.Devices, b.Devices), cmp.Compare(a.Of, b.Of), cmp.Compare(a.Name, b.Name), slices.Compare(a.Examples, b.Examples))
	})
	return out, err
}

func (b *Rulebook) span(ask WindowsAsk) (calendar.Interval, error) {
	in := calendar.Interval{Start: b.Clock()}
	var err error
	if ask.Device != "" && ask.Group != "" {
		return in, invalid("group", "device_or_group", "leave_one_out")
	}
	if ask.From != "" {
		if in.Start, err = b.instant("from", ask.From, false); err != nil {
			return in, err
		}
	}
	if in.End = in.Start.Add(windowsAhead); ask.To != "" {
		if in.End, err = b.instant("to", ask.To, true); err != nil {
			return in, err
		}
	}
	switch {
	case in.Empty():
		return in, invalid("to", "empty_window", "give_a_date")
	case in.Length() > longestList:
		return in, invalid("to", "too_far", "≤ 366 d")
	}
	return in, nil
}

// eachAsked goes through the devices that are asked for.
func (b *Rulebook) eachAsked(ctx context.Context, r store.Reads, tenant fleet.TenantID, in policy.Policies, ask WindowsAsk, do func(fleet.DeviceID, *policy.Device)) error {
	ids := []string{string(ask.Device)}
	switch {
	case ask.Group != "":
		if _, err := r.Group(ctx, string(tenant), ask.Group); store.IsNone(err) {
			return fault.New(fault.NotFound, "what", "group", "name", ask.Group)
		} else if err != nil {
			return fmt.Errorf("read group %s: %w", ask.Group, err)
		}
		var err error
		if ids, err = r.GroupMembers(ctx, string(tenant), ask.Group); err != nil {
			return fmt.Errorf("read group %s: %w", ask.Group, err)
		}
	case ask.Device == "":
		return eachPage(ctx, r, string(tenant), in.AskSoftware(), func(page []subject) error {
			for i := range page {
				do(page[i].id, &page[i].Device)
			}
			return nil
		})
	}
	for page := range slices.Chunk(ids, fleetPage) {
		batch, err := r.Batch(ctx, string(tenant), page)
		if err != nil {
			return err
		}
		for _, id := range page {
			if row, known := batch.Devices[id]; ask.Group != "" && (!known || row.RetiredUs > 0) {
				continue // a member that is retired
			}
			d, err := subjectOf(ctx, r, in, tenant, batch, id)
			if err != nil {
				return err
			}
			do(fleet.DeviceID(id), &d)
		}
	}
	return nil
}

// plan is a procedure, or an open campaign with hours of its own.
type plan struct {
	procedure procedure.Procedure
	campaign  string
	open      []calendar.Interval // given with the campaign; nil: as everywhere
	unfrozen  bool                // two people let it through freezes
}

// hours works out when devices may act, once for all that cannot be told apart.
type hours struct {
	in       calendar.Interval
	now      time.Time
	policies policy.Policies
	plans    []plan
	cache    map[hoursKey]AlikeDevice
	alike    map[string]*AlikeDevice
}

type hoursKey struct {
	plan  int // -1: of the profile, whatever the procedure
	rules procedure.RuleSet
	match policy.Match
}

func (h *hours) load(ctx context.Context, b *Rulebook, r store.Reads, tenant fleet.TenantID) (err error) {
	if h.now, h.policies, err = b.inForce(ctx, r, tenant); err != nil {
		return err
	}
	rows, err := r.LatestProcedures(ctx, string(tenant))
	if err != nil {
		return fmt.Errorf("read procedures: %w", err)
	}
	for _, row := range rows {
		p, err := procedure.Parse(row.Name, []byte(row.Body))
		if err != nil {
			return fmt.Errorf("parse procedure %s version %d: %w", row.Name, row.Version, err)
		}
		h.plans = append(h.plans, plan{procedure: p})
	}
	open, err := r.OpenCampaigns(ctx, string(tenant))
	if err != nil {
		return fmt.Errorf("read open campaigns: %w", err)
	}
	for _, row := range open {
		if err := h.campaign(ctx, r, row); err != nil {
			return fmt.Errorf("read the windows of campaign %s: %w", row.Name, err)
		}
	}
	return nil
}

// campaign adds one that has hours of its own.
func (h *hours) campaign(ctx context.Context, r store.Reads, row gen.Campaign) error {
	var schedule procedure.Schedule
	if err := json.Unmarshal([]byte(row.Schedule), &schedule); err != nil {
		return err
	}
	one := plan{campaign: row.Name}
	urgent := campaign.Origin(row.Origin) == campaign.ByEmergency
	if urgent {
		emergency, err := r.Emergency(ctx, row.Tenant, row.ID)
		if err != nil {
			return err
		}
		one.unfrozen = emergency.ThroughFreeze == 1 && emergency.ApprovedUs > 0
	}
	switch {
	case row.Windows != "":
		if err := json.Unmarshal([]byte(row.Windows), &one.open); err != nil {
			return err
		}
	case !schedule.Compress.IsZero() && !urgent: // a rehearsal of minutes is always open
		one.open = []calendar.Interval{{Start: store.Instant(row.StartsUs), End: schedule.Verification}}
	case !one.unfrozen:
		return nil
	}
	version, err := r.ProcedureVersion(ctx, gen.ProcedureVersionParams{Tenant: row.Tenant, Name: row.ProcedureName, Version: row.ProcedureVersion})
	if err != nil {
		return err
	}
	if one.procedure, err = procedure.Parse(row.ProcedureName, []byte(version.Body)); err != nil {
		return err
	}
	h.plans = append(h.plans, one)
	return nil
}

func (h *hours) device(id fleet.DeviceID, d *policy.Device) {
	member := fleet.Member{Device: id, Name: d.Name, Kind: fleet.Kind(d.Kind), Tags: d.Tags, Groups: d.Groups}
	match := h.policies.Match(d, h.now)
	ownHours := h.policies.Settings(match).Windows != nil
	counted := map[string]bool{}
	if ownHours {
		h.count(h.of(hoursKey{plan: -1, match: match}), d.Name, counted)
	}
	for i, p := range h.plans {
		if !p.procedure.Covers(member) || p.campaign == "" && ownHours {
			continue
		}
		h.count(h.of(hoursKey{i, p.procedure.RulesFor(member), match}), d.Name, counted)
	}
	if len(counted) == 0 {
		h.count(AlikeDevice{Of: OfNothing, Open: []Stretch{}, Freezes: []Closed{}}, d.Name, counted)
	}
}

func (h *hours) count(a AlikeDevice, name string, counted map[string]bool) {
	key := fmt.Sprint(a.Of, "\x00", a.Name, "\x00", a.Open, a.Freezes)
	if counted[key] {
		return
	}
	counted[key] = true
	known := h.alike[key]
	if known == nil {
		a.Examples = []string{}
		known = &a
		h.alike[key] = known
	}
	known.Devices++
	known.Examples = example(known.Examples, name)
}

func (h *hours) of(key hoursKey) AlikeDevice {
	if known, ok := h.cache[key]; ok {
		return known
	}
	settings := h.policies.Settings(key.match)
	out := AlikeDevice{Of: OfProfile, Name: settings.WindowsOf, Open: []Stretch{}, Freezes: []Closed{}}
	var p plan
	if key.plan >= 0 {
		p = h.plans[key.plan]
		out.Of, out.Name = OfProcedure, p.procedure.Name
	}
	if p.unfrozen {
		settings = settings.Unfrozen()
	}
	if p.campaign != "" {
		out.Of, out.Name = OfCampaign, p.campaign
	}
	if p.open != nil {
		for _, i := range settings.WindowsIn(calendar.Intersect(p.open, []calendar.Interval{h.in})) {
			out.Open = append(out.Open, Stretch{i.Start.UTC(), i.End.UTC(), []string{}})
		}
	} else {
		for _, o := range campaign.OpeningsBetween(p.procedure, key.rules, settings, h.in) {
			out.Open = append(out.Open, Stretch{o.Start.UTC(), o.End.UTC(), o.Windows})
		}
	}
	for _, f := range settings.Freezes {
		if !f.Interval().Intersect(h.in).Empty() {
			out.Freezes = append(out.Freezes, Closed{freezing(f), f.Origin})
		}
	}
	h.cache[key] = out
	return out
}
