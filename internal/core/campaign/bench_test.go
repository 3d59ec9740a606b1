package campaign_test

import (
	"fmt"
	"testing"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/wire"
)

// benchFleet is n devices in the middle of a campaign with a content of 500
// items, of which each misses about 30 and other 5 things besides: a third has
// its order in flight, a third was not ordered yet, a third is done.
func benchFleet(n int) (campaign.Scene, []campaign.Device) {
	s := aSituation()
	items := make([]campaign.Item, 500)
	all := make([]campaign.Missing, len(items))
	for i := range items {
		m := missing(fmt.Sprintf("package-%d", i), "1.2.3-4+deb12u1", "1.2.3-4+deb12u2")
		m.Packages = append(m.Packages, wire.Change{Name: m.Key.Name + "-common", From: "1.2.3-4+deb12u1", To: "1.2.3-4+deb12u2"})
		items[i], all[i] = campaign.Item{ID: m.ID, Patch: policy.Patch{Key: m.Key, Class: patch.Security}, Promoted: 1}, m
	}
	s.content(items...)
	for i := range 20 {
		s.decided(items[i*25], policy.Approved, time.Time{})
	}
	others := make([]campaign.Missing, 50)
	for i := range others {
		others[i] = missing(fmt.Sprintf("other-%d", i), "1", "2")
	}
	devices := make([]campaign.Device, n)
	for i := range devices {
		devices[i] = benchDevice(s.Device, i, all, others)
	}
	return s.Scene, devices
}

func benchDevice(d campaign.Device, i int, all, others []campaign.Missing) campaign.Device {
	d.Missing = nil
	var order campaign.OpenOrder
	for k := range 30 {
		m := all[(i*7+k*16)%len(all)]
		p := campaign.Progress{Item: m.ID, State: patch.Verified, Updated: scanned.Add(-time.Minute), Packages: m.Packages}
		if i%3 == 1 {
			p.State, p.Reason = patch.Scheduled, fault.Reason{}
			order.Items = append(order.Items, m.ID)
		}
		if i%3 != 2 {
			d.Missing = append(d.Missing, m)
		}
		if i%3 != 0 {
			d.Progress = append(d.Progress, p)
		}
	}
	for k := range 5 {
		d.Missing = append(d.Missing, others[(i+k)%len(others)])
	}
	if i%3 == 1 {
		order.Kind, order.Step, order.Issued, order.Expires, order.Windows = wire.OrderInstall, wire.StepWait, monday, expiry, today
		d.Order = &order
	}
	return d
}

const batch = 501 // the conductor takes 500; a third of each kind here

// BenchmarkDecideDevices decides a whole fleet, read in batches as the conductor
// reads it: a batch is in memory, the fleet is not. What counts is that
// ns/device does not grow with the fleet, and that 100,000 devices take less
// than 2 s.
func BenchmarkDecideDevices(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("devices=%d", n), func(b *testing.B) {
			unprepared, devices := benchFleet(batch)
			scene := unprepared
			b.ReportAllocs()
			buckets := map[campaign.Bucket]int{}
			for b.Loop() {
				clear(buckets)
				for i := range n {
					if i%batch == 0 { // once for each batch, as the conductor does
						scene = unprepared.Prepared(noon)
					}
					buckets[campaign.DecideDevice(noon, scene, devices[i%batch]).Bucket]++
				}
			}
			if done := buckets[campaign.Done]; done < n/3-batch || done > n/3+batch || buckets[campaign.NotReached] != n-done {
				b.Fatalf("decided %v", buckets)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/device")
		})
	}
}

// BenchmarkSeal chooses the content from what a large fleet misses.
func BenchmarkSeal(b *testing.B) {
	var candidates []campaign.Candidate
	for i := range 3_000 {
		m := missing(fmt.Sprintf("package-%d", i/2), "1", fmt.Sprintf("1.2-%d", i%2+1))
		candidates = append(candidates, campaign.Candidate{ID: m.ID, Patch: policy.Patch{Key: m.Key, Class: patch.Security}})
	}
	rules := policy.Rules{Classes: []patch.Class{patch.Security}}
	b.ReportAllocs()
	for b.Loop() {
		if items, _ := campaign.Seal(noon, candidates, rules, nil); len(items) != 1_500 {
			b.Fatalf("%d items", len(items))
		}
	}
}
