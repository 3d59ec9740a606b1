package watch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"patchring/internal/core/alert"
	"patchring/internal/core/fleet"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// lookAtDue looks at the alerts of which something is due by the clock alone:
// an escalation, a reminder, the end of a silence, an event's end.
func (w *Watch) lookAtDue(ctx context.Context) error {
	for {
		due, err := w.DB.Read().AlertsDue(ctx, w.Clock().UnixMicro(), batch)
		if err != nil {
			return fmt.Errorf("read alerts that are due: %w", err)
		}
		by := map[fleet.TenantID][]gen.Alert{}
		for _, row := range due {
			by[fleet.TenantID(row.Tenant)] = append(by[fleet.TenantID(row.Tenant)], row)
		}
		var errs []error
		for tenant, rows := range by {
			if err := w.lookAt(ctx, tenant, rows); err != nil {
				errs = append(errs, fmt.Errorf("look at alerts of %s: %w", tenant, err))
			}
		}
		if len(errs) > 0 || len(due) < batch {
			return errors.Join(errs...)
		}
	}
}

func (w *Watch) lookAt(ctx context.Context, tenant fleet.TenantID, rows []gen.Alert) error {
	book, err := w.Book(ctx, tenant)
	if err != nil {
		return err
	}
	return w.write(ctx, tenant, func(t *turn) error {
		for _, stale := range rows {
			row, err := t.tx.Alert(ctx, stale.Tenant, stale.ID)
			if store.IsNone(err) || err == nil && (row.EndedUs > 0 || row.DueUs > t.now.UnixMicro()) {
				continue // another server was here
			}
			if err != nil {
				return fmt.Errorf("read alert %s: %w", stale.ID, err)
			}
			r, ok := book.Rule(row.Rule)
			if !ok || r.About() != row.About {
				err = t.end(ctx, row, endRule)
			} else {
				err = t.decide(ctx, r, row, matter{}, alert.Unknown, 0)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// lookForAbsent looks for devices that fell silent, and for those that came back.
func (w *Watch) lookForAbsent(ctx context.Context) error {
	now := w.Clock()
	if !w.turnOf(&w.absent, now, absentEvery) {
		return nil
	}
	whole := w.turnOf(&w.whole, now, wholeEvery)
	return w.tenants(ctx, func(tenant fleet.TenantID) error {
		book, err := w.Book(ctx, tenant)
		if err != nil {
			return err
		}
		for _, r := range book.Rules {
			if !r.Event.Absent() {
				continue
			}
			if err := w.cameBack(ctx, tenant, r); err != nil {
				return err
			}
			if err := w.wentAway(ctx, tenant, r, whole); err != nil {
				return err
			}
		}
		return w.DB.Write(ctx, func(tx *store.Tx) error {
			if err := tx.AddAlertCursor(ctx, string(tenant), 0); err != nil {
				return fmt.Errorf("begin to follow %s: %w", tenant, err)
			}
			return tx.SetAlertLooked(ctx, now.UnixMicro(), string(tenant))
		})
	})
}

// cameBack ends the alerts of devices that were heard of again.
func (w *Watch) cameBack(ctx context.Context, tenant fleet.TenantID, r alert.Rule) error {
	rows, err := w.DB.Read().OpenAlertsOfRule(ctx, gen.OpenAlertsOfRuleParams{Tenant: string(tenant), Rule: r.Name, SeenUs: w.Clock().Add(-r.After).UnixMicro()})
	if err != nil {
		return fmt.Errorf("look for who came back: %w", err)
	}
	if len(rows) == 0 {
		return nil
	}
	return w.write(ctx, tenant, func(t *turn) error {
		for _, row := range rows {
			if err := t.look(ctx, r, matter{subject: row.Subject}, alert.Good, 0); err != nil {
				return err
			}
		}
		return nil
	})
}

// away is a device that nothing was heard of.
type away struct{ device, campaign string }

// wentAway finds who fell silent since the last look; whole looks at everybody.
func (w *Watch) wentAway(ctx context.Context, tenant fleet.TenantID, r alert.Rule, whole bool) error {
	for after := ""; ; {
		list, last, err := w.silent(ctx, tenant, r, after, whole)
		if err != nil || len(list) == 0 {
			return err
		}
		if err := w.write(ctx, tenant, func(t *turn) error { return t.away(ctx, r, list) }); err != nil {
			return err
		}
		if after = last; len(list) < batch {
			return nil
		}
	}
}

func (w *Watch) silent(ctx context.Context, tenant fleet.TenantID, r alert.Rule, after string, whole bool) (list []away, last string, err error) {
	until := w.Clock().Add(-r.After)
	if r.Event == alert.UnreachableReboot {
		rows, err := w.DB.Read().LostAtReboot(ctx, gen.LostAtRebootParams{Tenant: string(tenant), SeenUs: until.UnixMicro(), Rule: r.Name, Max: batch - 1})
		for _, row := range rows {
			list = append(list, away{row.Device, row.Campaign})
		}
		return list, last, wrap("look for who is lost at its reboot", err)
	}
	since := int64(0)
	cursor, err := w.DB.Read().AlertCursor(ctx, string(tenant))
	if err != nil && !store.IsNone(err) {
		return nil, "", fmt.Errorf("read when devices were looked for: %w", err)
	}
	if !whole && cursor.LookedUs > 0 {
		since = store.Instant(cursor.LookedUs).Add(-r.After - time.Minute).UnixMicro()
	}
	rows, err := w.DB.Read().FellSilent(ctx, gen.FellSilentParams{Tenant: string(tenant), AfterUs: since, UntilUs: until.UnixMicro(), ID: after, Max: batch})
	for _, row := range rows {
		list, last = append(list, away{row.ID, ""}), row.ID
	}
	return list, last, wrap("look for who fell silent", err)
}

// away opens alerts for those that have none yet.
func (t *turn) away(ctx context.Context, r alert.Rule, list []away) error {
	for _, one := range list {
		m, err := t.member(ctx, one.device)
		if err != nil {
			return err
		}
		if m.gone || !r.Covers(m.Member, m.campaign != "") {
			continue
		}
		about := matter{subject: alert.DeviceKey(one.device), device: one.device, campaign: or(one.campaign, m.campaign)}
		open, err := t.tx.OpenAlert(ctx, gen.OpenAlertParams{Tenant: string(t.tenant), Rule: r.Name, Subject: about.subject})
		if err != nil || len(open) > 0 {
			if err != nil {
				return fmt.Errorf("read alert %s: %w", r.Name, err)
			}
			continue
		}
		if err := t.look(ctx, r, about, alert.Bad, 1); err != nil {
			return err
		}
	}
	return nil
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
