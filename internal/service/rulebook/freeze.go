package rulebook

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
	"patchring/internal/core/policy"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// PlaceFreeze asks for a freeze by hand: for whoever must stop everything
// tonight, and edits no file now.
type PlaceFreeze struct {
	Name    string // empty: of the day it begins
	Devices string // a condition; empty: every device
	// From is when it begins: an instant (RFC 3339), a wall clock of the site's
	// zone, or a date, which means the beginning of that day; empty: now.
	From string
	// To is when it ends, written the same; a date is the end of that day.
	To     string
	Reason string
	ForAll bool // for all tenants
}

// PlacedFreeze is the outcome.
type PlacedFreeze struct {
	Name    string    `json:"name"`
	From    time.Time `json:"from"`
	Until   time.Time `json:"until"`
	Frozen  int       `json:"frozen" doc:"devices that fit its condition now"`
	Devices int       `json:"devices" doc:"of the fleet, or of all tenants"`
}

// Bounds of a freeze by hand.
const (
	LongestFreeze = 92 * 24 * time.Hour // a longer one is policy
	mostFreezes   = 50                  // open at once
	maxReason     = 500
)

var freezeName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// PlaceFreeze closes every window of the devices from one instant to another,
// in the place where the policy's freezes do. Orders for that time are taken
// back when their devices are decided again, which is at once.
func (b *Rulebook) PlaceFreeze(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask PlaceFreeze) (PlacedFreeze, error) {
	during, err := b.checkFreeze(&ask)
	if err != nil {
		return PlacedFreeze{}, err
	}
	out := PlacedFreeze{Name: ask.Name, From: during.Start, Until: during.End}
	if err := b.count(ctx, tenant, ask, &out); err != nil {
		return PlacedFreeze{}, err
	}
	owner := tenant
	if ask.ForAll {
		owner = ForAll
	}
	err = b.DB.Write(ctx, func(tx *store.Tx) error {
		now := b.Clock().UnixMicro()
		if out.Name, err = b.nameFreeze(ctx, tx, owner, ask.Name, during); err != nil {
			return err
		}
		if err := tx.AddFreeze(ctx, gen.AddFreezeParams{
			Tenant: string(owner), Name: out.Name, Devices: ask.Devices, FromUs: during.Start.UnixMicro(), UntilUs: during.End.UnixMicro(),
			Reason: ask.Reason, Actor: string(by), CreatedUs: now,
		}); err != nil {
			return fmt.Errorf("keep freeze %s: %w", out.Name, err)
		}
		return b.tell(ctx, tx, tenant, owner, register.Entry{AtUS: now, Actor: by, Kind: register.FreezePlaced, Detail: map[string]any{
			"freeze": out.Name, "devices": ask.Devices, "from": during.Start.UnixMicro(), "until": during.End.UnixMicro(), "why": ask.Reason, "for_all": ask.ForAll,
		}})
	})
	if store.IsDuplicate(err) {
		return PlacedFreeze{}, taken(out.Name)
	}
	if err != nil {
		return PlacedFreeze{}, err
	}
	b.Changed()
	return out, nil
}

func (b *Rulebook) checkFreeze(ask *PlaceFreeze) (calendar.Interval, error) {
	ask.Devices, ask.Reason = strings.TrimSpace(ask.Devices), strings.TrimSpace(ask.Reason)
	var during calendar.Interval
	switch {
	case ask.Name != "" && (!freezeName.MatchString(ask.Name) || len(ask.Name) > manifest.MaxName):
		return during, invalid("name", "not_a_word", "a-z 0-9 -")
	case ask.Reason == "":
		return during, invalid("reason", "empty", "write_it")
	case utf8.RuneCountInString(ask.Reason) > maxReason:
		return during, invalid("reason", "too_long", fmt.Sprintf("≤ %d", maxReason))
	}
	if ask.Devices != "" {
		if _, err := policy.CompileDevices(ask.Devices); err != nil {
			return during, invalid("devices", err.Error(), `device.kind == "server"`)
		}
	}
	now := b.Clock()
	var err error
	if during.Start = now; ask.From != "" {
		if during.Start, err = b.instant("from", ask.From, false); err != nil {
			return during, err
		}
	}
	if during.End, err = b.instant("to", ask.To, true); err != nil {
		return during, err
	}
	today := calendar.DateOf(now, b.Zone)
	switch {
	case during.Start.Before(now) && calendar.DateOf(during.Start, b.Zone).Compare(today) < 0:
		return during, invalid("from", "past", "give_a_date")
	case !during.End.After(now):
		return during, invalid("to", "past", "give_a_date")
	case !during.End.After(during.Start):
		return during, invalid("to", "empty_window", "give_a_date")
	case during.Length() > LongestFreeze:
		return during, invalid("to", "too_far", "≤ 92 d; policy: freezes")
	}
	// A freeze that was asked for "from today" begins now: what is past is done.
	if during.Start.Before(now) {
		during.Start = now
	}
	return calendar.Interval{Start: during.Start.UTC(), End: during.End.UTC()}, nil
}

