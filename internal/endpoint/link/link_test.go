package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

// line is a link at work, with a real journal.
type line struct {
	*Link
	office   *office
	journal  *journal.Journal
	executor *executor
	observer *observer
	renewed  chan journal.Identity
	scans    atomic.Int32
	ended    chan error
}

func newLine(o *office, id journal.Identity, prepare func(*line)) *line {
	j, err := journal.Open(o.t.TempDir())
	if err != nil {
		o.t.Fatal(err)
	}
	n := &line{office: o, journal: j, executor: &executor{}, observer: &observer{}, renewed: make(chan journal.Identity, 8), ended: make(chan error, 1)}
	n.Link = New(Options{
		Identity: id, Journal: j, Executor: n.executor, Observer: n.observer, Now: time.Now, Version: "1.2.3", Changed: func() {},
		Renewed: func(id journal.Identity) error { n.renewed <- id; return nil },
		State: func() State {
			return State{BootID: "boot-1", BootedUS: 7, MachineID: "m", RebootPending: true, ScannedUS: 9}
		},
		Scan:   func() { n.scans.Add(1) },
		Answer: func(q wire.Question) wire.Answer { return wire.Answer{AtUS: 5, Value: q.Kind + "\x00 " + q.Arg} },
		Log:    slog.New(slog.DiscardHandler),
	})
	if prepare != nil {
		prepare(n)
	}
	ctx, stop := context.WithCancel(o.t.Context())
	go func() { n.ended <- n.Run(ctx) }()
	o.t.Cleanup(func() {
		stop()
		if err := <-n.ended; err != nil {
			o.t.Errorf("run: %v", err)
		}
		if n.Connected() {
			o.t.Error("still connected after its end")
		}
		if err := j.Close(); err != nil {
			o.t.Error(err)
		}
	})
	return n
}

const fresh = 30 * 24 * time.Hour

func (n *line) spool(events ...wire.Event) {
	if err := n.journal.Append(events...); err != nil {
		n.office.t.Fatal(err)
	}
}

func (n *line) spooled() int {
	count, err := n.journal.Spooled()
	if err != nil {
		n.office.t.Fatal(err)
	}
	return count
}

func TestACheckInSaysWhatStandsAndTheAnswerIsObeyed(t *testing.T) {
	o := newOffice(t)
	part, err := wire.Pack(wire.PartFacts, 3, wire.Facts{Hostname: "h1"})
	if err != nil {
		t.Fatal(err)
	}
	o.reply = wire.CheckinReply{
		CheckinS: 3600, Want: []wire.PartName{wire.PartInventory, wire.PartFacts}, Cancel: []string{"o0"}, Scan: true,
		Holds: &wire.Envelope{Kind: wire.EnvelopeHolds, Payload: []byte("holds")},
		Said:  []wire.Envelope{{Kind: wire.EnvelopeSaid, Payload: []byte("said")}},
		Wake:  []wire.Envelope{{Kind: wire.EnvelopeWake, Payload: []byte("wake")}},
		Watch: &wire.Envelope{Kind: wire.EnvelopeWatch, Payload: []byte("watch")},
		Orders: []wire.Envelope{
			{Kind: wire.EnvelopeOrder, Payload: []byte(`{"serial":10}`)}, {Kind: wire.EnvelopeOrder, Payload: []byte(`{"serial":9}`)},
		},
	}
	n := newLine(o, o.identity(fresh), func(n *line) {
		if _, err := n.journal.PutPart(part); err != nil {
			t.Fatal(err)
		}
		if _, err := n.journal.SetHolds(wire.Holds{Serial: 4}); err != nil {
			t.Fatal(err)
		}
		n.executor.status = []wire.OrderStatus{{ID: "o0", Serial: 8, Step: wire.StepWait}}
		n.spool(wire.Event{Kind: wire.EventStep})
	})
	o.eventually("the part is sent", func() bool { return len(o.parts) == 1 })
	o.mu.Lock()
	got := o.checkins[0]
	sent := o.parts[0]
	o.mu.Unlock()
	if age := time.Since(time.UnixMicro(got.NowUS)); age < 0 || age > long {
		t.Errorf("checked in at %d", got.NowUS)
	}
	got.NowUS = 0
	want := wire.Checkin{
		Version: "1.2.3", Capability: wire.Capability, BootID: "boot-1", BootedUS: 7, MachineID: "m", RebootPending: true, ScannedUS: 9,
		Parts:  map[wire.PartName]string{wire.PartFacts: part.Hash},
		Orders: []wire.OrderStatus{{ID: "o0", Serial: 8, Step: wire.StepWait}}, HoldsSerial: 4, WatchSerial: 11,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("check-in (-want +got):\n%s", diff)
	}
	if sent.NowUS == 0 || sent.Hash != part.Hash {
		t.Errorf("part %+v, want the one kept, with the clock of now", sent)
	}
	var f wire.Facts
	if err := sent.Unpack(&f); err != nil || f.Hostname != "h1" {
		t.Errorf("facts %+v, error %v", f, err)
	}
	if e := n.executor; !e.has(&e.accepted, `{"serial":9}`, `{"serial":10}`) || !e.has(&e.holds, "holds") || !e.has(&e.cancel, "o0") || !e.has(&e.said, "said") || !e.has(&e.roused, "wake") {
		t.Errorf("executor has %v %v %v %v %v, want the orders by serial, the holds, the cancel, the answer and the neighbour", e.accepted, e.holds, e.cancel, e.said, e.roused)
	}
	if took := n.observer.watches(); len(took) != 1 || took[0] != "watch" {
		t.Errorf("observer was told to watch %q", took)
	}
	if len(n.executor.server) != 1 || n.scans.Load() != 1 || !n.Connected() {
		t.Errorf("%d server times, %d scans, connected %v", len(n.executor.server), n.scans.Load(), n.Connected())
	}
}

