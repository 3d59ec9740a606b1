// Package xlsx writes a document as a workbook: a first sheet with what it says
// in words, then a sheet for each table, whole, to be filtered and counted.
// Equal documents give equal bytes. No cell is ever a formula. Safe from any
// goroutine.
package xlsx

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"

	"patchring/internal/face/paper/layout"
)

// Guard makes a text that a spreadsheet would take for a formula a text: names
// come from devices, and a file is also opened by those who trust it.
func Guard(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) && text != "-" {
		return "'" + text
	}
	return text
}

// book is a workbook in the making.
type book struct {
	*excelize.File
	head, wrap, title int // styles
	names             map[string]bool
}

// Render gives the file.
func Render(d layout.Document) ([]byte, error) {
	b := &book{File: excelize.NewFile(), names: map[string]bool{}}
	out, err := b.render(d)
	if closing := b.Close(); err == nil && closing != nil {
		err = closing
	}
	if err != nil {
		return nil, fmt.Errorf("write %s as a workbook: %w", d.Reference, err)
	}
	return out, nil
}

func (b *book) render(d layout.Document) ([]byte, error) {
	made := d.Made.UTC().Format(time.RFC3339)
	if err := b.SetDocProps(&excelize.DocProperties{Title: d.Title, Subject: d.Reference, Creator: "Patchring", Category: d.Classification, Created: made, Modified: made, Language: d.Lang}); err != nil {
		return nil, err
	}
	if err := b.styles(); err != nil {
		return nil, err
	}
	first := b.name(d.Title)
	if err := b.SetSheetName("Sheet1", first); err != nil {
		return nil, err
	}
	if err := b.words(first, d); err != nil {
		return nil, err
	}
	for _, t := range tables(d) {
		if err := b.table(t); err != nil {
			return nil, err
		}
	}
	var out bytes.Buffer
	if err := b.Write(&out); err != nil {
		return nil, err
	}
	return steady(out.Bytes())
}

// steady packs a workbook again with its parts in the order of their names: the
// library packs them in the order of a map.
func steady(raw []byte) ([]byte, error) {
	in, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return nil, err
	}
	parts := slices.Clone(in.File)
	slices.SortFunc(parts, func(a, b *zip.File) int { return strings.Compare(a.Name, b.Name) })
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, part := range parts {
		if err := pack(w, part); err != nil {
			return nil, fmt.Errorf("pack %s: %w", part.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func pack(w *zip.Writer, part *zip.File) error {
	from, err := part.Open()
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := w.CreateHeader(&zip.FileHeader{Name: part.Name, Method: zip.Deflate})
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from) //nolint:gosec // we have just written it
	return err
}

func (b *book) styles() (err error) {
	if b.head, err = b.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}, Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"EDF2F7"}}, Alignment: &excelize.Alignment{Vertical: "top", WrapText: true}}); err != nil {
		return err
	}
	if b.wrap, err = b.NewStyle(&excelize.Style{Alignment: &excelize.Alignment{Vertical: "top", WrapText: true}}); err != nil {
		return err
	}
	b.title, err = b.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true, Size: 13}})
	return err
}

// tables are those of the whole document that have a sheet.
func tables(d layout.Document) []layout.Table {
	out := append([]layout.Table{}, d.CoverTables...)
	for _, s := range d.Sections {
		for _, block := range s.Blocks {
			if block.Table != nil {
				t := *block.Table
				if t.Sheet == "" {
					t.Sheet = orElse(t.Title, s.Title)
				}
				out = append(out, t)
			}
		}
	}
	return out
}

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// longestName is what the format allows of a sheet's.
const longestName = 31

// name makes a sheet's name: short, without what the format forbids, used once.
func (b *book) name(text string) string {
	text = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`:\/?*[]'`, r) {
			return ' '
		}
		return r
	}, text)
	base := []rune(strings.TrimSpace(text))
	if len(base) == 0 {
		base = []rune("—")
	}
	for n := 1; ; n++ {
		suffix := ""
		if n > 1 {
			suffix = fmt.Sprintf(" %d", n)
		}
		name := strings.TrimSpace(string(base[:min(len(base), longestName-utf8.RuneCountInString(suffix))])) + suffix
		if key := strings.ToLower(name); !b.names[key] {
			b.names[key] = true
			return name
		}
	}
}

// words writes all that is no table.
func (b *book) words(sheet string, d layout.Document) error {
	w, err := b.NewStreamWriter(sheet)
	if err != nil {
		return err
	}
	if err := w.SetColWidth(1, 1, 44); err != nil {
		return err
	}
	if err := w.SetColWidth(2, 2, 90); err != nil {
		return err
	}
	row := 0
	add := func(style int, cells ...string) {
		row++
		values := make([]any, len(cells))
		for i, c := range cells {
			values[i] = excelize.Cell{StyleID: style, Value: Guard(c)}
		}
		if err == nil {
			err = w.SetRow(fmt.Sprintf("A%d", row), values)
		}
	}
	facts := func(list []layout.Fact) {
		for _, f := range list {
			add(b.wrap, f.Label, f.Value)
		}
	}
	add(b.title, d.Title)
	add(b.wrap, d.Subtitle)
	add(b.wrap, d.Organisation, d.Reference)
	facts(d.Cover)
	for _, s := range d.Sections {
		row++
		add(b.title, s.Title)
		for _, block := range s.Blocks {
			if text := block.Lead + block.Text + block.Code; text != "" {
				add(b.wrap, "", text)
			}
			facts(block.Facts)
		}
	}
	if err != nil {
		return err
	}
	return w.Flush()
}

// table writes all rows of a table, its head frozen.
func (b *book) table(t layout.Table) error {
	sheet := b.name(orElse(t.Sheet, t.Title))
	if _, err := b.NewSheet(sheet); err != nil {
		return err
	}
	w, err := b.NewStreamWriter(sheet)
	if err != nil {
		return err
	}
	if err := w.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}); err != nil {
		return err
	}
	head := make([]any, len(t.Head))
	for i, c := range t.Head {
		if err := w.SetColWidth(i+1, i+1, max(10, min(60, 14*max(c.Weight, 0.7)))); err != nil {
			return err
		}
		head[i] = excelize.Cell{StyleID: b.head, Value: Guard(c.Text)}
	}
	if err := w.SetRow("A1", head); err != nil {
		return err
	}
	for i, row := range t.All() {
		values := make([]any, len(row))
		for j, c := range row {
			if c.Counts {
				values[j] = excelize.Cell{Value: c.Number}
			} else {
				values[j] = excelize.Cell{StyleID: b.wrap, Value: Guard(c.Text)}
			}
		}
		if err := w.SetRow(fmt.Sprintf("A%d", i+2), values); err != nil {
			return err
		}
	}
	return w.Flush()
}
