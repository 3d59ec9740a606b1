//go:build e2e

package cgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

const joinGroup = "LAB_TEST_GROUP"

func TestMain(m *testing.M) {
	group := os.Getenv(joinGroup)
	if group == "" {
		os.Exit(m.Run())
	}
	if err := Enter(group); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("in")
	os.Stdin.Read(make([]byte, 1)) // until the test ends it
}

func TestRemoveWaitsForTheLastProcess(t *testing.T) {
	group := fmt.Sprintf("patchring-lab-test-%d", os.Getpid())
	inner := filepath.Join(group, "host", "init.scope")
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), joinGroup+"="+inner)
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 3)); err != nil {
		t.Fatalf("the child did not enter its group: %v", err)
	}
	short, cancel := context.WithTimeout(t.Context(), 3*retry)
	defer cancel()
	if err := Remove(short, group); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("Remove of a group in use = %v, want EBUSY", err)
	}
	if err := errors.Join(stdin.Close(), child.Wait()); err != nil {
		t.Fatal(err)
	}
	long, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := Remove(long, group); err != nil {
		t.Fatal(err)
	}
	for _, tree := range trees() {
		if _, err := os.Stat(filepath.Join(tree, group)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s still has the group: %v", tree, err)
		}
	}
}

func TestRemoveOfNothing(t *testing.T) {
	if err := Remove(t.Context(), "patchring-lab-never-made"); err != nil {
		t.Error(err)
	}
}
