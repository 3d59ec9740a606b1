package rehearsal_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/core/procedure"
	"patchring/internal/core/rehearsal"
	"patchring/wire"
)

var paris = mustZone("Europe/Paris")

func mustZone(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return zone
}

const procedureText = `
procedure: test
title: {fr: "Essai", en: "Test"}
owner: it
timezone: Europe/Paris
anchor: patch-tuesday
perimeter: {kinds: [workstation, server]}
content: {classes: [security]}
rings:
  - name: R0
    title: {fr: "Pilotes", en: "Pilots"}
    members: {groups: [it]}
    opens: {day: 1}
    closes: {day: 2, at: "23:59"}
    soak: 2h
    gate:
      evidence: {min_devices: 1, min_done_percent: 100, max_failed: 0, max_unreachable_percent: 0, max_not_reached_percent: 0}
      sign_offs: [{role: it, title: {fr: "Tests", en: "Tests"}}]
  - name: GLOBAL
    title: {fr: "Tous", en: "Everyone"}
    members: {rest: true}
    opens: {day: 8, at: "09:00"}
    soak: 24h
    gate:
      evidence: {min_devices: 1, min_done_percent: 90, max_failed: 1, max_unreachable_percent: 50, max_not_reached_percent: 50}
windows:
  - {name: night, for: {kinds: [workstation, server]}, days: [mon, tue, wed, thu, fri, sat, sun], start: "20:00", end: "23:00"}
reboot: if_needed
attempts: 2
retry_after: 4h
unreachable_after: 72h
rollback: {on_severity: critical}
verification: {days_after_last_ring_opens: 2}
`

// stage is a fleet being described for a rehearsal of January 2026.
type stage struct {
	t     *testing.T
	plan  rehearsal.Plan
	fleet *rehearsal.Fleet
	known map[string]rehearsal.Offer
	n     int
}

var now = time.Date(2026, 1, 12, 9, 0, 0, 0, paris)

func newStage(t *testing.T, policyText string, change func(*rehearsal.Plan)) *stage {
	t.Helper()
	p, err := procedure.Parse("test.yaml", []byte(procedureText))
	if err != nil {
		t.Fatal(err)
	}
	plan := rehearsal.Plan{Now: now, Procedure: p, Schedule: p.Schedule(2026, time.January), Rules: policy.Rules{Classes: p.Classes}}
	plan.Pace = rehearsal.Pace{Order: 5 * time.Minute, Patch: time.Minute, Reboot: 5 * time.Minute}
	if policyText != "" {
		parsed, err := policy.Parse("policy.yaml", []byte("policy: fleet\ntitle: {fr: P, en: P}\nowner: it\ntimezone: Europe/Paris\n"+policyText))
		if err != nil {
			t.Fatal(err)
		}
		plan.Rules.Policies.Tenant = &parsed
	}
	if change != nil {
		change(&plan)
	}
	return &stage{t: t, plan: plan, fleet: rehearsal.NewFleet(plan), known: map[string]rehearsal.Offer{}}
}

// offer is a patch named name, of a size.
func (s *stage) offer(name string, bytes int64) rehearsal.Offer {
	if at, ok := s.known[name]; ok {
		return at
	}
	key := patch.Key{Provider: "apt", Name: name, Version: "2", Suite: "bookworm-security"}
	s.known[name] = s.fleet.Offer(campaign.Missing{
		Patch: policy.Patch{Key: key, Class: patch.Security, Bytes: bytes, Released: now.Add(-24 * time.Hour)}, ID: key.ID(), State: wire.PatchOffered,
		Packages: []wire.Change{{Name: name, From: "1", To: "2"}},
	})
	return s.known[name]
}

func (s *stage) seen(name string, kind fleet.Kind, groups ...string) rehearsal.Seen {
	s.n++
	return rehearsal.Seen{
		Device: policy.Device{Name: name, Kind: string(kind), Tags: map[string]string{"site": "lyon"}, Groups: groups},
		ID:     fleet.DeviceID(fmt.Sprintf("device-%06d", s.n)), LastSeen: now.Add(-time.Hour), Scanned: true, Scan: wire.ScanOK,
		Missing: []rehearsal.Lack{{Offer: s.offer("openssl", 10<<20), Exposed: now.Add(-time.Hour)}},
	}
}

