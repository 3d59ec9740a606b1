package server_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"patchring/internal/core/campaign"
	"patchring/internal/core/document"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/procedure"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/store/storetest"
	"patchring/internal/infra/view"
	"patchring/internal/service/desk"
	"patchring/internal/service/dossier"
	"patchring/internal/service/incident"
)

var golden = flag.Bool("golden", false, "write the goldens again")

const auditedText = `verification:
  days_after_last_ring_opens: 2
  sign_offs: [{role: it, title: {fr: "Vérification de la campagne", en: "Verification of the campaign"}, checklist: [{fr: "Couverture relue", en: "Coverage read"}]}]
classification: {fr: "Interne", en: "Internal"}
sla: {clock_starts: first_seen, critical: 3d, unknown: 7d}
visas: [{role: "Direction informatique", date: 2026-01-05}]
`

// audited is a campaign of the test's procedure that wants its verification
// signed, on a month.
func (w *world) audited(month string) campaign.ID {
	w.t.Helper()
	text := strings.Replace(procedureText, "verification: {days_after_last_ring_opens: 2}\n", auditedText, 1)
	ctx := w.t.Context()
	w.ask(func() error {
		_, err := w.srv.Conductor.ApplyProcedure(ctx, "main", w.by, "test.yaml", []byte(text))
		return err
	})
	w.ask(func() error {
		_, err := w.srv.Conductor.CreateCampaign(ctx, "main", w.by, campaign.Create{Procedure: "test", Month: month})
		return err
	})
	row, err := w.srv.DB.Read().CampaignByName(ctx, "main", month)
	w.must(err)
	return campaign.ID(row.ID)
}

func (w *world) tag(device, name, value string) {
	w.t.Helper()
	d := w.devices[device]
	w.must(w.srv.DB.Write(w.t.Context(), func(tx *store.Tx) error {
		return tx.AddDeviceTag(w.t.Context(), gen.AddDeviceTagParams{Tenant: "main", Device: string(d.id), Name: name, Value: value})
	}))
}

// audit is a campaign with everything that a dossier tells: a device that
// fails, one that is never reached, an incident, a hold, a sign-off that comes
// late.
func (w *world) audit() campaign.ID {
	w.t.Helper()
	w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	w.device("fin-1", fleet.Workstation, "pilot-users", versions("1"), versions("2"))
	w.device("srv-1", fleet.Server, "", versions("1"), versions("2"))
	w.device("srv-2", fleet.Server, "", versions("1"), versions("2")).breaks["nginx2"] = true
	w.device("rh-1", fleet.Workstation, "", versions("1"), versions("2"))
	for device, department := range map[string]string{"it-1": "Informatique", "fin-1": "Finances", "rh-1": "RH"} {
		w.tag(device, "department", department)
	}
	for _, device := range w.order {
		w.tag(device, "site", "Lyon")
	}
	c := w.audited("2026-01")
	w.until(time.Date(2026, 1, 15, 12, 0, 0, 0, paris), time.Hour)
	w.sign(c, "R0", "it", 1)
	w.until(time.Date(2026, 1, 16, 9, 0, 0, 0, paris), time.Hour)
	ctx := w.t.Context()
	_, err := w.srv.Incidents.Open(ctx, "main", w.by, incident.Open{Campaign: string(c), Ring: "R1", Severity: procedure.Minor, What: "L'imprimante de la paie n'imprime plus"})
	w.must(err)
	hold, err := w.srv.Conductor.Hold(ctx, "main", w.by, campaign.PlaceHold{Campaign: string(c), Reason: "attendre l'éditeur"})
	w.must(err)
	w.until(time.Date(2026, 1, 16, 12, 0, 0, 0, paris), time.Hour)
	_, err = w.srv.Conductor.Resume(ctx, "main", w.by, campaign.Resume{Campaign: string(c), Hold: hold, Reason: "corrigé"})
	w.must(err)
	w.sign(c, "R1", "business", 0)
	w.devices["rh-1"].away = true
	w.until(time.Date(2026, 1, 22, 12, 0, 0, 0, paris), time.Hour)
	return c
}

