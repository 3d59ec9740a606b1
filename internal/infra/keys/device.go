package keys

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"time"

	"patchring/internal/core/identity"
)

// DeviceLife is how long a device's certificate lasts unless the site says
// otherwise. The agent renews it at two thirds, so a device can be away for
// ten days without enrolling again.
const DeviceLife = 30 * 24 * time.Hour

// Issued is a device's new certificate.
type Issued struct {
	PEM      string
	Serial   string // hexadecimal; kept with the device, so that an older copy can be refused
	NotAfter time.Time
}

// ErrBadRequest is the refusal of a certificate request, not an outage.
var ErrBadRequest = errors.New("certificate request refused")

// IssueDevice signs the key of a device's request. Nothing but the key is taken
// from it: the name comes from us.
func (s *Site) IssueDevice(csrPEM string, device identity.Device, now time.Time, life time.Duration) (Issued, error) {
	if err := device.Check(); err != nil {
		return Issued{}, fmt.Errorf("issue device certificate: %w", err)
	}
	key, err := requestedKey(csrPEM)
	if err != nil {
		return Issued{}, fmt.Errorf("issue certificate to device %s: %w: %w", device.ID, ErrBadRequest, err)
	}
	cert, err := s.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: string(device.ID)},
		URIs:        []*url.URL{device.URI()},
		NotBefore:   now.Add(-clockSkew),
		NotAfter:    now.Add(life),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, key)
	if err != nil {
		return Issued{}, fmt.Errorf("issue certificate to device %s: %w", device.ID, err)
	}
	return Issued{PEM: certificatePEM(cert), Serial: Serial(cert), NotAfter: cert.NotAfter}, nil
}

// Serial is the form in which a certificate's serial number is kept.
func Serial(cert *x509.Certificate) string { return cert.SerialNumber.Text(16) }

func requestedKey(csrPEM string) (*ecdsa.PublicKey, error) {
	block, _ := pem.Decode([]byte(csrPEM))
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("no PEM block CERTIFICATE REQUEST in it")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	if err := request.CheckSignature(); err != nil {
		return nil, fmt.Errorf("the device does not hold the key: %w", err)
	}
	key, ok := request.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("the key is not P-256")
	}
	return key, nil
}

// VerifyDevice checks a certificate against the CA and says whose it is.
// Whether that device may still connect is not known here.
func (s *Site) VerifyDevice(cert *x509.Certificate, now time.Time) (identity.Device, error) {
	_, err := cert.Verify(x509.VerifyOptions{
		Roots: s.Pool(), CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return identity.Device{}, fmt.Errorf("verify device certificate: %w", err)
	}
	device, err := identity.DeviceOf(cert)
	if err != nil {
		return identity.Device{}, fmt.Errorf("verify device certificate: %w", err)
	}
	return device, nil
}
