package sim

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"patchring/internal/core/fault"
	"patchring/internal/core/register"
	"patchring/wire"
)

// device is one simulated device. Its goroutine runs run; nothing else touches
// it.
type device struct {
	s      *simulation
	traits Traits
	who    identity
	random *rand.Rand
	stock  *stock
	bootID string
	booted time.Time

	cleaned map[string]bool          // clean-ups that were done once
	changed map[string]string        // packages that are not as in the stock: name → version
	hashes  map[wire.PartName]string // of the parts as they are now
	server  map[wire.PartName]bool   // parts the server wants
	scanned time.Time                // when the last scan ended
	scanAt  time.Time                // when the one under way ends; zero: there is none
	spool   []wire.Event             // not yet acknowledged
	seq     int64                    // of the last event
	orders  []*order                 // accepted and not over
	done    []string                 // the last ones that are over: a late copy changes nothing
	holds   wire.Holds               // in force
	seen    *register.Checkpoint     // of the register, as last accepted
	proofs  bool                     // an order whose proof did not fit was let pass once
	clock   time.Duration            // by how much the own clock is known to be off

	pulse pulse

	link     *link
	asked    *request  // the one request under way
	known    bool      // the server's last event number is known
	heard    bool      // the server has answered a check-in
	settled  bool      // counted as settled
	heldBack time.Time // no request before: the server asked for patience
	dialAt   time.Time // not connected: when to try
	tries    int
	checkAt  time.Time // the next check-in
	every    time.Duration
	leaveAt  time.Time // a churning device's next absence
	over     bool
}

// request is a report that waits for its reply.
type request struct {
	kind    wire.ReportKind
	part    wire.PartName
	reply   string
	expires time.Time
}

func (s *simulation) newDevice(t Traits, who identity) *device {
	d := &device{
		s: s, traits: t, who: who, random: s.random(t.Number, "life"), stock: s.stocks[t.Packages],
		changed: map[string]string{}, hashes: map[wire.PartName]string{}, server: map[wire.PartName]bool{},
		known: who.fresh, every: s.trust.checkin, bootID: uuid.NewString(), // a run is a boot
	}
	if s.Checkin > 0 {
		d.every = s.Checkin
	}
	d.upToDate(s.random(t.Number, "pending"))
	d.beginPulse()
	return d
}

// run lives until ctx ends or the device is over. It is level-based: whatever
// woke it, it does all that is due and sleeps until the next.
func (d *device) run(ctx context.Context) {
	now := time.Now()
	d.booted, d.scanned = now.Add(-time.Hour), now
	d.dialAt = now.Add(d.traits.Start)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		d.act(ctx)
		if d.over || ctx.Err() != nil {
			d.hangUp()
			return
		}
		timer.Reset(max(0, time.Until(d.next())))
		d.wait(ctx, timer)
	}
}

// wait returns when something has happened or is due.
func (d *device) wait(ctx context.Context, timer *time.Timer) {
	var messages chan *nats.Msg
	var closed chan struct{}
	if d.link != nil {
		messages, closed = d.link.messages, d.link.closed
	}
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-closed:
		d.lost()
	case m := <-messages:
		d.hear(m)
	}
}

// act does what is due.
func (d *device) act(ctx context.Context) {
	now := time.Now()
	if d.link != nil && d.traits.Churns && !now.Before(d.leaveAt) {
		d.leave(now)
	}
	if d.link == nil && !now.Before(d.dialAt) {
		d.connect(ctx)
		now = time.Now()
	}
	for _, o := range d.orders {
		if d.advance(o, now) {
			break // an order at a time
		}
	}
	d.tidy()
	if !d.scanAt.IsZero() && !now.Before(d.scanAt) {
		// What was found travels when the server sees that it is another.
		d.scanned, d.scanAt, d.checkAt = now, time.Time{}, now
	}
	d.measure(now)
	if d.link != nil && !d.over {
		d.report(now)
	}
}

// next is when act has something to do if nothing happens before.
func (d *device) next() time.Time {
	at := time.Now().Add(time.Hour)
	sooner := func(t time.Time) {
		if t.Before(at) {
			at = t
		}
	}
	if d.link == nil {
		sooner(d.dialAt)
	} else {
		sooner(d.nextReport())
		if d.traits.Churns {
			sooner(d.leaveAt)
		}
	}
	if len(d.orders) > 0 {
		sooner(d.orders[0].due)
	}
	if !d.scanAt.IsZero() {
		sooner(d.scanAt)
	}
	if d.sampleEvery() > 0 {
		sooner(d.pulse.at)
	}
	return at
}

