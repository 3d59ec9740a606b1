package server_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/infra/store/gen"
	"patchring/internal/service/access"
	"patchring/internal/service/rulebook"
	"patchring/wire"
)

const policyHead = `
policy: fleet
title: {fr: Parc, en: Fleet}
owner: it
timezone: Europe/Paris
`

func (w *world) policy(text string) {
	w.t.Helper()
	w.ask(func() error {
		_, err := w.srv.Rulebook.Apply(w.t.Context(), "main", w.by, "fleet.yaml", []byte(policyHead+text))
		return err
	})
}

// whyNot is the code that keeps a patch from the device.
func (w *world) whyNot(d *fakeDevice, name, version string) fault.Reason {
	w.t.Helper()
	why, err := w.srv.Conductor.Why(w.t.Context(), "main", d.id, w.patchID(name, version))
	w.must(err)
	if len(why) != 1 {
		w.t.Fatalf("%d answers why", len(why))
	}
	link, blocked := campaign.Blocking(why[0].Chain)
	if !blocked {
		return why[0].Reason
	}
	return link.Reason
}

func TestAProfileGivesItsWindowsAndAFreezeTakesThem(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	pc := w.device("pc", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	srv := w.device("srv", fleet.Server, "it-pilots", versions("1"), versions("2"))
	w.policy(`
profiles:
  - name: servers
    devices: device.kind == "server"
    windows: [{name: early, days: [mon, tue, wed, thu, fri], start: "03:00", end: "05:00"}]
freezes:
  - {name: closing, devices: 'device.kind == "server"', from: 2026-01-14, to: 2026-01-14, reason: {fr: Clôture, en: Closing}}
`)
	w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 23, 0, 0, 0, paris), time.Hour)
	if pc.packages["openssl"] != "2" || len(srv.installs) > 0 {
		t.Fatalf("at 23:00 the workstation has %v and the server did %+v", pc.packages, srv.installs)
	}
	w.until(time.Date(2026, 1, 14, 12, 0, 0, 0, paris), time.Hour)
	if len(srv.installs) > 0 {
		t.Fatalf("installed at %s, in the freeze", srv.installs[0].at)
	}
	if why := w.whyNot(srv, "openssl", "2"); why.Code != fault.Frozen || why.Args["freeze"] != "closing" {
		t.Errorf("why: %s", why)
	}
	w.until(time.Date(2026, 1, 15, 6, 0, 0, 0, paris), time.Hour)
	if len(srv.installs) != 2 || srv.installs[0].at.In(paris).Hour() != 3 {
		t.Errorf("the server did %+v, want both patches from 3:00", srv.installs)
	}
	for _, i := range append(pc.installs, srv.installs...) {
		if !i.inside {
			t.Errorf("%s at %s, outside every window", i.name, i.at)
		}
	}
}

func TestAFreezeAppliedTodayTakesBackTonightsOrders(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	pc := w.device("pc", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 19, 30, 0, 0, paris), 30*time.Minute)
	if len(pc.orders) != 1 {
		t.Fatalf("%d orders before the window, want 1", len(pc.orders))
	}
	w.policy("freezes: [{name: storm, from: 2026-01-13, to: 2026-01-13, reason: Storm}]")
	w.until(time.Date(2026, 1, 14, 0, 30, 0, 0, paris), 30*time.Minute)
	if len(pc.installs) > 0 {
		t.Errorf("installed at %s, in the freeze", pc.installs[0].at)
	}
	w.until(time.Date(2026, 1, 14, 21, 0, 0, 0, paris), 30*time.Minute)
	if pc.packages["openssl"] != "2" {
		t.Errorf("the evening after the freeze: %v", pc.packages)
	}
}

