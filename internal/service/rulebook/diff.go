package rulebook

import (
	"cmp"
	"context"
	"fmt"
	"maps"
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
	Settings []Resettled `json:"settings"`
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

// Said is a verdict with its rule. Devices lack a patch since different days,
// so a delay ends between two instants.
type Said struct {
	Verdict   policy.Verdict `json:"verdict"`
	Rule      string         `json:"rule"`
	Safeguard string         `json:"safeguard,omitempty" doc:"what holds the patch back whatever the verdict"`
	Until     time.Time      `json:"until,omitzero" doc:"on the device where it ends first"`
	UntilLast time.Time      `json:"until_last,omitzero" doc:"on the device where it ends last, when that is another instant"`
}

// Resettled is a change of what policies say beside verdicts, on how many
// devices.
type Resettled struct {
	Parts    []policy.Part `json:"parts" doc:"in which something changes: profiles, windows, freezes, reboot, people, limits"`
	Before   []string      `json:"before" doc:"profiles"`
	After    []string      `json:"after" doc:"profiles"`
	Devices  int           `json:"devices"`
	Examples []string      `json:"examples"`
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
		w, err := b.weigh(ctx, r, tenant, func(in *policy.Policies) { in.Tenant = &p })
		if err != nil {
			return err
		}
		out = w.diff()
		out.Checked = checked(p)
		out.Starved, err = starvedBy(ctx, r, string(tenant), w.after.rules, w.matchList(), w.now)
		return err
	})
	return out, err
}

// weigh decides a tenant's fleet twice: as the policies in force say, and as
// they would with a change.
func (b *Rulebook) weigh(ctx context.Context, r store.Reads, tenant fleet.TenantID, change func(*policy.Policies)) (*weighing, error) {
	now, inForce, err := b.inForce(ctx, r, tenant)
	if err != nil {
		return nil, err
	}
	hand, err := byHand(ctx, r, string(tenant), now)
	if err != nil {
		return nil, err
	}
	before, after := hand, hand
	before.Policies, after.Policies = inForce, inForce
	change(&after.Policies)
	w := newWeighing(string(tenant), now, before, after)
	return w, w.fleet(ctx, r)
}

// byHand are the rules that people gave: they stand before every policy, so what
// they decide no change of policy changes.
func byHand(ctx context.Context, r store.Reads, tenant string, now time.Time) (policy.Rules, error) {
	decisions, err := r.Decisions(ctx, tenant)
	if err != nil {
		return policy.Rules{}, fmt.Errorf("read decisions on patches: %w", err)
	}
	exceptions, err := r.ExceptionsInForce(ctx, tenant, now.UnixMicro())
	if err != nil {
		return policy.Rules{}, fmt.Errorf("read exceptions: %w", err)
	}
	return policy.Rules{Decisions: store.Decisions(decisions), Exceptions: store.Exceptions(exceptions)}, nil
}

// weighing goes through a fleet.
type weighing struct {
	tenant        string
	now           time.Time
	before, after side
	patches       map[string]known // by id
	devices       int
	changed       int
	moved         map[movedKey]*Moved
	pairs         map[[2]policy.Match]*Resettled // nil: nothing changes
	matches       map[policy.Match]bool          // of the policy to come
}

// known is a patch that was met: its place on both sheets.
type known struct {
	place         int
	name, version string
}

// side is one of the two policies that are weighed.
type side struct {
	rules policy.Rules
	sheet *policy.Sheet
}

func newWeighing(tenant string, now time.Time, before, after policy.Rules) *weighing {
	return &weighing{
		tenant: tenant, now: now, before: side{before, policy.NewSheet(before, nil, now)}, after: side{after, policy.NewSheet(after, nil, now)},
		patches: map[string]known{}, moved: map[movedKey]*Moved{}, pairs: map[[2]policy.Match]*Resettled{}, matches: map[policy.Match]bool{},
	}
}

func (s side) says(at int, h policy.Holder, now time.Time) Said {
	o := s.sheet.Judge(at, h, now)
	said := Said{Verdict: o.Verdict, Rule: o.Rule, Until: utc(o.Until)}
	if guard := s.sheet.Safeguard(at, h); guard != nil {
		said.Safeguard = guard.Name
	}
	return said
}

// utc leaves the zero instant zero.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}

type movedKey struct {
	patch         patch.ID
	before, after Said // without their ends
}

func (w *weighing) fleet(ctx context.Context, r store.Reads) error {
	software := w.before.rules.Policies.AskSoftware() || w.after.rules.Policies.AskSoftware()
	return eachPage(ctx, r, w.tenant, software, func(page []subject) error {
		ids := make([]string, 0, len(page))
		for _, s := range page {
			ids = append(ids, string(s.id))
		}
		lacked, err := r.Lacked(ctx, w.tenant, ids)
		if err != nil {
			return err
		}
		for _, s := range page {
			for _, l := range lacked[string(s.id)] {
				if err := w.learn(ctx, r, l.Patch); err != nil {
					return err
				}
			}
			w.device(s, lacked[string(s.id)])
		}
		return nil
	})
}

