package sim_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"patchring/internal/infra/view"
	"patchring/internal/server"
	"patchring/lab/sim"
)

// house is a real server on loopback ports, asked only through its API.
type house struct {
	t     *testing.T
	url   string
	token string
	http  *http.Client
}

func newHouse(t *testing.T) *house {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("PATCHRING_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	srv, err := server.New(t.Context(), server.Options{
		Config: server.Config{
			Data: t.TempDir(), Listen: "127.0.0.1:0", Broker: freePort(t), Names: []string{"127.0.0.1"}, Checkin: server.Duration(2 * time.Second),
		},
		Version: "test", Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	h := &house{t: t, url: srv.URL(), http: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: srv.Keys.Pool()}}}}
	t.Cleanup(func() {
		h.http.CloseIdleConnections()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	h.token = ask[struct{ Text string }](h, "POST", "/login", map[string]any{"name": srv.First.Name, "password": srv.First.Password, "token": "test"}).Text
	return h
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// ask asks the API and decodes its answer.
func ask[R any](h *house, method, path string, body any) (answer R) {
	h.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		h.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.url+"/api/v1"+path, bytes.NewReader(text))
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if h.token != "" {
		r.Header.Set("Authorization", "Bearer "+h.token)
	}
	response, err := h.http.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	if response.StatusCode >= 300 {
		h.t.Fatalf("%s %s: %s %s", method, path, response.Status, got)
	}
	if len(got) > 0 {
		if err := json.Unmarshal(got, &answer); err != nil {
			h.t.Fatalf("%s %s: %v in %s", method, path, err, got)
		}
	}
	return answer
}

func (h *house) invite(uses int) string {
	h.t.Helper()
	return ask[struct{ Text string }](h, "POST", "/enrollments", map[string]any{"uses": uses}).Text
}

// until asks again until the condition holds.
func (h *house) until(what string, condition func() bool) {
	h.t.Helper()
	for tick, end := time.NewTicker(50*time.Millisecond), time.After(time.Minute); !condition(); {
		select {
		case <-tick.C:
		case <-end:
			h.t.Fatalf("waited a minute for %s", what)
		}
	}
}

func (h *house) board(campaign string) view.Board {
	h.t.Helper()
	return ask[view.Board](h, "GET", "/campaigns/"+campaign, nil)
}

// running is a fleet being played.
type running struct {
	t    *testing.T
	now  chan sim.Counts // the latest counts
	stop func() sim.Counts
}

func play(t *testing.T, o sim.Options) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{t: t, now: make(chan sim.Counts, 1)}
	o.Every = 20 * time.Millisecond
	o.Progress = func(c sim.Counts) {
		select {
		case <-r.now:
		default:
		}
		r.now <- c
	}
	type end struct {
		counts sim.Counts
		err    error
	}
	ended := make(chan end, 1)
	go func() {
		c, err := sim.Run(ctx, o)
		ended <- end{c, err}
	}()
	r.stop = func() sim.Counts {
		cancel()
		e := <-ended
		if e.err != nil {
			t.Errorf("the fleet: %v", e.err)
		}
		return e.counts
	}
	return r
}

// until waits for the fleet's counts.
func (r *running) until(what string, condition func(sim.Counts) bool) sim.Counts {
	r.t.Helper()
	end := time.After(time.Minute)
	for {
		select {
		case c := <-r.now:
			if condition(c) {
				return c
			}
		case <-end:
			r.t.Fatalf("waited a minute for %s; last: %s", what, fmt.Sprint(r.last()))
		}
	}
}

func (r *running) last() any {
	select {
	case c := <-r.now:
		return c
	default:
		return "nothing"
	}
}
