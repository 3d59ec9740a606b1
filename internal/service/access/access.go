// Package access decides who may come in and what they may do: people with
// their passwords and sessions, programs with their API tokens, new devices
// with their enrolment tokens, and which role grants which act.
//
// It owns accounts, sessions, tokens, the enrolment exchange, and the renewal
// and end of a device's certificate. Every act is one transaction with its
// register entry. It refuses by a fault with a stable code; an error without
// one is an outage, and an outage is never an answer about authorisation.
//
// A Service is safe from any goroutine.
package access

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/google/uuid"

	"patchring/internal/core/fleet"
	"patchring/internal/core/identity"
	"patchring/internal/core/register"
	"patchring/internal/infra/keys"
	"patchring/internal/infra/store"
	"patchring/wire"
)

// Options of a Service.
type Options struct {
	DB     *store.DB
	Keys   *keys.Site
	Clock  func() time.Time
	Random io.Reader // crypto/rand, but for tests

	// Brokers are the addresses that enrolled agents connect to.
	Brokers []string
	// CheckinS is how often agents check in.
	CheckinS int64
	// CertificateLife of a device; zero is keys.DeviceLife.
	CertificateLife time.Duration

	// Enrolled and Retired are told after the commit; either may be nil.
	Enrolled func(fleet.TenantID)
	Retired  func(identity.Device)
}

// Service answers who may come in.
type Service struct {
	opts     Options
	hashing  chan struct{} // one slot for each password hash at a time
	throttle throttle
	decoy    func() string // a hash for names that nobody has
}

// New makes a Service.
func New(opts Options) (*Service, error) {
	if opts.DB == nil || opts.Keys == nil || opts.Clock == nil || opts.Random == nil {
		return nil, errors.New("open access: database, keys, clock and random are needed")
	}
	if opts.CertificateLife == 0 {
		opts.CertificateLife = keys.DeviceLife
	}
	s := &Service{opts: opts, hashing: make(chan struct{}, hashesAtOnce), throttle: newThrottle()}
	salt, err := s.draw(saltBytes)
	if err != nil {
		return nil, err
	}
	s.decoy = sync.OnceValue(func() string { return hashPassword("nobody has this one", salt) })
	return s, nil
}

func (s *Service) now() time.Time { return s.opts.Clock().UTC() }

func (s *Service) draw(n int) ([]byte, error) {
	out := make([]byte, n)
	if _, err := io.ReadFull(s.opts.Random, out); err != nil {
		return nil, fmt.Errorf("draw random bytes: %w", err)
	}
	return out, nil
}

func newID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	return id.String(), nil
}

// record adds an entry of an act by p.
func (s *Service) record(tx *store.Tx, p Principal, kind register.Kind, detail map[string]any) {
	tx.Record(register.Entry{Tenant: string(p.Tenant), AtUS: s.now().UnixMicro(), Actor: p.Actor(), Kind: kind, Detail: detail})
}

// pinned are the public keys that an agent keeps from its enrolment on.
func (s *Service) pinned(tenant fleet.TenantID) (orders []wire.Key, registerKey string, err error) {
	private, err := s.opts.Keys.OrderKey(tenant)
	if err != nil {
		return nil, "", err
	}
	public, ok := private.Public().(ed25519.PublicKey)
	if !ok {
		return nil, "", fmt.Errorf("open order key of %s: no public half", tenant)
	}
	r, err := s.opts.Keys.RegisterKey(tenant)
	if err != nil {
		return nil, "", err
	}
	return []wire.Key{{ID: wire.KeyID(public), Public: public}}, r.Verifier, nil
}

// RegisterKey is the public half of the key that signs the register's
// checkpoints: what an auditor verifies with.
func (s *Service) RegisterKey(tenant fleet.TenantID) (keys.RegisterKey, error) {
	return s.opts.Keys.RegisterKey(tenant)
}

func texts(column, text string) ([]string, error) {
	out := []string{}
	if text == "" {
		return out, nil
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return nil, fmt.Errorf("decode %s: %w", column, err)
	}
	if out == nil {
		out = []string{}
	}
	return out, nil
}

func encoded(v any) (string, error) {
	out, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode %T: %w", v, err)
	}
	return string(out), nil
}

func instant(us int64) time.Time {
	if us <= 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// Housekeep forgets expired sessions and answers; call it a few times a day.
func (s *Service) Housekeep(ctx context.Context) error {
	now := s.now()
	return s.opts.DB.Write(ctx, func(tx *store.Tx) error {
		if _, err := tx.DropExpiredSessions(ctx, now.UnixMicro()); err != nil {
			return fmt.Errorf("forget expired sessions: %w", err)
		}
		if _, err := tx.DropOldIdempotency(ctx, now.Add(-IdempotencyKept).UnixMicro()); err != nil {
			return fmt.Errorf("forget old answers: %w", err)
		}
		return nil
	})
}
