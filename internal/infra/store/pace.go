package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/pace"
	"patchring/internal/core/patch"
	"patchring/internal/infra/store/gen"
)

// AddPace adds a sample to those of a patch on a model, and keeps what they show.
func (tx *Tx) AddPace(ctx context.Context, tenant string, key pace.Key, s pace.Sample, atUS int64) error {
	texts, err := tx.PaceSamples(ctx, gen.PaceSamplesParams{Tenant: tenant, Patch: string(key.Patch), Model: key.Model})
	if err != nil {
		return fmt.Errorf("read how long %s took: %w", key.Patch, err)
	}
	var before []pace.Sample
	if len(texts) > 0 {
		if err := json.Unmarshal([]byte(texts[0]), &before); err != nil {
			return fmt.Errorf("read how long %s took: %w", key.Patch, err)
		}
	}
	list := pace.Add(before, s)
	if len(list) == 0 {
		return nil
	}
	text, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("encode how long %s took: %w", key.Patch, err)
	}
	need := pace.Of(list)
	err = tx.PutPace(ctx, gen.PutPaceParams{
		Tenant: tenant, Patch: string(key.Patch), Model: key.Model, Samples: string(text), Count: int64(len(list)),
		DownloadMs: need.Download.Milliseconds(), InstallMs: need.Install.Milliseconds(), RebootMs: need.Reboot.Milliseconds(), UpdatedUs: atUS,
	})
	if err != nil {
		return fmt.Errorf("keep how long %s took: %w", key.Patch, err)
	}
	return nil
}

// Pace is what is known of the content of a campaign.
func (r Reads) Pace(ctx context.Context, tenant, campaign string) (pace.Learned, error) {
	rows, err := r.PaceOfCampaign(ctx, tenant, campaign)
	if err != nil {
		return nil, fmt.Errorf("read how long installs take: %w", err)
	}
	out := make(pace.Learned, len(rows))
	for _, p := range rows {
		out[pace.Key{Patch: patch.ID(p.Patch), Model: p.Model}] = Needs(p.DownloadMs, p.InstallMs, p.RebootMs)
	}
	return out, nil
}

// Reboots is how long a model takes to reboot, with all models under "".
func (r Reads) Reboots(ctx context.Context, tenant string) (pace.Learned, error) {
	rows, err := r.PaceOfPatch(ctx, tenant, "")
	if err != nil {
		return nil, fmt.Errorf("read how long reboots take: %w", err)
	}
	out := make(pace.Learned, len(rows))
	for _, p := range rows {
		out[pace.Key{Model: p.Model}] = Needs(p.DownloadMs, p.InstallMs, p.RebootMs)
	}
	return out, nil
}

// Needs are times as they are kept.
func Needs(downloadMS, installMS, rebootMS int64) calendar.Needs {
	ms := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	return calendar.Needs{Download: ms(downloadMS), Install: ms(installMS), Reboot: ms(rebootMS)}
}
