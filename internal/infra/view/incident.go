package view

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	"patchring/internal/core/incident"
	"patchring/internal/core/procedure"
)

// IncidentQuery chooses incidents, the latest first.
type IncidentQuery struct {
	Paging
	Which    string         // open (default): not closed; closed, all
	Campaign string         // id
	Device   fleet.DeviceID // only those it is among
}

// IncidentRow is an incident in a list.
type IncidentRow struct {
	ID       string             `json:"id"`
	Severity procedure.Severity `json:"severity"`
	State    incident.State     `json:"state"`
	Title    string             `json:"title"`
	Campaign *CampaignRef       `json:"campaign,omitempty"`
	Ring     string             `json:"ring,omitempty"`
	Patch    *PatchRef          `json:"patch,omitempty"` // known or suspected to be the cause
	Devices  int64              `json:"devices"`
	Owner    string             `json:"owner,omitempty"` // who must act
	Origin   incident.Origin    `json:"origin"`
	OriginID string             `json:"origin_id,omitempty"` // the feedback, the test's item, the alert
	Response campaign.Response  `json:"response,omitempty"`  // what the campaign did at once
	Opened   time.Time          `json:"opened"`
	OpenedBy string             `json:"opened_by"`
	Changed  time.Time          `json:"changed"`
	Closed   time.Time          `json:"closed,omitzero"`
	ClosedBy string             `json:"closed_by,omitempty"`
}

// IncidentPage is a page of incidents.
type IncidentPage = Page[IncidentRow]

// IncidentDetail is one incident with all that was said and done.
type IncidentDetail struct {
	IncidentRow
	What        string         `json:"what"`
	Cause       string         `json:"cause,omitempty"`
	Correction  string         `json:"correction,omitempty"`
	Corrected   time.Time      `json:"corrected,omitzero"`
	CorrectedBy string         `json:"corrected_by,omitempty"`
	Reopened    int64          `json:"reopened,omitempty"` // how often
	On          []DeviceRef    `json:"on"`                 // at most 200
	Notes       []IncidentNote `json:"notes"`              // oldest first, at most 500
	Tickets     []TicketRow    `json:"tickets"`
}

// IncidentNote is one act on an incident.
type IncidentNote struct {
	ID    string       `json:"id"`
	Act   incident.Act `json:"act"`
	Text  string       `json:"text,omitempty"`
	Actor string       `json:"actor"`
	At    time.Time    `json:"at"`
}

// IncidentFilters are the values of IncidentQuery.Which.
func IncidentFilters() []string { return []string{"open", "closed", "all"} }

const incidentColumns = `SELECT i.id, i.severity, i.state, i.title, i.campaign, coalesce(c.name, ''), i.ring, i.patch, coalesce(p.name, ''), coalesce(p.version, ''),
  (SELECT count(*) FROM incident_device n WHERE n.tenant = i.tenant AND n.incident = i.id), i.owner, i.origin, i.origin_id, i.response,
  i.opened_us, i.opened_by, i.changed_us, i.closed_us, i.closed_by, i.what, i.cause, i.correction, i.corrected_us, i.corrected_by, i.reopened
`

const incidentNames = `
LEFT JOIN campaign c ON c.tenant = i.tenant AND c.id = i.campaign
LEFT JOIN patch p ON p.tenant = i.tenant AND p.id = i.patch`

const incidentHead = incidentColumns + `FROM incident i` + incidentNames

func scanIncident(rows *sql.Rows) (IncidentDetail, error) {
	i := IncidentDetail{On: []DeviceRef{}, Notes: []IncidentNote{}, Tickets: []TicketRow{}}
	var of CampaignRef
	var about PatchRef
	var openedUS, changedUS, closedUS, correctedUS int64
	err := rows.Scan(&i.ID, &i.Severity, &i.State, &i.Title, &of.ID, &of.Name, &i.Ring, &about.ID, &about.Name, &about.Version, &i.Devices,
		&i.Owner, &i.Origin, &i.OriginID, &i.Response, &openedUS, &i.OpenedBy, &changedUS, &closedUS, &i.ClosedBy,
		&i.What, &i.Cause, &i.Correction, &correctedUS, &i.CorrectedBy, &i.Reopened)
	i.Opened, i.Changed, i.Closed, i.Corrected = instant(openedUS), instant(changedUS), instant(closedUS), instant(correctedUS)
	if of.ID != "" {
		i.Campaign = &of
	}
	if about.ID != "" {
		i.Patch = &about
	}
	return i, err
}

