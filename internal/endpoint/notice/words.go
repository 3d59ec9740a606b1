// Package notice is what people at the device read and how they answer without
// a desktop: the words of notices in French and English, and the local socket
// behind the notices, defer and install-now verbs.
//
// The agent cannot link the server's words, so these are its own; they are the
// only sentences for device users. The socket believes what the kernel says of
// its caller, and lets a person answer for themselves alone.
package notice

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"patchring/internal/endpoint/executor"
	"patchring/internal/endpoint/executor/people"
	"patchring/wire"
)

// Lang is a language there are words for.
type Lang string

// The languages. A session that speaks another one reads English.
const (
	English Lang = "en"
	French  Lang = "fr"
)

// Of is the language of a locale such as fr_FR.UTF-8.
func Of(locale string) Lang {
	if tag := strings.ToLower(locale); tag == "fr" || strings.HasPrefix(tag, "fr_") || strings.HasPrefix(tag, "fr.") {
		return French
	}
	return English
}

//go:embed en.json
var english []byte

//go:embed fr.json
var french []byte

// words are the sentences of a language; a test reads every one of them.
func words(l Lang) map[string]string {
	text := english
	if l == French {
		text = french
	}
	var w map[string]string
	if err := json.Unmarshal(text, &w); err != nil {
		panic("notice: words of " + string(l) + ": " + err.Error()) // they are part of the program
	}
	return w
}

// Text is one notice for one reader.
type Text struct {
	Title, Body, Plain string
}

// Tell puts a notice in words; now is in the reader's zone.
func Tell(l Lang, a executor.Announcement, now time.Time) Text {
	w := words(l)
	about := string(a.Act)
	if a.Kind == wire.OrderRollback {
		about += ".back"
	}
	t := Text{Title: w["title."+about], Body: w["body."+about], Plain: w["plain"]}
	own := tenantWords(l, a.Text)
	if a.Kind == wire.OrderRollback {
		own = wire.NoticeWords{} // they speak of updates that are installed
	}
	if own.Title != "" {
		t.Title = own.Title
	}
	if own.Body != "" {
		t.Body = own.Body
	}
	lines := []string{t.Body}
	if a.Act == wire.ActInstall && len(a.Items) > 0 {
		lines = append(lines, fmt.Sprintf(w["items"], list(w, a.Items)))
	}
	switch a.State {
	case people.StateCountdown:
		lines = append(lines, fmt.Sprintf(w["countdown"], when(w, a.At, now)))
	case people.StateAgreed:
		lines = append(lines, w["agreed"])
	case people.StatePostponed:
		lines = append(lines, fmt.Sprintf(w["postponed"], when(w, a.At, now)), fmt.Sprintf(w["deadline"], when(w, a.Deadline, now)))
	case people.StateAsked:
		lines = append(lines, fmt.Sprintf(w["deadline"], when(w, a.Deadline, now)), fmt.Sprintf(w["left"], a.Left))
	default:
		lines = append(lines, fmt.Sprintf(w["announced"], when(w, a.Deadline, now)))
	}
	if a.Link != "" {
		lines = append(lines, fmt.Sprintf(w["link"], a.Link))
	}
	t.Body = strings.Join(lines, "\n")
	return t
}

// Label is what a button says.
func Label(l Lang, a executor.Announcement, o people.Offer, now time.Time) string {
	w := words(l)
	switch o.Choice {
	case people.Now:
		switch {
		case a.Act == wire.ActReboot:
			return w["button.restart"]
		case a.Kind == wire.OrderRollback:
			return w["button.back"]
		}
		return w["button.now"]
	case people.Hour:
		return w["button.1h"]
	default:
		return fmt.Sprintf(w["button."+string(o.Choice)], o.At.In(now.Location()).Format("15:04"))
	}
}

// Refused says why an answer is not taken.
func Refused(l Lang, why people.Why, at, now time.Time) string {
	text := words(l)[string(why)]
	if strings.Contains(text, "%s") {
		return fmt.Sprintf(text, when(words(l), at, now))
	}
	return text
}

// Nothing says that nothing is announced.
func Nothing(l Lang) string { return words(l)["none"] }

// Taken says that an answer was taken.
func Taken(l Lang, c people.Choice) string {
	if c == people.Now {
		return words(l)["taken.now"]
	}
	return words(l)["taken.later"]
}

func tenantWords(l Lang, t *wire.NoticeText) wire.NoticeWords {
	switch {
	case t == nil:
		return wire.NoticeWords{}
	case l == French:
		return t.FR
	default:
		return t.EN
	}
}

// maxNamed is how many updates a notice names.
const maxNamed = 4

func list(w map[string]string, items []string) string {
	if len(items) <= maxNamed {
		return strings.Join(items, ", ")
	}
	return fmt.Sprintf(w["more"], strings.Join(items[:maxNamed], ", "), len(items)-maxNamed)
}

// when is an instant as people say it.
func when(w map[string]string, at, now time.Time) string {
	at = at.In(now.Location())
	clock := at.Format("15:04")
	day := func(t time.Time) string { return t.Format(time.DateOnly) }
	y, m, d := now.Date()
	switch day(at) {
	case day(now):
		return fmt.Sprintf(w["today"], clock)
	case day(time.Date(y, m, d+1, 12, 0, 0, 0, now.Location())):
		return fmt.Sprintf(w["tomorrow"], clock)
	}
	return fmt.Sprintf(w["on"], strings.Fields(w["days"])[at.Weekday()], at.Day(), strings.Fields(w["months"])[at.Month()-1], clock)
}

// code is what a reply over the socket carries of a refusal.
type code struct {
	Why people.Why `json:"why"`
	At  time.Time  `json:"at,omitzero"`
}

// Refusals that only the socket gives.
const (
	Unreachable people.Why = "unreachable"
	badRequest  people.Why = "bad_request"
	failed      people.Why = "failed"
)
