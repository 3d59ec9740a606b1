package prober

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/executor/local"
	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

const long = 20 * time.Second

// bench is a Prober with a world of its own.
type bench struct {
	*Prober
	t       *testing.T
	rules   string
	mu      sync.Mutex // guards the rest
	service string
	changes int
}

func newBench(t *testing.T, roots *x509.CertPool) *bench {
	b := &bench{t: t, service: "active"}
	j, err := journal.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	b.open(j, roots)
	return b
}

func (b *bench) open(j *journal.Journal, roots *x509.CertPool) {
	var err error
	b.Prober, err = New(Options{
		Journal: j, Roots: roots, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Local: func() (local.Rules, error) {
			if b.rules == "" {
				return local.Rules{}, nil
			}
			file := filepath.Join(b.t.TempDir(), "local.json")
			if err := os.WriteFile(file, []byte(b.rules), 0o600); err != nil {
				return local.Rules{}, err
			}
			return local.Read(file)
		},
		Service: func(_ context.Context, name string) (string, bool, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			if name != "app" {
				return "", false, nil
			}
			return b.service, b.service == "active", nil
		},
		Process: func(name string) (bool, error) { return name == "app", nil },
		Changed: func() { b.mu.Lock(); b.changes++; b.mu.Unlock() },
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.confirm, b.again = time.Millisecond, time.Millisecond
}

func (b *bench) set(state string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.service = state
}

// once makes one probe and answers its cause; empty: it is up.
func (b *bench) once(p wire.Probe) (fault.Code, *wire.Cause) {
	b.t.Helper()
	if p.TimeoutS == 0 {
		p.TimeoutS = 10
	}
	p.Name = "probe"
	s := b.probe(b.t.Context(), p)
	switch {
	case s.State == wire.ProbeUp && s.Cause == nil:
		return "", nil
	case s.State == wire.ProbeDown && s.Cause != nil:
		return fault.Code(s.Cause.Code), s.Cause
	}
	b.t.Fatalf("state %+v", s)
	return "", nil
}

// closedPort is one that nothing listens on.
func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestServicesAndProcesses(t *testing.T) {
	b := newBench(t, nil)
	service := func(name string) wire.Probe { return wire.Probe{Type: wire.ProbeService, Target: name} }
	if code, _ := b.once(service("app")); code != "" {
		t.Errorf("a service that runs: %s", code)
	}
	b.set("failed")
	if code, cause := b.once(service("app")); code != fault.ProbeNotRunning || cause.Args["state"] != "failed" {
		t.Errorf("one that failed: %s %v", code, cause)
	}
	if code, _ := b.once(service("none")); code != fault.ProbeNoService {
		t.Errorf("one that is not there: %s", code)
	}
	for name, want := range map[string]fault.Code{"app": "", "none": fault.ProbeNoProcess} {
		if code, _ := b.once(wire.Probe{Type: wire.ProbeProcess, Target: name}); code != want {
			t.Errorf("process %s: %s, want %s", name, code, want)
		}
	}
	if code, _ := b.once(wire.Probe{Type: "smoke"}); code != fault.ProbeUnsupported {
		t.Errorf("an unknown type: %s", code)
	}
	b.Service = nil
	if code, _ := b.once(service("app")); code != fault.ProbeUnsupported {
		t.Errorf("a device without services: %s", code)
	}
}

func TestPorts(t *testing.T) {
	b := newBench(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for target, want := range map[string]fault.Code{
		l.Addr().String(): "", closedPort(t): fault.ProbeRefused, "no-such-name.invalid:80": fault.ProbeNoName, "nonsense": fault.ProbeFailed,
	} {
		if code, cause := b.once(wire.Probe{Type: wire.ProbeTCP, Target: target}); code != want {
			t.Errorf("%s: %s %v, want %s", target, code, cause, want)
		}
	}
}

func web(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s
}

func TestPages(t *testing.T) {
	b := newBench(t, nil)
	release := make(chan struct{})
	s := web(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ok":
			fmt.Fprint(w, "all is well")
		case "/late": // what is wanted lies behind 64 KiB
			fmt.Fprint(w, strings.Repeat("x", maxBody)+"all is well")
		case "/broken":
			w.WriteHeader(http.StatusInternalServerError)
		case "/login":
			http.Redirect(w, r, "/ok", http.StatusFound)
		case "/away":
			_, port, _ := net.SplitHostPort(r.Host)
			http.Redirect(w, r, "http://localhost:"+port+"/ok", http.StatusFound)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		case "/slow":
			<-release
		}
	})
	t.Cleanup(func() { close(release) })
	for _, c := range []struct {
		path, contains string
		status         int
		want           fault.Code
	}{
		{"/ok", "", 0, ""}, {"/ok", "well", 200, ""}, {"/ok", "ill", 0, fault.ProbeBody}, {"/late", "well", 0, fault.ProbeBody},
		{"/broken", "", 0, fault.ProbeStatus}, {"/broken", "", 500, ""}, {"/ok", "", 204, fault.ProbeStatus},
		{"/login", "well", 200, ""}, {"/away", "", 0, fault.ProbeRedirect}, {"/slow", "", 0, fault.ProbeTimeout}, {"/round", "", 200, fault.ProbeStatus},
	} {
		p := wire.Probe{Type: wire.ProbeHTTP, Target: s.URL + c.path, Contains: c.contains, Status: c.status}
		if c.path == "/slow" {
			p.TimeoutS = 1
		}
		if code, cause := b.once(p); code != c.want {
			t.Errorf("%s %d %q: %s %v, want %s", c.path, c.status, c.contains, code, cause, c.want)
		}
	}
	for target, want := range map[string]fault.Code{
		"http://" + closedPort(t) + "/": fault.ProbeRefused, "ftp://127.0.0.1/": fault.ProbeTarget, "intranet": fault.ProbeTarget, "file:///etc/passwd": fault.ProbeTarget,
		"https://" + strings.TrimPrefix(s.URL, "http://"): fault.ProbeTLS,
	} {
		if code, cause := b.once(wire.Probe{Type: wire.ProbeHTTP, Target: target}); code != want {
			t.Errorf("%s: %s %v, want %s", target, code, cause, want)
		}
	}
}

// authority issues certificates that end when they are told.
func certificate(t *testing.T, ends time.Time) (cert *x509.Certificate, key *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "intranet"}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: ends,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(raw); err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func secure(t *testing.T, ends time.Time) (address string, cert *x509.Certificate) {
	cert, key := certificate(t, ends)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = tlsOf(cert, key)
	s.StartTLS()
	t.Cleanup(s.Close)
	at, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return at.Host, cert
}

func TestACertificateThatIsNotTrustedOrOverIsNamedAsTheCause(t *testing.T) {
	good, cert := secure(t, time.Now().Add(100*24*time.Hour))
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	over, expired := secure(t, time.Now().Add(-time.Hour))
	roots.AddCert(expired)
	b := newBench(t, roots)
	page := func(address string) wire.Probe {
		return wire.Probe{Type: wire.ProbeHTTP, Target: "https://" + address + "/"}
	}
	if code, cause := b.once(page(good)); code != "" {
		t.Errorf("a good one: %s %v", code, cause)
	}
	if code, cause := b.once(page(over)); code != fault.ProbeCertificateEnds || cause.Args["at"] == "" {
		t.Errorf("one that is over: %s %v", code, cause)
	}
	b.Roots = x509.NewCertPool()
	if code, cause := b.once(page(good)); code != fault.ProbeTLS || cause.Args["problem"] == "" {
		t.Errorf("one of an unknown authority: %s %v", code, cause)
	}
}

func TestDatesOfCertificates(t *testing.T) {
	b := newBench(t, nil)
	soon, cert := secure(t, time.Now().Add(10*24*time.Hour))
	over, _ := secure(t, time.Now().Add(-time.Hour))
	dir := t.TempDir()
	file := filepath.Join(dir, "chain.pem")
	later, _ := certificate(t, time.Now().Add(1000*24*time.Hour))
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: later.Raw}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
	if err := os.WriteFile(file, append([]byte("# a note\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		target string
		days   int
		want   fault.Code
	}{
		{soon, 0, ""}, {soon, 9, ""}, {soon, 11, fault.ProbeCertificateEnds}, {over, 0, fault.ProbeCertificateEnds},
		{file, 9, ""}, {file, 11, fault.ProbeCertificateEnds}, {empty, 0, fault.ProbeUnreadable}, {dir, 0, fault.ProbeUnreadable},
		{dir + "/none.pem", 0, fault.ProbeUnreadable}, {closedPort(t), 0, fault.ProbeRefused},
	} {
		if code, cause := b.once(wire.Probe{Type: wire.ProbeCertificate, Target: c.target, MinDays: c.days}); code != c.want {
			t.Errorf("%s within %d days: %s %v, want %s", c.target, c.days, code, cause, c.want)
		}
	}
}

func TestTheLocalFileForbidsAndIsNeverOverridden(t *testing.T) {
	var hits int
	s := web(t, func(http.ResponseWriter, *http.Request) { hits++ })
	b := newBench(t, nil)
	page := wire.Probe{Type: wire.ProbeHTTP, Target: s.URL + "/a/b"}
	for rules, want := range map[string]fault.Code{
		`{"never_probes": ["*"]}`: fault.LocalVeto, `{"never_probes": ["http"]}`: fault.LocalVeto, `{"never_probes": ["http://127.0.0.1:*"]}`: fault.LocalVeto,
		`{"never_probes": ["tcp", "https://*", "http://10.*"]}`: "", `{"never_probes": ["["]}`: fault.LocalVeto, `{"nonsense": 1}`: fault.LocalVeto,
	} {
		b.rules, hits = rules, 0
		code, cause := b.once(page)
		if code != want || (hits > 0) != (want == "") {
			t.Errorf("%s: %s %v and %d requests, want %q", rules, code, cause, hits, want)
		}
		if want == fault.LocalVeto && cause.Args["rule"] == "" {
			t.Errorf("%s: the cause names no rule", rules)
		}
	}
}

// run runs the bench until the test ends.
func (b *bench) run() {
	ctx, stop := context.WithCancel(b.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	b.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			b.t.Error(err)
		}
	})
}

