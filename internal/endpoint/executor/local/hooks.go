package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"patchring/internal/core/fault"
	"patchring/wire"
)

// Phase is when hooks run.
type Phase string

// The phases, named as the directories below HooksDir.
const (
	PreInstall  Phase = "pre-install.d"  // a hook that fails says: not now
	PostInstall Phase = "post-install.d" // runs after each transaction, and after one that was called off
)

// HooksDir is where the administrator puts hooks. They are the
// only programs of somebody else that an order makes run, and nothing from the
// network puts them there or chooses among them.
const HooksDir = "/etc/patchring/hooks"

// Bounds of one hook.
const (
	hookTimeout = 5 * time.Minute
	hookGrace   = 10 * time.Second // from being asked to end until it is ended
	hookOutput  = 1 << 10
)

// Hooks are the executable files of a directory.
type Hooks struct {
	Dir     string
	Timeout time.Duration // of each one; zero is five minutes
}

// Run runs the hooks of a phase by name, each once, and stops at the first
// that fails. A hook may run more than once for one order and must bear it.
//
// A file that somebody else than its administrator could have written is not
// run: for the hooks before an install that is a failure, because what it was
// to make ready is not ready.
func (h Hooks) Run(ctx context.Context, phase Phase, order wire.Order) error {
	dir := filepath.Join(h.Dir, string(phase))
	entries, err := os.ReadDir(dir) // sorted by name
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list hooks: %w", err)
	}
	if err := ownedByAdministrator(h.Dir, dir); err != nil {
		return hookRefused(dir, err)
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		at, err := os.Stat(path)
		if err != nil {
			return hookRefused(path, err)
		}
		if at.IsDir() || !executable(at) {
			continue
		}
		if err := ownedByAdministrator(path); err != nil {
			return hookRefused(path, err)
		}
		if err := h.runOne(ctx, path, phase, order); err != nil {
			return err
		}
	}
	return nil
}

func hookRefused(path string, err error) error {
	return fault.Again(fault.HookFailed, "hook", path, "exit", "not run").Wrap(err)
}

func (h Hooks) runOne(ctx context.Context, path string, phase Phase, order wire.Order) error {
	timeout := h.Timeout
	if timeout == 0 {
		timeout = hookTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var said capped
	cmd := exec.CommandContext(ctx, path)
	cmd.Env = []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/",
		"PATCHRING_PHASE=" + string(phase), "PATCHRING_ORDER=" + order.ID, "PATCHRING_KIND=" + string(order.Kind),
		"PATCHRING_CAMPAIGN=" + order.Campaign, "PATCHRING_RING=" + order.Ring,
	}
	cmd.Dir = h.Dir
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.WaitDelay = hookGrace
	inGroup(cmd)
	err := cmd.Run()
	if ctx.Err() != nil {
		err = errors.Join(err, endGroup(cmd))
	}
	if err == nil {
		return nil
	}
	exit := "not run"
	switch {
	case ctx.Err() != nil:
		exit = "stopped after " + timeout.String()
	case cmd.ProcessState != nil:
		exit = strconv.Itoa(cmd.ProcessState.ExitCode())
	}
	return fault.Again(fault.HookFailed, "hook", path, "exit", exit).Wrap(fmt.Errorf("%w: %s", err, said.Bytes()))
}

// capped keeps the beginning of what is written to it.
type capped struct{ bytes.Buffer }

func (c *capped) Write(p []byte) (int, error) {
	c.Buffer.Write(p[:min(len(p), max(0, hookOutput-c.Len()))])
	return len(p), nil
}
