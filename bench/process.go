//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program that the bench started and will end.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan error
}

// start runs a program with its output in a file; out, if any, gets its
// standard output instead.
func (b *bench) start(name string, out io.Writer, program string, args ...string) (*process, error) {
	return b.startWith(nil, name, out, program, args...)
}

// startWith is start with something to read.
func (b *bench) startWith(in io.Reader, name string, out io.Writer, program string, args ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(b.temp, name+".log"), done: make(chan error, 1)}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer log.Close()
	p.cmd = exec.Command(program, args...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = in, out, log
	if out == nil {
		p.cmd.Stdout = log
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	return p, nil
}

// stop asks the program to end, and waits.
func (p *process) stop() error {
	err := p.cmd.Process.Signal(os.Interrupt)
	if errors.Is(err, os.ErrProcessDone) {
		return nil // whoever waited for it has told
	}
	if err != nil {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case err := <-p.done:
		if err != nil {
			return fmt.Errorf("%s ended: %w; its last words: %s", p.name, err, p.lastWords())
		}
		return nil
	case <-time.After(30 * time.Second):
		return errors.Join(fmt.Errorf("%s does not end", p.name), p.cmd.Process.Kill())
	}
}

func (p *process) lastWords() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-500):]))
}

// cpu is the processor time the program has used.
func (p *process) cpu() (time.Duration, error) { return cpuOf(p.cmd.Process.Pid) }

// cpuOf reads /proc/PID/stat, whose second field may hold blanks:
//
//	4242 (patchring) S 1 … utime stime … in ticks of 10 ms
func cpuOf(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("measure processor time: %w", err)
	}
	_, rest, ok := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 13 {
		return 0, fmt.Errorf("measure processor time: %q", text)
	}
	user, e1 := strconv.ParseInt(fields[11], 10, 64)
	system, e2 := strconv.ParseInt(fields[12], 10, 64)
	if err := errors.Join(e1, e2); err != nil {
		return 0, fmt.Errorf("measure processor time: %w", err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond, nil
}

// rss is the program's resident memory in KiB.
func (p *process) rss() (float64, error) { return rssOf(p.cmd.Process.Pid) }

func rssOf(pid int) (float64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("measure memory: %w", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 64)
			if err != nil {
				return 0, fmt.Errorf("measure memory: %w", err)
			}
			return kib, nil
		}
	}
	return 0, errors.New("measure memory: no VmRSS")
}

// steadyRSS waits until memory has stopped to grow: three looks a second apart
// within one part in a hundred, or limit.
func (p *process) steadyRSS(ctx context.Context, limit time.Duration) (float64, error) {
	var last float64
	steady := 0
	for end := time.Now().Add(limit); time.Now().Before(end) && steady < 3; {
		now, err := p.rss()
		if err != nil {
			return 0, err
		}
		if now <= last*1.01 && now >= last*0.99 {
			steady++
		} else {
			steady = 0
		}
		last = now
		if err := pause(ctx, time.Second); err != nil {
			return 0, err
		}
	}
	return last, nil
}

// ownCPU is the processor time of this process.
func ownCPU() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("measure processor time: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// until asks again and again, within limit.
func until(ctx context.Context, what string, limit time.Duration, condition func() (bool, error)) error {
	for end := time.Now().Add(limit); ; {
		ok, err := condition()
		if err != nil || ok {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("waited %s for %s", limit, what)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}
