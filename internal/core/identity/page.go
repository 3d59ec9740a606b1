package identity

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
)

// Page is what the link to a device's page says: whose page, until when, and of
// which epoch. Links of an earlier epoch than the device's were revoked.
type Page struct {
	Device
	Epoch   uint32
	Expires time.Time // whole seconds
}

// PageKey authenticates links. Whoever has it can open every page.
type PageKey [sha256.Size]byte

// String and GoString keep it out of logs.
func (k PageKey) String() string   { return "[secret]" }
func (k PageKey) GoString() string { return "identity.PageKey{}" }

// What a link's token is, before base64: a version, the instant of its end and
// the epoch (4 bytes each), the device's UUID (16), the tenant, and a MAC (16).
// 128 bits cannot be guessed, and a short token makes a QR code that a cheap
// telephone reads from a screen.
const (
	pageVersion = 1
	pageHead    = 1 + 4 + 4 + 16
	pageMAC     = 16
	maxPage     = 256 // characters
)

// Token is the page's token.
func (p Page) Token(key PageKey) (string, error) {
	id, err := hex.DecodeString(strings.ReplaceAll(string(p.ID), "-", ""))
	if err != nil || len(id) != 16 || p.Tenant == "" {
		return "", fault.New(fault.DeviceUnknown, "device", string(p.ID))
	}
	raw := []byte{pageVersion}
	raw = binary.BigEndian.AppendUint32(raw, uint32(p.Expires.Unix())) // good until 2106
	raw = binary.BigEndian.AppendUint32(raw, p.Epoch)
	raw = append(append(raw, id...), p.Tenant...)
	return base64.RawURLEncoding.EncodeToString(append(raw, pageSum(key, raw)...)), nil
}

// ParsePage reads a token. One that this key has not made says nothing at all;
// one that is past its end says so.
func ParsePage(key PageKey, token string, now time.Time) (Page, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(token) > maxPage || len(raw) <= pageHead+pageMAC {
		return Page{}, fault.New(fault.LinkInvalid)
	}
	raw, sum := raw[:len(raw)-pageMAC], raw[len(raw)-pageMAC:]
	if !hmac.Equal(sum, pageSum(key, raw)) || raw[0] != pageVersion {
		return Page{}, fault.New(fault.LinkInvalid)
	}
	id := hex.EncodeToString(raw[9:pageHead])
	p := Page{
		Device:  Device{Tenant: fleet.TenantID(raw[pageHead:]), ID: fleet.DeviceID(strings.Join([]string{id[:8], id[8:12], id[12:16], id[16:20], id[20:]}, "-"))},
		Epoch:   binary.BigEndian.Uint32(raw[5:9]),
		Expires: time.Unix(int64(binary.BigEndian.Uint32(raw[1:5])), 0).UTC(),
	}
	if !now.Before(p.Expires) {
		return Page{}, fault.New(fault.LinkExpired, "at", p.Expires.Format(time.RFC3339))
	}
	return p, nil
}

func pageSum(key PageKey, raw []byte) []byte {
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte("patchring/page\n"))
	mac.Write(raw)
	return mac.Sum(nil)[:pageMAC]
}