// At 19:30 somebody stops tonight, and edits no file; at midnight it is let go.
func TestAFreezeByHandTakesBackTonightsOrders(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	pc := w.device("pc", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 19, 30, 0, 0, paris), 30*time.Minute)
	if len(pc.orders) != 1 {
		t.Fatalf("%d orders before the window, want 1", len(pc.orders))
	}
	w.ask(func() error {
		_, err := w.srv.Rulebook.PlaceFreeze(t.Context(), "main", w.by, rulebook.PlaceFreeze{Name: "storm", To: "2026-01-15", Reason: "storm"})
		return err
	})
	w.until(time.Date(2026, 1, 14, 0, 30, 0, 0, paris), 30*time.Minute)
	if len(pc.installs) > 0 {
		t.Fatalf("installed at %s, in the freeze", pc.installs[0].at)
	}
	if why := w.whyNot(pc, "openssl", "2"); why.Code != fault.Frozen || why.Args["freeze"] != "storm" || why.Args["reason_fr"] != "storm" {
		t.Errorf("why: %s", why)
	}
	w.ask(func() error {
		return w.srv.Rulebook.EndFreeze(t.Context(), "main", w.by, rulebook.EndFreeze{Name: "storm", Reason: "over"})
	})
	w.until(time.Date(2026, 1, 14, 21, 30, 0, 0, paris), 30*time.Minute)
	if pc.packages["openssl"] != "2" {
		t.Errorf("the evening after it was ended: %v, %d orders, why %s", pc.packages, len(pc.orders), w.whyNot(pc, "openssl", "2"))
	}
}

func TestRulesOfProfilesDecideForTheirDevicesOnly(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	pc := w.device("pc", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	srv := w.device("srv", fleet.Server, "it-pilots", versions("1"), versions("2"))
	w.policy(`
rules: [{name: all, verdict: approve}]
profiles:
  - name: servers
    devices: device.kind == "server"
    rules:
      - {name: slow, patches: patch.name == "openssl", verdict: delay 4d}
      - {name: never, patches: patch.name == "nginx", verdict: decline}
`)
	w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 14, 12, 0, 0, 0, paris), time.Hour)
	if pc.packages["openssl"] != "2" || pc.packages["nginx"] != "2" || len(srv.installs) > 0 {
		t.Fatalf("on Wednesday: workstation %v, server %+v", pc.packages, srv.installs)
	}
	if why := w.whyNot(srv, "openssl", "2"); why.Code != fault.DelayedByRule || why.Args["rule"] != "profile:servers/slow" {
		t.Errorf("openssl: %s", why)
	}
	if why := w.whyNot(srv, "nginx", "2"); why.Code != fault.DeclinedByRule || why.Args["rule"] != "profile:servers/never" {
		t.Errorf("nginx: %s", why)
	}
	w.until(time.Date(2026, 1, 19, 12, 0, 0, 0, paris), time.Hour)
	if srv.packages["openssl"] != "2" || srv.packages["nginx"] != "1" {
		t.Errorf("after four days: %v", srv.packages)
	}
}

func TestANewVersionDoesNotBeginADelayAnew(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 9, 9, 0, 0, 0, paris))
	pc := w.device("pc", fleet.Workstation, "it-pilots", map[string]string{"openssl": "1"}, map[string]string{"openssl": "2"})
	w.policy(`rules: [{name: slow, verdict: delay 5d}]`)
	w.scan(pc)
	w.settle()
	w.until(time.Date(2026, 1, 12, 9, 0, 0, 0, paris), 12*time.Hour)
	pc.offers["openssl"] = "3" // three days later
	w.scan(pc)
	w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 22, 0, 0, 0, paris), time.Hour)
	if len(pc.installs) > 0 {
		t.Fatalf("installed at %s, before the five days", pc.installs[0].at)
	}
	rows, err := w.srv.DB.Read().MissingOfDevice(t.Context(), "main", string(pc.id))
	w.must(err)
	if len(rows) != 1 || rows[0].ExposedUs >= rows[0].SinceUs {
		t.Errorf("missing: %+v, want exposed since before this version", rows)
	}
}

// downTogether is the most devices of a set that had an order at one time, by
// the register.
func (w *world) downTogether(names ...string) int {
	w.t.Helper()
	entries := append(w.entries(register.OrderIssued), w.entries(register.OrderResult)...)
	slices.SortFunc(entries, func(a, b register.Entry) int { return cmp.Compare(a.Index, b.Index) })
	down, most := map[string]bool{}, 0
	for _, e := range entries {
		if !slices.ContainsFunc(names, func(n string) bool { return string(w.devices[n].id) == e.Device }) {
			continue
		}
		switch e.Kind {
		case register.OrderIssued:
			down[e.Device] = true
			most = max(most, len(down))
		case register.OrderResult:
			delete(down, e.Device)
		}
	}
	return most
}

