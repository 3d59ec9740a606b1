package view

import (
	"context"
	"database/sql"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
)

// ExceptionQuery chooses exceptions: those whose end comes first, first; ended
// ones by their end, the latest first.
type ExceptionQuery struct {
	Paging
	Which string // in_force (default), expiring, ended
}

// ExceptionRow is something left out on purpose: what fits every one of Device,
// Group and Patch or Name that is set.
type ExceptionRow struct {
	ID       string     `json:"id"`
	State    string     `json:"state"` // in_force, expiring, ended
	Device   *DeviceRef `json:"device,omitempty"`
	Group    string     `json:"group,omitempty"`
	Patch    *PatchRef  `json:"patch,omitempty"` // one exact patch
	Provider string     `json:"provider,omitempty"`
	Name     string     `json:"name,omitempty"` // every version of it
	Owner    string     `json:"owner"`
	Reason   string     `json:"reason"`
	Control  string     `json:"control"` // what protects meanwhile
	From     time.Time  `json:"from"`
	Until    time.Time  `json:"until"`
	Reminds  time.Time  `json:"reminds"` // from when on it is shown as expiring
	Actor    string     `json:"actor"`
	Ended    time.Time  `json:"ended,omitzero"`
	EndedBy  string     `json:"ended_by,omitempty"`
	EndedWhy string     `json:"ended_why,omitempty"`
}

// ExceptionPage is a page of exceptions.
type ExceptionPage = Page[ExceptionRow]

// ExceptionFilters are the values of ExceptionQuery.Which.
func ExceptionFilters() []string { return []string{"in_force", "expiring", "ended"} }

const exceptionHead = `SELECT e.id, e.device, coalesce(d.name, ''), e.group_name, e.scope, coalesce(p.id, ''), coalesce(p.name, ''), coalesce(p.version, ''),
  e.owner, e.reason, e.control, e.from_us, e.until_us, e.remind_us, e.actor, e.ended_us, e.ended_by, e.ended_why
FROM exception e
LEFT JOIN device d ON d.tenant = e.tenant AND d.id = e.device
LEFT JOIN patch p ON p.tenant = e.tenant AND p.id = e.scope`

func (r *Reader) scanException(rows *sql.Rows) (ExceptionRow, error) {
	var e ExceptionRow
	var device DeviceRef
	var named PatchRef
	var scope string
	var fromUS, untilUS, remindUS, endedUS int64
	err := rows.Scan(&e.ID, &device.ID, &device.Name, &e.Group, &scope, &named.ID, &named.Name, &named.Version,
		&e.Owner, &e.Reason, &e.Control, &fromUS, &untilUS, &remindUS, &e.Actor, &endedUS, &e.EndedBy, &e.EndedWhy)
	e.From, e.Until, e.Reminds, e.Ended = instant(fromUS), instant(untilUS), instant(remindUS), instant(endedUS)
	if device.ID != "" {
		e.Device = &device
	}
	provider, name, every := policy.Scope(scope).Name()
	switch {
	case every:
		e.Provider, e.Name = provider, name
	case named.ID != "":
		e.Patch = &named
	case scope != "":
		e.Patch = &PatchRef{ID: patch.ID(scope), Name: scope}
	}
	now := r.now()
	switch {
	case endedUS > 0 || !now.Before(e.Until):
		e.State = "ended"
	case !now.Before(e.Reminds):
		e.State = "expiring"
	default:
		e.State = "in_force"
	}
	return e, err
}

// inForce narrows to those that decide now.
func (r *Reader) inForce(b *builder) {
	b.and("e.ended_us = 0")
	b.and("e.until_us > ?", r.now().UnixMicro())
}

// Exceptions lists exceptions.
func (r *Reader) Exceptions(ctx context.Context, tenant fleet.TenantID, q ExceptionQuery) (ExceptionPage, error) {
	which, err := oneOf("which", q.Which, ExceptionFilters())
	if err != nil {
		return ExceptionPage{}, err
	}
	after, err := q.cursorFor(which)
	if err != nil {
		return ExceptionPage{}, err
	}
	var b builder
	b.and("e.tenant = ?", tenant)
	order := "e.until_us, e.id"
	switch which {
	case "ended":
		order = "e.ended_us DESC, e.id DESC"
		b.and("e.ended_us > 0")
	case "expiring":
		b.and("e.remind_us <= ?", r.now().UnixMicro())
		r.inForce(&b)
	default:
		r.inForce(&b)
	}
	switch {
	case after == nil:
	case which == "ended":
		b.and("(e.ended_us, e.id) < (?, ?)", after.N, after.ID)
	default:
		b.and("(e.until_us, e.id) > (?, ?)", after.N, after.ID)
	}
	rows, err := all(ctx, r, b.list("exceptions", exceptionHead, order, q.limit()), r.scanException)
	if err != nil {
		return ExceptionPage{}, err
	}
	return pageOf(rows, q.limit(), func(e ExceptionRow) cursor {
		at := e.Until
		if which == "ended" {
			at = e.Ended
		}
		return cursor{Sort: which, N: at.UnixMicro(), ID: e.ID}
	}), nil
}

// Exception shows one, ended or not.
func (r *Reader) Exception(ctx context.Context, tenant fleet.TenantID, id string) (ExceptionRow, error) {
	return one(ctx, r, ask("exception", exceptionHead+" WHERE e.tenant = $1 AND e.id = $2", tenant, id), id, r.scanException)
}

// exceptionsShown bounds those beside a device or a patch.
const exceptionsShown = 50

// exceptionsOfDevice are those in force that a device, or its groups, or every
// device is under.
func (r *Reader) exceptionsOfDevice(ctx context.Context, tenant fleet.TenantID, id fleet.DeviceID, groups []string) ([]ExceptionRow, error) {
	var b builder
	b.and("e.tenant = ?", tenant)
	r.inForce(&b)
	b.and("e.device IN (?, '')", id)
	b.in("e.group_name", append([]string{""}, groups...))
	return r.shown(ctx, b)
}

// exceptionsOfPatch are those in force on a patch or on its name, wherever.
func (r *Reader) exceptionsOfPatch(ctx context.Context, tenant fleet.TenantID, key patch.Key) ([]ExceptionRow, error) {
	var b builder
	b.and("e.tenant = ?", tenant)
	r.inForce(&b)
	b.and("e.scope IN (?, ?)", string(policy.ScopeOf(key.ID())), string(policy.ScopeOfName(key.Provider, key.Name)))
	return r.shown(ctx, b)
}

func (r *Reader) shown(ctx context.Context, b builder) ([]ExceptionRow, error) {
	rows, err := all(ctx, r, b.list("exceptions", exceptionHead, "e.until_us, e.id", exceptionsShown-1), r.scanException)
	if err != nil {
		return nil, err
	}
	return rows, nil
}
