package broker

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"patchring/internal/core/fleet"
	"patchring/internal/core/identity"
	"patchring/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a small CA with the server's certificate.
type site struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{t: t}
	s.cert, s.key = s.sign(&x509.Certificate{
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotAfter: time.Now().Add(time.Hour),
	})
	return s
}

func (s *site) sign(template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	parent, signer := s.cert, s.key
	if parent == nil {
		parent, signer = template, key
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.Subject = pkix.Name{CommonName: "test"}
	template.NotBefore = time.Now().Add(-time.Minute)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		s.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		s.t.Fatal(err)
	}
	return cert, key
}

func (s *site) pair(template *x509.Certificate) tls.Certificate {
	s.t.Helper()
	cert, key := s.sign(template)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

func (s *site) server() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{s.pair(&x509.Certificate{
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})}}
}

func (s *site) device(d identity.Device, life time.Duration) tls.Certificate {
	return s.pair(&x509.Certificate{
		NotAfter: time.Now().Add(life), URIs: []*url.URL{d.URI()},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

func (s *site) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.cert)
	return pool
}

// house is a broker with a register of devices that tests can change.
type house struct {
	*Broker
	site *site

	mu      sync.Mutex // guards all below
	revoked map[identity.Device]bool
	down    error  // Authorize cannot answer
	asked   func() // called within Authorize
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{site: newSite(t), revoked: map[identity.Device]bool{}}
	b, err := Start(Options{
		Listen: "127.0.0.1:0", WebSocket: "127.0.0.1:0", TLS: h.site.server(), ClientCAs: h.site.pool(),
		Authorize: h.authorize, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	h.Broker = b
	return h
}

func (h *house) authorize(_ context.Context, who Caller) (wire.Permissions, error) {
	h.mu.Lock()
	asked := h.asked
	revoked, down := h.revoked[who.Device], h.down
	h.mu.Unlock()
	if asked != nil {
		asked()
	}
	if down != nil {
		return wire.Permissions{}, down
	}
	if revoked {
		return wire.Permissions{}, fmt.Errorf("%w: retired", ErrRefused)
	}
	return wire.AgentPermissions(string(who.Device.ID)), nil
}

func (h *house) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

func (h *house) options(cert tls.Certificate, more ...nats.Option) []nats.Option {
	device, err := identity.DeviceOf(cert.Leaf)
	inbox := wire.InboxPrefix("none")
	if err == nil {
		inbox = wire.InboxPrefix(string(device.ID))
	}
	return append([]nats.Option{
		nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: h.site.pool(), Certificates: []tls.Certificate{cert}}),
		nats.Timeout(10 * time.Second), nats.CustomInboxPrefix(inbox), nats.NoReconnect(),
	}, more...)
}

// agent connects a device and records what NATS says to it.
func (h *house) agent(t testing.TB, d identity.Device, more ...nats.Option) *client {
	t.Helper()
	c := &client{errs: make(chan error, 64), closed: make(chan struct{})}
	more = append(more,
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.errs <- err }),
		nats.ClosedHandler(func(*nats.Conn) { close(c.closed) }))
	var err error
	c.Conn, err = nats.Connect(h.Addr(), h.options(h.site.device(d, time.Hour), more...)...)
	if err != nil {
		t.Fatalf("connect %s: %v", d.ID, err)
	}
	t.Cleanup(c.Close)
	return c
}

type client struct {
	*nats.Conn
	errs   chan error
	closed chan struct{}
}

// settle returns once the broker has seen everything the client sent.
func (c *client) settle(t testing.TB) {
	t.Helper()
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
}

func (c *client) waitClosed(t testing.TB, why string) {
	t.Helper()
	select {
	case <-c.closed:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: still connected", why)
	}
}

