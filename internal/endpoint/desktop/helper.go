package desktop

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"patchring/internal/core/fault"
)

// What goes between the agent and a helper: one JSON object a line.
type (
	// order is the agent's word: all that is to be on the screen.
	order struct {
		Show []Popup `json:"show"`
	}
	// word is the helper's.
	word struct {
		State   *state `json:"state,omitempty"`
		Shown   string `json:"shown,omitempty"` // a popup's key
		Problem string `json:"problem,omitempty"`
		Pressed string `json:"pressed,omitempty"` // a popup's key
		Button  string `json:"button,omitempty"`
	}
	// state is what the person's own session says.
	state struct {
		Lang string     `json:"lang,omitempty"`
		Busy fault.Code `json:"busy,omitempty"`
		App  string     `json:"app,omitempty"`
	}
)

// maxLine bounds a line of a helper, which runs with its person's rights and
// is believed no more than they are.
const maxLine = 64 << 10

// helper is one running helper, seen from the agent.
type helper struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   io.Reader
	hello chan struct{} // closed at its first state
	end   chan struct{} // closed when it has ended

	mu    sync.Mutex // guards the rest
	state state
	heard bool
	sent  string
	keys  map[string]bool // what it may answer
}

// start runs a helper with a person's credentials and a fixed environment.
func (d *Desktop) start(p Person) (*helper, error) {
	uid := strconv.FormatUint(uint64(p.UID), 10)
	runtime := filepath.Join(d.Runtime, uid)
	cmd := exec.Command(d.Helper[0], d.Helper[1:]...)
	cmd.Dir = "/"
	cmd.Env = []string{
		"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "XDG_RUNTIME_DIR=" + runtime,
		"DBUS_SESSION_BUS_ADDRESS=unix:path=" + filepath.Join(runtime, "bus"),
	}
	if err := as(cmd, p); err != nil {
		return nil, err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("open the helper's input: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("open the helper's output: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start helper: %w", err)
	}
	return &helper{cmd: cmd, in: in, out: out, hello: make(chan struct{}), end: make(chan struct{}), keys: map[string]bool{}}, nil
}

// wait gives what the session last said; a helper just begun has a moment.
func (h *helper) wait(ctx context.Context, atMost time.Duration) state {
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case <-h.hello:
	case <-h.end:
	case <-timer.C:
	case <-ctx.Done():
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state
}

// show sends what is to be on the screen, when that is news.
func (h *helper) show(list []Popup) error {
	line, err := json.Marshal(order{Show: list})
	if err != nil {
		return fmt.Errorf("encode popups: %w", err)
	}
	h.mu.Lock()
	news := h.sent != string(line)
	h.sent = string(line)
	h.keys = map[string]bool{}
	for _, p := range list {
		for _, b := range p.Buttons {
			h.keys[p.Key+" "+b.Key] = true
		}
		h.keys[p.Key] = true
	}
	h.mu.Unlock()
	if !news {
		return nil
	}
	// A person can stop their helper; the agent must not stop with it.
	if pipe, ok := h.in.(interface{ SetWriteDeadline(time.Time) error }); ok {
		if err := pipe.SetWriteDeadline(time.Now().Add(helloWait)); err != nil {
			return fmt.Errorf("bound the helper's input: %w", err)
		}
	}
	if _, err := h.in.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("tell helper: %w", err)
	}
	return nil
}

// stop asks the helper to end: its input does.
func (h *helper) stop() { _ = h.in.Close() } // closing twice is fine

// helperGrace is how long a helper may take to end after its input did.
const helperGrace = 5 * time.Second

// listen hears a helper until it ends.
func (h *helper) listen(d *Desktop) error {
	defer close(h.end)
	lines := bufio.NewScanner(h.out)
	lines.Buffer(nil, maxLine)
	var problem error
	for problem == nil && lines.Scan() {
		var w word
		if problem = json.Unmarshal(lines.Bytes(), &w); problem == nil {
			h.hear(w, d)
		}
	}
	problem = errors.Join(problem, lines.Err())
	h.stop()
	late := time.AfterFunc(helperGrace, func() { _ = h.cmd.Process.Kill() }) // our own child, which has had its time
	defer late.Stop()
	return errors.Join(problem, h.cmd.Wait())
}

// hear passes on only what was asked.
func (h *helper) hear(w word, d *Desktop) {
	h.mu.Lock()
	if w.State != nil {
		h.state = clean(*w.State)
		if !h.heard {
			h.heard = true
			close(h.hello)
		}
	}
	shown := w.Shown != "" && h.keys[w.Shown]
	pressed := w.Pressed != "" && h.keys[w.Pressed+" "+w.Button]
	h.mu.Unlock()
	if shown {
		var problem error
		if w.Problem != "" {
			problem = errors.New(w.Problem)
		}
		d.Shown(w.Shown, problem)
	}
	if pressed {
		d.Pressed(w.Pressed, w.Button)
	}
}

// clean keeps only what a session can say.
func clean(s state) state {
	if s.Busy != fault.UserBusy && s.Busy != fault.UserFullScreen && s.Busy != fault.UserUndisturbed {
		s.Busy, s.App = "", ""
	}
	if len(s.App) > 100 {
		s.App = s.App[:100]
	}
	if s.Lang != "fr" && s.Lang != "en" {
		s.Lang = ""
	}
	return s
}
