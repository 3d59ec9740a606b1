package link

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
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/identity"
	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

// errRenewed ends a connection whose certificate has been replaced.
var errRenewed = errors.New("certificate renewed")

// NewKey makes a device key and the request for its certificate, both in PEM.
func NewKey(name string) (key, csr string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", fmt.Errorf("encode the key: %w", err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, private)
	if err != nil {
		return "", "", fmt.Errorf("make a certificate request: %w", err)
	}
	return pemText("PRIVATE KEY", der), pemText("CERTIFICATE REQUEST", request), nil
}

func pemText(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// renewal renews the certificate when it is time. A failure is tried again at
// the next round: a third of the certificate's life is left for it.
func (s *session) renewal(ctx context.Context) error {
	var renewed bool
	s.try(ctx, "certificate not renewed", func(ctx context.Context) (err error) {
		renewed, err = s.renew(ctx)
		return err
	})
	if renewed {
		return errRenewed
	}
	return nil
}

// renew asks for the next certificate, for a new key.
//
// Crash story: until the identity is on disk the old certificate stands, which
// the server goes on accepting; the next round asks again.
func (s *session) renew(ctx context.Context) (bool, error) {
	due, err := renewDue(s.Identity.Certificate, s.Now())
	if err != nil || !due {
		return false, err
	}
	key, csr, err := NewKey(s.Identity.Name)
	if err != nil {
		return false, err
	}
	reply, err := request[wire.RenewReply](ctx, s, wire.ReportRenew, wire.RenewRequest{CSR: csr})
	if err != nil {
		return false, err
	}
	if err := refused(reply.Error); err != nil {
		return false, err
	}
	next := s.Identity
	next.Key, next.Certificate = key, reply.Certificate
	if err := fits(next, s.Now()); err != nil {
		return false, fmt.Errorf("the new certificate is not taken: %w", err)
	}
	if err := s.Renewed(next); err != nil {
		return false, err
	}
	s.Identity = next
	s.resumed = newSessions() // a resumed handshake would show the old certificate
	s.Log.Info("certificate renewed")
	return true, nil
}

// renewDue tells whether two thirds of the certificate's life have passed.
func renewDue(certificate string, now time.Time) (bool, error) {
	c, err := parse(certificate)
	if err != nil {
		return false, fmt.Errorf("read own certificate: %w", err)
	}
	return now.After(c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) * 2 / 3)), nil
}

func parse(certificate string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(certificate))
	if block == nil {
		return nil, errors.New("it is not in PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// fits refuses a certificate with which the device could not come back: the
// one it has would be gone.
func fits(id journal.Identity, now time.Time) error {
	if _, err := tls.X509KeyPair([]byte(id.Certificate), []byte(id.Key)); err != nil {
		return err
	}
	c, err := parse(id.Certificate)
	if err != nil {
		return err
	}
	who, err := identity.DeviceOf(c)
	if err != nil {
		return err
	}
	if want := (identity.Device{Tenant: fleet.TenantID(id.Tenant), ID: fleet.DeviceID(id.Device)}); who != want {
		return fmt.Errorf("it is for device %s of %s", who.ID, who.Tenant)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(id.CA))
	_, err = c.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err
}
