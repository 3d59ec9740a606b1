package executor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"patchring/internal/core/fault"
	"patchring/wire"
)

// Send sends the packet that wakes a card to a network of this device's own.
type Send func(ctx context.Context, mac net.HardwareAddr, prefix netip.Prefix) error

// Why a neighbour was not woken.
const (
	wakeForbidden = "local_file"
	wakeTooOld    = "too_old"
	wakeTooMany   = "too_many"
	wakeMalformed = "malformed"
	wakeNotSent   = "not_sent"
)

// No fleet needs one device to wake more of its neighbours than this; whoever
// holds the key could flood a network with more.
const (
	mostWakes = 30
	wakesSpan = time.Minute
)

// roused are the neighbours that this device has lately been asked to wake.
type roused struct {
	mu   sync.Mutex
	ids  []string
	sent []time.Duration // by the time since boot
}

// keptWakes is how many ids are remembered: more than can be on their way.
const keptWakes = 256

// first tells whether an id is asked for the first time.
func (r *roused) first(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Contains(r.ids, id) {
		return false
	}
	r.ids = append(r.ids, id)
	r.ids = r.ids[max(0, len(r.ids)-keptWakes):]
	return true
}

// may takes a place among those that may be sent now.
func (r *roused) may(now time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = slices.DeleteFunc(r.sent, func(at time.Duration) bool { return now-at >= wakesSpan })
	if len(r.sent) >= mostWakes {
		return false
	}
	r.sent = append(r.sent, now)
	return true
}

// Rouse wakes a neighbour: once for each id, unless the device's administrator
// forbids it, by a packet to a network of this device only. What came of it is
// spooled.
//
// Crash story: a copy that comes after a restart is sent again, which wakes
// nobody twice.
func (e *Executor) Rouse(ctx context.Context, envelope wire.Envelope) error {
	var ask wire.Wake
	if err := envelope.Open(wire.EnvelopeWake, e.Keys, &ask); err != nil {
		return fmt.Errorf("wake a neighbour: %w", err)
	}
	if ask.Tenant != e.Tenant || ask.Device != e.Device {
		return fmt.Errorf("wake a neighbour: it is asked of device %s of %s", ask.Device, ask.Tenant)
	}
	if !e.roused.first(ask.ID) {
		return nil
	}
	event := wire.Event{AtUS: us(e.Now()), Kind: wire.EventWoke, Woke: &wire.Woke{ID: ask.ID, Sent: true}}
	if refused := e.rouse(ctx, ask); refused != nil {
		e.Log.Warn("neighbour not woken", "err", refused)
		event.Woke.Sent, event.Cause = false, causeOf(reasonOf(refused))
	} else {
		e.Log.Info("neighbour woken", "mac", ask.MAC, "prefix", ask.Prefix)
	}
	if err := e.Journal.Append(event); err != nil {
		return fmt.Errorf("spool what came of waking a neighbour: %w", err)
	}
	e.Changed()
	return nil
}

// rouse sends the packet, or says why it does not.
func (e *Executor) rouse(ctx context.Context, ask wire.Wake) error {
	no := func(why string, err error) error { return fault.New(fault.WakeRefused, "why", why).Wrap(err) }
	rules, err := e.Local()
	if err != nil || rules.NeverWake || e.Send == nil {
		return no(wakeForbidden, err) // what a file forbids that cannot be read is not known
	}
	mac, err := net.ParseMAC(ask.MAC)
	if err != nil {
		return no(wakeMalformed, err)
	}
	prefix, err := netip.ParsePrefix(ask.Prefix)
	if err != nil {
		return no(wakeMalformed, err)
	}
	if e.Now().After(time.UnixMicro(ask.ExpiresUS)) {
		return no(wakeTooOld, nil)
	}
	if !e.roused.may(e.Uptime()) {
		return no(wakeTooMany, nil)
	}
	if err := e.Send(ctx, mac, prefix); err != nil {
		return no(wakeNotSent, err)
	}
	return nil
}
