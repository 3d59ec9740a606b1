package tool

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func TestOutputReturnsStdoutAndQuotesStderrOnFailure(t *testing.T) {
	out, err := Output(t.Context(), "sh", "-c", "echo fine")
	if err != nil || string(out) != "fine\n" {
		t.Fatalf("Output = %q, %v; want %q", out, err, "fine\n")
	}
	_, err = Output(t.Context(), "sh", "-c", "echo broken pipe wrench >&2; exit 7")
	exit, ok := errors.AsType[*ExitError](err)
	if !ok || exit.Code != 7 {
		t.Fatalf("error = %v, want status 7", err)
	}
	if !strings.Contains(err.Error(), "broken pipe wrench") {
		t.Errorf("error %q does not quote stderr", err)
	}
}

func TestDoReportsSignalsAsShellsDo(t *testing.T) {
	res, err := Cmd{Args: []string{"sh", "-c", "kill -9 $$"}}.Do(t.Context())
	if err != nil || res.Code != 137 {
		t.Fatalf("Do = %d, %v; want 137", res.Code, err)
	}
}

func TestDoUsesFixedEnvironment(t *testing.T) {
	t.Setenv("LC_ALL", "fr_FR.UTF-8")
	t.Setenv("LAB_SECRET", "1")
	out, err := Output(t.Context(), "env")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), "LC_ALL=C\n") || strings.Contains(string(out), "LAB_SECRET") {
		t.Errorf("environment is not the fixed one:\n%s", out)
	}
}

func TestDoPassesStdinAndCopiesToLog(t *testing.T) {
	var log bytes.Buffer
	out, err := Cmd{Args: []string{"cat"}, Stdin: strings.NewReader("abc"), Log: &log}.Output(t.Context())
	if err != nil || string(out) != "abc" || log.String() != "abc" {
		t.Fatalf("out %q log %q err %v, want abc twice", out, log.String(), err)
	}
}

func TestOutputIsCapped(t *testing.T) {
	out, err := Output(t.Context(), "head", "-c", "5000000", "/dev/zero")
	if err != nil || len(out) != outputLimit {
		t.Fatalf("kept %d bytes, %v; want %d", len(out), err, outputLimit)
	}
}

// A cancelled call must take its grandchildren with it: debootstrap is a shell
// script whose children do the writing.
func TestCancelKillsTheWholeGroup(t *testing.T) {
	fifo := t.TempDir() + "/alive"
	if err := Run(t.Context(), "mkfifo", fifo); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := Cmd{Args: []string{"sh", "-c", "sh -c 'echo up; sleep 600' >" + fifo + "; true"}}.Do(ctx)
		done <- err
	}()
	r, err := os.Open(fifo) // returns when the grandchild has opened it
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	buf := make([]byte, 16)
	if n, err := r.Read(buf); err != nil || string(buf[:n]) != "up\n" {
		t.Fatalf("read %q, %v", buf[:n], err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("Do = %v, want context.Canceled", err)
	}
	// End of file comes only when the last writer, the grandchild, is gone.
	if n, err := r.Read(buf); n != 0 || err == nil {
		t.Fatalf("grandchild still holds its output: read %q, %v", buf[:n], err)
	}
}
