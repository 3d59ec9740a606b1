package procedure_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/procedure"
)

func TestAProcedureWithoutABreakerHasOne(t *testing.T) {
	p := parse(t, short)
	if diff := cmp.Diff(procedure.DefaultBreaker(), p.Breaker); diff != "" {
		t.Errorf("breaker of a file that says nothing: %s", diff)
	}
	if diff := cmp.Diff(procedure.Breaker{5, 2, 30 * time.Minute, 1, 1, 1, 2, 1, 2, 2, ""}, p.Breaker); diff != "" {
		t.Errorf("defaults: %s", diff)
	}
	if got := example(t, "postes-france.yaml").ActsOn(1); got != "business" {
		t.Errorf("%q must act in R1, want who signs its gate", got)
	}
	if got := p.ActsOn(0); got != "" {
		t.Errorf("%q must act where nobody signs", got)
	}
}

func TestTheBreakerSaysWhatItSays(t *testing.T) {
	p := parse(t, short+`
breaker:
  failures: {percent: 10, devices: 3}
  unreachable_after_reboot: {after: 1h, devices: 2}
  regressions: 0
  probes: {servers: 2, workstations: 5}
  services: {servers: 3, workstations: 4}
  complaints: 3
  acts: security
`)
	if diff := cmp.Diff(procedure.Breaker{10, 3, time.Hour, 2, 0, 2, 5, 3, 4, 3, "security"}, p.Breaker); diff != "" {
		t.Error(diff)
	}
	if got := p.ActsOn(0); got != "security" {
		t.Errorf("%q must act", got)
	}
	_, err := procedure.Parse("p", []byte(short+"\nbreaker: {unreachable_after_reboot: {after: 1m}, probe: {servers: 1}}\n"))
	if err == nil || !strings.Contains(err.Error(), "breaker.unreachable_after_reboot.after") || !strings.Contains(err.Error(), "breaker.probe") {
		t.Errorf("a minute, and a key that is not one: %v", err)
	}
}

func TestAGateAsksForProof(t *testing.T) {
	p := parse(t, strings.Replace(short, "min_devices: 2", "min_devices: 2, min_proven_percent: 90, min_hours_of_use: 4.5, max_regressions: 1, health: required, max_complaints: 2", 1))
	g := p.Rings[0].Gate
	if g.MinProvenPercent != 90 || g.MinHoursOfUse != 4.5 || g.MaxRegressions != 1 || !g.HealthRequired || g.MaxComplaints != 2 {
		t.Errorf("got %+v", g)
	}
	if _, err := procedure.Parse("p", []byte(strings.Replace(short, "min_devices: 2", "min_devices: 2, health: maybe", 1))); err == nil || !strings.Contains(err.Error(), "health") {
		t.Errorf("health: maybe gives %v", err)
	}
}

func TestTheLastRingIsWatchedMoreClosely(t *testing.T) {
	p := parse(t, short)
	last := len(p.Rings) - 1
	want := procedure.DefaultBreaker()
	want.FailuresPercent, want.ProbeWorkstations, want.ServiceWorkstations, want.Complaints = 2.5, 1, 1, 1
	if diff := cmp.Diff(want, p.BreakerOf(last)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(procedure.DefaultBreaker(), p.BreakerOf(0)); diff != "" {
		t.Error(diff)
	}
	p = example(t, "postes-france.yaml")
	for i := range p.Rings {
		if tight := p.BreakerOf(i) != p.Breaker; tight != (i == len(p.Rings)-1) {
			t.Errorf("ring %d is watched more closely: %t", i, tight)
		}
	}
	p = parse(t, short+"\nbreaker: {complaints: 0, regressions: 3, acts: it, after_global: {failures: {percent: 4}, probes: {workstations: 2}, regressions: 2}}\n")
	if b := p.BreakerOf(last); b.FailuresPercent != 4 || b.ProbeWorkstations != 2 || b.Regressions != 2 || b.Complaints != 0 || b.ServiceWorkstations != 1 || b.Acts != "it" {
		t.Errorf("got %+v", b)
	}
	for _, looser := range []string{"failures: {percent: 6}", "complaints: 0", "probes: {servers: 2}", "unreachable_after_reboot: {after: 1h}", "services: {workstations: 3}"} {
		_, err := procedure.Parse("p", []byte(short+"\nbreaker: {after_global: {"+looser+"}}\n"))
		if err == nil || !strings.Contains(err.Error(), "breaker.after_global") {
			t.Errorf("%s gives %v", looser, err)
		}
	}
	if _, err := procedure.Parse("p", []byte(short+"\nbreaker: {after_global: {acts: it}}\n")); err == nil {
		t.Error("another who acts after GLOBAL is taken")
	}
}
