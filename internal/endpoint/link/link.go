// Package link is the agent's line to its server: one connection to the
// broker, on which it checks in, delivers what is spooled, sends the parts that
// the server asks for and what was measured, renews its certificate, and receives
// orders, holds, what to watch, and questions.
//
// It decides nothing: envelopes go to the executor, which verifies them. What
// cannot be said now stays in the journal and is said later. A refusal of the
// connection changes nothing on the device: an outage is never an
// authorisation answer, and neither is anything an attacker could stage.
//
// Run belongs to one goroutine; Poke, CheckIn, Measure and Connected are safe
// from any.
package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
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
	Hear(context.Context, wire.Envelope) error
	Rouse(context.Context, wire.Envelope) error
	Cancel(ids ...string) error
	ServerTime(time.Time) error
	Status() ([]wire.OrderStatus, error)
}

// Observer is where samples and points come from, and where a Watch goes.
type Observer interface {
	Take(wire.Envelope) error
	Serial() (int64, error)
	Report() (m wire.MeasuresReport, ok bool, err error)
	Said(wire.MeasuresReport, wire.MeasuresReply) (more bool, err error)
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
	Observer Observer
	State    func() State
	// Scan asks for a scan; it does not wait for it.
	Scan func()
	// Answer answers a question, at once.
	Answer  func(wire.Question) wire.Answer
	Changed func() // connected, or no longer
	Now     func() time.Time
	Version string
	Log     *slog.Logger
}

// Link is the line.
type Link struct {
	Options
	poke      chan struct{}
	checkin   chan struct{}
	measure   chan struct{}
	connected atomic.Bool
	every     time.Duration
	resumed   tls.ClientSessionCache // a resumed handshake costs the server a third less
}

// New makes a link; Run connects it.
func New(o Options) *Link {
	return &Link{
		Options: o, poke: make(chan struct{}, 1), checkin: make(chan struct{}, 1), measure: make(chan struct{}, 1),
		every: between(time.Duration(o.Identity.CheckinS) * time.Second), resumed: newSessions(),
	}
}

func newSessions() tls.ClientSessionCache { return tls.NewLRUClientSessionCache(2) }

// Poke delivers what is spooled now.
func (l *Link) Poke() { signal(l.poke) }

// CheckIn checks in now: a part or a state changed.
func (l *Link) CheckIn() { signal(l.checkin) }

// Measure says the latest sample now, and the points that wait.
func (l *Link) Measure() { signal(l.measure) }

// Connected tells whether the broker is there.
func (l *Link) Connected() bool { return l.connected.Load() }

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// The time between check-ins is the server's choice, within reason.
const (
	seldom = time.Hour
	often  = time.Second
)

func between(d time.Duration) time.Duration { return min(max(d, often), seldom) }

const (
	connectTimeout = 30 * time.Second // a thousand agents may come back at once
	requestTimeout = 30 * time.Second
	reconnectWait  = time.Second
	reconnectMost  = time.Minute
	pingEvery      = 30 * time.Second
)

// Run keeps the line until ctx ends. What stands in its way is waited for: only
// an identity that cannot be read ends it.
func (l *Link) Run(ctx context.Context) error {
	doors := doors(l.Identity.Brokers)
	for attempt := 0; ctx.Err() == nil; attempt++ {
		c, err := l.credentials()
		if err != nil {
			return err
		}
		began := l.Now()
		err = l.visit(ctx, doors[attempt%len(doors)], c)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errRenewed):
			attempt = -1
			continue
		case l.Now().Sub(began) > reconnectMost:
			attempt = -1 // it was a real connection: begin again, at the first door
		}
		l.Log.Warn("no connection", "err", err)
		wait(ctx, backoff(attempt))
	}
	return nil
}

// doors groups the brokers' addresses by how they are reached: directly, and
// by WebSocket for sites that let only HTTPS out. One connection cannot know
// both kinds, so they are tried in turn.
func doors(brokers []string) [][]string {
	var direct, web []string
	for _, b := range brokers {
		if strings.HasPrefix(b, "wss://") || strings.HasPrefix(b, "ws://") {
			web = append(web, b)
		} else {
			direct = append(direct, b)
		}
	}
	var groups [][]string
	for _, g := range [][]string{direct, web} {
		if len(g) > 0 {
			groups = append(groups, g)
		}
	}
	if len(groups) == 0 {
		groups = [][]string{{nats.DefaultURL}} // refused by its TLS, and said so
	}
	return groups
}

// backoff grows with the attempts, and spreads a fleet that lost its server.
func backoff(attempts int) time.Duration {
	d := min(reconnectWait<<min(max(attempts, 0), 6), reconnectMost)
	return d/2 + time.Duration(rand.Int64N(int64(d)))
}

// jitter spreads a fleet's heartbeats by a tenth.
func jitter(d time.Duration) time.Duration {
	return d*9/10 + time.Duration(rand.Int64N(int64(d/5)+1))
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (l *Link) credentials() (*tls.Config, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(l.Identity.CA)) {
		return nil, errors.New("read the site's CA of the identity: it is not readable; enrol again")
	}
	certificate, err := tls.X509KeyPair([]byte(l.Identity.Certificate), []byte(l.Identity.Key))
	if err != nil {
		return nil, fmt.Errorf("read own certificate: %w", err)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: roots, Certificates: []tls.Certificate{certificate}, ClientSessionCache: l.resumed,
	}, nil
}

// visit is one connection, from the handshake to its end.
func (l *Link) visit(ctx context.Context, door []string, credentials *tls.Config) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	device := l.Identity.Device
	conn, err := nats.Connect(strings.Join(door, ","),
		nats.Secure(credentials), nats.CustomInboxPrefix(wire.InboxPrefix(device)), nats.Name(device),
		nats.Timeout(connectTimeout), nats.PingInterval(pingEvery), nats.NoReconnect(),
		nats.ClosedHandler(func(c *nats.Conn) { stop(fmt.Errorf("connection closed: %w", orClosed(c.LastError()))) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { l.Log.Warn("broker says", "err", err) }))
	if err != nil {
		return fmt.Errorf("connect to %s: %w", strings.Join(door, ", "), err)
	}
	defer conn.Close()
	l.Log.Info("connected", "broker", conn.ConnectedUrlRedacted())
	l.connected.Store(true)
	l.Changed()
	defer l.Changed()
	defer l.connected.Store(false)
	return (&session{Link: l, conn: conn, device: device}).serve(ctx)
}

func orClosed(err error) error {
	if err == nil {
		return nats.ErrConnectionClosed
	}
	return err
}
