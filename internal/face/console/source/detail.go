package source

import (
	"fmt"

	"patchring/internal/face/lang"
)

// detail says what a register entry keeps beside its kind, as far as people
// want to read it in a list; the whole entry is in the export.
func detail(w lang.Words, d map[string]any) string {
	text := func(key string) string {
		if v, ok := d[key].(string); ok {
			return v
		}
		return ""
	}
	number := func(key string) string {
		if v, ok := d[key]; ok {
			return fmt.Sprint(v)
		}
		return ""
	}
	switch {
	case text("role") != "" && text("decision") != "":
		out := w.T("detail.sign", "role", w.Role(text("role")), "decision", w.Word(lang.Answer, text("decision")))
		if c := text("comment"); c != "" {
			out += " — " + c
		}
		return out
	case text("verdict") != "":
		word := w.Word(lang.Gate, text("verdict"))
		if word == text("verdict") {
			word = w.Word(lang.Verdict, text("verdict"))
		}
		return joined(word, text("why"))
	case text("procedure") != "":
		return w.T("detail.procedure", "name", text("procedure"), "version", number("version"))
	case text("policy") != "":
		return w.T("detail.procedure", "name", text("policy"), "version", number("version"))
	case number("devices") != "" && number("items") != "":
		return w.T("detail.rollback", "devices", number("devices"), "items", number("items"), "impossible", number("impossible"))
	}
	for _, key := range []string{"why", "reason", "name", "title"} {
		if v := text(key); v != "" {
			return v
		}
	}
	return ""
}

func joined(a, b string) string {
	if b == "" {
		return a
	}
	return a + " — " + b
}
