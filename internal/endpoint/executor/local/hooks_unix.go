//go:build unix

package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
)

// ownedByAdministrator refuses files that somebody else could have written. The
// administrator is root, or whoever this agent runs as.
func ownedByAdministrator(paths ...string) error {
	for _, path := range paths {
		at, err := os.Stat(path)
		if err != nil {
			return err
		}
		owner, ok := at.Sys().(*syscall.Stat_t)
		if !ok || owner.Uid != 0 && int(owner.Uid) != os.Geteuid() {
			return fmt.Errorf("%s belongs to another user", path)
		}
		if at.Mode().Perm()&0o022 != 0 {
			return fmt.Errorf("%s can be written by others", path)
		}
	}
	return nil
}

func executable(at fs.FileInfo) bool { return at.Mode().Perm()&0o111 != 0 }

// inGroup gives a hook a process group of its own, which ends with it.
func inGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
}

// endGroup ends what a hook that was stopped left behind.
func endGroup(cmd *exec.Cmd) error {
	if cmd.Process == nil {
		return nil
	}
	err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}
