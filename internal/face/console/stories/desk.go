package stories

import (
	"time"

	"patchring/internal/core/task"
	"patchring/internal/face/console/page"
	"patchring/internal/face/console/ui"
)

func exceptionLines() []page.Exception {
	return []page.Exception{
		{ID: "e-1", State: "expiring", Device: "d-presse-01", DeviceName: "presse-01", Owner: "atelier", Reason: "La presse est étalonnée jusqu'à l'audit",
			Control: "Isolée sur le VLAN 40, sans accès à internet", Until: at(24, 23, 59), By: "user:exploitation"},
		{ID: "e-2", State: "in_force", Group: "bornes", Every: "openssl", Owner: "it", Reason: "La nouvelle version bloque la caisse",
			Control: "Seul le serveur de caisse est joignable", Until: time.Date(2026, 6, 30, 21, 59, 59, 0, time.UTC), By: "user:exploitation"},
		{ID: "e-3", State: "in_force", Patch: "p-agent", PatchName: "gestion-parc 4.2.1", Owner: "direction-informatique", Reason: "Défaut connu de l'éditeur",
			Control: "Surveillance des journaux", Until: time.Date(2026, 3, 31, 21, 59, 59, 0, time.UTC), By: "user:exploitation"},
	}
}

// Exceptions is the list of those in force, with a page after it.
func Exceptions() page.Exceptions {
	return page.Exceptions{Query: page.ExceptionQuery{Which: "in_force"}, Rows: exceptionLines(), Next: "e-3"}
}

// EndedExceptions are those that are over: by themselves, and early.
func EndedExceptions() page.Exceptions {
	rows := exceptionLines()[:2]
	for i := range rows {
		rows[i].State, rows[i].Ended, rows[i].EndedBy = "ended", at(12, 9, 0), "system:desk"
	}
	rows[1].EndedBy, rows[1].EndedWhy = "user:exploitation", "L'éditeur a publié un correctif"
	return page.Exceptions{Query: page.ExceptionQuery{Which: "ended", After: "e-0"}, Rows: rows}
}

func taskLines() []page.TaskLine {
	return []page.TaskLine{
		{ID: "t-1", Title: "Relancer la caisse 3", State: task.Escalated, Device: "d-caisse-3", DeviceName: "caisse-3", Owner: "it", Whom: "it-lead", Due: at(12, 18, 0)},
		{ID: "t-2", Title: "Vérifier le serveur d'impression", State: task.Overdue, Campaign: "0197c0aa-6a51-7c4e-9a55-0d4f4f1b8a10", CampaignName: "2026-01", Ring: "R1", Owner: "it", Whom: "it", Due: at(14, 18, 0)},
		{ID: "t-3", Title: "Mettre à jour le commutateur du 2e étage", State: task.DueSoon, Owner: "it", Whom: "it", Due: at(16, 12, 0)},
		{ID: "t-4", Title: "Redémarrer atelier-11 et analyser", State: task.Open, Device: "d-atelier-11", DeviceName: "atelier-11", Patch: "p-agent",
			PatchName: "gestion-parc 4.2.1", Owner: "exploitation", Whom: "exploitation", Due: at(30, 23, 59)},
	}
}

// Tasks is the list of open tasks, with a page after it.
func Tasks() page.Tasks {
	return page.Tasks{Query: page.TaskQuery{Which: "open"}, Rows: taskLines(), Next: "t-4"}
}

// ClosedTasks are those of the reader that are done.
func ClosedTasks() page.Tasks {
	rows := taskLines()[:2]
	for i := range rows {
		rows[i].State, rows[i].Closed, rows[i].ClosedBy, rows[i].Whom = task.Closed, at(15, 8, 30), "user:exploitation", ""
	}
	return page.Tasks{Query: page.TaskQuery{Which: "closed", Mine: true, After: "t-0"}, Rows: rows}
}

