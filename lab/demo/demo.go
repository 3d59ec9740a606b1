// Package demo carries one real patch campaign through its rings on a fleet of
// real Debian hosts, with the product's own binaries and its public API: what a
// new user runs first, and what the end-to-end tests build on.
//
// It knows the server only by its HTTP API and its command line. What it says
// of versions it asks dpkg in each host, never the server.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"patchring/lab/fleet"
)

// Options of a demo. Root is required.
type Options struct {
	Root     string // the checkout: bin/, examples/, demo/
	Hosts    int
	Once     bool          // sign the gates, run to the end, write the summary
	Day      time.Duration // how long a procedure day lasts
	Listen   string        // where this machine's browser reaches the console
	Packages []string      // cases of the lab's repository beside the real updates
	Out      io.Writer
}

// Defaults.
const (
	DefaultHosts  = 8
	DefaultDay    = 15 * time.Second
	DefaultListen = "127.0.0.1:8443"
	runName       = "demo"
)

// Demo is one running demo.
type Demo struct {
	Options
	started time.Time
	fleet   *fleet.Fleet
	server  *Server
	admin   *Client
	before  map[string]map[string]string // host → package → version, before anything
	signers map[string]*Client           // by role

	simulated bool
	devices   chan error // how the simulated fleets ended
	fleets    int        // how many of them
	halt      context.CancelFunc
}

// Run shows the whole campaign. It takes everything down before it returns,
// whatever happened.
func Run(ctx context.Context, o Options) (err error) {
	d := &Demo{Options: o.complete(), started: time.Now(), signers: map[string]*Client{}}
	defer func() { err = errors.Join(err, d.close()) }()
	for _, s := range d.steps() {
		if err := s.do(ctx); err != nil {
			if ctx.Err() != nil {
				return nil // Ctrl-C: being asked to stop is no failure
			}
			return fmt.Errorf("%s: %w", s.what, err)
		}
	}
	return nil
}

type step struct {
	what string
	do   func(context.Context) error
}

// steps are those of a real demo, or where there can be no real hosts, of one
// with simulated devices, which is said.
func (d *Demo) steps() []step {
	first := []step{{"bring up the hosts", d.openFleet}, {"start the server", d.openServer}, {"enrol the hosts", d.enrol}}
	if err := fleet.Supported(); err != nil {
		d.say("NO REAL HOSTS: %v", err)
		d.say("This shows the same campaign on simulated devices: no package of any system is touched.")
		d.simulated = true
		first = []step{{"start the server", d.openServer}, {"enrol the devices", d.simulate}}
	}
	return append(first, step{"prepare the campaign", d.prepare}, step{"run the campaign", d.run})
}

func (o Options) complete() Options {
	if o.Hosts == 0 {
		o.Hosts = DefaultHosts
	}
	if o.Day == 0 {
		o.Day = DefaultDay
	}
	if o.Listen == "" {
		o.Listen = DefaultListen
	}
	if o.Packages == nil {
		o.Packages = []string{"lab-good", "lab-svc", "lab-reboot"}
	}
	if o.Out == nil {
		o.Out = os.Stdout
	}
	return o
}

func (d *Demo) say(format string, args ...any) {
	fmt.Fprintf(d.Out, "%6.0fs  %s\n", time.Since(d.started).Seconds(), fmt.Sprintf(format, args...))
}

func (d *Demo) bin(name string) string { return filepath.Join(d.Root, "bin", name) }

// openFleet takes down what a demo that was killed may have left, then brings
// up the hosts with their agent's binary at hand.
func (d *Demo) openFleet(ctx context.Context) error {
	if err := fleet.InstallTools(ctx, func(s string) { d.say("%s", s) }); err != nil {
		return err
	}
	if err := fleet.Down(ctx, "", runName); err != nil && !errors.Is(err, fleet.ErrNotUp) {
		return fmt.Errorf("take down an earlier demo: %w", err)
	}
	hosts, err := fleet.Table(d.Hosts)
	if err != nil {
		return err
	}
	share, err := d.shareAgent()
	if err != nil {
		return err
	}
	d.fleet, err = fleet.Open(ctx, fleet.Config{
		Name: runName, Hosts: hosts, Share: share, Packages: d.Packages, Say: func(s string) { d.say("%s", s) },
	})
	if err != nil {
		return err
	}
	d.say("%d real Debian hosts are up, with real security updates pending", len(hosts))
	return d.rememberVersions(ctx)
}

// shareAgent puts the agent's binary alone in a folder for the hosts.
func (d *Demo) shareAgent() (string, error) {
	dir := filepath.Join(d.runDir(), "share")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make %s: %w", dir, err)
	}
	content, err := os.ReadFile(d.bin("patchring-agent"))
	if err != nil {
		return "", fmt.Errorf("read the agent's binary (make build): %w", err)
	}
	return dir, os.WriteFile(filepath.Join(dir, "patchring-agent"), content, 0o755)
}

func (d *Demo) runDir() string { return filepath.Join(d.Root, "demo", "run") }

