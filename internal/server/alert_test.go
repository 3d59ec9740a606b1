package server_test

import (
	"fmt"
	"mime"
	"slices"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/alert"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/store/storetest"
	"patchring/internal/service/herald/heraldtest"
	"patchring/internal/service/watch"
	"patchring/wire"
)

const alertHead = `alerts: site
title: Site
language: fr
outputs:
  - {name: ops, mail: {server: '%s', tls: none, from: patchring@example.org, to: [ops@example.org]}}
  - {name: duty, mail: {server: '%s', tls: none, from: patchring@example.org, to: [duty@example.org]}}
rules:
`

const cpuRule = `  - name: cpu
    title: {fr: Processeur saturé, en: Processor saturated}
    measure: cpu_percent
    above: 90
    clear: 75
    for: 10m
    severity: warning
    who: equipe-poste
    outputs: [ops]
    escalate: {after: 30m, outputs: [duty], who: astreinte}
`

// rules puts rules of alerts in force, with outputs to a mail server.
func (w *world) rules(smtp *heraldtest.SMTP, rules string) {
	w.t.Helper()
	w.ask(func() error {
		_, err := w.srv.Watch.Apply(w.t.Context(), "main", w.by, "alerts.yaml", []byte(fmt.Sprintf(alertHead, smtp.Addr, smtp.Addr)+rules))
		return err
	})
}

// sampled lets a device send a sample, and everybody act on it.
func (w *world) sampled(d *fakeDevice, values map[wire.Measure]float64) {
	w.t.Helper()
	sample := wire.Sample{AtUS: w.now.UnixMicro(), Values: values}
	if reply := w.measures(d, wire.MeasuresReport{NowUS: w.now.UnixMicro(), Sample: &sample}); reply.Error != nil {
		w.t.Fatalf("sample of %s: %v", d.id, reply.Error)
	}
	w.watched()
}

// probed is a sample with probes, as the gateway passes those on that a device
// was told of.
func (w *world) probed(d *fakeDevice, probes ...wire.ProbeState) {
	w.t.Helper()
	w.srv.Watch.Sampled("main", d.id, wire.Sample{AtUS: w.now.UnixMicro(), Probes: probes})
	w.watched()
}

// watched lets the watch and the herald act, and once more when what came
// together has waited for its like.
func (w *world) watched() {
	w.t.Helper()
	w.must(w.srv.Watch.Step(w.t.Context()))
	w.must(w.srv.Herald.Step(w.t.Context()))
	w.now = w.now.Add(6 * time.Second)
	w.must(w.srv.Herald.Step(w.t.Context()))
	w.must(w.srv.Herald.Step(w.t.Context()))
}

func busy(cpu float64) map[wire.Measure]float64 {
	return map[wire.Measure]float64{wire.MeasureCPU: cpu}
}

// burns lets a device be busy for so many minutes.
func (w *world) burns(d *fakeDevice, cpu float64, minutes int) {
	w.t.Helper()
	for range minutes {
		w.sampled(d, busy(cpu))
		w.now = w.now.Add(time.Minute - 6*time.Second)
	}
}

// openAlert is the only alert that is open.
func (w *world) openAlert() gen.Alert {
	w.t.Helper()
	open := w.openAlerts()
	if len(open) != 1 {
		w.t.Fatalf("%d alerts are open: %+v", len(open), open)
	}
	return open[0]
}

func (w *world) openAlerts() (open []gen.Alert) {
	w.t.Helper()
	for _, name := range w.order {
		rows, err := w.srv.DB.Read().OpenAlertsOf(w.t.Context(), "main", alert.DeviceKey(string(w.devices[name].id)))
		w.must(err)
		open = append(open, rows...)
	}
	return open
}

// mails are the subjects that an address was sent, without what is before them.
func mails(smtp *heraldtest.SMTP, to string) []string {
	out := []string{}
	for _, m := range smtp.Taken() {
		if slices.Contains(m.To, to) {
			out = append(out, decoded(m.Header("Subject")))
		}
	}
	return out
}

func expectMails(t *testing.T, smtp *heraldtest.SMTP, to string, want ...string) {
	t.Helper()
	got := mails(smtp, to)
	ok := len(got) == len(want)
	for i := range got {
		ok = ok && strings.Contains(got[i], want[i])
	}
	if !ok {
		t.Fatalf("%s was sent %q, want %q", to, got, want)
	}
}