func (b *bench) eventually(what string, is func() bool) {
	b.t.Helper()
	tick, end := time.NewTicker(5*time.Millisecond), time.After(long)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-end:
			b.t.Fatalf("never: %s", what)
		}
	}
}

func (b *bench) state(name string) wire.ProbeState {
	for _, s := range b.States() {
		if s.Name == name {
			return s
		}
	}
	return wire.ProbeState{}
}

func TestOneFailureIsNoNewsAndTwoAre(t *testing.T) {
	b := newBench(t, nil)
	probe := wire.Probe{Name: "app", Type: wire.ProbeService, Target: "app", EveryS: 3600, TimeoutS: 5}
	b.Watch([]wire.Probe{probe})
	b.look(t.Context(), probe)
	up := b.state("app")
	if up.State != wire.ProbeUp || b.changes != 1 {
		t.Fatalf("state %+v after %d changes", up, b.changes)
	}
	flap := &once{states: []string{"failed", "active"}}
	b.Service = flap.service
	b.look(t.Context(), probe)
	if s := b.state("app"); s.State != wire.ProbeUp || s.SinceUS != up.SinceUS || b.changes != 1 || len(flap.states) != 0 {
		t.Errorf("after one failure %+v, %d changes: want up, as before", s, b.changes)
	}
	b.Service = (&once{states: []string{"failed", "failed"}}).service
	b.look(t.Context(), probe)
	down := b.state("app")
	if down.State != wire.ProbeDown || down.SinceUS < up.SinceUS || b.changes != 2 {
		t.Errorf("after two failures %+v, %d changes: want down", down, b.changes)
	}
	b.Service = (&once{states: []string{"failed"}}).service
	b.look(t.Context(), probe)
	if s := b.state("app"); s.SinceUS != down.SinceUS || s.AtUS < down.AtUS || b.changes != 2 {
		t.Errorf("while it stays down %+v, %d changes", s, b.changes)
	}
	b.Service = (&once{states: []string{"active"}}).service
	b.look(t.Context(), probe)
	if s := b.state("app"); s.State != wire.ProbeUp || b.changes != 3 {
		t.Errorf("after one success %+v, %d changes: want up at once", s, b.changes)
	}
}

