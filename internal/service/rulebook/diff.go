package rulebook

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/infra/store"
)

// Diff is what a policy would change for the fleet as it was last seen.
type Diff struct {
	Checked
	Devices  int         `json:"devices"` // of the fleet
	Changed  int         `json:"changed"` // devices for which anything changes
	Verdicts []Moved     `json:"verdicts"`
	Places   []Resettled `json:"places"`
}

// Moved is one patch whose verdict changes, on how many devices.
type Moved struct {
	Patch    patch.ID `json:"patch"`
	Name     string   `json:"name"`
	Version  string   `json:"version"`
	Before   Said     `json:"before"`
	After    Said     `json:"after"`
	Devices  int      `json:"devices"`
	Examples []string `json:"examples"` // names of a few of them
}

// Said is a verdict with its rule.
type Said struct {
	Verdict policy.Verdict `json:"verdict"`
	Rule    string         `json:"rule"`
	Until   time.Time      `json:"until"`
}

// Resettled is a change of profiles, on how many devices.
type Resettled struct {
	Before   []string `json:"before"`
	After    []string `json:"after"`
	Devices  int      `json:"devices"`
	Examples []string `json:"examples"`
}

const (
	fleetPage   = 500
	examples    = 5
	historyTime = 365 * 24 * time.Hour
)

// Diff weighs a policy against the one in force, on every device and all that
// it misses, by the same rules that decide in a campaign. The classes that a
// procedure would approve are left out of both sides: they differ by campaign.
func (b *Rulebook) Diff(ctx context.Context, tenant fleet.TenantID, file string, text []byte) (Diff, error) {
	p, err := policy.Parse(file, text)
	if err != nil {
		return Diff{}, err
	}
	var out Diff
	err = b.DB.Snapshot(ctx, func(r store.Reads) error {
		now, inForce, err := b.inForce(ctx, r, tenant)
		if err != nil {
			return err
		}
		candidate := inForce
		candidate.Tenant = &p
		w := weighing{
			tenant: string(tenant), now: now, before: policy.Rules{Policies: inForce}, after: policy.Rules{Policies: candidate},
			moved: map[movedKey]*Moved{}, places: map[string]*Resettled{}, matches: map[policy.Match]bool{},
		}
		if err := w.fleet(ctx, r); err != nil {
			return err
		}
		out = w.diff()
		out.Name, out.Warnings = p.Name, p.Warnings
		out.Starved, err = starvedBy(ctx, r, string(tenant), w.after, w.matchList(), now)
		return err
	})
	return out, err
}

// weighing goes through a fleet.
type weighing struct {
	tenant        string
	now           time.Time
	before, after policy.Rules
	devices       int
	changed       int
	moved         map[movedKey]*Moved
	places        map[string]*Resettled
	matches       map[policy.Match]bool // of the policy to come
}

type movedKey struct {
	patch                 patch.ID
	before, after         policy.Verdict
	ruleBefore, ruleAfter string
}

func (w *weighing) fleet(ctx context.Context, r store.Reads) error {
	software := w.before.Policies.AskSoftware() || w.after.Policies.AskSoftware()
	return eachDevice(ctx, r, w.tenant, software, func(id fleet.DeviceID, d *policy.Device, missing []store.MissingPatch) error {
		w.device(id, d, missing)
		return nil
	})
}

// eachDevice goes through a fleet, with the software of each where it is asked for.
func eachDevice(ctx context.Context, r store.Reads, tenant string, withSoftware bool, do func(fleet.DeviceID, *policy.Device, []store.MissingPatch) error) error {
	after := ""
	for {
		page, err := r.Fleet(ctx, tenant, after, fleetPage)
		if err != nil || len(page.Devices) == 0 {
			return err
		}
		software := map[string]map[string]string{}
		if withSoftware {
			if software, err = r.Software(ctx, tenant, page.IDs()); err != nil {
				return err
			}
		}
		for _, d := range page.Devices {
			subject, err := store.Subject(d.Device, page.Groups[d.ID], d.Traits, software[d.ID])
			if err != nil {
				return err
			}
			if err := do(fleet.DeviceID(d.ID), &subject, page.Missing[d.ID]); err != nil {
				return err
			}
			after = d.ID
		}
	}
}

