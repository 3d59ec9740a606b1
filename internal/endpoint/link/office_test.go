package link

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"patchring/internal/core/identity"
	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

const (
	tenant = "main"
	device = "01936f2e-0000-7000-8000-000000000001"
	long   = 20 * time.Second // until a test gives up
)

// authority is a site's CA.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  string
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	a.cert = a.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "site"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, &a.key.PublicKey, time.Hour)
	a.pem = pemText("CERTIFICATE", a.cert.Raw)
	return a
}

func (a *authority) issue(template *x509.Certificate, public any, life time.Duration) *x509.Certificate {
	a.t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber = serial
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(life)
	parent := a.cert
	if parent == nil {
		parent = template
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, public, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

// device issues what a request asks for, to whom it is told.
func (a *authority) device(csr string, to identity.Device, life time.Duration) string {
	block, _ := pem.Decode([]byte(csr))
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		a.t.Fatal(err)
	}
	cert := a.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: string(to.ID)}, URIs: []*url.URL{to.URI()}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, request.PublicKey, life)
	return pemText("CERTIFICATE", cert.Raw)
}

func (a *authority) server() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	cert := a.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "server"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, &key.PublicKey, time.Hour)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

// office is the server's side: a real broker and a gateway that answers as it
// is told and remembers what it heard.
type office struct {
	t         *testing.T
	authority *authority
	broker    *server.Server
	nc        *nats.Conn
	port      int
	web       string // its address by WebSocket

	mu       sync.Mutex // guards the rest
	refuse   bool       // the broker refuses everybody
	checkins []wire.Checkin
	parts    []wire.Part
	events   []wire.Event
	measures []wire.MeasuresReport
	mute     bool // reports of measures are not answered
	upTo     int64
	csrs     []string
	serials  []string // of the certificates that connected
	reply    wire.CheckinReply
	failing  int // so many event reports fail before one is committed
	lost     int // so many event reports are committed without an answer
	life     time.Duration
	issueTo  identity.Device
}

func newOffice(t *testing.T) *office {
	o := &office{
		t: t, authority: newAuthority(t), life: 30 * 24 * time.Hour,
		issueTo: identity.Device{Tenant: tenant, ID: device}, reply: wire.CheckinReply{CheckinS: 3600},
	}
	o.open()
	t.Cleanup(o.shut)
	return o
}

// Check is the broker's question whether a client may connect.
func (o *office) Check(c server.ClientAuthentication) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	account := o.broker.GlobalAccount()
	state := c.GetTLSConnectionState()
	if state == nil || len(state.PeerCertificates) == 0 { // the gateway itself, in process
		c.RegisterUser(&server.User{Account: account})
		return true
	}
	who, err := identity.DeviceOf(state.PeerCertificates[0])
	if err != nil || o.refuse {
		return false
	}
	o.serials = append(o.serials, state.PeerCertificates[0].SerialNumber.String())
	p := wire.AgentPermissions(string(who.ID))
	c.RegisterUser(&server.User{Account: account, Permissions: &server.Permissions{
		Publish: &server.SubjectPermission{Allow: p.Publish}, Subscribe: &server.SubjectPermission{Allow: p.Subscribe},
	}})
	return true
}

// open starts the broker; again on the same ports after shut.
func (o *office) open() {
	roots := x509.NewCertPool()
	roots.AddCert(o.authority.cert)
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{o.authority.server()},
		ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert,
	}
	port := server.RANDOM_PORT
	if o.port != 0 {
		port = o.port
	}
	options := &server.Options{
		Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true, TLS: true, TLSConfig: config, TLSVerify: true, TLSTimeout: 10,
		CustomClientAuthentication: o, DisableShortFirstPing: true,
		Websocket: server.WebsocketOpts{Host: "127.0.0.1", Port: server.RANDOM_PORT, TLSConfig: config.Clone()},
	}
	var err error
	if o.broker, err = server.NewServer(options); err != nil {
		o.t.Fatal(err)
	}
	o.broker.Start()
	if !o.broker.ReadyForConnections(long) {
		o.t.Fatal("broker does not start")
	}
	o.port = o.broker.Addr().(*net.TCPAddr).Port
	o.web = o.broker.WebsocketURL()
	if o.nc, err = nats.Connect("", nats.InProcessServer(o.broker)); err != nil {
		o.t.Fatal(err)
	}
	if _, err = o.nc.Subscribe(wire.ReportPattern, o.serve); err != nil {
		o.t.Fatal(err)
	}
	if err := o.nc.Flush(); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) shut() {
	o.nc.Close()
	o.broker.Shutdown()
	o.broker.WaitForShutdown()
}

