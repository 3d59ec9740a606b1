package procedure

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/manifest"
)

// ringAt is a ring and where the file speaks of it.
type ringAt struct {
	Ring
	at, members, opens, closes, soak manifest.Place
	rest                             bool
}

var ringName = regexp.MustCompile(`^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$`)

// The last day a campaign can speak of: two months, so that an emergency pause
// still fits and a slip of the pen does not.
const maxDay = 60

func readRings(o manifest.Object) []ringAt {
	var out []ringAt
	lines := map[string]int{}
	o.List("rings", func(at manifest.Place) {
		ring := readRing(o.Reader, at)
		key := strings.ToLower(ring.Name)
		if first := lines[key]; first != 0 && key != "" {
			o.Reader.Refuse(at, fmt.Sprintf("ring %s is already on line %d", ring.Name, first), "give each ring its own name")
		}
		lines[key] = at.Line()
		out = append(out, ring)
	})
	if o.Has("rings") && len(out) == 0 {
		o.Reader.Refuse(o.Field("rings"), "has no ring", "list at least one ring")
	}
	return out
}

func readRing(r *manifest.Reader, at manifest.Place) ringAt {
	o := r.Object(at, "name", "title", "members", "opens", "closes", "soak", "gate")
	o.Need("name", "name the ring, for example R0")
	o.Need("title", "say who it is, for example title: {fr: Pilotes, en: Pilots}")
	o.Need("members", "say which devices, for example members: {groups: [it-pilots]}, or members: {rest: true} in the last ring")
	o.Need("opens", "say when, for example opens: {day: 1}")
	o.Need("gate", "say what must be true before the next ring, for example gate: {evidence: {min_done_percent: 100}}")
	ring := ringAt{at: at, opens: o.Or("opens"), closes: o.Or("closes"), members: o.Or("members"), soak: o.Or("soak")}
	ring.Name = o.Text("name")
	if o.Has("name") && ring.Name != "" && (!ringName.MatchString(ring.Name) || len(ring.Name) > manifest.MaxName) {
		r.Refuse(o.Field("name"), fmt.Sprintf("%q is not a ring name", ring.Name), "write letters and digits, with single dashes between, for example R0")
	}
	ring.Title = o.Words("title")
	ring.Opens = readDayTime(o, "opens", 0)
	ring.Closes = readDayTime(o, "closes", calendar.EndOfDay)
	ring.Soak = o.Duration("soak", 0)
	if o.Has("members") {
		ring.readMembers(r, o.Field("members"))
	}
	if o.Has("gate") {
		ring.Gate = readGate(r, o.Field("gate"))
	}
	return ring
}

func (ring *ringAt) readMembers(r *manifest.Reader, at manifest.Place) {
	o := r.Object(at, append(manifest.SelectorFields(), "rest")...)
	if ring.rest = o.Boolean("rest"); !ring.rest {
		ring.Members = o.Selector()
		ring.rest = ring.Members.All && len(ring.Members.Kinds) == 0
		return
	}
	for _, f := range manifest.SelectorFields() {
		if o.Has(f) {
			r.Refuse(o.Field(f), "stands beside rest: true", "keep one of the two")
		}
	}
	ring.Members.All = true
}

// dayTime reads {day: 3, at: "09:00"}.
func readDayTime(o manifest.Object, name string, otherwise calendar.Clock) DayTime {
	if !o.Has(name) {
		return DayTime{}
	}
	in := o.Reader.Object(o.Field(name), "day", "at")
	in.Need("day", "write the campaign day, 1 being Patch Tuesday")
	return DayTime{Day: in.Integer("day", 1, manifest.Limits{Low: 1, High: maxDay}), At: in.Clock("at", otherwise)}
}

func readGate(r *manifest.Reader, at manifest.Place) Gate {
	o := r.Object(at, "evidence", "sign_offs", "tests")
	o.Need("evidence", "write the limits, for example evidence: {min_done_percent: 100}")
	g := Gate{MinDevices: 1, MinDonePercent: 100}
	if o.Has("evidence") {
		g.readEvidence(r, o.Field("evidence"))
	}
	g.SignOffs = readSignOffs(o)
	g.Tests = readTests(o)
	return g
}

func (g *Gate) readEvidence(r *manifest.Reader, at manifest.Place) {
	in := r.Object(at, "min_devices", "min_done_percent", "max_failed", "max_unreachable_percent", "max_not_reached_percent",
		"min_proven_percent", "min_hours_of_use", "max_regressions", "health", "max_complaints", "max_incidents")
	percent, count := manifest.Limits{Low: 0, High: 100}, manifest.Limits{Low: 0, High: 1e6}
	g.MinDevices = in.Integer("min_devices", 1, manifest.Limits{Low: 1, High: 1e6})
	g.MinDonePercent = in.Number("min_done_percent", 100, percent)
	g.MaxFailed = in.Integer("max_failed", 0, count)
	g.MaxUnreachablePercent = in.Number("max_unreachable_percent", 0, percent)
	g.MaxNotReachedPercent = in.Number("max_not_reached_percent", 0, percent)
	g.MinProvenPercent = in.Number("min_proven_percent", 0, percent)
	g.MinHoursOfUse = in.Number("min_hours_of_use", 0, manifest.Limits{Low: 0, High: maxHoursOfUse})
	g.MaxRegressions = in.Integer("max_regressions", 0, count)
	g.HealthRequired = manifest.Choice(in, "health", healthWhenKnown, []string{healthWhenKnown, healthRequired}) == healthRequired
	g.MaxComplaints = in.Integer("max_complaints", 0, count)
	g.Incidents = readMaxIncidents(in)
}

