//go:build e2e

package fleet_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"patchring/lab/fleet"
)

// trace is what a running lab can be recognised by from outside.
type trace struct {
	dir        string
	cgroup     string
	namespaces []string
	asOf       uint64 // in clock ticks: the kernel gives a namespace's number to later ones
}

// traces notes them while the lab is up.
func traces(t *testing.T, f *fleet.Fleet, name string) trace {
	t.Helper()
	ns, err := f.ServerNetNS()
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Dir(ns)
	tr := trace{dir: filepath.Join(fleet.DefaultDir, "runs", name), cgroup: "patchring-lab-" + name}
	for _, kind := range []string{"net", "mnt", "pid", "ipc"} {
		tr.namespaces = append(tr.namespaces, link(t, filepath.Join(own, kind)))
	}
	for _, h := range f.Hosts() {
		for _, kind := range []string{"net", "mnt", "pid", "uts"} {
			tr.namespaces = append(tr.namespaces, must(t, f, h.Name, "readlink", "/proc/1/ns/"+kind))
		}
	}
	tr.asOf = ticks(t, now(t))
	if len(tr.living(t)) == 0 || len(tr.cgroups(t)) == 0 {
		t.Fatal("a lab that is up leaves no trace: this check could not fail")
	}
	return tr
}

// now starts a process, whose start the kernel dates by the clock that counts here.
func now(t *testing.T) int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd.Process.Pid
}

// ticks is when a process started. One that has ended started never, also while it
// waits as a zombie for its parent to look.
func ticks(t *testing.T, pid int) uint64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return math.MaxUint64
	}
	fields := strings.Fields(string(text[strings.LastIndex(string(text), ")")+1:]))
	if fields[0] == "Z" {
		return math.MaxUint64
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return start
}

// living returns the processes in any of the lab's namespaces.
func (tr trace) living(t *testing.T) []string {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/ns/*")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range links {
		to, err := os.Readlink(path)
		if err != nil || !slices.Contains(tr.namespaces, to) {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(path, "/")[2])
		if err != nil {
			t.Fatal(err)
		}
		if ticks(t, pid) <= tr.asOf {
			found = append(found, path+" "+to)
		}
	}
	return found
}

func (tr trace) cgroups(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"/sys/fs/cgroup/" + tr.cgroup + "*", "/sys/fs/cgroup/*/" + tr.cgroup + "*"} {
		dirs, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, dirs...)
	}
	return found
}

func (tr trace) mustBeGone(t *testing.T) {
	t.Helper()
	if left := tr.living(t); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
	if left := tr.cgroups(t); len(left) > 0 {
		t.Errorf("control groups are left: %v", left)
	}
	if _, err := os.Stat(tr.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left (%v)", tr.dir, err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), tr.dir) {
		t.Errorf("mounts are left:\n%s", mounts)
	}
}
