package server_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/core/procedure"
	"patchring/internal/infra/store/storetest"
	"patchring/internal/service/incident"
)

var paris = mustZone("Europe/Paris")

func mustZone(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return zone
}

const procedureText = `
procedure: test
title: {fr: "Essai", en: "Test"}
owner: it
timezone: Europe/Paris
anchor: patch-tuesday
perimeter: {kinds: [workstation, server]}
rings:
  - name: R0
    title: {fr: "Pilotes", en: "Pilots"}
    members: {groups: [it-pilots]}
    opens: {day: 1}
    closes: {day: 2, at: "23:59"}
    soak: 2h
    gate:
      evidence: {min_devices: 1, min_done_percent: 100, max_failed: 0, max_unreachable_percent: 0, max_not_reached_percent: 0}
      sign_offs: [{role: it, title: {fr: "Tests fonctionnels", en: "Functional tests"}, checklist: [{fr: "Session", en: "Login"}]}]
  - name: R1
    title: {fr: "Représentants", en: "Representatives"}
    members: {groups: [pilot-users], tags: [{campaign: pilot}]}
    opens: {day: 3}
    closes: {day: 8, at: "09:00"}
    soak: 24h
    gate:
      evidence: {min_devices: 1, min_done_percent: 95, max_failed: 0, max_unreachable_percent: 50, max_not_reached_percent: 0}
      sign_offs: [{role: business, title: {fr: "Tests métier", en: "Business tests"}}]
  - name: GLOBAL
    title: {fr: "Tous", en: "Everyone"}
    members: {rest: true}
    opens: {day: 8, at: "09:00"}
    soak: 24h
    gate:
      evidence: {min_devices: 1, min_done_percent: 90, max_failed: 1, max_unreachable_percent: 50, max_not_reached_percent: 50}
windows:
  - {name: night, for: {all: true}, days: [mon, tue, wed, thu, fri, sat, sun], start: "20:00", end: "23:00"}
reboot: if_needed
attempts: 2
retry_after: 4h
unreachable_after: 72h
rollback: {on_severity: critical}
verification: {days_after_last_ring_opens: 2}
`

func (w *world) campaign(t *testing.T, month string) campaign.ID {
	t.Helper()
	return w.campaignBy(t, procedureText, month)
}

func (w *world) campaignBy(t *testing.T, text, month string) campaign.ID {
	t.Helper()
	w.ask(func() error {
		_, err := w.srv.Conductor.ApplyProcedure(t.Context(), "main", w.by, "test.yaml", []byte(text))
		return err
	})
	w.ask(func() error {
		_, err := w.srv.Conductor.CreateCampaign(t.Context(), "main", w.by, campaign.Create{Procedure: "test", Month: month})
		return err
	})
	row, err := w.srv.DB.Read().CampaignByName(t.Context(), "main", month)
	w.must(err)
	return campaign.ID(row.ID)
}

func versions(v string) map[string]string {
	return map[string]string{"openssl": v, "nginx": v}
}

func TestCampaignPassesEveryRingOnItsDays(t *testing.T) {
	start := time.Date(2026, 1, 12, 9, 0, 0, 0, paris)
	t.Run("sqlite", func(t *testing.T) { wholeCampaign(t, newWorld(t, start)) })
	t.Run("postgres", func(t *testing.T) { wholeCampaign(t, worldOn(t, start, storetest.PostgresURL(t), nil)) })
}

