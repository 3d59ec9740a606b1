//go:build e2e

package e2e_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/godbus/dbus/v5"
)

// This test program is also what runs inside a host to make a person's desktop
// there: a session of the host's own logind, a session bus, and a notification
// service on it that tells what it is asked to show.
const (
	desktopVerb = "desktop"
	personUID   = 1000
)

// notified is one notice that came to the person's screen, or went from it.
type notified struct {
	AtUS    int64    `json:"at_us"`
	ID      uint32   `json:"id"`
	Title   string   `json:"title"`
	Body    string   `json:"body"`
	Actions []string `json:"actions"`
	Gone    bool     `json:"gone,omitempty"`
}

func desktop(args []string) error {
	if len(args) > 0 {
		return notifications()
	}
	go func() { // it ends with its input; its children go with it
		_, err := io.Copy(io.Discard, os.Stdin)
		fmt.Fprintln(os.Stderr, "input ended", err)
		os.Exit(0)
	}()
	bus, err := dbus.ConnectSystemBus()
	if err != nil {
		return fmt.Errorf("connect to the system bus: %w", err)
	}
	defer bus.Close()
	session, err := beginSession(bus)
	if err != nil {
		return err
	}
	defer session.Close() // the session lives for as long as this is open
	dir := "/run/user/" + strconv.Itoa(personUID)
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.Chown(dir, personUID, personUID)); err != nil {
		return err
	}
	daemon := asPerson("dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address", "--address=unix:path="+dir+"/bus")
	ready, err := daemon.StdoutPipe()
	if err != nil {
		return err
	}
	if err := daemon.Start(); err != nil {
		return fmt.Errorf("start the session bus: %w", err)
	}
	if _, err := bufio.NewReader(ready).ReadString('\n'); err != nil {
		return fmt.Errorf("wait for the session bus: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	service := asPerson(self, desktopVerb, "notifications")
	service.Env = append(service.Env, "DBUS_SESSION_BUS_ADDRESS=unix:path="+dir+"/bus")
	service.Stdout, service.Stderr = os.Stdout, os.Stderr
	return service.Run()
}

func asPerson(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: personUID, Gid: personUID}, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// beginSession does what a display manager's PAM stack does.
func beginSession(bus *dbus.Conn) (io.Closer, error) {
	var id, runtime, seat string
	var object dbus.ObjectPath
	var fifo dbus.UnixFD
	var uid, vt uint32
	var existing bool
	type property struct {
		Name  string
		Value dbus.Variant
	}
	call := bus.Object("org.freedesktop.login1", "/org/freedesktop/login1").Call("org.freedesktop.login1.Manager.CreateSession", 0,
		uint32(personUID), uint32(os.Getpid()), "lab-display-manager", "x11", "user", "lab", "", uint32(0), "", ":0", false, "", "", []property{})
	if err := call.Store(&id, &object, &runtime, &fifo, &uid, &seat, &vt, &existing); err != nil {
		return nil, fmt.Errorf("begin a session: %w", err)
	}
	return os.NewFile(uintptr(fifo), "session"), nil
}

// service is org.freedesktop.Notifications.
type service struct {
	out  *json.Encoder
	last uint32
}

func notifications() error {
	bus, err := dbus.ConnectSessionBus()
	if err != nil {
		return fmt.Errorf("connect to the session bus: %w", err)
	}
	defer bus.Close()
	const name = "org.freedesktop.Notifications"
	if err := bus.Export(&service{out: json.NewEncoder(os.Stdout)}, "/org/freedesktop/Notifications", name); err != nil {
		return err
	}
	if reply, err := bus.RequestName(name, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		return fmt.Errorf("be the notification service: %v %w", reply, err)
	}
	fmt.Println(`{"title":"ready"}`)
	<-bus.Context().Done()
	return nil
}

// GetCapabilities is the service's.
func (s *service) GetCapabilities() ([]string, *dbus.Error) { return []string{"actions", "body"}, nil }

// Notify is the service's.
func (s *service) Notify(_ string, _ uint32, _, title, body string, actions []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	s.last++
	if err := s.out.Encode(notified{AtUS: time.Now().UnixMicro(), ID: s.last, Title: title, Body: body, Actions: actions}); err != nil {
		return 0, dbus.MakeFailedError(err)
	}
	return s.last, nil
}

// CloseNotification is the service's.
func (s *service) CloseNotification(id uint32) *dbus.Error {
	if err := s.out.Encode(notified{AtUS: time.Now().UnixMicro(), ID: id, Gone: true}); err != nil {
		return dbus.MakeFailedError(err)
	}
	return nil
}
