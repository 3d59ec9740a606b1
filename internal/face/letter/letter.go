// Package letter puts what alerts tell into words: mails in text and HTML, lines
// for chats. It knows no output and no rule; it is given messages as they were
// kept and a language. What devices and people called something comes as text
// and never as markup.
//
// Pure but for its templates; safe from any goroutine.
package letter

import (
	"bytes"
	"fmt"
	"html/template"
	"strings"
	"time"

	"patchring/internal/core/alert"
	"patchring/internal/face/lang"
	"patchring/internal/service/herald"
)

// Writer writes letters of one site.
type Writer struct {
	// Base is where the console is, by which links begin.
	Base func() string
	// Zone is the one in which times are told.
	Zone *time.Location
}

// line is one message, in words.
type line struct {
	Kind, Title, What, Where, Did, Who, When, Link string
	Severity                                       alert.Severity
	Over                                           bool
}

// Write puts messages of a tenant into words.
func (w Writer) Write(language, tenant string, list []alert.Message) (herald.Letter, error) {
	words := lang.For(language).In(w.Zone)
	out := herald.Letter{Subject: subject(words, tenant, list), Link: w.Base() + "/alerts"}
	lines := make([]line, 0, len(list))
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n", out.Subject)
	for _, m := range list {
		one := w.line(words, m)
		lines = append(lines, one)
		out.Lines = append(out.Lines, words.AlertLine(m))
		out.Grave = out.Grave || m.Severity == alert.Critical && m.Kind != alert.Over
		fmt.Fprintf(&text, "\n%s\n  %s\n", words.AlertLine(m), one.When)
		if one.Link != "" {
			fmt.Fprintf(&text, "  %s\n", one.Link)
		}
	}
	fmt.Fprintf(&text, "\n-- \n%s\n%s\n", words.T("letter.foot"), out.Link)
	out.Text = text.String()
	var html bytes.Buffer
	err := page.Execute(&html, map[string]any{
		"Lang": language, "Subject": out.Subject, "Lines": lines, "Link": out.Link, "Foot": words.T("letter.foot"), "Open": words.T("letter.open"), "Acts": words.T("letter.acts"),
	})
	if err != nil {
		return herald.Letter{}, fmt.Errorf("write mail: %w", err)
	}
	out.HTML = html.String()
	return out, nil
}

func (w Writer) line(words lang.Words, m alert.Message) line {
	if m.Kind == alert.Test {
		return line{Kind: words.Word(lang.AlertNotice, string(m.Kind)), Title: words.AlertLine(m), When: words.Moment(m.At), Severity: m.Severity}
	}
	out := line{
		Kind: words.Word(lang.AlertNotice, string(m.Kind)), Title: m.Title.In(string(words.Lang())), What: words.AlertWhat(m), Where: words.AlertWhere(m),
		Severity: m.Severity, Over: m.Kind == alert.Over, Link: w.Base() + "/alerts/" + m.Alert,
	}
	out.When = words.T("letter.since", "since", words.Moment(m.Since))
	if out.Over {
		out.When = words.T("letter.over", "since", words.Moment(m.Since), "at", words.Moment(m.At))
	} else {
		out.Did, out.Who = words.AlertDid(m), words.Role(m.Who)
	}
	return out
}

// subject is what is read on a telephone at night: what is worst, and where.
func subject(w lang.Words, tenant string, list []alert.Message) string {
	head := "[Patchring] "
	if tenant != "" {
		head = "[Patchring · " + plain(tenant) + "] "
	}
	if len(list) == 1 {
		m := list[0]
		switch m.Kind {
		case alert.Test:
			return head + w.T("letter.test", "output", m.Rule)
		case alert.Over:
			return head + short(w.Word(lang.AlertNotice, string(m.Kind))+w.T("alert.colon")+m.Title.In(string(w.Lang()))+place(w, m))
		}
		return head + short(strings.ToUpper(w.Word(lang.AlertSeverity, string(m.Severity)))+w.T("alert.colon")+m.Title.In(string(w.Lang()))+place(w, m))
	}
	fired, critical := int64(0), int64(0)
	for _, m := range list {
		if m.Kind != alert.Over {
			fired++
			if m.Severity == alert.Critical {
				critical++
			}
		}
	}
	switch {
	case fired == 0:
		return head + w.N("letter.all_over", int64(len(list)))
	case critical == 0:
		return head + w.N("letter.several", fired)
	}
	return head + w.N("letter.several", fired) + ", " + w.N("letter.critical", critical)
}

func place(w lang.Words, m alert.Message) string {
	if where := w.AlertWhere(m); where != "" {
		return " — " + where
	}
	return ""
}

const longestSubject = 120

// short keeps a subject on one line: a line break in it would be a header.
func short(text string) string {
	text = plain(text)
	if runes := []rune(text); len(runes) > longestSubject {
		return string(runes[:longestSubject-1]) + "…"
	}
	return text
}

func plain(text string) string { return strings.Join(strings.Fields(text), " ") }

var page = template.Must(template.New("mail").Parse(`<!doctype html>
<html lang="{{.Lang}}"><head><meta charset="utf-8"><title>{{.Subject}}</title></head>
<body style="margin:0;padding:24px;background:#f5f6f8;color:#1b1f26;font:15px/1.5 'Segoe UI',Roboto,Helvetica,Arial,sans-serif">
<div style="max-width:640px;margin:0 auto">
<p style="margin:0 0 16px;font-size:17px;font-weight:600">{{.Subject}}</p>
{{$open := .Open}}{{$acts := .Acts}}{{range .Lines}}
<div style="margin:0 0 12px;padding:14px 16px;background:#fff;border:1px solid #dfe3e8;border-left:4px solid {{if .Over}}#1f7a4d{{else if eq .Severity "critical"}}#b42318{{else if eq .Severity "warning"}}#b25e09{{else}}#475467{{end}};border-radius:6px">
<p style="margin:0;font-weight:600">{{.Title}}</p>
{{if .Where}}<p style="margin:2px 0 0">{{.Where}}</p>{{end}}
{{if .What}}<p style="margin:2px 0 0">{{.What}}</p>{{end}}
{{if .Did}}<p style="margin:6px 0 0"><b>{{.Did}}</b></p>{{end}}
{{if .Who}}<p style="margin:6px 0 0"><b>{{$acts}} {{.Who}}</b></p>{{end}}
<p style="margin:6px 0 0;color:#475467;font-size:13px">{{.Kind}} · {{.When}}{{if .Link}} · <a href="{{.Link}}" style="color:#1f4fd8">{{$open}}</a>{{end}}</p>
</div>{{end}}
<p style="margin:16px 0 0;color:#475467;font-size:13px">{{.Foot}} <a href="{{.Link}}" style="color:#1f4fd8">{{.Link}}</a></p>
</div></body></html>
`))
