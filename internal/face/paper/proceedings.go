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
	numbers := layout.Table{Sheet: w.T("dossier.rings"), Head: w.provenHeads(layout.Column{Text: w.T("col.ring"), Weight: 1.4}, layout.Column{Text: w.T("paper.gate"), Weight: 1.3})}
	out := []layout.Block{{Text: w.T("dossier.rings_hint")}, {}, {Text: w.T("dossier.proven_hint")}}
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
			numbers.Rows = append(numbers.Rows, w.fiveProven(g.Numbers, w.provenOf(a.Number, g.Ring), layout.T(w.ringLabel(g.Ring, a.Number)), verdict))
			out = append(out, w.gate(a.Number, g)...)
		}
	}
	out[1] = tableBlock(numbers)
	return out
}

func (w dossierWriter) gate(amendment int64, g view.BoardRing) []layout.Block {
	name := w.T("dossier.gate_of", "ring", w.ringLabel(g.Ring, amendment))
	evidence := layout.Table{Title: name, Sheet: name, Empty: w.T("dossier.gate_unmeasured"), Head: w.columns(heads{{"paper.evidence", 2}, {"paper.asked", 1}, {"paper.found", 1}, {"paper.judged", 1}})}
	for _, e := range w.decidedOn(amendment, g) {
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

// decidedOn is what a gate that has passed passed on: what is found since is
// not what it decided on. One that has not is shown as it stands.
func (w dossierWriter) decidedOn(amendment int64, g view.BoardRing) []campaign.Evidence {
	out := g.Evidence
	if !campaign.RingState(g.State).Passed() {
		return out
	}
	for _, v := range w.d.Proceedings.Evaluations { // oldest first
		if v.Amendment == amendment && v.Ring == g.Ring && v.Verdict == string(campaign.Pass) {
			out = v.Evidence
		}
	}
	return out
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

// provenOf is what was found of a ring; nil: nobody has looked.
func (w dossierWriter) provenOf(amendment int64, ring string) *int64 {
	for _, r := range w.d.Verification.Rings {
		if r.Amendment == amendment && r.Ring == ring {
			return r.Proven
		}
	}
	return nil
}

// decisions are what was decided of rings, and every answer that gates gave: an
// entry whose verdict is that of the one before is no decision.
func (w dossierWriter) decisions() []layout.Block {
	t := layout.Table{
		Sheet: w.T("dossier.decisions"), Empty: w.T("dossier.no_decision"),
		Head: w.columns(heads{{"paper.date", 1.45}, {"col.ring", 0.9}, {"paper.decision", 1.4}, {"col.by", 1}, {"col.why", 3.4}}),
	}
	last := map[string]string{}
	for _, e := range w.d.Story {
		row, told := w.decision(e, last)
		if told {
			t.Rows = append(t.Rows, row)
		}
	}
	return []layout.Block{{Text: w.T("dossier.decisions_hint")}, tableBlock(t), {Text: w.T("dossier.evaluations_hint")}, tableBlock(w.evaluations())}
}

// decision is an entry's line, where it is one. last has the verdict of each
// ring's gate.
func (w dossierWriter) decision(e view.Event, last map[string]string) ([]layout.Cell, bool) {
	name := w.ringLabel(e.Ring, whole(e.Detail["amendment"]))
	row := func(what layout.Cell, why string) ([]layout.Cell, bool) {
		return []layout.Cell{layout.T(w.when(e.At)), layout.T(w.or(name, "—")), what, layout.T(w.Actor(e.Actor)), layout.T(why)}, true
	}
	switch e.Kind {
	case register.GateDecided:
		verdict := said(e.Detail["verdict"])
		if last[name] == verdict {
			return nil, false
		}
		last[name] = verdict
		return row(w.verdict(verdict), w.reasons(reasonsIn(e.Detail["reasons"])))
	case register.SignOff:
		return row(layout.T(w.T("paper.signed", "answer", w.Word(lang.Answer, said(e.Detail["decision"])))), w.signed(e))
	case register.RingOpened, register.RingExpedited:
		return row(layout.T(w.Word(lang.Act, string(e.Kind))), w.reasonOf(e))
	}
	return nil, false
}

func (w dossierWriter) verdict(verdict string) layout.Cell {
	cell := layout.T(w.Word(lang.Gate, verdict))
	if verdict == string(campaign.Pass) {
		return cell.In(layout.Good)
	}
	return cell.In(layout.Warn)
}

func (w dossierWriter) signed(e view.Event) string {
	text := w.Role(said(e.Detail["role"]))
	if comment := said(e.Detail["comment"]); comment != "" {
		text += " — " + w.T("board.comment", "text", comment)
	}
	return text
}

// evaluations are every answer that was kept, in sheets. Paper has those that
// somebody asked for, and those that changed the verdict: between two of them a
// ring fills up, one device after the other.
func (w dossierWriter) evaluations() layout.Table {
	t := layout.Table{
		Title: w.T("dossier.evaluations"), Sheet: w.T("dossier.evaluations"), Empty: w.T("dossier.no_evaluation"),
		Head: w.columns(heads{{"paper.date", 1.45}, {"col.ring", 0.9}, {"col.state", 0.9}, {"col.verdict", 1.1}, {"paper.asked_by", 1}, {"paper.on_what", 4.2}}),
	}
	var last view.RingEvaluation
	for _, v := range w.d.Proceedings.Evaluations {
		row := []layout.Cell{
			layout.T(w.when(v.At)), layout.T(w.ringLabel(v.Ring, v.Amendment)), layout.T(w.Word(lang.RingState, v.State)), w.verdict(v.Verdict), layout.T(w.Actor(v.Actor)), layout.T(w.onWhat(v)),
		}
		t.Whole = append(t.Whole, row)
		turned := v.Ring != last.Ring || v.Amendment != last.Amendment || v.Verdict != last.Verdict
		if turned || strings.HasPrefix(v.Actor, "user:") {
			t.Rows = append(t.Rows, row)
		}
		last = v
	}
	t.Rows = t.Rows[:min(len(t.Rows), Appendix)]
	if rest := int64(len(t.Whole) - len(t.Rows)); rest > 0 {
		t.More = w.N("dossier.evaluations_more", rest, "of", w.Number(int64(len(t.Whole))))
	}
	return t
}

// onWhat is the evidence and the reasons that a gate answered on, a line each.
func (w dossierWriter) onWhat(v view.RingEvaluation) string {
	var lines []string
	for _, e := range v.Evidence {
		title, asked, found := w.Evidence(e.Name, e.Need, e.Have)
		line := title + " " + asked + " → "
		switch {
		case e.Unknown:
			line += w.T("board.unknown")
		case !e.OK:
			line += found + " (" + w.T("paper.not_ok") + ")"
		default:
			line += found
		}
		lines = append(lines, line)
	}
	if why := w.reasons(v.Reasons); why != "" {
		lines = append(lines, why)
	}
	return strings.Join(lines, "\n")
}

func (w writer) reasons(list []fault.Reason) string {
	lines := make([]string, len(list))
	for i, r := range list {
		lines[i] = w.Reason(r)
	}
	return strings.Join(lines, "\n")
}

// reasonsIn are those that an entry keeps as a text; none where it keeps
// something else.
func reasonsIn(v any) []fault.Reason {
	var out []fault.Reason
	if json.Unmarshal([]byte(said(v)), &out) != nil {
		return nil
	}
	return out
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
	case json.Number: // as the register's entries are read
		i, err := n.Int64()
		if err == nil {
			return i
		}
	}
	return 0
}

// reasonOf is why somebody did something, as it was recorded.
func (w writer) reasonOf(e view.Event) string {
	for _, key := range []string{"what", "why", "correction"} {
		if text := said(e.Detail[key]); text != "" {
			return w.Given(text)
		}
	}
	if e.Reason != nil {
		return w.Reason(*e.Reason)
	}
	return ""
}

// chronology is the campaign's own story, in its order; paper has its end.
func (w dossierWriter) chronology() []layout.Block {
	t := layout.Table{
		Sheet: w.T("dossier.chronology"), Empty: w.T("dossier.no_decision"),
		Head: w.columns(heads{{"paper.date", 1.45}, {"paper.act", 1.6}, {"paper.about", 1.7}, {"col.by", 1}, {"col.why", 3.2}}),
	}
	last := map[string]string{}
	for _, e := range w.d.Story {
		if row, told := w.told(e, last); told {
			t.Whole = append(t.Whole, row)
		}
	}
	t.Rows = t.Whole[max(0, len(t.Whole)-Appendix):]
	if rest := int64(len(t.Whole)-len(t.Rows)) + w.d.StoryCount - int64(len(w.d.Story)); rest > 0 {
		t.More = w.N("dossier.chronology_more", rest)
	}
	return []layout.Block{tableBlock(t)}
}

// told is an entry's line in the story: of a gate only what it decided anew.
func (w dossierWriter) told(e view.Event, last map[string]string) ([]layout.Cell, bool) {
	what, why := layout.T(w.Word(lang.Act, string(e.Kind))), w.reasonOf(e)
	switch e.Kind {
	case register.GateDecided:
		verdict, name := said(e.Detail["verdict"]), w.ringLabel(e.Ring, whole(e.Detail["amendment"]))
		if last[name] == verdict {
			return nil, false
		}
		last[name] = verdict
		what.Text += w.T("policy.colon") + " " + w.Word(lang.Gate, verdict)
		why = w.reasons(reasonsIn(e.Detail["reasons"]))
	case register.SignOff:
		what.Text, why = w.T("paper.signed", "answer", w.Word(lang.Answer, said(e.Detail["decision"]))), w.signed(e)
	case register.IncidentOpened:
		what = what.In(layout.Bad)
		what.Text += " (" + w.Word(lang.Severity, said(e.Detail["severity"])) + ")"
	case register.RollbackRequested:
		why += " — " + w.T("dossier.rollback_of", "items", w.Number(whole(e.Detail["items"])), "devices", w.Number(whole(e.Detail["devices"])), "impossible", w.Number(whole(e.Detail["impossible"])))
	}
	about := w.about(w.ringLabel(e.Ring, whole(e.Detail["amendment"])), e.Patch, e.Device)
	return []layout.Cell{layout.T(w.when(e.At)), what, layout.T(about), layout.T(w.Actor(e.Actor)), layout.T(why)}, true
}

// about names what something is of: a ring, a patch, a device, or all.
func (w writer) about(ring string, p *view.PatchRef, d *view.DeviceRef) string {
	parts := slices.DeleteFunc([]string{ring, patchName(p), deviceName(d)}, func(s string) bool { return s == "" })
	return w.or(strings.Join(parts, ", "), w.T("paper.campaign"))
}
