package alert

import (
	_ "embed"
	"fmt"
)

// DefaultText are the rules of a tenant that has applied none: they tell nobody,
// because nobody has said whom, and stand on the page. It is a document like
// any other, to begin with.
//
//go:embed default.yaml
var DefaultText string

// Default reads DefaultText, which is ours: it has no problem.
func Default() Book {
	b, err := Parse("default", []byte(DefaultText))
	if err != nil {
		panic(fmt.Sprintf("alert: the default rules: %v", err)) // a test reads them
	}
	return b
}
