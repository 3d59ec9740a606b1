package server_test

import (
	"crypto/ed25519"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

const probesOfServers = `
probes:
  - {name: web, devices: device.kind == "server", http: "http://127.0.0.1/health"}
  - {name: db, devices: device.kind == "server", tcp: "127.0.0.1:5432"}
`

// watching is a device that keeps what it is told to measure, as an agent does.
type watching struct {
	w          *world
	d          *fakeDevice
	capability int
	watch      wire.Watch
	told       int
}

func (w *world) watching(name string, kind fleet.Kind) *watching {
	return &watching{w: w, d: w.device(name, kind, "", nil, nil), capability: wire.CapabilityMeasures}
}

// beat is one check-in; it gives the names of the probes that the device makes.
func (x *watching) beat() []string {
	x.w.t.Helper()
	reply := report[wire.CheckinReply](x.w, x.d, wire.ReportCheckin, wire.Checkin{
		NowUS: x.w.now.UnixMicro(), Capability: x.capability, WatchSerial: x.watch.Serial,
	})
	if reply.Error != nil {
		x.w.t.Fatalf("check-in: %v", reply.Error)
	}
	if reply.Watch != nil {
		x.take(*reply.Watch)
	}
	var names []string
	for _, p := range x.watch.Probes {
		names = append(names, p.Name)
	}
	return names
}

func (x *watching) take(e wire.Envelope) {
	x.w.t.Helper()
	key, err := x.w.srv.Keys.OrderKey("main")
	x.w.must(err)
	public, _ := key.Public().(ed25519.PublicKey)
	var watch wire.Watch
	x.w.must(e.Open(wire.EnvelopeWatch, []wire.Key{{ID: wire.KeyID(public), Public: public}}, &watch))
	if watch.Tenant != "main" || watch.Device != string(x.d.id) || watch.Serial <= x.watch.Serial {
		x.w.t.Fatalf("told %+v after serial %d", watch, x.watch.Serial)
	}
	x.watch = watch
	x.told++
}

// probe lets the prober do all that is due, and gives what is in the outbox.
func (w *world) probe() (sent []string) {
	w.t.Helper()
	for busy := true; busy; {
		var err error
		busy, err = w.srv.Sampler.Step(w.t.Context())
		w.must(err)
	}
	messages, err := w.srv.DB.Read().Outbox(w.t.Context(), 1000)
	w.must(err)
	for _, m := range messages {
		sent = append(sent, m.Subject)
	}
	_, err = w.srv.Conductor.Step(w.t.Context()) // carries them
	w.must(err)
	return sent
}

func TestDevicesAreToldWhatToMeasure(t *testing.T) {
	measuringWorlds(t, func(t *testing.T, w *world) {
		srv, pc := w.watching("srv", fleet.Server), w.watching("pc", fleet.Workstation)
		if sent := w.probe(); len(sent) > 0 || len(srv.beat()) > 0 || srv.told > 0 {
			t.Fatalf("told %v without a policy", sent)
		}
		w.policy(probesOfServers)
		if sent := w.probe(); !slices.Equal(sent, []string{wire.OrderSubject(string(srv.d.id))}) {
			t.Errorf("pushed to %v", sent)
		}
		if got := srv.beat(); !slices.Equal(got, []string{"web", "db"}) || srv.watch.SampleS != wire.DefaultSampleS || len(pc.beat()) > 0 || pc.told > 0 {
			t.Errorf("the server makes %v, the workstation %v", got, pc.beat())
		}
		srv.beat()
		w.now = w.now.Add(3 * time.Hour) // full passes
		if sent := w.probe(); srv.told != 1 || len(sent) > 0 {
			t.Errorf("told the same again: %d times, pushed %v", srv.told, sent)
		}
		w.stop()
		w.serve()
		w.policy("sample_every: 30s\n" + probesOfServers)
		w.probe()
		srv.beat()
		if pc.beat(); srv.watch.SampleS != 30 || srv.watch.Serial != 2 || pc.watch.SampleS != 30 || pc.watch.Serial != 1 {
			t.Errorf("told %+v and %+v", srv.watch, pc.watch)
		}
		w.policy("")
		w.probe()
		if got := srv.beat(); len(got) > 0 || srv.watch.Serial != 3 || srv.watch.SampleS != wire.DefaultSampleS {
			t.Errorf("without probes it is told %+v", srv.watch)
		}
	})
}

// What probes found is forgotten with the probe, or when it looks at something
// else.
func TestProbesThatAreNoMoreAreForgotten(t *testing.T) {
	w := newWorld(t, measureStart)
	srv := w.watching("srv", fleet.Server)
	srv.beat()
	w.policy(probesOfServers)
	w.probe()
	srv.beat()
	m := w.measured(0, 1)
	for _, name := range []string{"web", "db"} {
		m.Sample.Probes = append(m.Sample.Probes, wire.ProbeState{Name: name, State: wire.ProbeUp, AtUS: w.now.UnixMicro(), SinceUS: w.now.UnixMicro()})
	}
	w.measures(srv.d, m)
	if got := w.probes(srv.d); len(got) != 2 {
		t.Fatalf("kept %+v", got)
	}
	w.policy("probes: [{name: web, devices: device.kind == \"server\", http: \"http://127.0.0.1/health\"}, {name: db, process: postgres}]")
	w.probe()
	if got := w.probes(srv.d); len(got) != 2 || got["web"].State != wire.ProbeUp || got["db"].State != string(fleet.ProbeUnknown) {
		t.Errorf("kept %+v", got)
	}
	w.policy("probes: [{name: web, devices: device.kind == \"server\", http: \"http://127.0.0.1/health\"}]")
	w.probe()
	if got := w.probes(srv.d); len(got) != 1 || got["web"].State != wire.ProbeUp {
		t.Errorf("kept %+v", got)
	}
	w.must(w.srv.DB.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.RetireDevice(t.Context(), gen.RetireDeviceParams{Tenant: "main", ID: string(srv.d.id), RetiredUs: w.now.UnixMicro()})
		return err
	}))
	w.now = w.now.Add(2 * time.Hour)
	w.probe()
	if rows, err := w.srv.DB.Read().WatchOf(t.Context(), "main", string(srv.d.id)); err != nil || len(rows) > 0 || len(w.probes(srv.d)) > 0 {
		t.Errorf("a retired device is still told %+v, %v", rows, err)
	}
}

