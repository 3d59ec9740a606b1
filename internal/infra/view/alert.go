package view

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"patchring/internal/core/alert"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
	"patchring/internal/core/patch"
)

// AlertQuery chooses alerts: those that are open by severity, the latest first,
// the others by when they fired.
type AlertQuery struct {
	Paging
	Which    string         // open (default), firing, acknowledged, resolved, all
	Severity string         // only those; empty: every one
	Rule     string         // only of it
	Device   fleet.DeviceID // only on it
	Campaign string         // id: only in it
}

// AlertRow is one alert.
type AlertRow struct {
	ID          string            `json:"id"`
	Rule        string            `json:"rule"`
	Title       manifest.Text     `json:"title"`
	State       alert.State       `json:"state"`
	Severity    alert.Severity    `json:"severity"`
	Who         string            `json:"who"` // must act
	Measure     string            `json:"measure,omitempty"`
	Event       string            `json:"event,omitempty"`
	Value       float64           `json:"value"`
	Worst       float64           `json:"worst"`
	Limit       float64           `json:"limit"`
	Below       bool              `json:"below"` // it is bad below the limit
	Device      *DeviceRef        `json:"device,omitempty"`
	Campaign    *CampaignRef      `json:"campaign,omitempty"`
	Ring        string            `json:"ring,omitempty"`
	Patch       *PatchRef         `json:"patch,omitempty"`
	Args        map[string]string `json:"args"`
	Times       int64             `json:"times"`
	Since       time.Time         `json:"since"`
	Fired       time.Time         `json:"fired"`
	Escalated   bool              `json:"escalated"`
	SilentUntil time.Time         `json:"silent_until,omitzero"`
	Acked       time.Time         `json:"acknowledged,omitzero"`
	AckedBy     string            `json:"acknowledged_by,omitempty"`
	AckedWhy    string            `json:"acknowledged_why,omitempty"`
	Ended       time.Time         `json:"ended,omitzero"`
	EndedWhy    string            `json:"ended_why,omitempty"`
	Did         alert.Do          `json:"did,omitempty" doc:"what the server did by itself, as the rule says: hold (the ring), hold_device, incident"`
	DidID       string            `json:"did_id,omitempty" doc:"the hold, or the incident"`
	DidAt       time.Time         `json:"did_at,omitzero"`
	Can         []alert.Do        `json:"can"` // what can be done from it
}

// Message is the row as words are made of it.
func (a AlertRow) Message() alert.Message {
	m := alert.Message{
		Kind: alert.Fired, Alert: a.ID, Rule: a.Rule, Title: a.Title, Severity: a.Severity, Who: a.Who, State: a.State, Measure: a.Measure, Event: a.Event,
		Value: a.Value, Worst: a.Worst, Limit: a.Limit, Below: a.Below, Ring: a.Ring, Args: a.Args, Times: a.Times, Since: a.Since, Fired: a.Fired, At: a.Fired, Did: a.Did,
	}
	if a.State == alert.Resolved {
		m.Kind, m.At = alert.Over, a.Ended
	}
	if a.Device != nil {
		m.Device, m.Name = string(a.Device.ID), a.Device.Name
	}
	if a.Campaign != nil {
		m.Campaign, m.CampaignN = a.Campaign.ID, a.Campaign.Name
	}
	return m
}

// AlertPage is a page of alerts.
type AlertPage = Page[AlertRow]

const alertHead = `SELECT a.id, a.rule, a.title, a.state, a.severity, a.rank, a.who, a.about, a.value, a.worst, a.threshold, a.below, a.device, coalesce(d.name, ''),
  a.campaign, coalesce(c.name, ''), a.ring, a.patch, coalesce(p.name, ''), coalesce(p.version, ''), a.args, a.times, a.since_us, a.fired_us, a.escalated,
  coalesce((SELECT MAX(s.until_us) FROM alert_silence s WHERE s.tenant = a.tenant AND s.until_us > $1 AND (s.rule = a.rule OR s.rule = '') AND (s.subject = a.subject OR s.subject = '')), 0),
  a.acked_us, a.acked_by, a.acked_why, a.ended_us, a.ended_why, a.did, a.did_id, a.did_us
FROM alert a LEFT JOIN device d ON d.tenant = a.tenant AND d.id = a.device LEFT JOIN campaign c ON c.tenant = a.tenant AND c.id = a.campaign
LEFT JOIN patch p ON p.tenant = a.tenant AND p.id = a.patch`

// ranked is a row with the number that its severity is sorted by.
type ranked struct {
	AlertRow
	rank int64
}

