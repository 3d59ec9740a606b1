package agent

import (
	"log/slog"
	"net"
	"testing"

	"patchring/internal/endpoint/units"
	"patchring/internal/endpoint/vitals"
	"patchring/wire"
)

func (s *site) lastSample() *wire.Sample {
	for i := len(s.measures) - 1; i >= 0; i-- {
		if s.measures[i].Sample != nil {
			return s.measures[i].Sample
		}
	}
	return nil
}

// What a device is told to watch, pushed or by a check-in, it does at once; what
// changes it says at once.
func TestAnAgentWatchesWhatItIsTold(t *testing.T) {
	s := newSite(t)
	b := &box{version: "1"}
	d := b.device()
	d.Measure = func(workstation func() (is, ok bool), log *slog.Logger) *vitals.Sampler {
		return vitals.Here(units.New(), d.Uptime, workstation, log)
	}
	dir := s.enrolled()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	watch := wire.Watch{Tenant: tenant, Device: device, Serial: 1, SampleS: 1, Probes: []wire.Probe{
		{Name: "port", Type: wire.ProbeTCP, Target: l.Addr().String(), EveryS: 1, TimeoutS: 5},
	}}
	e, err := wire.Seal(wire.EnvelopeWatch, watch, s.order)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.replies = append(s.replies, wire.CheckinReply{Watch: &e})
	s.mu.Unlock()
	_, stop := s.start(dir, d)
	s.eventually("a sample with the port up", func() bool {
		m := s.lastSample()
		return m != nil && len(m.Probes) == 1 && m.Probes[0].State == wire.ProbeUp && m.Values[wire.MeasureProbesDown] == 0
	})
	s.eventually("a sample of the machine", func() bool { return s.lastSample().Values[wire.MeasureMemory] > 0 })
	watch.Serial, watch.Probes[0].Name, watch.Probes[0].Target = 2, "closed", closedPort(t)
	s.push(wire.EnvelopeWatch, watch)
	s.eventually("a sample with the other one down", func() bool {
		m := s.lastSample()
		return len(m.Probes) == 1 && m.Probes[0].Name == "closed" && m.Probes[0].Cause != nil && m.Values[wire.MeasureProbesDown] == 1
	})
	s.eventually("its status says so", func() bool {
		status, err := ReadStatus(dir, "1")
		return err == nil && status.Sample != nil && len(status.Sample.Probes) == 1 && status.Sample.Probes[0].State == wire.ProbeDown
	})
	// The order's own probing comes with its result, and the next check-in tells
	// what is watched.
	s.push(wire.EnvelopeOrder, order(1))
	s.eventually("the result has the probe", func() bool {
		for _, e := range s.events {
			if e.Kind == wire.EventResult {
				return len(e.Result.Probes) == 1 && e.Result.Probes[0].Name == "closed"
			}
		}
		return false
	})
	s.eventually("a check-in with the serial", func() bool { return s.checkins[len(s.checkins)-1].WatchSerial == 2 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	before := len(s.checkins)
	s.mu.Unlock()
	s.start(dir, d)
	s.eventually("it is known after a restart", func() bool { return len(s.checkins) > before && s.checkins[before].WatchSerial == 2 })
}

func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
