package rulebook

import (
	"context"
	"fmt"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/infra/store"
)

// ProfileRef names a profile.
type ProfileRef struct {
	Name  string        `json:"name"`
	Title manifest.Text `json:"title"`
}

// Standing is what policies say of one device beside verdicts.
type Standing struct {
	Profiles []ProfileRef `json:"profiles" doc:"those it fits; of each setting the first that has it decides"`
	// Windows are those of the policy; none: the procedure of each campaign has them.
	Windows []Opening  `json:"windows" doc:"each window's next opening, without the freezes; empty: the windows are the procedure's"`
	Frozen  *Freezing  `json:"frozen,omitempty" doc:"the freeze that is on now"`
	Freezes []Freezing `json:"freezes" doc:"those to come"`
	Limits  []string   `json:"limits"`
	// Verdicts are those of rules alone: decisions by hand and what a procedure
	// approves stand beside.
	Verdicts []RuledPatch `json:"verdicts" doc:"what rules say of each patch that the device misses"`
}

// RuledPatch is what rules say of a patch on a device.
type RuledPatch struct {
	Patch patch.ID `json:"patch"`
	Said
}

// Opening is the next time that a window is open.
type Opening struct {
	Window string    `json:"window"`
	Start  time.Time `json:"start,omitzero" doc:"none within the next sixty days when not given"`
	End    time.Time `json:"end,omitzero"`
}

// Freezing is a freeze as its device meets it.
type Freezing struct {
	Name   string        `json:"name"`
	Reason manifest.Text `json:"reason"`
	From   time.Time     `json:"from"`
	Until  time.Time     `json:"until"`
}

// OfDevice says what policies say of a device.
func (b *Rulebook) OfDevice(ctx context.Context, tenant fleet.TenantID, device fleet.DeviceID) (Standing, error) {
	var out Standing
	err := b.DB.Snapshot(ctx, func(r store.Reads) error {
		now, in, err := b.inForce(ctx, r, tenant)
		if err != nil {
			return err
		}
		batch, err := r.Batch(ctx, string(tenant), []string{string(device)})
		if err != nil {
			return err
		}
		subject, err := subjectOf(ctx, r, in, tenant, batch, string(device))
		if err != nil {
			return err
		}
		match := in.Match(&subject, now)
		out = standing(in, in.Settings(match), now)
		rules := policy.Rules{Policies: in}
		weighed := side{rules, policy.NewSheet(rules, nil, now)}
		for _, m := range batch.Missing[string(device)] {
			holder := policy.Holder{Device: device, Groups: subject.Groups, Match: match, Exposed: store.Instant(m.ExposedUs)}
			said := weighed.says(weighed.sheet.Add(store.PatchSubject(m.Of)), holder, now)
			out.Verdicts = append(out.Verdicts, RuledPatch{patch.ID(m.Patch), said})
		}
		return nil
	})
	return out, err
}

func subjectOf(ctx context.Context, r store.Reads, in policy.Policies, tenant fleet.TenantID, batch store.Batch, id string) (policy.Device, error) {
	row, known := batch.Devices[id]
	if !known {
		return policy.Device{}, fault.New(fault.NotFound, "what", "device", "name", id)
	}
	var software map[string]map[string]string
	var err error
	if in.AskSoftware() {
		if software, err = r.Software(ctx, string(tenant), []string{id}); err != nil {
			return policy.Device{}, err
		}
	}
	return store.Subject(row, batch.Groups[id], batch.Traits[id], software[id])
}

func standing(in policy.Policies, s policy.Settings, now time.Time) Standing {
	out := Standing{Profiles: []ProfileRef{}, Windows: []Opening{}, Freezes: []Freezing{}, Limits: []string{}, Verdicts: []RuledPatch{}}
	for _, name := range s.Profiles {
		out.Profiles = append(out.Profiles, ProfileRef{name, titleOf(in, name)})
	}
	for _, w := range s.Windows {
		out.Windows = append(out.Windows, opening(s, w, now))
	}
	if f, on := s.FrozenAt(now); on {
		frozen := freezing(f)
		out.Frozen = &frozen
	}
	for _, f := range s.Freezes {
		if f.Interval().Start.After(now) {
			out.Freezes = append(out.Freezes, freezing(f))
		}
	}
	for _, l := range s.Limits {
		out.Limits = append(out.Limits, l.Name)
	}
	return out
}