func scanAlert(rows *sql.Rows) (ranked, error) {
	var a ranked
	var title, about, device, deviceName, campaign, campaignName, patchID, patchName, patchVersion, args string
	var value, worst, limit, below, sinceUS, firedUS, escalated, silentUS, ackedUS, endedUS, didUS int64
	err := rows.Scan(&a.ID, &a.Rule, &title, &a.State, &a.Severity, &a.rank, &a.Who, &about, &value, &worst, &limit, &below, &device, &deviceName,
		&campaign, &campaignName, &a.Ring, &patchID, &patchName, &patchVersion, &args, &a.Times, &sinceUS, &firedUS, &escalated,
		&silentUS, &ackedUS, &a.AckedBy, &a.AckedWhy, &endedUS, &a.EndedWhy, &a.Did, &a.DidID, &didUS)
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal([]byte(title), &a.Title); err != nil {
		return a, fmt.Errorf("read title of alert %s: %w", a.ID, err)
	}
	if err := json.Unmarshal([]byte(args), &a.Args); err != nil {
		return a, fmt.Errorf("read arguments of alert %s: %w", a.ID, err)
	}
	if a.Measure = about; isEvent(about) {
		a.Measure, a.Event = "", about
	}
	a.Value, a.Worst, a.Limit, a.Below, a.Escalated = float64(value)/1000, float64(worst)/1000, float64(limit)/1000, below == 1, escalated == 1
	a.Since, a.Fired, a.SilentUntil, a.Acked, a.Ended, a.DidAt = instant(sinceUS), instant(firedUS), instant(silentUS), instant(ackedUS), instant(endedUS), instant(didUS)
	if device != "" {
		a.Device = &DeviceRef{ID: fleet.DeviceID(device), Name: deviceName}
	}
	if campaign != "" {
		a.Campaign = &CampaignRef{ID: campaign, Name: campaignName}
	}
	if patchID != "" {
		a.Patch = &PatchRef{ID: patch.ID(patchID), Name: patchName, Version: patchVersion}
	}
	if a.Can = []alert.Do{}; a.State != alert.Resolved {
		a.Can = alert.Can(device, campaign, patchID)
	}
	return a, nil
}

func isEvent(about string) bool {
	for _, e := range alert.Events() {
		if string(e) == about {
			return true
		}
	}
	return false
}

// AlertStates are the choices of a list of alerts.
func AlertStates() []string { return []string{"open", "firing", "acknowledged", "resolved", "all"} }

// Alerts lists alerts. What is only pending is nobody's affair yet.
func (r *Reader) Alerts(ctx context.Context, tenant fleet.TenantID, q AlertQuery) (AlertPage, error) {
	which, err := oneOf("which", q.Which, AlertStates())
	if err != nil {
		return AlertPage{}, err
	}
	b := builder{args: []any{r.now().UnixMicro()}}
	b.and("a.tenant = ?", tenant)
	sort, order := "fired", "a.fired_us DESC, a.id DESC"
	switch which {
	case "open":
		b.and("a.ended_us = 0 AND a.state <> 'pending'")
		sort, order = "rank", "a.rank DESC, a.fired_us DESC, a.id DESC"
	case "all":
		b.and("a.state <> 'pending'")
	default:
		b.and("a.state = ?", which)
	}
	for column, value := range map[string]string{"a.severity": q.Severity, "a.rule": q.Rule, "a.device": string(q.Device), "a.campaign": q.Campaign} {
		if value != "" {
			b.and(column+" = ?", value)
		}
	}
	after, err := q.cursorFor(sort + which)
	if err != nil {
		return AlertPage{}, err
	}
	switch {
	case after == nil:
	case sort == "fired":
		b.and("(a.fired_us, a.id) < (?, ?)", after.N, after.ID)
	default:
		rank, err := strconv.ParseInt(after.Text, 10, 64)
		if err != nil {
			return AlertPage{}, fault.New(fault.InvalidField, "field", "cursor", "problem", "bad_cursor", "fix", "start_over")
		}
		b.and("(a.rank, a.fired_us, a.id) < (?, ?, ?)", rank, after.N, after.ID)
	}
	rows, err := all(ctx, r, b.list("alerts", alertHead, order, q.limit()), scanAlert)
	if err != nil {
		return AlertPage{}, err
	}
	page := pageOf(rows, q.limit(), func(a ranked) cursor {
		return cursor{Sort: sort + which, Text: strconv.FormatInt(a.rank, 10), N: a.Fired.UnixMicro(), ID: a.ID}
	})
	out := AlertPage{Rows: make([]AlertRow, 0, len(page.Rows)), Next: page.Next}
	for _, a := range page.Rows {
		out.Rows = append(out.Rows, a.AlertRow)
	}
	return out, nil
}

// Alert is one alert.
func (r *Reader) Alert(ctx context.Context, tenant fleet.TenantID, id string) (AlertRow, error) {
	b := builder{args: []any{r.now().UnixMicro()}}
	b.and("a.tenant = ?", tenant)
	b.and("a.id = ? AND a.state <> 'pending'", id)
	found, err := one(ctx, r, b.every("alert", alertHead, "a.id"), id, scanAlert)
	return found.AlertRow, err
}

