package paper_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"

	"patchring/internal/core/campaign"
	"patchring/internal/core/document"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/face/lang"
	"patchring/internal/face/paper"
	"patchring/internal/face/paper/layout"
	"patchring/internal/face/paper/pdftest"
	"patchring/internal/infra/view"
)

// whole is the model of a whole campaign of the server, with an incident, a
// hold and a rollback in it, as the server's test keeps it.
func whole(t *testing.T) view.Dossier {
	t.Helper()
	text, err := os.ReadFile("../../server/testdata/dossier.json")
	if err != nil {
		t.Fatal(err)
	}
	var d view.Dossier
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	d.Register.Key, d.Register.Checkpoint = "patchring/main+00000000+AAAA", "patchring/main\n79\nAAAA\n"
	return d
}

// lacking gives a dossier so many missing devices, and the whole list.
func lacking(d view.Dossier, n int) (view.Dossier, []view.MissingDevice) {
	why := fault.Because(fault.DeviceUnreachable, "since", "2026-01-16T11:00:00Z")
	list := make([]view.MissingDevice, n)
	for i := range list {
		list[i] = view.MissingDevice{
			Device: view.DeviceRef{ID: fleet.DeviceID(fmt.Sprint("d", i)), Name: fmt.Sprintf("poste-%05d", i)}, Ring: "GLOBAL", Department: "Production", Site: "Lyon", System: "Debian GNU/Linux 12 (bookworm)",
			Bucket: "unreachable", Reason: &why, Seen: time.Date(2026, 1, 16, 11, 0, 0, 0, time.UTC),
		}
	}
	d.Missing, d.MissingCount = list[:min(n, paper.Appendix)], int64(n)
	d.Verification.Reasons = []view.MissingReason{{Bucket: "unreachable", Code: fault.DeviceUnreachable, Devices: int64(n)}}
	return d, list
}

func render(t *testing.T, d layout.Document, f document.Format) []byte {
	t.Helper()
	body, err := paper.Render(d, f)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func pages(t *testing.T, d layout.Document) []string {
	t.Helper()
	out, err := pdftest.Pages(render(t, d, document.PDF))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func tables(d layout.Document) []layout.Table {
	out := slices.Clone(d.CoverTables)
	for _, s := range d.Sections {
		for _, b := range s.Blocks {
			if b.Table != nil {
				out = append(out, *b.Table)
			}
		}
	}
	return out
}

func TestThePrintTellsTheWholeCampaign(t *testing.T) {
	for language, want := range map[string][]string{
		"fr": {"Le portail refuse tout le monde", "nginx est retiré de la campagne", "le portail est en panne", "l'authentification de nginx 2", "Répété sur", "Éprouvés", "Évaluations des jalons", "Demandée par", "Motif de la levée", "Rédigé", "Vérifié", "Validé", "Direction informatique", "Caisse"},
		"en": {"Le portail refuse tout le monde", "nginx est retiré de la campagne", "le portail est en panne", "Rehearsed on", "Proven", "Evaluations of the gates", "Asked by", "Why lifted", "Drafted", "Verified", "Validated", "Till"},
	} {
		doc := paper.Dossier(whole(t), language, paper.Issue{})
		got := pages(t, doc)
		text := strings.Join(strings.Fields(strings.Join(got, " ")), " ")
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s: the print does not say %q", language, w)
			}
		}
		if len(got) < 6 || len(got) > 14 {
			t.Errorf("%s: %d pages of a campaign of six devices", language, len(got))
		}
		for i, page := range got {
			if !strings.Contains(page, doc.Reference) {
				t.Errorf("%s: page %d is without its reference %q", language, i+1, doc.Reference)
			}
		}
		contents := strings.Split(got[1], "\n")
		for _, s := range doc.Sections {
			at := slices.Index(contents, s.Title)
			if at < 0 || at+1 >= len(contents) {
				t.Errorf("%s: the contents lack %q", language, s.Title)
				continue
			}
			page, err := strconv.Atoi(contents[at+1])
			if err != nil || page < 2 || page > len(got) || slices.Index(strings.Split(got[page-1], "\n")[2:], s.Title) < 0 {
				t.Errorf("%s: the contents say that %q is on page %s", language, s.Title, contents[at+1])
			}
		}
		if last := got[len(got)-1]; !strings.Contains(last, "register verify") || !strings.Contains(last, fmt.Sprintf(" %d", len(got))) {
			t.Errorf("%s: the last page is %q; want how to verify, and the number of pages", language, last)
		}
	}
}

