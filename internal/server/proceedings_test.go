package server_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/document"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	core "patchring/internal/core/incident"
	"patchring/internal/core/procedure"
	"patchring/internal/core/register"
	"patchring/internal/infra/view"
	"patchring/internal/service/desk"
	"patchring/internal/service/incident"
)

const emergencyText = `emergency:
  day: 1h
  sign_offs:
    - {role: security, title: {fr: "RSSI", en: "Security officer"}, checklist: [{fr: "Avis lu", en: "Advisory read"}]}
    - {role: it, title: {fr: "Exploitation", en: "Operations"}}
`

// chronicled is the procedure with all that a dossier can tell of: tests,
// rehearsals, promises, visas, emergencies.
func chronicled(t *testing.T) string {
	t.Helper()
	text := procedureText
	for old, is := range map[string]string{
		"verification: {days_after_last_ring_opens: 2}\n": auditedText + emergencyText,
		"rollback: {on_severity: critical}":               "rollback: {on_severity: critical, hold_on_severity: major, rehearse: true}",
		"      sign_offs: [{role: it, title: {fr: \"Tests fonctionnels\", en: \"Functional tests\"}, checklist: [{fr: \"Session\", en: \"Login\"}]}]\n": testedGate[1:],
	} {
		if strings.Count(text, old) != 1 {
			t.Fatalf("the procedure has no single %q", old)
		}
		text = strings.Replace(text, old, is, 1)
	}
	return text
}

// chronicle is a whole campaign with everything in it: a rehearsed rollback, a
// test that fails and is put right, an incident that holds a ring, the rollback
// of one patch there, a device that fails and one that is never reached.
func (w *world) chronicle() campaign.ID {
	w.t.Helper()
	t, ctx := w.t, w.t.Context()
	pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	pilot.took = 4 * time.Minute
	user := w.device("fin-1", fleet.Workstation, "pilot-users", versions("1"), versions("2"))
	w.device("fin-2", fleet.Workstation, "pilot-users", versions("1"), versions("2"))
	w.device("srv-1", fleet.Server, "", versions("1"), versions("2"))
	w.device("srv-2", fleet.Server, "", versions("1"), versions("2")).breaks["openssl2"] = true
	w.device("rh-1", fleet.Workstation, "", versions("1"), versions("2"))
	for device, department := range map[string]string{"it-1": "Informatique", "fin-1": "Finances", "fin-2": "Finances", "rh-1": "RH"} {
		w.tag(device, "department", department)
	}
	w.lived()
	w.applyProcedure(t, chronicled(t))
	c := w.create(t, "2026-01")
	w.until(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), 15*time.Minute)
	w.probeSays(pilot, "intranet", "up")
	_, err := w.tick(c, "office", 0, "")
	w.must(err)
	failed, err := w.tick(c, "office", 1, "l'export reste vide")
	w.must(err)
	_, err = w.tick(c, "till", 0, "")
	w.must(err)
	w.now = w.now.Add(time.Hour)
	w.mend(failed.Incident, "un modèle d'imprimante", "pilote remis à jour")
	_, err = w.tick(c, "office", 1, "")
	w.must(err)
	_, err = w.srv.Conductor.Evaluate(ctx, "main", w.by, string(c), "R0")
	w.must(err)
	w.sign(c, "R0", "it", 1)
	w.until(time.Date(2026, 1, 16, 9, 0, 0, 0, paris), time.Hour)
	if user.packages["nginx"] != "2" {
		t.Fatalf("R1 has %v", user.packages)
	}
	w.complains(user, c, w.patchID("nginx", "2"), "le portail demande un mot de passe")
	opened, err := w.srv.Incidents.Open(ctx, "main", w.by, incident.Open{
		Campaign: string(c), Severity: procedure.Major, What: "Le portail refuse tout le monde", Patch: w.patchID("nginx", "2"), Devices: []fleet.DeviceID{user.id}, Owner: "it",
	})
	w.must(err)
	w.rollBack(t, campaign.Rollback{Campaign: string(c), Device: user.id, Patch: w.patchID("nginx", "2"), Reason: "le portail est en panne", Now: time.Hour})
	w.until(w.now.Add(3*time.Hour), 15*time.Minute)
	w.mend(opened.ID, "l'authentification de nginx 2", "nginx 1 remis, l'éditeur est prévenu")
	for _, h := range w.holdsOf(c) {
		_, err = w.srv.Conductor.Resume(ctx, "main", w.by, campaign.Resume{Campaign: string(c), Hold: h.ID, Reason: "nginx est retiré de la campagne"})
		w.must(err)
	}
	said, err := w.srv.View.Feedback(ctx, "main", view.FeedbackQuery{Device: user.id})
	w.must(err)
	w.must(w.srv.Personal.Close(ctx, "main", register.User("it-lead"), said.Rows[0].ID, "nginx 1 est remis"))
	w.sign(c, "R1", "business", 0)
	w.devices["rh-1"].away = true
	w.work(time.Date(2026, 1, 22, 12, 0, 0, 0, paris), 0)
	return c
}

// mend corrects and closes an incident.
func (w *world) mend(id, cause, correction string) {
	w.t.Helper()
	if id == "" {
		w.t.Fatal("no incident was made")
	}
	for _, say := range []core.Say{{Act: core.Correct, Cause: cause, Correction: correction}, {Act: core.Close}} {
		w.must(w.srv.Incidents.Do(w.t.Context(), "main", register.User("it-lead"), incident.Do{Incident: id, Say: say}))
	}
}

