package series

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"patchring/wire"
)

const at = int64(1_773_360_000_000_000) // a multiple of six hours

func point(slot int64, n int, mean map[wire.Measure]float64) wire.Point {
	return wire.Point{AtUS: at + slot*PointUS, N: n, Mean: mean}
}

// frozen is what version 1 makes of two points: what is stored stays readable.
const frozen = `01020a09004508000201004502c413911300021002010046c8010001`

// Every measure of the wire can be kept, and keeps its number for ever.
func TestEveryMeasureHasItsNumber(t *testing.T) {
	for _, m := range wire.Measures() {
		if !Known(m) {
			t.Errorf("%s cannot be kept", m)
		}
	}
	b := Recent(at)
	b.Put(point(0, 5, map[wire.Measure]float64{wire.MeasureCPU: 12.5, wire.MeasureProbesDown: 1}))
	b.Put(point(71, 4, map[wire.Measure]float64{wire.MeasureCPU: 0.25}))
	if got := hex.EncodeToString(b.Pack()); got != frozen {
		t.Errorf("packed %s, want %s", got, frozen)
	}
	read := Recent(at)
	body, err := hex.DecodeString(frozen)
	if err != nil {
		t.Fatal(err)
	}
	if err := read.Unpack(body); err != nil || len(read.Points()) != 2 {
		t.Errorf("the frozen form is read as %+v, %v", read.Points(), err)
	}
}

func TestAPointAgainChangesNothing(t *testing.T) {
	b := Recent(at)
	p := point(3, 5, map[wire.Measure]float64{wire.MeasureCPU: 10})
	if !b.Put(p) || b.Put(p) {
		t.Error("a point again counts as a change")
	}
	if b.Put(point(3, 4, map[wire.Measure]float64{wire.MeasureCPU: 99})) {
		t.Error("one with fewer samples replaces it")
	}
	if !b.Put(point(3, 6, map[wire.Measure]float64{wire.MeasureMemory: 7})) {
		t.Error("one with more samples does not replace it")
	}
	got := b.Points()
	if len(got) != 1 || len(got[0].Mean) != 1 || got[0].Mean[wire.MeasureMemory] != 7 || got[0].N != 6 {
		t.Errorf("kept %+v", got)
	}
}

func TestWhatWasNotMeasuredIsNotKept(t *testing.T) {
	b := Recent(at)
	b.Put(point(0, 1, map[wire.Measure]float64{
		wire.MeasureCPU: math.NaN(), wire.MeasureLoad: math.Inf(1), wire.MeasureMemory: -1, wire.MeasureDisk: 2e9, "made_up": 1, wire.MeasureUse: 0,
	}))
	if got := b.Points(); len(got) != 1 || len(got[0].Mean) != 1 || got[0].Mean[wire.MeasureUse] != 0 {
		t.Errorf("kept %+v", got)
	}
	for _, p := range []wire.Point{point(-1, 1, nil), point(72, 1, nil), point(1, 0, nil), point(1, -3, nil)} {
		if b.Put(p) {
			t.Errorf("took %+v", p)
		}
	}
}

func TestHoursSumPointsUp(t *testing.T) {
	b := Recent(at)
	b.Put(wire.Point{
		AtUS: at, N: 1, Mean: map[wire.Measure]float64{wire.MeasureCPU: 10, wire.MeasureCrashes: 2, wire.MeasureFree: 40},
		Worst: map[wire.Measure]float64{wire.MeasureCPU: 30, wire.MeasureFree: 35},
	})
	b.Put(point(11, 3, map[wire.Measure]float64{wire.MeasureCPU: 50, wire.MeasureCrashes: 1, wire.MeasureFree: 20}))
	b.Put(point(12, 2, map[wire.Measure]float64{wire.MeasureCPU: 7}))
	hours := b.Hours()
	if len(hours) != 2 || hours[0].AtUS != at || hours[1].AtUS != at+HourUS {
		t.Fatalf("hours %+v", hours)
	}
	h := hours[0]
	if h.N != 4 || h.Mean[wire.MeasureCPU] != 40 || h.Worst[wire.MeasureCPU] != 50 || h.Mean[wire.MeasureCrashes] != 3 ||
		h.Mean[wire.MeasureFree] != 25 || h.Worst[wire.MeasureFree] != 20 {
		t.Errorf("hour %+v", h)
	}
	s, past := Series{}, Past(at)
	s.Add(b, Ask{FromUS: at, ToUS: at + RecentUS, Hourly: true})
	if got := s[wire.MeasureCPU]; len(got) != 2 || got[0].Mean != 40 || got[0].Worst != 50 || got[0].N != 4 || s[wire.MeasureCrashes][0].Mean != 3 {
		t.Errorf("hours read of points: %+v", s)
	}
	for _, h := range hours {
		past.Put(h)
	}
	if p := past.Points(); len(p) != 2 || p[0].Mean[wire.MeasureCPU] != 40 {
		t.Errorf("hours kept: %+v", p)
	}
}

