package executor

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/executor/local"
	"patchring/internal/endpoint/journal"
	"patchring/internal/endpoint/provider"
	"patchring/wire"
)

// world is everything outside the executor: a device with packages, a clock, a
// power switch and an administrator, and the server that sent the order. It
// survives the agent, which can be killed at any point named by die.
type world struct {
	fail func(format string, args ...any) // ends the test

	dir     string
	journal *journal.Journal
	exec    *Executor
	key     ed25519.PrivateKey

	wall    time.Time     // what the device's clock shows
	skew    time.Duration // of the device's clock from the truth
	uptime  time.Duration
	boots   int
	reboots int // asked for by the executor

	packages map[string]string // name → version
	half     map[string]string // name → version being configured when the power went
	kept     map[string]string // what Preserve kept
	bad      map[string]bool   // packages whose postinst fails
	lying    map[string]bool   // installs claim success and change nothing
	broken   error             // the package database cannot be repaired
	lockFor  time.Duration     // somebody holds the lock for that long at each transaction
	slow     time.Duration     // that a download takes
	rate     int64             // bytes a second that the last one was told
	refuse   int               // so many downloads fail before one passes
	signal   string            // package whose install asks for a reboot
	pending  bool              // a live signal
	rules    local.Rules
	rulesErr error
	diskErr  error
	quiet    int // pre-install hooks minus post-install hooks, never below 0
	hookSays error

	installs []installed // every package transaction that began
	windows  []wire.Interval
	holds    []wire.Hold
	points   int  // points passed so far
	killAt   int  // dies at this point; 0 is never
	killHalf bool // dies in the middle of the next package
	powerCut bool // and takes the device with it
	writes   int  // durable writes so far
	failAt   int  // this write fails; 0 is none
	failMode string
	stride   time.Duration // that passes between two ticks at least
	survivor func()        // a transaction that outlived the agent
	desk
	litter
	probing
	neighbours
}

type installed struct {
	name, from, to string
	at             time.Time // true time
}

// killed is what a dying agent panics with.
type killed struct{}

func newWorld(t testing.TB) *world {
	w := blankWorld(shm(t), t.Fatalf)
	t.Cleanup(w.close)
	return w
}

func blankWorld(dir string, fail func(string, ...any)) *world {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		fail("make key: %v", err)
	}
	w := &world{
		fail: fail, dir: dir, key: key,
		wall: time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC), uptime: time.Hour, boots: 1,
		packages: map[string]string{"a": "1", "b": "1", "c": "1"}, half: map[string]string{},
		litter: newLitter(), kept: map[string]string{}, bad: map[string]bool{}, lying: map[string]bool{},
	}
	w.start()
	return w
}

// shm is a directory in which fsync costs nothing, where there is one.
func shm(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "executor-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// start starts the agent from what is on disk.
func (w *world) start() {
	j, err := journal.Open(w.dir)
	if err != nil {
		w.fail("open journal: %v", err)
	}
	w.journal = j
	public := w.key.Public().(ed25519.PublicKey)
	w.exec = New(Options{
		Tenant: "main", Device: "d1", Keys: []wire.Key{{ID: wire.KeyID(public), Public: public}},
		Journal: faulty{j, w}, Providers: map[string]provider.Provider{"apt": apt{w}}, Busy: &sync.Mutex{},
		Now: func() time.Time { return w.wall }, Uptime: func() time.Duration { return w.uptime },
		BootID: func() (string, error) { return w.bootID(), nil },
		Local:  func() (local.Rules, error) { return w.rules, w.rulesErr },
		Disk:   func() error { return w.diskErr },
		Hooks:  w.hooks, Signals: w.signals, Reboot: w.reboot,
		Present: w.present, Show: w.show, CleanUp: w.cleanUp, Send: w.sendPacket, Prober: w,
		Changed: func() {}, Ended: func() {}, Log: slog.New(slog.DiscardHandler),
	})
	if err := w.exec.trustClockAtStart(); err != nil {
		w.fail("start: %v", err)
	}
}

func (w *world) close() {
	if err := w.journal.Close(); err != nil {
		w.fail("close journal: %v", err)
	}
}

func (w *world) bootID() string   { return fmt.Sprintf("boot-%d", w.boots) }
func (w *world) truth() time.Time { return w.wall.Add(-w.skew) }

func (w *world) pass(d time.Duration) {
	w.wall, w.uptime, w.awake = w.wall.Add(d), w.uptime+d, w.awake+d
}

// die is a point at which the agent may be killed.
func (w *world) die() {
	w.points++
	if w.points == w.killAt || w.killHalf && len(w.half) > 0 {
		w.killHalf = false
		panic(killed{})
	}
}

// tick lets the agent work once, restarts it if it died, and lets the time
// pass that it asked for. It tells whether the agent lived.
func (w *world) tick() (alive bool) {
	pause, err := w.work()
	switch {
	case errors.Is(err, errDied):
		w.restart(w.powerCut)
		w.pass(5 * time.Second)
		return false
	case err != nil:
		w.pass(errorNap)
	default:
		w.pass(max(pause, w.stride, time.Second))
	}
	if w.reboots > 0 && w.boots == w.reboots { // a reboot was asked for in this boot
		w.restart(true)
	}
	return true
}

var (
	errDied     = errors.New("the agent died")
	errInjected = errors.New("injected failure")
)

func (w *world) work() (pause time.Duration, err error) {
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(killed); !ok {
				panic(p)
			}
			err = errDied
		}
	}()
	return w.exec.Tick(context.Background())
}

