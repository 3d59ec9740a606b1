// Package desktop is the device's side of its desktops: who is logged in to
// one, whether they are busy, what the device runs on, and notices with buttons
// on each person's screen.
//
// Sessions come from logind over the system bus. A person's own session bus is
// spoken to by a helper: this same program, started with that person's
// credentials and nothing more, because a session bus believes its owner only.
// The helper lives while somebody is to be asked, and ends with its input.
//
// On macOS and Windows the helper shows dialogs of the system instead, by the
// same contract (card.go); a person is who has the session on the screen, and
// what the system's own tools say is read as they print it.
//
// It decides nothing and refuses to guess: what cannot be read is an error or,
// where it is one hint among several, no hint. Run belongs to one goroutine,
// the rest to any.
package desktop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"patchring/internal/core/fault"
)

// Person is somebody logged in to a desktop, in one session or several.
type Person struct {
	Name     string
	UID, GID uint32
	Lang     string     // fr, en; empty when the session does not say
	Busy     fault.Code // why not to disturb; empty is none
	App      string     // what keeps them busy, where it has a name
}

// Popup is a notice on one person's screen.
type Popup struct {
	Key     string   `json:"key"` // another key is another popup
	UID     uint32   `json:"-"`
	Title   string   `json:"title"`
	Body    string   `json:"body"`
	Plain   string   `json:"plain"` // said after the body where there are no buttons
	Buttons []Button `json:"buttons,omitempty"`
	Urgent  bool     `json:"urgent,omitempty"`
	Image   string   `json:"image,omitempty"` // a PNG's file
}

// Button is one answer.
type Button struct {
	Key   string `json:"key"`
	Label string `json:"label"`
}

// Options of a desktop.
type Options struct {
	Helper  []string // the command that runs Help
	Bus     string   // the system bus; empty is the usual one
	Runtime string   // the directory of users' runtime directories
	// Pressed is called with each button that somebody presses, Shown when a
	// popup came to a screen or, with problem, could not.
	Pressed func(key, button string)
	Shown   func(key string, problem error)
	Log     *slog.Logger
}

// Where things are on a Linux device.
const (
	systemBus  = "/run/dbus/system_bus_socket"
	runtimeDir = "/run/user"
)

// How long a helper may take to say hello, and lives without being needed.
const (
	helloWait = 3 * time.Second
	idleAfter = 5 * time.Minute
)

// Desktop of the device.
type Desktop struct {
	Options
	wake chan struct{}

	mu      sync.Mutex // guards the rest
	helpers map[uint32]*helper
	wanted  []Popup
	missed  map[string]bool // wanted, and told that no helper can show it
	asked   time.Time       // when somebody was last interested in people
	closed  bool
	running sync.WaitGroup
}

// New makes a desktop. It starts nothing yet.
func New(o Options) *Desktop {
	if o.Bus == "" {
		o.Bus = systemBus
	}
	if o.Runtime == "" {
		o.Runtime = runtimeDir
	}
	return &Desktop{Options: o, wake: make(chan struct{}, 1), helpers: map[uint32]*helper{}}
}

// Name is the login name of who has a desktop session; false is nobody.
func (d *Desktop) Name(ctx context.Context, uid uint32) (string, bool, error) {
	list, err := sessions(ctx, d.Bus)
	if err != nil {
		return "", false, fmt.Errorf("read sessions: %w", err)
	}
	for _, s := range list {
		if s.UID == uid {
			return s.Name, true, nil
		}
	}
	return "", false, nil
}

// People are those who are logged in to a desktop now. It begins a helper for
// each, to know whether they are busy.
func (d *Desktop) People(ctx context.Context) ([]Person, error) {
	list, err := sessions(ctx, d.Bus)
	if err != nil {
		return nil, fmt.Errorf("read sessions: %w", err)
	}
	var people []Person
	for _, s := range list {
		p := s.Person
		if h := d.helper(s.Person); h != nil {
			state := h.wait(ctx, helloWait)
			p.Lang = state.Lang
			if p.Busy == "" {
				p.Busy, p.App = state.Busy, state.App
			}
		}
		if s.away {
			p.Busy, p.App = "", "" // a locked screen presents nothing
		}
		people = append(people, p)
	}
	return people, nil
}

// Show replaces what is on the screens.
func (d *Desktop) Show(list []Popup) {
	d.mu.Lock()
	d.wanted = list
	d.mu.Unlock()
	d.look()
}

// look makes Run tend to the screens again.
func (d *Desktop) look() {
	select {
	case d.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// Run keeps the screens as Show wants them, until ctx ends. Then it takes the
// popups away and waits for the helpers.
func (d *Desktop) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for ctx.Err() == nil {
		d.tend()
		select {
		case <-ctx.Done():
		case <-d.wake:
		case <-tick.C:
		}
	}
	d.mu.Lock()
	d.closed = true
	for _, h := range d.helpers {
		h.stop()
	}
	d.mu.Unlock()
	d.running.Wait()
	return nil
}

// tend tells each helper what its person is to see, and ends them when nobody
// is asked anything any more.
func (d *Desktop) tend() {
	for key, problem := range d.reach() {
		d.Shown(key, problem)
	}
}

// reach gives the popups that cannot be shown, each once.
func (d *Desktop) reach() map[string]error {
	d.mu.Lock()
	defer d.mu.Unlock()
	failed, missed := map[string]error{}, map[string]bool{}
	idle := len(d.wanted) == 0 && time.Since(d.asked) > idleAfter
	for uid, h := range d.helpers {
		if idle {
			h.stop()
			continue
		}
		var mine []Popup
		for _, p := range d.wanted {
			if p.UID == uid {
				mine = append(mine, p)
			}
		}
		if err := h.show(mine); err != nil {
			d.Log.Warn("a person's screen is not reached", "uid", uid, "err", err)
			h.stop()
		}
	}
	for _, p := range d.wanted {
		if d.helpers[p.UID] == nil {
			if missed[p.Key] = true; !d.missed[p.Key] {
				failed[p.Key] = ErrNoBus
			}
		}
	}
	d.missed = missed
	return failed
}

// helper is the one of a person, started if there is none; nil when it cannot
// be started or has just failed.
func (d *Desktop) helper(p Person) *helper {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = time.Now()
	if h := d.helpers[p.UID]; h != nil || d.closed {
		return h
	}
	if len(d.Helper) == 0 {
		return nil
	}
	h, err := d.start(p)
	if err != nil {
		d.Log.Warn("helper not started", "user", p.Name, "err", err)
		return nil
	}
	d.helpers[p.UID] = h
	d.running.Go(func() {
		err := h.listen(d)
		d.mu.Lock()
		delete(d.helpers, p.UID)
		d.mu.Unlock()
		d.look() // what it showed is on no screen now
		if err != nil {
			d.Log.Warn("helper ended", "user", p.Name, "err", err)
		}
	})
	return h
}

// ErrNoBus tells that a person has no session bus to be reached by.
var ErrNoBus = errors.New("no session bus")
