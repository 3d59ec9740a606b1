package server_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/feed"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/core/register"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/store/storetest"
)

// hurried is the procedure of the tests, with emergencies.
func (w *world) hurried() {
	w.t.Helper()
	text := strings.Replace(procedureText, "reboot: if_needed", `emergency:
  day: 1h
  sign_offs:
    - {role: security, title: {fr: "RSSI", en: "Security officer"}, checklist: [{fr: "Avis lu", en: "Advisory read"}]}
    - {role: it, title: {fr: "Exploitation", en: "Operations"}}
reboot: if_needed`, 1)
	w.ask(func() error {
		_, err := w.srv.Conductor.ApplyProcedure(w.t.Context(), "main", w.by, "test.yaml", []byte(text))
		return err
	})
}

func (w *world) emergency(ask campaign.StartEmergency) campaign.ID {
	w.t.Helper()
	ask.Reason = "exploited since this morning"
	id, err := w.srv.Conductor.StartEmergency(w.t.Context(), "main", w.by, ask)
	w.must(err)
	return id
}

func (w *world) approve(c campaign.ID, role, by string, ticked ...int) {
	w.t.Helper()
	w.must(w.srv.Conductor.Approve(w.t.Context(), "main", register.User(by), campaign.Sign{Campaign: string(c), Role: role, Yes: true, Ticked: ticked}))
}

func (w *world) approved(c campaign.ID) {
	w.t.Helper()
	w.approve(c, "security", "ciso", 0)
	w.approve(c, "it", "operations")
}

func (w *world) campaignRow(c campaign.ID) gen.Campaign {
	w.t.Helper()
	row, err := w.srv.DB.Read().Campaign(w.t.Context(), "main", string(c))
	w.must(err)
	return row
}

// thursday is no Patch Tuesday's, and nothing else runs.
var thursday = time.Date(2026, 1, 22, 10, 0, 0, 0, paris)

func TestAnEmergencyPassesEveryRingInHours(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { wholeEmergency(t, newWorld(t, thursday)) })
	t.Run("postgres", func(t *testing.T) { wholeEmergency(t, worldOn(t, thursday, storetest.PostgresURL(t), nil)) })
}

func wholeEmergency(t *testing.T, w *world) {
	pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	user := w.device("fin-1", fleet.Workstation, "pilot-users", versions("1"), versions("2"))
	other := w.device("srv-1", fleet.Server, "", versions("1"), versions("2"))
	w.policy("rules: [{name: slow, patches: patch.name == \"openssl\", verdict: delay 30d}]")
	w.hurried()
	w.until(thursday.Add(10*time.Minute), 10*time.Minute)
	c := w.emergency(campaign.StartEmergency{
		Patches: []patch.ID{w.patchID("openssl", "2")}, Windows: []calendar.Interval{{Start: thursday, End: thursday.Add(10 * time.Hour)}},
	})
	w.until(thursday.Add(time.Hour), 10*time.Minute)
	w.approve(c, "security", "ciso", 0)
	w.until(thursday.Add(2*time.Hour), 10*time.Minute)
	if row := w.campaignRow(c); row.State != string(campaign.Draft) || len(pilot.installs) > 0 {
		t.Fatalf("with one of two sign-offs it is %s, and the pilot did %+v", row.State, pilot.installs)
	}
	if why := w.whyNot(pilot, "openssl", "2"); why.Code != fault.CampaignDraft {
		t.Errorf("why: %s", why)
	}
	w.approve(c, "it", "operations")
	w.until(thursday.Add(150*time.Minute), 10*time.Minute)
	if pilot.packages["openssl"] != "2" || user.packages["openssl"] != "1" {
		t.Fatalf("half an hour after it started: pilot %v, user %v", pilot.packages, user.packages)
	}
	w.sign(c, "R0", "it", 1)
	w.until(thursday.Add(4*time.Hour), 10*time.Minute)
	if user.packages["openssl"] != "2" || other.packages["openssl"] != "1" {
		t.Fatalf("after two days of an hour: user %v, other %v", user.packages, other.packages)
	}
	w.sign(c, "R1", "business", 0)
	w.until(thursday.Add(10*time.Hour), 10*time.Minute)
	for _, d := range []*fakeDevice{pilot, user, other} {
		if d.packages["openssl"] != "2" || d.packages["nginx"] != "1" {
			t.Errorf("in the end: %v, want openssl alone", d.packages)
		}
	}
	for _, i := range slices.Concat(pilot.installs, user.installs, other.installs) {
		if !i.inside {
			t.Errorf("%s at %s, outside the emergency's window", i.name, i.at)
		}
	}
	w.verifyRegister()
}

