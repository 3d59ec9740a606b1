//go:build e2e

package e2e_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"patchring/lab/demo"
)

const (
	pilot = "IT-PC-01"
	user  = "FIN-PC-01"
	other = "RH-PC-01"
)

// A whole campaign with everything that goes wrong in one: a postinst that
// fails, an install that would remove a package, a version that vanishes
// between two rings; then everything is rolled back.
func TestCampaignOfTroubles(t *testing.T) {
	packages := []string{"lab-good", "lab-broken", "lab-conflict", "lab-victim", "lab-vanish"}
	s := newSite(t, []string{pilot, user, other}, packages)
	broken, conflict, vanish := s.patch("lab-broken", "1.1"), s.patch("lab-conflict", "1.1"), s.patch("lab-vanish", "1.1")
	c := s.campaign(s.patches("lab-good", "lab-broken", "lab-conflict", "lab-vanish"), nil)

	s.expedite(c, "R0")
	gate := s.awaitRing(c, "R0", "gate", 3*time.Minute)
	if gate.Verdict != "hold" || gate.Numbers.Failed != 1 {
		t.Errorf("R0: %s %+v, want a hold with one failed", gate.Verdict, gate.Numbers)
	}
	s.wantVersions(pilot, map[string]string{"lab-good": "1.1", "lab-vanish": "1.1", "lab-broken": "1.0", "lab-conflict": "1.0", "lab-victim": "1.0"})
	if audit, err := s.fleet.Run(t.Context(), pilot, "dpkg", "--audit"); err != nil || audit != "" {
		t.Errorf("dpkg --audit after the failure: %q %v, want nothing", audit, err)
	}
	for patch, code := range map[string]string{broken: "package_failed", conflict: "would_remove"} {
		if why := s.why(pilot, patch); !strings.Contains(why, code) {
			t.Errorf("why does not say %s: %s", code, why)
		}
	}
	s.wantVersions(user, map[string]string{"lab-good": "1.0", "lab-broken": "1.0"})

	s.withdraw(c, broken, "its postinst fails")
	s.withdraw(c, conflict, "it would remove lab-victim")
	must(t, s.fleet.Repo().Supersede(t.Context(), "lab-vanish", "1.1", "1.2"))
	must(t, s.fleet.Repo().Publish(t.Context()))
	must(t, s.it.Act(t.Context(), c, "sign", map[string]any{"ring": "R0", "role": "it", "yes": true}, nil))
	s.awaitRing(c, "R0", "done", time.Minute)

	s.expedite(c, "R1")
	gate = s.awaitRing(c, "R1", "gate", 3*time.Minute)
	if gate.Verdict != "hold" || gate.Numbers.Failed != 1 {
		t.Errorf("R1: %s %+v, want a hold with one failed", gate.Verdict, gate.Numbers)
	}
	s.wantVersions(user, map[string]string{"lab-good": "1.1", "lab-vanish": "1.0", "lab-broken": "1.0"})
	if why := s.why(user, vanish); !strings.Contains(why, "version_gone") || !strings.Contains(why, "1.2") {
		t.Errorf("why does not say that 1.1 is gone and 1.2 stands in its place: %s", why)
	}
	s.withdraw(c, vanish, "superseded; it comes back as an amendment")
	s.awaitRing(c, "R1", "done", time.Minute)

	s.expedite(c, "GLOBAL")
	s.awaitRing(c, "GLOBAL", "done", 3*time.Minute)
	s.wantVersions(other, map[string]string{"lab-good": "1.1", "lab-vanish": "1.0", "lab-broken": "1.0", "lab-victim": "1.0"})

	must(t, s.admin.Act(t.Context(), c, "rollback", map[string]any{"reason": "the test undoes everything", "now": "30m"}, nil))
	s.await("every version is back", 3*time.Minute, func() bool {
		return s.version(pilot, "lab-good") == "1.0" && s.version(pilot, "lab-vanish") == "1.0" &&
			s.version(user, "lab-good") == "1.0" && s.version(other, "lab-good") == "1.0"
	})
	for _, ring := range []string{"R0", "R1", "GLOBAL"} {
		s.awaitNumbers(c+"-rollback", ring, demo.Numbers{Done: 1})
		s.awaitNumbers(c, ring, demo.Numbers{Exempt: 1})
	}
	s.verifyRegister()
}

// The first ring installs, undoes and installs again, on a real host, before its
// gate lets anyone else have the patch.
func TestRollbackIsRehearsed(t *testing.T) {
	s := newSite(t, []string{pilot}, []string{"lab-good"})
	text := strings.NewReplacer("procedure: e2e\n", "procedure: e2e-rehearsed\n", "rollback: {on_severity: critical}", "rollback: {on_severity: critical, rehearse: true}").Replace(procedureText)
	must(t, s.admin.ApplyProcedure(t.Context(), "rehearsed.yaml", []byte(text)))
	c := s.campaign(s.patches("lab-good"), map[string]any{"procedure": "e2e-rehearsed"})
	s.expedite(c, "R0")
	s.await("the rehearsal is over", 4*time.Minute, func() bool {
		var raw []byte
		return s.admin.Get(t.Context(), "/campaigns/"+url.PathEscape(c), &raw) == nil && strings.Contains(string(raw), `"rollback":"rehearsed"`)
	})
	s.wantVersions(pilot, map[string]string{"lab-good": "1.1"})
	if n := s.upgrades(pilot, "lab-good", "1.0", "1.1"); n != 2 {
		t.Errorf("dpkg upgraded lab-good %d times, want it installed and installed again", n)
	}
	must(t, s.it.Act(t.Context(), c, "sign", map[string]any{"ring": "R0", "role": "it", "yes": true}, nil))
	s.awaitRing(c, "R0", "done", time.Minute)
	s.verifyRegister()
}

