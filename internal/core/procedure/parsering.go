package procedure

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"patchring/internal/core/calendar"
)

// ringAt is a ring and where the file speaks of it.
type ringAt struct {
	Ring
	at, members, opens, closes, soak place
	rest                             bool
}

var ringName = regexp.MustCompile(`^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$`)

// The last day a campaign can speak of: two months, so that an emergency pause
// still fits and a slip of the pen does not.
const maxDay = 60

func (o object) rings() []ringAt {
	var out []ringAt
	lines := map[string]int{}
	o.list("rings", func(at place) {
		ring := o.r.ring(at)
		key := strings.ToLower(ring.Name)
		if first := lines[key]; first != 0 && key != "" {
			o.r.refuse(at, fmt.Sprintf("ring %s is already on line %d", ring.Name, first), "give each ring its own name")
		}
		lines[key] = at.node.Line
		out = append(out, ring)
	})
	if o.has("rings") && len(out) == 0 {
		o.r.refuse(o.field("rings"), "has no ring", "list at least one ring")
	}
	return out
}

func (r *reader) ring(at place) ringAt {
	o := r.object(at, "name", "title", "members", "opens", "closes", "soak", "gate")
	o.need("name", "name the ring, for example R0")
	o.need("title", "say who it is, for example title: {fr: Pilotes, en: Pilots}")
	o.need("members", "say which devices, for example members: {groups: [it-pilots]}, or members: {rest: true} in the last ring")
	o.need("opens", "say when, for example opens: {day: 1}")
	o.need("gate", "say what must be true before the next ring, for example gate: {evidence: {min_done_percent: 100}}")
	ring := ringAt{at: at, opens: o.or("opens"), closes: o.or("closes"), members: o.or("members"), soak: o.or("soak")}
	ring.Name = o.text("name")
	if o.has("name") && ring.Name != "" && (!ringName.MatchString(ring.Name) || len(ring.Name) > maxName) {
		r.refuse(o.field("name"), fmt.Sprintf("%q is not a ring name", ring.Name), "write letters and digits, with single dashes between, for example R0")
	}
	ring.Title = o.words("title")
	ring.Opens = o.dayTime("opens", 0)
	ring.Closes = o.dayTime("closes", calendar.EndOfDay)
	ring.Soak = o.duration("soak", 0)
	if o.has("members") {
		ring.members.path = o.field("members").path
		ring.readMembers(r, o.field("members"))
	}
	if o.has("gate") {
		ring.Gate = r.gate(o.field("gate"))
	}
	return ring
}

// or is the field, or the object when the field is not there: where a
// complaint about it belongs.
func (o object) or(name string) place {
	if o.has(name) {
		return o.field(name)
	}
	return place{o.at.node, join(o.at.path, name)}
}

func (ring *ringAt) readMembers(r *reader, at place) {
	o := r.object(at, append(selectorFields(), "rest")...)
	if ring.rest = o.boolean("rest"); !ring.rest {
		ring.Members = o.selector()
		ring.rest = ring.Members.All && len(ring.Members.Kinds) == 0
		return
	}
	for _, f := range selectorFields() {
		if o.has(f) {
			r.refuse(o.field(f), "stands beside rest: true", "keep one of the two")
		}
	}
	ring.Members.All = true
}

// dayTime reads {day: 3, at: "09:00"}.
func (o object) dayTime(name string, otherwise calendar.Clock) DayTime {
	if !o.has(name) {
		return DayTime{}
	}
	in := o.r.object(o.field(name), "day", "at")
	in.need("day", "write the campaign day, 1 being Patch Tuesday")
	return DayTime{Day: in.integer("day", 1, limits{1, maxDay}), At: in.clock("at", otherwise)}
}

func (o object) clock(name string, otherwise calendar.Clock) calendar.Clock {
	if !o.has(name) {
		return otherwise
	}
	text := o.text(name)
	c, err := calendar.ParseClock(text)
	if err != nil && text != "" {
		o.r.refuse(o.field(name), err.Error(), `write it between quotes, for example "09:00"`)
		return otherwise
	}
	return c
}

