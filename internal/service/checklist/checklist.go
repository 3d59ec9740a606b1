// Package checklist takes what testers tick: each item of a gate's tests, ok or
// failed with a remark. Each tick is one transaction with its register entry
// and, where the procedure says a severity, with the incident that a failure
// makes. It reminds whoever a test is assigned to before its ring closes, and
// afterwards, until it is ticked.
//
// It refuses an item that the procedure does not have, a ring that has not
// opened or has passed, a failure without a remark, and a tick on what a probe
// decides. Who may tick is the face's to ask of service/access; what tests
// amount to is core/checklist's.
//
// Run belongs to one goroutine; every other method is safe from any.
package checklist

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"patchring/internal/core/campaign"
	"patchring/internal/core/checklist"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/procedure"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Options of a tester's desk.
type Options struct {
	DB    *store.DB
	Clock func() time.Time
	Log   *slog.Logger
	// Procedure is the version that a campaign runs by.
	Procedure func(ctx context.Context, q *gen.Queries, of gen.Campaign) (procedure.Procedure, error)
	// Fail makes the incident of a failed item, in the transaction; told is called
	// after its commit.
	Fail func(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, by register.Actor, f Failure) (incident string, told func(), err error)
	// Wake makes the conductor look now: a gate may wait for the tick.
	Wake func()
	// Changed tells the faces that a campaign has something new to show.
	Changed func(fleet.TenantID, campaign.ID)
}

// Bench is where the tests of all tenants are ticked.
type Bench struct{ Options }

// New makes a bench.
func New(o Options) *Bench {
	if o.Wake == nil {
		o.Wake = func() {}
	}
	if o.Changed == nil {
		o.Changed = func(fleet.TenantID, campaign.ID) {}
	}
	return &Bench{o}
}

// Failure is a failed item that makes an incident.
type Failure struct {
	Campaign string // id
	Ring     string
	Test     string
	Item     int // from 0
	Title    string
	Remark   string
	Severity procedure.Severity
}

// Tick is what a tester says of one item.
type Tick struct {
	Campaign  string // id or name
	Amendment int
	Ring      string
	Test      string
	Item      int // from 0
	OK        bool
	Remark    string // a failure needs one
	// Severity of the incident that a failure makes, when the procedure says none.
	Severity procedure.Severity
	Lang     string // of the tester: the incident's title is in it
}

// Ticked is what came of it.
type Ticked struct {
	Incident string `json:"incident,omitempty" doc:"id of the incident that the failure made or joined"`
}

const maxRemark = 1000

// Rule finds the test and its ring in the campaign's procedure: for faces that
// ask who may tick it.
func (b *Bench) Rule(ctx context.Context, tenant fleet.TenantID, ref, ring, test string) (procedure.TestRule, error) {
	_, p, err := b.campaign(ctx, b.DB.Read(), tenant, ref)
	if err != nil {
		return procedure.TestRule{}, err
	}
	_, rule, err := find(p, ring, test)
	return rule, err
}

// Tick keeps the last word on an item.
func (b *Bench) Tick(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask Tick) (out Ticked, err error) {
	if err := check(&ask); err != nil {
		return out, err
	}
	var of gen.Campaign
	told := func() {}
	err = b.DB.Write(ctx, func(tx *store.Tx) (err error) {
		var p procedure.Procedure
		if of, p, err = b.campaign(ctx, tx.Queries, tenant, ask.Campaign); err != nil {
			return err
		}
		position, rule, err := find(p, ask.Ring, ask.Test)
		if err != nil {
			return err
		}
		if err := fits(rule, ask); err != nil {
			return err
		}
		if err := open(ctx, tx, of, ask, position); err != nil {
			return err
		}
		out, told, err = b.keep(ctx, tx, of, by, ask, place{position, p.Rings[position].Name, rule})
		return err
	})
	if err != nil {
		return Ticked{}, err
	}
	told()
	b.Wake()
	b.Changed(tenant, campaign.ID(of.ID))
	return out, nil
}

// place is where an item stands.
type place struct {
	position int
	ring     string
	rule     procedure.TestRule
}

func (b *Bench) keep(ctx context.Context, tx *store.Tx, of gen.Campaign, by register.Actor, ask Tick, at place) (out Ticked, told func(), err error) {
	told = func() {}
	outcome := checklist.OK
	if !ask.OK {
		outcome = checklist.Failed
		if out.Incident, told, err = b.fail(ctx, tx, of, by, ask, at); err != nil {
			return out, told, err
		}
	}
	now := b.Clock().UnixMicro()
	if err := tx.PutTestResult(ctx, gen.PutTestResultParams{
		Tenant: of.Tenant, Campaign: of.ID, Amendment: int64(ask.Amendment), Position: int64(at.position), Test: at.rule.Name, Item: int64(ask.Item),
		Outcome: string(outcome), Remark: ask.Remark, Incident: out.Incident, Actor: string(by), AtUs: now,
	}); err != nil {
		return out, told, fmt.Errorf("keep the result of test %s: %w", at.rule.Name, err)
	}
	results, err := tx.TestResults(ctx, of.Tenant, of.ID)
	if err != nil {
		return out, told, fmt.Errorf("read results of tests: %w", err)
	}
	detail := map[string]any{
		"test": at.rule.Name, "item": ask.Item + 1, "outcome": string(outcome), "remark": ask.Remark, "amendment": ask.Amendment,
		"left": checklist.Left(at.rule, resultsOf(results, int64(ask.Amendment), int64(at.position))),
	}
	if out.Incident != "" {
		detail["incident"] = out.Incident
	}
	tx.Record(register.Entry{Tenant: of.Tenant, AtUS: now, Actor: by, Kind: register.TestTicked, Campaign: of.ID, Ring: at.ring, Detail: detail})
	return out, told, tx.TouchCampaign(ctx, of.Tenant, of.ID)
}

