package paper

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/register"
	"patchring/internal/face/lang"
	"patchring/internal/face/paper/layout"
	"patchring/internal/infra/view"
)

// rings are the gates as they stand: numbers, evidence, sign-offs.
func (w dossierWriter) rings() []layout.Block {
	numbers := layout.Table{Sheet: w.T("dossier.rings"), Head: w.fiveHeads(layout.Column{Text: w.T("col.ring"), Weight: 1.4}, layout.Column{Text: w.T("paper.gate"), Weight: 1.3})}
	out := []layout.Block{{Text: w.T("dossier.rings_hint")}, {}}
	for _, a := range w.d.Board.Amendments {
		for _, g := range a.Rings {
			verdict := layout.T(w.or(w.Word(lang.Gate, g.Verdict), w.Word(lang.RingState, g.State)))
			switch campaign.Verdict(g.Verdict) {
			case campaign.Pass:
				verdict = verdict.In(layout.Good)
			case campaign.Undecided:
			default:
				verdict = verdict.In(layout.Warn)
			}
			numbers.Rows = append(numbers.Rows, w.five(g.Numbers, layout.T(w.ringLabel(g.Ring, a.Number)), verdict))
			out = append(out, w.gate(a.Number, g)...)
		}
	}
	out[1] = tableBlock(numbers)
	return out
}

func (w dossierWriter) gate(amendment int64, g view.BoardRing) []layout.Block {
	name := w.T("dossier.gate_of", "ring", w.ringLabel(g.Ring, amendment))
	evidence := layout.Table{Title: name, Sheet: name, Empty: w.T("dossier.gate_unmeasured"), Head: w.columns(heads{{"paper.evidence", 2}, {"paper.asked", 1}, {"paper.found", 1}, {"paper.judged", 1}})}
	for _, e := range g.Evidence {
		title, asked, found := w.Evidence(e.Name, e.Need, e.Have)
		judged := layout.T(w.T("paper.ok")).In(layout.Good)
		switch {
		case e.Unknown:
			found, judged = w.T("board.unknown"), layout.T(w.T("paper.not_known")).In(layout.Warn)
		case !e.OK:
			judged = layout.T(w.T("paper.not_ok")).In(layout.Bad)
		}
		evidence.Rows = append(evidence.Rows, []layout.Cell{layout.T(title), layout.T(asked), layout.T(found), judged})
	}
	for _, s := range g.SignOffs {
		evidence.Rows = append(evidence.Rows, w.signOff(s))
	}
	return []layout.Block{tableBlock(evidence)}
}

// signOff is a line of a gate; what it was about is said, and who said what.
func (w dossierWriter) signOff(s view.SignOffSlot) []layout.Cell {
	label := layout.T(w.T("board.visa", "title", w.own(s.Title)))
	g := s.Given
	if g == nil {
		return []layout.Cell{label, layout.T(w.Role(s.Role)), layout.T("—"), layout.T(w.T("paper.awaited")).In(layout.Warn)}
	}
	said := w.Actor(g.Actor) + ", " + w.when(g.At)
	if len(s.Checklist) > 0 {
		said += ", " + w.T("paper.tests", "n", w.Number(int64(len(g.Ticked))), "of", w.Number(int64(len(s.Checklist))))
	}
	if g.Comment != "" {
		said += " — " + w.T("board.comment", "text", g.Comment)
	}
	answer := layout.T(w.Word(lang.Answer, "yes")).In(layout.Good)
	if !g.Yes {
		answer = layout.T(w.Word(lang.Answer, "no")).In(layout.Bad)
	}
	return []layout.Cell{label, layout.T(w.Role(s.Role)), layout.T(said), answer}
}