func TestASteadyCheckInIsAFewHundredBytes(t *testing.T) {
	o := newOffice(t)
	n := newLine(o, o.identity(fresh), func(n *line) {
		for _, name := range []wire.PartName{wire.PartFacts, wire.PartInventory, wire.PartPatches} {
			part, err := wire.Pack(name, 3, wire.Facts{Hostname: string(name)})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := n.journal.PutPart(part); err != nil {
				t.Fatal(err)
			}
		}
		n.executor.status = []wire.OrderStatus{{ID: device, Serial: 8, Step: wire.StepWait}}
	})
	o.eventually("a check-in", func() bool { return len(o.checkins) == 1 })
	o.mu.Lock()
	defer o.mu.Unlock()
	text, err := json.Marshal(o.checkins[0])
	if err != nil || len(text) > 500 {
		t.Errorf("%d bytes, error %v: %s", len(text), err, text)
	}
	if !n.Connected() {
		t.Error("not connected")
	}
}

func TestEventsArriveOnceWhateverTheAnswers(t *testing.T) {
	o := newOffice(t)
	o.failing, o.lost = 1, 2
	n := newLine(o, o.identity(fresh), nil)
	const all = 3*wire.MaxEventsPerSend + 5
	for i := range all {
		n.spool(wire.Event{Kind: wire.EventStep, Order: fmt.Sprint(i)})
	}
	for range 5 { // each failed attempt is repeated at the next occasion
		n.Poke()
		n.CheckIn()
		o.eventually("a round", func() bool { return len(n.checkin) == 0 && len(n.poke) == 0 })
	}
	n.Poke()
	o.eventually("all events are committed", func() bool { return len(o.events) == all })
	for i, e := range o.events {
		if e.Seq != int64(i+1) || e.Order != fmt.Sprint(i) {
			t.Fatalf("event %d is %+v", i, e)
		}
	}
	o.eventually("the spool is empty", func() bool { return n.spooled() == 0 })
}

func TestWhatWasSpooledDuringAnOutageArrivesAfterIt(t *testing.T) {
	o := newOffice(t)
	n := newLine(o, o.identity(fresh), nil)
	o.eventually("a check-in", func() bool { return len(o.checkins) == 1 })
	o.shut()
	o.eventually("the link is down", func() bool { return !n.Connected() })
	n.spool(wire.Event{Kind: wire.EventResult, Order: "o1"})
	n.Poke()
	o.open()
	o.eventually("the result arrives", func() bool { return len(o.events) == 1 })
	o.eventually("a check-in after the outage", func() bool { return len(o.checkins) >= 2 })
}

