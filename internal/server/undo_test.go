package server_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/register"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/view"
	"patchring/internal/service/conductor"
	"patchring/wire"
)

// installedInTwoRings is a campaign that R0 and R1 have, on the morning after.
func (w *world) installedInTwoRings(t *testing.T) (c campaign.ID, pilot, user *fakeDevice) {
	t.Helper()
	pilot = w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	user = w.device("fin-1", fleet.Workstation, "pilot-users", versions("1"), versions("2"))
	c = w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), time.Hour)
	w.sign(c, "R0", "it", 1)
	w.until(time.Date(2026, 1, 16, 9, 0, 0, 0, paris), time.Hour)
	if user.packages["nginx"] != "2" {
		t.Fatalf("R1 has %v", user.packages)
	}
	return c, pilot, user
}

func (w *world) rollBack(t *testing.T, ask campaign.Rollback) campaign.RollbackPlan {
	t.Helper()
	if ask.Reason == "" {
		ask.Reason = "payroll is down"
	}
	plan, err := w.srv.Conductor.Rollback(t.Context(), "main", w.by, ask)
	w.must(err)
	return plan
}

func (w *world) board(id campaign.ID) view.Board {
	w.t.Helper()
	b, err := w.srv.View.Board(w.t.Context(), "main", string(id))
	w.must(err)
	return b
}

func (w *world) exceptions() []gen.Exception {
	w.t.Helper()
	rows, err := w.srv.DB.Read().ExceptionsInForce(w.t.Context(), "main", w.now.UnixMicro())
	w.must(err)
	return rows
}

func (w *world) entriesOf(id campaign.ID, kind register.Kind) (found []view.Event) {
	w.t.Helper()
	page, err := w.srv.View.Events(w.t.Context(), "main", view.EventQuery{Campaign: string(id), Paging: view.Paging{Limit: 200}})
	w.must(err)
	for _, e := range page.Rows {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	return found
}

func TestARollbackIsACampaignOfItsOwn(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c, pilot, user := w.installedInTwoRings(t)
		ask := campaign.Rollback{Campaign: string(c), Reason: "payroll is down", Now: time.Hour}
		planned, err := w.srv.Conductor.PlanRollback(t.Context(), "main", ask)
		w.must(err)
		if planned.Devices != 2 || planned.Items != 4 || len(planned.Exceptions) != 2 || planned.Campaign != "" || len(w.exceptions()) != 0 {
			t.Fatalf("plan %+v; want 4 items on 2 devices, 2 exceptions, and nothing done", planned)
		}
		plan := w.rollBack(t, ask)
		if plan.Name != "2026-01-rollback" || plan.Campaign == "" {
			t.Fatalf("it is called %q (%s)", plan.Name, plan.Campaign)
		}
		back := w.board(plan.Campaign)
		if back.Campaign.Origin != string(campaign.ByRollback) || back.Rollback == nil || back.Rollback.Undoes.ID != string(c) || back.Rollback.Reason != ask.Reason {
			t.Fatalf("the board says %+v, %+v", back.Campaign, back.Rollback)
		}
		if of := w.board(c); len(of.Rollbacks) != 1 || of.Rollbacks[0].ID != string(plan.Campaign) || !of.Campaign.Held {
			t.Errorf("the campaign that goes back names %+v, held %t", of.Rollbacks, of.Campaign.Held)
		}
		if r := w.ring(plan.Campaign, 0, "R0"); r.NotReached != 1 {
			t.Errorf("its R0 begins with %d to reach", r.NotReached)
		}
		w.until(w.now.Add(30*time.Minute), 10*time.Minute)
		for name, d := range map[string]*fakeDevice{"pilot": pilot, "user": user} {
			if d.packages["openssl"] != "1" || d.packages["nginx"] != "1" {
				t.Errorf("%s: %v, want every package at 1", name, d.packages)
			}
		}
		for _, ring := range []string{"R0", "R1"} {
			if r := w.ring(plan.Campaign, 0, ring); r.Done != 1 || r.NotReached+r.Failed+r.Exempt != 0 {
				t.Errorf("%s of the rollback: done %d, not reached %d, failed %d", ring, r.Done, r.NotReached, r.Failed)
			}
			if r := w.ring(c, 0, ring); r.Exempt != 1 || r.Done != 0 {
				t.Errorf("%s of the campaign that went back: done %d, exempt %d; want it left out", ring, r.Done, r.Exempt)
			}
		}
		if row := w.board(plan.Campaign).Campaign; row.State != string(campaign.Closed) || row.Verified.IsZero() {
			t.Errorf("it is %s, verified %s; want it closed by itself", row.State, row.Verified)
		}
		w.wantWhy(t, pilot, c)
		w.wantEntries(t, c, plan.Campaign)
		if _, err := w.srv.Conductor.Rollback(t.Context(), "main", w.by, ask); fault.CodeOf(err) != fault.NothingToDo {
			t.Errorf("a second time: %v", err)
		}
		if _, err := w.srv.Conductor.Rollback(t.Context(), "main", w.by, campaign.Rollback{Campaign: string(plan.Campaign), Reason: "r"}); err == nil {
			t.Error("a rollback was rolled back")
		}
		w.until(time.Date(2026, 1, 19, 9, 0, 0, 0, paris), time.Hour)
		if pilot.packages["openssl"] != "1" {
			t.Errorf("installed again: %v", pilot.packages)
		}
		w.verifyRegister()
	})
}

