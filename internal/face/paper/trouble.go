package paper

import (
	"strings"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/face/lang"
	"patchring/internal/face/paper/layout"
	"patchring/internal/infra/view"
)

// incidents are what went wrong, why, and what put it right.
func (w dossierWriter) incidents() []layout.Block {
	t := w.incidentTable()
	t.Sheet, t.Empty = w.T("dossier.incidents"), w.T("dossier.no_incident")
	open := int64(0)
	for _, i := range w.d.Proceedings.Incidents {
		if i.Closed.IsZero() {
			open++
		}
		t.Rows = append(t.Rows, w.incident(i))
	}
	if len(t.Rows) == 0 {
		return []layout.Block{tableBlock(t)}
	}
	return []layout.Block{{Text: w.N("dossier.incidents_lead", int64(len(t.Rows)), "open", w.Number(open))}, tableBlock(t)}
}

func (w writer) incidentTable() layout.Table {
	return layout.Table{Head: w.columns(heads{{"col.opened", 1.45}, {"col.severity", 1}, {"paper.about", 1.6}, {"paper.what", 2.2}, {"incident.cause", 1.6}, {"incident.correction", 2}})}
}

func (w writer) incident(i view.DossierIncident) []layout.Cell {
	severity := layout.T(w.Word(lang.Severity, string(i.Severity)) + "\n" + w.Word(lang.IncidentState, string(i.State)))
	if i.Closed.IsZero() {
		severity = severity.In(layout.Bad)
	}
	names := make([]string, len(i.On))
	for n, d := range i.On {
		names[n] = d.Name
	}
	about := w.about(i.Ring, i.Patch, nil)
	if i.Devices > 0 {
		about += "\n" + w.N("paper.devices", i.Devices) + w.T("policy.colon") + " " + strings.Join(names, ", ")
	}
	if i.Devices > int64(len(names)) && len(names) > 0 {
		about += "…"
	}
	what := w.Given(i.What)
	if i.Response != "" {
		what += "\n" + w.Word(lang.Response, string(i.Response))
	}
	correction := i.Correction
	if !i.Corrected.IsZero() {
		correction += "\n" + w.Actor(i.CorrectedBy) + ", " + w.when(i.Corrected)
	}
	if !i.Closed.IsZero() {
		correction += "\n" + w.T("dossier.closed_by", "by", w.Actor(i.ClosedBy), "at", w.when(i.Closed))
	}
	return []layout.Cell{
		layout.T(w.when(i.Opened) + "\n" + w.Actor(i.OpenedBy)), severity, layout.T(about), layout.T(what), layout.T(w.or(i.Cause, "—")), layout.T(w.or(strings.TrimSpace(correction), "—")),
	}
}

// holds are what was stopped, by whom, and who let it go on.
func (w dossierWriter) holds() []layout.Block {
	t := layout.Table{
		Sheet: w.T("dossier.holds"), Empty: w.T("dossier.no_hold"),
		Head: w.columns(heads{{"paper.placed", 1.45}, {"paper.about", 1.6}, {"col.by", 1}, {"col.why", 2.6}, {"paper.lifted", 1.45}, {"paper.lifted_why", 1.8}}),
	}
	for _, h := range w.d.Proceedings.Holds {
		lifted := layout.T(w.T("paper.in_force")).In(layout.Warn)
		if !h.Lifted.IsZero() {
			lifted = layout.T(w.when(h.Lifted) + "\n" + w.Actor(h.LiftedBy))
		}
		t.Rows = append(t.Rows, []layout.Cell{
			layout.T(w.when(h.Placed)), layout.T(w.about(h.Ring, h.Patch, h.Device)), layout.T(w.Actor(h.Actor)), layout.T(w.Given(h.Reason)), lifted, layout.T(w.or(w.Given(h.Why), "—")),
		})
	}
	return []layout.Block{tableBlock(t)}
}