func TestARefusedConnectionIsTriedAgainAndChangesNothing(t *testing.T) {
	o := newOffice(t)
	o.refuse = true
	n := newLine(o, o.identity(fresh), nil)
	n.spool(wire.Event{Kind: wire.EventStep})
	o.mu.Lock()
	before := o.serials
	o.refuse = false
	o.mu.Unlock()
	if len(before) != 0 {
		t.Error("connected although refused")
	}
	o.eventually("the event arrives", func() bool { return len(o.events) == 1 })
}

func TestPushedEnvelopesReachTheExecutor(t *testing.T) {
	o := newOffice(t)
	n := newLine(o, o.identity(fresh), nil)
	o.eventually("a check-in", func() bool { return len(o.checkins) == 1 })
	push := func(subject string, v any) {
		t.Helper()
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := o.nc.Publish(subject, text); err != nil {
			t.Fatal(err)
		}
	}
	push(wire.SubjectOrderAll, wire.Envelope{Kind: wire.EnvelopeHolds, Payload: []byte("h")})
	o.eventually("the holds are there", func() bool { return n.executor.has(&n.executor.holds, "h") })
	push(wire.OrderSubject(device), wire.Envelope{Kind: wire.EnvelopeOrder, Payload: []byte("o")})
	o.eventually("the order is there", func() bool { return n.executor.has(&n.executor.accepted, "o") })
	if len(o.checkins) != 1 {
		t.Errorf("%d check-ins for what was accepted", len(o.checkins))
	}
	n.executor.mu.Lock()
	n.executor.refusal = errors.New("not provable yet")
	n.executor.mu.Unlock()
	push(wire.OrderSubject(device), wire.Envelope{Kind: wire.EnvelopeOrder, Payload: []byte("p")})
	o.eventually("a check-in fetches what it lacks", func() bool { return len(o.checkins) == 2 })
	push(wire.OrderSubject(device), wire.Envelope{Kind: "shell", Payload: []byte("x")})
	o.eventually("a check-in after what is not understood", func() bool { return len(o.checkins) == 3 })
	push(wire.OrderSubject(device), "rubbish")
	o.eventually("and after rubbish", func() bool { return len(o.checkins) == 4 })
	if !n.executor.has(&n.executor.accepted, "o", "p") {
		t.Errorf("accepted %v", n.executor.accepted)
	}
}

func TestQuestionsAreAnsweredOnTheDevicesOwnSubject(t *testing.T) {
	o := newOffice(t)
	newLine(o, o.identity(fresh), nil)
	o.eventually("a check-in", func() bool { return len(o.checkins) == 1 })
	answers, err := o.nc.SubscribeSync(wire.AnswerPattern)
	if err != nil {
		t.Fatal(err)
	}
	for i, subject := range []string{wire.SubjectQuestionAll, wire.QuestionSubject(device)} {
		for _, id := range []string{"bad.id", "", fmt.Sprint("q", i)} { // only the last can be answered
			text, err := json.Marshal(wire.Question{ID: id, Kind: "package", Arg: "openssl"})
			if err != nil {
				t.Fatal(err)
			}
			if err := o.nc.Publish(subject, text); err != nil {
				t.Fatal(err)
			}
		}
		m, err := answers.NextMsg(long)
		if err != nil {
			t.Fatal(err)
		}
		a := decode[wire.Answer](t, m.Data)
		if m.Subject != wire.AnswerSubject(device, fmt.Sprint("q", i)) || a.Value != "package openssl" || a.AtUS != 5 {
			t.Errorf("answer %+v on %s", a, m.Subject)
		}
	}
}

func TestTheCertificateIsRenewedAtTwoThirdsOfItsLife(t *testing.T) {
	o := newOffice(t)
	old := o.identity(20 * time.Minute) // of 80: three quarters are over
	n := newLine(o, old, nil)
	next := <-n.renewed
	if next.Key == old.Key || next.Certificate == old.Certificate || next.Device != old.Device {
		t.Error("key or certificate is the old one, or the device another")
	}
	o.eventually("it comes back with the new one", func() bool { return len(o.serials) == 2 && o.serials[0] != o.serials[1] })
	o.eventually("a check-in with the new one", func() bool { return len(o.checkins) >= 2 })
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.csrs) != 1 {
		t.Errorf("asked %d times, want once", len(o.csrs))
	}
}

