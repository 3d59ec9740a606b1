// Package html writes a document as one file that opens without a network, and
// prints with repeated heads and whole rows. Safe from any goroutine.
package html

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"

	"patchring/internal/face/paper/layout"
)

//go:embed document.html
var source string

//go:embed document.css
var style string

// chartWidth is the width that pictures are drawn in; the page scales them.
const chartWidth = 520

// page is parsed once: it is a part of the program.
var page = template.Must(template.New("document").Funcs(template.FuncMap{
	"svg":    func(b layout.Block) template.HTML { return template.HTML(b.Chart.SVG(chartWidth)) }, //nolint:gosec // texts are escaped where it is drawn
	"anchor": layout.Anchor,
}).Parse(source))

// Render gives the file.
func Render(d layout.Document) ([]byte, error) {
	var out bytes.Buffer
	err := page.Execute(&out, struct {
		layout.Document
		Style template.CSS
	}{d, template.CSS(style)}) //nolint:gosec // a constant of this package
	if err != nil {
		return nil, fmt.Errorf("write %s as HTML: %w", d.Reference, err)
	}
	return out.Bytes(), nil
}