// Task is one that its owner has let lie, and that was opened again.
func Task() page.Task {
	return page.Task{
		TaskLine: taskLines()[1], What: "Imprimer une page de test depuis la comptabilité.\nSi elle ne sort pas : relancer cups et recommencer.",
		EscalateTo: "it-lead", Escalates: at(16, 18, 0), Reminder: at(15, 18, 0), Proof: task.Command, By: "user:exploitation", Created: at(13, 9, 0), Mine: true,
		Proofs: []page.Proof{
			{ID: "f-3", Kind: task.Rescan, Text: "2026-01-15T07:58:00Z", Scan: at(15, 8, 58), By: "user:exploitation", At: at(15, 9, 1)},
			{ID: "f-2", Kind: task.Command, Text: "lpstat -t", Output: "scheduler is running\nprinter compta now printing compta-41.  enabled since jeu. 15 janv. 2026", By: "user:exploitation", At: at(14, 17, 12)},
			{ID: "f-1", Kind: task.File, File: "page-de-test.jpg", Size: 412_318, SHA256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", By: "user:exploitation", At: at(13, 11, 40)},
			{ID: "f-0", Kind: task.Text, Text: "La page est sortie.", By: "user:exploitation", At: at(13, 10, 2)},
		},
	}
}

// NewTask is one just opened, that somebody else has to do.
func NewTask() page.Task {
	return page.Task{TaskLine: taskLines()[3], EscalateTo: "", By: "user:exploitation", Created: at(15, 9, 0), Reminder: at(29, 23, 59)}
}

// ClosedTask is one that is done.
func ClosedTask() page.Task {
	t := Task()
	t.State, t.Closed, t.ClosedBy, t.Whom, t.Reminder, t.Mine = task.Closed, at(15, 9, 1), "user:exploitation", "", time.Time{}, false
	return t
}

// ExceptForm grants an exception to a device.
func ExceptForm(f ui.Frame) ui.Form {
	return ui.Form{
		Title: f.T("act_except.title"), Subject: "presse-01", Consequence: f.T("act_except.consequence"), Submit: f.T("act_except.open"),
		Back: "/exceptions", Action: "/exceptions/new", Fields: []ui.Field{
			{Name: "patch", Kind: ui.Text, Label: f.T("field.patch"), Hint: f.T("field.patch_hint")},
			{Name: "owner", Kind: ui.Text, Label: f.T("field.owner"), Hint: f.T("field.owner_hint"), Required: true, Value: "atelier"},
			{Name: "control", Kind: ui.Area, Label: f.T("field.control"), Hint: f.T("field.control_hint"), Required: true},
			{Name: "until", Kind: ui.Date, Label: f.T("field.until"), Hint: f.T("field.until_hint", "zone", "Europe/Paris"), Required: true},
		},
	}
}

// CloseTaskForm asks for any proof.
func CloseTaskForm(f ui.Frame) ui.Form {
	return ui.Form{
		Title: f.T("act_close_task.title"), Subject: "Relancer la caisse 3", Consequence: f.T("act_close_task.consequence"), Submit: f.T("act_close_task.open"),
		Back: "/tasks/t-1", Action: "/tasks/t-1/close", Upload: true, Fields: []ui.Field{
			{Name: "proof", Kind: ui.Choice, Label: f.T("col.proof"), Required: true, Value: "file", Options: []ui.Option{
				{Value: "text", Label: f.Word("proof", "text")}, {Value: "file", Label: f.Word("proof", "file")},
				{Value: "command", Label: f.Word("proof", "command")}, {Value: "rescan", Label: f.Word("proof", "rescan")},
			}},
			{Name: "text", Kind: ui.Area, Label: f.T("field.text")},
			{Name: "at", Kind: ui.Time, Label: f.T("field.at"), Hint: f.T("field.at_hint", "zone", "Europe/Paris")},
			{Name: "file", Kind: ui.File, Label: f.T("field.file"), Hint: f.T("field.file_hint")},
		},
	}
}