func TestAReaderGetsWhatItAskedFor(t *testing.T) {
	b := Recent(at)
	for slot := range int64(72) {
		b.Put(point(slot, 5, map[wire.Measure]float64{wire.MeasureCPU: float64(slot), wire.MeasureUse: 1}))
	}
	s := Series{}
	s.Add(b, Ask{FromUS: at + 2*PointUS, ToUS: at + 5*PointUS, Measures: []wire.Measure{wire.MeasureCPU}})
	if got := s[wire.MeasureCPU]; len(s) != 1 || len(got) != 3 || got[0].Mean != 2 || got[2].AtUS != at+4*PointUS || got[0].StepS != wire.PointS {
		t.Errorf("read %+v", s)
	}
}

// Points that came after their hour was merged wait for the next merge.
func TestAnHourIsNotReadTwice(t *testing.T) {
	past, recent, s := Past(at), Recent(at), Series{}
	past.Put(point(0, 60, map[wire.Measure]float64{wire.MeasureCPU: 10}))
	recent.Put(point(3, 5, map[wire.Measure]float64{wire.MeasureCPU: 90}))
	recent.Put(point(12, 5, map[wire.Measure]float64{wire.MeasureCPU: 30}))
	for _, b := range []*Block{past, recent} {
		s.Add(b, Ask{FromUS: at, ToUS: at + RecentUS})
	}
	if got := s[wire.MeasureCPU]; len(got) != 2 || got[0].Mean != 10 || got[1].Mean != 30 {
		t.Errorf("read %+v", got)
	}
}

// What is read is what was put, to half a hundredth.
func TestPackedBlocksReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Recent(at)
		put := map[int64]wire.Point{}
		for range rapid.IntRange(0, 72).Draw(t, "points") {
			p := point(rapid.Int64Range(0, 71).Draw(t, "slot"), rapid.IntRange(1, 40).Draw(t, "n"), map[wire.Measure]float64{})
			p.Worst = map[wire.Measure]float64{}
			for _, m := range rapid.SliceOfDistinct(rapid.SampledFrom(wire.Measures()), rapid.ID[wire.Measure]).Draw(t, "measures") {
				p.Mean[m], p.Worst[m] = rapid.Float64Range(0, Most).Draw(t, "mean"), rapid.Float64Range(0, Most).Draw(t, "worst")
			}
			if b.Put(p) {
				put[p.AtUS] = p
			}
		}
		body := b.Pack()
		read := Recent(at)
		if err := read.Unpack(body); err != nil {
			t.Fatal(err)
		}
		points := read.Points()
		if len(points) != len(put) || !bytes.Equal(read.Pack(), body) {
			t.Fatalf("%d points of %d", len(points), len(put))
		}
		for _, p := range points {
			want := put[p.AtUS]
			if p.N != want.N || len(p.Mean) != len(want.Mean) {
				t.Fatalf("read %+v, put %+v", p, want)
			}
			for m, v := range want.Mean {
				if math.Abs(p.Mean[m]-v) > 0.0051 || math.Abs(p.Worst[m]-want.Worst[m]) > 0.0051 {
					t.Fatalf("%s: read %v %v, put %v %v", m, p.Mean[m], p.Worst[m], v, want.Worst[m])
				}
			}
		}
	})
}

// Six hours of a device that measures everything are about a kilobyte.
func TestABlockIsSmall(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	b := Recent(at)
	for slot := range int64(72) {
		b.Put(Ordinary(at+slot*PointUS, random))
	}
	if size := len(b.Pack()); size > 1500 {
		t.Errorf("%d bytes", size)
	}
}

