//go:build e2e

package fleet_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"patchring/lab/fleet"
)

// ownFleet is the process that is killed: it opens a fleet and says so.
func ownFleet(name string) int {
	hosts, err := fleet.Table(2)
	if err == nil {
		_, err = fleet.Open(context.Background(), fleet.Config{Name: name, Hosts: hosts})
	}
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	fmt.Println("up")
	_, err = io.Copy(io.Discard, os.Stdin) // until killed
	fmt.Println("error", err)
	return 1
}

func TestKilledOwnerLeavesNothingInTheWay(t *testing.T) {
	c := config(t, "killed", 2)
	if _, err := fleet.MakeImage(t.Context(), "", fleet.DefaultSuite, c.Say); err != nil {
		t.Fatal(err)
	}
	owner := exec.CommandContext(t.Context(), os.Args[0])
	owner.Env = append(os.Environ(), ownerRun+"="+c.Name)
	stdin, err := owner.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "up\n" {
		t.Fatalf("owner says %q, %v", line, err)
	}
	attached, err := fleet.Attach(t.Context(), "", c.Name)
	if err != nil {
		t.Fatal(err)
	}
	before := traces(t, attached, c.Name)
	if err := owner.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	owner.Wait()

	f := open(t, c) // at once, while the old one may still be ending
	if left := before.living(t); len(left) > 0 {
		t.Errorf("of the killed lab are left: %v", left)
	}
	must(t, f, c.Hosts[0].Name, "true")
	after := traces(t, f, c.Name)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	after.mustBeGone(t)
}

func TestDetachedLabOutlivesItsHandleAndAKill(t *testing.T) {
	c := config(t, "detached", 1)
	c.Light, c.Detached = true, true
	f := open(t, c)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := fleet.Attach(t.Context(), "", c.Name)
	if err != nil {
		t.Fatal(err)
	}
	host := c.Hosts[0].Name
	if got := must(t, again, host, "hostname"); got != host {
		t.Errorf("hostname = %q", got)
	}
	before := traces(t, again, c.Name)
	// The one kill that ends a lab, by somebody who removes nothing.
	ns, err := again.ServerNetNS()
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.Split(ns, "/")[2])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of every process", func() bool { return len(before.living(t)) == 0 })
	if _, err := fleet.Attach(t.Context(), "", c.Name); !errors.Is(err, fleet.ErrNotUp) {
		t.Errorf("Attach = %v, want ErrNotUp", err)
	}
	third := open(t, c)
	must(t, third, host, "true")
	if err := fleet.Down(t.Context(), "", c.Name); err != nil {
		t.Fatal(err)
	}
	before.mustBeGone(t)
}