func (w *world) wantWhy(t *testing.T, d *fakeDevice, c campaign.ID) {
	t.Helper()
	why, err := w.srv.Conductor.Why(t.Context(), "main", d.id, w.patchID("nginx", "2"))
	w.must(err)
	at := slices.IndexFunc(why, func(e conductor.Explanation) bool { return e.Campaign == w.board(c).Campaign.Name })
	if at < 0 || why[at].State != patch.RolledBack || why[at].Reason.Code != fault.RollbackAsked || why[at].Reason.Args["reason"] != "payroll is down" {
		t.Errorf("why: %+v", why)
	}
}

func (w *world) wantEntries(t *testing.T, c, back campaign.ID) {
	t.Helper()
	asked := w.entriesOf(c, register.RollbackRequested)
	if len(asked) != 1 || asked[0].Detail["rollback"] != string(back) {
		t.Errorf("the campaign's register: %+v", asked)
	}
	if ended := w.entriesOf(c, register.RollbackEnded); len(ended) != 1 || ended[0].Detail["rollback"] != string(back) {
		t.Errorf("the campaign does not hear of the end: %+v", ended)
	}
	made := w.entriesOf(back, register.CampaignCreated)
	if len(made) != 1 || made[0].Detail["undoes"] != string(c) {
		t.Errorf("the rollback's register: %+v", made)
	}
	if len(w.entriesOf(back, register.VerificationDone)) != 1 || len(w.entriesOf(back, register.CampaignClosed)) != 1 || len(w.entriesOf(back, register.EmergencyWindow)) != 1 {
		t.Error("the rollback's verification, end or window is not in the register")
	}
}

func TestARollbackByRingsWaitsForTheOneBefore(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	c, pilot, user := w.installedInTwoRings(t)
	pilot.away = true
	plan := w.rollBack(t, campaign.Rollback{Campaign: string(c), ByRing: true, Now: 10 * time.Hour})
	w.until(w.now.Add(3*time.Hour), time.Hour)
	if r := w.ring(plan.Campaign, 0, "R1"); user.packages["nginx"] != "2" || r.State != string(campaign.RingPending) {
		t.Fatalf("R1 is %s and has %v while R0 has not gone back", r.State, user.packages)
	}
	pilot.away = false
	w.until(w.now.Add(2*time.Hour), 30*time.Minute)
	if pilot.packages["nginx"] != "1" || user.packages["nginx"] != "1" {
		t.Errorf("pilot %v, user %v; want both back, one after the other", pilot.packages, user.packages)
	}
	if pilot.installs[len(pilot.installs)-1].at.After(user.installs[len(user.installs)-1].at) {
		t.Error("R1 went back before R0")
	}
}

