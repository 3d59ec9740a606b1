// Package lang is the only place where codes become sentences, in French and
// in English: for the console, the CLI, the API's error titles, notices and
// documents alike. It owns the two word files, plurals, French typography, and
// how dates, numbers, sizes, durations and shares are written.
//
// It decides nothing and knows no clock: "ago" is counted from an instant that
// the caller gives. A word it lacks is a programmer's mistake that the tests
// find; at run time it shows the key, because a page that says too little
// beats a page that does not come.
//
// Words is an immutable value, safe from any goroutine.
package lang

import (
	"embed"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"
	_ "time/tzdata" // Windows has no zone database

	"github.com/go-playground/locales"
	"github.com/go-playground/locales/en_GB"
	"github.com/go-playground/locales/fr"
	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

// Lang is a language Patchring speaks.
type Lang string

// The languages. English is also what a reader of neither is given.
const (
	English Lang = "en"
	French  Lang = "fr"
)

// Langs lists every language.
func Langs() []Lang { return []Lang{English, French} }

//go:embed en.json fr.json
var files embed.FS

// Words is one language in one time zone.
type Words struct {
	lang   Lang
	zone   *time.Location
	locale locales.Translator
	words  *i18n.Localizer
}

// load reads the embedded files once: they are part of the program, so this is
// a constant that takes work, not state.
var load = sync.OnceValue(func() map[Lang]Words {
	return map[Lang]Words{
		English: book(English, language.BritishEnglish, en_GB.New()),
		French:  book(French, language.French, fr.New()),
	}
})

// book panics on a file that does not parse: the program is then broken as
// built, and the tests could not have passed.
func book(l Lang, tag language.Tag, locale locales.Translator) Words {
	raw, err := files.ReadFile(string(l) + ".json")
	if err != nil {
		panic(fmt.Sprintf("lang: read %s words: %v", l, err))
	}
	// A bundle for each language: a word missing in one must not silently come
	// out in the other.
	bundle := i18n.NewBundle(tag)
	bundle.RegisterUnmarshalFunc("json", json.Unmarshal)
	file, err := i18n.ParseMessageFileBytes(raw, string(l)+".json",
		map[string]i18n.UnmarshalFunc{"json": json.Unmarshal})
	if err != nil {
		panic(fmt.Sprintf("lang: parse %s words: %v", l, err))
	}
	for _, m := range file.Messages {
		if l == French {
			m.One, m.Other = typography(m.One), typography(m.Other)
		}
		// CLDR gives French a form for whole millions; written in digits it
		// is the plural.
		m.Many = m.Other
		if err := bundle.AddMessages(tag, m); err != nil {
			panic(fmt.Sprintf("lang: add %s word %q: %v", l, m.ID, err))
		}
	}
	return Words{lang: l, zone: time.UTC, locale: locale, words: i18n.NewLocalizer(bundle, tag.String())}
}

// For gives the words of the first preference that names a language we speak.
// A preference is an account's language, a cookie, an Accept-Language header
// or a POSIX locale (fr_FR.UTF-8); empty and foreign ones are passed over.
// Times are in UTC until In is called.
func For(preferences ...string) Words {
	for _, p := range preferences {
		if l, ok := match(p); ok {
			return load()[l]
		}
	}
	return load()[English]
}

// In gives the same words with times told in zone.
func (w Words) In(zone *time.Location) Words {
	w.zone = zone
	return w
}

// Lang is the language of w.
func (w Words) Lang() Lang { return w.lang }

// Zone is the zone times are told in.
func (w Words) Zone() *time.Location { return w.zone }

// Has tells whether there is a word for id.
func (w Words) Has(id string) bool {
	_, err := w.words.Localize(&i18n.LocalizeConfig{MessageID: id, TemplateData: map[string]string{}, TemplateParser: sentences{}})
	return err == nil
}

// T is the sentence of id, with its arguments as key, value pairs that are
// already words: w.T("time.ago", "d", w.Duration(d)).
func (w Words) T(id string, pairs ...string) string {
	return w.say(&i18n.LocalizeConfig{MessageID: id, TemplateData: arguments(pairs)})
}

// N is T with a count that chooses the plural; the sentence writes it as {{.n}}.
func (w Words) N(id string, n int64, pairs ...string) string {
	data := arguments(pairs)
	data["n"] = w.Number(n)
	return w.say(&i18n.LocalizeConfig{MessageID: id, TemplateData: data, PluralCount: n})
}

func (w Words) say(c *i18n.LocalizeConfig) string {
	c.TemplateParser = sentences{}
	s, err := w.words.Localize(c)
	if err != nil {
		return "[" + c.MessageID + "]"
	}
	return s
}

func arguments(pairs []string) map[string]string {
	m := make(map[string]string, len(pairs)/2+1)
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

// List joins words: "a, b and c".
func (w Words) List(items []string) string {
	switch len(items) {
	case 0:
		return ""
	case 1:
		return items[0]
	}
	out := items[0]
	for _, it := range items[1 : len(items)-1] {
		out += ", " + it
	}
	return w.T("list.and", "most", out, "last", items[len(items)-1])
}

// Number writes a whole number with the language's grouping.
func (w Words) Number(n int64) string {
	if n > -1000 && n < 1000 {
		return strconv.FormatInt(n, 10)
	}
	return w.locale.FmtNumber(float64(n), 0)
}
