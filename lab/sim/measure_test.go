package sim

import (
	"errors"
	"testing"
	"time"

	"patchring/wire"
)

func TestAHarmfulUpdateShowsInMeasuresAndProbesUntilItIsRolledBack(t *testing.T) {
	harm, err := ParseHarm("*,cpu_percent=70,probes,service=app.service")
	if err != nil {
		t.Fatal(err)
	}
	d := alone(t, nil)
	d.s.Harm = []Harm{harm}
	d.beginPulse()
	d.pulse.watch = wire.Watch{Serial: 1, Probes: []wire.Probe{{Name: "app", Type: wire.ProbeTCP, Target: "127.0.0.1:80"}}}
	look := func() wire.Sample { return d.sample(time.Now()) }
	before := look()
	if before.Values[wire.MeasureCPU] > 60 || before.Probes[0].State != wire.ProbeUp || before.Values[wire.MeasureProbesDown] != 0 {
		t.Fatalf("before the update %+v", before)
	}
	o := d.offered(open())
	d.accept(d.sealed(t, o))
	d.live()
	during := look()
	if during.Values[wire.MeasureCPU] < 70 || during.Values[wire.MeasureDown] != 1 || during.Values[wire.MeasureProbesDown] != 1 ||
		len(during.Down) != 1 || during.Probes[0].State != wire.ProbeDown || during.Probes[0].Cause == nil {
		t.Errorf("after the update %+v", during)
	}
	if probes := d.result(t).Probes; len(probes) != 1 || probes[0].State != wire.ProbeDown {
		t.Errorf("the result tells of %+v", probes)
	}
	back := o
	back.ID, back.Serial, back.Kind = "o2", 2, wire.OrderRollback
	for i := range back.Items {
		for j := range back.Items[i].Packages {
			c := &back.Items[i].Packages[j]
			c.From, c.To = c.To, "0"
		}
	}
	d.accept(d.sealed(t, back))
	d.live()
	if after := look(); after.Values[wire.MeasureCPU] >= 70 || after.Probes[0].State != wire.ProbeUp {
		t.Errorf("after the rollback %+v", after)
	}
}

func TestSamplesBecomePointsThatWaitForTheServer(t *testing.T) {
	d := alone(t, nil)
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for minute := range 12 {
		d.sampled(d.sample(at.Add(time.Duration(minute) * time.Minute)))
	}
	m, ok := d.measures(at)
	if !ok || m.Sample == nil || len(m.Points) != 2 || m.Points[0].N != 5 || m.Points[0].AtUS != at.UnixMicro() {
		t.Fatalf("it says %+v", m)
	}
	if e := d.measuresTaken(wire.MeasuresReply{UpToUS: m.Points[0].AtUS}); e != nil {
		t.Fatal(e)
	}
	if m, ok := d.measures(at); !ok || m.Sample != nil || len(m.Points) != 1 {
		t.Errorf("then it says %+v, want the other point", m)
	}
	if e := d.measuresTaken(wire.MeasuresReply{Error: &wire.Error{Code: "invalid_field"}}); e != nil || d.sampleEvery() != 0 {
		t.Errorf("a server that knows no measures: %v, a sample each %s", e, d.sampleEvery())
	}
}

func TestHarmThatCannotBeReadIsRefused(t *testing.T) {
	for _, text := range []string{"", ",probes", "a,share=2", "a,cpu=7", "a,cpu_percent=much", "a,service="} {
		if _, err := ParseHarm(text); !errors.Is(err, ErrOptions) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