func (b *Bench) fail(ctx context.Context, tx *store.Tx, of gen.Campaign, by register.Actor, ask Tick, at place) (string, func(), error) {
	severity := at.rule.Severity
	if severity == procedure.NoSeverity {
		severity = ask.Severity
	}
	if severity == procedure.NoSeverity {
		return "", func() {}, nil
	}
	title := at.rule.Title.In(ask.Lang)
	if len(at.rule.Items) > 0 {
		title += ": " + at.rule.Items[ask.Item].In(ask.Lang)
	}
	return b.Fail(ctx, tx, fleet.TenantID(of.Tenant), by, Failure{
		Campaign: of.ID, Ring: at.ring, Test: at.rule.Name, Item: ask.Item, Title: title, Remark: ask.Remark, Severity: severity,
	})
}

func check(ask *Tick) error {
	ask.Remark = strings.TrimSpace(ask.Remark)
	switch {
	case !ask.OK && ask.Remark == "":
		return invalid("remark", "empty", "write_it")
	case utf8.RuneCountInString(ask.Remark) > maxRemark:
		return invalid("remark", "too_long", fmt.Sprintf("≤ %d", maxRemark))
	case ask.Severity != "" && !ask.Severity.AtLeast(procedure.Minor):
		return invalid("severity", "not_a_choice", "minor, major, critical")
	}
	return nil
}

func fits(rule procedure.TestRule, ask Tick) error {
	switch {
	case rule.Probe != "":
		return fault.New(fault.Conflict, "what", "test "+rule.Name, "state", "automatic", "wanted", "manual")
	case ask.Item < 0 || ask.Item >= len(rule.Items):
		return invalid("item", "out_of_range", "1 … "+strconv.Itoa(len(rule.Items)))
	}
	return nil
}

// open wants a ring that has begun and has not passed: nobody can vouch for
// what has not begun, and a gate that has passed is not taken back.
func open(ctx context.Context, tx *store.Tx, of gen.Campaign, ask Tick, position int) error {
	if of.State == string(campaign.Closed) {
		return fault.New(fault.CampaignClosed)
	}
	rings, err := tx.Rings(ctx, of.Tenant, of.ID)
	if err != nil {
		return fmt.Errorf("read rings: %w", err)
	}
	for _, r := range rings {
		if r.Amendment != int64(ask.Amendment) || r.Position != int64(position) {
			continue
		}
		if state := campaign.RingState(r.State); !state.Opened() || state.Passed() {
			return fault.New(fault.Conflict, "what", "ring "+r.Ring, "state", r.State, "wanted", "open, soaking or gate")
		}
		return nil
	}
	return fault.New(fault.NotFound, "what", "amendment", "name", strconv.Itoa(ask.Amendment))
}

func (b *Bench) campaign(ctx context.Context, q *gen.Queries, tenant fleet.TenantID, ref string) (gen.Campaign, procedure.Procedure, error) {
	of, err := q.Campaign(ctx, string(tenant), ref)
	if store.IsNone(err) {
		of, err = q.CampaignByName(ctx, string(tenant), ref)
	}
	if store.IsNone(err) {
		return of, procedure.Procedure{}, fault.New(fault.NotFound, "what", "campaign", "name", ref)
	}
	if err != nil {
		return of, procedure.Procedure{}, fmt.Errorf("read campaign %s: %w", ref, err)
	}
	p, err := b.Procedure(ctx, q, of)
	return of, p, err
}

// find looks a test up by the names of its ring and its own.
func find(p procedure.Procedure, ring, test string) (int, procedure.TestRule, error) {
	var rings []string
	for i, r := range p.Rings {
		rings = append(rings, r.Name)
		if !strings.EqualFold(r.Name, ring) {
			continue
		}
		var names []string
		for _, rule := range r.Gate.Tests {
			if rule.Name == test {
				return i, rule, nil
			}
			names = append(names, rule.Name)
		}
		if len(names) == 0 {
			return 0, procedure.TestRule{}, fault.New(fault.NotFound, "what", "test", "name", test)
		}
		return 0, procedure.TestRule{}, invalid("test", "not_a_choice", strings.Join(names, ", "))
	}
	return 0, procedure.TestRule{}, invalid("ring", "not_a_choice", strings.Join(rings, ", "))
}

func invalid(field, problem, fix string) *fault.Error {
	return fault.New(fault.InvalidField, "field", field, "problem", problem, "fix", fix)
}
