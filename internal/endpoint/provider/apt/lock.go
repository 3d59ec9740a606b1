package apt

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
	transactionLocks = []string{"var/lib/dpkg/lock-frontend", "var/lib/dpkg/lock", "var/cache/apt/archives/lock"}
	refreshLocks     = []string{"var/lib/apt/lists/lock"}
)

// holder is who holds a lock. The pid is 0 when it lives in another pid
// namespace, as a container's would.
type holder struct {
	pid  int
	name string
}

// lockHolder asks the kernel who would stop us, without taking the lock.
func (p *Provider) lockHolder(locks []string) (holder, bool, error) {
	for _, lock := range locks {
		file, err := os.OpenFile(p.path(lock), os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return holder{}, false, fmt.Errorf("look at lock: %w", err)
		}
		probe := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
		err = unix.FcntlFlock(file.Fd(), unix.F_GETLK, &probe)
		// A process loses all its fcntl locks on a file when it closes any
		// descriptor of it; this process holds none.
		err = errors.Join(err, file.Close())
		if err != nil {
			return holder{}, false, fmt.Errorf("look at lock %s: %w", lock, err)
		}
		if probe.Type != unix.F_UNLCK {
			return holder{pid: int(probe.Pid), name: tool.ProcessName(int(probe.Pid))}, true, nil
		}
	}
	return holder{}, false, nil
}

// waitLocks waits until nobody holds the locks, at most limit long. The holder
// is never disturbed, only named.
func (p *Provider) waitLocks(ctx context.Context, locks []string, limit time.Duration, tell provider.Progress) error {
	started := time.Now()
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for told := (holder{}); ; {
		h, held, err := p.lockHolder(locks)
		if err != nil || !held {
			return err
		}
		waited := time.Since(started)
		if waited >= limit {
			return fault.Again(fault.LockHeld, "holder", h.name, "pid", strconv.Itoa(h.pid),
				"waited", waited.Round(time.Second).String())
		}
		if h != told && tell != nil {
			told = h
			tell(fmt.Sprintf("waiting for %s (pid %d), which holds the package manager's lock", h.name, h.pid))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for lock of %s: %w", h.name, ctx.Err())
		case <-tick.C:
		}
	}
}
