// Package lock keeps two lab processes from doing the same thing at once.
//
// It owns one advisory lock on one file, held by an open descriptor: the kernel
// lets go of it however its holder ends, so there is no stale lock to clear. Any
// lab package may call it from any goroutine.
package lock

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// poll is how often a taken lock is tried again. What the lab does under a lock
// takes between a second and two minutes.
const poll = 100 * time.Millisecond

// Lock is held until Release or the end of the process.
type Lock struct{ file *os.File }

// Acquire takes the lock of that path, making the file, and waits while another
// process or another call has it. waiting, when not nil, is called once before
// the wait.
func Acquire(ctx context.Context, path string, waiting func()) (*Lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make directory of lock: %w", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		taken, err := try(file)
		if err != nil {
			return nil, closeAfter(file, fmt.Errorf("lock %s: %w", path, err))
		}
		if taken {
			return &Lock{file: file}, nil
		}
		if waiting != nil {
			waiting()
			waiting = nil
		}
		select {
		case <-ctx.Done():
			return nil, closeAfter(file, fmt.Errorf("wait for lock %s: %w", path, context.Cause(ctx)))
		case <-ticker.C:
		}
	}
}

// Release lets go. The file stays: removing it would let a waiter hold a lock on
// a file that a third one no longer sees.
func (l *Lock) Release() error {
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("release lock: %w", err)
	}
	return nil
}

// closeAfter closes the file on the way out of an error worth more than its own.
func closeAfter(file *os.File, cause error) error {
	if err := file.Close(); err != nil {
		return fmt.Errorf("%w (and close: %w)", cause, err)
	}
	return cause
}
