package main

import (
	"bytes"
	"errors"
	"net"
	"strings"
	"testing"

	"patchring/internal/endpoint/agent"
	"patchring/wire"
)

func TestAProbeOfAPersonSaysUpOrWhyNot(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	var out bytes.Buffer
	if err := run(t.Context(), []string{"probe", "tcp", address}, &out); err != nil || !strings.HasPrefix(out.String(), "up in ") {
		t.Errorf("%v, %q", err, out.String())
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	err = run(t.Context(), []string{"probe", "tcp", address, "--json"}, &out)
	if exit(err) != exitProbeDown || !strings.Contains(out.String(), `"code":"probe_refused"`) {
		t.Errorf("%v, %q", err, out.String())
	}
	for _, args := range [][]string{{"probe"}, {"probe", "smoke", "x"}, {"probe", "tcp"}} {
		if err := run(t.Context(), args, &out); !errors.Is(err, errUsage) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestMeasureNeedsNoServer(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"measure"}, &out); err != nil || !strings.Contains(out.String(), "memory_percent ") {
		t.Errorf("%v, %q", err, out.String())
	}
}

func TestStatusTellsTheLastSampleAndItsProbes(t *testing.T) {
	text := statusText(agent.Status{Enrolled: true, Points: 3, Sample: &wire.Sample{
		AtUS: 1, Values: map[wire.Measure]float64{wire.MeasureCPU: 12.5}, Down: []string{"a.service"},
		Probes: []wire.ProbeState{{Name: "web", State: wire.ProbeDown, SinceUS: 1, Cause: &wire.Cause{Code: "probe_refused"}}},
	}})
	for _, want := range []string{"cpu_percent          12.5", "down: a.service", "probe web: down since", "(probe_refused)", "3 of measures to deliver"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
