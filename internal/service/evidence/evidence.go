// Package evidence watches the rings that have opened: what their devices
// measure since they were patched, how much they are used, which probes say no,
// who did not come back from a restart, what fails and what users complain of.
// It keeps what it sees and has the campaign decided again; it decides nothing:
// gates and the breaker are the conductor's.
//
// Every few seconds it counts what is rare, by indexes that hold only that. Every
// quarter of an hour it counts hours of use of devices that are not proven yet.
// Measures are judged when twice the time has gone by, or twice as many devices
// are patched, as at the look before: some ten looks a ring, each of at most
// MostPatched and MostOthers devices. Several servers may run one each: the same
// is seen twice, and kept once.
//
// Run belongs to one goroutine; Step is for it and for tests.
package evidence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/health"
	"patchring/internal/core/procedure"
	"patchring/internal/core/suspect"
	"patchring/internal/infra/rounds"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Options of an observer of rings.
type Options struct {
	DB    *store.DB
	Clock func() time.Time
	Log   *slog.Logger
	// Touched makes the conductor decide what was touched.
	Touched func()
}

// Evidence of all tenants' campaigns.
type Evidence struct {
	Options
	procedures map[string]procedure.Procedure // parsed, by tenant, name and version; Step's goroutine only
}

// New makes one; Run starts it.
func New(o Options) *Evidence {
	return &Evidence{Options: o, procedures: map[string]procedure.Procedure{}}
}

const (
	// every is how often what is rare is counted: a hold follows within seconds.
	every = 5 * time.Second
	// proofEvery is how often hours of use are counted again.
	proofEvery = 15 * time.Minute
)

// Run looks again and again until ctx ends.
func (e *Evidence) Run(ctx context.Context) error {
	return rounds.Every(ctx, every, e.Log, "look at rings", e.Step)
}

// Step looks at every opened ring once. One that cannot be looked at keeps no
// other from being held.
func (e *Evidence) Step(ctx context.Context) error {
	tenants, err := e.DB.Read().Tenants(ctx)
	if err != nil {
		return fmt.Errorf("read tenants: %w", err)
	}
	var errs []error
	for _, t := range tenants {
		rings, err := e.DB.Read().OpenedRings(ctx, t.ID)
		if err != nil {
			errs = append(errs, fmt.Errorf("read rings of %s: %w", t.ID, err))
		}
		for _, r := range rings {
			if err := e.ring(ctx, r); err != nil {
				errs = append(errs, fmt.Errorf("ring %s of campaign %s: %w", r.CampaignRing.Ring, r.CampaignRing.Campaign, err))
			}
		}
	}
	return errors.Join(errs...)
}

// watched is one ring while it is looked at.
type watched struct {
	gen.CampaignRing
	rule   procedure.Ring
	zone   *time.Location
	reboot time.Duration // after which a device counts as not back
	now    time.Time
	row    gen.RingEvidence
	seen   campaign.Seen
	health health.Health
	shared []suspect.Suspect
	down   map[string]int64 // services that stopped since the install, by device
	gone   []string         // devices that were patched, and are no longer
}

func (e *Evidence) ring(ctx context.Context, r gen.OpenedRingsRow) error {
	p, err := e.procedure(ctx, r)
	if err != nil {
		return err
	}
	w := watched{CampaignRing: r.CampaignRing, rule: p.Rings[r.CampaignRing.Position], zone: p.Zone, reboot: p.BreakerOf(int(r.CampaignRing.Position)).UnreachableAfter, now: e.Clock()}
	var fresh []gen.DeviceEvidence
	err = e.DB.Snapshot(ctx, func(reads store.Reads) (err error) {
		if err = w.load(ctx, reads); err != nil {
			return err
		}
		if err := w.signals(ctx, reads); err != nil {
			return err
		}
		fresh, err = w.prove(ctx, reads)
		if err != nil {
			return err
		}
		return w.look(ctx, reads)
	})
	if err != nil {
		return err
	}
	return e.keep(ctx, &w, fresh)
}

