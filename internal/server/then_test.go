package server_test

import (
	"strings"
	"testing"
	"time"

	"patchring/internal/core/alert"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/store/storetest"
	"patchring/internal/service/herald/heraldtest"
	"patchring/internal/service/watch"
	"patchring/wire"
)

const thenRule = `  - name: cpu
    title: {fr: Processeur saturé, en: Processor saturated}
    measure: cpu_percent
    above: 90
    clear: 75
    for: 10m
    scope: {during: campaign}
    then: hold
    severity: critical
    who: equipe-poste
    outputs: [ops]
`

// acting is a campaign of two pilots and a user, before its first window, with a
// rule that acts by itself.
type acting struct {
	*world
	smtp             *heraldtest.SMTP
	one, other, user *fakeDevice
	campaign         campaign.ID
}

func newActing(w *world, rule string) *acting {
	a := &acting{world: w, smtp: heraldtest.Start(w.t, heraldtest.Plain, "")}
	a.one = w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	a.other = w.device("it-2", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	a.user = w.device("fin-1", fleet.Workstation, "pilot-users", versions("1"), versions("2"))
	a.campaign = w.campaign(w.t, "2026-01")
	w.until(time.Date(2026, 1, 13, 19, 30, 0, 0, paris), time.Hour)
	w.rules(a.smtp, rule)
	return a
}

// patched lets R0 install.
func (a *acting) patched() {
	a.t.Helper()
	a.until(time.Date(2026, 1, 13, 20, 30, 0, 0, paris), 10*time.Minute)
	if a.one.packages["openssl"] != "2" || a.user.packages["openssl"] != "1" {
		a.t.Fatalf("R0 has %v, the user %v", a.one.packages, a.user.packages)
	}
}

func (a *acting) alertOf(d *fakeDevice) gen.Alert {
	a.t.Helper()
	rows, err := a.srv.DB.Read().OpenAlertsOf(a.t.Context(), "main", alert.DeviceKey(string(d.id)))
	a.must(err)
	if len(rows) != 1 {
		a.t.Fatalf("%d alerts of %s are open: %+v", len(rows), d.id, rows)
	}
	return rows[0]
}

func (a *acting) wantHolds(n int, what string) []gen.Hold {
	a.t.Helper()
	held := a.holdsOf(a.campaign)
	if len(held) != n {
		a.t.Fatalf("%s: held %+v, want %d", what, held, n)
	}
	return held
}

func (a *acting) resume() {
	a.t.Helper()
	a.ask(func() error {
		_, err := a.srv.Conductor.Resume(a.t.Context(), "main", a.by, campaign.Resume{Campaign: string(a.campaign), Reason: "vu"})
		return err
	})
	a.settle()
}

func TestARuleHoldsTheRingOfADeviceThatWasPatched(t *testing.T) {
	start := time.Date(2026, 1, 12, 9, 0, 0, 0, paris)
	t.Run("sqlite", func(t *testing.T) { ruleHolds(t, newWorld(t, start)) })
	t.Run("postgres", func(t *testing.T) { ruleHolds(t, worldOn(t, start, storetest.PostgresURL(t), nil)) })
}

func ruleHolds(t *testing.T, w *world) {
	a := newActing(w, thenRule)
	a.patched()
	a.burns(a.user, 99, 12) // whom the campaign has not come to
	a.wantHolds(0, "a device that was never patched burns")
	expectMails(t, a.smtp, "ops@example.org", "CRITIQUE : Processeur saturé — fin-1")
	a.burns(a.user, 10, 1)

	a.burns(a.one, 99, 9)
	a.wantHolds(0, "for nine minutes")
	a.burns(a.one, 99, 3)
	held := a.wantHolds(1, "for more than ten")[0]
	if held.Ring != "R0" || held.Device != "" || held.Actor != "system:alert" {
		t.Errorf("held %+v", held)
	}
	why, ok := fault.ParseReason(held.Reason)
	if !ok || why.Code != fault.AlertMeasure || why.Args["device"] != "it-1" || why.Args["alert"] != "cpu" || why.Args["value"] != "cpu_percent 99" || why.Args["role"] != "equipe-poste" {
		t.Errorf("for %s", held.Reason)
	}
	a.settle()
	if got := a.other.holds.Holds; len(got) != 1 || got[0].Ring != "R0" {
		t.Errorf("the other pilot was told %+v", got)
	}
	mail := a.smtp.Taken()[2].Text()
	for _, want := range []string{"it-1 (2026-01 R0)", "l’anneau R0 de 2026-01 est suspendu", "equipe-poste", "99"} {
		if !strings.Contains(mail, want) {
			t.Errorf("the mail does not say %q:\n%s", want, mail)
		}
	}
	if acted := a.entries(register.AlertActed); len(acted) != 1 || acted[0].Actor != "system:alert" || acted[0].Detail["id"] != held.ID || acted[0].Ring != "R0" || acted[0].Device != string(a.one.id) {
		t.Errorf("register: %+v", acted)
	}
	row, err := a.srv.View.Alert(t.Context(), "main", a.alertOf(a.one).ID)
	a.must(err)
	if row.Did != alert.HoldCampaign || row.DidID != held.ID || row.DidAt.IsZero() || row.Ring != "R0" || row.Campaign.ID != string(a.campaign) {
		t.Errorf("the alert shows %+v", row)
	}

	a.burns(a.other, 99, 12)
	a.wantHolds(1, "another one suffers of the same")
	if got := a.alertOf(a.other); got.DidID != held.ID {
		t.Errorf("it is held by %q, want %s", got.DidID, held.ID)
	}
	a.resume()
	a.burns(a.one, 99, 20)
	a.burns(a.other, 99, 20)
	a.wantHolds(0, "a person has lifted it, who read why")
	a.burns(a.one, 10, 1)
	a.burns(a.one, 99, 15)
	if got := a.alertOf(a.one); got.DidUs > 0 || got.State != string(alert.Firing) {
		t.Errorf("the next alert %+v", got)
	}
	a.wantHolds(0, "it comes again, of the same install")
	a.verifyRegister()
}

func TestWhatWasThereBeforeTheInstallHoldsNothing(t *testing.T) {
	a := newActing(newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris)), thenRule)
	for range 90 { // from half an hour before the window to an hour after it opened
		a.sampled(a.one, busy(99))
		a.now = a.now.Add(time.Minute - 6*time.Second)
		a.settle()
	}
	if a.one.packages["openssl"] != "2" || a.alertOf(a.one).State != string(alert.Firing) {
		t.Fatalf("it has %v", a.one.packages)
	}
	a.wantHolds(0, "it burned before")
}