// Ordinary is a point of a workstation that is used.
func Ordinary(atUS int64, random *rand.Rand) wire.Point {
	mean := map[wire.Measure]float64{
		wire.MeasureCPU: 8 + 20*random.Float64(), wire.MeasureLoad: 0.2 + random.Float64(), wire.MeasureMemory: 50 + random.Float64(),
		wire.MeasureDisk: 1 + 3*random.Float64(), wire.MeasureFree: 41.2, wire.MeasureBoot: 31.5, wire.MeasureLogin: 12, wire.MeasureUnits: 0,
		wire.MeasureDown: 0, wire.MeasureCrashes: 0, wire.MeasureErrors: float64(random.IntN(5)) / 5, wire.MeasurePorts: 14,
		wire.MeasureClock: 2 + random.Float64(), wire.MeasureUnsynced: 0, wire.MeasureUnguarded: 0, wire.MeasureUse: 100, wire.MeasureProbesDown: 0,
	}
	return wire.Point{AtUS: atUS, N: 5, Mean: mean, Worst: map[wire.Measure]float64{
		wire.MeasureCPU: mean[wire.MeasureCPU] + 10*random.Float64(), wire.MeasureLoad: mean[wire.MeasureLoad] + 0.3,
		wire.MeasureDisk: mean[wire.MeasureDisk] + random.Float64(),
	}}
}

// What is read of some measures is what is read of all; the others are not there.
func TestSomeMeasuresAreReadAsIfAllWere(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	b := Recent(at)
	for slot := range int64(72) {
		p := Ordinary(at+slot*PointUS, random)
		if slot%3 == 0 {
			delete(p.Mean, wire.MeasureBoot)
		}
		p.Worst[wire.MeasureFree] = 3 // lower: its column of differences is below zero
		b.Put(p)
	}
	body := b.Pack()
	for _, wanted := range [][]wire.Measure{{wire.MeasureUse}, {wire.MeasureCPU, wire.MeasureBoot}, wire.Measures()} {
		some, all := Series{}, Series{}
		of, whole := Recent(at), Recent(at)
		if err := errors.Join(of.UnpackOf(body, wanted), whole.Unpack(body)); err != nil {
			t.Fatal(err)
		}
		ask := Ask{FromUS: at, ToUS: at + RecentUS, Measures: wanted}
		some.Add(of, ask)
		all.Add(whole, ask)
		if !reflect.DeepEqual(some, all) || len(some) != len(wanted) || len(of.cells) != len(wanted) {
			t.Errorf("of %v read %d measures, %d of them wanted", wanted, len(of.cells), len(some))
		}
	}
	if err := Recent(at).UnpackOf(body[:len(body)-1], []wire.Measure{wire.MeasureCPU}); err == nil {
		t.Error("a body that is cut is read")
	}
}

func BenchmarkUnpack(b *testing.B) {
	random := rand.New(rand.NewPCG(5, 6))
	week := Past(at)
	for slot := range int64(168) {
		week.Put(Ordinary(week.FromUS+slot*HourUS, random))
	}
	body := week.Pack()
	for name, wanted := range map[string][]wire.Measure{"all": nil, "one": {wire.MeasureUse}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := Past(at).UnpackOf(body, wanted); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func FuzzUnpack(f *testing.F) {
	b := Recent(at)
	b.Put(point(1, 5, map[wire.Measure]float64{wire.MeasureCPU: 10, wire.MeasureUse: 3}))
	f.Add(b.Pack())
	f.Add([]byte{version})
	f.Fuzz(func(t *testing.T, body []byte) {
		b := Recent(at)
		some := Recent(at)
		partly := some.UnpackOf(body, []wire.Measure{wire.MeasureUse})
		if b.Unpack(body) != nil {
			return
		}
		if partly != nil {
			t.Fatalf("as a whole it is read, in part not: %v", partly)
		}
		again := Recent(at)
		if err := again.Unpack(b.Pack()); err != nil || !slices.Equal(again.n, b.n) {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
	})
}

func TestABodyThatIsNotOneIsRefused(t *testing.T) {
	b := Recent(at)
	b.Put(point(1, 5, map[wire.Measure]float64{wire.MeasureCPU: 10, wire.MeasureUse: 3}))
	body := b.Pack()
	for name, bad := range map[string][]byte{
		"none": nil, "another version": {9}, "cut": body[:len(body)-1], "too long": append(slices.Clone(body), 0), "columns": {version, 200, 1},
	} {
		if err := Recent(at).Unpack(bad); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}
