package observer

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"maps"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/journal"
	"patchring/internal/endpoint/vitals"
	"patchring/wire"
)

// watched is a device with an observer on a real journal.
type watched struct {
	fail    func(string, ...any)
	dir     string
	journal *journal.Journal
	o       *Observer
	key     ed25519.PrivateKey
	now     time.Time
	reading vitals.Reading
	probes  []wire.Probe
	states  []wire.ProbeState
	tells   int
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func watch(t *testing.T) *watched {
	dir, err := os.MkdirTemp("/dev/shm", "observer-test-")
	if err != nil {
		dir = t.TempDir()
	}
	w := newWatched(dir, t.Fatalf)
	t.Cleanup(func() {
		if err := w.journal.Close(); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return w
}

func newWatched(dir string, fail func(string, ...any)) *watched {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		fail("%v", err)
	}
	w := &watched{fail: fail, dir: dir, key: key, now: noon, reading: vitals.Reading{Values: map[wire.Measure]float64{}}}
	w.start()
	return w
}

func (w *watched) Watch(probes []wire.Probe) { w.probes = probes }
func (w *watched) States() []wire.ProbeState { return w.states }

func (w *watched) start() {
	j, err := journal.Open(w.dir)
	if err != nil {
		w.fail("%v", err)
	}
	public := w.key.Public().(ed25519.PublicKey)
	w.journal = j
	w.o, err = New(Options{
		Tenant: "main", Device: "d1", Keys: []wire.Key{{ID: wire.KeyID(public), Public: public}}, Journal: j, Prober: w,
		Read: func(context.Context) vitals.Reading {
			return vitals.Reading{Values: maps.Clone(w.reading.Values), Down: w.reading.Down}
		},
		BootID: func() (string, error) { return "boot-1", nil }, Now: func() time.Time { return w.now },
		Tell: func() { w.tells++ }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.fail("%v", err)
	}
}

// kill ends the agent where it is.
func (w *watched) kill() {
	if err := w.journal.Close(); err != nil {
		w.fail("%v", err)
	}
	w.start()
}

func (w *watched) look(values map[wire.Measure]float64) {
	w.reading.Values = values
	if err := w.o.Look(context.Background()); err != nil {
		w.fail("look: %v", err)
	}
}

func (w *watched) points() []wire.Point {
	list, err := w.journal.Points(math.MaxInt)
	if err != nil {
		w.fail("%v", err)
	}
	return list
}

func (w *watched) report() wire.MeasuresReport {
	m, _, err := w.o.Report()
	if err != nil {
		w.fail("%v", err)
	}
	return m
}

func TestAPointIsMeanWorstAndSum(t *testing.T) {
	w := watch(t)
	for i, v := range []map[wire.Measure]float64{
		{wire.MeasureCPU: 10, wire.MeasureFree: 50, wire.MeasureCrashes: 0, wire.MeasureUse: 100, wire.MeasureMemory: 40},
		{wire.MeasureCPU: 40, wire.MeasureFree: 20, wire.MeasureCrashes: 2, wire.MeasureUse: 0, wire.MeasureMemory: 40},
		{wire.MeasureCPU: 10, wire.MeasureFree: 50, wire.MeasureCrashes: 1, wire.MeasureUse: 100, wire.MeasureMemory: 40, wire.MeasureBoot: 9},
	} {
		w.now = noon.Add(time.Duration(i+1) * time.Minute)
		w.look(v)
	}
	if list := w.points(); len(list) != 0 {
		t.Fatalf("points before the five minutes are over: %+v", list)
	}
	w.now = noon.Add(5 * time.Minute)
	w.look(map[wire.Measure]float64{wire.MeasureCPU: 1})
	list := w.points()
	if len(list) != 1 {
		t.Fatalf("%d points", len(list))
	}
	p := list[0]
	wantMean := map[wire.Measure]float64{wire.MeasureCPU: 20, wire.MeasureFree: 40, wire.MeasureCrashes: 3, wire.MeasureUse: 66.667, wire.MeasureMemory: 40, wire.MeasureBoot: 9}
	wantWorst := map[wire.Measure]float64{wire.MeasureCPU: 40, wire.MeasureFree: 20}
	if p.AtUS != noon.UnixMicro() || p.N != 3 || !maps.Equal(p.Mean, wantMean) || !maps.Equal(p.Worst, wantWorst) {
		t.Errorf("point %+v, want mean %v and worst %v", p, wantMean, wantWorst)
	}
}

func TestAProbeThatWasDownBetweenTwoSamplesIsInThePoint(t *testing.T) {
	w := watch(t)
	state := func(s string) []wire.ProbeState {
		return []wire.ProbeState{{Name: "web", State: s, AtUS: w.now.UnixMicro()}}
	}
	w.states = state(wire.ProbeUp)
	w.look(map[wire.Measure]float64{wire.MeasureCPU: 5, wire.MeasureCrashes: 1})
	if _, err := w.o.Said(w.report(), wire.MeasuresReply{}); err != nil {
		t.Fatal(err)
	}
	before := w.tells
	w.states = state(wire.ProbeDown)
	read := w.now
	w.now = w.now.Add(time.Second)
	w.o.Probed()
	m := w.report()
	if w.tells != before+1 || m.Sample == nil || m.Sample.Values[wire.MeasureProbesDown] != 1 || m.Sample.Values[wire.MeasureCPU] != 5 {
		t.Fatalf("told %d times, sample %+v", w.tells-before, m.Sample)
	}
	if _, twice := m.Sample.Values[wire.MeasureCrashes]; twice {
		t.Error("a crash that was said is said again with the probe")
	}
	w.now = w.now.Add(time.Second)
	w.o.Probed()
	for i, m := range []wire.MeasuresReport{m, w.report()} {
		if m.Sample.AtUS <= read.UnixMicro() || m.Sample.ReadUS != read.UnixMicro() {
			t.Errorf("said again for the %d. time as if it were read now: %+v", i+1, m.Sample)
		}
	}
	w.states = state(wire.ProbeUp)
	w.now = noon.Add(time.Minute)
	w.look(map[wire.Measure]float64{wire.MeasureCPU: 5})
	w.now = noon.Add(6 * time.Minute)
	w.look(map[wire.Measure]float64{wire.MeasureCPU: 5})
	if p := w.points()[0]; len(p.Probes) != 1 || p.Probes[0].State != wire.ProbeDown || p.N != 2 {
		t.Errorf("point %+v, want the probe down", p)
	}
}

func TestAVetoedProbeIsNotCountedAsDown(t *testing.T) {
	w := watch(t)
	w.states = []wire.ProbeState{
		{Name: "a", State: wire.ProbeDown, Cause: &wire.Cause{Code: string(fault.LocalVeto)}}, {Name: "b", State: wire.ProbeUp},
	}
	w.look(nil)
	if m := w.report(); m.Sample.Values[wire.MeasureProbesDown] != 0 || len(m.Sample.Probes) != 2 {
		t.Errorf("sample %+v", m.Sample)
	}
}

func TestOfflineSamplesAreDroppedAndPointsKept(t *testing.T) {
	w := watch(t)
	w.look(map[wire.Measure]float64{wire.MeasureCPU: 5})
	w.now = noon.Add(3 * time.Hour)
	if m, ok, err := w.o.Report(); ok || err != nil {
		t.Errorf("a sample of three hours ago is said: %+v %v", m, err)
	}
	for i := range 200 {
		w.now = noon.Add(3*time.Hour + time.Duration(i)*5*time.Minute)
		w.look(map[wire.Measure]float64{wire.MeasureCPU: 5})
	}
	kept := len(w.points())
	if kept != 200 {
		t.Fatalf("%d points are kept, want 200", kept)
	}
	for more, sends := true, 0; more; sends++ {
		m := w.report()
		if len(m.Points) > wire.MaxPointsPerSend || sends > 4 || m.BootID != "boot-1" {
			t.Fatalf("report %d of %d points, boot %s", sends, len(m.Points), m.BootID)
		}
		var err error
		if more, err = w.o.Said(m, wire.MeasuresReply{UpToUS: m.Points[len(m.Points)-1].AtUS}); err != nil {
			t.Fatal(err)
		}
		if (m.Sample != nil) != (sends == 0) {
			t.Errorf("send %d has sample %v: it is said once", sends, m.Sample)
		}
	}
	if left := w.points(); len(left) != 0 {
		t.Errorf("%d points left", len(left))
	}
}

func TestAClockThatIsPutBackLeavesNoPointsOfTheFuture(t *testing.T) {
	w := watch(t)
	v := map[wire.Measure]float64{wire.MeasureCPU: 5}
	w.look(v)
	w.now = noon.AddDate(1, 0, 0) // somebody sets the wrong year
	w.look(v)
	w.now = w.now.Add(5 * time.Minute)
	w.look(v)
	if n := len(w.points()); n != 2 {
		t.Fatalf("%d points, want the last of this year and one of the next", n)
	}
	w.now = noon.Add(2 * time.Minute) // and puts it right
	w.look(v)
	w.now = noon.Add(5 * time.Minute)
	w.look(v)
	list := w.points()
	if len(list) != 1 || list[0].AtUS != noon.UnixMicro() || list[0].N != 2 {
		t.Errorf("points %+v, want the one of noon, of both samples in it", list)
	}
}

func TestAnAcknowledgementForgetsOnlyWhatWasSent(t *testing.T) {
	w := watch(t)
	v := map[wire.Measure]float64{wire.MeasureCPU: 5}
	for _, at := range []time.Duration{0, 5 * time.Minute} {
		w.now = noon.Add(at)
		w.look(v)
	}
	m := w.report() // on its way
	w.now = noon.Add(10 * time.Minute)
	w.look(v)
	if _, err := w.o.Said(m, wire.MeasuresReply{UpToUS: noon.AddDate(1, 0, 0).UnixMicro()}); err != nil {
		t.Fatal(err)
	}
	if list := w.points(); len(list) != 1 || list[0].AtUS != noon.Add(5*time.Minute).UnixMicro() {
		t.Errorf("left are %+v, want the one that was never sent", list)
	}
}

func (w *watched) seal(watch wire.Watch) wire.Envelope {
	e, err := wire.Seal(wire.EnvelopeWatch, watch, w.key)
	if err != nil {
		w.fail("%v", err)
	}
	return e
}

func TestAWatchIsTakenFromItsServerOnlyAndTheNewestStands(t *testing.T) {
	w := watch(t)
	told := wire.Watch{Tenant: "main", Device: "d1", Serial: 2, SampleS: 5, Probes: []wire.Probe{{Name: "a", Type: wire.ProbeTCP}}}
	if err := w.o.Take(w.seal(told)); err != nil {
		t.Fatal(err)
	}
	old, elsewhere, other := told, told, told
	old.Serial, old.SampleS = 1, 600
	elsewhere.Device, elsewhere.Serial = "d2", 9
	other.Tenant, other.Serial = "theirs", 9
	if err := w.o.Take(w.seal(old)); err != nil {
		t.Errorf("an older one: %v", err)
	}
	_, stranger, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := wire.Seal(wire.EnvelopeWatch, wire.Watch{Tenant: "main", Device: "d1", Serial: 9}, stranger)
	if err != nil {
		t.Fatal(err)
	}
	order, err := wire.Seal(wire.EnvelopeOrder, wire.Watch{Tenant: "main", Device: "d1", Serial: 9}, w.key)
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]wire.Envelope{"forged": forged, "another kind": order, "another device": w.seal(elsewhere), "another tenant": w.seal(other)} {
		if err := w.o.Take(e); fault.CodeOf(err) != fault.OrderForged {
			t.Errorf("%s: %v", name, err)
		}
	}
	for range 2 {
		serial, err := w.o.Serial()
		if err != nil || serial != 2 || w.o.pause() != 5*time.Second || !slices.Equal(w.probes, told.Probes) {
			t.Errorf("serial %d %v, a sample each %s, probes %v", serial, err, w.o.pause(), w.probes)
		}
		w.kill() // it stands after a restart too
	}
	w.o.Device = "d9" // enrolled anew, in the same directory
	if serial, err := w.o.Serial(); serial != 0 || err != nil {
		t.Errorf("a new enrolment has serial %d %v of the old one", serial, err)
	}
}

func TestThePaceOfSamplesIsBounded(t *testing.T) {
	w := watch(t)
	for serial, c := range []struct {
		s    int64
		want time.Duration
	}{{0, time.Minute}, {-5, time.Minute}, {1 << 40, time.Hour}, {30, 30 * time.Second}} {
		if err := w.o.Take(w.seal(wire.Watch{Tenant: "main", Device: "d1", Serial: int64(serial + 1), SampleS: c.s})); err != nil {
			t.Fatal(err)
		}
		if got := w.o.pause(); got != c.want {
			t.Errorf("sample_s %d: each %s, want %s", c.s, got, c.want)
		}
	}
}

// However the agent is killed, restarted, cut off and acknowledged: each crash
// that was counted arrives once, in the point of its time.
func TestNoSampleIsLostOrCountedTwice(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp("/dev/shm", "observer-test-")
		if err != nil {
			dir = t.TempDir()
		}
		defer os.RemoveAll(dir)
		w := newWatched(dir, rt.Fatalf)
		defer func() {
			if err := w.journal.Close(); err != nil {
				rt.Error(err)
			}
		}()
		want, server := map[int64]float64{}, map[int64]float64{}
		send := func() {
			for more := true; more; {
				m, ok, err := w.o.Report()
				if err != nil {
					rt.Fatal(err)
				}
				if !ok || len(m.Points) == 0 {
					return
				}
				upTo := rapid.IntRange(1, len(m.Points)).Draw(rt, "committed")
				for _, p := range m.Points[:upTo] {
					if _, again := server[p.AtUS]; !again {
						server[p.AtUS] = p.Mean[wire.MeasureCrashes]
					}
				}
				if !rapid.Bool().Draw(rt, "the answer arrives") {
					return
				}
				if more, err = w.o.Said(m, wire.MeasuresReply{UpToUS: m.Points[upTo-1].AtUS}); err != nil {
					rt.Fatal(err)
				}
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"sample": func(rt *rapid.T) {
				w.now = w.now.Add(time.Duration(rapid.IntRange(1, 400).Draw(rt, "seconds")) * time.Second)
				n := float64(rapid.IntRange(0, 3).Draw(rt, "crashes"))
				want[beginning(w.now.UnixMicro())] += n
				w.look(map[wire.Measure]float64{wire.MeasureCrashes: n})
			},
			"send": func(*rapid.T) { send() },
			"kill": func(*rapid.T) { w.kill() },
		})
		w.now = w.now.Add(10 * time.Minute)
		w.look(nil)
		for range 1000 { // answers may be lost, not for ever
			if len(w.points()) == 0 {
				break
			}
			send()
		}
		if !maps.Equal(want, server) {
			rt.Fatalf("the server has %v, counted were %v", server, want)
		}
	})
}

