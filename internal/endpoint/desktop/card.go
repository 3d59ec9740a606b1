package desktop

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// A card table is the helper of systems whose notices are dialogs: each popup is
// a dialog of its own that waits for its answer. The Linux helper speaks to a
// notification service instead.

// dealer is what such a system can do in one person's session.
type dealer interface {
	// Look tells what the session says now.
	Look(ctx context.Context) state
	// Deal shows one popup, calls shown when it is on the screen, and gives the
	// key of the button that was pressed; empty when it was put away. It takes
	// the popup away when ctx ends.
	Deal(ctx context.Context, p Popup, shown func()) (button string, err error)
}

// table is the helper's state; run's goroutine has it, but for the output.
type table struct {
	dealer dealer
	on     map[string]context.CancelFunc // by popup key
	ended  chan string                   // keys of dialogs that have ended
	open   sync.WaitGroup

	mu  sync.Mutex // guards out
	out *json.Encoder
}

// lookEvery is how often a session is asked whether it is busy.
const lookEvery = 30 * time.Second

// serve shows what it reads from in until in ends, then takes everything away.
func serve(ctx context.Context, d dealer, in io.Reader, out io.Writer) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	t := &table{dealer: d, on: map[string]context.CancelFunc{}, ended: make(chan string), out: json.NewEncoder(out)}
	said := d.Look(ctx)
	if err := t.say(word{State: &said}); err != nil {
		return err
	}
	orders, done := make(chan order), make(chan struct{})
	defer close(done)
	go func() { // ends with its input, which is the helper's own end
		defer close(orders)
		lines := bufio.NewScanner(in)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var o order
			if json.Unmarshal(lines.Bytes(), &o) != nil {
				return
			}
			select {
			case orders <- o:
			case <-done:
				return
			}
		}
	}()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	defer t.clear(stop)
	for {
		select {
		case <-ctx.Done():
			return nil
		case o, ok := <-orders:
			if !ok {
				return nil
			}
			t.deal(ctx, o.Show)
		case key := <-t.ended:
			if cancel := t.on[key]; cancel != nil {
				cancel()
				t.on[key] = nil // answered or put away: not shown again
			}
		case <-tick.C:
			if now := d.Look(ctx); now != said {
				said = now
				if err := t.say(word{State: &now}); err != nil {
					return err
				}
			}
		}
	}
}

// deal makes the dialogs what is wanted.
func (t *table) deal(ctx context.Context, wanted []Popup) {
	for key, cancel := range t.on {
		if slices.ContainsFunc(wanted, func(p Popup) bool { return p.Key == key }) {
			continue
		}
		if cancel != nil {
			cancel()
		}
		delete(t.on, key)
	}
	for _, p := range wanted {
		if _, is := t.on[p.Key]; is {
			continue
		}
		shown, cancel := context.WithCancel(ctx)
		t.on[p.Key] = cancel
		t.open.Go(func() { t.one(ctx, shown, p) })
	}
}

// one shows a popup to its end.
func (t *table) one(ctx, shown context.Context, p Popup) {
	var told error
	button, err := t.dealer.Deal(shown, p, func() { told = t.say(word{Shown: p.Key}) })
	switch {
	case shown.Err() != nil:
		return // taken away
	case err != nil:
		err = t.say(word{Shown: p.Key, Problem: err.Error()})
	case button != "":
		err = t.say(word{Pressed: p.Key, Button: button})
	}
	if errors.Join(told, err) != nil {
		return // nobody listens any more: the helper ends with its input
	}
	select {
	case t.ended <- p.Key:
	case <-ctx.Done():
	}
}

func (t *table) clear(stop context.CancelFunc) {
	stop()
	t.open.Wait()
}

func (t *table) say(w word) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.out.Encode(w); err != nil {
		return fmt.Errorf("tell the agent: %w", err)
	}
	return nil
}