func TestAnEmergencyKeepsToTheDevicesWindows(t *testing.T) {
	w := newWorld(t, thursday)
	pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	w.hurried()
	w.until(thursday.Add(10*time.Minute), 10*time.Minute)
	w.approved(w.emergency(campaign.StartEmergency{Patches: []patch.ID{w.patchID("openssl", "2")}}))
	w.until(thursday.Add(14*time.Hour), 30*time.Minute)
	if len(pilot.installs) != 1 || pilot.installs[0].at.In(paris).Hour() != 20 {
		t.Errorf("it did %+v, want openssl at 20:00, when its window opens", pilot.installs)
	}
}

// A freeze stops emergencies too, unless a second person said otherwise.
func TestAnEmergencyPassesAFreezeWithASecondPerson(t *testing.T) {
	w := newWorld(t, thursday)
	pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	w.hurried()
	w.policy("freezes: [{name: closing, from: 2026-01-20, to: 2026-01-31, reason: Closing}]")
	w.until(thursday.Add(10*time.Minute), 10*time.Minute)
	ask := campaign.StartEmergency{Name: "modest", Patches: []patch.ID{w.patchID("openssl", "2")}, Windows: []calendar.Interval{{Start: thursday, End: thursday.Add(20 * time.Hour)}}}
	modest := w.emergency(ask)
	w.approved(modest)
	w.until(thursday.Add(time.Hour), 10*time.Minute)
	if len(pilot.installs) > 0 {
		t.Fatalf("installed at %s, in a freeze that nobody lifted", pilot.installs[0].at)
	}
	w.must(w.srv.Conductor.Close(t.Context(), "main", w.by, campaign.Close{Campaign: string(modest)}))
	ask.Name, ask.ThroughFreeze = "bold", true
	bold := w.emergency(ask)
	w.approve(bold, "security", "admin", 0) // who asked for it
	w.approve(bold, "it", "admin")
	w.until(thursday.Add(2*time.Hour), 10*time.Minute)
	if row := w.campaignRow(bold); row.State != string(campaign.Draft) || len(pilot.installs) > 0 {
		t.Fatalf("with no second person it is %s, and the pilot did %+v", row.State, pilot.installs)
	}
	w.approve(bold, "it", "operations")
	w.until(thursday.Add(3*time.Hour), 10*time.Minute)
	if pilot.packages["openssl"] != "2" {
		t.Errorf("a second person agreed: %v, %s", pilot.packages, w.whyNot(pilot, "openssl", "2"))
	}
}

