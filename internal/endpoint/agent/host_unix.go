//go:build unix

package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// uptime tells the time since boot, which no clock change moves and which
// counts the time a device was suspended.
func uptime() func() time.Duration {
	started := time.Now()
	return func() time.Duration {
		text, err := os.ReadFile("/proc/uptime")
		if err == nil {
			first, _, _ := strings.Cut(string(text), " ")
			if s, err := strconv.ParseFloat(first, 64); err == nil {
				return time.Duration(s * float64(time.Second))
			}
		}
		return time.Since(started) // the monotonic clock of this process
	}
}

const rebootTimeout = time.Minute

// reboot asks the init system, which stops services in their order.
func reboot(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, rebootTimeout)
	defer cancel()
	command := []string{"reboot"}
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		command = []string{"systemctl", "reboot"}
	} else if _, err := exec.LookPath("reboot"); err != nil {
		return errors.New("there is no reboot command on this device")
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func alive(pid int) bool {
	return pid > 0 && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}
