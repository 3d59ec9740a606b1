// Package link is the agent's line to its server: one connection to the
// broker, on which it checks in, delivers what is spooled, sends the parts that
// the server asks for, renews its certificate, and receives orders, holds and
// questions.
//
// It decides nothing: envelopes go to the executor, which verifies them. What
// cannot be said now stays in the journal and is said later. A refusal of the
// connection changes nothing on the device: an outage is never an
// authorisation answer, and neither is anything an attacker could stage.
//
// Run belongs to one goroutine; Poke and Connected are safe from any.
package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

// Executor is where orders go.
type Executor interface {
	Accept(wire.Envelope) error
	SetHolds(wire.Envelope) error
	Cancel(ids ...string) error
	ServerTime(time.Time) error
	Status() ([]wire.OrderStatus, error)
}

// Journal is what the link reads and acknowledges.
type Journal interface {
	Pending(max int, maxBytes int64) ([]wire.Event, error)
	Ack(upTo int64) error
	Spooled() (int, error)
	Holds() (wire.Holds, error)
	PartHashes() (map[wire.PartName]string, error)
	Part(wire.PartName) (wire.Part, bool, error)
}

// State is what a check-in says of the device beside its parts.
type State struct {
	BootID        string
	BootedUS      int64
	MachineID     string
	RebootPending bool
	ScannedUS     int64 // when the last scan that looked ended
}

// Options of a link.
type Options struct {
	Identity journal.Identity
	// Renewed keeps a renewed identity.
	Renewed  func(journal.Identity) error
	Journal  Journal
	Executor Executor
	State    func() State
	// Scan asks for a scan; it does not wait for it.
	Scan func()
	// Answer answers a question.
	Answer  func(ctx context.Context, q wire.Question) (string, error)
	Changed func() // connected, or no longer
	Now     func() time.Time
	Version string
	Log     *slog.Logger
}

// Link is the line.
type Link struct {
	Options
	conn      *nats.Conn
	poke      chan struct{}
	checkin   chan struct{}
	connected atomic.Bool
	every     time.Duration
}

// New makes a link; Run connects it.
func New(o Options) *Link {
	if o.Changed == nil {
		o.Changed = func() {}
	}
	return &Link{
		Options: o, poke: make(chan struct{}, 1), checkin: make(chan struct{}, 1),
		every: max(time.Duration(o.Identity.CheckinS)*time.Second, time.Second),
	}
}

// Poke delivers what is spooled now.
func (l *Link) Poke() { signal(l.poke) }

// CheckIn checks in now: a part or a state changed.
func (l *Link) CheckIn() { signal(l.checkin) }

// Connected tells whether the broker is there.
func (l *Link) Connected() bool { return l.connected.Load() }

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

const (
	connectTimeout = 30 * time.Second // a thousand agents may come back at once
	requestTimeout = 30 * time.Second
	reconnectWait  = time.Second
	reconnectMost  = time.Minute
	pingEvery      = 30 * time.Second
)

// Run keeps the line until ctx ends.
func (l *Link) Run(ctx context.Context) error {
	if err := l.connect(); err != nil {
		return err
	}
	defer l.conn.Close()
	questions, stop := context.WithCancel(ctx)
	defer stop()
	if err := l.subscribe(questions); err != nil {
		return err
	}
	for {
		timer := time.NewTimer(jitter(l.every))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-l.poke:
			l.try(ctx, "deliver events", l.deliver)
		case <-l.checkin:
			l.round(ctx)
		case <-timer.C:
			l.round(ctx)
		}
		timer.Stop()
	}
}

// round is one check-in with all that goes with it: events first, so that the
// server's answer is about what they said.
func (l *Link) round(ctx context.Context) {
	l.try(ctx, "deliver events", l.deliver)
	l.try(ctx, "check in", l.checkIn)
	l.try(ctx, "renew certificate", l.renew)
}

// try logs what failed; the next round tries again.
func (l *Link) try(ctx context.Context, what string, f func(context.Context) error) {
	if !l.connected.Load() {
		return
	}
	if err := f(ctx); err != nil && ctx.Err() == nil {
		l.Log.Warn("link", "what", what, "err", err)
	}
}

