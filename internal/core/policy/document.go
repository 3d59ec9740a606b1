package policy

import (
	"cmp"
	"slices"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/manifest"
	"patchring/wire"
)

// Policy is one file: what may be installed where and when, as an operator
// wrote it.
type Policy struct {
	Name        string
	Title       manifest.Text
	Owner       string
	Zone        *time.Location
	MaxExposure time.Duration // no delay lasts longer than this; 0: no limit
	Rules       []Rule
	Profiles    []Profile
	Freezes     []Freeze
	Safeguards  []Safeguard
	Limits      []Limit
	Bandwidths  []Bandwidth
	Probes      []Probe
	SampleEvery time.Duration // between two samples of a device; 0: nothing is said

	// Warnings are what is allowed and probably not meant.
	Warnings []manifest.Problem

	conditions []*DeviceCondition
}

// Rule gives a verdict to the patches it is about.
type Rule struct {
	Name    string
	Patches *PatchCondition // nil: every patch
	Verdict Verdict         // Approved, Delayed or Declined
	// Delay is how long a patch waits before the rule approves it.
	Delay time.Duration
	Until time.Time // end of a decline; zero: none
}

// says is the rule's verdict on a patch that the device lacks since exposed.
// A delay that has passed is an approval. One whose beginning is not known has
// not begun, so it lasts.
func (r *Rule) says(exposed, now time.Time) Outcome {
	switch r.Verdict {
	case Delayed:
		if exposed.IsZero() {
			return Outcome{Verdict: Delayed}
		}
		if until := exposed.Add(r.Delay); now.Before(until) {
			return Outcome{Verdict: Delayed, Until: until}
		}
		return Outcome{Verdict: Approved}
	case Declined:
		if !r.Until.IsZero() && !now.Before(r.Until) {
			return Outcome{}
		}
		return Outcome{Verdict: Declined, Until: r.Until}
	default:
		return Outcome{Verdict: r.Verdict}
	}
}

// Chosen says which devices a part of a policy is about: those that fit one of
// its conditions, or all of them.
type Chosen struct {
	Source    string // as written; empty: every device
	condition int    // of the policy's conditions; -1: every device
}

// Profile is what holds for the devices it chooses. A device may fit several:
// all of their rules speak, and of each setting the first profile that has it
// decides, in the file's order.
type Profile struct {
	Name    string
	Title   manifest.Text
	Devices Chosen
	Rules   []Rule
	Windows []calendar.Window // none: the procedure's
	Reboot  *Reboot
	People  *People
	CleanUp *CleanUp
	Wake    *bool // neighbours may wake its devices before their windows
}

// RebootMode says who decides on a reboot that a device needs.
type RebootMode string

// Reboot modes.
const (
	RebootNever    RebootMode = "never"
	RebootIfNeeded RebootMode = "if_needed" // in any window of the device
	RebootInWindow RebootMode = "window"    // in the profile's reboot windows only
	RebootByUser   RebootMode = "user"      // by the user until the deadline
)

// RebootModes lists them.
func RebootModes() []RebootMode {
	return []RebootMode{RebootNever, RebootIfNeeded, RebootInWindow, RebootByUser}
}

// Reboot is how the devices of a profile restart.
type Reboot struct {
	Mode    RebootMode
	Windows []calendar.Window // for RebootInWindow
}

// People is how the person at a workstation is treated.
type People struct {
	Postpones int           // how often one may say "later"
	Deadline  time.Duration // from the order on; then it is installed all the same
	Notice    time.Duration // between the notice and the install
	Countdown time.Duration // announced before the install or reboot at the deadline
	Battery   int           // percent; before the deadline nothing begins on battery below it
	Title     manifest.Text // of the organisation, over each notice; empty: none
	Message   manifest.Text
}

// Safeguard holds patches back from devices that they are known to break,
// until a condition on the device says that the danger is over.
type Safeguard struct {
	Name    string
	Devices Chosen
	Patches *PatchCondition
	Reason  manifest.Text
	LiftOn  Chosen // empty: only by an edit of the policy
}

// Limit keeps devices from being down together.
type Limit struct {
	Name      string
	Devices   Chosen
	Each      string // a tag: the limit is for each of its values apart; empty: for all together
	AtMost    int    // devices at once; 0: AtMostPc decides
	AtMostPc  int    // percent of them, at least one
	Order     []Chosen
	StopAfter int // failures after which the rest waits; 0: no limit
}

// Value tells devices of the limit apart: those of different values may be down
// together. It answers false for a device that lacks the tag, which the limit
// is then not about.
func (l Limit) Value(tags map[string]string) (string, bool) {
	if l.Each == "" {
		return "", true
	}
	v := tags[l.Each]
	return v, v != ""
}