func wholeCampaign(t *testing.T, w *world) {
	pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	user := w.device("fin-1", fleet.Workstation, "pilot-users", versions("1"), versions("2"))
	other := w.device("srv-1", fleet.Server, "", versions("1"), versions("2"))
	c := w.campaign(t, "2026-01")

	w.until(time.Date(2026, 1, 13, 19, 0, 0, 0, paris), time.Hour) // the release
	if len(pilot.installs) > 0 {
		t.Fatalf("installed before the release and the window: %+v", pilot.installs)
	}
	w.until(time.Date(2026, 1, 13, 21, 0, 0, 0, paris), time.Hour)
	if pilot.packages["openssl"] != "2" || user.packages["openssl"] != "1" || other.packages["openssl"] != "1" {
		t.Fatalf("after R0's first window: pilot %v, user %v, other %v", pilot.packages, user.packages, other.packages)
	}
	w.until(time.Date(2026, 1, 15, 12, 0, 0, 0, paris), time.Hour)
	if r := w.ring(c, 0, "R0"); r.State != "gate" || r.Verdict != "hold" {
		t.Fatalf("R0 without its sign-off: %s %s, want gate hold", r.State, r.Verdict)
	}
	w.sign(c, "R0", "it", 1)
	w.until(time.Date(2026, 1, 15, 21, 0, 0, 0, paris), time.Hour)
	if user.packages["openssl"] != "2" || other.packages["openssl"] != "1" {
		t.Fatalf("in R1: user %v, other %v", user.packages, other.packages)
	}
	w.sign(c, "R1", "business", 0)
	w.until(time.Date(2026, 1, 20, 19, 0, 0, 0, paris), time.Hour)
	if other.packages["openssl"] != "1" {
		t.Fatalf("GLOBAL installed before its window: %+v", other.installs)
	}
	w.until(time.Date(2026, 1, 23, 9, 0, 0, 0, paris), time.Hour)
	if other.packages["openssl"] != "2" {
		t.Fatalf("after GLOBAL: %v", other.packages)
	}
	for _, ring := range []string{"R0", "R1", "GLOBAL"} {
		if r := w.ring(c, 0, ring); r.Done != 1 || r.State != "done" {
			t.Errorf("%s: %s, done %d failed %d not reached %d; want done with 1", ring, r.State, r.Done, r.Failed, r.NotReached)
		}
	}
	w.onlyInsideWindows()
	w.must(w.srv.Conductor.Close(t.Context(), "main", w.by, campaign.Close{Campaign: string(c)}))
	w.verifyRegister()
}

func (w *world) onlyInsideWindows() {
	w.t.Helper()
	for name, d := range w.devices {
		for _, i := range d.installs {
			if hour := i.at.In(paris).Hour(); !i.inside || hour < 20 || hour >= 23 {
				w.t.Errorf("%s installed %s %s at %s, outside its window", name, i.name, i.version, i.at.In(paris))
			}
		}
	}
}

func TestFailureStopsAtTheGateAndWithdrawalLetsTheRestGoOn(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	pilot.breaks["nginx2"] = true
	user := w.device("fin-1", fleet.Workstation, "pilot-users", versions("1"), versions("2"))
	c := w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), time.Hour)
	w.sign(c, "R0", "it", 1)
	w.until(time.Date(2026, 1, 16, 9, 0, 0, 0, paris), time.Hour)
	if r := w.ring(c, 0, "R0"); r.Verdict != "hold" || r.Failed != 1 || len(user.installs) > 0 {
		t.Fatalf("R0: %s %s failed %d, user installs %v; want a hold and none", r.State, r.Verdict, r.Failed, user.installs)
	}
	if pilot.packages["openssl"] != "2" {
		t.Errorf("openssl did not go on beside the failing nginx: %v", pilot.packages)
	}
	w.must(w.srv.Conductor.Withdraw(t.Context(), "main", w.by, campaign.Withdraw{
		Campaign: string(c), Patch: w.patchID("nginx", "2"), Reason: "its postinst fails",
	}))
	w.until(time.Date(2026, 1, 17, 9, 0, 0, 0, paris), time.Hour)
	if user.packages["openssl"] != "2" || user.packages["nginx"] != "1" {
		t.Errorf("after the withdrawal: %v, want openssl 2 and nginx 1", user.packages)
	}
	w.onlyInsideWindows()
}

// What was installed and then failed is a failure, although no scan lists it.
func TestServiceThatDiesAfterItsInstallIsNotDone(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	pilot.dies["nginx2"] = true
	c := w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 15, 9, 0, 0, 0, paris), time.Hour)
	if r := w.ring(c, 0, "R0"); r.Failed != 1 || r.Done != 0 {
		t.Errorf("R0 counts done %d, failed %d; want the device failed", r.Done, r.Failed)
	}
}

