package console

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"patchring/internal/face/console/stories"
)

// listen opens a board's stream; each message arrives as one text.
func (v *visitor) listen(ctx context.Context, path string) <-chan string {
	v.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, v.base+path, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	res, err := v.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		v.t.Fatalf("status %d, %s", res.StatusCode, res.Header.Get("Content-Type"))
	}
	v.t.Cleanup(func() { res.Body.Close() })
	out := make(chan string)
	go func() {
		defer close(out)
		lines := bufio.NewScanner(res.Body)
		lines.Buffer(nil, 1<<20)
		message := ""
		for lines.Scan() {
			if lines.Text() != "" {
				message += lines.Text() + "\n"
				continue
			}
			select {
			case out <- message:
			case <-ctx.Done():
				return
			}
			message = ""
		}
	}()
	return out
}

func next(t *testing.T, messages <-chan string) string {
	t.Helper()
	select {
	case m, open := <-messages:
		if !open {
			t.Fatal("the stream is over")
		}
		return m
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was pushed")
	}
	return ""
}

func TestABoardPushesWhatChangedAndNothingElse(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	messages := w.as(t, "exploitation").listen(ctx, "/campaigns/c1/live")
	first := next(t, messages)
	for _, f := range fragments {
		if !strings.Contains(first, `hx-target="#`+f.id+`"`) {
			t.Errorf("the first message lacks %s", f.id)
		}
	}
	b := stories.Board()
	b.Holds = nil
	w.reader.set(b)
	w.beat <- struct{}{}
	second := next(t, messages)
	if !strings.Contains(second, `hx-target="#board-holds"`) {
		t.Errorf("the second message lacks the holds: %.200s", second)
	}
	if strings.Contains(second, `hx-target="#board-summary"`) || strings.Contains(second, `hx-target="#board-activity"`) {
		t.Errorf("the second message repeats what did not change: %.200s", second)
	}
	for _, line := range strings.Split(strings.TrimSpace(first+second), "\n") {
		if !strings.HasPrefix(line, "data: ") {
			t.Fatalf("a line is not data: %.80s", line)
		}
	}
	close(w.beat)
	if m, open := <-messages; open {
		t.Errorf("the stream goes on after the server stopped: %.80s", m)
	}
}

func TestABoardIsRenderedOnceForAllWhoSeeTheSame(t *testing.T) {
	now := time.Date(2026, 1, 15, 9, 0, 0, 0, time.UTC)
	all := newBoards()
	first, leave := all.watch("a")
	second, leaveToo := all.watch("a")
	renders := 0
	render := func() ([]string, error) { renders++; return []string{"x"}, nil }
	for _, ask := range []struct {
		board *board
		after time.Duration
		want  int
	}{
		{first, 0, 1}, {second, time.Millisecond, 1}, {first, 400 * time.Millisecond, 1},
		{second, 500 * time.Millisecond, 2}, {first, 501 * time.Millisecond, 2}, {first, 999 * time.Millisecond, 3},
	} {
		if _, err := ask.board.current(now.Add(ask.after), render); err != nil {
			t.Fatal(err)
		}
		if renders != ask.want {
			t.Errorf("after %s: %d renderings, want %d", ask.after, renders, ask.want)
		}
	}
	leave()
	leaveToo()
	if len(all.watched) != 0 {
		t.Errorf("%d boards are kept after everyone left", len(all.watched))
	}
}

func TestAReadThatFailedIsTriedAgain(t *testing.T) {
	var one board
	now := time.Date(2026, 1, 15, 9, 0, 0, 0, time.UTC)
	broken := errors.New("locked")
	if _, err := one.current(now, func() ([]string, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Fatalf("got %v, want the failure", err)
	}
	if parts, err := one.current(now, func() ([]string, error) { return []string{"x"}, nil }); err != nil || parts[0] != "x" {
		t.Errorf("got %v %v, want another try at once", parts, err)
	}
}

func TestReadersOfDifferentRightsNeverShareABoard(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	operator := next(t, w.as(t, "exploitation").listen(ctx, "/campaigns/c1/live"))
	auditor := next(t, w.as(t, "audit").listen(ctx, "/campaigns/c1/live"))
	if !strings.Contains(operator, "/campaigns/c1/close") || strings.Contains(auditor, "/campaigns/c1/close") {
		t.Error("the auditor is pushed what the operator sees")
	}
}

func TestTheStreamOfNoCampaignIsRefused(t *testing.T) {
	if got := newWorld(t).as(t, "audit").get("/campaigns/nowhere/live", "Accept", "text/event-stream"); got.status != http.StatusNotFound {
		t.Errorf("status %d, want 404", got.status)
	}
}

func TestPushesKeepTheirPace(t *testing.T) {
	beats := make(chan struct{}, 1)
	beats <- struct{}{}
	began := time.Now()
	if !wait(t.Context(), beats) {
		t.Fatal("the stream ended")
	}
	if took := time.Since(began); took < pushEvery {
		t.Errorf("a beat was followed after %s, want %s at least", took, pushEvery)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if wait(over, beats) {
		t.Error("a stream that is over goes on")
	}
}
