package sim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"patchring/wire"
)

const (
	dialTimeout = 30 * time.Second // a broker that 10,000 agents come back to takes its time
	// inbox is how many messages may wait for a device: it is only ever sent
	// its own few.
	inbox = 64
)

// link is one connection to the broker. All its subscriptions share one
// channel: a goroutine for each of five, ten thousand times, is memory for
// nothing.
type link struct {
	conn     *nats.Conn
	messages chan *nats.Msg
	closed   chan struct{}
	device   string
	asked    int
}

// dial connects and subscribes. It returns early when ctx ends.
func dial(ctx context.Context, t trust, who identity) (*link, error) {
	l := &link{messages: make(chan *nats.Msg, inbox), closed: make(chan struct{}), device: who.device}
	dialling := &dialer{ctx: ctx}
	defer dialling.release()
	var err error
	l.conn, err = nats.Connect(strings.Join(t.brokers, ","),
		nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: t.roots, Certificates: []tls.Certificate{who.certificate}}),
		nats.SetCustomDialer(dialling), nats.Timeout(dialTimeout), nats.NoReconnect(), nats.Name(AgentVersion),
		nats.ClosedHandler(func(*nats.Conn) { close(l.closed) }),
		// What is refused by a permission or thrown away is missed as a
		// time-out; this only keeps the library from printing.
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	for _, subject := range wire.AgentPermissions(who.device).Subscribe {
		if _, err := l.conn.ChanSubscribe(subject, l.messages); err != nil {
			l.close()
			return nil, fmt.Errorf("subscribe to %s: %w", subject, err)
		}
	}
	return l, nil
}

func (l *link) close() {
	l.conn.Close()
	<-l.closed
}

// request sends a report and answers the subject its reply comes to.
func (l *link) request(kind wire.ReportKind, payload []byte) (string, error) {
	l.asked++
	reply := fmt.Sprintf("%s.%d", wire.InboxPrefix(l.device), l.asked)
	if err := l.conn.PublishRequest(wire.ReportSubject(l.device, kind), reply, payload); err != nil {
		return "", fmt.Errorf("send %s: %w", kind, err)
	}
	return reply, nil
}

// refused tells an answer of the broker from its silence.
func refused(err error) bool { return errors.Is(err, nats.ErrAuthorization) }

// dialer ends a dialling, handshake included, when ctx ends: the library itself
// knows no context. It is used by one goroutine.
type dialer struct {
	ctx  context.Context
	free []func() bool
}

// Dial implements nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	var plain net.Dialer
	conn, err := plain.DialContext(d.ctx, network, address)
	if err != nil {
		return nil, err
	}
	d.free = append(d.free, context.AfterFunc(d.ctx, func() { conn.Close() }))
	return conn, nil
}

// release lets the connections outlast ctx.
func (d *dialer) release() {
	for _, free := range d.free {
		free()
	}
}
