// Package survey looks over a tenant's fleet before a campaign: what is to be
// put right, which devices make good pilots, and whose system is too old. It
// reads by pages and decides nothing: core/readiness, core/coverage and
// core/lifecycle do.
//
// It writes one thing, the tables of how long systems are supported, each with
// an entry in the register. Safe from any goroutine; what was found is kept for
// a minute, so that the pages of one list come from one look.
package survey

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/policy"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Options of a Survey.
type Options struct {
	DB    *store.DB
	Clock func() time.Time
	// SilentAfter is how long an agent may say nothing where no procedure says.
	SilentAfter time.Duration
	// Lists is how long what was found is kept; 0: a minute.
	Lists time.Duration
}

// Survey of all tenants.
type Survey struct {
	Options

	mu    sync.Mutex // guards found and software
	found map[string]found
	// software is the names installed on each device, as of the hash of its
	// inventory: unpacking it is most of the work of a proposal.
	software map[fleet.TenantID]*inventories
}

// found is an answer that is kept for a while.
type found struct {
	at     time.Time
	answer any
}

// New makes a Survey.
func New(o Options) *Survey {
	if o.SilentAfter <= 0 {
		o.SilentAfter = 72 * time.Hour
	}
	if o.Lists <= 0 {
		o.Lists = time.Minute
	}
	return &Survey{Options: o, found: map[string]found{}, software: map[fleet.TenantID]*inventories{}}
}

// kept gives the answer that the page before came from, or makes it. The first
// page of a list always looks: who has put something right wants to see it gone.
func kept[T any](s *Survey, key, cursor string, make func() (T, error)) (T, error) {
	now := s.Clock()
	s.mu.Lock()
	for k, f := range s.found {
		if now.Sub(f.at) >= s.Lists || now.Before(f.at) {
			delete(s.found, k)
		}
	}
	f, ok := s.found[key]
	s.mu.Unlock()
	if out, is := f.answer.(T); ok && is && cursor != "" {
		return out, nil
	}
	out, err := make()
	if err == nil {
		s.mu.Lock()
		s.found[key] = found{now, out}
		s.mu.Unlock()
	}
	return out, err
}

// forget drops what was found of a tenant.
func (s *Survey) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.found)
}

// fleetPage is how many devices are read at once.
const fleetPage = 500

// device is one device as it was read.
type device struct {
	gen.SurveyAfterRow
	subject policy.Device // without its software
}

func (d device) id() fleet.DeviceID { return fleet.DeviceID(d.ID) }

func (d device) member() fleet.Member {
	return fleet.Member{Device: d.id(), Name: d.Name, Kind: fleet.Kind(d.Kind), Tags: d.subject.Tags, Groups: d.subject.Groups}
}

// eachPage goes through a fleet.
func eachPage(ctx context.Context, r store.Reads, tenant fleet.TenantID, do func([]device) error) error {
	after := ""
	for {
		rows, err := r.SurveyAfter(ctx, gen.SurveyAfterParams{Tenant: string(tenant), ID: after, Max: fleetPage})
		if err != nil {
			return fmt.Errorf("read the fleet: %w", err)
		}
		if len(rows) == 0 {
			return nil
		}
		page := make([]gen.Device, len(rows))
		for i, row := range rows {
			page[i] = gen.Device{Tenant: string(tenant), ID: row.ID, Name: row.Name, Kind: row.Kind, Tags: row.Tags}
		}
		groups, err := r.GroupsOf(ctx, string(tenant), page)
		if err != nil {
			return err
		}
		devices := make([]device, len(rows))
		for i, row := range rows {
			subject, err := store.Subject(page[i], groups[row.ID], row.Traits, nil)
			if err != nil {
				return err
			}
			devices[i] = device{row, subject}
		}
		if err := do(devices); err != nil {
			return err
		}
		after = rows[len(rows)-1].ID
	}
}

// policies in force for a tenant.
func policies(ctx context.Context, r store.Reads, tenant fleet.TenantID, now time.Time) (out policy.Policies, err error) {
	if out.Provider, err = inForce(ctx, r, store.Provider); err != nil {
		return out, err
	}
	if out.Tenant, err = inForce(ctx, r, string(tenant)); err != nil {
		return out, err
	}
	rows, err := r.FreezesOpen(ctx, string(tenant), now.UnixMicro())
	if err != nil {
		return out, fmt.Errorf("read freezes placed by hand: %w", err)
	}
	out.Hand, err = policy.ByHand(store.HandFreezes(rows))
	return out, err
}

func inForce(ctx context.Context, r store.Reads, tenant string) (*policy.Policy, error) {
	rows, err := r.PolicyInForce(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("read the policy in force: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	p, err := policy.Parse(rows[0].Name, []byte(rows[0].Body))
	if err != nil {
		return nil, fmt.Errorf("parse policy %s version %d: %w", rows[0].Name, rows[0].Version, err)
	}
	return &p, nil
}

func invalid(field, problem, fix string) *fault.Error {
	return fault.New(fault.InvalidField, "field", field, "problem", problem, "fix", fix)
}

// Page asks for a part of a list.
type Page struct {
	Cursor string // Next of the page before; empty for the first
	Limit  int    // rows wanted; 0 is DefaultLimit
}

// Limits of a page.
const (
	DefaultLimit = 50
	MaxLimit     = 500
)

func (p Page) limit() int {
	if p.Limit <= 0 {
		return DefaultLimit
	}
	return min(p.Limit, MaxLimit)
}

func number(n int) string { return strconv.Itoa(n) }
