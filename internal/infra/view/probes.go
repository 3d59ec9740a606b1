package view

import (
	"context"
	"database/sql"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
)

// ProbeSum is one probe over the devices that make it.
type ProbeSum struct {
	Name    string `json:"name"`
	Devices int64  `json:"devices"`
	Up      int64  `json:"up"`
	Down    int64  `json:"down"`
	Unknown int64  `json:"unknown"` // told, and not heard of yet
	TooOld  int64  `json:"too_old"` // their agent makes no probes
	Vetoed  int64  `json:"vetoed"`  // their administrator forbids it
}

// ProbeRow is one probe of one device.
type ProbeRow struct {
	Device DeviceRef        `json:"device"`
	Name   string           `json:"name"`
	State  fleet.ProbeState `json:"state"`
	Since  time.Time        `json:"since"`
	Heard  time.Time        `json:"heard,omitzero"` // when it was last heard, to a few minutes
	MS     int64            `json:"ms,omitempty"`   // how long it took
	Cause  *fault.Reason    `json:"cause,omitempty"`
}

// ProbePage is a page of probes of devices.
type ProbePage = Page[ProbeRow]

// ProbeQuery chooses devices that make a probe.
type ProbeQuery struct {
	Paging
	Name  string
	Group string
	State fleet.ProbeState // empty: every state
}

const probeSums = `SELECT p.name, COUNT(*), CAST(SUM(CASE WHEN p.state = 'up' THEN 1 ELSE 0 END) AS BIGINT),
  CAST(SUM(CASE WHEN p.state = 'down' THEN 1 ELSE 0 END) AS BIGINT), CAST(SUM(CASE WHEN p.state = 'unknown' THEN 1 ELSE 0 END) AS BIGINT),
  CAST(SUM(CASE WHEN p.state = 'too_old' THEN 1 ELSE 0 END) AS BIGINT), CAST(SUM(CASE WHEN p.state = 'vetoed' THEN 1 ELSE 0 END) AS BIGINT)
FROM device_probe p`

// Probes sums every probe over the devices of a group, or all.
func (r *Reader) Probes(ctx context.Context, tenant fleet.TenantID, group string) ([]ProbeSum, error) {
	q := ask("probes", probeSums+" WHERE p.tenant = $1 GROUP BY p.name ORDER BY p.name", tenant)
	if group != "" {
		q = ask("probes", probeSums+` JOIN fleet_group_member g ON g.tenant = p.tenant AND g.device = p.device AND g.group_name = $2
WHERE p.tenant = $1 GROUP BY p.name ORDER BY p.name`, tenant, group)
	}
	return all(ctx, r, q, func(rows *sql.Rows) (ProbeSum, error) {
		var s ProbeSum
		err := rows.Scan(&s.Name, &s.Devices, &s.Up, &s.Down, &s.Unknown, &s.TooOld, &s.Vetoed)
		return s, err
	})
}

const probeHead = `SELECT p.device, coalesce(d.name, ''), p.name, p.state, p.since_us, p.at_us, p.ms, p.cause
FROM device_probe p LEFT JOIN device d ON d.tenant = p.tenant AND d.id = p.device`

// ProbeDevices lists the devices that make a probe: those where it is down
// first.
func (r *Reader) ProbeDevices(ctx context.Context, tenant fleet.TenantID, q ProbeQuery) (ProbePage, error) {
	after, err := q.cursorFor("probe")
	if err != nil {
		return ProbePage{}, err
	}
	var b builder
	b.and("p.tenant = ?", tenant)
	b.and("p.name = ?", q.Name)
	if q.Group != "" {
		b.and("EXISTS (SELECT 1 FROM fleet_group_member g WHERE g.tenant = p.tenant AND g.device = p.device AND g.group_name = ?)", q.Group)
	}
	if q.State != "" {
		states := []string{}
		for _, s := range fleet.ProbeStates() {
			states = append(states, string(s))
		}
		if _, err := oneOf("state", string(q.State), states); err != nil {
			return ProbePage{}, err
		}
		b.and("p.state = ?", q.State)
	}
	if after != nil {
		b.and("(p.state, p.device) > (?, ?)", after.Text, after.ID)
	}
	rows, err := all(ctx, r, b.list("devices of a probe", probeHead, "p.state, p.device", q.limit()), scanProbe) // "down" is the first of the states
	if err != nil {
		return ProbePage{}, err
	}
	return pageOf(rows, q.limit(), func(p ProbeRow) cursor {
		return cursor{Sort: "probe", Text: string(p.State), ID: string(p.Device.ID)}
	}), nil
}

// DeviceProbes are the probes of one device.
func (r *Reader) DeviceProbes(ctx context.Context, tenant fleet.TenantID, device fleet.DeviceID) ([]ProbeRow, error) {
	return all(ctx, r, ask("probes of a device", probeHead+" WHERE p.tenant = $1 AND p.device = $2 ORDER BY p.name", tenant, device), scanProbe)
}

func scanProbe(rows *sql.Rows) (ProbeRow, error) {
	var p ProbeRow
	var cause string
	var sinceUS, atUS int64
	err := rows.Scan(&p.Device.ID, &p.Device.Name, &p.Name, &p.State, &sinceUS, &atUS, &p.MS, &cause)
	p.Since, p.Heard, p.Cause = instant(sinceUS), instant(atUS), reason(cause)
	return p, err
}