func titleOf(in policy.Policies, name string) manifest.Text {
	for _, p := range []*policy.Policy{in.Tenant, in.Provider} {
		if p == nil {
			continue
		}
		for _, profile := range p.Profiles {
			if profile.Name == name {
				return profile.Title
			}
		}
	}
	return manifest.Text{}
}

// lookAhead is how far openings are looked for: a window that opens less often
// than that in a freeze is told to have none.
const lookAhead = 60 * 24 * time.Hour

func opening(s policy.Settings, w calendar.Window, now time.Time) Opening {
	out := Opening{Window: w.Name}
	if open := s.WindowsIn(calendar.Intervals([]calendar.Window{w}, now, now.Add(lookAhead))); len(open) > 0 {
		out.Start, out.End = open[0].Start.UTC(), open[0].End.UTC()
	}
	return out
}

func freezing(f policy.Freeze) Freezing {
	in := f.Interval()
	return Freezing{f.Name, f.Reason, in.Start.UTC(), in.End.UTC()}
}

// Spoken is what policies say of one patch, whatever the device.
type Spoken struct {
	Rules      []SpokenRule `json:"rules" doc:"the strongest place first"`
	Safeguards []Guard      `json:"safeguards"`
}

// SpokenRule is one rule that speaks of a patch.
type SpokenRule struct {
	Rule    string         `json:"rule" doc:"as verdicts name it"`
	Profile *ProfileRef    `json:"profile,omitempty" doc:"for whose devices; every device when not given"`
	Devices string         `json:"devices,omitempty" doc:"the profile's condition"`
	Verdict policy.Verdict `json:"verdict"`
	DelayS  int64          `json:"delay_s,omitempty" doc:"how long a device waits from its first exposure on"`
	Until   time.Time      `json:"until,omitzero" doc:"end of a decline"`
}

// Guard is a safeguard that holds a patch back.
type Guard struct {
	Name    string        `json:"name"`
	Devices string        `json:"devices" doc:"from those that fit this"`
	Reason  manifest.Text `json:"reason"`
}

// OfPatch says which rules speak of a patch.
func (b *Rulebook) OfPatch(ctx context.Context, tenant fleet.TenantID, id patch.ID) (Spoken, error) {
	out := Spoken{Rules: []SpokenRule{}, Safeguards: []Guard{}}
	err := b.DB.Snapshot(ctx, func(r store.Reads) error {
		now, in, err := b.inForce(ctx, r, tenant)
		if err != nil {
			return err
		}
		row, err := r.Patch(ctx, string(tenant), string(id))
		if store.IsNone(err) {
			return fault.New(fault.NotFound, "what", "patch", "name", string(id))
		}
		if err != nil {
			return fmt.Errorf("read patch %s: %w", id, err)
		}
		subject := store.PatchSubject(row)
		for _, s := range in.Speakers(&subject, now) {
			out.Rules = append(out.Rules, spokenRule(s))
		}
		for _, g := range in.Guards(&subject, now) {
			out.Safeguards = append(out.Safeguards, Guard{g.Name, g.Devices.Source, g.Reason})
		}
		return nil
	})
	return out, err
}

func spokenRule(s policy.Speaker) SpokenRule {
	out := SpokenRule{Rule: s.Name, Verdict: s.Rule.Verdict, DelayS: int64(s.Rule.Delay / time.Second), Until: utc(s.Rule.Until)}
	if s.Profile != nil {
		out.Profile, out.Devices = &ProfileRef{s.Profile.Name, s.Profile.Title}, s.Profile.Devices.Source
	}
	return out
}
