// Package coverage owns the choice of pilot devices: the few that together have
// most of what a fleet has, of departments, sites, models, systems and
// software. It respects whoever said no or is away, and says what no pilot has.
//
// It refuses to guess: a pilot is never chosen who cannot be one, and what is
// too rare to ask a pilot for is told, not hidden. Equal questions have equal
// answers. Pure values; a Fleet belongs to one goroutine until its last Add,
// and is safe from any goroutine after.
package coverage

import (
	"cmp"
	"slices"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/policy"
)

// Kind is a sort of feature. Each kind weighs as much as any other, however
// many values it has: thirty thousand programs do not outweigh six departments.
type Kind string

// Kinds of features.
const (
	Department Kind = "department"
	Site       Kind = "site"
	DeviceKind Kind = "device_kind"
	Model      Kind = "model"
	System     Kind = "system" // id and version: the build
	Software   Kind = "software"
)

// Kinds lists them, as reports show them.
func Kinds() []Kind { return []Kind{Department, Site, DeviceKind, Model, System, Software} }

// Feature is something that devices have in common.
type Feature struct {
	Kind  Kind   `json:"kind"`
	Value string `json:"value"`
}

// Tags by which the organisation says who is no pilot.
const (
	PilotTag  = "pilot"        // "no": its user does not want to be one
	AbsentTag = "absent_until" // YYYY-MM-DD: its user is away up to that day, which is included
)

// Device is what the choice is made on.
type Device struct {
	ID         fleet.DeviceID
	Name       string
	Groups     []string
	Department string
	Pilot      string // the value of PilotTag
	Absent     string // the value of AbsentTag
	Ring       string // the earlier ring that it is in already
	Seen       time.Time
	Features   []Feature
}

// Of makes it from what is known of a device.
func Of(id fleet.DeviceID, d *policy.Device) Device {
	out := Device{
		ID: id, Name: d.Name, Groups: d.Groups, Department: d.Tags[string(Department)], Pilot: d.Tags[PilotTag], Absent: d.Tags[AbsentTag],
	}
	add := func(k Kind, value string) {
		if value != "" {
			out.Features = append(out.Features, Feature{k, value})
		}
	}
	add(Department, d.Tags[string(Department)])
	add(Site, d.Tags[string(Site)])
	add(DeviceKind, d.Kind)
	add(Model, words(d.Vendor, d.Model, d.Virtual))
	add(System, words(d.OS, d.OSVersion, ""))
	for name := range d.Software {
		add(Software, name)
	}
	return out
}

// words joins what is known; otherwise stands for neither.
func words(a, b, otherwise string) string {
	switch {
	case a == "" && b == "":
		return otherwise
	case a == "" || b == "":
		return a + b
	}
	return a + " " + b
}

// Fleet is all devices that a choice is made for.
type Fleet struct {
	members  []member
	byID     map[fleet.DeviceID]int
	ids      map[Feature]int32
	features []Feature
	counts   []int32 // devices that have the feature
}

type member struct {
	Device         // without its features
	has    []int32 // places in Fleet.features, each once
}

// NewFleet makes an empty one.
func NewFleet() *Fleet {
	return &Fleet{byID: map[fleet.DeviceID]int{}, ids: map[Feature]int32{}}
}

// Add adds a device; one that is there already is left as it is.
func (f *Fleet) Add(d Device) {
	if _, known := f.byID[d.ID]; known {
		return
	}
	m := member{Device: d, has: make([]int32, 0, len(d.Features))}
	m.Features = nil
	for _, feature := range d.Features {
		id, known := f.ids[feature]
		if !known {
			id = int32(len(f.features))
			f.ids[feature] = id
			f.features = append(f.features, feature)
			f.counts = append(f.counts, 0)
		}
		m.has = append(m.has, id)
	}
	slices.Sort(m.has)
	m.has = slices.Compact(m.has)
	for _, id := range m.has {
		f.counts[id]++
	}
	f.byID[d.ID] = len(f.members)
	f.members = append(f.members, m)
}

// Devices is how many there are.
func (f *Fleet) Devices() int { return len(f.members) }

// Ask is what pilots are wanted.
type Ask struct {
	Size          int
	Include       []fleet.DeviceID // must be there
	Exclude       []fleet.DeviceID
	IncludeGroups []string
	ExcludeGroups []string
	PerDepartment int       // at most so many of one department; 0: no limit
	Day           string    // YYYY-MM-DD: the day the ring opens; whoever is away then is no pilot
	SeenAfter     time.Time // silent since before: no pilot
	RareBelow     int       // software on fewer devices is not asked for
}

// DefaultSize and DefaultRare are what is asked for when nothing is said.
const (
	DefaultSize = 50
	DefaultRare = 3
)

// barred says why a device cannot be a pilot; the zero reason when it can.
func (a Ask) barred(m *member) fault.Reason {
	in := func(groups []string) bool {
		return slices.ContainsFunc(m.Groups, func(g string) bool { return slices.Contains(groups, g) })
	}
	switch {
	case slices.Contains(a.Exclude, m.ID) || in(a.ExcludeGroups):
		return fault.Because(fault.PilotExcluded)
	case m.Ring != "":
		return fault.Because(fault.PilotElsewhere, "ring", m.Ring)
	case m.Pilot == "no":
		return fault.Because(fault.PilotRefused)
	case m.Absent != "" && a.away(m.Absent):
		return fault.Because(fault.PilotAbsent, "day", m.Absent)
	case m.Seen.Before(a.SeenAfter):
		return silent(m.Seen)
	}
	return fault.Reason{}
}

// away: what is not a date may be one that somebody misspelt, so it keeps the
// device out.
func (a Ask) away(until string) bool {
	if _, err := time.Parse(time.DateOnly, until); err != nil {
		return true
	}
	return until >= a.Day
}

func silent(seen time.Time) fault.Reason {
	if seen.IsZero() {
		return fault.Because(fault.NeverSeen)
	}
	return fault.Because(fault.DeviceUnreachable, "since", seen.UTC().Format(time.RFC3339))
}

// wants tells whether the device must be there.
func (a Ask) wants(m *member) bool {
	return slices.Contains(a.Include, m.ID) ||
		slices.ContainsFunc(m.Groups, func(g string) bool { return slices.Contains(a.IncludeGroups, g) })
}

// byName orders devices as people read them; the id tells those of one name
// apart.
func byName(a, b *member) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) }
