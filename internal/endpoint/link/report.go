package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"patchring/wire"
)

// request sends a report and reads its answer.
func request[R any](ctx context.Context, l *Link, kind wire.ReportKind, m any) (R, error) {
	var reply R
	text, err := json.Marshal(m)
	if err != nil {
		return reply, fmt.Errorf("encode %s: %w", kind, err)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	answer, err := l.conn.RequestWithContext(ctx, wire.ReportSubject(l.Identity.Device, kind), text)
	if err != nil {
		return reply, fmt.Errorf("report %s: %w", kind, err)
	}
	if err := json.Unmarshal(answer.Data, &reply); err != nil {
		return reply, fmt.Errorf("decode answer to %s: %w", kind, err)
	}
	return reply, nil
}

// refused turns a refusal into an error. Whatever it says, the device keeps
// what it has: only its administrator un-enrols it.
func refused(e *wire.Error) error {
	if e == nil {
		return nil
	}
	return fmt.Errorf("the server refused: %s %v (retry %t)", e.Code, e.Args, e.Retry)
}

const eventBytes = 512 << 10 // of one message, below the broker's megabyte

// deliver empties the spool, batch by batch. What the server has committed is
// forgotten here only after it said so.
func (l *Link) deliver(ctx context.Context) error {
	for {
		batch, err := l.Journal.Pending(wire.MaxEventsPerSend, eventBytes)
		if err != nil || len(batch) == 0 {
			return err
		}
		reply, err := request[wire.EventsReply](ctx, l, wire.ReportEvents, wire.Events{Events: batch})
		if err != nil {
			return err
		}
		if err := refused(reply.Error); err != nil {
			return err
		}
		if err := l.Journal.Ack(reply.UpTo); err != nil {
			return fmt.Errorf("forget delivered events: %w", err)
		}
		if reply.UpTo < batch[0].Seq {
			return fmt.Errorf("the server has events up to %d only, of %d sent", reply.UpTo, batch[len(batch)-1].Seq)
		}
	}
}

func (l *Link) checkIn(ctx context.Context) error {
	m, err := l.heartbeat()
	if err != nil {
		return err
	}
	reply, err := request[wire.CheckinReply](ctx, l, wire.ReportCheckin, m)
	if err != nil {
		return err
	}
	if err := refused(reply.Error); err != nil {
		return err
	}
	if err := l.Executor.ServerTime(time.UnixMicro(reply.NowUS)); err != nil {
		return fmt.Errorf("hear the server's clock: %w", err)
	}
	if reply.CheckinS > 0 {
		l.every = time.Duration(reply.CheckinS) * time.Second
	}
	if reply.Scan {
		l.Scan()
	}
	return errors.Join(l.obey(reply), l.send(ctx, reply.Want))
}

func (l *Link) heartbeat() (wire.Checkin, error) {
	s := l.State()
	m := wire.Checkin{
		NowUS: l.Now().UnixMicro(), Version: l.Version, Capability: wire.Capability, BootID: s.BootID, BootedUS: s.BootedUS,
		MachineID: s.MachineID, RebootPending: s.RebootPending, ScannedUS: s.ScannedUS,
	}
	var errs [4]error
	var holds wire.Holds
	m.Parts, errs[0] = l.Journal.PartHashes()
	m.Orders, errs[1] = l.Executor.Status()
	holds, errs[2] = l.Journal.Holds()
	m.Spooled, errs[3] = l.Journal.Spooled()
	m.HoldsSerial = holds.Serial
	return m, errors.Join(errs[:]...)
}

// obey hands over what the agent had missed. Holds come first: an order that
// came with them may be one that they stop.
func (l *Link) obey(reply wire.CheckinReply) error {
	var errs []error
	if reply.Holds != nil {
		errs = append(errs, l.Executor.SetHolds(*reply.Holds))
	}
	if len(reply.Cancel) > 0 {
		errs = append(errs, l.Executor.Cancel(reply.Cancel...))
	}
	for _, e := range reply.Orders {
		errs = append(errs, l.take(e))
	}
	if len(reply.Orders)+len(reply.Cancel) > 0 {
		l.Poke() // to say that they were accepted, or why not
	}
	return errors.Join(errs...)
}

// send sends the parts the server asks for.
func (l *Link) send(ctx context.Context, want []wire.PartName) error {
	for _, name := range want {
		part, found, err := l.Journal.Part(name)
		if err != nil {
			return fmt.Errorf("read part %s: %w", name, err)
		}
		if !found {
			continue
		}
		part.NowUS = l.Now().UnixMicro()
		reply, err := request[wire.PartReply](ctx, l, wire.ReportPart, part)
		if err != nil {
			return err
		}
		if err := refused(reply.Error); err != nil {
			return fmt.Errorf("part %s: %w", name, err)
		}
	}
	return nil
}
