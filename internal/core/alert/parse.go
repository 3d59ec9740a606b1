package alert

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
	"patchring/wire"
)

// Bounds of a document, so that a sample is judged in microseconds.
const (
	maxRules   = 200
	maxOutputs = 50
	day        = 24 * time.Hour
)

// Parse reads the text of a document of alerts; file is its name in messages.
// The error is a *manifest.Error with every problem there is.
func Parse(file string, text []byte) (Book, error) {
	r := &manifest.Reader{What: "document of alerts", Examples: "examples/alerts"}
	b := readBook(r, text)
	if err := r.Err(file); err != nil {
		return Book{}, err
	}
	b.Warnings = r.Warnings()
	return b, nil
}

func readBook(r *manifest.Reader, text []byte) Book {
	at, ok := r.Document(text)
	if !ok {
		return Book{}
	}
	o := r.Object(at, "alerts", "title", "language", "outputs", "rules")
	o.Need("alerts", "name it with lower-case letters, digits and dashes, for example alerts: fleet")
	o.Need("title", "say what it is for, for example title: Alerts of the fleet")
	o.Need("language", "say in which language messages are sent: fr or en")
	o.Need("rules", "list the rules")
	b := Book{Name: o.Identifier("alerts"), Title: o.Words("title"), Lang: string(manifest.Choice(o, "language", "", []language{"fr", "en"}))}
	named(o, "outputs", maxOutputs, append([]string{"name"}, ways()...), func(in manifest.Object) { b.Outputs = append(b.Outputs, readOutput(in)) })
	named(o, "rules", maxRules, ruleFields, func(in manifest.Object) { b.Rules = append(b.Rules, b.readRule(in)) })
	if o.Has("rules") && len(b.Rules) == 0 && o.Field("rules").Empty() {
		r.Warn(o.Field("rules"), "is empty: there will be no alert at all", `"patchring alert rule show" writes the rules that hold without a document`)
	}
	for _, out := range b.Outputs {
		if !b.uses(out.Name) {
			r.Warn(o.Field("outputs"), "no rule tells "+out.Name, "name it in outputs: of a rule, or take it out")
		}
	}
	return b
}

type language string

func ways() []string {
	var out []string
	for _, w := range Ways() {
		out = append(out, string(w))
	}
	return out
}

var ruleFields = []string{
	"name", "title", "measure", "above", "below", "clear", "for", "event", "expires", "scope", "severity", "who", "outputs", "escalate", "remind", "then",
}

// named reads a list of objects that each have their own name.
func named(o manifest.Object, list string, most int, fields []string, each func(manifest.Object)) {
	lines, n := map[string]int{}, 0
	o.List(list, func(at manifest.Place) {
		if n++; n == most+1 {
			o.Reader.Refuse(at, fmt.Sprintf("is one too many: %d are the most", most), "put rules together that differ by their scope only")
		}
		in := o.Reader.Object(at, fields...)
		in.Need("name", "name it with lower-case letters, digits and dashes")
		name := in.Identifier("name")
		if first := lines[name]; first != 0 && name != "" {
			o.Reader.Refuse(at, fmt.Sprintf("%s is already on line %d", name, first), "give each its own name")
		}
		lines[name] = at.Line()
		each(in)
	})
}

func (b Book) uses(output string) bool {
	return slices.ContainsFunc(b.Rules, func(r Rule) bool {
		return slices.Contains(r.Outputs, output) || slices.Contains(r.Escalate.Outputs, output)
	})
}

func (b Book) readRule(o manifest.Object) Rule {
	o.Need("severity", "write info, warning or critical")
	o.Need("who", "say who must act: a role or a team")
	r := Rule{
		Name: o.Identifier("name"), Title: o.Words("title"), Devices: fleet.Selector{All: true}, During: Always,
		Severity: manifest.Choice(o, "severity", "", Severities()), Who: o.Text("who"), Remind: o.Duration("remind", 0),
	}
	if r.Title.IsZero() {
		o.Need("title", "say it in words, for example title: {fr: Processeur saturé, en: Processor saturated}")
	}
	if o.Has("scope") {
		r.scope(o.Reader.Object(o.Field("scope"), append(manifest.SelectorFields(), "sites", "during")...))
	}
	r.condition(o)
	r.readThen(o)
	r.Outputs = b.outputs(o)
	if o.Has("escalate") {
		in := o.Reader.Object(o.Field("escalate"), "after", "outputs", "who")
		in.Need("after", "say after how long without anybody's word, for example after: 30m")
		in.Need("outputs", "name the outputs that are told then")
		r.Escalate = Escalation{After: in.Duration("after", 0), Outputs: b.outputs(in), Who: in.Text("who")}
		if in.Has("after") && r.Escalate.After == 0 {
			o.Reader.Refuse(in.Field("after"), "is no time at all", "name the outputs in outputs: of the rule to tell them at once")
		}
	}
	if o.Has("remind") && r.Remind > 0 && r.Remind < time.Minute {
		o.Reader.Refuse(o.Field("remind"), "is shorter than a minute", "write 1h: whoever reads nothing else reads no reminder")
	}
	return r
}

