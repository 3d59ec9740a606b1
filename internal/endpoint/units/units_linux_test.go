package units

import (
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

func TestHowLongABootTook(t *testing.T) {
	for _, c := range []struct {
		firmware, userspace, finish uint64
		container                   bool
		want                        time.Duration
	}{
		{8_000_000, 5_000_000, 21_000_000, false, 29 * time.Second},
		{0, 5_000_000, 21_000_000, false, 21 * time.Second},
		{0, 900_000_000, 903_500_000, true, 3500 * time.Millisecond}, // the clock is its machine's
		{8_000_000, 5_000_000, 0, false, 0},                          // it still starts
	} {
		if got := bootTime(c.firmware, c.userspace, c.finish, c.container); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestWhoIsAtTheDevice(t *testing.T) {
	session := func(change map[string]any) map[string]dbus.Variant {
		all := map[string]dbus.Variant{}
		for k, v := range map[string]any{"Type": "wayland", "Class": "user", "State": "active", "Remote": false, "LockedHint": false, "IdleHint": false, "Timestamp": uint64(1_700_000_000_000_000)} {
			all[k] = dbus.MakeVariant(v)
		}
		for k, v := range change {
			all[k] = dbus.MakeVariant(v)
		}
		return all
	}
	for name, c := range map[string]struct {
		change        map[string]any
		desk, present bool
	}{
		"at work":      {nil, true, true},
		"on X":         {map[string]any{"Type": "x11"}, true, true},
		"locked":       {map[string]any{"LockedHint": true}, true, false},
		"idle":         {map[string]any{"IdleHint": true}, true, false},
		"switched off": {map[string]any{"State": "online"}, true, false},
		"by ssh":       {map[string]any{"Type": "tty", "Remote": true}, false, false},
		"remote desk":  {map[string]any{"Remote": true}, false, false},
		"greeter":      {map[string]any{"Class": "greeter"}, false, false},
		"logging out":  {map[string]any{"State": "closing"}, false, false},
	} {
		p, ok := person(session(c.change))
		if ok != c.desk || p.Present != c.present || ok && p.Since.Unix() != 1_700_000_000 {
			t.Errorf("%s: %+v %v", name, p, ok)
		}
	}
}

func TestUnitsAreNamedAsSystemctlNamesThem(t *testing.T) {
	for name, want := range map[string]string{"nginx": "nginx.service", "nginx.service": "nginx.service", "ssh.socket": "ssh.socket", "a.b": "a.b.service", "getty@tty1": "getty@tty1.service"} {
		if got := unitName(name); got != want {
			t.Errorf("%s is %s", name, got)
		}
	}
}

func TestADeviceWithoutSystemdSaysSo(t *testing.T) {
	m := New()
	m.private, m.bus = "/nonexistent/private", "/nonexistent/bus"
	if _, err := m.State(t.Context(), "nginx"); err == nil {
		t.Error("no error")
	}
	if _, err := m.Survey(t.Context()); err == nil {
		t.Error("no error")
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}
