package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"

	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// maxNetworks bounds what is kept of a device: one with more routes for others.
const maxNetworks = 16

// keepNetworks replaces the IPv4 networks that a device is in. What cannot be
// read names no network.
func keepNetworks(ctx context.Context, tx *store.Tx, d gen.Device, interfaces []wire.Interface) error {
	if err := tx.DropNetworks(ctx, d.Tenant, d.ID); err != nil {
		return fmt.Errorf("drop old networks: %w", err)
	}
	kept := 0
	for _, i := range interfaces {
		mac, err := net.ParseMAC(i.MAC)
		if err != nil || len(mac) != 6 {
			continue
		}
		for _, address := range i.Addresses {
			prefix, err := netip.ParsePrefix(address)
			if err != nil || !prefix.Addr().Is4() || prefix.Bits() < 8 || prefix.Bits() > 30 || kept == maxNetworks {
				continue
			}
			kept++
			if err := tx.AddNetwork(ctx, gen.AddNetworkParams{
				Tenant: d.Tenant, Device: d.ID, Mac: mac.String(), Prefix: prefix.Masked().String(), Armed: bit(i.Wakes),
			}); err != nil {
				return fmt.Errorf("keep network %s: %w", prefix, err)
			}
		}
	}
	return nil
}

// fillWakes sends the neighbours that the agent is to wake and has told nothing of.
func (g *Gateway) fillWakes(ctx context.Context, tx *store.Tx, d gen.Device, m wire.Checkin, reply *wire.CheckinReply) error {
	if m.Capability < wire.CapabilityWake {
		return nil
	}
	open, err := tx.OpenWakeAsks(ctx, gen.OpenWakeAsksParams{Tenant: d.Tenant, Neighbour: d.ID, NowUs: g.nowUS()})
	if err != nil {
		return fmt.Errorf("read whom %s is to wake: %w", d.ID, err)
	}
	for _, a := range open {
		var envelope wire.Envelope
		if err := json.Unmarshal([]byte(a.Envelope), &envelope); err != nil {
			return fmt.Errorf("read asking %s: %w", a.ID, err)
		}
		reply.Wake = append(reply.Wake, envelope)
	}
	return nil
}

// woke is what came of waking a neighbour. A device can tell only of what it was
// asked; anything else is kept in the register and changes nothing.
func (g *Gateway) woke(ctx context.Context, tx *store.Tx, d gen.Device, e wire.Event) error {
	if e.Woke == nil {
		g.recordEvent(tx, d, e)
		return nil
	}
	id := wire.Clean(e.Woke.ID, 64)
	ask, err := tx.WakeAsk(ctx, gen.WakeAskParams{Tenant: d.Tenant, ID: id, Neighbour: d.ID})
	if store.IsNone(err) {
		g.recordEvent(tx, d, e)
		return nil
	}
	if err != nil {
		return fmt.Errorf("read asking %s: %w", id, err)
	}
	state := "sent"
	if !e.Woke.Sent {
		state = "refused"
	}
	cause, err := causeText(e.Cause)
	if err != nil {
		return err
	}
	ended, err := tx.EndWakeAsk(ctx, gen.EndWakeAskParams{Tenant: d.Tenant, ID: id, Neighbour: d.ID, State: state, Cause: cause})
	if err != nil || ended == 0 {
		return err
	}
	entry := register.Entry{
		Tenant: d.Tenant, AtUS: g.nowUS(), Actor: register.Agent(d.ID), Kind: register.WakeSent, Device: ask.Device,
		Detail: map[string]any{"ask": id, "neighbour": d.ID, "sent": e.Woke.Sent},
	}
	if e.Cause != nil {
		entry.Reason = reasonOf(e.Cause)
	}
	tx.Record(entry)
	return nil
}