// A write that fails, stored or not, loses no more than nothing.
func TestAPointWhoseCommitFailsIsNeitherLostNorDoubled(t *testing.T) {
	for _, stored := range []bool{false, true} {
		w := watch(t)
		w.look(map[wire.Measure]float64{wire.MeasureCrashes: 2})
		w.now = noon.Add(5 * time.Minute)
		w.o.Journal = &failing{Journal: w.journal, stored: stored}
		w.reading.Values = map[wire.Measure]float64{wire.MeasureCrashes: 1}
		if err := w.o.Look(t.Context()); err == nil {
			t.Fatal("the failure is not told")
		}
		w.o.Journal = w.journal
		w.kill()
		for _, at := range []time.Duration{6, 10} {
			w.now = noon.Add(at * time.Minute)
			w.look(map[wire.Measure]float64{wire.MeasureCrashes: 0})
		}
		var sum float64
		for _, p := range w.points() {
			sum += p.Mean[wire.MeasureCrashes]
		}
		if sum != 3 {
			t.Errorf("stored %v: %v crashes arrive, want 3: %+v", stored, sum, w.points())
		}
	}
}

type failing struct {
	*journal.Journal
	stored bool
}

func (f *failing) ClosePoint(n int64, p wire.Point, join func(a, b wire.Point) wire.Point) (int, error) {
	if f.stored {
		if _, err := f.Journal.ClosePoint(n, p, join); err != nil {
			return 0, err
		}
	}
	return 0, os.ErrDeadlineExceeded
}