func (d *Demo) rememberVersions(ctx context.Context) error {
	d.before = map[string]map[string]string{}
	for _, h := range d.fleet.Hosts() {
		versions, err := d.fleet.Versions(ctx, h.Name)
		if err != nil {
			return fmt.Errorf("ask dpkg in %s: %w", h.Name, err)
		}
		d.before[h.Name] = versions
	}
	return nil
}

func (d *Demo) openServer(ctx context.Context) (err error) {
	d.server, err = StartServer(ctx, d.fleet, ServerOptions{
		Binary: d.bin("patchring"), Data: filepath.Join(d.runDir(), "data"), Fresh: true, Checkin: 2 * time.Second,
	})
	if err != nil {
		return err
	}
	addr := d.server.HTTPS()
	if d.fleet != nil {
		forwarded, err := d.fleet.Forward(d.Listen, addr)
		if err != nil {
			return err
		}
		addr = forwarded.String()
	}
	d.admin, err = d.server.Login(ctx, d.server.First.Name, d.server.First.Password)
	if err != nil {
		return err
	}
	d.say("console: https://%s   user: %s   password: %s", addr, d.server.First.Name, d.server.First.Password)
	d.say("(the certificate is the site's own: your browser will ask once)")
	return nil
}

// enrol gives each host a one-time token and its service.
func (d *Demo) enrol(ctx context.Context) error {
	for _, h := range d.fleet.Hosts() {
		if err := Enrol(ctx, d.server, d.admin, h); err != nil {
			return err
		}
	}
	d.say("%d agents enrolled, each with a certificate of its own", len(d.fleet.Hosts()))
	return nil
}

// prepare applies the example procedure, makes the people who sign, and waits
// until every host has told what it misses.
func (d *Demo) prepare(ctx context.Context) error {
	text, err := os.ReadFile(filepath.Join(d.Root, "examples", "procedures", "postes-france.yaml"))
	if err != nil {
		return fmt.Errorf("read the procedure: %w", err)
	}
	if err := d.admin.ApplyProcedure(ctx, "postes-france.yaml", text); err != nil {
		return err
	}
	for _, role := range []string{"it", "business"} {
		password := d.server.First.Password + "-" + role
		if err := d.admin.CreateUser(ctx, role+"-lead", password, role); err != nil {
			return err
		}
		if d.signers[role], err = d.server.Login(ctx, role+"-lead", password); err != nil {
			return err
		}
		if !d.Once {
			d.say("to sign the gate as %s: user %s-lead, password %s", role, role, password)
		}
	}
	return d.awaitScans(ctx)
}

func (d *Demo) awaitScans(ctx context.Context) error {
	return Poll(ctx, 5*time.Minute, "every host has scanned", func() (bool, error) {
		page, err := d.admin.Devices(ctx)
		if err != nil {
			return false, err
		}
		scanned, missing := 0, 0
		for _, device := range page {
			if device.ScanStatus == "ok" {
				scanned++
				missing += device.Missing
			}
		}
		if scanned < d.Hosts {
			return false, nil
		}
		d.say("every host has scanned: %d missing patches in all", missing)
		return true, nil
	})
}

func (d *Demo) run(ctx context.Context) error {
	name, err := d.admin.CreateCampaign(ctx, map[string]any{"procedure": "postes-france", "now": true, "day": d.Day.String()})
	if err != nil {
		return err
	}
	d.say("campaign %s: one procedure day lasts %s", name, d.Day)
	if err := d.follow(ctx, name); err != nil {
		return err
	}
	if d.Once {
		return d.finish(ctx, name)
	}
	d.say("the campaign is over; the server keeps running until Ctrl-C")
	<-ctx.Done()
	return nil
}

// finish signs the verification, closes the campaign and writes what happened.
func (d *Demo) finish(ctx context.Context, name string) error {
	if err := d.signVerification(ctx, name); err != nil {
		return err
	}
	if err := d.admin.Act(ctx, name, "close", map[string]any{"reason": "the demonstration is over"}, nil); err != nil {
		return err
	}
	summary, err := d.summarise(ctx, name)
	if err != nil {
		return err
	}
	path := filepath.Join(d.Root, "demo", "out", "summary.json")
	if err := writeJSON(path, summary); err != nil {
		return err
	}
	d.say("wrote %s", path)
	return summary.check()
}

func writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make %s: %w", filepath.Dir(path), err)
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

func (d *Demo) close() error {
	errs := []error{d.haltSimulation()}
	if d.server != nil {
		errs = append(errs, d.server.Stop())
	}
	if d.fleet != nil {
		errs = append(errs, d.fleet.Close())
	}
	return errors.Join(errs...)
}

// Poll asks until done, or for at most limit. An error while not done is
// remembered and asked again; done with an error ends it.
func Poll(ctx context.Context, limit time.Duration, what string, done func() (bool, error)) error {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline.C:
			if err != nil {
				return fmt.Errorf("wait until %s: %w", what, err)
			}
			return fmt.Errorf("wait until %s: not within %s", what, limit)
		case <-tick.C:
		}
	}
}
