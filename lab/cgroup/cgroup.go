// Package cgroup gives each host of a lab a control group of its own and removes the
// groups of a dead lab.
//
// It owns nothing but paths below /sys/fs/cgroup and works on pure, hybrid and
// legacy set-ups. It sets no limits. The lab's inner processes enter groups, the
// fleet removes them.
package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// retry is how often a group that is still busy is tried again.
const retry = 20 * time.Millisecond

// trees returns the mounted trees that systemd cares about: the unified one, and in
// hybrid set-ups the named one as well.
func trees() []string {
	var found []string
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"} {
		if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err == nil {
			found = append(found, dir)
		}
	}
	return found
}

// Enter puts this process in the group, making it. Without groups of their own all
// hosts' systemds would share one tree.
func Enter(group string) error {
	for _, tree := range trees() {
		dir := filepath.Join(tree, group)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make control group: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("0"), 0o644); err != nil {
			return fmt.Errorf("enter control group: %w", err)
		}
	}
	return nil
}

// Remove removes the group and all below it, waiting for its last process: the
// kernel needs a moment after a kill before it lets go.
func Remove(ctx context.Context, group string) error {
	ticker := time.NewTicker(retry)
	defer ticker.Stop()
	for {
		err := removeNow(group)
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

func removeNow(group string) error {
	for _, tree := range trees() {
		dirs, err := below(filepath.Join(tree, group))
		if err != nil {
			return fmt.Errorf("list control groups: %w", err)
		}
		slices.Reverse(dirs) // children first
		for _, dir := range dirs {
			if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove control group: %w", err)
			}
		}
	}
	return nil
}

// below returns the directory and those in it, parents first; none if it is not there.
func below(root string) ([]string, error) {
	var dirs []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it went while we looked
		}
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	return dirs, err
}
