// Package identity owns who is who on paper: the form of enrolment tokens and
// API tokens, how their secrets are compared and kept, the name that a
// device's certificate carries, and how a new agent recognises the site it was
// invited to before it trusts anything that site says.
//
// It refuses a token that lost or changed a character, and says which of the
// two happened without asking a server. Everything is pure: randomness and the
// present instant come in as values, and all of it is safe from any goroutine.
package identity

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"strings"

	"patchring/internal/core/fault"
)

// What a token looks like. Parts are Crockford's base32 in lower case: no
// letter that reads like a digit, no character that a shell or a double click
// would split at.
//
//	pre_<id 8>_<secret 32>_<first 16 bytes of the CA's SHA-256: 26><checksum 7>   enrolment
//	prt_<id 8>_<secret 32><checksum 7>                                           API
const (
	enrollmentPrefix = "pre"
	apiPrefix        = "prt"

	idBytes       = 5
	secretBytes   = 20
	caPrefixBytes = 16
)

var crockford = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// Problems of a token, the argument "problem" of fault.TokenInvalid.
const (
	ProblemEmpty        = "empty"
	ProblemNoToken      = "not_a_token"
	ProblemTruncated    = "truncated"     // characters are missing, usually at the end
	ProblemTooLong      = "too_long"      // something was pasted behind it
	ProblemMistyped     = "mistyped"      // its checksum does not fit
	ProblemIsAPI        = "is_api"        // an API token where an enrolment token is wanted
	ProblemIsEnrollment = "is_enrollment" // and the other way round
)

// Secret is the part of a token that must not be shown, logged or stored.
type Secret struct{ bytes [secretBytes]byte }

// String, GoString and MarshalText keep a secret out of logs and documents.
func (s Secret) String() string               { return "[secret]" }
func (s Secret) GoString() string             { return "identity.Secret{}" }
func (s Secret) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// Hash is what may be stored of a secret. A plain SHA-256 is enough for 160
// random bits, and it costs an agent's request nothing.
type Hash string

// Hash of the secret, in hexadecimal.
func (s Secret) Hash() Hash {
	sum := sha256.Sum256(append([]byte("patchring token\n"), s.bytes[:]...))
	return Hash(hex.EncodeToString(sum[:]))
}

// Matches compares in constant time.
func (h Hash) Matches(s Secret) bool {
	return subtle.ConstantTimeCompare([]byte(h), []byte(s.Hash())) == 1
}

// EnrollmentToken invites a device. It carries the fingerprint of the site's
// CA, so that the agent knows whom it may tell the secret.
type EnrollmentToken struct {
	ID     string
	Secret Secret
	ca     [caPrefixBytes]byte
}

// NewEnrollmentToken draws a token from random.
func NewEnrollmentToken(random io.Reader, ca Fingerprint) (EnrollmentToken, error) {
	id, secret, err := draw(random)
	if err != nil {
		return EnrollmentToken{}, fmt.Errorf("draw enrolment token: %w", err)
	}
	return EnrollmentToken{ID: id, Secret: secret, ca: [caPrefixBytes]byte(ca[:caPrefixBytes])}, nil
}

// Reveal is the token's text. It is shown once, to who created it.
func (t EnrollmentToken) Reveal() string {
	return enrollmentPrefix + "_" + sealed(enrollmentPrefix, t.ID+"_"+crockford.EncodeToString(t.Secret.bytes[:])+
		"_"+crockford.EncodeToString(t.ca[:]))
}

// ParseEnrollmentToken reads what a person pasted. Its error is a
// fault.TokenInvalid that names the problem.
func ParseEnrollmentToken(text string) (EnrollmentToken, error) {
	parts, err := parse(text, enrollmentPrefix, []int{idBytes, secretBytes, caPrefixBytes})
	if err != nil {
		return EnrollmentToken{}, err
	}
	return EnrollmentToken{
		ID:     crockford.EncodeToString(parts[0]),
		Secret: Secret{[secretBytes]byte(parts[1])},
		ca:     [caPrefixBytes]byte(parts[2]),
	}, nil
}

// APIToken lets a program act for an account.
type APIToken struct {
	ID     string
	Secret Secret
}

