package sim

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"patchring/internal/core/fault"
	"patchring/wire"
)

const (
	replyTimeout = 30 * time.Second
	// clockTolerance is how far the own clock may be from the server's before
	// an agent does not believe it.
	clockTolerance = 10 * time.Minute
)

// report sends the next report that is due, one at a time: how much the server
// has to do at once is for the fleet to say, not for one device.
func (d *device) report(now time.Time) {
	if d.asked != nil {
		if now.Before(d.asked.expires) {
			return
		}
		d.asked = nil
		d.heldBack = now.Add(backoff(1, d.random))
		d.s.counter.change(func(c *Counts) { c.Timeouts++ })
	}
	if now.Before(d.heldBack) {
		return
	}
	kind, part, body, err := d.nextBody(now)
	if err == nil && kind == "" {
		d.settle()
		return
	}
	if err == nil {
		err = d.send(kind, part, body, now)
	}
	if err != nil {
		// What cannot be encoded never can be; a connection that breaks is
		// noticed as such, and then this is forgotten.
		d.s.Say(d.traits.Host.Name + ": " + err.Error())
		d.heldBack = now.Add(backoff(1, d.random))
	}
}

// nextBody is the most urgent report: what has happened, then what the server
// wants, then the heartbeat.
func (d *device) nextBody(now time.Time) (kind wire.ReportKind, part wire.PartName, body any, err error) {
	switch {
	case !d.known:
		return wire.ReportEvents, "", wire.Events{}, nil // it answers up to where the server has them
	case len(d.spool) > 0:
		return wire.ReportEvents, "", wire.Events{NowUS: d.own(now), Events: d.spool[:min(len(d.spool), wire.MaxEventsPerSend)]}, nil
	case !now.Before(d.checkAt):
		body, err := d.checkin(now)
		return wire.ReportCheckin, "", body, err
	}
	for _, name := range []wire.PartName{wire.PartFacts, wire.PartInventory, wire.PartPatches} {
		if d.server[name] {
			body, err := d.pack(name)
			return wire.ReportPart, name, body, err
		}
	}
	if body, ok := d.measures(now); ok {
		return wire.ReportMeasures, "", body, nil
	}
	return "", "", nil, nil
}

func (d *device) nextReport() time.Time {
	switch {
	case d.asked != nil:
		return d.asked.expires
	case !d.known || len(d.spool) > 0 || len(d.server) > 0 || d.pulse.fresh || len(d.pulse.points) > 0 && !d.pulse.mute:
		return d.heldBack
	case d.checkAt.Before(d.heldBack):
		return d.heldBack
	}
	return d.checkAt
}

func (d *device) send(kind wire.ReportKind, part wire.PartName, body any, now time.Time) error {
	payload, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode %s: %w", kind, err)
	}
	reply, err := d.link.request(kind, payload)
	if err != nil {
		return err
	}
	d.asked = &request{kind: kind, part: part, reply: reply, expires: now.Add(replyTimeout)}
	return nil
}

func (d *device) checkin(now time.Time) (wire.Checkin, error) {
	m := wire.Checkin{
		NowUS: d.own(now), Version: AgentVersion, Capability: wire.Capability, BootID: d.bootID,
		BootedUS: d.own(d.booted), MachineID: d.traits.MachineID, Parts: make(map[wire.PartName]string, 3),
		ScannedUS: d.own(d.scanned), HoldsSerial: d.holds.Serial, WatchSerial: d.pulse.watch.Serial, Spooled: len(d.spool),
	}
	for _, name := range []wire.PartName{wire.PartFacts, wire.PartInventory, wire.PartPatches} {
		hash, err := d.hash(name)
		if err != nil {
			return m, err
		}
		m.Parts[name] = hash
	}
	for _, o := range d.orders {
		m.Orders = append(m.Orders, wire.OrderStatus{ID: o.ID, Serial: o.Serial, Step: o.step})
	}
	return m, nil
}