// What is open again on one device is excepted there, and no more once a newer
// version is verified.
func TestWhatARollbackLeavesOpenIsExcepted(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c, pilot, user := w.installedInTwoRings(t)
		w.rollBack(t, campaign.Rollback{Campaign: string(c), Device: user.id, Patch: w.patchID("nginx", "2"), Now: time.Hour})
		open := w.exceptions()
		if len(open) != 1 || open[0].Device != string(user.id) || open[0].Patch != string(w.patchID("nginx", "2")) || open[0].Owner != "it" || open[0].Control == "" {
			t.Fatalf("exceptions: %+v", open)
		}
		if days := time.UnixMicro(open[0].UntilUs).Sub(w.now).Hours() / 24; days < 29 || days > 31 {
			t.Errorf("it ends in %.1f days", days)
		}
		w.until(w.now.Add(time.Hour), 10*time.Minute)
		if user.packages["nginx"] != "1" || user.packages["openssl"] != "2" || pilot.packages["nginx"] != "2" {
			t.Fatalf("user %v, pilot %v; want nginx back on one device", user.packages, pilot.packages)
		}
		user.offers["nginx"], pilot.offers["nginx"] = "3", "3"
		w.scan(user)
		w.scan(pilot)
		w.settle()
		w.ask(func() error {
			_, err := w.srv.Conductor.Amend(t.Context(), "main", w.by, campaign.Amend{Campaign: string(c), Patches: []patch.ID{w.patchID("nginx", "3")}, Reason: "mends it"})
			return err
		})
		w.until(time.Date(2026, 1, 17, 9, 0, 0, 0, paris), time.Hour)
		if len(w.exceptions()) != 1 {
			t.Fatal("the exception ended before its device had the newer version")
		}
		w.ask(func() error {
			return w.srv.Conductor.Sign(t.Context(), "main", w.by, campaign.Sign{Campaign: string(c), Amendment: 1, Ring: "R0", Role: "it", Yes: true, Ticked: []int{0}})
		})
		w.until(time.Date(2026, 1, 21, 9, 0, 0, 0, paris), time.Hour)
		if user.packages["nginx"] != "3" {
			t.Fatalf("the amendment did not reach it: %v", user.packages)
		}
		if open := w.exceptions(); len(open) != 0 {
			t.Errorf("still excepted after %v: %+v", user.packages, open)
		}
		w.verifyRegister()
	})
}

// A ring's rollback is excepted for the devices that went back, together.
func TestARingThatGoesBackIsExceptedAsAGroup(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	c, pilot, user := w.installedInTwoRings(t)
	plan := w.rollBack(t, campaign.Rollback{Campaign: string(c), Ring: "r1", Now: time.Hour})
	w.until(w.now.Add(time.Hour), 10*time.Minute)
	if user.packages["nginx"] != "1" || pilot.packages["nginx"] != "2" {
		t.Fatalf("user %v, pilot %v", user.packages, pilot.packages)
	}
	open := w.exceptions()
	if len(open) != 2 || open[0].GroupName != plan.Name {
		t.Fatalf("exceptions: %+v", open)
	}
	members, err := w.srv.DB.Read().GroupMembers(t.Context(), "main", plan.Name)
	w.must(err)
	if !slices.Equal(members, []string{string(user.id)}) {
		t.Errorf("the group has %v", members)
	}
	w.until(time.Date(2026, 1, 18, 9, 0, 0, 0, paris), time.Hour)
	if user.packages["nginx"] != "1" {
		t.Error("the ring was brought to it again")
	}
}

// An install that was out when everything was rolled back, and whose end comes
// later, goes back as well.
func TestAnInstallThatEndsAfterTheRollbackGoesBackToo(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	late := w.device("it-2", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	c := w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 19, 30, 0, 0, paris), 30*time.Minute)
	late.away = true // with its order
	w.until(time.Date(2026, 1, 13, 20, 30, 0, 0, paris), 30*time.Minute)
	plan := w.rollBack(t, campaign.Rollback{Campaign: string(c), Now: 2 * time.Hour})
	w.until(time.Date(2026, 1, 13, 20, 40, 0, 0, paris), 10*time.Minute)
	for id, o := range late.orders { // it installs by itself, and reports after
		delete(late.orders, id)
		w.carryOut(late, o)
	}
	if late.packages["nginx"] != "2" {
		t.Fatal("the order that was out did nothing: the test tests nothing")
	}
	late.away = false
	w.until(time.Date(2026, 1, 14, 23, 0, 0, 0, paris), 30*time.Minute)
	if late.packages["nginx"] != "1" {
		t.Errorf("it has %v after everything went back", late.packages)
	}
	if r := w.ring(plan.Campaign, 0, "R0"); r.Done != 2 {
		t.Errorf("the rollback counts %d back, want 2", r.Done)
	}
}