func TestClosingWaitsForTheVerification(t *testing.T) {
	each := func(t *testing.T, w *world) {
		ctx := t.Context()
		c := w.audit()
		sign := func(role string, yes bool, ticked ...int) error {
			return w.srv.Conductor.SignVerification(ctx, "main", register.User("lead"), campaign.Sign{Campaign: string(c), Role: role, Yes: yes, Ticked: ticked, Comment: "relu"})
		}
		closing := func() error {
			return w.srv.Conductor.Close(ctx, "main", w.by, campaign.Close{Campaign: string(c), Reason: "fini"})
		}
		wants := func(what string, err error, code fault.Code) {
			t.Helper()
			if fault.CodeOf(err) != code || err == nil {
				t.Errorf("%s: %v, want %s", what, err, code)
			}
		}
		wants("close without a sign-off", closing(), fault.VerificationUnsigned)
		wants("a yes without its test", sign("it", true), fault.InvalidField)
		wants("a role that is not asked", sign("business", true), fault.NoSuchRole)
		w.must(sign("it", false))
		wants("close after a no", closing(), fault.VerificationRefused)
		v, err := w.srv.View.Verification(ctx, "main", string(c))
		w.must(err)
		if v.Total != (view.Numbers{Done: 3, Failed: 1, NotReached: 0, Unreachable: 1}) {
			t.Errorf("the total is %+v, want 3 done, 1 failed, 1 unreachable", v.Total)
		}
		if len(v.Missing) != 1 || v.Missing[0].Code != fault.GateSignOffRefused || !v.Signable {
			t.Errorf("what is missing: %+v, signable %t", v.Missing, v.Signable)
		}
		if len(v.Departments) != 4 || v.Departments[3].Value != "" || v.Departments[3].Numbers.Failed != 1 {
			t.Errorf("by department: %+v; want Finances, Informatique, RH, and those without one last", v.Departments)
		}
		page, err := w.srv.View.Missing(ctx, "main", view.MissingQuery{Campaign: string(c), Paging: view.Paging{Limit: 1}})
		w.must(err)
		if len(page.Rows) != 1 || page.Rows[0].Device.Name != "srv-2" || page.Rows[0].Reason == nil || page.Next == "" {
			t.Fatalf("the first missing device is %+v, next %q", page.Rows, page.Next)
		}
		page, err = w.srv.View.Missing(ctx, "main", view.MissingQuery{Campaign: string(c), Paging: view.Paging{Limit: 1, Cursor: page.Next}})
		w.must(err)
		if len(page.Rows) != 1 || page.Rows[0].Device.Name != "rh-1" || page.Next != "" {
			t.Errorf("the second missing device is %+v, next %q; want rh-1, and no more", page.Rows, page.Next)
		}
		page, err = w.srv.View.Missing(ctx, "main", view.MissingQuery{Campaign: string(c), By: view.ByRing, Value: "R0"})
		if err != nil || len(page.Rows) != 0 {
			t.Errorf("missing of R0: %+v, %v", page.Rows, err)
		}
		page, err = w.srv.View.Missing(ctx, "main", view.MissingQuery{Campaign: string(c), By: view.ByDepartment, Value: "RH", Paging: view.Paging{}})
		w.must(err)
		if len(page.Rows) != 1 || page.Rows[0].Device.Name != "rh-1" || page.Rows[0].Bucket != "unreachable" || page.Rows[0].Site != "Lyon" {
			t.Errorf("missing of RH: %+v", page.Rows)
		}
		w.must(sign("it", true, 0))
		w.must(closing())
		w.verifyRegister()
	}
	start := time.Date(2026, 1, 12, 9, 0, 0, 0, paris)
	t.Run("sqlite", func(t *testing.T) { each(t, newWorld(t, start)) })
	t.Run("postgres", func(t *testing.T) { each(t, worldOn(t, start, storetest.PostgresURL(t), nil)) })
}

