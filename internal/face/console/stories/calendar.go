package stories

import (
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/manifest"
	"patchring/internal/core/policy"
	"patchring/internal/core/procedure"
	"patchring/internal/face/console/page"
	"patchring/internal/face/console/ui"
	"patchring/internal/service/rulebook"
)

// Calendar is half a year of the French procedure.
func Calendar() page.Calendar {
	v := page.Calendar{
		Zone:       "Europe/Paris",
		Query:      page.CalendarQuery{Procedure: "postes-france", Year: 2026, Month: time.January},
		Procedures: []string{"postes-france", "urgence"},
	}
	for m := time.January; m <= time.June; m++ {
		v.Months = append(v.Months, month(2026, m))
	}
	v.Query.Device = "FIN-PC-01"
	day := func(m time.Month, d, h int) time.Time {
		return time.Date(2026, m, d, h, 0, 0, 0, time.FixedZone("CET", 3600))
	}
	v.Freezes = []rulebook.FreezeLine{
		{Name: "onduleur", Origin: policy.FromHand, State: rulebook.FreezeOn, From: day(1, 16, 9), Until: day(1, 19, 7), Reason: manifest.Text{FR: "Onduleur en panne", EN: "Onduleur en panne"}, By: "user:exploitation", Placed: day(1, 16, 9)},
		{Name: "cloture", Origin: policy.FromTenant, State: rulebook.FreezeAhead, From: day(3, 23, 0), Until: day(4, 2, 0), Devices: `device.department == "comptabilite"`, Reason: manifest.Text{FR: "Clôture des comptes", EN: "Closing of accounts"}},
	}
	v.Windows = &rulebook.WindowList{Devices: 1, Alike: []rulebook.AlikeDevice{{Of: rulebook.OfProfile, Name: "postes", Devices: 1, Examples: []string{"FIN-PC-01"}, Open: []rulebook.Stretch{
		{Start: day(1, 14, 20), End: day(1, 15, 6), Windows: []string{"nuit"}}, {Start: day(1, 20, 20), End: day(1, 21, 6), Windows: []string{"nuit"}},
		{Start: day(1, 24, 8), End: day(1, 24, 20), Windows: []string{"samedi"}},
	}}}}
	v.Months[0].CampaignID, v.Months[0].State = Board().ID, campaign.Running
	return v
}

func month(year int, m time.Month) page.Month {
	tuesday := calendar.PatchTuesday(year, m)
	zone, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		panic(err) // the stories embed the zone database
	}
	at := func(day, hour int) time.Time {
		return time.Date(tuesday.Year, tuesday.Month, tuesday.Day+day-1, hour, 0, 0, 0, zone)
	}
	release := calendar.Release(tuesday).In(zone)
	s := procedure.Schedule{
		Campaign: at(1, 0).Format("2006-01"), PatchTuesday: tuesday, Release: release,
		Rings: []procedure.RingSpan{
			{Ring: "R0", Opens: release, Closes: at(3, 0)},
			{Ring: "R1", Opens: at(3, 0), Closes: at(8, 10)},
			{Ring: "GLOBAL", Opens: at(8, 10), Closes: at(10, 10)},
		},
		Verification: at(10, 10),
	}
	if third := calendar.NthWeekday(3, time.Thursday, year, m); third != s.VerificationDate() {
		s.Notes = append(s.Notes, procedure.Note{Code: procedure.NoteVerificationNotThirdThursday, Value: third.String()})
	}
	if release.Hour() != 19 {
		s.Notes = append(s.Notes, procedure.Note{Code: procedure.NoteReleaseHour, Value: release.Format("15:04")})
	}
	return page.Month{Schedule: s}
}

// Procedures is a list of two.
func Procedures() page.Procedures {
	return page.Procedures{Procedures: []page.ProcedureLine{
		{Name: "postes-france", Title: "Postes de travail, France", Version: 4, By: "user:exploitation", At: at(5, 11, 0)},
		{Name: "urgence", Title: "Procédure d'urgence", Version: 1, By: "user:exploitation", At: at(5, 11, 2)},
	}}
}

