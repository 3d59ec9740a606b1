package view

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/incident"
)

// FeedbackQuery chooses what people said on their devices' pages, the latest
// first.
type FeedbackQuery struct {
	Paging
	Which    string         // open (default): broken and not dealt with; broken, works, all
	Campaign string         // id
	Device   fleet.DeviceID // only of it
}

// FeedbackRow is what was said on one device of one patch of a campaign.
type FeedbackRow struct {
	ID        string      `json:"id"`
	Campaign  CampaignRef `json:"campaign"`
	Ring      string      `json:"ring,omitempty"` // the device's in that campaign
	Device    DeviceRef   `json:"device"`
	Patch     *PatchRef   `json:"patch,omitempty"` // none: all that the campaign brought
	Says      string      `json:"says"`            // works, broken
	Words     string      `json:"words,omitempty"`
	At        time.Time   `json:"at"`
	Closed    time.Time   `json:"closed,omitzero"`
	ClosedBy  string      `json:"closed_by,omitempty"`
	ClosedWhy string      `json:"closed_why,omitempty"`
}

// FeedbackPage is a page of it.
type FeedbackPage = Page[FeedbackRow]

// FeedbackTally counts devices of a campaign by what they say; a device that
// says both is broken. It is what a gate may ask for.
type FeedbackTally struct {
	Works  int64 `json:"works"`
	Broken int64 `json:"broken"`
	Open   int64 `json:"open"` // broken and not dealt with
}

// FeedbackFilters are the values of FeedbackQuery.Which.
func FeedbackFilters() []string { return []string{"open", "broken", "works", "all"} }

const feedbackHead = `SELECT f.id, f.campaign, coalesce(c.name, ''), coalesce((SELECT g.ring FROM campaign_device x
    JOIN campaign_ring g ON g.tenant = x.tenant AND g.campaign = x.campaign AND g.amendment = x.amendment AND g.position = x.position
    WHERE x.tenant = f.tenant AND x.campaign = f.campaign AND x.device = f.device AND x.amendment = 0), ''),
  f.device, coalesce(d.name, ''), f.patch, coalesce(p.name, ''), coalesce(p.version, ''), f.says, f.words, f.at_us, f.closed_us, f.closed_by, f.closed_why
FROM feedback f
LEFT JOIN campaign c ON c.tenant = f.tenant AND c.id = f.campaign
LEFT JOIN device d ON d.tenant = f.tenant AND d.id = f.device
LEFT JOIN patch p ON p.tenant = f.tenant AND p.id = f.patch`

func scanFeedback(rows *sql.Rows) (FeedbackRow, error) {
	var f FeedbackRow
	var about PatchRef
	var atUS, closedUS int64
	err := rows.Scan(&f.ID, &f.Campaign.ID, &f.Campaign.Name, &f.Ring, &f.Device.ID, &f.Device.Name, &about.ID, &about.Name, &about.Version,
		&f.Says, &f.Words, &atUS, &closedUS, &f.ClosedBy, &f.ClosedWhy)
	f.At, f.Closed = instant(atUS), instant(closedUS)
	if about.ID != "" {
		f.Patch = &about
	}
	return f, err
}

// Feedback lists what people said.
func (r *Reader) Feedback(ctx context.Context, tenant fleet.TenantID, q FeedbackQuery) (FeedbackPage, error) {
	which, err := oneOf("which", q.Which, FeedbackFilters())
	if err != nil {
		return FeedbackPage{}, err
	}
	after, err := q.cursorFor(which)
	if err != nil {
		return FeedbackPage{}, err
	}
	var b builder
	b.and("f.tenant = ?", tenant)
	switch which {
	case "open":
		b.and("f.says = 'broken' AND f.closed_us = 0")
	case "broken":
		b.and("f.says = 'broken'")
	case "works":
		b.and("f.says = 'works'")
	}
	if q.Campaign != "" {
		b.and("f.campaign = ?", q.Campaign)
	}
	if q.Device != "" {
		b.and("f.device = ?", q.Device)
	}
	if after != nil {
		b.and("(f.at_us, f.id) < (?, ?)", after.N, after.ID)
	}
	rows, err := all(ctx, r, b.list("feedback", feedbackHead, "f.at_us DESC, f.id DESC", q.limit()), scanFeedback)
	if err != nil {
		return FeedbackPage{}, err
	}
	return pageOf(rows, q.limit(), func(f FeedbackRow) cursor { return cursor{Sort: which, N: f.At.UnixMicro(), ID: f.ID} }), nil
}

