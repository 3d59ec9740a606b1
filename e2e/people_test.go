//go:build e2e

package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// screen is the desktop of a person at a host.
type screen struct {
	mu   sync.Mutex // guards the rest
	seen []notified
}

func (c *screen) notices() []notified {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.seen)
}

// said tells when a notice with this text came to the screen, if one did.
func (c *screen) said(text string) (time.Time, bool) {
	for _, n := range c.notices() {
		if strings.Contains(n.Body, text) {
			return time.UnixMicro(n.AtUS), true
		}
	}
	return time.Time{}, false
}

// sit puts somebody at a host: a user, a session of its logind, a session bus
// and a notification service.
func (s *site) sit(host, name string) *screen {
	s.t.Helper()
	_, err := s.fleet.Run(s.t.Context(), host, "useradd", "-m", "-u", "1000", name)
	must(s.t, err)
	self, err := os.Open("/proc/self/exe")
	must(s.t, err)
	defer self.Close()
	const program = "/usr/local/bin/lab-desktop"
	must(s.t, s.fleet.WriteFile(s.t.Context(), host, program, 0o755, self))
	cmd, err := s.fleet.Command(context.WithoutCancel(s.t.Context()), host, program, desktopVerb)
	must(s.t, err)
	in, err := cmd.StdinPipe()
	must(s.t, err)
	out, err := cmd.StdoutPipe()
	must(s.t, err)
	problem, err := os.Create(filepath.Join(s.t.TempDir(), "desktop"))
	must(s.t, err)
	cmd.Stderr = problem
	must(s.t, cmd.Start())
	c := &screen{}
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			var n notified
			if json.Unmarshal(lines.Bytes(), &n) == nil {
				c.mu.Lock()
				c.seen = append(c.seen, n)
				c.mu.Unlock()
			}
		}
	}()
	s.t.Cleanup(func() {
		must(s.t, in.Close())
		<-heard
		if err := cmd.Wait(); err != nil {
			s.t.Errorf("the desktop ended: %v", err)
		}
		if s.t.Failed() {
			text, _ := os.ReadFile(problem.Name())
			s.t.Logf("desktop: %s\n%+v", text, c.notices())
		}
		must(s.t, problem.Close())
	})
	s.await("the desktop is there", time.Minute, func() bool { return len(c.notices()) > 0 })
	return c
}

// A person at a workstation postpones twice, by the agent's own verb; from the
// deadline on a countdown is on the screen, and then it installs.
func TestAWorkstationUserPostponesTwiceThenTheDeadlineInstalls(t *testing.T) {
	s := newSite(t, []string{pilot}, []string{"lab-good"})
	ann := s.sit(pilot, "ann")
	s.policy(`
profiles:
  - name: desks
    devices: device.kind == "workstation"
    windows: [{name: always, days: [mon, tue, wed, thu, fri, sat, sun], start: "00:00", end: "24:00"}]
    people: {postpones: 2, deadline: 2m, notice: 1m, countdown: 1m, title: {fr: DSI, en: "Your IT department"}}
`)
	s.campaign(s.patches("lab-good"), map[string]any{"day": ""})
	for left := range 2 {
		before := len(ann.notices())
		s.await("a question on the screen", time.Minute, func() bool {
			for _, n := range ann.notices()[min(before, len(ann.notices())):] {
				if !n.Gone && slices.Contains(n.Actions, "now") {
					return true
				}
			}
			return left == 0 && len(ann.notices()) > 1
		})
		s.await("the answer is taken", 20*time.Second, func() bool {
			at := time.Now().UTC().Add(15 * time.Second).Format("2006-01-02T15:04:05")
			_, err := s.fleet.Run(t.Context(), pilot, "runuser", "-u", "ann", "--", "/opt/patchring/patchring-agent", "defer", "--until", at)
			return err == nil
		})
		if s.version(pilot, "lab-good") != "1.0" {
			t.Fatal("installed although it was postponed")
		}
	}
	s.await("it installs", 4*time.Minute, func() bool { return s.version(pilot, "lab-good") == "1.1" })
	var events struct {
		Rows []struct {
			Detail struct{ Notice map[string]any }
		}
	}
	var told []string
	s.await("the server has heard it all", time.Minute, func() bool {
		must(t, s.admin.Get(t.Context(), "/devices/"+s.device(pilot)+"/events?limit=200", &events))
		told = nil
		for _, e := range events.Rows {
			if what, ok := e.Detail.Notice["what"].(string); ok {
				told = append(told, what)
			}
		}
		return slices.Contains(told, "deadline")
	})
	count := func(what string) (n int) {
		for _, w := range told {
			if w == what {
				n++
			}
		}
		return n
	}
	if count("postponed") != 2 || count("countdown") == 0 || count("accepted") != 0 {
		t.Errorf("told %v, want two postponements, a countdown and no yes", told)
	}
	at := s.upgraded(pilot, "lab-good")
	warned, ok := ann.said("deadline has passed")
	if !ok {
		t.Fatalf("no countdown on the screen: %+v", ann.notices())
	}
	if at.begun.Sub(warned) < 59*time.Second { // dpkg's log has whole seconds
		t.Errorf("it began at %s, the countdown of a minute was on the screen at %s", at.begun, warned)
	}
	asked := 0
	for _, n := range ann.notices() {
		if n.Title == "Your IT department" && strings.Contains(n.Body, "/p/") {
			asked++
		}
	}
	if asked < 3 {
		t.Errorf("%d notices in the organisation's words with the page's link, want one for each question and the countdown", asked)
	}
	if s.upgrades(pilot, "lab-good", "1.0", "1.1") != 1 {
		t.Error("dpkg did not unpack it exactly once")
	}
	s.verifyRegister()
}