func (w *world) applyProcedure(t *testing.T, text string) {
	t.Helper()
	w.ask(func() error {
		_, err := w.srv.Conductor.ApplyProcedure(t.Context(), "main", w.by, "test.yaml", []byte(text))
		return err
	})
}

func (w *world) create(t *testing.T, month string) campaign.ID {
	t.Helper()
	id, err := w.srv.Conductor.CreateCampaign(t.Context(), "main", w.by, campaign.Create{Procedure: "test", Month: month})
	w.must(err)
	return id
}

const rehearsing = "rollback: {on_severity: critical, rehearse: true}"

func TestRollbacksAreRehearsedInTheFirstRing(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
		pilot.took = 4 * time.Minute
		w.applyProcedure(t, strings.Replace(procedureText, "rollback: {on_severity: critical}", rehearsing, 1))
		user := w.device("fin-1", fleet.Workstation, "pilot-users", versions("1"), versions("2"))
		c := w.create(t, "2026-01")
		w.until(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), 15*time.Minute)
		kinds := []wire.OrderKind{}
		for _, i := range pilot.installs {
			if i.name == "nginx" {
				kinds = append(kinds, i.kind)
			}
			if !i.inside {
				t.Errorf("%s of %s at %s, outside its windows", i.kind, i.name, i.at)
			}
		}
		if want := []wire.OrderKind{wire.OrderInstall, wire.OrderRollback, wire.OrderInstall}; !slices.Equal(kinds, want) {
			t.Fatalf("nginx was %v on the pilot, want %v", kinds, want)
		}
		if pilot.packages["nginx"] != "2" {
			t.Errorf("the pilot is left with %v", pilot.packages)
		}
		items := w.board(c).Amendments[0].Items
		for _, i := range items {
			if i.Rollback != campaign.RollbackRehearsed || i.RollbackS != 120 { // two of them in one order of four minutes
				t.Errorf("%s is %q in %d s", i.Patch.Name, i.Rollback, i.RollbackS)
			}
		}
		if len(w.entriesOf(c, register.RollbackRehearsed)) != 2 {
			t.Error("the rehearsals are not in the register")
		}
		w.sign(c, "R0", "it", 1)
		w.until(time.Date(2026, 1, 16, 9, 0, 0, 0, paris), time.Hour)
		if user.packages["nginx"] != "2" || slices.ContainsFunc(user.installs, func(i install) bool { return i.kind == wire.OrderRollback }) {
			t.Errorf("R1 has %v after %+v; want it installed, and nothing rehearsed there", user.packages, user.installs)
		}
		plan, err := w.srv.Conductor.PlanRollback(t.Context(), "main", campaign.Rollback{Campaign: string(c)})
		w.must(err)
		if plan.Expected != 4*time.Minute {
			t.Errorf("the plan expects %s", plan.Expected)
		}
		w.onlyInsideWindows()
		w.verifyRegister()
	})
}

func TestAGateWaitsForARehearsalThatFails(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	pilot.sticks = map[string]bool{"nginx": true}
	w.applyProcedure(t, strings.Replace(procedureText, "rollback: {on_severity: critical}", rehearsing, 1))
	c := w.create(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 22, 0, 0, 0, paris), 15*time.Minute)
	w.sign(c, "R0", "it", 1)
	w.until(time.Date(2026, 1, 18, 9, 0, 0, 0, paris), 30*time.Minute)
	tries := 0
	for _, i := range pilot.installs {
		if i.name == "nginx" && i.kind == wire.OrderRollback {
			tries++
		}
	}
	if tries != 2 {
		t.Errorf("it was tried %d times to put nginx back, want the procedure's 2", tries)
	}
	if pilot.packages["nginx"] != "2" || pilot.packages["openssl"] != "2" {
		t.Errorf("the device is left with %v", pilot.packages)
	}
	r := w.ring(c, 0, "R0")
	if r.Verdict != "hold" || !strings.Contains(r.Reasons, string(fault.GateNotRehearsed)) || !strings.Contains(r.Reasons, "nginx") || r.Failed != 1 {
		t.Errorf("R0: %s %s, failed %d; want a hold that names nginx", r.Verdict, r.Reasons, r.Failed)
	}
	w.must(w.srv.Conductor.Withdraw(t.Context(), "main", w.by, campaign.Withdraw{Campaign: string(c), Patch: w.patchID("nginx", "2"), Reason: "it cannot go back"}))
	w.until(w.now.Add(time.Hour), 10*time.Minute)
	if r := w.ring(c, 0, "R0"); !campaign.RingState(r.State).Passed() {
		t.Errorf("without it R0 is %s: %s", r.State, r.Reasons)
	}
}

