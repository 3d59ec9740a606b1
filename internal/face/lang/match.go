package lang

import (
	"strings"

	"golang.org/x/text/language"
)

// match finds the language a preference asks for first among those we speak.
// It goes by the base language: fr-CA and fr_BE read French.
func match(preference string) (Lang, bool) {
	posix, _, _ := strings.Cut(preference, ".") // fr_FR.UTF-8
	tags, _, err := language.ParseAcceptLanguage(strings.ReplaceAll(posix, "_", "-"))
	if err != nil || strings.Contains(preference, ";") {
		// A header can carry q=0.8: the dot cut above is for POSIX only.
		tags, _, err = language.ParseAcceptLanguage(preference)
	}
	if err != nil {
		return "", false
	}
	for _, tag := range tags {
		base, _ := tag.Base()
		for _, l := range Langs() {
			if base.String() == string(l) {
				return l, true
			}
		}
	}
	return "", false
}

const (
	noBreak       = "\u00a0"
	narrowNoBreak = "\u202f"
)

// typography puts the spaces that French wants where the word file has an
// ordinary one: narrow before ; ? ! and full before : %, and inside « ».
var typography = strings.NewReplacer(
	" ;", narrowNoBreak+";",
	" ?", narrowNoBreak+"?",
	" !", narrowNoBreak+"!",
	" :", noBreak+":",
	" %", noBreak+"%",
	"« ", "«"+noBreak,
	" »", noBreak+"»",
	"'", "’",
).Replace
