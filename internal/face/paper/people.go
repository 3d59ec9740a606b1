package paper

import (
	"patchring/internal/core/checklist"
	"patchring/internal/face/lang"
	"patchring/internal/face/paper/layout"
	"patchring/internal/infra/view"
)

// tested is what people ticked, with their remarks, and what users said.
func (w dossierWriter) tested() []layout.Block {
	t := layout.Table{
		Title: w.T("dossier.tests"), Sheet: w.T("dossier.tests"), Empty: w.T("dossier.no_test"),
		Head: w.columns(heads{{"col.ring", 0.9}, {"col.test", 2.6}, {"col.department", 1.1}, {"col.state", 1}, {"paper.remark", 1.8}, {"col.by", 1.8}}),
	}
	probed := false
	for _, r := range w.d.Proceedings.Tests {
		for _, test := range r.Tests {
			probed = probed || test.Probe != ""
			for _, item := range test.Items {
				t.Rows = append(t.Rows, w.testItem(w.ringLabel(r.Ring, r.Amendment), test, item))
			}
		}
	}
	out := []layout.Block{tableBlock(t)}
	if probed {
		out = append(out, layout.Block{Text: w.T("dossier.probed_hint", "at", w.Moment(w.d.At))})
	}
	return append(out, w.feedback()...)
}

func (w dossierWriter) testItem(ring string, test view.TestProgress, item view.TestItem) []layout.Cell {
	title := w.own(test.Title)
	if text := w.own(item.Text); text != title {
		title += w.T("policy.colon") + " " + text
	}
	state := layout.T(w.Word(lang.TestState, string(item.State)))
	switch item.State {
	case checklist.OK:
		state = state.In(layout.Good)
	case checklist.Failed:
		state = state.In(layout.Bad)
	}
	by := "—"
	if !item.At.IsZero() {
		by = w.Actor(item.Actor) + "\n" + w.when(item.At)
	}
	if test.Probe != "" {
		by = w.T("test.probe", "probe", test.Probe, "green", w.Number(int64(test.Green)), "red", w.Number(int64(test.Red)), "unknown", w.Number(int64(test.Unknown)))
	}
	return []layout.Cell{layout.T(ring), layout.T(title), layout.T(w.or(test.Department, "—")), state, layout.T(w.or(item.Remark, "—")), layout.T(by)}
}

func (w dossierWriter) feedback() []layout.Block {
	f := w.d.Feedback
	t := layout.Table{
		Title: w.T("dossier.complaints"), Sheet: w.T("dossier.complaints"), Empty: w.T("dossier.no_complaint"),
		Head: w.columns(heads{{"paper.date", 1}, {"col.device", 1.2}, {"col.patch", 1.5}, {"paper.words", 3}, {"paper.dealt_with", 2}}),
	}
	for _, c := range w.d.Complaints {
		dealt := layout.T(w.T("paper.open")).In(layout.Warn)
		if !c.Closed.IsZero() {
			dealt = layout.T(w.Actor(c.ClosedBy) + ", " + w.when(c.Closed) + " — " + c.ClosedWhy)
		}
		t.Rows = append(t.Rows, []layout.Cell{layout.T(w.when(c.At)), layout.T(c.Device.Name), layout.T(w.or(patchName(c.Patch), "—")), layout.T(c.Words), dealt})
	}
	facts := []layout.Fact{
		{Label: w.T("dossier.works"), Value: w.Number(f.Works)}, w.alarm(w.T("dossier.broken"), f.Broken, layout.Warn), w.alarm(w.T("dossier.broken_open"), f.Open, layout.Bad),
	}
	if f.Works+f.Broken == 0 {
		return []layout.Block{{Text: w.T("dossier.no_feedback")}}
	}
	return []layout.Block{{Facts: facts}, tableBlock(t)}
}
