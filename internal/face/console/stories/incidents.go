package stories

import (
	"patchring/internal/core/campaign"
	"patchring/internal/core/checklist"
	"patchring/internal/core/fault"
	"patchring/internal/core/incident"
	"patchring/internal/core/manifest"
	"patchring/internal/core/patch"
	"patchring/internal/core/procedure"
	"patchring/internal/core/register"
	"patchring/internal/core/task"
	"patchring/internal/face/console/page"
	"patchring/internal/infra/view"
	"patchring/wire"
)

func incidentRows() []view.IncidentRow {
	of := &view.CampaignRef{ID: "0197c0aa-6a51-7c4e-9a55-0d4f4f1b8a10", Name: "2026-01"}
	return []view.IncidentRow{
		{ID: "i-1", Severity: procedure.Critical, State: incident.Open, Title: "La paie n'imprime plus", Campaign: of, Ring: "R1",
			Patch: &view.PatchRef{ID: "p-cups", Name: "cups", Version: "2.4.2-3+deb12u5"}, Devices: 3, Owner: "it", Origin: incident.Feedback, OriginID: "f-1",
			Response: campaign.RollsBackAll, Opened: at(15, 8, 40), OpenedBy: "user:exploitation", Changed: at(15, 9, 2)},
		{ID: "i-2", Severity: procedure.Minor, State: incident.Corrected, Title: "Bureautique: un document s'imprime", Campaign: of, Ring: "R0", Devices: 0, Origin: incident.Test,
			OriginID: "bureautique", Response: campaign.RecordOnly, Opened: at(14, 10, 5), OpenedBy: "user:it", Changed: at(14, 17, 0)},
	}
}

// Incidents is the list of those that are not closed, and a ticket given up.
func Incidents() page.Incidents {
	return page.Incidents{Query: page.IncidentQuery{Which: "open"}, Rows: incidentRows(), Next: "i-2", Dead: ticketRows()[1:]}
}

func ticketRows() []view.TicketRow {
	ref := view.IncidentRef{ID: "i-1", Title: "La paie n'imprime plus"}
	return []view.TicketRow{
		{ID: "k-1", Incident: ref, Connector: "glpi", Key: "4711", URL: "https://glpi.example/front/ticket.form.php?id=4711", Status: "assigned", Created: at(15, 8, 40), Checked: at(15, 9, 0)},
		{ID: "k-2", Incident: ref, Connector: "jira", Created: at(15, 8, 40), Waiting: 2, Tries: 24, Dead: true, Error: "answered 401 Client must be authenticated to access this resource."},
	}
}

// Incident is a critical one, rolled back, with its tickets.
func Incident() page.Incident {
	return page.Incident{IncidentDetail: view.IncidentDetail{
		IncidentRow: incidentRows()[0], What: "Depuis ce matin, les bulletins restent dans la file d'attente.\nTrois postes de la comptabilité.",
		On:      []view.DeviceRef{{ID: "d-compta-02", Name: "compta-02"}, {ID: "d-compta-07", Name: "compta-07"}, {ID: "d-compta-09", Name: "compta-09"}},
		Notes:   []view.IncidentNote{{ID: "n-1", Act: incident.Join, Text: "Chez moi aussi", Actor: "system:page", At: at(15, 8, 51)}, {ID: "n-2", Act: incident.Note, Text: "Le filtre du pilote plante au chargement.", Actor: "user:exploitation", At: at(15, 9, 2)}},
		Tickets: ticketRows(),
	}}
}

// ClosedIncident is one that is over, after it was opened again.
func ClosedIncident() page.Incident {
	i := Incident()
	i.State, i.Cause, i.Correction, i.Reopened = incident.Closed, "Le pilote de l'imprimante", "Pilote remis en 2.1, correctif retiré", 1
	i.Corrected, i.CorrectedBy, i.Closed, i.ClosedBy, i.Tickets = at(15, 11, 0), "user:exploitation", at(15, 16, 30), "user:exploitation", nil
	return i
}

