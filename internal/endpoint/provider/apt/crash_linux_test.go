package apt_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/provider"
	"patchring/internal/endpoint/provider/apt"
	"patchring/internal/endpoint/provider/apt/aptworld"
	"patchring/wire"
)

// agentEnv makes this test binary an agent that installs: ROOT\x00STATE\x00ITEMS.
const agentEnv = "APT_TEST_AGENT"

func TestMain(m *testing.M) {
	if order := os.Getenv(agentEnv); order != "" {
		os.Exit(agentMain(order))
	}
	os.Exit(m.Run())
}

type agentOrder struct {
	Root, State string
	Items       []wire.Item
}

func agentMain(text string) int {
	var order agentOrder
	if err := json.Unmarshal([]byte(text), &order); err != nil {
		return 2
	}
	p := apt.New(apt.Options{Root: order.Root, State: order.State, Reserve: 1})
	if _, _, err := p.Install(context.Background(), order.Items, limits, nil); err != nil {
		return 1
	}
	return 0
}

// startAgent runs Install in a process of its own.
func startAgent(t *testing.T, w *aptworld.World, items ...wire.Item) *exec.Cmd {
	t.Helper()
	order, err := json.Marshal(agentOrder{Root: w.Root, State: filepath.Join(w.Dir, "agent"), Items: items})
	if err != nil {
		t.Fatal(err)
	}
	agent := exec.Command(os.Args[0])
	agent.Env = append(os.Environ(), agentEnv+"="+string(order))
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	return agent
}

// await waits for a condition of the outside world.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain until %s", what)
		case <-tick.C:
		}
	}
}

// waitsForGo is a postinst that says it runs and goes on when it is told to.
func waitsForGo(version string) aptworld.Package {
	return aptworld.Package{Name: "slow", Version: version, Scripts: map[string]string{
		"postinst": `echo running; echo $$ > /run/slow; while [ ! -e /run/go ]; do sleep 0.02; done; echo done`}}
}

func (s slowWorld) running() bool { return s.Read("run/slow") != "" }

// slowWorld is a device on which slow 1.0 is installed and slow 1.1 offered.
type slowWorld struct{ *aptworld.World }

func newSlowWorld(t *testing.T) slowWorld {
	w := slowWorld{newWorld(t)}
	w.Offer(aptworld.Package{Name: "slow", Version: "1.0"}, aptworld.Package{Name: "good", Version: "1.0"})
	w.Install("slow", "good")
	w.Offer(waitsForGo("1.1"), aptworld.Package{Name: "good", Version: "1.1"})
	w.ByHand("apt-get", "update")
	// Whatever happens to the test, no script waits on for ever.
	t.Cleanup(func() { w.goOn() })
	return w
}

func (s slowWorld) goOn() { s.Write("run/go", "go") }

func TestKilledAgentLeavesDpkgWorkingAndTheNextOneWaitsForIt(t *testing.T) {
	w := newSlowWorld(t)
	items := []wire.Item{item("slow", "1.0", "1.1"), item("good", "1.0", "1.1")}
	agent := startAgent(t, w.World, items...)
	await(t, "the postinst runs", w.running)
	if err := agent.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := agent.Wait(); err == nil {
		t.Fatal("the agent ended by itself")
	}
	p := w.Provider()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := p.Recover(ctx, limits); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("recover while dpkg works: %v, want to be still waiting", err)
	}
	wantStatus(t, w.World, "slow", "install ok half-configured 1.1")
	w.goOn()

	var said []string
	log, outcomes, err := w.Provider().Install(t.Context(), items, limits, func(line string) { said = append(said, line) })
	if err != nil {
		t.Fatalf("%v\n%s", err, log.Tail)
	}
	for _, id := range []string{"item-slow", "item-good"} {
		if o := outcome(t, outcomes, id); o.State != wire.ItemClaimed || o.Packages[0].From != "1.0" || o.Packages[0].To != "1.1" {
			t.Errorf("%s ended %+v, want claimed from 1.0 to 1.1", id, o)
		}
	}
	wantStatus(t, w.World, "slow", "install ok installed 1.1")
	if !strings.Contains(log.Tail, "still running") || strings.Count(log.Tail, "# apt-get") != 1 || !strings.Contains(log.Tail, "Setting up good (1.1)") {
		t.Errorf("the second agent should only have waited and taken over the first one's log; its own is\n%s", log.Tail)
	}
}

