package calendar

import (
	"math/bits"
	"slices"
	"time"

	"patchring/internal/core/patch"
)

// Needs are the times that an install takes on a device, in the order in which
// they pass. None of the three can be interrupted.
type Needs struct {
	Download, Install, Reboot time.Duration
}

// Total is how long it takes in one go.
func (n Needs) Total() time.Duration { return n.Download + n.Install + n.Reboot }

// parts are those that take any time.
func (n Needs) parts() []time.Duration {
	return slices.DeleteFunc([]time.Duration{n.Download, n.Install, n.Reboot}, func(d time.Duration) bool { return d <= 0 })
}

// Fitting says how an install fits into windows.
type Fitting struct {
	// Windows that it needs: 1 when it fits whole, more when its parts pass in
	// several, 0 when it never fits.
	Windows int
	// Last of them, whole: that in which the install is over.
	Last Interval
}

// Fits tells that one window is enough.
func (f Fitting) Fits() bool { return f.Windows == 1 }

// Never tells that some part is longer than every window to come.
func (f Fitting) Never() bool { return f.Windows == 0 }

// Fit finds the first window in which an install fits whole, started at now or
// as the window opens, and over when it closes. When there is none it finds the
// fewest windows in which its parts pass one after the other, and of these the
// earliest. Windows that touch count as one.
func Fit(windows []Interval, now time.Time, need Needs) Fitting {
	windows = Union(windows...)
	parts := need.parts()
	for n := 1; n <= max(len(parts), 1); n++ {
		best := Fitting{}
		for _, stretches := range split(parts, n) {
			last, ok := place(windows, now, stretches)
			if ok && (best.Never() || last.End.Before(best.Last.End)) {
				best = Fitting{Windows: n, Last: last}
			}
		}
		if !best.Never() {
			return best
		}
	}
	return Fitting{}
}

// split lists the ways to cut parts into n stretches that follow each other.
// Each bit of a number is a cut after one of the parts.
func split(parts []time.Duration, n int) [][]time.Duration {
	var out [][]time.Duration
	for cuts := range uint(1) << max(len(parts)-1, 0) {
		if bits.OnesCount(cuts) != n-1 {
			continue
		}
		stretches := make([]time.Duration, 1, n)
		for i, part := range parts {
			stretches[len(stretches)-1] += part
			if cuts>>i&1 == 1 {
				stretches = append(stretches, 0)
			}
		}
		out = append(out, stretches)
	}
	return out
}

// place gives each stretch the first window it fits into after the one before,
// which ends as early as any choice, and answers the last.
func place(windows []Interval, now time.Time, stretches []time.Duration) (Interval, bool) {
	placed := 0
	for _, w := range windows {
		if !Fits(w, now, stretches[placed]) {
			continue
		}
		if placed++; placed == len(stretches) {
			return w, true
		}
	}
	return Interval{}, false
}

// P95 is the time within which 19 of 20 samples stay: the smallest sample that
// at least 95 % do not exceed. Below 20 samples that is the longest of them;
// without any it is 0, which is no knowledge at all (see Expected).
func P95(samples []time.Duration) time.Duration {
	if len(samples) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(samples))
	rank := (95*len(sorted) + 99) / 100
	return sorted[rank-1]
}

// Samples are how long past installs took.
type Samples struct {
	Downloads, Installs, Reboots []time.Duration
}

// Expected is what an install of a class probably takes at most: what its past
// shows, and for what has no past the Usual of its class.
func Expected(class patch.Class, past Samples) Needs {
	usual := Usual(class)
	learned := func(samples []time.Duration, otherwise time.Duration) time.Duration {
		if len(samples) == 0 {
			return otherwise
		}
		return P95(samples)
	}
	return Needs{
		Download: learned(past.Downloads, usual.Download),
		Install:  learned(past.Installs, usual.Install),
		Reboot:   learned(past.Reboots, usual.Reboot),
	}
}

// Usual is what is expected of a class before anything is known. The figures
// are on the cautious side: a window missed once costs less than a device that
// restarts into its working day.
func Usual(class patch.Class) Needs {
	const reboot = 15 * time.Minute
	switch class {
	case patch.Definition:
		return Needs{Download: 2 * time.Minute, Install: 3 * time.Minute}
	case patch.ThirdParty:
		return Needs{Download: 10 * time.Minute, Install: 15 * time.Minute, Reboot: reboot}
	case patch.Driver:
		return Needs{Download: 15 * time.Minute, Install: 15 * time.Minute, Reboot: reboot}
	case patch.Feature:
		return Needs{Download: time.Hour, Install: 90 * time.Minute, Reboot: 30 * time.Minute}
	default: // security, quality, preview, and what nobody knows
		return Needs{Download: 20 * time.Minute, Install: 30 * time.Minute, Reboot: reboot}
	}
}
