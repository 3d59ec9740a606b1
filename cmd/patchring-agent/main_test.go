package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/endpoint/agent"
	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

func TestExitCodesAreAsDocumented(t *testing.T) {
	dir := t.TempDir()
	enrolled := t.TempDir()
	if err := journal.WriteIdentity(enrolled, journal.Identity{Device: "d", Name: "n"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		want int
	}{
		{"", 0},
		{"help", 0},
		{"version", 0},
		{"dance", exitUsage},
		{"status --nonsense", exitUsage},
		{"enroll https://x", exitUsage},
		{"status --dir " + dir, exitNotEnrolled},
		{"status --json --dir " + dir, exitNotEnrolled},
		{"run --dir " + dir, exitNotEnrolled},
		{"enroll https://x token --dir " + enrolled, exitEnrolled},
		{"enroll https://x token --dir " + dir, exitFailed},
		{"status --dir " + enrolled, exitNotRunning},
	} {
		var out strings.Builder
		err := run(t.Context(), strings.Fields(c.args), &out)
		if got := exit(err); got != c.want {
			t.Errorf("%q: exit %d (%v), want %d", c.args, got, err, c.want)
		}
	}
	if got := exit(fmt.Errorf("status: %w", errAlone)); got != exitAlone {
		t.Errorf("running alone: exit %d, want %d", got, exitAlone)
	}
	for code := 1; code <= exitAlone; code++ {
		if !strings.Contains(usage, fmt.Sprintf("%d ", code)) {
			t.Errorf("the help does not say what exit %d is", code)
		}
	}
}

func TestStatusAsJSONIsWhole(t *testing.T) {
	dir := t.TempDir()
	var out strings.Builder
	err := run(t.Context(), []string{"status", "--dir", dir, "--json"}, &out)
	var got map[string]any
	if json.Unmarshal([]byte(out.String()), &got) != nil || got["enrolled"] != false || !errors.Is(err, journal.ErrNotEnrolled) {
		t.Errorf("%s, error %v", out.String(), err)
	}
}

func TestStatusText(t *testing.T) {
	got := statusText(agent.Status{
		Version: "1", Enrolled: true, Running: true, Connected: true, Name: "h1", Device: "d1", Server: "https://s",
		Scanned: time.Date(2026, 12, 8, 18, 0, 0, 0, time.UTC), Scan: wire.ScanOK, Missing: 3, Spooled: 2,
		Abandoned: []journal.Abandoned{
			{RestoredUS: 1_800_000_000_000_000, Backup: 40, Seen: 57, Proven: true, Checkpoint: "signed"},
			{RestoredUS: 1_800_000_001_000_000, Backup: 40, Seen: 30},
		},
		Orders: []wire.OrderStatus{{ID: "o1", Step: wire.StepInstall}}, Doing: "install of order o1: Unpacking",
	})
	want := `version    1
device     h1 (d1)
server     https://s
running    true
connected  true
scanned    2026-12-08T18:00:00Z: ok, 3 missing
spooled    2 events to deliver
restored   2027-01-15T08:00:00Z: the server's register went back to 40 entries; this device had seen 57, of which 17 are lost; what the backup held is proven unchanged
restored   2027-01-15T08:00:01Z: the server's register went back to 40 entries; this device had seen 30, of which 0 are lost; NOTHING of what the backup held could be proven
order      o1: install
doing      install of order o1: Unpacking
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

func TestScanText(t *testing.T) {
	got := scanText(
		wire.Facts{Hostname: "h1", OS: wire.OS{Name: "Debian 12", Kernel: "6.1"}, RebootSignals: []wire.RebootSignal{{Signal: "kernel_newer"}}},
		[]wire.Patches{{Provider: "apt", Status: wire.ScanOK, Patches: []wire.Patch{{Name: "openssl", Version: "3", Class: "security", State: "offered"}}}})
	for _, want := range []string{"h1, Debian 12, 6.1\n", "reboot pending: kernel_newer", "apt: ok, 1 missing\n", "openssl"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in:\n%s", want, got)
		}
	}
}

func TestFlagsMayComeBeforeAndAfter(t *testing.T) {
	verb, o, rest, err := parse([]string{"enroll", "--name", "n", "https://s", "--again", "token", "--dir", "/d"})
	if err != nil || verb != "enroll" || o.name != "n" || !o.again || o.dir != "/d" {
		t.Errorf("%s %+v, error %v", verb, o, err)
	}
	if diff := cmp.Diff([]string{"https://s", "token"}, rest); diff != "" {
		t.Error(diff)
	}
}