// What a gate makes of measures of which too little is known.
const (
	healthWhenKnown = "when_known"
	healthRequired  = "required"
)

// maxHoursOfUse: two weeks without a pause; more is a slip of the pen.
const maxHoursOfUse = 14 * 24

func readSignOffs(o manifest.Object) []SignOffRule {
	var out []SignOffRule
	lines := map[string]int{}
	o.List("sign_offs", func(at manifest.Place) {
		rule := readSignOff(o.Reader, at)
		if first := lines[rule.Role]; first != 0 && rule.Role != "" {
			o.Reader.Refuse(at, fmt.Sprintf("%s already signs this gate on line %d", rule.Role, first), "put both checklists into one sign-off: a role signs a gate once")
		}
		lines[rule.Role] = at.Line()
		out = append(out, rule)
	})
	return out
}

func readSignOff(r *manifest.Reader, at manifest.Place) SignOffRule {
	o := r.Object(at, "role", "title", "checklist")
	o.Need("role", "name the role that signs, for example it")
	o.Need("title", "say what is signed, for example title: {fr: Tests fonctionnels, en: Functional tests}")
	return SignOffRule{Role: o.Identifier("role"), Title: o.Words("title"), Checklist: o.WordLists("checklist")}
}

// checkRings checks what rings owe each other.
func checkRings(r *manifest.Reader, rings []ringAt) {
	for i, ring := range rings {
		last := i == len(rings)-1
		if ring.rest && !last {
			r.Refuse(ring.members, fmt.Sprintf("ring %s takes every device left, so the rings after it are empty", ring.Name), "move it to the end, or name its members")
		}
		if last && !ring.rest && !ring.members.IsZero() {
			r.Warn(ring.members, "devices of the perimeter that no ring names will never be updated", "write members: {rest: true} in the last ring")
		}
		if !ring.Closes.IsZero() && !ring.Opens.before(ring.Closes) {
			r.Refuse(ring.closes, fmt.Sprintf("ring %s closes on %s, before it opens on %s", ring.Name, ring.Closes, ring.Opens), "close it after it opens")
		}
		if !last && !ring.Opens.IsZero() {
			checkNext(r, ring, rings[i+1])
		}
	}
}

func checkNext(r *manifest.Reader, ring, next ringAt) {
	switch {
	case next.Opens.IsZero(): // refused already
	case !ring.Opens.before(next.Opens):
		r.Refuse(next.opens, fmt.Sprintf("ring %s opens on %s, not after ring %s on %s", next.Name, next.Opens, ring.Name, ring.Opens), "put the rings in the order of their days")
	case next.Opens.before(ring.Closes):
		r.Refuse(ring.closes, fmt.Sprintf("ring %s closes on %s, after ring %s opens on %s", ring.Name, ring.Closes, next.Name, next.Opens), "close it at the latest when the next ring opens")
	case time.Duration(next.Opens.minutes()-ring.Opens.minutes())*time.Minute < ring.Soak:
		r.Warn(ring.soak, fmt.Sprintf("is longer than the time between the openings of %s and %s, so %s will open late", ring.Name, next.Name, next.Name), "shorten the soak, or open the next ring later")
	}
}

// String is how messages write it.
func (d DayTime) String() string { return fmt.Sprintf("day %d at %s", d.Day, d.At) }

// checkDates plays ten years: the release instant and the changes of clocks can
// push an opening past a close that looks right on paper, as in Auckland, where
// the patches come out on the morning of day 2.
func checkDates(r *manifest.Reader, p Procedure, rings []ringAt) {
	refused := map[int]bool{}
	for year := 2026; year < 2036; year++ {
		for month := time.January; month <= time.December; month++ {
			s := p.Schedule(year, month)
			for i, span := range s.Rings {
				if span.Opens.Before(span.Closes) || refused[i] {
					continue
				}
				refused[i] = true
				r.Refuse(rings[i].closes, fmt.Sprintf("ring %s of campaign %s would close at %s, before it can open at %s, because its patches come out at %s",
					span.Ring, s.Campaign, minute(span.Closes), minute(span.Opens), minute(s.Release)), "close it later, and open the next ring later if it has no close")
			}
		}
	}
}

func minute(t time.Time) string { return t.Format("2006-01-02 15:04") }