// rollbacks are the campaigns that undid this one, and how ready its patches
// are to go back.
func (w dossierWriter) rollbacks() []layout.Block {
	t := layout.Table{
		Title: w.T("dossier.rollbacks"), Sheet: w.T("dossier.rollbacks"), Empty: w.T("dossier.no_rollback"),
		Head: w.columns(heads{{"paper.date", 1.7}, {"col.campaign", 1.4}, {"paper.about", 1.2}, {"col.by", 1}, {"col.why", 2}, {"col.progress", 1.8}, {"paper.impossible", -0.9}, {"paper.opens_again", -1}}),
	}
	var left []view.ExceptionRow
	for _, b := range w.d.Proceedings.Rollbacks {
		left = append(left, b.Exceptions...)
		t.Rows = append(t.Rows, w.rollback(b))
	}
	out := []layout.Block{tableBlock(t)}
	if len(left) > 0 {
		open := w.exceptionTable(left)
		open.Title, open.Sheet = w.T("dossier.rollback_exceptions"), w.T("dossier.rollback_exceptions")
		out = append(out, tableBlock(open))
	}
	return append(out, tableBlock(w.rehearsals()))
}

func (w dossierWriter) rollback(b view.DossierRollback) []layout.Cell {
	var progress []string
	for _, g := range b.Rings {
		if n := g.Numbers; n.Total() > 0 {
			progress = append(progress, g.Ring+w.T("policy.colon")+" "+w.T("paper.of", "n", w.Number(n.Done), "of", w.Number(n.Total()-n.Exempt)))
		}
	}
	progress = append(progress, w.Word(lang.CampaignState, b.State))
	when := w.when(b.Started)
	if !b.Ended.IsZero() {
		when += "\n→ " + w.when(b.Ended)
	}
	return []layout.Cell{
		layout.T(when), layout.T(b.Name), layout.T(w.about(b.About.Ring, b.About.Patch, b.About.Device)), layout.T(w.Actor(b.About.By)), layout.T(w.Given(b.About.Reason)),
		layout.T(strings.Join(progress, "\n")), w.warn(b.Impossible), w.count(int64(len(b.Exceptions))),
	}
}

// rehearsals say of each patch how ready it is to go back, in the words of the
// board.
func (w dossierWriter) rehearsals() layout.Table {
	t := layout.Table{
		Title: w.T("dossier.rehearsals"), Sheet: w.T("dossier.rehearsals"), Empty: w.T("dossier.no_rehearsal"),
		Head: w.columns(heads{{"col.patch", 2.2}, {"col.rollback", 1.8}, {"paper.rehearsed_on", -1}, {"paper.rehearsal_failed", -0.9}, {"paper.way_back", -1}, {"paper.way_again", -1}, {"col.why", 2.2}}),
	}
	for _, a := range w.d.Board.Amendments {
		for _, it := range a.Items {
			row := []layout.Cell{layout.T(patchName(&it.Patch)), w.wayBack(it), w.count(0), w.count(0), layout.T("—"), layout.T("—"), layout.T(w.because(it.RollbackWhy))}
			rehearsed := w.rehearsal(it, row)
			if it.Rollback != campaign.RollbackUnknown || rehearsed {
				t.Rows = append(t.Rows, row)
			}
		}
	}
	return t
}

// rehearsal fills in what the first ring found, where it has tried.
func (w dossierWriter) rehearsal(it view.BoardItem, row []layout.Cell) bool {
	for _, h := range w.d.Proceedings.Rehearsals {
		if h.Patch.ID != it.Patch.ID {
			continue
		}
		row[2], row[3] = w.count(h.Done), w.bad(h.Failed)
		if h.Done > 0 {
			row[4], row[5] = layout.T(w.Duration(time.Duration(h.BackS)*time.Second)), layout.T(w.Duration(time.Duration(h.AgainS)*time.Second))
		}
		if h.Why != nil {
			row[6] = layout.T(w.Reason(*h.Why))
		}
		return true
	}
	return false
}

func (w dossierWriter) wayBack(it view.BoardItem) layout.Cell {
	switch it.Rollback {
	case campaign.RollbackRehearsed:
		return layout.T(w.T("board.rollback_rehearsed", "length", w.Duration(time.Duration(it.RollbackS)*time.Second))).In(layout.Good)
	case campaign.RollbackImpossible:
		return layout.T(w.N("board.rollback_impossible", it.RollbackImpossible)).In(layout.Bad)
	case campaign.RollbackReady:
		return layout.T(w.Word(lang.Rollback, string(it.Rollback)))
	}
	return layout.T("—")
}
