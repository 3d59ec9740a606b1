// Package suspect finds what devices on which a patch fails have in common, and
// those on which it works have not: a model, a driver, an application's version.
// It is what a safeguard is written from.
//
// It owns the statistics: an exact test for each thing that failing devices
// share, corrected for how many things were looked at. It refuses to name a
// cause: what is shared is where to look first. Pure values; safe from any
// goroutine.
package suspect

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"patchring/internal/core/chance"
	"patchring/internal/core/policy"
)

// Case is one device on which the patch has failed or worked.
type Case struct {
	Device policy.Device
	Failed bool
}

// Counts of devices, with and without what is suspected.
type Counts struct {
	Failed        int `json:"failed" doc:"devices that share it, on which the patch fails"`
	Sound         int `json:"sound" doc:"devices that share it, on which it works"`
	FailedWithout int `json:"failed_without"`
	SoundWithout  int `json:"sound_without"`
}

// Suspect is one thing that failing devices share.
type Suspect struct {
	Field string `json:"field" doc:"as conditions of the policy ask for it: device.model"`
	Name  string `json:"name,omitempty" doc:"of the software, with device.software"`
	Value string `json:"value,omitempty" doc:"empty: that the software is there, whatever its version"`
	Counts
	// P is how likely so uneven a share is by chance, of all that was looked at.
	P float64 `json:"p"`
}

// Fewest failing devices that can be told from chance in a small ring.
const Fewest = 3

// What is asked of a suspect: the share must at least double, or the test finds
// trifles in large rings.
const (
	unlikely = 0.01
	doubled  = 2
	most     = 5
)

// Find names at most five suspects, the likeliest first. None is the usual
// answer: too few devices, or nothing that tells them apart.
func Find(cases []Case) []Suspect {
	failed := 0
	shares := map[thing]*Counts{}
	for i := range cases {
		if cases[i].Failed {
			failed++
		}
		for _, t := range thingsOf(&cases[i].Device) {
			c := shares[t]
			if c == nil {
				c = &Counts{}
				shares[t] = c
			}
			if cases[i].Failed {
				c.Failed++
			} else {
				c.Sound++
			}
		}
	}
	var candidates []Suspect
	for t, c := range shares {
		c.FailedWithout, c.SoundWithout = failed-c.Failed, len(cases)-failed-c.Sound
		if c.Failed >= Fewest {
			candidates = append(candidates, Suspect{Field: t.field, Name: t.name, Value: t.value, Counts: *c})
		}
	}
	return judged(candidates)
}

// judged keeps what chance does not explain, and of things that are shared by
// the same devices as far as counts tell the first only.
func judged(candidates []Suspect) []Suspect {
	var out []Suspect
	for _, s := range candidates {
		s.P = min(1, s.tail()*float64(len(candidates)))
		if s.P <= unlikely && s.share() >= doubled*s.shareWithout() {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b Suspect) int {
		return cmp.Or(cmp.Compare(a.P, b.P), cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
	})
	out = slices.CompactFunc(out, func(a, b Suspect) bool { return a.Counts == b.Counts })
	return out[:min(most, len(out))]
}

// thing is a field with a value that a device has.
type thing struct{ field, name, value string }

func thingsOf(d *policy.Device) []thing {
	out := make([]thing, 0, 10+2*len(d.Software))
	for _, t := range []thing{
		{"device.model", "", d.Model}, {"device.vendor", "", d.Vendor}, {"device.virtual", "", d.Virtual}, {"device.kernel", "", d.Kernel},
		{"device.os_version", "", d.OSVersion}, {"device.codename", "", d.Codename}, {"device.arch", "", d.Arch}, {"device.kind", "", d.Kind},
		{"device.department", "", d.Tags["department"]}, {"device.site", "", d.Tags["site"]},
	} {
		if t.value != "" {
			out = append(out, t)
		}
	}
	for name, version := range d.Software {
		out = append(out, thing{software, name, ""})
		if version != "" {
			out = append(out, thing{software, name, version})
		}
	}
	return out
}

const software = "device.software"

// rank puts what is nearest to a cause first, where counts say the same: an
// application before its version, both before the model, the rest after.
func rank(s Suspect) int {
	switch {
	case s.Field == software && s.Value == "":
		return 0
	case s.Field == software:
		return 1
	case s.Field == "device.model":
		return 2
	default:
		return 3
	}
}

func (c Counts) share() float64 { return float64(c.Failed) / float64(c.Failed+c.Sound) }

func (c Counts) shareWithout() float64 {
	if c.FailedWithout == 0 {
		return 0
	}
	return float64(c.FailedWithout) / float64(c.FailedWithout+c.SoundWithout)
}

// tail is the probability that of the devices that share it so many or more
// fail, when failures fall on devices at random.
func (c Counts) tail() float64 {
	return chance.Fisher(c.Failed, c.Sound, c.FailedWithout, c.SoundWithout)
}

// Condition is how the policy asks for devices that share it.
func (s Suspect) Condition() string {
	switch {
	case s.Field != software:
		return fmt.Sprintf("%s == %s", s.Field, strconv.Quote(s.Value))
	case s.Value == "":
		return fmt.Sprintf("%s in %s", strconv.Quote(s.Name), software)
	default:
		return fmt.Sprintf("%s in %s && %s[%s] == %s", strconv.Quote(s.Name), software, software, strconv.Quote(s.Name), strconv.Quote(s.Value))
	}
}
