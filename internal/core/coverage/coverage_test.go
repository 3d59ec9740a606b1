package coverage_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"patchring/internal/core/coverage"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/policy"
)

var now = time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)

// town is a fleet as organisations have them: departments of unlike sizes with
// software of their own, and a few models and systems.
func town(seed uint64, devices, programs int) *coverage.Fleet {
	r := rand.New(rand.NewPCG(seed, 1))
	f := coverage.NewFleet()
	for i := range devices {
		department := fmt.Sprintf("d%d", min(r.IntN(12), r.IntN(12)))
		d := coverage.Device{ID: fleet.DeviceID(fmt.Sprintf("id-%06d", i)), Name: fmt.Sprintf("pc-%06d", i), Department: department, Seen: now}
		d.Features = []coverage.Feature{
			{Kind: coverage.Department, Value: department}, {Kind: coverage.Site, Value: fmt.Sprintf("s%d", r.IntN(20))},
			{Kind: coverage.Model, Value: fmt.Sprintf("m%d", r.IntN(30))}, {Kind: coverage.System, Value: fmt.Sprintf("os%d", min(r.IntN(9), r.IntN(9)))},
		}
		for range programs {
			d.Features = append(d.Features, coverage.Feature{Kind: coverage.Software, Value: fmt.Sprintf("app-%d", min(r.IntN(4*programs), r.IntN(4*programs), r.IntN(4*programs)))})
		}
		f.Add(d)
	}
	return f
}

// any fleet, small and odd.
func anyDevices(t *rapid.T) []coverage.Device {
	word := func(kind string, n int) *rapid.Generator[string] {
		return rapid.Map(rapid.IntRange(0, n), func(i int) string { return fmt.Sprint(kind, i) })
	}
	n := rapid.IntRange(0, 30).Draw(t, "devices")
	var out []coverage.Device
	for i := range n {
		d := coverage.Device{
			ID: fleet.DeviceID(fmt.Sprintf("id%02d", i)), Name: word("pc", 5).Draw(t, "name"), Department: rapid.SampledFrom([]string{"", "rh", "compta", "it"}).Draw(t, "department"),
			Pilot:  rapid.SampledFrom([]string{"", "", "no", "yes"}).Draw(t, "pilot"),
			Absent: rapid.SampledFrom([]string{"", "", "2026-11-01", "2026-12-01", "2027-01-01", "next week"}).Draw(t, "absent"),
			Seen:   now.Add(-time.Duration(rapid.IntRange(0, 100).Draw(t, "silent")) * time.Hour),
			Groups: rapid.SliceOfN(word("g", 3), 0, 2).Draw(t, "groups"), Ring: rapid.SampledFrom([]string{"", "", "", "R0"}).Draw(t, "ring"),
		}
		for _, v := range rapid.SliceOfN(word("app", 12), 0, 6).Draw(t, "software") {
			d.Features = append(d.Features, coverage.Feature{Kind: coverage.Software, Value: v})
		}
		if d.Department != "" {
			d.Features = append(d.Features, coverage.Feature{Kind: coverage.Department, Value: d.Department})
		}
		out = append(out, d)
	}
	return out
}

func anyAsk(t *rapid.T, devices []coverage.Device) coverage.Ask {
	ids := func(what string) []fleet.DeviceID {
		var out []fleet.DeviceID
		for _, d := range devices {
			if rapid.IntRange(0, 9).Draw(t, what) == 0 {
				out = append(out, d.ID)
			}
		}
		return out
	}
	return coverage.Ask{
		Size: rapid.IntRange(0, 40).Draw(t, "size"), Include: ids("include"), Exclude: ids("exclude"), PerDepartment: rapid.IntRange(0, 3).Draw(t, "per department"),
		IncludeGroups: rapid.SliceOfN(rapid.Just("g0"), 0, 1).Draw(t, "include groups"), ExcludeGroups: rapid.SliceOfN(rapid.Just("g1"), 0, 1).Draw(t, "exclude groups"),
		Day: "2026-12-01", SeenAfter: now.Add(-72 * time.Hour), RareBelow: rapid.IntRange(0, 4).Draw(t, "rare"),
	}
}

func fleetOf(devices []coverage.Device) *coverage.Fleet {
	f := coverage.NewFleet()
	for _, d := range devices {
		f.Add(d)
	}
	return f
}

// may repeats, in the plainest words, who can be a pilot.
func may(a coverage.Ask, d coverage.Device) bool {
	for _, g := range d.Groups {
		if slices.Contains(a.ExcludeGroups, g) {
			return false
		}
	}
	away := d.Absent == "2026-12-01" || d.Absent == "2027-01-01" || d.Absent == "next week"
	return !slices.Contains(a.Exclude, d.ID) && d.Pilot != "no" && !away && d.Ring == "" && !d.Seen.Before(a.SeenAfter)
}

