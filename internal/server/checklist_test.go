package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/campaign"
	core "patchring/internal/core/checklist"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/incident"
	"patchring/internal/core/procedure"
	"patchring/internal/core/register"
	"patchring/internal/core/task"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/view"
	"patchring/internal/service/checklist"
	"patchring/internal/service/herald/heraldtest"
)

const testedGate = `
      sign_offs: [{role: it, title: {fr: "Tests fonctionnels", en: "Functional tests"}, checklist: [{fr: "Session", en: "Login"}]}]
      tests:
        - {name: office, title: {fr: Bureautique, en: Office}, department: finance, assigned: it, severity: minor, items: {fr: [Imprimer, Enregistrer], en: [Print, Save]}}
        - {name: till, title: {fr: Caisse, en: Till}, assigned: "Ann", items: [Sell]}
        - {name: net, title: {fr: "Réseau", en: Network}, automatic: {probe: intranet}}
`

// testedCampaign is a campaign whose R0 asks for tests.
func (w *world) testedCampaign(t *testing.T) campaign.ID {
	t.Helper()
	old := `
      sign_offs: [{role: it, title: {fr: "Tests fonctionnels", en: "Functional tests"}, checklist: [{fr: "Session", en: "Login"}]}]
`
	if strings.Count(procedureText, old) != 1 {
		t.Fatal("the procedure has no such sign-off")
	}
	text := strings.Replace(procedureText, "owner: it\n", "owner: it-lead\n", 1)
	return w.campaignBy(t, strings.Replace(text, old, testedGate, 1), "2026-01")
}

func (w *world) tick(c campaign.ID, test string, item int, remark string) (checklist.Ticked, error) {
	w.t.Helper()
	return w.srv.Tests.Tick(w.t.Context(), "main", register.User("it-lead"), checklist.Tick{
		Campaign: string(c), Ring: "r0", Test: test, Item: item, OK: remark == "", Remark: remark, Lang: "en",
	})
}

func (w *world) reasons(c campaign.ID, ring string) (codes []fault.Code) {
	w.t.Helper()
	b, err := w.srv.View.Board(w.t.Context(), "main", string(c))
	w.must(err)
	for _, r := range b.Amendments[0].Rings {
		if r.Ring == ring {
			for _, why := range r.Reasons {
				codes = append(codes, why.Code)
			}
		}
	}
	return codes
}