func (c *client) wantViolation(t testing.TB, what string) {
	t.Helper()
	select {
	case err := <-c.errs:
		if !strings.Contains(strings.ToLower(err.Error()), "permissions violation") {
			t.Fatalf("%s: got %v, want a permissions violation", what, err)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: nothing happened, want a permissions violation", what)
	}
}

// own is the server's connection to a tenant.
func (h *house) own(t testing.TB, tenant fleet.TenantID) *client {
	t.Helper()
	access := h.Access(tenant)
	conn, err := nats.Connect("", nats.InProcessServer(h.Broker), nats.UserInfo(access.User, access.Password), nats.NoReconnect())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return &client{Conn: conn}
}

func sub(t testing.TB, c *client, subject string) *nats.Subscription {
	t.Helper()
	s, err := c.SubscribeSync(subject)
	if err != nil {
		t.Fatal(err)
	}
	c.settle(t)
	return s
}

func publish(t testing.TB, c *client, subject, text string) {
	t.Helper()
	if err := c.Publish(subject, []byte(text)); err != nil {
		t.Fatal(err)
	}
	c.settle(t)
}

func next(t testing.TB, s *nats.Subscription) *nats.Msg {
	t.Helper()
	msg, err := s.NextMsg(10 * time.Second)
	if err != nil {
		t.Fatalf("wait for %s: %v", s.Subject, err)
	}
	return msg
}

// wantNothing is meaningful after a marker sent behind the message in question
// has arrived.
func wantNothing(t testing.TB, s *nats.Subscription) {
	t.Helper()
	if n, _, err := s.Pending(); err != nil || n != 0 {
		t.Fatalf("%s: %d messages wait, %v; want none", s.Subject, n, err)
	}
}

var (
	d1     = identity.Device{Tenant: "acme", ID: "d1"}
	d2     = identity.Device{Tenant: "acme", ID: "d2"}
	abroad = identity.Device{Tenant: "globex", ID: "d1"} // the same id in another tenant
)

func TestAgentAndServerTalk(t *testing.T) {
	h := newHouse(t)
	for name, address := range map[string]string{"tls": h.Addr(), "websocket": h.WebSocketAddr()} {
		t.Run(name, func(t *testing.T) {
			agent, err := nats.Connect(address, h.options(h.site.device(d1, time.Hour))...)
			if err != nil {
				t.Fatal(err)
			}
			defer agent.Close()
			server := h.own(t, "acme")
			reports := sub(t, server, wire.ReportPattern)
			answers := make(chan string, 1)
			go func() {
				reply, err := agent.Request(wire.ReportSubject("d1", wire.ReportCheckin), []byte("hello"), 10*time.Second)
				if err != nil {
					answers <- err.Error()
					return
				}
				answers <- string(reply.Data)
			}()
			msg := next(t, reports)
			if msg.Subject != "d1.up.checkin" || string(msg.Data) != "hello" {
				t.Fatalf("got %s %q", msg.Subject, msg.Data)
			}
			if err := msg.Respond([]byte("welcome")); err != nil {
				t.Fatal(err)
			}
			if got := <-answers; got != "welcome" {
				t.Fatalf("agent got %q", got)
			}
		})
	}
}

func TestTenantsAreWalledOff(t *testing.T) {
	h := newHouse(t)
	home, foreign := h.agent(t, d1), h.agent(t, abroad)
	homeServer, foreignServer := h.own(t, "acme"), h.own(t, "globex")
	homeOrders, foreignOrders := sub(t, home, wire.SubjectOrderAll), sub(t, foreign, wire.SubjectOrderAll)
	homeReports, foreignReports := sub(t, homeServer, ">"), sub(t, foreignServer, ">")

	publish(t, homeServer, wire.SubjectOrderAll, "stop")
	publish(t, foreign, wire.ReportSubject("d1", wire.ReportCheckin), "abroad")

	if got := string(next(t, homeOrders).Data); got != "stop" {
		t.Fatalf("home got %q", got)
	}
	if got := string(next(t, foreignReports).Data); got != "abroad" {
		t.Fatalf("foreign server got %q", got)
	}
	// The markers pass the same connections behind the messages above.
	publish(t, foreignServer, wire.SubjectOrderAll, "marker")
	publish(t, home, wire.ReportSubject("d1", wire.ReportCheckin), "marker")
	if got := string(next(t, foreignOrders).Data); got != "marker" {
		t.Errorf("an order leaked to another tenant: %q", got)
	}
	// The server's own subscription to everything sees its own order first.
	if got := string(next(t, homeReports).Data); got != "stop" {
		t.Errorf("home server got %q", got)
	}
	if got := string(next(t, homeReports).Data); got != "marker" {
		t.Errorf("a report leaked to another tenant: %q", got)
	}
	wantNothing(t, homeOrders)
	wantNothing(t, homeReports)
}

func TestDeviceCannotActAsAnother(t *testing.T) {
	h := newHouse(t)
	server := h.own(t, "acme")
	everything := sub(t, server, ">")
	for _, subject := range []string{
		wire.ReportSubject("d2", wire.ReportEvents), wire.AnswerSubject("d2", "q1"),
		wire.OrderSubject("d1"), wire.OrderSubject("d2"), wire.SubjectOrderAll, wire.SubjectQuestionAll,
		wire.InboxPrefix("d2") + ".x", "d1.up", "d2.up.checkin", "d1.x", "up.d1.checkin", "_INBOX.x", "$SYS.REQ.SERVER.PING",
	} {
		agent := h.agent(t, d1)
		publish(t, agent, subject, "forged")
		agent.wantViolation(t, "publish to "+subject)
		agent.Close()
	}
	for _, subject := range []string{
		wire.OrderSubject("d2"), wire.QuestionSubject("d2"), wire.InboxPrefix("d2") + ".>",
		wire.ReportPattern, wire.AnswerPattern, "d1.>", "d1.up.>", "*.to.ord", "all", ">", "$SYS.>",
	} {
		agent := h.agent(t, d1)
		if _, err := agent.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		agent.wantViolation(t, "subscribe to "+subject)
		agent.Close()
	}
	honest := h.agent(t, d1)
	publish(t, honest, wire.ReportSubject("d1", wire.ReportEvents), "marker")
	if msg := next(t, everything); string(msg.Data) != "marker" {
		t.Fatalf("a forged message passed: %s %q", msg.Subject, msg.Data)
	}
}

func TestRefusalAndOutageAreDifferentAnswers(t *testing.T) {
	h := newHouse(t)
	h.change(func() { h.revoked[d1] = true })
	_, err := nats.Connect(h.Addr(), h.options(h.site.device(d1, time.Hour))...)
	if !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("revoked: got %v, want an authorization violation", err)
	}
	h.change(func() { h.down = errors.New("database is down") })
	_, err = nats.Connect(h.Addr(), h.options(h.site.device(d2, time.Hour))...)
	if err == nil || errors.Is(err, nats.ErrAuthorization) || strings.Contains(strings.ToLower(err.Error()), "auth") {
		t.Errorf("outage: got %v, want an error that says nothing of authorization", err)
	}
	numbers, err := h.Numbers()
	if err != nil {
		t.Fatal(err)
	}
	if numbers.Refused != 1 || numbers.Outages != 1 {
		t.Errorf("got %d refused and %d outages, want 1 and 1", numbers.Refused, numbers.Outages)
	}
}

