package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"patchring/lab/fleet"
)

// execute runs the program and returns what it printed.
func execute(t *testing.T, args ...string) (stdout string, status int) {
	t.Helper()
	cmd := newCommand()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	cmd.SetArgs(args)
	status = run(t.Context(), cmd)
	return out.String(), status
}

func TestExitStatusTellsWhatWentWrong(t *testing.T) {
	dir := "--dir=" + t.TempDir()
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{"table", "3"}, 0},
		{[]string{"table", "three"}, exitUsage},
		{[]string{"status", dir}, exitNotUp},
		{[]string{"cut", dir, "IT-PC-01"}, exitNotUp},
		{[]string{"cut"}, exitUsage},
		{[]string{"up", dir}, exitUsage},
		{[]string{"up", dir, "2", "--names", "a"}, exitUsage},
		{[]string{"up", dir, "2", "--on", "IT-PC-01"}, exitUsage},
		{[]string{"up", "--no-such-flag"}, exitUsage},
		{[]string{"exec", dir, "IT-PC-01", "true"}, exitNotUp},
		{[]string{"repo", "drop", dir, "lab-good"}, exitUsage},
	} {
		if _, got := execute(t, c.args...); got != c.want {
			t.Errorf("patchring-lab %s ends with %d, want %d", strings.Join(c.args, " "), got, c.want)
		}
	}
}

func TestExitStatusOfErrors(t *testing.T) {
	for want, cause := range map[int]error{
		7:               exitStatus(7), // of a command in a host
		exitUnsupported: fmt.Errorf("up: %w", fleet.ErrUnsupported),
		exitFailure:     io.ErrClosedPipe,
	} {
		cmd := &cobra.Command{RunE: func(*cobra.Command, []string) error { return cause }, SilenceErrors: true, SilenceUsage: true}
		cmd.SetArgs([]string{})
		cmd.SetErr(io.Discard)
		if got := run(t.Context(), cmd); got != want {
			t.Errorf("%v ends with %d, want %d", cause, got, want)
		}
	}
}

func TestCommandKeepsItsOwnOptions(t *testing.T) {
	for _, args := range [][]string{{"ls", "-l", "--", "x"}, {"--", "ls", "-l", "--", "x"}} {
		if diff := cmp.Diff([]string{"ls", "-l", "--", "x"}, command(args)); diff != "" {
			t.Errorf("command(%q) (-want +got):\n%s", args, diff)
		}
	}
}

func TestTableIsJSON(t *testing.T) {
	out, status := execute(t, "table", "5", "--json")
	if status != 0 {
		t.Fatalf("status %d", status)
	}
	var got []fleet.Host
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	want, err := fleet.Table(5)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseOnHosts(t *testing.T) {
	got, err := parseOnHosts([]string{"A=lab-good,lab-svc", "B=lab-held", "A=lab-slow"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{"A": {"lab-good", "lab-svc", "lab-slow"}, "B": {"lab-held"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{"A", "=lab-good", "A="} {
		if _, err := parseOnHosts([]string{bad}); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
