package watch

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"

	"patchring/internal/core/alert"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// turn is one transaction over alerts of a tenant.
type turn struct {
	*Watch
	tx            *store.Tx
	tenant        fleet.TenantID
	now           time.Time
	members       map[string]member
	told, changed bool
	after         []func() // called once it is committed
}

// member is a device as rules choose it, with the running campaign it is in.
type member struct {
	fleet.Member
	campaign string // id; empty: none
	gone     bool   // retired, or never here
}

// matter is what an alert is about.
type matter struct {
	subject, device, campaign, ring, patch string
	args                                   map[string]string
}

// How an alert ends.
const (
	endCleared = "cleared"
	endOver    = "event_over"
	endExpired = "expired"
	endRule    = "rule_gone"
	endRetired = "device_retired"
	endWorse   = "replaced" // something worse of the same is told in its place
)

// look lets a rule look at a matter: it reads where that stands, decides, and
// writes what came of it.
func (t *turn) look(ctx context.Context, r alert.Rule, m matter, answer alert.Answer, value float64) error {
	rows, err := t.tx.OpenAlert(ctx, gen.OpenAlertParams{Tenant: string(t.tenant), Rule: r.Name, Subject: m.subject})
	if err != nil {
		return fmt.Errorf("read alert %s: %w", r.Name, err)
	}
	if len(rows) == 0 {
		if answer != alert.Bad {
			return nil
		}
		return t.decide(ctx, r, gen.Alert{Tenant: string(t.tenant), Rule: r.Name, Subject: m.subject, Device: m.device, Args: "{}"}, m, answer, value)
	}
	return t.decide(ctx, r, rows[0], m, answer, value)
}

// decide writes what becomes of a row; one without an id is a new one.
//
// Crash story: the alert, its register entry and what is to be told commit
// together. Before that nobody is told anything; after it the notices wait in
// their table for the herald of any server.
func (t *turn) decide(ctx context.Context, r alert.Rule, row gen.Alert, m matter, answer alert.Answer, value float64) error {
	silent, err := t.tx.AlertSilence(ctx, gen.AlertSilenceParams{Tenant: row.Tenant, NowUs: t.now.UnixMicro(), Rule: row.Rule, Subject: row.Subject})
	if err != nil {
		return fmt.Errorf("read silences: %w", err)
	}
	before := fromRow(row)
	look := alert.Look{Now: t.now, Answer: answer, Value: value, Silent: store.Instant(silent)}
	after, kinds := alert.Decide(r, before, look)
	if after.State == "" {
		return t.forget(ctx, row)
	}
	next := row
	if err := t.fill(&next, r, m, answer); err != nil {
		return err
	}
	toRow(&next, after)
	next.DueUs = never
	if due := alert.Due(r, after, look.Silent); !due.IsZero() {
		next.DueUs = due.UnixMicro()
	}
	switch {
	case after.State == alert.Resolved:
		next.EndedUs, next.EndedWhy, next.DueUs = t.now.UnixMicro(), t.ending(r, answer), never
	case after.Escalated && r.Escalate.Who != "":
		next.Who = r.Escalate.Who
	}
	if before.State != alert.Firing && before.State != alert.Acknowledged && after.State == alert.Firing {
		next.FiredUs = t.now.UnixMicro()
	}
	if err := named(&next); err != nil {
		return err
	}
	t.record(row, next)
	acted, err := t.then(ctx, r, &next, after, look)
	if err != nil {
		return fmt.Errorf("act by rule %s: %w", r.Name, err)
	}
	if acted && !slices.Contains(kinds, alert.Fired) { // which tells it already
		kinds = append(kinds, alert.Acted)
	}
	return t.keep(ctx, r, row, next, kinds)
}

// never is for what no instant makes due.
const never = int64(math.MaxInt64)

func (t *turn) ending(r alert.Rule, answer alert.Answer) string {
	switch {
	case answer == alert.Unknown:
		return endExpired
	case r.Event.InRegister():
		return endOver
	}
	return endCleared
}

// fill takes what is new about the matter into a row.
func (t *turn) fill(row *gen.Alert, r alert.Rule, m matter, answer alert.Answer) error {
	title, err := json.Marshal(r.Title)
	if err != nil {
		return fmt.Errorf("encode title: %w", err)
	}
	row.About, row.Title, row.Severity, row.Rank, row.Who = r.About(), string(title), string(r.Severity), r.Severity.Rank(), r.Who
	row.Threshold, row.Below = milli(r.Limit), flag(r.Below)
	if answer == alert.Bad {
		row.Times++
		row.Campaign, row.Ring, row.Patch = or(m.campaign, row.Campaign), or(m.ring, row.Ring), or(m.patch, row.Patch)
		if len(m.args) > 0 {
			text, err := json.Marshal(m.args)
			if err != nil {
				return fmt.Errorf("encode arguments: %w", err)
			}
			row.Args = string(text)
		}
	}
	whom, err := assigned(row.Args)
	row.Who = or(whom, row.Who)
	return err
}