func TestASilencedAlertHoldsWhenTheSilenceEnds(t *testing.T) {
	a := newActing(newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris)), thenRule)
	a.patched()
	_, err := a.srv.Watch.Silence(t.Context(), "main", a.by, watch.Silence{Device: a.one.id, Until: a.now.Add(30 * time.Minute), Reason: "mesures"})
	a.must(err)
	a.burns(a.one, 99, 29)
	a.wantHolds(0, "silenced")
	a.burns(a.one, 99, 5)
	a.wantHolds(1, "the silence is over")
	if len(mails(a.smtp, "ops@example.org")) != 1 {
		t.Errorf("told %q", mails(a.smtp, "ops@example.org"))
	}
}

// An alert that stood while the device still installed is told at once, and acts
// when it has lasted for its duration after the install: that is told too.
func TestAnActAfterTheAlertIsToldToo(t *testing.T) {
	a := newActing(newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris)), thenRule)
	a.until(time.Date(2026, 1, 13, 19, 59, 0, 0, paris), time.Hour)
	var o wire.Order
	for _, o = range a.one.orders {
	}
	step := func(e wire.Event) {
		e.Order, e.Serial = o.ID, o.Serial
		a.event(a.one, e)
	}
	a.now = a.now.Add(2 * time.Minute)
	step(wire.Event{Kind: wire.EventStep, Step: wire.StepInstall})
	began := a.now
	a.burns(a.one, 99, 12)
	step(wire.Event{Kind: wire.EventStep, Step: wire.StepInstall}) // the next package
	a.wantHolds(0, "while it installs")
	var outcomes []wire.Outcome
	for _, item := range o.Items {
		outcomes = append(outcomes, a.apply(a.one, o, item))
	}
	delete(a.one.orders, o.ID)
	step(wire.Event{Kind: wire.EventResult, Result: &wire.Result{Outcomes: outcomes}})
	ended := a.now
	a.now = a.now.Add(time.Second)
	a.scan(a.one)
	a.settle()
	row, err := a.srv.DB.Read().Order(t.Context(), "main", o.ID)
	a.must(err)
	if row.BeganUs != began.UnixMicro() || row.EndedUs != ended.UnixMicro() {
		t.Errorf("the order was carried out from %d to %d, want %d to %d", row.BeganUs, row.EndedUs, began.UnixMicro(), ended.UnixMicro())
	}
	a.burns(a.one, 99, 8)
	a.wantHolds(0, "eight minutes after it")
	a.burns(a.one, 99, 4)
	a.wantHolds(1, "twelve minutes after it")
	expectMails(t, a.smtp, "ops@example.org", "CRITIQUE : Processeur saturé", "CRITIQUE : Processeur saturé")
	if text := a.smtp.Taken()[1].Text(); !strings.Contains(text, "Action automatique") || !strings.Contains(text, "est suspendu") {
		t.Errorf("the second mail says\n%s", text)
	}
}

// Of an order of which nobody heard when it began, what was there when its result
// came is not laid to it.
func TestAnInstallThatNobodySawBeginIsBlamedForWhatFollowsItsEnd(t *testing.T) {
	for name, wants := range map[string]int{"busy before the result": 0, "busy after it": 1} {
		t.Run(name, func(t *testing.T) {
			a := newActing(newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris)), thenRule)
			var o wire.Order
			for _, o = range a.one.orders {
			}
			delete(a.one.orders, o.ID)
			if wants == 0 {
				a.burns(a.one, 99, 2)
			}
			var outcomes []wire.Outcome
			for _, item := range o.Items {
				outcomes = append(outcomes, a.apply(a.one, o, item))
			}
			a.event(a.one, wire.Event{Kind: wire.EventResult, Order: o.ID, Serial: o.Serial, Result: &wire.Result{Outcomes: outcomes}})
			a.now = a.now.Add(time.Second)
			a.scan(a.one)
			a.settle()
			a.burns(a.one, 99, 14)
			a.wantHolds(wants, name)
		})
	}
}

