package paper

import (
	"strconv"
	"strings"

	"patchring/internal/core/campaign"
	"patchring/internal/core/document"
	"patchring/internal/core/fleet"
	"patchring/internal/face/lang"
	"patchring/internal/face/paper/layout"
	"patchring/internal/infra/view"
)

// Issue says what revision a dossier is of: number 0 is a draft, which is
// marked as one on every page.
type Issue struct {
	Revision view.Revision
	Whole    []view.MissingDevice // all missing devices, for sheets; nil: those of the dossier
}

// Appendix is how many missing devices are listed on paper.
const Appendix = 200

// Dossier composes the document of a campaign.
func Dossier(d view.Dossier, language string, is Issue) layout.Document {
	w := dossierWriter{writerIn(language, d.Board.Zone), d, is}
	c := d.Board.Campaign
	doc := layout.Document{
		Lang: string(w.Lang()), Title: w.T("dossier.title", "name", c.Name), Subtitle: w.own(d.Board.Title), Organisation: d.Tenant,
		Reference: w.reference(), Classification: w.own(d.Classification), Made: d.At,
		PageOf: w.T("paper.page", "page", "{page}", "pages", "{pages}"), Contents: w.T("paper.contents"),
		Cover: w.cover(), CoverTables: []layout.Table{w.visas(), w.revisions()},
	}
	sections := []struct {
		key    string
		blocks []layout.Block
	}{
		{"dossier.summary", w.summary()}, {"dossier.perimeter", w.perimeter()}, {"dossier.calendar", w.calendar()},
		{"dossier.content", w.content()}, {"dossier.rings", w.rings()}, {"dossier.decisions", w.decisions()},
		{"dossier.tested", w.tested()}, {"dossier.incidents", w.incidents()}, {"dossier.holds", w.holds()}, {"dossier.undone", w.rollbacks()}, {"dossier.coverage", w.coverage()},
		{"dossier.times", w.times()}, {"dossier.exceptions", w.exceptions()}, {"dossier.missing", w.missing()},
		{"dossier.follow_up", w.followUp()}, {"dossier.chronology", w.chronology()}, {"dossier.register", w.register()},
	}
	for i, s := range sections {
		doc.Sections = append(doc.Sections, layout.Section{ID: layout.Anchor(i + 1), Title: strconv.Itoa(i+1) + ". " + w.T(s.key), Blocks: s.blocks})
	}
	return doc
}

type dossierWriter struct {
	writer
	d  view.Dossier
	is Issue
}

func (w dossierWriter) reference() string {
	name := w.T("dossier.reference", "name", w.d.Board.Campaign.Name)
	if w.is.Revision.Number == 0 {
		return name + " · " + w.T("dossier.draft")
	}
	return name + " · " + w.T("dossier.revision", "n", w.Number(w.is.Revision.Number))
}

func (w dossierWriter) cover() []layout.Fact {
	c := w.d.Board.Campaign
	period := w.DateShort(c.Starts) + " – "
	if end := c.Closed; !end.IsZero() {
		period += w.DateShort(end)
	} else {
		period += "…"
	}
	return []layout.Fact{
		{Label: w.T("paper.reference"), Value: w.reference()},
		{Label: w.T("paper.campaign"), Value: c.Name},
		{Label: w.T("paper.state"), Value: w.Word(lang.CampaignState, c.State)},
		{Label: w.T("paper.procedure"), Value: c.Procedure + ", " + w.T("board.version", "n", w.Number(c.ProcedureVersion))},
		{Label: w.T("paper.owner"), Value: w.d.Owner},
		{Label: w.T("paper.period"), Value: period},
		{Label: w.T("paper.read_at"), Value: w.Brief(w.d.At)},
		{Label: w.T("paper.zone"), Value: w.ZoneName(w.d.At)},
		{Label: w.T("paper.classification"), Value: w.or(w.own(w.d.Classification), w.T("paper.unclassified"))},
	}
}

