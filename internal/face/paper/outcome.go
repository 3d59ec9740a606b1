package paper

import (
	"maps"
	"slices"
	"strings"
	"time"

	"patchring/internal/core/document"
	"patchring/internal/core/fleet"
	"patchring/internal/face/lang"
	"patchring/internal/face/paper/layout"
	"patchring/internal/infra/view"
)

func sortedKeys(tags fleet.Tags) []string { return slices.Sorted(maps.Keys(tags)) }

// chartLines bounds a picture; its table has all.
const chartLines = 20

func (w dossierWriter) coverage() []layout.Block {
	v := w.d.Verification
	out := []layout.Block{{Text: w.T("dossier.coverage_hint")}}
	for _, by := range []struct {
		key, none string
		lines     []view.CoverageLine
	}{{"verification.departments", "verification.no_department", v.Departments}, {"verification.sites", "verification.no_site", v.Sites}, {"verification.systems", "verification.no_system", v.Systems}} {
		name := w.T(by.key)
		t := layout.Table{Sheet: name, Empty: w.T("dossier.no_device"), Head: w.provenHeads(layout.Column{Text: name, Weight: 2})}
		var labels []string
		var numbers []view.Numbers
		for _, l := range by.lines {
			label := w.or(l.Value, w.T(by.none))
			proven := v.Proven
			if proven != nil {
				proven = &l.Proven
			}
			t.Rows = append(t.Rows, w.fiveProven(l.Numbers, proven, layout.T(label)))
			if len(labels) < chartLines {
				labels, numbers = append(labels, label), append(numbers, l.Numbers)
			}
		}
		if len(labels) > 1 {
			out = append(out, layout.Block{Chart: w.fiveChart(name, labels, numbers)})
		}
		out = append(out, tableBlock(t))
	}
	return out
}

// took is a time that patches took; none of nothing.
func (w writer) took(s document.Spread, d time.Duration) layout.Cell {
	if s.N == 0 {
		return layout.T("—")
	}
	if d < time.Hour {
		return layout.T(w.T("paper.under_an_hour"))
	}
	return layout.T(w.Duration(d))
}

func (w dossierWriter) times() []layout.Block {
	head := heads{{"col.grade", 1.2}, {"dossier.installs", -1}, {"paper.mean", -1.2}, {"paper.median", -1.2}, {"paper.p90", -1.2}}
	seen := layout.Table{Title: w.T("dossier.from_seen"), Sheet: w.T("dossier.from_seen"), Empty: w.T("dossier.nothing_installed"), Head: w.columns(head)}
	ring := layout.Table{Title: w.T("dossier.from_ring"), Sheet: w.T("dossier.from_ring"), Empty: w.T("dossier.nothing_installed"), Head: w.columns(head)}
	for _, g := range w.d.ByGrade {
		if g.FromSeen.N == 0 {
			continue
		}
		row := func(s document.Spread) []layout.Cell {
			return []layout.Cell{layout.T(w.Word(lang.Grade, g.Severity)), w.count(s.N), w.took(s, s.Mean), w.took(s, s.Median), w.took(s, s.P90)}
		}
		seen.Rows, ring.Rows = append(seen.Rows, row(g.FromSeen)), append(ring.Rows, row(g.FromRing))
	}
	out := []layout.Block{{Text: w.T("dossier.times_hint")}, tableBlock(seen), tableBlock(ring)}
	if w.d.Clock == "" {
		return append(out, layout.Block{Text: w.T("dossier.no_sla")})
	}
	promises := make([]document.Promise, len(w.d.ByGrade))
	for i, g := range w.d.ByGrade {
		promises[i] = g.Promise
	}
	return append(out, layout.Block{Text: w.T("sla_clock." + string(w.d.Clock))}, tableBlock(w.promises(promises)))
}

// promises is what was promised by severity, and what came of it.
func (w writer) promises(promises []document.Promise) layout.Table {
	t := layout.Table{
		Title: w.T("dossier.sla"), Sheet: w.T("dossier.sla"), Empty: w.T("dossier.no_sla"),
		Head: w.columns(heads{{"col.grade", 1.2}, {"paper.limit", -1}, {"paper.in_time", -1}, {"paper.late", -0.9}, {"paper.running", -1}, {"paper.overdue", -1}, {"paper.exempt", -1.1}, {"paper.kept_share", -1}}),
	}
	for _, p := range promises {
		limit, share := "—", "—"
		if p.Limit > 0 {
			kept, of := p.Kept()
			limit, share = w.Duration(p.Limit), w.Share(kept, of)
		}
		t.Rows = append(t.Rows, []layout.Cell{
			layout.T(w.Word(lang.Grade, p.Severity)), layout.T(limit), w.count(p.InTime), w.bad(p.Late), w.count(p.Running), w.bad(p.Overdue), w.count(p.Exempt), layout.T(share),
		})
	}
	return t
}

func (w dossierWriter) exceptions() []layout.Block {
	t := w.exceptionTable(w.d.Exceptions)
	t.Empty = w.T("dossier.no_exception")
	return []layout.Block{tableBlock(t)}
}

