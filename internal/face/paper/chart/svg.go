package chart

import (
	"fmt"
	"html"
	"strings"
)

// SVG is the picture as a part of a page.
func (s Stacked) SVG(width float64) string {
	c := &svg{}
	fmt.Fprintf(&c.out, `<svg role="img" viewBox="0 0 %s %s" xmlns="http://www.w3.org/2000/svg"><title>%s</title>`, point(width), point(s.Height()), html.EscapeString(s.Title))
	s.Draw(c, width)
	c.out.WriteString("</svg>")
	return c.out.String()
}

type svg struct{ out strings.Builder }

// Rect implements Canvas.
func (c *svg) Rect(x, y, w, h float64, fill Color) {
	fmt.Fprintf(&c.out, `<rect x="%s" y="%s" width="%s" height="%s" fill="%s"/>`, point(x), point(y), point(w), point(h), fill.hex())
}

// Text implements Canvas.
func (c *svg) Text(x, y, size float64, fill Color, right bool, text string) {
	anchor := ""
	if right {
		anchor = ` text-anchor="end"`
	}
	fmt.Fprintf(&c.out, `<text x="%s" y="%s" font-size="%s" fill="%s"%s>%s</text>`, point(x), point(y), point(size), fill.hex(), anchor, html.EscapeString(text))
}

func (c Color) hex() string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

// point is short, and the same on every machine.
func point(f float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", f), "0"), ".")
}