func TestAGroupIsNeverDownTogether(t *testing.T) {
	for limit, want := range map[string]int{"1": 1, "40%": 2} {
		t.Run(limit, func(t *testing.T) {
			w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
			var names []string
			for i := range 5 {
				name := fmt.Sprintf("sql-%d", i)
				w.device(name, fleet.Server, "it-pilots", versions("1"), versions("2"))
				names = append(names, name)
			}
			w.device("pc", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
			w.policy(`limits: [{name: sql, devices: device.kind == "server", at_most: ` + limit + `}]`)
			c := w.campaign(t, "2026-01")
			w.until(time.Date(2026, 1, 13, 21, 0, 0, 0, paris), 10*time.Minute)
			if r := w.ring(c, 0, "R0"); r.Done != 6 {
				t.Errorf("R0: %d done of 6", r.Done)
			}
			if most := w.downTogether(names...); most != want {
				t.Errorf("%d were down together, want %d", most, want)
			}
		})
	}
}

func TestADeviceThatFallsSilentKeepsItsPlace(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	first := w.device("sql-1", fleet.Server, "it-pilots", versions("1"), versions("2"))
	second := w.device("sql-2", fleet.Server, "it-pilots", versions("1"), versions("2"))
	w.policy(`limits: [{name: sql, devices: device.kind == "server", at_most: 1}]`)
	w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 19, 30, 0, 0, paris), 10*time.Minute)
	silent, other := first, second
	if len(first.orders) == 0 {
		silent, other = second, first
	}
	if len(silent.orders) != 1 || len(other.orders) != 0 {
		t.Fatalf("before the window: %d and %d orders, want 1 and 0", len(silent.orders), len(other.orders))
	}
	silent.away = true
	w.until(time.Date(2026, 1, 14, 22, 0, 0, 0, paris), 10*time.Minute)
	if len(other.installs) > 0 {
		t.Fatalf("installed at %s, while the other may be down", other.installs[0].at)
	}
	if why := w.whyNot(other, "openssl", "2"); why.Code != fault.LimitReached {
		t.Errorf("why: %s", why)
	}
	silent.away = false
	w.until(time.Date(2026, 1, 15, 22, 0, 0, 0, paris), 10*time.Minute)
	if silent.packages["openssl"] != "2" || other.packages["openssl"] != "2" {
		t.Errorf("after it came back: %v and %v", silent.packages, other.packages)
	}
	if most := w.downTogether("sql-1", "sql-2"); most != 1 {
		t.Errorf("%d were down together", most)
	}
}

func TestARetiredDeviceKeepsNobodyWaiting(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	first := w.device("sql-1", fleet.Server, "it-pilots", versions("1"), versions("2"))
	second := w.device("sql-2", fleet.Server, "it-pilots", versions("1"), versions("2"))
	w.policy(`limits: [{name: sql, devices: device.kind == "server", at_most: 1}]`)
	w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 19, 30, 0, 0, paris), 10*time.Minute)
	dead, other := first, second
	if len(first.orders) == 0 {
		dead, other = second, first
	}
	dead.away = true
	w.until(time.Date(2026, 1, 13, 20, 30, 0, 0, paris), 10*time.Minute)
	if len(other.installs) > 0 {
		t.Fatalf("installed at %s, while the other may be down", other.installs[0].at)
	}
	w.must(w.srv.Access.Retire(t.Context(), access.Principal{Tenant: "main", Name: "admin", Roles: []string{access.Admin}}, dead.id, "its board is dead"))
	w.until(time.Date(2026, 1, 13, 22, 0, 0, 0, paris), 10*time.Minute)
	if other.packages["openssl"] != "2" {
		t.Errorf("after the other was retired: %v, %s", other.packages, w.whyNot(other, "openssl", "2"))
	}
}

