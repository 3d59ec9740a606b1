// Package lifecycle owns how long a system is supported, by a table that people
// import, and whether a device is big enough for it. What the table does not
// say is unknown, and unknown is never counted as supported.
//
// It refuses a table that it does not understand, with the place in it. Bytes
// and values in, values out; safe from any goroutine.
package lifecycle

import (
	"fmt"
	"strings"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/policy"
)

// State of a device's system.
type State string

// States.
const (
	Supported State = "supported"
	EndsSoon  State = "ends_soon"
	Ended     State = "ended"
	Unknown   State = "unknown"
)

// States lists them, the most urgent first.
func States() []State { return []State{Ended, EndsSoon, Unknown, Supported} }

// Soon is how long before its end a system is told to end soon: the time that
// replacing a fleet's system takes.
const Soon = 180 * 24 * time.Hour

// Cycle is one version of a product and its dates. A date is the last day of
// support; it ends when that day is over in UTC.
type Cycle struct {
	Product  string    `json:"product"` // as endoflife.date spells it
	Cycle    string    `json:"cycle"`
	Codename string    `json:"codename,omitempty"`
	Latest   string    `json:"latest,omitempty"`
	Released time.Time `json:"released,omitzero"`
	End      End       `json:"end"`
	Extended End       `json:"extended"` // paid or long-term support, where it was asked to count
}

// End of a support: a last day, or over without one.
type End struct {
	Day  time.Time `json:"day,omitzero"`
	Over bool      `json:"over,omitempty"` // it has ended, and nobody says when
}

// after is the instant from which it is over; zero: none is known.
func (e End) after() time.Time {
	if e.Day.IsZero() {
		return time.Time{}
	}
	return e.Day.AddDate(0, 0, 1)
}

// ends is the end that counts.
func (c Cycle) ends() End {
	bounded := c.End.Over || !c.End.Day.IsZero()
	if bounded && c.Extended.Day.After(c.End.Day) {
		return c.Extended
	}
	return c.End
}

// Verdict is what the table says of a device's system.
type Verdict struct {
	State  State
	Cycle  Cycle     // the version it runs, when State is not Unknown
	Ends   time.Time // the first instant without support; zero when no day is known
	Reason fault.Reason
}

// Table is what was imported for the product of a device's system.
type Table struct {
	Cycles []Cycle
	Needs  []Need
}

// At gives the state of a version at an instant.
func (c Cycle) At(now time.Time) Verdict {
	v := Verdict{State: Supported, Cycle: c, Ends: c.ends().after()}
	switch {
	case c.ends().Over || !v.Ends.IsZero() && !now.Before(v.Ends):
		v.State = Ended
		v.Reason = fault.Because(fault.SystemEnded, "system", c.Name(), "day", c.day())
	case !v.Ends.IsZero() && now.Add(Soon).After(v.Ends):
		v.State = EndsSoon
		v.Reason = fault.Because(fault.SystemEndsOn, "system", c.Name(), "day", c.day())
	}
	return v
}

// Name is how people call it: debian 12.
func (c Cycle) Name() string { return c.Product + " " + c.Cycle }

func (c Cycle) day() string {
	if day := c.ends().Day; !day.IsZero() {
		return day.Format(time.DateOnly)
	}
	return ""
}

// Judge says how a device's system stands. Where several versions of the table
// fit and disagree (editions with dates of their own), nobody knows.
func (t Table) Judge(d policy.Traits, now time.Time) Verdict {
	var out Verdict
	for _, c := range t.fitting(d) {
		v := c.At(now)
		if out.State == "" {
			out = v
			continue
		}
		if out.State != v.State {
			return Verdict{State: Unknown}
		}
		if !v.Ends.IsZero() && (out.Ends.IsZero() || v.Ends.Before(out.Ends)) {
			out = v
		}
	}
	if out.State == "" {
		return Verdict{State: Unknown}
	}
	return out
}

// Ends says from when a device's system is not supported, whatever its edition;
// it does not change with the hour, so that it can be kept. known: the table has
// the system. Zero: no end is known.
func (t Table) Ends(d policy.Traits) (c Cycle, at time.Time, known bool) {
	for i, one := range t.fitting(d) {
		end := one.ends().after()
		switch {
		case one.ends().Over:
			end = LongAgo
		case end.IsZero():
			return one, end, true
		}
		if i == 0 || end.After(at) {
			c, at = one, end
		}
	}
	return c, at, c.Cycle != ""
}

// LongAgo stands for the end of a support of which only is known that it is over.
var LongAgo = time.UnixMicro(1).UTC()

// fitting are the versions that the device may run: the longest name that its
// version is or begins with, else the latest build that it begins with, which is
// how Windows says it, else its codename.
func (t Table) fitting(d policy.Traits) []Cycle {
	product := ProductOf(d.OS)
	for _, says := range []func(Cycle) string{
		func(c Cycle) string { return prefix(d.OSVersion, c.Cycle) },
		func(c Cycle) string { return prefix(d.OSVersion, c.Latest) },
		func(c Cycle) string { return same(d.Codename, c.Codename) },
	} {
		var out []Cycle
		longest := 0
		for _, c := range t.Cycles {
			n := len(says(c))
			if c.Product != product || n == 0 || n < longest {
				continue
			}
			if n > longest {
				out, longest = nil, n
			}
			out = append(out, c)
		}
		if len(out) > 0 {
			return out
		}
	}
	return nil
}