// Nobody vouches for what has not begun, and what has done nothing is closed
// without.
func TestVerificationIsNotSignedAheadOfItsDay(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	c := w.audited("2026-01")
	w.until(time.Date(2026, 1, 14, 12, 0, 0, 0, paris), time.Hour)
	err := w.srv.Conductor.SignVerification(t.Context(), "main", w.by, campaign.Sign{Campaign: string(c), Role: "it", Yes: true, Ticked: []int{0}})
	if fault.CodeOf(err) != fault.VerificationAhead {
		t.Errorf("signed in R0: %v", err)
	}
	if err := w.srv.Conductor.Close(t.Context(), "main", w.by, campaign.Close{Campaign: string(c)}); fault.CodeOf(err) != fault.VerificationAhead {
		t.Errorf("closed in R0: %v", err)
	}
	other := w.audited("2026-03")
	w.must(w.srv.Conductor.Close(t.Context(), "main", w.by, campaign.Close{Campaign: string(other)}))
}

func TestDossierTellsTheWholeCampaign(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	ctx := t.Context()
	c := w.chronicle()
	d, err := w.srv.Dossiers.Dossier(ctx, "main", string(c))
	w.must(err)
	w.wantProceedings(d)
	compareGolden(t, "dossier.json", d)
	m, err := w.srv.Dossiers.Monthly(ctx, "main", "2026-01")
	w.must(err)
	if m.Sum.Campaigns != 1 || m.Sum.Rollbacks != 1 || m.Sum.Incidents != 2 || m.Sum.Numbers.Total() != 6 || len(m.Incidents) != 2 || m.Incidents[1].Cause == "" || !slices.Equal(m.Clocks, []procedure.SLAClock{procedure.ClockFirstSeen}) {
		t.Errorf("the month is %+v, clocks %v, incidents %+v; want one campaign of six devices, its rollback counted beside it", m.Sum, m.Clocks, m.Incidents)
	}
	for _, f := range document.Formats() {
		for _, language := range []string{"fr", "en"} {
			first, err := w.srv.Dossiers.Draft(ctx, "main", string(c), language, f)
			w.must(err)
			second, err := w.srv.Dossiers.Draft(ctx, "main", string(c), language, f)
			w.must(err)
			if !bytes.Equal(first.Body, second.Body) {
				t.Errorf("%s in %s: two drafts of one state differ", f, language)
			}
			if dir := os.Getenv("PATCHRING_SHOTS"); dir != "" {
				w.must(os.WriteFile(filepath.Join(dir, "dossier-"+language+"."+string(f)), first.Body, 0o600))
			}
		}
	}
	page, err := w.srv.Dossiers.Draft(ctx, "main", string(c), "fr", document.HTML)
	w.must(err)
	if _, err := html.Parse(bytes.NewReader(page.Body)); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"Dossier de la campagne 2026-01", "Interne", "Le portail refuse tout le monde", "nginx est retiré de la campagne", "répété, 2", "le portail est en panne", "export reste vide", "srv-2", "postes sur 5 attendus", "projet", "<svg"} {
		if !strings.Contains(string(page.Body), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

// steady takes out of a model what differs between two runs of one story: ids
// that are drawn, and what is signed with keys of the moment.
func steady(t *testing.T, d view.Dossier) []byte {
	t.Helper()
	d.Register = view.RegisterPoint{Size: d.Register.Size}
	text, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	drawn := map[string]string{}
	text = drawnID.ReplaceAllFunc(text, func(id []byte) []byte {
		if drawn[string(id)] == "" {
			drawn[string(id)] = fmt.Sprintf("ID-%d", len(drawn)+1)
		}
		return []byte(drawn[string(id)])
	})
	return append(text, '\n')
}

// drawnID is an id that is drawn anew in each run; those of devices are, too.
var drawnID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)

func compareGolden(t *testing.T, name string, d view.Dossier) {
	t.Helper()
	got := steady(t, d)
	file := filepath.Join("testdata", name)
	if *golden {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the model is not that of %s: run with -golden and read the difference", file)
	}
}

func TestIssuedDossierIsTheOneInTheRegister(t *testing.T) {
	each := func(t *testing.T, w *world) {
		ctx := t.Context()
		c := w.audit()
		ask := dossier.Issue{Campaign: string(c), Lang: "fr", Reason: "Pour la vérification"}
		if _, err := w.srv.Dossiers.Issue(ctx, "main", w.by, dossier.Issue{Campaign: string(c), Lang: "fr"}); fault.CodeOf(err) != fault.ReasonRequired {
			t.Errorf("issued without a reason: %v", err)
		}
		first, err := w.srv.Dossiers.Issue(ctx, "main", w.by, ask)
		w.must(err)
		second, err := w.srv.Dossiers.Issue(ctx, "main", w.by, ask)
		w.must(err)
		if first.Number != 1 || second.Number != 2 || len(first.Files) != 3 {
			t.Fatalf("issued %+v, then %+v", first, second)
		}
		for _, f := range first.Files {
			file, err := w.srv.Dossiers.Issued(ctx, "main", string(c), 1, document.Format(f.Format))
			w.must(err)
			sum := sha256.Sum256(file.Body)
			if hex.EncodeToString(sum[:]) != f.SHA256 || int64(len(file.Body)) != f.Size {
				t.Errorf("the %s of revision 1 is not the one that was issued", f.Format)
			}
			found, err := w.srv.View.IssuedBy(ctx, "main", f.SHA256)
			w.must(err)
			if found.Revision != 1 || found.Format != f.Format || found.Campaign.Name != "2026-01" {
				t.Errorf("found by its hash: %+v", found)
			}
		}
		if _, err := w.srv.View.IssuedBy(ctx, "main", strings.Repeat("0", 64)); !errors.Is(err, fault.New(fault.NotFound)) {
			t.Errorf("a file that nobody issued: %v", err)
		}
		d, err := w.srv.Dossiers.Dossier(ctx, "main", string(c))
		w.must(err)
		last := d.Story[len(d.Story)-1]
		if last.Kind != register.DossierIssued || !strings.Contains(string(mustJSON(t, last.Detail)), second.Files[0].SHA256) {
			t.Errorf("the register's last word is %+v, want the second revision with its hashes", last)
		}
		w.verifyRegister()
		// Offline, by the export alone.
		var export bytes.Buffer
		w.must(w.srv.Passport.Export(ctx, "main", w.by, &export))
		for sum, want := range map[string]bool{first.Files[0].SHA256: true, strings.Repeat("0", 64): false} {
			result, err := register.Verify(bytes.NewReader(export.Bytes()), register.Trust{Document: sum})
			if err != nil || (result.Document != nil) != want {
				t.Errorf("an export asked for %s: %v, entry %+v", sum, err, result.Document)
			}
		}
	}
	start := time.Date(2026, 1, 12, 9, 0, 0, 0, paris)
	t.Run("sqlite", func(t *testing.T) { each(t, newWorld(t, start)) })
	t.Run("postgres", func(t *testing.T) { each(t, worldOn(t, start, storetest.PostgresURL(t), nil)) })
}

func TestFollowUpMakesNothingTwice(t *testing.T) {
	each := func(t *testing.T, w *world) {
		ctx := t.Context()
		c := w.audit()
		ask := desk.FollowUp{
			Campaign: string(c), Reason: "reste de janvier", Tasks: []campaign.Bucket{campaign.Unreachable}, Except: []campaign.Bucket{campaign.Failed},
			Owner: "it", Due: "2026-02-01", Until: "2026-03-01", Control: "réseau isolé", Plan: true,
			Words: func(bucket string, _ fault.Reason) (string, string) { return "rattraper " + bucket, "" },
		}
		plan, err := w.srv.Desk.FollowUp(ctx, "main", w.by, ask)
		w.must(err)
		if plan.Missing != 2 || plan.Tasks.Make != 1 || plan.Exceptions.Make != 1 || plan.Done {
			t.Fatalf("the plan is %+v; want a task for rh-1, an exception for nginx on srv-2", plan)
		}
		if open, err := w.srv.View.Tasks(ctx, "main", view.TaskQuery{}); err != nil || len(open.Rows) != 0 {
			t.Fatalf("the plan made tasks: %+v, %v", open.Rows, err)
		}
		catching := ask
		catching.CatchUp = true
		if plan, err := w.srv.Desk.FollowUp(ctx, "main", w.by, catching); err != nil || plan.CatchUp.Refused == nil || plan.CatchUp.Refused.Code != fault.NoEmergency {
			t.Errorf("a catch-up without emergencies: %+v, %v", plan.CatchUp, err)
		}
		ask.Plan = false
		done, err := w.srv.Desk.FollowUp(ctx, "main", w.by, ask)
		w.must(err)
		again, err := w.srv.Desk.FollowUp(ctx, "main", w.by, ask)
		w.must(err)
		if !done.Done || again.Tasks != (desk.FollowCount{Known: 1}) || again.Exceptions != (desk.FollowCount{Known: 1}) {
			t.Errorf("done %+v, again %+v; want all known the second time", done, again)
		}
		d, err := w.srv.Dossiers.Dossier(ctx, "main", string(c))
		w.must(err)
		if len(d.Tasks) != 1 || len(d.Exceptions) != 1 || d.Exceptions[0].Device.Name != "srv-2" {
			t.Errorf("the dossier has tasks %+v, exceptions %+v", d.Tasks, d.Exceptions)
		}
		w.verifyRegister()
	}
	start := time.Date(2026, 1, 12, 9, 0, 0, 0, paris)
	t.Run("sqlite", func(t *testing.T) { each(t, newWorld(t, start)) })
	t.Run("postgres", func(t *testing.T) { each(t, worldOn(t, start, storetest.PostgresURL(t), nil)) })
}

func TestMonthlyReportComparesWithTheMonthBefore(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	ctx := t.Context()
	w.audit()
	m, err := w.srv.Dossiers.Monthly(ctx, "main", "2026-01")
	w.must(err)
	if m.Sum.Campaigns != 1 || m.Sum.Incidents != 1 || m.Sum.Numbers.Done != 3 || m.Before.Campaigns != 0 || m.Fleet.Devices != 5 {
		t.Errorf("January is %+v, before %+v, fleet %+v", m.Sum, m.Before, m.Fleet)
	}
	if m.Sum.Promised == 0 || len(m.Promises) == 0 || m.Promises[len(m.Promises)-1].Late+m.Promises[len(m.Promises)-1].InTime != 7 {
		t.Errorf("promises: %+v", m.Promises)
	}
	next, err := w.srv.Dossiers.Monthly(ctx, "main", "2026-02")
	w.must(err)
	if next.Sum.Campaigns != 0 || next.Before.Campaigns != 1 {
		t.Errorf("February has %d campaigns, and %d before it", next.Sum.Campaigns, next.Before.Campaigns)
	}
	if _, err := w.srv.Dossiers.Monthly(ctx, "main", "janvier"); fault.CodeOf(err) != fault.InvalidField {
		t.Errorf("a month that is none: %v", err)
	}
	for _, f := range document.Formats() {
		file, err := w.srv.Dossiers.MonthlyFile(ctx, "main", "2026-01", "fr", f)
		w.must(err)
		if len(file.Body) == 0 {
			t.Errorf("the %s is empty", f)
		}
		if dir := os.Getenv("PATCHRING_SHOTS"); dir != "" {
			w.must(os.WriteFile(filepath.Join(dir, "monthly."+string(f)), file.Body, 0o600))
		}
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
