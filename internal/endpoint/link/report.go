package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"patchring/internal/core/fault"
	"patchring/wire"
)

// request sends a report and reads its answer.
func request[R any](ctx context.Context, s *session, kind wire.ReportKind, m any) (R, error) {
	var reply R
	text, err := json.Marshal(m)
	if err != nil {
		return reply, fmt.Errorf("encode %s: %w", kind, err)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	answer, err := s.conn.RequestWithContext(ctx, wire.ReportSubject(s.device, kind), text)
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
	reason := fault.Reason{Code: fault.Code(e.Code), Args: e.Args}
	return fmt.Errorf("the server refused: %w", &fault.Error{Reason: reason, Retry: fault.Retry(e.Retry)})
}

const eventBytes = 512 << 10 // of one message, below the broker's megabyte

// deliver empties the spool, batch by batch. What the server has committed is
// forgotten here only after it said so.
func (s *session) deliver(ctx context.Context) error {
	for {
		batch, err := s.Journal.Pending(wire.MaxEventsPerSend, eventBytes)
		if err != nil || len(batch) == 0 {
			return err
		}
		reply, err := request[wire.EventsReply](ctx, s, wire.ReportEvents, wire.Events{NowUS: s.Now().UnixMicro(), Events: batch})
		if err != nil {
			return err
		}
		if err := refused(reply.Error); err != nil {
			return err
		}
		if err := s.Journal.Ack(reply.UpTo); err != nil {
			return fmt.Errorf("forget delivered events: %w", err)
		}
		if reply.UpTo < batch[0].Seq {
			return fmt.Errorf("the server has events up to %d only, of %d sent", reply.UpTo, batch[len(batch)-1].Seq)
		}
	}
}

func (s *session) checkIn(ctx context.Context) error {
	m, err := s.heartbeat()
	if err != nil {
		return err
	}
	reply, err := request[wire.CheckinReply](ctx, s, wire.ReportCheckin, m)
	if err != nil {
		return err
	}
	if err := refused(reply.Error); err != nil {
		return err
	}
	if err := s.Executor.ServerTime(time.UnixMicro(reply.NowUS)); err != nil {
		return fmt.Errorf("hear the server's clock: %w", err)
	}
	if reply.CheckinS > 0 {
		s.every = between(time.Duration(reply.CheckinS) * time.Second)
	}
	if reply.Scan {
		s.Scan()
	}
	return errors.Join(s.obey(ctx, reply), s.send(ctx, reply.Want))
}

func (s *session) heartbeat() (wire.Checkin, error) {
	d := s.State()
	m := wire.Checkin{
		NowUS: s.Now().UnixMicro(), Version: s.Version, Capability: wire.Capability, BootID: d.BootID, BootedUS: d.BootedUS,
		MachineID: d.MachineID, RebootPending: d.RebootPending, ScannedUS: d.ScannedUS,
	}
	var errs [5]error
	var holds wire.Holds
	m.Parts, errs[0] = s.Journal.PartHashes()
	m.Orders, errs[1] = s.Executor.Status()
	holds, errs[2] = s.Journal.Holds()
	m.Spooled, errs[3] = s.Journal.Spooled()
	m.WatchSerial, errs[4] = s.Observer.Serial()
	m.HoldsSerial = holds.Serial
	return m, errors.Join(errs[:]...)
}

// obey hands over what the agent had missed. Holds come first: an order that
// came with them may be one that they stop.
func (s *session) obey(ctx context.Context, reply wire.CheckinReply) error {
	var errs []error
	if reply.Holds != nil {
		errs = append(errs, s.Executor.SetHolds(*reply.Holds))
	}
	if reply.Watch != nil {
		errs = append(errs, s.take(ctx, *reply.Watch))
	}
	if len(reply.Cancel) > 0 {
		errs = append(errs, s.Executor.Cancel(reply.Cancel...))
	}
	for _, e := range bySerial(reply.Orders) {
		errs = append(errs, s.take(ctx, e))
	}
	for _, e := range slices.Concat(reply.Said, reply.Wake) {
		errs = append(errs, s.take(ctx, e))
	}
	if len(reply.Orders)+len(reply.Cancel)+len(reply.Said)+len(reply.Wake) > 0 {
		s.Poke() // to say that they were accepted, or why not
	}
	return errors.Join(errs...)
}

// send sends the parts the server asks for. One that is refused or too large
// keeps no other from going.
func (s *session) send(ctx context.Context, want []wire.PartName) error {
	var errs []error
	for _, name := range want {
		if err := s.sendPart(ctx, name); err != nil {
			errs = append(errs, fmt.Errorf("send part %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func (s *session) sendPart(ctx context.Context, name wire.PartName) error {
	part, found, err := s.Journal.Part(name)
	if err != nil || !found {
		return err
	}
	part.NowUS = s.Now().UnixMicro()
	reply, err := request[wire.PartReply](ctx, s, wire.ReportPart, part)
	if err != nil {
		return err
	}
	return refused(reply.Error)
}

// measures says what was measured, at once and whenever there is more. It has a
// turn of its own: a server that is slow to take measures holds up no result.
func (s *session) measures(ctx context.Context) {
	told := ""
	for {
		err := s.sayMeasures(ctx)
		if err != nil && ctx.Err() == nil && err.Error() != told {
			// Said once: a server of before knows no measures, and is asked each minute.
			s.Log.Warn("measures not delivered", "err", err)
		}
		told = ""
		if err != nil {
			told = err.Error()
		}
		select {
		case <-ctx.Done():
			return
		case <-s.measure:
		}
	}
}

func (s *session) sayMeasures(ctx context.Context) error {
	for more := true; more; {
		m, ok, err := s.Observer.Report()
		if err != nil || !ok {
			return err
		}
		reply, err := request[wire.MeasuresReply](ctx, s, wire.ReportMeasures, m)
		if err != nil {
			return err
		}
		if err := refused(reply.Error); err != nil {
			return err
		}
		if more, err = s.Observer.Said(m, reply); err != nil {
			return err
		}
	}
	return nil
}