func (s *stage) fate(played *rehearsal.Played, name string) rehearsal.Fate {
	s.t.Helper()
	list, _ := played.Fates(rehearsal.FateQuery{Limit: 1 << 20})
	at := slices.IndexFunc(list, func(f rehearsal.Fate) bool { return f.Name == name })
	if at < 0 {
		s.t.Fatalf("no fate of %s", name)
	}
	return list[at]
}

func at(day, hour, minute int) time.Time { return time.Date(2026, 1, day, hour, minute, 0, 0, paris) }

func (s *stage) same(what string, got, want time.Time) {
	s.t.Helper()
	if !got.Equal(want) {
		s.t.Errorf("%s: %s, want %s", what, got.In(paris), want)
	}
}

func TestACampaignThatGoesWellKeepsItsCalendar(t *testing.T) {
	s := newStage(t, "", func(p *rehearsal.Plan) { p.Pace.Reboots = map[string]float64{"openssl": 0.25} })
	s.fleet.Add(s.seen("pilot", fleet.Workstation, "it"))
	for i := range 3 {
		s.fleet.Add(s.seen(fmt.Sprintf("pc-%d", i), fleet.Workstation))
	}
	s.fleet.Add(s.seen("robot", fleet.Critical)) // outside the perimeter
	got := s.fleet.Play()
	if got.Devices != 4 || got.Outside != 1 || got.Classes != 2 || got.Content.Patches != 1 {
		t.Errorf("%d devices, %d outside, %d classes, %d patches", got.Devices, got.Outside, got.Classes, got.Content.Patches)
	}
	if len(got.Slips) != 0 || len(got.Late) != 0 || got.Judged != (campaign.Counters{Done: 4}) {
		t.Errorf("slips %+v, late %+v, judged %+v", got.Slips, got.Late, got.Judged)
	}
	r0, global := got.Rings[0], got.Rings[1]
	s.same("R0 opens", r0.Opens, at(13, 19, 0))
	s.same("R0 soaks", r0.Soaks, at(13, 20, 6))
	s.same("R0 passes", r0.Passes, at(13, 22, 6))
	s.same("GLOBAL opens", global.Opens, at(20, 9, 0))
	s.same("GLOBAL's first", global.First, at(20, 20, 0))
	s.same("GLOBAL's last", global.Last, at(20, 20, 6))
	if len(r0.Signs) != 1 || got.Assumed.SignOffs != 1 {
		t.Errorf("signs %v, assumed %+v", r0.Signs, got.Assumed)
	}
	want := map[calendar.Date][2]int{{Year: 2026, Month: 1, Day: 13}: {1, 0}, {Year: 2026, Month: 1, Day: 20}: {0, 3}}
	for _, d := range got.Days {
		if w := want[d.Date]; d.Installs[0] != w[0] || d.Installs[1] != w[1] || d.Ends.Total() != 4 {
			t.Errorf("%s: %+v, want installs %v", d.Date, d, w)
		}
	}
	if first, last := got.Days[0], got.Days[len(got.Days)-1]; first.Ends.Done != 1 || last.Ends.Done != 4 || first.Bytes != 10<<20 {
		t.Errorf("first day %+v, last day %+v", first, last)
	}
	if h := got.Hours; len(h) != 2 || h[1].Installs != 3 || h[1].Reboots != 0.75 {
		t.Errorf("hours %+v", h)
	}
	if len(got.Sites) != 1 || got.Sites[0].Bytes != 4*10<<20 || got.Sites[0].Devices != 4 {
		t.Errorf("sites %+v", got.Sites)
	}
	f := s.fate(got, "pc-1")
	s.same("pc-1 starts", f.Starts, at(20, 20, 0))
	if f.Bucket != campaign.Done || f.Ring != "GLOBAL" || f.Site != "lyon" {
		t.Errorf("pc-1: %+v", f)
	}
}

