package foresight

import (
	"context"
	"encoding/json"
	"fmt"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/core/rehearsal"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

const fleetPage = 500

// reading folds a fleet into a rehearsal's, page by page: what is kept does not
// grow with the fleet's reports.
type reading struct {
	fleet   *rehearsal.Fleet
	patches map[string]policy.Patch
	offers  map[offerKey]rehearsal.Offer
}

// offerKey is all that tells one device's row of a patch from another's.
type offerKey struct{ patch, state, packages string }

func read(ctx context.Context, r store.Reads, tenant string, plan rehearsal.Plan) (*rehearsal.Fleet, error) {
	rows, err := r.PatchesMissing(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("read the catalogue: %w", err)
	}
	in := reading{fleet: rehearsal.NewFleet(plan), patches: make(map[string]policy.Patch, len(rows)), offers: map[offerKey]rehearsal.Offer{}}
	for _, row := range rows {
		in.patches[row.ID] = store.PatchSubject(row)
	}
	after := ""
	for {
		page, err := r.Recorded(ctx, tenant, after, fleetPage)
		if err != nil {
			return nil, err
		}
		if len(page.Devices) == 0 {
			return in.fleet, nil
		}
		software := map[string]map[string]string{}
		if plan.Rules.Policies.AskSoftware() {
			if software, err = r.Software(ctx, tenant, page.IDs()); err != nil {
				return nil, err
			}
		}
		for _, d := range page.Devices {
			if err := in.add(d, page, software[d.ID]); err != nil {
				return nil, fmt.Errorf("device %s: %w", d.ID, err)
			}
			after = d.ID
		}
	}
}

func (in *reading) add(d gen.RecordedAfterRow, page store.RecordedPage, software map[string]string) error {
	subject, err := store.Subject(gen.Device{ID: d.ID, Name: d.Name, Kind: d.Kind, Tags: d.Tags}, page.Groups[d.ID], d.Traits, software)
	if err != nil {
		return err
	}
	cause, err := store.ReasonFrom(d.ScanCause)
	if err != nil {
		return err
	}
	seen := rehearsal.Seen{
		Device: subject, ID: fleet.DeviceID(d.ID), LastSeen: store.Instant(d.SeenUs), Scanned: d.ScanUs > 0,
		Scan: wire.ScanStatus(d.ScanStatus), ScanWhy: string(cause.Code),
	}
	for _, m := range page.Missing[d.ID] {
		offer, err := in.offer(m)
		if err != nil {
			return err
		}
		seen.Missing = append(seen.Missing, rehearsal.Lack{Offer: offer, Exposed: store.Instant(m.ExposedUs)})
	}
	in.fleet.Add(seen)
	return nil
}

func (in *reading) offer(m store.RecordedMissing) (rehearsal.Offer, error) {
	key := offerKey{m.Patch, m.State, m.Packages}
	if known, ok := in.offers[key]; ok {
		return known, nil
	}
	missing := campaign.Missing{ID: patch.ID(m.Patch), State: m.State, Patch: in.patches[m.Patch]}
	if err := json.Unmarshal([]byte(m.Packages), &missing.Packages); err != nil {
		return 0, fmt.Errorf("read packages of %s: %w", m.Patch, err)
	}
	in.offers[key] = in.fleet.Offer(missing)
	return in.offers[key], nil
}
