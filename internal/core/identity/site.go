package identity

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// Fingerprint is the SHA-256 of a certificate, as openssl prints it.
type Fingerprint [sha256.Size]byte

// FingerprintOf a certificate.
func FingerprintOf(cert *x509.Certificate) Fingerprint { return sha256.Sum256(cert.Raw) }

// String is the fingerprint in hexadecimal.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// ErrOtherSite is the answer of a site that is not the one that made the token.
var ErrOtherSite = errors.New("the server is not of the site that made this token")

// Trusts tells whether the token was made by the site of this CA.
func (t EnrollmentToken) Trusts(ca *x509.Certificate) bool {
	print := FingerprintOf(ca)
	return subtle.ConstantTimeCompare(t.ca[:], print[:caPrefixBytes]) == 1
}

// VerifyServer checks the certificates that a server presented, before the
// agent tells it the token: the chain must contain the CA that the token
// names, and the server's own certificate must be issued by it for this host.
// It returns the CA.
func (t EnrollmentToken) VerifyServer(chain []*x509.Certificate, host string, now time.Time) (*x509.Certificate, error) {
	for _, ca := range chain {
		if !t.Trusts(ca) {
			continue
		}
		roots := x509.NewCertPool()
		roots.AddCert(ca)
		_, err := chain[0].Verify(x509.VerifyOptions{
			Roots: roots, DNSName: host, CurrentTime: now,
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		})
		if err != nil {
			return nil, fmt.Errorf("verify server %s: %w", host, err)
		}
		return ca, nil
	}
	return nil, fmt.Errorf("verify server %s: %w", host, ErrOtherSite)
}
