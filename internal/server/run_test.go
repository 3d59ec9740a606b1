package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/register"
	"patchring/internal/server"
	"patchring/internal/service/desk"
)

// A server as `patchring serve` runs it: every face on its port, and an end
// that waits for what was begun.
func TestRunServesEveryFaceAndStops(t *testing.T) {
	dir := t.TempDir()
	srv, err := server.New(t.Context(), server.Options{
		Config: server.Config{Data: dir, Listen: "127.0.0.1:0", Broker: "127.0.0.1:0", Names: []string{"127.0.0.1"}}, Version: "test", Log: quiet(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: srv.Keys.Pool()}, DisableKeepAlives: true}}
	for path, want := range map[string]string{"/healthz": `"status":"ok"`, "/login": "<form", "/api/v1/openapi.yaml": "openapi: 3.1.0"} {
		res, err := client.Get(srv.URL() + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		if err := errors.Join(err, res.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusOK || !bytes.Contains(text, []byte(want)) {
			t.Errorf("GET %s: %d %.200s; want %s", path, res.StatusCode, text, want)
		}
	}
	login, err := json.Marshal(map[string]string{"name": srv.First.Name, "password": srv.First.Password, "token": "test"})
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Post(srv.URL()+"/api/v1/login", "application/json", bytes.NewReader(login))
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil || res.StatusCode >= 300 {
		t.Errorf("log in with the first run's password: %s %v", res.Status, err)
	}
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("Run: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("Run did not end")
	}
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
}

func TestFirstRunHappensOnce(t *testing.T) {
	dir := t.TempDir()
	for i, wantPassword := range []bool{true, false} {
		srv, err := server.New(t.Context(), server.Options{
			Config: server.Config{Data: dir, Listen: "127.0.0.1:0", Broker: "127.0.0.1:0", Names: []string{"127.0.0.1"}}, Log: quiet(),
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := srv.First.Password != ""; got != wantPassword {
			t.Errorf("start %d: a password %t, want %t", i, got, wantPassword)
		}
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestConfigurationRefuses(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"an unknown key, with its line", "data: /tmp\nlisen: :1\n", "line 2: field lisen not found"},
		{"a duration without a unit", "checkin: 60\n", `line 1: "60" is not a duration: write 90s`},
		{"a duration that is none", "silent: soon\n", `"soon" is not a duration`},
		{"a duration below zero", "checkin: -1m\n", "is not a duration"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "patchring.yaml")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := server.ReadConfig(path); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	for name, c := range map[string]server.Config{
		"certificate and key go together": {Certificate: "a.pem"},
		"write host:port":                 {Listen: "8443"},
		"is not a time zone":              {Zone: "Paris"},
		"write 840h for five weeks":       {MeasuresKept: server.Duration(time.Hour)},
	} {
		c.Data = t.TempDir()
		if _, err := server.New(t.Context(), server.Options{Config: c, Log: quiet()}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %q", err, name)
		}
	}
}

func TestAStartThatFailsMakesNoAdministrator(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	config := server.Config{Data: t.TempDir(), Listen: taken.Addr().String(), Broker: "127.0.0.1:0", Names: []string{"127.0.0.1"}}
	log := quiet()
	if _, err := server.New(t.Context(), server.Options{Config: config, Log: log}); err == nil {
		t.Fatal("started on an address that is taken")
	}
	config.Listen = "127.0.0.1:0"
	srv, err := server.New(t.Context(), server.Options{Config: config, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	if srv.First.Password == "" {
		t.Error("the next start shows no password: the failed one kept it to itself")
	}
}

// Nothing else reminds people: the desk has to run with the server.
func TestTheDeskKeepsHouseWhileTheServerRuns(t *testing.T) {
	now := time.Date(2026, 1, 12, 9, 0, 0, 0, time.UTC)
	srv, err := server.New(t.Context(), server.Options{
		Config: server.Config{Data: t.TempDir(), Listen: "127.0.0.1:0", Broker: "127.0.0.1:0", Names: []string{"127.0.0.1"}}, Version: "test", Log: quiet(),
		Clock: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := srv.Desk.Open(t.Context(), "main", "user:admin", desk.Open{Title: "Look", Owner: "it", Due: "2026-01-13"}); err != nil {
		t.Fatal(err)
	}
	now = now.AddDate(0, 0, 3) // before it runs: nobody reads the clock meanwhile
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	told := func() bool {
		for row, err := range srv.DB.RegisterEntries(t.Context(), "main") {
			if err != nil {
				t.Fatal(err)
			}
			if e, err := register.Decode(row.Raw); err != nil || e.Kind == register.TaskReminded {
				return err == nil
			}
		}
		return false
	}
	for deadline := time.Now().Add(30 * time.Second); !told(); {
		if time.Now().After(deadline) {
			t.Error("nobody was reminded")
			break
		}
		<-time.After(20 * time.Millisecond)
	}
	stop()
	if err := errors.Join(<-ended, srv.Close()); err != nil {
		t.Error(err)
	}
}
