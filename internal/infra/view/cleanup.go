package view

import (
	"context"
	"database/sql"
	"time"

	"patchring/internal/core/cleanup"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/wire"
)

// CleanUpSum is one item of the policy over the fleet. While a changed policy is
// on its way an item stands here twice, by its fingerprint.
type CleanUpSum struct {
	Item         string       `json:"item"` // PROFILE/KIND
	Kind         cleanup.Kind `json:"kind,omitempty"`
	Fingerprint  string       `json:"fingerprint,omitempty"` // to approve it by; empty: the policy has it no more
	OlderDays    int64        `json:"older_than_days"`
	Paths        []string     `json:"paths"`
	Devices      int64        `json:"devices"`
	Counted      int64        `json:"counted"`  // devices whose dry run was reported
	Awaiting     int64        `json:"awaiting"` // of those, whom a person is asked for
	Let          int64        `json:"let"`      // devices on which it was let go, by whomever, and is due or done
	CountedFiles int64        `json:"counted_files"`
	CountedBytes int64        `json:"counted_bytes"`
	Approved     bool         `json:"approved"` // on every device
	ApprovedBy   string       `json:"approved_by,omitempty"`
	ApprovedAt   time.Time    `json:"approved_at,omitzero"`
	Singly       int64        `json:"approved_devices"` // approved on that device alone
	Stopped      int64        `json:"stopped"`          // devices whose last run came to nothing, or was cut short
	FreedFiles   int64        `json:"freed_files"`
	FreedBytes   int64        `json:"freed_bytes"`
	AtLeast      bool         `json:"at_least"` // some of what went was not counted
}

// CleanUpRow is one item on one device.
type CleanUpRow struct {
	Device       DeviceRef         `json:"device"`
	Item         string            `json:"item"`
	Kind         cleanup.Kind      `json:"kind"`
	Fingerprint  string            `json:"fingerprint,omitempty"`
	OlderDays    int64             `json:"older_than_days"`
	State        cleanup.State     `json:"state"`
	Reason       *fault.Reason     `json:"reason,omitempty"` // why it does not go on now
	Next         time.Time         `json:"next,omitzero"`
	Counted      time.Time         `json:"counted,omitzero"`
	CountedFiles int64             `json:"counted_files"`
	CountedBytes int64             `json:"counted_bytes"`
	Places       []wire.FreedPlace `json:"places"` // of the last run, dry or not
	Cleaned      time.Time         `json:"cleaned,omitzero"`
	Cause        *fault.Reason     `json:"cause,omitempty"` // why the last run came to nothing, or was cut short
	FreedFiles   int64             `json:"freed_files"`
	FreedBytes   int64             `json:"freed_bytes"`
	AtLeast      bool              `json:"at_least"`
}

// CleanUpPage is a page of items on devices.
type CleanUpPage = Page[CleanUpRow]

// CleanUpQuery chooses items on devices, by item and device.
type CleanUpQuery struct {
	Paging
	Item   string
	Device fleet.DeviceID
	State  string // empty: every state
}

const cleanUpSums = `SELECT i.item, MAX(i.kind), i.fingerprint, MAX(i.older_than_s), MAX(i.paths), COUNT(*),
  CAST(SUM(CASE WHEN i.counted_us > 0 THEN 1 ELSE 0 END) AS BIGINT), CAST(SUM(CASE WHEN i.state = 'awaiting_approval' THEN 1 ELSE 0 END) AS BIGINT),
  CAST(SUM(CASE WHEN i.state IN ('approved', 'resting') THEN 1 ELSE 0 END) AS BIGINT),
  CAST(SUM(i.counted_files) AS BIGINT), CAST(SUM(i.counted_bytes) AS BIGINT),
  coalesce(MAX(a.actor), ''), coalesce(MAX(a.at_us), 0),
  (SELECT COUNT(*) FROM clean_up_approval o WHERE o.tenant = $1 AND o.item = i.item AND o.fingerprint = i.fingerprint AND o.device <> ''),
  CAST(SUM(CASE WHEN i.cause <> '' AND i.state <> 'withdrawn' THEN 1 ELSE 0 END) AS BIGINT),
  CAST(SUM(i.freed_files) AS BIGINT), CAST(SUM(i.freed_bytes) AS BIGINT), MAX(i.at_least)
FROM clean_up_item i
LEFT JOIN clean_up_approval a ON a.tenant = i.tenant AND a.item = i.item AND a.fingerprint = i.fingerprint AND a.device = ''
WHERE i.tenant = $1 GROUP BY i.item, i.fingerprint ORDER BY i.item, i.fingerprint DESC`

