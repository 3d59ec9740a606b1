// Package pdf writes a document as an A4 print: a cover, a table of contents
// with bookmarks, heads that are repeated, rows that are never cut, and the
// classification, the reference and the page on each page. Equal documents give
// equal bytes. Safe from any goroutine.
//
// The type is Go Regular and Go Bold (golang.org/x/image/font/gofont, BSD
// licence), which is linked into the program: a print must look the same on a
// server that has no fonts.
package pdf

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"codeberg.org/go-pdf/fpdf"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"

	"patchring/internal/face/paper/chart"
	"patchring/internal/face/paper/layout"
)

// Measures, in points.
const (
	pageWidth, pageHeight = 595.28, 841.89
	left, right           = 45.0, 45.0
	top, bottom           = 62.0, 54.0
	width                 = pageWidth - left - right
	family                = "Go"
	pagesAlias            = "{pages}"
)

type rgb = chart.Color

var (
	ink   = chart.Ink
	faint = chart.Faint
	line  = rgb{R: 221, G: 227, B: 234}
	tint  = rgb{R: 245, G: 247, B: 250}
	tones = map[layout.Tone]rgb{
		layout.Plain: ink, layout.Good: {R: 39, G: 103, B: 73}, layout.Bad: {R: 179, G: 38, B: 38}, layout.Warn: {R: 183, G: 85, B: 15}, layout.Quiet: faint,
	}
)

// paper is one print in the making.
type paper struct {
	*fpdf.Fpdf
	doc    layout.Document
	starts []int // page of each section
}

// Render gives the file. It is printed twice: the contents name the pages that
// the first print finds.
func Render(d layout.Document) ([]byte, error) {
	first := printed(d, nil)
	p := printed(d, first.starts)
	var out bytes.Buffer
	if err := p.Output(&out); err != nil {
		return nil, fmt.Errorf("write %s as PDF: %w", d.Reference, err)
	}
	return out.Bytes(), nil
}

func printed(d layout.Document, starts []int) *paper {
	p := &paper{Fpdf: fpdf.New("P", "pt", "A4", ""), doc: d}
	p.AddUTF8FontFromBytes(family, "", goregular.TTF)
	p.AddUTF8FontFromBytes(family, "B", gobold.TTF)
	p.SetCatalogSort(true)
	p.SetCreationDate(d.Made)
	p.SetModificationDate(d.Made)
	p.SetTitle(clean(d.Title+" · "+d.Reference), true)
	p.SetAuthor(clean(d.Organisation), true)
	p.SetSubject(clean(d.Classification), true)
	p.SetCreator("Patchring", true)
	p.SetLang(d.Lang)
	p.SetMargins(left, top, right)
	p.SetCellMargin(0) // lines are measured to the last point
	p.SetAutoPageBreak(false, bottom)
	p.AliasNbPages(pagesAlias)
	p.SetHeaderFunc(p.header)
	p.SetFooterFunc(p.footer)
	p.cover()
	anchors := p.contents(starts)
	for i, s := range d.Sections {
		p.section(s, anchors[i])
	}
	return p
}

// clean leaves out what the type cannot draw. It has no narrow space that does
// not break; the wide one says the same.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\u202f':
			return '\u00a0'
		case r == '\t':
			return ' '
		case r < ' ' && r != '\n':
			return -1
		case r > 0xffff: // the library knows no more
			return '□'
		}
		return r
	}, text)
}

func (p *paper) ink(c rgb)  { p.SetTextColor(int(c.R), int(c.G), int(c.B)) }
func (p *paper) fill(c rgb) { p.SetFillColor(int(c.R), int(c.G), int(c.B)) }
func (p *paper) rule(c rgb) { p.SetDrawColor(int(c.R), int(c.G), int(c.B)) }

func (p *paper) header() {
	if p.PageNo() == 1 {
		return
	}
	p.SetFont(family, "", 8)
	p.ink(faint)
	p.put(left, 36, p.doc.Title)
	p.putRight(pageWidth-right, 36, p.doc.Classification)
	p.rule(line)
	p.SetLineWidth(0.6)
	p.Line(left, 44, pageWidth-right, 44)
}

func (p *paper) footer() {
	p.SetFont(family, "", 8)
	p.ink(faint)
	y := pageHeight - 28
	p.put(left, y, p.doc.Reference)
	page := strings.NewReplacer("{page}", fmt.Sprint(p.PageNo()), "{pages}", pagesAlias).Replace(p.doc.PageOf)
	// The number of pages is not known yet: room for three digits is left.
	known := strings.NewReplacer(pagesAlias, "000").Replace(page)
	p.put(pageWidth-right-p.GetStringWidth(clean(known)), y, page)
}

// put writes from x on; y is the base line.
func (p *paper) put(x, y float64, text string) { p.Text(x, y, clean(text)) }

func (p *paper) putRight(x, y float64, text string) {
	text = clean(text)
	p.Text(x-p.GetStringWidth(text), y, text)
}

// room makes sure that so much fits on the page.
func (p *paper) room(height float64) {
	if p.GetY()+height > pageHeight-bottom {
		p.AddPage()
		p.SetY(top)
	}
}

