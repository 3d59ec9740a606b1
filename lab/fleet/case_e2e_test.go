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
)

func TestCasesBehaveAsTheySay(t *testing.T) {
	c := config(t, "cases", 2)
	host, plain := c.Hosts[0].Name, c.Hosts[1].Name
	var all []string
	for _, one := range aptrepo.Cases() {
		if one.Package != "lab-newdep" { // what must not be installed yet
			all = append(all, one.Package)
		}
	}
	c.HostPackages = map[string][]string{host: all}
	f := open(t, c)
	must(t, f, host, "apt-get", "update", "-qq")
	versions := func() map[string]string {
		t.Helper()
		v, err := f.Versions(t.Context(), host)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, name := range all {
		if got := versions()[name]; got != "1.0" {
			t.Errorf("%s starts at %q, want 1.0", name, got)
		}
	}
	other, err := f.Versions(t.Context(), plain)
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := other["lab-good"]; ok {
		t.Errorf("%s was to have no lab package and has lab-good %s", plain, v)
	}
	install := func(args ...string) int {
		t.Helper()
		full := append([]string{"env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq"}, args...)
		res, err := f.Exec(t.Context(), host, nil, full...)
		if err != nil {
			t.Fatal(err)
		}
		return res.Code
	}
	expect := func(name string, code int, want string, args ...string) {
		t.Helper()
		if got := install(args...); got != code {
			t.Errorf("%s: apt ended with %d, want %d", name, got, code)
		}
		if got := versions()[name]; got != want {
			t.Errorf("%s is at %q, want %q", name, got, want)
		}
	}
	client := &http.Client{Transport: &http.Transport{DialContext: f.Dial, DisableKeepAlives: true}}
	url := "http://" + net.JoinHostPort(c.Hosts[0].Address, strconv.Itoa(aptrepo.ServicePort))
	answers := func(want int) {
		t.Helper()
		eventually(t, fmt.Sprintf("lab-svc answers %d", want), func() bool {
			resp, err := client.Get(url)
			return err == nil && resp.Body.Close() == nil && resp.StatusCode == want
		})
	}

	simulated := must(t, f, host, "apt-get", "-s", "upgrade")
	if strings.Contains(simulated, "Inst lab-kept") || strings.Contains(simulated, "Inst lab-held") {
		t.Errorf("a plain upgrade would install what is kept back or held:\n%s", simulated)
	}
	if removal := must(t, f, host, "apt-get", "-s", "install", "lab-conflict=1.1"); !strings.Contains(removal, "Remv lab-victim") {
		t.Errorf("lab-conflict 1.1 would remove nothing:\n%s", removal)
	}
	expect("lab-good", 0, "1.1", "lab-good=1.1")
	answers(200)
	expect("lab-svc", 0, "1.1", "lab-svc=1.1")
	answers(500)
	expect("lab-svc", 0, "1.0", "--allow-downgrades", "lab-svc=1.0")
	answers(200)
	expect("lab-reboot", 0, "1.1", "lab-reboot=1.1")
	must(t, f, host, "test", "-e", "/run/reboot-required")
	must(t, f, host, "sh", "-c", "echo 0 > "+aptrepo.SlowFile)
	expect("lab-slow", 0, "1.1", "lab-slow=1.1")
	must(t, f, host, "test", "-e", "/run/lab/slow-finished")
	expect("lab-prebroken", 100, "1.0", "lab-prebroken=1.1")
	expect("lab-held", 100, "1.0", "lab-held=1.1")
	if got := install("lab-conf=1.1"); got != 100 {
		t.Errorf("lab-conf: apt ended with %d without an answer to dpkg, want 100", got)
	}
	expect("lab-conf", 0, "1.1", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold", "lab-conf=1.1")
	expect("lab-kept", 0, "1.1", "lab-kept=1.1")
	if _, ok := versions()["lab-newdep"]; !ok {
		t.Error("lab-newdep did not come with lab-kept 1.1")
	}
	expect("lab-broken", 100, "1.1", "lab-broken=1.1")
	if state := must(t, f, host, "dpkg-query", "-W", "-f", "${db:Status-Status}", "lab-broken"); state != "half-configured" {
		t.Errorf("lab-broken is %s", state)
	}
	expect("lab-broken", 0, "1.0", "--allow-downgrades", "lab-broken=1.0")

	if err := f.Repo().Supersede(t.Context(), "lab-vanish", "1.1", "1.2"); err != nil {
		t.Fatal(err)
	}
	expect("lab-vanish", 100, "1.0", "lab-vanish=1.1") // its file is gone, and the lists are old
	must(t, f, host, "apt-get", "update", "-qq")
	expect("lab-vanish", 100, "1.0", "lab-vanish=1.1") // and with new lists it is unknown
	expect("lab-vanish", 0, "1.2", "lab-vanish=1.2")
}
