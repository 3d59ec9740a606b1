package policy

import (
	"reflect"
	"slices"
	"time"
)

// Part is one of the things that policies say of a device beside verdicts.
type Part string

// Parts, in the order in which people read them.
const (
	InProfiles Part = "profiles"
	InWindows  Part = "windows"
	InFreezes  Part = "freezes"
	InReboot   Part = "reboot"
	InPeople   Part = "people"
	InLimits   Part = "limits"
	InDownload Part = "bandwidth"
	InCleanUp  Part = "clean_up"
	InWake     Part = "wake"
	InProbes   Part = "probes"
)

// Differing lists the parts in which two settings differ. That a condition is
// written otherwise and chooses the same devices is no difference.
func (s Settings) Differing(o Settings) []Part {
	var out []Part
	for _, part := range []struct {
		name Part
		same bool
	}{
		{InProfiles, slices.Equal(s.Profiles, o.Profiles)},
		{InWindows, reflect.DeepEqual(s.Windows, o.Windows)},
		{InFreezes, slices.EqualFunc(s.Freezes, o.Freezes, sameFreeze)},
		{InReboot, reflect.DeepEqual(s.Reboot, o.Reboot)},
		{InPeople, reflect.DeepEqual(s.People, o.People)},
		{InCleanUp, reflect.DeepEqual(s.CleanUp, o.CleanUp)},
		{InWake, s.MayWake() == o.MayWake()},
		{InProbes, slices.Equal(s.Probes, o.Probes) && s.SampleEvery == o.SampleEvery},
		{InLimits, slices.EqualFunc(s.Limits, o.Limits, sameLimit)},
		{InDownload, slices.EqualFunc(s.Bandwidths, o.Bandwidths, func(a, b Bandwidth) bool {
			return a.Name == b.Name && a.Each == b.Each && a.BytesPerS == b.BytesPerS
		})},
	} {
		if !part.same {
			out = append(out, part.name)
		}
	}
	return out
}

func sameFreeze(a, b Freeze) bool {
	x, y := a.Interval(), b.Interval()
	return a.Name == b.Name && a.Reason == b.Reason && x.Start.Equal(y.Start) && x.End.Equal(y.End)
}

func sameLimit(a, b Placed) bool {
	source := func(x, y Chosen) bool { return x.Source == y.Source }
	return a.Name == b.Name && a.Turn == b.Turn && a.Each == b.Each && a.AtMost == b.AtMost && a.AtMostPc == b.AtMostPc && a.StopAfter == b.StopAfter &&
		slices.EqualFunc(a.Order, b.Order, source)
}

// Speaker is a rule that speaks of a patch.
type Speaker struct {
	Name    string   // as an Outcome names it
	Profile *Profile // whose devices it is for; nil: every device
	Rule    *Rule
}

// Speakers lists the rules that speak of a patch, the strongest place first,
// without asking for which devices.
func (p Policies) Speakers(subject *Patch, now time.Time) []Speaker {
	var profiles, own, provider []Speaker
	p.each(func(at place, _ int, policy *Policy) {
		under := &own
		if at == ofProvider {
			under = &provider
		}
		*under = appendSpeakers(*under, placeNames[at], nil, policy.Rules, subject, now)
		if at == ofTenant {
			under = &profiles
		}
		for i := range policy.Profiles {
			profile := &policy.Profiles[i]
			*under = appendSpeakers(*under, "profile:"+profile.Name, profile, profile.Rules, subject, now)
		}
	})
	return slices.Concat(profiles, own, provider)
}

func appendSpeakers(out []Speaker, where string, profile *Profile, rules []Rule, subject *Patch, now time.Time) []Speaker {
	for i := range rules {
		ended := rules[i].Verdict == Declined && rules[i].says(time.Time{}, now).Verdict == ""
		if !ended && rules[i].Patches.Holds(subject, now) {
			out = append(out, Speaker{where + "/" + rules[i].Name, profile, &rules[i]})
		}
	}
	return out
}

// Guards lists the safeguards that hold a patch back from some device.
func (p Policies) Guards(subject *Patch, now time.Time) []*Safeguard {
	var out []*Safeguard
	p.each(func(_ place, _ int, policy *Policy) {
		for i := range policy.Safeguards {
			if s := &policy.Safeguards[i]; s.Patches.Holds(subject, now) {
				out = append(out, s)
			}
		}
	})
	return out
}
