// Package broker is the embedded NATS server: the listeners that agents
// connect to, and the wall between tenants. Each tenant is an account of its
// own; a device's certificate says which account it belongs to, and the
// Authorize function of its owner says whether it may connect and to which
// subjects.
//
// It refuses: anything without TLS and a certificate of the site's CA, a
// permission list that is empty (which NATS would read as "everything"), and a
// device that Authorize does not know. It refuses nobody because of an outage:
// when Authorize cannot answer, the connection ends without a verdict and the
// agent tries again.
//
// A Broker is safe from any goroutine. Authorize is called from the
// connections' goroutines, many at once.
package broker

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"patchring/internal/core/fleet"
	"patchring/internal/core/identity"
	"patchring/wire"
)

// Limits of a connection. They hold for our own connections too, which
// therefore subscribe to patterns and not to single devices.
const (
	maxSubscriptions = 20
	maxConnections   = 200_000
	// maxLinks is how many connections one device may have. Two, because after
	// a power cut the broker still believes in the old one for some minutes.
	maxLinks = 2
	// maxPending is what may wait for a reader that is too slow. It is set by
	// our own connections, which 10,000 agents may write to at once; a device
	// is only ever sent its own few messages.
	maxPending = 64 << 20

	handshakeTimeout = 30 * time.Second // 10,000 agents after a restart take their time
	authorizeTimeout = 10 * time.Second
	startTimeout     = 15 * time.Second
)

// ErrRefused is what Authorize returns (wrapped) when it knows that the device
// may not connect: unknown, retired, revoked. The agent is told so. Any other
// error is an outage.
var ErrRefused = errors.New("device may not connect")

// Caller is who asks to connect, as its certificate says. The certificate has
// been verified against ClientCAs.
type Caller struct {
	Device      identity.Device
	Certificate *x509.Certificate
	Address     string // for logs; a verdict on it would be a verdict on a proxy
}

// Options of a broker.
type Options struct {
	Listen    string      // host:port; port 0 takes a free one
	WebSocket string      // host:port for sites that let only 443 out; empty: none
	TLS       *tls.Config // the server's certificate; the broker adds the demand for a client's
	ClientCAs *x509.CertPool

	// Authorize gives a device's permissions. The connection lasts no longer
	// than its certificate.
	Authorize func(ctx context.Context, who Caller) (wire.Permissions, error)

	Log *slog.Logger
}

// Broker is a running NATS server.
type Broker struct {
	opts   Options
	nats   *server.Server
	secret string // of our own connections, which never leave this process
	links  links

	ctx    context.Context // ends Authorize calls when the broker closes
	cancel context.CancelFunc

	refused atomic.Int64
	outages atomic.Int64
}

// Start listens. Whoever starts a broker closes it.
func Start(opts Options) (*Broker, error) {
	if opts.TLS == nil || opts.ClientCAs == nil || opts.Authorize == nil || opts.Log == nil {
		return nil, errors.New("start broker: TLS, ClientCAs, Authorize and Log are required")
	}
	b := &Broker{opts: opts, secret: rand.Text()}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	natsOpts, err := b.natsOptions()
	if err != nil {
		b.cancel()
		return nil, fmt.Errorf("start broker: %w", err)
	}
	if b.nats, err = server.NewServer(natsOpts); err != nil {
		b.cancel()
		return nil, fmt.Errorf("start broker: %w", err)
	}
	b.links.alive = func(id uint64) bool { return b.nats.GetClient(id) != nil }
	fatal := make(chan string, 1)
	b.nats.SetLoggerV2(logger{log: opts.Log, fatal: fatal}, false, false, false)
	if err := b.listen(fatal); err != nil {
		b.Close()
		return nil, fmt.Errorf("start broker: %w", err)
	}
	return b, nil
}

// listen opens the listeners. A port that is taken is told only by a fatal log
// line, which in an embedded server ends nothing.
func (b *Broker) listen(fatal <-chan string) error {
	b.nats.Start()
	select {
	case text := <-fatal:
		return errors.New(text)
	default:
	}
	if !b.nats.ReadyForConnections(startTimeout) {
		return fmt.Errorf("not listening after %s", startTimeout)
	}
	return nil
}