func TestWhoWillNotMakeItAndWhy(t *testing.T) {
	s := newStage(t, "", func(p *rehearsal.Plan) {
		p.Holds = []campaign.Hold{{ID: "h", Device: "device-000005", Actor: "ops", Reason: "audit"}}
		p.Rules.Exceptions = []policy.Exception{{ID: "e", Group: "lab", Owner: "it", Until: now.AddDate(1, 0, 0)}}
	})
	s.fleet.Add(s.seen("pilot", fleet.Workstation, "it"))
	away := s.seen("away", fleet.Workstation)
	away.LastSeen = now.Add(-10 * 24 * time.Hour)
	s.fleet.Add(away)
	broken := s.seen("broken", fleet.Workstation)
	broken.Scan, broken.ScanWhy, broken.Missing = wire.ScanFailed, "repository_down", nil
	s.fleet.Add(broken)
	full := s.seen("full", fleet.Workstation)
	full.DiskBytes = 20 << 20
	s.fleet.Add(full)
	s.fleet.Add(s.seen("held", fleet.Workstation))
	s.fleet.Add(s.seen("bench", fleet.Workstation, "lab"))
	never := s.seen("never", fleet.Workstation)
	never.Scanned, never.Missing = false, nil
	s.fleet.Add(never)
	for i := range 20 {
		s.fleet.Add(s.seen(fmt.Sprintf("pc-%d", i), fleet.Workstation))
	}
	got := s.fleet.Play()
	want := map[string]struct {
		bucket campaign.Bucket
		code   fault.Code
	}{
		"away": {campaign.Unreachable, fault.DeviceUnreachable}, "broken": {campaign.NotReached, fault.ScanRefused},
		"full": {campaign.Failed, fault.DiskFull}, "held": {campaign.Exempt, fault.DeviceHeld},
		"bench": {campaign.Exempt, fault.ExceptionInForce}, "never": {campaign.NotReached, fault.NeverScanned},
		"pilot": {campaign.Done, ""}, "pc-7": {campaign.Done, ""},
	}
	for name, w := range want {
		if f := s.fate(got, name); f.Bucket != w.bucket || f.Reason.Code != w.code {
			t.Errorf("%s: %s %s, want %s %s", name, f.Bucket, f.Reason, w.bucket, w.code)
		}
	}
	if len(got.Late) != 6 || got.Judged.Done != 21 || got.Assumed.Silent != 1 {
		t.Errorf("late %+v, judged %+v, assumed %+v", got.Late, got.Judged, got.Assumed)
	}
	page, more := got.Fates(rehearsal.FateQuery{Bucket: campaign.Done, Limit: 20})
	if rest, again := got.Fates(rehearsal.FateQuery{Bucket: campaign.Done, Limit: 20, After: page[19].Device}); !more || again || len(rest) != 1 {
		t.Errorf("pages of %d (more %v) and %d (more %v)", len(page), more, len(rest), again)
	}
	if list, _ := got.Fates(rehearsal.FateQuery{Code: fault.DiskFull, Limit: 10}); len(list) != 1 || list[0].Name != "full" {
		t.Errorf("of full disks: %+v", list)
	}
}

func TestAGateThatCannotPassIsToldBefore(t *testing.T) {
	s := newStage(t, "", nil)
	pilot := s.seen("pilot", fleet.Workstation, "it")
	pilot.LastSeen = now.Add(-5 * 24 * time.Hour)
	s.fleet.Add(pilot)
	s.fleet.Add(s.seen("pc", fleet.Workstation))
	got := s.fleet.Play()
	if !got.Rings[1].Opens.IsZero() || got.Rings[0].State != campaign.RingGate {
		t.Fatalf("rings %+v", got.Rings)
	}
	at := slices.IndexFunc(got.Slips, func(s rehearsal.Slip) bool { return s.Code == rehearsal.SlipOpens && s.Ring == "GLOBAL" })
	if at < 0 || !slices.ContainsFunc(got.Slips[at].Reasons, func(r fault.Reason) bool { return r.Code == fault.GateTooFew }) {
		t.Errorf("slips %+v", got.Slips)
	}
	if f := s.fate(got, "pc"); f.Reason.Code != fault.RingNotOpen || !f.Starts.IsZero() {
		t.Errorf("pc: %+v", f)
	}
}