// Allows is how many of n devices may be down at once: at least one, or nothing
// would ever be installed.
func (l Limit) Allows(n int) int {
	if l.AtMost > 0 {
		return l.AtMost
	}
	return max(1, n*l.AtMostPc/100)
}

// Bandwidth is what the devices it chooses may together take of a site's line to
// download patches.
type Bandwidth struct {
	Name      string
	Devices   Chosen
	Each      string // a tag: so much for each of its values apart; empty: for all together
	BytesPerS int64
}

// Limit is how the bandwidth counts its devices: by the same rules as limits do.
func (b Bandwidth) Limit() Placed {
	return Placed{Limit: Limit{Name: "bandwidth:" + b.Name, Devices: b.Devices, Each: b.Each}}
}

// slowest is what a device gets at the least: below it a download would not end.
const slowest = 2 << 10

// Share is what one of n devices gets, bytes a second. All of them at once take
// no more than the whole, as long as the slowest share is more than that.
func (b Bandwidth) Share(n int64) int64 { return max(slowest, b.BytesPerS/max(1, n)) }

// place is where a rule stands in the order of precedence.
type place int

const (
	ofHand place = iota // has freezes, and no rule
	ofProvider
	ofTenant
	ofProfile
)

// matched is a rule that speaks of a patch on a device.
type matched struct {
	place place
	name  string
	rule  *Rule
}

// Policies are those in force for a tenant. Each may be nil.
type Policies struct {
	Provider *Policy // for all tenants
	Tenant   *Policy
	Hand     *Policy // the freezes placed by hand, by ByHand
}

func (p Policies) each(do func(at place, from int, policy *Policy)) {
	from := 0
	if p.Provider != nil {
		do(ofProvider, from, p.Provider)
		from += len(p.Provider.conditions)
	}
	if p.Tenant != nil {
		do(ofTenant, from, p.Tenant)
		from += len(p.Tenant.conditions)
	}
	if p.Hand != nil {
		do(ofHand, from, p.Hand)
	}
}

func (p Policies) maxExposure() time.Duration {
	limit := time.Duration(0)
	p.each(func(_ place, _ int, policy *Policy) {
		if policy.MaxExposure > 0 {
			limit = policy.MaxExposure
		}
	})
	return limit
}

// askAge tells whether a rule or a safeguard reads the age of a patch.
func (p Policies) askAge() bool {
	found := false
	p.each(func(_ place, _ int, policy *Policy) {
		found = found || rulesAskAge(policy.Rules)
		for _, profile := range policy.Profiles {
			found = found || rulesAskAge(profile.Rules)
		}
		for _, s := range policy.Safeguards {
			found = found || s.Patches != nil && s.Patches.asked[ageField]
		}
	})
	return found
}

func rulesAskAge(rules []Rule) bool {
	return slices.ContainsFunc(rules, func(r Rule) bool { return r.Patches != nil && r.Patches.asked[ageField] })
}

// Match is which of the conditions of the policies in force a device fits, one
// bit each. Devices of equal matches are treated alike by every rule.
type Match string

func (m Match) fits(from int, c Chosen) bool {
	if c.condition < 0 {
		return true
	}
	at := from + c.condition
	return at/8 < len(m) && m[at/8]&(1<<(at%8)) != 0
}

// Match evaluates every condition on a device.
func (p Policies) Match(d *Device, now time.Time) Match {
	var bits []byte
	p.each(func(_ place, from int, policy *Policy) {
		for i, c := range policy.conditions {
			at := from + i
			for len(bits) <= at/8 {
				bits = append(bits, 0)
			}
			if c.Holds(d, now) {
				bits[at/8] |= 1 << (at % 8)
			}
		}
	})
	return Match(bits)
}

// HaveLimits tells whether any device may be under a limit or a bandwidth: both
// count their devices.
func (p Policies) HaveLimits() bool {
	found := false
	p.each(func(_ place, _ int, policy *Policy) { found = found || len(policy.Limits)+len(policy.Bandwidths) > 0 })
	return found
}

// AskSoftware tells whether a condition reads the software of devices, which is
// large and therefore read only then.
func (p Policies) AskSoftware() bool {
	found := false
	p.each(func(_ place, _ int, policy *Policy) {
		found = found || slices.ContainsFunc(policy.conditions, func(c *DeviceCondition) bool { return c.asked[softwareField] })
	})
	return found
}

// AskDevices tells whether there is any condition on devices.
func (p Policies) AskDevices() bool {
	found := false
	p.each(func(_ place, _ int, policy *Policy) { found = found || len(policy.conditions) > 0 })
	return found
}