// visas are functions and the accounts that acted, never names that nobody gave.
func (w dossierWriter) visas() layout.Table {
	t := layout.Table{Title: w.T("paper.visas"), Sheet: w.T("paper.visas"), Head: w.columns(heads{{"paper.visa", 1}, {"col.name", 1.2}, {"paper.function", 1.8}, {"paper.date", 1.2}})}
	waits := layout.T(w.T("paper.awaited")).In(layout.Quiet)
	drafted := []layout.Cell{layout.T(w.T("paper.drafted")), waits, layout.T(w.d.Owner), waits}
	if r := w.is.Revision; r.Number > 0 {
		drafted[1], drafted[3] = layout.T(w.Actor(r.Actor)), layout.T(w.when(r.At))
	}
	t.Rows = append(t.Rows, drafted)
	for _, s := range w.d.Verification.SignOffs {
		row := []layout.Cell{layout.T(w.T("paper.verified")), waits, layout.T(w.own(s.Title) + " (" + w.Role(s.Role) + ")"), waits}
		if g := s.Given; g != nil && g.Yes {
			row[1], row[3] = layout.T(w.Actor(g.Actor)), layout.T(w.when(g.At))
		} else if g != nil {
			row[1], row[3] = layout.T(w.T("paper.refused_by", "by", w.Actor(g.Actor))).In(layout.Bad), layout.T(w.when(g.At))
		}
		t.Rows = append(t.Rows, row)
	}
	if len(w.d.Verification.SignOffs) == 0 {
		t.Rows = append(t.Rows, []layout.Cell{layout.T(w.T("paper.verified")), layout.T("—"), layout.T(w.T("paper.not_asked")).In(layout.Quiet), layout.T("—")})
	}
	closed := []layout.Cell{layout.T(w.T("paper.validated")), waits, layout.T(w.T("paper.closing")), waits}
	for _, e := range w.d.Story {
		if e.Kind == "campaign_closed" {
			closed[1], closed[3] = layout.T(w.Actor(e.Actor)), layout.T(w.when(e.At))
		}
	}
	t.Rows = append(t.Rows, closed)
	return t
}

func (w dossierWriter) revisions() layout.Table {
	t := layout.Table{
		Title: w.T("paper.revisions"), Sheet: w.T("paper.revisions"), Empty: w.T("paper.no_revision"),
		Head: w.columns(heads{{"paper.revision", 0.7}, {"paper.date", 1.2}, {"col.account", 1}, {"paper.object", 3}}),
	}
	revisions := w.d.Revisions
	if w.is.Revision.Number > 0 {
		revisions = append(revisions[:len(revisions):len(revisions)], w.is.Revision)
	}
	for _, r := range revisions {
		t.Rows = append(t.Rows, []layout.Cell{w.count(r.Number), layout.T(w.when(r.At)), layout.T(w.Actor(r.Actor)), layout.T(r.Reason)})
	}
	return t
}

func (w dossierWriter) summary() []layout.Block {
	v, total := w.d.Verification, w.d.Verification.Total
	lead := w.N("dossier.lead", total.Done, "of", w.Number(total.Total()-total.Exempt), "share", w.reached(total))
	rolledBack := int64(0)
	for _, it := range w.d.Items {
		rolledBack += it.RolledBack
	}
	late := int64(0)
	for _, step := range w.d.Calendar {
		if step.How == document.Late || step.How == document.Missed {
			late++
		}
	}
	facts := []layout.Fact{
		{Label: title(w.Word(lang.Bucket, "done")), Value: w.Number(total.Done), Tone: layout.Good}, w.alarm(title(w.Word(lang.Bucket, "failed")), total.Failed, layout.Bad),
		w.alarm(title(w.Word(lang.Bucket, "not_reached")), total.NotReached, layout.Warn), w.alarm(title(w.Word(lang.Bucket, "unreachable")), total.Unreachable, layout.Warn),
		{Label: title(w.Word(lang.Bucket, "exempt")), Value: w.Number(total.Exempt)}, {Label: w.T("dossier.patches"), Value: w.Number(int64(len(w.d.Items)))},
		{Label: w.T("col.proven"), Value: w.provenShare(v.Proven, total)}, w.alarm(w.T("dossier.incident_count"), int64(len(w.d.Proceedings.Incidents)), layout.Warn), w.alarm(w.T("dossier.holds"), int64(len(w.d.Proceedings.Holds)), layout.Warn), w.alarm(w.T("dossier.rolled_back"), rolledBack, layout.Warn), w.alarm(w.T("dossier.dates_late"), late, layout.Warn),
	}
	var labels []string
	var numbers []view.Numbers
	for _, r := range v.Rings {
		labels, numbers = append(labels, w.ringLabel(r.Ring, r.Amendment)), append(numbers, r.Numbers)
	}
	return []layout.Block{{Lead: lead}, {Text: w.standing()}, {Facts: facts}, {Chart: w.fiveChart(w.T("dossier.rings"), labels, numbers)}}
}