// No heading stands alone at the foot of a page: something of its section
// follows it there.
func TestNoHeadingIsLeftAloneAtTheFootOfAPage(t *testing.T) {
	doc := paper.Dossier(whole(t), "fr", paper.Issue{})
	for i, page := range pages(t, doc)[2:] {
		lines := strings.Split(page, "\n")
		for _, s := range doc.Sections {
			at := slices.Index(lines, s.Title)
			if at < 0 {
				continue
			}
			if after := len(lines) - 1 - at; after < 2 {
				t.Errorf("page %d ends with the heading %q", i+3, s.Title)
			}
		}
	}
}

func TestThePaperHasEveryLetterThatIsSaid(t *testing.T) {
	doc, list := lacking(whole(t), 3)
	for name, ttf := range map[string][]byte{"regular": goregular.TTF, "bold": gobold.TTF} {
		font, err := sfnt.Parse(ttf)
		if err != nil {
			t.Fatal(err)
		}
		var buffer sfnt.Buffer
		lacks := map[rune]bool{}
		for _, l := range lang.Langs() {
			for _, page := range pages(t, paper.Dossier(doc, string(l), paper.Issue{Whole: list})) {
				for _, r := range page {
					if i, err := font.GlyphIndex(&buffer, r); r > ' ' && (err != nil || i == 0) {
						lacks[r] = true
					}
				}
			}
		}
		if len(lacks) > 0 {
			t.Errorf("the %s type cannot draw %v", name, slices.Collect(maps.Keys(lacks)))
		}
	}
}

// French sets a space that does not break before these signs: a line must not
// begin with one.
func TestFrenchSignsAreNeverAloneOnALine(t *testing.T) {
	for i, page := range pages(t, paper.Dossier(whole(t), "fr", paper.Issue{})) {
		for _, line := range strings.Split(page, "\n") {
			if line != "" && strings.ContainsRune(":;!?»%", []rune(line)[0]) {
				t.Errorf("page %d: a line begins with its sign: %q", i+1, line)
			}
		}
	}
}

func TestEverySheetHasEveryRowAndNoFormula(t *testing.T) {
	d, list := lacking(whole(t), 7)
	evil := []string{`=cmd()`, `+1+1`, `-2`, `@SUM(A1)`, "\tx", `=HYPERLINK("http://x","y")`, "d'Arvor"}
	for i, name := range evil {
		list[i].Device.Name = name
	}
	doc := paper.Dossier(d, "fr", paper.Issue{Whole: list})
	book, err := excelize.OpenReader(bytes.NewReader(render(t, doc, document.XLSX)))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close() //nolint:errcheck // only read
	sheets := book.GetSheetList()
	if want := len(tables(doc)) + 1; len(sheets) != want {
		t.Fatalf("%d sheets %q, want %d: the words, and each table", len(sheets), sheets, want)
	}
	for i, table := range tables(doc) {
		checkSheet(t, book, sheets[i+1], table)
	}
	rows, err := book.GetRows("Postes manquants et motifs")
	if err != nil || len(rows) != len(evil)+1 {
		t.Fatalf("missing devices: %d rows, %v", len(rows), err)
	}
	for i, name := range evil {
		if got := rows[i+1][0]; got != name && got != "'"+name {
			t.Errorf("the device %q is written %q", name, got)
		}
		if strings.ContainsAny(rows[i+1][0][:1], "=+-@\t") {
			t.Errorf("the device %q is written as a formula would be", name)
		}
	}
}

func checkSheet(t *testing.T, book *excelize.File, sheet string, table layout.Table) {
	t.Helper()
	rows, err := book.GetRows(sheet)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(table.All())+1 {
		t.Errorf("sheet %q has %d rows, want the head and %d", sheet, len(rows), len(table.All()))
		return
	}
	for i, row := range table.All() {
		for j, cell := range row {
			at, err := excelize.CoordinatesToCellName(j+1, i+2)
			if err != nil {
				t.Fatal(err)
			}
			if f, err := book.GetCellFormula(sheet, at); err != nil || f != "" {
				t.Errorf("%s %s is the formula %q, %v", sheet, at, f, err)
			}
			got, err := book.GetCellValue(sheet, at)
			want := strings.TrimSuffix(fmt.Sprint(cell.Number), "")
			if !cell.Counts {
				want = cell.Text
			}
			if err != nil || got != want && got != "'"+want {
				t.Errorf("%s %s says %q, %v; want %q", sheet, at, got, err, want)
			}
		}
	}
}

