package desktop

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/godbus/dbus/v5"

	"patchring/internal/core/fault"
)

// TestMain is also the helper, which must be a program of its own.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "helper" {
		if err := Help(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) > 1 && (os.Args[1] == "manager" || os.Args[1] == "notifier") {
		if err := service(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// office is a device with a real session bus, a real X server and a real
// notification service of one person, and a logind that says what it is told.
type office struct {
	t       *testing.T
	dir     string
	person  Person
	bus     string
	display string
	logind  *login1
	desktop *Desktop

	mu      sync.Mutex // guards the rest
	pressed []string
	shown   map[string]error
}

// somebody is another user than the one who runs the tests, where that is root.
func somebody() Person {
	if os.Geteuid() == 0 {
		return Person{Name: "ann", UID: 65534, GID: 65534} // nobody: a bus wants to know its user
	}
	return Person{Name: "ann", UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
}

func newOffice(t *testing.T) *office {
	dir, err := os.MkdirTemp("", "desktop")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	o := &office{t: t, dir: dir, person: somebody(), shown: map[string]error{}}
	uid := strconv.Itoa(int(o.person.UID))
	must(t, os.Chmod(dir, 0o755))
	must(t, os.Mkdir(filepath.Join(dir, uid), 0o700))
	must(t, os.Chown(filepath.Join(dir, uid), int(o.person.UID), int(o.person.GID)))
	o.bus = "unix:path=" + filepath.Join(dir, uid, "bus")
	o.run("dbus-daemon", "--session", "--nofork", "--nopidfile", "--address="+o.bus)
	o.wait("the session bus", func() bool { _, err := os.Stat(filepath.Join(dir, uid, "bus")); return err == nil })
	o.logind = newLogin1(t, filepath.Join(dir, "system"))
	o.logind.set(func() { o.logind.sessions = []fakeSession{{id: "2", Person: o.person, kind: "x11", class: "user"}} })
	o.desktop = New(Options{
		Helper: []string{program(t, dir), "helper"}, Bus: filepath.Join(dir, "system"), Runtime: dir,
		Pressed: func(key, button string) { o.note(func() { o.pressed = append(o.pressed, key+" "+button) }) },
		Shown:   func(key string, problem error) { o.note(func() { o.shown[key] = problem }) },
		Log:     slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- o.desktop.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		must(t, <-ended)
	})
	return o
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// program is this test as a file that everybody may run.
func program(t *testing.T, dir string) string {
	self, err := os.Executable()
	must(t, err)
	in, err := os.Open(self)
	must(t, err)
	defer in.Close()
	path := filepath.Join(dir, "helper")
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o755)
	must(t, err)
	_, err = io.Copy(out, in)
	must(t, errors.Join(err, out.Close()))
	return path
}

// command is one of the person's own programs.
func (o *office) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + o.dir, "DBUS_SESSION_BUS_ADDRESS=" + o.bus, "DISPLAY=" + o.display, "LC_ALL=C"}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: o.person.UID, Gid: o.person.GID}}
	}
	return cmd
}

func (o *office) run(name string, args ...string) {
	o.t.Helper()
	cmd := o.command(name, args...)
	must(o.t, cmd.Start())
	o.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// screen starts an X server and the notification service.
func (o *office) screen() {
	r, w, err := os.Pipe()
	must(o.t, err)
	cmd := o.command("Xvfb", "-displayfd", "3", "-screen", "0", "800x600x24", "-nolisten", "tcp", "-ac", "-noreset")
	cmd.ExtraFiles = []*os.File{w}
	must(o.t, cmd.Start())
	o.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	_ = w.Close()
	number := make([]byte, 16)
	n, err := r.Read(number)
	must(o.t, err)
	o.display = ":" + strings.TrimSpace(string(number[:n]))
	// A click opens dunst's menu of actions, and the menu's answer is the line
	// that the test chose.
	menu := filepath.Join(o.dir, "menu")
	must(o.t, os.WriteFile(menu, []byte("#!/bin/sh\nexec grep -m1 -F -f "+filepath.Join(o.dir, "choice")+"\n"), 0o755))
	config := filepath.Join(o.dir, "dunstrc")
	must(o.t, os.WriteFile(config, []byte("[global]\ndmenu = "+menu+"\nmouse_left_click = context\nfollow = none\norigin = top-left\noffset = 10x10\nwidth = 400\nheight = 300\n"), 0o644))
	o.run("dunst", "-config", config)
	o.wait("dunst", func() bool { return o.waiting() >= 0 })
}

func (o *office) choose(label string) {
	must(o.t, os.WriteFile(filepath.Join(o.dir, "choice"), []byte(label+"\n"), 0o644))
}

// click presses the left button on the notice that is on the screen.
func (o *office) click() {
	o.wait("the notice's window", func() bool {
		out, err := o.command("xdotool", "search", "--onlyvisible", "--class", "dunst").Output()
		return err == nil && len(out) > 0
	})
	out, err := o.command("xdotool", "mousemove", "60", "40", "click", "1").CombinedOutput()
	if err != nil {
		o.t.Fatalf("click: %v: %s", err, out)
	}
}

func (o *office) note(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f()
}

func (o *office) wait(what string, done func() bool) {
	o.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.NewTimer(10 * time.Second)
	defer end.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-end.C:
			o.t.Fatalf("waited in vain for %s", what)
		}
	}
}