func (b *Broker) natsOptions() (*server.Options, error) {
	host, port, err := splitAddress(b.opts.Listen)
	if err != nil {
		return nil, err
	}
	clients := b.opts.TLS.Clone()
	clients.ClientAuth = tls.RequireAndVerifyClientCert
	clients.ClientCAs = b.opts.ClientCAs
	opts := &server.Options{
		ServerName: "patchring",
		Host:       host, Port: port,
		TLSConfig: clients, TLSVerify: true, TLSTimeout: handshakeTimeout.Seconds(),
		AuthTimeout:                handshakeTimeout.Seconds() + 1,
		CustomClientAuthentication: gatekeeper{b},
		// The first ping would otherwise come after two seconds, and a client
		// that is still shaking hands among 10,000 others cannot answer it.
		DisableShortFirstPing: true,
		MaxConn:               maxConnections,
		MaxSubs:               maxSubscriptions,
		MaxPayload:            wire.MaxPayloadBytes,
		MaxPending:            maxPending,
		NoSublistCache:        true, // subjects are a device's own: hardly one is met twice among the cache's 1,024
		NoSystemAccount:       true, // its events are a message for each connection, read by nobody
		NoSigs:                true, // signals belong to the program
	}
	if b.opts.WebSocket == "" {
		return opts, nil
	}
	host, port, err = splitAddress(b.opts.WebSocket)
	if err != nil {
		return nil, err
	}
	opts.Websocket = server.WebsocketOpts{
		Host: host, Port: port,
		TLSConfig: clients.Clone(), HandshakeTimeout: handshakeTimeout,
		AuthTimeout: handshakeTimeout.Seconds() + 1,
	}
	return opts, nil
}

func splitAddress(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("listen address %q: %w", address, err)
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("listen address %q: port is not a number up to 65535", address)
	}
	if number == 0 {
		return host, server.RANDOM_PORT, nil // NATS reads 0 as its default port
	}
	return host, int(number), nil
}

// Close ends every connection and waits for all goroutines of the server.
func (b *Broker) Close() {
	b.cancel()
	b.nats.Shutdown()
	b.nats.WaitForShutdown()
}

// Addr is where agents connect, tls://host:port.
func (b *Broker) Addr() string { return b.nats.ClientURL() }

// WebSocketAddr is where agents connect through a web proxy, wss://host:port,
// or empty.
func (b *Broker) WebSocketAddr() string {
	if b.opts.WebSocket == "" {
		return ""
	}
	return b.nats.WebsocketURL()
}

// InProcessConn opens a connection that touches no network; with it, a Broker
// is a nats.InProcessConnProvider.
func (b *Broker) InProcessConn() (net.Conn, error) { return b.nats.InProcessConn() }

// Access is what our own client needs to enter a tenant's account, over
// InProcessConn only.
type Access struct {
	User     string
	Password string
}

// Access to a tenant's account.
func (b *Broker) Access(tenant fleet.TenantID) Access {
	return Access{User: string(tenant), Password: b.secret}
}

// Kick ends the connections of a device, which then has to ask Authorize
// again. Call it after the change that revokes the device is committed: a
// connection being authorised at this moment is authorised once more.
func (b *Broker) Kick(device identity.Device) {
	for _, id := range b.links.kick(device) {
		b.drop(id)
	}
}

// drop ends a connection; that it has already ended is what we want.
func (b *Broker) drop(id uint64) {
	if err := b.nats.DisconnectClientByID(id); err != nil {
		b.opts.Log.Debug("connection was gone", "connection", id)
	}
}

// Numbers measure a broker.
type Numbers struct {
	Connections   int
	Subscriptions int
	SlowConsumers int64 // connections ended because their reader was too slow
	InMessages    int64
	InBytes       int64
	OutMessages   int64
	OutBytes      int64
	Refused       int64 // devices told that they may not connect
	Outages       int64 // connections ended because Authorize could not answer
}

// Numbers as they are now.
func (b *Broker) Numbers() (Numbers, error) {
	v, err := b.nats.Varz(nil)
	if err != nil {
		return Numbers{}, fmt.Errorf("measure broker: %w", err)
	}
	return Numbers{
		Connections: v.Connections, Subscriptions: int(v.Subscriptions), SlowConsumers: v.SlowConsumers,
		InMessages: v.InMsgs, InBytes: v.InBytes, OutMessages: v.OutMsgs, OutBytes: v.OutBytes,
		Refused: b.refused.Load(), Outages: b.outages.Load(),
	}, nil
}