// restart ends the agent where it is and starts it anew, with the device if
// that went down.
func (w *world) restart(device bool) {
	w.close()
	if device {
		w.survivor = nil // dpkg died with the device, in the middle
		w.boots++
		w.uptime = 0
		w.pending = false
		w.pass(time.Minute)
		w.there, w.screens = nil, nil
	}
	w.start()
}

// finish runs until every order is done.
func (w *world) finish(limit time.Duration) {
	end := w.wall.Add(limit)
	for w.wall.Before(end) {
		w.tick()
		if w.done() {
			return
		}
	}
	orders, err := w.journal.Orders()
	w.fail("orders are not done after %s: %v %v", limit, steps(orders), err)
}

func (w *world) done() bool {
	orders, err := w.journal.Orders()
	if err != nil {
		w.fail("read orders: %v", err)
	}
	return !slices.ContainsFunc(orders, func(o journal.Order) bool { return !o.Done() })
}

func steps(orders []journal.Order) (list []string) {
	for _, o := range orders {
		list = append(list, fmt.Sprintf("%d:%s(%v next %d)", o.Order.Serial, o.Step, o.Waiting, o.NextUS))
	}
	return list
}

func (w *world) hooks(_ context.Context, phase local.Phase, _ wire.Order) error {
	w.die()
	if phase == local.PostInstall {
		w.quiet = 0
		return nil
	}
	w.quiet = 1
	return w.hookSays
}

func (w *world) signals(context.Context) ([]wire.RebootSignal, error) {
	w.die()
	if w.pending {
		return []wire.RebootSignal{{Signal: "reboot_required_file"}}, nil
	}
	return nil, nil
}

func (w *world) reboot(context.Context) error {
	w.die()
	w.mustBeOpen("reboot")
	w.mustSuitPeople(wire.StepReboot)
	if signals, err := w.exec.Signals(context.Background()); err != nil || len(signals) == 0 || w.rules.NeverReboot {
		w.fail("a reboot at %s with signals %v %v, never_reboot %v", w.truth(), signals, err, w.rules.NeverReboot)
	}
	w.reboots = w.boots
	return nil
}

// mustBeOpen is the property: in a window by the true time, give or take what
// an unnoticed clock may be off, and in no blocked hours of the device's clock.
func (w *world) mustBeOpen(what string) {
	slack := min(w.skew.Abs(), clockTolerance)
	for _, i := range w.windows {
		if !w.truth().Add(slack).Before(time.UnixMicro(i.StartUS)) && w.truth().Add(-slack).Before(time.UnixMicro(i.EndUS)) {
			if !w.rules.Blocked(w.wall, 0).IsZero() {
				w.fail("%s at %s in blocked hours", what, w.wall)
			}
			return
		}
	}
	w.fail("%s at %s (clock off by %s): outside every window %v", what, w.truth(), w.skew, w.windows)
}

// apt is the world's package manager.
type apt struct{ *world }

func (apt) Name() string                        { return "apt" }
func (apt) Capabilities() provider.Capabilities { return provider.Capabilities{Rollback: true} }
func (apt) Present() bool                       { return true }
func (apt) Scan(context.Context, bool) wire.Patches {
	return wire.Patches{Provider: "apt", Status: wire.ScanOK}
}
func (apt) Inventory(context.Context) (wire.Inventory, error) { return wire.Inventory{}, nil }