// The procedure's own words about severities: critical rolls back, what is
// milder than it says to hold on is recorded.
func TestIncidentDoesWhatTheProcedureSays(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	c := w.campaign(t, "2026-01")
	report := func(severity procedure.Severity, patchName string) campaign.Response {
		t.Helper()
		ask := incident.Open{Campaign: string(c), Severity: severity, What: "payroll does not print"}
		if patchName != "" {
			ask.Patch = w.patchID(patchName, "2")
		}
		opened, err := w.srv.Incidents.Open(t.Context(), "main", w.by, ask)
		w.must(err)
		return opened.Response
	}
	w.until(time.Date(2026, 1, 13, 19, 30, 0, 0, paris), 30*time.Minute)
	if got := report(procedure.Minor, ""); got != campaign.RecordOnly {
		t.Errorf("minor: %s, want it recorded only", got)
	}
	w.until(time.Date(2026, 1, 13, 22, 0, 0, 0, paris), 30*time.Minute)
	if pilot.packages["nginx"] != "2" {
		t.Fatalf("a minor incident stopped the campaign: %v", pilot.packages)
	}
	if got := report(procedure.Critical, "nginx"); got != campaign.RollsBackAll {
		t.Errorf("critical: %s, want a rollback", got)
	}
	w.until(time.Date(2026, 1, 14, 22, 0, 0, 0, paris), 30*time.Minute)
	if pilot.packages["nginx"] != "1" || pilot.packages["openssl"] != "2" {
		t.Errorf("after a critical incident about nginx: %v, want it alone back at 1", pilot.packages)
	}
	w.onlyInsideWindows()
}

func TestCriticalIncidentBeforeAnyInstallHolds(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	c := w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 19, 30, 0, 0, paris), 30*time.Minute)
	opened, err := w.srv.Incidents.Open(t.Context(), "main", w.by, incident.Open{
		Campaign: string(c), Severity: procedure.Critical, What: "the vendor recalls it",
	})
	w.must(err)
	w.until(time.Date(2026, 1, 14, 12, 0, 0, 0, paris), 30*time.Minute)
	if opened.Response != campaign.PlacesHold || len(pilot.installs) > 0 {
		t.Errorf("response %s, installs %v; want a hold and none", opened.Response, pilot.installs)
	}
}

func TestWithdrawnOrDeclinedBeforeItsWindowIsNotInstalled(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	pilot.packages["curl"], pilot.offers["curl"] = "1", "2"
	c := w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 19, 30, 0, 0, paris), 30*time.Minute)
	if len(pilot.orders) != 1 {
		t.Fatalf("the device holds %d orders before its window, want one", len(pilot.orders))
	}
	w.must(w.srv.Conductor.Withdraw(t.Context(), "main", w.by, campaign.Withdraw{Campaign: string(c), Patch: w.patchID("nginx", "2"), Reason: "recalled"}))
	w.must(w.srv.Conductor.Decide(t.Context(), "main", w.by, campaign.Decide{Patch: w.patchID("curl", "2"), Verdict: policy.Declined, Reason: "breaks the proxy"}))
	w.until(time.Date(2026, 1, 13, 22, 0, 0, 0, paris), 30*time.Minute)
	if pilot.packages["nginx"] != "1" || pilot.packages["curl"] != "1" || pilot.packages["openssl"] != "2" {
		t.Errorf("got %v, want openssl alone at 2", pilot.packages)
	}
}

func (w *world) patchID(name, version string) patch.ID {
	return patch.Key{Provider: "apt", Name: name, Version: version, Suite: "bookworm-security"}.ID()
}

