package lang

import (
	"strings"

	"patchring/internal/core/campaign"
)

// Rule is the name of a rule, as outcomes carry it ("profile:servers/slow",
// "tenant/kernel", "class:security"), in words that stand after a colon or in a
// column. What an operator named stays as it was written.
func (w Words) Rule(rule string) string {
	where, name, _ := strings.Cut(rule, "/")
	kind, of, _ := strings.Cut(where, ":")
	switch {
	case rule == "":
		return ""
	case kind == "profile":
		return w.T("rule.profile", "name", name, "profile", of)
	case kind == "tenant" || kind == "global":
		return w.T("rule."+kind, "name", name)
	case kind == "class":
		return w.T("rule.class", "name", w.Word(Class, of))
	case kind == "exception":
		return w.T("rule.exception", "name", of)
	case kind == "name":
		return w.T("rule.name", "name", name)
	case w.Has("rule." + rule):
		return w.T("rule." + rule)
	}
	return w.T("rule.patch") // the scope of a decision is the patch's id
}

// Emergency is why a campaign is one: by its cause, and what that names.
func (w Words) Emergency(cause campaign.Cause, name string) string {
	return w.T("emergency."+string(cause), "name", name)
}