// Procedure is the fourth version of the French one.
func Procedure() page.Procedure {
	return page.Procedure{
		ProcedureLine: Procedures().Procedures[0], Owner: "DSI", Zone: "Europe/Paris",
		SHA256: "9f2c41d0a7be55f1", Text: "name: postes-france\ntitle:\n  fr: Postes de travail, France\n  en: Workstations, France\ntime_zone: Europe/Paris\nrings:\n  - name: R0\n    opens: {day: 1}\n    soak: 24h\n",
		Rings: []page.ProcedureRing{
			{Name: "R0", Title: "Informatique (pilote)", Opens: 1, OpensAt: "19:00", Closes: 2, Soak: 24 * time.Hour, MinDone: 95, MaxFails: 1, Roles: []string{"it"}},
			{Name: "R1", Title: "Utilisateurs représentatifs", Opens: 3, OpensAt: "00:00", Closes: 8, Soak: 72 * time.Hour, MinDone: 95, MaxFails: 1, Roles: []string{"it", "metier"}},
			{Name: "GLOBAL", Title: "Tous les autres postes", Opens: 8, OpensAt: "10:00", MinDone: 95, MaxFails: 60, Roles: nil},
		},
		Visas: []page.ProcedureVisa{{Kind: "drafted", Role: "it", Date: at(5, 11, 0)}, {Kind: "validated", Role: "rssi", Date: at(5, 15, 0)}},
		Versions: []page.ProcedureLine{
			{Name: "postes-france", Version: 4, By: "user:exploitation", At: at(5, 11, 0)},
			{Name: "postes-france", Version: 3, By: "user:exploitation", At: at(2, 16, 0)},
		},
		Campaigns: campaignLines()[:1],
	}
}

// Register is the register of a campaign.
func Register() page.Register {
	return page.Register{
		Subject: "2026-01", Up: "/campaigns/" + Board().ID, Path: "/campaigns/" + Board().ID + "/register",
		Events: boardEvents(), Next: "4688",
	}
}

// Search finds something of each kind.
func Search() page.Search {
	return page.Search{Word: "compta", Devices: deviceLines()[:1], Patches: patchLines()[:1], Campaigns: campaignLines()[:1]}
}

// SignForm is the sign-off of a gate.
func SignForm() ui.Form {
	return ui.Form{
		Title: "Viser le jalon R1", Subject: "Campagne 2026-01", Consequence: "Un visa favorable laisse l'anneau suivant s'ouvrir dès que les preuves suffisent.",
		Action: "/campaigns/x/sign", Submit: "Viser", Back: "/campaigns/x",
		Fields: []ui.Field{
			{Name: "ring", Kind: ui.Hidden, Value: "R1"},
			{Name: "role", Kind: ui.Select, Label: "Rôle", Options: []ui.Option{{Value: "it", Label: "tests informatiques"}}, Value: "it"},
			{Name: "decision", Kind: ui.Choice, Label: "Décision", Required: true, Options: []ui.Option{{Value: "yes", Label: "Oui, les tests passent"}, {Value: "no", Label: "Non, l'anneau doit attendre"}}},
			{Name: "ticked", Kind: ui.Ticks, Label: "Tests faits", Options: []ui.Option{{Value: "0", Label: "Ouverture de session"}, {Value: "1", Label: "Impression"}}, Values: []string{"0"}},
			{Name: "comment", Kind: ui.Area, Label: "Commentaire", Hint: "Obligatoire pour un refus."},
		},
	}
}

// RollbackForm is a dangerous act that was just refused.
func RollbackForm() ui.Form {
	return ui.Form{
		Title: "Retour arrière de la campagne", Subject: "Campagne 2026-01", Danger: true,
		Consequence: "Chaque poste revient, dans sa prochaine fenêtre, aux versions d'avant.",
		Action:      "/campaigns/x/rollback", Submit: "Lancer le retour arrière", Back: "/campaigns/x", Error: "Un motif est obligatoire",
		Fields: []ui.Field{{Name: "reason", Kind: ui.Area, Label: "Motif", Required: true}},
	}
}
