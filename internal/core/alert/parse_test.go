package alert_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/alert"
	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
)

const head = "alerts: a\ntitle: A\nlanguage: fr\n"
const out = "outputs:\n  - {name: ops, mail: {server: 'smtp:25', tls: none, from: a@b.fr, to: [c@d.fr]}}\n"

func TestTheExampleAndTheDefaultsAreSound(t *testing.T) {
	text, err := os.ReadFile("../../../examples/alerts/parc-france.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"example": string(text), "default": alert.DefaultText} {
		b, err := alert.Parse(name, []byte(text))
		if err != nil || len(b.Warnings) > 0 {
			t.Errorf("%s: %v, warnings %v", name, err, b.Warnings)
		}
	}
	if b := alert.Default(); len(b.Outputs) > 0 || len(b.Rules) < 15 {
		t.Errorf("the default has %d outputs and %d rules", len(b.Outputs), len(b.Rules))
	}
}

func TestEveryFieldOfARuleIsRead(t *testing.T) {
	text := head + out + `  - {name: duty, ntfy: {url: 'https://n.fr/x', token: env:PATCHRING_SECRET_N}}
rules:
  - name: cpu
    title: {fr: F, en: E}
    measure: cpu_percent
    above: 90
    clear: 75
    for: 10m
    scope: {kinds: [server], groups: [g], sites: [lyon], during: campaign}
    severity: warning
    who: ops
    outputs: [ops]
    escalate: {after: 30m, outputs: [duty], who: chief}
    remind: 4h
  - {name: lost, title: L, event: device_silent, for: 20m, severity: critical, who: ops, outputs: [duty]}
  - {name: failed, title: L, event: install_failed, expires: 3h, severity: critical, who: ops, outputs: [duty]}
`
	b, err := alert.Parse("a.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []alert.Rule{
		{
			Name: "cpu", Title: manifest.Text{FR: "F", EN: "E"}, Measure: "cpu_percent", Limit: 90, Clear: 75, For: 10 * time.Minute,
			Devices: fleet.Selector{Groups: []string{"g"}, Kinds: []fleet.Kind{fleet.Server}}, Sites: []string{"lyon"}, During: alert.DuringCampaign,
			Severity: alert.Warning, Who: "ops", Outputs: []string{"ops"},
			Escalate: alert.Escalation{After: 30 * time.Minute, Outputs: []string{"duty"}, Who: "chief"}, Remind: 4 * time.Hour,
		},
		{
			Name: "lost", Title: manifest.Text{FR: "L", EN: "L"}, Event: alert.DeviceSilent, After: 20 * time.Minute, Devices: fleet.Selector{All: true}, During: alert.Always,
			Severity: alert.Critical, Who: "ops", Outputs: []string{"duty"},
		},
		{
			Name: "failed", Title: manifest.Text{FR: "L", EN: "L"}, Event: alert.InstallFailed, Expires: 3 * time.Hour, Devices: fleet.Selector{All: true}, During: alert.Always,
			Severity: alert.Critical, Who: "ops", Outputs: []string{"duty"},
		},
	}
	if diff := cmp.Diff(want, b.Rules); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	outputs := []alert.Output{
		{Name: "ops", Way: alert.Mail, Server: "smtp:25", TLS: alert.NoTLS, From: "a@b.fr", To: []string{"c@d.fr"}},
		{Name: "duty", Way: alert.Ntfy, URL: "https://n.fr/x", Secret: "env:PATCHRING_SECRET_N"},
	}
	if diff := cmp.Diff(outputs, b.Outputs); diff != "" || b.Lang != "fr" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
}

