package manifest

import (
	"fmt"
	"regexp"
	"time"

	"patchring/internal/core/calendar"
)

// Text is what people read, in the languages of the product.
type Text struct {
	FR string `json:"fr"`
	EN string `json:"en"`
}

// In is the text in a language ("fr"; anything else is English).
func (t Text) In(lang string) string {
	if lang == "fr" {
		return t.FR
	}
	return t.EN
}

// IsZero tells that there is no text.
func (t Text) IsZero() bool { return t == Text{} }

var identifier = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// MaxName is the longest name.
const MaxName = 63

// Identifier reads a name fit for addresses and subjects.
func (o Object) Identifier(name string) string {
	text := o.Text(name)
	if text != "" && (!identifier.MatchString(text) || len(text) > MaxName) {
		o.Reader.Refuse(o.Field(name), fmt.Sprintf("%q is not an identifier", text),
			"write at most 63 lower-case letters and digits, with single dashes between")
	}
	return text
}

// Words reads a text, the same in both languages or one for each.
func (o Object) Words(name string) Text {
	if !o.Has(name) {
		return Text{}
	}
	return o.Reader.Words(o.Field(name))
}

// Words reads a text at a place.
func (r *Reader) Words(at Place) Text {
	if at.node.Kind != 0 && describe(at.node) != "fields" {
		text := r.Text(at)
		return Text{FR: text, EN: text}
	}
	o := r.Object(at, "fr", "en")
	o.Need("fr", "write the French text")
	o.Need("en", "write the English text")
	return Text{FR: o.Text("fr"), EN: o.Text("en")}
}

// WordLists reads a list of texts, or a list for each language that say the
// same things in the same order.
func (o Object) WordLists(name string) []Text {
	if !o.Has(name) || describe(o.Field(name).node) != "fields" {
		var out []Text
		o.List(name, func(at Place) { out = append(out, o.Reader.Words(at)) })
		return out
	}
	both := o.Reader.Object(o.Field(name), "fr", "en")
	both.Need("fr", "write the French list")
	both.Need("en", "write the English list")
	french, english := both.Texts("fr"), both.Texts("en")
	if !both.Has("fr") || !both.Has("en") {
		return nil
	}
	if len(french) != len(english) {
		o.Reader.Refuse(both.At, fmt.Sprintf("has %d French and %d English lines", len(french), len(english)),
			"write each line in both languages, in the same order")
		return nil
	}
	var out []Text
	for i := range french {
		out = append(out, Text{FR: french[i], EN: english[i]})
	}
	return out
}

// Zone reads a name of the zone database; nil when it is not there.
func (o Object) Zone(name string) *time.Location {
	text := o.Text(name)
	if text == "" {
		return nil
	}
	zone, err := time.LoadLocation(text)
	// "Local" would mean another thing on each machine.
	if err != nil || text == "Local" {
		o.Reader.Refuse(o.Field(name), fmt.Sprintf("%q is not a known time zone", text),
			"write a name of the zone database, for example Europe/Paris")
		return nil
	}
	return zone
}

// Clock reads an hour of the day.
func (o Object) Clock(name string, otherwise calendar.Clock) calendar.Clock {
	if !o.Has(name) {
		return otherwise
	}
	text := o.Text(name)
	c, err := calendar.ParseClock(text)
	if err != nil && text != "" {
		o.Reader.Refuse(o.Field(name), err.Error(), `write it between quotes, for example "09:00"`)
		return otherwise
	}
	return c
}

// Date reads a day; the zero Date when it is not there.
func (o Object) Date(name string) calendar.Date {
	text := o.Text(name)
	d, err := calendar.ParseDate(text)
	if err != nil && text != "" {
		o.Reader.Refuse(o.Field(name), err.Error(), "write it YYYY-MM-DD")
	}
	return d
}
