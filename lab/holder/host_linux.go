package holder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// A boot shorter than this that nobody ended has failed.
	shortBoot = 3 * time.Second
	// After so many failed boots in a row the host stays off.
	failedBoots = 3
	// How long a killed host may take to be gone before its starter is killed too.
	killPatience = 3 * time.Second
	// How often a starting host is looked at.
	lookEvery = 20 * time.Millisecond
)

// errUnwanted says that the power was cut while the host was about to start.
var errUnwanted = errors.New("the power was cut")

// host keeps one host: its disk, and one boot after the other.
type host struct {
	keeper *keeper
	index  int
	spec   Host
	disk   overlay

	mu      sync.Mutex // guards what follows
	changed chan struct{}
	wanted  bool // power
	fresh   bool // the disk is to be wiped before the next boot
	mounted bool
	failed  int // boots in a row
	starter *os.Process
	status  HostStatus
}

func newHost(k *keeper, index int, spec Host, layer string) *host {
	lower := []string{k.spec.Root}
	if layer != "" {
		lower = []string{layer, k.spec.Root}
	}
	return &host{
		keeper: k, index: index, spec: spec,
		disk:    overlay{lower: lower, dir: hostDir(k.spec.Dir, spec.Name)},
		changed: make(chan struct{}),
		wanted:  true,
		status:  HostStatus{Name: spec.Name, Address: spec.Address, Power: PowerStarting},
	}
}

// run boots the host whenever it is wanted on. It ends with the context.
func (h *host) run(ctx context.Context) error {
	for {
		if err := h.await(ctx, func() bool { return h.wanted }); err != nil {
			return err
		}
		began := time.Now()
		code, err := h.boot(ctx)
		if errors.Is(err, errUnwanted) {
			continue
		}
		if err != nil {
			// Nothing that another try would change: the disk or a program of
			// the machine is missing.
			h.keeper.log.Error("boot", "host", h.spec.Name, "error", err)
			h.update(func() {
				h.starter, h.wanted, h.status.Power, h.status.Ended = nil, false, PowerFailed, err.Error()
			})
			continue
		}
		h.keeper.log.Info("host ended", "host", h.spec.Name, "code", code, "after", time.Since(began))
		h.ended(code, time.Since(began))
	}
}

// boot runs the host once and returns how its process ended.
func (h *host) boot(ctx context.Context) (int, error) {
	if err := h.makeDisk(); err != nil {
		return 0, err
	}
	cmd, err := h.command()
	if err != nil {
		return 0, err
	}
	console, err := os.OpenFile(ConsoleFile(h.keeper.spec.Dir, h.spec.Name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, fmt.Errorf("open console: %w", err)
	}
	defer console.Close() // only written to by the child
	cmd.Stdout, cmd.Stderr = console, console
	// Under the lock: a power cut either sees this process or keeps it from starting.
	h.update(func() {
		if !h.wanted {
			err = errUnwanted
			return
		}
		if err = cmd.Start(); err != nil {
			return
		}
		h.starter = cmd.Process
		h.status.Boots++
		h.status.Power, h.status.Since, h.status.Ended = PowerStarting, time.Now(), ""
	})
	if err != nil {
		return 0, fmt.Errorf("start: %w", err)
	}
	watching, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() { defer close(watched); h.watch(watching, cmd.Process.Pid) }()
	err = cmd.Wait()
	stop()
	<-watched
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		ws := exit.Sys().(syscall.WaitStatus)
		if ws.Signaled() {
			return 128 + int(ws.Signal()), nil
		}
		return ws.ExitStatus(), nil
	}
	return 0, err
}

