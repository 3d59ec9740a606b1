package suspect_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/policy"
	"patchring/internal/core/suspect"
)

// ring makes n devices of some models; broken says on which the patch fails.
func ring(n int, broken func(i int, d *policy.Device) bool) []suspect.Case {
	cases := make([]suspect.Case, n)
	for i := range cases {
		d := policy.Device{
			Name: fmt.Sprintf("pc-%d", i), Kind: "workstation", Tags: fleet.Tags{"department": fmt.Sprintf("d%d", i%5), "site": fmt.Sprintf("s%d", i%3)},
			Traits:   policy.Traits{Model: fmt.Sprintf("m%d", i%8), Vendor: "v", Kernel: "6.1"},
			Software: map[string]string{"openssl": "3.0.17"},
		}
		if i%10 < 2 {
			d.Software["nvidia-driver"] = strconv.Itoa(535 + i%2*10)
		}
		cases[i] = suspect.Case{Device: d, Failed: broken(i, &d)}
	}
	return cases
}

func TestFind(t *testing.T) {
	driver := func(_ int, d *policy.Device) bool { return d.Software["nvidia-driver"] != "" }
	version := func(_ int, d *policy.Device) bool { return d.Software["nvidia-driver"] == "545" }
	model := func(_ int, d *policy.Device) bool { return d.Model == "m3" }
	tests := []struct {
		name  string
		cases []suspect.Case
		want  string // the first suspect's condition; empty: none
	}{
		{"nobody", nil, ""},
		{"nothing fails", ring(50, func(int, *policy.Device) bool { return false }), ""},
		{"everything fails", ring(50, func(int, *policy.Device) bool { return true }), ""},
		{"a driver", ring(50, driver), `"nvidia-driver" in device.software`},
		{"a version of it", ring(100, version), `"nvidia-driver" in device.software && device.software["nvidia-driver"] == "545"`},
		{"a model", ring(50, model), `device.model == "m3"`},
		{"a model, and some others by chance", ring(200, func(i int, d *policy.Device) bool { return model(i, d) || i%50 == 0 }), `device.model == "m3"`},
		{"two devices of a model are too few", ring(16, model), ""},
		{"a rare failure everywhere", ring(1000, func(i int, _ *policy.Device) bool { return i%97 == 0 }), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if found := suspect.Find(tt.cases); len(found) > 0 {
				got = found[0].Condition()
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// What is suspected must be something that a safeguard can be written with.
func TestConditionsAreThoseOfPolicies(t *testing.T) {
	for _, s := range []suspect.Suspect{
		{Field: "device.model", Value: `Latitude "5480"\`}, {Field: "device.software", Name: "nvidia-driver"}, {Field: "device.software", Name: "nvidia-driver", Value: "545"},
		{Field: "device.site", Value: "s1"}, {Field: "device.department", Value: "d"}, {Field: "device.kernel", Value: "6.1"}, {Field: "device.vendor", Value: "v"},
		{Field: "device.virtual", Value: "kvm"}, {Field: "device.os_version", Value: "12"}, {Field: "device.codename", Value: "bookworm"}, {Field: "device.arch", Value: "amd64"}, {Field: "device.kind", Value: "server"},
	} {
		text := fmt.Sprintf("policy: p\ntitle: p\nowner: it\ntimezone: UTC\nsafeguards:\n  - name: s\n    devices: %s\n    patches: patch.name == \"p\"\n    reason: r\n", strconv.Quote(s.Condition()))
		p, err := policy.Parse("p.yaml", []byte(text))
		if err != nil {
			t.Errorf("%s: %v", s.Condition(), err)
			continue
		}
		policies := policy.Policies{Tenant: &p}
		shares := policy.Device{
			Kind: "server", Tags: fleet.Tags{"site": "s1", "department": "d"}, Software: map[string]string{"nvidia-driver": "545"},
			Traits: policy.Traits{Model: `Latitude "5480"\`, Kernel: "6.1", Vendor: "v", Virtual: "kvm", OSVersion: "12", Codename: "bookworm", Arch: "amd64"},
		}
		if policies.Match(&shares, time.Time{}) == policies.Match(&policy.Device{}, time.Time{}) {
			t.Errorf("%s holds for nobody", s.Condition())
		}
	}
}

// Chance must not be suspected: in fleets where failures fall at random, about
// one look in a hundred may name something.
func TestChanceIsNotSuspected(t *testing.T) {
	const looks = 2000
	for _, size := range []int{5, 50, 500} {
		rnd, named := rand.New(rand.NewPCG(1, uint64(size))), 0
		for range looks {
			found := suspect.Find(ring(size, func(int, *policy.Device) bool { return rnd.IntN(10) == 0 }))
			if len(found) > 0 {
				named++
			}
		}
		if allowed := looks/100 + 3*int(math.Sqrt(looks/100)); named > allowed {
			t.Errorf("%d devices: %d looks of %d named something, at most %d may", size, named, looks, allowed)
		}
	}
}

// Nine of ten with it and one of ten without: 101 of the 184,756 ways to choose
// ten of twenty are as uneven.
func TestTheTestIsExact(t *testing.T) {
	var cases []suspect.Case
	for i := range 20 {
		d := policy.Device{}
		if i < 10 {
			d.Model = "m"
		}
		cases = append(cases, suspect.Case{Device: d, Failed: i < 9 || i == 10})
	}
	found := suspect.Find(cases)
	if len(found) != 1 || math.Abs(found[0].P-101.0/184756) > 1e-12 {
		t.Fatalf("found %+v", found)
	}
	if want := (suspect.Counts{Failed: 9, Sound: 1, FailedWithout: 1, SoundWithout: 9}); found[0].Counts != want {
		t.Errorf("got %+v, want %+v", found[0].Counts, want)
	}
}
