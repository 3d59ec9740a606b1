// Package keys keeps a site's secrets on disk and issues its certificates: the
// site's own CA, the server's certificate, the short-lived certificates of
// devices, and per tenant the key that signs orders and the one that signs
// register checkpoints.
//
// It makes what is missing on the first start, writes every file whole or not
// at all, and refuses to start from a key that others on the machine can read.
// It never makes a new key where an old one cannot be read: a fleet that has
// pinned the old one would be lost.
//
// A Site and a ServerCertificate are safe from any goroutine.
package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"patchring/internal/core/fleet"
	"patchring/internal/core/identity"
	"patchring/internal/core/register"
)

const (
	caLife = 20 * 365 * 24 * time.Hour
	// clockSkew is how far a device's clock may be behind ours.
	clockSkew = 5 * time.Minute
)

// Site is the open key directory of one site.
type Site struct {
	dir   string
	ca    *x509.Certificate
	caKey crypto.Signer

	// Opened keys are kept: one is needed in every transaction that records.
	mu        sync.Mutex // guards all below
	orders    map[fleet.TenantID]ed25519.PrivateKey
	registers map[fleet.TenantID]RegisterKey
}

// Open reads the directory, and makes the CA when there is none.
func Open(dir string, now time.Time) (*Site, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open keys: %w", err)
	}
	s := &Site{
		dir:       dir,
		orders:    make(map[fleet.TenantID]ed25519.PrivateKey),
		registers: make(map[fleet.TenantID]RegisterKey),
	}
	var err error
	if s.caKey, err = s.signingKey("ca.key", newP256); err != nil {
		return nil, fmt.Errorf("open keys: %w", err)
	}
	if s.ca, err = s.openCA(now); err != nil {
		return nil, fmt.Errorf("open keys: %w", err)
	}
	return s, nil
}

func (s *Site) path(name string) string { return filepath.Join(s.dir, name) }

