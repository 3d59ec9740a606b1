//go:build e2e

package e2e_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"patchring/lab/aptrepo"
	"patchring/lab/demo"
	"patchring/wire"
)

// measured is what a host measures of itself.
func (s *site) measured(host string) (m wire.Sample) {
	s.t.Helper()
	out, err := s.fleet.Run(s.t.Context(), host, demo.Agent, "measure", "--json")
	must(s.t, err)
	must(s.t, json.Unmarshal([]byte(out), &m))
	return m
}

// probed is what a probe on a host says.
func (s *site) probed(host string, args ...string) (found wire.ProbeState) {
	s.t.Helper()
	res, err := s.fleet.Exec(s.t.Context(), host, nil, append([]string{demo.Agent, "probe", "--json"}, args...)...)
	must(s.t, err)
	must(s.t, json.Unmarshal(res.Stdout, &found))
	return found
}

// burnt is the processor time that lab-burn has had.
func (s *site) burnt(host string) time.Duration {
	s.t.Helper()
	out, err := s.fleet.Run(s.t.Context(), host, "sh", "-c", "cat /proc/$(systemctl show -P MainPID lab-burn)/schedstat")
	must(s.t, err)
	ran, err := strconv.ParseInt(strings.Fields(out)[0], 10, 64)
	must(s.t, err)
	return time.Duration(ran)
}

// A real Debian under a real systemd: what an update breaks shows in what the
// host measures, and nowhere else, because the package manager succeeds.
func TestWhatUpdatesBreakIsMeasured(t *testing.T) {
	const host = "SRV-TEST-01"
	s := newSite(t, []string{host}, []string{"lab-svc", "lab-dead", "lab-burn"})
	page := fmt.Sprintf("http://127.0.0.1:%d/", aptrepo.ServicePort)
	s.await("all services are up", time.Minute, func() bool {
		m := s.measured(host)
		return m.Values[wire.MeasureUnits] == 0 && m.Values[wire.MeasureDown] == 0 && s.probed(host, "http", page).State == wire.ProbeUp
	})
	before := s.measured(host)
	t.Logf("before: %v", before.Values)
	for _, m := range []wire.Measure{
		wire.MeasureCPU, wire.MeasureMemory, wire.MeasureFree, wire.MeasureBoot, wire.MeasureUnits, wire.MeasureDown, wire.MeasurePorts, wire.MeasureUnsynced, wire.MeasureUse,
	} {
		if _, ok := before.Values[m]; !ok {
			t.Errorf("%s is absent", m)
		}
	}
	if boot := before.Values[wire.MeasureBoot]; boot <= 0 || boot > 120 {
		t.Errorf("it booted in %v s", boot)
	}
	if before.Values[wire.MeasurePorts] < 1 || before.Values[wire.MeasureUse] != 100 {
		t.Errorf("before: %v", before.Values)
	}
	for range 20 { // each is a connection to systemd, which is not to lose its first call
		if p := s.probed(host, "service", "lab-svc"); p.State != wire.ProbeUp {
			t.Errorf("lab-svc: %+v", p.Cause)
		}
	}

	_, err := s.fleet.Run(t.Context(), host, "systemctl", "stop", "lab-svc")
	must(t, err)
	stopped := s.measured(host)
	if stopped.Values[wire.MeasureDown] != 1 || !slices.Contains(stopped.Down, "lab-svc.service") || stopped.Values[wire.MeasurePorts] >= before.Values[wire.MeasurePorts] {
		t.Errorf("with lab-svc stopped: %v, down %v", stopped.Values, stopped.Down)
	}
	if p := s.probed(host, "http", page); p.Cause == nil || p.Cause.Code != "probe_refused" {
		t.Errorf("its page: %+v", p)
	}
	if p := s.probed(host, "service", "lab-svc"); p.Cause == nil || p.Cause.Code != "probe_not_running" {
		t.Errorf("its service: %+v", p)
	}

	_, err = s.fleet.Run(t.Context(), host, "apt-get", "install", "-y", "-q", "lab-dead=1.1", "lab-burn=1.1")
	must(t, err)
	s.await("lab-dead is counted", time.Minute, func() bool {
		m := s.measured(host)
		return slices.Contains(m.Down, "lab-dead.service") && m.Values[wire.MeasureDown] == 2
	})
	start, burnt := time.Now(), s.burnt(host)
	measured := s.measured(host).Values[wire.MeasureCPU]
	took := s.burnt(host) - burnt
	// How much it gets depends on who else works on this machine.
	if share := 100 * took.Seconds() / time.Since(start).Seconds() / float64(runtime.NumCPU()); took < 50*time.Millisecond || measured < share/2 {
		t.Errorf("lab-burn took %s, %.1f %% of the processors: %.1f %% is measured", took, share, measured)
	}
	s.await("the agent's own sample says so", 2*time.Minute, func() bool {
		res, err := s.fleet.Exec(t.Context(), host, nil, demo.Agent, "status", "--json")
		var status struct {
			Connected bool         `json:"connected"`
			Sample    *wire.Sample `json:"sample"`
		}
		return err == nil && json.Unmarshal(res.Stdout, &status) == nil && status.Connected && status.Sample != nil && slices.Contains(status.Sample.Down, "lab-dead.service")
	})
}