func TestVanishedVersionIsNotReplaced(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	user := w.device("fin-1", fleet.Workstation, "pilot-users", versions("1"), versions("2"))
	c := w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), time.Hour)
	w.sign(c, "R0", "it", 1)
	user.offers["nginx"] = "3" // the repository has moved on
	w.scan(user)
	w.until(time.Date(2026, 1, 16, 9, 0, 0, 0, paris), time.Hour)
	if user.packages["nginx"] != "1" || user.packages["openssl"] != "2" {
		t.Fatalf("R1 has %v; want nginx still 1 and openssl 2", user.packages)
	}
	if r := w.ring(c, 0, "R1"); r.Failed != 1 {
		t.Errorf("R1 counts %d failed, want the vanished version told", r.Failed)
	}
	why, err := w.srv.Conductor.Why(t.Context(), "main", user.id, w.patchID("nginx", "2"))
	w.must(err)
	if len(why) != 1 || why[0].Reason.Code != fault.VersionGone || why[0].Reason.Args["available"] != "3" {
		t.Errorf("why: %+v, want version_gone with 3 available", why)
	}
}

func TestAmendmentPassesEveryRingItself(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	user := w.device("fin-1", fleet.Workstation, "pilot-users", versions("1"), versions("2"))
	c := w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), time.Hour)
	w.sign(c, "R0", "it", 1)
	for _, d := range []*fakeDevice{pilot, user} {
		d.packages["curl"], d.offers["curl"] = "1", "2"
		w.scan(d)
	}
	w.settle()
	var number int
	w.ask(func() (err error) {
		number, err = w.srv.Conductor.Amend(t.Context(), "main", w.by, campaign.Amend{
			Campaign: string(c), Patches: []patch.ID{w.patchID("curl", "2")}, Reason: "exploited",
		})
		return err
	})
	w.until(time.Date(2026, 1, 15, 22, 0, 0, 0, paris), time.Hour)
	if pilot.packages["curl"] != "2" || user.packages["curl"] != "1" || user.packages["openssl"] != "2" {
		t.Fatalf("pilot %v, user %v; want curl 2 in R0 only, while openssl goes on", pilot.packages, user.packages)
	}
	if r := w.ring(c, number, "R0"); r.Verdict != "hold" {
		t.Errorf("the amendment's R0 is %s %s; want a hold until it is signed too", r.State, r.Verdict)
	}
}

func TestAwayDeviceCatchesUpOnlyInItsWindow(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	late := w.device("it-2", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	c := w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 18, 0, 0, 0, paris), time.Hour)
	late.away = true
	w.until(time.Date(2026, 1, 18, 12, 0, 0, 0, paris), time.Hour)
	if r := w.ring(c, 0, "R0"); r.Unreachable != 1 || r.Done != 1 {
		t.Fatalf("R0: done %d unreachable %d not reached %d, want 1 and 1", r.Done, r.Unreachable, r.NotReached)
	}
	late.away = false
	w.until(time.Date(2026, 1, 18, 19, 0, 0, 0, paris), time.Hour)
	if len(late.installs) > 0 {
		t.Fatalf("installed at %s, outside its window", late.installs[0].at)
	}
	w.until(time.Date(2026, 1, 18, 22, 0, 0, 0, paris), time.Hour)
	if late.packages["openssl"] != "2" {
		t.Errorf("not caught up in its window: %v", late.packages)
	}
	w.onlyInsideWindows()
}

func TestHoldStopsAndResumeGoesOn(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	c := w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 19, 30, 0, 0, paris), time.Hour)
	_, err := w.srv.Conductor.Hold(t.Context(), "main", w.by, campaign.PlaceHold{Campaign: string(c), Reason: "the print server is down"})
	w.must(err)
	w.until(time.Date(2026, 1, 14, 12, 0, 0, 0, paris), time.Hour)
	if len(pilot.installs) > 0 {
		t.Fatalf("installed under a hold: %+v", pilot.installs)
	}
	why, err := w.srv.Conductor.Why(t.Context(), "main", pilot.id, w.patchID("nginx", "2"))
	w.must(err)
	if len(why) != 1 || !hasReason(why[0].Chain, fault.CampaignHeld) {
		t.Errorf("why does not tell of the hold: %+v", why)
	}
	_, err = w.srv.Conductor.Resume(t.Context(), "main", w.by, campaign.Resume{Campaign: string(c)})
	w.must(err)
	w.until(time.Date(2026, 1, 14, 22, 0, 0, 0, paris), time.Hour)
	if pilot.packages["openssl"] != "2" {
		t.Errorf("after the hold was lifted: %v", pilot.packages)
	}
}