// FeedbackDetail is what was said, with what was known of the device then.
type FeedbackDetail struct {
	FeedbackRow
	Diagnosis *incident.Diagnosis `json:"diagnosis,omitempty"` // of what is broken
	Incident  *IncidentRef        `json:"incident,omitempty"`  // that is open about it
}

// FeedbackDetail shows one with its diagnosis.
func (r *Reader) FeedbackDetail(ctx context.Context, tenant fleet.TenantID, id string) (FeedbackDetail, error) {
	row, err := r.FeedbackOne(ctx, tenant, id)
	if err != nil {
		return FeedbackDetail{}, err
	}
	out := FeedbackDetail{FeedbackRow: row}
	bodies, err := all(ctx, r, ask("diagnosis", "SELECT g.body FROM feedback_diagnosis g WHERE g.tenant = $1 AND g.feedback = $2", tenant, id), scanText)
	if err != nil {
		return out, err
	}
	if len(bodies) > 0 {
		out.Diagnosis = &incident.Diagnosis{}
		if err := json.Unmarshal([]byte(bodies[0]), out.Diagnosis); err != nil {
			return out, fmt.Errorf("decode the diagnosis of feedback %s: %w", id, err)
		}
	}
	about := ""
	if row.Patch != nil {
		about = string(row.Patch.ID)
	}
	open, err := all(ctx, r, ask("incident of feedback", `SELECT i.id, i.title FROM incident i
WHERE i.tenant = $1 AND i.subject = $2 AND i.subject <> '' AND i.state <> 'closed'`, tenant, "feedback/"+row.Campaign.ID+"/"+about), func(rows *sql.Rows) (IncidentRef, error) {
		var i IncidentRef
		return i, rows.Scan(&i.ID, &i.Title)
	})
	if len(open) > 0 {
		out.Incident = &open[0]
	}
	return out, err
}

func scanText(rows *sql.Rows) (string, error) {
	var text string
	return text, rows.Scan(&text)
}

// FeedbackOne shows one.
func (r *Reader) FeedbackOne(ctx context.Context, tenant fleet.TenantID, id string) (FeedbackRow, error) {
	return one(ctx, r, ask("feedback", feedbackHead+" WHERE f.tenant = $1 AND f.id = $2", tenant, id), id, scanFeedback)
}

const tallyText = `SELECT coalesce(sum(1 - t.broken), 0), coalesce(sum(t.broken), 0), coalesce(sum(t.waits), 0) FROM (
  SELECT f.device, max(CASE WHEN f.says = 'broken' THEN 1 ELSE 0 END) AS broken, max(CASE WHEN f.says = 'broken' AND f.closed_us = 0 THEN 1 ELSE 0 END) AS waits
  FROM feedback f WHERE f.tenant = $1 AND f.campaign = $2 GROUP BY f.device) t`

// FeedbackTally counts a campaign's devices by what people say there.
func (r *Reader) FeedbackTally(ctx context.Context, tenant fleet.TenantID, campaign string) (FeedbackTally, error) {
	return one(ctx, r, ask("feedback of a campaign", tallyText, tenant, campaign), campaign, func(rows *sql.Rows) (FeedbackTally, error) {
		var t FeedbackTally
		return t, rows.Scan(&t.Works, &t.Broken, &t.Open)
	})
}

// feedback is what somebody should deal with today.
func (t *Today) feedback(ctx context.Context, r *Reader, tenant fleet.TenantID) error {
	var e1, e2 error
	t.OpenFeedback, e1 = r.count(ctx, ask("open feedback", "SELECT count(*) FROM feedback f WHERE f.tenant = $1 AND f.says = 'broken' AND f.closed_us = 0", tenant))
	var open FeedbackPage
	open, e2 = r.Feedback(ctx, tenant, FeedbackQuery{Paging: Paging{Limit: todayRows}})
	t.Feedback = open.Rows
	return errors.Join(e1, e2)
}