func scanIncidentRow(rows *sql.Rows) (IncidentRow, error) {
	i, err := scanIncident(rows)
	return i.IncidentRow, err
}

// Incidents lists incidents.
func (r *Reader) Incidents(ctx context.Context, tenant fleet.TenantID, q IncidentQuery) (IncidentPage, error) {
	which, err := oneOf("which", q.Which, IncidentFilters())
	if err != nil {
		return IncidentPage{}, err
	}
	after, err := q.cursorFor(which)
	if err != nil {
		return IncidentPage{}, err
	}
	var b builder
	b.and("i.tenant = ?", tenant)
	switch which {
	case "open":
		b.and("i.state <> 'closed'")
	case "closed":
		b.and("i.state = 'closed'")
	}
	if q.Campaign != "" {
		b.and("i.campaign = ?", q.Campaign)
	}
	if q.Device != "" {
		b.and("EXISTS (SELECT 1 FROM incident_device x WHERE x.tenant = i.tenant AND x.incident = i.id AND x.device = ?)", q.Device)
	}
	if after != nil {
		b.and("(i.opened_us, i.id) < (?, ?)", after.N, after.ID)
	}
	rows, err := all(ctx, r, b.list("incidents", incidentHead, "i.opened_us DESC, i.id DESC", q.limit()), scanIncidentRow)
	if err != nil {
		return IncidentPage{}, err
	}
	return pageOf(rows, q.limit(), func(i IncidentRow) cursor { return cursor{Sort: which, N: i.Opened.UnixMicro(), ID: i.ID} }), nil
}

// Incident shows one.
func (r *Reader) Incident(ctx context.Context, tenant fleet.TenantID, id string) (IncidentDetail, error) {
	i, err := one(ctx, r, ask("incident", incidentHead+" WHERE i.tenant = $1 AND i.id = $2", tenant, id), id, scanIncident)
	if err != nil {
		return i, err
	}
	var e1, e2, e3 error
	i.On, e1 = all(ctx, r, ask("devices of an incident", `SELECT x.device, coalesce(d.name, '') FROM incident_device x
LEFT JOIN device d ON d.tenant = x.tenant AND d.id = x.device WHERE x.tenant = $1 AND x.incident = $2 ORDER BY x.device LIMIT 200`, tenant, id), scanDeviceRef)
	i.Notes, e2 = all(ctx, r, ask("notes of an incident", `SELECT n.id, n.act, n.text, n.actor, n.at_us FROM incident_note n
WHERE n.tenant = $1 AND n.incident = $2 ORDER BY n.at_us, n.id LIMIT 500`, tenant, id), func(rows *sql.Rows) (IncidentNote, error) {
		var n IncidentNote
		var atUS int64
		err := rows.Scan(&n.ID, &n.Act, &n.Text, &n.Actor, &atUS)
		n.At = instant(atUS)
		return n, err
	})
	i.Tickets, e3 = r.ticketsOf(ctx, tenant, id)
	return i, errors.Join(e1, e2, e3)
}

// incidentsShown bounds the incidents beside a device or on a board.
const incidentsShown = 20

// openIncidents are the latest of a device's or a campaign's.
func (r *Reader) openIncidents(ctx context.Context, tenant fleet.TenantID, q IncidentQuery) ([]IncidentRow, error) {
	q.Limit = incidentsShown
	page, err := r.Incidents(ctx, tenant, q)
	return page.Rows, err
}

// incidents is what went wrong and is not closed.
func (t *Today) incidents(ctx context.Context, r *Reader, tenant fleet.TenantID) error {
	var e1, e2 error
	t.OpenIncidents, e1 = r.count(ctx, ask("open incidents", "SELECT count(*) FROM incident i WHERE i.tenant = $1 AND i.state <> 'closed'", tenant))
	t.Incidents, e2 = r.openIncidents(ctx, tenant, IncidentQuery{})
	return errors.Join(e1, e2)
}
