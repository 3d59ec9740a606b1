package alert_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"patchring/internal/core/alert"
	"patchring/internal/core/fault"
	"patchring/internal/core/manifest"
	"patchring/internal/core/procedure"
)

const holdRule = `  - {name: cpu, title: {fr: Processeur saturé, en: Processor saturated}, measure: cpu_percent, above: 90, for: 10m, scope: {during: campaign}, then: hold, severity: critical, who: it, outputs: [ops]}
`

func TestARuleSaysWhatItDoesByItself(t *testing.T) {
	for _, do := range alert.Thens() {
		b, err := alert.Parse("a.yaml", []byte(head+out+"rules:\n"+strings.Replace(holdRule, "then: hold", "then: "+string(do), 1)))
		if err != nil {
			t.Fatal(err)
		}
		if r, ok := b.Rule("cpu"); !ok || r.Then != do {
			t.Errorf("it does %q, want %q", r.Then, do)
		}
	}
	for _, c := range []struct{ change, to, want string }{
		{"then: hold", "then: holds", "then: \"holds\" is not known here; did you mean hold?"},
		{"then: hold", "then: roll_back", "then: \"roll_back\" is not known here"},
		{"scope: {during: campaign}, ", "", "then: is only for devices of a running campaign; write scope: {during: campaign}"},
		{"measure: cpu_percent, above: 90, for: 10m", "event: install_failed", "then: does not go with install_failed"},
		{"measure: cpu_percent, above: 90, for: 10m", "event: device_silent", "then: does not go with device_silent"},
	} {
		text := strings.Replace(holdRule, c.change, c.to, 1)
		if _, err := alert.Parse("a.yaml", []byte(head+out+"rules:\n"+text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n got %v\nwant %s", text, err, c.want)
		}
	}
	if _, err := alert.Parse("a.yaml", []byte(head+out+"rules:\n"+strings.Replace(holdRule, "measure: cpu_percent, above: 90", "event: probe_down", 1))); err != nil {
		t.Errorf("a probe: %v", err)
	}
	for _, r := range alert.Default().Rules {
		if r.Then != "" {
			t.Errorf("%s of the default rules acts by itself", r.Name)
		}
	}
}

func TestARuleBlamesAnInstallOnlyForWhatFollowedIt(t *testing.T) {
	r := cpu()
	r.Then = alert.HoldCampaign
	began, ended := t0, t0.Add(3*time.Minute)
	p := alert.Patched{Campaign: "c", Ring: "R0", Began: began, Ended: ended}
	at := func(since, last time.Duration) alert.Alert {
		return alert.Alert{State: alert.Firing, Since: began.Add(since), Last: began.Add(last)}
	}
	for _, c := range []struct {
		name   string
		rule   alert.Rule
		a      alert.Alert
		p      alert.Patched
		look   alert.Look
		blamed bool
	}{
		{"since the install was over", r, at(5*time.Minute, 15*time.Minute), p, alert.Look{}, true},
		{"since the install began, and long after it", r, at(time.Minute, 13*time.Minute), p, alert.Look{}, true},
		{"since the install began, which is over for less than the duration", r, at(time.Minute, 12*time.Minute), p, alert.Look{}, false},
		{"before the install", r, at(-time.Second, time.Hour), p, alert.Look{}, false},
		{"of a device that was never patched", r, at(5*time.Minute, time.Hour), alert.Patched{}, alert.Look{}, false},
		{"long after", r, at(100*time.Hour, 101*time.Hour), p, alert.Look{Now: ended.Add(alert.PatchedFor + time.Second)}, false},
		{"acknowledged", r, alert.Alert{State: alert.Acknowledged, Since: ended, Last: ended.Add(time.Hour)}, p, alert.Look{}, true},
		{"pending", r, alert.Alert{State: alert.Pending, Since: ended, Last: ended.Add(time.Hour)}, p, alert.Look{}, false},
		{"over", r, alert.Alert{State: alert.Resolved, Since: ended, Last: ended.Add(time.Hour)}, p, alert.Look{}, false},
		{"silenced", r, at(5*time.Minute, 15*time.Minute), p, alert.Look{Silent: began.Add(24 * time.Hour)}, false},
		{"silenced before", r, at(5*time.Minute, 15*time.Minute), p, alert.Look{Silent: began}, true},
		{"by a rule that tells only", cpu(), at(5*time.Minute, 15*time.Minute), p, alert.Look{}, false},
	} {
		if c.look.Now.IsZero() {
			c.look.Now = c.a.Last
		}
		if got := c.rule.Blames(c.a, c.p, c.look); got != c.blamed {
			t.Errorf("%s: %v, want %v", c.name, got, c.blamed)
		}
	}
}

// Whatever a device lives through, what began before an install is never laid to
// it, and nothing is before the rule's duration has passed since the install.
func TestNoRuleEverBlamesAnInstallForWhatWasThereBefore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := cpu()
		r.Then = alert.HoldCampaign
		minute := func(name string) time.Time {
			return t0.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, name)) * time.Minute)
		}
		p := alert.Patched{Campaign: "c", Ring: "R0", Began: minute("began")}
		p.Ended = p.Began.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "took")) * time.Minute)
		var a alert.Alert
		bad := time.Time{} // since when it is bad, as the device lives it
		for i := range 240 {
			now, v := t0.Add(time.Duration(i)*time.Minute), rapid.SampledFrom([]float64{99, 99, 99, 99, 10}).Draw(t, "cpu")
			if v < 90 {
				bad = time.Time{}
			} else if bad.IsZero() {
				bad = now
			}
			look := alert.Look{Now: now, Answer: r.Judge(v), Value: v}
			a, _ = alert.Decide(r, a, look)
			if !r.Blames(a, p, look) {
				continue
			}
			if bad.Before(p.Began) || now.Sub(bad) < r.For || now.Sub(p.Ended) < r.For {
				t.Fatalf("at %s it blames an install from %s to %s, and is bad since %s", now, p.Began, p.Ended, bad)
			}
		}
	})
}

func TestAnActSaysWhatTheRuleSaw(t *testing.T) {
	r := alert.Rule{Name: "cpu", Title: manifest.Text{FR: "F", EN: "E"}, Measure: "cpu_percent", Limit: 90, Who: "it"}
	got := r.Because("pc-1", alert.Alert{Value: 98.5, Worst: 100}, nil)
	want := `alert_measure alert="cpu" device="pc-1" limit="cpu_percent 90" measure="cpu_percent" role="it" title_en="E" title_fr="F" value="cpu_percent 98.5"`
	if got.String() != want {
		t.Errorf("it says %s, want %s", got, want)
	}
	probe := alert.Rule{Name: "p", Event: alert.ProbeDown, Who: "it"}.Because("srv", alert.Alert{Value: 1}, map[string]string{"probes": "web"})
	if probe.Code != fault.AlertProbe || probe.Args["probes"] != "web" || probe.Args["device"] != "srv" {
		t.Errorf("of a probe it says %s", probe)
	}
	for severity, want := range map[alert.Severity]procedure.Severity{alert.Info: procedure.Minor, alert.Warning: procedure.Major, alert.Critical: procedure.Critical} {
		if got := (alert.Rule{Severity: severity}).Grade(); got != want {
			t.Errorf("a rule that is %s opens an incident that is %s, want %s", severity, got, want)
		}
	}
}