// instant reads an instant, a wall clock of the site, or a date: its beginning,
// or its end.
func (b *Rulebook) instant(field, text string, end bool) (time.Time, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return time.Time{}, invalid(field, "empty", "2026-12-31, 2026-12-31T18:00")
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02 15:04"} {
		if at, err := time.ParseInLocation(layout, text, b.Zone); err == nil {
			return at, nil
		}
	}
	day, err := calendar.ParseDate(text)
	if err != nil {
		return time.Time{}, invalid(field, "not_a_date", "2026-12-31, 2026-12-31T18:00")
	}
	if end {
		day = day.AddDays(1)
	}
	return day.At(0, b.Zone), nil
}

// count tells how many devices the freeze is about.
func (b *Rulebook) count(ctx context.Context, tenant fleet.TenantID, ask PlaceFreeze, out *PlacedFreeze) error {
	hand, err := policy.ByHand([]policy.HandFreeze{{Name: ask.Name, Devices: ask.Devices}})
	if err != nil {
		return err
	}
	in, now := policy.Policies{Hand: hand}, b.Clock()
	of := func(r store.Reads) func(fleet.TenantID) error {
		return func(tenant fleet.TenantID) error {
			return eachPage(ctx, r, string(tenant), in.AskSoftware(), func(page []subject) error {
				for i := range page {
					out.Devices++
					if len(in.Settings(in.Match(&page[i].Device, now)).Freezes) > 0 {
						out.Frozen++
					}
				}
				return nil
			})
		}
	}
	return b.DB.Snapshot(ctx, func(r store.Reads) error {
		if ask.ForAll {
			return eachTenant(ctx, r, of(r))
		}
		return of(r)(tenant)
	})
}

// nameFreeze gives the freeze a name that nothing else has: one that was asked
// for is refused when it is taken, for ever, because the register speaks of it.
func (b *Rulebook) nameFreeze(ctx context.Context, tx *store.Tx, owner fleet.TenantID, wanted string, during calendar.Interval) (string, error) {
	used, err := b.namesUsed(ctx, tx, owner)
	if err != nil {
		return "", err
	}
	if used.open >= mostFreezes {
		return "", invalid("name", "too_many", fmt.Sprintf("≤ %d", mostFreezes))
	}
	if wanted != "" {
		if used.names[wanted] {
			return "", taken(wanted)
		}
		return wanted, nil
	}
	base := "freeze-" + calendar.DateOf(during.Start, b.Zone).String()
	name := base
	for n := 2; used.names[name]; n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	return name, nil
}

// namesInUse are the names of freezes that one of an owner would meet.
type namesInUse struct {
	names map[string]bool
	open  int // by hand, on or to come
}

func (b *Rulebook) namesUsed(ctx context.Context, tx *store.Tx, owner fleet.TenantID) (namesInUse, error) {
	out := namesInUse{names: map[string]bool{}}
	now := b.Clock().UnixMicro()
	add := func(tenant fleet.TenantID) error {
		_, in, err := b.inForce(ctx, tx.Reads, tenant)
		if err != nil {
			return err
		}
		for _, f := range in.Frozen() {
			out.names[f.Name] = true
		}
		rows, err := tx.FreezesOf(ctx, gen.FreezesOfParams{Tenant: string(tenant), SinceUs: 0, Max: everyFreeze})
		if err != nil {
			return fmt.Errorf("read freezes placed by hand: %w", err)
		}
		open := 0
		for _, f := range rows {
			out.names[f.Name] = true
			if f.EndedUs == 0 && f.UntilUs > now {
				open++
			}
		}
		out.open = max(out.open, open)
		return nil
	}
	if owner == ForAll {
		return out, eachTenant(ctx, tx.Reads, add)
	}
	return out, add(owner)
}