func (o *office) serve(m *nats.Msg) {
	from, kind, err := wire.DeviceOf(m.Subject)
	if err != nil || from != device {
		o.t.Errorf("report on %s: %v", m.Subject, err)
		return
	}
	answer := o.answer(wire.ReportKind(kind), m.Data)
	if answer == nil {
		return
	}
	text, err := json.Marshal(answer)
	if err == nil {
		err = m.Respond(text)
	}
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		o.t.Errorf("answer: %v", err)
	}
}

func (o *office) answer(kind wire.ReportKind, data []byte) any {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch kind {
	case wire.ReportCheckin:
		o.checkins = append(o.checkins, decode[wire.Checkin](o.t, data))
		reply := o.reply
		reply.NowUS = time.Now().UnixMicro()
		o.reply = wire.CheckinReply{CheckinS: o.reply.CheckinS} // said once
		return reply
	case wire.ReportPart:
		o.parts = append(o.parts, decode[wire.Part](o.t, data))
		return wire.PartReply{}
	case wire.ReportEvents:
		return o.commit(decode[wire.Events](o.t, data))
	case wire.ReportMeasures:
		return o.takeMeasures(decode[wire.MeasuresReport](o.t, data))
	case wire.ReportRenew:
		csr := decode[wire.RenewRequest](o.t, data).CSR
		o.csrs = append(o.csrs, csr)
		return wire.RenewReply{Certificate: o.authority.device(csr, o.issueTo, o.life)}
	}
	o.t.Errorf("unknown report %s", kind)
	return nil
}

func (o *office) commit(e wire.Events) any {
	if o.failing > 0 {
		o.failing--
		return wire.EventsReply{UpTo: o.upTo, Error: &wire.Error{Code: "unavailable", Retry: true}}
	}
	for _, event := range e.Events {
		if event.Seq > o.upTo {
			o.events, o.upTo = append(o.events, event), event.Seq
		}
	}
	if o.lost > 0 {
		o.lost--
		return wire.EventsReply{Error: &wire.Error{Code: "unavailable", Retry: true}}
	}
	return wire.EventsReply{UpTo: o.upTo}
}

func decode[T any](t *testing.T, data []byte) (v T) {
	if err := json.Unmarshal(data, &v); err != nil {
		t.Errorf("decode %T: %v", v, err)
	}
	return v
}

// identity is that of a device whose certificate has so long to live yet; an
// hour of its life is over.
func (o *office) identity(life time.Duration) journal.Identity {
	key, csr, err := NewKey("h1")
	if err != nil {
		o.t.Fatal(err)
	}
	return journal.Identity{
		Tenant: tenant, Device: device, Name: "h1", Key: key, CA: o.authority.pem, CheckinS: 3600,
		Certificate: o.authority.device(csr, identity.Device{Tenant: tenant, ID: device}, life),
		Brokers:     []string{(&url.URL{Scheme: "tls", Host: o.broker.Addr().String()}).String()},
	}
}

// eventually waits for a condition that other goroutines bring about.
func (o *office) eventually(what string, is func() bool) {
	o.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	end := time.After(long)
	for {
		o.mu.Lock()
		ok := is()
		o.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			o.t.Fatalf("never: %s", what)
		}
	}
}

// executor remembers what it was given, and refuses what it is told to.
type executor struct {
	mu       sync.Mutex // guards all
	accepted []string
	holds    []string
	said     []string
	roused   []string
	cancel   []string
	server   []time.Time
	status   []wire.OrderStatus
	refusal  error
}

func (e *executor) Accept(v wire.Envelope) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.accepted = append(e.accepted, string(v.Payload))
	return e.refusal
}

func (e *executor) Hear(_ context.Context, v wire.Envelope) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.said = append(e.said, string(v.Payload))
	return e.refusal
}

func (e *executor) Rouse(_ context.Context, v wire.Envelope) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.roused = append(e.roused, string(v.Payload))
	return e.refusal
}

func (e *executor) SetHolds(v wire.Envelope) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.holds = append(e.holds, string(v.Payload))
	return e.refusal
}

func (e *executor) Cancel(ids ...string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cancel = append(e.cancel, ids...)
	return nil
}

func (e *executor) ServerTime(t time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.server = append(e.server, t)
	return nil
}

func (e *executor) Status() ([]wire.OrderStatus, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.status), nil
}

func (e *executor) has(list *[]string, want ...string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Equal(*list, want)
}
