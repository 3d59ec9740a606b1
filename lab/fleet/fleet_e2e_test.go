//go:build e2e

package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"patchring/lab/debian"
	"patchring/lab/fleet"
)

// ownerRun is set in the process that a test starts to be killed.
const ownerRun = "LAB_TEST_OWNER_RUN"

func TestMain(m *testing.M) {
	fleet.Reexec()
	if name := os.Getenv(ownerRun); name != "" {
		os.Exit(ownFleet(name))
	}
	os.Exit(m.Run())
}

func config(t *testing.T, name string, n int) fleet.Config {
	t.Helper()
	if err := fleet.InstallTools(t.Context(), func(s string) { t.Log(s) }); err != nil {
		t.Fatal(err)
	}
	hosts, err := fleet.Table(n)
	if err != nil {
		t.Fatal(err)
	}
	return fleet.Config{Name: fmt.Sprintf("%s-%d", name, os.Getpid()), Hosts: hosts, Say: func(s string) { t.Log(s) }}
}

func open(t *testing.T, c fleet.Config) *fleet.Fleet {
	t.Helper()
	f, err := fleet.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func must(t *testing.T, f *fleet.Fleet, host string, args ...string) string {
	t.Helper()
	out, err := f.Run(t.Context(), host, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// uptime is what the host's own clock says.
func uptime(t *testing.T, f *fleet.Fleet, host string) float64 {
	t.Helper()
	text, _, _ := strings.Cut(must(t, f, host, "cat", "/proc/uptime"), " ")
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return seconds
}

func bootID(t *testing.T, f *fleet.Fleet, host string) string {
	t.Helper()
	return must(t, f, host, "cat", "/proc/sys/kernel/random/boot_id")
}

// eventually waits for a condition, one minute at most.
func eventually(t *testing.T, what string, met func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for !met() {
		select {
		case <-ctx.Done():
			t.Fatalf("never came: %s", what)
		case <-ticker.C:
		}
	}
}

// reaches tries the host's web server from the server's side.
func reaches(ctx context.Context, f *fleet.Fleet, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := f.Dial(ctx, "tcp", net.JoinHostPort(address, "80"))
	return err == nil && conn.Close() == nil
}

func TestHostsAreReal(t *testing.T) {
	share := t.TempDir()
	agent := "#!/bin/sh\ncat /proc/sys/kernel/random/boot_id >> /var/lib/agent-boots\nexec sleep infinity\n"
	if err := os.WriteFile(filepath.Join(share, "agent"), []byte(agent), 0o755); err != nil {
		t.Fatal(err)
	}
	c := config(t, "real", 3)
	c.Share = share
	f := open(t, c)
	pilot, user, rest := c.Hosts[0], c.Hosts[1], c.Hosts[2]

	t.Run("real updates are pending and verified", func(t *testing.T) { pendingUpdates(t, f, pilot.Name) })
	t.Run("an update installs and restarts its service", func(t *testing.T) { realUpdate(t, f, rest.Name) })
	t.Run("reboot", func(t *testing.T) { reboot(t, f, user.Name) })
	t.Run("the share holds a service over reboots", func(t *testing.T) { serviceSurvives(t, f, user.Name) })
	t.Run("cut and heal", func(t *testing.T) { cutAndHeal(t, f, pilot) })
	t.Run("power cut and on", func(t *testing.T) { powerCutAndOn(t, f, pilot.Name) })
	t.Run("reset", func(t *testing.T) { reset(t, f, rest.Name) })
	t.Run("hosts reach nothing else", func(t *testing.T) { nowhereElse(t, f, pilot.Name) })
	t.Run("a server on the lab's side, seen from both", func(t *testing.T) { serverSide(t, f, user.Name) })
	t.Run("a cancelled command ends in the host too", func(t *testing.T) { cancelled(t, f, user.Name) })
	t.Run("a second lab of that name is refused", func(t *testing.T) {
		if _, err := fleet.Open(t.Context(), c); !errors.Is(err, fleet.ErrUp) {
			t.Errorf("Open = %v, want ErrUp", err)
		}
	})
	t.Run("attached handles see and leave it", func(t *testing.T) {
		other, err := fleet.Attach(t.Context(), "", c.Name)
		if err != nil {
			t.Fatal(err)
		}
		if got := must(t, other, user.Name, "hostname"); got != user.Name {
			t.Errorf("hostname = %q, want %q", got, user.Name)
		}
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		must(t, f, user.Name, "true") // still up
	})
	t.Run("nothing is left", func(t *testing.T) {
		before := traces(t, f, c.Name)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		before.mustBeGone(t)
	})
}

func pendingUpdates(t *testing.T, f *fleet.Fleet, host string) {
	pending, err := f.Pending(t.Context(), host)
	if err != nil {
		t.Fatal(err)
	}
	security := slices.DeleteFunc(slices.Clone(pending), func(u debian.Update) bool { return !strings.HasPrefix(u.Origin, "Debian-Security:") })
	if len(security) == 0 || len(security) != len(f.Image().Pending) {
		t.Errorf("%d security updates are pending in %s, the image has %d", len(security), host, len(f.Image().Pending))
	}
	// Debian's own key must be what lets them in: without it apt refuses.
	res, err := f.Exec(t.Context(), host, nil, "sh", "-c",
		"sed 's|debian-archive-keyring|patchring-lab|' /etc/apt/sources.list > /tmp/wrong.list && apt-get update -o Dir::Etc::SourceList=/tmp/wrong.list")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(res.Stderr), "NO_PUBKEY") {
		t.Errorf("with another key apt says:\n%s", res.Stderr)
	}
}

func realUpdate(t *testing.T, f *fleet.Fleet, host string) {
	const name = "memcached"
	pending, err := f.Pending(t.Context(), host)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(pending, func(u debian.Update) bool { return strings.HasPrefix(u.Package, "nginx") || u.Package == name })
	if i < 0 {
		t.Fatalf("no update of a service is pending in %s: %v", host, pending)
	}
	u := pending[i]
	pid := must(t, f, host, "systemctl", "show", "-P", "MainPID", "nginx")
	must(t, f, host, "apt-get", "install", "-y", "-qq", "--only-upgrade", u.Package+"="+u.To)
	versions, err := f.Versions(t.Context(), host)
	if err != nil {
		t.Fatal(err)
	}
	if versions[u.Package] != u.To {
		t.Errorf("dpkg has %s %s, want %s", u.Package, versions[u.Package], u.To)
	}
	if strings.HasPrefix(u.Package, "nginx") && pid == must(t, f, host, "systemctl", "show", "-P", "MainPID", "nginx") {
		t.Errorf("nginx was not restarted by its update")
	}
	// What a rollback installs is there too.
	must(t, f, host, "apt-get", "install", "-y", "-qq", "--allow-downgrades", u.Package+"="+u.From)
}

func reboot(t *testing.T, f *fleet.Fleet, host string) {
	id := bootID(t, f, host)
	eventually(t, "an uptime to lose", func() bool { return uptime(t, f, host) > 3 })
	began := time.Now()
	if err := f.Reboot(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	if after := bootID(t, f, host); after == id {
		t.Errorf("the boot id is still %s", id)
	}
	if up, most := uptime(t, f, host), time.Since(began).Seconds()+1; up > most {
		t.Errorf("uptime is %.1f s, %.1f s after the reboot was asked", up, most)
	}
	status, err := f.HostStatus(t.Context(), host)
	if err != nil || status.Boots != 2 || status.BootID == "" {
		t.Errorf("status = %+v, %v; want a second boot", status, err)
	}
}

const agentUnit = `[Service]
ExecStart=` + fleet.SharePath + `/agent
[Install]
WantedBy=multi-user.target
`

func serviceSurvives(t *testing.T, f *fleet.Fleet, host string) {
	if err := f.WriteFile(t.Context(), host, "/etc/systemd/system/patchring-agent.service", 0o644, strings.NewReader(agentUnit)); err != nil {
		t.Fatal(err)
	}
	must(t, f, host, "systemctl", "enable", "-q", "--now", "patchring-agent.service")
	if err := f.Reboot(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the service's second start", func() bool {
		boots := strings.Fields(must(t, f, host, "cat", "/var/lib/agent-boots"))
		return len(boots) == 2 && boots[0] != boots[1] && boots[1] == bootID(t, f, host)
	})
	if res, err := f.Exec(t.Context(), host, nil, "touch", fleet.SharePath+"/x"); err != nil || res.Code == 0 {
		t.Errorf("the share can be written to (%+v, %v)", res, err)
	}
}

func cutAndHeal(t *testing.T, f *fleet.Fleet, h fleet.Host) {
	if !reaches(t.Context(), f, h.Address) {
		t.Fatalf("%s is not reached before the cut", h.Name)
	}
	if err := f.Cut(t.Context(), h.Name); err != nil {
		t.Fatal(err)
	}
	if reaches(t.Context(), f, h.Address) {
		t.Errorf("%s is reached after the cut", h.Name)
	}
	if err := f.Reboot(t.Context(), h.Name); err != nil {
		t.Fatal(err)
	}
	if reaches(t.Context(), f, h.Address) {
		t.Errorf("%s is reached after a reboot behind the cut", h.Name)
	}
	if err := f.Heal(t.Context(), h.Name); err != nil {
		t.Fatal(err)
	}
	eventually(t, h.Name+" is reached again", func() bool { return reaches(t.Context(), f, h.Address) })
}

func powerCutAndOn(t *testing.T, f *fleet.Fleet, host string) {
	must(t, f, host, "sh", "-c", "echo before > /root/kept; echo before > /run/lost")
	if err := f.PowerCut(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Exec(t.Context(), host, nil, "true"); !errors.Is(err, fleet.ErrDown) {
		t.Errorf("exec in a host without power = %v, want ErrDown", err)
	}
	if s, err := f.HostStatus(t.Context(), host); err != nil || s.Power != fleet.PowerOff {
		t.Errorf("status = %+v, %v; want it off", s, err)
	}
	if err := f.PowerOn(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	if got := must(t, f, host, "cat", "/root/kept"); got != "before" {
		t.Errorf("the disk has %q", got)
	}
	if res, err := f.Exec(t.Context(), host, nil, "test", "-e", "/run/lost"); err != nil || res.Code == 0 {
		t.Errorf("/run outlived the power cut (%+v, %v)", res, err)
	}
}

func reset(t *testing.T, f *fleet.Fleet, host string) {
	id := must(t, f, host, "cat", "/etc/machine-id")
	must(t, f, host, "sh", "-c", "echo x > /root/gone")
	if err := f.Reset(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	if res, err := f.Exec(t.Context(), host, nil, "test", "-e", "/root/gone"); err != nil || res.Code == 0 {
		t.Errorf("a file outlived the reset (%+v, %v)", res, err)
	}
	if again := must(t, f, host, "cat", "/etc/machine-id"); again == id || len(again) != 32 {
		t.Errorf("machine id was %s and is %s, want a new one", id, again)
	}
}

func nowhereElse(t *testing.T, f *fleet.Fleet, host string) {
	if routes := must(t, f, host, "ip", "-4", "route"); strings.Contains(routes, "default") || strings.Count(routes, "\n") != 0 {
		t.Errorf("routes: %s; want the bridge only", routes)
	}
	res, err := f.Exec(t.Context(), host, nil, "curl", "-sS", "-m", "5", "http://192.0.2.1/")
	if err != nil || res.Code != 7 {
		t.Errorf("curl to the outside = %d, %v (%s); want 7, cannot connect", res.Code, err, res.Stderr)
	}
}

func serverSide(t *testing.T, f *fleet.Fleet, host string) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "hello"), []byte("from this machine"), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server, err := f.Command(ctx, fleet.Lan, "busybox", "httpd", "-f", "-p", fleet.ServerAddress+":8099", "-h", dir)
	if err != nil {
		t.Fatal(err)
	}
	// busybox of the image: the machine itself need not have it.
	server.Args[slices.Index(server.Args, "busybox")] = filepath.Join(f.Image().Root(), "bin/busybox")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		server.Wait()
	}()
	eventually(t, "the host reaches the server", func() bool {
		res, err := f.Exec(t.Context(), host, nil, "curl", "-sf", "http://"+fleet.ServerAddress+":8099/hello")
		return err == nil && string(res.Stdout) == "from this machine"
	})
	if ns, err := f.ServerNetNS(); err != nil {
		t.Fatal(err)
	} else if got, want := link(t, fmt.Sprintf("/proc/%d/ns/net", server.Process.Pid)), link(t, ns); got != want {
		t.Errorf("the server runs in %s, want %s", got, want)
	}
	address, err := f.Forward("127.0.0.1:0", fleet.ServerAddress+":8099")
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get("http://" + address.String() + "/hello")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "from this machine" {
		t.Errorf("through the forward: %q, %v", body, err)
	}
}

func cancelled(t *testing.T, f *fleet.Fleet, host string) {
	running := func() bool {
		res, err := f.Exec(t.Context(), host, nil, "pgrep", "-f", "sleep 31415")
		return err == nil && res.Code == 0
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := f.Exec(ctx, host, nil, "sh", "-c", "sleep 31415; true")
		ended <- err
	}()
	eventually(t, "the command runs", running)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Exec = %v, want context.Canceled", err)
	}
	eventually(t, "the command is gone", func() bool { return !running() })
}

func link(t *testing.T, path string) string {
	t.Helper()
	to, err := os.Readlink(path)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func TestLightHosts(t *testing.T) {
	c := config(t, "light", 4)
	c.Light = true
	f := open(t, c)
	host := c.Hosts[0].Name
	if pid1 := must(t, f, host, "cat", "/proc/1/comm"); pid1 != "lab-init" {
		t.Errorf("pid 1 is %q", pid1)
	}
	start := "#!/bin/sh\ncat /proc/sys/kernel/random/boot_id >> /root/starts\nexec sleep infinity\n"
	if err := f.WriteFile(t.Context(), host, "/etc/lab/start", 0o755, strings.NewReader(start)); err != nil {
		t.Fatal(err)
	}
	starts := func() []string {
		res, err := f.Exec(t.Context(), host, nil, "cat", "/root/starts")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(res.Stdout))
	}
	eventually(t, "the start of what the host has to start", func() bool { return len(starts()) == 1 })
	must(t, f, host, "pkill", "-f", "sleep infinity")
	eventually(t, "its second start", func() bool { return len(starts()) == 2 })
	if err := f.Reboot(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its start after the reboot", func() bool {
		s := starts()
		return len(s) == 3 && s[2] != s[1] && s[2] == bootID(t, f, host)
	})
	if up := uptime(t, f, host); up > 60 {
		t.Errorf("uptime after the reboot is %.0f s", up)
	}
	if err := f.PowerCut(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	if err := f.PowerOn(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	if err := f.Reset(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	if got := starts(); len(got) != 0 {
		t.Errorf("after the reset the host has %v", got)
	}
	if pending, err := f.Pending(t.Context(), host); err != nil || len(pending) == 0 {
		t.Errorf("pending = %v, %v", pending, err)
	}
	halts(t, f, host)
	bootsNoMore(t, f, host)
	before := traces(t, f, c.Name)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	before.mustBeGone(t)
}

func power(t *testing.T, f *fleet.Fleet, host string) fleet.Power {
	t.Helper()
	s, err := f.HostStatus(t.Context(), host)
	if err != nil {
		t.Fatal(err)
	}
	return s.Power
}

// halts shows that a host which switches itself off stays off.
func halts(t *testing.T, f *fleet.Fleet, host string) {
	if _, err := f.Exec(t.Context(), host, nil, "poweroff", "-f"); err != nil {
		t.Fatal(err)
	}
	eventually(t, host+" is off", func() bool { return power(t, f, host) == fleet.PowerOff })
	if err := f.PowerOn(t.Context(), host); err != nil {
		t.Fatal(err)
	}
}

// bootsNoMore shows that a host whose system is destroyed is given up and said to
// have failed, and that a reset mends it.
func bootsNoMore(t *testing.T, f *fleet.Fleet, host string) {
	must(t, f, host, "rm", "/usr/local/sbin/lab-init")
	if err := f.Reboot(t.Context(), host); err == nil || !strings.Contains(err.Error(), "become init") {
		t.Errorf("reboot without an init = %v, want what its console says", err)
	}
	if got := power(t, f, host); got != fleet.PowerFailed {
		t.Errorf("%s is %s, want it failed", host, got)
	}
	if err := f.PowerOn(t.Context(), host); err == nil {
		t.Errorf("%s was powered on without an init", host)
	}
	if err := f.Reset(t.Context(), host); err != nil {
		t.Error(err)
	}
}
