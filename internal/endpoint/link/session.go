package link

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"patchring/wire"
)

// maxWaiting is how many pushed messages may wait. What comes when they do is
// dropped: the next check-in says what stands.
const maxWaiting = 256

// session is one connection's life.
type session struct {
	*Link
	conn   *nats.Conn
	device string
}

// serve works until the connection or ctx ends.
func (s *session) serve(ctx context.Context) error {
	pushed := make(chan *nats.Msg, maxWaiting)
	for _, subject := range []string{
		wire.OrderSubject(s.device), wire.SubjectOrderAll, wire.QuestionSubject(s.device), wire.SubjectQuestionAll,
	} {
		if _, err := s.conn.ChanSubscribe(subject, pushed); err != nil {
			return fmt.Errorf("subscribe to %s: %w", subject, err)
		}
	}
	ctx, stop := context.WithCancelCause(ctx)
	var listening sync.WaitGroup
	defer listening.Wait()
	defer stop(nil)
	listening.Go(func() { s.listen(ctx, pushed) })
	listening.Go(func() { s.measures(ctx) })
	if err := s.round(ctx); err != nil {
		return err
	}
	for {
		timer := time.NewTimer(jitter(s.every))
		var err error
		select {
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-s.poke:
			s.try(ctx, "events not delivered", s.deliver)
		case <-s.checkin:
			err = s.round(ctx)
		case <-timer.C:
			err = s.round(ctx)
		}
		timer.Stop()
		if err != nil {
			return err
		}
	}
}

// round is one check-in with all that goes with it: events first, so that the
// server's answer is about what they said. Its error ends the connection.
func (s *session) round(ctx context.Context) error {
	s.try(ctx, "events not delivered", s.deliver)
	s.try(ctx, "check-in failed", s.checkIn)
	return s.renewal(ctx)
}

// try logs what failed; the next round tries again.
func (s *session) try(ctx context.Context, what string, f func(context.Context) error) {
	if err := f(ctx); err != nil && ctx.Err() == nil {
		s.Log.Warn("link", "what", what, "err", err)
	}
}

// listen takes what the server pushes.
func (s *session) listen(ctx context.Context, pushed <-chan *nats.Msg) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-pushed:
			if wire.IsQuestion(m.Subject) {
				s.question(m)
			} else {
				s.envelope(ctx, m)
			}
		}
	}
}

// envelope hands one to the executor. What is refused may lack only what a
// check-in brings.
func (s *session) envelope(ctx context.Context, m *nats.Msg) {
	var e wire.Envelope
	err := json.Unmarshal(m.Data, &e)
	if err == nil {
		err = s.take(ctx, e)
	}
	if err != nil {
		s.Log.Warn("envelope not taken", "subject", m.Subject, "err", err)
		s.CheckIn()
	}
	s.Poke()
}

func (s *session) take(ctx context.Context, e wire.Envelope) error {
	switch e.Kind {
	case wire.EnvelopeOrder:
		return s.Executor.Accept(e)
	case wire.EnvelopeHolds:
		return s.Executor.SetHolds(e)
	case wire.EnvelopeSaid:
		return s.Executor.Hear(ctx, e)
	case wire.EnvelopeWake:
		return s.Executor.Rouse(ctx, e)
	case wire.EnvelopeWatch:
		return s.Observer.Take(e)
	default:
		return fmt.Errorf("envelope of kind %q is not known to this agent", e.Kind)
	}
}

func (s *session) question(m *nats.Msg) {
	var q wire.Question
	if err := json.Unmarshal(m.Data, &q); err != nil || strings.ContainsAny(q.ID, ".*> \t\r\n") || q.ID == "" {
		s.Log.Warn("question that cannot be answered", "subject", m.Subject, "err", err) // nobody could hear it
		return
	}
	a := s.Answer(q)
	a.Value = wire.Clean(a.Value, wire.MaxTextBytes)
	text, err := json.Marshal(a)
	if err == nil {
		err = s.conn.Publish(wire.AnswerSubject(s.device, q.ID), text)
	}
	if err != nil {
		s.Log.Warn("question not answered", "question", q.Kind, "err", err)
	}
}

// bySerial sorts envelopes by the serial they say they have; the executor
// verifies it. Orders of one register prove that it grows from one to the next.
func bySerial(envelopes []wire.Envelope) []wire.Envelope {
	serial := func(e wire.Envelope) int64 {
		var o struct {
			Serial int64 `json:"serial"`
		}
		if json.Unmarshal(e.Payload, &o) != nil {
			return 0
		}
		return o.Serial
	}
	sorted := slices.Clone(envelopes)
	slices.SortStableFunc(sorted, func(a, b wire.Envelope) int { return int(min(max(serial(a)-serial(b), -1), 1)) })
	return sorted
}