// The place is for the reboot too, when that has its own window.
func TestAPlaceIsHeldUntilTheReboot(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	srv := w.device("sql-1", fleet.Server, "it-pilots", versions("1"), versions("2"))
	w.policy(`
limits: [{name: sql, devices: device.kind == "server", at_most: 1}]
profiles:
  - name: servers
    devices: device.kind == "server"
    reboot: {mode: window, windows: [{name: sunday, days: [sun], start: "03:00", end: "05:00"}]}
`)
	w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 19, 30, 0, 0, paris), 10*time.Minute)
	o := onlyOrder(t, srv)
	slots, err := w.srv.DB.Read().LimitSlots(t.Context(), gen.LimitSlotsParams{Tenant: "main", Name: "sql", NowUs: w.now.UnixMicro()})
	w.must(err)
	if len(slots) != 1 || slots[0].ExpiresUs != o.ExpiresUS || o.ExpiresUS < o.RebootWindows[0].EndUS {
		t.Errorf("places %+v for an order until %s", slots, time.UnixMicro(o.ExpiresUS))
	}
}

func TestDevicesOfASiteShareItsLine(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	var pcs []*fakeDevice
	for i := range 4 {
		pcs = append(pcs, w.device(fmt.Sprintf("pc-%d", i), fleet.Workstation, "it-pilots", versions("1"), versions("2")))
	}
	srv := w.device("srv", fleet.Server, "it-pilots", versions("1"), versions("2"))
	w.policy(`bandwidth: [{name: lyon, devices: device.kind == "workstation", mbit_per_s: 0.8}]`)
	w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 19, 30, 0, 0, paris), 30*time.Minute)
	for _, d := range pcs {
		if o := onlyOrder(t, d); o.DownloadBytesPerS != 25_000 {
			t.Errorf("an order to download at %d bytes a second, want a quarter of 100,000", o.DownloadBytesPerS)
		}
	}
	if o := onlyOrder(t, srv); o.DownloadBytesPerS != 0 {
		t.Errorf("a server's order to download at %d bytes a second", o.DownloadBytesPerS)
	}
}

func TestTheDatabaseGoesBeforeTheApplication(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	app := w.device("app", fleet.Server, "it-pilots", versions("1"), versions("2"))
	db := w.device("db", fleet.Server, "it-pilots", versions("1"), versions("2"))
	db.breaks["nginx2"] = true
	w.policy(`limits: [{name: erp, devices: device.kind == "server", at_most: 2, order: ['device.name == "db"', 'device.name == "app"']}]`)
	w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 22, 30, 0, 0, paris), 10*time.Minute)
	if len(db.installs) == 0 || len(app.installs) > 0 {
		t.Fatalf("the database did %+v, the application %+v", db.installs, app.installs)
	}
	if why := w.whyNot(app, "openssl", "2"); why.Code != fault.LimitTurn && why.Code != fault.GateFailedTooMany {
		t.Errorf("why: %s", why)
	}
	delete(db.breaks, "nginx2")
	w.until(time.Date(2026, 1, 14, 22, 30, 0, 0, paris), 10*time.Minute)
	if app.packages["openssl"] != "2" || app.installs[0].at.Before(db.installs[len(db.installs)-1].at) {
		t.Errorf("the application did %+v, the database %+v", app.installs, db.installs)
	}
}

func TestALimitStopsAfterTooManyFailures(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	var servers []*fakeDevice
	for i := range 4 {
		d := w.device(fmt.Sprintf("srv-%d", i), fleet.Server, "", versions("1"), versions("2"))
		d.breaks["nginx2"] = true
		servers = append(servers, d)
	}
	w.device("it", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	w.device("user", fleet.Workstation, "pilot-users", versions("1"), versions("2"))
	w.policy(`limits: [{name: prod, devices: device.kind == "server", at_most: 1, stop_after: 1}]`)
	c := w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 14, 12, 0, 0, 0, paris), time.Hour)
	w.sign(c, "R0", "it", 1)
	w.until(time.Date(2026, 1, 17, 12, 0, 0, 0, paris), time.Hour)
	w.sign(c, "R1", "business", 0)
	w.until(time.Date(2026, 1, 20, 22, 0, 0, 0, paris), time.Hour)
	tried := 0
	for _, d := range servers {
		if len(d.installs) > 0 {
			tried++
		}
	}
	if tried != 1 {
		t.Errorf("%d servers were tried, want 1: it failed", tried)
	}
	var codes []string
	for _, d := range servers {
		codes = append(codes, string(w.whyNot(d, "openssl", "2").Code))
	}
	if !strings.Contains(strings.Join(codes, " "), string(fault.LimitStopped)) {
		t.Errorf("why: %s", codes)
	}
}