// decisions are what gates decided, with the evidence that they decided on: an
// entry whose verdict is that of the one before is no decision.
func (w dossierWriter) decisions() []layout.Block {
	t := layout.Table{
		Sheet: w.T("dossier.decisions"), Empty: w.T("dossier.no_decision"),
		Head: w.columns(heads{{"paper.date", 1.1}, {"col.ring", 0.9}, {"paper.decision", 1.1}, {"col.by", 0.9}, {"paper.on_what", 4}}),
	}
	last := map[string]string{}
	for _, e := range w.d.Story {
		amendment := whole(e.Detail["amendment"])
		name := w.ringLabel(e.Ring, amendment)
		switch e.Kind {
		case register.GateDecided:
			verdict := said(e.Detail["verdict"])
			if last[name] == verdict {
				continue
			}
			last[name] = verdict
			cell := layout.T(w.Word(lang.Gate, verdict)).In(layout.Warn)
			if verdict == string(campaign.Pass) {
				cell = cell.In(layout.Good)
			}
			t.Rows = append(t.Rows, []layout.Cell{layout.T(w.when(e.At)), layout.T(name), cell, layout.T(w.Actor(e.Actor)), layout.T(w.onWhat(e.Detail))})
		case register.SignOff:
			text := w.Role(said(e.Detail["role"]))
			if comment := said(e.Detail["comment"]); comment != "" {
				text += " — " + w.T("board.comment", "text", comment)
			}
			t.Rows = append(t.Rows, []layout.Cell{layout.T(w.when(e.At)), layout.T(w.or(name, "—")), layout.T(w.T("paper.signed", "answer", w.Word(lang.Answer, said(e.Detail["decision"])))), layout.T(w.Actor(e.Actor)), layout.T(text)})
		case register.RingOpened, register.RingExpedited:
			t.Rows = append(t.Rows, []layout.Cell{layout.T(w.when(e.At)), layout.T(name), layout.T(w.Word(lang.Act, string(e.Kind))), layout.T(w.Actor(e.Actor)), layout.T(w.reasonOf(e))})
		}
	}
	return []layout.Block{{Text: w.T("dossier.decisions_hint")}, tableBlock(t)}
}

// onWhat is the evidence and the reasons that a decision was recorded with.
func (w dossierWriter) onWhat(detail map[string]any) string {
	var evidence []campaign.Evidence
	var reasons []fault.Reason
	var parts []string
	if json.Unmarshal([]byte(said(detail["evidence"])), &evidence) == nil {
		for _, e := range evidence {
			title, asked, found := w.Evidence(e.Name, e.Need, e.Have)
			if e.Unknown {
				found = w.T("board.unknown")
			}
			parts = append(parts, title+" "+asked+" → "+found)
		}
	}
	if json.Unmarshal([]byte(said(detail["reasons"])), &reasons) == nil {
		for _, r := range reasons {
			parts = append(parts, w.Reason(r))
		}
	}
	return strings.Join(parts, "\n")
}

func said(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func whole(v any) int64 {
	switch n := v.(type) {
	case int64:
		return n
	case int:
		return int64(n)
	case float64:
		return int64(n)
	}
	return 0
}

// reasonOf is why somebody did something, as it was recorded.
func (w dossierWriter) reasonOf(e view.Event) string {
	switch {
	case said(e.Detail["what"]) != "":
		return said(e.Detail["what"])
	case said(e.Detail["why"]) != "":
		return said(e.Detail["why"])
	case e.Reason != nil:
		return w.Reason(*e.Reason)
	}
	return ""
}

// incidents tells what went wrong and what was done about it, in its order.
func (w dossierWriter) incidents() []layout.Block {
	t := layout.Table{
		Sheet: w.T("dossier.incidents"), Empty: w.T("dossier.no_incident"),
		Head: w.columns(heads{{"paper.date", 1.1}, {"paper.act", 1.3}, {"paper.about", 1.6}, {"col.by", 0.9}, {"col.why", 3}}),
	}
	kinds := []register.Kind{register.IncidentOpened, register.IncidentClosed, register.HoldPlaced, register.HoldLifted, register.RollbackRequested, register.ItemWithdrawn}
	for _, e := range w.d.Story {
		if !slices.Contains(kinds, e.Kind) {
			continue
		}
		what := layout.T(w.Word(lang.Act, string(e.Kind)))
		if severity := said(e.Detail["severity"]); severity != "" {
			what.Text += " (" + w.Word(lang.Severity, severity) + ")"
			what = what.In(layout.Bad)
		}
		about := strings.Join(slices.DeleteFunc([]string{e.Ring, patchName(e.Patch), deviceName(e.Device)}, func(s string) bool { return s == "" }), ", ")
		why := w.reasonOf(e)
		if e.Kind == register.RollbackRequested {
			why += " — " + w.T("dossier.rollback_of", "items", w.Number(whole(e.Detail["items"])), "devices", w.Number(whole(e.Detail["devices"])), "impossible", w.Number(whole(e.Detail["impossible"])))
		}
		t.Rows = append(t.Rows, []layout.Cell{layout.T(w.when(e.At)), what, layout.T(w.or(about, "—")), layout.T(w.Actor(e.Actor)), layout.T(why)})
	}
	return []layout.Block{tableBlock(t)}
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
