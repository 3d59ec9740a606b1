// Package layout is what a document is made of before it is a page, a print or
// a sheet: sections of paragraphs, facts, tables and charts, in the words of
// one language. It knows no file format and reads nothing. Values, safe from
// any goroutine.
package layout

import (
	"strconv"
	"time"

	"patchring/internal/face/paper/chart"
)

// Document is a controlled document.
type Document struct {
	Lang           string
	Title          string
	Subtitle       string
	Organisation   string
	Reference      string // with its revision, on every page
	Classification string // on every page; may be empty
	Made           time.Time
	PageOf         string // "Page {page} of {pages}", as the language says it
	Contents       string // title of the table of contents
	Cover          []Fact
	CoverTables    []Table
	Sections       []Section
}

// Section has a title of its own. ID is its anchor.
type Section struct {
	ID, Title string
	Blocks    []Block
}

// Block is exactly one of its fields.
type Block struct {
	Text  string // a paragraph
	Lead  string // a paragraph that says the most
	Facts []Fact
	Table *Table
	Chart *chart.Stacked
	Code  string // to be copied as it is
}

// Fact is a label with its value.
type Fact struct {
	Label, Value string
	Tone         Tone
}

// Tone is how a value is taken.
type Tone string

// Tones.
const (
	Plain Tone = ""
	Good  Tone = "good"
	Bad   Tone = "bad"
	Warn  Tone = "warn"
	Quiet Tone = "quiet"
)

// Table has its head repeated on every page. An empty one says so.
type Table struct {
	Title string
	Sheet string // name of its sheet
	Head  []Column
	Rows  [][]Cell
	Empty string // in place of rows
	More  string // below them: what is not there
	// Whole are all rows, where Rows are only the first: for sheets.
	Whole [][]Cell
}

// Column heads one; Weight is its share of the width.
type Column struct {
	Text   string
	Right  bool
	Weight float64
}

// Cell is a text, or a number that sheets can count with.
type Cell struct {
	Text   string
	Number int64
	Counts bool
	Tone   Tone
}

// T is a cell of text.
func T(text string) Cell { return Cell{Text: text} }

// N is a cell of a number, with its text.
func N(n int64, text string) Cell { return Cell{Text: text, Number: n, Counts: true} }

// In gives the cell a tone.
func (c Cell) In(t Tone) Cell {
	c.Tone = t
	return c
}

// All are the rows that a sheet has.
func (t Table) All() [][]Cell {
	if t.Whole != nil {
		return t.Whole
	}
	return t.Rows
}

// Anchor is the id of the n-th section.
func Anchor(n int) string { return "s" + strconv.Itoa(n) }