func TestABusyDeviceIsToldOfOnceAndItsEndOnce(t *testing.T) {
	for _, database := range []string{"sqlite", "postgres"} {
		t.Run(database, func(t *testing.T) {
			url := ""
			if database == "postgres" {
				url = storetest.PostgresURL(t)
			}
			w := worldOn(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris), url, nil)
			smtp := heraldtest.Start(t, heraldtest.Plain, "")
			w.rules(smtp, cpuRule)
			pc := w.device("compta-17", fleet.Workstation, "", nil, nil)
			w.burns(pc, 99, 10)
			expectMails(t, smtp, "ops@example.org")
			w.burns(pc, 99, 5)
			expectMails(t, smtp, "ops@example.org", "AVERTISSEMENT : Processeur saturé — compta-17")
			body := smtp.Taken()[0].Raw
			if !strings.Contains(body, "text/html") || !strings.Contains(body, "equipe-poste") || !strings.Contains(body, "/alerts/"+w.openAlert().ID) {
				t.Errorf("the mail says\n%s", body)
			}
			w.must(w.srv.Watch.Acknowledge(t.Context(), "main", w.by, w.openAlert().ID, "je regarde"))
			w.burns(pc, 99, 60) // nobody is escalated to, for somebody is on it
			w.burns(pc, 80, 5)
			w.burns(pc, 20, 3)
			expectMails(t, smtp, "ops@example.org", "AVERTISSEMENT", "Résolue : Processeur saturé — compta-17")
			expectMails(t, smtp, "duty@example.org")
			for kind, n := range map[register.Kind]int{register.AlertFired: 1, register.AlertAcknowledged: 1, register.AlertResolved: 1} {
				if got := w.entries(kind); len(got) != n || got[0].Device != string(pc.id) {
					t.Errorf("register: %s %+v", kind, got)
				}
			}
			w.verifyRegister()
		})
	}
}

func TestNobodysAnswerIsEscalated(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	smtp := heraldtest.Start(t, heraldtest.Plain, "")
	w.rules(smtp, cpuRule)
	pc := w.device("pc", fleet.Workstation, "", nil, nil)
	w.burns(pc, 99, 45)
	expectMails(t, smtp, "ops@example.org", "AVERTISSEMENT")
	expectMails(t, smtp, "duty@example.org", "AVERTISSEMENT")
	if got := w.openAlert(); got.Who != "astreinte" {
		t.Errorf("%s must act", got.Who)
	}
	w.burns(pc, 10, 1)
	expectMails(t, smtp, "duty@example.org", "AVERTISSEMENT", "Résolue")
}

func TestAMailServerThatFailsIsTriedAgainAndToldOnce(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	smtp := heraldtest.Start(t, heraldtest.Plain, "")
	smtp.Say(func(command string) string {
		if strings.HasPrefix(command, "MAIL") {
			return "451 4.3.0 try later"
		}
		return ""
	})
	w.rules(smtp, cpuRule)
	pc := w.device("pc", fleet.Workstation, "", nil, nil)
	w.burns(pc, 99, 14)
	expectMails(t, smtp, "ops@example.org")
	smtp.Say(nil)
	w.burns(pc, 99, 14)
	expectMails(t, smtp, "ops@example.org", "AVERTISSEMENT")
}

// A crash between the sending and its commit sends a second time: at least once,
// with the same id, by which it is recognised.
func TestAMailSentJustBeforeACrashIsSentAgainWithTheSameID(t *testing.T) {
	crash := false
	w := faultyWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris), func(bool) error {
		if crash {
			return errCommit
		}
		return nil
	})
	smtp := heraldtest.Start(t, heraldtest.Plain, "")
	w.rules(smtp, cpuRule)
	pc := w.device("pc", fleet.Workstation, "", nil, nil)
	w.burns(pc, 99, 10)
	w.srv.Watch.Sampled("main", pc.id, wire.Sample{Values: busy(99)})
	w.must(w.srv.Watch.Step(t.Context()))
	w.now = w.now.Add(6 * time.Second)
	smtp.Say(func(command string) string { crash = crash || command == "TAKEN"; return "" })
	if err := w.srv.Herald.Step(t.Context()); err == nil {
		t.Fatal("the commit did not fail")
	}
	crash = false
	smtp.Say(nil)
	w.stop()
	w.serve()
	w.now = w.now.Add(4 * time.Minute)
	w.must(w.srv.Herald.Step(t.Context()))
	got := smtp.Taken()
	if len(got) != 2 || got[0].Header("Message-ID") == "" || got[0].Header("Message-ID") != got[1].Header("Message-ID") {
		t.Fatalf("%d mails, with ids %q", len(got), func() (ids []string) {
			for _, m := range got {
				ids = append(ids, m.Header("Message-ID"))
			}
			return ids
		}())
	}
	w.now = w.now.Add(time.Hour)
	w.must(w.srv.Herald.Step(t.Context()))
	if len(smtp.Taken()) != 2 {
		t.Error("it is sent for ever")
	}
}