// What an order of the month has not begun, an emergency takes from it; the
// month goes on afterwards.
func TestAnEmergencyDoesNotWaitBehindTheMonth(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	w.campaign(t, "2026-01")
	release := time.Date(2026, 1, 13, 19, 10, 0, 0, paris)
	w.until(release, 10*time.Minute)
	if len(pilot.orders) != 1 {
		t.Fatalf("%d orders of the month, want one that waits for 20:00", len(pilot.orders))
	}
	w.hurried()
	c := w.emergency(campaign.StartEmergency{Patches: []patch.ID{w.patchID("openssl", "2")}, Windows: []calendar.Interval{{Start: release, End: release.Add(5 * time.Hour)}}})
	w.approved(c)
	w.until(release.Add(20*time.Minute), 5*time.Minute)
	if len(pilot.installs) != 1 || pilot.installs[0].name != "openssl" {
		t.Fatalf("before 20:00 it did %+v, want openssl alone", pilot.installs)
	}
	w.until(release.Add(3*time.Hour), 10*time.Minute)
	if pilot.packages["nginx"] != "2" || pilot.installs[1].at.In(paris).Hour() != 20 {
		t.Errorf("the month's window: %v after %+v", pilot.packages, pilot.installs)
	}
}

func TestAnEmergencyForWhatTheMonthMissed(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	late := w.device("it-2", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	w.hurried()
	month, err := w.srv.Conductor.CreateCampaign(t.Context(), "main", w.by, campaign.Create{Procedure: "test", Month: "2026-01"})
	w.must(err)
	w.until(time.Date(2026, 1, 13, 19, 30, 0, 0, paris), 30*time.Minute)
	late.away = true
	w.until(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), time.Hour)
	late.away, late.offers = false, map[string]string{"openssl": "3", "nginx": "2"}
	if pilot.packages["openssl"] != "2" {
		t.Fatalf("the month: %v", pilot.packages)
	}
	w.scan(late)
	_, err = w.srv.Conductor.StartEmergency(t.Context(), "main", w.by, campaign.StartEmergency{Missed: "2026-02", Reason: "r"})
	if !errors.Is(err, fault.New(fault.NotFound)) {
		t.Errorf("of a campaign that is not there: %v", err)
	}
	c := w.emergency(campaign.StartEmergency{Missed: "2026-01", Windows: []calendar.Interval{{Start: w.now, End: w.now.Add(8 * time.Hour)}}})
	w.must(w.srv.Conductor.Close(t.Context(), "main", w.by, campaign.Close{Campaign: string(month)}))
	w.approved(c)
	w.until(w.now.Add(time.Hour), 10*time.Minute)
	if late.packages["openssl"] != "3" || late.packages["nginx"] != "2" {
		t.Errorf("what was missed, as it is offered now: %v", late.packages)
	}
}

// A vulnerability names its patches, as the feeds and the fleet's versions say.
func TestAnEmergencyForAVulnerability(t *testing.T) {
	w := newWorld(t, thursday)
	pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	w.hurried()
	w.until(thursday.Add(10*time.Minute), 10*time.Minute)
	w.feed(feed.Debian, trackerFile)
	_, err := w.srv.Conductor.StartEmergency(t.Context(), "main", w.by, campaign.StartEmergency{CVE: "CVE-2025-0001", Reason: "r"})
	if !errors.Is(err, fault.New(fault.NothingToDo)) {
		t.Errorf("of what is mended everywhere: %v", err)
	}
	c := w.emergency(campaign.StartEmergency{CVE: "cve-2026-0001", Windows: []calendar.Interval{{Start: thursday, End: thursday.Add(10 * time.Hour)}}})
	w.approved(c)
	w.until(thursday.Add(time.Hour), 10*time.Minute)
	if pilot.packages["openssl"] != "2" || pilot.packages["nginx"] != "1" {
		t.Errorf("openssl mends it, nginx does not: %v", pilot.packages)
	}
}

func TestAnEmergencyInstallsNothingThatIsDeclined(t *testing.T) {
	w := newWorld(t, thursday)
	pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	w.hurried()
	w.until(thursday.Add(10*time.Minute), 10*time.Minute)
	w.must(w.srv.Conductor.Decide(t.Context(), "main", w.by, campaign.Decide{Provider: "apt", Name: "openssl", Verdict: policy.Declined, Reason: "breaks the till"}))
	w.approved(w.emergency(campaign.StartEmergency{
		Patches: []patch.ID{w.patchID("openssl", "2"), w.patchID("nginx", "2")}, Windows: []calendar.Interval{{Start: thursday, End: thursday.Add(10 * time.Hour)}},
	}))
	w.until(thursday.Add(2*time.Hour), 10*time.Minute)
	if pilot.packages["openssl"] != "1" || pilot.packages["nginx"] != "2" {
		t.Errorf("openssl is declined: %v", pilot.packages)
	}
}

