package watch

import (
	"context"
	"encoding/json"
	"fmt"

	"patchring/internal/core/alert"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// byRule acts where nobody was asked.
var byRule = register.System("alert")

// blame tells whether a rule acts by itself on an alert, and on which install.
// It acts once for each alert; and once for each rule, device and install, so that
// what a person has lifted is not placed again when the value comes and goes.
func blame(ctx context.Context, q *gen.Queries, r alert.Rule, row gen.Alert, a alert.Alert, look alert.Look) (alert.Patched, bool, error) {
	if r.Then == "" || row.DidUs > 0 || row.Device == "" {
		return alert.Patched{}, false, nil
	}
	p, err := patched(ctx, q, row.Tenant, row.Device)
	if err != nil || !r.Blames(a, p, look) {
		return p, false, err
	}
	acted, err := q.RuleActed(ctx, gen.RuleActedParams{Tenant: row.Tenant, Device: row.Device, Rule: row.Rule, Campaign: p.Campaign})
	if err != nil {
		return p, false, fmt.Errorf("read what the rule did: %w", err)
	}
	return p, acted < p.Ended.UnixMicro(), nil
}

// patched is the last install on a device, if it stands in a campaign that is
// running: not one that went back, and not one of which nothing came.
func patched(ctx context.Context, q *gen.Queries, tenant, device string) (alert.Patched, error) {
	last, err := q.LastInstall(ctx, tenant, device)
	if err != nil {
		return alert.Patched{}, fmt.Errorf("read the last install on %s: %w", device, err)
	}
	if len(last) == 0 || wire.OrderKind(last[0].Kind) != wire.OrderInstall {
		return alert.Patched{}, nil
	}
	o := last[0]
	rings, err := q.StandingInstall(ctx, gen.StandingInstallParams{Tenant: tenant, Device: device, Campaign: o.Campaign, Amendment: o.Amendment})
	if err != nil {
		return alert.Patched{}, fmt.Errorf("read what stands on %s: %w", device, err)
	}
	if len(rings) == 0 {
		return alert.Patched{}, nil
	}
	p := alert.Patched{Campaign: o.Campaign, Ring: rings[0], Began: store.Instant(o.BeganUs), Ended: store.Instant(o.EndedUs)}
	if p.Began.IsZero() { // it began before the server kept that
		p.Began = p.Ended
	}
	return p, nil
}

// then does what the rule says, in the transaction of the alert: after a crash
// there are the alert, the hold and the mail that tells of both, or none of them.
func (t *turn) then(ctx context.Context, r alert.Rule, row *gen.Alert, a alert.Alert, look alert.Look) (bool, error) {
	p, blames, err := blame(ctx, t.tx.Queries, r, *row, a, look)
	if err != nil || !blames {
		return false, err
	}
	var args map[string]string
	if err := json.Unmarshal([]byte(row.Args), &args); err != nil {
		return false, fmt.Errorf("read its arguments: %w", err)
	}
	m, err := t.member(ctx, row.Device)
	if err != nil {
		return false, err
	}
	row.Campaign, row.Ring = p.Campaign, p.Ring
	because := r.Because(m.Name, a, args)
	if r.Then == alert.OpenIncident {
		row.DidID, err = t.open(ctx, r, *row, m.Name, because)
	} else {
		row.DidID, err = t.hold(ctx, r, *row, because.String())
	}
	if err != nil {
		return false, err
	}
	row.Did, row.DidUs = string(r.Then), t.now.UnixMicro()
	t.note(*row, byRule, register.AlertActed, map[string]any{"do": row.Did, "id": row.DidID, "why": because.String()})
	return true, nil
}

// hold stops the ring, or the device. Devices that suffer of the same share one
// hold: who lifts it has read why, and lifts it once.
func (t *turn) hold(ctx context.Context, r alert.Rule, row gen.Alert, why string) (string, error) {
	ask := campaign.PlaceHold{Campaign: row.Campaign, Ring: row.Ring, Reason: why}
	if r.Then == alert.HoldDevice {
		ask.Ring, ask.Device = "", fleet.DeviceID(row.Device)
	}
	known, err := t.tx.HoldOfRule(ctx, gen.HoldOfRuleParams{Tenant: row.Tenant, Rule: row.Rule, Campaign: row.Campaign, Ring: ask.Ring, Device: string(ask.Device)})
	if err != nil {
		return "", fmt.Errorf("read the holds of the rule: %w", err)
	}
	if len(known) > 0 {
		return known[0], nil
	}
	id, done, err := t.HoldIn(ctx, t.tx, t.tenant, byRule, ask)
	if err != nil {
		return "", fmt.Errorf("hold ring %s: %w", row.Ring, err)
	}
	t.after = append(t.after, done)
	return id, nil
}

// open makes one incident for all devices of the ring that suffer of the same.
// It is read by people, and has the words of the tenant's language.
func (t *turn) open(ctx context.Context, r alert.Rule, row gen.Alert, device string, why fault.Reason) (string, error) {
	book, err := t.Book(ctx, t.tenant)
	if err != nil {
		return "", err
	}
	id, done, err := t.OpenIn(ctx, t.tx, t.tenant, byRule, Opening{
		Alert: row.ID, Title: r.Title.In(book.Lang) + " — " + device, Subject: "rule/" + row.Rule + "/" + row.Campaign + "/" + row.Ring, Owner: row.Who, Incident: campaign.Incident{
			Campaign: row.Campaign, Ring: row.Ring, Device: fleet.DeviceID(row.Device), Severity: r.Grade(), What: t.Words(book.Lang, why),
		},
	})
	if err != nil {
		return "", fmt.Errorf("open an incident: %w", err)
	}
	t.after = append(t.after, done)
	return id, nil
}
