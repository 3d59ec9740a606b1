package rehearsal

import (
	"encoding/binary"
	"slices"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	"patchring/internal/core/policy"
	"patchring/internal/core/procedure"
	"patchring/wire"
)

// Fleet is a recorded fleet, folded into classes as it is read: of a device
// nothing is kept but its id, name, site and class.
type Fleet struct {
	plan    Plan
	offers  []campaign.Missing
	classes []*class
	byKey   map[string]*class
	devices []device
	sites   []string
	siteAt  map[string]int32
	crowds  map[crowdKey]*crowd
	outside int
	silent  int
	limited int
	people  int

	settings map[policy.Match]policy.Settings

	single  map[fleet.DeviceID]bool // named by a hold or an exception
	groups  map[string]bool         // named by an exception
	delays  bool                    // since when a patch is missing matters
	match   bool                    // conditions are asked
	key     []byte
	offered map[Offer]bool // by a device of the campaign
}

type device struct {
	id    fleet.DeviceID
	name  string
	site  int32
	class *class // nil: in no ring
}

// NewFleet is an empty fleet for a plan.
func NewFleet(p Plan) *Fleet {
	f := &Fleet{
		plan: p, byKey: map[string]*class{}, siteAt: map[string]int32{}, crowds: map[crowdKey]*crowd{},
		single: map[fleet.DeviceID]bool{}, groups: map[string]bool{}, offered: map[Offer]bool{}, settings: map[policy.Match]policy.Settings{},
		delays: delays(p.Rules), match: p.Rules.Policies.AskDevices(),
	}
	for _, h := range p.Holds {
		f.single[fleet.DeviceID(h.Device)] = true
	}
	for _, e := range p.Rules.Exceptions {
		f.single[e.Device], f.groups[e.Group] = true, true
	}
	return f
}

// delays tells whether a verdict can depend on since when a patch is missing.
func delays(r policy.Rules) bool {
	of := func(rules []policy.Rule) bool {
		return slices.ContainsFunc(rules, func(r policy.Rule) bool { return r.Verdict == policy.Delayed })
	}
	for _, p := range []*policy.Policy{r.Policies.Provider, r.Policies.Tenant} {
		if p == nil {
			continue
		}
		if p.MaxExposure > 0 || of(p.Rules) || slices.ContainsFunc(p.Profiles, func(p policy.Profile) bool { return of(p.Rules) }) {
			return true
		}
	}
	return false
}

// Offer keeps something that scans list: a patch, its state and its packages.
// What differs is another offer.
func (f *Fleet) Offer(m campaign.Missing) Offer {
	f.offers = append(f.offers, m)
	return Offer(len(f.offers) - 1)
}

// class is devices that no decision can tell apart.
type class struct {
	position int
	rules    procedure.RuleSet
	match    policy.Match
	silent   time.Time // last heard of; zero: it is there
	scanned  bool
	scan     wire.ScanStatus
	scanWhy  string
	asked    bool           // its people are told before, and may put it off
	id       fleet.DeviceID // of one that is named singly
	groups   []string
	disk     int64 // free, where it may be too little; 0: enough, or not known
	limits   []under
	lacks    []lack
	members  []int32 // of Fleet.devices

	course
}

// lack is one missing patch of a class.
type lack struct {
	offer   Offer
	exposed int32 // hours since 1970, rounded up; 0: it does not matter
}

func (l lack) since() time.Time {
	if l.exposed == 0 {
		return time.Time{}
	}
	return time.Unix(int64(l.exposed)*3600, 0).UTC()
}

// hour rounds up, so that a delay never ends early.
func hour(t time.Time) int32 {
	if t.IsZero() {
		return 0
	}
	return int32((t.Unix() + 3599) / 3600)
}