func TestTwoPointsOfTheSameFiveMinutesBecomeOne(t *testing.T) {
	a := wire.Point{AtUS: 1, N: 1, Mean: map[wire.Measure]float64{wire.MeasureCPU: 10, wire.MeasureFree: 30, wire.MeasureCrashes: 1}}
	b := wire.Point{AtUS: 1, N: 3, Mean: map[wire.Measure]float64{wire.MeasureCPU: 20, wire.MeasureFree: 20, wire.MeasureCrashes: 2, wire.MeasureLoad: 4}, Worst: map[wire.Measure]float64{wire.MeasureCPU: 50, wire.MeasureFree: 5}}
	for _, got := range []wire.Point{join(a, b), join(b, a)} {
		if got.N != 4 || !maps.Equal(got.Mean, map[wire.Measure]float64{wire.MeasureCPU: 17.5, wire.MeasureFree: 22.5, wire.MeasureCrashes: 3, wire.MeasureLoad: 4}) ||
			!maps.Equal(got.Worst, map[wire.Measure]float64{wire.MeasureCPU: 50, wire.MeasureFree: 5}) {
			t.Errorf("joined %+v", got)
		}
	}
}

func TestPointsOfMoreThanSevenDaysGiveWayOldestFirst(t *testing.T) {
	w := watch(t)
	const week = 7 * 24 * 3600 / wire.PointS
	for i := range week + 4 {
		w.now = noon.Add(time.Duration(i) * wire.PointS * time.Second)
		w.look(map[wire.Measure]float64{wire.MeasureCPU: 5})
	}
	list := w.points()
	if first := noon.Add(3 * wire.PointS * time.Second).UnixMicro(); len(list) != week || list[0].AtUS != first {
		t.Errorf("%d points from %d on are kept, want %d from %d on", len(list), list[0].AtUS, week, first)
	}
	if n, err := w.journal.PointsKept(); n != week || err != nil {
		t.Errorf("%d are counted, %v", n, err)
	}
}
