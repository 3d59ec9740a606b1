// Package foresight says what a campaign would do before it exists: it reads
// the recorded fleet and catalogue in one snapshot and has core/rehearsal play
// them. It writes nothing and decides nothing.
//
// It refuses a procedure or a policy with a problem, as applying it would. Safe
// from any goroutine.
package foresight

import (
	"context"
	"fmt"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
	"patchring/internal/core/policy"
	"patchring/internal/core/procedure"
	"patchring/internal/core/rehearsal"
	"patchring/internal/infra/store"
)

// Options of a Foresight.
type Options struct {
	DB    *store.DB
	Clock func() time.Time
	// Rules are what a new campaign would be decided by, but for its classes.
	Rules func(context.Context, store.Reads, string) (policy.Rules, []campaign.Hold, error)
	// Pace replaces what past installs teach; only tests set it.
	Pace *rehearsal.Pace
}

// Foresight of all tenants.
type Foresight struct {
	Options
	playing chan struct{}
}

// New makes a Foresight.
func New(o Options) *Foresight { return &Foresight{o, make(chan struct{}, 1)} }

// Ask is what to rehearse.
type Ask struct {
	Procedure string // its latest version, or
	File      Text   // a file that need not have been applied
	Month     string
	Now       bool
	Policy    Text // in place of the one in force
	Fates     rehearsal.FateQuery
}

// Text is a file as it was sent; the zero Text is none.
type Text struct{ Name, Body string }

// Rehearsal is a campaign that was rehearsed.
type Rehearsal struct {
	Procedure string        `json:"procedure"`
	Title     manifest.Text `json:"title"`
	Version   int64         `json:"version"` // 0: of a file that was sent
	Zone      string        `json:"zone"`
	Campaign  string        `json:"campaign"` // its month; empty when it starts now
	Policy    string        `json:"policy"`   // empty: none
	// Sent tells that the policy is a file that was sent.
	Sent     bool               `json:"policy_sent"`
	Notes    []Note             `json:"notes"`
	Warnings []manifest.Problem `json:"warnings"`
	rehearsal.Result
	Fates []rehearsal.Fate `json:"devices_listed"`
	Next  string           `json:"next"` // cursor of the devices after those; empty: no more
}

// Note is something about the month that people would otherwise get wrong.
type Note struct {
	Code  procedure.NoteCode `json:"code"`
	Value string             `json:"value"`
}

// maxFates is how many devices are listed at once.
const maxFates = 500

// Rehearse plays a campaign. One is played at a time: it takes a core for some
// seconds where the fleet is large, and agents come first.
func (f *Foresight) Rehearse(ctx context.Context, tenant fleet.TenantID, ask Ask) (Rehearsal, error) {
	select {
	case f.playing <- struct{}{}:
		defer func() { <-f.playing }()
	case <-ctx.Done():
		return Rehearsal{}, fmt.Errorf("wait for another rehearsal: %w", ctx.Err())
	}
	var out Rehearsal
	var recorded *rehearsal.Fleet
	err := f.DB.Snapshot(ctx, func(r store.Reads) error {
		s, err := f.setting(ctx, r, string(tenant), ask)
		if err != nil {
			return err
		}
		out = s.Rehearsal
		recorded, err = read(ctx, r, string(tenant), s.plan)
		return err
	})
	if err != nil {
		return Rehearsal{}, err
	}
	played := recorded.Play()
	out.Result = played.Result
	ask.Fates.Limit = min(max(ask.Fates.Limit, 0), maxFates)
	var more bool
	if out.Fates, more = played.Fates(ask.Fates); more && len(out.Fates) > 0 {
		out.Next = string(out.Fates[len(out.Fates)-1].Device)
	}
	return out, nil
}

// setting is what is played, and its head.
type setting struct {
	Rehearsal
	plan rehearsal.Plan
}

func (f *Foresight) setting(ctx context.Context, r store.Reads, tenant string, ask Ask) (s setting, err error) {
	if ask.Now == (ask.Month != "") {
		return s, fault.New(fault.InvalidField, "field", "month", "problem", "empty", "fix", "month_or_now")
	}
	s.plan.Now = f.Clock()
	if s.plan.Procedure, s.Version, err = chosen(ctx, r, tenant, ask); err != nil {
		return s, err
	}
	p := s.plan.Procedure
	if s.plan.Schedule, err = (campaign.Create{Month: ask.Month, Now: ask.Now}).Schedule(p, s.plan.Now); err != nil {
		return s, err
	}
	if s.plan.Rules, s.plan.Holds, err = f.Rules(ctx, r, tenant); err != nil {
		return s, err
	}
	s.plan.Rules.Classes = p.Classes
	s.Warnings = p.Warnings
	if ask.Policy.Body != "" {
		sent, err := policy.Parse(ask.Policy.Name, []byte(ask.Policy.Body))
		if err != nil {
			return s, err
		}
		s.plan.Rules.Policies.Tenant, s.Sent = &sent, true
		s.Warnings = append(s.Warnings[:len(s.Warnings):len(s.Warnings)], sent.Warnings...)
	}
	if in := s.plan.Rules.Policies.Tenant; in != nil {
		s.Policy = in.Name
	}
	s.Procedure, s.Title, s.Zone, s.Notes = p.Name, p.Title, p.Zone.String(), []Note{}
	for _, n := range s.plan.Schedule.Notes {
		s.Notes = append(s.Notes, Note(n))
	}
	if !ask.Now {
		s.Campaign = s.plan.Schedule.Campaign
	}
	if s.Warnings == nil {
		s.Warnings = []manifest.Problem{}
	}
	if f.Pace != nil {
		s.plan.Pace = *f.Pace
		return s, nil
	}
	s.plan.Pace, err = pace(ctx, r, tenant, s.plan.Now)
	return s, err
}

// chosen is the procedure: the file that was sent, or the latest of a name.
func chosen(ctx context.Context, r store.Reads, tenant string, ask Ask) (procedure.Procedure, int64, error) {
	if ask.File.Body != "" {
		p, err := procedure.Parse(ask.File.Name, []byte(ask.File.Body))
		return p, 0, err
	}
	row, err := r.LatestProcedure(ctx, tenant, ask.Procedure)
	if store.IsNone(err) {
		return procedure.Procedure{}, 0, fault.New(fault.NotFound, "what", "procedure", "name", ask.Procedure)
	}
	if err != nil {
		return procedure.Procedure{}, 0, fmt.Errorf("read procedure %s: %w", ask.Procedure, err)
	}
	p, err := procedure.Parse(row.Name, []byte(row.Body))
	if err != nil {
		return p, 0, fmt.Errorf("parse procedure %s version %d: %w", row.Name, row.Version, err)
	}
	return p, row.Version, nil
}