func TestEmergenciesRefuseWhatIsNotSaid(t *testing.T) {
	w := newWorld(t, thursday)
	w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	w.campaign(t, "2026-02")
	w.until(thursday.Add(10*time.Minute), 10*time.Minute)
	openssl := []patch.ID{w.patchID("openssl", "2")}
	start := func(ask campaign.StartEmergency) error {
		_, err := w.srv.Conductor.StartEmergency(t.Context(), "main", w.by, ask)
		return err
	}
	refused := func(what string, err error, code fault.Code) {
		t.Helper()
		if !errors.Is(err, fault.New(code)) {
			t.Errorf("%s: %v, want %s", what, err, code)
		}
	}
	refused("a procedure without emergencies", start(campaign.StartEmergency{Procedure: "test", Patches: openssl, Reason: "r"}), fault.NoEmergency)
	refused("no procedure with any", start(campaign.StartEmergency{Patches: openssl, Reason: "r"}), fault.NoEmergency)
	w.hurried()
	refused("no reason", start(campaign.StartEmergency{Patches: openssl}), fault.ReasonRequired)
	refused("no cause", start(campaign.StartEmergency{Reason: "r"}), fault.InvalidField)
	refused("two causes", start(campaign.StartEmergency{Patches: openssl, CVE: "CVE-2026-1", Reason: "r"}), fault.InvalidField)
	refused("an unknown patch", start(campaign.StartEmergency{Patches: []patch.ID{"apt/none"}, Reason: "r"}), fault.NotFound)
	refused("a vulnerability of nobody", start(campaign.StartEmergency{CVE: "CVE-2026-1", Reason: "r"}), fault.NothingToDo)
	c := w.emergency(campaign.StartEmergency{Patches: openssl})
	sign := func(ask campaign.Sign) error {
		ask.Campaign = string(c)
		return w.srv.Conductor.Approve(t.Context(), "main", w.by, ask)
	}
	refused("a role that is not asked for", sign(campaign.Sign{Role: "business", Yes: true}), fault.NoSuchRole)
	refused("a yes without its test", sign(campaign.Sign{Role: "security", Yes: true}), fault.InvalidField)
	w.approved(c)
	refused("a word too late", sign(campaign.Sign{Role: "it", Yes: true}), fault.Conflict)
	c = w.emergency(campaign.StartEmergency{Name: "slow", Patches: openssl, Windows: []calendar.Interval{{Start: thursday, End: thursday.Add(time.Hour)}}})
	w.until(thursday.Add(time.Hour), 10*time.Minute)
	refused("a yes when its windows are over", sign(campaign.Sign{Role: "it", Yes: true}), fault.InvalidField)
	w.must(sign(campaign.Sign{Role: "it", Comment: "too late"}))
}

// The reference is kept as the feeds write it, however it was asked for.
func TestAnEmergencyKeepsItsVulnerabilityAsFeedsWriteIt(t *testing.T) {
	w := newWorld(t, thursday)
	w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	w.hurried()
	w.until(thursday.Add(10*time.Minute), 10*time.Minute)
	w.feed(feed.Debian, trackerFile)
	c := w.emergency(campaign.StartEmergency{CVE: " cve-2026-0001 "})
	row, err := w.srv.DB.Read().Emergency(t.Context(), "main", string(c))
	w.must(err)
	if row.Reference != "CVE-2026-0001" {
		t.Errorf("kept as %q", row.Reference)
	}
}