// assigned is whom an event says that it waits for: it knows better than the rule.
func assigned(args string) (string, error) {
	var of struct{ Whom string }
	if err := json.Unmarshal([]byte(args), &of); err != nil {
		return "", fmt.Errorf("read arguments: %w", err)
	}
	return of.Whom, nil
}

func or(text, otherwise string) string {
	if text != "" {
		return text
	}
	return otherwise
}

// named gives a new row its id.
func named(row *gen.Alert) error {
	if row.ID != "" {
		return nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make an alert id: %w", err)
	}
	row.ID = id.String()
	return nil
}

// keep writes the row, if it is worth it, with its notices.
func (t *turn) keep(ctx context.Context, r alert.Rule, before, after gen.Alert, kinds []alert.NoticeKind) error {
	counted := r.Event.InRegister() && before.Times != after.Times
	if before.ID != "" && len(kinds) == 0 && !counted && before.DueUs > t.now.UnixMicro() && steady(before, after) {
		return nil
	}
	n, err := t.put(ctx, before, after)
	if err != nil {
		return fmt.Errorf("keep alert %s: %w", after.Rule, err)
	}
	if n == 0 {
		return errMoved
	}
	t.changed = t.changed || before.State != after.State || len(kinds) > 0
	return t.tell(ctx, r, after, kinds)
}

// steady tells that nothing has changed but that time has passed: of an alert
// that goes on a word every few minutes is enough.
func steady(before, after gen.Alert) bool {
	passed := time.Duration(after.LastUs-before.LastUs) * time.Microsecond
	limit := alert.Gap
	if after.State == string(alert.Pending) {
		limit = alert.Gap / 5
	}
	after.LastUs, after.Value, after.Times, after.DueUs, after.Args = before.LastUs, before.Value, before.Times, before.DueUs, before.Args
	return after == before && passed < limit
}

func (t *turn) put(ctx context.Context, before, after gen.Alert) (int64, error) {
	if before.ID == "" {
		return t.tx.AddAlert(ctx, gen.AddAlertParams{
			Tenant: after.Tenant, ID: after.ID, Rule: after.Rule, Subject: after.Subject, About: after.About, Title: after.Title, Severity: after.Severity, Rank: after.Rank,
			Who: after.Who, Device: after.Device, Campaign: after.Campaign, Ring: after.Ring, Patch: after.Patch, Args: after.Args, State: after.State,
			SinceUs: after.SinceUs, LastUs: after.LastUs, EpisodeUs: after.EpisodeUs, FiredUs: after.FiredUs, ToldUs: after.ToldUs, Escalated: after.Escalated, Quiet: after.Quiet,
			Value: after.Value, Worst: after.Worst, Known: after.Known, Threshold: after.Threshold, Below: after.Below, Times: after.Times,
			EndedUs: after.EndedUs, EndedWhy: after.EndedWhy, DueUs: after.DueUs,
			Did: after.Did, DidID: after.DidID, DidUs: after.DidUs,
		})
	}
	return t.tx.PutAlert(ctx, gen.PutAlertParams{
		Tenant: after.Tenant, ID: after.ID, Version: before.Version, Title: after.Title, Severity: after.Severity, Rank: after.Rank, Who: after.Who,
		Campaign: after.Campaign, Ring: after.Ring, Patch: after.Patch, Args: after.Args, State: after.State,
		SinceUs: after.SinceUs, LastUs: after.LastUs, EpisodeUs: after.EpisodeUs, FiredUs: after.FiredUs, ToldUs: after.ToldUs, Escalated: after.Escalated, Quiet: after.Quiet,
		Value: after.Value, Worst: after.Worst, Known: after.Known, Threshold: after.Threshold, Below: after.Below, Times: after.Times,
		AckedUs: after.AckedUs, AckedBy: after.AckedBy, AckedWhy: after.AckedWhy, EndedUs: after.EndedUs, EndedWhy: after.EndedWhy, DueUs: after.DueUs,
		Did: after.Did, DidID: after.DidID, DidUs: after.DidUs,
	})
}

// forget drops what was pending and came to nothing.
func (t *turn) forget(ctx context.Context, row gen.Alert) error {
	if row.ID == "" {
		return nil
	}
	n, err := t.tx.DropAlert(ctx, gen.DropAlertParams{Tenant: row.Tenant, ID: row.ID, Version: row.Version})
	if err != nil {
		return fmt.Errorf("forget alert %s: %w", row.Rule, err)
	}
	if n == 0 {
		return errMoved
	}
	return nil
}

