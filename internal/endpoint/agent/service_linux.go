package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

const (
	unitFile = "/etc/systemd/system/patchring-agent.service"
	unitName = "patchring-agent.service"
)

// KillMode=process is what keeps a package transaction alive when the agent is
// killed: dpkg in the middle of its work is nobody's to end. The long stop is
// for a shutdown in the middle of one: systemd waits for the agent, which waits
// for dpkg.
const unitText = `[Unit]
Description=Patchring agent
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=%s run --dir %s
Restart=always
RestartSec=2
KillMode=process
TimeoutStopSec=900

[Install]
WantedBy=multi-user.target
`

const serviceTimeout = time.Minute

// Install makes the agent a service that starts now and at every boot.
func Install(ctx context.Context, dir string) error {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own program: %w", err)
	}
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return errors.New("this device does not run systemd: have its init system run \"" + exe + " run\"")
	}
	if err := os.WriteFile(unitFile, fmt.Appendf(nil, unitText, exe, dir), 0o644); err != nil {
		return fmt.Errorf("write the unit: %w", err)
	}
	return errors.Join(systemctl(ctx, "daemon-reload"), systemctl(ctx, "enable", "--now", unitName))
}

// Uninstall stops and removes the service; identity and journal stay.
func Uninstall(ctx context.Context) error {
	err := systemctl(ctx, "disable", "--now", unitName)
	if gone := os.Remove(unitFile); gone != nil && !errors.Is(gone, os.ErrNotExist) {
		err = errors.Join(err, fmt.Errorf("remove the unit: %w", gone))
	}
	return errors.Join(err, systemctl(ctx, "daemon-reload"))
}

func systemctl(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, serviceTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "systemctl", args...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