func TestOrphanedDpkgIsFoundByItsMark(t *testing.T) {
	w := newSlowWorld(t)
	agent := startAgent(t, w.World, item("slow", "1.0", "1.1"))
	await(t, "the postinst runs", w.running)
	var record struct{ PID int }
	text, err := os.ReadFile(filepath.Join(w.Dir, "agent", "apt", "running.json"))
	if err == nil {
		err = json.Unmarshal(text, &record)
	}
	if err != nil || record.PID == 0 {
		t.Fatalf("running transaction: %v %s", err, text)
	}
	for _, pid := range []int{agent.Process.Pid, record.PID} { // the agent, then apt-get: dpkg is an orphan
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	_ = agent.Wait() // it was killed
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := w.Provider().Recover(ctx, limits); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("recover while dpkg works: %v, want to be still waiting", err)
	}
	w.goOn()
	if log, err := w.Provider().Recover(t.Context(), limits); err != nil {
		t.Fatalf("%v\n%s", err, log.Tail)
	}
	wantStatus(t, w.World, "slow", "install ok installed 1.1")
}

// powerCut ends every process of the transaction at once.
func powerCut(t *testing.T, w slowWorld, agent *exec.Cmd) {
	t.Helper()
	script, err := strconv.Atoi(strings.TrimSpace(w.Read("run/slow")))
	if err != nil {
		t.Fatal(err)
	}
	doomed := []int{agent.Process.Pid}
	for pid := script; pid > 1; pid = parent(t, pid) { // script, dpkg, dpkg's parent apt-get
		if pid == agent.Process.Pid || pid == os.Getpid() {
			break
		}
		doomed = append(doomed, pid)
	}
	// Parents first: a parent that saw its child die would still act on it, and
	// a power cut leaves nobody the time.
	slices.Reverse(doomed[1:])
	for _, pid := range doomed {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	_ = agent.Wait() // it was killed
	for _, pid := range doomed[1:] {
		await(t, "the transaction's processes are gone", func() bool {
			text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
			return err != nil || strings.Contains(string(text), ") Z ")
		})
	}
}

func parent(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	ppid, err := strconv.Atoi(fields[1])
	if err != nil {
		t.Fatal(err)
	}
	return ppid
}

func TestPowerCutInTheMiddleIsRepairedAndFinished(t *testing.T) {
	w := newSlowWorld(t)
	items := []wire.Item{item("slow", "1.0", "1.1"), item("good", "1.0", "1.1")}
	agent := startAgent(t, w.World, items...)
	await(t, "the postinst runs", w.running)
	powerCut(t, w, agent)
	wantStatus(t, w.World, "slow", "install ok half-configured 1.1")
	w.goOn()

	log, outcomes, err := w.Provider().Install(t.Context(), items, limits, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, log.Tail)
	}
	for _, id := range []string{"item-slow", "item-good"} {
		if o := outcome(t, outcomes, id); o.State != wire.ItemClaimed || o.Packages[0].From != "1.0" {
			t.Errorf("%s ended %+v, want claimed from 1.0", id, o)
		}
	}
	wantStatus(t, w.World, "slow", "install ok installed 1.1")
	wantStatus(t, w.World, "good", "install ok installed 1.1")
	if audit := w.Audit(); audit != "" {
		t.Errorf("dpkg --audit says %q", audit)
	}
}

// TestPowerCutBeforeAFailureStillRestores is an executor's way back: it
// recovers, takes what is in place for done and installs the rest again.
func TestPowerCutBeforeAFailureStillRestores(t *testing.T) {
	w := newSlowWorld(t)
	fails := waitsForGo("1.2")
	fails.Scripts["postinst"] += "; exit 9"
	w.Offer(fails)
	w.ByHand("apt-get", "update")
	p := w.Provider()
	items, err := p.Preserve(t.Context(), []wire.Item{item("slow", "1.0", "1.2"), item("good", "1.0", "1.1")})
	if err != nil {
		t.Fatal(err)
	}
	agent := startAgent(t, w.World, items...)
	await(t, "the postinst runs", w.running)
	powerCut(t, w, agent)
	w.goOn()
	log, err := w.Provider().Recover(t.Context(), limits)
	if !errors.Is(err, fault.New(fault.DpkgBroken)) || fault.CanRetry(err) {
		t.Fatalf("recover: %v, want dpkg_broken\n%s", err, log.Tail)
	}
	log, outcomes, err := w.Provider().Install(t.Context(), items[:1], limits, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, log.Tail)
	}
	if o := outcomes[0]; o.State != wire.ItemFailed || o.Cause.Code != string(fault.PackageFailed) || o.Packages[0].From != "1.0" || o.Packages[0].To != "1.0" {
		t.Errorf("slow ended %+v %+v, want failed and back at 1.0\n%s", o, o.Cause, log.Tail)
	}
	wantStatus(t, w.World, "slow", "install ok installed 1.0")
	if audit := w.Audit(); audit != "" {
		t.Errorf("dpkg --audit says %q", audit)
	}
}

