package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/view"
	"patchring/internal/service/herald/heraldtest"
	"patchring/internal/service/personal"
	"patchring/wire"
)

// looked lets the evidence be looked at, and the conductor act on it.
func (w *world) looked() {
	w.t.Helper()
	w.must(w.srv.Evidence.Step(w.t.Context()))
	w.settle()
}

// held is the only hold of a campaign, with its reason.
func (w *world) held(c campaign.ID) (gen.Hold, fault.Reason) {
	w.t.Helper()
	list := w.holdsOf(c)
	if len(list) != 1 {
		w.t.Fatalf("held %+v, want one hold", list)
	}
	reason, ok := fault.ParseReason(list[0].Reason)
	if !ok || list[0].Actor != "system:conductor" {
		w.t.Fatalf("held by %s for %s", list[0].Actor, list[0].Reason)
	}
	return list[0], reason
}

func (w *world) notHeld(c campaign.ID, when string) {
	w.t.Helper()
	if list := w.holdsOf(c); len(list) != 0 {
		w.t.Fatalf("%s: held %+v", when, list)
	}
}

// pilots are so many devices of the first ring.
func (w *world) pilots(n int) (list []*fakeDevice) {
	for i := range n {
		list = append(list, w.device(fmt.Sprintf("it-%d", i+1), fleet.Workstation, "it-pilots", versions("1"), versions("2")))
	}
	return list
}

// The second user who says that one patch broke something holds it; nobody has
// to look at anything in between, and the devices are told.
func TestTwoComplaintsHoldTheirPatch(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		pilots := w.pilots(3)
		late := w.device("it-9", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
		late.away = true
		c := w.campaign(t, "2026-01")
		w.until(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), time.Hour)
		nginx := w.patchID("nginx", "2")
		w.complains(pilots[0], c, nginx, "it is slow")
		w.settle()
		w.complains(pilots[0], c, nginx, "it is still slow")
		w.complains(pilots[1], c, w.patchID("openssl", "2"), "another thing")
		w.settle()
		w.notHeld(c, "one user of each patch")
		w.complains(pilots[1], c, nginx, "here too")
		w.settle()
		hold, why := w.held(c)
		if why.Code != fault.BreakerComplaints || hold.Item != string(nginx) || hold.Ring != "R0" || why.Args["have"] != "2" || why.Args["role"] != "it" {
			t.Errorf("held %+v for %s", hold, why)
		}
		if got := pilots[2].holds.Holds; len(got) != 1 || got[0].Item != string(nginx) {
			t.Errorf("a device was told %+v", got)
		}
		late.away = false
		w.until(time.Date(2026, 1, 14, 21, 0, 0, 0, paris), time.Hour)
		if late.packages["openssl"] != "2" || late.packages["nginx"] != "1" {
			t.Errorf("after the hold a device got %v, want what was not complained of", late.packages)
		}
		// Lifted by somebody who has read why, it is not placed again for a third.
		w.ask(func() error {
			_, err := w.srv.Conductor.Resume(t.Context(), "main", w.by, campaign.Resume{Campaign: string(c), Hold: hold.ID, Reason: "the proxy was it"})
			return err
		})
		w.complains(pilots[2], c, nginx, "and here")
		w.settle()
		w.notHeld(c, "after it was lifted")
		w.verifyRegister()
	})
}

// Users who take their word back are no complaints.
func TestComplaintsTakenBackHoldNothing(t *testing.T) {
	w := newWorld(t, monday)
	pilots := w.pilots(2)
	c := w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), time.Hour)
	nginx := w.patchID("nginx", "2")
	w.complains(pilots[0], c, nginx, "it is slow")
	w.says(pilots[0], personal.Feedback{Campaign: string(c), Patch: nginx, Says: personal.Works})
	w.complains(pilots[1], c, nginx, "here it is slow")
	w.settle()
	w.notHeld(c, "one of two took it back")
}

// A gate that waits for a complaint passes as soon as somebody has dealt with it.
func TestAComplaintDealtWithLetsItsGatePass(t *testing.T) {
	w := newWorld(t, monday)
	pilots := w.pilots(2)
	c := w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), time.Hour)
	w.complains(pilots[0], c, w.patchID("nginx", "2"), "it is slow")
	w.sign(c, "R0", "it", 1)
	w.settle()
	if got := w.reasons(c, "R0"); len(got) != 1 || got[0] != fault.GateComplaints {
		t.Fatalf("R0 waits for %v", got)
	}
	said, err := w.srv.View.Feedback(t.Context(), "main", view.FeedbackQuery{Campaign: string(c)})
	w.must(err)
	w.must(w.srv.Personal.Close(t.Context(), "main", w.by, said.Rows[0].ID, "a slow disk"))
	w.settle()
	if r := w.ring(c, 0, "R0"); !campaign.RingState(r.State).Passed() {
		t.Errorf("R0 is %s for %s", r.State, r.Reasons)
	}
}

// The same patch on every device that failed is held; the others go on.
func TestFailuresOfOnePatchHoldIt(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		pilots := w.pilots(3)
		for _, d := range pilots[:2] {
			d.breaks["nginx2"] = true
		}
		c := w.campaign(t, "2026-01")
		w.until(time.Date(2026, 1, 13, 21, 0, 0, 0, paris), time.Hour)
		w.looked()
		hold, why := w.held(c)
		if why.Code != fault.BreakerFailures || hold.Item != string(w.patchID("nginx", "2")) || why.Args["have"] != "2" || why.Args["of"] != "3" {
			t.Errorf("held %+v for %s", hold, why)
		}
		if got := pilots[0].holds.Holds; len(got) != 1 || got[0].Item == "" {
			t.Errorf("a device was told %+v", got)
		}
	})
}