func TestWhatIsWrongIsSaidWithItsFieldAndTheFix(t *testing.T) {
	rule := func(text string) string {
		return head + out + "rules:\n  - {name: r, title: R, severity: info, who: ops, outputs: [ops], " + text + "}\n"
	}
	output := func(text string) string { return head + "outputs:\n  - {name: o, " + text + "}\nrules: []\n" }
	for _, c := range []struct{ text, want string }{
		{rule("measure: cpu"), "rules[0].measure: \"cpu\" is not known here"},
		{rule("measure: cpu_percent"), "above: wants one of above and below"},
		{rule("measure: cpu_percent, above: 90, below: 3"), "above: wants one of above and below"},
		{rule("measure: cpu_percent, above: 90, clear: 95"), "clear: is on the bad side"},
		{rule("measure: disk_free_percent, below: 5, clear: 3"), "clear: is on the bad side"},
		{rule("measure: cpu_percent, above: 90, for: 2d"), "for: is longer than a day"},
		{rule("measure: cpu_percent, above: 90, expires: 2d"), "expires: is of events"},
		{rule("measure: cpu_percent, above: 90, for: ten"), "for: \"ten\" is not a duration"},
		{rule("measure: cpu_percent, above: 90, event: install_failed"), "event: stands beside measure"},
		{rule("event: instal_failed"), "did you mean install_failed?"},
		{rule("event: install_failed, for: 3m"), "for: is not read with install_failed"},
		{rule("event: install_failed, above: 3"), "above: is of measures"},
		{rule("event: device_silent, for: 3s"), "for: is shorter than a minute"},
		{rule("event: device_silent, expires: 3h"), "expires: is not read with device_silent"},
		{rule("event: install_failed, expires: 0h"), "expires: is no time at all"},
		{rule("event: gate_stopped, scope: {groups: [x]}"), "happens to a campaign"},
		{rule("event: install_failed, remind: 3s"), "remind: is shorter than a minute"},
		{rule("event: install_failed, escalate: {outputs: [ops]}"), "escalate.after: is missing"},
		{rule("event: install_failed, escalate: {after: 0h, outputs: [ops]}"), "escalate.after: is no time at all"},
		{rule("event: install_failed, escalate: {after: 1h, outputs: [opps]}"), "did you mean ops?"},
		{rule("event: install_failed, scope: {during: always, sites: lyon}"), "sites: wants a list"},
		{head + "rules:\n  - {name: r, title: R, who: x, severity: info, outputs: [o], event: install_failed}\n", "\"o\" is no output; define it in outputs: first"},
		{head + "rules:\n  - {name: r, title: R, severity: info}\n", "who: is missing"},
		{output("mail: {server: smtp, from: a@b.fr, to: [c@d.fr]}"), "\"smtp\" is not HOST:PORT"},
		{output("mail: {server: 'smtp:25', from: ab.fr, to: [c@d.fr]}"), "from: \"ab.fr\" is not a mail address"},
		{output("mail: {server: 'smtp:25', from: a@b.fr, to: []}"), "has 0 addresses"},
		{output("mail: {server: 'smtp:25', from: a@b.fr, to: ['X <c@d.fr>']}"), "is not a mail address"},
		{output("mail: {server: 'smtp:25', from: a@b.fr, to: [c@d.fr], tls: none, username: u, password: file:p}"), "tls: would send the password in clear"},
		{output("mail: {server: 'smtp:25', from: a@b.fr, to: [c@d.fr], username: u}"), "username: goes with a password"},
		{output("webhook: {url: 'https://h/x', secret: hunter2}"), "does not name where the secret is"},
		{output("webhook: {url: 'https://h/x', secret: 'file:../../keys/order'}"), "does not name where the secret is"},
		{output("webhook: {url: 'https://h/x', secret: 'env:HOME'}"), "does not name where the secret is"},
		{output("webhook: {url: 'https://h/x'}"), "secret: is missing"},
		{output("webhook: {url: 'https://u:p@h/x', secret: file:s}"), "has a password in it"},
		{output("webhook: {url: 'ftp://h/x', secret: file:s}"), "is not an http or https address"},
		{output("slack: {url: 'https://hooks.slack.com/services/T/B/x'}"), "does not name where the secret is"},
		{output("slack: {url: file:s}, teams: {url: file:t}"), "tells in two ways"},
		{head + "outputs:\n  - {name: o}\nrules: []\n", "says not how it tells"},
		{"title: A\nlanguage: de\nrules: []\n", "alerts: is missing"},
		{"alerts: a\ntitle: A\nlanguage: de\nrules: []\n", "language: \"de\" is not known here"},
	} {
		_, err := alert.Parse("a.yaml", []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n got %v\nwant %s", c.text, err, c.want)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Error("a secret is repeated")
		}
	}
}

func TestAnOutputThatNobodyTellsIsWarnedOf(t *testing.T) {
	b, err := alert.Parse("a.yaml", []byte(head+out+"rules: []\n"))
	if err != nil || len(b.Warnings) != 2 {
		t.Fatalf("%v, %v", err, b.Warnings)
	}
}
