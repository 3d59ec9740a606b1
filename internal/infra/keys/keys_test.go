package keys

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"patchring/internal/core/identity"
	"patchring/internal/core/register"
)

var (
	now    = time.Date(2026, 12, 8, 10, 0, 0, 0, time.UTC)
	device = identity.Device{Tenant: "main", ID: "d1"}
)

func open(t *testing.T, dir string, at time.Time) *Site {
	t.Helper()
	s, err := Open(dir, at)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func csr(t *testing.T, curve elliptic.Curve) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// What a hostile device would like to be called must not matter.
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "server"}, DNSNames: []string{"patch.example"},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func issue(t *testing.T, s *Site, life time.Duration) *x509.Certificate {
	t.Helper()
	issued, err := s.IssueDevice(csr(t, elliptic.P256()), device, now, life)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := parseCertificate([]byte(issued.PEM))
	if err != nil {
		t.Fatal(err)
	}
	if Serial(cert) != issued.Serial || !cert.NotAfter.Equal(issued.NotAfter) {
		t.Fatalf("issued %+v, certificate says %s until %s", issued, Serial(cert), cert.NotAfter)
	}
	return cert
}

func TestSecondStartFindsTheSameKeys(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	first := open(t, dir, now)
	order, err := first.OrderKey("main")
	if err != nil {
		t.Fatal(err)
	}
	log, err := first.RegisterKey("main")
	if err != nil {
		t.Fatal(err)
	}
	second := open(t, dir, now.AddDate(1, 0, 0))
	if !first.CA().Equal(second.CA()) || first.Fingerprint() != second.Fingerprint() {
		t.Error("second start has another CA")
	}
	if again, err := second.OrderKey("main"); err != nil || !again.Equal(order) {
		t.Errorf("second start has another order key: %v", err)
	}
	if again, err := second.RegisterKey("main"); err != nil || again.Verifier != log.Verifier {
		t.Errorf("second start has another register key: %v", err)
	}
	if other, err := second.OrderKey("other"); err != nil || other.Equal(order) {
		t.Errorf("two tenants share an order key: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(entry.Name(), ".new-") {
			t.Errorf("%s was left behind", entry.Name())
		}
		if strings.HasSuffix(entry.Name(), ".key") && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %s, want 0600", entry.Name(), info.Mode())
		}
	}
}

func TestRegisterKeySignsCheckpoints(t *testing.T) {
	s := open(t, t.TempDir(), now)
	key, err := s.RegisterKey("main")
	if err != nil {
		t.Fatal(err)
	}
	signed, err := register.Tree{}.Checkpoint("main").Sign(key.Signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := register.OpenCheckpoint(signed, key.Verifier); err != nil {
		t.Fatal(err)
	}
}

// Several parts of a server, or two servers, may need a key for the first time
// at once: one is made, and all get that one.
func TestFirstUseTogether(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, now)
	var group sync.WaitGroup
	keys := make([]ed25519.PrivateKey, 8)
	for i := range keys {
		group.Go(func() {
			site, err := Open(dir, now)
			if err == nil {
				keys[i], err = site.OrderKey("main")
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for i, key := range keys {
		if !key.Equal(keys[0]) {
			t.Errorf("opening %d got another key than opening 0", i)
		}
	}
}

// Died between the CA's key and its certificate: the next start goes on with
// the key that is there.
func TestStartDiedBeforeTheCertificate(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir, now)
	if err := os.Remove(filepath.Join(dir, "ca.crt")); err != nil {
		t.Fatal(err)
	}
	if second := open(t, dir, now); !samePublic(second.CA().PublicKey, first.CA().PublicKey) {
		t.Error("second start made another CA key")
	}
}

func TestOpenRefuses(t *testing.T) {
	spoil := func(name, content string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	foreign := open(t, t.TempDir(), now)
	cases := map[string]struct {
		spoil func(t *testing.T, dir string)
		at    time.Time
		want  string
	}{
		"empty key":          {spoil("ca.key", ""), now, "ca.key"},
		"damaged key":        {spoil("ca.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), now, "ca.key"},
		"damaged CA":         {spoil("ca.crt", "x"), now, "ca.crt"},
		"CA of another key":  {spoil("ca.crt", foreign.CAPEM()), now, "not of the key"},
		"CA too old":         {func(*testing.T, string) {}, now.AddDate(21, 0, 0), "expired"},
		"key is a directory": {func(t *testing.T, dir string) { replaceByDir(t, filepath.Join(dir, "ca.key")) }, now, "ca.key"},
		"certificate is no CA": {func(t *testing.T, dir string) {
			s := open(t, dir, now)
			cert, err := s.issue(serverTemplate([]string{"x"}, now), s.caKey.Public())
			if err != nil {
				t.Fatal(err)
			}
			spoil("ca.crt", certificatePEM(cert))(t, dir)
		}, now, "not a CA"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			open(t, dir, now)
			c.spoil(t, dir)
			before := read(t, dir)
			_, err := Open(dir, c.at)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an error about %q", err, c.want)
			}
			if after := read(t, dir); after != before {
				t.Fatalf("opening changed files from %q to %q", before, after)
			}
		})
	}
}

func replaceByDir(t *testing.T, path string) {
	t.Helper()
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	for _, name := range []string{"ca.key", "ca.crt"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		all.Write(content)
	}
	return all.String()
}

func TestOpenRefusesAKeyOpenToOthers(t *testing.T) {
	for mode, refused := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: false, 0o644: true, 0o660: true, 0o606: true} {
		dir := t.TempDir()
		open(t, dir, now)
		path := filepath.Join(dir, "ca.key")
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := Open(dir, now)
		if errors.Is(err, ErrExposed) != refused || (err != nil) != refused {
			t.Errorf("mode %o: got %v, refused should be %v", mode, err, refused)
		}
		if refused && err != nil && !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("mode %o: %v does not say what to run", mode, err)
		}
	}
}

func TestTenantKeyOfAnotherKindIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, now)
	content, err := os.ReadFile(filepath.Join(dir, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"order-main.key", "register-main.key"} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.OrderKey("main"); err == nil {
		t.Error("took a P-256 key for orders")
	}
	if _, err := s.RegisterKey("main"); err == nil {
		t.Error("took a P-256 key for the register")
	}
}

// A key in use stays in use when its file is lost; nothing makes another.
func TestOpenedKeysAreKept(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, now)
	first, err := s.RegisterKey("main")
	if err != nil {
		t.Fatal(err)
	}
	order, err := s.OrderKey("main")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"order-main.key", "register-main.key"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if again, err := s.RegisterKey("main"); err != nil || again.Verifier != first.Verifier {
		t.Errorf("register key: got %q, %v, want the one in use", again.Verifier, err)
	}
	if again, err := s.OrderKey("main"); err != nil || !again.Equal(order) {
		t.Errorf("order key: %v, want the one in use", err)
	}
}

