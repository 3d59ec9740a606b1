package agent

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/facts"
	"patchring/internal/endpoint/journal"
	"patchring/internal/endpoint/provider"
	"patchring/wire"
)

// box is a device with one package manager and one package.
type box struct {
	mu       sync.Mutex // guards the rest
	version  string
	scans    int
	broken   bool          // scans fail
	hold     chan struct{} // an install waits here, if it is there
	begun    chan struct{}
	rebooted int
}

func (b *box) Name() string                        { return "apt" }
func (b *box) Capabilities() provider.Capabilities { return provider.Capabilities{} }
func (b *box) Present() bool                       { return true }

func (b *box) installed() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.version
}

func (b *box) Scan(context.Context, bool) wire.Patches {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.scans++
	if b.broken {
		return wire.Patches{Provider: "apt", Status: wire.ScanFailed, Cause: &wire.Cause{Code: string(fault.RepositoryDown)}}
	}
	p := wire.Patches{Provider: "apt", Status: wire.ScanOK}
	if b.version == "1" {
		p.Patches = []wire.Patch{{Name: "tool", Version: "2"}}
	}
	return p
}

func (b *box) Inventory(context.Context) (wire.Inventory, error) {
	return wire.Inventory{Provider: "apt", Software: []wire.Package{{Name: "tool", Version: b.installed()}}}, nil
}

func (b *box) Plan(context.Context, []wire.Item, provider.Limits) (provider.Plan, error) {
	return provider.Plan{}, nil
}

func (b *box) Preserve(_ context.Context, items []wire.Item) ([]wire.Item, error) { return items, nil }

func (b *box) Download(context.Context, []wire.Item, provider.Limits, provider.Progress) error {
	return nil
}

func (b *box) Install(ctx context.Context, items []wire.Item, _ provider.Limits, p provider.Progress) (provider.Log, []wire.Outcome, error) {
	if b.hold != nil {
		p("Unpacking tool")
		close(b.begun)
		<-b.hold
	}
	b.mu.Lock()
	b.version = items[0].Packages[0].To
	b.mu.Unlock()
	outcomes, err := b.Verify(ctx, wire.OrderInstall, items)
	return provider.Log{}, outcomes, err
}

func (b *box) Rollback(context.Context, []wire.Item, provider.Limits, provider.Progress) (provider.Log, []wire.Outcome, error) {
	return provider.Log{}, nil, errors.New("not asked for here")
}

func (b *box) Verify(_ context.Context, _ wire.OrderKind, items []wire.Item) ([]wire.Outcome, error) {
	state := wire.ItemNoEffect
	if b.installed() == items[0].Packages[0].To {
		state = wire.ItemVerified
	}
	return []wire.Outcome{{Item: items[0].ID, State: state}}, nil
}

func (b *box) Recover(context.Context, provider.Limits) (provider.Log, error) {
	return provider.Log{}, nil
}
func (b *box) Forget(context.Context, []wire.Item) error { return nil }

func host(files fstest.MapFS) facts.Host {
	all := fstest.MapFS{
		"etc/os-release":                 {Data: []byte("ID=debian\nPRETTY_NAME=\"Debian 12\"\n")},
		"etc/machine-id":                 {Data: []byte("0123456789abcdef\n")},
		"proc/sys/kernel/random/boot_id": {Data: []byte("boot-1\n")},
		"proc/stat":                      {Data: []byte("btime 1700000000\n")},
		"proc/sys/kernel/osrelease":      {Data: []byte("6.1.0\n")},
		"proc/self/mounts":               {Data: []byte("")},
		"run/systemd/container":          {Data: []byte("test")},
	}
	for name, f := range files {
		all[name] = f
	}
	return facts.Host{
		FS: all, Hostname: func() (string, error) { return "h1", nil },
		Statfs:     func(string) (int64, int64, error) { return 1 << 30, 1 << 29, nil },
		Interfaces: func() ([]wire.Interface, error) { return nil, nil },
	}
}

func (b *box) device() Device {
	started := time.Now()
	return Device{
		Host: host(nil), Providers: []provider.Provider{b}, LocalFile: "/nonexistent/local.json", HooksDir: "/nonexistent/hooks",
		Uptime: func() time.Duration { return time.Since(started) },
		BootID: func() (string, error) { return "boot-1", nil },
		Reboot: func(context.Context) error { b.rebooted++; return nil },
	}
}

// enrolled is the directory of a device that the site knows.
func (s *site) enrolled() string {
	s.t.Helper()
	dir := s.t.TempDir()
	if _, err := Enroll(s.t.Context(), Enrolment{Dir: dir, Host: host(nil), Server: s.web.URL, Token: s.token(), Version: "1"}); err != nil {
		s.t.Fatal(err)
	}
	return dir
}