// An agent that meets an outage gets in by itself when it is over.
func TestAgentSurvivesAnOutage(t *testing.T) {
	h := newHouse(t)
	tries := make(chan struct{}, 100)
	h.change(func() {
		h.down = errors.New("database is down")
		h.asked = func() {
			select {
			case tries <- struct{}{}:
			default:
			}
		}
	})
	connected := make(chan struct{})
	agent, err := nats.Connect(h.Addr(), append(h.options(h.site.device(d1, time.Hour)),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(time.Millisecond), nats.ReconnectJitter(time.Millisecond, time.Millisecond),
		func(o *nats.Options) error { o.AllowReconnect = true; return nil },
		nats.ConnectHandler(func(*nats.Conn) { close(connected) }))...)
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close()
	for range 4 { // more often than the client forgives an authorization error
		<-tries
	}
	h.change(func() { h.down = nil })
	select {
	case <-connected:
	case <-time.After(20 * time.Second):
		t.Fatalf("not connected after the outage: %v", agent.LastError())
	}
}

func TestKick(t *testing.T) {
	h := newHouse(t)
	kicked, twin, other, namesake := h.agent(t, d1), h.agent(t, d1), h.agent(t, d2), h.agent(t, abroad)
	h.change(func() { h.revoked[d1] = true })
	h.Kick(d1)
	kicked.waitClosed(t, "kicked")
	twin.waitClosed(t, "its second connection")
	if _, err := nats.Connect(h.Addr(), h.options(h.site.device(d1, time.Hour))...); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("kicked device comes back: got %v, want an authorization violation", err)
	}
	other.settle(t)
	namesake.settle(t)
}