// lines are those of a text in a width, never none.
func (p *paper) lines(text string, width float64) []string {
	var out []string
	for _, paragraph := range strings.Split(clean(text), "\n") {
		if paragraph == "" {
			out = append(out, "")
			continue
		}
		out = append(out, p.SplitText(paragraph, width)...)
	}
	return out
}

// paragraph writes text line by line, so that it may go over a page's end.
func (p *paper) paragraph(text string, size float64, c rgb) {
	p.SetFont(family, "", size)
	step := size * 1.45
	for _, l := range p.lines(text, width) {
		p.room(step)
		p.SetFont(family, "", size) // the head of a new page has its own
		p.ink(c)
		p.put(left, p.GetY()+size, l)
		p.SetY(p.GetY() + step)
	}
	p.SetY(p.GetY() + size*0.5)
}

func (p *paper) heading(text string, size, before, after float64) {
	p.room(before + size + after + 60) // never alone at the foot of a page
	if p.GetY() > top+1 {
		p.SetY(p.GetY() + before)
	}
	p.SetFont(family, "B", size)
	p.ink(ink)
	for _, l := range p.lines(text, width) {
		p.put(left, p.GetY()+size, l)
		p.SetY(p.GetY() + size*1.25)
	}
	p.SetY(p.GetY() + after)
}

func (p *paper) cover() {
	d := p.doc
	p.AddPage()
	p.SetFont(family, "B", 12)
	p.ink(faint)
	p.put(left, 74, d.Organisation)
	if d.Classification != "" {
		p.SetFont(family, "B", 10)
		w := p.GetStringWidth(clean(d.Classification)) + 20
		p.rule(ink)
		p.SetLineWidth(1)
		p.Rect(pageWidth-right-w, 58, w, 24, "D")
		p.ink(ink)
		p.put(pageWidth-right-w+10, 74, d.Classification)
	}
	p.SetY(120)
	p.heading(d.Title, 26, 0, 2)
	p.paragraph(d.Subtitle, 13, faint)
	p.SetY(p.GetY() + 10)
	p.facts(d.Cover)
	for _, t := range d.CoverTables {
		p.table(t)
	}
}

// contents lists the sections with their pages, where they are known; each line
// leads to its own.
func (p *paper) contents(starts []int) []int {
	p.AddPage()
	p.SetY(top)
	p.heading(p.doc.Contents, 16, 0, 8)
	anchors := make([]int, len(p.doc.Sections))
	for i, s := range p.doc.Sections {
		anchors[i] = p.AddLink()
		p.room(20)
		p.SetFont(family, "", 10.5)
		p.ink(ink)
		p.put(left, p.GetY()+12, s.Title)
		if i < len(starts) {
			p.putRight(pageWidth-right, p.GetY()+12, strconv.Itoa(starts[i]))
		}
		p.Link(left, p.GetY(), width, 18, anchors[i])
		p.SetY(p.GetY() + 19)
	}
	return anchors
}

func (p *paper) section(s layout.Section, anchor int) {
	// A section that cannot show more than its head here begins a page.
	p.room(60 + p.least(s.Blocks))
	p.heading(s.Title, 15, 22, 0)
	p.starts = append(p.starts, p.PageNo())
	p.SetLink(anchor, p.GetY()-30, p.PageNo())
	p.Bookmark(clean(s.Title), 0, p.GetY()-30)
	p.rule(ink)
	p.SetLineWidth(1.2)
	p.Line(left, p.GetY(), pageWidth-right, p.GetY())
	p.SetY(p.GetY() + 10)
	for _, b := range s.Blocks {
		p.block(b)
	}
}

// least is the height of what introduces a section and of the beginning of what
// it is about: a paragraph with its table on the next page says nothing yet.
func (p *paper) least(blocks []layout.Block) float64 {
	const most = 320.0 // more than that begins anywhere
	height := 0.0
	for _, b := range blocks {
		switch {
		case b.Lead+b.Text != "":
			p.SetFont(family, "", 11)
			height += 17 * float64(len(p.lines(b.Lead+b.Text, width)))
			continue
		case b.Chart != nil:
			height += b.Chart.Height()
		case b.Table != nil && b.Table.Title != "":
			height += 110
		default:
			height += 75
		}
		break
	}
	return min(height, most)
}

func (p *paper) block(b layout.Block) {
	switch {
	case b.Lead != "":
		p.paragraph(b.Lead, 11.5, ink)
	case b.Text != "":
		p.paragraph(b.Text, 9.5, ink)
	case b.Facts != nil:
		p.facts(b.Facts)
	case b.Table != nil:
		p.table(*b.Table)
	case b.Chart != nil:
		p.chart(*b.Chart)
	case b.Code != "":
		p.code(b.Code)
	}
}

// code is to be copied: in the same type, on a ground of its own.
func (p *paper) code(text string) {
	p.SetFont(family, "", 8)
	for _, l := range p.lines(text, width-20) {
		p.room(12)
		p.SetFont(family, "", 8)
		p.fill(tint)
		p.Rect(left, p.GetY(), width, 12, "F")
		p.ink(ink)
		p.put(left+10, p.GetY()+9, l)
		p.SetY(p.GetY() + 12)
	}
	p.SetY(p.GetY() + 8)
}