// A host that loses the network in the middle of an install finishes alone and
// reports after; one that was away acts in its window and not when it appears.
func TestCutOffAndAway(t *testing.T) {
	s := newSite(t, []string{pilot, "IT-PC-02"}, []string{"lab-slow"})
	away := "IT-PC-02"
	must(t, s.fleet.PowerCut(t.Context(), away))
	start := time.Now()
	second := start.Add(100 * time.Second)
	c := s.campaign(s.patches("lab-slow"), map[string]any{"windows": []map[string]any{
		{"start": start, "end": start.Add(70 * time.Second)},
		{"start": second, "end": second.Add(10 * time.Minute)},
	}})
	s.expedite(c, "R0")
	s.await("the postinst of lab-slow runs", 65*time.Second, func() bool {
		res, err := s.fleet.Exec(t.Context(), pilot, nil, "pgrep", "-f", "lab-slow.postinst")
		return err == nil && res.Code == 0
	})
	must(t, s.fleet.Cut(t.Context(), pilot))
	s.await("the install ends alone", time.Minute, func() bool { return s.version(pilot, "lab-slow") == "1.1" })
	if n := s.ring(c, "R0").Numbers; n.Done != 0 {
		t.Errorf("the server believes %+v of a host it cannot hear", n)
	}
	must(t, s.fleet.Heal(t.Context(), pilot))
	s.await("the host has reported", time.Minute, func() bool { return s.ring(c, "R0").Numbers.Done == 1 })
	if n := s.upgrades(pilot, "lab-slow", "1.0", "1.1"); n != 1 {
		t.Errorf("dpkg upgraded lab-slow %d times, want once", n)
	}

	s.await("the first window is over", 2*time.Minute, func() bool { return time.Now().After(start.Add(71 * time.Second)) })
	must(t, s.fleet.PowerOn(t.Context(), away))
	s.await("the host that was away checks in", time.Minute, func() bool {
		out, err := s.fleet.Run(t.Context(), away, "/opt/patchring/patchring-agent", "status", "--json")
		return err == nil && strings.Contains(out, `"connected":true`)
	})
	if time.Now().Before(second) && s.version(away, "lab-slow") != "1.0" {
		t.Errorf("installed when it came back, outside its window")
	}
	s.await("it catches up", 3*time.Minute, func() bool { return s.version(away, "lab-slow") == "1.1" })
	if now := time.Now(); now.Before(second) {
		t.Errorf("installed %s before its window", second.Sub(now))
	}
	s.await("both are done", time.Minute, func() bool { return s.ring(c, "R0").Numbers.Done == 2 })
}

// The agent is killed again and again from its first step to its last.
func TestKilledAgentLosesNothingAndDoesNothingTwice(t *testing.T) {
	s := newSite(t, []string{pilot}, []string{"lab-slow", "lab-good", "lab-reboot"})
	c := s.campaign(s.patches("lab-slow", "lab-good", "lab-reboot"), nil)
	s.expedite(c, "R0")
	kills := 0
	s.await("the order is over", 5*time.Minute, func() bool {
		if s.ring(c, "R0").Numbers.Done == 1 {
			return true
		}
		if kills < 25 {
			res, err := s.fleet.Exec(t.Context(), pilot, nil, "pkill", "-KILL", "-x", "patchring-agent")
			if err == nil && res.Code == 0 {
				kills++
			}
		}
		return false
	})
	if kills < 10 {
		t.Errorf("the agent was killed only %d times: the test tests little", kills)
	}
	s.wantVersions(pilot, map[string]string{"lab-slow": "1.1", "lab-good": "1.1", "lab-reboot": "1.1"})
	for _, name := range []string{"lab-slow", "lab-good", "lab-reboot"} {
		if n := s.upgrades(pilot, name, "1.0", "1.1"); n != 1 {
			t.Errorf("dpkg upgraded %s %d times, want once", name, n)
		}
	}
	s.verifyRegister()
}

// The server is killed again and again while it conducts.
func TestKilledServerLosesNothing(t *testing.T) {
	s := newSite(t, []string{pilot, user}, []string{"lab-good", "lab-slow"})
	c := s.campaign(s.patches("lab-good", "lab-slow"), nil)
	s.expedite(c, "R0")
	for range 6 {
		must(t, s.server.Kill())
		must(t, s.server.Start(t.Context()))
	}
	s.awaitRing(c, "R0", "gate", 3*time.Minute)
	must(t, s.it.Act(t.Context(), c, "sign", map[string]any{"ring": "R0", "role": "it", "yes": true}, nil))
	s.expedite(c, "R1")
	for range 6 {
		must(t, s.server.Kill())
		must(t, s.server.Start(t.Context()))
	}
	s.awaitRing(c, "R1", "done", 3*time.Minute)
	for _, host := range []string{pilot, user} {
		for _, name := range []string{"lab-good", "lab-slow"} {
			if n := s.upgrades(host, name, "1.0", "1.1"); n != 1 {
				t.Errorf("%s upgraded %s %d times, want once", host, name, n)
			}
		}
	}
	s.verifyRegister()
}
