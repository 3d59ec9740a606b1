package paper

import (
	"strconv"

	"patchring/internal/core/document"
	"patchring/internal/face/lang"
	"patchring/internal/face/paper/layout"
	"patchring/internal/infra/view"
)

// Monthly composes the report of a month.
func Monthly(m view.Monthly, language string) layout.Document {
	w := monthWriter{writerIn(language, m.Zone), m}
	month := w.Month(m.From.Year(), m.From.Month())
	doc := layout.Document{
		Lang: string(w.Lang()), Title: w.T("monthly.title", "month", month), Subtitle: w.T("monthly.subtitle"), Organisation: m.Tenant,
		Reference: w.T("monthly.reference", "month", m.Month), Made: m.At, PageOf: w.T("paper.page", "page", "{page}", "pages", "{pages}"), Contents: w.T("paper.contents"),
		Cover: []layout.Fact{
			{Label: w.T("paper.reference"), Value: w.T("monthly.reference", "month", m.Month)}, {Label: w.T("paper.read_at"), Value: w.Brief(m.At)},
			{Label: w.T("paper.zone"), Value: w.ZoneName(m.At)}, {Label: w.T("monthly.campaigns"), Value: w.Number(m.Sum.Campaigns)},
			{Label: w.T("paper.reached"), Value: w.reached(m.Sum.Numbers)}, {Label: w.T("dossier.incident_count"), Value: w.Number(m.Sum.Incidents)},
		},
	}
	for i, s := range []struct {
		key    string
		blocks []layout.Block
	}{
		{"monthly.changes", w.changes()}, {"monthly.campaigns", w.campaigns()}, {"dossier.sla", w.promised()}, {"dossier.incident_count", w.incidents()},
		{"monthly.ending", w.ending()}, {"monthly.fleet", w.fleet()}, {"monthly.tasks", w.tasks()},
	} {
		doc.Sections = append(doc.Sections, layout.Section{ID: layout.Anchor(i + 1), Title: strconv.Itoa(i+1) + ". " + w.T(s.key), Blocks: s.blocks})
	}
	return doc
}

type monthWriter struct {
	writer
	m view.Monthly
}

// changes sets the month beside the one before.
func (w monthWriter) changes() []layout.Block {
	now, before := w.m.Sum, w.m.Before
	t := layout.Table{Sheet: w.T("monthly.changes"), Head: w.columns(heads{{"monthly.measure", 2.4}, {"monthly.this", -1}, {"monthly.last", -1}, {"monthly.change", -1}})}
	row := func(key string, a, b int64) {
		change := w.Number(a - b)
		if a > b {
			change = "+" + change
		}
		t.Rows = append(t.Rows, []layout.Cell{layout.T(w.T(key)), w.count(a), w.count(b), layout.T(change)})
	}
	row("monthly.campaigns", now.Campaigns, before.Campaigns)
	row("dossier.patches", now.Patches, before.Patches)
	row("monthly.expected", now.Numbers.Total()-now.Numbers.Exempt, before.Numbers.Total()-before.Numbers.Exempt)
	row("monthly.done", now.Numbers.Done, before.Numbers.Done)
	row("monthly.failed", now.Numbers.Failed, before.Numbers.Failed)
	row("monthly.not_reached", now.Numbers.NotReached, before.Numbers.NotReached)
	row("monthly.unreachable", now.Numbers.Unreachable, before.Numbers.Unreachable)
	row("dossier.incident_count", now.Incidents, before.Incidents)
	row("dossier.rollbacks", now.Rollbacks, before.Rollbacks)
	t.Rows = append(t.Rows, []layout.Cell{layout.T(w.T("paper.reached")), layout.T(w.reached(now.Numbers)), layout.T(w.reached(before.Numbers)), layout.T("")})
	t.Rows = append(t.Rows, []layout.Cell{layout.T(w.T("monthly.promises_kept")), layout.T(w.Share(now.Kept, now.Promised)), layout.T(w.Share(before.Kept, before.Promised)), layout.T("")})
	lead := w.T("monthly.none")
	if now.Campaigns > 0 {
		lead = w.N("monthly.lead", now.Campaigns, "done", w.Number(now.Numbers.Done), "of", w.Number(now.Numbers.Total()-now.Numbers.Exempt), "share", w.reached(now.Numbers))
	}
	return []layout.Block{{Lead: lead}, tableBlock(t)}
}

