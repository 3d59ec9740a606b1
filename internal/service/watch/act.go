package watch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"patchring/internal/core/alert"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/procedure"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// maxReason bounds what people write.
const maxReason = 2000

func reasoned(reason string) error {
	switch {
	case strings.TrimSpace(reason) == "":
		return fault.New(fault.ReasonRequired)
	case utf8.RuneCountInString(reason) > maxReason:
		return invalid("reason", "too_long", fmt.Sprintf("≤ %d", maxReason))
	}
	return nil
}

func invalid(field, problem, fix string) *fault.Error {
	return fault.New(fault.InvalidField, "field", field, "problem", problem, "fix", fix)
}

func (t *turn) alert(ctx context.Context, id string) (gen.Alert, error) {
	row, err := t.tx.Alert(ctx, string(t.tenant), id)
	if store.IsNone(err) || err == nil && row.State == string(alert.Pending) {
		return row, fault.New(fault.NotFound, "what", "alert", "name", id)
	}
	return row, wrap("read alert "+id, err)
}

// Acknowledge records that somebody is on it: nothing more is told of it until
// it gets worse or is over.
func (w *Watch) Acknowledge(ctx context.Context, tenant fleet.TenantID, by register.Actor, id, why string) error {
	if utf8.RuneCountInString(why) > maxReason {
		return invalid("reason", "too_long", fmt.Sprintf("≤ %d", maxReason))
	}
	return w.write(ctx, tenant, func(t *turn) error {
		row, err := t.alert(ctx, id)
		if err != nil {
			return err
		}
		return t.acknowledge(ctx, row, by, why)
	})
}

func (t *turn) acknowledge(ctx context.Context, row gen.Alert, by register.Actor, why string) error {
	after, ok := alert.Acknowledge(fromRow(row))
	if !ok {
		return fault.New(fault.NothingToDo, "what", "alert_"+row.State)
	}
	next := row
	toRow(&next, after)
	next.AckedUs, next.AckedBy, next.AckedWhy, next.DueUs = t.now.UnixMicro(), string(by), why, 0 // the next step says when it is due
	n, err := t.put(ctx, row, next)
	if err != nil {
		return fmt.Errorf("acknowledge alert %s: %w", row.ID, err)
	}
	if n == 0 {
		return errMoved
	}
	t.note(row, by, register.AlertAcknowledged, map[string]any{"why": why})
	t.changed = true
	return nil
}

func (t *turn) note(row gen.Alert, by register.Actor, kind register.Kind, detail map[string]any) {
	detail["alert"], detail["rule"] = row.ID, row.Rule
	t.tx.Record(register.Entry{
		Tenant: row.Tenant, AtUS: t.now.UnixMicro(), Actor: by, Kind: kind, Device: row.Device, Campaign: row.Campaign, Ring: row.Ring, Patch: row.Patch, Detail: detail,
	})
}

// Silence asks that nothing be told for a while: of one alert, or of a rule, a
// device, or a rule on a device.
type Silence struct {
	Alert  string
	Rule   string
	Device fleet.DeviceID
	Until  time.Time
	Reason string
}

// Bounds of a silence: it always has an end.
const (
	shortestSilence = time.Minute
	longestSilence  = 30 * 24 * time.Hour
)

// Silence places one and returns its id.
func (w *Watch) Silence(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask Silence) (id string, err error) {
	if err := reasoned(ask.Reason); err != nil {
		return "", err
	}
	now := w.Clock()
	switch length := ask.Until.Sub(now); {
	case length < shortestSilence || length > longestSilence:
		return "", invalid("until", "out_of_range", "1m – 30d")
	case ask.Alert == "" && ask.Rule == "" && ask.Device == "":
		return "", invalid("alert", "empty", "alert, rule, device")
	case ask.Alert != "" && (ask.Rule != "" || ask.Device != ""):
		return "", invalid("alert", "not_both", "alert, rule, device")
	}
	made, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make a silence id: %w", err)
	}
	err = w.write(ctx, tenant, func(t *turn) error { return t.silence(ctx, by, ask, made.String()) })
	return made.String(), err
}

func (t *turn) silence(ctx context.Context, by register.Actor, ask Silence, id string) error {
	row := gen.AddAlertSilenceParams{
		Tenant: string(t.tenant), ID: id, Rule: ask.Rule, Reason: ask.Reason, Actor: string(by), AtUs: t.now.UnixMicro(), UntilUs: ask.Until.UnixMicro(),
	}
	var of gen.Alert
	switch {
	case ask.Alert != "":
		var err error
		if of, err = t.alert(ctx, ask.Alert); err != nil {
			return err
		}
		row.Rule, row.Subject = of.Rule, of.Subject
	case ask.Device != "":
		row.Subject, of.Device = alert.DeviceKey(string(ask.Device)), string(ask.Device)
	}
	if row.Rule != "" && ask.Alert == "" {
		book, err := t.Book(ctx, t.tenant)
		if err != nil {
			return err
		}
		if _, ok := book.Rule(row.Rule); !ok {
			return fault.New(fault.NotFound, "what", "alert_rule", "name", row.Rule)
		}
	}
	if err := t.tx.AddAlertSilence(ctx, row); err != nil {
		return fmt.Errorf("keep the silence: %w", err)
	}
	if _, err := t.tx.TouchAlerts(ctx, gen.TouchAlertsParams{Tenant: row.Tenant, Rule: row.Rule, Subject: row.Subject}); err != nil {
		return fmt.Errorf("touch alerts: %w", err)
	}
	t.tx.Record(register.Entry{
		Tenant: row.Tenant, AtUS: row.AtUs, Actor: by, Kind: register.AlertSilenced, Device: of.Device, Campaign: of.Campaign, Ring: of.Ring,
		Detail: map[string]any{"silence": id, "alert": of.ID, "rule": row.Rule, "why": ask.Reason, "until": row.UntilUs},
	})
	t.changed = true
	return nil
}

