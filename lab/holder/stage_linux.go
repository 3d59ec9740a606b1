package holder

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
	"patchring/lab/cgroup"
	"patchring/lab/tool"
)

// The first argument with which the program enters one of the inner processes.
const (
	stageInit   = "_holder" // pid 1 of the lab
	stageKeeper = "_keeper" // keeps the hosts
	stageCgroup = "_cgroup" // joins a host's control group and becomes something else
	stageLight  = "_light"  // becomes pid 1 of a light host
)

// Stage runs the inner process that the arguments name, if they do, and returns
// its exit status. A program that opens fleets calls it first of all.
func Stage(args []string) (status int, inner bool) {
	if len(args) < 3 {
		return 0, false
	}
	var err error
	switch args[1] {
	case stageInit:
		status, err = runInit(args[2])
	case stageKeeper:
		err = runKeeper(args[2])
	case stageCgroup:
		err = enterCgroup(args[2], args[3:])
	case stageLight:
		err = becomeLight(args[2], args[3])
	default:
		return 0, false
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "lab %s: %v\n", args[1], err)
		return 1, true
	}
	return status, true
}

// Command starts a lab of that run's Spec: a first process in new mount, network,
// process and IPC namespaces. Killing it ends the lab. leash is the inner end of a
// socket pair, see Leash.
func Command(spec Spec, leash, log *os.File) *exec.Cmd {
	cmd := exec.Command(spec.Binary, stageInit, SpecFile(spec.Dir))
	cmd.Env = tool.Environment()
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{leash}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC,
	}
	return cmd
}

// leashFD is the descriptor on which Command passes the leash.
const leashFD = 3

// enterCgroup puts this process in a host's control group and becomes the command.
func enterCgroup(group string, command []string) error {
	if err := cgroup.Enter(group); err != nil {
		return err
	}
	if err := syscall.Exec(command[0], command, os.Environ()); err != nil {
		return fmt.Errorf("become %s: %w", command[0], err)
	}
	return nil
}

func readSpec(file string) (Spec, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return Spec{}, fmt.Errorf("read spec: %w", err)
	}
	var s Spec
	if err := json.Unmarshal(text, &s); err != nil {
		return Spec{}, fmt.Errorf("read spec %s: %w", file, err)
	}
	return s, nil
}

// runInit is pid 1 of the lab. It only starts the keeper and collects every process
// that ends: what is orphaned in the lab becomes its child, and a keeper that
// collected them itself would take the exit status of its own commands away.
func runInit(specFile string) (int, error) {
	spec, err := readSpec(specFile)
	if err != nil {
		return 1, err
	}
	if err := mountPrivate(); err != nil {
		return 1, err
	}
	keeper, err := syscall.ForkExec(spec.Binary, []string{spec.Binary, stageKeeper, specFile}, &syscall.ProcAttr{
		Dir: "/", Env: os.Environ(), Files: []uintptr{0, 1, 2, leashFD},
	})
	if err != nil {
		return 1, fmt.Errorf("start keeper: %w", err)
	}
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return 1, fmt.Errorf("wait for keeper: %w", err)
		}
		if pid == keeper {
			return ws.ExitStatus(), nil
		}
	}
}

// mountPrivate gives the lab its own view of processes and of /run, whose contents
// (names of network namespaces, nspawn's files) must never appear on the machine.
func mountPrivate() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	for _, dir := range []string{"/run/systemd", "/run/netns", "/run/lock"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("make %s: %w", dir, err)
		}
	}
	return nil
}
