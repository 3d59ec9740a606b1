package procedure

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
)

// The only anchor: days are counted from Patch Tuesday.
const anchor = "patch-tuesday"

// What a procedure does when its file does not say.
const (
	defaultAttempts     = 3
	defaultRetryAfter   = 4 * time.Hour
	defaultUnreachable  = 72 * time.Hour
	defaultVerification = 2
)

// Parse reads the text of a procedure file; file is its name in messages. The
// error is an *Error with every problem there is.
func Parse(file string, text []byte) (Procedure, error) {
	r := &reader{}
	p := r.procedure(text)
	if len(r.problems) > 0 {
		return Procedure{}, &Error{File: file, Problems: inFileOrder(r.problems)}
	}
	p.Warnings = inFileOrder(r.warnings)
	return p, nil
}

func (r *reader) procedure(text []byte) Procedure {
	at, ok := r.document(text)
	if !ok {
		return Procedure{}
	}
	o := r.object(at, "procedure", "title", "owner", "timezone", "anchor", "perimeter", "content", "rings",
		"windows", "reboot", "attempts", "retry_after", "unreachable_after", "rollback", "verification", "visas")
	o.need("procedure", "name it with lower-case letters, digits and dashes, for example procedure: workstations")
	o.need("title", "say what it is for, for example title: Monthly updates")
	o.need("owner", "name the role or team that answers for it")
	o.need("timezone", "name a zone, for example timezone: Europe/Paris")
	o.need("anchor", "write anchor: "+anchor)
	o.need("perimeter", "say which devices it is about, for example perimeter: {kinds: [workstation]}")
	o.need("rings", "list at least one ring")
	choice(o, "anchor", "", []string{anchor})
	p := Procedure{
		Name:             o.identifier("procedure"),
		Title:            o.words("title"),
		Owner:            o.text("owner"),
		Zone:             o.zone("timezone"),
		Classes:          o.classes(),
		Reboot:           choice(o, "reboot", RebootIfNeeded, []Reboot{RebootNever, RebootIfNeeded}),
		Attempts:         o.integer("attempts", defaultAttempts, limits{1, 10}),
		RetryAfter:       o.duration("retry_after", defaultRetryAfter),
		UnreachableAfter: o.duration("unreachable_after", defaultUnreachable),
		Verification:     o.verification(),
		Visas:            o.visas(),
	}
	p.Perimeter, p.Exclude = o.perimeter()
	p.RollbackOn, p.HoldOn = o.incidents()
	rings := o.rings()
	p.Windows = o.windows(p.Zone)
	for _, ring := range rings {
		p.Rings = append(p.Rings, ring.Ring)
	}
	r.checkRings(rings)
	if len(r.problems) == 0 {
		r.checkDates(p, rings)
	}
	return p
}

var identifier = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

const maxName = 63

// identifier reads a name fit for addresses and subjects.
func (o object) identifier(name string) string {
	text := o.text(name)
	if text != "" && (!identifier.MatchString(text) || len(text) > maxName) {
		o.r.refuse(o.field(name), fmt.Sprintf("%q is not an identifier", text),
			"write at most 63 lower-case letters and digits, with single dashes between")
	}
	return text
}

// words reads a text, the same in both languages or one for each.
func (o object) words(name string) Text {
	if !o.has(name) {
		return Text{}
	}
	return o.r.words(o.field(name))
}

func (r *reader) words(at place) Text {
	if at.node.Kind != 0 && describe(at.node) != "fields" {
		text := r.text(at)
		return Text{FR: text, EN: text}
	}
	o := r.object(at, "fr", "en")
	o.need("fr", "write the French text")
	o.need("en", "write the English text")
	return Text{FR: o.text("fr"), EN: o.text("en")}
}

// wordLists reads a list of texts, or a list for each language that say the
// same things in the same order.
func (o object) wordLists(name string) []Text {
	if !o.has(name) || describe(o.field(name).node) != "fields" {
		var out []Text
		o.list(name, func(at place) { out = append(out, o.r.words(at)) })
		return out
	}
	both := o.r.object(o.field(name), "fr", "en")
	both.need("fr", "write the French list")
	both.need("en", "write the English list")
	french, english := both.texts("fr"), both.texts("en")
	if !both.has("fr") || !both.has("en") {
		return nil
	}
	if len(french) != len(english) {
		o.r.refuse(both.at, fmt.Sprintf("has %d French and %d English lines", len(french), len(english)),
			"write each line in both languages, in the same order")
		return nil
	}
	var out []Text
	for i := range french {
		out = append(out, Text{FR: french[i], EN: english[i]})
	}
	return out
}

func (o object) zone(name string) *time.Location {
	text := o.text(name)
	if text == "" {
		return nil
	}
	zone, err := time.LoadLocation(text)
	// "Local" would mean another thing on each machine.
	if err != nil || text == "Local" {
		o.r.refuse(o.field(name), fmt.Sprintf("%q is not a known time zone", text),
			"write a name of the zone database, for example Europe/Paris")
		return nil
	}
	return zone
}