func TestAGateAsksForAllItsTests(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		pc := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
		user := w.device("fin-1", fleet.Workstation, "pilot-users", versions("1"), versions("2"))
		c := w.testedCampaign(t)
		w.settle()
		if _, err := w.tick(c, "office", 0, ""); fault.CodeOf(err) != fault.Conflict {
			t.Errorf("ticked before the ring opened: %v", err)
		}
		w.until(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), time.Hour)
		for name, err := range map[string]error{
			"no such item": second(w.tick(c, "office", 2, "")), "no such test": second(w.tick(c, "offce", 0, "")), "of a probe": second(w.tick(c, "net", 0, "")),
		} {
			if err == nil {
				t.Errorf("%s: ticked", name)
			}
		}
		w.must(second(w.tick(c, "office", 0, "")))
		failed, err := w.tick(c, "office", 1, "the share is read-only")
		w.must(err)
		again, err := w.tick(c, "office", 1, "still read-only")
		w.must(err)
		if failed.Incident == "" || again.Incident != failed.Incident {
			t.Errorf("the failure made %q, then %q", failed.Incident, again.Incident)
		}
		if i := w.incident(failed.Incident); i.Severity != procedure.Minor || i.Origin != incident.Test || i.Title != "Office: Save" || i.Ring != "R0" || i.What != "the share is read-only" {
			t.Errorf("the incident is %+v", i)
		}
		offered, err := w.tick(c, "till", 0, "it sells nothing")
		w.must(err)
		if offered.Incident != "" {
			t.Error("a failure makes an incident although the procedure says no severity")
		}
		w.sign(c, "R0", "it", 1)
		w.until(time.Date(2026, 1, 15, 9, 0, 0, 0, paris), time.Hour)
		if got := w.reasons(c, "R0"); len(got) != 2 || got[0] != fault.GateTestFailed || got[1] != fault.GateTestOpen {
			t.Fatalf("R0 waits for %v, want failed and open tests", got)
		}
		tests, err := w.srv.View.Tests(t.Context(), "main", view.TestsQuery{Campaign: string(c)})
		w.must(err)
		if len(tests) != 1 || tests[0].Tally != (core.Tally{OK: 1, Failed: 2, Open: 1}) || len(tests[0].Departments) != 2 || tests[0].Departments[0].Department != "finance" {
			t.Errorf("progress %+v", tests)
		}
		if net := tests[0].Tests[2]; net.Unknown != 1 || net.Items[0].State != core.Open {
			t.Errorf("a probe that has said nothing: %+v", net)
		}
		mine, err := w.srv.View.Tests(t.Context(), "main", view.TestsQuery{Mine: []string{"Ann"}})
		w.must(err)
		if len(mine) != 1 || len(mine[0].Tests) != 1 || mine[0].Tests[0].Name != "till" {
			t.Errorf("Ann's tests: %+v", mine)
		}
		w.must(second(w.tick(c, "office", 1, "")))
		w.must(second(w.tick(c, "till", 0, "")))
		w.probeSays(pc, "intranet", "down")
		w.settle()
		if got := w.reasons(c, "R0"); len(got) != 1 || got[0] != fault.GateTestFailed {
			t.Fatalf("with a red probe R0 waits for %v", got)
		}
		w.probeSays(pc, "intranet", "up")
		w.settle()
		if r := w.ring(c, 0, "R0"); !campaign.RingState(r.State).Passed() {
			t.Fatalf("with all tests ok R0 is %s for %s", r.State, r.Reasons)
		}
		if _, err := w.tick(c, "till", 0, "too late"); fault.CodeOf(err) != fault.Conflict {
			t.Errorf("ticked after the gate has passed: %v", err)
		}
		w.until(time.Date(2026, 1, 16, 9, 0, 0, 0, paris), time.Hour)
		if user.packages["nginx"] != "2" {
			t.Errorf("R1 has %v", user.packages)
		}
		if n := len(w.entries(register.TestTicked)); n != 6 {
			t.Errorf("%d ticks in the register, want 6", n)
		}
		w.verifyRegister()
	})
}