const eventRules = `  - {name: failed, title: {fr: Échec, en: Failed}, event: install_failed, severity: warning, who: it, outputs: [ops]}
  - {name: probe, title: {fr: Sonde, en: Probe}, event: probe_down, for: 2m, severity: critical, who: it, outputs: [ops]}
  - {name: silent, title: {fr: Muet, en: Silent}, event: device_silent, for: 15m, scope: {kinds: [server]}, severity: critical, who: it, outputs: [ops]}
  - {name: held, title: {fr: Suspendue, en: Held}, event: hold_placed, severity: warning, who: it, outputs: [ops]}
  - {name: incident, title: {fr: Incident, en: Incident}, event: incident_opened, severity: critical, who: it, outputs: [ops]}
`

func TestAServerThatFallsSilentIsToldOfAndComesBack(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	smtp := heraldtest.Start(t, heraldtest.Plain, "")
	srv, pc := w.device("srv", fleet.Server, "", versions("1"), versions("1")), w.device("pc", fleet.Workstation, "", versions("1"), versions("1"))
	w.settled()
	w.rules(smtp, eventRules)
	srv.away, pc.away = true, true
	for range 12 {
		w.now = w.now.Add(time.Minute)
		w.watched()
	}
	expectMails(t, smtp, "ops@example.org")
	for range 4 {
		w.now = w.now.Add(time.Minute)
		w.watched()
	}
	expectMails(t, smtp, "ops@example.org", "CRITIQUE : Muet — srv")
	srv.away = false
	w.settle()
	w.now = w.now.Add(20 * time.Second)
	w.watched()
	expectMails(t, smtp, "ops@example.org", "CRITIQUE : Muet — srv", "Résolue : Muet — srv")
}

func TestAProbeIsDownForItsDuration(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	smtp := heraldtest.Start(t, heraldtest.Plain, "")
	w.rules(smtp, eventRules)
	pc := w.device("pc", fleet.Workstation, "", nil, nil)
	down := wire.ProbeState{Name: "intranet", State: wire.ProbeDown, AtUS: w.now.UnixMicro(), SinceUS: w.now.UnixMicro(), Cause: &wire.Cause{Code: "nonsense"}}
	for range 4 {
		w.probed(pc, down, wire.ProbeState{Name: "dns", State: wire.ProbeUp})
		w.now = w.now.Add(time.Minute - 6*time.Second)
	}
	expectMails(t, smtp, "ops@example.org", "CRITIQUE : Sonde — pc")
	if got := w.openAlert(); !strings.Contains(got.Args, "intranet") || strings.Contains(got.Args, "dns") {
		t.Errorf("it says %s", got.Args)
	}
	w.probed(pc) // nothing is known
	vetoed := wire.ProbeState{Name: "intranet", State: string(fleet.ProbeVetoed)}
	w.probed(pc, vetoed) // nor when its administrator forbids it
	w.openAlert()
	w.probed(pc, wire.ProbeState{Name: "intranet", State: wire.ProbeUp})
	expectMails(t, smtp, "ops@example.org", "CRITIQUE", "Résolue")
}

func TestSeveralFailuresOfADeviceAreOneAlert(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	smtp := heraldtest.Start(t, heraldtest.Plain, "")
	w.rules(smtp, eventRules)
	pc := w.device("pc", fleet.Workstation, "", nil, nil)
	fail := func(state string) {
		w.must(w.srv.DB.Write(t.Context(), func(tx *store.Tx) error {
			tx.Record(register.Entry{
				Tenant: "main", AtUS: w.now.UnixMicro(), Actor: register.Agent(string(pc.id)), Kind: register.OrderResult, Device: string(pc.id),
				Detail: map[string]any{"kind": "install", "outcomes": []any{map[string]any{"patch": "p1", "state": state, "cause": "disk_full"}}},
			})
			return nil
		}))
		w.watched()
	}
	fail("failed")
	fail("failed")
	if got := w.openAlert(); got.Times != 2 || got.Patch != "p1" {
		t.Errorf("it is %+v", got)
	}
	expectMails(t, smtp, "ops@example.org", "AVERTISSEMENT : Échec — pc")
	fail("verified")
	expectMails(t, smtp, "ops@example.org", "AVERTISSEMENT", "Résolue")
}