// CleanUps sums every item over the fleet.
func (r *Reader) CleanUps(ctx context.Context, tenant fleet.TenantID) ([]CleanUpSum, error) {
	out, err := all(ctx, r, ask("clean-ups", cleanUpSums, tenant), func(rows *sql.Rows) (CleanUpSum, error) {
		var s CleanUpSum
		var olderS, approvedUS, atLeast int64
		var paths string
		err := rows.Scan(&s.Item, &s.Kind, &s.Fingerprint, &olderS, &paths, &s.Devices, &s.Counted, &s.Awaiting, &s.Let, &s.CountedFiles, &s.CountedBytes,
			&s.ApprovedBy, &approvedUS, &s.Singly, &s.Stopped, &s.FreedFiles, &s.FreedBytes, &atLeast)
		if err != nil {
			return s, err
		}
		s.OlderDays, s.ApprovedAt, s.Approved, s.AtLeast = olderS/86400, instant(approvedUS), approvedUS > 0, atLeast == 1
		s.Paths, err = list[string]("paths", paths)
		return s, err
	})
	if out == nil {
		out = []CleanUpSum{}
	}
	return out, err
}

const cleanUpHead = `SELECT i.device, coalesce(d.name, ''), i.item, i.kind, i.fingerprint, i.older_than_s, i.state, i.reason, i.next_us,
  i.counted_us, i.counted_files, i.counted_bytes, i.places, i.cleaned_us, i.cause, i.freed_files, i.freed_bytes, i.at_least
FROM clean_up_item i LEFT JOIN device d ON d.tenant = i.tenant AND d.id = i.device`

func scanCleanUp(rows *sql.Rows) (CleanUpRow, error) {
	var c CleanUpRow
	var why, cause, places string
	var olderS, nextUS, countedUS, cleanedUS, atLeast int64
	err := rows.Scan(&c.Device.ID, &c.Device.Name, &c.Item, &c.Kind, &c.Fingerprint, &olderS, &c.State, &why, &nextUS,
		&countedUS, &c.CountedFiles, &c.CountedBytes, &places, &cleanedUS, &cause, &c.FreedFiles, &c.FreedBytes, &atLeast)
	if err != nil {
		return c, err
	}
	c.OlderDays, c.Reason, c.Cause, c.AtLeast = olderS/86400, reason(why), reason(cause), atLeast == 1
	c.Next, c.Counted, c.Cleaned = instant(nextUS), instant(countedUS), instant(cleanedUS)
	c.Places, err = list[wire.FreedPlace]("places", places)
	return c, err
}

// CleanUpDevices lists items on devices.
func (r *Reader) CleanUpDevices(ctx context.Context, tenant fleet.TenantID, q CleanUpQuery) (CleanUpPage, error) {
	after, err := q.cursorFor("clean_up")
	if err != nil {
		return CleanUpPage{}, err
	}
	var b builder
	b.and("i.tenant = ?", tenant)
	if q.Item != "" {
		b.and("i.item = ?", q.Item)
	}
	if q.Device != "" {
		b.and("i.device = ?", q.Device)
	}
	if q.State != "" {
		if _, err := oneOf("state", q.State, stateWords()); err != nil {
			return CleanUpPage{}, err
		}
		b.and("i.state = ?", q.State)
	}
	if after != nil {
		b.and("(i.item, i.device) > (?, ?)", after.Text, after.ID)
	}
	rows, err := all(ctx, r, b.list("clean-ups of devices", cleanUpHead, "i.item, i.device", q.limit()), scanCleanUp)
	if err != nil {
		return CleanUpPage{}, err
	}
	return pageOf(rows, q.limit(), func(c CleanUpRow) cursor {
		return cursor{Sort: "clean_up", Text: c.Item, ID: string(c.Device.ID)}
	}), nil
}

func stateWords() (out []string) {
	for _, s := range cleanup.States() {
		out = append(out, string(s))
	}
	return out
}
