package tool

import (
	"os/exec"
	"syscall"
)

// tie puts the program in a process group of its own that ends with its caller:
// by the parent-death signal when the caller is killed, as a group when the
// context ends.
func tie(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// status tells a signal's end from a normal one the way shells do.
func status(exit *exec.ExitError) int {
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return exit.ExitCode()
}
