// Package tool runs the external programs the lab is made of (ip, mount helpers,
// debootstrap, apt-ftparchive, gpg, ...).
//
// It owns how they are called: an argument list and never a shell, a fixed
// environment, capped output, and a process group that dies with its caller, so
// that an interrupted lab leaves no debootstrap behind. It knows nothing of what
// the programs do. Any lab package may call it from any goroutine.
package tool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Path is where tools are looked for, here and inside the hosts.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// outputLimit caps what one call keeps in memory of each stream. The longest
// expected output, a package list of a host, is some 100 kB.
const outputLimit = 4 << 20

// tailLimit is how much of stderr an error message quotes.
const tailLimit = 2000

// Cmd is one call. Only Args is required.
type Cmd struct {
	Args  []string
	Dir   string
	Env   []string  // the whole environment; Environment() when nil
	Stdin io.Reader // nothing when nil
	Log   io.Writer // gets a copy of both streams when set
}

// Result is what a program that ran to its end left.
type Result struct {
	Code   int // exit status; 128+n when signal n ended it
	Stdout []byte
	Stderr []byte
}

// ExitError says that a program ran and ended with another status than 0.
type ExitError struct {
	Args []string
	Result
}

func (e *ExitError) Error() string {
	tail := strings.TrimSpace(string(e.Stderr))
	if tail == "" {
		tail = strings.TrimSpace(string(e.Stdout))
	}
	if len(tail) > tailLimit {
		tail = "…" + tail[len(tail)-tailLimit:]
	}
	return fmt.Sprintf("run %s: status %d: %s", strings.Join(e.Args, " "), e.Code, tail)
}

// Run runs the arguments and fails unless they end with status 0.
func Run(ctx context.Context, args ...string) error {
	_, err := Cmd{Args: args}.Output(ctx)
	return err
}

// Output runs the arguments, fails unless they end with status 0, and returns stdout.
func Output(ctx context.Context, args ...string) ([]byte, error) {
	return Cmd{Args: args}.Output(ctx)
}

// Output is Do that treats a status other than 0 as an error.
func (c Cmd) Output(ctx context.Context) ([]byte, error) {
	res, err := c.Do(ctx)
	if err != nil {
		return nil, err
	}
	if res.Code != 0 {
		return res.Stdout, &ExitError{Args: c.Args, Result: res}
	}
	return res.Stdout, nil
}

// Do runs the program to its end. An error means that it could not be started or
// was interrupted; its own status is in the result.
func (c Cmd) Do(ctx context.Context) (Result, error) {
	// Linux delivers the parent-death signal when the starting thread ends, not
	// the process: stay on this thread until the child is gone.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Dir = c.Dir
	cmd.Env = c.Env
	if cmd.Env == nil {
		cmd.Env = Environment()
	}
	cmd.Stdin = c.Stdin
	log := &shared{w: c.Log}
	stdout, stderr := &capped{copy: log}, &capped{copy: log}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.WaitDelay = 5 * time.Second
	tie(cmd)
	err := cmd.Run()
	res := Result{Stdout: stdout.kept.Bytes(), Stderr: stderr.kept.Bytes()}
	if ctx.Err() != nil {
		return res, fmt.Errorf("run %s: %w", strings.Join(c.Args, " "), context.Cause(ctx))
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		res.Code = status(exit)
		return res, nil
	}
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return res, fmt.Errorf("run %s: %w", strings.Join(c.Args, " "), err)
	}
	return res, nil
}

// Environment is the same for every tool on every machine.
func Environment() []string {
	return []string{"PATH=" + Path, "LC_ALL=C", "HOME=/root", "TERM=dumb", "DEBIAN_FRONTEND=noninteractive"}
}

// OnlineEnvironment adds the proxies through which this machine reaches its package
// archive. Inside the lab they would lead nowhere.
func OnlineEnvironment() []string {
	env := Environment()
	for _, name := range []string{"http_proxy", "https_proxy", "no_proxy"} {
		if v := os.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// Find returns the first of the directories of Path that has the program.
func Find(name string) (string, bool) {
	for dir := range strings.SplitSeq(Path, ":") {
		full := dir + "/" + name
		if st, err := os.Stat(full); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return full, true
		}
	}
	return "", false
}

// capped keeps the first outputLimit bytes and passes everything on to copy. Its
// buffer is not embedded: the buffer's own ReadFrom would go round the cap.
type capped struct {
	kept bytes.Buffer
	copy *shared
}

func (c *capped) Write(p []byte) (int, error) {
	if err := c.copy.write(p); err != nil {
		return 0, err
	}
	if room := outputLimit - c.kept.Len(); room > 0 {
		c.kept.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// shared lets stdout and stderr, copied by two goroutines, write to one log.
type shared struct {
	mu sync.Mutex // guards w
	w  io.Writer
}

func (s *shared) write(p []byte) error {
	if s.w == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.w.Write(p)
	return err
}
