package campaign_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/core/procedure"
	"patchring/wire"
)

// TestNever lets people, patches and devices do anything in any order, in any
// month of ten years and zones that change their clocks in every way, and
// checks at every decision and every act what must never be (never_test.go):
// outside a window, before a ring opened, past a gate, refused or withdrawn
// content, two orders, too many attempts, a device that is not counted, a
// second opinion on the same values, a look into the past, a reason without
// words. When all obstacles are gone, everybody must get to an end.
func TestNever(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := chaos{world: newWorld(rt, anyProcedure(rt), rapid.IntRange(2024, 2033).Draw(rt, "year"), time.Month(rapid.IntRange(1, 12).Draw(rt, "month"))), rt: rt}
		c.populate()
		c.until(c.schedule.Rings[0].Opens)
		for range rapid.IntRange(5, 40).Draw(rt, "events") {
			c.until(c.now.Add(time.Duration(rapid.IntRange(1, 36*60).Draw(rt, "minutes")) * time.Minute))
			c.checkNumbers()
			c.checkIdle()
			c.anything()
			c.settle()
			c.checkNumbers()
		}
		c.calm()
	})
}

var zones = []string{
	"Europe/Paris", "America/New_York", "America/Los_Angeles", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia", "America/Nuuk", "UTC",
}