func (w monthWriter) campaigns() []layout.Block {
	t := layout.Table{
		Sheet: w.T("monthly.campaigns"), Empty: w.T("monthly.none"),
		Head: w.fiveHeads(layout.Column{Text: w.T("col.campaign"), Weight: 1.6}, layout.Column{Text: w.T("col.state"), Weight: 1.3}, layout.Column{Text: w.T("dossier.verification"), Weight: 1.4}),
	}
	var labels []string
	var numbers []view.Numbers
	for _, c := range w.m.Campaigns {
		checked := layout.T(w.DateShort(c.Verification) + ", " + w.T("punctuality."+string(c.Dates)))
		if c.Dates == document.Late || c.Dates == document.Missed {
			checked = checked.In(layout.Warn)
		}
		t.Rows = append(t.Rows, w.five(c.Numbers, layout.T(c.Name), layout.T(w.Word(lang.CampaignState, c.State)), checked))
		labels, numbers = append(labels, c.Name), append(numbers, c.Numbers)
	}
	if len(labels) == 0 {
		return []layout.Block{tableBlock(t)}
	}
	return []layout.Block{{Chart: w.fiveChart(w.T("monthly.campaigns"), labels, numbers)}, tableBlock(t)}
}

func (w monthWriter) promised() []layout.Block {
	if len(w.m.Promises) == 0 {
		return []layout.Block{{Text: w.T("monthly.no_sla")}}
	}
	t := w.promises(w.m.Promises)
	t.Title = ""
	out := []layout.Block{{Text: w.T("monthly.sla_hint")}}
	for _, clock := range w.m.Clocks {
		out = append(out, layout.Block{Text: w.T("sla_clock." + string(clock))})
	}
	return append(out, tableBlock(t))
}

func (w monthWriter) incidents() []layout.Block {
	t := w.incidentTable()
	t.Sheet, t.Empty = w.T("dossier.incident_count"), w.T("monthly.no_incident")
	t.Head = append(w.columns(heads{{"col.campaign", 1}}), t.Head...)
	for _, i := range w.m.Incidents {
		name := "—"
		if i.Campaign != nil {
			name = i.Campaign.Name
		}
		t.Rows = append(t.Rows, append([]layout.Cell{layout.T(name)}, w.incident(i)...))
	}
	return []layout.Block{tableBlock(t)}
}

func (w monthWriter) ending() []layout.Block {
	t := w.exceptionTable(w.m.Ending)
	t.Empty = w.T("monthly.none_ending")
	return []layout.Block{{Text: w.N("monthly.in_force", w.m.Exceptions)}, tableBlock(t)}
}

func (w monthWriter) fleet() []layout.Block {
	f := w.m.Fleet
	return []layout.Block{{Text: w.T("monthly.fleet_hint", "at", w.Moment(w.m.At))}, {Facts: []layout.Fact{
		{Label: w.T("col.devices"), Value: w.Number(f.Devices)}, w.alarm(w.T("monthly.overdue"), f.Overdue, layout.Warn), w.alarm(title(w.Word(lang.Bucket, "unreachable")), f.Unreachable, layout.Warn),
		w.alarm(w.T("monthly.never_scanned"), f.NeverScanned, layout.Warn), w.alarm(w.T("monthly.system_ended"), f.SystemEnded, layout.Bad), w.alarm(w.T("monthly.system_ending"), f.SystemEnding, layout.Warn),
		w.alarm(w.T("monthly.hardware_short"), f.HardwareShort, layout.Warn),
	}}}
}

func (w monthWriter) tasks() []layout.Block {
	t := w.taskTable(w.m.Tasks)
	t.Title, t.Sheet, t.Empty = w.T("monthly.late_tasks"), w.T("monthly.late_tasks"), w.T("monthly.no_late_task")
	return []layout.Block{{Text: w.T("monthly.task_counts", "open", w.Number(w.m.OpenTasks), "late", w.Number(w.m.LateTasks))}, tableBlock(t)}
}
