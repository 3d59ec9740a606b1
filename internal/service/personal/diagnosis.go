package personal

import (
	"context"
	"encoding/json"
	"fmt"

	"patchring/internal/core/fault"
	"patchring/internal/core/incident"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// diagnose keeps, with what was said, what is known of the device now. Each part
// is bounded; one that is not there is left out.
func (o *Office) diagnose(ctx context.Context, tx *store.Tx, f gen.Feedback) error {
	d := incident.Diagnosis{At: o.Clock().UTC(), Patches: []incident.PatchOn{}, Events: []incident.EventOn{}, Probes: []incident.ProbeOn{}}
	for _, part := range []func(context.Context, *store.Tx, gen.Feedback, *incident.Diagnosis) error{patchesOn, eventsOn, probesOn, sampleOf} {
		if err := part(ctx, tx, f, &d); err != nil {
			return err
		}
	}
	body, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("encode the diagnosis: %w", err)
	}
	if err := tx.PutFeedbackDiagnosis(ctx, gen.PutFeedbackDiagnosisParams{Tenant: f.Tenant, Feedback: f.ID, Body: string(body), AtUs: d.At.UnixMicro()}); err != nil {
		return fmt.Errorf("keep the diagnosis: %w", err)
	}
	return nil
}

func patchesOn(ctx context.Context, tx *store.Tx, f gen.Feedback, d *incident.Diagnosis) error {
	rows, err := tx.ItemsForDiagnosis(ctx, gen.ItemsForDiagnosisParams{Tenant: f.Tenant, Campaign: f.Campaign, Device: f.Device, Max: incident.MostPatches})
	if err != nil {
		return fmt.Errorf("read the campaign's patches on %s: %w", f.Device, err)
	}
	for _, r := range rows {
		p := incident.PatchOn{ID: r.Item, Name: r.Name, Version: r.Version, State: r.State, Updated: store.Instant(r.UpdatedUs).UTC(), Packages: []wire.Change{}}
		if err := json.Unmarshal([]byte(r.Packages), &p.Packages); err != nil {
			return fmt.Errorf("read packages of %s on %s: %w", r.Item, f.Device, err)
		}
		if p.Reason, err = reasonIn(r.Reason); err != nil {
			return err
		}
		d.Patches = append(d.Patches, p)
	}
	return nil
}

func eventsOn(ctx context.Context, tx *store.Tx, f gen.Feedback, d *incident.Diagnosis) error {
	rows, err := tx.DeviceEntries(ctx, gen.DeviceEntriesParams{Tenant: f.Tenant, Device: f.Device, Max: incident.MostEvents})
	if err != nil {
		return fmt.Errorf("read the register of %s: %w", f.Device, err)
	}
	for _, raw := range rows {
		e, err := register.Decode(raw)
		if err != nil {
			return fmt.Errorf("read an entry of %s: %w", f.Device, err)
		}
		event := incident.EventOn{At: store.Instant(e.AtUS).UTC(), Kind: string(e.Kind), Patch: e.Patch}
		if !e.Reason.IsZero() {
			event.Reason = &e.Reason
		}
		d.Events = append(d.Events, event)
	}
	return nil
}

func probesOn(ctx context.Context, tx *store.Tx, f gen.Feedback, d *incident.Diagnosis) error {
	rows, err := tx.ProbesOfDevice(ctx, f.Tenant, f.Device)
	if err != nil {
		return fmt.Errorf("read the probes of %s: %w", f.Device, err)
	}
	for _, r := range rows[:min(incident.MostProbes, len(rows))] {
		p := incident.ProbeOn{Name: r.Name, State: r.State, Since: store.Instant(r.SinceUs).UTC()}
		if p.Cause, err = reasonIn(r.Cause); err != nil {
			return err
		}
		d.Probes = append(d.Probes, p)
	}
	return nil
}

func sampleOf(ctx context.Context, tx *store.Tx, f gen.Feedback, d *incident.Diagnosis) error {
	rows, err := tx.DeviceSample(ctx, f.Tenant, f.Device)
	if err != nil || len(rows) == 0 || rows[0].AtUs == 0 {
		return err
	}
	var s wire.Sample
	if err := json.Unmarshal([]byte(rows[0].Body), &s); err != nil {
		return fmt.Errorf("read the last sample of %s: %w", f.Device, err)
	}
	d.Sample = &s
	return nil
}

// reasonIn reads a column that holds a reason; empty is none.
func reasonIn(text string) (*fault.Reason, error) {
	var r fault.Reason
	if text == "" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return nil, fmt.Errorf("read a reason: %w", err)
	}
	if r.IsZero() {
		return nil, nil
	}
	return &r, nil
}
