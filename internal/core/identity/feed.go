package identity

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
)

// Feed is what the link to a feed says: which one, and whose. It has no end of
// its own: a calendar is subscribed to for years, and a person revokes it.
type Feed struct {
	Tenant fleet.TenantID
	ID     string // UUID
}

// A feed's token, before base64: a version, the feed's UUID (16), the tenant and
// a MAC (16), made apart from those of pages.
const (
	feedVersion = 1
	feedHead    = 1 + 16
)

// Token is the feed's token.
func (f Feed) Token(key PageKey) (string, error) {
	id, err := hex.DecodeString(strings.ReplaceAll(f.ID, "-", ""))
	if err != nil || len(id) != 16 || f.Tenant == "" {
		return "", fault.New(fault.LinkInvalid)
	}
	raw := append(append([]byte{feedVersion}, id...), f.Tenant...)
	return base64.RawURLEncoding.EncodeToString(append(raw, feedSum(key, raw)...)), nil
}

// ParseFeed reads a token that this key has made; any other says nothing.
func ParseFeed(key PageKey, token string) (Feed, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(token) > maxPage || len(raw) <= feedHead+pageMAC {
		return Feed{}, fault.New(fault.LinkInvalid)
	}
	raw, sum := raw[:len(raw)-pageMAC], raw[len(raw)-pageMAC:]
	if !hmac.Equal(sum, feedSum(key, raw)) || raw[0] != feedVersion {
		return Feed{}, fault.New(fault.LinkInvalid)
	}
	id := hex.EncodeToString(raw[1:feedHead])
	return Feed{
		Tenant: fleet.TenantID(raw[feedHead:]), ID: strings.Join([]string{id[:8], id[8:12], id[12:16], id[16:20], id[20:]}, "-"),
	}, nil
}

func feedSum(key PageKey, raw []byte) []byte {
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte("patchring/feed\n"))
	mac.Write(raw)
	return mac.Sum(nil)[:pageMAC]
}