func (w writer) exceptionTable(rows []view.ExceptionRow) layout.Table {
	t := layout.Table{
		Sheet: w.T("dossier.exceptions"), Head: w.columns(heads{{"paper.about", 1.8}, {"col.owner", 1}, {"col.why", 2}, {"col.control", 2}, {"col.until", 1.1}, {"col.state", 1}}),
	}
	for _, e := range rows {
		var about []string
		if e.Device != nil {
			about = append(about, e.Device.Name)
		}
		for _, text := range []string{e.Group, patchName(e.Patch), e.Name} {
			if text != "" {
				about = append(about, text)
			}
		}
		t.Rows = append(t.Rows, []layout.Cell{layout.T(strings.Join(about, ", ")), layout.T(e.Owner), layout.T(e.Reason), layout.T(e.Control), layout.T(w.DateShort(e.Until)), layout.T(w.Word(lang.ExceptionState, e.State))})
	}
	return t
}

func (w dossierWriter) missing() []layout.Block {
	why := layout.Table{Title: w.T("dossier.missing_why"), Sheet: w.T("dossier.missing_why"), Empty: w.T("dossier.none_missing"), Head: w.columns(heads{{"col.state", 1}, {"col.why", 3}, {"col.devices", -0.8}})}
	for _, r := range w.d.Verification.Reasons {
		why.Rows = append(why.Rows, []layout.Cell{layout.T(w.Word(lang.Bucket, r.Bucket)), layout.T(w.or(w.Cause(r.Code), "—")), w.count(r.Devices)})
	}
	list := w.missingTable(w.d.Missing[:min(len(w.d.Missing), Appendix)])
	list.Title, list.Empty = w.T("dossier.missing_list"), w.T("dossier.none_missing")
	if w.is.Whole != nil {
		list.Whole = w.missingTable(w.is.Whole).Rows
	}
	if rest := w.d.MissingCount - int64(len(list.Rows)); rest > 0 {
		list.More = w.N("dossier.missing_more", rest, "of", w.Number(w.d.MissingCount))
	}
	return []layout.Block{tableBlock(why), tableBlock(list)}
}

func (w writer) missingTable(rows []view.MissingDevice) layout.Table {
	t := layout.Table{
		Sheet: w.T("dossier.missing"), Head: w.columns(heads{{"col.device", 1.4}, {"col.ring", 0.9}, {"verification.department", 1}, {"verification.site", 0.9}, {"col.os", 1.2}, {"col.state", 0.9}, {"col.why", 2.4}, {"col.next", 1.1}}),
	}
	for _, m := range rows {
		next := layout.T(w.when(m.Next))
		if m.Next.IsZero() {
			next = layout.T(w.T("verification.by_hand")).In(layout.Warn)
		}
		t.Rows = append(t.Rows, []layout.Cell{
			layout.T(m.Device.Name), layout.T(w.ringLabel(m.Ring, m.Amendment)), layout.T(w.or(m.Department, "—")), layout.T(w.or(m.Site, "—")), layout.T(w.or(m.System, "—")),
			layout.T(w.Word(lang.Bucket, m.Bucket)), layout.T(w.because(m.Reason)), next,
		})
	}
	return t
}

func (w dossierWriter) followUp() []layout.Block {
	t := w.taskTable(w.d.Tasks)
	t.Empty = w.T("dossier.no_task")
	out := []layout.Block{tableBlock(t)}
	names := make([]string, len(w.d.Verification.CatchUps))
	for i, c := range w.d.Verification.CatchUps {
		names[i] = c.Name
	}
	if len(names) > 0 {
		return append(out, layout.Block{Text: w.T("dossier.catch_ups", "names", w.List(names))})
	}
	return append(out, layout.Block{Text: w.T("dossier.no_catch_up")})
}

func (w writer) taskTable(rows []view.TaskRow) layout.Table {
	t := layout.Table{Title: w.T("dossier.tasks"), Sheet: w.T("dossier.tasks"), Head: w.columns(heads{{"col.task", 2.4}, {"col.device", 1.2}, {"col.owner", 1}, {"col.due", 1.1}, {"col.state", 1}})}
	for _, task := range rows {
		t.Rows = append(t.Rows, []layout.Cell{layout.T(task.Title), layout.T(w.or(deviceName(task.Device), "—")), layout.T(task.Owner), layout.T(w.DateShort(task.Due)), layout.T(w.Word(lang.TaskState, string(task.State)))})
	}
	return t
}

// register says how anybody checks what is written here, without us.
func (w dossierWriter) register() []layout.Block {
	r := w.d.Register
	return []layout.Block{
		{Text: w.T("dossier.register_hint", "size", w.Number(r.Size))},
		{Code: strings.TrimRight(r.Checkpoint, "\n")},
		{Text: w.T("dossier.register_key")}, {Code: r.Key},
		{Text: w.T("dossier.register_how")},
		{Code: "patchring register export register.json\npatchring register verify register.json --key " + r.Key + " --seen " + "checkpoint.txt --document " + w.T("dossier.file_example")},
	}
}