// prefix is name when version is it, or goes on after it with a point: 12 fits
// 12.9 and not 121.
func prefix(version, name string) string {
	if name != "" && (version == name || strings.HasPrefix(version, name+".")) {
		return name
	}
	return ""
}

// same compares codenames, of which the table has the whole ("Jammy Jellyfish")
// and devices the first word.
func same(device, table string) string {
	first, _, _ := strings.Cut(table, " ")
	if device != "" && (strings.EqualFold(device, table) || strings.EqualFold(device, first)) {
		return device
	}
	return ""
}

// ProductOf is how endoflife.date calls the system of an os-release ID.
func ProductOf(os string) string {
	names := map[string]string{
		"rocky": "rocky-linux", "ol": "oracle-linux", "amzn": "amazon-linux", "opensuse-leap": "opensuse", "alpine": "alpine-linux", "darwin": "macos",
	}
	if name, other := names[os]; other {
		return name
	}
	return os
}

// Need is the least that a version asks of a device; 0: nothing is said.
type Need struct {
	Product   string `json:"product"`
	Cycle     string `json:"cycle"`
	CPUs      int64  `json:"cpus,omitempty"`
	CPULevel  int64  `json:"cpu_level,omitempty"` // N of x86-64-vN
	RAMBytes  int64  `json:"ram_bytes,omitempty"`
	DiskBytes int64  `json:"disk_bytes,omitempty"`
}

// Parts of a device.
const (
	partRAM   = "ram"
	partDisk  = "disk"
	partCPUs  = "cpus"
	partLevel = "cpu_level"
)

// Short says what a device lacks for a version; the zero reason when nothing,
// or nothing that is known: a figure that was never measured is not small.
// Machines show a little less memory than is built in, and a disk a little less
// than is sold, so an eighth may be missing.
func (t Table) Short(d policy.Traits, c Cycle) fault.Reason {
	for _, n := range t.Needs {
		if n.Product != c.Product || n.Cycle != c.Cycle {
			continue
		}
		for _, p := range []struct {
			part       string
			have, need int64
			slack      int64
		}{{partRAM, d.RAMBytes, n.RAMBytes, n.RAMBytes / 8}, {partDisk, d.DiskSizeBytes, n.DiskBytes, n.DiskBytes / 8}, {partCPUs, d.CPUs, n.CPUs, 0}, {partLevel, d.CPULevel, n.CPULevel, 0}} {
			if p.have > 0 && p.have < p.need-p.slack {
				return fault.Because(fault.HardwareShort, "system", c.Name(), "part", p.part, "have", amount(p.part, p.have), "need", amount(p.part, p.need))
			}
		}
	}
	return fault.Reason{}
}

func amount(part string, n int64) string {
	switch part {
	case partCPUs:
		return fmt.Sprint(n)
	case partLevel:
		return fmt.Sprintf("x86-64-v%d", n)
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}

// Advice is what to do about a device whose system has ended or ends soon, or
// that is too small.
type Advice string

// Advices.
const (
	Nothing Advice = "none"
	Look    Advice = "look"    // the table does not know its system
	Upgrade Advice = "upgrade" // to a later version, for which it is big enough
	Replace Advice = "replace" // no later version, or it is too small for it
)

// Assessment is all there is to say of one device.
type Assessment struct {
	Verdict
	Short  fault.Reason // of the version that it runs
	Advice Advice
	To     string // the version to upgrade to
}

// Assess judges a device and says what to do.
func (t Table) Assess(d policy.Traits, now time.Time) Assessment {
	a := Assessment{Verdict: t.Judge(d, now), Advice: Nothing}
	switch a.State {
	case Unknown:
		a.Advice = Look
		return a
	case Supported:
		if a.Short = t.Short(d, a.Cycle); !a.Short.IsZero() {
			a.Advice = Replace
		}
		return a
	}
	a.Short = t.Short(d, a.Cycle)
	a.Advice = Replace
	if next, ok := t.next(a.Cycle, now); ok && a.Short.IsZero() && t.Short(d, next).IsZero() {
		a.Advice, a.To = Upgrade, next.Name()
	}
	return a
}

// next is the first later version of the product that is supported for some
// time: upgrades go one version at a time.
func (t Table) next(from Cycle, now time.Time) (Cycle, bool) {
	var out Cycle
	for _, c := range t.Cycles {
		if c.Product != from.Product || c.At(now).State != Supported || !c.Released.After(from.Released) || c.Released.After(now) {
			continue
		}
		if out.Cycle == "" || c.Released.Before(out.Released) {
			out = c
		}
	}
	return out, out.Cycle != ""
}
