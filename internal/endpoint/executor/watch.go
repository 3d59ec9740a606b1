package executor

import (
	"fmt"
	"sync"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

// Silence after which a transaction is said to have stalled. It is left to
// finish all the same: a package manager is never ended in mid-transaction.
const (
	stallAfter = 15 * time.Minute
	stallLook  = time.Minute
)

// watch looks after one long action of a provider.
type watch struct {
	e    *Executor
	o    journal.Order
	end  chan struct{}
	done sync.WaitGroup

	mu   sync.Mutex // guards the rest
	last time.Time  // when the action last said something
	told bool       // since then
}

func (e *Executor) watch(o journal.Order) *watch {
	w := &watch{e: e, o: o, end: make(chan struct{}), last: e.Now()}
	w.done.Go(w.run)
	return w
}

// stop ends the watch when the action has ended.
func (w *watch) stop() {
	close(w.end)
	w.done.Wait()
}

// progress is called with what the tool last said.
func (w *watch) progress(line string) {
	w.mu.Lock()
	w.last, w.told = w.e.Now(), false
	w.mu.Unlock()
	doing := fmt.Sprintf("%s of order %s: %s", w.o.Step, w.o.Order.ID, wire.Clean(line, 200))
	w.e.doing.Store(&doing)
}

func (w *watch) run() {
	tick := time.NewTicker(stallLook)
	defer tick.Stop()
	for {
		select {
		case <-w.end:
			return
		case <-tick.C:
			w.look()
		}
	}
}

func (w *watch) look() {
	w.mu.Lock()
	since := w.last
	stalled := !w.told && w.e.Now().Sub(since) >= stallAfter
	w.told = w.told || stalled
	w.mu.Unlock()
	if !stalled {
		return
	}
	event := w.e.event(w.o, wire.EventWaiting)
	event.Cause = causeOf(fault.Because(fault.Stalled, "since", rfc(since), "step", string(w.o.Step)))
	if err := w.e.Journal.Append(event); err != nil {
		w.e.Log.Error("stall not told", "order", w.o.Order.ID, "err", err)
		return
	}
	w.e.Log.Warn("no progress; left to finish", "order", w.o.Order.ID, "step", string(w.o.Step), "since", since)
	w.e.Changed()
}