// everyFreeze bounds a list: people place a few in a year.
const everyFreeze = 10_000

func taken(name string) error {
	return fault.New(fault.AlreadyExists, "what", "freeze", "name", name)
}

// noClash refuses a policy with a freeze whose name somebody gave by hand, while
// that one is on or to come: why and the register name freezes by it.
func (b *Rulebook) noClash(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, p policy.Policy) error {
	rows, err := tx.FreezesOpen(ctx, string(tenant), b.Clock().UnixMicro())
	if err != nil {
		return fmt.Errorf("read freezes placed by hand: %w", err)
	}
	for _, f := range p.Freezes {
		if slices.ContainsFunc(rows, func(row gen.FreezeByHand) bool { return row.Name == f.Name }) {
			return taken(f.Name)
		}
	}
	return nil
}

// tell records an act on a freeze in the register of everybody it is about, and
// lets their campaigns decide again.
func (b *Rulebook) tell(ctx context.Context, tx *store.Tx, tenant, owner fleet.TenantID, entry register.Entry) error {
	one := func(tenant fleet.TenantID) error {
		entry.Tenant = string(tenant)
		tx.Record(entry)
		return touchCampaigns(ctx, tx, entry.Tenant)
	}
	if owner == ForAll {
		return eachTenant(ctx, tx.Reads, one)
	}
	return one(tenant)
}

// EndFreeze asks for the end of a freeze that was placed by hand.
type EndFreeze struct {
	Name, Reason string
	ForAll       bool
}

// EndFreeze ends a freeze before its time; one of a policy's file ends there.
func (b *Rulebook) EndFreeze(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask EndFreeze) error {
	if ask.Reason = strings.TrimSpace(ask.Reason); ask.Reason == "" {
		return invalid("reason", "empty", "write_it")
	}
	if utf8.RuneCountInString(ask.Reason) > maxReason {
		return invalid("reason", "too_long", fmt.Sprintf("≤ %d", maxReason))
	}
	owner := tenant
	if ask.ForAll {
		owner = ForAll
	}
	err := b.DB.Write(ctx, func(tx *store.Tx) error {
		row, err := tx.Freeze(ctx, string(owner), ask.Name)
		if store.IsNone(err) {
			return b.notByHand(ctx, tx, owner, ask.Name)
		}
		if err != nil {
			return fmt.Errorf("read freeze %s: %w", ask.Name, err)
		}
		now := b.Clock().UnixMicro()
		if row.EndedUs > 0 || row.UntilUs <= now {
			return fault.New(fault.NothingToDo, "what", "freeze_is_over")
		}
		n, err := tx.EndFreeze(ctx, gen.EndFreezeParams{Tenant: row.Tenant, Name: row.Name, EndedUs: now, EndedBy: string(by), EndedWhy: ask.Reason})
		if err != nil {
			return fmt.Errorf("end freeze %s: %w", ask.Name, err)
		}
		if n == 0 { // somebody else was quicker
			return fault.New(fault.NothingToDo, "what", "freeze_is_over")
		}
		return b.tell(ctx, tx, tenant, owner, register.Entry{AtUS: now, Actor: by, Kind: register.FreezeEnded, Detail: map[string]any{
			"freeze": row.Name, "until": row.UntilUs, "why": ask.Reason, "for_all": ask.ForAll,
		}})
	})
	if err == nil {
		b.Changed()
	}
	return err
}

// notByHand says why there is nothing to end: a freeze of the policy ends in its
// file, and one for all tenants is not a tenant's to end.
func (b *Rulebook) notByHand(ctx context.Context, tx *store.Tx, owner fleet.TenantID, name string) error {
	if owner != ForAll {
		_, in, err := b.inForce(ctx, tx.Reads, owner)
		if err != nil {
			return err
		}
		for _, f := range in.Frozen() {
			switch {
			case f.Name == name && f.Origin == policy.HandForAll:
				return invalid("name", "freeze_for_all", "--all-tenants")
			case f.Name == name:
				return invalid("name", "freeze_of_policy", "policy apply")
			}
		}
	}
	return fault.New(fault.NotFound, "what", "freeze", "name", name)
}