// Whoever a test is assigned to is told of it before its ring closes, and after;
// the role above as well once that came to nothing. What is ticked is told no more.
func TestTestsAreRemindedOf(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		smtp := heraldtest.Start(t, heraldtest.Plain, "")
		w.rules(smtp, `  - {name: due, title: {fr: Test à faire, en: Test due}, event: test_due, severity: info, who: operator, outputs: [ops]}
  - {name: late, title: {fr: Test en retard, en: Test overdue}, event: test_overdue, severity: warning, who: operator, outputs: [duty]}
`)
		w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
		c := w.testedCampaign(t)
		w.must(w.srv.Tests.Remind(t.Context()))
		days := func(end time.Time) {
			for w.now.Before(end) {
				w.until(w.now.Add(time.Hour), time.Hour)
				w.must(w.srv.Tests.Remind(t.Context()))
				w.watched()
			}
		}
		days(time.Date(2026, 1, 13, 18, 0, 0, 0, paris))
		if n := len(w.entries(register.TestReminded)); n != 0 {
			t.Fatalf("reminded %d times a day and a half before the ring closes", n)
		}
		days(time.Date(2026, 1, 14, 12, 0, 0, 0, paris))
		expectMails(t, smtp, "ops@example.org", "2 alertes")
		if body := smtp.Taken()[0].Raw; !strings.Contains(body, "till") || !strings.Contains(body, "Ann") || strings.Contains(body, "net,") {
			t.Errorf("the mail says\n%s", body)
		}
		w.must(second(w.tick(c, "office", 0, "")))
		w.must(second(w.tick(c, "till", 0, "")))
		w.watched()
		expectMails(t, smtp, "ops@example.org", "2 alertes", "Résolue : Test à faire")
		mine, err := w.srv.View.Tests(t.Context(), "main", view.TestsQuery{Campaign: string(c)})
		w.must(err)
		if waits := mine[0].Tests[0].Waits; waits == nil || waits.State != task.DueSoon || waits.Whom != "it" || waits.Reminded != 1 || mine[0].Tests[1].Waits != nil || mine[0].Overdue != 0 {
			t.Errorf("a test that is due: %+v, one that is ticked: %+v, %d overdue", waits, mine[0].Tests[1].Waits, mine[0].Overdue)
		}
		w.stop()
		w.serve()
		days(time.Date(2026, 1, 15, 12, 0, 0, 0, paris))
		expectMails(t, smtp, "ops@example.org", "2 alertes", "Résolue : Test à faire") // nothing got better
		expectMails(t, smtp, "duty@example.org", "AVERTISSEMENT : Test en retard")
		days(time.Date(2026, 1, 17, 12, 0, 0, 0, paris))
		entries := w.entries(register.TestReminded)
		var told []string
		for _, e := range entries {
			told = append(told, fmt.Sprint(e.Detail["test"], " ", e.Detail["state"], " ", e.Detail["whom"]))
		}
		if want := []string{"office due_soon it", "till due_soon Ann", "office overdue it", "office overdue it", "office escalated it-lead"}; !slices.Equal(told, want) {
			t.Errorf("the register says %q, want %q", told, want)
		}
		tests, err := w.srv.View.Tests(t.Context(), "main", view.TestsQuery{Campaign: string(c)})
		w.must(err)
		r := w.ring(c, 0, "R0")
		due := time.UnixMicro(r.ClosesUs + r.OpenedUs - r.OpensUs)
		if one := tests[0].Tests[0]; tests[0].Overdue != 1 || !one.Late() || one.Waits.Whom != "it-lead" || !tests[0].Due.Equal(due) {
			t.Errorf("%d are late, %+v, due %s", tests[0].Overdue, one.Waits, tests[0].Due.In(paris))
		}
		w.must(second(w.tick(c, "office", 1, "it does not print")))
		w.watched()
		expectMails(t, smtp, "duty@example.org", "AVERTISSEMENT", "Résolue : Test en retard")
		days(time.Date(2026, 1, 20, 12, 0, 0, 0, paris))
		if n := len(w.entries(register.TestReminded)); n != len(entries) {
			t.Errorf("reminded %d times after it was ticked", n-len(entries))
		}
		w.verifyRegister()
	})
}

// A campaign that is closed lets its testers be.
func TestAClosedCampaignRemindsNobody(t *testing.T) {
	w := newWorld(t, monday)
	smtp := heraldtest.Start(t, heraldtest.Plain, "")
	w.rules(smtp, "  - {name: late, title: {fr: Test en retard, en: Test overdue}, event: test_overdue, severity: warning, who: operator, outputs: [duty]}\n")
	w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	c := w.testedCampaign(t)
	w.until(time.Date(2026, 1, 15, 12, 0, 0, 0, paris), time.Hour)
	w.must(w.srv.Tests.Remind(t.Context()))
	w.watched()
	before := len(w.entries(register.TestReminded))
	w.must(w.srv.Conductor.Close(t.Context(), "main", w.by, campaign.Close{Campaign: string(c)}))
	w.watched()
	w.until(time.Date(2026, 1, 20, 12, 0, 0, 0, paris), time.Hour)
	w.must(w.srv.Tests.Remind(t.Context()))
	if n := len(w.entries(register.TestReminded)); before == 0 || n != before {
		t.Errorf("reminded %d times before its end, and %d after", before, n-before)
	}
	if n := len(w.entries(register.AlertResolved)); n != 2 {
		t.Errorf("%d alerts are over with it, want 2", n)
	}
}

func second[T any](_ T, err error) error { return err }

// probeSays keeps what a device's probe says, and lets the gates look again as the
// full pass does.
func (w *world) probeSays(d *fakeDevice, name, state string) {
	w.t.Helper()
	w.must(w.srv.DB.Write(w.t.Context(), func(tx *store.Tx) error {
		if err := tx.PutProbe(w.t.Context(), gen.PutProbeParams{Tenant: "main", Device: string(d.id), Name: name, State: state, SinceUs: w.now.UnixMicro(), AtUs: w.now.UnixMicro()}); err != nil {
			return err
		}
		return tx.TouchAllCampaigns(w.t.Context())
	}))
}