func ringTests() []view.RingTests {
	office := view.TestProgress{
		Name: "bureautique", Title: manifest.Text{FR: "Bureautique", EN: "Office"}, Assigned: "it", Severity: procedure.Minor, Tally: checklist.Tally{OK: 1, Open: 1},
		Items: []view.TestItem{
			{Number: 1, Text: manifest.Text{FR: "Un document s'ouvre et s'enregistre", EN: "A document opens and is saved"}, State: checklist.OK, Actor: "user:exploitation", At: at(14, 10, 0)},
			{Number: 2, Text: manifest.Text{FR: "Il s'imprime", EN: "It prints"}, State: checklist.Open},
		},
	}
	pay := view.TestProgress{
		Name: "paie", Title: manifest.Text{FR: "Paie", EN: "Payroll"}, Department: "finance", Assigned: "it", Tally: checklist.Tally{Failed: 1},
		Items: []view.TestItem{{Number: 1, Text: manifest.Text{FR: "L'export bancaire sort", EN: "The bank export comes out"}, State: checklist.Failed, Remark: "L'export est vide", Actor: "user:it", At: at(14, 11, 0)}},
	}
	office.Waits = &view.TestWaits{State: task.DueSoon, Whom: "it", Reminded: 1, Next: at(14, 23, 59)}
	print := view.TestProgress{
		Name: "etiquettes", Title: manifest.Text{FR: "Étiquettes", EN: "Labels"}, Department: "atelier", Assigned: "atelier", Tally: checklist.Tally{Open: 1},
		Items: []view.TestItem{{Number: 1, Text: manifest.Text{FR: "Une étiquette sort", EN: "A label comes out"}, State: checklist.Open}},
		Waits: &view.TestWaits{State: task.Escalated, Whom: "operator", Reminded: 4, Next: at(16, 23, 59)},
	}
	net := view.TestProgress{
		Name: "intranet", Title: manifest.Text{FR: "Intranet", EN: "Intranet"}, Probe: "intranet", Green: 11, Unknown: 1, Tally: checklist.Tally{Open: 1},
		Items: []view.TestItem{{Number: 1, Text: manifest.Text{FR: "Intranet", EN: "Intranet"}, State: checklist.Open}},
	}
	return []view.RingTests{{
		Campaign: view.CampaignRef{ID: "0197c0aa-6a51-7c4e-9a55-0d4f4f1b8a10", Name: "2026-01"}, Ring: "R0", State: "soaking", Closes: at(14, 23, 59),
		Tally: checklist.Tally{OK: 1, Failed: 1, Open: 3}, Due: at(14, 23, 59), Overdue: 1, Tests: []view.TestProgress{office, pay, print, net},
		Departments: []view.TestDepartment{{Tally: checklist.Tally{OK: 1, Open: 2}}, {Department: "atelier", Tally: checklist.Tally{Open: 1}}, {Department: "finance", Tally: checklist.Tally{Failed: 1}}},
	}}
}

// Tests are those of the reader, who may tick them.
func Tests() page.Tests {
	return page.Tests{Mine: true, Rows: ringTests(), MayTick: func(assigned string) bool { return assigned == "it" }}
}

// CampaignTests are those of a campaign, for somebody who only looks.
func CampaignTests() page.Tests {
	return page.Tests{Campaign: "0197c0aa-6a51-7c4e-9a55-0d4f4f1b8a10", Name: "2026-01", Rows: ringTests()}
}

// FeedbackOne is what somebody said, with what was known then.
func FeedbackOne() page.FeedbackOne {
	line := Feedback().Rows[0]
	why := fault.Because(fault.ItemHeld, "by", "user:it", "reason", "x")
	return page.FeedbackOne{FeedbackLine: line, FeedbackDetail: view.FeedbackDetail{Diagnosis: &incident.Diagnosis{
		At:      at(15, 8, 38),
		Patches: []incident.PatchOn{{ID: "p-cups", Name: "cups", Version: "2.4.2-3+deb12u5", State: string(patch.Verified), Updated: at(14, 20, 10), Packages: []wire.Change{}}},
		Events:  []incident.EventOn{{At: at(14, 20, 10), Kind: string(register.PatchVerified), Patch: "p-cups"}},
		Probes:  []incident.ProbeOn{{Name: "impression", State: "down", Since: at(14, 20, 12), Cause: &why}},
		Sample:  &wire.Sample{AtUS: at(15, 8, 37).UnixMicro(), Values: map[wire.Measure]float64{wire.MeasureCPU: 12.5}},
	}}}
}
