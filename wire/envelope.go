package wire

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// EnvelopeKind says what an envelope carries; it is signed with the payload.
type EnvelopeKind string

// Envelope kinds.
const (
	EnvelopeOrder EnvelopeKind = "order"
	EnvelopeHolds EnvelopeKind = "holds"
	EnvelopeSaid  EnvelopeKind = "said"  // Said: an answer from the device's page
	EnvelopeWake  EnvelopeKind = "wake"  // Wake: a neighbour to be woken
	EnvelopeWatch EnvelopeKind = "watch" // Watch: what the device is to measure
)

// Envelope carries the exact bytes that were signed: verify, then decode.
type Envelope struct {
	Kind    EnvelopeKind `json:"kind"`
	KeyID   string       `json:"key_id"`
	Payload []byte       `json:"payload"`
	Sig     []byte       `json:"sig"`
}

// Refusals of an envelope.
var (
	ErrUnknownKey   = errors.New("envelope is signed by a key that was not pinned at enrolment")
	ErrBadSignature = errors.New("envelope's signature does not fit its payload")
	ErrWrongKind    = errors.New("envelope carries another kind of message")
)

// KeyID names a public key by the first 8 bytes of its SHA-256.
func KeyID(public ed25519.PublicKey) string {
	sum := sha256.Sum256(public)
	return hex.EncodeToString(sum[:8])
}

// Seal encodes v and signs it.
func Seal(kind EnvelopeKind, v any, key ed25519.PrivateKey) (Envelope, error) {
	payload, err := json.Marshal(v)
	if err != nil {
		return Envelope{}, fmt.Errorf("encode %s: %w", kind, err)
	}
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return Envelope{}, fmt.Errorf("sign %s: key is not ed25519", kind)
	}
	return Envelope{
		Kind: kind, KeyID: KeyID(public), Payload: payload,
		Sig: ed25519.Sign(key, signed(kind, payload)),
	}, nil
}

// Open verifies e against the pinned keys and only then decodes it into v.
func (e Envelope) Open(kind EnvelopeKind, keys []Key, v any) error {
	if e.Kind != kind {
		return fmt.Errorf("open %s: %w (%s)", kind, ErrWrongKind, e.Kind)
	}
	for _, k := range keys {
		if k.ID != e.KeyID {
			continue
		}
		if len(k.Public) != ed25519.PublicKeySize || !ed25519.Verify(k.Public, signed(kind, e.Payload), e.Sig) {
			return fmt.Errorf("open %s: %w", kind, ErrBadSignature)
		}
		if err := json.Unmarshal(e.Payload, v); err != nil {
			return fmt.Errorf("decode %s: %w", kind, err)
		}
		return nil
	}
	return fmt.Errorf("open %s: %w (%s)", kind, ErrUnknownKey, e.KeyID)
}

// signed binds the kind, so that a payload cannot be replayed as another one.
func signed(kind EnvelopeKind, payload []byte) []byte {
	return append([]byte("patchring/1/"+string(kind)+"\n"), payload...)
}