// matching lists the rules that speak of a patch on devices of a match. Rules
// of the provider's profiles stand with the provider's: a tenant comes before.
func (p Policies) matching(m Match, subject *Patch, now time.Time) []matched {
	var out []matched
	p.each(func(at place, from int, policy *Policy) {
		out = appendMatching(out, at, placeNames[at], policy.Rules, subject, now)
		for i := range policy.Profiles {
			profile := &policy.Profiles[i]
			if m.fits(from, profile.Devices) {
				out = appendMatching(out, profilePlace(at), "profile:"+profile.Name, profile.Rules, subject, now)
			}
		}
	})
	return out
}

var placeNames = map[place]string{ofProvider: "global", ofTenant: "tenant"}

func profilePlace(at place) place {
	if at == ofTenant {
		return ofProfile
	}
	return at
}

func appendMatching(out []matched, at place, where string, rules []Rule, subject *Patch, now time.Time) []matched {
	for i := range rules {
		if rules[i].Patches.Holds(subject, now) {
			out = append(out, matched{at, where + "/" + rules[i].Name, &rules[i]})
		}
	}
	return out
}

// Settings are what policies say of a device beside verdicts.
type Settings struct {
	Profiles []string          // those it fits, the tenant's first
	Windows  []calendar.Window // nil: the procedure's
	// WindowsOf is the profile that has them.
	WindowsOf string
	Freezes   []Freeze
	Reboot    *Reboot
	People    *People
	CleanUp   *CleanUp
	Wake      *bool // nil: no
	Limits    []Placed
	// Bandwidths are all that the device shares: the smallest share counts.
	Bandwidths  []Bandwidth
	Probes      []wire.Probe  // the tenant's first
	SampleEvery time.Duration // 0: as agents do by themselves
}

// Placed is a limit that a device is under, with its turn: 0 goes first. One
// that none of the limit's conditions places goes last.
type Placed struct {
	Limit
	Turn int
}

// Settings of the devices of a match.
func (p Policies) Settings(m Match) Settings {
	var s Settings
	add := func(at place, from int, policy *Policy) {
		for i := range policy.Profiles {
			if m.fits(from, policy.Profiles[i].Devices) {
				s.add(&policy.Profiles[i])
			}
		}
		for _, f := range policy.Freezes {
			if m.fits(from, f.Devices) {
				f.Origin = cmp.Or(f.Origin, origins[at])
				s.Freezes = append(s.Freezes, f)
			}
		}
		for _, l := range policy.Limits {
			if m.fits(from, l.Devices) {
				turn := slices.IndexFunc(l.Order, func(c Chosen) bool { return m.fits(from, c) })
				if turn < 0 {
					turn = len(l.Order)
				}
				s.Limits = append(s.Limits, Placed{l, turn})
			}
		}
		for _, b := range policy.Bandwidths {
			if m.fits(from, b.Devices) {
				s.Bandwidths = append(s.Bandwidths, b)
			}
		}
		s.addProbes(m, from, policy)
	}
	// The tenant's own profiles speak first.
	for _, turn := range [...]place{ofTenant, ofHand, ofProvider} {
		p.each(func(at place, from int, policy *Policy) {
			if at == turn {
				add(at, from, policy)
			}
		})
	}
	return s
}

func (s *Settings) add(p *Profile) {
	s.Profiles = append(s.Profiles, p.Name)
	if s.Windows == nil && p.Windows != nil {
		s.Windows, s.WindowsOf = p.Windows, p.Name
	}
	if s.Reboot == nil {
		s.Reboot = p.Reboot
	}
	if s.People == nil {
		s.People = p.People
	}
	if s.CleanUp == nil {
		s.CleanUp = p.CleanUp
	}
	if s.Wake == nil {
		s.Wake = p.Wake
	}
}

// Counted are the limits that count the device, those of bandwidths among them.
func (s Settings) Counted() []Placed {
	out := slices.Clone(s.Limits)
	for _, b := range s.Bandwidths {
		out = append(out, b.Limit())
	}
	return out
}

// safeguard is the first that holds the patch back from devices of a match.
func (p Policies) safeguard(m Match, subject *Patch, now time.Time) *Safeguard {
	var found *Safeguard
	p.each(func(_ place, from int, policy *Policy) {
		for i := range policy.Safeguards {
			s := &policy.Safeguards[i]
			lifted := s.LiftOn.Source != "" && m.fits(from, s.LiftOn)
			if found == nil && !lifted && m.fits(from, s.Devices) && s.Patches.Holds(subject, now) {
				found = s
			}
		}
	})
	return found
}
