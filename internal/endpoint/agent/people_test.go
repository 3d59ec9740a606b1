package agent

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/godbus/dbus/v5"

	"patchring/internal/endpoint/desktop"
	"patchring/internal/endpoint/executor/people"
	"patchring/internal/endpoint/notice"
	"patchring/wire"
)

// TestMain is also a person's screen, which presses the first button of each
// popup that has one when the file it is given is there.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "screen" {
		os.Exit(screen(os.Args[2]))
	}
	os.Exit(m.Run())
}

func screen(press string) int {
	fmt.Println(`{"state":{"lang":"fr"}}`)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var o struct{ Show []desktop.Popup }
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return 1
		}
		for _, p := range o.Show {
			fmt.Printf("{\"shown\":%q}\n", p.Key)
			if _, err := os.Stat(press); err == nil && p.Buttons[0].Label == "Installer maintenant" {
				fmt.Printf("{\"pressed\":%q,\"button\":%q}\n", p.Key, p.Buttons[0].Key)
			}
		}
	}
	return 0
}

// seat is a logind with one person on it.
type seat struct{ name string }

type sessionRow struct {
	ID   string
	UID  uint32
	User string
	Seat string
	Path dbus.ObjectPath
}

// ListSessions is logind's.
func (s seat) ListSessions() ([]sessionRow, *dbus.Error) {
	return []sessionRow{{"1", uint32(os.Getuid()), s.name, "seat0", "/org/freedesktop/login1/session/_1"}}, nil
}

// ListInhibitors is logind's.
func (seat) ListInhibitors() ([]struct {
	What, Who, Why, Mode string
	UID, PID             uint32
}, *dbus.Error) {
	return nil, nil
}

// GetAll is the session's.
func (seat) GetAll(string) (map[string]dbus.Variant, *dbus.Error) {
	return map[string]dbus.Variant{
		"Type": dbus.MakeVariant("wayland"), "Class": dbus.MakeVariant("user"), "State": dbus.MakeVariant("active"),
	}, nil
}

// sitDown puts the person who runs the tests at a desktop of the device.
func sitDown(t *testing.T, name string) (bus string) {
	bus = filepath.Join(t.TempDir(), "bus")
	daemon := exec.Command("dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address", "--address=unix:path="+bus)
	out, err := daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Kill()
		_ = daemon.Wait()
	})
	if !bufio.NewScanner(out).Scan() {
		t.Fatal("no bus")
	}
	conn, err := dbus.Connect("unix:path=" + bus)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	for path, of := range map[dbus.ObjectPath]string{
		"/org/freedesktop/login1": "org.freedesktop.login1.Manager", "/org/freedesktop/login1/session/_1": "org.freedesktop.DBus.Properties",
	} {
		if err := conn.Export(seat{name}, path, of); err != nil {
			t.Fatal(err)
		}
	}
	if reply, err := conn.RequestName("org.freedesktop.login1", 0); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("be logind: %v %v", reply, err)
	}
	return bus
}

func TestAPersonIsAskedOnTheirScreenAndBySocket(t *testing.T) {
	s := newSite(t)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b := &box{version: "1"}
	d := b.device()
	press := filepath.Join(t.TempDir(), "press")
	d.Desktop = desktop.Options{Bus: sitDown(t, me.Username), Runtime: t.TempDir(), Helper: []string{self, "screen", press}}
	d.Host = host(fstest.MapFS{
		"sys/class/power_supply/BAT0/type":     {Data: []byte("Battery\n")},
		"sys/class/power_supply/BAT0/capacity": {Data: []byte("50\n")},
		"sys/class/power_supply/BAT0/status":   {Data: []byte("Discharging\n")},
	})
	dir := s.enrolled()
	s.start(dir, d)
	ask := func(r notice.Request) notice.Reply {
		var reply notice.Reply
		s.eventually("the socket", func() bool {
			var err error
			reply, err = notice.Call(t.Context(), notice.Path(dir), r)
			return err == nil
		})
		return reply
	}
	if got := ask(notice.Request{}); len(got.Notices) != 0 || got.Refused != nil {
		t.Fatalf("%+v before there is an order", got)
	}
	told := func(what wire.NoticeWhat) func() bool {
		return func() bool {
			for _, e := range s.events {
				if e.Notice != nil && e.Notice.What == what && e.Notice.User == me.Username {
					return true
				}
			}
			return false
		}
	}
	s.eventually("a check-in", func() bool { return len(s.checkins) > 0 })
	o := order(1)
	o.People = &wire.People{
		Postpones: 1, DeadlineUS: time.Now().Add(30 * time.Minute).UnixMicro(), NoticeS: 60, CountdownS: 60, BatteryPercent: 50,
	}
	s.push(wire.EnvelopeOrder, o)
	s.eventually("the notice to be on the screen", told(wire.NoticeShown))
	got := ask(notice.Request{})
	if len(got.Notices) != 1 || got.Notices[0].State != people.StateAsked || got.Notices[0].Left != 1 || b.installed() != "1" {
		t.Fatalf("%+v, version %s", got, b.installed())
	}
	later := time.Now().Add(2 * time.Second)
	if why, _ := ask(notice.Request{Choice: people.At, Until: later}).Why(); why != "" {
		t.Fatalf("not postponed: %s", why)
	}
	s.eventually("the postponement", told(wire.NoticePostponed))
	if why, _ := ask(notice.Request{Choice: people.Hour}).Why(); why != people.AlreadyLater {
		t.Errorf("postponed again: %q", why)
	}
	if err := os.WriteFile(press, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.eventually("the answer from the screen", told(wire.NoticeAccepted))
	s.eventually("the install", func() bool { return b.installed() == "2" })
}