func (d *device) connect(ctx context.Context) {
	select {
	case d.s.dialing <- struct{}{}:
	case <-ctx.Done():
		return
	}
	l, err := dial(ctx, d.s.trust, d.who)
	<-d.s.dialing
	now := time.Now()
	switch {
	case refused(err):
		d.leaveOut("refused_by_broker")
	case err != nil:
		d.tries++
		d.dialAt = now.Add(backoff(d.tries, d.random))
		d.s.Say(d.traits.Host.Name + ": " + err.Error())
	default:
		d.tries, d.link, d.checkAt, d.heldBack = 0, l, now, time.Time{}
		d.leaveAt = now.Add(time.Duration((0.5 + d.random.Float64()) * float64(d.s.ChurnEvery)))
		d.s.counter.change(func(c *Counts) { c.Connected++; c.Connects++ })
	}
}

const (
	firstPause  = 500 * time.Millisecond
	longestWait = 30 * time.Second
)

// backoff doubles, and is never the same for a whole fleet.
func backoff(tries int, random *rand.Rand) time.Duration {
	d := min(firstPause<<min(tries-1, 10), longestWait)
	return d/2 + time.Duration(random.Int64N(int64(d)))
}

// leave is an absence: orders go on, events wait.
func (d *device) leave(now time.Time) {
	d.hangUp()
	d.dialAt = now.Add(time.Duration(d.random.Float64() * float64(d.s.ChurnEvery) / 2))
}

// lost is an end of the connection that nobody here asked for.
func (d *device) lost() {
	d.hangUp()
	d.tries++
	d.dialAt = time.Now().Add(backoff(d.tries, d.random))
}

func (d *device) hangUp() {
	if d.link == nil {
		return
	}
	d.link.close()
	d.link, d.asked = nil, nil
	d.s.counter.change(func(c *Counts) { c.Connected-- })
}

// leaveOut ends the device: there is nothing it could do any more.
func (d *device) leaveOut(cause string) {
	d.over = true
	d.s.Say(d.traits.Host.Name + " is left out: " + cause)
	d.s.counter.change(func(c *Counts) { c.LeftOut[cause]++ })
}

// vanish is the end that a device's traits foresee.
func (d *device) vanish() {
	d.over = true
	d.s.counter.change(func(c *Counts) { c.Gone++ })
}

// hear takes one message.
func (d *device) hear(m *nats.Msg) {
	switch {
	case d.asked != nil && m.Subject == d.asked.reply:
		d.hearReply(m)
	case m.Subject == wire.OrderSubject(d.who.device), m.Subject == wire.SubjectOrderAll:
		var e wire.Envelope
		if json.Unmarshal(m.Data, &e) == nil {
			d.take(e)
		}
	case wire.IsQuestion(m.Subject):
		d.answer(m)
	}
}

// take verifies an envelope and keeps what it holds.
func (d *device) take(e wire.Envelope) {
	switch e.Kind {
	case wire.EnvelopeHolds:
		d.takeHolds(e)
	case wire.EnvelopeWatch:
		d.takeWatch(e)
	default:
		d.accept(e)
	}
}

func (d *device) takeHolds(e wire.Envelope) {
	var holds wire.Holds
	if err := e.Open(wire.EnvelopeHolds, d.s.trust.keys, &holds); err != nil || holds.Tenant != d.who.tenant {
		d.refuse(wire.Order{}, forged(err, "holds of another tenant"))
		return
	}
	d.s.counter.change(func(c *Counts) { c.Envelopes++ })
	if holds.Serial <= d.holds.Serial {
		return
	}
	d.holds = holds
	d.s.counter.holds(holds.Serial)
	for _, o := range d.orders {
		o.due = time.Time{} // look again
	}
}

// answer answers a question, as the agent does.
func (d *device) answer(m *nats.Msg) {
	var q wire.Question
	if json.Unmarshal(m.Data, &q) != nil || q.ID == "" || strings.ContainsAny(q.ID, ".*> ") {
		return
	}
	a := wire.Answer{AtUS: d.now().UnixMicro()}
	switch q.Kind {
	case "ping":
		a.Value = AgentVersion
	case "package":
		a.Value = d.version(q.Arg)
	default:
		a.Error = &wire.Error{Code: string(fault.InvalidField), Args: map[string]string{"field": "kind", "problem": "unknown question"}}
	}
	payload, err := json.Marshal(a)
	if err == nil {
		err = d.link.conn.Publish(wire.AnswerSubject(d.who.device, q.ID), payload)
	}
	if err != nil {
		d.s.Say(d.traits.Host.Name + ": answer: " + err.Error())
		return
	}
	d.s.counter.change(func(c *Counts) { c.Answers++ })
}

// scanTakes is what a scan takes a real device, about.
const scanTakes = time.Second

func (d *device) rescan(now time.Time) {
	if d.scanAt.IsZero() {
		d.scanAt = now.Add(scanTakes)
	}
}

// now is what the device's own clock says.
func (d *device) now() time.Time { return time.Now().Add(d.traits.Skew) }

// own is an instant as the device's clock has it.
func (d *device) own(t time.Time) int64 { return t.Add(d.traits.Skew).UnixMicro() }
