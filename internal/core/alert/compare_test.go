package alert_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/alert"
	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
)

const inForce = `alerts: parc
title: {fr: Parc, en: Fleet}
language: fr
outputs:
  - {name: ops, mail: {server: "smtp.example.org:587", from: p@example.org, to: [b@example.org, a@example.org]}}
  - {name: hook, webhook: {url: "https://h.example.org/x", secret: file:webhook}}
rules:
  - {name: cpu, title: CPU, measure: cpu_percent, above: 90, for: 10m, scope: {during: campaign}, then: hold, severity: warning, who: ops, outputs: [ops]}
  - {name: silent, title: Silent, event: device_silent, severity: warning, who: ops, outputs: [hook]}
  - {name: gone, title: Gone, measure: cpu_percent, above: 99, scope: {during: campaign}, then: incident, severity: warning, who: ops, outputs: [ops]}
`

func book(t *testing.T, text string) alert.Book {
	t.Helper()
	b, err := alert.Parse("alerts.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWhatADocumentChangesIsSaidFieldByField(t *testing.T) {
	after := book(t, `alerts: parc
title: {fr: Parc, en: Fleet}
language: en
outputs:
  - {name: ops, mail: {server: "smtp.example.org:587", from: p@example.org, to: [a@example.org]}}
  - {name: team, teams: {url: file:teams}}
rules:
  - {name: new, title: {fr: Neuf, en: New}, measure: disk_free_percent, below: 5, clear: 8, scope: {groups: [r1], during: campaign}, then: hold_device, severity: info, who: ops, outputs: [team]}
  - {name: cpu, title: CPU, measure: cpu_percent, above: 95, for: 90m, severity: critical, who: ops, outputs: [ops], escalate: {after: 30m, outputs: [team], who: it}}
  - {name: silent, title: Silent, event: device_silent, for: 15m, severity: warning, who: ops, outputs: [team]}
`)
	want := alert.Difference{
		Head: []alert.Turned{{Field: "language", Before: "fr", After: "en"}},
		Rules: []alert.BookChange{
			{Name: "new", Title: manifest.Text{FR: "Neuf", EN: "New"}, Kind: alert.Added, Fields: []alert.Turned{
				{Field: "title", After: "Neuf / New"}, {Field: "measure", After: "disk_free_percent"}, {Field: "scope", After: "groups: r1; during: campaign"},
				{Field: "severity", After: "info"}, {Field: "who", After: "ops"}, {Field: "outputs", After: "team"}, {Field: "then", After: "hold_device"},
				{Field: "below", After: "5"}, {Field: "clear", After: "8"},
			}},
			{Name: "cpu", Title: manifest.Text{FR: "CPU", EN: "CPU"}, Kind: alert.Changed, Fields: []alert.Turned{
				{Field: "for", Before: "10m", After: "1h30m"}, {Field: "severity", Before: "warning", After: "critical"}, {Field: "escalate", After: "30m → team (it)"},
				{Field: "above", Before: "90", After: "95"}, {Field: "clear", Before: "90", After: "95"},
				{Field: "scope", Before: "during: campaign"}, {Field: "then", Before: "hold"},
			}},
			// That an absence is written with the duration it has anyway is no change.
			{Name: "silent", Title: manifest.Text{FR: "Silent", EN: "Silent"}, Kind: alert.Changed, Fields: []alert.Turned{{Field: "outputs", Before: "hook", After: "team"}}},
			{Name: "gone", Title: manifest.Text{FR: "Gone", EN: "Gone"}, Kind: alert.Removed, Fields: []alert.Turned{
				{Field: "title", Before: "Gone"}, {Field: "measure", Before: "cpu_percent"}, {Field: "scope", Before: "during: campaign"}, {Field: "severity", Before: "warning"},
				{Field: "who", Before: "ops"}, {Field: "outputs", Before: "ops"}, {Field: "then", Before: "incident"}, {Field: "above", Before: "99"}, {Field: "clear", Before: "99"},
			}},
		},
		Outputs: []alert.BookChange{
			{Name: "ops", Kind: alert.Changed, Fields: []alert.Turned{{Field: "to", Before: "a@example.org, b@example.org", After: "a@example.org"}}},
			{Name: "team", Kind: alert.Added, Fields: []alert.Turned{{Field: "way", After: "teams"}, {Field: "url", After: "file:teams"}}},
			{Name: "hook", Kind: alert.Removed, Fields: []alert.Turned{
				{Field: "way", Before: "webhook"}, {Field: "url", Before: "https://h.example.org/x"}, {Field: "secret", Before: "file:webhook"},
			}},
		},
		Acts: []alert.Acting{
			{Rule: "new", Title: manifest.Text{FR: "Neuf", EN: "New"}, Does: alert.HoldDevice},
			{Rule: "cpu", Title: manifest.Text{FR: "CPU", EN: "CPU"}, Was: alert.HoldCampaign},
			{Rule: "gone", Title: manifest.Text{FR: "Gone", EN: "Gone"}, Was: alert.OpenIncident},
		},
	}
	if diff := cmp.Diff(want, alert.Compare(book(t, inForce), after)); diff != "" {
		t.Errorf("the difference (-want +got):\n%s", diff)
	}
}

func TestADocumentIsNoDifferenceToItself(t *testing.T) {
	b := book(t, inForce)
	d := alert.Compare(b, b)
	if !d.Nothing() {
		t.Errorf("it changes %+v", d)
	}
	if len(d.Acts) != 2 || d.Acts[0].Was != alert.HoldCampaign || d.Acts[0].Does != alert.HoldCampaign {
		t.Errorf("what acts by itself: %+v", d.Acts)
	}
}

// Whoever adds a field to a rule or an output adds it to the comparison: else
// somebody confirms what was not shown.
func TestNoFieldOfARuleOrAnOutputChangesUnseen(t *testing.T) {
	rule := alert.Rule{
		Name: "r", Measure: "cpu_percent", Limit: 1, Clear: 1, Devices: fleet.Selector{All: true}, During: alert.Always, Severity: alert.Info, Who: "ops",
		Escalate: alert.Escalation{After: time.Hour, Outputs: []string{"a"}},
	}
	compare := func(a, b alert.Rule) bool {
		return !alert.Compare(alert.Book{Rules: []alert.Rule{a}}, alert.Book{Rules: []alert.Rule{b}}).Nothing()
	}
	for _, path := range leaves(reflect.TypeFor[alert.Rule](), nil) {
		was := rule
		switch path[0] {
		case "After": // is read of absences alone
			was.Measure, was.Event = "", alert.DeviceSilent
		}
		other := was
		f := field(&other, path)
		switch path[len(path)-1] {
		case "All": // is what nothing else chosen means
			continue
		case "During":
			f.SetString(string(alert.DuringCampaign))
		default:
			set(t, f)
		}
		if !compare(was, other) {
			t.Errorf("Rule.%v changes unseen", path)
		}
	}
	output := alert.Output{Name: "o", Way: alert.Mail}
	for _, path := range leaves(reflect.TypeFor[alert.Output](), nil) {
		other := output
		set(t, field(&other, path))
		if alert.Compare(alert.Book{Outputs: []alert.Output{output}}, alert.Book{Outputs: []alert.Output{other}}).Nothing() {
			t.Errorf("Output.%v changes unseen", path)
		}
	}
}

// leaves are the fields of a struct and of those in it.
func leaves(t reflect.Type, at []string) [][]string {
	var out [][]string
	for f := range t.Fields() {
		path := append(append([]string{}, at...), f.Name)
		if f.Type.Kind() == reflect.Struct {
			out = append(out, leaves(f.Type, path)...)
			continue
		}
		out = append(out, path)
	}
	return out
}

func field(in any, path []string) reflect.Value {
	v := reflect.ValueOf(in).Elem()
	for _, name := range path {
		v = v.FieldByName(name)
	}
	return v
}

func set(t *testing.T, v reflect.Value) {
	t.Helper()
	switch {
	case v.Kind() == reflect.String:
		v.SetString("else")
	case v.Kind() == reflect.Bool:
		v.SetBool(!v.Bool())
	case v.CanInt():
		v.SetInt(int64(7 * time.Minute))
	case v.CanFloat():
		v.SetFloat(42)
	case v.Type() == reflect.TypeFor[[]fleet.Tags]():
		v.Set(reflect.ValueOf([]fleet.Tags{{"a": "b"}}))
	case v.Kind() == reflect.Slice:
		one := reflect.New(v.Type().Elem()).Elem()
		one.SetString("else")
		v.Set(reflect.Append(reflect.MakeSlice(v.Type(), 0, 1), one))
	default:
		t.Fatalf("a field of kind %s: say how it is set", v.Kind())
	}
}
