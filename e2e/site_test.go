//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"patchring/lab/demo"
	"patchring/lab/fleet"
)

func TestMain(m *testing.M) {
	fleet.Reexec()
	if len(os.Args) > 1 && os.Args[1] == desktopVerb {
		if err := desktop(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// site is a server and a few real hosts with their agents.
type site struct {
	t      *testing.T
	fleet  *fleet.Fleet
	server *demo.Server
	admin  *demo.Client
	it     *demo.Client
}

const procedureText = `
procedure: e2e
title: {fr: "Essai", en: "Test"}
owner: it
timezone: Europe/Paris
anchor: patch-tuesday
perimeter: {kinds: [workstation, server]}
rings:
  - name: R0
    title: {fr: "Pilotes", en: "Pilots"}
    members: {groups: [it-pilots]}
    opens: {day: 1}
    closes: {day: 29}
    soak: 1h
    gate:
      evidence: {min_devices: 1, min_done_percent: 100, max_failed: 0, max_unreachable_percent: 0, max_not_reached_percent: 0}
      sign_offs: [{role: it, title: {fr: "Tests fonctionnels", en: "Functional tests"}}]
  - name: R1
    title: {fr: "Utilisateurs pilotes", en: "Pilot users"}
    members: {groups: [pilot-users]}
    opens: {day: 30}
    closes: {day: 59}
    soak: 1h
    gate:
      evidence: {min_devices: 1, min_done_percent: 100, max_failed: 0, max_unreachable_percent: 0, max_not_reached_percent: 0}
  - name: GLOBAL
    title: {fr: "Tous", en: "Everyone"}
    members: {rest: true}
    opens: {day: 60}
    soak: 1h
    gate:
      evidence: {min_devices: 1, min_done_percent: 100, max_failed: 0, max_unreachable_percent: 0, max_not_reached_percent: 0}
windows:
  - {name: always-at-night, for: {all: true}, days: [mon, tue, wed, thu, fri, sat, sun], start: "22:00", end: "06:00"}
reboot: if_needed
attempts: 1
retry_after: 4h
unreachable_after: 72h
rollback: {on_severity: critical}
verification: {days_after_last_ring_opens: 30}
`

// newSite brings up the named hosts with cases of the lab's repository at 1.0,
// starts the server, and enrols everybody once they are prepared.
func newSite(t *testing.T, names, packages []string, prepare ...func(*site)) *site {
	t.Helper()
	hosts, err := fleet.Named(names)
	must(t, err)
	share := filepath.Join(t.TempDir(), "share")
	must(t, os.MkdirAll(share, 0o755))
	agent, err := os.ReadFile(filepath.Join("..", "bin", "patchring-agent"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(share, "patchring-agent"), agent, 0o755))
	name := "e2e-" + strings.ToLower(strings.TrimPrefix(t.Name(), "Test"))
	if err := fleet.Down(t.Context(), "", name); err != nil && !errors.Is(err, fleet.ErrNotUp) {
		t.Fatal(err)
	}
	must(t, fleet.InstallTools(t.Context(), func(s string) { t.Log(s) }))
	f, err := fleet.Open(t.Context(), fleet.Config{Name: name, Hosts: hosts, Share: share, Packages: packages, Say: func(s string) { t.Log(s) }})
	must(t, err)
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	must(t, f.Repo().Reset(t.Context()))
	must(t, f.Repo().Publish(t.Context()))
	s := &site{t: t, fleet: f}
	s.openServer()
	for _, f := range prepare {
		f(s)
	}
	for _, h := range hosts {
		must(t, demo.Enrol(t.Context(), s.server, s.admin, h))
	}
	s.awaitScans(len(hosts))
	return s
}

func (s *site) openServer() {
	s.t.Helper()
	ctx := s.t.Context()
	binary, err := filepath.Abs(filepath.Join("..", "bin", "patchring"))
	must(s.t, err)
	s.server, err = demo.StartServer(ctx, s.fleet, demo.ServerOptions{
		Binary: binary, Data: filepath.Join(s.t.TempDir(), "data"), Checkin: time.Second,
	})
	must(s.t, err)
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("server: %s", s.server.Tail())
			s.logAgents()
		}
		if err := s.server.Stop(); err != nil {
			s.t.Error(err)
		}
	})
	s.admin, err = s.server.Login(ctx, s.server.First.Name, s.server.First.Password)
	must(s.t, err)
	must(s.t, s.admin.ApplyProcedure(ctx, "e2e.yaml", []byte(procedureText)))
	must(s.t, s.admin.CreateUser(ctx, "it-lead", "a-password-for-tests-1", "it"))
	s.it, err = s.server.Login(ctx, "it-lead", "a-password-for-tests-1")
	must(s.t, err)
}