// Failures that no one patch explains hold the ring.
func TestFailuresOfSeveralPatchesHoldTheRing(t *testing.T) {
	w := newWorld(t, monday)
	pilots := w.pilots(3)
	pilots[0].breaks["nginx2"], pilots[1].breaks["openssl2"] = true, true
	c := w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 21, 0, 0, 0, paris), time.Hour)
	w.looked()
	if hold, why := w.held(c); why.Code != fault.BreakerFailures || hold.Item != "" || hold.Ring != "R0" || why.Args["have"] != "2" {
		t.Errorf("held %+v for %s", hold, why)
	}
}

// One failure here and two there: no campaign has enough of its own, and the
// patch is held in each.
func TestAPatchThatFailsInSeveralCampaignsIsHeldInEach(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		pcs := w.pilots(12)
		servers := []*fakeDevice{}
		for i := range 12 {
			servers = append(servers, w.device(fmt.Sprintf("srv-%d", i+1), fleet.Server, "it-pilots", versions("1"), versions("2")))
		}
		pcs[0].breaks["nginx2"], pcs[1].breaks["nginx2"], servers[0].breaks["nginx2"] = true, true, true
		text := strings.Replace(procedureText, "max_failed: 0", "max_failed: 3", 1)
		one := w.campaignBy(t, strings.Replace(text, "[workstation, server]", "[workstation]", 1), "2026-01")
		text = strings.Replace(strings.Replace(text, "procedure: test", "procedure: servers", 1), "[workstation, server]", "[server]", 1)
		w.ask(func() error {
			_, err := w.srv.Conductor.ApplyProcedure(t.Context(), "main", w.by, "servers.yaml", []byte(text))
			return err
		})
		w.ask(func() error {
			_, err := w.srv.Conductor.CreateCampaign(t.Context(), "main", w.by, campaign.Create{Procedure: "servers", Month: "2026-01", Name: "servers"})
			return err
		})
		row, err := w.srv.DB.Read().CampaignByName(t.Context(), "main", "servers")
		w.must(err)
		w.until(time.Date(2026, 1, 13, 21, 0, 0, 0, paris), time.Hour)
		w.looked()
		for _, c := range []campaign.ID{one, campaign.ID(row.ID)} {
			hold, why := w.held(c)
			if why.Code != fault.BreakerElsewhere || hold.Item != string(w.patchID("nginx", "2")) || why.Args["have"] != "3" || why.Args["campaigns"] != "2" {
				t.Errorf("held %+v for %s", hold, why)
			}
		}
		if got := servers[5].holds.Holds; !slices.ContainsFunc(got, func(h wire.Hold) bool { return h.Item != "" }) {
			t.Errorf("a server was told %+v", got)
		}
	})
}

// A pilot that restarts for its install and is not heard of for half an hour
// holds its ring, whether the install's own order restarted it or one of the
// device's; and whoever is to act is told, and told when it is back.
func TestADeviceThatDoesNotComeBackFromItsRestartHoldsItsRing(t *testing.T) {
	for name, later := range map[string]bool{"the install's own restart": false, "a restart ordered later": true} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) { lostAtItsRestart(t, w, later) })
		})
	}
}

func lostAtItsRestart(t *testing.T, w *world, later bool) {
	smtp := heraldtest.Start(t, heraldtest.Plain, "")
	w.rules(smtp, "  - {name: lost, title: {fr: Perdu, en: Lost}, event: unreachable_after_reboot, for: 15m, severity: critical, who: it, outputs: [ops]}\n")
	pilots := w.pilots(2)
	c := w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 19, 0, 0, 0, paris), time.Hour)
	if pilots[0].lost = !later; later {
		w.until(time.Date(2026, 1, 13, 20, 0, 0, 0, paris), 10*time.Minute)
		pilots[0].signal, pilots[0].lost = "kernel_newer", true
	}
	for !pilots[0].away {
		if w.now.After(time.Date(2026, 1, 13, 23, 0, 0, 0, paris)) {
			t.Fatal("it never restarts")
		}
		w.until(w.now.Add(time.Minute), time.Minute)
	}
	gone := w.now
	minutes := func(n int) {
		for w.now.Before(gone.Add(time.Duration(n) * time.Minute)) {
			w.now = w.now.Add(time.Minute)
			w.settle()
			w.looked()
			w.watched()
		}
	}
	minutes(14)
	expectMails(t, smtp, "ops@example.org")
	minutes(18)
	expectMails(t, smtp, "ops@example.org", "CRITIQUE : Perdu — it-1")
	w.notHeld(c, "before its half hour is over")
	minutes(32)
	hold, why := w.held(c)
	if why.Code != fault.BreakerUnreachable || hold.Ring != "R0" || hold.Item != "" || why.Args["have"] != "1" || why.Args["devices"] != "it-1" {
		t.Errorf("held %+v for %s", hold, why)
	}
	if got := pilots[1].holds.Holds; len(got) != 1 || got[0].Ring != "R0" {
		t.Errorf("the other device was told %+v", got)
	}
	w.back(pilots[0])
	minutes(40)
	expectMails(t, smtp, "ops@example.org", "CRITIQUE : Perdu — it-1", "Résolue : Perdu — it-1")
	w.looked()
	e, err := w.srv.View.Evidence(t.Context(), "main", string(c))
	w.must(err)
	if got := e.Rings[0].Seen.Unreachable; len(got) != 0 {
		t.Errorf("it is back, and %v count as lost", got)
	}
	w.verifyRegister()
}
