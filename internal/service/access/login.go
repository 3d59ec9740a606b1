package access

import (
	"context"
	"fmt"
	"sync"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Login checks a name and a password. A wrong name and a wrong password are one
// refusal and take one time; tries are counted by name, never by address, or a
// site behind one address would lock itself out.
func (s *Service) Login(ctx context.Context, name, password string) (Principal, error) {
	if wait := s.throttle.wait(name, s.now()); wait > 0 {
		return Principal{}, fault.Again(fault.TooManyTries, "wait", wait.Round(time.Second).String())
	}
	row, err := s.opts.DB.Read().AccountByName(ctx, name)
	known := err == nil
	if err != nil && !store.IsNone(err) {
		return Principal{}, fmt.Errorf("read account: %w", err)
	}
	hash := row.Password
	if !known {
		hash = s.decoy()
	}
	ok, err := s.matches(ctx, hash, password)
	if err != nil {
		return Principal{}, fmt.Errorf("check the password of %s: %w", name, err)
	}
	if !ok || !known {
		s.throttle.failed(name, s.now())
		return Principal{}, fault.New(fault.Unauthorized)
	}
	s.throttle.passed(name)
	return principalOf(row)
}

func principalOf(row gen.Account) (Principal, error) {
	roles, err := texts("roles", row.Roles)
	if err != nil {
		return Principal{}, err
	}
	return Principal{Tenant: fleet.TenantID(row.Tenant), Account: row.ID, Name: row.Name, Roles: roles, Lang: row.Lang}, nil
}

// principal reads an account again, so that closing it or changing its roles
// takes effect at the next request.
func (s *Service) principal(ctx context.Context, tenant, account string) (Principal, error) {
	row, err := s.opts.DB.Read().Account(ctx, tenant, account)
	if store.IsNone(err) || err == nil && row.ClosedUs != 0 {
		return Principal{}, fault.New(fault.Unauthorized)
	}
	if err != nil {
		return Principal{}, fmt.Errorf("read account: %w", err)
	}
	return principalOf(row)
}

// throttle makes each name wait after failed tries: nothing for the first few,
// then twice as long each time, up to a quarter of an hour.
type throttle struct {
	mu    *sync.Mutex // guards tries
	tries map[string]tries
}

type tries struct {
	failed int
	last   time.Time
}

const (
	freeTries     = 5
	firstWait     = 2 * time.Second
	longestWait   = 15 * time.Minute
	throttleNames = 10_000 // a flood of names costs no more memory than this
)

func newThrottle() throttle { return throttle{mu: &sync.Mutex{}, tries: map[string]tries{}} }

func (t throttle) wait(name string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	tried, ok := t.tries[name]
	if !ok || tried.failed < freeTries {
		return 0
	}
	wait := longestWait
	if n := tried.failed - freeTries; n < 9 {
		wait = min(firstWait<<n, longestWait)
	}
	return max(0, tried.last.Add(wait).Sub(now))
}

func (t throttle) failed(name string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.tries) >= throttleNames {
		t.forget(now)
	}
	tried := t.tries[name]
	t.tries[name] = tries{failed: tried.failed + 1, last: now}
}

// forget drops the names whose wait is over, and everything when a flood of
// names is younger than that.
func (t throttle) forget(now time.Time) {
	for name, tried := range t.tries {
		if now.Sub(tried.last) > longestWait {
			delete(t.tries, name)
		}
	}
	if len(t.tries) >= throttleNames {
		clear(t.tries)
	}
}

func (t throttle) passed(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.tries, name)
}
