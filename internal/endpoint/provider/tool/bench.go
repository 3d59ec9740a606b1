//go:build linux

package tool

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"patchring/internal/endpoint/provider"
)

// StatusFD is the descriptor on which a transaction may write its machine
// readable progress; the file is StatusFile after the run.
const StatusFD = 3

// pollEvery is how often the output of a running transaction is looked at.
const pollEvery = 200 * time.Millisecond

// marker names a transaction in the environment of its processes, so that
// they are found again even if the agent died before it could write their pid.
const marker = "PATCHRING_TRANSACTION"

// Bench is where transactions run, one at a time, and where their logs are
// kept. Its methods are for one goroutine.
type Bench struct {
	Dir   string   // on the device, survives reboots
	Tools []string // names of the processes that are the transaction itself, not what it started
	Now   func() time.Time
	Stall time.Duration // silence after which progress says so
}

// Record is what is written before and after a transaction's start.
//
// Crash story: with a record and no pid, or a pid that is gone, the processes
// are looked for by ID; with no process left the transaction is over and the
// package database tells how far it came.
type Record struct {
	ID      string `json:"id"`
	PID     int    `json:"pid,omitempty"`
	Start   uint64 `json:"start,omitempty"` // of the process, in clock ticks since boot: a pid alone may be reused
	BootID  string `json:"boot_id"`
	Log     string `json:"log"`
	Command string `json:"command"`
}

func (b *Bench) recordFile() string { return filepath.Join(b.Dir, "running.json") }

// StatusFile is what the last transaction wrote on StatusFD.
func (b *Bench) StatusFile() string { return filepath.Join(b.Dir, "status-fd") }

// Run carries a transaction to its end. It cannot be cancelled. The output
// goes to the log and, line by line, to p; a silence of Stall is told to p too.
func (b *Bench) Run(l *Log, c Command, p provider.Progress) (Exit, error) {
	path, err := lookPath(c.Name)
	if err != nil {
		return Exit{}, err
	}
	status, err := os.OpenFile(b.StatusFile(), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return Exit{}, fmt.Errorf("open status of %s: %w", c.Name, err)
	}
	defer status.Close()
	l.Note("%s", c)
	rec := Record{ID: rand.Text(), BootID: bootID(), Log: l.path, Command: c.String()}
	if err := b.write(rec); err != nil {
		return Exit{}, err
	}
	cmd := exec.Command(path, c.Args...)
	cmd.Env = append(c.environment(), marker+"="+rec.ID)
	cmd.Dir = c.Dir
	cmd.Stdout, cmd.Stderr = l.file, l.file
	cmd.ExtraFiles = []*os.File{status}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	from := l.size()
	if err := cmd.Start(); err != nil {
		return Exit{}, errors.Join(fmt.Errorf("run %s: %w", c.Name, err), os.Remove(b.recordFile()))
	}
	rec.PID = cmd.Process.Pid
	if stat, ok := processStat(rec.PID); ok {
		rec.Start = stat.start
	}
	writeErr := b.write(rec) // not fatal: the marker finds the process as well

	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	follow := b.follow(l.path, from, p)
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for waiting := true; waiting; {
		select {
		case err = <-ended:
			waiting = false
		case <-tick.C:
		}
		follow.poll()
	}
	exit := Exit{Code: cmd.ProcessState.ExitCode(), Stderr: l.tailFrom(from)}
	l.Note("exit %d", exit.Code)
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		err = nil
	}
	return exit, errors.Join(err, writeErr, os.Remove(b.recordFile()))
}

// Survivor finds a transaction of an earlier agent that still runs.
func (b *Bench) Survivor() (Record, bool, error) {
	text, err := os.ReadFile(b.recordFile())
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, false, nil
	}
	if err != nil {
		return Record{}, false, fmt.Errorf("read running transaction: %w", err)
	}
	// A record that cannot be read (it is written whole or not at all) counts as
	// ended: the package manager's own lock still stands in the way of a second one.
	var rec Record
	if json.Unmarshal(text, &rec) == nil && rec.BootID == bootID() && b.alive(rec) {
		return rec, true, nil
	}
	if err := os.Remove(b.recordFile()); err != nil {
		return Record{}, false, fmt.Errorf("forget ended transaction: %w", err)
	}
	return Record{}, false, nil
}

// Await waits until a survivor has ended by itself, or ctx ends.
func (b *Bench) Await(ctx context.Context, rec Record, p provider.Progress) error {
	var from int64 // what was said before is known already
	if stat, err := os.Stat(rec.Log); err == nil {
		from = stat.Size()
	}
	follow := b.follow(rec.Log, from, p)
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for b.alive(rec) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s (pid %d): %w", rec.Command, rec.PID, ctx.Err())
		case <-tick.C:
		}
		follow.poll()
	}
	follow.poll()
	if err := os.Remove(b.recordFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget ended transaction: %w", err)
	}
	return nil
}

// alive looks for the first process of the transaction, then for any of its
// tools that outlived it: an apt-get that was killed leaves its dpkg working.
func (b *Bench) alive(rec Record) bool {
	if rec.PID != 0 {
		if stat, ok := processStat(rec.PID); ok && stat.start == rec.Start && !stat.dead() {
			return true
		}
	}
	return markedProcess(marker+"="+rec.ID, b.Tools)
}

func (b *Bench) write(rec Record) error {
	text, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("encode running transaction: %w", err)
	}
	return WriteDurable(b.recordFile(), text)
}

// follower tells progress what was added to a file.
type follower struct {
	path   string
	offset int64
	stall  time.Duration
	now    func() time.Time
	last   time.Time
	tell   provider.Progress
}

func (b *Bench) follow(path string, from int64, p provider.Progress) *follower {
	if p == nil {
		p = func(string) {}
	}
	return &follower{path: path, offset: from, stall: b.Stall, now: b.Now, last: b.Now(), tell: p}
}

// poll reads whole lines only. What it cannot read costs progress, never the
// transaction.
func (f *follower) poll() {
	file, err := os.Open(f.path)
	if err != nil {
		return
	}
	defer file.Close()
	buf := make([]byte, 16<<10)
	for {
		n, err := file.ReadAt(buf, f.offset)
		lines, used := wholeLines(buf[:n], n == len(buf))
		f.offset += int64(used)
		for _, line := range lines {
			f.last = f.now()
			f.tell(line)
		}
		if used == 0 || err != nil && !errors.Is(err, io.EOF) {
			break
		}
	}
	if silent := f.now().Sub(f.last); f.stall > 0 && silent >= f.stall {
		f.last = f.now()
		f.tell(fmt.Sprintf("no output for %s, still running", f.stall))
	}
}
