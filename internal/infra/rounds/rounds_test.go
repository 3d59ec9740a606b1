package rounds_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"patchring/internal/core/policy"
	"patchring/internal/infra/rounds"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/store/storetest"
)

// work notes what it is asked to plan, and is due when it is told so.
type work struct {
	wants, planned bool
	enlisted       []int64 // the places
	touched        int
	due            atomic.Int64
	decided        int
	decisions      chan struct{} // one each
	err            error
}

func (w *work) Wants(policy.Policies) bool                    { return w.wants }
func (w *work) Planned(context.Context, string) (bool, error) { return w.planned, nil }
func (w *work) Due(context.Context) (int64, error)            { return w.due.Load(), nil }
func (w *work) Touch(context.Context, *store.Tx, string) error {
	w.touched++
	return nil
}

func (w *work) Enlist(_ context.Context, _ *store.Tx, _ string, after int64) error {
	w.enlisted = append(w.enlisted, after)
	return w.err
}

func (w *work) Decide(context.Context) (int, bool, error) {
	w.decided++
	w.due.Store(rounds.Never)
	w.decisions <- struct{}{}
	return 1, true, w.err
}

type world struct {
	*work
	rounds *rounds.Rounds
	now    time.Time
	sent   int
}

func newWorld(t *testing.T) *world {
	w := &world{work: &work{wants: true, decisions: make(chan struct{}, 8)}, now: time.Date(2026, time.March, 29, 0, 30, 0, 0, time.UTC)}
	w.due.Store(rounds.Never)
	db := storetest.SQLite(t)
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.AddTenant(t.Context(), gen.AddTenantParams{ID: "main", Name: "main", CreatedUs: 1}), tx.AddDevice(t.Context(), gen.AddDeviceParams{Tenant: "main", ID: "pc-1", Name: "pc-1", Kind: "workstation", EnrolledUs: 1, SeenUs: 1}))
	})
	if err != nil {
		t.Fatal(err)
	}
	w.rounds = rounds.New(rounds.Options{
		Work: w.work, DB: db, Clock: func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler), Sent: func() { w.sent++ },
		Policies: func(context.Context, store.Reads, string) (policy.Policies, error) { return policy.Policies{}, nil },
		What:     "try rounds", LongestSleep: time.Hour,
	})
	return w
}

func (w *world) step(t *testing.T) bool {
	t.Helper()
	busy, err := w.rounds.Step(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return busy
}

func TestWhenDevicesAreLookedAt(t *testing.T) {
	w := newWorld(t)
	w.step(t)
	if len(w.enlisted) != 1 || w.enlisted[0] != -1 || w.touched != 1 {
		t.Fatalf("at first: enlisted after %v, touched %d times", w.enlisted, w.touched)
	}
	w.step(t)
	if len(w.enlisted) != 1 {
		t.Error("nothing changed, and all are planned again")
	}
	w.rounds.Enlist()
	w.step(t)
	if len(w.enlisted) != 2 || w.enlisted[1] < 0 || w.touched != 1 {
		t.Errorf("after an enrolment: enlisted after %v, touched %d times", w.enlisted, w.touched)
	}
	w.now = w.now.Add(time.Hour)
	w.step(t)
	if w.touched != 2 {
		t.Error("no full pass after an hour")
	}
	w.now = w.now.Add(-2 * time.Hour)
	w.step(t)
	if w.touched != 3 {
		t.Error("a clock set back to before the last pass waits for it")
	}
}

func TestATenantThatNeverWantedItCostsNothing(t *testing.T) {
	w := newWorld(t)
	w.wants = false
	w.step(t)
	if w.touched+len(w.enlisted) != 0 {
		t.Error("it is planned")
	}
	w.planned, w.now = true, w.now.Add(time.Hour) // it once wanted it
	w.step(t)
	if w.touched != 1 || len(w.enlisted) != 0 {
		t.Errorf("what it has is touched %d times, and %d enlisted", w.touched, len(w.enlisted))
	}
}

func TestWhatIsDueIsDecidedAndSent(t *testing.T) {
	w := newWorld(t)
	w.due.Store(w.now.UnixMicro() + 1)
	if w.step(t) || w.decided != 0 {
		t.Error("it is decided before it is due")
	}
	w.due.Store(w.now.UnixMicro())
	if !w.step(t) || w.decided != 1 || w.sent != 1 {
		t.Errorf("decided %d times, sent %d times", w.decided, w.sent)
	}
	w.due.Store(w.now.UnixMicro())
	w.err = errors.New("disk full")
	if _, err := w.rounds.Step(t.Context()); !errors.Is(err, w.err) || w.sent != 1 {
		t.Errorf("a decision that failed: %v, sent %d times", err, w.sent)
	}
}

func TestAnEnrolmentOutlivesAnOutage(t *testing.T) {
	w := newWorld(t)
	w.step(t)
	w.rounds.Enlist()
	w.err = errors.New("no connection")
	if _, err := w.rounds.Step(t.Context()); !errors.Is(err, w.err) {
		t.Fatalf("an outage is %v", err)
	}
	w.err = nil
	w.step(t)
	if got := len(w.enlisted); got != 3 {
		t.Errorf("planned %d times: the enrolment is forgotten", got)
	}
}

// A round that sleeps for an hour is woken at once.
func TestRunWakes(t *testing.T) {
	w := newWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.rounds.Run(ctx) }()
	w.due.Store(w.now.UnixMicro())
	w.rounds.Wake()
	<-w.decisions
	stop()
	if err := <-done; err != nil {
		t.Errorf("it ends with %v", err)
	}
}

func TestAStepThatFailsIsTakenAgain(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	steps := 0
	err := rounds.Every(ctx, time.Millisecond, slog.New(slog.DiscardHandler), "try", func(context.Context) error {
		if steps++; steps == 3 {
			stop()
		}
		return errors.New("no connection")
	})
	if err != nil || steps != 3 {
		t.Errorf("%d steps, %v", steps, err)
	}
}