// NewAPIToken draws a token from random.
func NewAPIToken(random io.Reader) (APIToken, error) {
	id, secret, err := draw(random)
	if err != nil {
		return APIToken{}, fmt.Errorf("draw API token: %w", err)
	}
	return APIToken{ID: id, Secret: secret}, nil
}

// Reveal is the token's text. It is shown once, to who created it.
func (t APIToken) Reveal() string {
	return apiPrefix + "_" + sealed(apiPrefix, t.ID+"_"+crockford.EncodeToString(t.Secret.bytes[:]))
}

// ParseAPIToken reads what a request carries. Its error is a
// fault.TokenInvalid that names the problem.
func ParseAPIToken(text string) (APIToken, error) {
	parts, err := parse(text, apiPrefix, []int{idBytes, secretBytes})
	if err != nil {
		return APIToken{}, err
	}
	return APIToken{ID: crockford.EncodeToString(parts[0]), Secret: Secret{[secretBytes]byte(parts[1])}}, nil
}

func draw(random io.Reader) (id string, secret Secret, err error) {
	var drawn [idBytes + secretBytes]byte
	if _, err := io.ReadFull(random, drawn[:]); err != nil {
		return "", Secret{}, err
	}
	copy(secret.bytes[:], drawn[idBytes:])
	return crockford.EncodeToString(drawn[:idBytes]), secret, nil
}

// sealed appends the checksum, which covers the prefix too.
func sealed(prefix, body string) string {
	sum := crc32.ChecksumIEEE([]byte(prefix + "_" + body))
	return body + crockford.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
}

// asTyped undoes what happens to a token on its way: capitals, spaces and line
// breaks, and letters read for the digits they resemble.
func asTyped(text string) string {
	text = strings.ToLower(strings.Join(strings.Fields(text), ""))
	prefix, body, found := strings.Cut(text, "_")
	if !found {
		return text
	}
	return prefix + "_" + strings.NewReplacer("o", "0", "i", "1", "l", "1").Replace(body)
}

func parse(text, prefix string, sizes []int) ([][]byte, error) {
	text = asTyped(text)
	if problem := prefixProblem(text, prefix); problem != "" {
		return nil, fault.New(fault.TokenInvalid, "problem", problem)
	}
	body := strings.TrimPrefix(text, prefix+"_")
	want := crockford.EncodedLen(crc32.Size) + len(sizes) - 1
	for _, size := range sizes {
		want += crockford.EncodedLen(size)
	}
	switch {
	case len(body) < want:
		return nil, fault.New(fault.TokenInvalid, "problem", ProblemTruncated)
	case len(body) > want:
		return nil, fault.New(fault.TokenInvalid, "problem", ProblemTooLong)
	}
	parts, err := split(body, sizes)
	unsealed := body[:len(body)-crockford.EncodedLen(crc32.Size)]
	if err != nil || sealed(prefix, unsealed) != body {
		return nil, fault.New(fault.TokenInvalid, "problem", ProblemMistyped).Wrap(err)
	}
	return parts, nil
}

func prefixProblem(text, prefix string) string {
	switch {
	case text == "":
		return ProblemEmpty
	case strings.HasPrefix(text, prefix+"_"):
		return ""
	case strings.HasPrefix(text, apiPrefix+"_"):
		return ProblemIsAPI
	case strings.HasPrefix(text, enrollmentPrefix+"_"):
		return ProblemIsEnrollment
	default:
		return ProblemNoToken
	}
}

func split(body string, sizes []int) ([][]byte, error) {
	parts := make([][]byte, len(sizes))
	for i, size := range sizes {
		length := crockford.EncodedLen(size)
		if i > 0 {
			if body[0] != '_' {
				return nil, fmt.Errorf("part %d does not begin with _", i)
			}
			body = body[1:]
		}
		part, err := crockford.DecodeString(body[:length])
		if err != nil {
			return nil, fmt.Errorf("part %d: %w", i, err)
		}
		if crockford.EncodeToString(part) != body[:length] {
			return nil, fmt.Errorf("part %d has another spelling", i)
		}
		parts[i], body = part, body[length:]
	}
	return parts, nil
}
