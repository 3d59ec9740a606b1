package pdf

import (
	"strings"

	"patchring/internal/face/paper/chart"
	"patchring/internal/face/paper/layout"
)

const (
	cellSize = 8.0
	cellStep = 10.4
	cellPad  = 4.0
	// tallest bounds a row, in lines: one that filled a page could stand on none.
	tallest = 45
)

// facts are written three beside each other.
func (p *paper) facts(facts []layout.Fact) {
	const columns = 3
	w := width / columns
	for i := 0; i < len(facts); i += columns {
		row := facts[i:min(i+columns, len(facts))]
		values := make([][]string, len(row))
		high := 1
		p.SetFont(family, "B", 10)
		for j, f := range row {
			values[j] = p.lines(f.Value, w-16)
			high = max(high, len(values[j]))
		}
		height := 22 + 13*float64(high)
		p.room(height)
		for j, f := range row {
			p.fact(f, values[j], left+w*float64(j), w, height)
		}
		p.SetY(p.GetY() + height)
	}
	p.SetY(p.GetY() + 10)
}

func (p *paper) fact(f layout.Fact, value []string, x, w, height float64) {
	y := p.GetY()
	p.rule(line)
	p.SetLineWidth(0.6)
	p.Rect(x, y, w, height, "D")
	p.SetFont(family, "", 8)
	p.ink(faint)
	p.put(x+8, y+13, f.Label)
	p.SetFont(family, "B", 10)
	p.ink(tones[f.Tone])
	for k, l := range value {
		p.put(x+8, y+27+13*float64(k), l)
	}
}

func (p *paper) table(t layout.Table) {
	if t.Title != "" {
		p.heading(t.Title, 10.5, 8, 4)
	}
	if len(t.Rows) == 0 {
		p.paragraph(t.Empty, 9, faint)
		return
	}
	widths := p.widthsOf(t)
	p.head(t, widths)
	for _, row := range t.Rows {
		p.row(t, widths, row)
	}
	p.SetY(p.GetY() + 6)
	if t.More != "" {
		p.paragraph(t.More, 8.5, faint)
	}
}

// widthsOf shares the width out by weight, but no column is narrower than the
// longest word of its head and of its first rows: a word cut in two is not read.
func (p *paper) widthsOf(t layout.Table) []float64 {
	least, total := make([]float64, len(t.Head)), 0.0
	for i, c := range t.Head {
		p.SetFont(family, "B", cellSize)
		least[i] = p.longestWord(c.Text)
		for _, row := range t.Rows[:min(len(t.Rows), 50)] {
			least[i] = max(least[i], min(p.longestWord(row[i].Text), width/6))
		}
		least[i] += 2*cellPad + 1
		total += least[i]
	}
	weights := 0.0
	for _, c := range t.Head {
		weights += max(c.Weight, 0.1)
	}
	out := make([]float64, len(t.Head))
	if total >= width {
		for i := range out {
			out[i] = width * least[i] / total
		}
		return out
	}
	// What a column is given above its least comes from those that can spare it.
	spare := 0.0
	for i, c := range t.Head {
		out[i] = max(width*max(c.Weight, 0.1)/weights, least[i])
		spare += out[i] - least[i]
	}
	over := 0.0
	for _, w := range out {
		over += w
	}
	over -= width
	for i := range out {
		if spare > 0 {
			out[i] -= over * (out[i] - least[i]) / spare
		}
	}
	return out
}

func (p *paper) longestWord(text string) float64 {
	longest := 0.0
	for _, word := range strings.Fields(clean(text)) {
		longest = max(longest, p.GetStringWidth(word))
	}
	return longest
}

// head is drawn at the start of the table, and again on each new page.
func (p *paper) head(t layout.Table, widths []float64) {
	p.SetFont(family, "B", cellSize)
	cells := make([][]string, len(t.Head))
	high := 1
	for i, c := range t.Head {
		cells[i] = p.lines(c.Text, widths[i]-2*cellPad)
		high = max(high, len(cells[i]))
	}
	height := cellStep*float64(high) + 2*cellPad
	p.room(height + 2*cellStep + 2*cellPad) // a head without a row says nothing
	p.SetFont(family, "B", cellSize)
	p.fill(tint)
	p.Rect(left, p.GetY(), width, height, "F")
	x := left
	p.ink(ink)
	for i, c := range t.Head {
		p.cell(cells[i], x, widths[i], c.Right)
		x += widths[i]
	}
	p.SetY(p.GetY() + height)
	p.rule(faint)
	p.SetLineWidth(0.8)
	p.Line(left, p.GetY(), left+width, p.GetY())
}

func (p *paper) row(t layout.Table, widths []float64, row []layout.Cell) {
	p.SetFont(family, "", cellSize)
	cells := make([][]string, len(row))
	high := 1
	for i, c := range row {
		cells[i] = p.lines(c.Text, widths[i]-2*cellPad)
		if len(cells[i]) > tallest {
			cells[i] = append(cells[i][:tallest-1], "…")
		}
		high = max(high, len(cells[i]))
	}
	height := cellStep*float64(high) + 1.4*cellPad
	if p.GetY()+height > pageHeight-bottom {
		p.AddPage()
		p.SetY(top)
		p.head(t, widths)
	}
	x := left
	for i, c := range row {
		p.SetFont(family, "", cellSize)
		if c.Tone == layout.Bad {
			p.SetFont(family, "B", cellSize)
		}
		p.ink(tones[c.Tone])
		p.cell(cells[i], x, widths[i], t.Head[i].Right)
		x += widths[i]
	}
	p.SetY(p.GetY() + height)
	p.rule(line)
	p.SetLineWidth(0.5)
	p.Line(left, p.GetY(), left+width, p.GetY())
}

func (p *paper) cell(lines []string, x, w float64, right bool) {
	for k, l := range lines {
		y := p.GetY() + cellPad + cellSize + cellStep*float64(k) - 1
		if right {
			p.putRight(x+w-cellPad, y, l)
		} else {
			p.put(x+cellPad, y, l)
		}
	}
}

// chart draws a picture; one that is taller than a page goes on with its next
// bars on the next.
func (p *paper) chart(s chart.Stacked) {
	const most = 28
	for from := 0; from < len(s.Bars); from += most {
		part := s
		part.Bars = s.Bars[from:min(from+most, len(s.Bars))]
		p.room(part.Height() + 8)
		part.Draw(canvas{p, left, p.GetY()}, width)
		p.SetY(p.GetY() + part.Height() + 8)
	}
}

// canvas draws pictures at a place of the page.
type canvas struct {
	*paper
	x, y float64
}

// Rect implements chart.Canvas.
func (c canvas) Rect(x, y, w, h float64, fill chart.Color) {
	c.fill(fill)
	c.paper.Rect(c.x+x, c.y+y, w, h, "F")
}

// Text implements chart.Canvas.
func (c canvas) Text(x, y, size float64, fill chart.Color, right bool, text string) {
	c.SetFont(family, "", size)
	c.ink(fill)
	if right {
		c.putRight(c.x+x, c.y+y, text)
	} else {
		c.put(c.x+x, c.y+y, text)
	}
}
