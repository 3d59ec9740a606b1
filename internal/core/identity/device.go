package identity

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"strings"

	"patchring/internal/core/fleet"
)

// Device is who a device's certificate says it is. This, and never the
// client's own word, is what permissions are given to.
type Device struct {
	Tenant fleet.TenantID
	ID     fleet.DeviceID
}

const deviceURI = "device:"

// maxID bounds a tenant's or a device's id. Both become file names, broker
// subjects and account names, so nothing but plain words is accepted.
const maxID = 64

// CheckID tells why an id may not be used, or nil.
func CheckID(id string) error {
	if id == "" || len(id) > maxID {
		return fmt.Errorf("id %.80q has %d characters, want 1 to %d", id, len(id), maxID)
	}
	for _, c := range []byte(id) {
		word := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
		if !word {
			return fmt.Errorf("id %q holds %q; letters, digits, - and _ only", id, c)
		}
	}
	return nil
}

// Check tells why the pair names no device, or nil.
func (d Device) Check() error {
	if err := CheckID(string(d.Tenant)); err != nil {
		return fmt.Errorf("tenant: %w", err)
	}
	if err := CheckID(string(d.ID)); err != nil {
		return fmt.Errorf("device: %w", err)
	}
	return nil
}

// URI is the subject alternative name of the device's certificate:
// patchring:device:<tenant>/<device>.
func (d Device) URI() *url.URL {
	return &url.URL{Scheme: "patchring", Opaque: deviceURI + string(d.Tenant) + "/" + string(d.ID)}
}

// DeviceOf reads who a certificate names. It does not verify the certificate.
func DeviceOf(cert *x509.Certificate) (Device, error) {
	if len(cert.URIs) != 1 {
		return Device{}, fmt.Errorf("certificate %s names %d devices, want one", cert.SerialNumber, len(cert.URIs))
	}
	uri := cert.URIs[0]
	name, ok := strings.CutPrefix(uri.Opaque, deviceURI)
	tenant, id, ok2 := strings.Cut(name, "/")
	d := Device{Tenant: fleet.TenantID(tenant), ID: fleet.DeviceID(id)}
	if !ok || !ok2 || uri.String() != d.URI().String() {
		return Device{}, fmt.Errorf("certificate %s names no device: %s", cert.SerialNumber, uri)
	}
	if err := d.Check(); err != nil {
		return Device{}, fmt.Errorf("certificate %s: %w", cert.SerialNumber, err)
	}
	return d, nil
}
