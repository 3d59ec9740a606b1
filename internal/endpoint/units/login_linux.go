package units

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/godbus/dbus/v5"
)

// logind's names.
const (
	logind        = "org.freedesktop.login1"
	logindManager = logind + ".Manager"
	logindSession = logind + ".Session"
)

// Person is somebody with a desktop of this device itself.
type Person struct {
	Present bool      // the screen is theirs, not locked and not idle
	Since   time.Time // of the login
	Desktop time.Time // when it was there; zero: not known
}

// People are those with a desktop session of this device's own seat. None where
// there is no logind.
func People(ctx context.Context) (list []Person, err error) {
	if _, err := os.Stat(systemBus); err != nil {
		return nil, nil // no bus, nobody on it
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := dial(systemBus, true)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	var rows []struct {
		ID   string
		UID  uint32
		User string
		Seat string
		Path dbus.ObjectPath
	}
	if err := conn.Object(logind, "/org/freedesktop/login1").CallWithContext(ctx, logindManager+".ListSessions", 0).Store(&rows); err != nil {
		var said dbus.Error
		if errors.As(err, &said) {
			return nil, nil // no logind on this bus
		}
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	for _, r := range rows {
		var all map[string]dbus.Variant
		if err := conn.Object(logind, r.Path).CallWithContext(ctx, "org.freedesktop.DBus.Properties.GetAll", 0, logindSession).Store(&all); err != nil {
			continue // it ended meanwhile
		}
		p, ok := person(all)
		if !ok {
			continue
		}
		p.Desktop = desktopSince(ctx, r.UID)
		list = append(list, p)
	}
	return list, nil
}

// person is a session, if it is a desktop of this device's own seat: sessions of
// greeters are of another class, and remote ones sit elsewhere.
func person(session map[string]dbus.Variant) (p Person, ok bool) {
	text := func(name string) string { v, _ := session[name].Value().(string); return v }
	is := func(name string) bool { v, _ := session[name].Value().(bool); return v }
	kind := text("Type")
	if kind != "x11" && kind != "wayland" && kind != "mir" || text("Class") != "user" || is("Remote") || text("State") == "closing" {
		return p, false
	}
	p.Present = text("State") == "active" && !is("LockedHint") && !is("IdleHint")
	if us, _ := session["Timestamp"].Value().(uint64); us > 0 {
		p.Since = time.UnixMicro(int64(us))
	}
	return p, true
}

// desktopSince asks the person's own systemd when its desktop was there; that
// answers root and the person. Zero where the desktop does not use it.
func desktopSince(ctx context.Context, uid uint32) time.Time {
	conn, err := dial(filepath.Join("/run/user", strconv.FormatUint(uint64(uid), 10), "systemd/private"), false)
	if err != nil {
		return time.Time{}
	}
	defer conn.Close()
	var at dbus.ObjectPath
	if err := manager(conn).CallWithContext(ctx, systemdManager+".GetUnit", 0, "graphical-session.target").Store(&at); err != nil {
		return time.Time{}
	}
	us, err := property[uint64](ctx, conn.Object(systemd, at), systemdUnit, "ActiveEnterTimestamp")
	if err != nil || us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(us))
}
