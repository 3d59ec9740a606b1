package tool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"patchring/internal/endpoint/provider"
	"patchring/wire"
)

func sh(script string) Command { return Command{Name: "sh", Args: []string{"-c", script}} }

func lines(t *testing.T, c Command) ([]string, Exit) {
	t.Helper()
	var got []string
	exit, err := Lines(t.Context(), c, func(line []byte) error { got = append(got, string(line)); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return got, exit
}

func TestLinesStreamsAndKeepsTheEndOfStderr(t *testing.T) {
	got, exit := lines(t, sh(`printf 'a\nb\r\n\nlast'; for i in $(seq 3000); do echo "error $i" >&2; done; exit 7`))
	if want := []string{"a", "b", "", "last"}; !slices.Equal(got, want) {
		t.Errorf("lines %q, want %q", got, want)
	}
	if exit.Code != 7 || len(exit.Stderr) != maxTailBytes || !strings.HasSuffix(exit.Stderr, "error 3000\n") {
		t.Errorf("exit %d with %d bytes of stderr", exit.Code, len(exit.Stderr))
	}
}

func TestLinesCutsLongOnes(t *testing.T) {
	got, _ := lines(t, sh(`head -c 100000 /dev/zero | tr '\0' x; echo; echo next`))
	if len(got) != 2 || len(got[0]) > maxLineBytes || got[1] != "next" {
		t.Errorf("%d lines, the first of %d bytes", len(got), len(got[0]))
	}
}

func TestEnvironmentIsFixed(t *testing.T) {
	t.Setenv("LANG", "fr_FR.UTF-8")
	t.Setenv("SECRET", "x")
	c := sh(`echo $LC_ALL $SECRET $EXTRA; cat`) // cat ends at once: there is no standard input
	c.Env = []string{"EXTRA=y"}
	if got, _ := lines(t, c); !slices.Equal(got, []string{"C y"}) {
		t.Errorf("environment shows %q", got)
	}
}

func TestLinesEndsWhatTakesTooLong(t *testing.T) {
	c := sh(`sleep 60 & echo $!; wait`)
	c.Timeout = 100 * time.Millisecond
	child := ""
	_, err := Lines(t.Context(), c, func(line []byte) error { child = string(line); return nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("ended with %v", err)
	}
	gone(t, child)
	stop := errors.New("enough")
	if _, err := Lines(t.Context(), sh(`echo a; sleep 60`), func([]byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("ended with %v, want %v", err, stop)
	}
	if _, err := Lines(t.Context(), Command{Name: "no-such-tool"}, nil); err == nil || Found("no-such-tool") {
		t.Errorf("a tool that is not there ran: %v", err)
	}
}

// gone waits until a process has ended.
func gone(t *testing.T, pid string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
		if err != nil || strings.Contains(string(text), ") Z ") {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("process %s is still there: %s", pid, text)
		case <-tick.C:
		}
	}
}

func newBench(t *testing.T) *Bench {
	return &Bench{Dir: t.TempDir(), Tools: []string{"sh", "sleep"}, Now: time.Now}
}

func TestRunLogsEverything(t *testing.T) {
	b := newBench(t)
	log, err := b.Open("test")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	c := sh(`echo out; echo err >&2; printf 'first\rsecond\n'; echo state >&3; exit 5`)
	exit, err := b.Run(log, c, func(line string) { told = append(told, line) })
	if err != nil || exit.Code != 5 || !strings.Contains(exit.Stderr, "err\n") {
		t.Fatalf("run: %v, %+v", err, exit)
	}
	if want := []string{"out", "err", "second"}; !slices.Equal(told[:3], want) {
		t.Errorf("progress %q, want %q first", told, want)
	}
	if status, err := os.ReadFile(b.StatusFile()); err != nil || string(status) != "state\n" {
		t.Errorf("status is %q, %v", status, err)
	}
	sum, err := log.Close()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(sum.File)
	if err != nil || !strings.Contains(string(content), "# exit 5") || sum.Tail != wire.Clean(string(content), wire.MaxLogTailBytes) || len(sum.SHA256) != 64 {
		t.Errorf("log is %+v of %q, %v", sum, content, err)
	}
	if rec, running, err := b.Survivor(); err != nil || running {
		t.Errorf("after its end it is still running: %+v, %v", rec, err)
	}
}

func TestLogWithoutContentLeavesNoFile(t *testing.T) {
	b := newBench(t)
	log, err := b.Open("test")
	if err != nil {
		t.Fatal(err)
	}
	if sum, err := log.Close(); err != nil || sum != (provider.Log{}) || len(dirNames(filepath.Join(b.Dir, "logs"))) != 0 {
		t.Errorf("an empty log is %+v, %v", sum, err)
	}
}

func TestLogsAreBounded(t *testing.T) {
	b := newBench(t)
	now := time.Now()
	b.Now = func() time.Time { now = now.Add(time.Second); return now }
	for i := range maxLogs + 5 {
		log, err := b.Open("test")
		if err != nil {
			t.Fatal(err)
		}
		log.Note("number %d", i)
		if _, err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
	names := dirNames(filepath.Join(b.Dir, "logs"))
	if len(names) != maxLogs {
		t.Errorf("%d logs are kept, want %d", len(names), maxLogs)
	}
	log, err := b.Open("big")
	if err != nil {
		t.Fatal(err)
	}
	log.Note("head")
	chunk := strings.Repeat(strings.Repeat("x", 99)+"\n", 10000)
	for range maxLogSize/len(chunk) + 2 {
		if _, err := log.file.WriteString(chunk); err != nil {
			t.Fatal(err)
		}
	}
	log.Note("tail")
	sum, err := log.Close()
	if err != nil {
		t.Fatal(err)
	}
	stat, err := os.Stat(sum.File)
	if err != nil || stat.Size() > maxLogSize+100 || !strings.HasSuffix(sum.Tail, "# tail\n") {
		t.Errorf("a long log is %+v, %v", stat.Size(), err)
	}
	if err := prune(filepath.Join(b.Dir, "logs"), maxLogs, 1000); err != nil {
		t.Fatal(err)
	}
	var total int64
	for _, name := range dirNames(filepath.Join(b.Dir, "logs")) {
		stat, err := os.Stat(filepath.Join(b.Dir, "logs", name))
		if err != nil {
			t.Fatal(err)
		}
		total += stat.Size()
	}
	if total > 1000 {
		t.Errorf("%d bytes of logs are left, want at most 1000", total)
	}
}

// survivor starts a process as an agent that died did: marked, with no parent
// that waits for it. The record is what that agent had written by then.
func survivor(t *testing.T, b *Bench, change func(*Record)) *os.Process {
	t.Helper()
	rec := Record{ID: fmt.Sprint("test-", os.Getpid(), t.Name()), BootID: bootID(), Log: "/nowhere"}
	p, err := os.StartProcess("/bin/sleep", []string{"sleep", "60"}, &os.ProcAttr{
		Env: []string{marker + "=" + rec.ID}, Sys: &syscall.SysProcAttr{Setsid: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill(); _, _ = p.Wait() })
	rec.PID = p.Pid
	if s, ok := processStat(p.Pid); ok {
		rec.Start = s.start
	}
	change(&rec)
	if err := b.write(rec); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSurvivorIsFound(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Record)
		tools  []string
		want   bool
	}{
		"by its pid":                       {func(*Record) {}, nil, true},
		"by its mark, pid not yet written": {func(r *Record) { r.PID, r.Start = 0, 0 }, []string{"sleep"}, true},
		"by its mark, pid reused":          {func(r *Record) { r.Start++ }, []string{"sleep"}, true},
		"not what it started":              {func(r *Record) { r.PID = 0 }, []string{"apt-get"}, false},
		"not of another boot":              {func(r *Record) { r.BootID = "another" }, []string{"sleep"}, false},
		"not of another transaction":       {func(r *Record) { r.PID, r.ID = 0, "another" }, []string{"sleep"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.Tools = tc.tools
			survivor(t, b, tc.change)
			_, running, err := b.Survivor()
			if err != nil || running != tc.want {
				t.Errorf("survivor found: %v, %v; want %v", running, err, tc.want)
			}
		})
	}
}

func TestAwaitEndsWithTheSurvivor(t *testing.T) {
	b := newBench(t)
	p := survivor(t, b, func(*Record) {})
	rec, running, err := b.Survivor()
	if err != nil || !running {
		t.Fatalf("survivor: %v, %v", running, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := b.Await(ctx, rec, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("await with a deadline: %v", err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := b.Await(t.Context(), rec, nil); err != nil {
		t.Error(err)
	}
	if _, running, err := b.Survivor(); err != nil || running {
		t.Errorf("after its end: %v, %v", running, err)
	}
}

func TestDamagedRecordIsForgotten(t *testing.T) {
	b := newBench(t)
	if err := WriteDurable(b.recordFile(), []byte("{")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, running, err := b.Survivor(); err != nil || running {
			t.Errorf("a damaged record: %v, %v", running, err)
		}
	}
}

func TestProcessStatReadsOddNames(t *testing.T) {
	dir := t.TempDir()
	odd := filepath.Join(dir, "a ) b")
	sleep, err := os.ReadFile("/bin/sleep")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(odd, sleep, 0o755); err != nil {
		t.Fatal(err)
	}
	p, err := os.StartProcess(odd, []string{odd, "60"}, &os.ProcAttr{})
	if err != nil {
		t.Fatal(err)
	}
	stat, ok := processStat(p.Pid)
	if !ok || stat.start == 0 || stat.dead() {
		t.Errorf("stat is %+v, %v", stat, ok)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, ok := processStat(p.Pid); ok {
		t.Error("a process that is gone still has a state")
	}
}
