package campaign_test

import (
	"slices"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/wire"
)

// device is one of the fleet: its packages, its habits, its agent, and what the
// server keeps of it.
type device struct {
	member    fleet.Member
	installed map[string]string
	offers    map[string]string // what its own source offers instead of the repository
	habits

	away     bool
	leftAt   time.Time
	retired  bool
	reboot   bool // it needs one
	booted   time.Time
	orders   []*order
	spool    []event
	nextScan time.Time
	holds    []campaign.Hold // as it last heard

	// What the server knows.
	mailbox    []*order
	cancels    []string
	rows       []*row
	scanAt     time.Time
	scanStatus wire.ScanStatus
	missing    []campaign.Missing
	saidReboot bool
	wantScan   bool
}

// habits are how a device's packages and its administrator behave.
type habits struct {
	breaks   map[string]int  // name=version → how often its install fails; -1 always
	lies     map[string]bool // name: its install claims success and changes nothing
	reboots  map[string]bool // name: it wants a reboot
	discards map[string]bool // name: its old package is not kept
	vetoed   map[string]bool // name: the local file forbids it
	marked   map[string]bool // name: held by the device's administrator
	noReboot bool            // nobody reboots it but by hand
	scan     wire.ScanStatus // empty: ok
}

// order is one order, on the server and on the device.
type order struct {
	id        string
	amendment int
	ring      string
	spec      campaign.OrderSpec
	issued    time.Time

	step      wire.Step // as the agent knows it
	finish    time.Time
	cancelled bool

	saidStep  wire.Step // as the server has heard
	saidCause fault.Reason
	saidNext  time.Time
}

func (o *order) open() *campaign.OpenOrder {
	out := &campaign.OpenOrder{
		ID: o.id, Kind: o.spec.Kind, Step: o.saidStep, Cause: o.saidCause, Next: o.saidNext, Issued: o.issued, Expires: o.spec.Expires,
		Windows: o.spec.Windows,
	}
	for _, item := range o.spec.Items {
		out.Items = append(out.Items, patch.ID(item.ID))
	}
	return out
}

// event is what a device says of an order; with outcomes it is its end.
type event struct {
	order    *order
	step     wire.Step
	cause    fault.Reason
	next     time.Time
	outcomes []wire.Outcome
}

func newDevice(name string, kind fleet.Kind, groups ...string) *device {
	return &device{
		member:    fleet.Member{Device: fleet.DeviceID(name), Name: name, Kind: kind, Groups: groups, Tags: fleet.Tags{}},
		installed: map[string]string{}, offers: map[string]string{}, habits: habits{
			breaks: map[string]int{}, lies: map[string]bool{}, reboots: map[string]bool{}, discards: map[string]bool{},
			vetoed: map[string]bool{}, marked: map[string]bool{},
		},
	}
}

func (d *device) lastSeen(now time.Time) time.Time {
	if d.away {
		return d.leftAt
	}
	return now
}

const (
	installTakes = 10 * time.Minute
	scanEvery    = 24 * time.Hour
)

// times tells when the device has something to do by itself.
func (d *device) times(tell func(time.Time)) {
	tell(d.nextScan)
	for _, o := range d.orders {
		tell(o.finish)
		tell(o.spec.Expires)
		for _, i := range o.spec.Windows {
			tell(i.Start)
			tell(i.End)
		}
	}
}

// act is all a device does at one instant: with the server if it reaches it,
// and by itself.
func (d *device) act(w *world) (busy bool) {
	if d.retired {
		return false
	}
	if !d.away {
		busy = d.talk(w)
	}
	for _, o := range slices.Clone(d.orders) {
		busy = d.work(w, o) || busy
	}
	return busy
}

func (d *device) talk(w *world) (busy bool) {
	d.holds = slices.Clone(w.holds)
	for _, o := range d.mailbox {
		for _, older := range d.orders {
			older.cancelled = older.cancelled || older.amendment == o.amendment
		}
		d.orders = append(d.orders, o)
		d.say(o, event{step: wire.StepAccepted})
	}
	busy = len(d.mailbox)+len(d.spool) > 0
	d.mailbox = nil
	for _, o := range d.orders {
		o.cancelled = o.cancelled || slices.Contains(d.cancels, o.id)
	}
	d.cancels = nil
	for _, e := range d.spool {
		w.report(d, e)
	}
	d.spool = nil
	if soon := w.now.Add(time.Minute); d.wantScan && soon.Before(d.nextScan) {
		d.nextScan = soon // it takes a while
	}
	d.wantScan = false
	if !w.now.Before(d.nextScan) {
		d.scan(w)
		busy = true
	}
	return busy
}

func (d *device) say(o *order, e event) {
	e.order = o
	d.spool = append(d.spool, e)
}

// scan tells the server what is missing. One that fails tells nothing.
func (d *device) scan(w *world) {
	d.nextScan = w.now.Add(scanEvery)
	if d.away || d.retired {
		return
	}
	d.scanStatus, d.saidReboot = wire.ScanOK, d.reboot
	if d.habits.scan != "" {
		d.scanStatus = d.habits.scan
	}
	for _, r := range d.rows {
		r.dirty = true
	}
	if d.scanStatus == wire.ScanFailed {
		return
	}
	d.scanAt, d.missing = w.now, nil
	for name, have := range d.installed {
		offered := w.offers[name]
		if own, ok := d.offers[name]; ok {
			offered = own
		}
		if offered == "" || !patch.Newer(keyOf(name, offered), keyOf(name, have)) {
			continue
		}
		key := keyOf(name, offered)
		m := campaign.Missing{
			ID: key.ID(), Patch: policy.Patch{Key: key, Class: patch.Security}, State: wire.PatchOffered,
			Packages: []wire.Change{{Name: name, From: have, To: offered}},
		}
		if c, ok := w.classes[name]; ok {
			m.Class = c
		}
		if d.marked[name] {
			m.State = wire.PatchHeld
		}
		d.missing = append(d.missing, m)
	}
	slices.SortFunc(d.missing, func(a, b campaign.Missing) int { return compare(a.ID, b.ID) })
}

