package notice

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"patchring/internal/endpoint/executor"
	"patchring/internal/endpoint/executor/people"
)

// A caller is anybody on the device: what one can make the agent keep is bounded.
const (
	maxCallers  = 16
	maxLine     = 4 << 10
	callTimeout = 15 * time.Second
)

// defaultDir is where the agent's directory is on a device; its socket is then
// at a place that everybody may reach.
const (
	defaultDir    = "/var/lib/patchring-agent"
	defaultSocket = "/run/patchring-agent/people.sock"
	socketName    = "people.sock"
)

// Path is the socket of the agent whose directory is dir.
func Path(dir string) string {
	if filepath.Clean(dir) == defaultDir {
		return defaultSocket
	}
	return filepath.Join(dir, socketName)
}

// Request is what a person asks. No choice asks what is announced.
type Request struct {
	Choice people.Choice `json:"choice,omitempty"`
	Until  time.Time     `json:"until,omitzero"`
}

// Reply is the answer.
type Reply struct {
	Notices []executor.Announcement `json:"notices"`
	Refused *code                   `json:"refused,omitempty"`
}

// Why is why the answer was not taken; empty when it was.
func (r Reply) Why() (people.Why, time.Time) {
	if r.Refused == nil {
		return "", time.Time{}
	}
	return r.Refused.Why, r.Refused.At
}

// Server answers people on the device.
type Server struct {
	Path      string
	Announced func() []executor.Announcement
	Answer    func(ctx context.Context, serial int64, r people.Reply) error
	// Name is the login name of who has a desktop session; false is nobody.
	Name func(ctx context.Context, uid uint32) (string, bool, error)
	Log  *slog.Logger
}

// Run serves until ctx ends. A device that cannot have the socket works without.
func (s *Server) Run(ctx context.Context) error {
	listener, err := s.listen(ctx)
	if err != nil {
		s.Log.Warn("people cannot ask this agent", "err", err)
		<-ctx.Done()
		return nil
	}
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })() // Accept returns
	var callers sync.WaitGroup
	defer callers.Wait()
	room := make(chan struct{}, maxCallers)
	for {
		conn, err := listener.AcceptUnix()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept a caller: %w", err)
		}
		select {
		case room <- struct{}{}:
		default:
			_ = conn.Close() // too many at once
			continue
		}
		callers.Go(func() {
			defer func() { <-room }()
			defer conn.Close()
			if err := s.serve(ctx, conn); err != nil {
				s.Log.Debug("caller not answered", "err", err)
			}
		})
	}
}

func (s *Server) listen(ctx context.Context) (*net.UnixListener, error) {
	if err := os.MkdirAll(filepath.Dir(s.Path), 0o755); err != nil {
		return nil, fmt.Errorf("make the socket's directory: %w", err)
	}
	if err := os.Remove(s.Path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove an old socket: %w", err)
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "unix", s.Path)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if err := os.Chmod(s.Path, 0o666); err != nil { // who calls is asked of the kernel
		return nil, errors.Join(fmt.Errorf("open the socket to everybody: %w", err), l.Close())
	}
	return l.(*net.UnixListener), nil
}

func (s *Server) serve(ctx context.Context, conn *net.UnixConn) error {
	if err := conn.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return fmt.Errorf("bound a call: %w", err)
	}
	uid, err := peer(conn)
	if err != nil {
		return fmt.Errorf("know the caller: %w", err)
	}
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, maxLine)
	var r Request
	if !lines.Scan() {
		return fmt.Errorf("read request: %w", lines.Err())
	}
	reply := Reply{Refused: &code{Why: badRequest}}
	if json.Unmarshal(lines.Bytes(), &r) == nil {
		reply = s.reply(ctx, uid, r)
	}
	if reply.Notices == nil {
		reply.Notices = []executor.Announcement{}
	}
	return json.NewEncoder(conn).Encode(reply)
}

func (s *Server) reply(ctx context.Context, uid uint32, r Request) Reply {
	name, here, err := s.Name(ctx, uid)
	if err != nil {
		s.Log.Warn("a caller's session cannot be read", "uid", uid, "err", err)
		return Reply{Refused: &code{Why: failed}}
	}
	root := uid == 0
	if !here && !root {
		return Reply{Refused: &code{Why: people.NotYours}}
	}
	var mine []executor.Announcement
	for _, a := range s.Announced() {
		if root || a.User == name {
			mine = append(mine, a)
		}
	}
	if r.Choice == "" {
		return Reply{Notices: mine}
	}
	if len(mine) == 0 {
		return Reply{Refused: &code{Why: people.NothingAsked}}
	}
	for _, a := range mine {
		err := s.Answer(ctx, a.Serial, people.Reply{User: a.User, Choice: r.Choice, Until: r.Until})
		var refused *people.Refusal
		switch {
		case errors.As(err, &refused):
			return Reply{Refused: &code{Why: refused.Why, At: refused.At}}
		case err != nil:
			s.Log.Error("answer not kept", "user", a.User, "err", err)
			return Reply{Refused: &code{Why: failed}}
		}
	}
	return Reply{Notices: mine}
}

// Call asks the agent. An agent that does not answer is Unreachable.
func Call(ctx context.Context, path string, r Request) (Reply, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return Reply{Refused: &code{Why: Unreachable}}, fmt.Errorf("reach the agent: %w", err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return Reply{}, fmt.Errorf("bound the call: %w", err)
		}
	}
	if err := json.NewEncoder(conn).Encode(r); err != nil {
		return Reply{Refused: &code{Why: Unreachable}}, fmt.Errorf("ask the agent: %w", err)
	}
	var reply Reply
	if err := json.NewDecoder(conn).Decode(&reply); err != nil {
		return Reply{Refused: &code{Why: Unreachable}}, fmt.Errorf("hear the agent: %w", err)
	}
	return reply, nil
}