func TestEveryConstraintIsRespected(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		devices := anyDevices(t)
		ask := anyAsk(t, devices)
		got := fleetOf(devices).Propose(ask)
		if len(got.Chosen) > ask.Size {
			t.Fatalf("chose %d, want at most %d", len(got.Chosen), ask.Size)
		}
		perDepartment, seen := map[string]int{}, map[fleet.DeviceID]bool{}
		for _, c := range got.Chosen {
			d := devices[slices.IndexFunc(devices, func(d coverage.Device) bool { return d.ID == c.Device })]
			if !may(ask, d) {
				t.Fatalf("chose %+v, which cannot be a pilot", d)
			}
			if seen[c.Device] {
				t.Fatalf("chose %s twice", c.Device)
			}
			seen[c.Device] = true
			perDepartment[d.Department]++
			if d.Department != "" && ask.PerDepartment > 0 && perDepartment[d.Department] > ask.PerDepartment {
				t.Fatalf("chose %d of %s, want at most %d", perDepartment[d.Department], d.Department, ask.PerDepartment)
			}
		}
		refused := map[fleet.DeviceID]bool{}
		for _, r := range got.Refused {
			refused[r.Device] = true
		}
		for _, id := range ask.Include {
			if !seen[id] && !refused[id] {
				t.Fatalf("%s was asked for; it is neither chosen nor refused", id)
			}
		}
	})
}

func TestEqualQuestionsHaveEqualAnswers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		devices := anyDevices(t)
		ask := anyAsk(t, devices)
		first := fleetOf(devices).Propose(ask)
		shuffled := rapid.Permutation(devices).Draw(t, "order")
		if diff := cmp.Diff(first, fleetOf(shuffled).Propose(ask)); diff != "" {
			t.Fatalf("in another order (-want +got):\n%s", diff)
		}
	})
}

// The bounds are those that are proven of the greedy choice: 1-1/e of the best
// under a size, half of it under a limit for each department.
func TestNoOtherChoiceIsFarBetter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		devices := anyDevices(t)
		ask := anyAsk(t, devices)
		ask.Include, ask.IncludeGroups = nil, nil
		f := fleetOf(devices)
		got := f.Propose(ask)
		var other []fleet.DeviceID
		perDepartment := map[string]int{}
		for _, d := range rapid.Permutation(devices).Draw(t, "another choice") {
			full := ask.PerDepartment > 0 && d.Department != "" && perDepartment[d.Department] >= ask.PerDepartment
			if len(other) < ask.Size && may(ask, d) && !full {
				other = append(other, d.ID)
				perDepartment[d.Department]++
			}
		}
		bound := 0.632
		if ask.PerDepartment > 0 {
			bound = 0.5
		}
		if measured := f.Measure(ask, other); got.Share < bound*measured.Share-1e-6 {
			t.Fatalf("proposed %.2f %% with %v; %v has %.2f %%", got.Share, got.Devices(), other, measured.Share)
		}
	})
}

func TestItIsNeverWorseThanChance(t *testing.T) {
	for seed := range uint64(40) {
		f := town(seed, 400, 12)
		ask := coverage.Ask{Size: 8, Day: "2026-12-01", RareBelow: 3}
		got := f.Propose(ask)
		r := rand.New(rand.NewPCG(seed, 2))
		for range 20 {
			var pick []fleet.DeviceID
			for _, i := range r.Perm(400)[:8] {
				pick = append(pick, fleet.DeviceID(fmt.Sprintf("id-%06d", i)))
			}
			if chance := f.Measure(ask, pick); chance.Share > got.Share {
				t.Errorf("fleet %d: chance has %.2f %%, the proposal %.2f %%", seed, chance.Share, got.Share)
			}
		}
		if again := f.Measure(ask, got.Devices()); again.Share != got.Share || !cmp.Equal(again.Coverage, got.Coverage) {
			t.Errorf("fleet %d: measured %.3f %%, proposed %.3f %%", seed, again.Share, got.Share)
		}
	}
}

