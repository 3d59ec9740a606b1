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

	"patchring/wire"
)

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

// renewDue tells whether two thirds of the certificate's life have passed.
func renewDue(certificate string, now time.Time) (bool, error) {
	block, _ := pem.Decode([]byte(certificate))
	if block == nil {
		return false, errors.New("own certificate is not readable")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return false, fmt.Errorf("read own certificate: %w", err)
	}
	return now.After(c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) * 2 / 3)), nil
}

// renew asks for the next certificate, for a new key, and connects with it.
//
// Crash story: until the identity is on disk the old certificate stands, which
// the server goes on accepting; the next round asks again.
func (l *Link) renew(ctx context.Context) error {
	due, err := renewDue(l.Identity.Certificate, l.Now())
	if err != nil || !due {
		return err
	}
	key, csr, err := NewKey(l.Identity.Name)
	if err != nil {
		return err
	}
	reply, err := request[wire.RenewReply](ctx, l, wire.ReportRenew, wire.RenewRequest{CSR: csr})
	if err != nil {
		return err
	}
	if err := refused(reply.Error); err != nil {
		return err
	}
	next := l.Identity
	next.Key, next.Certificate = key, reply.Certificate
	if _, err := tls.X509KeyPair([]byte(next.Certificate), []byte(next.Key)); err != nil {
		return fmt.Errorf("the new certificate does not fit its key: %w", err)
	}
	if err := l.Renewed(next); err != nil {
		return err
	}
	l.Identity = next
	l.Log.Info("certificate renewed")
	return l.reconnect(ctx)
}

// reconnect replaces the connection by one with the present certificate.
func (l *Link) reconnect(ctx context.Context) error {
	l.conn.Close()
	l.connected.Store(false)
	if err := l.connect(); err != nil {
		return err
	}
	return l.subscribe(ctx)
}