func TestOrdersSayHowPeopleAndRebootsAreTreated(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	pc := w.device("pc", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	srv := w.device("srv", fleet.Server, "it-pilots", versions("1"), versions("2"))
	pc.breaks["nginx2"] = true
	w.policy(`
profiles:
  - name: desks
    devices: device.kind == "workstation"
    reboot: {mode: user}
    people: {postpones: 2, deadline: 30h, notice: 10m, countdown: 20m, battery_percent: 40, title: {fr: DSI, en: IT}}
  - name: servers
    devices: device.kind == "server"
    people: {deadline: 3d}
    reboot: {mode: window, windows: [{name: sunday, days: [sun], start: "03:00", end: "05:00"}]}
`)
	w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 19, 30, 0, 0, paris), 30*time.Minute)
	first := onlyOrder(t, pc)
	if p := first.People; p == nil || p.Postpones != 2 || p.NoticeS != 600 || p.CountdownS != 1200 || p.BatteryPercent != 40 || p.Text.FR.Title != "DSI" || first.Reboot != wire.RebootUser {
		t.Errorf("the workstation's order: %s, %+v", first.Reboot, p)
	}
	if at := time.UnixMicro(first.People.DeadlineUS); at.Sub(time.UnixMicro(first.IssuedUS)) != 30*time.Hour {
		t.Errorf("the deadline is %s, the order of %s", at, time.UnixMicro(first.IssuedUS))
	}
	o := onlyOrder(t, srv)
	sunday := time.Date(2026, 1, 18, 3, 0, 0, 0, paris)
	if o.People != nil || o.Reboot != wire.RebootWindow || len(o.RebootWindows) == 0 || time.UnixMicro(o.RebootWindows[0].StartUS).Before(sunday) || time.UnixMicro(o.RebootWindows[0].StartUS).After(sunday.Add(time.Hour)) ||
		!time.UnixMicro(o.RebootWindows[0].EndUS).Equal(sunday.Add(2*time.Hour)) || o.ExpiresUS < o.RebootWindows[0].EndUS {
		t.Errorf("the server's order: %+v", o)
	}
	// What failed is ordered again, and its deadline is the first one.
	w.until(time.Date(2026, 1, 14, 19, 30, 0, 0, paris), 30*time.Minute)
	again := onlyOrder(t, pc)
	if again.ID == first.ID || again.People.DeadlineUS != first.People.DeadlineUS {
		t.Errorf("written again: order %s with its deadline at %s, the first one's was %s", again.ID, time.UnixMicro(again.People.DeadlineUS), time.UnixMicro(first.People.DeadlineUS))
	}
}

func onlyOrder(t *testing.T, d *fakeDevice) wire.Order {
	t.Helper()
	if len(d.orders) != 1 {
		t.Fatalf("%d orders, want 1", len(d.orders))
	}
	for _, o := range d.orders {
		return o
	}
	panic("unreachable")
}

// Whatever the fleet does, no more than a limit allows are down at once.
func TestNeverMoreThanTheLimitAtOnce(t *testing.T) {
	for seed := range uint64(4) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
		allowed := 1 + rnd.IntN(3)
		var names []string
		for i := range 3 + rnd.IntN(5) {
			name := fmt.Sprintf("srv-%d", i)
			d := w.device(name, fleet.Server, "it-pilots", versions("1"), versions("2"))
			d.breaks["nginx2"] = rnd.IntN(4) == 0
			names = append(names, name)
		}
		w.policy(fmt.Sprintf(`limits: [{name: l, devices: device.kind == "server", at_most: %d}]`, allowed))
		w.campaign(t, "2026-01")
		for w.now.Before(time.Date(2026, 1, 16, 23, 0, 0, 0, paris)) {
			w.until(w.now.Add(time.Duration(5+rnd.IntN(90))*time.Minute), 15*time.Minute)
			d := w.devices[names[rnd.IntN(len(names))]]
			d.away = rnd.IntN(3) == 0
		}
		if most := w.downTogether(names...); most > allowed || most == 0 {
			t.Errorf("seed %d: %d were down together, %d allowed", seed, most, allowed)
		}
	}
}