func hasReason(chain []campaign.Check, code fault.Code) bool {
	for _, c := range chain {
		if c.Reason.Code == code {
			return true
		}
	}
	return false
}

func TestRollbackOfTheCampaignRestoresEveryVersion(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	user := w.device("fin-1", fleet.Workstation, "pilot-users", versions("1"), versions("2"))
	c := w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), time.Hour)
	w.sign(c, "R0", "it", 1)
	w.until(time.Date(2026, 1, 16, 9, 0, 0, 0, paris), time.Hour)
	plan, err := w.srv.Conductor.Rollback(t.Context(), "main", w.by, campaign.Rollback{Campaign: string(c), Reason: "payroll is down", Now: time.Hour})
	w.must(err)
	if plan.Devices != 2 || plan.Items != 4 || len(plan.Impossible) != 0 {
		t.Fatalf("plan %+v, want 4 items on 2 devices", plan)
	}
	w.until(w.now.Add(30*time.Minute), 10*time.Minute)
	for name, d := range map[string]*fakeDevice{"pilot": pilot, "user": user} {
		if d.packages["openssl"] != "1" || d.packages["nginx"] != "1" {
			t.Errorf("%s after the rollback: %v, want every package at 1", name, d.packages)
		}
	}
	w.until(time.Date(2026, 1, 19, 9, 0, 0, 0, paris), time.Hour)
	if pilot.packages["openssl"] != "1" {
		t.Errorf("installed again after the rollback: %v", pilot.packages)
	}
	for _, i := range append(pilot.installs, user.installs...) {
		if !i.inside {
			t.Errorf("%s %s %s outside a window of its order", i.kind, i.name, i.version)
		}
	}
	w.verifyRegister()
}

// Every durable write of a whole campaign fails: "not stored", and "stored, but
// nobody was told". Nothing is lost and nothing is done twice.
func TestEveryWriteFails(t *testing.T) {
	for seed := range uint64(3) {
		for _, stored := range []bool{false, true} {
			t.Run(fmt.Sprintf("seed %d stored %t", seed, stored), func(t *testing.T) { faultyCampaign(t, stored, seed) })
		}
	}
}

func faultyCampaign(t *testing.T, stored bool, seed uint64) {
	failed, draw := 0, rand.New(rand.NewPCG(seed, 1))
	var armed atomic.Bool
	var mu sync.Mutex // guards failed and draw: the gateway commits in its own goroutine
	w := faultyWorld(t, time.Date(2026, 1, 13, 12, 0, 0, 0, paris), func(after bool) error {
		mu.Lock()
		defer mu.Unlock()
		if !armed.Load() || after != stored || draw.IntN(3) > 0 {
			return nil
		}
		failed++
		return errCommit
	})
	armed.Store(true)
	pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	user := w.device("fin-1", fleet.Workstation, "pilot-users", versions("1"), versions("2"))
	c := w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), 3*time.Hour)
	w.until(time.Date(2026, 1, 14, 21, 0, 0, 0, paris), 3*time.Hour)
	w.sign(c, "R0", "it", 1)
	w.until(time.Date(2026, 1, 16, 21, 0, 0, 0, paris), 3*time.Hour)
	for name, d := range map[string]*fakeDevice{"pilot": pilot, "user": user} {
		if d.packages["openssl"] != "2" || d.packages["nginx"] != "2" || len(d.installs) != 2 {
			t.Errorf("%s: packages %v, %d installs; want both at 2, each once", name, d.packages, len(d.installs))
		}
	}
	for _, ring := range []string{"R0", "R1"} {
		if r := w.ring(c, 0, ring); r.Done != 1 || r.Done+r.Failed+r.NotReached+r.Unreachable+r.Exempt != 1 {
			t.Errorf("%s counts done %d failed %d not reached %d unreachable %d exempt %d; want one done",
				ring, r.Done, r.Failed, r.NotReached, r.Unreachable, r.Exempt)
		}
	}
	if failed < 20 {
		t.Errorf("only %d commits failed: the test tests nothing", failed)
	}
	w.verifyRegister()
}