// once answers each state once.
type once struct{ states []string }

var errAskedTooOften = errors.New("asked too often")

func (o *once) service(context.Context, string) (string, bool, error) {
	if len(o.states) == 0 {
		return "", false, errAskedTooOften
	}
	state := o.states[0]
	o.states = o.states[1:]
	return state, state == "active", nil
}

func TestProbesRunAsTheyAreToldAndAreReplaced(t *testing.T) {
	b := newBench(t, nil)
	b.run()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	first := wire.Probe{Name: "port", Type: wire.ProbeTCP, Target: l.Addr().String(), EveryS: 3600, TimeoutS: 5}
	b.Watch([]wire.Probe{first})
	b.eventually("the port is up", func() bool { return b.state("port").State == wire.ProbeUp })
	since := b.state("port").SinceUS
	second := wire.Probe{Name: "closed", Type: wire.ProbeTCP, Target: closedPort(t), EveryS: 3600, TimeoutS: 5}
	b.Watch([]wire.Probe{first, second})
	b.eventually("the other is down", func() bool { return b.state("closed").State == wire.ProbeDown })
	if s := b.state("port"); s.SinceUS != since {
		t.Errorf("the first is up since %d, want since %d: it stayed the same", s.SinceUS, since)
	}
	moved := first
	moved.Target = second.Target
	b.Watch([]wire.Probe{moved})
	b.eventually("the moved one is down", func() bool { return b.state("port").State == wire.ProbeDown && len(b.States()) == 1 })
	b.Watch(nil)
	if b.Any() || len(b.States()) != 0 {
		t.Errorf("without probes: %v", b.States())
	}
}