func (o object) classes() []patch.Class {
	if !o.has("content") {
		return []patch.Class{patch.Security}
	}
	content := o.r.object(o.field("content"), "classes")
	content.need("classes", "write classes: [security]")
	var out []patch.Class
	content.list("classes", func(at place) {
		out = append(out, oneOf(o.r, at, "", []patch.Class{patch.Security, patch.Quality, patch.ThirdParty}))
	})
	if content.has("classes") && len(out) == 0 {
		o.r.refuse(content.field("classes"), "is empty", "write classes: [security]")
	}
	return out
}

func (o object) verification() Verification {
	v := Verification{DaysAfterLastRingOpens: defaultVerification}
	if o.has("verification") {
		in := o.r.object(o.field("verification"), "days_after_last_ring_opens")
		in.need("days_after_last_ring_opens", "write how many days, for example 2")
		v.DaysAfterLastRingOpens = in.integer("days_after_last_ring_opens", defaultVerification, limits{1, 30})
	}
	return v
}

func (o object) visas() []Visa {
	var out []Visa
	o.list("visas", func(at place) {
		in := o.r.object(at, "role", "date")
		in.need("role", "name the role that signed")
		in.need("date", "write when it signed, YYYY-MM-DD")
		visa := Visa{Role: in.text("role")}
		if in.has("date") {
			var err error
			if visa.Date, err = calendar.ParseDate(in.text("date")); err != nil {
				o.r.refuse(in.field("date"), err.Error(), "write it YYYY-MM-DD")
			}
		}
		out = append(out, visa)
	})
	return out
}

// incidents reads the severities that roll back and that hold. Without a word
// in the file a critical incident holds and nothing rolls back by itself.
func (o object) incidents() (rollBack, hold Severity) {
	if !o.has("rollback") {
		return NoSeverity, Critical
	}
	in := o.r.object(o.field("rollback"), "on_severity", "hold_on_severity")
	in.need("on_severity", "write on_severity: critical")
	rollBack = choice(in, "on_severity", NoSeverity, Severities())
	hold = choice(in, "hold_on_severity", rollBack, Severities())
	if hold.rank() > rollBack.rank() && rollBack != NoSeverity {
		o.r.refuse(in.field("hold_on_severity"), fmt.Sprintf("is %s, above the severity that rolls back", hold),
			fmt.Sprintf("write %s or a milder one: what rolls back also holds", rollBack))
	}
	return rollBack, hold
}

func (o object) perimeter() (perimeter, exclude fleet.Selector) {
	if !o.has("perimeter") {
		return perimeter, exclude
	}
	in := o.r.object(o.field("perimeter"), append(selectorFields(), "exclude")...)
	perimeter = in.selector()
	if in.has("exclude") {
		exclude = o.r.object(in.field("exclude"), selectorFields()...).selector()
	}
	return perimeter, exclude
}

func selectorFields() []string { return []string{"all", "groups", "tags", "names", "kinds"} }

// selector reads which devices are meant. Kinds alone mean every device of
// those kinds; nothing at all is refused, because it would select nobody.
func (o object) selector() fleet.Selector {
	s := fleet.Selector{All: o.boolean("all"), Groups: o.texts("groups"), Names: o.texts("names")}
	o.list("tags", func(at place) { s.Tags = append(s.Tags, o.r.tags(at)) })
	o.list("kinds", func(at place) { s.Kinds = append(s.Kinds, oneOf(o.r, at, "", fleet.Kinds())) })
	named := len(s.Groups)+len(s.Names)+len(s.Tags) > 0
	switch {
	case s.All && named:
		o.r.refuse(o.at, "selects all devices and some of them", "keep all: true, or the groups, tags and names")
	case !s.All && !named && len(s.Kinds) > 0:
		s.All = true
	case !s.All && !named && o.written() == 0:
		o.r.refuse(o.at, "selects no device", "name groups, tags, names or kinds, or write all: true")
	}
	return s
}

// written counts the selector fields with a problem of their own, which needs
// no second complaint.
func (o object) written() int {
	n := 0
	for _, f := range selectorFields() {
		if node, there := o.fields[f]; there && (node == nil || describe(node) != "a list" || len(node.Content) > 0) {
			n++
		}
	}
	return n
}

func (r *reader) tags(at place) fleet.Tags {
	tags := fleet.Tags{}
	if describe(at.node) != "fields" {
		key, value, ok := strings.Cut(at.node.Value, "=")
		if ok && key != "" && value != "" {
			tags[key] = value
			return tags
		}
		r.refuse(at, "wants a tag, not "+describe(at.node), "write {ring: r1} or ring=r1")
		return tags
	}
	var keys []string
	for i := 0; i+1 < len(at.node.Content); i += 2 {
		keys = append(keys, at.node.Content[i].Value)
	}
	o := r.object(at, keys...)
	for _, k := range keys {
		tags[k] = o.text(k)
	}
	if len(tags) == 0 {
		r.refuse(at, "has no tag", "write {ring: r1} or ring=r1")
	}
	return tags
}
