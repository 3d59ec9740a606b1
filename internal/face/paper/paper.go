// Package paper writes the documents that people sign, file and send: the
// dossier of a campaign, the monthly report, the list of missing devices. It
// puts what was read into the words of one language, as layout, and hands that
// to html, pdf or xlsx.
//
// It reads nothing and decides nothing: what is kept, late or missing was
// worked out before. It has no clock; what a document is about and when it was
// read come with it, so equal documents have equal bytes. Pure functions, safe
// from any goroutine.
package paper

import (
	"strings"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/document"
	"patchring/internal/core/fault"
	"patchring/internal/core/manifest"
	"patchring/internal/face/lang"
	"patchring/internal/face/paper/chart"
	"patchring/internal/face/paper/html"
	"patchring/internal/face/paper/layout"
	"patchring/internal/face/paper/pdf"
	"patchring/internal/face/paper/xlsx"
	"patchring/internal/infra/view"
)

// Render writes a document in a format.
func Render(d layout.Document, f document.Format) ([]byte, error) {
	switch f {
	case document.HTML:
		return html.Render(d)
	case document.PDF:
		return pdf.Render(d)
	case document.XLSX:
		return xlsx.Render(d)
	}
	return nil, f.Check()
}

// writer says things in one language and one zone.
type writer struct {
	lang.Words
}

// writerIn tells times in the zone of a procedure.
func writerIn(language, zone string) writer {
	w := lang.For(language)
	if z, err := time.LoadLocation(zone); err == nil && zone != "" {
		w = w.In(z)
	}
	return writer{w}
}

func (w writer) own(t manifest.Text) string { return t.In(string(w.Lang())) }

// when is an instant with its hour, or a dash.
func (w writer) when(t time.Time) string {
	if t.IsZero() {
		return "—"
	}
	return w.DateShort(t) + " " + w.Clock(t)
}

func (w writer) count(n int64) layout.Cell { return layout.N(n, w.Number(n)) }

// bad is a count that should be none.
func (w writer) bad(n int64) layout.Cell {
	if n == 0 {
		return w.count(n)
	}
	return w.count(n).In(layout.Bad)
}

func (w writer) warn(n int64) layout.Cell {
	if n == 0 {
		return w.count(n)
	}
	return w.count(n).In(layout.Warn)
}

func (w writer) because(r *fault.Reason) string {
	if r == nil {
		return "—"
	}
	return w.Reason(*r)
}

func (w writer) or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// reached is the part done of what is expected: what is left out on purpose is
// not expected.
func (w writer) reached(n view.Numbers) string { return w.Share(n.Done, n.Total()-n.Exempt) }

// head makes columns of words: "col.ring" with a weight, right when negative.
type heads []struct {
	key    string
	weight float64
}

func (w writer) columns(h heads) []layout.Column {
	out := make([]layout.Column, len(h))
	for i, c := range h {
		out[i] = layout.Column{Text: w.T(c.key), Weight: max(c.weight, -c.weight), Right: c.weight < 0}
	}
	return out
}

// fiveHeads are the columns of the five numbers, behind those of what they are
// of.
func (w writer) fiveHeads(first ...layout.Column) []layout.Column {
	out := first
	for _, b := range []campaign.Bucket{campaign.Done, campaign.Failed, campaign.NotReached, campaign.Unreachable, campaign.Exempt} {
		out = append(out, layout.Column{Text: title(w.Word(lang.Bucket, string(b))), Weight: 0.9, Right: true})
	}
	return append(out, layout.Column{Text: w.T("paper.reached"), Weight: 0.9, Right: true})
}

func (w writer) five(n view.Numbers, first ...layout.Cell) []layout.Cell {
	return append(first, w.count(n.Done), w.bad(n.Failed), w.warn(n.NotReached), w.warn(n.Unreachable), w.count(n.Exempt), layout.T(w.reached(n)))
}

// provenHeads are those of the five numbers, with what is proven of the done.
func (w writer) provenHeads(first ...layout.Column) []layout.Column {
	return append(w.fiveHeads(first...), layout.Column{Text: w.T("col.proven"), Weight: 0.9, Right: true})
}

// fiveProven adds the devices that are proven; nil: nobody has looked.
func (w writer) fiveProven(n view.Numbers, proven *int64, first ...layout.Cell) []layout.Cell {
	cell := layout.T(w.T("paper.not_known")).In(layout.Quiet)
	if proven != nil {
		cell = w.count(*proven)
	}
	return append(w.five(n, first...), cell)
}

// provenShare is how many are proven, of those expected.
func (w writer) provenShare(proven *int64, n view.Numbers) string {
	if proven == nil {
		return w.T("paper.not_known")
	}
	return w.T("paper.of", "n", w.Number(*proven), "of", w.Number(n.Total()-n.Exempt))
}

// title begins with a capital, in any language.
func title(text string) string {
	for i, r := range text {
		if i == 0 {
			return strings.ToUpper(string(r)) + text[len(string(r)):]
		}
	}
	return text
}

// fiveChart draws the five numbers of several.
func (w writer) fiveChart(name string, labels []string, numbers []view.Numbers) *chart.Stacked {
	s := &chart.Stacked{Title: name, Series: []chart.Series{
		{Name: w.Word(lang.Bucket, "done"), Color: chart.Done}, {Name: w.Word(lang.Bucket, "failed"), Color: chart.Failed},
		{Name: w.Word(lang.Bucket, "not_reached"), Color: chart.NotReached}, {Name: w.Word(lang.Bucket, "unreachable"), Color: chart.Unreachable},
		{Name: w.Word(lang.Bucket, "exempt"), Color: chart.Exempt},
	}}
	for i, n := range numbers {
		s.Bars = append(s.Bars, chart.Bar{
			Label: labels[i], Values: []int64{n.Done, n.Failed, n.NotReached, n.Unreachable, n.Exempt},
			Note: w.T("paper.of", "n", w.Number(n.Done), "of", w.Number(n.Total()-n.Exempt)) + " · " + w.reached(n),
		})
	}
	return s
}

func tableBlock(t layout.Table) layout.Block { return layout.Block{Table: &t} }

// device is a device's name; what was never enrolled any more keeps its id.
func deviceName(d *view.DeviceRef) string {
	if d == nil {
		return ""
	}
	return d.Name
}

func patchName(p *view.PatchRef) string {
	if p == nil {
		return ""
	}
	return strings.TrimSpace(p.Name + " " + p.Version)
}

// Writer is the whole package as one value, for whoever keeps documents.
type Writer struct{}

// Dossier writes a campaign's dossier.
func (Writer) Dossier(d view.Dossier, whole []view.MissingDevice, is view.Revision, language string, f document.Format) ([]byte, error) {
	return Render(Dossier(d, language, Issue{Revision: is, Whole: whole}), f)
}

// Missing writes the list of missing devices.
func (Writer) Missing(rows []view.MissingDevice, language, zone string) ([]byte, error) {
	return MissingCSV(rows, language, zone)
}

// Monthly writes the report of a month.
func (Writer) Monthly(m view.Monthly, language string, f document.Format) ([]byte, error) {
	return Render(Monthly(m, language), f)
}
