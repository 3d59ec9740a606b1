package policy_test

import (
	"slices"
	"strings"
	"testing"

	"patchring/internal/core/policy"
)

const wakePolicy = `policy: fleet
title: Fleet
owner: Ops
timezone: Europe/Paris
profiles:
  - {name: desks, devices: device.kind == "workstation", wake: true}
  - {name: all, devices: device.kind != "x", wake: false}
`

func TestTheFirstProfileThatSpeaksOfWakingDecides(t *testing.T) {
	p := policy.Policies{Tenant: parsed(t, wakePolicy)}
	of := func(d policy.Device) policy.Settings { return p.Settings(p.Match(&d, now)) }
	if !of(desk).MayWake() || of(server).MayWake() || !p.HaveWakes() {
		t.Errorf("desk %v, server %v, any %v", of(desk).MayWake(), of(server).MayWake(), p.HaveWakes())
	}
	if got := of(desk).Differing(of(server)); !slices.Contains(got, policy.InWake) {
		t.Errorf("they differ in %v", got)
	}
	never := policy.Policies{Tenant: parsed(t, strings.Replace(wakePolicy, "wake: true", "wake: false", 1))}
	if never.HaveWakes() || never.Settings(never.Match(&desk, now)).MayWake() || (policy.Settings{}).MayWake() {
		t.Error("a device may be woken that no profile says so of")
	}
	if _, err := policy.Parse("fleet.yaml", []byte(strings.Replace(wakePolicy, "wake: true", "wake: often", 1))); err == nil || !strings.Contains(err.Error(), "neither true nor false") {
		t.Errorf("wake: often: %v", err)
	}
	if w := parsed(t, wakePolicy).Warnings; len(w) != 0 {
		t.Errorf("warned of %v", w)
	}
}
