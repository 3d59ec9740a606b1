package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/wire"
)

const (
	// What may wait in this process for a free handler. Beyond it messages are
	// dropped; the agents' requests time out and come again.
	pendingMessages = 200_000
	pendingBytes    = 256 << 20

	handlerTimeout = 30 * time.Second
)

// Msg is one message from an agent. The broker's permissions have made sure
// that Subject names its sender.
type Msg struct {
	Subject string
	Data    []byte
}

// Handler answers one message. Its context is not the one of Run: a
// report that was taken is committed and answered. An error is answered too,
// as {"error":…}, which every reply of the wire can hold: a *fault.Error as it
// says, anything else as internal and to be tried again.
type Handler func(ctx context.Context, m Msg) (reply []byte, err error)

// Service is one thing to serve.
type Service struct {
	Tenant  fleet.TenantID
	Pattern string // of wire's subjects
	Queue   string // several servers of one name share the messages
	Workers int    // handlers at once; a gateway that commits in batches wants many
	Handle  Handler
}

// Serving is a service that takes messages. Whoever opened it runs it.
type Serving struct {
	service Service
	log     *slog.Logger
	line    *line
	sub     *nats.Subscription
	ended   chan struct{} // closed when the subscription has handed out its last message
	free    chan struct{} // one place for each running handler
	running sync.WaitGroup
}

// Serve takes messages from the moment it returns: the broker knows of it, and
// no agent is told any more that nobody listens.
func (b *Bus) Serve(s Service) (*Serving, error) {
	if s.Workers < 1 || s.Handle == nil {
		return nil, fmt.Errorf("serve %s: Workers and Handle are required", s.Pattern)
	}
	l, err := b.line(s.Tenant)
	if err != nil {
		return nil, fmt.Errorf("serve %s: %w", s.Pattern, err)
	}
	serving := &Serving{
		service: s, log: b.opts.Log.With("tenant", s.Tenant), line: l,
		ended: make(chan struct{}), free: make(chan struct{}, s.Workers),
	}
	if serving.sub, err = l.subscribe(s.Pattern, s.Queue, serving.take); err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	serving.sub.SetClosedHandler(func(string) { close(serving.ended) })
	if err := l.conn.FlushTimeout(connectTimeout); err != nil {
		return nil, errors.Join(fmt.Errorf("serve %s: %w", s.Pattern, err), serving.sub.Unsubscribe())
	}
	return serving, nil
}

// Run lasts until ctx ends, and then until every message that was taken is
// answered.
func (s *Serving) Run(ctx context.Context) error {
	<-ctx.Done()
	err := s.stop()
	if err == nil {
		<-s.ended
	}
	s.running.Wait()
	if conn := s.line.conn; err == nil && conn.IsConnected() {
		err = conn.FlushTimeout(connectTimeout) // the last replies
	}
	// A connection that is closed has handed out all it will.
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("stop serving %s: %w", s.service.Pattern, err)
	}
	return nil
}

// stop takes no more from the broker; Drain also hands out what waits here. If
// the broker is gone, nobody could be answered, and Drain would wait for it.
func (s *Serving) stop() error {
	if !s.line.conn.IsConnected() {
		return s.sub.Unsubscribe()
	}
	return s.sub.Drain()
}

// take runs in the subscription's goroutine; it waits for a free handler, and
// messages wait behind it.
func (s *Serving) take(m *nats.Msg) {
	s.free <- struct{}{}
	s.running.Go(func() {
		defer func() { <-s.free }()
		s.answer(m)
	})
}

func (s *Serving) answer(m *nats.Msg) {
	ctx, cancel := context.WithTimeout(context.Background(), handlerTimeout)
	defer cancel()
	reply, err := s.service.Handle(ctx, Msg{Subject: m.Subject, Data: m.Data})
	if err != nil {
		s.log.Warn("message not handled", "subject", m.Subject, "err", err)
		reply = refusal(err)
	}
	if m.Reply == "" || reply == nil {
		return
	}
	if err := m.Respond(reply); err != nil {
		s.log.Warn("reply not sent", "subject", m.Subject, "err", err)
	}
}

func refusal(err error) []byte {
	said := &wire.Error{Code: string(fault.Internal), Retry: true}
	var refused *fault.Error
	if errors.As(err, &refused) {
		said = &wire.Error{Code: string(refused.Code), Args: refused.Args, Retry: refused.Retry == fault.Retryable}
	}
	reply, err := json.Marshal(struct {
		Error *wire.Error `json:"error"`
	}{said})
	if err != nil {
		panic(fmt.Sprintf("bus: encode a refusal: %v", err)) // strings and a bool always encode
	}
	return reply
}