// Five thousand missing devices are a list for a sheet; paper has the first of
// them, and says how many it has not.
func TestALongListIsWholeInSheetsAndBoundedOnPaper(t *testing.T) {
	short, list := lacking(whole(t), 5000)
	doc := paper.Dossier(short, "fr", paper.Issue{Whole: list})
	got := pages(t, doc)
	few, _ := lacking(whole(t), paper.Appendix)
	if room := len(pages(t, paper.Dossier(few, "fr", paper.Issue{}))); len(got) > room+1 {
		t.Errorf("%d pages with 5,000 missing devices, %d with %d", len(got), room, paper.Appendix)
	}
	text := strings.NewReplacer("\u00a0", " ", "\n", " ").Replace(strings.Join(got, "\n"))
	if !strings.Contains(text, "4 800 autres postes sur 5 000") {
		t.Error("the print does not say how many it leaves out")
	}
	if n := strings.Count(text, "poste-0"); n != paper.Appendix {
		t.Errorf("%d devices are listed on paper, want %d", n, paper.Appendix)
	}
	book, err := excelize.OpenReader(bytes.NewReader(render(t, doc, document.XLSX)))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close() //nolint:errcheck // only read
	rows, err := book.GetRows("Postes manquants et motifs")
	if err != nil || len(rows) != 5001 || rows[5000][0] != "poste-04999" {
		t.Errorf("the workbook has %d rows, %v", len(rows), err)
	}
}

func TestEqualDocumentsHaveEqualBytes(t *testing.T) {
	for _, f := range document.Formats() {
		var bodies [2][]byte
		for i := range bodies {
			d, list := lacking(whole(t), 5000)
			bodies[i] = render(t, paper.Dossier(d, "fr", paper.Issue{Whole: list}), f)
		}
		if !bytes.Equal(bodies[0], bodies[1]) {
			t.Errorf("%s: the same campaign gave two files", f)
		}
	}
}

// A gate that has passed is told with what it passed on, not with what is
// known since: its probes have gone silent, and nobody opens it again.
func TestAPassedGateIsToldAsItPassed(t *testing.T) {
	d := whole(t)
	ring := &d.Board.Amendments[0].Rings[0]
	if !campaign.RingState(ring.State).Passed() {
		t.Fatalf("R0 is %s", ring.State)
	}
	for i := range ring.Evidence {
		ring.Evidence[i].OK, ring.Evidence[i].Have = false, "0"
	}
	for _, table := range tables(paper.Dossier(d, "fr", paper.Issue{})) {
		if table.Title != "Jalon de R0" {
			continue
		}
		for _, row := range table.Rows {
			if row[3].Text == "non atteint" {
				t.Errorf("it passed, and says %+v", row)
			}
		}
		return
	}
	t.Error("the gate of R0 is not told")
}

// Between two verdicts a ring fills up, device by device: paper has the answers
// that turned the verdict or that somebody asked for, sheets have all.
func TestEvaluationsOnPaperAreThoseThatSaySomethingNew(t *testing.T) {
	d := whole(t)
	at := time.Date(2026, 1, 14, 9, 0, 0, 0, time.UTC)
	d.Proceedings.Evaluations = nil
	for i := range 40 {
		v := view.RingEvaluation{Ring: "R0"}
		v.At, v.Verdict, v.State, v.Actor = at.Add(time.Duration(i)*time.Minute), "insufficient_evidence", "gate", "system:conductor"
		switch i {
		case 10:
			v.Actor = "user:it-lead"
		case 39:
			v.Verdict = "pass"
		}
		d.Proceedings.Evaluations = append(d.Proceedings.Evaluations, v)
	}
	for _, table := range tables(paper.Dossier(d, "en", paper.Issue{})) {
		if table.Title != "Evaluations of the gates" {
			continue
		}
		if len(table.Rows) != 3 || len(table.All()) != 40 || !strings.Contains(table.More, "37 more answers of 40") {
			t.Errorf("%d rows on paper, %d in the sheet, more %q; want 3 (the first, the asked one, the pass), 40, and what is left out", len(table.Rows), len(table.All()), table.More)
		}
		return
	}
	t.Error("no evaluations are told")
}
