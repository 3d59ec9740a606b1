package server_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"patchring/internal/endpoint/agent"
	"patchring/internal/endpoint/facts"
	"patchring/internal/endpoint/journal"
	"patchring/internal/infra/store/gen"
	"patchring/internal/server"
	"patchring/internal/service/access"
	"patchring/wire"
)

// counting passes TCP connections on, and counts them.
type counting struct {
	net.Listener
	accepted atomic.Int64
}

func countingTo(t *testing.T, address string) *counting {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &counting{Listener: l}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return // closed
			}
			c.accepted.Add(1)
			open.Go(func() { join(t, in, address) })
		}
	})
	t.Cleanup(func() { l.Close(); open.Wait() })
	return c
}

// join copies both ways until one of them ends.
func join(t *testing.T, in net.Conn, address string) {
	out, err := net.Dial("tcp", address)
	if err != nil {
		in.Close()
		t.Errorf("pass a connection on: %v", err)
		return
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		both.Go(func() {
			io.Copy(way[0], way[1]) //nolint:errcheck // it ends when either side hangs up
			in.Close()
			out.Close()
		})
	}
	both.Wait()
}

// running is a server as `patchring serve` runs it, whose agents check in once an
// hour: what comes sooner was pushed.
func running(t *testing.T) *server.Server {
	t.Helper()
	srv, err := server.New(t.Context(), server.Options{
		Config: server.Config{
			Data: t.TempDir(), Listen: "127.0.0.1:0", Broker: "127.0.0.1:0", Names: []string{"127.0.0.1"}, Checkin: server.Duration(time.Hour),
		},
		Version: "test", Log: quiet(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, srv.Close()); err != nil {
			t.Error(err)
		}
	})
	return srv
}

// realAgent enrols an agent by HTTPS and runs it on a device of files, its
// connections to the broker counted on their way.
func realAgent(t *testing.T, srv *server.Server) (id string, connections func() int64) {
	t.Helper()
	admin := access.Principal{Tenant: "main", Name: "admin", Roles: []string{access.Admin}}
	token, err := srv.Access.CreateEnrollment(t.Context(), admin, access.Invite{})
	if err != nil {
		t.Fatal(err)
	}
	dir, host := t.TempDir(), facts.Host{
		FS: fstest.MapFS{
			"etc/os-release": {Data: []byte("ID=debian\n")}, "etc/machine-id": {Data: []byte("0123456789abcdef\n")},
			"proc/sys/kernel/random/boot_id": {Data: []byte("boot-1\n")}, "proc/stat": {Data: []byte("btime 1700000000\n")},
			"proc/sys/kernel/osrelease": {Data: []byte("6.1.0\n")}, "proc/self/mounts": {}, "run/systemd/container": {Data: []byte("test")},
		},
		Hostname: func() (string, error) { return "h1", nil }, Statfs: func(string) (int64, int64, error) { return 1 << 30, 1 << 29, nil },
		Interfaces: func() ([]wire.Interface, error) { return nil, nil },
	}
	reply, err := agent.Enroll(t.Context(), agent.Enrolment{Dir: dir, Host: host, Server: srv.URL(), Token: token.Text, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	through := countingTo(t, strings.TrimPrefix(srv.Broker.Addr(), "tls://"))
	identity, err := journal.ReadIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	identity.Brokers = []string{"tls://" + through.Addr().String()}
	if err := journal.WriteIdentity(dir, identity); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	uptime := func() time.Duration { return time.Since(started) }
	a, err := agent.New(agent.Options{Dir: dir, Version: "test", Log: quiet(), Device: agent.Device{
		Host: host, LocalFile: dir + "/none.json", HooksDir: dir + "/none", Uptime: uptime,
		BootID: func() (string, error) { return "boot-1", nil }, Reboot: func(context.Context) error { return errors.New("nobody asked for it") },
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return reply.Device, through.accepted.Load
}

// A policy applied while a device is connected reaches it at once, signed, and is
// made and reported on: without a new connection, and an hour before its next
// check-in.
func TestAConnectedAgentIsPushedWhatToProbe(t *testing.T) {
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	shut, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	shut.Close()
	srv := running(t)
	device, connections := realAgent(t, srv)
	says := func(what, name, state string) {
		t.Helper()
		var last []gen.DeviceProbe
		eventually(t, what, func() bool {
			var err error
			if last, err = srv.DB.Read().ProbesOfDevice(t.Context(), "main", device); err != nil {
				t.Fatal(err)
			}
			return len(last) == 1 && last[0].Name == name && last[0].State == state
		}, func() any { return last })
	}
	eventually(t, "its first check-in", func() bool {
		row, err := srv.DB.Read().Device(t.Context(), "main", device)
		return err == nil && row.Capability == wire.Capability
	}, func() any { return device })
	probe := func(name, address string) {
		t.Helper()
		text := policyHead + "probes: [{name: " + name + ", tcp: \"" + address + "\", every: 10s}]\n"
		if _, err := srv.Rulebook.Apply(t.Context(), "main", "user:admin", "fleet.yaml", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	probe("open", open.Addr().String())
	says("the probe that was pushed", "open", wire.ProbeUp)
	probe("shut", shut.Addr().String())
	says("the probe that was pushed in its place", "shut", wire.ProbeDown)
	rows, err := srv.DB.Read().WatchOf(t.Context(), "main", device)
	if err != nil || len(rows) != 1 || rows[0].Serial < 2 {
		t.Errorf("told by %+v, %v; want a second serial at least", rows, err)
	}
	if n := connections(); n != 1 {
		t.Errorf("it connected %d times, want once", n)
	}
}

func eventually(t *testing.T, what string, holds func() bool, last func() any) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s; last %+v", what, last())
		}
		<-time.After(20 * time.Millisecond)
	}
}
