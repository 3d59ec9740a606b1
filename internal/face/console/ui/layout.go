package ui

import (
	"strings"
	"unicode"

	"patchring/internal/face/lang"
)

// Link is an address with its words.
type Link struct{ Href, Text string }

func current(is bool) string {
	if is {
		return "page"
	}
	return "false"
}

// other is the language the switch changes to.
func other(f Frame) string {
	if f.Lang() == lang.French {
		return string(lang.English)
	}
	return string(lang.French)
}

func titles(f Frame) []string {
	out := make([]string, len(f.Account.Roles))
	for i, r := range f.Account.Roles {
		out[i] = f.Role(r)
	}
	return out
}

// initials are the first letters of the first and last word of a name.
func initials(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || r == '.' || r == '-' || r == '@' })
	out := ""
	for i, w := range words {
		if i == 0 || i == len(words)-1 {
			first := []rune(w)[:1]
			out += strings.ToUpper(string(first))
		}
	}
	return out
}
