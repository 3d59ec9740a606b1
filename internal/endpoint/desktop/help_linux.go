package desktop

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"patchring/internal/core/fault"
)

// The notification service of a session.
const (
	notifier     = "org.freedesktop.Notifications"
	notifierPath = dbus.ObjectPath("/org/freedesktop/Notifications")
)

const (
	busyEvery  = 30 * time.Second // how often a session is asked whether it is busy
	askTimeout = 5 * time.Second  // of one question to the session
)

// screen is the helper's state; one goroutine has it.
type screen struct {
	ctx    context.Context
	conn   *dbus.Conn
	out    *json.Encoder
	env    map[string]string
	said   state
	wanted []Popup
	on     map[string]uint32 // popup key → the notification service's id
	done   map[string]bool   // pressed or put away: not shown again
}

// Help is the helper itself: it runs with one person's credentials, shows what
// it reads from in on that person's screen and writes to out what is pressed.
// It ends when in does, and takes what it shows away.
func Help(ctx context.Context, in io.Reader, out io.Writer) error {
	address := os.Getenv("DBUS_SESSION_BUS_ADDRESS")
	if address == "" {
		return ErrNoBus
	}
	conn, err := connect(ctx, address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoBus, err)
	}
	defer conn.Close()
	s := &screen{ctx: ctx, conn: conn, out: json.NewEncoder(out), on: map[string]uint32{}, done: map[string]bool{}}
	signals := make(chan *dbus.Signal, 64)
	conn.Signal(signals)
	matches := [][]dbus.MatchOption{
		{dbus.WithMatchInterface(notifier)},
		{dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, notifier)},
	}
	for _, m := range matches {
		if err := conn.AddMatchSignalContext(ctx, m...); err != nil {
			return fmt.Errorf("listen to the session: %w", err)
		}
	}
	s.env = s.environment()
	if err := s.look(true); err != nil {
		return err
	}
	return s.serve(orders(in), signals)
}

// orders reads the agent's lines until there are no more.
func orders(in io.Reader) <-chan order {
	c := make(chan order)
	go func() { // ends with its input, which is the helper's own end
		defer close(c)
		lines := bufio.NewScanner(in)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var o order
			if json.Unmarshal(lines.Bytes(), &o) != nil {
				return
			}
			c <- o
		}
	}()
	return c
}

func (s *screen) serve(agent <-chan order, signals <-chan *dbus.Signal) error {
	tick := time.NewTicker(busyEvery)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-s.ctx.Done():
			return s.clear()
		case o, ok := <-agent:
			if !ok {
				return s.clear()
			}
			s.wanted = o.Show
			err = s.paint()
		case signal, ok := <-signals:
			if !ok {
				return ErrNoBus // the session ended
			}
			err = s.heard(signal)
		case <-tick.C:
			err = s.look(false)
		}
		if err != nil {
			return err
		}
	}
}

// environment is what the person's own service manager gives to programs of
// the session. A session without one is asked nothing of the kind.
func (s *screen) environment() map[string]string {
	env := map[string]string{}
	var list []string
	v, err := s.conn.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1").GetProperty("org.freedesktop.systemd1.Manager.Environment")
	if err == nil {
		list, _ = v.Value().([]string)
	}
	for _, line := range append(os.Environ(), list...) {
		name, text, _ := strings.Cut(line, "=")
		env[name] = text
	}
	return env
}

// language is the session's, of those there are words for.
func (s *screen) language() string {
	for _, name := range []string{"LANGUAGE", "LC_MESSAGES", "LANG"} {
		for _, tag := range strings.Split(s.env[name], ":") {
			if lang, _, _ := strings.Cut(strings.ToLower(tag), "_"); lang == "fr" || lang == "en" {
				return lang
			}
		}
	}
	return ""
}

// look asks whether the person is busy, and tells when that is news.
func (s *screen) look(first bool) error {
	now := state{Lang: s.language()}
	now.Busy, now.App = s.busy()
	if now == s.said && !first {
		return nil
	}
	s.said = now
	return s.out.Encode(word{State: &now})
}

// busy asks every service that a desktop may have; one that is not there says
// nothing.
func (s *screen) busy() (fault.Code, string) {
	ctx, cancel := context.WithTimeout(s.ctx, askTimeout)
	defer cancel()
	if app, full := s.fullScreen(ctx); full {
		return fault.UserFullScreen, app
	}
	const idle = uint32(8) // gnome-session's flag
	for _, q := range []struct {
		name, path, method string
		args               []any
	}{
		{"org.gnome.SessionManager", "/org/gnome/SessionManager", "org.gnome.SessionManager.IsInhibited", []any{idle}},
		{"org.freedesktop.PowerManagement", "/org/freedesktop/PowerManagement/Inhibit", "org.freedesktop.PowerManagement.Inhibit.HasInhibit", nil},
	} {
		var yes bool
		o := s.conn.Object(q.name, dbus.ObjectPath(q.path))
		if o.CallWithContext(ctx, q.method, dbus.FlagNoAutoStart, q.args...).Store(&yes) == nil && yes {
			return fault.UserBusy, ""
		}
	}
	for _, property := range []string{notifier + ".Inhibited", "org.dunstproject.cmd0.paused"} {
		of, name := property[:strings.LastIndex(property, ".")], property[strings.LastIndex(property, ".")+1:]
		var v dbus.Variant
		o := s.conn.Object(notifier, notifierPath)
		if o.CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", dbus.FlagNoAutoStart, of, name).Store(&v) == nil {
			if yes, _ := v.Value().(bool); yes {
				return fault.UserUndisturbed, ""
			}
		}
	}
	return "", ""
}