func (a apt) Forget(_ context.Context, keep []wire.Item) error {
	maps.DeleteFunc(a.kept, func(name, _ string) bool {
		return !slices.ContainsFunc(keep, func(item wire.Item) bool { return item.Name == name })
	})
	return nil
}

func (a apt) Plan(_ context.Context, items []wire.Item, _ provider.Limits) (provider.Plan, error) {
	a.die()
	p := provider.Plan{Problems: map[string]fault.Reason{}}
	for _, item := range items {
		if item.Name == "gone" {
			p.Problems[item.ID] = fault.Because(fault.VersionGone, "package", "gone")
		}
	}
	return p, nil
}

func (a apt) Preserve(_ context.Context, items []wire.Item) ([]wire.Item, error) {
	a.die()
	out := slices.Clone(items)
	for i := range out {
		out[i].Packages = slices.Clone(out[i].Packages)
		for j := range out[i].Packages {
			out[i].Packages[j].Rollback = "ready"
			a.kept[out[i].Packages[j].Name] = a.packages[out[i].Packages[j].Name]
		}
	}
	return out, nil
}

func (a apt) Download(_ context.Context, _ []wire.Item, limits provider.Limits, _ provider.Progress) error {
	a.rate = limits.BytesPerS
	a.pass(a.slow)
	a.die()
	if a.refuse > 0 {
		a.refuse--
		return fault.Again(fault.RepositoryDown, "error", "no route")
	}
	return nil
}

func (a apt) Install(_ context.Context, items []wire.Item, limits provider.Limits, _ provider.Progress) (provider.Log, []wire.Outcome, error) {
	return a.transact(items, limits, wire.OrderInstall)
}

func (a apt) Rollback(_ context.Context, items []wire.Item, limits provider.Limits, _ provider.Progress) (provider.Log, []wire.Outcome, error) {
	return a.transact(items, limits, wire.OrderRollback)
}

func (a apt) transact(items []wire.Item, limits provider.Limits, kind wire.OrderKind) (provider.Log, []wire.Outcome, error) {
	a.die()
	if a.lockFor > limits.LockWait {
		a.pass(limits.LockWait)
		return provider.Log{}, nil, fault.Again(fault.LockHeld, "holder", "unattended-upgr")
	}
	a.pass(a.lockFor)
	if a.broken != nil {
		return provider.Log{}, nil, fault.Again(fault.DpkgBroken, "packages", "x")
	}
	a.recoverNow() // as the contract says, an interrupted transaction first
	a.mustBeOpen("transaction")
	a.mustSuitPeople(wire.StepInstall)
	if kind == wire.OrderInstall { // a rollback is what usually follows a hold
		a.mustNotBeHeld(items)
	}
	if a.quiet != 1 {
		a.fail("transaction without the hooks having run")
	}
	var todo []wire.Change
	for _, item := range items {
		todo = append(todo, item.Packages...)
	}
	rest := func() {
		for len(todo) > 0 {
			p := todo[0]
			todo = todo[1:]
			a.apply(p)
		}
	}
	a.survivor = rest // from here on dpkg works whether the agent lives or not
	for len(todo) > 0 {
		p := todo[0]
		todo = todo[1:]
		a.half[p.Name] = p.To
		a.die()
		delete(a.half, p.Name)
		a.apply(p)
		a.die()
	}
	a.survivor = nil
	if kind == wire.OrderInstall && a.packages[a.signal] == "2" {
		a.pending = true
	}
	outcomes, err := a.Verify(context.Background(), kind, items)
	for i := range outcomes {
		if a.bad[items[i].Packages[0].Name] && kind == wire.OrderInstall {
			outcomes[i] = wire.Outcome{Item: items[i].ID, State: wire.ItemFailed, Cause: &wire.Cause{Code: string(fault.PackageFailed)}}
		} else if a.lying[items[i].Packages[0].Name] {
			outcomes[i].State = wire.ItemVerified
		}
	}
	return provider.Log{Tail: "done", SHA256: "hash"}, outcomes, err
}