// stray is a campaign whose install was out on a device that nobody hears of when
// everything goes back, and whose rollback is closed before it is heard again.
func (w *world) stray(t *testing.T, ask campaign.Rollback) (plan campaign.RollbackPlan, late *fakeDevice) {
	t.Helper()
	w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	late = w.device("it-2", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	c := w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 19, 30, 0, 0, paris), 30*time.Minute)
	late.away = true // with its order
	w.until(time.Date(2026, 1, 13, 20, 30, 0, 0, paris), 30*time.Minute)
	ask.Campaign, ask.Now = string(c), time.Hour
	plan = w.rollBack(t, ask)
	w.until(time.Date(2026, 1, 13, 22, 0, 0, 0, paris), 10*time.Minute)
	w.must(w.srv.Conductor.Close(t.Context(), "main", w.by, campaign.Close{Campaign: string(plan.Campaign), Reason: "the rest is at home"}))
	w.now = w.now.Add(time.Minute)
	for id, o := range late.orders { // it installed by itself, and reports after
		delete(late.orders, id)
		w.carryOut(late, o)
	}
	if late.packages["nginx"] != "2" {
		t.Fatal("the order that was out did nothing: the test tests nothing")
	}
	late.away = false
	return plan, late
}

// An install that nobody knew of when its rollback was closed goes back all the
// same, in a rollback of its own, which says why.
func TestAnInstallThatEndsAfterItsRollbackWasClosedGoesBackToo(t *testing.T) {
	for name, ask := range map[string]campaign.Rollback{"of everything": {}, "of a ring": {Ring: "R0"}} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				plan, late := w.stray(t, ask)
				w.until(time.Date(2026, 1, 15, 23, 0, 0, 0, paris), 30*time.Minute)
				if late.packages["nginx"] != "1" || late.packages["openssl"] != "1" {
					t.Errorf("it has %v after everything went back", late.packages)
				}
				row, err := w.srv.DB.Read().CampaignByName(t.Context(), "main", "2026-01-rollback-2")
				w.must(err)
				again := w.board(campaign.ID(row.ID))
				if again.Rollback == nil || again.Rollback.Reason != "payroll is down" || again.Campaign.State != string(campaign.Closed) {
					t.Errorf("its own rollback: %+v, %s", again.Rollback, again.Campaign.State)
				}
				if got := w.entriesOf(campaign.ID(row.ID), register.CampaignCreated); len(got) != 1 || got[0].Detail["after"] != string(plan.Campaign) {
					t.Errorf("the register says %+v", got)
				}
				rows, err := w.srv.View.Campaigns(t.Context(), "main", view.CampaignQuery{})
				w.must(err)
				if n := len(rows.Rows); n != 3 {
					t.Errorf("%d campaigns, want the two rollbacks and theirs", n)
				}
				w.onlyInsideWindows()
				w.verifyRegister()
			})
		})
	}
}

