//go:build e2e

package fleet_test

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"patchring/lab/aptrepo"
	"patchring/lab/fleet"
)

// bench is a host on which cases are tried out with apt by hand.
type bench struct {
	*testing.T
	f    *fleet.Fleet
	host fleet.Host
}

func (b bench) versions() map[string]string {
	b.Helper()
	v, err := b.f.Versions(b.Context(), b.host.Name)
	if err != nil {
		b.Fatal(err)
	}
	return v
}

// install expects apt to end with that status and dpkg to have that version then.
func (b bench) install(code int, want aptrepo.ID, args ...string) {
	b.Helper()
	full := append([]string{"env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq"}, args...)
	res, err := b.f.Exec(b.Context(), b.host.Name, nil, full...)
	if err != nil {
		b.Fatal(err)
	}
	if res.Code != code {
		b.Errorf("apt-get install %s ended with %d, want %d: %s", strings.Join(args, " "), res.Code, code, res.Stderr)
	}
	if got := b.versions()[want.Package]; got != want.Version {
		b.Errorf("after apt-get install %s dpkg has %s %q, want %q", strings.Join(args, " "), want.Package, got, want.Version)
	}
}

func (b bench) run(args ...string) string {
	b.Helper()
	return must(b.T, b.f, b.host.Name, args...)
}

// answers expects lab-svc to come to answer with that HTTP status.
func (b bench) answers(want int) {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: b.f.Dial, DisableKeepAlives: true}}
	url := "http://" + net.JoinHostPort(b.host.Address, strconv.Itoa(aptrepo.ServicePort))
	eventually(b.T, fmt.Sprintf("lab-svc answers %d", want), func() bool {
		resp, err := client.Get(url)
		return err == nil && resp.Body.Close() == nil && resp.StatusCode == want
	})
}

func at(name, version string) aptrepo.ID { return aptrepo.ID{Package: name, Version: version} }

func TestCasesBehaveAsTheySay(t *testing.T) {
	c := config(t, "cases", 2)
	var all []string
	for _, one := range aptrepo.Cases() {
		if one.Package != "lab-newdep" { // what must not be installed yet
			all = append(all, one.Package)
		}
	}
	c.HostPackages = map[string][]string{c.Hosts[0].Name: all}
	f := open(t, c)
	b := bench{t, f, c.Hosts[0]}
	b.run("apt-get", "update", "-qq")
	for _, name := range all {
		if got := b.versions()[name]; got != "1.0" {
			t.Errorf("%s starts at %q, want 1.0", name, got)
		}
	}
	other := bench{t, f, c.Hosts[1]}
	if v, ok := other.versions()["lab-good"]; ok {
		t.Errorf("%s was to have no lab package and has lab-good %s", other.host.Name, v)
	}
	refusals(b)
	successes(b)
	services(b)
	failures(b)
	vanishing(b)
}

func refusals(b bench) {
	b.Helper()
	upgrade := b.run("apt-get", "-s", "upgrade")
	for _, kept := range []string{"lab-kept", "lab-held"} {
		if strings.Contains(upgrade, "Inst "+kept) {
			b.Errorf("a plain upgrade would install %s:\n%s", kept, upgrade)
		}
	}
	if removal := b.run("apt-get", "-s", "install", "lab-conflict=1.1"); !strings.Contains(removal, "Remv lab-victim") {
		b.Errorf("lab-conflict 1.1 would remove nothing:\n%s", removal)
	}
	b.install(100, at("lab-held", "1.0"), "lab-held=1.1")
}

func successes(b bench) {
	b.Helper()
	b.install(0, at("lab-good", "1.1"), "lab-good=1.1")
	b.install(0, at("lab-reboot", "1.1"), "lab-reboot=1.1")
	b.run("test", "-e", "/run/reboot-required")
	b.run("sh", "-c", "echo 0 > "+aptrepo.SlowFile)
	b.install(0, at("lab-slow", "1.1"), "lab-slow=1.1")
	b.run("test", "-e", "/run/lab/slow-finished")
	b.install(0, at("lab-newdep", "1.0"), "lab-kept=1.1")
}

func services(b bench) {
	b.Helper()
	b.answers(http.StatusOK)
	b.install(0, at("lab-svc", "1.1"), "lab-svc=1.1")
	b.answers(http.StatusInternalServerError)
	b.install(0, at("lab-svc", "1.0"), "--allow-downgrades", "lab-svc=1.0")
	b.answers(http.StatusOK)

	b.run("systemctl", "is-active", "lab-dead")
	b.install(0, at("lab-dead", "1.1"), "lab-dead=1.1")
	b.becomes("lab-dead", "ActiveState=failed")
	b.install(0, at("lab-dead", "1.0"), "--allow-downgrades", "lab-dead=1.0")
	b.becomes("lab-dead", "ActiveState=active")

	b.install(0, at("lab-burn", "1.1"), "lab-burn=1.1")
	var before, after int
	eventually(b.T, "lab-burn 1.1 burns a second of the processor", func() bool {
		after = b.burnt()
		if before == 0 {
			before = after
		}
		return after-before > 1e9
	})
	b.install(0, at("lab-burn", "1.0"), "--allow-downgrades", "lab-burn=1.0")
}

// becomes waits for what systemd says of the service.
func (b bench) becomes(service, want string) {
	b.Helper()
	eventually(b.T, service+" becomes "+want, func() bool {
		return strings.TrimSpace(b.run("systemctl", "show", "-p", "ActiveState", service)) == want
	})
}

// burnt is the processor time of lab-burn, in nanoseconds.
func (b bench) burnt() int {
	b.Helper()
	stat := b.run("sh", "-c", "cat /proc/$(systemctl show -P MainPID lab-burn)/schedstat")
	n, err := strconv.Atoi(strings.Fields(stat)[0])
	if err != nil {
		b.Fatal(err)
	}
	return n
}

func failures(b bench) {
	b.Helper()
	b.install(100, at("lab-prebroken", "1.0"), "lab-prebroken=1.1")
	b.install(100, at("lab-conf", "1.1"), "lab-conf=1.1") // dpkg asks and nobody answers: unpacked
	b.install(0, at("lab-conf", "1.1"), "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold", "lab-conf=1.1")
	if text := b.run("cat", aptrepo.ConfFile); !strings.Contains(text, "owner=host administrator") {
		b.Errorf("the administrator's edit is lost: %s", text)
	}
	b.install(100, at("lab-broken", "1.1"), "lab-broken=1.1")
	if state := b.run("dpkg-query", "-W", "-f", "${db:Status-Status}", "lab-broken"); state != "half-configured" {
		b.Errorf("lab-broken is %s", state)
	}
	b.install(0, at("lab-broken", "1.0"), "--allow-downgrades", "lab-broken=1.0")
}

func vanishing(b bench) {
	b.Helper()
	if err := b.f.Repo().Supersede(b.Context(), "lab-vanish", "1.1", "1.2"); err != nil {
		b.Fatal(err)
	}
	b.install(100, at("lab-vanish", "1.0"), "lab-vanish=1.1") // its file is gone, and the lists are old
	b.run("apt-get", "update", "-qq")
	b.install(100, at("lab-vanish", "1.0"), "lab-vanish=1.1") // with new lists it is unknown
	b.install(0, at("lab-vanish", "1.2"), "lab-vanish=1.2")
}