// openCA reads ca.crt, or makes it from the key: if the first start died
// between the two files, the second one goes on from there.
func (s *Site) openCA(now time.Time) (*x509.Certificate, error) {
	path := s.path("ca.crt")
	content, err := readPublic(path)
	if errors.Is(err, fs.ErrNotExist) {
		var made []byte
		if made, err = s.makeCA(now); err != nil {
			return nil, err
		}
		if err = create(path, made, 0o644); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		content, err = readPublic(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read CA certificate: %w", err)
	}
	ca, err := parseCertificate(content)
	if err != nil {
		return nil, fmt.Errorf("read CA certificate %s: %w", path, err)
	}
	switch {
	case !samePublic(ca.PublicKey, s.caKey.Public()):
		return nil, fmt.Errorf("read CA certificate %s: it is not of the key in ca.key", path)
	case !ca.IsCA:
		return nil, fmt.Errorf("read CA certificate %s: it is not a CA's", path)
	case now.After(ca.NotAfter):
		return nil, fmt.Errorf("read CA certificate %s: it expired on %s", path, ca.NotAfter.Format(time.DateOnly))
	}
	return ca, nil
}

func (s *Site) makeCA(now time.Time) ([]byte, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		// The CAs of two sites need two names, or verifiers mix their chains up.
		Subject:               pkix.Name{CommonName: "Patchring site CA " + serial.Text(16)[:8]},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(caLife),
		IsCA:                  true,
		MaxPathLenZero:        true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, s.caKey.Public(), s.caKey)
	if err != nil {
		return nil, fmt.Errorf("make CA certificate: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// CA is the certificate that devices pin.
func (s *Site) CA() *x509.Certificate { return s.ca }

// CAPEM is the CA's certificate as text, for an agent's enrolment.
func (s *Site) CAPEM() string { return certificatePEM(s.ca) }

// Fingerprint of the CA, for enrolment tokens.
func (s *Site) Fingerprint() identity.Fingerprint { return identity.FingerprintOf(s.ca) }

// Pool holds the CA alone.
func (s *Site) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.ca)
	return pool
}

// issue signs a certificate, never for longer than the CA itself lasts.
func (s *Site) issue(template *x509.Certificate, public any) (*x509.Certificate, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	if template.NotAfter.After(s.ca.NotAfter) {
		template.NotAfter = s.ca.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, template, s.ca, public, s.caKey)
	if err != nil {
		return nil, fmt.Errorf("sign certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// OrderKey is the key that signs a tenant's orders, made at first use.
func (s *Site) OrderKey(tenant fleet.TenantID) (ed25519.PrivateKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key, ok := s.orders[tenant]; ok {
		return key, nil
	}
	key, err := s.tenantKey("order", tenant)
	if err != nil {
		return nil, fmt.Errorf("open order key of %s: %w", tenant, err)
	}
	s.orders[tenant] = key
	return key, nil
}

// RegisterKey signs the checkpoints of a tenant's register; Verifier is the
// public half, the text by which anybody checks them.
type RegisterKey struct {
	Signer   note.Signer
	Verifier string
}

// RegisterKey opens a tenant's register key, made at first use.
func (s *Site) RegisterKey(tenant fleet.TenantID) (RegisterKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key, ok := s.registers[tenant]; ok {
		return key, nil
	}
	private, err := s.tenantKey("register", tenant)
	if err != nil {
		return RegisterKey{}, fmt.Errorf("open register key of %s: %w", tenant, err)
	}
	key, err := registerKey(register.Origin(string(tenant)), private)
	if err != nil {
		return RegisterKey{}, fmt.Errorf("open register key of %s: %w", tenant, err)
	}
	s.registers[tenant] = key
	return key, nil
}

func (s *Site) tenantKey(purpose string, tenant fleet.TenantID) (ed25519.PrivateKey, error) {
	if err := identity.CheckID(string(tenant)); err != nil {
		return nil, err
	}
	key, err := s.signingKey(purpose+"-"+string(tenant)+".key", newEd25519)
	if err != nil {
		return nil, err
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%T, want an ed25519 key", key)
	}
	return private, nil
}

func registerKey(origin string, private ed25519.PrivateKey) (RegisterKey, error) {
	public, ok := private.Public().(ed25519.PublicKey)
	if !ok {
		return RegisterKey{}, errors.New("key without its public half")
	}
	text, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		return RegisterKey{}, err
	}
	verifier, err := note.NewVerifier(text)
	return RegisterKey{Signer: noteSigner{verifier, private}, Verifier: text}, err
}

// noteSigner is a note.Signer over a key of our own file format; note reads
// secret keys only in its own.
type noteSigner struct {
	note.Verifier // for the name and the key hash
	key           ed25519.PrivateKey
}

// Sign implements note.Signer.
func (s noteSigner) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

// signingKey reads a private key (PKCS #8 in PEM), or makes it when the file
// does not exist. Any other trouble with the file is an error: never a new key.
func (s *Site) signingKey(name string, generate func() (crypto.Signer, error)) (crypto.Signer, error) {
	path := s.path(name)
	content, err := readSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeKey(path, generate); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		content, err = readSecret(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	key, err := parseKey(content)
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", path, err)
	}
	return key, nil
}

func makeKey(path string, generate func() (crypto.Signer, error)) error {
	key, err := generate()
	if err != nil {
		return fmt.Errorf("make key %s: %w", path, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("make key %s: %w", path, err)
	}
	return create(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

func newP256() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func newEd25519() (crypto.Signer, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}

func parseKey(content []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(content)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("no PEM block PRIVATE KEY in it")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%T cannot sign", key)
	}
	return signer, nil
}

func parseCertificate(content []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(content)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("no PEM block CERTIFICATE in it")
	}
	return x509.ParseCertificate(block.Bytes)
}

func certificatePEM(cert *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
}

func samePublic(a, b crypto.PublicKey) bool {
	key, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(b)
}

// newSerial draws 127 random bits: unique without a counter to keep, and never
// negative.
func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("draw serial number: %w", err)
	}
	return serial.SetBit(serial, 126, 1), nil // at least 16 hex digits, for the CA's name
}