// Where a device cannot go back the next ring of a rollback by rings does not
// begin by itself, the board says why, and a person may begin it.
func TestARollbackByRingsSaysWhoCannotGoBack(t *testing.T) {
	w := newWorld(t, monday)
	pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	pilot.unkept["nginx"] = true
	user := w.device("fin-1", fleet.Workstation, "pilot-users", versions("1"), versions("2"))
	c := w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), time.Hour)
	w.sign(c, "R0", "it", 1)
	w.until(time.Date(2026, 1, 16, 9, 0, 0, 0, paris), time.Hour)
	plan := w.rollBack(t, campaign.Rollback{Campaign: string(c), ByRing: true, Now: 10 * time.Hour})
	if len(plan.Impossible) != 1 || plan.Impossible[0].Name != "it-1" || plan.Impossible[0].Package != "nginx" {
		t.Errorf("the plan names %+v", plan.Impossible)
	}
	w.until(w.now.Add(8*time.Hour), time.Hour)
	if pilot.packages["openssl"] != "1" || pilot.packages["nginx"] != "2" || user.packages["openssl"] != "2" {
		t.Fatalf("pilot %v, user %v", pilot.packages, user.packages)
	}
	rings := w.board(plan.Campaign).Amendments[0].Rings
	if r := rings[0]; r.State != string(campaign.RingGate) || r.Verdict != string(campaign.Stop) || r.RollbackImpossible != 1 ||
		!slices.ContainsFunc(r.Reasons, func(why fault.Reason) bool { return why.Code == fault.GateFailedTooMany }) {
		t.Errorf("R0 is %s (%s) for %v, %d cannot go back", r.State, r.Verdict, r.Reasons, r.RollbackImpossible)
	}
	if r := rings[1]; r.State != string(campaign.RingPending) || r.Reasons[0].Code != fault.RingWaitsPrevious {
		t.Errorf("R1 is %s for %v", r.State, r.Reasons)
	}
	why, err := w.srv.Conductor.Why(t.Context(), "main", pilot.id, w.patchID("nginx", "2"))
	w.must(err)
	if !slices.ContainsFunc(why, func(e conductor.Explanation) bool {
		return e.Campaign == plan.Name && e.Reason.Code == fault.RollbackCannot
	}) {
		t.Errorf("why: %+v", why)
	}
	decided := w.entriesOf(plan.Campaign, register.GateDecided)
	if len(decided) == 0 || decided[0].Detail["verdict"] != "hold" {
		t.Errorf("the gate is in the register as %+v", decided)
	}
	w.must(w.srv.Conductor.Expedite(t.Context(), "main", w.by, campaign.Expedite{Campaign: string(plan.Campaign), Ring: "R1", Reason: "the pilot keeps nginx"}))
	w.until(w.now.Add(time.Hour), 10*time.Minute)
	if user.packages["nginx"] != "1" || user.packages["openssl"] != "1" {
		t.Errorf("R1 was begun by hand and has %v", user.packages)
	}
}

// The people at a workstation are asked before a rehearsal undoes what they have,
// and its page says what is coming; nobody is asked before a real rollback.
func TestPeopleAreToldOfARehearsal(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
		pilot.took = 4 * time.Minute
		w.policy(deskPolicy)
		w.applyProcedure(t, strings.Replace(procedureText, "rollback: {on_severity: critical}", rehearsing, 1))
		c := w.create(t, "2026-01")
		back := func(what string) (o wire.Order) {
			t.Helper()
			for end := time.Date(2026, 1, 17, 0, 0, 0, 0, paris); w.now.Before(end); {
				before := len(pilot.seen)
				w.until(w.now.Add(10*time.Minute), 10*time.Minute)
				for _, o := range pilot.seen[before:] {
					if o.Kind == wire.OrderRollback {
						return o
					}
				}
			}
			t.Fatalf("no order for %s", what)
			return o
		}
		pilot.patient = true // it waits for its people
		o := back("a rehearsal")
		if o.People == nil || o.People.Link == "" || o.People.DeadlineUS < o.IssuedUS+int64(59*time.Hour/time.Microsecond) {
			t.Fatalf("the rehearsal asks %+v", o.People)
		}
		orders := w.shown(pilot).Orders
		if len(orders) != 1 || !orders[0].Back || !orders[0].Trial || orders[0].Deadline.IsZero() || len(orders[0].Items) != 2 {
			t.Errorf("the page shows %+v", orders)
		}
		w.rollBack(t, campaign.Rollback{Campaign: string(c)})
		o = back("the rollback")
		if o.People != nil {
			t.Errorf("a rollback asks %+v", o.People)
		}
		if orders := w.shown(pilot).Orders; len(orders) != 1 || !orders[0].Back || orders[0].Trial || !orders[0].Deadline.IsZero() {
			t.Errorf("the page shows %+v", orders)
		}
	})
}