// standing says where the campaign is, and what its closing waits for.
func (w dossierWriter) standing() string {
	c, v := w.d.Board.Campaign, w.d.Verification
	switch {
	case !c.Closed.IsZero():
		return w.T("dossier.closed_at", "at", w.Moment(c.Closed))
	case c.State == string(campaign.Verifying) && len(v.Missing) > 0:
		return w.T("dossier.awaits_visa", "at", w.Moment(v.Due))
	case c.State == string(campaign.Verifying):
		return w.T("dossier.verifying_since", "at", w.Moment(v.Due))
	}
	return w.T("dossier.watched_until", "at", w.Moment(v.Due))
}

func (w writer) alarm(label string, n int64, tone layout.Tone) layout.Fact {
	f := layout.Fact{Label: label, Value: w.Number(n)}
	if n > 0 {
		f.Tone = tone
	}
	return f
}

func (w writer) ringLabel(ring string, amendment int64) string {
	if amendment == 0 {
		return ring
	}
	return ring + " · " + w.T("board.amendment", "n", w.Number(amendment))
}

func (w dossierWriter) perimeter() []layout.Block {
	p := w.d.Procedure
	facts := []layout.Fact{
		{Label: w.T("paper.procedure"), Value: w.own(w.d.Board.Title)}, {Label: w.T("col.version"), Value: w.Number(p.Version)},
		{Label: w.T("paper.applied"), Value: w.when(p.At) + ", " + w.Actor(p.Actor)}, {Label: w.T("paper.perimeter"), Value: w.selected(w.d.Perimeter)},
		{Label: w.T("paper.excluded"), Value: w.selected(w.d.Excluded)}, {Label: w.T("dossier.origin"), Value: w.Word(lang.Origin, w.d.Board.Campaign.Origin)},
	}
	out := []layout.Block{{Facts: facts}, {Text: w.T("dossier.procedure_hash", "hash", p.SHA256)}, tableBlock(w.procedureVisas()), tableBlock(w.procedureVersions())}
	if e := w.d.Board.Emergency; e != nil {
		out = append(out, layout.Block{Text: w.Emergency(e.Cause, e.Name()) + " — " + w.Actor(e.AskedBy) + " : " + e.Reason})
	}
	return out
}

// procedureVisas are those that the procedure carries: a name only where it
// gives one.
func (w dossierWriter) procedureVisas() layout.Table {
	t := layout.Table{
		Title: w.T("dossier.procedure_visas"), Sheet: w.T("dossier.procedure_visas"), Empty: w.T("dossier.no_procedure_visa"),
		Head: w.columns(heads{{"paper.visa", 1}, {"col.name", 1.2}, {"paper.function", 2}, {"paper.date", 1}}),
	}
	for _, v := range w.d.Visas {
		t.Rows = append(t.Rows, []layout.Cell{layout.T(w.T("paper." + string(v.Kind))), layout.T(w.or(v.Name, "—")), layout.T(w.Role(v.Role)), layout.T(w.Day(v.Date))})
	}
	return t
}

// procedureVersions is the procedure's own table of revisions.
func (w dossierWriter) procedureVersions() layout.Table {
	t := layout.Table{
		Title: w.T("dossier.procedure_versions"), Sheet: w.T("dossier.procedure_versions"), Empty: w.T("dossier.no_procedure_visa"),
		Head: w.columns(heads{{"col.version", 0.7}, {"paper.date", 1.2}, {"col.by", 1}, {"dossier.sha256", 4}}),
	}
	for _, v := range w.d.Versions {
		t.Rows = append(t.Rows, []layout.Cell{w.count(v.Version), layout.T(w.when(v.At)), layout.T(w.Actor(v.Actor)), layout.T(v.SHA256)})
	}
	return t
}

// selected says which devices a perimeter takes.
func (w writer) selected(p view.Perimeter) string {
	var parts []string
	kinds := make([]string, len(p.Kinds))
	for i, k := range p.Kinds {
		kinds[i] = w.Word(lang.Kind, string(k))
	}
	if len(kinds) > 0 {
		parts = append(parts, w.List(kinds))
	}
	if len(p.Groups) > 0 {
		parts = append(parts, w.T("paper.groups", "names", strings.Join(p.Groups, ", ")))
	}
	for _, tags := range p.Tags {
		parts = append(parts, tagText(tags))
	}
	if len(p.Names) > 0 {
		parts = append(parts, strings.Join(p.Names, ", "))
	}
	switch {
	case len(parts) > 0:
		return strings.Join(parts, " ; ")
	case p.All:
		return w.T("paper.everything")
	}
	return "—"
}