func (s *site) logAgents() {
	for _, h := range s.fleet.Hosts() {
		res, err := s.fleet.Exec(context.Background(), h.Name, nil, "journalctl", "-u", "patchring-agent", "-n", "40", "--no-pager", "-o", "cat")
		s.t.Logf("agent of %s: %v\n%s", h.Name, err, res.Stdout)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// await polls until the condition holds.
func (s *site) await(what string, limit time.Duration, cond func() bool) {
	s.t.Helper()
	must(s.t, demo.Poll(s.t.Context(), limit, what, func() (bool, error) { return cond(), nil }))
}

func (s *site) awaitScans(n int) {
	s.t.Helper()
	s.await("every host has scanned", 3*time.Minute, func() bool {
		devices, err := s.admin.Devices(s.t.Context())
		return err == nil && len(devices) == n && !slices.ContainsFunc(devices, func(d demo.Device) bool { return d.ScanStatus != "ok" })
	})
}

// patches finds the ids of the missing versions of these names.
func (s *site) patches(names ...string) []string {
	s.t.Helper()
	var ids []string
	for _, name := range names {
		ids = append(ids, s.patch(name, "1.1"))
	}
	return ids
}

func (s *site) patch(name, version string) string {
	s.t.Helper()
	var page struct {
		Rows []struct{ ID, Name, Version string }
	}
	must(s.t, s.admin.Get(s.t.Context(), "/patches?limit=500&text="+url.QueryEscape(name), &page))
	for _, p := range page.Rows {
		if p.Name == name && p.Version == version {
			return p.ID
		}
	}
	s.t.Fatalf("no patch %s %s among %v", name, version, page.Rows)
	return ""
}

// campaign starts one with these patches. A procedure day lasts three seconds:
// rings that are 30 days apart open a minute and a half apart, or when they are
// expedited.
func (s *site) campaign(patches []string, extra map[string]any) string {
	s.t.Helper()
	ask := map[string]any{"procedure": "e2e", "now": true, "day": "3s", "patches": patches}
	for k, v := range extra {
		ask[k] = v
	}
	name, err := s.admin.CreateCampaign(s.t.Context(), ask)
	must(s.t, err)
	return name
}

func (s *site) ring(campaign, ring string) demo.Ring {
	s.t.Helper()
	board, err := s.admin.Board(s.t.Context(), campaign)
	if err != nil {
		return demo.Ring{}
	}
	for _, r := range board.Amendments[0].Rings {
		if r.Ring == ring {
			return r
		}
	}
	return demo.Ring{}
}

func (s *site) awaitRing(campaign, ring, state string, limit time.Duration) demo.Ring {
	s.t.Helper()
	var last demo.Ring
	err := demo.Poll(s.t.Context(), limit, ring+" is "+state, func() (bool, error) {
		last = s.ring(campaign, ring)
		return last.State == state, nil
	})
	if err != nil {
		s.t.Fatalf("%v; it is %s %s, %+v, %+v", err, last.State, last.Verdict, last.Numbers, last.Reasons)
	}
	return last
}

func (s *site) awaitNumbers(campaign, ring string, want demo.Numbers) {
	s.t.Helper()
	var last demo.Ring
	err := demo.Poll(s.t.Context(), time.Minute, ring+" counts", func() (bool, error) {
		last = s.ring(campaign, ring)
		return last.Numbers == want, nil
	})
	if err != nil {
		s.t.Errorf("%v %+v; it has %+v, %s %+v", err, want, last.Numbers, last.State, last.Reasons)
	}
}

func (s *site) expedite(campaign, ring string) {
	s.t.Helper()
	must(s.t, s.admin.Act(s.t.Context(), campaign, "expedite", map[string]any{"ring": ring, "reason": "the test does not wait for dates"}, nil))
}

func (s *site) withdraw(campaign, patch, why string) {
	s.t.Helper()
	must(s.t, s.admin.Act(s.t.Context(), campaign, "withdraw", map[string]any{"patch": patch, "reason": why}, nil))
}

// wantVersions compares with what dpkg in the host says.
func (s *site) wantVersions(host string, want map[string]string) {
	s.t.Helper()
	have, err := s.fleet.Versions(s.t.Context(), host)
	must(s.t, err)
	for name, version := range want {
		if have[name] != version {
			s.t.Errorf("%s has %s %q, want %q", host, name, have[name], version)
		}
	}
}

func (s *site) version(host, name string) string {
	have, err := s.fleet.Versions(s.t.Context(), host)
	if err != nil {
		return ""
	}
	return have[name]
}

func (s *site) device(name string) string {
	s.t.Helper()
	devices, err := s.admin.Devices(s.t.Context())
	must(s.t, err)
	for _, d := range devices {
		if d.Name == name {
			return d.ID
		}
	}
	s.t.Fatalf("no device %s", name)
	return ""
}

// why gives every reason code of the chain for one patch on one device.
func (s *site) why(host, patch string) string {
	s.t.Helper()
	var raw []byte
	must(s.t, s.admin.Get(s.t.Context(), "/devices/"+s.device(host)+"/why?patch="+patch, &raw))
	return string(raw)
}

// verifyRegister has the server's register verified where it is kept.
func (s *site) verifyRegister() {
	s.t.Helper()
	var head struct{ Size int64 }
	must(s.t, s.admin.Get(s.t.Context(), "/register", &head))
	var verified struct {
		Entries int64 `json:"entries"`
		OK      bool  `json:"ok"`
	}
	must(s.t, s.admin.Post(s.t.Context(), "/register/verify", nil, &verified))
	if !verified.OK || verified.Entries < head.Size {
		s.t.Errorf("register: %+v, want all %d entries verified", verified, head.Size)
	}
}

// upgrades counts how often dpkg in the host has unpacked a version.
func (s *site) upgrades(host, name, from, to string) int {
	s.t.Helper()
	out, err := s.fleet.Run(s.t.Context(), host, "cat", "/var/log/dpkg.log")
	must(s.t, err)
	return strings.Count(out, fmt.Sprintf("upgrade %s:all %s %s", name, from, to))
}