// hearReply takes the answer to the request under way.
func (d *device) hearReply(m *nats.Msg) {
	asked := *d.asked
	d.asked = nil
	err := d.takeReply(asked, m)
	if err == nil {
		return
	}
	if code := fault.CodeOf(err); !fault.CanRetry(err) {
		d.leaveOut(string(code))
		return
	}
	d.heldBack = time.Now().Add(backoff(1, d.random))
	d.s.counter.change(func(c *Counts) { c.Refusals++ })
}

// takeReply: a message without a body is the broker's "nobody listens".
func (d *device) takeReply(asked request, m *nats.Msg) error {
	if len(m.Data) == 0 {
		return fault.Again(fault.Unavailable, "what", "server")
	}
	switch asked.kind {
	case wire.ReportCheckin:
		return take(m.Data, d.checkedIn)
	case wire.ReportPart:
		return take(m.Data, func(r wire.PartReply) *wire.Error { return d.partTaken(asked.part, r) })
	case wire.ReportMeasures:
		return take(m.Data, d.measuresTaken)
	default:
		return take(m.Data, d.eventsTaken)
	}
}

// take decodes a reply and gives it to f, which answers the error in it.
func take[R any](data []byte, f func(R) *wire.Error) error {
	var r R
	if err := json.Unmarshal(data, &r); err != nil {
		return fmt.Errorf("read reply: %w", err)
	}
	if e := f(r); e != nil {
		return refusal(e)
	}
	return nil
}

func (d *device) checkedIn(r wire.CheckinReply) *wire.Error {
	if r.Error != nil {
		return r.Error
	}
	now := time.Now()
	d.heard, d.clock = true, 0
	if off := d.now().Sub(time.UnixMicro(r.NowUS)); off.Abs() > clockTolerance {
		d.clock = off
	}
	if d.s.Checkin == 0 && r.CheckinS > 0 {
		d.every = time.Duration(r.CheckinS) * time.Second
	}
	// A tenth early or late: what started together does not stay together.
	d.checkAt = now.Add(d.every*9/10 + time.Duration(d.random.Int64N(int64(d.every/5)+1)))
	clear(d.server)
	for _, name := range r.Want {
		d.server[name] = true
	}
	if r.Holds != nil {
		d.take(*r.Holds)
	}
	if r.Watch != nil {
		d.take(*r.Watch)
	}
	for _, id := range r.Cancel {
		d.cancel(id)
	}
	for _, e := range r.Orders {
		d.take(e)
	}
	if r.Scan {
		d.rescan(now)
	}
	d.s.counter.change(func(c *Counts) { c.Checkins++ })
	return nil
}

func (d *device) partTaken(name wire.PartName, r wire.PartReply) *wire.Error {
	if r.Error != nil {
		return r.Error
	}
	delete(d.server, name)
	d.s.counter.change(func(c *Counts) { c.Parts++ })
	return nil
}

func (d *device) eventsTaken(r wire.EventsReply) *wire.Error {
	if r.Error != nil {
		return r.Error
	}
	if !d.known {
		d.known, d.seq = true, max(d.seq, r.UpTo)
		for i := range d.spool {
			d.spool[i].Seq = d.seq + int64(i) + 1
		}
		d.seq += int64(len(d.spool))
		return nil
	}
	acknowledged := 0
	for acknowledged < len(d.spool) && d.spool[acknowledged].Seq <= r.UpTo {
		acknowledged++
	}
	d.spool = append([]wire.Event(nil), d.spool[acknowledged:]...)
	d.s.counter.change(func(c *Counts) { c.Events += int64(acknowledged) })
	return nil
}

// settle is counted once: the device has said all there was to say.
func (d *device) settle() {
	if d.heard && d.scanAt.IsZero() && !d.settled {
		d.settled = true
		d.s.counter.change(func(c *Counts) { c.Settled++ })
	}
}

// emit puts an event in the spool.
func (d *device) emit(e wire.Event) {
	d.seq++
	e.Seq, e.AtUS = d.seq, d.now().UnixMicro()
	d.spool = append(d.spool, e)
}
