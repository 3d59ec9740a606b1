// Package notice is what people at the device read and how they answer without
// a desktop: the words of notices in French and English, and the local socket
// behind the notices, defer and install-now verbs.
//
// The agent cannot link the server's words, so these are its own; they are the
// only sentences for device users. The socket believes what the kernel says of
// its caller, and lets a person answer for themselves alone.
package notice

import (
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

func words(l Lang) map[string]string {
	if l == French {
		return map[string]string{
			"title.install":   "Mises à jour à installer",
			"title.reboot":    "Redémarrage nécessaire",
			"body.install":    "Votre service informatique doit installer des mises à jour sur ce poste.",
			"body.reboot":     "Ce poste doit redémarrer pour terminer l'installation des mises à jour.",
			"items":           "Mises à jour : %s.",
			"more":            "%s et %d autres",
			"deadline":        "Sans réponse, rien ne commence avant l'échéance : %s.",
			"left":            "Reports restants : %d.",
			"countdown":       "L'échéance est passée. Enregistrez votre travail : début %s.",
			"agreed":          "Vous avez accepté.",
			"postponed":       "Reporté : %s.",
			"announced":       "Prévu. Échéance : %s.",
			"plain":           "Pour répondre : patchring-agent install-now, ou patchring-agent defer 1h, evening ou tomorrow.",
			"button.now":      "Installer maintenant",
			"button.restart":  "Redémarrer maintenant",
			"button.1h":       "Dans 1 h",
			"button.evening":  "Ce soir (%s)",
			"button.tomorrow": "Demain (%s)",
			"none":            "Rien n'est annoncé.",
			"taken.now":       "C'est noté : cela commence dès que possible.",
			"taken.later":     "C'est noté : reporté.",
			"today":           "aujourd'hui à %s",
			"tomorrow":        "demain à %s",
			"on":              "le %s %d %s à %s",
			"days":            "dimanche lundi mardi mercredi jeudi vendredi samedi",
			"months":          "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
			"nothing_asked":   "rien ne vous est demandé pour l'instant",
			"too_old":         "cette question n'est plus posée ; voyez patchring-agent notices",
			"too_early":       "aucune fenêtre n'est proche ; possible à partir du moment suivant : %s",
			"none_left":       "plus aucun report n'est possible",
			"past_deadline":   "l'échéance serait dépassée : %s",
			"deadline_over":   "l'échéance est passée : cela commence après le compte à rebours",
			"no_window_then":  "aucune fenêtre à ce moment-là avant l'échéance : %s",
			"already_later":   "déjà reporté : %s",
			"not_yours":       "vous n'avez pas de session graphique sur ce poste",
			"unreachable":     "l'agent ne répond pas ; est-il en service ?",
			"bad_request":     "demande incomprise",
			"failed":          "l'agent n'a pas pu enregistrer la réponse ; réessayez",
		}
	}
	return map[string]string{
		"title.install":   "Updates to install",
		"title.reboot":    "Restart needed",
		"body.install":    "Your IT department has updates to install on this computer.",
		"body.reboot":     "This computer must restart to complete the installation of updates.",
		"items":           "Updates: %s.",
		"more":            "%s and %d more",
		"deadline":        "Without an answer nothing begins before the deadline: %s.",
		"left":            "Postponements left: %d.",
		"countdown":       "The deadline has passed. Save your work: it begins %s.",
		"agreed":          "You agreed.",
		"postponed":       "Postponed: %s.",
		"announced":       "Planned. Deadline: %s.",
		"plain":           "To answer: patchring-agent install-now, or patchring-agent defer 1h, evening or tomorrow.",
		"button.now":      "Install now",
		"button.restart":  "Restart now",
		"button.1h":       "In 1 h",
		"button.evening":  "This evening (%s)",
		"button.tomorrow": "Tomorrow (%s)",
		"none":            "Nothing is announced.",
		"taken.now":       "Noted: it begins as soon as it may.",
		"taken.later":     "Noted: postponed.",
		"today":           "today at %s",
		"tomorrow":        "tomorrow at %s",
		"on":              "on %s %d %s at %s",
		"days":            "Sunday Monday Tuesday Wednesday Thursday Friday Saturday",
		"months":          "January February March April May June July August September October November December",
		"nothing_asked":   "nothing is asked of you now",
		"too_old":         "that question does not stand any more; see patchring-agent notices",
		"too_early":       "no window is near; possible from then on: %s",
		"none_left":       "it cannot be postponed again",
		"past_deadline":   "that would be past the deadline: %s",
		"deadline_over":   "the deadline has passed: it begins after the countdown",
		"no_window_then":  "there is no window then before the deadline: %s",
		"already_later":   "postponed already: %s",
		"not_yours":       "you have no desktop session on this computer",
		"unreachable":     "the agent does not answer; does it run?",
		"bad_request":     "request not understood",
		"failed":          "the agent could not keep the answer; try again",
	}
}

// Text is one notice for one reader.
type Text struct {
	Title, Body, Plain string
}

// Tell puts a notice in words; now is in the reader's zone.
func Tell(l Lang, a executor.Announcement, now time.Time) Text {
	w := words(l)
	t := Text{Title: w["title."+string(a.Act)], Body: w["body."+string(a.Act)], Plain: w["plain"]}
	if own := tenantWords(l, a.Text); own.Title != "" {
		t.Title = own.Title
	}
	if own := tenantWords(l, a.Text); own.Body != "" {
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
	t.Body = strings.Join(lines, "\n")
	return t
}

// Label is what a button says.
func Label(l Lang, act wire.Act, o people.Offer, now time.Time) string {
	w := words(l)
	switch o.Choice {
	case people.Now:
		if act == wire.ActReboot {
			return w["button.restart"]
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
