//go:build e2e

package e2e_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"patchring/internal/service/herald/heraldtest"
	"patchring/lab/demo"
)

// evidenceProcedure is a procedure of a department that trusts what devices
// measure: nobody signs, and windows are open all day, so that what an incident
// takes back goes back at once.
const evidenceProcedure = `
procedure: e2e-evidence
title: {fr: "Correctifs du mois", en: "Patches of the month"}
owner: it
timezone: Europe/Paris
anchor: patch-tuesday
perimeter: {kinds: [workstation, server]}
rings:
  - name: R0
    title: {fr: "Pilotes", en: "Pilots"}
    members: {groups: [it-pilots]}
    opens: {day: 1}
    closes: {day: 29}
    soak: 1h
    gate:
      evidence: {min_devices: 1, min_done_percent: 100, max_failed: 0, max_unreachable_percent: 0, max_not_reached_percent: 0}
  - name: R1
    title: {fr: "Utilisateurs pilotes", en: "Pilot users"}
    members: {groups: [pilot-users]}
    opens: {day: 30}
    closes: {day: 59}
    soak: 1h
    gate:
      evidence: {min_devices: 1, min_done_percent: 100, max_failed: 0, max_unreachable_percent: 0, max_not_reached_percent: 0}
  - name: GLOBAL
    title: {fr: "Tous", en: "Everyone"}
    members: {rest: true}
    opens: {day: 60}
    soak: 1h
    gate:
      evidence: {min_devices: 1, min_done_percent: 100, max_failed: 0, max_unreachable_percent: 0, max_not_reached_percent: 0}
windows:
  - {name: always, for: {all: true}, days: [mon, tue, wed, thu, fri, sat, sun], start: "00:00", end: "24:00"}
reboot: if_needed
attempts: 1
retry_after: 4h
unreachable_after: 72h
rollback: {on_severity: critical}
breaker: {acts: it}
verification: {days_after_last_ring_opens: 2}
`

const evidencePolicy = `
sample_every: 30s
probes:
  - {name: dead, devices: device.kind == "server", service: lab-dead.service, every: 10s}
`

// The threshold is far above what a host at rest takes, and below what the
// burning one gets of a machine that has much else to do.
const evidenceAlerts = `
alerts: site
title: {fr: Alertes du parc, en: Alerts of the fleet}
language: fr
outputs:
  - name: ops
    mail: {server: '%s', tls: starttls, username: patchring, password: 'env:PATCHRING_SECRET_SMTP', from: patchring@example.org, to: [ops@example.org]}
rules:
  - name: breaker
    title: {fr: Coupe-circuit, en: Circuit breaker}
    event: breaker_tripped
    severity: critical
    who: responsable-deploiement
    outputs: [ops]
  - name: burning
    title: {fr: Processeur saturé depuis le correctif, en: Processor saturated since the patch}
    measure: cpu_percent
    above: 6
    clear: 5
    for: 1m
    scope: {during: campaign}
    then: hold
    severity: critical
    who: equipe-poste
    outputs: [ops]
`

// A patch whose service dies, and one that burns the processor, in one real
// campaign: the package manager says yes to both. What devices measure stops
// each in the first ring it reaches, a mail says who must act, it goes back, the
// others go on, and the dossier tells all of it.
func TestEvidenceStopsWhatThePackageManagerCallsASuccess(t *testing.T) {
	const (
		server  = "SRV-TEST-01" // R0
		late    = "IT-PC-01"    // R0, off when its ring opens
		burning = "FIN-PC-01"   // R1
		next    = "COM-PC-01"   // R1, off when its ring opens
		rest    = "RH-PC-01"    // GLOBAL
	)
	trustMail(t)
	s := newSite(t, []string{server, late, burning, next, rest}, []string{"lab-dead", "lab-burn", "lab-good"}, func(s *site) {
		for _, host := range []string{server, late} { // the pilots do not have the program that the users have
			_, err := s.fleet.Run(t.Context(), host, "apt-get", "purge", "-y", "-q", "lab-burn")
			must(t, err)
		}
	})
	smtp := s.mail()
	must(t, s.admin.ApplyProcedure(t.Context(), "evidence.yaml", []byte(evidenceProcedure)))
	s.policy(evidencePolicy)
	must(t, s.admin.Post(t.Context(), "/alert-rules", map[string]any{"file": "alerts.yaml", "text": fmt.Sprintf(evidenceAlerts, smtp.Addr)}, nil))
	dead, burn := s.patch("lab-dead", "1.1"), s.patch("lab-burn", "1.1")
	must(t, s.fleet.PowerCut(t.Context(), late))
	must(t, s.fleet.PowerCut(t.Context(), next))
	c := s.campaign(s.patches("lab-dead", "lab-burn", "lab-good"), map[string]any{"procedure": "e2e-evidence", "day": "20s"})

	s.aServiceThatDies(smtp, c, dead, server, late)
	s.aProcessorThatBurns(smtp, c, burn, burning, next)

	s.expedite(c, "GLOBAL")
	s.awaitRing(c, "GLOBAL", "done", 2*time.Minute)
	s.wantVersions(rest, map[string]string{"lab-good": "1.1", "lab-dead": "1.0", "lab-burn": "1.0"})
	s.dossierTells(c)
	s.verifyRegister()
}