// learn puts a patch on both sheets, once.
func (w *weighing) learn(ctx context.Context, r store.Reads, id string) error {
	if _, met := w.patches[id]; met {
		return nil
	}
	row, err := r.Patch(ctx, w.tenant, id)
	if err != nil {
		return fmt.Errorf("read patch %s: %w", id, err)
	}
	p := store.PatchSubject(row)
	w.after.sheet.Add(p)
	w.patches[id] = known{w.before.sheet.Add(p), row.Name, row.Version}
	return nil
}

// subject is a device as conditions see it.
type subject struct {
	id fleet.DeviceID
	policy.Device
}

// eachPage goes through a fleet, with the software of each device where it is
// asked for.
func eachPage(ctx context.Context, r store.Reads, tenant string, withSoftware bool, do func([]subject) error) error {
	for after := ""; ; {
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
		subjects := make([]subject, 0, len(page.Devices))
		for _, d := range page.Devices {
			known, err := store.Subject(d.Device, page.Groups[d.ID], d.Traits, software[d.ID])
			if err != nil {
				return err
			}
			subjects = append(subjects, subject{fleet.DeviceID(d.ID), known})
			after = d.ID
		}
		if err := do(subjects); err != nil {
			return err
		}
	}
}

func (w *weighing) device(d subject, missing []store.Lacked) {
	w.devices++
	before := policy.Holder{Device: d.id, Groups: d.Groups, Match: w.before.rules.Policies.Match(&d.Device, w.now)}
	after := policy.Holder{Device: d.id, Groups: d.Groups, Match: w.after.rules.Policies.Match(&d.Device, w.now)}
	w.matches[after.Match] = true
	changed := w.resettle(d.Name, before.Match, after.Match)
	for _, m := range missing {
		before.Exposed = store.Instant(m.ExposedUs)
		after.Exposed = before.Exposed
		at := w.patches[m.Patch].place
		changed = w.verdict(d.Name, m.Patch, w.before.says(at, before, w.now), w.after.says(at, after, w.now)) || changed
	}
	if changed {
		w.changed++
	}
}

func (w *weighing) resettle(name string, before, after policy.Match) bool {
	pair := [2]policy.Match{before, after}
	change, known := w.pairs[pair]
	if !known {
		from, to := w.before.rules.Policies.Settings(before), w.after.rules.Policies.Settings(after)
		if parts := from.Differing(to); len(parts) > 0 {
			change = &Resettled{Parts: parts, Before: orEmpty(from.Profiles), After: orEmpty(to.Profiles)}
		}
		w.pairs[pair] = change
	}
	if change == nil {
		return false
	}
	change.Devices++
	change.Examples = example(change.Examples, name)
	return true
}

func (w *weighing) verdict(name, id string, before, after Said) bool {
	if before == after {
		return false
	}
	key := movedKey{patch.ID(id), before, after}
	key.before.Until, key.after.Until = time.Time{}, time.Time{}
	moved := w.moved[key]
	if moved == nil {
		moved = &Moved{Patch: key.patch, Name: w.patches[id].name, Version: w.patches[id].version, Before: before, After: after}
		w.moved[key] = moved
	}
	moved.Before.widen(before.Until)
	moved.After.widen(after.Until)
	moved.Devices++
	moved.Examples = example(moved.Examples, name)
	return true
}

// widen lets the ends of a delay include one more.
func (s *Said) widen(until time.Time) {
	last := s.UntilLast
	if last.IsZero() {
		last = s.Until
	}
	if until.Before(s.Until) {
		s.Until = until
	}
	if until.After(last) {
		last = until
	}
	s.UntilLast = time.Time{}
	if last.After(s.Until) {
		s.UntilLast = last
	}
}

func example(list []string, name string) []string {
	if len(list) < examples {
		return append(list, name)
	}
	return list
}

func (w *weighing) diff() Diff {
	out := Diff{Devices: w.devices, Changed: w.changed, Verdicts: make([]Moved, 0, len(w.moved)), Settings: w.resettled()}
	for _, m := range w.moved {
		out.Verdicts = append(out.Verdicts, *m)
	}
	slices.SortFunc(out.Verdicts, func(a, b Moved) int {
		return cmp.Or(-cmp.Compare(a.Devices, b.Devices), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Patch, b.Patch),
			cmp.Compare(a.After.Rule, b.After.Rule), cmp.Compare(a.Before.Rule, b.Before.Rule))
	})
	return out
}

// resettled joins the changes that read alike.
func (w *weighing) resettled() []Resettled {
	alike := map[string]*Resettled{}
	for _, pair := range slices.SortedFunc(maps.Keys(w.pairs), func(a, b [2]policy.Match) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	}) {
		change := w.pairs[pair]
		if change == nil {
			continue
		}
		key := fmt.Sprint(change.Parts, change.Before, change.After)
		known := alike[key]
		if known == nil {
			alike[key] = change
			continue
		}
		known.Devices += change.Devices
		for _, name := range change.Examples {
			known.Examples = example(known.Examples, name)
		}
	}
	out := make([]Resettled, 0, len(alike))
	for _, change := range alike {
		out = append(out, *change)
	}
	slices.SortFunc(out, func(a, b Resettled) int {
		return cmp.Or(-cmp.Compare(a.Devices, b.Devices), slices.Compare(a.After, b.After), slices.Compare(a.Before, b.Before), slices.Compare(a.Parts, b.Parts))
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
	w := newWeighing(string(tenant), now, policy.Rules{}, rules)
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
