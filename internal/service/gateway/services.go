package gateway

import (
	"context"
	"fmt"
	"slices"

	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// keepServices keeps which services a device says are down, and gives when it
// looked. What it does not name runs, or is not asked to run any more. Nothing
// is written while it names the same ones.
//
// A list that is full says nothing of what it does not name: what it names anew
// was not seen running.
func keepServices(ctx context.Context, tx *store.Tx, d gen.Device, before gen.HeardRow, now look) (heardUS int64, err error) {
	last := before.DeviceSample.ServicesUs
	if now.atUS <= last {
		return last, nil
	}
	if len(now.down) == 0 && before.Down == 0 {
		return now.atUS, nil // the usual case
	}
	rows, err := tx.ServicesOfDevice(ctx, d.Tenant, d.ID)
	if err != nil {
		return 0, fmt.Errorf("read services of %s: %w", d.ID, err)
	}
	if len(rows) >= wire.MaxDown {
		last = 0
	}
	for _, name := range now.down {
		row := gen.ServiceDown{Tenant: d.Tenant, Device: d.ID, Name: name, UpUs: last, SinceUs: now.atUS, BootID: now.boot, BootUs: now.atUS}
		if i := slices.IndexFunc(rows, func(r gen.ServiceDown) bool { return r.Name == name }); i >= 0 {
			if rows[i].BootID == now.boot {
				continue
			}
			row.UpUs, row.SinceUs = rows[i].UpUs, rows[i].SinceUs
		}
		if err := tx.PutServiceDown(ctx, gen.PutServiceDownParams(row)); err != nil {
			return 0, fmt.Errorf("keep service %s of %s: %w", name, d.ID, err)
		}
	}
	for _, r := range rows {
		if slices.Contains(now.down, r.Name) {
			continue
		}
		if err := tx.DropServiceDown(ctx, gen.DropServiceDownParams{Tenant: d.Tenant, Device: d.ID, Name: r.Name}); err != nil {
			return 0, fmt.Errorf("drop service %s of %s: %w", r.Name, d.ID, err)
		}
	}
	return now.atUS, nil
}

// look is one look of a device at its services.
type look struct {
	atUS int64 // by our clock
	boot string
	down []string
}

// lookOf is when the values of a report were read, and what was down then; ok
// is false where the agent could not ask.
func (g *Gateway) lookOf(m wire.MeasuresReport, s *wire.Sample) (l look, ok bool) {
	if s == nil {
		return l, false
	}
	_, asked := s.Values[wire.MeasureUnits]
	l = look{atUS: s.AtUS, boot: wire.Clean(m.BootID, 64)}
	if m.Sample.ReadUS > 0 {
		l.atUS = g.serverTime(m.Sample.ReadUS, m.NowUS)
	}
	for _, name := range s.Down {
		if name != "" && !slices.Contains(l.down, name) {
			l.down = append(l.down, name)
		}
	}
	return l, asked
}