func TestTenantNamesCannotLeaveTheDirectory(t *testing.T) {
	s := open(t, t.TempDir(), now)
	if _, err := s.OrderKey("../x"); err == nil {
		t.Error("opened an order key elsewhere")
	}
	if _, err := s.RegisterKey("a/b"); err == nil {
		t.Error("opened a register key elsewhere")
	}
}

func TestDeviceCertificate(t *testing.T) {
	s := open(t, t.TempDir(), now)
	cert := issue(t, s, DeviceLife)
	for _, at := range []time.Time{now.Add(-clockSkew), now, now.Add(DeviceLife)} {
		if got, err := s.VerifyDevice(cert, at); err != nil || got != device {
			t.Errorf("at %s: got %v, %v", at, got, err)
		}
	}
	for _, at := range []time.Time{now.Add(-clockSkew - time.Second), now.Add(DeviceLife + time.Second)} {
		if _, err := s.VerifyDevice(cert, at); err == nil {
			t.Errorf("at %s: verified, want an error", at)
		}
	}
	if cert.Subject.CommonName != "d1" || len(cert.DNSNames) > 0 {
		t.Errorf("certificate is for %s %v; the request's own names must not count", cert.Subject, cert.DNSNames)
	}
	other := open(t, t.TempDir(), now)
	if _, err := other.VerifyDevice(cert, now); err == nil {
		t.Error("another site verified it")
	}
	server, err := s.Server([]string{"localhost"}, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.VerifyDevice(server.Current().Leaf, now); err == nil {
		t.Error("the server's certificate passed for a device's")
	}
	if long := issue(t, s, 100*365*24*time.Hour); long.NotAfter.After(s.CA().NotAfter) {
		t.Error("a certificate outlives its CA")
	}
}

func TestIssueDeviceRefuses(t *testing.T) {
	s := open(t, t.TempDir(), now)
	good := csr(t, elliptic.P256())
	block, _ := pem.Decode([]byte(good))
	block.Bytes[len(block.Bytes)-1] ^= 1
	for name, request := range map[string]string{
		"nothing":         "",
		"a certificate":   s.CAPEM(),
		"P-384":           csr(t, elliptic.P384()),
		"a bad signature": string(pem.EncodeToMemory(block)),
		"rubbish":         "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
	} {
		if _, err := s.IssueDevice(request, device, now, DeviceLife); !errors.Is(err, ErrBadRequest) {
			t.Errorf("%s: got %v, want ErrBadRequest", name, err)
		}
	}
	if _, err := s.IssueDevice(good, identity.Device{Tenant: "main", ID: "a.b"}, now, DeviceLife); err == nil {
		t.Error("issued to a device with a dot in its id")
	}
}

func TestServerCertificateVerifiesForATokenHolder(t *testing.T) {
	s := open(t, t.TempDir(), now)
	server, err := s.Server([]string{"patch.example", "127.0.0.1"}, now)
	if err != nil {
		t.Fatal(err)
	}
	token, err := identity.NewEnrollmentToken(rand.Reader, s.Fingerprint())
	if err != nil {
		t.Fatal(err)
	}
	var chain []*x509.Certificate
	for _, der := range server.Current().Certificate {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		chain = append(chain, cert)
	}
	for _, host := range []string{"patch.example", "127.0.0.1"} {
		if _, err := token.VerifyServer(chain, host, now); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestServerCertificateIsRenewedAtTwoThirds(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, now)
	server, err := s.Server([]string{"b", "a", "::1", "b"}, now)
	if err != nil {
		t.Fatal(err)
	}
	first := server.Current()
	if renewed, err := server.Renew(now.Add(serverLife / 2)); err != nil || renewed {
		t.Fatalf("at half its life: renewed %v, %v", renewed, err)
	}
	again, err := open(t, dir, now).Server([]string{"a", "b", "0:0:0:0:0:0:0:1"}, now.Add(time.Hour))
	if err != nil || !again.Current().Leaf.Equal(first.Leaf) {
		t.Fatalf("second start issued another certificate for the same names: %v", err)
	}
	if renewed, err := server.Renew(now.Add(serverLife*2/3 + time.Minute)); err != nil || !renewed {
		t.Fatalf("at two thirds: renewed %v, %v", renewed, err)
	}
	second := server.Current()
	if second.Leaf.Equal(first.Leaf) || !samePublic(second.Leaf.PublicKey, first.Leaf.PublicKey) {
		t.Error("a renewal must give another certificate for the same key")
	}
	if got, err := server.TLS().GetCertificate(nil); err != nil || got != second {
		t.Errorf("a listener presents %v, %v", got, err)
	}
	other, err := s.Server([]string{"a"}, now)
	if err != nil || len(other.Current().Leaf.DNSNames) != 1 {
		t.Errorf("for other names: got %v, %v", other.Current().Leaf.DNSNames, err)
	}
	if _, err := s.Server(nil, now); err == nil {
		t.Error("issued a certificate for no name")
	}
}

// A full disk at renewal must not stop a server whose certificate is still good.
func TestRenewalThatCannotBeWrittenKeepsTheOldOne(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, now)
	server, err := s.Server([]string{"a"}, now)
	if err != nil {
		t.Fatal(err)
	}
	first := server.Current()
	replaceByDir(t, filepath.Join(dir, "server.crt"))
	if renewed, err := server.Renew(now.Add(serverLife * 3 / 4)); err == nil || renewed {
		t.Fatalf("renewed %v, %v, want an error", renewed, err)
	}
	if server.Current() != first {
		t.Error("the present certificate was given up")
	}
}

func TestGivenServerIsReadAgain(t *testing.T) {
	from := open(t, t.TempDir(), now)
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "chain.pem"), filepath.Join(dir, "key.pem")
	bring := func(names ...string) {
		t.Helper()
		own, err := from.Server(names, now)
		if err != nil {
			t.Fatal(err)
		}
		key, err := os.ReadFile(from.path("server.key"))
		if err != nil {
			t.Fatal(err)
		}
		chain := certificatePEM(own.Current().Leaf) + from.CAPEM()
		if err := errors.Join(os.WriteFile(certFile, []byte(chain), 0o600), os.WriteFile(keyFile, key, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	bring("one")
	given, err := GivenServer(certFile, keyFile, now)
	if err != nil {
		t.Fatal(err)
	}
	if renewed, err := given.Renew(now); err != nil || renewed {
		t.Fatalf("unchanged files: renewed %v, %v", renewed, err)
	}
	bring("two")
	if renewed, err := given.Renew(now); err != nil || !renewed || given.Current().Leaf.DNSNames[0] != "two" {
		t.Fatalf("new files: renewed %v, %v", renewed, err)
	}
	if len(given.Current().Certificate) != 2 {
		t.Errorf("presents %d certificates, want the whole chain of 2", len(given.Current().Certificate))
	}
	if _, err := given.Renew(now.AddDate(3, 0, 0)); err == nil {
		t.Error("took an expired certificate")
	}
	if err := os.Chmod(keyFile, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := given.Renew(now); !errors.Is(err, ErrExposed) {
		t.Errorf("key open to others: got %v", err)
	}
	if _, err := GivenServer(certFile, filepath.Join(dir, "none"), now); err == nil {
		t.Error("opened without a key")
	}
}
