//go:build e2e

package debian

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchring/lab/aptrepo"
)

// An interrupted build must leave neither a root that passes for ready nor the
// /proc that debootstrap mounts in it.
func TestInterruptedBuildLeavesNothingReady(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("building an image needs root")
	}
	keys, err := os.MkdirTemp("", "lab")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(keys)
	key, err := aptrepo.OpenKey(t.Context(), filepath.Join(keys, "key"))
	if err != nil {
		t.Fatal(err)
	}
	c := Cache{Dir: t.TempDir(), Key: key, Say: func(s string) { t.Log(s) }}
	r := recipe(t, "bookworm")
	ctx, cancel := context.WithCancel(t.Context())
	built := make(chan error, 1)
	go func() {
		_, err := c.Make(ctx, r)
		built <- err
	}()
	awaitUnpacking(t, filepath.Join(c.Dir, r.Name()+".building", "root"), built)
	cancel()
	if err := <-built; !errors.Is(err, context.Canceled) {
		t.Fatalf("Make = %v, want context.Canceled", err)
	}
	if _, ready, err := c.Find(r); ready || err != nil {
		t.Errorf("Find = %v, %v; want not ready", ready, err)
	}
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), c.Dir) {
		t.Errorf("mounts are left:\n%s", mounts)
	}
	if err := c.Remove(t.Context(), r); err != nil {
		t.Error(err)
	}
}

// awaitUnpacking returns when debootstrap has begun to fill the root.
func awaitUnpacking(t *testing.T, root string, built <-chan error) {
	t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		if _, err := os.Stat(filepath.Join(root, "bin", "bash")); err == nil {
			return
		}
		select {
		case err := <-built:
			t.Fatalf("the build ended before it was interrupted: %v", err)
		case <-ticker.C:
		}
	}
}