func TestWhatAProposalSays(t *testing.T) {
	soft := func(id, department string, software ...string) coverage.Device {
		d := coverage.Device{ID: fleet.DeviceID(id), Name: id, Department: department, Seen: now, Features: []coverage.Feature{{Kind: coverage.Department, Value: department}}}
		for _, s := range software {
			d.Features = append(d.Features, coverage.Feature{Kind: coverage.Software, Value: s})
		}
		return d
	}
	devices := []coverage.Device{
		soft("a", "it", "word", "mail"), soft("b", "it", "word", "mail"), soft("c", "rh", "word", "pay"), soft("d", "rh", "pay"), soft("e", "plant", "cad", "plc"),
	}
	devices[4].Pilot = "no"
	got := fleetOf(devices).Propose(coverage.Ask{Size: 3, Day: "2026-12-01", RareBelow: 2, Include: []fleet.DeviceID{"e"}})
	if names := got.Devices(); !cmp.Equal(names, []fleet.DeviceID{"a", "c", "b"}) {
		t.Errorf("chose %v, want a (a department, word, mail), c (the other department, pay), b (behind them)", names)
	}
	if got.Chosen[2].Round != 2 || got.Chosen[2].New != 0 {
		t.Errorf("the third is %+v, want it behind the others and nothing new", got.Chosen[2])
	}
	want := []coverage.Reached{
		{Kind: coverage.Department, Values: 2, OfValues: 3, Devices: 4, OfDevices: 5},
		{Kind: coverage.Software, Values: 3, OfValues: 3, Devices: 4, OfDevices: 4},
	}
	if diff := cmp.Diff(want, got.Coverage); diff != "" {
		t.Errorf("coverage (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]coverage.Gap{{Feature: coverage.Feature{Kind: coverage.Department, Value: "plant"}, Devices: 1}}, got.Missing); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(coverage.Rare{Below: 2, Values: 2, Devices: 1, Examples: []string{"cad", "plc"}}, got.Rare); diff != "" {
		t.Errorf("rare (-want +got):\n%s", diff)
	}
	if len(got.Refused) != 1 || got.Refused[0].Reason.Code != fault.PilotRefused {
		t.Errorf("refused %+v, want e, which said no", got.Refused)
	}
	if got.Fleet != 5 || got.Eligible != 4 || len(got.Barred) != 1 {
		t.Errorf("%d of %d eligible, barred %+v", got.Eligible, got.Fleet, got.Barred)
	}
}

func TestSmallFleets(t *testing.T) {
	ask := coverage.Ask{Size: 50, Day: "2026-12-01"}
	if got := coverage.NewFleet().Propose(ask); len(got.Chosen) != 0 || got.Share != 0 || got.Chosen == nil {
		t.Errorf("an empty fleet: %+v", got)
	}
	if got := town(1, 1, 3).Propose(ask); len(got.Chosen) != 1 || got.Share != 100 {
		t.Errorf("one device: chose %d, %.1f %%", len(got.Chosen), got.Share)
	}
	if got := town(1, 12, 3).Propose(ask); len(got.Chosen) != 12 || got.Share != 100 {
		t.Errorf("fewer than asked for: chose %d of 12, %.1f %%", len(got.Chosen), got.Share)
	}
}

func TestOfTakesWhatDevicesHaveInCommon(t *testing.T) {
	d := policy.Device{Name: "pc", Kind: "workstation", Tags: map[string]string{"department": "rh", "site": "lyon", "pilot": "no", "absent_until": "2026-12-24"},
		Traits: policy.Traits{OS: "debian", OSVersion: "12.9", Vendor: "Dell", Model: "Latitude 5440"}, Software: map[string]string{"bash": "5"}}
	got := coverage.Of("x", &d)
	want := []coverage.Feature{{Kind: "department", Value: "rh"}, {Kind: "site", Value: "lyon"}, {Kind: "device_kind", Value: "workstation"}, {Kind: "model", Value: "Dell Latitude 5440"}, {Kind: "system", Value: "debian 12.9"}, {Kind: "software", Value: "bash"}}
	if diff := cmp.Diff(want, got.Features); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Pilot != "no" || got.Absent != "2026-12-24" || got.Department != "rh" {
		t.Errorf("got %+v", got)
	}
	virtual := policy.Device{Traits: policy.Traits{Virtual: "kvm"}}
	if got := coverage.Of("y", &virtual); len(got.Features) != 1 || got.Features[0].Value != "kvm" {
		t.Errorf("a virtual machine has %v, want its hypervisor for a model", got.Features)
	}
}

// BenchmarkPropose chooses 50 of a fleet with 300 programs on each device.
func BenchmarkPropose(b *testing.B) {
	for _, n := range []int{1000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f := town(7, n, 300)
			b.ResetTimer()
			for range b.N {
				if got := f.Propose(coverage.Ask{Size: 50, Day: "2026-12-01", RareBelow: 3}); len(got.Chosen) != 50 {
					b.Fatalf("chose %d", len(got.Chosen))
				}
			}
		})
	}
}
