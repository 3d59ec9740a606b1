package keys

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const serverLife = 365 * 24 * time.Hour

// ServerCertificate is the certificate a listener presents at the moment. It
// changes under a running server: connections made after Renew see the new one.
type ServerCertificate struct {
	current atomic.Pointer[tls.Certificate]

	mu   sync.Mutex // one renewal at a time
	load func(now time.Time) (*tls.Certificate, error)
}

// Server gives the site's own certificate for these DNS names and addresses,
// issued by the site's CA and renewed at two thirds of its life. The CA goes
// with it, so that an enrolling agent can recognise it.
func (s *Site) Server(names []string, now time.Time) (*ServerCertificate, error) {
	if len(names) == 0 {
		return nil, errors.New("open server certificate: no name to issue it for")
	}
	names = slices.Clone(names)
	slices.Sort(names)
	names = slices.Compact(names)
	return newServerCertificate(now, func(now time.Time) (*tls.Certificate, error) {
		return s.openServer(names, now)
	})
}

// GivenServer uses a certificate that the organisation brings, with its chain.
// Renew reads the files again, so that whoever renews them need not restart us.
func GivenServer(certFile, keyFile string, now time.Time) (*ServerCertificate, error) {
	return newServerCertificate(now, func(now time.Time) (*tls.Certificate, error) {
		return readPair(certFile, keyFile, now)
	})
}

func newServerCertificate(now time.Time, load func(time.Time) (*tls.Certificate, error)) (*ServerCertificate, error) {
	c := &ServerCertificate{load: load}
	if _, err := c.Renew(now); err != nil {
		return nil, err
	}
	return c, nil
}

// Current is what to present now.
func (c *ServerCertificate) Current() *tls.Certificate { return c.current.Load() }

// TLS is a configuration for listeners that always presents the current one.
func (c *ServerCertificate) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.Current(), nil
		},
	}
}

// Renew renews or reads again what is due, and tells whether the certificate
// changed. When it cannot, the present one stays in use. Call it a few times a day.
func (c *ServerCertificate) Renew(now time.Time) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next, err := c.load(now)
	if err != nil {
		return false, fmt.Errorf("open server certificate: %w", err)
	}
	if old := c.current.Load(); old != nil && old.Leaf.Equal(next.Leaf) {
		return false, nil
	}
	c.current.Store(next)
	return true, nil
}

// openServer reads server.crt, and issues it again for the same key when it is
// missing, due, of another CA or for other names. The key is written before
// the first certificate; dying between the two costs a certificate, no more.
func (s *Site) openServer(names []string, now time.Time) (*tls.Certificate, error) {
	key, err := s.signingKey("server.key", newP256)
	if err != nil {
		return nil, err
	}
	path := s.path("server.crt")
	content, err := readPublic(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	// A certificate that cannot be read is as good as none: unlike a key, it
	// can be issued again and nobody has pinned it.
	cert, err := parseCertificate(content)
	if err != nil || !s.stillGood(cert, names, now) || !samePublic(cert.PublicKey, key.Public()) {
		if cert, err = s.issue(serverTemplate(names, now), key.Public()); err != nil {
			return nil, err
		}
		if err := replace(path, []byte(certificatePEM(cert)), 0o644); err != nil {
			return nil, err
		}
	}
	return &tls.Certificate{
		Certificate: [][]byte{cert.Raw, s.ca.Raw},
		PrivateKey:  key,
		Leaf:        cert,
	}, nil
}

func serverTemplate(names []string, now time.Time) *x509.Certificate {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "patchring"},
		NotBefore:   now.Add(-clockSkew),
		NotAfter:    now.Add(serverLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return template
}

func (s *Site) stillGood(cert *x509.Certificate, names []string, now time.Time) bool {
	have := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		have = append(have, ip.String())
	}
	want := make([]string, len(names))
	for i, name := range names {
		want[i] = name
		if ip := net.ParseIP(name); ip != nil {
			want[i] = ip.String() // one address has several spellings
		}
	}
	slices.Sort(have)
	slices.Sort(want)
	return slices.Equal(have, want) && !now.Before(cert.NotBefore) && now.Before(renewAt(cert)) &&
		cert.CheckSignatureFrom(s.ca) == nil
}

// renewAt is two thirds of a certificate's life.
func renewAt(cert *x509.Certificate) time.Time {
	return cert.NotBefore.Add(cert.NotAfter.Sub(cert.NotBefore) * 2 / 3)
}

func readPair(certFile, keyFile string, now time.Time) (*tls.Certificate, error) {
	chain, err := readPublic(certFile)
	if err != nil {
		return nil, err
	}
	key, err := readSecret(keyFile)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("%s with %s: %w", certFile, keyFile, err)
	}
	if now.After(pair.Leaf.NotAfter) {
		return nil, fmt.Errorf("%s expired on %s", certFile, pair.Leaf.NotAfter.Format(time.DateOnly))
	}
	return &pair, nil
}