func (o *office) people() []Person {
	o.t.Helper()
	list, err := o.desktop.People(o.t.Context())
	must(o.t, err)
	return list
}

func (o *office) isShown(key string) (problem error, is bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	problem, is = o.shown[key]
	return problem, is
}

var buttons = []Button{{"now", "Install now"}, {"1h", "In 1 h"}, {"evening", "This evening (18:00)"}}

func TestAClickOnARealNotificationComesBack(t *testing.T) {
	o := newOffice(t)
	o.screen()
	if got := o.people(); len(got) != 1 || got[0].Name != "ann" || got[0].UID != o.person.UID {
		t.Fatalf("%+v, want ann", got)
	}
	o.desktop.Show([]Popup{{Key: "k1", UID: o.person.UID, Title: "Updates", Body: "a < b & c", Buttons: buttons}})
	o.wait("the notice", func() bool { _, is := o.isShown("k1"); return is })
	if problem, _ := o.isShown("k1"); problem != nil {
		t.Fatal(problem)
	}
	o.choose("In 1 h")
	o.click()
	o.wait("the answer", func() bool { o.mu.Lock(); defer o.mu.Unlock(); return len(o.pressed) > 0 })
	o.note(func() {
		if !slices.Equal(o.pressed, []string{"k1 1h"}) {
			t.Errorf("pressed %q, want an hour", o.pressed)
		}
	})
	o.wait("the notice to go", func() bool { return o.waiting() == 0 })
	o.desktop.Show([]Popup{{Key: "k2", UID: o.person.UID, Title: "Countdown", Body: "soon", Buttons: buttons[:1], Urgent: true}})
	o.wait("the next one", func() bool { return o.waiting() == 1 })
	o.desktop.Show(nil)
	o.wait("it to be taken away", func() bool { return o.waiting() == 0 })
}

// waiting is how many notices dunst says are on the screen.
func (o *office) waiting() int {
	out, err := o.command("dunstctl", "count", "displayed").Output()
	if err != nil {
		return -1
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(out)))
	must(o.t, err)
	return n
}

func TestAServiceThatComesLaterShowsWhatWaits(t *testing.T) {
	o := newOffice(t)
	o.people()
	o.desktop.Show([]Popup{{Key: "k", UID: o.person.UID, Title: "T", Body: "B", Buttons: buttons}})
	o.wait("the failure", func() bool { problem, is := o.isShown("k"); return is && problem != nil })
	o.screen()
	o.wait("the notice", func() bool { problem, is := o.isShown("k"); return is && problem == nil })
}

func TestNobodyIsDisturbed(t *testing.T) {
	o := newOffice(t)
	o.screen()
	must(t, o.command("dunstctl", "set-paused", "true").Run())
	if got := o.people(); got[0].Busy != fault.UserUndisturbed {
		t.Errorf("paused: %+v", got)
	}
	o.logind.set(func() {
		o.logind.inhibitors = []inhibitor{{"idle", "Visio", "a call", "block", o.person.UID, 7}, {"sleep", "NetworkManager", "", "delay", 0, 8}}
	})
	if got := o.people(); got[0].Busy != fault.UserBusy || got[0].App != "Visio" {
		t.Errorf("in a call: %+v", got)
	}
	o.logind.set(func() { o.logind.sessions[0].locked = true })
	if got := o.people(); got[0].Busy != "" {
		t.Errorf("locked: %+v", got)
	}
}