// AlertCount is how many alerts nobody has acknowledged.
type AlertCount struct {
	Firing   int64 `json:"firing"`
	Critical int64 `json:"critical"` // of them
}

const alertCount = `SELECT COUNT(*), CAST(coalesce(SUM(CASE WHEN a.rank >= 3 THEN 1 ELSE 0 END), 0) AS BIGINT) FROM alert a
WHERE a.tenant = $1 AND a.ended_us = 0 AND a.state = 'firing'`

// AlertCount counts what nobody has acknowledged.
func (r *Reader) AlertCount(ctx context.Context, tenant fleet.TenantID) (AlertCount, error) {
	return one(ctx, r, ask("alerts", alertCount, tenant), "", func(rows *sql.Rows) (n AlertCount, err error) {
		err = rows.Scan(&n.Firing, &n.Critical)
		return n, err
	})
}

// SilenceRow is a silence in force.
type SilenceRow struct {
	ID     string     `json:"id"`
	Rule   string     `json:"rule,omitempty"`
	Device *DeviceRef `json:"device,omitempty"`
	About  string     `json:"about,omitempty"` // what else it is on, as the register names it
	Reason string     `json:"reason"`
	By     string     `json:"by"`
	At     time.Time  `json:"at"`
	Until  time.Time  `json:"until"`
}

const alertSilences = `SELECT s.id, s.rule, s.subject, coalesce(d.id, ''), coalesce(d.name, ''), s.reason, s.actor, s.at_us, s.until_us
FROM alert_silence s LEFT JOIN device d ON d.tenant = s.tenant AND 'device:' || d.id = s.subject
WHERE s.tenant = $1 AND s.until_us > $2 ORDER BY s.until_us, s.id`

// Silences lists those in force; they all end, so they are few.
func (r *Reader) Silences(ctx context.Context, tenant fleet.TenantID) ([]SilenceRow, error) {
	return all(ctx, r, ask("silences", alertSilences, tenant, r.now().UnixMicro()), func(rows *sql.Rows) (SilenceRow, error) {
		var s SilenceRow
		var device, name string
		var atUS, untilUS int64
		err := rows.Scan(&s.ID, &s.Rule, &s.About, &device, &name, &s.Reason, &s.By, &atUS, &untilUS)
		if device != "" {
			s.Device, s.About = &DeviceRef{ID: fleet.DeviceID(device), Name: name}, ""
		}
		s.At, s.Until = instant(atUS), instant(untilUS)
		return s, err
	})
}

// DeliveryRow is what became of one message to an output.
type DeliveryRow struct {
	ID       string        `json:"id"`
	Output   string        `json:"output"`
	State    string        `json:"state"` // waiting, sent, dead
	Notices  int64         `json:"notices"`
	Attempts int64         `json:"attempts"`
	Created  time.Time     `json:"created"`
	Next     time.Time     `json:"next,omitzero"`
	Ended    time.Time     `json:"ended,omitzero"`
	Cause    *fault.Reason `json:"cause,omitempty"`
}

// DeliveryQuery chooses deliveries, the latest first.
type DeliveryQuery struct {
	Paging
	State string // empty: every one
}

const deliveryHead = `SELECT l.id, l.output, l.state, l.notices, l.attempts, l.created_us, l.next_us, l.ended_us, l.cause FROM alert_delivery l`

// Deliveries lists what was sent, waits, or was given up.
func (r *Reader) Deliveries(ctx context.Context, tenant fleet.TenantID, q DeliveryQuery) (Page[DeliveryRow], error) {
	after, err := q.cursorFor("delivery")
	if err != nil {
		return Page[DeliveryRow]{}, err
	}
	var b builder
	b.and("l.tenant = ?", tenant)
	if q.State != "" {
		state, err := oneOf("state", q.State, []string{"waiting", "sent", "dead"})
		if err != nil {
			return Page[DeliveryRow]{}, err
		}
		b.and("l.state = ?", state)
	}
	if after != nil {
		b.and("(l.created_us, l.id) < (?, ?)", after.N, after.ID)
	}
	rows, err := all(ctx, r, b.list("deliveries", deliveryHead, "l.created_us DESC, l.id DESC", q.limit()), func(rows *sql.Rows) (DeliveryRow, error) {
		var d DeliveryRow
		var createdUS, nextUS, endedUS int64
		var cause string
		err := rows.Scan(&d.ID, &d.Output, &d.State, &d.Notices, &d.Attempts, &createdUS, &nextUS, &endedUS, &cause)
		d.Created, d.Ended, d.Cause = instant(createdUS), instant(endedUS), reason(cause)
		if d.State == "waiting" {
			d.Next = instant(nextUS)
		}
		return d, err
	})
	if err != nil {
		return Page[DeliveryRow]{}, err
	}
	return pageOf(rows, q.limit(), func(d DeliveryRow) cursor {
		return cursor{Sort: "delivery", N: d.Created.UnixMicro(), ID: d.ID}
	}), nil
}
