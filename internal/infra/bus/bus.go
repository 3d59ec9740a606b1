// Package bus is the server's own client of the broker: it serves what agents
// report, publishes what the outbox holds, and asks agents questions. It has
// one connection for each tenant's account.
//
// It decides nothing and keeps nothing: what it could not send is an error at
// once, never a buffer that dies with the process. A Bus is safe from any
// goroutine.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"patchring/internal/core/fleet"
)

const (
	connectTimeout = 10 * time.Second
	reconnectWait  = 50 * time.Millisecond

	// maxSubscriptions is below the broker's cap for one connection, which is
	// otherwise told to us only by an asynchronous error.
	maxSubscriptions = 16
)

// ErrClosed is the answer of a bus that was closed.
var ErrClosed = errors.New("bus is closed")

// Options of a bus.
type Options struct {
	// Broker is the embedded server.
	Broker nats.InProcessConnProvider
	// Access gives the name and password that enter a tenant's account.
	Access func(tenant fleet.TenantID) (user, password string)
	Log    *slog.Logger
}

// Bus holds the connections.
type Bus struct {
	opts Options

	mu      sync.Mutex // guards all below
	closed  bool
	tenants map[fleet.TenantID]*line
}

// line is the connection into one tenant's account.
type line struct {
	conn *nats.Conn
	ask  questions
}

// New makes a bus. Connections are made at first use; whoever makes a bus
// closes it.
func New(opts Options) *Bus {
	return &Bus{opts: opts, tenants: make(map[fleet.TenantID]*line)}
}

// Close ends the connections. Serve calls should have returned before, so that
// they could answer what they had taken.
func (b *Bus) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for _, l := range b.tenants {
		l.conn.Close()
	}
}

func (b *Bus) line(tenant fleet.TenantID) (*line, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, ErrClosed
	}
	if l, ok := b.tenants[tenant]; ok {
		return l, nil
	}
	log := b.opts.Log.With("tenant", tenant)
	user, password := b.opts.Access(tenant)
	conn, err := nats.Connect("",
		nats.InProcessServer(b.opts.Broker), nats.UserInfo(user, password), nats.Name("server"),
		nats.Timeout(connectTimeout), nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait),
		// What cannot be sent now stays in the outbox; a buffer would only
		// pretend that it was sent.
		nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // nil when we closed it ourselves
				log.Warn("bus disconnected", "err", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info("bus connected again") }),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			log.Warn("bus error", "subject", subject, "err", err)
		}))
	if err != nil {
		return nil, fmt.Errorf("connect bus to tenant %s: %w", tenant, err)
	}
	l := &line{conn: conn}
	b.tenants[tenant] = l
	return l, nil
}

// Publish sends one message to a tenant's agents. It returns nil when the
// broker has it. An agent that is not connected does not get it: the agent
// asks for what it missed at its next check-in.
func (b *Bus) Publish(ctx context.Context, tenant fleet.TenantID, subject string, payload []byte) error {
	l, err := b.line(tenant)
	if err != nil {
		return err
	}
	if err := l.conn.Publish(subject, payload); err != nil {
		return fmt.Errorf("publish %s: %w", subject, err)
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := l.conn.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("publish %s: %w", subject, err)
	}
	return nil
}

// subscribe refuses what the broker would refuse later and less clearly.
func (l *line) subscribe(subject, queue string, handle nats.MsgHandler) (*nats.Subscription, error) {
	if n := l.conn.NumSubscriptions(); n >= maxSubscriptions {
		return nil, fmt.Errorf("subscribe to %s: %d subscriptions already", subject, n)
	}
	sub, err := l.conn.QueueSubscribe(subject, queue, handle)
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	if err := sub.SetPendingLimits(pendingMessages, pendingBytes); err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	return sub, nil
}