func (e *Evidence) procedure(ctx context.Context, r gen.OpenedRingsRow) (procedure.Procedure, error) {
	key := fmt.Sprintf("%s\x00%s\x00%d", r.CampaignRing.Tenant, r.ProcedureName, r.ProcedureVersion)
	if p, ok := e.procedures[key]; ok {
		return p, nil
	}
	row, err := e.DB.Read().ProcedureVersion(ctx, gen.ProcedureVersionParams{Tenant: r.CampaignRing.Tenant, Name: r.ProcedureName, Version: r.ProcedureVersion})
	if err != nil {
		return procedure.Procedure{}, fmt.Errorf("read procedure %s: %w", r.ProcedureName, err)
	}
	p, err := procedure.Parse(r.ProcedureName, []byte(row.Body))
	if err != nil {
		return p, fmt.Errorf("parse procedure %s: %w", r.ProcedureName, err)
	}
	e.procedures[key] = p
	return p, nil
}

// load reads what was known before.
func (w *watched) load(ctx context.Context, r store.Reads) error {
	w.row = gen.RingEvidence{Tenant: w.Tenant, Campaign: w.Campaign, Amendment: w.Amendment, Position: w.Position}
	rows, err := r.RingEvidence(ctx, w.Tenant, w.Campaign)
	if err != nil {
		return fmt.Errorf("read evidence: %w", err)
	}
	for _, row := range rows {
		if row.Amendment != w.Amendment || row.Position != w.Position {
			continue
		}
		w.row = row
		if err := json.Unmarshal([]byte(row.Seen), &w.seen); err != nil {
			return fmt.Errorf("read what was seen: %w", err)
		}
		if err := json.Unmarshal([]byte(row.Health), &w.health); err != nil {
			return fmt.Errorf("read health: %w", err)
		}
		if err := json.Unmarshal([]byte(row.Shared), &w.shared); err != nil {
			return fmt.Errorf("read suspects: %w", err)
		}
	}
	return nil
}

// keep writes what changed, and has the campaign decided again where it may
// matter. Crash story: before the commit nothing was seen, and the next step
// sees it again; after it the campaign is due.
func (e *Evidence) keep(ctx context.Context, w *watched, fresh []gen.DeviceEvidence) error {
	before := w.row
	w.seen.Looked = true
	for _, part := range []struct {
		to   *string
		from any
	}{{&w.row.Seen, w.seen}, {&w.row.Health, w.health}, {&w.row.Shared, w.shared}} {
		text, err := json.Marshal(part.from)
		if err != nil {
			return fmt.Errorf("encode evidence: %w", err)
		}
		*part.to = string(text)
	}
	if reflect.DeepEqual(before, w.row) && len(fresh)+len(w.gone) == 0 {
		return nil
	}
	w.row.UpdatedUs = w.now.UnixMicro()
	err := e.DB.Write(ctx, func(tx *store.Tx) error {
		for _, d := range fresh {
			if err := tx.PutDeviceEvidence(ctx, gen.PutDeviceEvidenceParams(d)); err != nil {
				return fmt.Errorf("keep evidence of device %s: %w", d.Device, err)
			}
		}
		for _, device := range w.gone {
			gone := gen.DropDeviceEvidenceParams{Tenant: w.Tenant, Campaign: w.Campaign, Amendment: w.Amendment, Device: device}
			if err := tx.DropDeviceEvidence(ctx, gone); err != nil {
				return fmt.Errorf("drop evidence of device %s: %w", device, err)
			}
		}
		if err := tx.PutRingEvidence(ctx, gen.PutRingEvidenceParams(w.row)); err != nil {
			return fmt.Errorf("keep evidence: %w", err)
		}
		if before.Seen == w.row.Seen {
			return nil
		}
		return tx.TouchCampaign(ctx, w.Tenant, w.Campaign)
	})
	if err != nil {
		return err
	}
	if before.Seen != w.row.Seen {
		e.Touched()
	}
	return nil
}