func TestADeviceThatWentBackIsNotPatched(t *testing.T) {
	a := newActing(newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris)), thenRule)
	a.patched()
	a.rollBack(t, campaign.Rollback{Campaign: string(a.campaign), Device: a.one.id, Reason: "essai", Now: time.Hour})
	a.until(a.now.Add(20*time.Minute), 5*time.Minute)
	if a.one.packages["openssl"] != "1" {
		t.Fatalf("it has %v", a.one.packages)
	}
	a.burns(a.one, 99, 15)
	a.wantHolds(0, "it went back")
}

func TestARuleHoldsTheDeviceAlone(t *testing.T) {
	a := newActing(newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris)), strings.Replace(thenRule, "then: hold", "then: hold_device", 1))
	a.patched()
	a.burns(a.one, 99, 12)
	if held := a.wantHolds(1, "one burns")[0]; held.Ring != "" || held.Device != string(a.one.id) {
		t.Errorf("held %+v", held)
	}
	a.burns(a.other, 99, 12)
	a.wantHolds(2, "the other one too")
}

// An incident by a rule is answered as the procedure says: here the ring goes back.
func TestARuleOpensAnIncidentThatRollsTheRingBack(t *testing.T) {
	a := newActing(newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris)), strings.Replace(thenRule, "then: hold", "then: incident", 1))
	a.patched()
	a.burns(a.one, 99, 12)
	a.burns(a.other, 99, 12)
	opened := a.entries(register.IncidentOpened)
	if len(opened) != 1 || opened[0].Actor != "system:alert" || opened[0].Detail["origin"] != "alert" || opened[0].Ring != "R0" {
		t.Fatalf("register: %+v", opened)
	}
	got := a.incident(a.alertOf(a.one).DidID)
	if got.Owner != "equipe-poste" || got.Severity != "critical" || got.Title != "Processeur saturé — it-1" || len(got.On) != 2 || !strings.Contains(got.What, "(cpu) sur it-1") || !strings.Contains(got.What, "Processeur 99") || a.alertOf(a.other).DidID != got.ID {
		t.Errorf("the incident is %+v", got)
	}
	a.until(time.Date(2026, 1, 14, 21, 0, 0, 0, paris), time.Hour)
	if a.one.packages["openssl"] != "1" || a.other.packages["openssl"] != "1" {
		t.Errorf("the ring has %v and %v, want it back", a.one.packages, a.other.packages)
	}
	a.verifyRegister()
}

func TestARuleOverProbesHolds(t *testing.T) {
	a := newActing(newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris)),
		"  - {name: probe, title: {fr: Sonde, en: Probe}, event: probe_down, for: 2m, scope: {during: campaign}, then: hold, severity: critical, who: it, outputs: [ops]}\n")
	a.patched()
	for range 4 {
		a.probed(a.one, wire.ProbeState{Name: "web", State: wire.ProbeDown})
		a.now = a.now.Add(time.Minute)
	}
	held := a.wantHolds(1, "a probe says no")[0]
	if why, ok := fault.ParseReason(held.Reason); !ok || why.Code != fault.AlertProbe || why.Args["probes"] != "web" {
		t.Errorf("for %s", held.Reason)
	}
}

// The hold, the alert, their entries and the mail are one commit: failed, there is
// nothing of them; at the next sample there is one of each.
func TestAHoldByARuleIsThereWithItsAlertOrNotAtAll(t *testing.T) {
	fail := false
	w := faultyWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris), func(bool) error {
		if fail {
			return errCommit
		}
		return nil
	})
	a := newActing(w, thenRule)
	a.patched()
	a.burns(a.one, 99, 10)
	a.now = a.now.Add(10 * time.Second)
	a.srv.Watch.Sampled("main", a.one.id, wire.Sample{Values: busy(99)})
	fail = true
	if err := a.srv.Watch.Step(t.Context()); err == nil {
		t.Fatal("the commit did not fail")
	}
	fail = false
	a.wantHolds(0, "the commit failed")
	if got := a.alertOf(a.one); got.State != string(alert.Pending) || got.DidUs > 0 || len(a.entries(register.AlertActed)) > 0 {
		t.Errorf("of what failed there is %+v", got)
	}
	a.burns(a.one, 99, 2)
	a.wantHolds(1, "at the next sample")
	if fired, acted := a.entries(register.AlertFired), a.entries(register.AlertActed); len(fired) != 1 || len(acted) != 1 {
		t.Errorf("register: %+v %+v", fired, acted)
	}
	expectMails(t, a.smtp, "ops@example.org", "CRITIQUE : Processeur saturé — it-1")
	a.verifyRegister()
}