// watch finds the host's init.
func (h *host) watch(ctx context.Context, starter int) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		if pid, ok := findInit(starter, h.keeper.spec.Binary); ok {
			h.update(func() {
				h.status.PID, h.status.Power = pid, PowerOn
			})
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// ended notes how a boot ended and whether there is to be another.
func (h *host) ended(code int, after time.Duration) {
	h.update(func() {
		h.starter, h.status.PID, h.status.BootID = nil, 0, ""
		h.status.Power = PowerOff
		h.status.Ended = fmt.Sprintf("status %d", code)
		switch readEnding(h.keeper.spec.Light, code) {
		case endReboot:
			h.failed = 0
		case endHalt:
			h.wanted = false
		case endKilled:
			if !h.wanted { // a power cut
				return
			}
			if after >= shortBoot {
				h.failed = 0
			} else if h.failed++; h.failed >= failedBoots {
				h.wanted, h.status.Power = false, PowerFailed
			}
		}
		if h.wanted {
			h.status.Power = PowerStarting
		}
	})
}

// makeDisk mounts the host's root unless it is, after wiping it when a reset asked.
func (h *host) makeDisk() error {
	h.mu.Lock()
	fresh, mounted := h.fresh, h.mounted
	h.mu.Unlock()
	if fresh && mounted {
		if err := h.disk.unmount(); err != nil {
			return err
		}
		mounted = false
	}
	if fresh {
		if err := h.disk.wipe(); err != nil {
			return err
		}
	}
	if !mounted {
		if err := h.disk.mount(); err != nil {
			return err
		}
	}
	h.update(func() {
		h.mounted = true
		if fresh { // else a reset asked meanwhile, and is for the next boot
			h.fresh = false
		}
	})
	return h.prepareDisk()
}

// powerCut kills the host and returns when it is gone.
func (h *host) powerCut(ctx context.Context) error {
	h.update(func() { h.wanted = false })
	if err := h.kill(ctx); err != nil {
		return err
	}
	return h.await(ctx, func() bool { return h.starter == nil })
}

// powerOn returns when the host's init runs.
func (h *host) powerOn(ctx context.Context) error {
	h.update(func() {
		if !h.wanted {
			h.wanted, h.failed, h.status.Power = true, 0, PowerStarting
		}
	})
	err := h.await(ctx, func() bool { return h.status.Power == PowerOn || h.status.Power == PowerFailed })
	if err != nil {
		return err
	}
	if s := h.snapshot(); s.Power == PowerFailed {
		return fmt.Errorf("power on %s: %s", h.spec.Name, s.Ended)
	}
	return nil
}

// reset gives the host a fresh disk.
func (h *host) reset(ctx context.Context) error {
	if err := h.powerCut(ctx); err != nil {
		return err
	}
	h.update(func() { h.fresh = true })
	return h.powerOn(ctx)
}

func (h *host) setCut(ctx context.Context, cut bool) error {
	state := "up"
	if cut {
		state = "down"
	}
	if err := h.link(ctx, state); err != nil {
		return err
	}
	h.update(func() { h.status.Cut = cut })
	return nil
}

// kill kills the host's init, and with it all that runs in it; and then its
// starter, if that does not see it or has not got so far.
func (h *host) kill(ctx context.Context) error {
	h.mu.Lock()
	starter, pid := h.starter, h.status.PID
	h.mu.Unlock()
	if starter == nil {
		return nil
	}
	if pid != 0 {
		if err := signal(pid); err != nil {
			return err
		}
		patience, cancel := context.WithTimeout(ctx, killPatience)
		defer cancel()
		if h.await(patience, func() bool { return h.starter == nil }) == nil {
			return nil
		}
	}
	return signal(starter.Pid)
}

func signal(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill process %d: %w", pid, err)
	}
	return nil
}

// update changes the guarded fields and wakes who waits for them.
func (h *host) update(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
	close(h.changed)
	h.changed = make(chan struct{})
}

// await returns when the condition, which may read the guarded fields, holds.
func (h *host) await(ctx context.Context, condition func() bool) error {
	for {
		h.mu.Lock()
		met, changed := condition(), h.changed
		h.mu.Unlock()
		if met {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", h.spec.Name, context.Cause(ctx))
		case <-changed:
		}
	}
}

// snapshot adds to the status what only a look into the host tells.
func (h *host) snapshot() HostStatus {
	h.mu.Lock()
	s := h.status
	h.mu.Unlock()
	if s.PID != 0 {
		// The host may end while it is looked at; then it has no boot id.
		if id, err := os.ReadFile(fmt.Sprintf("/proc/%d/root/proc/sys/kernel/random/boot_id", s.PID)); err == nil {
			s.BootID = strings.TrimSpace(string(id))
		}
	}
	return s
}