// start runs an agent; the returned stop ends it and gives its error.
func (s *site) start(dir string, d Device) (a *Agent, stop func() error) {
	s.t.Helper()
	a, err := New(Options{Dir: dir, Device: d, Version: "1", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	once := sync.OnceValue(func() error { cancel(); return <-ended })
	s.t.Cleanup(func() {
		if err := once(); err != nil {
			s.t.Errorf("run: %v", err)
		}
	})
	return a, once
}

func order(serial int64) wire.Order {
	now := time.Now()
	return wire.Order{
		ID: "o1", Serial: serial, Tenant: tenant, Device: device, Campaign: "c", Ring: "R0", Kind: wire.OrderInstall,
		Reboot: wire.RebootIfNeeded, IssuedUS: now.UnixMicro(), ExpiresUS: now.Add(time.Hour).UnixMicro(),
		Windows: []wire.Interval{{StartUS: now.Add(-time.Minute).UnixMicro(), EndUS: now.Add(time.Hour).UnixMicro()}},
		Items:   []wire.Item{{ID: "i1", Provider: "apt", Name: "tool", Version: "2", Packages: []wire.Change{{Name: "tool", From: "1", To: "2"}}}},
	}
}

// unpacked is a part as the site has it.
func unpacked[T any](s *site, name wire.PartName) (v T) {
	if p, ok := s.parts[name]; ok {
		if err := p.Unpack(&v); err != nil {
			s.t.Error(err)
		}
	}
	return v
}

func TestAnAgentTellsWhatItIsAndDoesWhatItIsOrdered(t *testing.T) {
	s := newSite(t)
	b := &box{version: "1"}
	dir := s.enrolled()
	s.start(dir, b.device())
	s.eventually("all parts are there", func() bool { return len(s.parts) == 3 })
	s.mu.Lock()
	f, i, p := unpacked[wire.Facts](s, wire.PartFacts), unpacked[wire.Inventory](s, wire.PartInventory), unpacked[wire.Patches](s, wire.PartPatches)
	s.mu.Unlock()
	if f.Hostname != "h1" || !slices.Equal(f.Providers, []string{"apt"}) || len(i.Software) != 1 || len(p.Patches) != 1 {
		t.Errorf("facts %+v, software %+v, patches %+v", f, i, p)
	}
	s.push(wire.EnvelopeOrder, order(1))
	s.eventually("a result", func() bool {
		return slices.ContainsFunc(s.events, func(e wire.Event) bool { return e.Kind == wire.EventResult })
	})
	s.mu.Lock()
	last := s.events[len(s.events)-1]
	s.mu.Unlock()
	if last.Result.Outcomes[0].State != wire.ItemVerified || b.installed() != "2" {
		t.Errorf("outcome %+v, installed %s", last.Result.Outcomes[0], b.installed())
	}
	s.eventually("the scan after the order finds nothing missing", func() bool {
		return len(unpacked[wire.Patches](s, wire.PartPatches).Patches) == 0
	})
	s.eventually("a check-in that says so", func() bool {
		c := s.checkins[len(s.checkins)-1]
		return len(c.Orders) == 1 && c.Orders[0].Step == wire.StepDone && c.ScannedUS > last.AtUS && c.BootID == "boot-1" && c.MachineID == "0123456789abcdef"
	})
}

func TestARebootIsAskedForByALiveSignal(t *testing.T) {
	s := newSite(t)
	b := &box{version: "1"}
	d := b.device()
	d.Host = host(fstest.MapFS{"run/reboot-required": {}})
	s.start(s.enrolled(), d)
	s.push(wire.EnvelopeOrder, order(1)) // perhaps before it listens: the check-in repairs that
	e, err := wire.Seal(wire.EnvelopeOrder, order(1), s.order)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.replies = append(s.replies, wire.CheckinReply{Orders: []wire.Envelope{e}}, wire.CheckinReply{Orders: []wire.Envelope{e}})
	s.mu.Unlock()
	s.eventually("it asks for a reboot", func() bool {
		return slices.ContainsFunc(s.events, func(e wire.Event) bool { return e.Step == wire.StepReboot && e.Kind == wire.EventStep })
	})
	s.eventually("the check-in says that one is pending", func() bool { return s.checkins[len(s.checkins)-1].RebootPending })
}

func TestStoppingInTheMiddleOfAnInstallFinishesItFirst(t *testing.T) {
	s := newSite(t)
	b := &box{version: "1", hold: make(chan struct{}), begun: make(chan struct{})}
	dir := s.enrolled()
	_, stop := s.start(dir, b.device())
	s.eventually("a check-in", func() bool { return len(s.checkins) > 0 })
	s.push(wire.EnvelopeOrder, order(1))
	<-b.begun
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	select {
	case err := <-stopped:
		t.Fatalf("stopped in the middle of the install: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(b.hold)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	b.hold = nil
	s.start(dir, b.device())
	s.eventually("the result after the restart", func() bool {
		return slices.ContainsFunc(s.events, func(e wire.Event) bool {
			return e.Kind == wire.EventResult && e.Result.Outcomes[0].State == wire.ItemVerified
		})
	})
}

func TestAScanThatCouldNotRunIsNoScan(t *testing.T) {
	s := newSite(t)
	b := &box{version: "1", broken: true}
	a, _ := s.start(s.enrolled(), b.device())
	s.eventually("the failure is told", func() bool {
		return unpacked[wire.Patches](s, wire.PartPatches).Status == wire.ScanFailed
	})
	s.mu.Lock()
	if at := s.checkins[len(s.checkins)-1].ScannedUS; at != 0 {
		t.Errorf("says it scanned at %d", at)
	}
	s.replies = append(s.replies, wire.CheckinReply{Scan: true})
	s.mu.Unlock()
	b.mu.Lock()
	b.broken = false
	b.mu.Unlock()
	a.link.CheckIn()
	s.eventually("the scan that the server asks for", func() bool { return s.checkins[len(s.checkins)-1].ScannedUS > 0 })
}

func TestQuestionsAreAnsweredFromTheLastScan(t *testing.T) {
	s := newSite(t)
	b := &box{version: "1"}
	a, _ := s.start(s.enrolled(), b.device())
	s.eventually("the inventory", func() bool { return s.parts[wire.PartInventory].AtUS > 0 })
	for _, c := range []struct {
		q     wire.Question
		value string
		code  fault.Code
	}{
		{wire.Question{Kind: "ping"}, "1", ""},
		{wire.Question{Kind: "package", Arg: "tool"}, "1", ""},
		{wire.Question{Kind: "package", Arg: "other"}, "", ""},
		{wire.Question{Kind: "shell", Arg: "id"}, "", fault.InvalidField},
	} {
		got := a.answer(c.q)
		if got.Value != c.value || (got.Error != nil) != (c.code != "") || got.Error != nil && got.Error.Code != string(c.code) || got.AtUS == 0 {
			t.Errorf("%+v: %+v", c.q, got)
		}
	}
}

func TestAQuestionBeforeTheFirstScanMayPassLater(t *testing.T) {
	s := newSite(t)
	a, err := New(Options{Dir: s.enrolled(), Device: (&box{}).device(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if got := a.answer(wire.Question{Kind: "package", Arg: "x"}); got.Error == nil || !got.Error.Retry {
		t.Errorf("answer %+v, want unavailable for now", got)
	}
	if err := a.journal.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestStatusOfAnAgent(t *testing.T) {
	s := newSite(t)
	dir := t.TempDir()
	if got, err := ReadStatus(dir, "1"); err != nil || got.Enrolled || got.Running {
		t.Errorf("before enrolment: %+v, error %v", got, err)
	}
	dir = s.enrolled()
	if got, err := ReadStatus(dir, "1"); err != nil || !got.Enrolled || got.Running || got.Device != device {
		t.Errorf("before its first run: %+v, error %v", got, err)
	}
	_, stop := s.start(dir, (&box{version: "1"}).device())
	s.eventually("a status of work", func() bool {
		got, err := ReadStatus(dir, "1")
		return err == nil && got.Running && got.Connected && got.Scan == wire.ScanOK && got.Missing == 1 && got.PID == os.Getpid()
	})
	if _, err := New(Options{Dir: dir, Device: (&box{}).device(), Log: slog.New(slog.DiscardHandler)}); !errors.Is(err, journal.ErrInUse) {
		t.Errorf("a second agent: %v, want ErrInUse", err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadStatus(dir, "1"); err != nil || got.Running || got.Connected || got.Missing != 1 {
		t.Errorf("after its end: %+v, error %v", got, err)
	}
	text, err := json.Marshal(Status{Running: true, PID: 1 << 30, Enrolled: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, statusName), text, 0o600); err != nil { // a killed one says nothing any more
		t.Fatal(err)
	}
	if got, err := ReadStatus(dir, "1"); err != nil || got.Running {
		t.Errorf("after a kill: %+v, error %v", got, err)
	}
}

func TestAnAgentThatIsNotEnrolledDoesNotStart(t *testing.T) {
	if _, err := New(Options{Dir: t.TempDir()}); !errors.Is(err, journal.ErrNotEnrolled) {
		t.Errorf("error %v, want ErrNotEnrolled", err)
	}
}

func TestLookNeedsNoServer(t *testing.T) {
	f, patches, err := Look(t.Context(), (&box{version: "1"}).device(), false)
	if err != nil || f.Hostname != "h1" || len(patches) != 1 || len(patches[0].Patches) != 1 {
		t.Errorf("facts %+v, patches %+v, error %v", f, patches, err)
	}
}
