package rehearsal_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/core/procedure"
	"patchring/internal/core/rehearsal"
	"patchring/wire"
)

const benchPolicy = `policy: fleet
title: {fr: P, en: P}
owner: it
timezone: Europe/Paris
rules: [{name: kernels, patches: patch.name.startsWith("package-4"), verdict: delay 3d}]
profiles:
  - {name: servers, devices: device.kind == "server", windows: [{name: early, days: [mon, tue, wed, thu, fri], start: "03:00", end: "05:00"}]}
limits: [{name: cluster, devices: device.kind == "server", each: cluster, at_most: 1}]
`

// benchSeen describes n devices that each miss 30 of 500 patches: alike, drawn
// from 400 sets, as machines of a few builds are; or each of its own.
func benchSeen(n int, alike bool, offers []rehearsal.Offer) []rehearsal.Seen {
	random := rand.New(rand.NewPCG(1, 2))
	var sets [400][]rehearsal.Lack
	draw := func() []rehearsal.Lack {
		set := make([]rehearsal.Lack, 30)
		for i := range set {
			set[i] = rehearsal.Lack{Offer: offers[i*len(offers)/30+random.IntN((i+1)*len(offers)/30-i*len(offers)/30)], Exposed: now.Add(-time.Duration(i) * time.Hour)}
		}
		return set
	}
	for i := range sets {
		sets[i] = draw()
	}
	out := make([]rehearsal.Seen, n)
	for i := range out {
		s := rehearsal.Seen{
			Device: policy.Device{Name: fmt.Sprintf("pc-%06d", i), Kind: "workstation", Tags: map[string]string{"site": fmt.Sprintf("site-%d", i%40)}},
			ID:     fleet.DeviceID(fmt.Sprintf("device-%06d", i)), LastSeen: now.Add(-time.Hour), Scanned: true, Scan: wire.ScanOK,
			Missing: sets[i%len(sets)],
		}
		switch {
		case i%100 == 0:
			s.Groups = []string{"it"}
		case i%10 == 1:
			s.Kind = "server"
			s.Tags["cluster"] = fmt.Sprint(i / 100)
		case i%25 == 2:
			s.LastSeen = now.Add(-30 * 24 * time.Hour)
		}
		if !alike {
			s.Missing = draw()
		}
		out[i] = s
	}
	return out
}

// BenchmarkRehearse reads a fleet in and plays a month of it. What counts is
// that 100,000 devices × 500 patches take seconds, also when no two devices
// miss the same.
func BenchmarkRehearse(b *testing.B) {
	for _, kind := range []struct {
		name  string
		alike bool
	}{{"alike", true}, {"distinct", false}} {
		for _, n := range []int{1_000, 10_000, 100_000} {
			b.Run(fmt.Sprintf("%s/devices=%d", kind.name, n), func(b *testing.B) { rehearse(b, n, kind.alike) })
		}
	}
}

func rehearse(b *testing.B, n int, alike bool) {
	p, err := procedure.Parse("test.yaml", []byte(procedureText))
	if err != nil {
		b.Fatal(err)
	}
	parsed, err := policy.Parse("policy.yaml", []byte(benchPolicy))
	if err != nil {
		b.Fatal(err)
	}
	plan := rehearsal.Plan{
		Now: now, Procedure: p, Schedule: p.Schedule(2026, time.January), Pace: rehearsal.Pace{Order: 5 * time.Minute, Patch: 10 * time.Second},
		Rules: policy.Rules{Classes: p.Classes, Policies: policy.Policies{Tenant: &parsed}},
	}
	offers := make([]rehearsal.Offer, 500)
	for i := range offers {
		offers[i] = rehearsal.Offer(i)
	}
	seen := benchSeen(n, alike, offers)
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		f := rehearsal.NewFleet(plan)
		for i := range offers {
			key := patch.Key{Provider: "apt", Name: fmt.Sprintf("package-%d", i), Version: "1.2.3-4+deb12u2", Suite: "bookworm-security"}
			f.Offer(campaign.Missing{
				Patch: policy.Patch{Key: key, Class: patch.Security, Bytes: 1 << 20, Released: now.Add(-48 * time.Hour)}, ID: key.ID(), State: wire.PatchOffered,
				Packages: []wire.Change{{Name: key.Name, From: "1.2.3-4+deb12u1", To: key.Version}},
			})
		}
		for i := range seen {
			f.Add(seen[i])
		}
		got := f.Play()
		if got.Devices != n || got.Judged.Done < n*9/10 || got.Content.Patches < 490 {
			b.Fatalf("%d devices, judged %+v, content %+v, slips %+v, late %+v", got.Devices, got.Judged, got.Content, got.Slips, got.Late)
		}
		b.ReportMetric(float64(got.Classes), "classes")
	}
}