// An agent that knows nothing of probes is told nothing until it is a newer one.
func TestAnAgentOfCapability4IsToldNothing(t *testing.T) {
	w := newWorld(t, measureStart)
	srv := w.watching("srv", fleet.Server)
	srv.capability = wire.CapabilityMeasures - 1
	srv.beat()
	w.policy(probesOfServers)
	if sent := w.probe(); len(sent) > 0 || len(srv.beat()) > 0 {
		t.Errorf("told %v", sent)
	}
	if got := w.probes(srv.d); len(got) != 2 || got["web"].State != string(fleet.ProbeTooOld) {
		t.Errorf("it stands with %+v", got)
	}
	srv.capability = wire.CapabilityMeasures
	srv.beat()
	w.probe()
	if got := srv.beat(); len(got) != 2 {
		t.Errorf("a newer agent makes %v", got)
	}
	if got := w.probes(srv.d); len(got) != 2 || got["web"].State != string(fleet.ProbeUnknown) {
		t.Errorf("it stands with %+v", got)
	}
}

// Facts choose probes: a device whose facts change is looked at again at once.
func TestFactsChooseProbes(t *testing.T) {
	w := newWorld(t, measureStart)
	srv := w.watching("srv", fleet.Server)
	w.policy("probes: [{name: fan, devices: device.model == \"T14\", process: fand}]")
	w.probe()
	if got := srv.beat(); len(got) > 0 {
		t.Fatalf("it makes %v before its facts", got)
	}
	if reply := report[wire.PartReply](w, srv.d, wire.ReportPart, w.facts(srv.d)); reply.Error != nil {
		t.Fatal(reply.Error)
	}
	w.probe()
	if got := srv.beat(); !slices.Equal(got, []string{"fan"}) {
		t.Errorf("it makes %v", got)
	}
}

// A server restored from a backup knows older serials than its devices: it tells
// them again by later ones, also that there is nothing to do.
func TestARestoredServerTellsAgain(t *testing.T) {
	for _, policy := range []string{probesOfServers, ""} {
		w := newWorld(t, measureStart)
		srv := w.watching("srv", fleet.Server)
		w.policy(policy)
		w.probe()
		srv.watch = wire.Watch{Serial: 40, Probes: []wire.Probe{{Name: "old"}}}
		srv.beat()
		w.probe()
		want := []string{"web", "db"}
		if policy == "" {
			want = nil
		}
		if got := srv.beat(); !slices.Equal(got, want) || srv.watch.Serial != 41 {
			t.Errorf("it makes %v by serial %d", got, srv.watch.Serial)
		}
		srv.beat()
		if w.probe(); srv.told != 1 {
			t.Errorf("told %d times", srv.told)
		}
	}
}

// Devices that enrol later are told too, and more than one batch of them.
func TestManyDevicesAreTold(t *testing.T) {
	w := newWorld(t, measureStart)
	w.policy("probes: [{name: cron, process: cron}]")
	w.probe()
	w.must(w.srv.DB.Write(t.Context(), func(tx *store.Tx) error {
		for i := range 450 {
			id := fleet.DeviceID(time.UnixMicro(int64(i)).UTC().Format("dev-05.000000"))
			if err := tx.AddDevice(t.Context(), gen.AddDeviceParams{Tenant: "main", ID: string(id), Name: string(id), Kind: "server", Tags: "{}", Capability: 5}); err != nil {
				return err
			}
		}
		return nil
	}))
	w.srv.Sampler.Enlist()
	if sent := w.probe(); len(sent) != 450 {
		t.Errorf("told %d", len(sent))
	}
	var probes []wire.Probe
	rows, err := w.srv.DB.Read().WatchOf(t.Context(), "main", "dev-00.000449")
	w.must(err)
	w.must(json.Unmarshal([]byte(rows[0].Probes), &probes))
	if len(probes) != 1 || probes[0].Target != "cron" {
		t.Errorf("kept %+v", rows[0])
	}
}