func TestRecoverAfterAPowerCutNeedsNoOrder(t *testing.T) {
	w := newSlowWorld(t)
	agent := startAgent(t, w.World, item("slow", "1.0", "1.1"))
	await(t, "the postinst runs", w.running)
	powerCut(t, w, agent)
	w.goOn()
	log, err := w.Provider().Recover(t.Context(), limits)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.Tail, "--configure -a") || log.SHA256 == "" {
		t.Errorf("log is %+v, want dpkg --configure -a", log)
	}
	wantStatus(t, w.World, "slow", "install ok installed 1.1")
}

func TestPackageBrokenByAnotherIsReportedAndKept(t *testing.T) {
	w := newWorld(t)
	w.Offer(aptworld.Package{Name: "stuck", Version: "1", Scripts: map[string]string{"postinst": "exit 1"}})
	w.ByHand("apt-get", "update")
	if err := w.Command("apt-get", "-y", "install", "stuck").Run(); err == nil {
		t.Fatal("stuck was installed without a complaint")
	}
	log, err := w.Provider().Recover(t.Context(), limits)
	if !errors.Is(err, fault.New(fault.DpkgBroken)) || fault.CanRetry(err) {
		t.Errorf("recover: %v, want dpkg_broken for good\n%s", err, log.Tail)
	}
	wantStatus(t, w, "stuck", "install ok half-configured 1")
}

func TestHeldLockIsWaitedForAndItsHolderNamed(t *testing.T) {
	w := newSlowWorld(t)
	other := w.Command("apt-get", "-y", "install", "slow=1.1")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "the other apt-get holds the lock", w.running)
	good := item("good", "1.0", "1.1")
	_, _, err := w.Provider().Install(t.Context(), []wire.Item{good}, provider.Limits{LockWait: 50 * time.Millisecond}, nil)
	var held *fault.Error
	if !errors.As(err, &held) || held.Code != fault.LockHeld || held.Args["holder"] != "apt-get" ||
		held.Args["pid"] != strconv.Itoa(other.Process.Pid) || !fault.CanRetry(err) {
		t.Errorf("install beside another apt-get: %v, want lock_held by apt-get pid %d", err, other.Process.Pid)
	}
	wantStatus(t, w.World, "good", "install ok installed 1.0")

	waiting := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		told := false
		_, _, err := w.Provider().Install(t.Context(), []wire.Item{good}, limits, func(line string) {
			if !told && strings.Contains(line, "waiting for apt-get") {
				told = true
				close(waiting)
			}
		})
		done <- err
	}()
	<-waiting
	w.goOn()
	if err := other.Wait(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Errorf("install after the lock was released: %v", err)
	}
	wantStatus(t, w.World, "good", "install ok installed 1.1")
}

func TestWhatAnotherActorDidMeanwhileIsNotDoneAgain(t *testing.T) {
	w := newSlowWorld(t)
	w.Offer(aptworld.Package{Name: "good", Version: "1.2"})
	w.ByHand("apt-get", "update")
	other := w.Command("apt-get", "-y", "install", "slow=1.1", "good=1.2")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "the other apt-get holds the lock", w.running)
	log, outcomes, err := w.Provider().Install(t.Context(), []wire.Item{item("slow", "1.0", "1.1"), item("good", "1.0", "1.1")}, limits, func(line string) {
		if strings.Contains(line, "waiting for apt-get") {
			w.goOn()
		}
	})
	if err := other.Wait(); err != nil {
		t.Error(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if o := outcome(t, outcomes, "item-good"); o.State != wire.ItemNotApplicable || o.Cause.Code != string(fault.Superseded) || o.Cause.Args["by"] != "1.2" {
		t.Errorf("good ended %+v %+v, want not_applicable, superseded by 1.2", o, o.Cause)
	}
	if o := outcome(t, outcomes, "item-slow"); o.State != wire.ItemNotApplicable {
		t.Errorf("slow ended %+v %+v, want not_applicable", o, o.Cause)
	}
	if strings.Contains(log.Tail, "apt-get -y") {
		t.Errorf("nothing was left to do, but\n%s", log.Tail)
	}
	wantStatus(t, w.World, "good", "install ok installed 1.2")
}

func TestSilentTransactionIsSaidToBeSilent(t *testing.T) {
	w := newSlowWorld(t)
	p := w.Provider(func(o *apt.Options) { o.Stall = 100 * time.Millisecond })
	told := false
	_, outcomes, err := p.Install(t.Context(), []wire.Item{item("slow", "1.0", "1.1")}, limits, func(line string) {
		if strings.Contains(line, "no output for") {
			told = true
			w.goOn()
		}
	})
	if err != nil || !told || outcomes[0].State != wire.ItemClaimed {
		t.Errorf("install: %v, silence told: %v, outcome %+v", err, told, outcomes)
	}
}