func TestWhatFiresTogetherIsOneMail(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	smtp := heraldtest.Start(t, heraldtest.Plain, "")
	w.rules(smtp, strings.Replace(cpuRule, "for: 10m", "for: 0h", 1))
	for i := range 5 {
		d := w.device(fmt.Sprint("pc", i), fleet.Workstation, "", nil, nil)
		w.srv.Watch.Sampled("main", d.id, wire.Sample{Values: busy(99)})
	}
	w.watched()
	expectMails(t, smtp, "ops@example.org", "5 alertes")
}

func TestASilenceSaysNothingAndEndsByItself(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	smtp := heraldtest.Start(t, heraldtest.Plain, "")
	w.rules(smtp, cpuRule)
	pc := w.device("pc", fleet.Workstation, "", nil, nil)
	_, err := w.srv.Watch.Silence(t.Context(), "main", w.by, watch.Silence{Device: pc.id, Until: w.now.Add(2 * time.Hour), Reason: "travaux"})
	w.must(err)
	w.burns(pc, 99, 119)
	expectMails(t, smtp, "ops@example.org")
	w.burns(pc, 99, 4)
	expectMails(t, smtp, "ops@example.org", "AVERTISSEMENT")
	for _, bad := range []watch.Silence{
		{Device: pc.id, Until: w.now.Add(time.Hour)}, {Device: pc.id, Until: w.now, Reason: "x"}, {Until: w.now.Add(time.Hour), Reason: "x"},
		{Alert: "x", Device: pc.id, Until: w.now.Add(time.Hour), Reason: "x"}, {Rule: "nope", Until: w.now.Add(time.Hour), Reason: "x"},
	} {
		if _, err := w.srv.Watch.Silence(t.Context(), "main", w.by, bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

// What a person silenced and then lets speak again is told of at once, as what it
// is: still firing; and a silence of one alert leaves the others alone.
func TestASilenceEndedByHandLetsItSpeakAtOnce(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	smtp := heraldtest.Start(t, heraldtest.Plain, "")
	w.rules(smtp, cpuRule)
	pc, other := w.device("pc", fleet.Workstation, "", nil, nil), w.device("other", fleet.Workstation, "", nil, nil)
	w.burns(pc, 99, 12)
	expectMails(t, smtp, "ops@example.org", "AVERTISSEMENT : Processeur saturé — pc")
	id, err := w.srv.Watch.Silence(t.Context(), "main", w.by, watch.Silence{Alert: w.openAlert().ID, Until: w.now.Add(12 * time.Hour), Reason: "travaux"})
	w.must(err)
	for range 40 { // past the escalation
		w.sampled(other, busy(99))
		w.burns(pc, 99, 1)
	}
	expectMails(t, smtp, "duty@example.org", "AVERTISSEMENT : Processeur saturé — other")
	expectMails(t, smtp, "ops@example.org", "— pc", "— other")
	w.must(w.srv.Watch.EndSilence(t.Context(), "main", w.by, id))
	w.watched()
	expectMails(t, smtp, "ops@example.org", "— pc", "— other", "— pc")
	if got := reminders(smtp, "ops@example.org"); got != 1 {
		t.Errorf("%d of its mails are reminders, want the one after the silence", got)
	}
	if got := mails(smtp, "duty@example.org"); len(got) != 2 {
		t.Errorf("nobody has acted for longer than its escalation waits, and duty was told %q", got)
	}
	if err := w.srv.Watch.EndSilence(t.Context(), "main", w.by, id); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("ended twice: %v", err)
	}
	if got := w.entries(register.SilenceEnded); len(got) != 1 || got[0].Detail["silence"] != id {
		t.Errorf("register: %+v", got)
	}
}

// Whoever does not answer is reminded, every so often, until somebody does.
func TestAnAlertReminds(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	smtp := heraldtest.Start(t, heraldtest.Plain, "")
	w.rules(smtp, strings.Replace(cpuRule, "    escalate: {after: 30m, outputs: [duty], who: astreinte}\n", "    remind: 1h\n", 1))
	pc := w.device("pc", fleet.Workstation, "", nil, nil)
	w.burns(pc, 99, 65)
	reminded := func(when string, want int) {
		t.Helper()
		if n, all := reminders(smtp, "ops@example.org"), len(mails(smtp, "ops@example.org")); n != want || all != 1+want {
			t.Fatalf("%s: %d mails, of which %d remind, want %d", when, all, n, want)
		}
	}
	reminded("within the hour", 0)
	w.burns(pc, 99, 65)
	reminded("within two", 1)
	w.stop()
	w.serve()
	w.burns(pc, 99, 60)
	reminded("though the server was restarted", 2)
	w.must(w.srv.Watch.Acknowledge(t.Context(), "main", w.by, w.openAlert().ID, "je regarde"))
	w.burns(pc, 99, 130)
	reminded("after somebody answered", 2)
}

// reminders counts the mails to an address that say that they remind.
func reminders(smtp *heraldtest.SMTP, to string) (n int) {
	for _, m := range smtp.Taken() {
		if slices.Contains(m.To, to) && strings.Contains(m.Raw, "Rappel") {
			n++
		}
	}
	return n
}

func TestARuleThatIsGoneEndsItsAlertsQuietly(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	smtp := heraldtest.Start(t, heraldtest.Plain, "")
	w.rules(smtp, cpuRule)
	pc := w.device("pc", fleet.Workstation, "", nil, nil)
	w.burns(pc, 99, 12)
	w.rules(smtp, eventRules)
	w.watched()
	if open := w.openAlerts(); len(open) > 0 {
		t.Errorf("%+v is open", open)
	}
	expectMails(t, smtp, "ops@example.org", "AVERTISSEMENT")
	if got := w.entries(register.AlertResolved); len(got) != 1 || got[0].Detail["why"] != "rule_gone" {
		t.Errorf("register: %+v", got)
	}
}

func TestAnActFromAnAlertIsTheCampaignsAndAcknowledges(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	smtp := heraldtest.Start(t, heraldtest.Plain, "")
	w.rules(smtp, strings.Replace(cpuRule, "for: 10m", "for: 0h\n    scope: {during: campaign}", 1)+eventRules)
	pc := w.device("pc", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	w.sampled(pc, busy(99))
	if open := w.openAlerts(); len(open) > 0 {
		t.Fatalf("no campaign runs, and %+v is open", open)
	}
	c := w.alertCampaign()
	w.sampled(pc, busy(99))
	got := w.openAlert()
	if got.Campaign != string(c) {
		t.Fatalf("it is of campaign %q, not %q", got.Campaign, c)
	}
	if err := w.srv.Watch.Act(t.Context(), "main", w.by, watch.Act{Alert: got.ID, Do: alert.HoldPatch, Reason: "x"}); fault.CodeOf(err) != fault.InvalidField {
		t.Errorf("a hold on no patch: %v", err)
	}
	w.must(w.srv.Watch.Act(t.Context(), "main", w.by, watch.Act{Alert: got.ID, Do: alert.HoldDevice, Reason: "saturé depuis le correctif"}))
	holds := w.entries(register.HoldPlaced)
	if len(holds) != 1 || holds[0].Device != string(pc.id) {
		t.Errorf("register: %+v", holds)
	}
	if acted := w.entries(register.AlertActed); len(acted) != 1 || acted[0].Detail["do"] != "hold_device" {
		t.Errorf("register: %+v", acted)
	}
	if after := w.openAlert(); after.State != string(alert.Acknowledged) {
		t.Errorf("it is %s", after.State)
	}
	w.must(w.srv.Watch.Act(t.Context(), "main", w.by, watch.Act{Alert: got.ID, Do: alert.OpenIncident, Severity: "critical", Reason: "le poste est inutilisable"}))
	w.watched()
	opened := w.entries(register.IncidentOpened)
	if len(opened) != 1 || opened[0].Detail["origin"] != "alert" {
		t.Fatalf("register: %+v", opened)
	}
	open, err := w.srv.DB.Read().OpenAlertsOf(t.Context(), "main", fmt.Sprint("incident:", opened[0].Detail["incident"]))
	w.must(err)
	if len(open) != 1 || open[0].About != "incident_opened" || open[0].Device != string(pc.id) {
		t.Errorf("the incident is no alert: %+v", open)
	}
	w.verifyRegister()
}

// alertCampaign lets a campaign start, before its first window.
func (w *world) alertCampaign() campaign.ID {
	w.t.Helper()
	c := w.campaign(w.t, "2026-01")
	w.until(time.Date(2026, 1, 13, 19, 30, 0, 0, paris), time.Hour)
	return c
}

func decoded(header string) string {
	text, err := new(mime.WordDecoder).DecodeHeader(header)
	if err != nil {
		return header
	}
	return text
}