func TestSinceWhenSurvivesARestart(t *testing.T) {
	b := newBench(t, nil)
	probe := wire.Probe{Name: "app", Type: wire.ProbeService, Target: "app", EveryS: 60, TimeoutS: 5}
	b.Watch([]wire.Probe{probe})
	b.look(t.Context(), probe)
	before := b.state("app")
	b.open(b.Journal.(*journal.Journal), nil)
	b.Watch([]wire.Probe{probe})
	b.look(t.Context(), probe)
	if after := b.state("app"); after.SinceUS != before.SinceUS || b.changes != 1 {
		t.Errorf("up since %d and %d changes, want since %d and the first only", after.SinceUS, b.changes, before.SinceUS)
	}
}

// After an order a service has its time to come up again; one that was down
// before is not waited for.
func TestAfterAnOrderAProbeHasTimeToComeUpAgain(t *testing.T) {
	b := newBench(t, nil)
	probe := wire.Probe{Name: "app", Type: wire.ProbeService, Target: "app", EveryS: 3600, TimeoutS: 5}
	b.Watch([]wire.Probe{probe})
	b.look(t.Context(), probe)
	b.Service = (&once{states: []string{"activating", "active"}}).service
	if found := b.All(t.Context(), time.Now()); len(found) != 1 || found[0].State != wire.ProbeUp {
		t.Errorf("a service that starts: %+v", found)
	}
	b.Service = (&once{states: []string{"failed", "failed"}}).service
	b.look(t.Context(), probe)
	b.Service = (&once{states: []string{"failed"}}).service
	if found := b.All(t.Context(), time.Now().Add(time.Hour)); len(found) != 1 || found[0].State != wire.ProbeDown || found[0].Cause.Args["state"] != "failed" {
		t.Errorf("one that was down before: %+v", found)
	}
}

func TestBoundsOfWhatTheNetworkSays(t *testing.T) {
	for s, want := range map[int64]time.Duration{-1: time.Second, 0: time.Second, 30: 30 * time.Second, 1 << 62: time.Minute} {
		if got := within(s, time.Second, time.Minute); got != want {
			t.Errorf("%d s becomes %s, want %s", s, got, want)
		}
	}
	b := newBench(t, nil)
	b.Watch(make([]wire.Probe, wire.MaxProbes+5))
	if n := len(b.probes); n != wire.MaxProbes {
		t.Errorf("%d probes are kept", n)
	}
}

func tlsOf(cert *x509.Certificate, key *ecdsa.PrivateKey) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}}
}