func invalid(field, problem, fix string) *fault.Error {
	return fault.New(fault.InvalidField, "field", field, "problem", problem, "fix", fix)
}

// FreezeState is where a freeze is in time.
type FreezeState string

// States of a freeze.
const (
	FreezeOn    FreezeState = "on"
	FreezeAhead FreezeState = "to_come"
	FreezeOver  FreezeState = "over"
	FreezeEnded FreezeState = "ended" // before its time
)

// FreezeLine is a freeze, wherever it comes from.
type FreezeLine struct {
	Name     string        `json:"name"`
	Origin   policy.Origin `json:"origin" enum:"tenant,global,hand,hand_all" doc:"the tenant's policy, that for all tenants, or placed by hand"`
	State    FreezeState   `json:"state" enum:"on,to_come,over,ended"`
	From     time.Time     `json:"from"`
	Until    time.Time     `json:"until" doc:"when it ends, or ended"`
	Devices  string        `json:"devices,omitempty" doc:"its condition; every device when not given"`
	Reason   manifest.Text `json:"reason"`
	By       string        `json:"by,omitempty" doc:"who placed it"`
	Placed   time.Time     `json:"placed,omitzero"`
	EndedBy  string        `json:"ended_by,omitempty"`
	EndedWhy string        `json:"ended_why,omitempty"`
}

// pastFreezes is how long a freeze that is over is listed.
const pastFreezes = 366 * 24 * time.Hour

// Freezes lists those of the policies in force and those placed by hand: what is
// on or to come, the first first; or what is over, the last first.
func (b *Rulebook) Freezes(ctx context.Context, tenant fleet.TenantID, past bool) ([]FreezeLine, error) {
	out := []FreezeLine{}
	err := b.DB.Snapshot(ctx, func(r store.Reads) error {
		now, in, err := b.inForce(ctx, r, tenant)
		if err != nil {
			return err
		}
		in.Hand = nil // they are read below, with who placed them
		for _, f := range in.Frozen() {
			i := f.Interval()
			out = append(out, FreezeLine{
				Name: f.Name, Origin: f.Origin, State: stateOf(i, now), From: i.Start.UTC(), Until: i.End.UTC(), Devices: f.Devices.Source, Reason: f.Reason,
			})
		}
		rows, err := r.FreezesOf(ctx, gen.FreezesOfParams{Tenant: string(tenant), SinceUs: now.Add(-pastFreezes).UnixMicro(), Max: everyFreeze})
		if err != nil {
			return fmt.Errorf("read freezes placed by hand: %w", err)
		}
		for _, row := range rows {
			out = append(out, handLine(row, now))
		}
		return nil
	})
	out = slices.DeleteFunc(out, func(f FreezeLine) bool { return past != (f.State == FreezeOver || f.State == FreezeEnded) })
	slices.SortStableFunc(out, func(a, b FreezeLine) int {
		if past {
			return cmp.Or(b.Until.Compare(a.Until), cmp.Compare(a.Name, b.Name))
		}
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Name, b.Name))
	})
	return out, err
}

func stateOf(i calendar.Interval, now time.Time) FreezeState {
	switch {
	case i.Contains(now):
		return FreezeOn
	case now.Before(i.Start):
		return FreezeAhead
	}
	return FreezeOver
}

func handLine(row gen.FreezeByHand, now time.Time) FreezeLine {
	f := FreezeLine{
		Name: row.Name, Origin: policy.FromHand, From: store.Instant(row.FromUs).UTC(), Until: store.Instant(row.UntilUs).UTC(), Devices: row.Devices,
		Reason: manifest.Text{FR: row.Reason, EN: row.Reason}, By: row.Actor, Placed: store.Instant(row.CreatedUs).UTC(), EndedBy: row.EndedBy, EndedWhy: row.EndedWhy,
	}
	if row.Tenant == store.Provider {
		f.Origin = policy.HandForAll
	}
	f.State = stateOf(calendar.Interval{Start: f.From, End: f.Until}, now)
	if row.EndedUs > 0 {
		f.State, f.Until = FreezeEnded, store.Instant(row.EndedUs).UTC()
	}
	return f
}