// xprop prints "_NET_ACTIVE_WINDOW(WINDOW) 0x1c00003" when asked for hexadecimal.
var windowID = regexp.MustCompile(`0x[0-9a-f]+`)

// fullScreen asks the X server for the active window. Wayland tells nobody,
// and a device without xprop says nothing.
func (s *screen) fullScreen(ctx context.Context) (app string, full bool) {
	if s.env["DISPLAY"] == "" {
		return "", false
	}
	ask := func(args ...string) string {
		cmd := exec.CommandContext(ctx, "xprop", args...)
		cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "DISPLAY=" + s.env["DISPLAY"]}
		for _, name := range []string{"XAUTHORITY", "HOME"} {
			if text := s.env[name]; text != "" {
				cmd.Env = append(cmd.Env, name+"="+text)
			}
		}
		out, err := cmd.Output()
		if err != nil {
			return ""
		}
		return string(out[:min(len(out), 4096)])
	}
	window := windowID.FindString(ask("-root", "32x", " $0", "_NET_ACTIVE_WINDOW"))
	if window == "" || window == "0x0" {
		return "", false
	}
	text := ask("-id", window, "_NET_WM_STATE", "WM_CLASS")
	if !strings.Contains(text, "_NET_WM_STATE_FULLSCREEN") {
		return "", false
	}
	if _, class, ok := strings.Cut(text, "WM_CLASS(STRING) = "); ok {
		names := strings.Split(strings.TrimSpace(class), `"`)
		app = names[max(0, len(names)-2)] // the last in quotes
	}
	return app, true
}

// paint makes the screen what is wanted.
func (s *screen) paint() error {
	for key, id := range s.on {
		if !slices.ContainsFunc(s.wanted, func(p Popup) bool { return p.Key == key }) {
			s.put(id)
			delete(s.on, key)
		}
	}
	for key := range s.done {
		if !slices.ContainsFunc(s.wanted, func(p Popup) bool { return p.Key == key }) {
			delete(s.done, key)
		}
	}
	var errs []error
	for _, p := range s.wanted {
		if _, is := s.on[p.Key]; is || s.done[p.Key] {
			continue
		}
		w := word{Shown: p.Key}
		if err := s.notify(p); err != nil {
			w.Problem = err.Error()
			s.done[p.Key] = true // told once; a service that comes later shows it
		}
		errs = append(errs, s.out.Encode(w))
	}
	return errors.Join(errs...)
}

// notify puts up one notice. Without buttons, or by a service that has none,
// it says what to type.
func (s *screen) notify(p Popup) error {
	ctx, cancel := context.WithTimeout(s.ctx, askTimeout)
	defer cancel()
	o := s.conn.Object(notifier, notifierPath)
	var can []string
	if err := o.CallWithContext(ctx, notifier+".GetCapabilities", 0).Store(&can); err != nil {
		return fmt.Errorf("no notification service: %w", err)
	}
	body := p.Body
	var actions []string
	if slices.Contains(can, "actions") {
		for _, b := range p.Buttons {
			actions = append(actions, b.Key, b.Label)
		}
	} else if len(p.Buttons) > 0 {
		body += "\n" + p.Plain
	}
	if slices.Contains(can, "body-markup") {
		body = html.EscapeString(body)
	}
	urgency := byte(1)
	if p.Urgent {
		urgency = 2
	}
	hints := map[string]dbus.Variant{"urgency": dbus.MakeVariant(urgency), "resident": dbus.MakeVariant(true), "category": dbus.MakeVariant("device")}
	if p.Image != "" {
		hints["image-path"] = dbus.MakeVariant("file://" + p.Image)
	}
	var id uint32
	const never = int32(0)
	call := o.CallWithContext(ctx, notifier+".Notify", 0, "Patchring", uint32(0), "system-software-update", p.Title, body, actions, hints, never)
	if err := call.Store(&id); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	s.on[p.Key] = id
	return nil
}

// put takes a notice away; one that is gone is away.
func (s *screen) put(id uint32) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), askTimeout)
	defer cancel()
	s.conn.Object(notifier, notifierPath).CallWithContext(ctx, notifier+".CloseNotification", 0, id)
}

func (s *screen) clear() error {
	for _, id := range s.on {
		s.put(id)
	}
	return nil
}

// heard is a signal of the session.
func (s *screen) heard(signal *dbus.Signal) error {
	if signal.Name == "org.freedesktop.DBus.NameOwnerChanged" && len(signal.Body) == 3 && signal.Body[0] == notifier {
		if owner, _ := signal.Body[2].(string); owner == "" {
			return nil
		}
		s.on, s.done = map[string]uint32{}, map[string]bool{} // a new service shows nothing yet
		return s.paint()
	}
	if len(signal.Body) != 2 {
		return nil
	}
	id, _ := signal.Body[0].(uint32)
	for key, on := range s.on {
		if on != id {
			continue
		}
		switch signal.Name {
		case notifier + ".ActionInvoked":
			button, _ := signal.Body[1].(string)
			s.done[key] = true
			s.put(id)
			delete(s.on, key)
			return s.out.Encode(word{Pressed: key, Button: button})
		case notifier + ".NotificationClosed":
			s.done[key] = true
			delete(s.on, key)
		}
	}
	return nil
}
