package fleet

import (
	"os"
	"os/exec"
	"testing"
)

func TestProcessIsNotALaterOneOfItsNumber(t *testing.T) {
	me, err := identify(os.Getpid())
	if err != nil || !me.alive() {
		t.Fatalf("identify = %+v, %v; want this process alive", me, err)
	}
	if (process{PID: me.PID, Start: me.Start + 1}).alive() {
		t.Error("another process of the same number passes for it")
	}
	if (process{}).alive() {
		t.Error("no process is alive")
	}
}

func TestZombieIsNotAlive(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "cat")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	child, err := identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 1)); err == nil {
		t.Fatal("cat said something")
	}
	// It has closed its output and is about to end; nobody waits for it yet.
	if err := awaitEnd(t.Context(), child); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
