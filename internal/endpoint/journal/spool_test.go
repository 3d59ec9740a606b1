package journal

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"patchring/internal/core/fault"
	"patchring/wire"
)

func TestAckForgetsUpToAndNoFurther(t *testing.T) {
	j := open2(t, t.TempDir())
	for range 5 {
		if err := j.Append(wire.Event{Kind: wire.EventStep}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Ack(3); err != nil {
		t.Fatal(err)
	}
	if err := j.Ack(2); err != nil { // a late reply
		t.Fatal(err)
	}
	events, err := j.Pending(10, 1<<20)
	if err != nil || len(events) != 2 || events[0].Seq != 4 {
		t.Errorf("pending %+v, error %v, want 4 and 5", events, err)
	}
	if n, err := j.Spooled(); n != 2 || err != nil {
		t.Errorf("%d spooled, error %v, want 2", n, err)
	}
}

func TestPendingIsBoundedAndNeverEmpty(t *testing.T) {
	j := open2(t, t.TempDir())
	for range 5 {
		if err := j.Append(wire.Event{Kind: wire.EventStep, Order: "0123456789"}); err != nil {
			t.Fatal(err)
		}
	}
	if events, err := j.Pending(3, 1<<20); len(events) != 3 || err != nil {
		t.Errorf("%d events, error %v, want 3", len(events), err)
	}
	if events, err := j.Pending(3, 1); len(events) != 1 || err != nil {
		t.Errorf("%d events, error %v, want the one that is too large alone", len(events), err)
	}
}

func TestAJournalOlderThanItsDeviceContinuesAfterTheServer(t *testing.T) {
	j := open2(t, t.TempDir())
	if err := j.Append(wire.Event{Kind: wire.EventStep}, wire.Event{Kind: wire.EventResult, Order: "o"}); err != nil {
		t.Fatal(err)
	}
	if err := j.Ack(100); err != nil {
		t.Fatal(err)
	}
	events, err := j.Pending(10, 1<<20)
	if err != nil || len(events) != 2 || events[0].Seq != 101 || events[1].Seq != 102 || events[1].Order != "o" {
		t.Errorf("pending %+v, error %v, want both renumbered after 100", events, err)
	}
	if err := j.Ack(102); err != nil {
		t.Fatal(err)
	}
	if n, err := j.Spooled(); n != 0 || err != nil {
		t.Errorf("%d spooled, error %v", n, err)
	}
	for _, bad := range []int64{-1, maxSeq + 1} {
		if err := j.Ack(bad); !errors.Is(err, ErrBadAck) {
			t.Errorf("ack %d: %v, want ErrBadAck", bad, err)
		}
	}
}

func TestAFullSpoolGivesUpStepsAndSaysSo(t *testing.T) {
	j := open2(t, t.TempDir())
	j.limits = spoolLimits{events: 20, bytes: 1 << 20}
	if err := j.Append(wire.Event{Kind: wire.EventResult, Order: "first"}); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		if err := j.Append(wire.Event{Kind: wire.EventStep}); err != nil {
			t.Fatal(err)
		}
	}
	events, err := j.Pending(100, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if len(events) > 21 {
		t.Errorf("%d events in a spool of 20", len(events))
	}
	if events[0].Kind != wire.EventResult {
		t.Errorf("the oldest event is %s: the result was given up", events[0].Kind)
	}
	dropped := 0
	steps := 0
	for _, e := range events {
		switch e.Kind {
		case wire.EventDropped:
			var n int
			if _, err := fmt.Sscan(e.Cause.Args["dropped"], &n); err != nil || e.Cause.Code != string(fault.SpoolFull) {
				t.Errorf("dropped event %+v: %v", e.Cause, err)
			}
			dropped += n
		case wire.EventStep:
			steps++
		}
	}
	if steps+dropped != 40 {
		t.Errorf("%d steps left and %d said to be given up, of 40", steps, dropped)
	}
}

func TestTheByteBoundHolds(t *testing.T) {
	j := open2(t, t.TempDir())
	j.limits = spoolLimits{events: 1000, bytes: 4000}
	for range 100 {
		if err := j.Append(wire.Event{Kind: wire.EventStep, Order: "0123456789012345678901234567890123456789"}); err != nil {
			t.Fatal(err)
		}
	}
	size, err := read[spooled](j, bucketMeta, keySpooled)
	if err != nil || size.Bytes > 4200 || size.Events == 0 {
		t.Errorf("spool of %+v, error %v, bound 4000 bytes", size, err)
	}
}

func TestResultPendingUntilAcknowledged(t *testing.T) {
	j := open2(t, t.TempDir())
	if err := j.Append(wire.Event{Kind: wire.EventStep, Order: "o"}, wire.Event{Kind: wire.EventResult, Order: "o"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ack  int64
		want bool
	}{{1, true}, {2, false}} {
		if err := j.Ack(c.ack); err != nil {
			t.Fatal(err)
		}
		if got, err := j.ResultPending("o"); got != c.want || err != nil {
			t.Errorf("after ack %d: pending %v, error %v, want %v", c.ack, got, err, c.want)
		}
	}
}

// The spool against a model: a server that takes each number once, replies
// that are lost, and restarts. Every result arrives, once, in order.
func TestNoResultIsLostOrTakenTwice(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		j, err := Open(dir)
		if err != nil {
			rt.Fatal(err)
		}
		j.limits = spoolLimits{events: 12, bytes: 1 << 20}
		var results, server []string
		var upTo int64
		rt.Repeat(map[string]func(*rapid.T){
			"step": func(rt *rapid.T) {
				if err := j.Append(wire.Event{Kind: wire.EventStep}); err != nil {
					rt.Fatal(err)
				}
			},
			"result": func(rt *rapid.T) {
				results = append(results, fmt.Sprint(len(results)))
				if err := j.Append(wire.Event{Kind: wire.EventResult, Order: results[len(results)-1]}); err != nil {
					rt.Fatal(err)
				}
			},
			"send": func(rt *rapid.T) {
				server, upTo = deliver(rt, j, server, upTo)
				if rapid.Bool().Draw(rt, "reply arrives") {
					if err := j.Ack(upTo); err != nil {
						rt.Fatal(err)
					}
				}
			},
			"restart": func(rt *rapid.T) {
				limits := j.limits
				if err := j.Close(); err != nil {
					rt.Fatal(err)
				}
				if j, err = Open(dir); err != nil {
					rt.Fatal(err)
				}
				j.limits = limits
			},
		})
		for {
			n, err := j.Spooled()
			if err != nil {
				rt.Fatal(err)
			}
			if n == 0 {
				break
			}
			server, upTo = deliver(rt, j, server, upTo)
			if err := j.Ack(upTo); err != nil {
				rt.Fatal(err)
			}
		}
		if err := j.Close(); err != nil {
			rt.Fatal(err)
		}
		if fmt.Sprint(server) != fmt.Sprint(results) {
			rt.Fatalf("server has results %v, want %v", server, results)
		}
	})
}

func deliver(rt *rapid.T, j *Journal, server []string, upTo int64) ([]string, int64) {
	events, err := j.Pending(5, 1<<20)
	if err != nil {
		rt.Fatal(err)
	}
	for _, e := range events {
		if e.Seq <= upTo {
			continue
		}
		upTo = e.Seq
		if e.Kind == wire.EventResult {
			server = append(server, e.Order)
		}
	}
	return server, upTo
}