func (b Book) outputs(o manifest.Object) []string {
	list := o.Texts("outputs")
	var known []string
	for _, out := range b.Outputs {
		known = append(known, out.Name)
	}
	for _, name := range list {
		if !slices.Contains(known, name) && name != "" {
			fix := "define it in outputs: first"
			if len(known) > 0 {
				fix = manifest.Suggest(name, known)
			}
			o.Reader.Refuse(o.Field("outputs"), fmt.Sprintf("%q is no output", name), fix)
		}
	}
	return list
}

func (r *Rule) scope(o manifest.Object) {
	if slices.ContainsFunc(manifest.SelectorFields(), o.Written) {
		r.Devices = o.Selector()
	}
	r.Sites = o.Texts("sites")
	r.During = manifest.Choice(o, "during", Always, []During{Always, DuringCampaign})
}

// condition reads what the rule is about: a measure beyond a value, or an event.
func (r *Rule) condition(o manifest.Object) {
	switch {
	case o.Written("measure") && o.Written("event"):
		o.Reader.Refuse(o.Or("event"), "stands beside measure", "make a rule of each")
	case o.Written("event"):
		r.event(o)
	case o.Written("measure"):
		r.measure(o)
	default:
		o.Need("measure", "name a measure, for example measure: cpu_percent, or an event, for example event: install_failed")
	}
}

func (r *Rule) measure(o manifest.Object) {
	r.Measure, r.For = manifest.Choice(o, "measure", "", wire.Measures()), o.Duration("for", 0)
	if o.Written("expires") {
		o.Reader.Refuse(o.Or("expires"), "is of events: a measure is over when it clears", "take it out")
	}
	limits := manifest.Limits{Low: -1e9, High: 1e9}
	switch above, below := o.Written("above"), o.Written("below"); {
	case above == below:
		o.Reader.Refuse(o.Or("above"), "wants one of above and below", "write above: 90, or below: 10 for what must not run out")
		return
	case above:
		r.Limit = o.Number("above", 0, limits)
	default:
		r.Below, r.Limit = true, o.Number("below", 0, limits)
	}
	r.Clear = o.Number("clear", r.Limit, limits)
	if r.Below && r.Clear < r.Limit || !r.Below && r.Clear > r.Limit {
		o.Reader.Refuse(o.Or("clear"), "is on the bad side: it would be over before it began", fmt.Sprintf("write a value on the other side of %g", r.Limit))
	}
	if o.Has("for") && r.For > day {
		o.Reader.Refuse(o.Field("for"), "is longer than a day", "write 24h at most")
	}
}

// How long absences last before they count, and how long an event stands, where
// the rule does not say.
const (
	silentAfter = 15 * time.Minute
	standsFor   = day
)

func (r *Rule) event(o manifest.Object) {
	r.Event = manifest.Choice(o, "event", "", Events())
	for _, name := range []string{"above", "below", "clear"} {
		if o.Written(name) {
			o.Reader.Refuse(o.Or(name), "is of measures", "take it out")
		}
	}
	switch {
	case r.Event.Absent():
		if r.After = o.Duration("for", silentAfter); r.After < time.Minute {
			o.Reader.Refuse(o.Or("for"), "is shorter than a minute", "write 15m: devices check in every minute or so")
		}
	case r.Event == ProbeDown:
		r.For = o.Duration("for", 0)
	case o.Written("for"):
		o.Reader.Refuse(o.Or("for"), "is not read with "+string(r.Event)+": it happens at one instant", "take it out")
	}
	if r.Event.InRegister() {
		if r.Expires = o.Duration("expires", standsFor); r.Expires == 0 && o.Has("expires") {
			o.Reader.Refuse(o.Field("expires"), "is no time at all", "write 24h")
		}
	} else if o.Written("expires") {
		o.Reader.Refuse(o.Or("expires"), "is not read with "+string(r.Event)+": it is over when it is over", "take it out")
	}
	if r.Event.ofCampaigns() && !r.CoversCampaigns() {
		o.Reader.Refuse(o.Or("scope"), string(r.Event)+" happens to a campaign, not to a device", "take the devices and sites out of scope")
	}
}

// ofCampaigns tells events that never name a device.
func (e Event) ofCampaigns() bool {
	return slices.Contains([]Event{GateStopped, EmergencyStarted, AmendmentAdded, VerificationDone}, e)
}

// About is the measure or the event, as one word.
func (r Rule) About() string { return strings.TrimSpace(string(r.Measure) + string(r.Event)) }
