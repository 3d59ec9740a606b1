package policy_test

import (
	"slices"
	"testing"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/policy"
)

// Freezes by hand stand beside those of the file: same place, same effect, and
// their conditions are bits of the same match.
func TestFreezesByHand(t *testing.T) {
	night := calendar.Interval{Start: now, End: now.Add(8 * time.Hour)}
	hand, err := policy.ByHand([]policy.HandFreeze{
		{Name: "storm", Devices: `device.kind == "server"`, During: night, Reason: "storm"},
		{Name: "all", During: calendar.Interval{Start: now.Add(24 * time.Hour), End: now.Add(25 * time.Hour)}, Reason: "audit", ForAll: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	p := policy.Policies{Tenant: parsed(t, fleetPolicy), Provider: parsed(t, fleetPolicy), Hand: hand}
	at := p.Settings(p.Match(&server, now))
	if f, on := at.FrozenAt(now); !on || f.Name != "storm" || f.Reason.FR != "storm" || f.Origin != policy.FromHand || f.Interval() != night {
		t.Errorf("the server is frozen by %+v, %t", f, on)
	}
	if open := at.WindowsIn([]calendar.Interval{{Start: now, End: now.Add(12 * time.Hour)}}); len(open) != 1 || !open[0].Start.Equal(night.End) {
		t.Errorf("its windows: %v", open)
	}
	pc := p.Settings(p.Match(&plainPC, now))
	if f, on := pc.FrozenAt(now); on {
		t.Errorf("the workstation is frozen by %s", f.Name)
	}
	if f, on := pc.FrozenAt(now.Add(24 * time.Hour)); !on || f.Name != "all" || f.Origin != policy.HandForAll {
		t.Errorf("tomorrow the workstation is frozen by %+v, %t", f, on)
	}
	without := policy.Policies{Tenant: p.Tenant}
	if parts := without.Settings(without.Match(&server, now)).Differing(at); !slices.Contains(parts, policy.InFreezes) {
		t.Errorf("parts that differ: %v", parts)
	}
	var origins []policy.Origin
	for _, f := range p.Frozen() {
		if !slices.Contains(origins, f.Origin) {
			origins = append(origins, f.Origin)
		}
	}
	slices.Sort(origins)
	want := policy.Origins()
	slices.Sort(want)
	if !slices.Equal(origins, want) {
		t.Errorf("origins %v, want %v", origins, want)
	}
	if none, err := policy.ByHand(nil); none != nil || err != nil {
		t.Errorf("of none: %v, %v", none, err)
	}
	if _, err := policy.ByHand([]policy.HandFreeze{{Name: "x", Devices: "device.colour == 1", During: night}}); err == nil {
		t.Error("a condition that cannot be read must not be taken for no freeze")
	}
}