// aServiceThatDies is the first story: the breaker holds what stops a service.
func (s *site) aServiceThatDies(smtp *heraldtest.SMTP, c, patch, host, late string) {
	t := s.t
	t.Helper()
	s.await("the service runs before", time.Minute, func() bool { return s.active(host, "lab-dead") })
	s.expedite(c, "R0")
	s.await("the patch is on", 2*time.Minute, func() bool { return s.version(host, "lab-dead") == "1.1" })
	begun := time.Now()
	hold := s.awaitHold(c, 3*time.Minute, func(h hold) bool { return h.Actor == "system:conductor" })
	t.Logf("held %s after the patch was on, ring %q: %s", time.Since(begun).Round(time.Second), hold.Ring, hold.Reason)
	s.awaitMail(smtp, "ops@example.org", time.Minute, "Coupe-circuit", "responsable-deploiement", c)

	s.comesBack(late)
	s.await("the late one says that it is held", time.Minute, func() bool {
		why := s.why(late, patch)
		return strings.Contains(why, "ring_held") || strings.Contains(why, "item_held")
	})
	s.wantVersions(late, map[string]string{"lab-dead": "1.0"})

	var opened struct{ ID, Response string }
	must(t, s.admin.Post(t.Context(), "/incidents", map[string]any{
		"severity": "critical", "campaign": c, "ring": "R0", "patch": patch, "title": "lab-dead ne démarre plus", "what": "le service s'arrête dès sa mise à jour",
	}, &opened))
	if opened.Response != "rollback" {
		t.Errorf("the campaign answers %q to the incident, want a rollback", opened.Response)
	}
	s.await("the version is back and the service runs", 3*time.Minute, func() bool { return s.version(host, "lab-dead") == "1.0" && s.active(host, "lab-dead") })
	s.await("the probe says so", 2*time.Minute, func() bool { return len(s.probesDown()) == 0 })

	s.withdraw(c, patch, "le service ne démarre plus ; attendre la 1.2")
	must(t, s.admin.Post(t.Context(), "/incidents/"+opened.ID+"/close", map[string]any{"cause": "table absente", "correction": "retour en 1.0, correctif retiré"}, nil))
	must(t, s.admin.Act(t.Context(), c, "resume", map[string]any{"reason": "le correctif est retiré"}, nil))
	s.awaitRing(c, "R0", "done", 2*time.Minute)
	s.wantVersions(late, map[string]string{"lab-dead": "1.0", "lab-good": "1.1"})
}

// aProcessorThatBurns is the second: a rule over a measure holds the ring.
func (s *site) aProcessorThatBurns(smtp *heraldtest.SMTP, c, patch, host, next string) {
	t := s.t
	t.Helper()
	s.expedite(c, "R1")
	s.await("the patch is on", 2*time.Minute, func() bool { return s.version(host, "lab-burn") == "1.1" })
	begun := time.Now()
	hold := s.awaitHold(c, 4*time.Minute, func(h hold) bool { return h.Actor == "system:alert" && h.Ring == "R1" })
	t.Logf("held %s after the patch was on: %s", time.Since(begun).Round(time.Second), hold.Reason)
	if !strings.Contains(hold.Reason, "burning") || !strings.Contains(hold.Reason, host) {
		t.Errorf("the hold is %+v", hold)
	}
	s.awaitMail(smtp, "ops@example.org", time.Minute, "Processeur saturé depuis le correctif", host, "R1", "equipe-poste")

	s.comesBack(next)
	s.await("the next one says that it is held", time.Minute, func() bool { return strings.Contains(s.why(next, patch), "ring_held") })
	s.wantVersions(next, map[string]string{"lab-burn": "1.0"})

	must(t, s.admin.Act(t.Context(), c, "rollback", map[string]any{"patch": patch, "ring": "R1", "reason": "il occupe tout le processeur", "now": "30m"}, nil))
	s.await("the version is back", 2*time.Minute, func() bool { return s.version(host, "lab-burn") == "1.0" })
	s.awaitMail(smtp, "ops@example.org", 2*time.Minute, "Résolue", "Processeur saturé depuis le correctif", host)
	s.withdraw(c, patch, "il occupe tout le processeur")
	must(t, s.admin.Act(t.Context(), c, "resume", map[string]any{"reason": "le correctif est retiré"}, nil))
	s.awaitRing(c, "R1", "done", 2*time.Minute)
	s.wantVersions(next, map[string]string{"lab-burn": "1.0", "lab-good": "1.1"})
}

