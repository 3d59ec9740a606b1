// Package executor carries out orders: it judges the signed envelopes that
// arrive, decides again on the device whether and when each may act, and walks
// an order through its steps with the next one on disk before it is entered.
//
// It refuses an order that is forged, for another device, older than one it
// has, expired, or carried by a register that does not extend the one it
// remembers, unless that one says that it was restored from a backup; it starts no install and asks for no reboot outside a window,
// under a hold, against the device's local file, or while its clock cannot be
// believed. What the network says can only narrow what the local file allows.
//
// One thing happens outside windows on purpose: after a crash in the middle of
// a package transaction, the package manager is made whole again at once.
// That ends what was begun inside a window; it installs nothing more.
//
// Recovery is the normal path: Tick reads where each order stands from the
// journal and goes on from there, whether the last Tick was a moment or a
// power cut ago. Seeing an order in its install step means that it was
// interrupted there.
//
// Run belongs to one goroutine. The other methods are safe from any.
package executor

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/executor/local"
	"patchring/internal/endpoint/journal"
	"patchring/internal/endpoint/provider"
	"patchring/wire"
)

// Journal is the part of journal.Journal that orders need. It is an interface
// so that tests can make each durable write fail, stored or not.
type Journal interface {
	Orders() ([]journal.Order, error)
	Order(serial int64) (journal.Order, error)
	Keep(order journal.Order, supersede func(*journal.Order) bool, events ...wire.Event) error
	Update(serial int64, change func(*journal.Tx, *journal.Order) error) error
	Drop(serials ...int64) error
	Append(events ...wire.Event) error
	ResultPending(order string) (bool, error)
	Holds() (wire.Holds, error)
	SetHolds(wire.Holds) (bool, error)
	Checkpoints() ([]string, error)
	AddCheckpoint(signed string) error
	Abandon(signed string, old journal.Abandoned, event wire.Event) error
	Boots() ([]int64, error)
	Anchor() (journal.Anchor, error)
	SetAnchor(journal.Anchor) error
	Room() error
}

// Options are the executor's world, all of it.
type Options struct {
	Tenant, Device string
	Keys           []wire.Key // pinned at enrolment
	RegisterKey    string     // verifies the register's checkpoints; empty: none are expected

	Journal   Journal
	Providers map[string]provider.Provider
	// Busy is held while a provider is used, by whoever uses one.
	Busy sync.Locker

	Now    func() time.Time // the wall clock, in the device's own zone
	Uptime func() time.Duration
	BootID func() (string, error)

	Local   func() (local.Rules, error) // the administrator's own file
	Disk    func() error                // disk_full when there is too little room to act
	Hooks   func(ctx context.Context, phase local.Phase, order wire.Order) error
	Signals func(ctx context.Context) ([]wire.RebootSignal, error) // live reasons to reboot; called with Busy held
	Reboot  func(ctx context.Context) error                        // asks for it and returns

	// The desktops of the device; nil on one that has none. Present is asked only
	// for orders with terms for people, Show replaces what they are told and
	// returns at once.
	Present func(ctx context.Context) (Presence, error)
	Show    func([]Announcement)

	CleanUp CleanUp // nil: this device cannot be cleaned up
	Send    Send    // the packet that wakes a neighbour; nil: this device wakes none

	Prober Prober // nil: this device has no probes

	Changed func() // events were spooled, or an order moved
	Ended   func() // an order is done: what a scan knows is old
	Log     *slog.Logger
}

// Prober makes the device's probes once an order has changed the device.
type Prober interface {
	Any() bool
	// All makes each probe now and answers what they found; one that was up before
	// since may take its time to come up again. Nothing when ctx ended.
	All(ctx context.Context, since time.Time) []wire.ProbeState
}

// Executor carries out orders.
type Executor struct {
	Options
	clock clock
	wake  chan struct{}
	doing atomic.Pointer[string]

	roused roused

	telling []Announcement // what this look tells people; of Tick alone

	mu        sync.Mutex        // guards the rest
	refused   map[string]string // what was last said of an order that was refused
	announced []Announcement    // what people are told
}

// New makes an executor. It reads nothing yet.
func New(o Options) *Executor {
	if o.Present == nil {
		o.Present = func(context.Context) (Presence, error) { return Presence{}, nil }
	}
	if o.Show == nil {
		o.Show = func([]Announcement) {}
	}
	return &Executor{Options: o, wake: make(chan struct{}, 1), refused: map[string]string{}}
}

// How long Run sleeps at most. Windows are wall-clock instants and timers do
// not count the time a device is suspended, so a busy executor looks often.
const (
	longestNap = time.Minute
	idleNap    = 10 * time.Minute
	errorNap   = 10 * time.Second
)

// Run carries out orders until ctx ends. It returns in the middle of nothing:
// a package transaction that has begun is waited for.
func (e *Executor) Run(ctx context.Context) error {
	if err := e.trustClockAtStart(); err != nil {
		return err
	}
	for ctx.Err() == nil {
		nap, err := e.Tick(ctx)
		if err != nil && ctx.Err() == nil {
			// The journal or this very program failed: what is on disk is read
			// again, as after a crash.
			e.Log.Error("order not advanced", "err", err)
			nap = errorNap
		}
		timer := time.NewTimer(nap)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-e.wake:
		}
		timer.Stop()
	}
	return nil
}

// Wake makes Run look at everything again.
func (e *Executor) Wake() {
	select {
	case e.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// Doing says what is being done now, for people; empty is nothing.
func (e *Executor) Doing() string {
	if s := e.doing.Load(); s != nil {
		return *s
	}
	return ""
}

// Status lists where each order stands that the server may still ask for.
func (e *Executor) Status() ([]wire.OrderStatus, error) {
	kept, err := e.Journal.Orders()
	if err != nil {
		return nil, err
	}
	list := make([]wire.OrderStatus, 0, len(kept))
	for _, o := range kept {
		if e.over(o, tombstone) {
			continue
		}
		list = append(list, wire.OrderStatus{ID: o.Order.ID, Serial: o.Order.Serial, Step: o.Step})
	}
	return list, nil
}

// pause bounds the time until the next look.
func (e *Executor) pause(until time.Time) time.Duration {
	if until.IsZero() {
		return longestNap
	}
	return min(max(until.Sub(e.Now()), time.Second), longestNap)
}

// Backoff after a failure that may pass.
const (
	firstBackoff = time.Minute
	lastBackoff  = 30 * time.Minute
)

// backoff grows with the attempts. Devices spread over a quarter of it, each
// at a place of its own, so that what failed for all is not tried by all at
// once; the same order waits the same time when a test tells it again.
func backoff(device string, attempts int) time.Duration {
	d := lastBackoff
	if attempts < 5 {
		d = min(firstBackoff<<attempts, lastBackoff)
	}
	place := fnv.New32a()
	_, _ = fmt.Fprint(place, device, attempts) // a hash takes everything
	return d + time.Duration(int64(d/4)*int64(place.Sum32())>>32)
}

// reasonOf is what an operator may see of err.
func reasonOf(err error) fault.Reason {
	var known *fault.Error
	if errors.As(err, &known) {
		return known.Reason
	}
	return fault.Because(fault.Internal, "error", wire.Clean(err.Error(), wire.MaxTextBytes))
}

func causeOf(r fault.Reason) *wire.Cause {
	if r.IsZero() {
		return nil
	}
	return &wire.Cause{Code: string(r.Code), Args: r.Args}
}

// rfc is how instants travel in a reason's arguments.
func rfc(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func us(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}
