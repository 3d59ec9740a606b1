package agent

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"patchring/internal/core/identity"
	"patchring/wire"
)

const (
	tenant = "main"
	device = "01936f2e-0000-7000-8000-000000000001"
	long   = 20 * time.Second // until a test gives up
)

// site is a server as an agent sees it: its CA, where tokens are exchanged, a
// real broker with TLS, and a gateway that remembers what it heard.
type site struct {
	t      *testing.T
	key    *ecdsa.PrivateKey
	ca     *x509.Certificate
	order  ed25519.PrivateKey
	web    *httptest.Server
	broker *server.Server
	nc     *nats.Conn

	mu       sync.Mutex // guards the rest
	asked    []wire.EnrollRequest
	spoil    func(*wire.EnrollReply)
	refusal  *wire.Error
	checkins []wire.Checkin
	parts    map[wire.PartName]wire.Part
	events   []wire.Event
	measures []wire.MeasuresReport
	replies  []wire.CheckinReply // each said once, in order
}

func newSite(t *testing.T) *site {
	s := &site{t: t, parts: map[wire.PartName]wire.Part{}}
	var err error
	if s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	if _, s.order, err = ed25519.GenerateKey(nil); err != nil {
		t.Fatal(err)
	}
	s.ca = s.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "site"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, &s.key.PublicKey)
	s.openWeb()
	s.openBroker()
	t.Cleanup(func() {
		s.web.Close()
		s.nc.Close()
		s.broker.Shutdown()
		s.broker.WaitForShutdown()
	})
	return s
}

func (s *site) issue(template *x509.Certificate, public any) *x509.Certificate {
	s.t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		s.t.Fatal(err)
	}
	template.SerialNumber = serial
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	parent := s.ca
	if parent == nil {
		parent = template
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, public, s.key)
	if err != nil {
		s.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		s.t.Fatal(err)
	}
	return cert
}

func (s *site) tls() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	cert := s.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "server"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, &key.PublicKey)
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw, s.ca.Raw}, PrivateKey: key}},
	}
}

func (s *site) openWeb() {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+wire.EnrollPath, s.enroll)
	s.web = httptest.NewUnstartedServer(mux)
	s.web.TLS = s.tls()
	s.web.Config.ErrorLog = log.New(io.Discard, "", 0) // an agent that hangs up on another site is no news
	s.web.StartTLS()
}

func (s *site) openBroker() {
	config := s.tls()
	config.ClientAuth = tls.RequireAndVerifyClientCert
	config.ClientCAs = x509.NewCertPool()
	config.ClientCAs.AddCert(s.ca)
	var err error
	s.broker, err = server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		TLS: true, TLSConfig: config, TLSVerify: true, TLSTimeout: 10, DisableShortFirstPing: true,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.broker.Start()
	if !s.broker.ReadyForConnections(long) {
		s.t.Fatal("broker does not start")
	}
	if s.nc, err = nats.Connect("", nats.InProcessServer(s.broker)); err != nil {
		s.t.Fatal(err)
	}
	if _, err = s.nc.Subscribe(wire.ReportPattern, s.serve); err != nil {
		s.t.Fatal(err)
	}
	if err := s.nc.Flush(); err != nil {
		s.t.Fatal(err)
	}
}

// token invites to the site.
func (s *site) token() string {
	token, err := identity.NewEnrollmentToken(rand.Reader, identity.FingerprintOf(s.ca))
	if err != nil {
		s.t.Fatal(err)
	}
	return token.Reveal()
}

func (s *site) enroll(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ask wire.EnrollRequest
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		s.t.Errorf("decode enrolment: %v", err)
	}
	s.asked = append(s.asked, ask)
	if s.refusal != nil {
		w.WriteHeader(http.StatusForbidden)
		s.encode(w, s.refusal)
		return
	}
	block, _ := pem.Decode([]byte(ask.CSR))
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		s.t.Errorf("read request: %v", err)
		return
	}
	cert := s.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: device}, URIs: []*url.URL{identity.Device{Tenant: tenant, ID: device}.URI()},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, request.PublicKey)
	public := s.order.Public().(ed25519.PublicKey)
	reply := wire.EnrollReply{
		Tenant: tenant, Device: device, Certificate: pemText(cert), CA: pemText(s.ca), CheckinS: 3600, NowUS: time.Now().UnixMicro(),
		Brokers:   []string{(&url.URL{Scheme: "tls", Host: s.broker.Addr().String()}).String()},
		OrderKeys: []wire.Key{{ID: wire.KeyID(public), Public: public}},
	}
	if s.spoil != nil {
		s.spoil(&reply)
	}
	s.encode(w, reply)
}

func (s *site) encode(w http.ResponseWriter, v any) {
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.t.Errorf("answer: %v", err)
	}
}

func pemText(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

func (s *site) serve(m *nats.Msg) {
	_, kind, err := wire.DeviceOf(m.Subject)
	if err != nil {
		s.t.Error(err)
		return
	}
	text, err := json.Marshal(s.answer(wire.ReportKind(kind), m.Data))
	if err == nil {
		err = m.Respond(text)
	}
	if err != nil {
		s.t.Errorf("answer: %v", err)
	}
}

func (s *site) answer(kind wire.ReportKind, data []byte) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	defer func() {
		if err != nil {
			s.t.Errorf("decode %s: %v", kind, err)
		}
	}()
	switch kind {
	case wire.ReportCheckin:
		var c wire.Checkin
		err = json.Unmarshal(data, &c)
		s.checkins = append(s.checkins, c)
		reply := wire.CheckinReply{}
		if len(s.replies) > 0 {
			reply, s.replies = s.replies[0], s.replies[1:]
		}
		for name, hash := range c.Parts {
			if s.parts[name].Hash != hash {
				reply.Want = append(reply.Want, name)
			}
		}
		reply.NowUS = time.Now().UnixMicro()
		return reply
	case wire.ReportPart:
		var p wire.Part
		err = json.Unmarshal(data, &p)
		s.parts[p.Name] = p
		return wire.PartReply{}
	case wire.ReportEvents:
		var e wire.Events
		err = json.Unmarshal(data, &e)
		for _, event := range e.Events {
			if event.Seq == int64(len(s.events))+1 {
				s.events = append(s.events, event)
			}
		}
		return wire.EventsReply{UpTo: int64(len(s.events))}
	case wire.ReportMeasures:
		var m wire.MeasuresReport
		err = json.Unmarshal(data, &m)
		s.measures = append(s.measures, m)
		var reply wire.MeasuresReply
		if len(m.Points) > 0 {
			reply.UpToUS = m.Points[len(m.Points)-1].AtUS
		}
		return reply
	default:
		s.t.Errorf("unknown report %s", kind)
		return nil
	}
}

// push sends an envelope to the device.
func (s *site) push(kind wire.EnvelopeKind, v any) {
	s.t.Helper()
	e, err := wire.Seal(kind, v, s.order)
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := json.Marshal(e)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.nc.Publish(wire.OrderSubject(device), text); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) eventually(what string, is func() bool) {
	s.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	end := time.After(long)
	for {
		s.mu.Lock()
		ok := is()
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			s.t.Fatalf("never: %s", what)
		}
	}
}
