//go:build e2e

package e2e_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const policyHead = "policy: fleet\ntitle: {fr: Parc, en: Fleet}\nowner: it\ntimezone: UTC\n"

func (s *site) policy(text string) {
	s.t.Helper()
	must(s.t, s.admin.Post(s.t.Context(), "/policies", map[string]any{"file": "fleet.yaml", "text": policyHead + text}, nil))
}

// span is when a host was at work on a package.
type span struct {
	host       string
	begun, end time.Time
}

// upgraded reads from dpkg's own log when a host upgraded a package; the zero
// span when it did not.
func (s *site) upgraded(host, name string) span {
	s.t.Helper()
	out, err := s.fleet.Run(s.t.Context(), host, "cat", "/var/log/dpkg.log")
	must(s.t, err)
	at := span{host: host}
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.Contains(line, " "+name+":all ") {
			continue
		}
		when, err := time.ParseInLocation("2006-01-02 15:04:05", fields[0]+" "+fields[1], time.UTC)
		must(s.t, err)
		switch {
		case fields[2] == "upgrade":
			at.begun = when
		case strings.Contains(line, "status installed") && strings.HasSuffix(strings.TrimSpace(line), " 1.1"):
			at.end = when
		}
	}
	return at
}

// Three servers that must not be down together install one after the other,
// whatever order they come in.
func TestAGroupOfThreeIsNeverTwoDown(t *testing.T) {
	hosts := []string{"SRV-TEST-01", "SRV-TEST-02", "SRV-TEST-03"}
	s := newSite(t, hosts, []string{"lab-slow"})
	s.policy(`limits: [{name: cluster, devices: device.kind == "server", at_most: 1}]`)
	c := s.campaign(s.patches("lab-slow"), nil)
	s.expedite(c, "R0")
	s.await("all three are done", 6*time.Minute, func() bool { return s.ring(c, "R0").Numbers.Done == 3 })
	var spans []span
	for _, h := range hosts {
		at := s.upgraded(h, "lab-slow")
		if at.begun.IsZero() || at.end.IsZero() {
			t.Fatalf("%s did not upgrade: %+v", h, at)
		}
		spans = append(spans, at)
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.begun.UnixNano(), b.begun.UnixNano()) })
	for i := 1; i < len(spans); i++ {
		if spans[i].begun.Before(spans[i-1].end) {
			t.Errorf("%s began at %s, while %s was down until %s", spans[i].host, spans[i].begun, spans[i-1].host, spans[i-1].end)
		}
	}
	s.verifyRegister()
}

// The workstation installs at once, the server when its own window opens.
func TestAServerWaitsForItsWindow(t *testing.T) {
	s := newSite(t, []string{pilot, "SRV-TEST-01"}, []string{"lab-good"})
	opens := time.Now().UTC().Truncate(time.Minute).Add(3 * time.Minute)
	closes := opens.Add(20 * time.Minute)
	days := "[mon, tue, wed, thu, fri, sat, sun]"
	s.policy(fmt.Sprintf(`
profiles:
  - name: servers
    devices: device.kind == "server"
    windows: [{name: tonight, days: %s, start: "%s", end: "%s"}]
  - name: desks
    devices: device.kind == "workstation"
    windows: [{name: always, days: %s, start: "00:00", end: "24:00"}]
`, days, opens.Format("15:04"), closes.Format("15:04"), days))
	c := s.campaign(s.patches("lab-good"), map[string]any{"day": ""})
	s.await("the workstation installs", 2*time.Minute, func() bool { return s.version(pilot, "lab-good") == "1.1" })
	if now := time.Now(); now.Before(opens) && s.version("SRV-TEST-01", "lab-good") != "1.0" {
		t.Errorf("the server installed %s before its window", opens.Sub(now))
	}
	s.await("both are done", 6*time.Minute, func() bool { return s.ring(c, "R0").Numbers.Done == 2 })
	if at := s.upgraded("SRV-TEST-01", "lab-good"); at.begun.Before(opens) || at.end.After(closes) {
		t.Errorf("the server installed from %s to %s, its window is %s to %s", at.begun, at.end, opens, closes)
	}
	if at := s.upgraded(pilot, "lab-good"); !at.end.Before(opens) {
		t.Errorf("the workstation installed at %s, when the server's window had opened at %s", at.end, opens)
	}
}