func (w *weighing) device(id fleet.DeviceID, d *policy.Device, missing []store.MissingPatch) {
	w.devices++
	before := policy.Holder{Device: id, Groups: d.Groups, Match: w.before.Policies.Match(d, w.now)}
	after := policy.Holder{Device: id, Groups: d.Groups, Match: w.after.Policies.Match(d, w.now)}
	w.matches[after.Match] = true
	changed := w.resettle(d.Name, before.Match, after.Match)
	for _, m := range missing {
		before.Exposed = store.Instant(m.ExposedUs)
		after.Exposed = before.Exposed
		subject := store.PatchSubject(m.Of)
		changed = w.verdict(d.Name, patch.ID(m.Patch), w.before.Judge(&subject, before, w.now), w.after.Judge(&subject, after, w.now), m) || changed
	}
	if changed {
		w.changed++
	}
}

func (w *weighing) resettle(name string, before, after policy.Match) bool {
	from, to := w.before.Policies.Settings(before).Profiles, w.after.Policies.Settings(after).Profiles
	if slices.Equal(from, to) {
		return false
	}
	key := fmt.Sprint(from, to)
	if w.places[key] == nil {
		w.places[key] = &Resettled{Before: orEmpty(from), After: orEmpty(to)}
	}
	w.places[key].Devices++
	w.places[key].Examples = example(w.places[key].Examples, name)
	return true
}

func (w *weighing) verdict(name string, id patch.ID, before, after policy.Outcome, m store.MissingPatch) bool {
	if before.Verdict == after.Verdict && before.Rule == after.Rule && before.Until.Equal(after.Until) {
		return false
	}
	key := movedKey{id, before.Verdict, after.Verdict, before.Rule, after.Rule}
	if w.moved[key] == nil {
		w.moved[key] = &Moved{
			Patch: id, Name: m.Of.Name, Version: m.Of.Version,
			Before: Said{before.Verdict, before.Rule, before.Until}, After: Said{after.Verdict, after.Rule, after.Until},
		}
	}
	w.moved[key].Devices++
	w.moved[key].Examples = example(w.moved[key].Examples, name)
	return true
}

func example(list []string, name string) []string {
	if len(list) < examples {
		return append(list, name)
	}
	return list
}

func (w *weighing) diff() Diff {
	out := Diff{Devices: w.devices, Changed: w.changed, Verdicts: make([]Moved, 0, len(w.moved)), Places: make([]Resettled, 0, len(w.places))}
	for _, m := range w.moved {
		out.Verdicts = append(out.Verdicts, *m)
	}
	for _, p := range w.places {
		out.Places = append(out.Places, *p)
	}
	slices.SortFunc(out.Verdicts, func(a, b Moved) int {
		return cmp.Or(-cmp.Compare(a.Devices, b.Devices), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Patch, b.Patch), cmp.Compare(a.After.Rule, b.After.Rule))
	})
	slices.SortFunc(out.Places, func(a, b Resettled) int {
		return cmp.Or(-cmp.Compare(a.Devices, b.Devices), slices.Compare(a.After, b.After), slices.Compare(a.Before, b.Before))
	})
	return out
}

func (w *weighing) matchList() []policy.Match {
	out := make([]policy.Match, 0, len(w.matches))
	for m := range w.matches {
		out = append(out, m)
	}
	slices.Sort(out)
	return out
}

// starved plays the catalogue over for the matches of the fleet.
func (b *Rulebook) starved(ctx context.Context, r store.Reads, tenant fleet.TenantID, rules policy.Rules, now time.Time) ([]policy.Starved, error) {
	w := weighing{tenant: string(tenant), now: now, after: rules, moved: map[movedKey]*Moved{}, places: map[string]*Resettled{}, matches: map[policy.Match]bool{}}
	if err := w.fleet(ctx, r); err != nil {
		return nil, err
	}
	return starvedBy(ctx, r, string(tenant), rules, w.matchList(), now)
}

func starvedBy(ctx context.Context, r store.Reads, tenant string, rules policy.Rules, matches []policy.Match, now time.Time) ([]policy.Starved, error) {
	from := now.Add(-historyTime)
	rows, err := r.PatchesSince(ctx, tenant, from.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("read the catalogue: %w", err)
	}
	history := make([]policy.Patch, 0, len(rows))
	for _, row := range rows {
		history = append(history, store.PatchSubject(row))
	}
	out := policy.Starve(rules, matches, history, from, now)
	if out == nil {
		out = []policy.Starved{}
	}
	return out, nil
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
