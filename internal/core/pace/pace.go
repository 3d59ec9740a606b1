// Package pace learns how long installs and reboots take, from what devices
// reported of past ones: the time within which 19 of 20 stay, per patch and
// model of device. What has hardly any past says nothing.
//
// Pure values; safe from any goroutine.
package pace

import (
	"slices"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/patch"
)

// Kept is how many samples of a patch on a model are kept, the newest: enough
// that one device that was suspended in the middle decides nothing.
const Kept = 20

// Few is how many samples say something.
const Few = 3

// Longest is the longest time that is believed: what claims to have taken more
// was not measured, or did not happen.
const Longest = 12 * time.Hour

// Sample is what one device reported of one patch. A device counts once, so that
// none can make a patch slow for the others.
type Sample struct {
	Device   string        `json:"device"`
	Download time.Duration `json:"download,omitempty"`
	Install  time.Duration `json:"install,omitempty"`
	Reboot   time.Duration `json:"reboot,omitempty"`
}

// Share is the sample of each of n patches of one order. A reboot is not shared:
// it is one however many patches asked for it.
func (s Sample) Share(n int) Sample {
	s.Download, s.Install = s.Download/time.Duration(n), s.Install/time.Duration(n)
	return s
}

// Add puts a sample behind the others, in place of an older one of its device.
func Add(list []Sample, s Sample) []Sample {
	s.Download, s.Install, s.Reboot = believed(s.Download), believed(s.Install), believed(s.Reboot)
	if s.Download+s.Install+s.Reboot == 0 {
		return list
	}
	list = slices.DeleteFunc(slices.Clone(list), func(o Sample) bool { return o.Device == s.Device })
	list = append(list, s)
	return list[max(0, len(list)-Kept):]
}

func believed(d time.Duration) time.Duration {
	if d < 0 || d > Longest {
		return 0
	}
	return d
}

// Of is what samples show; a part with too few of them is 0: not known.
func Of(list []Sample) calendar.Needs {
	part := func(of func(Sample) time.Duration) time.Duration {
		var known []time.Duration
		for _, s := range list {
			if d := of(s); d > 0 {
				known = append(known, d)
			}
		}
		if len(known) < Few {
			return 0
		}
		return calendar.P95(known)
	}
	return calendar.Needs{
		Download: part(func(s Sample) time.Duration { return s.Download }),
		Install:  part(func(s Sample) time.Duration { return s.Install }),
		Reboot:   part(func(s Sample) time.Duration { return s.Reboot }),
	}
}

// Key is a patch on a model of device. Without a model it is the patch on all of
// them, without a patch the reboots of the model whatever they were for.
type Key struct {
	Patch patch.ID
	Model string
}

// Learned is what is known of a tenant's patches.
type Learned map[Key]calendar.Needs

// On is what a patch takes on a model: what the model's own past shows, and what
// it does not show from all models.
func (l Learned) On(id patch.ID, model string) calendar.Needs {
	own, all := l[Key{id, model}], l[Key{Patch: id}]
	return calendar.Needs{
		Download: orElse(own.Download, all.Download), Install: orElse(own.Install, all.Install), Reboot: orElse(own.Reboot, all.Reboot),
	}
}

// Reboot is how long a model takes to reboot, whatever for.
func (l Learned) Reboot(model string) time.Duration {
	return orElse(l[Key{Model: model}].Reboot, l[Key{}].Reboot)
}

// Together is what several patches take in one order: their installs follow each
// other, one reboot serves them all.
func (l Learned) Together(ids []patch.ID, model string) calendar.Needs {
	var sum calendar.Needs
	for _, id := range ids {
		n := l.On(id, model)
		sum.Download, sum.Install = sum.Download+n.Download, sum.Install+n.Install
		sum.Reboot = max(sum.Reboot, n.Reboot)
	}
	return sum
}

func orElse(a, b time.Duration) time.Duration {
	if a == 0 {
		return b
	}
	return a
}
