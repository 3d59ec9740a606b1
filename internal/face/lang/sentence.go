package lang

import (
	"strings"
	"text/template"

	i18ntemplate "github.com/nicksnyder/go-i18n/v2/i18n/template"
)

// sentences parses the word files' templates so that an argument that is not
// given reads as empty instead of "<no value>".
type sentences struct{}

// Cacheable tells go-i18n to parse each sentence once.
func (sentences) Cacheable() bool { return true }

// Parse implements go-i18n's template.Parser.
func (sentences) Parse(src, _, _ string) (i18ntemplate.ParsedTemplate, error) {
	if !strings.Contains(src, "{{") {
		return plain(src), nil
	}
	t, err := template.New("").Option("missingkey=zero").Parse(src)
	if err != nil {
		return nil, err
	}
	return sentence{t}, nil
}

// plain is a sentence without arguments.
type plain string

// Execute implements go-i18n's template.ParsedTemplate.
func (p plain) Execute(any) (string, error) { return string(p), nil }

type sentence struct{ *template.Template }

// Execute implements go-i18n's template.ParsedTemplate.
func (s sentence) Execute(data any) (string, error) {
	var b strings.Builder
	err := s.Template.Execute(&b, data)
	return b.String(), err
}