// EndSilence ends one before its time.
func (w *Watch) EndSilence(ctx context.Context, tenant fleet.TenantID, by register.Actor, id string) error {
	return w.write(ctx, tenant, func(t *turn) error {
		n, err := t.tx.EndAlertSilence(ctx, gen.EndAlertSilenceParams{Tenant: string(tenant), ID: id, NowUs: t.now.UnixMicro()})
		if err != nil {
			return fmt.Errorf("end silence %s: %w", id, err)
		}
		if n == 0 {
			return fault.New(fault.NotFound, "what", "silence", "name", id)
		}
		if _, err := t.tx.TouchAlerts(ctx, gen.TouchAlertsParams{Tenant: string(tenant)}); err != nil {
			return fmt.Errorf("touch alerts: %w", err)
		}
		t.tx.Record(register.Entry{Tenant: string(tenant), AtUS: t.now.UnixMicro(), Actor: by, Kind: register.SilenceEnded, Detail: map[string]any{"silence": id}})
		t.changed = true
		return nil
	})
}

// Act asks for something to be done from an alert.
type Act struct {
	Alert    string
	Do       alert.Do
	Severity procedure.Severity // of an incident
	Reason   string
	Now      time.Duration // of a rollback: at once, for so long; 0: in the next windows
}

// Act does it, which acknowledges the alert. What was done is in the register by
// who does such things, and from which alert by another entry: a crash between
// the two loses the second only.
func (w *Watch) Act(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask Act) error {
	if err := reasoned(ask.Reason); err != nil {
		return err
	}
	row, err := w.DB.Read().Alert(ctx, string(tenant), ask.Alert)
	if store.IsNone(err) {
		return fault.New(fault.NotFound, "what", "alert", "name", ask.Alert)
	}
	if err != nil {
		return fmt.Errorf("read alert %s: %w", ask.Alert, err)
	}
	can := alert.Can(row.Device, row.Campaign, row.Patch)
	if !slices.Contains(can, ask.Do) {
		return invalid("do", "not_a_choice", choices(can))
	}
	if err := w.act(ctx, tenant, by, row, ask); err != nil {
		return err
	}
	return w.write(ctx, tenant, func(t *turn) error {
		row, err := t.alert(ctx, ask.Alert)
		if err != nil {
			return err
		}
		t.note(row, by, register.AlertActed, map[string]any{"do": string(ask.Do), "why": ask.Reason})
		if row.State == string(alert.Firing) {
			return t.acknowledge(ctx, row, by, ask.Reason)
		}
		return nil
	})
}

func choices(can []alert.Do) string {
	var out []string
	for _, d := range can {
		out = append(out, string(d))
	}
	if len(out) == 0 {
		return "no_campaign"
	}
	return strings.Join(out, ", ")
}

func (w *Watch) act(ctx context.Context, tenant fleet.TenantID, by register.Actor, row gen.Alert, ask Act) (err error) {
	switch ask.Do {
	case alert.HoldCampaign:
		_, err = w.Hold(ctx, tenant, by, campaign.PlaceHold{Campaign: row.Campaign, Reason: ask.Reason})
	case alert.HoldPatch:
		_, err = w.Hold(ctx, tenant, by, campaign.PlaceHold{Campaign: row.Campaign, Patch: patch.ID(row.Patch), Reason: ask.Reason})
	case alert.HoldDevice:
		_, err = w.Hold(ctx, tenant, by, campaign.PlaceHold{Campaign: row.Campaign, Device: fleet.DeviceID(row.Device), Reason: ask.Reason})
	case alert.RollBack:
		_, err = w.RollBack(ctx, tenant, by, campaign.Rollback{
			Campaign: row.Campaign, Device: fleet.DeviceID(row.Device), Patch: patch.ID(row.Patch), Reason: ask.Reason, Now: ask.Now,
		})
	case alert.OpenIncident:
		err = w.Incident(ctx, tenant, by, row.ID, campaign.Incident{
			Campaign: row.Campaign, Ring: row.Ring, Device: fleet.DeviceID(row.Device), Patch: patch.ID(row.Patch), Severity: ask.Severity, What: ask.Reason,
		})
	}
	return err
}