func TestACertificateThatWouldLockTheDeviceOutIsNotTaken(t *testing.T) {
	for name, spoil := range map[string]func(*office){
		"of another device": func(o *office) { o.issueTo.ID = "another" },
		"of another tenant": func(o *office) { o.issueTo.Tenant = "another" },
		"expired":           func(o *office) { o.life = -time.Minute },
		"of another site":   func(o *office) { o.authority = newAuthority(o.t) },
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			id := o.identity(20 * time.Minute)
			spoil(o)
			n := newLine(o, id, nil)
			o.eventually("a first request", func() bool { return len(o.csrs) == 1 })
			n.CheckIn()
			o.eventually("a second request: the first was not taken", func() bool { return len(o.csrs) == 2 })
			select {
			case <-n.renewed:
				t.Error("it was taken")
			default:
			}
			if len(o.serials) != 1 {
				t.Errorf("%d connections, want the first one to stand", len(o.serials))
			}
		})
	}
}

func TestAFreshCertificateIsNotRenewed(t *testing.T) {
	o := newOffice(t)
	n := newLine(o, o.identity(3*time.Hour), nil) // of four: a quarter is over
	n.CheckIn()
	o.eventually("two check-ins", func() bool { return len(o.checkins) == 2 })
	if len(o.csrs) != 0 {
		t.Error("renewed long before it is time")
	}
}

func TestTheWebDoorIsTriedWhenTheDirectOneIsShut(t *testing.T) {
	o := newOffice(t)
	id := o.identity(fresh)
	id.Brokers = []string{"tls://127.0.0.1:1", o.web}
	newLine(o, id, nil)
	o.eventually("a check-in through the web door", func() bool { return len(o.checkins) == 1 })
}

func TestTheServerSetsThePace(t *testing.T) {
	o := newOffice(t)
	o.reply.CheckinS = 1
	newLine(o, o.identity(fresh), nil)
	o.eventually("three check-ins", func() bool { return len(o.checkins) >= 3 })
	for asked, want := range map[time.Duration]time.Duration{0: often, time.Minute: time.Minute, 99 * time.Hour: seldom} {
		if got := between(asked); got != want {
			t.Errorf("%s: checks in every %s, want %s", asked, got, want)
		}
	}
}

func TestABrokerOfAnotherSiteHearsNothing(t *testing.T) {
	o := newOffice(t)
	id := o.identity(fresh)
	id.CA = newAuthority(t).pem
	n := newLine(o, id, nil)
	n.spool(wire.Event{Kind: wire.EventStep})
	o.eventually("two refusals by the agent", func() bool { return o.broker.NumClients() == 1 && n.spooled() == 1 })
	if len(o.serials) != 0 || n.Connected() {
		t.Error("connected to a broker of another site")
	}
}

func TestAnIdentityThatCannotBeReadEndsTheLink(t *testing.T) {
	o := newOffice(t)
	for name, spoil := range map[string]func(*journal.Identity){
		"CA":          func(id *journal.Identity) { id.CA = "x" },
		"certificate": func(id *journal.Identity) { id.Certificate = "x" },
	} {
		id := o.identity(fresh)
		spoil(&id)
		err := New(Options{Identity: id, Now: time.Now, Log: slog.New(slog.DiscardHandler)}).Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), "read") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestBackoffGrowsAndSpreads(t *testing.T) {
	for attempt, want := range map[int]time.Duration{-1: time.Second, 0: time.Second, 3: 8 * time.Second, 99: time.Minute} {
		for range 100 {
			if d := backoff(attempt); d < want/2 || d > want*3/2 {
				t.Errorf("attempt %d: %s, want about %s", attempt, d, want)
			}
		}
	}
}

func TestDoors(t *testing.T) {
	got := doors([]string{"wss://a", "tls://b", "tls://c"})
	if diff := cmp.Diff([][]string{{"tls://b", "tls://c"}, {"wss://a"}}, got); diff != "" {
		t.Error(diff)
	}
	if got := doors(nil); len(got) != 1 || got[0][0] != nats.DefaultURL {
		t.Errorf("no brokers: %v", got)
	}
}
