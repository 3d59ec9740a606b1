package holder

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
	"patchring/lab/debian"
	"patchring/lab/tool"
)

// becomeLight makes the root of a host without systemd and becomes its pid 1. It
// already runs in the host's own namespaces; a failure ends the host.
func becomeLight(specFile, name string) error {
	spec, err := readSpec(specFile)
	if err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(name)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	root := rootDir(spec.Dir, name)
	if err := mountLight(root, spec.Share); err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil {
		return fmt.Errorf("enter root: %w", err)
	}
	if err := unix.PivotRoot(".", "mnt"); err != nil {
		return fmt.Errorf("change root: %w", err)
	}
	if err := unix.Unmount("/mnt", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave old root: %w", err)
	}
	if err := syscall.Exec(debian.LightInit, []string{debian.LightInit}, []string{"PATH=" + tool.Path}); err != nil {
		return fmt.Errorf("become init: %w", err)
	}
	return nil
}

// lightMount is one mount of a light host, relative to its root.
type lightMount struct {
	source, target, kind string
	flags                uintptr
	options              string
}

func mountLight(root, share string) error {
	mounts := []lightMount{
		{root, "", "", unix.MS_BIND, ""}, // a root to change to must be a mount point
		{"proc", "proc", "proc", 0, ""},
		{"sysfs", "sys", "sysfs", unix.MS_RDONLY, ""},
		{"tmpfs", "run", "tmpfs", 0, "mode=755"},
		{"tmpfs", "run/lock", "tmpfs", 0, "mode=1777"},
		{"tmpfs", "tmp", "tmpfs", 0, "mode=1777"},
		{"tmpfs", "dev", "tmpfs", 0, "mode=755"},
		{"tmpfs", "dev/shm", "tmpfs", 0, "mode=1777"},
		{"devpts", "dev/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=620"},
	}
	if share != "" {
		target := debian.Share[1:]
		mounts = append(mounts,
			lightMount{share, target, "", unix.MS_BIND, ""},
			lightMount{"", target, "", unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY, ""})
	}
	for _, m := range mounts {
		target := filepath.Join(root, m.target)
		if err := os.MkdirAll(target, 0o755); err != nil {
			return fmt.Errorf("make %s: %w", m.target, err)
		}
		if err := unix.Mount(m.source, target, m.kind, m.flags, m.options); err != nil {
			return fmt.Errorf("mount /%s: %w", m.target, err)
		}
	}
	if err := makeDevices(filepath.Join(root, "dev")); err != nil {
		return err
	}
	return ownBootID(root)
}

func makeDevices(dev string) error {
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		if err := bindFile("/dev/"+name, filepath.Join(dev, name)); err != nil {
			return err
		}
	}
	for name, to := range map[string]string{"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(to, filepath.Join(dev, name)); err != nil {
			return fmt.Errorf("make device: %w", err)
		}
	}
	return nil
}

// ownBootID gives each boot an identity of its own, as nspawn does: the kernel's is
// that of the whole machine.
func ownBootID(root string) error {
	// The kernel makes a new random UUID at each reading of this file.
	id, err := os.ReadFile("/proc/sys/kernel/random/uuid")
	if err != nil {
		return fmt.Errorf("make boot id: %w", err)
	}
	file := filepath.Join(root, "run/.boot_id")
	if err := os.WriteFile(file, id, 0o444); err != nil {
		return fmt.Errorf("make boot id: %w", err)
	}
	return bindFile(file, filepath.Join(root, "proc/sys/kernel/random/boot_id"))
}

// bindFile binds one file over another, which it makes if it can and must.
func bindFile(from, to string) error {
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL, 0o644)
	if err == nil {
		err = f.Close()
	} else if errors.Is(err, os.ErrExist) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("make %s: %w", to, err)
	}
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s: %w", to, err)
	}
	return nil
}
