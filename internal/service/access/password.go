package access

import (
	"context"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// The cost of a password hash, as OWASP advises for argon2id: 19 MiB and two
// passes. Two at once keep a flood of logins below 40 MiB.
const (
	argonTime    = 2
	argonMemory  = 19 * 1024 // KiB
	argonThreads = 1
	argonKey     = 32
	saltBytes    = 16
	hashesAtOnce = 2

	// MinPassword is the fewest characters of a password that a person chooses.
	MinPassword = 12
	maxPassword = 256
)

// hashPassword writes the hash in the usual form, with its costs, so that they
// can be raised without asking anybody for a new password.
func hashPassword(password string, salt []byte) string {
	key := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, argonKey)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
		b64.EncodeToString(salt), b64.EncodeToString(key))
}

func matchesPassword(hash, password string) (bool, error) {
	var version int
	var memory, passes uint32
	var threads uint8
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, fmt.Errorf("read password hash: not argon2id")
	}
	_, e1 := fmt.Sscanf(parts[2], "v=%d", &version)
	_, e2 := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &passes, &threads)
	salt, e3 := base64.RawStdEncoding.DecodeString(parts[4])
	want, e4 := base64.RawStdEncoding.DecodeString(parts[5])
	for _, err := range []error{e1, e2, e3, e4} {
		if err != nil {
			return false, fmt.Errorf("read password hash: %w", err)
		}
	}
	if version != argon2.Version || len(want) == 0 {
		return false, fmt.Errorf("read password hash: version %d, want %d", version, argon2.Version)
	}
	got := argon2.IDKey([]byte(password), salt, passes, memory, threads, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}

// hash waits for a slot, so that many logins cost time and not memory.
func (s *Service) hash(ctx context.Context, password string) (string, error) {
	salt, err := s.draw(saltBytes)
	if err != nil {
		return "", err
	}
	if err := s.slot(ctx); err != nil {
		return "", err
	}
	defer s.release()
	return hashPassword(password, salt), nil
}

func (s *Service) matches(ctx context.Context, hash, password string) (bool, error) {
	if err := s.slot(ctx); err != nil {
		return false, err
	}
	defer s.release()
	return matchesPassword(hash, password)
}

func (s *Service) slot(ctx context.Context) error {
	select {
	case s.hashing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait to check a password: %w", ctx.Err())
	}
}

func (s *Service) release() { <-s.hashing }

// readable is Crockford's alphabet in lower case: no i, l, o or u.
var readable = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// generate draws a password of 100 bits in five groups, without letters that
// read like digits.
func (s *Service) generate() (string, error) {
	drawn, err := s.draw(13)
	if err != nil {
		return "", err
	}
	text := readable.EncodeToString(drawn)
	return text[0:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20], nil
}

func checkPassword(password string) error {
	if n := len([]rune(password)); n < MinPassword || len(password) > maxPassword {
		return invalid("password", "password_length", fmt.Sprintf("%d-%d", MinPassword, maxPassword))
	}
	return nil
}
