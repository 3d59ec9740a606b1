// Package chart draws the few pictures of documents on anything that can draw a
// rectangle and a text: an SVG here, a PDF elsewhere. Every picture has its
// numbers written beside it, because prints are grey and readers may not see
// colours. Pure values, safe from any goroutine.
package chart

// Color is red, green and blue.
type Color struct{ R, G, B uint8 }

// Colors of the five numbers and of texts.
var (
	Done        = Color{47, 133, 90}
	Failed      = Color{197, 48, 48}
	NotReached  = Color{160, 174, 192}
	Unreachable = Color{221, 107, 32}
	Exempt      = Color{128, 116, 189}
	Ink         = Color{26, 32, 44}
	Faint       = Color{96, 108, 124}
	Track       = Color{237, 242, 247}
)

// Canvas is what pictures are drawn on, in points from the upper left corner.
type Canvas interface {
	Rect(x, y, w, h float64, fill Color)
	// Text writes from x on, or up to x when right; y is its base line.
	Text(x, y float64, size float64, fill Color, right bool, text string)
}

// Series is one part of every bar.
type Series struct {
	Name  string
	Color Color
}

// Bar is a line of the picture.
type Bar struct {
	Label  string
	Values []int64 // one for each series
	Note   string  // the numbers, written out
}

// Stacked shows how wholes are divided: each bar is as long as the others.
type Stacked struct {
	Title  string // for those who do not see it
	Series []Series
	Bars   []Bar
}

const (
	rowHeight    = 20.0
	barHeight    = 11.0
	legendHeight = 22.0
	textSize     = 8.5
	labelShare   = 0.24
	noteShare    = 0.22
	sliver       = 1.5 // points that the smallest part still has
)

// Height of the picture.
func (s Stacked) Height() float64 { return legendHeight + rowHeight*float64(len(s.Bars)) }

// Draw draws it in a width.
func (s Stacked) Draw(c Canvas, width float64) {
	x := 0.0
	for _, part := range s.Series {
		c.Rect(x, 3, 9, 9, part.Color)
		c.Text(x+13, 11, textSize, Faint, false, part.Name)
		x += 13 + 5.2*float64(len([]rune(part.Name))) + 16
	}
	left, right := width*labelShare, width*noteShare
	for i, bar := range s.Bars {
		y := legendHeight + rowHeight*float64(i)
		c.Text(0, y+9, textSize, Ink, false, short(bar.Label, 30))
		s.bar(c, bar, left, y, width-left-right-8)
		c.Text(width, y+9, textSize, Faint, true, bar.Note)
	}
}

// bar draws one. What is there is never invisible.
func (s Stacked) bar(c Canvas, bar Bar, x, y, width float64) {
	c.Rect(x, y, width, barHeight, Track)
	total, present := int64(0), 0
	for _, n := range bar.Values {
		if n > 0 {
			total, present = total+n, present+1
		}
	}
	for i, n := range bar.Values {
		if n <= 0 || i >= len(s.Series) {
			continue
		}
		w := sliver + (width-sliver*float64(present))*float64(n)/float64(total)
		c.Rect(x, y, w, barHeight, s.Series[i].Color)
		x += w
	}
}

// short cuts what does not fit beside a bar.
func short(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}
