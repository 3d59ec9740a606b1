package server_test

import (
	"testing"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
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
    members: {groups: [pilot-users]}
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
	_, err := w.srv.Conductor.ApplyProcedure(t.Context(), "main", w.by, "test.yaml", []byte(procedureText))
	w.must(err)
	id, err := w.srv.Conductor.CreateCampaign(t.Context(), "main", w.by, campaign.Create{Procedure: "test", Month: month})
	w.must(err)
	return id
}

func versions(v string) map[string]string {
	return map[string]string{"openssl": v, "nginx": v}
}

func TestCampaignPassesEveryRingOnItsDays(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
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

func (w *world) patchID(name, version string) patch.ID {
	return patch.Key{Provider: "apt", Name: name, Version: version, Suite: "bookworm-security"}.ID()
}
