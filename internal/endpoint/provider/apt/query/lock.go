package query

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/provider"
	"patchring/internal/endpoint/provider/tool"
)

// lockPoll is how often a held lock is looked at again.
const lockPoll = 500 * time.Millisecond

// The locks of a package transaction and of a refresh. They are fcntl locks:
// flock(2) neither sees nor stops them.
var (
	TransactionLocks = []string{"var/lib/dpkg/lock-frontend", "var/lib/dpkg/lock", "var/cache/apt/archives/lock"}
	RefreshLocks     = []string{"var/lib/apt/lists/lock"}
)

// Holder is who holds a lock. The pid is 0 when it lives in another pid
// namespace, as a container's would.
type Holder struct {
	PID  int
	Name string
}

// LockHolder asks the kernel who would stop us, without taking the lock.
func (d *Device) LockHolder(locks []string) (Holder, bool, error) {
	for _, lock := range locks {
		file, err := os.OpenFile(d.Path(lock), os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Holder{}, false, fmt.Errorf("look at lock: %w", err)
		}
		probe := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
		err = unix.FcntlFlock(file.Fd(), unix.F_GETLK, &probe)
		// A process loses all its fcntl locks on a file when it closes any
		// descriptor of it; this process holds none.
		err = errors.Join(err, file.Close())
		if err != nil {
			return Holder{}, false, fmt.Errorf("look at lock %s: %w", lock, err)
		}
		if probe.Type != unix.F_UNLCK {
			return Holder{PID: int(probe.Pid), Name: tool.ProcessName(int(probe.Pid))}, true, nil
		}
	}
	return Holder{}, false, nil
}

// WaitLocks waits until nobody holds the locks, at most limit long. The holder
// is never disturbed, only named.
func (d *Device) WaitLocks(ctx context.Context, locks []string, limit time.Duration, tell provider.Progress) error {
	started := time.Now()
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for told := (Holder{}); ; {
		h, held, err := d.LockHolder(locks)
		if err != nil || !held {
			return err
		}
		waited := time.Since(started)
		if waited >= limit {
			return fault.Again(fault.LockHeld, "holder", h.Name, "pid", strconv.Itoa(h.PID),
				"waited", waited.Round(time.Second).String())
		}
		if h != told && tell != nil {
			told = h
			tell(fmt.Sprintf("waiting for %s (pid %d), which holds the package manager's lock", h.Name, h.PID))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for lock of %s: %w", h.Name, ctx.Err())
		case <-tick.C:
		}
	}
}
