package alert

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
)

// ChangeKind says what becomes of a rule or an output.
type ChangeKind string

// What becomes of one.
const (
	Added   ChangeKind = "added"
	Removed ChangeKind = "removed"
	Changed ChangeKind = "changed"
)

// Difference is what another document would change. Values are written as a
// document writes them, so that they are found in it; what a document leaves out
// and what it writes with the same meaning is no difference.
type Difference struct {
	Head    []Turned     `json:"head" doc:"of the document itself: its name, title and language"`
	Rules   []BookChange `json:"rules"`
	Outputs []BookChange `json:"outputs"`
	Acts    []Acting     `json:"acts" doc:"every rule that acts by itself, before or after"`
}

// BookChange is what becomes of one rule or output.
type BookChange struct {
	Name   string        `json:"name"`
	Title  manifest.Text `json:"title,omitzero" doc:"of a rule"`
	Kind   ChangeKind    `json:"kind" enum:"added,removed,changed"`
	Fields []Turned      `json:"fields"`
}

// Turned is a field with another value; empty: it is not written.
type Turned struct {
	Field  Field  `json:"field"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Acting is what a rule does by itself, before and after; empty: nothing.
type Acting struct {
	Rule  string        `json:"rule"`
	Title manifest.Text `json:"title"`
	Was   Do            `json:"was,omitempty"`
	Does  Do            `json:"does,omitempty"`
}

// Nothing tells that the two documents mean the same.
func (d Difference) Nothing() bool { return len(d.Head)+len(d.Rules)+len(d.Outputs) == 0 }

// Field is a field of a document of alerts.
type Field string

// Fields, as documents write them.
const (
	FieldAlerts   Field = "alerts"
	FieldTitle    Field = "title"
	FieldLanguage Field = "language"
	FieldMeasure  Field = "measure"
	FieldEvent    Field = "event"
	FieldAbove    Field = "above"
	FieldBelow    Field = "below"
	FieldClear    Field = "clear"
	FieldFor      Field = "for"
	FieldExpires  Field = "expires"
	FieldScope    Field = "scope"
	FieldSeverity Field = "severity"
	FieldWho      Field = "who"
	FieldOutputs  Field = "outputs"
	FieldEscalate Field = "escalate"
	FieldRemind   Field = "remind"
	FieldThen     Field = "then"
	FieldWay      Field = "way"
	FieldURL      Field = "url"
	FieldSecret   Field = "secret"
	FieldServer   Field = "server"
	FieldTLS      Field = "tls"
	FieldUsername Field = "username"
	FieldPassword Field = "password"
	FieldFrom     Field = "from"
	FieldTo       Field = "to"
)

// Compare says what putting a document in force in place of another changes.
// Lists are in the order of the new document, what is removed behind it.
func Compare(before, after Book) Difference {
	out := Difference{Head: turned(before.head(), after.head()), Acts: []Acting{}}
	out.Rules = changes(before.Rules, after.Rules, func(r Rule) BookChange { return BookChange{Name: r.Name, Title: r.Title} }, Rule.fields)
	out.Outputs = changes(before.Outputs, after.Outputs, func(o Output) BookChange { return BookChange{Name: o.Name} }, Output.fields)
	for _, r := range after.Rules {
		was, _ := before.Rule(r.Name)
		if r.Then != "" || was.Then != "" {
			out.Acts = append(out.Acts, Acting{Rule: r.Name, Title: r.Title, Was: was.Then, Does: r.Then})
		}
	}
	for _, r := range before.Rules {
		if _, stays := after.Rule(r.Name); !stays && r.Then != "" {
			out.Acts = append(out.Acts, Acting{Rule: r.Name, Title: r.Title, Was: r.Then})
		}
	}
	return out
}

// changes compares two lists by the names in them.
func changes[T any](before, after []T, name func(T) BookChange, fields func(T) []value) []BookChange {
	out := []BookChange{}
	find := func(list []T, wanted string) (T, bool) {
		i := slices.IndexFunc(list, func(one T) bool { return name(one).Name == wanted })
		if i < 0 {
			var none T
			return none, false
		}
		return list[i], true
	}
	for _, one := range after {
		c := name(one)
		was, known := find(before, c.Name)
		switch {
		case !known:
			c.Kind, c.Fields = Added, turned(nil, fields(one))
		default:
			c.Kind, c.Fields = Changed, turned(fields(was), fields(one))
		}
		if len(c.Fields) > 0 {
			out = append(out, c)
		}
	}
	for _, one := range before {
		c := name(one)
		if _, stays := find(after, c.Name); !stays {
			c.Kind, c.Fields = Removed, turned(fields(one), nil)
			out = append(out, c)
		}
	}
	return out
}

// value is a field as a document writes it; the empty ones are left out.
type value struct {
	field Field
	text  string
}

func turned(before, after []value) []Turned {
	out := []Turned{}
	at := func(list []value, f Field) string {
		if i := slices.IndexFunc(list, func(v value) bool { return v.field == f }); i >= 0 {
			return list[i].text
		}
		return ""
	}
	for _, v := range after {
		if was := at(before, v.field); was != v.text {
			out = append(out, Turned{v.field, was, v.text})
		}
	}
	for _, v := range before {
		if v.text != "" && !slices.ContainsFunc(after, func(o value) bool { return o.field == v.field }) {
			out = append(out, Turned{Field: v.field, Before: v.text})
		}
	}
	return out
}

func (b Book) head() []value {
	return []value{{FieldAlerts, b.Name}, {FieldTitle, titleText(b.Title)}, {FieldLanguage, b.Lang}}
}

// fields are all that a rule says, its name apart.
func (r Rule) fields() []value {
	lasts := r.For
	if r.Event.Absent() {
		lasts = r.After
	}
	out := []value{
		{FieldTitle, titleText(r.Title)}, {FieldMeasure, string(r.Measure)}, {FieldEvent, string(r.Event)},
		{FieldFor, length(lasts)}, {FieldExpires, length(r.Expires)}, {FieldScope, r.scopeText()}, {FieldSeverity, string(r.Severity)},
		{FieldWho, r.Who}, {FieldOutputs, sorted(r.Outputs)}, {FieldEscalate, r.Escalate.text()}, {FieldRemind, length(r.Remind)}, {FieldThen, string(r.Then)},
	}
	if r.Measure != "" {
		limit := FieldAbove
		if r.Below {
			limit = FieldBelow
		}
		out = append(out, value{limit, plain(r.Limit)}, value{FieldClear, plain(r.Clear)})
	}
	return written(out)
}

func (e Escalation) text() string {
	if e.After == 0 {
		return ""
	}
	text := length(e.After) + " → " + sorted(e.Outputs)
	if e.Who != "" {
		text += " (" + e.Who + ")"
	}
	return text
}

func (r Rule) scopeText() string {
	var parts []string
	add := func(name string, list []string) {
		if len(list) > 0 {
			parts = append(parts, name+": "+sorted(list))
		}
	}
	add("groups", r.Devices.Groups)
	var tags []string
	for _, set := range r.Devices.Tags {
		tags = append(tags, tagText(set))
	}
	add("tags", tags)
	add("names", r.Devices.Names)
	var kinds []string
	for _, k := range r.Devices.Kinds {
		kinds = append(kinds, string(k))
	}
	add("kinds", kinds)
	add("sites", r.Sites)
	if r.During == DuringCampaign {
		parts = append(parts, "during: "+string(r.During))
	}
	return strings.Join(parts, "; ")
}

// tagText is one set of tags that a device must all have.
func tagText(set fleet.Tags) string {
	var pairs []string
	for k, v := range set {
		pairs = append(pairs, k+"="+v)
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "+")
}

// fields are all that an output says, its name apart. A secret is only the name
// of where it is.
func (o Output) fields() []value {
	url := o.URL
	if o.Hook != "" {
		url = string(o.Hook)
	}
	return written([]value{
		{FieldWay, string(o.Way)}, {FieldURL, url}, {FieldSecret, string(o.Secret)}, {FieldServer, o.Server}, {FieldTLS, string(o.TLS)},
		{FieldUsername, o.User}, {FieldPassword, string(o.Pass)}, {FieldFrom, o.From}, {FieldTo, sorted(o.To)},
	})
}

func written(list []value) []value {
	return slices.DeleteFunc(list, func(v value) bool { return v.text == "" })
}

func titleText(t manifest.Text) string {
	if t.FR == t.EN {
		return t.FR
	}
	return t.FR + " / " + t.EN
}

// sorted is a list whose order says nothing.
func sorted(list []string) string {
	list = slices.Clone(list)
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func plain(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// length is a duration as a document writes it: 10m, 36h, 1h30m.
func length(d time.Duration) string {
	if d == 0 {
		return ""
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
