package holder

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
	"patchring/lab/debian"
	"patchring/lab/tool"
)

// command is one boot of the host: a process that lasts as long as the host is on.
// It joins the host's control group first and sets clocks back second: uptime and
// boot time start from zero at every boot, as on a real machine.
func (h *host) command() (*exec.Cmd, error) {
	clocks, err := clockOffsets()
	if err != nil {
		return nil, err
	}
	args := []string{stageCgroup, filepath.Join(h.keeper.spec.Cgroup, h.spec.Name)}
	if h.keeper.spec.Light {
		args = append(args, h.lightCommand(clocks)...)
	} else {
		args = append(args, h.systemdCommand(clocks)...)
	}
	cmd := exec.Command(h.keeper.spec.Binary, args...)
	cmd.Env = append(tool.Environment(), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1")
	return cmd, nil
}

func (h *host) systemdCommand(clocks []string) []string {
	args := append([]string{"/usr/bin/unshare", "--time"}, clocks...)
	// --keep-unit also makes nspawn end with status 133 when the host reboots,
	// instead of trying to restart it over a /run that it takes for a disk.
	args = append(args, "systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit",
		"--machine="+h.spec.Name, "--hostname="+h.spec.Name, "--directory="+h.disk.root(),
		"--network-namespace-path=/run/netns/"+netns(h.index),
		"--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=read-only")
	if share := h.keeper.spec.Share; share != "" {
		args = append(args, "--bind-ro="+share+":"+debian.Share)
	}
	return args
}

func (h *host) lightCommand(clocks []string) []string {
	args := []string{"/usr/bin/nsenter", "--net=/run/netns/" + netns(h.index),
		"unshare", "--mount", "--pid", "--uts", "--ipc", "--time", "--fork", "--kill-child", "--propagation", "private"}
	args = append(args, clocks...)
	return append(args, h.keeper.spec.Binary, stageLight, h.keeper.file, h.spec.Name)
}

// clockOffsets are the options of unshare that make both clocks start at zero. They
// differ on a machine that was suspended.
func clockOffsets() ([]string, error) {
	var options []string
	for name, clock := range map[string]int32{"--boottime=-": unix.CLOCK_BOOTTIME, "--monotonic=-": unix.CLOCK_MONOTONIC} {
		var now unix.Timespec
		if err := unix.ClockGettime(clock, &now); err != nil {
			return nil, fmt.Errorf("read clock: %w", err)
		}
		options = append(options, name+strconv.FormatInt(now.Sec, 10))
	}
	return options, nil
}

// prepareDisk writes what makes this host this host. A host whose disk is fresh gets
// a new machine id, like a machine that was installed again.
func (h *host) prepareDisk() error {
	etc := filepath.Join(h.disk.root(), "etc")
	files := map[string]string{
		"hostname": h.spec.Name + "\n",
		"hosts":    fmt.Sprintf("127.0.0.1 localhost\n%s %s\n%s server mirror\n", h.spec.Address, h.spec.Name, ServerAddress),
	}
	id, err := os.ReadFile(filepath.Join(etc, "machine-id"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read machine id: %w", err)
	}
	if len(strings.TrimSpace(string(id))) == 0 {
		fresh := make([]byte, 16)
		rand.Read(fresh)
		files["machine-id"] = hex.EncodeToString(fresh) + "\n"
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(etc, name), []byte(content), 0o644); err != nil {
			return fmt.Errorf("prepare disk: %w", err)
		}
	}
	return nil
}

// ending is how a boot ended.
type ending int

const (
	endReboot ending = iota
	endHalt
	endKilled // by a power cut, or by itself: nobody asked
)

// readEnding knows the two ways a host says what it wants. nspawn ends with status
// 133 for a reboot and 0 for a halt; in a light host the kernel kills the namespace's
// init, and with it unshare, by SIGHUP for a reboot and SIGINT for a halt.
func readEnding(light bool, code int) ending {
	reboot, halt := 133, 0
	if light {
		reboot, halt = 128+int(syscall.SIGHUP), 128+int(syscall.SIGINT)
	}
	switch code {
	case reboot:
		return endReboot
	case halt:
		return endHalt
	}
	return endKilled
}

// findInit returns the process that is the host's init, if it has got that far: the
// child in another process namespace that no longer runs one of the lab's programs.
func findInit(parent int, binary string) (int, bool) {
	own, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return 0, false
	}
	starter, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", parent))
	if err != nil {
		return 0, false
	}
	for _, child := range children(parent) {
		ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", child))
		if err != nil || ns == own {
			continue
		}
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", child))
		if err == nil && exe != starter && exe != binary {
			return child, true
		}
	}
	return 0, false
}

func children(pid int) []int {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return nil
	}
	var all []int
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // that thread just ended
		}
		for field := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				all = append(all, child)
			}
		}
	}
	return all
}

// link sets the host's port on the bridge up or down.
func (h *host) link(ctx context.Context, state string) error {
	return ip(ctx, fmt.Sprintf("link set v%s %s", netns(h.index), state))
}
