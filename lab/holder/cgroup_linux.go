package holder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"context"
)

// cgroupTrees returns the mounted trees that systemd cares about: the unified one,
// and in hybrid set-ups the named one as well.
func cgroupTrees() []string {
	var trees []string
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"} {
		if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err == nil {
			trees = append(trees, dir)
		}
	}
	return trees
}

// enterCgroup puts this process in the group and becomes the command. Each host has
// a group of its own: without it all their systemds would share one tree.
func enterCgroup(group string, command []string) error {
	for _, tree := range cgroupTrees() {
		dir := filepath.Join(tree, group)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make control group: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("0"), 0o644); err != nil {
			return fmt.Errorf("enter control group: %w", err)
		}
	}
	if err := syscall.Exec(command[0], command, os.Environ()); err != nil {
		return fmt.Errorf("become %s: %w", command[0], err)
	}
	return nil
}

// RemoveCgroup removes a dead lab's control groups. The kernel needs a moment after
// the last process before it lets go of them.
func RemoveCgroup(ctx context.Context, group string) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := removeGroups(group)
		if err == nil || !errors.Is(err, syscall.EBUSY) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("remove control group %s: %w", group, err)
		case <-ticker.C:
		}
	}
}

func removeGroups(group string) error {
	for _, tree := range cgroupTrees() {
		var dirs []string
		err := filepath.WalkDir(filepath.Join(tree, group), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("list control groups: %w", err)
		}
		slices.Reverse(dirs) // children first
		for _, dir := range dirs {
			if err := syscall.Rmdir(dir); err != nil && !errors.Is(err, syscall.ENOENT) {
				return fmt.Errorf("remove control group %s: %w", dir, err)
			}
		}
	}
	return nil
}
