package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"patchring/lab/fleet"
)

// Where the server listens: in the lab's network, or, for simulated devices,
// on this machine alone.
const (
	labAddress   = fleet.ServerAddress
	localAddress = "127.0.0.1"
	httpsPort    = "8443"
	brokerPort   = "4222"
)

// ServerOptions describe a server in the lab's network.
type ServerOptions struct {
	Binary  string
	Data    string
	Fresh   bool // forget what an earlier server kept
	Checkin time.Duration
	// Database is the server's own default when empty.
	Database string
}

// Server is the product's server, a process of its own in the lab's network.
type Server struct {
	ServerOptions
	First Credentials
	fleet *fleet.Fleet
	cmd   *exec.Cmd
	log   string
	done  chan struct{} // closed when the process has ended
	ended error         // how; read after done
}

// Credentials of the administrator that the first run makes.
type Credentials struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

// StartServer starts it and waits until it answers. Without a fleet it listens
// on this machine's loopback.
func StartServer(ctx context.Context, f *fleet.Fleet, o ServerOptions) (*Server, error) {
	if o.Fresh {
		if err := os.RemoveAll(o.Data); err != nil {
			return nil, fmt.Errorf("forget the earlier server: %w", err)
		}
	}
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return nil, fmt.Errorf("make %s: %w", o.Data, err)
	}
	s := &Server{ServerOptions: o, fleet: f, log: filepath.Join(o.Data, "server.log")}
	if err := s.Start(ctx); err != nil {
		return nil, err
	}
	first, err := os.ReadFile(s.firstLogin())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the first login: %w", err), s.Stop())
	}
	if err := json.Unmarshal(first, &s.First); err != nil {
		return nil, errors.Join(fmt.Errorf("read the first login: %w", err), s.Stop())
	}
	return s, nil
}

func (s *Server) firstLogin() string { return filepath.Join(s.Data, "first-login.json") }

// HTTPS is the address of console and API, where the devices reach it.
func (s *Server) HTTPS() string { return net.JoinHostPort(s.address(), httpsPort) }

func (s *Server) address() string {
	if s.fleet == nil {
		return localAddress
	}
	return labAddress
}

// Start runs the process (again) on the same data.
func (s *Server) Start(ctx context.Context) error {
	args := []string{
		s.Binary, "serve", "--data", s.Data, "--listen", s.HTTPS(), "--broker", net.JoinHostPort(s.address(), brokerPort),
		"--name", s.address(), "--name", "localhost", "--name", localAddress, "--checkin", s.Checkin.String(), "--first-login", s.firstLogin(),
	}
	if s.fleet != nil {
		netns, err := s.fleet.ServerNetNS()
		if err != nil {
			return err
		}
		args = append([]string{"nsenter", "--net=" + netns}, args...)
	}
	if s.Database != "" {
		args = append(args, "--database", s.Database)
	}
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the server's log: %w", err)
	}
	defer log.Close()
	s.cmd = exec.Command(args[0], args[1:]...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = endsWithUs()
	if err := s.launch(); err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	return s.await(ctx)
}

// launch starts the process from a thread that lives as long as it: the kernel
// takes the end of the thread, not of the program, for the end of the parent.
func (s *Server) launch() error {
	cmd, started, done := s.cmd, make(chan error), make(chan struct{})
	s.done = done
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			s.ended = cmd.Wait()
		}
		close(done)
	}()
	return <-started
}

const startLimit = time.Minute

func (s *Server) await(ctx context.Context) error {
	return Poll(ctx, startLimit, "the server answers", func() (bool, error) {
		select {
		case <-s.done:
			return true, fmt.Errorf("the server ended: %w: %s", s.ended, s.Tail())
		default:
		}
		err := s.client("").Healthy(ctx) // a new one each time: the first start makes the CA
		return err == nil, err
	})
}

// Kill ends the process at once, as a crash would.
func (s *Server) Kill() error {
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill the server: %w", err)
	}
	<-s.done
	return nil
}

const stopLimit = 20 * time.Second

// Stop asks the process to end, and makes it after a while.
func (s *Server) Stop() error {
	if s.cmd == nil || s.cmd.Process == nil {
		return nil
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		if errors.Is(err, os.ErrProcessDone) {
			return nil
		}
		return fmt.Errorf("stop the server: %w", err)
	}
	select {
	case <-s.done:
		return nil
	case <-time.After(stopLimit):
		return errors.Join(errors.New("the server did not stop by itself"), s.Kill())
	}
}

// PID of the server's process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Tail is the end of the server's log, for error messages.
func (s *Server) Tail() string {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	const tail = 4000
	if len(text) > tail {
		text = text[len(text)-tail:]
	}
	return string(bytes.TrimSpace(text))
}