func anyZone(t *rapid.T) *time.Location {
	zone, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// anyProcedure is one that Parse could have returned.
func anyProcedure(t *rapid.T) procedure.Procedure {
	p := procedure.Procedure{
		Name: "any", Zone: anyZone(t), Classes: []patch.Class{patch.Security}, Reboot: procedure.RebootIfNeeded,
		Perimeter:        fleet.Selector{All: true},
		Attempts:         rapid.IntRange(1, 3).Draw(t, "attempts"),
		RetryAfter:       time.Duration(rapid.IntRange(1, 30).Draw(t, "retry")) * time.Hour,
		UnreachableAfter: time.Duration(rapid.IntRange(12, 96).Draw(t, "unreachable")) * time.Hour,
		Rollback:         procedure.Rollback{Rehearse: rapid.Bool().Draw(t, "rehearse"), RehearseDevices: rapid.IntRange(0, 2).Draw(t, "rehearsing")},
		Verification:     procedure.Verification{DaysAfterLastRingOpens: rapid.IntRange(1, 3).Draw(t, "verification")},
	}
	day := 1
	rings := rapid.IntRange(1, 4).Draw(t, "rings")
	for i := range rings {
		r := procedure.Ring{
			Name: "R" + strconv.Itoa(i), Members: fleet.Selector{Groups: []string{"g" + strconv.Itoa(i)}},
			Opens: procedure.DayTime{Day: day, At: calendar.Clock(rapid.IntRange(0, 23).Draw(t, "opens") * 60)},
			Soak:  time.Duration(rapid.IntRange(0, 48).Draw(t, "soak")) * time.Hour,
			Gate:  anyGate(t),
		}
		if i == rings-1 {
			r.Members = fleet.Selector{All: true}
		}
		p.Rings = append(p.Rings, r)
		day += rapid.IntRange(1, 6).Draw(t, "days")
	}
	p.Windows = []procedure.WindowRule{anyWindow(t, p.Zone)}
	p.Windows[0].For.Kinds = nil // most devices have a window
	for range rapid.IntRange(0, 2).Draw(t, "more windows") {
		p.Windows = append(p.Windows, anyWindow(t, p.Zone))
	}
	return p
}

func anyGate(t *rapid.T) procedure.Gate {
	percent := rapid.SampledFrom([]float64{0, 5, 50, 100, 100})
	g := procedure.Gate{
		MinDevices: rapid.IntRange(1, 2).Draw(t, "devices"), MinDonePercent: 100 - percent.Draw(t, "missing"), MaxFailed: rapid.IntRange(0, 2).Draw(t, "failed"),
		MaxUnreachablePercent: percent.Draw(t, "unreachable"), MaxNotReachedPercent: percent.Draw(t, "not reached"),
	}
	if rapid.Bool().Draw(t, "signed") {
		g.SignOffs = []procedure.SignOffRule{{Role: "it"}}
	}
	return g
}

func anyWindow(t *rapid.T, zone *time.Location) procedure.WindowRule {
	w := calendar.Window{
		Zone: zone, Start: calendar.Clock(rapid.IntRange(0, 47).Draw(t, "start") * 30),
		Days: rapid.SliceOfNDistinct(rapid.SampledFrom([]time.Weekday{0, 1, 2, 3, 4, 5, 6}), 2, 7, rapid.ID).Draw(t, "weekdays"),
	}
	if rapid.Bool().Draw(t, "elapsed") {
		w.Duration = time.Duration(rapid.IntRange(1, 12).Draw(t, "hours")) * time.Hour
	} else {
		w.End = calendar.Clock(rapid.IntRange(0, 47).Draw(t, "end") * 30)
	}
	if rapid.Bool().Draw(t, "holidays") {
		w.Except = calendar.PublicHolidaysFR
	}
	return procedure.WindowRule{For: fleet.Selector{All: true, Kinds: rapid.SampledFrom([][]fleet.Kind{nil, {fleet.Workstation}, {fleet.Server}}).Draw(t, "for")}, Window: w}
}

// chaos is a world in which anything happens.
type chaos struct {
	*world
	rt *rapid.T
}

var packages = []string{"curl", "nginx", "openssl", "zlib"}

func (c *chaos) populate() {
	for _, name := range packages {
		c.offers[name] = "2"
	}
	if rapid.Bool().Draw(c.rt, "one is pending") {
		c.classes["zlib"] = patch.Quality
	}
	for range rapid.IntRange(0, 6).Draw(c.rt, "fleet") {
		c.devices = append(c.devices, c.anyDevice())
	}
	for range rapid.IntRange(0, len(c.devices)).Draw(c.rt, "habits") {
		c.changeHabit()
	}
}

func (c *chaos) anyDevice() *device {
	d := newDevice(fmt.Sprintf("d%d", len(c.devices)), rapid.SampledFrom([]fleet.Kind{fleet.Workstation, fleet.Server}).Draw(c.rt, "kind"),
		rapid.SampledFrom([]string{"g0", "g0", "g1", "g2", "none"}).Draw(c.rt, "group"))
	for _, name := range packages {
		if version := rapid.SampledFrom([]string{"1", "1", "1", "2", ""}).Draw(c.rt, name); version != "" {
			d.installed[name] = version
		}
	}
	return d
}

// anything is one event of many.
func (c *chaos) anything() {
	events := []string{"sign", "sign", "sign", "sign", "sign", "hold", "lift", "lift", "lift", "withdraw", "decide", "offer", "amend", "roll back", "expedite", "enrol", "policy", "policy", "except"}
	if len(c.devices) > 0 {
		events = append(events, "come or go", "come or go", "habit", "habit", "habit", "move", "retire", "tamper")
	}
	map[string]func(){
		"sign": c.sign, "hold": c.holdSomething, "lift": c.lift, "withdraw": c.withdrawOne, "decide": c.decideOne, "offer": c.offerOne,
		"amend": c.amendOne, "roll back": c.rollBackSome, "expedite": c.hurryOne, "enrol": c.enrolOne, "come or go": c.comeOrGo,
		"habit": c.changeHabit, "move": c.moveOne, "retire": c.retireOne, "tamper": c.tamper, "policy": c.changePolicy, "except": c.exceptOne,
	}[rapid.SampledFrom(events).Draw(c.rt, "event")]()
}

func (c *chaos) device() *device {
	return c.devices[rapid.IntRange(0, len(c.devices)-1).Draw(c.rt, "device")]
}

func (c *chaos) ringAny(what string) *ring {
	return c.rings[rapid.IntRange(0, len(c.rings)-1).Draw(c.rt, what)]
}

func (c *chaos) sign() {
	for _, r := range c.rings {
		if r.Ring.Ring.Opened() && !r.Ring.Ring.Passed() {
			c.signOff(r, "it", rapid.IntRange(0, 4).Draw(c.rt, "yes") > 0)
		}
	}
}

func (c *chaos) holdSomething() {
	h := campaign.Hold{Campaign: campaignID, Actor: "user:admin", Reason: "chaos"}
	if rapid.Bool().Draw(c.rt, "ring") && len(c.rings) > 0 {
		h.Ring = c.ringAny("held ring").Name
	}
	if rapid.Bool().Draw(c.rt, "device") && len(c.devices) > 0 {
		h.Device = string(c.device().member.Device)
	}
	if rapid.Bool().Draw(c.rt, "patch") && len(c.items) > 0 {
		h.Item = string(rapid.SampledFrom(c.items).Draw(c.rt, "held patch").ID)
	}
	c.place(h)
}

func (c *chaos) withdrawOne() {
	if len(c.items) > 0 {
		c.withdraw(rapid.SampledFrom(c.items).Draw(c.rt, "withdrawn").ID, "chaos")
	}
}

func (c *chaos) decideOne() {
	d := policy.Decision{Verdict: rapid.SampledFrom([]policy.Verdict{policy.Approved, policy.Declined, policy.Delayed}).Draw(c.rt, "verdict"), Actor: "user:admin", At: c.now}
	if d.Verdict == policy.Delayed || rapid.Bool().Draw(c.rt, "ends") {
		d.Until = c.now.Add(time.Duration(rapid.IntRange(1, 240).Draw(c.rt, "until")) * time.Hour)
	}
	c.decide(policy.ScopeOfName("apt", rapid.SampledFrom(packages).Draw(c.rt, "decided")), d)
}

// changePolicy puts another policy in force: rules, windows, freezes and
// safeguards that contradict each other.
func (c *chaos) changePolicy() {
	draw := func(what string, from ...string) string { return rapid.SampledFrom(from).Draw(c.rt, what) }
	kind := func() string { return draw("kind", "workstation", "server") }
	verdict := func() string { return draw("verdict", "approve", "delay 1d", "delay 6d", "decline") }
	date := func(days int) string { return calendar.DateOf(c.now, c.procedure.Zone).AddDays(days).String() }
	var b strings.Builder
	fmt.Fprintf(&b, "policy: chaos\ntitle: chaos\nowner: chaos\ntimezone: %s\n", c.procedure.Zone)
	if rapid.Bool().Draw(c.rt, "max exposure") {
		b.WriteString("max_exposure: 8d\n")
	}
	b.WriteString("rules:\n")
	for i := range rapid.IntRange(1, 3).Draw(c.rt, "rules") {
		fmt.Fprintf(&b, "  - {name: r%d, patches: patch.name == %q, verdict: %s}\n", i, draw("ruled", packages...), verdict())
	}
	b.WriteString("profiles:\n")
	fmt.Fprintf(&b, "  - name: p\n    devices: device.kind == %q\n    rules: [{name: r, patches: patch.name == %q, verdict: %s}]\n", kind(), draw("ruled", packages...), verdict())
	if rapid.Bool().Draw(c.rt, "windows") {
		fmt.Fprintf(&b, "    windows: [{name: w, days: [mon, tue, thu, sat], start: %q, duration: %dh}]\n",
			draw("start", "01:30", "02:30", "12:00", "23:00"), rapid.IntRange(1, 12).Draw(c.rt, "hours"))
	}
	if rapid.Bool().Draw(c.rt, "freeze") {
		from := rapid.IntRange(-2, 6).Draw(c.rt, "from")
		fmt.Fprintf(&b, "freezes: [{name: f, devices: device.kind == %q, from: %s, to: %s, reason: chaos}]\n", kind(), date(from), date(from+rapid.IntRange(0, 5).Draw(c.rt, "days")))
	}
	if rapid.Bool().Draw(c.rt, "safeguard") {
		name, of := draw("guarded", packages...), kind()
		fmt.Fprintf(&b, "safeguards: [{name: %s-%s, devices: device.kind == %q, patches: patch.name == %q, reason: chaos}]\n", name, of, of, name)
	}
	p, err := policy.Parse("chaos.yaml", []byte(b.String()))
	if err != nil {
		c.rt.Fatalf("%v in\n%s", err, b.String())
	}
	c.policies.Tenant, c.windows = &p, nil
	c.touch(everyRow)
}

func (c *chaos) exceptOne() {
	e := policy.Exception{ID: strconv.Itoa(len(c.excepted)), From: c.now, Until: c.now.Add(time.Duration(rapid.IntRange(1, 200).Draw(c.rt, "hours")) * time.Hour), Owner: "it"}
	if len(c.devices) > 0 && rapid.Bool().Draw(c.rt, "of a device") {
		e.Device = c.device().member.Device
	} else if rapid.Bool().Draw(c.rt, "of a group") {
		e.Group = rapid.SampledFrom([]string{"g0", "g1"}).Draw(c.rt, "group")
	}
	if rapid.Bool().Draw(c.rt, "of a patch") {
		e.Patch = policy.ScopeOfName("apt", rapid.SampledFrom(packages).Draw(c.rt, "excepted"))
	}
	c.excepted = append(c.excepted, e)
	c.touch(everyRow)
}

func (c *chaos) offerOne() {
	c.offers[rapid.SampledFrom(packages).Draw(c.rt, "offered")] = strconv.Itoa(rapid.IntRange(1, 4).Draw(c.rt, "version"))
}

func (c *chaos) amendOne() {
	if len(c.amended) == 0 || len(c.amended)-len(c.undos) > 2 {
		return
	}
	c.addAmendment([]patch.Key{keyOf(rapid.SampledFrom(packages).Draw(c.rt, "late"), strconv.Itoa(rapid.IntRange(2, 4).Draw(c.rt, "late version")))})
}

func (c *chaos) rollBackSome() {
	if len(c.amended) == 0 {
		return
	}
	var ask campaign.Rollback
	switch rapid.IntRange(0, 12).Draw(c.rt, "what goes back") {
	case 12:
	case 0, 1, 2, 3, 4:
		if len(c.items) == 0 {
			return
		}
		ask.Patch = rapid.SampledFrom(c.items).Draw(c.rt, "patch goes back").ID
	case 5, 6:
		ask.Ring = c.ringAny("ring goes back").Name
	default:
		if len(c.devices) == 0 {
			return
		}
		ask.Device = c.device().member.Device
	}
	ask.ByRing = rapid.Bool().Draw(c.rt, "by ring")
	c.rollBack(ask)
}

func (c *chaos) hurryOne() {
	if len(c.rings) > 0 {
		c.hurry(c.ringAny("expedited"))
	}
}

func (c *chaos) enrolOne() {
	d := c.anyDevice()
	c.devices = append(c.devices, d)
	if !c.started.IsZero() {
		c.enlist(d)
		d.scan(c.world)
	}
}

func (c *chaos) comeOrGo() {
	d := c.device()
	if d.away {
		c.comeBack(d)
	} else {
		d.away, d.leftAt = true, c.now
	}
}

func (c *chaos) changeHabit() {
	d, name := c.device(), rapid.SampledFrom(packages).Draw(c.rt, "package")
	switch rapid.IntRange(-2, 7).Draw(c.rt, "habit") {
	case -2, -1, 0:
		d.breaks[name+"=2"] = rapid.IntRange(-1, 2).Draw(c.rt, "times")
	case 1:
		d.lies[name] = !d.lies[name]
	case 2:
		d.reboots[name], d.noReboot = true, true
	case 3:
		d.discards[name] = !d.discards[name]
	case 4:
		d.vetoed[name] = !d.vetoed[name]
	case 5:
		d.marked[name] = !d.marked[name]
	case 6:
		d.habits.scan = rapid.SampledFrom([]wire.ScanStatus{wire.ScanOK, wire.ScanStale, wire.ScanFailed}).Draw(c.rt, "scans")
	default:
		c.restart(d)
	}
}

func (c *chaos) moveOne() {
	d := c.device()
	if len(d.rows) == 0 {
		return
	}
	r, to := d.rows[rapid.IntRange(0, len(d.rows)-1).Draw(c.rt, "row")], rapid.IntRange(0, len(c.procedure.Rings)-1).Draw(c.rt, "to")
	if r.absent || r.goal == campaign.RollBack {
		return // nobody moves a device in a rollback
	}
	c.move(r, to)
}

func (c *chaos) retireOne() {
	if rapid.IntRange(0, 3).Draw(c.rt, "really") == 0 {
		c.retire(c.device())
	}
}

// tamper: somebody changes a package by hand.
func (c *chaos) tamper() {
	d, name := c.device(), rapid.SampledFrom(packages).Draw(c.rt, "package")
	d.installed[name] = strconv.Itoa(rapid.IntRange(1, 3).Draw(c.rt, "by hand"))
	d.scan(c.world)
}

// calm removes every obstacle and gives everybody two months: whoever has not
// come to an end must wait for a person, or for something that never was.
func (c *chaos) calm() {
	c.lift()
	c.decisions = map[policy.Scope]policy.Decision{}
	c.policies, c.excepted, c.windows = policy.Policies{}, nil, nil
	for _, d := range c.devices {
		d.habits = newDevice("", "").habits
		if d.away {
			c.comeBack(d)
		}
		if !d.retired {
			c.restart(d)
		}
	}
	c.touch(everyRow)
	for range 8 {
		c.until(c.now.Add(8 * 24 * time.Hour))
		for _, r := range c.rings {
			if r.Ring.Ring.Opened() && !r.Ring.Ring.Passed() {
				c.signOff(r, "it", true)
			}
		}
	}
	c.checkNumbers()
	c.checkIdle()
	forPeople := []fault.Code{fault.RingNotOpen, fault.NoWindow, fault.GateFailedTooMany, fault.VersionGone, fault.DeviceRetired}
	for _, d := range c.devices {
		for _, r := range d.rows {
			b := r.decision
			if !r.absent && (b.Bucket == campaign.NotReached || b.Bucket == campaign.Unreachable) && !slices.Contains(forPeople, b.Reason.Code) {
				c.Fatalf("%s: with nothing in the way %s is still %s for %s (items %+v)", c.now, d.member.Name, b.Bucket, b.Reason, b.Items)
			}
		}
	}
	for _, r := range c.rings {
		if n := r.Counters.NotReached + r.Counters.Failed + r.Counters.Exempt; n == 0 && r.Counters.Total() >= max(1, r.Gate.MinDevices) &&
			(r.position == 0 || c.ring(r.amendment, r.position-1).Ring.Ring.Passed()) && c.state == campaign.Verifying && !r.Ring.Ring.Passed() {
			c.Fatalf("%s: ring %s is %s with %+v and everybody willing: %v", c.now, r.Name, r.Ring.Ring, r.Counters, reasonCodes(r.decision.Reasons))
		}
	}
}

// TestTenYears runs the example's month for every month of ten years, the zone
// changing every month, with one device of each kind and ring.
func TestTenYears(t *testing.T) {
	p := exampleProcedure(t, "postes-france.yaml")
	for n := range 120 {
		zone, err := time.LoadLocation(zones[n%len(zones)])
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, inZone(p, zone), 2024+n/12, time.Month(n%12+1))
		w.offers["openssl"] = "2"
		for i, group := range []string{"it-pilots", "pilot-users", "", ""} {
			d := newDevice(fmt.Sprintf("d%d", i), []fleet.Kind{fleet.Workstation, fleet.Server}[i%2], group)
			d.installed["openssl"] = "1"
			w.devices = append(w.devices, d)
		}
		for range 20 {
			w.until(w.now.Add(36 * time.Hour))
			for _, r := range w.rings {
				if r.Ring.Ring == campaign.RingGate {
					w.signOff(r, r.Gate.SignOffs[0].Role, true)
				}
			}
		}
		w.checkNumbers()
		w.checkIdle()
		if len(w.installs) != 4 || w.state != campaign.Verifying || w.ring(0, 2).Ring.Ring != campaign.RingDone {
			t.Fatalf("%s in %s: %d installs, %s, GLOBAL %s", w.schedule.Campaign, zone, len(w.installs), w.state, w.ring(0, 2).Ring.Ring)
		}
		for _, i := range w.installs {
			if i.at.Before(w.schedule.Release) {
				t.Errorf("%s: %s installed before the release at %s", i.at, i.device, w.schedule.Release)
			}
		}
	}
}

// inZone is the procedure as people in another zone would have written it.
func inZone(p procedure.Procedure, zone *time.Location) procedure.Procedure {
	p.Zone, p.Windows = zone, slices.Clone(p.Windows)
	for i := range p.Windows {
		p.Windows[i].Zone = zone
	}
	return p
}
