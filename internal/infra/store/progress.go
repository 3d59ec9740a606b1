package store

import (
	"encoding/json"
	"fmt"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// Progress reads an item's row as core/campaign decides on it.
func Progress(i gen.CampaignDeviceItem) (campaign.Progress, error) {
	p := campaign.Progress{
		Item: patch.ID(i.Item), State: patch.State(i.State), Attempts: int(i.Attempts), NoEffects: int(i.NoEffects),
		Rollback: i.Rollback == 1, Next: Instant(i.NextUs), Updated: Instant(i.UpdatedUs),
	}
	p.Rehearsal = campaign.Rehearsal{
		Stage: campaign.RehearsalStage(i.Rehearsal), Back: time.Duration(i.RehearsalBackUs) * time.Microsecond, Again: time.Duration(i.RehearsalAgainUs) * time.Microsecond,
	}
	var err error
	if p.Reason, err = ReasonFrom(i.Reason); err != nil {
		return p, err
	}
	if p.Rehearsal.Why, err = ReasonFrom(i.RehearsalWhy); err != nil {
		return p, err
	}
	if err := json.Unmarshal([]byte(i.Packages), &p.Packages); err != nil {
		return p, fmt.Errorf("read packages of item %s: %w", i.Item, err)
	}
	return p, nil
}

// deviceItem is the row of an item's progress; of names its place.
func deviceItem(of gen.CampaignDevice, p campaign.Progress) (gen.PutDeviceItemParams, error) {
	reason, err := ReasonText(p.Reason)
	if err != nil {
		return gen.PutDeviceItemParams{}, err
	}
	why, err := ReasonText(p.Rehearsal.Why)
	if err != nil {
		return gen.PutDeviceItemParams{}, err
	}
	if p.Packages == nil {
		p.Packages = []wire.Change{}
	}
	packages, err := json.Marshal(p.Packages)
	if err != nil {
		return gen.PutDeviceItemParams{}, fmt.Errorf("encode packages of item %s: %w", p.Item, err)
	}
	rollback := int64(0)
	if p.Rollback {
		rollback = 1
	}
	return gen.PutDeviceItemParams{
		Tenant: of.Tenant, Campaign: of.Campaign, Device: of.Device, Item: string(p.Item), Amendment: of.Amendment,
		State: string(p.State), Reason: reason, Attempts: int64(p.Attempts), NoEffects: int64(p.NoEffects), Rollback: rollback,
		Packages: string(packages), NextUs: Micros(p.Next), UpdatedUs: Micros(p.Updated), RollbackImpossible: rollbackImpossible(p),
		Rehearsal: string(p.Rehearsal.Stage), RehearsalBackUs: p.Rehearsal.Back.Microseconds(), RehearsalAgainUs: p.Rehearsal.Again.Microseconds(), RehearsalWhy: why,
	}, nil
}

// ReasonText is how a reason is kept: empty for none.
func ReasonText(r fault.Reason) (string, error) {
	if r.IsZero() {
		return "", nil
	}
	text, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("encode reason %s: %w", r.Code, err)
	}
	return string(text), nil
}

// ReasonFrom reads what ReasonText wrote.
func ReasonFrom(text string) (fault.Reason, error) {
	var r fault.Reason
	if text == "" {
		return r, nil
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return r, fmt.Errorf("read reason %q: %w", text, err)
	}
	return r, nil
}

// Instant reads a stored time; 0 is none.
func Instant(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// Micros is how a time is kept; none is 0.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}
