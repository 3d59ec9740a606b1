package link

import (
	"slices"
	"sync"
	"testing"

	"patchring/wire"
)

// observer has points to say, and remembers what it was told to watch.
type observer struct {
	mu     sync.Mutex // guards all
	sample *wire.Sample
	points []wire.Point
	told   []string
}

func (o *observer) Take(e wire.Envelope) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = append(o.told, string(e.Payload))
	return nil
}

func (o *observer) Serial() (int64, error) { return 11, nil }

func (o *observer) watches() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.told)
}

func (o *observer) Report() (m wire.MeasuresReport, ok bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m = wire.MeasuresReport{NowUS: 1, Sample: o.sample, Points: slices.Clone(o.points[:min(2, len(o.points))])}
	return m, m.Sample != nil || len(m.Points) > 0, nil
}

func (o *observer) Said(m wire.MeasuresReport, reply wire.MeasuresReply) (more bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sample = nil
	o.points = slices.DeleteFunc(o.points, func(p wire.Point) bool { return p.AtUS <= reply.UpToUS })
	return len(o.points) > 0 && reply.UpToUS > 0, nil
}

func (o *observer) has(sample *wire.Sample, points ...wire.Point) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sample, o.points = sample, append(o.points, points...)
}

func (o *office) takeMeasures(m wire.MeasuresReport) any {
	o.measures = append(o.measures, m)
	if o.mute {
		return nil
	}
	if o.failing > 0 {
		o.failing--
		return wire.MeasuresReply{Error: &wire.Error{Code: "unavailable", Retry: true}}
	}
	var reply wire.MeasuresReply
	for _, p := range m.Points {
		reply.UpToUS = p.AtUS
	}
	return reply
}

func TestWhatWasMeasuredIsSaidUntilItIsAcknowledged(t *testing.T) {
	o := newOffice(t)
	o.failing = 1
	n := newLine(o, o.identity(fresh), func(n *line) {
		n.observer.has(nil, wire.Point{AtUS: 300}, wire.Point{AtUS: 600}, wire.Point{AtUS: 900})
	})
	o.eventually("the points are sent once", func() bool { return len(o.measures) == 1 })
	n.observer.has(&wire.Sample{AtUS: 1000})
	n.Measure()
	o.eventually("all of them arrive", func() bool { return len(o.measures) == 3 })
	o.mu.Lock()
	defer o.mu.Unlock()
	if m := o.measures[1]; m.Sample == nil || len(m.Points) != 2 || m.Points[0].AtUS != 300 {
		t.Errorf("after a refusal %+v is sent, want the sample and the same points", m)
	}
	if m := o.measures[2]; m.Sample != nil || len(m.Points) != 1 || m.Points[0].AtUS != 900 {
		t.Errorf("then %+v is sent, want the last point only", m)
	}
}

// A server that has no time for measures must still have the results.
func TestAServerThatIsSlowWithMeasuresHoldsUpNoEvent(t *testing.T) {
	o := newOffice(t)
	o.mute = true
	n := newLine(o, o.identity(fresh), func(n *line) { n.observer.has(&wire.Sample{AtUS: 1000}) })
	o.eventually("it waits for an answer", func() bool { return len(o.measures) > 0 && len(o.checkins) > 0 })
	n.spool(wire.Event{Kind: wire.EventResult, Order: "o"})
	n.Poke()
	o.eventually("the event arrives", func() bool { return len(o.events) == 1 })
}
