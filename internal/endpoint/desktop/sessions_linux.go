package desktop

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/godbus/dbus/v5"

	"patchring/internal/core/fault"
)

// logind's names.
const (
	logind        = "org.freedesktop.login1"
	logindManager = "org.freedesktop.login1.Manager"
	logindSession = "org.freedesktop.login1.Session"
	logindUser    = "org.freedesktop.login1.User"
)

type session struct {
	Person
	away bool // locked or idle
}

// connect opens a connection of our own, without the user database that the
// library would ask for our name.
func connect(ctx context.Context, address string) (*dbus.Conn, error) {
	conn, err := dbus.Dial(address, dbus.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	if err = conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Geteuid()))}); err == nil {
		err = conn.Hello()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("be known to %s: %w", address, err), conn.Close())
	}
	return conn, nil
}

// sessions are the people with a graphical session, one entry each. A device
// without a system bus, or without logind on it, has no desktop.
func sessions(ctx context.Context, bus string) ([]session, error) {
	if _, err := os.Stat(bus); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	conn, err := connect(ctx, "unix:path="+bus)
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
	manager := conn.Object(logind, "/org/freedesktop/login1")
	if err := manager.CallWithContext(ctx, logindManager+".ListSessions", 0).Store(&rows); err != nil {
		if absent(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	var list []session
	for _, r := range rows {
		s, graphical, err := graphicalSession(ctx, conn, r.Path)
		if err != nil {
			if gone(err) {
				continue // it ended meanwhile
			}
			return nil, fmt.Errorf("read session %s: %w", r.ID, err)
		}
		if !graphical {
			continue
		}
		s.Name, s.UID = r.User, r.UID
		if at := slices.IndexFunc(list, func(o session) bool { return o.UID == s.UID }); at >= 0 {
			list[at].away = list[at].away && s.away
			continue
		}
		list = append(list, s)
	}
	return list, inhibited(ctx, manager, list)
}

// absent: no such service on this bus, and nothing starts it.
func absent(err error) bool {
	var e dbus.Error
	return errors.As(err, &e) && (e.Name == "org.freedesktop.DBus.Error.ServiceUnknown" || e.Name == "org.freedesktop.DBus.Error.NameHasNoOwner")
}

func gone(err error) bool {
	var e dbus.Error
	return errors.As(err, &e) && (strings.HasSuffix(e.Name, ".UnknownObject") || strings.HasSuffix(e.Name, ".NoSuchSession"))
}

// graphicalSession reads one session. Those of greeters and background jobs
// are of another class, and one that is closing has nobody at it.
func graphicalSession(ctx context.Context, conn *dbus.Conn, path dbus.ObjectPath) (s session, ok bool, err error) {
	all, err := properties(ctx, conn.Object(logind, path), logindSession)
	if err != nil {
		return s, false, err
	}
	kind := value[string](all, "Type")
	ok = (kind == "x11" || kind == "wayland" || kind == "mir") && value[string](all, "Class") == "user" && value[string](all, "State") != "closing"
	if !ok {
		return s, false, nil
	}
	s.away = value[bool](all, "LockedHint") || value[bool](all, "IdleHint")
	user := value[[]any](all, "User")
	if len(user) == 2 {
		if at, is := user[1].(dbus.ObjectPath); is {
			of, err := properties(ctx, conn.Object(logind, at), logindUser)
			if err != nil {
				return s, false, err
			}
			s.GID = value[uint32](of, "GID")
		}
	}
	return s, true, nil
}

func properties(ctx context.Context, o dbus.BusObject, of string) (all map[string]dbus.Variant, err error) {
	err = o.CallWithContext(ctx, "org.freedesktop.DBus.Properties.GetAll", 0, of).Store(&all)
	return all, err
}

func value[T any](all map[string]dbus.Variant, name string) T {
	v, _ := all[name].Value().(T) // another type is as good as none
	return v
}

// inhibited marks who has an application that keeps the screen on: a call, a
// video, a presentation.
func inhibited(ctx context.Context, manager dbus.BusObject, list []session) error {
	if len(list) == 0 {
		return nil
	}
	var rows []struct {
		What, Who, Why, Mode string
		UID, PID             uint32
	}
	if err := manager.CallWithContext(ctx, logindManager+".ListInhibitors", 0).Store(&rows); err != nil {
		return fmt.Errorf("list inhibitors: %w", err)
	}
	for _, r := range rows {
		if r.Mode != "block" || !slices.Contains(strings.Split(r.What, ":"), "idle") {
			continue
		}
		for i := range list {
			if list[i].UID == r.UID {
				list[i].Busy, list[i].App = fault.UserBusy, r.Who
			}
		}
	}
	return nil
}

// as runs a command with a person's credentials and no group but their own.
func as(cmd *exec.Cmd, p Person) error {
	if os.Geteuid() == int(p.UID) {
		return nil
	}
	if p.GID == 0 {
		return fmt.Errorf("the group of %s is not known", p.Name)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: p.UID, Gid: p.GID}}
	return nil
}
