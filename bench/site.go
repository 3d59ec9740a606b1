//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/infra/keys"
	"patchring/lab/sim"
)

// tenant is the one that a first run makes.
const tenant fleet.TenantID = "main"

// site is a real server in a process of its own, with data that outlasts it.
type site struct {
	*process
	b      *bench
	data   string
	listen string
	broker string
	token  string
	client *http.Client
	starts int
}

func (b *bench) newSite(name string) (*site, error) {
	s := &site{b: b, data: filepath.Join(b.temp, name)}
	var err error
	if s.listen, err = freeAddress(); err != nil {
		return nil, err
	}
	s.broker, err = freeAddress()
	return s, err
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// up starts the server and waits until it serves. The first time it logs in.
func (s *site) up(ctx context.Context) (err error) {
	s.starts++
	login := filepath.Join(s.b.temp, filepath.Base(s.data)+".login")
	s.process, err = s.b.start(fmt.Sprintf("%s-%d", filepath.Base(s.data), s.starts), nil, filepath.Join(s.b.bin, "patchring"), "serve",
		"--data", s.data, "--listen", s.listen, "--broker", s.broker, "--name", "127.0.0.1", "--checkin", "60s", "--first-login", login)
	if err != nil {
		return err
	}
	err = until(ctx, "the server to serve", 30*time.Second, func() (bool, error) {
		select {
		case err := <-s.done:
			return false, fmt.Errorf("the server ended: %w: %s", err, s.lastWords())
		default:
		}
		return s.healthy(ctx, login), nil
	})
	if err != nil || s.token != "" {
		return err
	}
	return s.login(ctx, login)
}

// healthy looks at the keys only when the server has made them: whoever opens
// them first makes them.
func (s *site) healthy(ctx context.Context, login string) bool {
	if _, err := os.Stat(login); err != nil {
		return false
	}
	if s.client == nil {
		ca, err := s.keys()
		if err != nil {
			return false
		}
		s.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.listen+"/healthz", nil)
	if err != nil {
		return false
	}
	answer, err := s.client.Do(r)
	if err != nil {
		return false
	}
	return answer.Body.Close() == nil && answer.StatusCode == http.StatusOK
}

// keys are the site's own, which the bare broker uses too: the same clients
// then connect to both.
func (s *site) keys() (*keys.Site, error) {
	if _, err := os.Stat(filepath.Join(s.data, "keys")); err != nil {
		return nil, fmt.Errorf("open keys: %w", err)
	}
	return keys.Open(filepath.Join(s.data, "keys"), time.Now())
}

func (s *site) login(ctx context.Context, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read first login: %w", err)
	}
	var who struct{ Name, Password string }
	if err := json.Unmarshal(text, &who); err != nil {
		return fmt.Errorf("read first login: %w", err)
	}
	var got struct{ Text string }
	err = s.ask(ctx, "/login", map[string]any{"name": who.Name, "password": who.Password, "token": "bench"}, &got)
	s.token = got.Text
	return err
}

// ask posts to the API.
func (s *site) ask(ctx context.Context, path string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+s.listen+"/api/v1"+path, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("ask %s: %w", path, err)
	}
	r.Header.Set("Content-Type", "application/json")
	if s.token != "" {
		r.Header.Set("Authorization", "Bearer "+s.token)
	}
	response, err := s.client.Do(r)
	if err != nil {
		return fmt.Errorf("ask %s: %w", path, err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("ask %s: %w", path, err)
	}
	if response.StatusCode >= 300 {
		return fmt.Errorf("ask %s: %s: %s", path, response.Status, got)
	}
	if answer == nil || len(got) == 0 {
		return nil
	}
	return json.Unmarshal(got, answer)
}

// fleet is a simulated fleet in a process of its own.
type simulated struct {
	*process
	mu     sync.Mutex // guards the rest
	latest sim.Counts
}

// simulate plays devices with identities from a file; against which broker is
// written in it.
func (b *bench) simulate(name string, args ...string) (*simulated, error) {
	f := &simulated{}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start fleet: %w", err)
	}
	args = append([]string{"sim", "--json", "--every", "200ms"}, args...)
	f.process, err = b.start(name, w, filepath.Join(b.bin, "patchring-lab"), args...)
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	go f.read(r)
	return f, nil
}

func (f *simulated) read(r *os.File) {
	defer r.Close()
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c sim.Counts
		if json.Unmarshal(lines.Bytes(), &c) != nil {
			continue
		}
		f.mu.Lock()
		f.latest = c
		f.mu.Unlock()
	}
}

func (f *simulated) counts() sim.Counts {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.latest
}

// until waits for the fleet's counts, and fails when the fleet ends before.
func (f *simulated) until(ctx context.Context, what string, limit time.Duration, condition func(sim.Counts) bool) error {
	return until(ctx, what, limit, func() (bool, error) {
		select {
		case err := <-f.done:
			return false, fmt.Errorf("the fleet ended: %w: %s", err, f.lastWords())
		default:
		}
		return condition(f.counts()), nil
	})
}

// enroll fills a file with the identities of n devices that have reported.
func (s *site) enroll(ctx context.Context, file string, n int) error {
	var invitation struct{ Text string }
	if err := s.ask(ctx, "/enrollments", map[string]any{"uses": n}, &invitation); err != nil {
		return err
	}
	f, err := s.b.simulate(filepath.Base(file)+"-enrol", "--url", "https://"+s.listen, "--token", invitation.Text,
		"--devices", fmt.Sprint(n), "--identities", file, "--packages", "200")
	if err != nil {
		return err
	}
	err = f.until(ctx, "the fleet's first reports", 3*time.Minute, func(c sim.Counts) bool { return c.Settled == n })
	return errors.Join(err, f.stop())
}

// redirect copies the identities of the first n devices, which are in the file
// as they came, so that they lead to another broker; empty: to the same.
func redirect(from, to, broker string, n int) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("read identities: %w", err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write identities: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var one map[string]json.RawMessage
		var reply map[string]any
		var number int
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return fmt.Errorf("read identities: %w", err)
		}
		if err := errors.Join(json.Unmarshal(one["reply"], &reply), json.Unmarshal(one["number"], &number)); err != nil {
			return fmt.Errorf("read identities: %w", err)
		}
		if number >= n {
			continue
		}
		if broker != "" {
			reply["brokers"] = []string{broker}
		}
		if one["reply"], err = json.Marshal(reply); err != nil {
			return fmt.Errorf("write identities: %w", err)
		}
		line, err := json.Marshal(one)
		if err != nil {
			return fmt.Errorf("write identities: %w", err)
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return fmt.Errorf("write identities: %w", err)
		}
	}
	return lines.Err()
}

func pool(pem string) (*x509.CertPool, error) {
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM([]byte(pem)) {
		return nil, errors.New("read CA: it is not PEM")
	}
	return p, nil
}