func TestALimitMakesDevicesTakeTurns(t *testing.T) {
	s := newStage(t, `limits: [{name: sql, devices: device.kind == "server", at_most: 2, order: ['device.name == "sql-3"']}]`, nil)
	s.fleet.Add(s.seen("pilot", fleet.Workstation, "it"))
	for i := range 5 {
		s.fleet.Add(s.seen(fmt.Sprintf("sql-%d", i), fleet.Server))
	}
	got := s.fleet.Play()
	var starts []string
	for i := range 5 {
		starts = append(starts, s.fate(got, fmt.Sprintf("sql-%d", i)).Starts.In(paris).Format("15:04"))
	}
	if want := "20:06 20:06 20:12 20:00 20:12"; strings.Join(starts, " ") != want {
		t.Errorf("they start at %s, want %s", starts, want)
	}
	if got.Assumed.Limited != 5 || got.Judged.Done != 6 {
		t.Errorf("assumed %+v, judged %+v", got.Assumed, got.Judged)
	}
}

func TestAFreezeAndADelayMoveDevices(t *testing.T) {
	s := newStage(t, `
rules: [{name: all, verdict: approve}]
profiles:
  - name: slow
    devices: device.kind == "server"
    rules: [{name: slow, patches: patch.name == "openssl", verdict: delay 12d}]
freezes:
  - {name: closing, devices: 'device.name == "pc"', from: 2026-01-20, to: 2026-01-24, reason: {fr: Clôture, en: Closing}}
`, nil)
	s.fleet.Add(s.seen("pilot", fleet.Workstation, "it"))
	s.fleet.Add(s.seen("pc", fleet.Workstation))
	s.fleet.Add(s.seen("srv", fleet.Server))
	got := s.fleet.Play()
	frozen := s.fate(got, "pc")
	s.same("the frozen one", frozen.Starts, at(25, 20, 0))
	if frozen.Bucket != campaign.NotReached {
		t.Errorf("the frozen one at the verification: %+v", frozen)
	}
	slow := s.fate(got, "srv")
	s.same("the delayed one", slow.Starts, at(23, 20, 0)) // missing since the 11th, published
	if late := got.Late; len(late) == 0 || late[0].Later == 0 {
		t.Errorf("late %+v", late)
	}
}

func TestNobodyIsRehearsedToo(t *testing.T) {
	got := newStage(t, "", nil).fleet.Play()
	if got.Devices != 0 || len(got.Rings) != 2 || len(got.Slips) != 1 || got.Slips[0].Reasons[0].Code != fault.GateEmptyRing {
		t.Errorf("rings %+v, slips %+v", got.Rings, got.Slips)
	}
	if list, more := got.Fates(rehearsal.FateQuery{Limit: 10}); len(list) != 0 || more {
		t.Errorf("fates %v", list)
	}
}

func TestRestartsFollowTheProfile(t *testing.T) {
	s := newStage(t, `
profiles:
  - {name: never, devices: device.name == "never", reboot: {mode: never}}
  - name: sunday
    devices: device.name == "sunday"
    reboot: {mode: window, windows: [{name: sunday, days: [sun], start: "03:00", end: "05:00"}]}
  - {name: people, devices: device.kind == "workstation", people: {postpones: 2, deadline: 24h, notice: 10m, countdown: 20m}}
`, func(p *rehearsal.Plan) { p.Pace.Reboots = map[string]float64{"openssl": 1} })
	s.fleet.Add(s.seen("pilot", fleet.Workstation, "it"))
	s.fleet.Add(s.seen("never", fleet.Workstation))
	s.fleet.Add(s.seen("sunday", fleet.Server))
	got := s.fleet.Play()
	if f := s.fate(got, "never"); f.Bucket != campaign.NotReached || f.Reason.Code != fault.RebootPendingNow || f.Starts.IsZero() {
		t.Errorf("never: %+v", f)
	}
	f := s.fate(got, "sunday")
	s.same("sunday ends", f.Ends, at(25, 3, 5))
	if got.Assumed.Asked != 2 {
		t.Errorf("%d devices are asked, want the two workstations", got.Assumed.Asked)
	}
	sunday := slices.IndexFunc(got.Hours, func(h rehearsal.Hour) bool { return h.Start.Equal(at(25, 3, 0)) })
	if sunday < 0 || got.Hours[sunday].Reboots != 1 {
		t.Errorf("hours %+v", got.Hours)
	}
}
