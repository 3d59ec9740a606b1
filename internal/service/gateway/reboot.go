package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// maxSignals bounds what is kept of a device's signals.
const maxSignals = 16

// keepSignals keeps why a device needs a reboot, and how many boots that has
// outlived.
func (g *Gateway) keepSignals(ctx context.Context, tx *store.Tx, d gen.Device, f wire.Facts) error {
	if len(f.RebootSignals) == 0 {
		err := tx.ClearRebootSignals(ctx, gen.ClearRebootSignalsParams{Tenant: d.Tenant, Device: d.ID, ClearedUs: g.nowUS()})
		if err != nil {
			return fmt.Errorf("clear reboot signals of %s: %w", d.ID, err)
		}
		return nil
	}
	all, err := json.Marshal(f.RebootSignals)
	if err != nil {
		return fmt.Errorf("encode reboot signals: %w", err)
	}
	names := []string{}
	for _, s := range f.RebootSignals[:min(len(f.RebootSignals), maxSignals)] {
		names = append(names, wire.Clean(s.Signal, 64))
	}
	text, err := json.Marshal(names)
	if err != nil {
		return fmt.Errorf("encode reboot signals: %w", err)
	}
	digest := sha256.Sum256(all)
	err = tx.PutRebootSignals(ctx, gen.PutRebootSignalsParams{
		Tenant: d.Tenant, Device: d.ID, SinceUs: g.nowUS(), Signal: hex.EncodeToString(digest[:16]), Signals: string(text),
		BootID: wire.Clean(f.BootID, 64),
	})
	if err != nil {
		return fmt.Errorf("keep reboot signals of %s: %w", d.ID, err)
	}
	return nil
}

// rebootEnded keeps how an order to reboot ended. It has no campaign, and no
// item to move.
func (g *Gateway) rebootEnded(ctx context.Context, tx *store.Tx, d gen.Device, row gen.DeviceOrder, e wire.Event) error {
	last, err := causeText(e.Cause)
	if err != nil {
		return err
	}
	err = tx.EndReboot(ctx, gen.EndRebootParams{Tenant: row.Tenant, Device: row.Device, Last: last, LastUs: g.nowUS()})
	if err != nil {
		return fmt.Errorf("keep the end of order %s: %w", row.ID, err)
	}
	detail := map[string]any{}
	if e.Result != nil {
		detail = resultText(*e.Result)
	} else {
		detail["state"] = orderRefused
	}
	detail["order"], detail["kind"] = row.ID, row.Kind
	g.record(tx, d, e, register.OrderResult, "", detail)
	return nil
}

// pendingChanged notes a device that has begun to say that it needs a reboot.
func (g *Gateway) pendingChanged(ctx context.Context, tx *store.Tx, d gen.Device, pending bool) error {
	if !pending || d.RebootPending == 1 {
		return nil
	}
	if err := tx.WantReboot(ctx, gen.WantRebootParams{Tenant: d.Tenant, Device: d.ID, SinceUs: g.nowUS()}); err != nil {
		return fmt.Errorf("note that %s needs a reboot: %w", d.ID, err)
	}
	return nil
}

func isReboot(row gen.DeviceOrder) bool { return wire.OrderKind(row.Kind) == wire.OrderReboot }
