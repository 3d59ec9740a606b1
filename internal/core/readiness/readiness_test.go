package readiness_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fault"
	"patchring/internal/core/lifecycle"
	"patchring/internal/core/policy"
	"patchring/internal/core/readiness"
)

var (
	now   = time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	until = now.AddDate(0, 0, 7)
)

func ready() readiness.Device {
	return readiness.Device{
		ID: "d1", Groups: []string{"it"}, Seen: now.Add(-time.Hour), Scanned: now.Add(-2 * time.Hour), Lists: now.Add(-3 * time.Hour),
		FreeBytes: 20 << 30, DownloadBytes: 300 << 20, Certificate: now.AddDate(0, 0, 20),
		Windows: []calendar.Interval{{Start: now.Add(12 * time.Hour), End: now.Add(16 * time.Hour)}},
	}
}

func TestFindings(t *testing.T) {
	tests := []struct {
		name   string
		change func(*readiness.Device)
		want   string // kind severity code fix
	}{
		{"ready", func(*readiness.Device) {}, ""},
		{"silent for three days", func(d *readiness.Device) { d.Seen = now.Add(-72 * time.Hour) }, "silent blocking device_unreachable start_agent"},
		{"a minute less", func(d *readiness.Device) { d.Seen = now.Add(-72*time.Hour + time.Minute) }, ""},
		{"never heard of", func(d *readiness.Device) { d.Seen = time.Time{} }, "silent blocking never_seen start_agent"},
		{"never scanned", func(d *readiness.Device) { d.Scanned = time.Time{} }, "broken blocking never_scanned start_agent"},
		{"its packages are broken", func(d *readiness.Device) { d.ScanFailed, d.ScanCause = true, fault.DpkgBroken }, "broken blocking scan_failed repair_packages"},
		{"broken, and never scanned before", func(d *readiness.Device) { d.ScanFailed, d.Scanned = true, time.Time{} }, "broken blocking scan_failed repair_packages"},
		{"stale", func(d *readiness.Device) { d.ScanStale = true }, "stale blocking scan_stale refresh_lists"},
		{"lists of last week", func(d *readiness.Device) { d.Lists = now.AddDate(0, 0, -4) }, "stale warning lists_stale refresh_lists"},
		{"a disk that the download fills", func(d *readiness.Device) { d.FreeBytes = 700 << 20 }, "disk blocking disk_short free_disk"},
		{"a disk that unpacking fills", func(d *readiness.Device) { d.FreeBytes = 1 << 30 }, "disk warning disk_short free_disk"},
		{"a disk that nobody measured", func(d *readiness.Device) { d.FreeBytes = 0 }, ""},
		{"a small disk, and nothing to download", func(d *readiness.Device) { d.FreeBytes, d.DownloadBytes = 600<<20, 0 }, ""},
		{"no window", func(d *readiness.Device) { d.Windows = nil }, "window blocking no_window_ahead give_window"},
		{"a window after the days asked for", func(d *readiness.Device) {
			d.Windows = []calendar.Interval{{Start: until, End: until.Add(time.Hour)}}
		}, "window blocking no_window_ahead give_window"},
		{"an ended system", func(d *readiness.Device) {
			d.System = lifecycle.Assessment{Verdict: lifecycle.Verdict{State: lifecycle.Ended, Reason: fault.Because(fault.SystemEnded)}}
		}, "system blocking system_ended replace_system"},
		{"a system that ends soon", func(d *readiness.Device) {
			d.System = lifecycle.Assessment{Verdict: lifecycle.Verdict{State: lifecycle.EndsSoon, Reason: fault.Because(fault.SystemEndsOn)}}
		}, "system warning system_ends_on replace_system"},
		{"too small a machine", func(d *readiness.Device) { d.System.Short = fault.Because(fault.HardwareShort) }, "system warning hardware_short replace_system"},
		{"two machines of one id", func(d *readiness.Device) { d.DuplicateOf = "d2" }, "duplicate blocking duplicate_machine new_identity"},
		{"a certificate that ends in the week", func(d *readiness.Device) { d.Certificate = until.Add(-time.Second) }, "certificate warning certificate_ends renew_certificate"},
		{"a certificate that ended", func(d *readiness.Device) { d.Certificate = now }, "certificate blocking certificate_ends renew_certificate"},
		{"a certificate that nobody noted", func(d *readiness.Device) { d.Certificate = time.Time{} }, ""},
		{"a reboot since Friday", func(d *readiness.Device) { d.RebootPending, d.RebootSince = true, now.AddDate(0, 0, -4) }, "reboot warning reboot_pending_for reboot_device"},
		{"a reboot, since when nobody noted", func(d *readiness.Device) { d.RebootPending = true }, "reboot warning reboot_pending reboot_device"},
		{"no way back", func(d *readiness.Device) { d.RollbackImpossible = true }, "rollback warning rollback_impossible plan_return"},
		{"several: what blocks comes first", func(d *readiness.Device) { d.RebootPending, d.Windows = true, nil }, "window blocking no_window_ahead give_window, reboot warning reboot_pending reboot_device"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := ready()
			tt.change(&d)
			if got := said(readiness.Check(d, question())); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func question(e ...policy.Exception) readiness.Question {
	return readiness.Question{Now: now, Until: until, SilentAfter: 72 * time.Hour, Exceptions: e}
}

func said(list []readiness.Finding) string {
	var out []string
	for _, f := range list {
		out = append(out, fmt.Sprint(f.Kind, " ", f.Severity, " ", f.Reason.Code, " ", f.Fix))
	}
	return strings.Join(out, ", ")
}

func TestExceptionsThatEndBeforeTheCampaign(t *testing.T) {
	const found = "exception warning exception_ends renew_exception"
	soon := policy.Exception{ID: "e", Device: "d1", From: now.AddDate(0, -1, 0), Until: until.Add(-time.Hour)}
	with := func(change func(*policy.Exception)) policy.Exception { e := soon; change(&e); return e }
	tests := []struct {
		name string
		e    policy.Exception
		want string
	}{
		{"of the device", soon, found},
		{"of its group", with(func(e *policy.Exception) { e.Device, e.Group = "", "it" }), found},
		{"of another device", with(func(e *policy.Exception) { e.Device = "d2" }), ""},
		{"of everything, which is no device's", with(func(e *policy.Exception) { e.Device = "" }), ""},
		{"after the days asked for", with(func(e *policy.Exception) { e.Until = until }), ""},
		{"ended already", with(func(e *policy.Exception) { e.Until = now }), ""},
		{"not begun", with(func(e *policy.Exception) { e.From = now.Add(time.Hour) }), ""},
	}
	for _, tt := range tests {
		if got := said(readiness.Check(ready(), question(tt.e))); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestEveryKindHasItsPlace(t *testing.T) {
	seen := map[readiness.Kind]bool{}
	for _, k := range readiness.Kinds() {
		if seen[k] {
			t.Errorf("%s is listed twice", k)
		}
		seen[k] = true
	}
	if len(seen) != 11 {
		t.Errorf("%d kinds are listed, want 11", len(seen))
	}
}