// Add takes one device in. Devices come in the order of their ids.
func (f *Fleet) Add(s Seen) {
	d := device{id: s.ID, name: s.Name, site: f.site(s.Tags["site"])}
	member := fleet.Member{Device: s.ID, Name: s.Name, Kind: fleet.Kind(s.Kind), Tags: s.Tags, Groups: s.Groups}
	c := class{scanned: s.Scanned, scan: s.Scan, scanWhy: s.ScanWhy}
	if f.match {
		c.match = f.plan.Rules.Policies.Match(&s.Device, f.plan.Now)
	}
	limits := f.limitsOf(c.match, s.Tags) // whoever is in no ring counts in a limit's percentage
	var in bool
	if c.position, in = f.plan.Procedure.RingOf(member); in {
		c.rules, c.limits = f.plan.Procedure.RulesFor(member), limits
		f.describe(&c, s)
		d.class = f.intern(&c)
		d.class.members = append(d.class.members, int32(len(f.devices)))
		f.join(d.class, 1)
		if len(limits) > 0 {
			f.limited++
		}
		if !c.silent.IsZero() {
			f.silent++
		}
		if c.asked {
			f.people++
		}
	} else {
		f.outside++
	}
	f.devices = append(f.devices, d)
}

func (f *Fleet) describe(c *class, s Seen) {
	if !fleet.Reachable(s.LastSeen, f.plan.Now, f.plan.Procedure.UnreachableAfter) {
		c.silent = s.LastSeen.Truncate(24 * time.Hour)
		if s.LastSeen.IsZero() {
			c.silent = time.Unix(0, 0).UTC() // never heard of
		}
	}
	c.asked = fleet.Kind(s.Kind) == fleet.Workstation && f.settingsOf(c.match).People != nil
	if f.single[s.ID] {
		c.id = s.ID
	}
	for _, g := range s.Groups {
		if f.groups[g] {
			c.groups = append(c.groups, g)
		}
	}
	bytes := int64(0)
	for _, m := range s.Missing {
		l := lack{offer: m.Offer}
		if f.delays {
			l.exposed = hour(m.Exposed)
		}
		c.lacks = append(c.lacks, l)
		f.offered[m.Offer] = true
		bytes += needs(f.offers[m.Offer].Bytes)
	}
	slices.SortFunc(c.lacks, func(a, b lack) int { return int(a.offer - b.offer) })
	if s.DiskBytes > 0 && s.DiskBytes < bytes {
		c.disk = s.DiskBytes
	}
}

// settingsOf are worked out once for all devices of a match.
func (f *Fleet) settingsOf(m policy.Match) policy.Settings {
	s, known := f.settings[m]
	if !known {
		s = f.plan.Rules.Policies.Settings(m)
		f.settings[m] = s
	}
	return s
}

// unpacked: a package takes about three times its download where it is unpacked,
// and the download itself stays until the install is over.
const unpacked = 4

func needs(download int64) int64 { return max(0, download) * unpacked }

func (f *Fleet) site(name string) int32 {
	at, known := f.siteAt[name]
	if !known {
		at = int32(len(f.sites))
		f.siteAt[name], f.sites = at, append(f.sites, name)
	}
	return at
}

// intern finds the class that is like this one, or makes it.
func (f *Fleet) intern(c *class) *class {
	f.key = c.appendKey(f.key[:0])
	if known, ok := f.byKey[string(f.key)]; ok {
		return known
	}
	made := *c
	made.lacks = slices.Clip(made.lacks)
	made.bucket = campaign.NotReached
	made.state = make([]standing, len(made.lacks))
	f.byKey[string(f.key)] = &made
	f.classes = append(f.classes, &made)
	return &made
}

func (c *class) appendKey(b []byte) []byte {
	b = binary.AppendVarint(b, int64(c.position))
	b = binary.AppendUvarint(b, uint64(c.rules))
	b = appendText(b, string(c.match))
	b = binary.AppendVarint(b, c.silent.Unix())
	b = appendText(appendText(b, string(c.scan)), c.scanWhy)
	b = appendFlag(appendFlag(b, c.scanned), c.asked)
	b = appendText(b, string(c.id))
	b = binary.AppendVarint(b, int64(len(c.groups)))
	for _, g := range c.groups {
		b = appendText(b, g)
	}
	b = binary.AppendVarint(b, c.disk)
	b = binary.AppendVarint(b, int64(len(c.limits)))
	for _, u := range c.limits {
		b = appendText(appendText(b, u.name), u.value)
	}
	for _, l := range c.lacks {
		b = binary.AppendVarint(b, int64(l.offer))
		b = binary.AppendVarint(b, int64(l.exposed))
	}
	return b
}

func appendFlag(b []byte, set bool) []byte {
	if set {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