// Nobody has thought of a probe: what a device names in its samples is enough,
// once the service has had the time to settle.
func TestAServiceThatStopsIsHeldByItsName(t *testing.T) {
	const host, rest = "SRV-TEST-01", "RH-PC-01"
	trustMail(t)
	s := newSite(t, []string{host, rest}, []string{"lab-dead"})
	smtp := s.mail()
	must(t, s.admin.ApplyProcedure(t.Context(), "evidence.yaml", []byte(evidenceProcedure)))
	s.policy("sample_every: 30s\n")
	must(t, s.admin.Post(t.Context(), "/alert-rules", map[string]any{"file": "alerts.yaml", "text": fmt.Sprintf(evidenceAlerts, smtp.Addr)}, nil))
	s.await("the service has been seen running", 2*time.Minute, func() bool {
		return s.active(host, "lab-dead") && s.sampled(host, "services_down") == 0
	})
	c := s.campaign(s.patches("lab-dead"), map[string]any{"procedure": "e2e-evidence", "day": "30s"})
	s.await("the patch is on", 2*time.Minute, func() bool { return s.version(host, "lab-dead") == "1.1" })
	begun := time.Now()
	hold := s.awaitHold(c, 9*time.Minute, func(h hold) bool { return strings.HasPrefix(h.Reason, "breaker_service ") })
	t.Logf("held %s after the patch was on: %+v", time.Since(begun).Round(time.Second), hold)
	if !strings.Contains(hold.Reason, "lab-dead.service") || !strings.Contains(hold.Reason, host) || hold.Patch == nil || hold.Patch.Name != "lab-dead" {
		t.Errorf("the hold does not name the service, the host and the patch: %+v", hold)
	}
	s.awaitMail(smtp, "ops@example.org", time.Minute, "Coupe-circuit", "lab-dead.service", "responsable-deploiement")
	must(t, s.admin.Act(t.Context(), c, "rollback", map[string]any{"reason": "le service ne démarre plus", "now": "30m"}, nil))
	s.await("the service runs again", 3*time.Minute, func() bool { return s.version(host, "lab-dead") == "1.0" && s.active(host, "lab-dead") })
	s.wantVersions(rest, map[string]string{"lab-dead": "1.0"})
	s.verifyRegister()
}

// sampled is the last value of a measure that the server has of a host; -1: none.
func (s *site) sampled(host, measure string) float64 {
	s.t.Helper()
	var m struct {
		Sample *struct{ Values map[string]float64 }
	}
	must(s.t, s.admin.Get(s.t.Context(), "/devices/"+s.device(host)+"/measures", &m))
	if m.Sample == nil {
		return -1
	}
	v, ok := m.Sample.Values[measure]
	if !ok {
		return -1
	}
	return v
}

// dossierTells reads the dossier as an auditor does.
func (s *site) dossierTells(c string) {
	t := s.t
	t.Helper()
	var html []byte
	must(t, s.admin.Get(t.Context(), "/campaigns/"+url.PathEscape(c)+"/dossier/file?format=html&lang=fr", &html))
	for _, want := range []string{
		"lab-dead ne démarre plus", "table absente", "Disjoncteur", "burning", "FIN-PC-01", "retour arrière", "il occupe tout le processeur", "le correctif est retiré",
	} {
		if !strings.Contains(strings.ToLower(string(html)), strings.ToLower(want)) {
			t.Errorf("the dossier does not tell %q", want)
		}
	}
}

// hold is a stop in force, as the board shows it.
type hold struct {
	ID, Ring, Reason, Actor string
	Patch                   *struct{ Name string }
}

func (s *site) awaitHold(c string, limit time.Duration, is func(hold) bool) (found hold) {
	s.t.Helper()
	var list []hold
	err := demo.Poll(s.t.Context(), limit, "the hold is placed", func() (bool, error) {
		var board struct{ Holds []hold }
		err := s.admin.Get(s.t.Context(), "/campaigns/"+url.PathEscape(c), &board)
		list = board.Holds
		i := slices.IndexFunc(list, is)
		if i >= 0 {
			found = list[i]
		}
		return i >= 0, err
	})
	if err != nil {
		s.t.Fatalf("%v; in force: %+v", err, list)
	}
	return found
}

// active tells whether a service of a host runs, as systemd there says.
func (s *site) active(host, service string) bool {
	res, err := s.fleet.Exec(s.t.Context(), host, nil, "systemctl", "is-active", "-q", service)
	return err == nil && res.Code == 0
}

// probesDown are the probes that say no anywhere.
func (s *site) probesDown() (names []string) {
	s.t.Helper()
	var list struct {
		Rows []struct {
			Name string
			Down int
		}
	}
	must(s.t, s.admin.Get(s.t.Context(), "/probes", &list))
	for _, p := range list.Rows {
		if p.Down > 0 {
			names = append(names, p.Name)
		}
	}
	return names
}

// comesBack switches a host on and waits until its agent has the server.
func (s *site) comesBack(host string) {
	s.t.Helper()
	must(s.t, s.fleet.PowerOn(s.t.Context(), host))
	s.await(host+" checks in", time.Minute, func() bool {
		out, err := s.fleet.Run(s.t.Context(), host, demo.Agent, "status", "--json")
		return err == nil && strings.Contains(out, `"connected":true`)
	})
}