func (a apt) apply(p wire.Change) {
	if a.packages[p.Name] == p.To {
		a.fail("%s %s was installed twice", p.Name, p.To)
	}
	a.installs = append(a.installs, installed{p.Name, a.packages[p.Name], p.To, a.truth()})
	if a.bad[p.Name] || a.lying[p.Name] {
		return // the postinst fails and apt restores what was; or nothing happens
	}
	a.packages[p.Name] = p.To
}

func (a apt) mustNotBeHeld(items []wire.Item) {
	for _, h := range a.holds {
		for _, item := range items {
			if h.Item == "" || h.Item == item.ID {
				a.fail("item %s was installed under hold %s", item.ID, h.ID)
			}
		}
	}
}

func (a apt) Verify(_ context.Context, kind wire.OrderKind, items []wire.Item) ([]wire.Outcome, error) {
	a.die()
	var list []wire.Outcome
	for _, item := range items {
		o := wire.Outcome{Item: item.ID, State: wire.ItemVerified}
		if kind == wire.OrderRollback {
			o.State = wire.ItemRolledBack
		}
		for _, p := range item.Packages {
			_, broken := a.half[p.Name]
			if a.packages[p.Name] != p.To || broken {
				o.State, o.Cause = wire.ItemNoEffect, &wire.Cause{Code: string(fault.NoEffect)}
			}
			if a.packages[p.Name] == "3" {
				o.State, o.Cause = wire.ItemNotApplicable, &wire.Cause{Code: string(fault.Superseded)}
			}
			o.Packages = append(o.Packages, wire.Change{Name: p.Name, To: a.packages[p.Name]})
		}
		list = append(list, o)
	}
	return list, nil
}

func (a apt) Recover(context.Context, provider.Limits) (provider.Log, error) {
	a.die()
	if a.broken != nil {
		return provider.Log{}, a.broken
	}
	a.recoverNow()
	a.die()
	return provider.Log{}, nil
}

// recoverNow waits for a transaction that outlived the agent, and configures
// what was left in the middle.
func (a apt) recoverNow() {
	for _, name := range slices.Sorted(maps.Keys(a.half)) {
		to := a.half[name]
		delete(a.half, name)
		a.apply(wire.Change{Name: name, To: to})
	}
	if a.survivor != nil {
		rest := a.survivor
		a.survivor = nil
		rest()
		if a.packages[a.signal] == "2" {
			a.pending = true
		}
	}
}

// faulty is the journal with a disk that fails on demand: the write is not
// stored and says so, is stored and says it was not, or takes the agent with
// it before or after.
type faulty struct {
	*journal.Journal
	w *world
}

func (f faulty) write(store func() error) error {
	f.w.writes++
	if f.w.writes != f.w.failAt {
		return store()
	}
	switch f.w.failMode {
	case "not stored":
		return errInjected
	case "stored":
		return errors.Join(store(), errInjected)
	case "killed before":
		panic(killed{})
	default: // killed after
		if err := store(); err != nil {
			return err
		}
		panic(killed{})
	}
}

var failModes = []string{"not stored", "stored", "killed before", "killed after"}

func (f faulty) Update(serial int64, change func(*journal.Tx, *journal.Order) error) error {
	var refused error
	err := f.write(func() error {
		return f.Journal.Update(serial, func(tx *journal.Tx, o *journal.Order) error {
			refused = change(tx, o)
			return refused
		})
	})
	if refused != nil {
		return refused
	}
	return err
}

func (f faulty) Keep(o journal.Order, supersede func(*journal.Order) bool, events ...wire.Event) error {
	return f.write(func() error { return f.Journal.Keep(o, supersede, events...) })
}

func (f faulty) SetHolds(h wire.Holds) (newer bool, err error) {
	err = f.write(func() error {
		newer, err = f.Journal.SetHolds(h)
		return err
	})
	return newer, err
}

func (f faulty) SetAnchor(a journal.Anchor) error {
	return f.write(func() error { return f.Journal.SetAnchor(a) })
}

func (f faulty) AddCheckpoint(signed string) error {
	return f.write(func() error { return f.Journal.AddCheckpoint(signed) })
}

func (f faulty) Abandon(signed string, old journal.Abandoned, event wire.Event) error {
	return f.write(func() error { return f.Journal.Abandon(signed, old, event) })
}

func (f faulty) Append(events ...wire.Event) error {
	return f.write(func() error { return f.Journal.Append(events...) })
}

func (f faulty) Drop(serials ...int64) error {
	return f.write(func() error { return f.Journal.Drop(serials...) })
}

