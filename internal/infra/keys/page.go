package keys

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"

	"patchring/internal/core/identity"
)

// PageKey authenticates the links to devices' pages, made at first use. A site
// that loses it loses its links, and nothing else.
func (s *Site) PageKey() (identity.PageKey, error) {
	key, err := s.signingKey("page.key", newEd25519)
	if err != nil {
		return identity.PageKey{}, fmt.Errorf("open page key: %w", err)
	}
	secret, ok := key.(ed25519.PrivateKey)
	if !ok {
		return identity.PageKey{}, errors.New("open page key: it is not an Ed25519 key")
	}
	derived, err := hkdf.Key(sha256.New, secret.Seed(), nil, "patchring/page", sha256.Size)
	if err != nil {
		return identity.PageKey{}, fmt.Errorf("derive page key: %w", err)
	}
	return identity.PageKey(derived), nil
}
