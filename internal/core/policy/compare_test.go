package policy_test

import (
	"slices"
	"strings"
	"testing"

	"patchring/internal/core/calendar"
	"patchring/internal/core/policy"
)

const comparePolicy = `
policy: p
title: t
owner: o
timezone: Europe/Paris
profiles:
  - name: all
    devices: device.kind == "server"
    windows:
      - {name: night, days: [mon], start: "23:00", duration: 5h}
      - {name: saturday, rule: "FREQ=MONTHLY;BYDAY=2SA", start: "22:00", duration: 8h}
      - {name: nobody, closed: {days: [mon, tue, wed, thu, fri], start: "08:00", end: "19:00"}}
    reboot: {mode: window, windows: [{name: sunday, days: [sun], start: "03:00", end: "05:00"}]}
    people: {deadline: 3d}
freezes:
  - {name: closing, devices: 'device.kind == "server"', from: 2026-01-15, to: 2026-01-31, reason: Closing}
limits:
  - {name: sql, devices: 'device.kind == "server"', each: cluster, at_most: 1, order: ['device.tags.node == "b"']}
`

// What the same text says twice is the same, wherever its zones and rules lie
// in memory; each change of it is found where it is.
func TestDifferingNamesThePartsThatChange(t *testing.T) {
	settings := func(text string) policy.Settings {
		p := policy.Policies{Tenant: parsed(t, text)}
		return p.Settings(p.Match(&server, now))
	}
	before := settings(comparePolicy)
	for _, c := range []struct {
		old, new string
		want     []policy.Part
	}{
		{"", "", nil},
		{`devices: device.kind == "server"`, `devices: '"server" == device.kind'`, nil},
		{"name: all", "name: every", []policy.Part{policy.InProfiles}},
		{"duration: 5h", "duration: 4h", []policy.Part{policy.InWindows}},
		{"BYDAY=2SA", "BYDAY=3SA", []policy.Part{policy.InWindows}},
		{`end: "19:00"`, `end: "18:00"`, []policy.Part{policy.InWindows}},
		{`end: "05:00"`, `end: "06:00"`, []policy.Part{policy.InReboot}},
		{"deadline: 3d", "deadline: 4d", []policy.Part{policy.InPeople}},
		{"2026-01-31", "2026-01-30", []policy.Part{policy.InFreezes}},
		{"reason: Closing", "reason: Other", []policy.Part{policy.InFreezes}},
		{"at_most: 1", "at_most: 2", []policy.Part{policy.InLimits}},
		{"at_most: 1", "at_most: 10%", []policy.Part{policy.InLimits}},
		{"each: cluster", "each: site", []policy.Part{policy.InLimits}},
		{`== "b"`, `!= "b"`, []policy.Part{policy.InLimits}},
		{"Europe/Paris", "Europe/London", []policy.Part{policy.InWindows, policy.InFreezes, policy.InReboot}},
	} {
		if got := before.Differing(settings(strings.Replace(comparePolicy, c.old, c.new, 1))); !slices.Equal(got, c.want) {
			t.Errorf("%s → %s: %v, want %v", c.old, c.new, got, c.want)
		}
	}
}

func TestSpeakersAndGuardsAreToldWhateverTheDevice(t *testing.T) {
	policies := policy.Policies{Tenant: parsed(t, fleetPolicy), Provider: parsed(t, `
policy: base
title: t
owner: o
timezone: UTC
rules: [{name: all, verdict: approve}]
profiles: [{name: old, devices: 'device.kind == "server"', rules: [{name: never, verdict: decline}]}]
`)}
	names := func(at calendar.Date) (out []string) {
		kernel := aPatch("linux", "security", now)
		for _, s := range policies.Speakers(&kernel, at.At(0, now.Location())) {
			out = append(out, s.Name)
		}
		return out
	}
	spring, _ := calendar.ParseDate("2026-03-01")
	summer, _ := calendar.ParseDate("2026-06-01")
	want := []string{"profile:servers/slow", "profile:finance/kernel-too", "tenant/security", "tenant/kernel", "global/all", "profile:old/never"}
	if got := names(spring); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	// The decline of the tenant has ended.
	if got := names(summer); !slices.Equal(got, slices.Delete(slices.Clone(want), 3, 4)) {
		t.Errorf("%v after its end", got)
	}
	nvidia, vim := aPatch("nvidia", "driver", now), aPatch("vim", "quality", now)
	if got := policies.Guards(&nvidia, now); len(got) != 1 || got[0].Name != "old-driver" || len(policies.Guards(&vim, now)) != 0 {
		t.Errorf("guards %v", got)
	}
}

// A sheet that grows says of each patch what one says that had it from the start.
func TestASheetMayGrow(t *testing.T) {
	rules := policy.Rules{Policies: policy.Policies{Tenant: parsed(t, fleetPolicy)}}
	patches := []policy.Patch{aPatch("openssl", "security", now), aPatch("linux", "security", now), aPatch("vim", "quality", now)}
	holder := policy.Holder{Match: rules.Policies.Match(&server, now), Exposed: now.AddDate(0, 0, -2)}
	whole, grown := policy.NewSheet(rules, patches, now), policy.NewSheet(rules, nil, now)
	for i, p := range patches {
		at := grown.Add(p)
		if at != i {
			t.Errorf("%s has place %d, want %d", p.Key.Name, at, i)
		}
		if got, want := grown.Judge(at, holder, now), whole.Judge(i, holder, now); got != want {
			t.Errorf("%s: %+v, want %+v", p.Key.Name, got, want)
		}
	}
	if got, want := grown.Judge(0, holder, now), whole.Judge(0, holder, now); got != want {
		t.Errorf("the first, again: %+v, want %+v", got, want)
	}
}
