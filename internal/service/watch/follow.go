package watch

import (
	"context"
	"errors"
	"fmt"

	"patchring/internal/core/alert"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/infra/store/gen"
)

// followRegisters reads what the registers of tenants tell since the last time.
// One indexed read says which have anything new.
func (w *Watch) followRegisters(ctx context.Context) error {
	ahead, err := w.DB.Read().RegistersAhead(ctx)
	if err != nil {
		return fmt.Errorf("look for new register entries: %w", err)
	}
	var errs []error
	for _, head := range ahead {
		if err := w.follow(ctx, fleet.TenantID(head.Tenant), head.NextIdx, head.Size); err != nil {
			errs = append(errs, fmt.Errorf("follow the register of %s: %w", head.Tenant, err))
		}
	}
	return errors.Join(errs...)
}

// follow reads a register from where it was left to a size, batch by batch.
func (w *Watch) follow(ctx context.Context, tenant fleet.TenantID, next, size int64) error {
	for next != size {
		at := next
		err := w.write(ctx, tenant, func(t *turn) (err error) {
			next, err = t.follow(ctx, at, size)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// follow reads a batch of entries. The cursor moves first: where another server
// has moved it, these entries are that one's.
//
// Crash story: the cursor commits with what the entries did, so each counts once
// however often a server dies.
func (t *turn) follow(ctx context.Context, from, size int64) (next int64, err error) {
	tenant := string(t.tenant)
	switch {
	case from < 0: // a tenant that alerting has not met: from its first entry on
		return 0, t.tx.AddAlertCursor(ctx, tenant, 0)
	case from > size: // the register was restored from a backup
		_, err := t.tx.MoveAlertCursor(ctx, gen.MoveAlertCursorParams{Tenant: tenant, FromIdx: from, NextIdx: size})
		return size, err
	}
	rows, err := t.tx.RegisterEntriesFrom(ctx, gen.RegisterEntriesFromParams{Tenant: tenant, Idx: from, Max: int32(min(batch, size-from))})
	if err != nil {
		return from, fmt.Errorf("read entries: %w", err)
	}
	next = from + int64(len(rows))
	n, err := t.tx.MoveAlertCursor(ctx, gen.MoveAlertCursorParams{Tenant: tenant, FromIdx: from, NextIdx: next})
	if err != nil || n == 0 || len(rows) == 0 {
		return size, err
	}
	book, err := t.Book(ctx, t.tenant)
	if err != nil {
		return from, err
	}
	for _, row := range rows {
		e, err := register.Decode(row.Body)
		if err != nil {
			return from, fmt.Errorf("read entry %d: %w", row.Idx, err)
		}
		if err := t.entry(ctx, book, e); err != nil {
			return from, fmt.Errorf("entry %d: %w", row.Idx, err)
		}
	}
	return next, nil
}

func (t *turn) entry(ctx context.Context, book alert.Book, e register.Entry) error {
	if e.Kind == register.DeviceRetired || e.Kind == register.DeviceRevoked {
		return t.retired(ctx, e.Device)
	}
	for _, s := range alert.Read(e) {
		for _, r := range book.Rules {
			if r.Event != s.Event {
				continue
			}
			if err := t.signal(ctx, r, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// retired ends what was open about a device.
func (t *turn) retired(ctx context.Context, device string) error {
	open, err := t.tx.OpenAlertsOf(ctx, string(t.tenant), alert.DeviceKey(device))
	if err != nil {
		return fmt.Errorf("read alerts of %s: %w", device, err)
	}
	for _, row := range open {
		if err := t.end(ctx, row, endRetired); err != nil {
			return err
		}
	}
	return nil
}

// signal is one event for one rule.
func (t *turn) signal(ctx context.Context, r alert.Rule, s alert.Signal) error {
	if s.All {
		return t.overInCampaign(ctx, r, s)
	}
	m := matter{subject: s.Key(), device: s.Device, campaign: s.Campaign, ring: s.Ring, patch: s.Patch, args: s.Args}
	if s.Replaced {
		return t.replaced(ctx, r, m)
	}
	if s.Over {
		return t.look(ctx, r, m, alert.Good, s.Grade)
	}
	if s.Device == "" {
		if !r.CoversCampaigns() || r.During == alert.DuringCampaign && s.Campaign == "" {
			return nil
		}
		return t.look(ctx, r, m, alert.Bad, s.Grade)
	}
	of, err := t.member(ctx, s.Device)
	if err != nil || of.gone || !r.Covers(of.Member, of.campaign != "" || s.Campaign != "") {
		return err
	}
	m.campaign = or(m.campaign, of.campaign)
	return t.look(ctx, r, m, alert.Bad, s.Grade)
}

// replaced ends an alert in whose place another one is told.
func (t *turn) replaced(ctx context.Context, r alert.Rule, m matter) error {
	rows, err := t.tx.OpenAlert(ctx, gen.OpenAlertParams{Tenant: string(t.tenant), Rule: r.Name, Subject: m.subject})
	if err != nil {
		return fmt.Errorf("read alert %s: %w", r.Name, err)
	}
	for _, row := range rows {
		if err := t.end(ctx, row, endWorse); err != nil {
			return err
		}
	}
	return nil
}

func (t *turn) overInCampaign(ctx context.Context, r alert.Rule, s alert.Signal) error {
	open, err := t.tx.OpenAlertsOfCampaign(ctx, gen.OpenAlertsOfCampaignParams{Tenant: string(t.tenant), Rule: r.Name, Campaign: s.Campaign})
	if err != nil {
		return fmt.Errorf("read alerts of campaign %s: %w", s.Campaign, err)
	}
	for _, row := range open {
		if err := t.decide(ctx, r, row, matter{}, alert.Good, 0); err != nil {
			return err
		}
	}
	return nil
}