func tagText(tags fleet.Tags) string {
	var out []string
	for _, key := range sortedKeys(tags) {
		out = append(out, key+"="+tags[key])
	}
	return strings.Join(out, ", ")
}

func (w dossierWriter) calendar() []layout.Block {
	t := layout.Table{Sheet: w.T("dossier.calendar"), Head: w.columns(heads{{"col.ring", 1.3}, {"paper.planned", 1.3}, {"paper.happened", 1.3}, {"paper.gate_passed", 1.3}, {"paper.kept", 1.6}})}
	late := int64(0)
	for _, s := range w.d.Calendar {
		name := w.ringLabel(s.Ring, s.Amendment)
		if s.Ring == "" {
			name = w.T("dossier.verification")
		}
		how := layout.T(w.T("punctuality." + string(s.How)))
		switch s.How {
		case document.Late, document.Missed:
			late++
			how = how.In(layout.Warn)
			if !s.Happened.IsZero() {
				how.Text += " (" + w.Duration(s.Happened.Sub(s.Planned)) + ")"
			}
		case document.OnTime:
			how = how.In(layout.Good)
		}
		if s.Expedited != nil {
			how.Text += " — " + w.T("board.expedited", "by", w.Actor(s.Expedited.By), "reason", s.Expedited.Why)
		}
		t.Rows = append(t.Rows, []layout.Cell{layout.T(name), layout.T(w.when(s.Planned)), layout.T(w.when(s.Happened)), layout.T(w.when(s.Passed)), how})
	}
	text := w.T("dossier.dates_kept")
	if late > 0 {
		text = w.N("dossier.dates_not_kept", late)
	}
	return []layout.Block{{Lead: text}, tableBlock(t)}
}

func (w dossierWriter) content() []layout.Block {
	t := layout.Table{
		Sheet: w.T("dossier.content"), Empty: w.T("board.no_content"),
		Head: w.columns(heads{{"col.patch", 2}, {"col.version", 1.8}, {"col.grade", 0.9}, {"col.cve", 2}, {"col.reached", 1}, {"paper.installed", -0.9}, {"paper.failed", -0.8}, {"paper.undone", -0.9}, {"paper.lacking", -0.9}}),
	}
	withdrawn := layout.Table{Title: w.T("dossier.withdrawn"), Sheet: w.T("dossier.withdrawn"), Empty: w.T("dossier.none_withdrawn"), Head: w.columns(heads{{"col.patch", 2}, {"paper.date", 1}, {"col.by", 1}, {"col.why", 3}})}
	for _, it := range w.d.Items {
		name := it.Patch.Name
		if it.Amendment > 0 {
			name += " (" + w.T("board.amendment", "n", w.Number(it.Amendment)) + ")"
		}
		grade := layout.T(w.Word(lang.Grade, string(it.Severity)))
		if it.Exploited {
			grade = layout.T(grade.Text + ", " + w.T("paper.exploited")).In(layout.Bad)
		}
		reached := w.or(it.Ring, "—")
		if x := it.Withdrawn; x != nil {
			reached = w.T("board.item_withdrawn")
			withdrawn.Rows = append(withdrawn.Rows, []layout.Cell{layout.T(patchName(&it.Patch)), layout.T(w.when(x.At)), layout.T(w.Actor(x.By)), layout.T(x.Reason)})
		}
		t.Rows = append(t.Rows, []layout.Cell{
			layout.T(name), layout.T(it.Patch.Version), grade, layout.T(w.or(strings.Join(it.CVEs, ", "), "—")), layout.T(reached),
			w.count(it.Verified), w.bad(it.Failed), w.warn(it.RolledBack), w.warn(it.Lacking),
		})
	}
	amendments := layout.Table{Title: w.T("dossier.amendments"), Sheet: w.T("dossier.amendments"), Empty: w.T("dossier.no_amendment"), Head: w.columns(heads{{"paper.number", 0.5}, {"paper.date", 1}, {"col.by", 1}, {"col.why", 3}})}
	for _, a := range w.d.Board.Amendments {
		if a.Number > 0 {
			amendments.Rows = append(amendments.Rows, []layout.Cell{w.count(a.Number), layout.T(w.when(a.Created)), layout.T(w.Actor(a.Actor)), layout.T(a.Reason)})
		}
	}
	sealed := w.T("board.not_sealed")
	if at := w.d.Board.Campaign.Sealed; !at.IsZero() {
		sealed = w.T("dossier.sealed_at", "at", w.Moment(at))
	}
	return []layout.Block{{Text: sealed}, tableBlock(t), tableBlock(amendments), tableBlock(withdrawn)}
}
