package view

import (
	"context"
	"database/sql"
	"errors"

	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/register"
)

// Events lists register entries, newest first, of one device, one campaign or
// the whole tenant.
func (r *Reader) Events(ctx context.Context, tenant fleet.TenantID, q EventQuery) (EventPage, error) {
	after, err := q.cursorFor("newest")
	if err != nil {
		return EventPage{}, err
	}
	var b builder
	b.and("e.tenant = ?", tenant)
	if q.Device != "" {
		b.and("e.device = ?", q.Device)
	}
	if q.Campaign != "" {
		b.and("e.campaign = ?", q.Campaign)
	}
	if after != nil {
		b.and("e.idx < ?", after.N)
	}
	entries, err := all(ctx, r, b.list("register", "SELECT e.body FROM register_entry e", "e.idx DESC", q.limit()), func(rows *sql.Rows) (register.Entry, error) {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return register.Entry{}, err
		}
		return register.Decode(body)
	})
	if err != nil {
		return EventPage{}, err
	}
	page := pageOf(entries, q.limit(), func(e register.Entry) cursor { return cursor{Sort: "newest", N: e.Index} })
	names, err := r.namesIn(ctx, tenant, page.Rows)
	if err != nil {
		return EventPage{}, err
	}
	out := EventPage{Rows: make([]Event, len(page.Rows)), Next: page.Next}
	for i, e := range page.Rows {
		out.Rows[i] = names.event(e)
	}
	return out, nil
}

// names of what a page of entries speaks of. An entry keeps ids only, and may
// outlive what it names: then the id stands for the name.
type names struct {
	devices   map[string]string
	campaigns map[string]string
	patches   map[string]PatchRef
}

func (n names) event(e register.Entry) Event {
	out := Event{Index: e.Index, At: instant(e.AtUS), Kind: e.Kind, Actor: string(e.Actor), Ring: e.Ring, Detail: e.Detail}
	if !e.Reason.IsZero() {
		out.Reason = &e.Reason
	}
	if e.Device != "" {
		out.Device = &DeviceRef{ID: fleet.DeviceID(e.Device), Name: orID(n.devices[e.Device], e.Device)}
	}
	if e.Campaign != "" {
		out.Campaign = &CampaignRef{ID: e.Campaign, Name: orID(n.campaigns[e.Campaign], e.Campaign)}
	}
	if e.Patch != "" {
		p, known := n.patches[e.Patch]
		if !known {
			p = PatchRef{ID: patch.ID(e.Patch), Name: e.Patch}
		}
		out.Patch = &p
	}
	return out
}

func orID(name, id string) string {
	if name == "" {
		return id
	}
	return name
}

func (r *Reader) namesIn(ctx context.Context, tenant fleet.TenantID, entries []register.Entry) (names, error) {
	out := names{devices: map[string]string{}, campaigns: map[string]string{}, patches: map[string]PatchRef{}}
	var devices, campaigns, patches []string
	for _, e := range entries {
		devices, campaigns, patches = append(devices, e.Device), append(campaigns, e.Campaign), append(patches, e.Patch)
	}
	put := func(into map[string]string) func(id, name, _ string) {
		return func(id, name, _ string) { into[id] = name }
	}
	err := errors.Join(
		r.lookUp(ctx, "SELECT t.id, t.name, '' FROM device t", tenant, devices, put(out.devices)),
		r.lookUp(ctx, "SELECT t.id, t.name, '' FROM campaign t", tenant, campaigns, put(out.campaigns)),
		r.lookUp(ctx, "SELECT t.id, t.name, t.version FROM patch t", tenant, patches, func(id, name, version string) {
			out.patches[id] = PatchRef{ID: patch.ID(id), Name: name, Version: version}
		}))
	return out, err
}

// lookUp finds the names of ids; those that are not there any more are left out.
func (r *Reader) lookUp(ctx context.Context, head string, tenant fleet.TenantID, ids []string, found func(id, name, version string)) error {
	seen := map[string]bool{"": true}
	var wanted []string
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			wanted = append(wanted, id)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	var b builder
	b.and("t.tenant = ?", tenant)
	b.in("t.id", wanted)
	_, err := all(ctx, r, b.every("names", head, "t.id"), func(rows *sql.Rows) (struct{}, error) {
		var id, name, version string
		err := rows.Scan(&id, &name, &version)
		found(id, name, version)
		return struct{}{}, err
	})
	return err
}
