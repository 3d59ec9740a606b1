package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/agent"
	"patchring/wire"
)

// words is where what could not be measured is told to a person.
func words() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func (o options) measure(ctx context.Context, out io.Writer) error {
	r := agent.Measure(ctx, agent.ThisDevice(o.dir), words())
	sample := wire.Sample{AtUS: time.Now().UnixMicro(), Values: r.Values, Down: r.Down}
	if o.json {
		return json.NewEncoder(out).Encode(sample)
	}
	return say(out, "%s\n", strings.Join(sampleText(sample), "\n"))
}

// probeTimeoutS is how long a probe of a person may take.
const probeTimeoutS = 10

func (o options) probe(ctx context.Context, args []string, out io.Writer) error {
	types := []wire.ProbeType{wire.ProbeService, wire.ProbeProcess, wire.ProbeTCP, wire.ProbeHTTP, wire.ProbeCertificate}
	if len(args) != 2 || !slices.Contains(types, wire.ProbeType(args[0])) {
		return fmt.Errorf("probe takes a type (service, process, tcp, http, certificate) and a target: %w", errUsage)
	}
	found := agent.Probe(ctx, agent.ThisDevice(o.dir), wire.Probe{
		Name: args[1], Type: wire.ProbeType(args[0]), Target: args[1], TimeoutS: probeTimeoutS, MinDays: o.days, Contains: o.contains,
	}, words())
	var err error
	if o.json {
		err = json.NewEncoder(out).Encode(found)
	} else {
		err = say(out, "%s in %d ms%s\n", found.State, found.MS, causeText(found))
	}
	if found.State != wire.ProbeUp {
		err = errors.Join(err, errProbeDown)
	}
	return err
}

// sampleText is a measure a line, and then the probes.
func sampleText(sample wire.Sample) (lines []string) {
	for _, m := range wire.Measures() {
		if v, ok := sample.Values[m]; ok {
			lines = append(lines, fmt.Sprintf("%-20s %g", m, v))
		}
	}
	if len(sample.Down) > 0 {
		lines = append(lines, "down: "+strings.Join(sample.Down, ", "))
	}
	for _, p := range sample.Probes {
		since := time.UnixMicro(p.SinceUS).Format(time.RFC3339)
		lines = append(lines, fmt.Sprintf("probe %s: %s since %s%s", p.Name, p.State, since, causeText(p)))
	}
	return lines
}

func causeText(p wire.ProbeState) string {
	if p.Cause == nil {
		return ""
	}
	return " (" + fault.Reason{Code: fault.Code(p.Cause.Code), Args: p.Cause.Args}.String() + ")"
}