// Room costs four megabytes; it has tests of its own.
func (f faulty) Room() error { return nil }

// The server's side.

func us2(t time.Time) int64 { return t.UnixMicro() }

func (w *world) window(from, to time.Duration) wire.Interval {
	return wire.Interval{StartUS: us2(w.wall.Add(from)), EndUS: us2(w.wall.Add(to))}
}

// order is an install of the given packages from version 1 to 2, in a window
// from an hour from now on.
func (w *world) order(serial int64, names ...string) wire.Order {
	o := wire.Order{
		ID: fmt.Sprintf("o%d", serial), Serial: serial, Tenant: "main", Device: "d1", Campaign: "2026-12", Ring: "R0",
		Kind: wire.OrderInstall, Reboot: wire.RebootIfNeeded, LockWaitS: 60, MarginS: 600,
		IssuedUS: us2(w.wall), ExpiresUS: us2(w.wall.Add(72 * time.Hour)),
		Windows: []wire.Interval{w.window(time.Hour, 3*time.Hour), w.window(25*time.Hour, 27*time.Hour), w.window(49*time.Hour, 51*time.Hour)},
	}
	for _, name := range names {
		o.Items = append(o.Items, wire.Item{
			ID: "item-" + name, Provider: "apt", Name: name, Version: "2",
			Packages: []wire.Change{{Name: name, From: "1", To: "2"}},
		})
	}
	return o
}

func (w *world) seal(o wire.Order) wire.Envelope {
	env, err := wire.Seal(wire.EnvelopeOrder, o, w.key)
	if err != nil {
		w.fail("seal: %v", err)
	}
	return env
}

// send delivers an order until it is kept, as a server does at each check-in.
func (w *world) send(o wire.Order) {
	w.windows = append(w.windows, o.Windows...)
	for range 5 {
		if err := w.deliver(w.seal(o)); err == nil {
			return
		}
	}
	w.fail("order %s is never kept", o.ID)
}

func (w *world) deliver(env wire.Envelope) error {
	return w.guard(func() error { return w.exec.Accept(env) })
}

// guard does what the link would do, and restarts the agent if it dies of it.
func (w *world) guard(act func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(killed); !ok {
				panic(p)
			}
			w.restart(w.powerCut)
			err = errDied
		}
	}()
	return act()
}

func (w *world) hold(serial int64, holds ...wire.Hold) {
	env, err := wire.Seal(wire.EnvelopeHolds, wire.Holds{Tenant: "main", Serial: serial, Holds: holds}, w.key)
	if err != nil {
		w.fail("seal: %v", err)
	}
	for range 3 {
		if err = w.guard(func() error { return w.exec.SetHolds(env) }); err == nil {
			w.holds = holds
			return
		}
	}
	w.fail("set holds: %v", err)
}

func (w *world) events() []wire.Event {
	events, err := w.journal.Pending(100_000, 1<<30)
	if err != nil {
		w.fail("read spool: %v", err)
	}
	return events
}

func (w *world) results(id string) (list []wire.Result) {
	for _, e := range w.events() {
		if e.Kind == wire.EventResult && e.Order == id {
			list = append(list, *e.Result)
		}
	}
	return list
}

// result is the one result of an order.
func (w *world) result(id string) wire.Result {
	list := w.results(id)
	if len(list) != 1 {
		w.fail("%d results of order %s, want one: %v", len(list), id, describe(w.events()))
	}
	return list[0]
}

func describe(events []wire.Event) (list []string) {
	for _, e := range events {
		s := fmt.Sprintf("%d %s %s", e.Seq, e.Kind, e.Step)
		if e.Cause != nil {
			s += " " + e.Cause.Code
		}
		list = append(list, s)
	}
	return list
}

// states are the item states of a result, by package.
func states(r wire.Result) map[string]wire.ItemState {
	m := map[string]wire.ItemState{}
	for _, o := range r.Outcomes {
		if _, twice := m[o.Item]; twice {
			m[o.Item] = "twice"
			continue
		}
		m[o.Item] = o.State
	}
	return m
}

func codeOf(c *wire.Cause) fault.Code {
	if c == nil {
		return ""
	}
	return fault.Code(c.Code)
}

func (w *world) alwaysPending(context.Context) ([]wire.RebootSignal, error) {
	return []wire.RebootSignal{{Signal: "kernel_newer"}}, nil
}
