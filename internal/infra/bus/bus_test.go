package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const tenant fleet.TenantID = "main"

// newBroker is a NATS server with an account a tenant and the broker's cap on
// subscriptions. How agents are admitted is the broker's own test.
func newBroker(t testing.TB) *server.Server {
	t.Helper()
	opts := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, MaxSubs: 20}
	for _, name := range []string{"main", "other"} {
		account := server.NewAccount(name)
		opts.Accounts = append(opts.Accounts, account)
		opts.Users = append(opts.Users, &server.User{Username: name, Password: "secret", Account: account})
	}
	s, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the broker does not start")
	}
	return s
}

func newBus(t testing.TB, broker *server.Server) *Bus {
	t.Helper()
	b := New(Options{
		Broker: broker, Log: slog.New(slog.DiscardHandler),
		Access: func(tenant fleet.TenantID) (string, string) { return string(tenant), "secret" },
	})
	t.Cleanup(b.Close)
	return b
}

func newAgent(t testing.TB, broker *server.Server, tenant fleet.TenantID) *nats.Conn {
	t.Helper()
	conn, err := nats.Connect(broker.ClientURL(), nats.UserInfo(string(tenant), "secret"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// running runs a service until the test or its stop ends.
func running(t testing.TB, b *Bus, s Service) (stop func()) {
	t.Helper()
	serving, err := b.Serve(s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serving.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func request(t testing.TB, agent *nats.Conn, subject, text string) string {
	t.Helper()
	reply, err := agent.Request(subject, []byte(text), 10*time.Second)
	if err != nil {
		t.Fatalf("request %s: %v", subject, err)
	}
	return string(reply.Data)
}

func TestServeAnswers(t *testing.T) {
	broker := newBroker(t)
	b := newBus(t, broker)
	running(t, b, Service{Tenant: tenant, Pattern: wire.ReportPattern, Queue: "gateway", Workers: 4,
		Handle: func(_ context.Context, m Msg) ([]byte, error) {
			switch string(m.Data) {
			case "refuse":
				return nil, fmt.Errorf("look up: %w", fault.New(fault.DeviceRetired, "device", "d1"))
			case "wait":
				return nil, fault.Again(fault.Unavailable, "what", "database")
			case "break":
				return nil, errors.New("disk is on fire")
			}
			return append([]byte(m.Subject+" "), m.Data...), nil
		}})
	agent := newAgent(t, broker, tenant)
	for text, want := range map[string]string{
		"hello":  `d1.up.checkin hello`,
		"refuse": `{"error":{"code":"device_retired","args":{"device":"d1"}}}`,
		"wait":   `{"error":{"code":"unavailable","args":{"what":"database"},"retry":true}}`,
		"break":  `{"error":{"code":"internal","retry":true}}`,
	} {
		if got := request(t, agent, "d1.up.checkin", text); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	var reply wire.CheckinReply
	if err := json.Unmarshal([]byte(request(t, agent, "d1.up.checkin", "break")), &reply); err != nil || reply.Error == nil || !reply.Error.Retry {
		t.Errorf("an agent reads %+v, %v; want an error to try again", reply, err)
	}
}

func TestServeIsOfOneTenant(t *testing.T) {
	broker := newBroker(t)
	b := newBus(t, broker)
	for _, tenant := range []fleet.TenantID{"main", "other"} {
		running(t, b, Service{Tenant: tenant, Pattern: wire.ReportPattern, Workers: 1,
			Handle: func(context.Context, Msg) ([]byte, error) { return []byte(tenant), nil }})
	}
	for _, tenant := range []fleet.TenantID{"main", "other"} {
		if got := request(t, newAgent(t, broker, tenant), "d1.up.checkin", ""); got != string(tenant) {
			t.Errorf("agent of %s was answered by %s", tenant, got)
		}
	}
}

// Handlers that commit together need to run together: all workers at once, and
// never more.
func TestServeRunsWorkersAtOnce(t *testing.T) {
	const workers = 8
	broker := newBroker(t)
	b := newBus(t, broker)
	var at, most atomic.Int64
	together := make(chan struct{})
	running(t, b, Service{Tenant: tenant, Pattern: wire.ReportPattern, Workers: workers,
		Handle: func(ctx context.Context, _ Msg) ([]byte, error) {
			if n := at.Add(1); n == workers {
				close(together) // panics if it ever happens twice
			} else if n > most.Load() {
				most.Store(n)
			}
			select {
			case <-together:
				return []byte("ok"), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}})
	agent := newAgent(t, broker, tenant)
	var group sync.WaitGroup
	for range 3 * workers {
		group.Go(func() {
			if reply, err := agent.Request("d1.up.events", nil, 10*time.Second); err != nil || string(reply.Data) != "ok" {
				t.Errorf("got %v, %v", reply, err)
			}
		})
	}
	group.Wait()
}

func TestServeNeverRunsMoreThanItsWorkers(t *testing.T) {
	const workers = 3
	broker := newBroker(t)
	b := newBus(t, broker)
	var now, most atomic.Int64
	running(t, b, Service{Tenant: tenant, Pattern: wire.ReportPattern, Workers: workers,
		Handle: func(context.Context, Msg) ([]byte, error) {
			n := now.Add(1)
			defer now.Add(-1)
			for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
				continue
			}
			return []byte("ok"), nil
		}})
	agent := newAgent(t, broker, tenant)
	var group sync.WaitGroup
	for range 200 {
		group.Go(func() {
			if _, err := agent.Request("d1.up.events", nil, 10*time.Second); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if most.Load() > workers {
		t.Errorf("%d handlers ran at once, want at most %d", most.Load(), workers)
	}
}

// What was taken when the server stops is finished and answered.
func TestRunFinishesWhatItTook(t *testing.T) {
	broker := newBroker(t)
	b := newBus(t, broker)
	started, finish := make(chan struct{}, 3), make(chan struct{})
	serving, err := b.Serve(Service{Tenant: tenant, Pattern: wire.ReportPattern, Workers: 2,
		Handle: func(ctx context.Context, _ Msg) ([]byte, error) {
			started <- struct{}{}
			<-finish
			return []byte("committed"), ctx.Err()
		}})
	if err != nil {
		t.Fatal(err)
	}
	agent := newAgent(t, broker, tenant)
	replies := make(chan string, 3)
	for range 3 { // two run, one waits
		go func() {
			reply, err := agent.Request("d1.up.events", nil, 20*time.Second)
			if err != nil {
				replies <- err.Error()
				return
			}
			replies <- string(reply.Data)
		}()
	}
	<-started
	<-started
	// The third has reached this process before the drain begins.
	waitFor(t, func() bool { n, _, err := serving.sub.Pending(); return err == nil && n >= 1 })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	ended := make(chan error, 1)
	go func() { ended <- serving.Run(ctx) }()
	waitFor(t, func() bool { return serving.sub.IsDraining() })
	select {
	case err := <-ended:
		t.Fatalf("ended with handlers running: %v", err)
	default:
	}
	close(finish)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got := <-replies; got != "committed" {
			t.Errorf("got %q, want the answer", got)
		}
	}
	if _, err := agent.Request("d1.up.events", nil, 10*time.Second); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("after the end: got %v, want ErrNoResponders", err)
	}
}

func waitFor(t testing.TB, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(10 * time.Second)
	for !condition() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("waited in vain")
		}
	}
}

func TestServeRefuses(t *testing.T) {
	broker := newBroker(t)
	b := newBus(t, broker)
	handle := func(context.Context, Msg) ([]byte, error) { return nil, nil }
	if _, err := b.Serve(Service{Tenant: tenant, Pattern: "a", Handle: handle}); err == nil {
		t.Error("served without workers")
	}
	if _, err := b.Serve(Service{Tenant: tenant, Pattern: "a", Workers: 1}); err == nil {
		t.Error("served without a handler")
	}
	if _, err := b.Serve(Service{Tenant: tenant, Pattern: "a b", Workers: 1, Handle: handle}); err == nil {
		t.Error("served a bad subject")
	}
	for range maxSubscriptions {
		defer running(t, b, Service{Tenant: tenant, Pattern: "a", Workers: 1, Handle: handle})()
	}
	if _, err := b.Serve(Service{Tenant: tenant, Pattern: "a", Workers: 1, Handle: handle}); err == nil {
		t.Error("served more than the broker allows")
	}
}

func TestPublish(t *testing.T) {
	broker := newBroker(t)
	b := newBus(t, broker)
	agent, stranger := newAgent(t, broker, tenant), newAgent(t, broker, "other")
	heard, overheard := listen(t, agent, wire.OrderSubject("d1")), listen(t, stranger, ">")
	ctx := context.Background()
	for _, text := range []string{"one", "two"} {
		if err := b.Publish(ctx, tenant, wire.OrderSubject("d1"), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"one", "two"} {
		msg, err := heard.NextMsg(10 * time.Second)
		if err != nil || string(msg.Data) != want {
			t.Fatalf("got %v, %v, want %s", msg, err, want)
		}
	}
	if err := b.Publish(ctx, "other", "marker", nil); err != nil {
		t.Fatal(err)
	}
	if msg, err := overheard.NextMsg(10 * time.Second); err != nil || msg.Subject != "marker" {
		t.Fatalf("another tenant heard %v, %v", msg, err)
	}
	if err := b.Publish(ctx, tenant, wire.OrderSubject("d1"), make([]byte, wire.MaxPayloadBytes+1)); !errors.Is(err, nats.ErrMaxPayload) {
		t.Errorf("too large: got %v, want ErrMaxPayload", err)
	}
}

func listen(t testing.TB, conn *nats.Conn, subject string) *nats.Subscription {
	t.Helper()
	sub, err := conn.SubscribeSync(subject)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	return sub
}

// A server whose broker went first must still come down.
func TestRunEndsWithoutItsBroker(t *testing.T) {
	broker := newBroker(t)
	b := newBus(t, broker)
	handle := func(context.Context, Msg) ([]byte, error) { return nil, nil }
	serving, err := b.Serve(Service{Tenant: tenant, Pattern: "a", Workers: 1, Handle: handle})
	if err != nil {
		t.Fatal(err)
	}
	broker.Shutdown()
	broker.WaitForShutdown()
	waitFor(t, func() bool { return !serving.line.conn.IsConnected() })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	ended := make(chan error, 1)
	go func() { ended <- serving.Run(ctx) }()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(connectTimeout / 2):
		t.Fatal("waits for a broker that is gone")
	}
	if _, err := b.Serve(Service{Tenant: "other", Pattern: "a", Workers: 1, Handle: handle}); err == nil {
		t.Error("served without a broker")
	}
}

// Publish must never claim to have sent what sits in a buffer.
func TestPublishWithoutBrokerIsAnError(t *testing.T) {
	broker := newBroker(t)
	b := newBus(t, broker)
	ctx := context.Background()
	if err := b.Publish(ctx, tenant, "a", nil); err != nil {
		t.Fatal(err)
	}
	broker.Shutdown()
	broker.WaitForShutdown()
	if err := b.Publish(ctx, tenant, "a", nil); err == nil {
		t.Error("published to a broker that is gone")
	}
	b.Close()
	if err := b.Publish(ctx, tenant, "a", nil); err == nil {
		t.Error("published on a closed bus")
	}
	if err := b.Publish(ctx, "other", "a", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("closed bus: got %v, want ErrClosed", err)
	}
}

// answering is an agent that hears questions and answers each times times.
func answering(t testing.TB, broker *server.Server, device string, times int) {
	t.Helper()
	conn := newAgent(t, broker, tenant)
	for _, subject := range []string{wire.SubjectQuestionAll, wire.QuestionSubject(device)} {
		_, err := conn.Subscribe(subject, func(m *nats.Msg) {
			var q wire.Question
			if err := json.Unmarshal(m.Data, &q); err != nil {
				t.Error(err)
			}
			for i := range times {
				if err := conn.Publish(wire.AnswerSubject(device, q.ID), fmt.Appendf(nil, "%s %s %d", device, q.Arg, i)); err != nil {
					t.Error(err)
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
}

func ask(t testing.TB, ctx context.Context, b *Bus, to Audience, q wire.Question) []string {
	t.Helper()
	var got []string
	n, err := b.Ask(ctx, to, q, func(a Answer) { got = append(got, string(a.Device)+": "+string(a.Data)) })
	if err != nil || n != len(got) {
		t.Fatalf("asked: %d, %v, want %d", n, err, len(got))
	}
	slices.Sort(got)
	return got
}

func TestAskAll(t *testing.T) {
	broker := newBroker(t)
	b := newBus(t, broker)
	answering(t, broker, "d1", 1)
	answering(t, broker, "d2", 50) // repeats itself; it counts once
	answering(t, broker, "d3", 1)
	ctx := context.Background()
	got := ask(t, ctx, b, Audience{Tenant: tenant, Subject: wire.SubjectQuestionAll, Want: 3}, wire.Question{ID: "q1", Kind: "ping", Arg: "x"})
	if diff := cmp.Diff([]string{"d1: d1 x 0", "d2: d2 x 0", "d3: d3 x 0"}, got); diff != "" {
		t.Error(diff)
	}
	got = ask(t, ctx, b, Audience{Tenant: tenant, Subject: wire.QuestionSubject("d3"), Want: 1}, wire.Question{ID: "q2", Kind: "ping"})
	if diff := cmp.Diff([]string{"d3: d3  0"}, got); diff != "" {
		t.Error(diff)
	}
}

// Fewer answers than wanted are all the answers there are at the deadline.
func TestAskEndsWithItsContext(t *testing.T) {
	broker := newBroker(t)
	b := newBus(t, broker)
	answering(t, broker, "d1", 1)
	ctx, cancel := context.WithCancel(context.Background())
	var got []fleet.DeviceID
	n, err := b.Ask(ctx, Audience{Tenant: tenant, Subject: wire.SubjectQuestionAll}, wire.Question{ID: "q1"}, func(a Answer) {
		got = append(got, a.Device)
		cancel() // the one that is there has answered
	})
	if err != nil || n != 1 || !slices.Equal(got, []fleet.DeviceID{"d1"}) {
		t.Errorf("got %d %v, %v, want the one answer", n, got, err)
	}
}

func TestQuestionsAtOnceKeepTheirAnswersApart(t *testing.T) {
	broker := newBroker(t)
	b := newBus(t, broker)
	for i := range 5 {
		answering(t, broker, fmt.Sprintf("d%d", i), 1)
	}
	var group sync.WaitGroup
	for i := range 2 * maxSubscriptions { // they share one subscription
		group.Go(func() {
			id := fmt.Sprintf("q%d", i)
			n, err := b.Ask(context.Background(), Audience{Tenant: tenant, Subject: wire.SubjectQuestionAll, Want: 5},
				wire.Question{ID: id, Arg: id}, func(a Answer) {
					if want := string(a.Device) + " " + id + " 0"; string(a.Data) != want {
						t.Errorf("question %s got %q, want %q", id, a.Data, want)
					}
				})
			if err != nil || n != 5 {
				t.Errorf("question %s: %d, %v", id, n, err)
			}
		})
	}
	group.Wait()
}

func TestAskRefuses(t *testing.T) {
	broker := newBroker(t)
	b := newBus(t, broker)
	ctx, cancel := context.WithCancel(context.Background())
	to := Audience{Tenant: tenant, Subject: wire.SubjectQuestionAll, Want: 1}
	answering(t, broker, "d1", 1)
	_, err := b.Ask(ctx, to, wire.Question{ID: "q1"}, func(Answer) {
		if _, err := b.Ask(ctx, to, wire.Question{ID: "q1"}, func(Answer) {}); !errors.Is(err, errAsked) {
			t.Errorf("the same question twice at once: got %v, want errAsked", err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if n, err := b.Ask(ctx, to, wire.Question{ID: "q1"}, func(Answer) {}); err != nil || n > 1 {
		t.Errorf("the same question again later: %d, %v", n, err)
	}
	b.Close()
	if _, err := b.Ask(ctx, to, wire.Question{ID: "q2"}, func(Answer) {}); err == nil {
		t.Error("asked on a closed bus")
	}
}

func TestAnswersThatDoNotCount(t *testing.T) {
	var q questions
	q.byID = map[string]*question{"q1": {more: make(chan struct{}, 1), heard: map[string]bool{}}}
	for _, m := range []*nats.Msg{
		{Subject: "d1.up.ans.q2", Data: []byte("another question")},
		{Subject: "d1.up.ans.q1.x", Data: []byte("another subject")},
		{Subject: "d1.up.ans.q1", Data: make([]byte, maxAnswerBytes+1)},
	} {
		q.hear(m)
	}
	if got := q.byID["q1"].take(); len(got) != 0 {
		t.Errorf("got %d answers, want none", len(got))
	}
}

func BenchmarkPublish(b *testing.B) {
	broker := newBroker(b)
	bus := newBus(b, broker)
	payload := make([]byte, 2000)
	for b.Loop() {
		if err := bus.Publish(context.Background(), tenant, wire.OrderSubject("d1"), payload); err != nil {
			b.Fatal(err)
		}
	}
}
