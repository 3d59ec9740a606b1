package holder

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestReadEndingKnowsWhatAHostWants(t *testing.T) {
	for _, c := range []struct {
		light bool
		code  int
		want  ending
	}{
		{false, 133, endReboot}, {false, 0, endHalt}, {false, 1, endKilled}, {false, 137, endKilled},
		{true, 129, endReboot}, {true, 130, endHalt}, {true, 137, endKilled}, {true, 0, endKilled},
	} {
		if got := readEnding(c.light, c.code); got != c.want {
			t.Errorf("readEnding(light %v, %d) = %v, want %v", c.light, c.code, got, c.want)
		}
	}
}

func leashes(t *testing.T) (outer, inner *Leash) {
	t.Helper()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if outer, err = NewLeash(os.NewFile(uintptr(pair[0]), "outer")); err != nil {
		t.Fatal(err)
	}
	if inner, err = NewLeash(os.NewFile(uintptr(pair[1]), "inner")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(outer.Close(), inner.Close()); err != nil {
			t.Error(err)
		}
	})
	return outer, inner
}

func TestLabBeginsOnlyWhenItsOwnerSaysSo(t *testing.T) {
	outer, inner := leashes(t)
	if err := outer.Begin(); err != nil {
		t.Fatal(err)
	}
	if err := inner.begun(); err != nil {
		t.Errorf("begun = %v", err)
	}
	if err := outer.Close(); err != nil {
		t.Fatal(err)
	}
	if err := inner.begun(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("begun without its owner = %v", err)
	}
}

func TestDroppedLeashEndsTheLab(t *testing.T) {
	outer, inner := leashes(t)
	if err := outer.Close(); err != nil {
		t.Fatal(err)
	}
	if err := inner.held(t.Context()); err == nil || !strings.Contains(err.Error(), "owner is gone") {
		t.Errorf("held = %v", err)
	}
}

func TestFreedLeashHoldsUntilTheEnd(t *testing.T) {
	outer, inner := leashes(t)
	if err := errors.Join(outer.Free(), outer.Close()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	end := errors.New("killed")
	cancel(end)
	if err := inner.held(ctx); !errors.Is(err, end) {
		t.Errorf("held = %v, want it to last until the lab ends", err)
	}
}

func TestAwaitReadyTellsWhyNot(t *testing.T) {
	outer, inner := leashes(t)
	if err := inner.report(nil); err != nil {
		t.Fatal(err)
	}
	if err := outer.AwaitReady(t.Context()); err != nil {
		t.Errorf("AwaitReady = %v", err)
	}
	if err := inner.report(errors.New("two\nlines")); err != nil {
		t.Fatal(err)
	}
	if err := outer.AwaitReady(t.Context()); err == nil || !strings.Contains(err.Error(), "two\nlines") {
		t.Errorf("AwaitReady = %v, want the lab's reason", err)
	}
	if err := inner.Close(); err != nil {
		t.Fatal(err)
	}
	if err := outer.AwaitReady(t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("AwaitReady of a dead lab = %v", err)
	}
}

func TestAwaitReadyEndsWithItsContext(t *testing.T) {
	outer, _ := leashes(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := outer.AwaitReady(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("AwaitReady = %v", err)
	}
}

func TestCallLeavesTheBytesAfterTheReply(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	go func() {
		defer far.Close()
		var req Request
		if json.NewDecoder(far).Decode(&req) == nil && req.Op == OpDial {
			io.WriteString(far, "{}\nSSH-2.0")
		}
	}()
	if _, err := Call(near, Request{Op: OpDial, Address: "10.99.1.11:22"}); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(near)
	if err != nil || string(rest) != "SSH-2.0" {
		t.Errorf("after the reply come %q, %v", rest, err)
	}
}

func tcpPair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// An HTTP/1.0 client may close its half and wait for the answer.
func TestJoinPassesHalfCloseOn(t *testing.T) {
	client, near := tcpPair(t)
	far, server := tcpPair(t)
	joined := make(chan struct{})
	go func() { defer close(joined); Join(near, far) }()
	go func() {
		request, err := io.ReadAll(server) // ends at the client's half-close
		if err == nil {
			io.WriteString(server, "got "+string(request))
		}
		server.Close()
	}()
	io.WriteString(client, "question")
	if err := client.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(client)
	if err != nil || string(answer) != "got question" {
		t.Errorf("answer %q, %v", answer, err)
	}
	client.Close()
	<-joined
}

func TestStageIgnoresOtherPrograms(t *testing.T) {
	for _, args := range [][]string{nil, {"x"}, {"x", "up", "3"}, {"x", "_other", "y"}} {
		if _, inner := Stage(args); inner {
			t.Errorf("Stage(%q) took the program over", args)
		}
	}
}