// jitter spreads a fleet's heartbeats by a tenth.
func jitter(d time.Duration) time.Duration {
	return d*9/10 + time.Duration(rand.Int64N(int64(d/5)+1))
}

func (l *Link) connect() error {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(l.Identity.CA)) {
		return errors.New("connect: the site's CA in the identity is not readable; enrol again")
	}
	certificate, err := tls.X509KeyPair([]byte(l.Identity.Certificate), []byte(l.Identity.Key))
	if err != nil {
		return fmt.Errorf("connect: read own certificate: %w", err)
	}
	l.conn, err = nats.Connect(strings.Join(l.Identity.Brokers, ","),
		nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, Certificates: []tls.Certificate{certificate}}),
		nats.CustomInboxPrefix(wire.InboxPrefix(l.Identity.Device)), nats.Name(l.Identity.Device),
		nats.Timeout(connectTimeout), nats.PingInterval(pingEvery),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.CustomReconnectDelay(backoff), nats.ReconnectBufSize(-1),
		nats.ConnectHandler(l.up), nats.ReconnectHandler(l.up),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { l.down(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { l.Log.Warn("link", "what", "broker", "err", err) }))
	if err != nil {
		return fmt.Errorf("connect to %s: %w", strings.Join(l.Identity.Brokers, ","), err)
	}
	return nil
}

// backoff grows with the attempts, and spreads a fleet that lost its server.
func backoff(attempts int) time.Duration {
	d := min(reconnectWait<<min(attempts, 6), reconnectMost)
	return d/2 + time.Duration(rand.Int64N(int64(d)))
}

func (l *Link) up(c *nats.Conn) {
	l.connected.Store(true)
	l.Log.Info("connected", "broker", c.ConnectedUrlRedacted())
	l.Changed()
	l.CheckIn()
}

func (l *Link) down(err error) {
	if l.connected.Swap(false) {
		l.Log.Warn("disconnected", "err", err)
		l.Changed()
	}
}

func (l *Link) subscribe(ctx context.Context) error {
	device := l.Identity.Device
	for subject, handle := range map[string]nats.MsgHandler{
		wire.OrderSubject(device):    l.envelope,
		wire.SubjectOrderAll:         l.envelope,
		wire.QuestionSubject(device): func(m *nats.Msg) { l.question(ctx, m) },
		wire.SubjectQuestionAll:      func(m *nats.Msg) { l.question(ctx, m) },
	} {
		if _, err := l.conn.Subscribe(subject, handle); err != nil {
			return fmt.Errorf("subscribe to %s: %w", subject, err)
		}
	}
	return nil
}

// envelope hands one to the executor. A push that is lost or refused costs
// latency only: the next check-in says what stands.
func (l *Link) envelope(m *nats.Msg) {
	var e wire.Envelope
	err := json.Unmarshal(m.Data, &e)
	if err == nil {
		err = l.take(e)
	}
	if err != nil {
		l.Log.Warn("envelope not taken", "subject", m.Subject, "err", err)
	}
	l.Poke()
}

func (l *Link) take(e wire.Envelope) error {
	switch e.Kind {
	case wire.EnvelopeOrder:
		return l.Executor.Accept(e)
	case wire.EnvelopeHolds:
		return l.Executor.SetHolds(e)
	default:
		return fmt.Errorf("envelope of kind %q is not known to this agent", e.Kind)
	}
}

func (l *Link) question(ctx context.Context, m *nats.Msg) {
	var q wire.Question
	if err := json.Unmarshal(m.Data, &q); err != nil || strings.ContainsAny(q.ID, ".*> \t") || q.ID == "" {
		return // nobody could hear an answer to it
	}
	a := wire.Answer{AtUS: l.Now().UnixMicro()}
	value, err := l.Answer(ctx, q)
	if err != nil {
		a.Error = &wire.Error{Code: "unavailable", Args: map[string]string{"what": wire.Clean(err.Error(), wire.MaxTextBytes)}}
	}
	a.Value = wire.Clean(value, wire.MaxTextBytes)
	text, err := json.Marshal(a)
	if err == nil {
		err = l.conn.Publish(wire.AnswerSubject(l.Identity.Device, q.ID), text)
	}
	if err != nil {
		l.Log.Warn("question not answered", "question", q.Kind, "err", err)
	}
}