// The revocation is committed between the answer of Authorize and the moment
// the connection is known: it must not slip through.
func TestKickDuringAuthorization(t *testing.T) {
	h := newHouse(t)
	var once sync.Once
	h.change(func() {
		h.asked = func() { // the answer "may connect" has already been read
			once.Do(func() {
				h.change(func() { h.revoked[d1] = true })
				h.Kick(d1)
			})
		}
	})
	_, err := nats.Connect(h.Addr(), h.options(h.site.device(d1, time.Hour))...)
	if !errors.Is(err, nats.ErrAuthorization) {
		t.Fatalf("got %v, want an authorization violation", err)
	}
}

func TestNewestConnectionsOfADeviceStay(t *testing.T) {
	h := newHouse(t)
	first, second, third := h.agent(t, d1), h.agent(t, d1), h.agent(t, d1)
	first.waitClosed(t, "the oldest of three")
	second.settle(t)
	third.settle(t)
	second.Close()
	second.waitClosed(t, "closed by itself")
	fourth := h.agent(t, d1)
	third.settle(t)
	fourth.settle(t)
}

func TestStrangersAreRefused(t *testing.T) {
	h := newHouse(t)
	elsewhere := newSite(t)
	noName := h.site.pair(&x509.Certificate{NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	serverOnly := h.site.pair(&x509.Certificate{
		NotAfter: time.Now().Add(time.Hour), URIs: []*url.URL{d1.URI()},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	secret := nats.UserInfo("acme", h.secret) // even with the password of our own connections
	cases := map[string][]nats.Option{
		"no TLS":               {nats.UserInfo("acme", h.secret)},
		"no certificate":       {nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: h.site.pool()}), secret},
		"another CA":           h.options(elsewhere.device(d1, time.Hour), secret),
		"no name":              h.options(noName, secret),
		"a server certificate": h.options(serverOnly, secret),
		"expired":              h.options(h.site.device(d1, -time.Second), secret),
	}
	for _, address := range []string{h.Addr(), h.WebSocketAddr()} {
		for name, options := range cases {
			if name == "no TLS" {
				address = strings.NewReplacer("tls://", "nats://", "wss://", "ws://").Replace(address)
			}
			conn, err := nats.Connect(address, append(options, nats.NoReconnect(), nats.Timeout(10*time.Second))...)
			if err == nil {
				conn.Close()
				t.Errorf("%s %s: connected", address, name)
			}
		}
	}
}

func TestPlaintextGetsNothingDone(t *testing.T) {
	h := newHouse(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.Addr(), "tls://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	commands := fmt.Sprintf("CONNECT {\"user\":\"acme\",\"pass\":%q}\r\nSUB > 1\r\nPING\r\n", h.secret)
	if _, err := conn.Write([]byte(commands)); err != nil {
		t.Fatal(err)
	}
	var heard bytes.Buffer
	if _, err := heard.ReadFrom(conn); err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
		t.Fatal(err)
	}
	if strings.Contains(heard.String(), "PONG") {
		t.Fatalf("answered in the clear: %q", heard.String())
	}
}

func TestInProcessNeedsTheSecret(t *testing.T) {
	h := newHouse(t)
	heard := func(access Access) string {
		conn, err := h.InProcessConn()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		written := make(chan error, 1)
		go func() {
			_, err := fmt.Fprintf(conn, "CONNECT {\"user\":%q,\"pass\":%q}\r\nPING\r\n", access.User, access.Password)
			written <- err
		}()
		var text string
		for buffer := make([]byte, 4096); !strings.Contains(text, "PONG") && !strings.Contains(text, "-ERR"); {
			n, err := conn.Read(buffer)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			text += string(buffer[:n])
		}
		conn.Close()
		<-written
		return text
	}
	if got := heard(h.Access("acme")); !strings.Contains(got, "PONG") {
		t.Errorf("own access: got %s", got)
	}
	for name, access := range map[string]Access{
		"none": {}, "guessed": {"acme", "x"}, "empty password": {"acme", ""},
		"no tenant": {"", h.secret}, "system account": {"$SYS", h.secret}, "global account": {"$G", h.secret},
	} {
		if got := heard(access); !strings.Contains(got, "Authorization Violation") {
			t.Errorf("%s: got %s, want a violation", name, got)
		}
	}
}

func TestConnectionEndsWithItsCertificate(t *testing.T) {
	h := newHouse(t)
	closed := make(chan struct{})
	cert := h.site.device(d1, 3*time.Second)
	conn, err := nats.Connect(h.Addr(), h.options(cert, nats.ClosedHandler(func(*nats.Conn) { close(closed) }))...)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	select {
	case <-closed:
		if time.Now().Before(cert.Leaf.NotAfter.Add(-100 * time.Millisecond)) {
			t.Error("closed before the certificate expired")
		}
	case <-time.After(20 * time.Second):
		t.Error("the connection outlives its certificate")
	}
}

func TestCaps(t *testing.T) {
	h := newHouse(t)
	big := h.agent(t, d1)
	if err := big.Publish(wire.ReportSubject("d1", wire.ReportPart), make([]byte, wire.MaxPayloadBytes)); err != nil {
		t.Fatalf("largest payload: %v", err)
	}
	big.settle(t)
	err := big.Publish(wire.ReportSubject("d1", wire.ReportPart), make([]byte, wire.MaxPayloadBytes+1))
	if !errors.Is(err, nats.ErrMaxPayload) {
		t.Errorf("larger payload: got %v, want ErrMaxPayload", err)
	}
	greedy := h.agent(t, d2)
	for range maxSubscriptions + 1 {
		if _, err := greedy.SubscribeSync(wire.SubjectOrderAll); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-greedy.errs:
		if !strings.Contains(strings.ToLower(err.Error()), "maximum subscriptions") {
			t.Errorf("subscriptions: got %v, want a refusal of the %dth", err, maxSubscriptions+1)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("%d subscriptions were taken", maxSubscriptions+1)
	}
}

// NATS reads an empty allow list as "everything": it must never get one.
func TestEmptyOrBadPermissionsAdmitNobody(t *testing.T) {
	good := []string{"a.b"}
	for name, granted := range map[string]wire.Permissions{
		"nothing":       {},
		"no publish":    {Subscribe: good},
		"no subscribe":  {Publish: good},
		"bad subject":   {Publish: []string{"a..b"}, Subscribe: good},
		"queue subject": {Publish: good, Subscribe: []string{"a q"}},
	} {
		if got, err := natsPermissions(granted); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		} else if errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v is our mistake, not a refusal", name, err)
		}
	}
}

func TestNumbers(t *testing.T) {
	h := newHouse(t)
	agent := h.agent(t, d1)
	server := h.own(t, "acme")
	reports := sub(t, server, wire.ReportPattern)
	publish(t, agent, wire.ReportSubject("d1", wire.ReportCheckin), "12345")
	next(t, reports)
	got, err := h.Numbers()
	if err != nil {
		t.Fatal(err)
	}
	want := Numbers{Connections: 2, Subscriptions: got.Subscriptions, InMessages: 1, InBytes: 5, OutMessages: 1, OutBytes: 5}
	if got != want || got.Subscriptions < 1 {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestStartRefuses(t *testing.T) {
	h := newHouse(t)
	good := h.opts
	taken := strings.TrimPrefix(h.Addr(), "tls://")
	cases := map[string]func(*Options){
		"no TLS":         func(o *Options) { o.TLS = nil },
		"no CA":          func(o *Options) { o.ClientCAs = nil },
		"no Authorize":   func(o *Options) { o.Authorize = nil },
		"no port":        func(o *Options) { o.Listen = "127.0.0.1" },
		"port too large": func(o *Options) { o.Listen = "127.0.0.1:70000" },
		"port taken":     func(o *Options) { o.Listen = taken },
		"web port taken": func(o *Options) { o.WebSocket = taken },
		"web port wrong": func(o *Options) { o.WebSocket = "x" },
	}
	for name, spoil := range cases {
		opts := good
		spoil(&opts)
		if b, err := Start(opts); err == nil {
			b.Close()
			t.Errorf("%s: started, want an error", name)
		}
	}
}
