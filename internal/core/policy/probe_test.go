package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/policy"
	"patchring/wire"
)

const probePolicy = `policy: fleet
title: Fleet
owner: Ops
timezone: Europe/Paris
sample_every: 30s
probes:
  - {name: intranet, http: "https://intranet.example/health", status: 200, contains: ready, every: 30s, timeout: 3s}
  - {name: ssh, devices: device.kind == "server", service: ssh.service}
  - {name: db, devices: device.kind == "server", tcp: "127.0.0.1:5432"}
  - {name: cron, devices: device.kind == "server", process: cron}
  - {name: web-certificate, devices: device.kind == "server", certificate: "www.example:443"}
`

func TestProbesReachTheDevicesTheyChoose(t *testing.T) {
	p := policy.Policies{Tenant: parsed(t, probePolicy)}
	of := func(d policy.Device) policy.Settings { return p.Settings(p.Match(&d, now)) }
	want := []wire.Probe{
		{Name: "intranet", Type: wire.ProbeHTTP, Target: "https://intranet.example/health", EveryS: 30, TimeoutS: 3, Status: 200, Contains: "ready"},
		{Name: "ssh", Type: wire.ProbeService, Target: "ssh.service", EveryS: 60, TimeoutS: 5},
		{Name: "db", Type: wire.ProbeTCP, Target: "127.0.0.1:5432", EveryS: 60, TimeoutS: 5},
		{Name: "cron", Type: wire.ProbeProcess, Target: "cron", EveryS: 60, TimeoutS: 5},
		{Name: "web-certificate", Type: wire.ProbeCertificate, Target: "www.example:443", EveryS: 6 * 3600, TimeoutS: 5, MinDays: 14},
	}
	if got := of(server); !slices.Equal(got.Probes, want) || got.SampleEvery != 30*time.Second {
		t.Errorf("a server makes %+v every %s", got.Probes, got.SampleEvery)
	}
	if got := of(desk); !slices.Equal(got.Probes, want[:1]) {
		t.Errorf("a workstation makes %+v", got.Probes)
	}
	if got := of(desk).Differing(of(server)); !slices.Contains(got, policy.InProbes) {
		t.Errorf("they differ in %v", got)
	}
	faster := policy.Policies{Tenant: parsed(t, strings.Replace(probePolicy, "sample_every: 30s", "sample_every: 2m", 1))}
	if got := of(desk).Differing(faster.Settings(faster.Match(&desk, now))); !slices.Equal(got, []policy.Part{policy.InProbes}) {
		t.Errorf("another sample_every differs in %v", got)
	}
	if !p.HaveProbes() || (policy.Policies{Tenant: parsed(t, wakePolicy)}).HaveProbes() {
		t.Error("who has probes is told wrong")
	}
}

// A tenant's probe stands before the provider's of the same name, and a device
// makes no more probes than an agent does.
func TestATenantsProbesStandFirst(t *testing.T) {
	p := policy.Policies{Provider: parsed(t, strings.Replace(probePolicy, "status: 200", "status: 204", 1)), Tenant: parsed(t, probePolicy)}
	if got := p.Settings(p.Match(&server, now)); len(got.Probes) != 5 || got.Probes[0].Status != 200 {
		t.Errorf("it makes %+v", got.Probes)
	}
	var many strings.Builder
	for i := range 2 * wire.MaxProbes {
		fmt.Fprintf(&many, "  - {name: p%d, devices: device.kind == \"server\", process: cron}\n", i)
	}
	p = policy.Policies{Tenant: parsed(t, probePolicy+many.String())}
	if got := p.Settings(p.Match(&server, now)); len(got.Probes) != wire.MaxProbes {
		t.Errorf("it makes %d", len(got.Probes))
	}
}

func TestProbesAreRefusedWithTheWayToPutThemRight(t *testing.T) {
	everywhere := ""
	for i := range wire.MaxProbes + 1 {
		everywhere += fmt.Sprintf("  - {name: p%d, process: cron}\n", i)
	}
	for line, want := range map[string]string{
		"  - {name: x}\n": "write one of service, process, tcp, http, certificate",
		"  - {name: x, tcp: '1.2.3.4:5', http: 'http://a'}\n":                  "looks at tcp and at http",
		"  - {name: x, tcp: localhost}\n":                                      "write HOST:PORT",
		"  - {name: x, tcp: 'localhost:99999'}\n":                              "write HOST:PORT",
		"  - {name: x, http: intranet}\n":                                      "write an address with http:// or https://",
		"  - {name: x, http: 'ftp://a/b'}\n":                                   "write an address with http:// or https://",
		"  - {name: x, http: 'https://me:secret@a/'}\n":                        "take the password out",
		"  - {name: x, service: 'a b'}\n":                                      "write its name alone",
		"  - {name: x, process: /usr/bin/x}\n":                                 "write its name alone",
		"  - {name: x, certificate: www}\n":                                    "write HOST:PORT, or the path of a PEM file",
		"  - {name: x, process: cron, every: 1s}\n":                            "write 10s to 1d",
		"  - {name: x, process: cron, timeout: 2m}\n":                          "write 1s to 60s",
		"  - {name: x, process: cron, every: 10s, timeout: 20s}\n":             "shorten it, or look less often",
		"  - {name: x, process: cron, status: 200}\n":                          "it belongs to http",
		"  - {name: x, http: 'http://a', min_days: 3}\n":                       "it belongs to certificate",
		"  - {name: x, http: 'http://a', status: 20}\n":                        "write a number from 100 to 599",
		"  - {name: x, http: 'http://a', servce: b}\n":                         "service",
		"  - {name: intranet, process: cron}\n":                                "already on line",
		"  - {name: x, process: cron, devices: 'patch.class == \"driver\"'}\n": "conditions on patches stand in patches",
		everywhere: "or say of which devices",
	} {
		_, err := policy.Parse("fleet.yaml", []byte(probePolicy+line))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "fleet.yaml:") {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
	for _, every := range []string{"29s", "11m", "often"} {
		if _, err := policy.Parse("fleet.yaml", []byte(strings.Replace(probePolicy, "sample_every: 30s", "sample_every: "+every, 1))); err == nil || !strings.Contains(err.Error(), "sample_every") {
			t.Errorf("sample_every: %s: %v", every, err)
		}
	}
}
