package checklist

import (
	"context"
	"errors"
	"fmt"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/checklist"
	"patchring/internal/core/fleet"
	"patchring/internal/core/procedure"
	"patchring/internal/core/register"
	"patchring/internal/core/task"
	"patchring/internal/infra/rounds"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

var reminder = register.System("tests")

// remindEvery is how late a reminder can be.
const remindEvery = time.Minute

// Run reminds until ctx ends.
func (b *Bench) Run(ctx context.Context) error {
	return rounds.Every(ctx, remindEvery, b.Log, "remind of tests", b.Remind)
}

// Remind tells the register whom a test waits for, once for each reminder that
// is owed; the alerts read it there. One that came while no server ran is not
// told after a later one: the last says all.
func (b *Bench) Remind(ctx context.Context) error {
	tenants, err := b.DB.Read().Tenants(ctx)
	if err != nil {
		return fmt.Errorf("read tenants: %w", err)
	}
	var errs []error
	for _, t := range tenants {
		rings, err := b.DB.Read().RingsToTest(ctx, t.ID)
		if err != nil {
			errs = append(errs, fmt.Errorf("read rings of %s: %w", t.ID, err))
			continue
		}
		for _, one := range byCampaign(rings) {
			if err := b.remindOf(ctx, one); err != nil {
				errs = append(errs, fmt.Errorf("remind of tests of campaign %s: %w", one[0].Campaign, err))
			}
		}
	}
	return errors.Join(errs...)
}

// byCampaign parts rings that are ordered by campaign.
func byCampaign(rings []gen.CampaignRing) (out [][]gen.CampaignRing) {
	for i, r := range rings {
		if i == 0 || rings[i-1].Campaign != r.Campaign {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], r)
	}
	return out
}

// remindOf reminds of one campaign's tests. It looks first and writes only where
// something is owed: most minutes nothing is.
func (b *Bench) remindOf(ctx context.Context, rings []gen.CampaignRing) error {
	tenant, id := rings[0].Tenant, rings[0].Campaign
	owed, err := b.owed(ctx, b.DB.Read(), tenant, id, rings)
	if err != nil || len(owed) == 0 {
		return err
	}
	err = b.DB.Write(ctx, func(tx *store.Tx) error {
		// What was ticked, or told by another server, since the look is not owed.
		owed, err := b.owed(ctx, tx.Queries, tenant, id, rings)
		if err != nil {
			return err
		}
		for _, o := range owed {
			if err := b.tell(ctx, tx, o); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		b.Changed(fleet.TenantID(tenant), campaign.ID(id))
	}
	return err
}

// owing is a reminder that is owed.
type owing struct {
	ring   gen.CampaignRing
	rule   procedure.TestRule
	status task.Status
	due    time.Time
	open   int
}

func (b *Bench) owed(ctx context.Context, q *gen.Queries, tenant, id string, rings []gen.CampaignRing) (out []owing, err error) {
	of, err := q.Campaign(ctx, tenant, id)
	if err != nil {
		return nil, fmt.Errorf("read campaign: %w", err)
	}
	p, err := b.Procedure(ctx, q, of)
	if err != nil {
		return nil, err
	}
	if !asksToTest(p) {
		return nil, nil
	}
	results, err := q.TestResults(ctx, tenant, id)
	if err != nil {
		return nil, fmt.Errorf("read results of tests: %w", err)
	}
	rows, err := q.TestReminders(ctx, tenant, id)
	if err != nil {
		return nil, fmt.Errorf("read reminders: %w", err)
	}
	for _, r := range rings {
		span := checklist.Span{Opens: store.Instant(r.OpensUs), Closes: store.Instant(r.ClosesUs), Opened: store.Instant(r.OpenedUs)}
		rules := p.Rings[r.Position].Gate.Tests
		for _, one := range checklist.Weigh(rules, resultsOf(results, r.Amendment, r.Position), noReading) {
			status := one.Waits(span, p.Owner, b.Clock())
			if status.State != task.Closed && status.Reminders > told(rows, r, one.Rule.Name) {
				out = append(out, owing{r, one.Rule, status, span.Due(), one.Open})
			}
		}
	}
	return out, nil
}

// tell keeps that a reminder was told and tells it, in one transaction: dying
// before its commit the next look tells it, and after it nobody does again.
func (b *Bench) tell(ctx context.Context, tx *store.Tx, o owing) error {
	now := b.Clock().UnixMicro()
	n, err := tx.PutTestReminder(ctx, gen.PutTestReminderParams{
		Tenant: o.ring.Tenant, Campaign: o.ring.Campaign, Amendment: o.ring.Amendment, Position: o.ring.Position, Test: o.rule.Name,
		Reminded: int64(o.status.Reminders), AtUs: now,
	})
	if err != nil || n == 0 {
		return err
	}
	tx.Record(register.Entry{
		Tenant: o.ring.Tenant, AtUS: now, Actor: reminder, Kind: register.TestReminded, Campaign: o.ring.Campaign, Ring: o.ring.Ring,
		Detail: map[string]any{
			"test": o.rule.Name, "amendment": o.ring.Amendment, "number": o.status.Reminders, "state": string(o.status.State), "whom": o.status.Whom,
			"due": o.due.UnixMicro(), "open": o.open,
		},
	})
	return nil
}

func asksToTest(p procedure.Procedure) bool {
	for _, r := range p.Rings {
		if len(r.Gate.Tests) > 0 {
			return true
		}
	}
	return false
}

// noReading: of a probe nobody is reminded.
func noReading(procedure.TestRule) checklist.Reading { return checklist.Reading{} }

func resultsOf(rows []gen.TestResult, amendment, position int64) (out []checklist.Result) {
	for _, r := range rows {
		if r.Amendment == amendment && r.Position == position {
			out = append(out, checklist.Result{Test: r.Test, Item: int(r.Item), State: checklist.State(r.Outcome)})
		}
	}
	return out
}

func told(rows []gen.TestReminder, of gen.CampaignRing, test string) int {
	for _, r := range rows {
		if r.Amendment == of.Amendment && r.Position == of.Position && r.Test == test {
			return int(r.Reminded)
		}
	}
	return 0
}