func (r *reader) gate(at place) Gate {
	o := r.object(at, "evidence", "sign_offs")
	o.need("evidence", "write the limits, for example evidence: {min_done_percent: 100}")
	g := Gate{MinDevices: 1, MinDonePercent: 100}
	if o.has("evidence") {
		in := r.object(o.field("evidence"), "min_devices", "min_done_percent", "max_failed", "max_unreachable_percent", "max_not_reached_percent")
		percent := limits{0, 100}
		g.MinDevices = in.integer("min_devices", 1, limits{1, 1e6})
		g.MinDonePercent = in.number("min_done_percent", 100, percent)
		g.MaxFailed = in.integer("max_failed", 0, limits{0, 1e6})
		g.MaxUnreachablePercent = in.number("max_unreachable_percent", 0, percent)
		g.MaxNotReachedPercent = in.number("max_not_reached_percent", 0, percent)
	}
	lines := map[string]int{}
	o.list("sign_offs", func(at place) {
		rule := r.signOff(at)
		if first := lines[rule.Role]; first != 0 && rule.Role != "" {
			r.refuse(at, fmt.Sprintf("%s already signs this gate on line %d", rule.Role, first), "put both checklists into one sign-off: a role signs a gate once")
		}
		lines[rule.Role] = at.node.Line
		g.SignOffs = append(g.SignOffs, rule)
	})
	return g
}

func (r *reader) signOff(at place) SignOffRule {
	o := r.object(at, "role", "title", "checklist")
	o.need("role", "name the role that signs, for example it")
	o.need("title", "say what is signed, for example title: {fr: Tests fonctionnels, en: Functional tests}")
	return SignOffRule{Role: o.identifier("role"), Title: o.words("title"), Checklist: o.wordLists("checklist")}
}

// checkRings checks what rings owe each other.
func (r *reader) checkRings(rings []ringAt) {
	for i, ring := range rings {
		last := i == len(rings)-1
		if ring.rest && !last {
			r.refuse(ring.members, fmt.Sprintf("ring %s takes every device left, so the rings after it are empty", ring.Name), "move it to the end, or name its members")
		}
		if last && !ring.rest && ring.members.node != nil {
			r.warn(ring.members, "devices of the perimeter that no ring names will never be updated", "write members: {rest: true} in the last ring")
		}
		if !ring.Closes.IsZero() && !ring.Opens.before(ring.Closes) {
			r.refuse(ring.closes, fmt.Sprintf("ring %s closes on %s, before it opens on %s", ring.Name, ring.Closes, ring.Opens), "close it after it opens")
		}
		if !last && !ring.Opens.IsZero() {
			r.checkNext(ring, rings[i+1])
		}
	}
}

func (r *reader) checkNext(ring, next ringAt) {
	switch {
	case next.Opens.IsZero(): // refused already
	case !ring.Opens.before(next.Opens):
		r.refuse(next.opens, fmt.Sprintf("ring %s opens on %s, not after ring %s on %s", next.Name, next.Opens, ring.Name, ring.Opens), "put the rings in the order of their days")
	case next.Opens.before(ring.Closes):
		r.refuse(ring.closes, fmt.Sprintf("ring %s closes on %s, after ring %s opens on %s", ring.Name, ring.Closes, next.Name, next.Opens), "close it at the latest when the next ring opens")
	case time.Duration(next.Opens.minutes()-ring.Opens.minutes())*time.Minute < ring.Soak:
		r.warn(ring.soak, fmt.Sprintf("is longer than the time between the openings of %s and %s, so %s will open late", ring.Name, next.Name, next.Name), "shorten the soak, or open the next ring later")
	}
}

// String is how messages write it.
func (d DayTime) String() string { return fmt.Sprintf("day %d at %s", d.Day, d.At) }

// checkDates plays ten years: the release instant and the changes of clocks can
// push an opening past a close that looks right on paper, as in Auckland, where
// the patches come out on the morning of day 2.
func (r *reader) checkDates(p Procedure, rings []ringAt) {
	refused := map[int]bool{}
	for year := 2026; year < 2036; year++ {
		for month := time.January; month <= time.December; month++ {
			s := p.Schedule(year, month)
			for i, span := range s.Rings {
				if span.Opens.Before(span.Closes) || refused[i] {
					continue
				}
				refused[i] = true
				r.refuse(rings[i].closes, fmt.Sprintf("ring %s of campaign %s would close at %s, before it can open at %s, because its patches come out at %s",
					span.Ring, s.Campaign, minute(span.Closes), minute(span.Opens), minute(s.Release)), "close it later, and open the next ring later if it has no close")
			}
		}
	}
}

func minute(t time.Time) string { return t.Format("2006-01-02 15:04") }
