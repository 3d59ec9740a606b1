//go:build linux

package tool

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Limits of one question.
const (
	DefaultTimeout = 10 * time.Minute
	maxLineBytes   = 32 << 10 // the rest of a longer line is dropped
	maxTailBytes   = 8 << 10  // what is kept of the standard error
	maxOutputBytes = 256 << 20
)

// fixedPath is where tools are looked for, whatever the agent was started with.
const fixedPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// ErrTooMuch stops a tool that does not stop talking.
var ErrTooMuch = errors.New("tool wrote more than the limit")

// Command is one program to run.
type Command struct {
	Name    string // looked up in the fixed path
	Args    []string
	Env     []string // beside the fixed environment
	Dir     string
	Timeout time.Duration // of a question; 0 is DefaultTimeout
}

// String is the command as a log shows it; it is never parsed again.
func (c Command) String() string { return c.Name + " " + strings.Join(c.Args, " ") }

// Exit is how a tool ended. Code is -1 when a signal ended it.
type Exit struct {
	Code   int
	Stderr string // its last bytes
}

// Lines runs a question and hands over each line of its standard output,
// without the newline; the line is only valid during the call. A code other
// than 0 is not an error: what it means is the caller's knowledge. An error of
// each ends the tool and is returned.
func Lines(ctx context.Context, c Command, each func(line []byte) error) (Exit, error) {
	timeout := c.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd, err := c.command(ctx)
	if err != nil {
		return Exit{}, err
	}
	tail := &tailWriter{limit: maxTailBytes}
	cmd.Stderr = tail
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return Exit{}, fmt.Errorf("run %s: %w", c.Name, err)
	}
	if err := cmd.Start(); err != nil {
		return Exit{}, fmt.Errorf("run %s: %w", c.Name, err)
	}
	readErr := eachLine(stdout, each)
	if readErr != nil {
		cancel() // the tool must not block on a pipe nobody reads
	}
	waitErr := cmd.Wait()
	exit := Exit{Code: cmd.ProcessState.ExitCode(), Stderr: string(tail.kept)}
	if readErr != nil {
		return exit, fmt.Errorf("read %s: %w", c.Name, readErr)
	}
	if ctx.Err() != nil {
		return exit, fmt.Errorf("run %s for %s: %w", c.Name, timeout, ctx.Err())
	}
	var ended *exec.ExitError
	if waitErr != nil && !errors.As(waitErr, &ended) {
		return exit, fmt.Errorf("run %s: %w", c.Name, waitErr)
	}
	return exit, nil
}

// command prepares a question: its own process group, so that a time-out
// reaches the helpers it started too.
func (c Command) command(ctx context.Context) (*exec.Cmd, error) {
	path, err := lookPath(c.Name)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, c.Args...)
	cmd.Env = c.environment()
	cmd.Dir = c.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd, nil
}

func (c Command) environment() []string {
	return append([]string{"PATH=" + fixedPath, "LC_ALL=C", "LANGUAGE=C", "HOME=/root", "TERM=dumb"}, c.Env...)
}

// lookPath does not trust the agent's own PATH.
func lookPath(name string) (string, error) {
	if filepath.IsAbs(name) {
		return name, nil
	}
	for _, dir := range filepath.SplitList(fixedPath) {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("find %s in %s: %w", name, fixedPath, exec.ErrNotFound)
}

// Found tells whether the tool exists on this device.
func Found(name string) bool {
	_, err := lookPath(name)
	return err == nil
}

// eachLine hands over the lines of r, each cut at maxLineBytes.
func eachLine(r io.Reader, each func([]byte) error) error {
	br := bufio.NewReaderSize(r, maxLineBytes)
	total, cut := 0, false
	for {
		line, err := br.ReadSlice('\n')
		if total += len(line); total > maxOutputBytes {
			return ErrTooMuch
		}
		if len(line) > 0 && !cut {
			if eachErr := each(bytes.TrimRight(line, "\r\n")); eachErr != nil {
				return eachErr
			}
		}
		cut = errors.Is(err, bufio.ErrBufferFull)
		switch {
		case err == nil, cut:
		case errors.Is(err, io.EOF):
			return nil
		default:
			return err
		}
	}
}

// tailWriter keeps the last bytes written to it.
type tailWriter struct {
	limit int
	kept  []byte
}

func (t *tailWriter) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - t.limit; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}