func compare(a, b patch.ID) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// work moves one order on the device.
func (d *device) work(w *world, o *order) bool {
	begun := !o.finish.IsZero()
	switch {
	case begun && w.now.Before(o.finish):
		return false
	case begun:
		d.finish(w, o)
	case o.cancelled:
		d.end(w, o, skipped(o, fault.Because(fault.OrderCancelled)))
	case !w.now.Before(o.spec.Expires):
		d.end(w, o, skipped(o, fault.Because(fault.OrderExpired)))
	default:
		return d.begin(w, o)
	}
	return true
}

func skipped(o *order, why fault.Reason) []wire.Outcome {
	var out []wire.Outcome
	for _, item := range o.spec.Items {
		out = append(out, wire.Outcome{Item: item.ID, State: wire.ItemSkipped, Cause: &wire.Cause{Code: string(why.Code)}})
	}
	return out
}

// begin starts the install if the device may act now. A hold stops installs,
// not rollbacks.
func (d *device) begin(w *world, o *order) bool {
	inside := slices.ContainsFunc(o.spec.Windows, func(i calendar.Interval) bool { return i.Contains(w.now) })
	held := slices.ContainsFunc(d.holds, func(h campaign.Hold) bool {
		return h.Item == "" && (h.Ring == "" || h.Ring == o.ring) && (h.Device == "" || h.Device == string(d.member.Device))
	})
	if !inside || held && o.spec.Kind == wire.OrderInstall {
		return false
	}
	w.checkBegin(d, o)
	o.step, o.finish = wire.StepInstall, w.now.Add(installTakes)
	d.say(o, event{step: wire.StepInstall})
	return true
}

func (d *device) finish(w *world, o *order) {
	var out []wire.Outcome
	for _, item := range o.spec.Items {
		if o.spec.Kind == wire.OrderRollback {
			out = append(out, d.takeBack(w, item))
		} else {
			out = append(out, d.install(w, item))
		}
	}
	d.end(w, o, out)
}

// end drops the order, and scans soon after it.
func (d *device) end(w *world, o *order, outcomes []wire.Outcome) {
	d.orders = slices.DeleteFunc(d.orders, func(have *order) bool { return have == o })
	o.finish, o.step = time.Time{}, wire.StepDone
	d.say(o, event{step: wire.StepDone, outcomes: outcomes})
	if next := w.now.Add(time.Minute); next.Before(d.nextScan) {
		d.nextScan = next
	}
}

func (d *device) install(w *world, item wire.Item) wire.Outcome {
	out := wire.Outcome{Item: item.ID, State: wire.ItemVerified}
	did := install{at: w.now, device: d.member.Name, kind: wire.OrderInstall, name: item.Name, version: item.Version}
	for _, c := range item.Packages {
		c.Rollback = wire.RollbackReady
		if d.discards[c.Name] {
			c.Rollback, c.Why = wire.RollbackImpossible, "no_old_package"
		}
		out.Packages = append(out.Packages, c)
	}
	offered := w.offers[item.Name]
	if own, ok := d.offers[item.Name]; ok {
		offered = own
	}
	hold := slices.ContainsFunc(d.holds, func(h campaign.Hold) bool { return h.Item == item.ID })
	broken := item.Name + "=" + item.Version
	switch {
	case d.installed[item.Name] == item.Version:
		out.State, out.Cause = wire.ItemNotApplicable, &wire.Cause{Code: string(fault.NotApplicable)}
		return out
	case d.vetoed[item.Name]:
		out.State, out.Cause = wire.ItemSkipped, &wire.Cause{Code: string(fault.LocalVeto), Args: map[string]string{"rule": item.Name}}
		return out
	case hold:
		out.State, out.Cause = wire.ItemSkipped, &wire.Cause{Code: string(fault.ItemHeld)}
		return out
	case offered != item.Version:
		out.State, out.Cause = wire.ItemFailed, &wire.Cause{Code: string(fault.VersionGone)}
		return out
	case d.breaks[broken] != 0:
		d.breaks[broken]--
		out.State, out.Cause = wire.ItemFailed, &wire.Cause{Code: string(fault.PackageFailed), Args: map[string]string{"package": item.Name}}
	case d.lies[item.Name]:
		// Its word is kept below; its scan will say otherwise.
		did.ok = true
	default:
		did.ok = true
		d.installed[item.Name] = item.Version
		if d.reboots[item.Name] && d.noReboot {
			d.reboot = true
			out.State, out.Cause = wire.ItemClaimed, &wire.Cause{Code: string(fault.RebootPendingNow)}
		}
	}
	w.installs = append(w.installs, did)
	return out
}

func (d *device) takeBack(w *world, item wire.Item) wire.Outcome {
	out := wire.Outcome{Item: item.ID, State: wire.ItemRolledBack, Packages: item.Packages}
	for _, c := range item.Packages {
		d.installed[c.Name] = c.To
		w.installs = append(w.installs, install{at: w.now, device: d.member.Name, kind: wire.OrderRollback, name: c.Name, version: c.To, ok: true})
	}
	return out
}
