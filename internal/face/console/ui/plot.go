package ui

import (
	"strings"
	"time"
)

// Plot is a picture of values over time, drawn on the server.
type Plot struct {
	Label    string // for who does not see it
	From, To time.Time
	Lines    []PlotLine
	Marks    []time.Time // dashed
	Band     [2]time.Time
	Say      func(float64) string // a value with its unit
}

// PlotLine is one line, with the range around it.
type PlotLine struct {
	Tone   Tone
	Points []PlotPoint
}

// PlotPoint is one step of a line.
type PlotPoint struct {
	At               time.Time
	Step             time.Duration
	Low, Value, High float64
}

// The drawing's own units.
const (
	plotWidth  = 400.0
	plotHeight = 100.0
)

// Ends are the values at the bottom and at the top: from zero, unless that would
// leave nothing to see.
func (p Plot) Ends() (bottom, top float64) {
	first := true
	for _, l := range p.Lines {
		for _, v := range l.Points {
			if first {
				bottom, top, first = v.Low, v.High, false
			}
			bottom, top = min(bottom, v.Low), max(top, v.High)
		}
	}
	if bottom < 2*(top-bottom) || bottom == top {
		bottom = min(0, bottom)
	}
	if top == bottom {
		top = bottom + 1
	}
	return bottom, top
}

func (p Plot) x(t time.Time) float64 {
	share := float64(t.Sub(p.From)) / float64(p.To.Sub(p.From))
	return plotWidth * min(1, max(0, share))
}

// middle is where a step stands.
func (p Plot) middle(v PlotPoint) float64 { return p.x(v.At.Add(v.Step / 2)) }

func (p Plot) y(v float64) float64 {
	bottom, top := p.Ends()
	return plotHeight * (1 - (v-bottom)/(top-bottom))
}

// stretches are the parts of a line between its gaps: where a step is missing
// there is no line.
func stretches(points []PlotPoint) [][]PlotPoint {
	var out [][]PlotPoint
	for i, v := range points {
		if i == 0 || v.At.After(points[i-1].At.Add(points[i-1].Step+points[i-1].Step/2)) {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], v)
	}
	return out
}

// line is the path of a line's values.
func (p Plot) line(l PlotLine) string {
	var b strings.Builder
	for _, part := range stretches(l.Points) {
		for i, v := range part {
			b.WriteString(verb(i) + decimal(p.middle(v)) + " " + decimal(p.y(v.Value)))
		}
		if len(part) == 1 {
			b.WriteString("h0.01") // a dot
		}
	}
	return b.String()
}

// around is the path of the range around a line.
func (p Plot) around(l PlotLine) string {
	var b strings.Builder
	for _, part := range stretches(l.Points) {
		for i, v := range part {
			b.WriteString(verb(i) + decimal(p.middle(v)) + " " + decimal(p.y(v.High)))
		}
		for i := len(part) - 1; i >= 0; i-- {
			b.WriteString("L" + decimal(p.middle(part[i])) + " " + decimal(p.y(part[i].Low)))
		}
		b.WriteString("Z")
	}
	return b.String()
}

func verb(i int) string {
	if i == 0 {
		return "M"
	}
	return "L"
}

// banded tells whether there is a band to shade.
func (p Plot) banded() bool {
	return !p.Band[0].IsZero() && p.Band[1].After(p.From) && p.Band[0].Before(p.To)
}

func (p Plot) bandWidth() string { return decimal(max(1, p.x(p.Band[1])-p.x(p.Band[0]))) }
