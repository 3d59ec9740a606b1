package agent

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/windows"
)

// uptime tells the time since boot, which no clock change moves and which
// counts the time a device was suspended.
func uptime() func() time.Duration { return windows.DurationSinceBoot }

const rebootTimeout = time.Minute

// reboot asks the system, which ends programs and services in their order:
// /f, because a program that asks "save?" would otherwise keep the device up
// after everybody was told that it restarts.
func reboot(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, rebootTimeout)
	defer cancel()
	system, err := windows.GetSystemDirectory()
	if err != nil {
		return fmt.Errorf("find the system's directory: %w", err)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(system, "shutdown.exe"), "/r", "/f", "/t", "0", "/d", "p:2:17") // planned: security patch
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("shutdown: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// alive tells whether the process has not ended.
func alive(pid int) bool {
	if pid <= 0 {
		return false
	}
	p, err := windows.OpenProcess(windows.SYNCHRONIZE, false, uint32(pid))
	if err != nil {
		return false
	}
	defer windows.CloseHandle(p)
	state, err := windows.WaitForSingleObject(p, 0)
	return err == nil && state == uint32(windows.WAIT_TIMEOUT)
}