// wantProceedings checks by hand what the golden could be wrong about together
// with the program.
func (w *world) wantProceedings(d view.Dossier) {
	t, p := w.t, d.Proceedings
	t.Helper()
	if len(p.Incidents) != 2 || p.Incidents[1].Cause != "l'authentification de nginx 2" || p.Incidents[1].CorrectedBy != "user:it-lead" || p.Incidents[1].ClosedBy != "user:it-lead" || len(p.Incidents[1].On) != 1 {
		t.Errorf("incidents %+v", p.Incidents)
	}
	if len(p.Holds) < 1 || p.Holds[0].Lifted.IsZero() || p.Holds[0].LiftedBy == "" || p.Holds[0].Why != "nginx est retiré de la campagne" {
		t.Errorf("holds %+v", p.Holds)
	}
	if len(p.Rollbacks) != 1 || p.Rollbacks[0].About.Reason != "le portail est en panne" || p.Rollbacks[0].Ended.IsZero() || len(p.Rollbacks[0].Exceptions) != 1 {
		t.Errorf("rollbacks %+v", p.Rollbacks)
	}
	if len(p.Rehearsals) != 2 || p.Rehearsals[0].Done != 1 || p.Rehearsals[0].BackS != 120 || p.Rehearsals[0].AgainS != 120 {
		t.Errorf("rehearsals %+v, want both patches back and again in two minutes each", p.Rehearsals)
	}
	asked := 0
	for _, e := range p.Evaluations {
		if strings.HasPrefix(e.Actor, "user:") && len(e.Evidence) > 0 {
			asked++
		}
	}
	if asked == 0 {
		t.Errorf("no evaluation that a person asked for: %+v", p.Evaluations)
	}
	if at := d.Calendar[0].Passed; at.Day() != 14 {
		t.Errorf("R0 passed its gate on %s, want the day it was signed", at)
	}
	v := d.Verification
	if v.Proven == nil || *v.Proven == 0 || *v.Proven > v.Total.Done || v.Rings[0].Proven == nil {
		t.Errorf("proven %v of %+v, rings %+v", v.Proven, v.Total, v.Rings)
	}
}

// What a campaign left undone is caught up by an emergency, a task and an
// exception, all made by one act; they are there afterwards, do what they are
// for, and the dossier tells of them.
func TestFollowUpCatchesUpAndTheDossierTells(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		c := w.chronicle()
		away, broken := w.devices["rh-1"], w.devices["srv-2"]
		ask := desk.FollowUp{
			Campaign: string(c), Reason: "reste de janvier", CatchUp: true, Tasks: []campaign.Bucket{campaign.Unreachable}, Except: []campaign.Bucket{campaign.Failed},
			Owner: "it", Due: "2026-02-01", Until: "2026-03-01", Control: "réseau isolé", Plan: true,
			Words: func(bucket string, _ fault.Reason) (string, string) { return "rattraper " + bucket, "" },
		}
		plan, err := w.srv.Desk.FollowUp(ctx, "main", w.by, ask)
		w.must(err)
		if plan.CatchUp == nil || plan.CatchUp.Refused != nil || plan.CatchUp.Patches == 0 || plan.CatchUp.ID != "" || plan.Tasks.Make != 1 || plan.Exceptions.Make != 1 {
			t.Fatalf("the plan is %+v, catch-up %+v", plan, plan.CatchUp)
		}
		ask.Plan = false
		done, err := w.srv.Desk.FollowUp(ctx, "main", w.by, ask)
		w.must(err)
		made := w.campaignRow(done.CatchUp.ID)
		if made.State != string(campaign.Draft) || made.Origin != string(campaign.ByEmergency) {
			t.Fatalf("the catch-up is %s, of %s; want a draft that waits for its sign-offs", made.State, made.Origin)
		}
		d, err := w.srv.Dossiers.Dossier(ctx, "main", string(c))
		w.must(err)
		if v := d.Verification; len(v.CatchUps) != 1 || v.CatchUps[0].ID != string(done.CatchUp.ID) || v.OpenTasks != 1 {
			t.Errorf("the verification knows of %+v, %d tasks", v.CatchUps, v.OpenTasks)
		}
		if len(d.Tasks) != 1 || d.Tasks[0].Device == nil || d.Tasks[0].Device.Name != "rh-1" {
			t.Errorf("tasks %+v, want one for rh-1", d.Tasks)
		}
		i := slices.IndexFunc(d.Exceptions, func(e view.ExceptionRow) bool { return e.Device != nil && e.Device.Name == "srv-2" })
		if i < 0 || d.Exceptions[i].Reason != "reste de janvier" || d.Exceptions[i].Control != "réseau isolé" {
			t.Errorf("exceptions %+v, want one for srv-2", d.Exceptions)
		}
		file, err := w.srv.Dossiers.Draft(ctx, "main", string(c), "fr", document.HTML)
		w.must(err)
		for _, want := range []string{made.Name, "rattraper unreachable", "réseau isolé"} {
			if !strings.Contains(string(file.Body), want) {
				t.Errorf("the dossier does not say %q", want)
			}
		}
		w.approved(done.CatchUp.ID)
		away.away, broken.breaks["openssl2"] = false, false
		w.until(w.now.Add(36*time.Hour), time.Hour)
		if away.packages["openssl"] != "2" || broken.packages["openssl"] != "1" {
			t.Errorf("after the catch-up rh-1 has %v, srv-2 %v; want openssl 2 there, and the exception kept here", away.packages, broken.packages)
		}
		if _, err := w.srv.Desk.FollowUp(ctx, "main", w.by, desk.FollowUp{Campaign: string(c), Reason: "encore", CatchUp: true}); err == nil {
			t.Error("a second catch-up was started beside the first")
		}
		w.verifyRegister()
	})
}