// end closes an alert whose rule or device is no more. Nobody is told: nothing
// got better.
func (t *turn) end(ctx context.Context, row gen.Alert, why string) error {
	if row.State == string(alert.Pending) {
		return t.forget(ctx, row)
	}
	next := row
	next.State, next.EndedUs, next.EndedWhy, next.DueUs = string(alert.Resolved), t.now.UnixMicro(), why, never
	t.record(row, next)
	return t.keep(ctx, alert.Rule{}, row, next, nil)
}

// record tells the register of what fired and of what is over.
func (t *turn) record(before, after gen.Alert) {
	e := register.Entry{
		Tenant: after.Tenant, AtUS: t.now.UnixMicro(), Actor: actor, Device: after.Device, Campaign: after.Campaign, Ring: after.Ring, Patch: after.Patch,
		Detail: map[string]any{"alert": after.ID, "rule": after.Rule, "about": after.About, "severity": after.Severity, "who": after.Who},
	}
	fired := func(s string) bool { return s == string(alert.Firing) || s == string(alert.Acknowledged) }
	switch {
	case after.State == string(alert.Firing) && !fired(before.State):
		e.Kind = register.AlertFired
		e.Detail["value"], e.Detail["limit"] = decimal(after.Value), decimal(after.Threshold)
	case after.State == string(alert.Resolved) && fired(before.State):
		e.Kind = register.AlertResolved
		e.Detail["why"] = after.EndedWhy
	default:
		return
	}
	t.tx.Record(e)
}

// tell keeps what each output is to be told.
func (t *turn) tell(ctx context.Context, r alert.Rule, row gen.Alert, kinds []alert.NoticeKind) error {
	for _, kind := range kinds {
		message, err := t.message(ctx, row, kind)
		if err != nil {
			return err
		}
		text, err := json.Marshal(message)
		if err != nil {
			return fmt.Errorf("encode notice: %w", err)
		}
		for _, output := range r.Targets(kind, row.Escalated == 1) {
			id, err := uuid.NewV7()
			if err != nil {
				return fmt.Errorf("make a notice id: %w", err)
			}
			if err := t.tx.AddAlertNotice(ctx, gen.AddAlertNoticeParams{
				Tenant: row.Tenant, ID: id.String(), Output: output, Alert: row.ID, Body: string(text), AtUs: t.now.UnixMicro(),
			}); err != nil {
				return fmt.Errorf("keep notice for %s: %w", output, err)
			}
			t.told = true
		}
	}
	return nil
}

// message is what one notice tells, with the names of its day.
func (t *turn) message(ctx context.Context, row gen.Alert, kind alert.NoticeKind) (alert.Message, error) {
	m := alert.Message{
		Kind: kind, Alert: row.ID, Rule: row.Rule, Severity: alert.Severity(row.Severity), Who: row.Who, State: alert.State(row.State),
		Value: units(row.Value), Worst: units(row.Worst), Limit: units(row.Threshold), Below: row.Below == 1,
		Device: row.Device, Campaign: row.Campaign, Ring: row.Ring, Patch: row.Patch, Times: row.Times, Did: alert.Do(row.Did),
		Since: store.Instant(row.SinceUs), Fired: store.Instant(row.FiredUs), At: t.now,
	}
	if e := alert.Event(row.About); isEvent(e) {
		m.Event = row.About
	} else {
		m.Measure = row.About
	}
	if err := json.Unmarshal([]byte(row.Title), &m.Title); err != nil {
		return m, fmt.Errorf("read title of alert %s: %w", row.ID, err)
	}
	if err := json.Unmarshal([]byte(row.Args), &m.Args); err != nil {
		return m, fmt.Errorf("read arguments of alert %s: %w", row.ID, err)
	}
	if row.Device != "" {
		d, err := t.tx.Device(ctx, row.Tenant, row.Device)
		if err != nil && !store.IsNone(err) {
			return m, fmt.Errorf("read device %s: %w", row.Device, err)
		}
		m.Name = d.Name
	}
	if row.Campaign != "" {
		c, err := t.tx.Campaign(ctx, row.Tenant, row.Campaign)
		if err != nil && !store.IsNone(err) {
			return m, fmt.Errorf("read campaign %s: %w", row.Campaign, err)
		}
		m.CampaignN = c.Name
	}
	return m, nil
}

func isEvent(e alert.Event) bool {
	for _, known := range alert.Events() {
		if known == e {
			return true
		}
	}
	return false
}
