//go:build e2e

package apt_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"patchring/internal/endpoint/provider/apt/aptworld"
	"patchring/internal/endpoint/provider/providertest"
)

// TestConformanceHere is run by TestConformanceInRealDebians inside each of
// them, case by case.
func TestConformanceHere(t *testing.T) {
	if _, err := os.Stat(aptworld.Disposable); err != nil {
		return // not a test of this machine
	}
	providertest.Run(t, func(t *testing.T) providertest.World { return suiteWorld{aptworld.Here(t)} })
}

// TestConformanceInRealDebians runs the suite in whole Debians, each case on a
// fresh copy: an overlay over a root that was installed once. Everything is
// mounted in a mount namespace of its own and gone with it.
func TestConformanceInRealDebians(t *testing.T) {
	aptworld.Need(t)
	binary := filepath.Join(t.TempDir(), "apt.test")
	build := exec.Command("go", "test", "-c", "-tags", "e2e", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // runs on any release's libc
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the test: %v\n%s", err, out)
	}
	for _, root := range debians(t) {
		t.Run(filepath.Base(filepath.Dir(root)), func(t *testing.T) {
			for _, name := range providertest.Names() {
				t.Run(name, func(t *testing.T) {
					out, err := inCopy(t, root, binary, "-test.run", "^TestConformanceHere$/^"+regexp.QuoteMeta(strings.ReplaceAll(name, " ", "_"))+"$", "-test.v")
					if err != nil || !bytes.Contains(out, []byte("--- PASS: TestConformanceHere/")) {
						t.Errorf("%v\n%s", err, out)
					}
				})
			}
		})
	}
}

// debians finds roots of the lab's images; without any, one is installed.
func debians(t *testing.T) []string {
	t.Helper()
	roots, err := filepath.Glob("/var/lib/patchring-lab/images/*/root")
	if err != nil {
		t.Fatal(err)
	}
	if len(roots) > 0 {
		return roots
	}
	root := "/var/lib/patchring-lab/apt-e2e/bookworm/root"
	if _, err := os.Stat(root + ".ready"); err == nil {
		return []string{root}
	}
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("debootstrap", "--variant=minbase", "bookworm", root).CombinedOutput(); err != nil {
		t.Fatalf("debootstrap: %v\n%s", err, out)
	}
	if err := os.WriteFile(root+".ready", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return []string{root}
}

// inCopy runs the binary in a copy of a root, without a network. The thread
// that mounts is never given back: its mounts end with it.
func inCopy(t *testing.T, root, binary string, args ...string) ([]byte, error) {
	t.Helper()
	base := t.TempDir()
	type result struct {
		out []byte
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread()
		out, err := mountAndRun(base, root, binary, args)
		done <- result{out, err}
	}()
	r := <-done
	return r.out, r.err
}

func mountAndRun(base, root, binary string, args []string) ([]byte, error) {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return nil, fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", base, "tmpfs", 0, ""); err != nil {
		return nil, fmt.Errorf("mount tmpfs: %w", err)
	}
	dir := map[string]string{}
	for _, name := range []string{"upper", "work", "merged"} {
		dir[name] = filepath.Join(base, name)
		if err := os.Mkdir(dir[name], 0o755); err != nil {
			return nil, err
		}
	}
	overlay := "lowerdir=" + root + ",upperdir=" + dir["upper"] + ",workdir=" + dir["work"]
	if err := unix.Mount("overlay", dir["merged"], "overlay", 0, overlay); err != nil {
		return nil, fmt.Errorf("mount overlay: %w", err)
	}
	if err := copyIn(binary, filepath.Join(dir["merged"], "apt.test")); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir["merged"], aptworld.Disposable), nil, 0o644); err != nil {
		return nil, err
	}
	inside := append([]string{"--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--kill-child", "--root=" + dir["merged"], "--mount-proc", "/apt.test"}, args...)
	cmd := exec.Command("unshare", inside...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"}
	return cmd.CombinedOutput()
}

func copyIn(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Close()
}