// serve runs one of the person's own services until the test ends: a bus lets
// nobody else in. It gives what the service says.
func (o *office) serve(args ...string) *bufio.Scanner {
	cmd := o.command(filepath.Join(o.dir, "helper"), args...)
	in, err := cmd.StdinPipe() // it ends with the test
	must(o.t, err)
	out, err := cmd.StdoutPipe()
	must(o.t, err)
	must(o.t, cmd.Start())
	o.t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	said := bufio.NewScanner(out)
	if !said.Scan() || said.Text() != "ready" {
		o.t.Fatalf("%q does not serve: %q", args, said.Text())
	}
	return said
}

// service is the other side of serve.
func service(args []string) error {
	conn, err := connect(context.Background(), os.Getenv("DBUS_SESSION_BUS_ADDRESS"))
	if err != nil {
		return err
	}
	name := notifier
	if args[0] == "manager" {
		name = "org.freedesktop.systemd1"
		err = conn.Export(manager(args[1:]), "/org/freedesktop/systemd1", "org.freedesktop.DBus.Properties")
	} else {
		err = conn.Export(plainNotifier{}, notifierPath, notifier)
	}
	if err != nil {
		return err
	}
	if reply, err := conn.RequestName(name, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		return fmt.Errorf("be %s: %v %w", name, reply, err)
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// manager is the person's service manager, which knows the session's environment.
type manager []string

// Get is of its properties.
func (m manager) Get(string, string) (dbus.Variant, *dbus.Error) {
	return dbus.MakeVariant([]string(m)), nil
}

func TestAFullScreenApplicationIsNotDisturbed(t *testing.T) {
	o := newOffice(t)
	o.screen()
	o.serve("manager", "DISPLAY="+o.display, "LANG=fr_FR.UTF-8")
	xprop := func(args ...string) string {
		out, err := o.command("xprop", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("xprop %q: %v: %s", args, err, out)
		}
		return string(out)
	}
	out, err := o.command("xwininfo", "-root", "-int").Output()
	must(t, err)
	_, id, _ := strings.Cut(string(out), "Window id: ")
	id, _, _ = strings.Cut(id, " ")
	number, err := strconv.ParseUint(id, 10, 32)
	must(t, err)
	xprop("-root", "-f", "_NET_ACTIVE_WINDOW", "32x", "-set", "_NET_ACTIVE_WINDOW", fmt.Sprintf("%#x", number))
	xprop("-root", "-f", "WM_CLASS", "8s", "-set", "WM_CLASS", "Impress")
	xprop("-root", "-f", "_NET_WM_STATE", "32a", "-set", "_NET_WM_STATE", "_NET_WM_STATE_FULLSCREEN")
	if got := o.people(); got[0].Busy != fault.UserFullScreen || got[0].App != "Impress" || got[0].Lang != "fr" {
		t.Fatalf("%+v, want a full screen, in French", got)
	}
}

// plainNotifier is a notification service without buttons.
type plainNotifier struct{}

// GetCapabilities is the service's.
func (plainNotifier) GetCapabilities() ([]string, *dbus.Error) { return []string{"body"}, nil }

// Notify is the service's.
func (plainNotifier) Notify(_ string, _ uint32, _, _, body string, actions []string, hints map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	image, _ := hints["image-path"].Value().(string)
	fmt.Printf("%d %q %s\n", len(actions), body, image)
	return 1, nil
}

func TestAServiceWithoutButtonsSaysWhatToType(t *testing.T) {
	o := newOffice(t)
	said := o.serve("notifier")
	o.people()
	o.desktop.Show([]Popup{{Key: "k", UID: o.person.UID, Title: "T", Body: "a < b", Plain: "type it", Buttons: buttons, Image: "/run/x/logo.png"}})
	if said.Scan(); said.Text() != `0 "a < b\ntype it" file:///run/x/logo.png` {
		t.Fatalf("%s", said.Text())
	}
}

func TestAPersonWithoutASessionBusIsSaidToSeeNothing(t *testing.T) {
	o := newOffice(t)
	nobody := Person{Name: "bob", UID: 1, GID: 1}
	if os.Geteuid() != 0 {
		nobody = Person{Name: "bob", UID: 0, GID: 0} // whom no helper is started for
	}
	o.logind.set(func() { o.logind.sessions = []fakeSession{{id: "3", Person: nobody, kind: "wayland", class: "user"}} })
	if got := o.people(); len(got) != 1 || got[0].Name != "bob" {
		t.Fatalf("%+v", got)
	}
	o.desktop.Show([]Popup{{Key: "k", UID: nobody.UID, Title: "T", Body: "B"}})
	o.wait("the failure", func() bool { problem, is := o.isShown("k"); return is && problem != nil })
}

func TestWhoIsLoggedInToADesktop(t *testing.T) {
	o := newOffice(t)
	p := o.person
	for name, c := range map[string]struct {
		sessions []fakeSession
		want     int
	}{
		"nobody":             {nil, 0},
		"over ssh":           {[]fakeSession{{id: "1", Person: p, kind: "tty", class: "user"}}, 0},
		"the greeter":        {[]fakeSession{{id: "1", Person: p, kind: "x11", class: "greeter"}}, 0},
		"leaving":            {[]fakeSession{{id: "1", Person: p, kind: "x11", class: "user", state: "closing"}}, 0},
		"twice, one locked":  {[]fakeSession{{id: "1", Person: p, kind: "x11", class: "user", locked: true}, {id: "2", Person: p, kind: "wayland", class: "user"}}, 1},
		"gone while we read": {[]fakeSession{{id: "3", Person: p, gone: true}, {id: "1", Person: p, kind: "wayland", class: "user"}}, 1},
	} {
		o.logind.set(func() { o.logind.sessions = c.sessions })
		got, err := sessions(t.Context(), o.desktop.Bus)
		if err != nil || len(got) != c.want {
			t.Errorf("%s: %+v, %v; want %d", name, got, err, c.want)
			continue
		}
		if c.want == 1 && (got[0].GID != p.GID || got[0].away) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got, err := sessions(t.Context(), filepath.Join(o.dir, "no bus")); err != nil || len(got) != 0 {
		t.Errorf("without a system bus: %v, %v", got, err)
	}
	o.logind.set(func() { o.logind.broken = true })
	if _, err := sessions(t.Context(), o.desktop.Bus); err == nil {
		t.Error("a logind that fails is taken for nobody")
	}
}

func TestBattery(t *testing.T) {
	supply := func(files ...string) fstest.MapFS {
		m := fstest.MapFS{}
		for _, f := range files {
			path, text, _ := strings.Cut(f, "=")
			m["sys/class/power_supply/"+path] = &fstest.MapFile{Data: []byte(text + "\n")}
		}
		return m
	}
	for name, c := range map[string]struct {
		fs      fstest.MapFS
		inUse   bool
		percent int
	}{
		"a server":        {fstest.MapFS{}, false, 0},
		"mains only":      {supply("AC/type=Mains", "AC/online=1"), false, 0},
		"on battery":      {supply("AC/type=Mains", "AC/online=0", "BAT0/type=Battery", "BAT0/capacity=41", "BAT0/status=Discharging"), true, 41},
		"charging":        {supply("AC/type=Mains", "AC/online=1", "BAT0/type=Battery", "BAT0/capacity=41", "BAT0/status=Charging"), false, 41},
		"two batteries":   {supply("BAT0/type=Battery", "BAT0/capacity=20", "BAT0/status=Unknown", "BAT1/type=Battery", "BAT1/capacity=60", "BAT1/status=Discharging"), true, 40},
		"an empty bay":    {supply("BAT0/type=Battery", "BAT0/capacity=", "BAT0/status=Unknown"), false, 0},
		"a mouse's":       {supply("hidpp/type=Battery", "hidpp/scope=Device", "hidpp/capacity=5", "hidpp/status=Discharging"), false, 0},
		"held at a limit": {supply("AC/type=Mains", "AC/online=1", "BAT0/type=Battery", "BAT0/capacity=80", "BAT0/status=Discharging"), false, 80},
	} {
		inUse, percent, err := Battery(c.fs)
		if err != nil || inUse != c.inUse || percent != c.percent {
			t.Errorf("%s: %v %d %v, want %v %d", name, inUse, percent, err, c.inUse, c.percent)
		}
	}
}

func TestAHelperIsBelievedOnlyWhatItCanKnow(t *testing.T) {
	h := &helper{hello: make(chan struct{}), keys: map[string]bool{"k": true, "k now": true}}
	var pressed []string
	d := &Desktop{Options: Options{
		Pressed: func(key, button string) { pressed = append(pressed, key+" "+button) }, Shown: func(string, error) {},
	}}
	for _, w := range []word{
		{Pressed: "other", Button: "now"}, {Pressed: "k", Button: "evening"}, {Pressed: "k", Button: "now"},
		{State: &state{Lang: "../../etc", Busy: "internal", App: "x"}},
	} {
		h.hear(w, d)
	}
	if !slices.Equal(pressed, []string{"k now"}) || h.state != (state{}) {
		t.Errorf("pressed %q, state %+v", pressed, h.state)
	}
}

// login1 is a logind on a real bus.
type login1 struct {
	t    *testing.T
	mu   sync.Mutex // guards the rest
	conn *dbus.Conn

	sessions   []fakeSession
	inhibitors []inhibitor
	broken     bool
}

type fakeSession struct {
	id string
	Person
	kind, class, state string
	locked, gone       bool
}

type inhibitor struct {
	What, Who, Why, Mode string
	UID, PID             uint32
}

func newLogin1(t *testing.T, socket string) *login1 {
	cmd := exec.Command("dbus-daemon", "--session", "--nofork", "--nopidfile", "--address=unix:path="+socket)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	l := &login1{t: t}
	(&office{t: t}).wait("the system bus", func() (ok bool) {
		var err error
		l.conn, err = connect(context.WithoutCancel(t.Context()), "unix:path="+socket)
		return err == nil
	})
	t.Cleanup(func() { _ = l.conn.Close() })
	must(t, l.conn.Export(l, "/org/freedesktop/login1", logindManager))
	for _, id := range []string{"1", "2", "3"} {
		must(t, l.conn.Export(part{l, id}, session1(id), "org.freedesktop.DBus.Properties"))
	}
	for _, p := range []uint32{somebody().UID, 1, 0} {
		must(t, l.conn.Export(part{l, "user " + strconv.Itoa(int(p))}, user1(p), "org.freedesktop.DBus.Properties"))
	}
	reply, err := l.conn.RequestName(logind, dbus.NameFlagDoNotQueue)
	if err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("be logind: %v %v", reply, err)
	}
	return l
}

func session1(id string) dbus.ObjectPath {
	return dbus.ObjectPath("/org/freedesktop/login1/session/_" + id)
}

func user1(uid uint32) dbus.ObjectPath {
	return dbus.ObjectPath("/org/freedesktop/login1/user/_" + strconv.Itoa(int(uid)))
}

func (l *login1) set(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

type row struct {
	ID   string
	UID  uint32
	User string
	Seat string
	Path dbus.ObjectPath
}

// ListSessions is logind's.
func (l *login1) ListSessions() ([]row, *dbus.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken {
		return nil, dbus.MakeFailedError(errors.New("out of memory"))
	}
	rows := []row{}
	for _, s := range l.sessions {
		rows = append(rows, row{s.id, s.UID, s.Name, "seat0", session1(s.id)})
	}
	return rows, nil
}

// ListInhibitors is logind's.
func (l *login1) ListInhibitors() ([]inhibitor, *dbus.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]inhibitor{}, l.inhibitors...), nil
}

// part is one session or user object.
type part struct {
	l  *login1
	id string
}

type owner struct {
	UID  uint32
	Path dbus.ObjectPath
}

// GetAll is every object's.
func (p part) GetAll(string) (map[string]dbus.Variant, *dbus.Error) {
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	if uid, is := strings.CutPrefix(p.id, "user "); is {
		n, err := strconv.ParseUint(uid, 10, 32)
		if err != nil {
			return nil, dbus.MakeFailedError(err)
		}
		return map[string]dbus.Variant{"GID": dbus.MakeVariant(uint32(n))}, nil
	}
	for _, s := range p.l.sessions {
		if s.id != p.id || s.gone {
			continue
		}
		state := "active"
		if s.state != "" {
			state = s.state
		}
		return map[string]dbus.Variant{
			"Type": dbus.MakeVariant(s.kind), "Class": dbus.MakeVariant(s.class), "State": dbus.MakeVariant(state),
			"LockedHint": dbus.MakeVariant(s.locked), "IdleHint": dbus.MakeVariant(false), "User": dbus.MakeVariant(owner{s.UID, user1(s.UID)}),
		}, nil
	}
	return nil, dbus.NewError("org.freedesktop.login1.NoSuchSession", nil)
}
