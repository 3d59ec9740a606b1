package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/endpoint/executor"
	"patchring/internal/endpoint/journal"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/server"
	"patchring/wire"
)

// world is a whole server with a clock of its own and a fleet of devices that
// report as an agent does: through the gateway, in the wire's messages. Nothing
// runs by itself: settle lets everybody act until nobody has anything to do.
type world struct {
	t       *testing.T
	now     time.Time
	srv     *server.Server
	devices map[string]*fakeDevice
	order   []string
	by      register.Actor

	data, database string
	fault          func(stored bool) error
	stop           func() // the server
}

// fakeDevice is a device with packages instead of a package manager.
type fakeDevice struct {
	id       fleet.DeviceID
	away     bool
	seq      int64
	packages map[string]string // name → version
	offers   map[string]string // name → version the repository has
	breaks   map[string]bool   // name+version whose install fails
	dies     map[string]bool   // name+version that installs and whose service then fails
	unkept   map[string]bool   // names whose previous version could not be kept
	sticks   map[string]bool   // names that no rollback puts back
	orders   map[string]wire.Order
	holds    wire.Holds
	installs []install // everything it ever did
	found    wire.Part // by the last scan
	facts    *wire.Facts
	packed   wire.Part // facts
	litter

	signal   string // why it needs a reboot; empty: it does not
	stubborn bool   // the signal outlives every boot
	vetoes   bool   // its administrator forbids reboots
	boots    int
	reboots  []wire.Order  // that it carried out
	outside  int           // of them outside their windows
	took     time.Duration // its installs
	outdated bool          // its agent knows no orders to reboot
	lost     bool          // it does not come back from its next restart
	comeBack func()        // what it does when somebody has helped it
	seen     []wire.Order  // every order that it accepted
	patient  bool          // it puts nothing back: its people say later

	networks []wire.Interface
	woken    []wire.Wake // that it was asked to wake
	vetoWake bool

	// Of a device that judges orders as the real agent does (world.witness).
	agent    *executor.Executor
	journal  *journal.Journal
	refusals []error
}

type install struct {
	at            time.Time
	kind          wire.OrderKind
	name, version string
	inside        bool // of a window of its order
}

func newWorld(t *testing.T, start time.Time) *world {
	t.Helper()
	return faultyWorld(t, start, nil)
}

// errCommit is a commit that failed: not stored, or stored without saying so.
var errCommit = errors.New("the commit failed")

// faultyWorld is a world whose commits fail when fault says so. Everybody in
// it does what it does in life after an error: the agent sends again, the
// conductor's loop goes round again, the operator asks again.
func faultyWorld(t *testing.T, start time.Time, fault func(stored bool) error) *world {
	t.Helper()
	return worldOn(t, start, "", fault)
}

// worldOn is a world on a database; empty: a file of its own.
func worldOn(t *testing.T, start time.Time, database string, fault func(stored bool) error) *world {
	t.Helper()
	w := &world{t: t, now: start, devices: map[string]*fakeDevice{}, by: register.User("admin"), data: t.TempDir(), database: database, fault: fault}
	w.serve()
	t.Cleanup(func() { w.stop() })
	return w
}

// serve starts a server on the world's data.
func (w *world) serve() {
	w.t.Helper()
	srv, err := server.New(w.t.Context(), server.Options{
		Config: w.config(), Version: "test", Clock: func() time.Time { return w.now }, Log: quiet(), Fault: w.fault,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Gateway.Run(ctx) }()
	w.srv, w.stop = srv, func() {
		stop()
		if err := errors.Join(<-done, srv.Close()); err != nil {
			w.t.Error(err)
		}
	}
}

func (w *world) config() server.Config {
	return server.Config{
		Data: w.data, Listen: "127.0.0.1:0", Broker: "127.0.0.1:0", Names: []string{"127.0.0.1"}, Checkin: server.Duration(time.Minute),
		Database: w.database,
	}
}

func quiet() *slog.Logger {
	if os.Getenv("PATCHRING_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.DiscardHandler)
}

// device enrols one: in a group, with installed and offered versions.
func (w *world) device(name string, kind fleet.Kind, group string, installed, offers map[string]string) *fakeDevice {
	w.t.Helper()
	d := &fakeDevice{
		id: fleet.DeviceID(fmt.Sprintf("01900000-0000-7000-8000-%012d", len(w.order)+1)), packages: installed, offers: offers,
		breaks: map[string]bool{}, dies: map[string]bool{}, unkept: map[string]bool{}, orders: map[string]wire.Order{},
	}
	ctx := w.t.Context()
	w.ask(func() error {
		err := w.srv.DB.Write(ctx, func(tx *store.Tx) error {
			return tx.AddDevice(ctx, gen.AddDeviceParams{
				Tenant: "main", ID: string(d.id), Name: name, MachineID: name, Kind: string(kind), Tags: "{}",
				CertSerial: name, EnrolledUs: w.now.UnixMicro(), SeenUs: w.now.UnixMicro(),
			})
		})
		if store.IsDuplicate(err) {
			return nil
		}
		return err
	})
	if group != "" {
		w.ask(func() error { return w.srv.Roster.Create(ctx, "main", w.by, group, "") })
		w.ask(func() error { return w.srv.Roster.Add(ctx, "main", w.by, group, []string{name}) })
	}
	w.devices[name] = d
	w.order = append(w.order, name)
	return d
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// report sends one message and decodes the reply.
func report[R any](w *world, d *fakeDevice, kind wire.ReportKind, m any) R {
	w.t.Helper()
	payload, err := json.Marshal(m)
	w.must(err)
	for range 30 {
		out, err := w.srv.Gateway.Handle(w.t.Context(), "main", d.id, kind, payload)
		w.must(err)
		var refused struct{ Error *wire.Error }
		w.must(json.Unmarshal(out, &refused))
		if refused.Error != nil && refused.Error.Retry {
			continue // an outage: the agent tries again
		}
		var reply R
		w.must(json.Unmarshal(out, &reply))
		return reply
	}
	w.t.Fatalf("%s of %s: refused thirty times", kind, d.id)
	panic("unreachable")
}

// ask lets an operator ask again after a failed commit.
func (w *world) ask(f func() error) {
	w.t.Helper()
	for range 30 {
		err := f()
		if errors.Is(err, errCommit) {
			continue
		}
		if err != nil && fault.CodeOf(err) != fault.AlreadyExists {
			w.t.Fatal(err)
		}
		return
	}
	w.t.Fatal("the commit failed thirty times")
}

func (w *world) event(d *fakeDevice, e wire.Event) {
	w.t.Helper()
	if d.journal != nil {
		e.AtUS = w.now.UnixMicro()
		w.must(d.journal.Append(e))
		w.flush(d)
		return
	}
	d.seq++
	e.Seq, e.AtUS = d.seq, w.now.UnixMicro()
	reply := report[wire.EventsReply](w, d, wire.ReportEvents, wire.Events{Events: []wire.Event{e}})
	if reply.Error != nil || reply.UpTo != d.seq {
		w.t.Fatalf("event %d: acknowledged up to %d, error %v", d.seq, reply.UpTo, reply.Error)
	}
}

// scan reports what the device misses now.
func (w *world) scan(d *fakeDevice) {
	w.t.Helper()
	p := wire.Patches{Provider: "apt", Status: wire.ScanOK}
	for name, offered := range d.offers {
		if have := d.packages[name]; have != "" && have != offered {
			p.Patches = append(p.Patches, wire.Patch{
				Provider: "apt", Name: name, Version: offered, Suite: "bookworm-security", Origin: "Debian-Security", Class: "security",
				State: wire.PatchOffered, Packages: []wire.Change{{Name: name, From: have, To: offered}},
			})
		}
	}
	slices.SortFunc(p.Patches, func(a, b wire.Patch) int { return strings.Compare(a.Name, b.Name) })
	part, err := wire.Pack(wire.PartPatches, w.now.UnixMicro(), p)
	w.must(err)
	d.found = part
}

// deliver sends the part the server asks for.
func (w *world) deliver(d *fakeDevice) {
	w.t.Helper()
	d.found.NowUS = w.now.UnixMicro()
	if d.found.Hash == "" {
		return
	}
	if reply := report[wire.PartReply](w, d, wire.ReportPart, d.found); reply.Error != nil {
		w.t.Fatalf("scan of %s: %v", d.id, reply.Error)
	}
}

// act is one heartbeat of a device: it takes orders and holds, and installs
// when it is inside a window and nothing holds it.
func (w *world) act(d *fakeDevice) (busy bool) {
	w.t.Helper()
	if d.away {
		return false
	}
	facts := w.facts(d)
	m := wire.Checkin{
		NowUS: w.now.UnixMicro(), HoldsSerial: d.holds.Serial, Capability: d.speaks(), BootID: d.bootID(), RebootPending: d.signal != "",
		Parts: map[wire.PartName]string{wire.PartFacts: facts.Hash},
	}
	if d.outdated {
		m.Capability = wire.CapabilityReboot - 1
	}
	if d.found.Hash != "" {
		m.Parts[wire.PartPatches], m.ScannedUS = d.found.Hash, d.found.AtUS
	}
	for _, o := range d.orders {
		m.Orders = append(m.Orders, wire.OrderStatus{ID: o.ID, Serial: o.Serial})
	}
	reply := report[wire.CheckinReply](w, d, wire.ReportCheckin, m)
	if reply.Error != nil {
		w.t.Fatalf("check-in of %s: %v", d.id, reply.Error)
	}
	if reply.Holds != nil && d.agent != nil {
		w.must(d.agent.SetHolds(*reply.Holds))
		var err error
		d.holds, err = d.journal.Holds()
		w.must(err)
	} else if reply.Holds != nil {
		d.holds = wire.Holds{}
		w.must(json.Unmarshal(reply.Holds.Payload, &d.holds))
	}
	for _, id := range reply.Cancel {
		delete(d.orders, id)
	}
	for _, e := range reply.Orders {
		var o wire.Order
		w.must(json.Unmarshal(e.Payload, &o))
		if d.agent != nil && !w.accepts(d, e) {
			continue
		}
		d.orders[o.ID] = o
		d.seen = append(d.seen, o)
		if d.agent != nil {
			continue // it said so itself
		}
		w.event(d, wire.Event{Kind: wire.EventStep, Order: o.ID, Serial: o.Serial, Step: wire.StepAccepted})
	}
	w.wakes(d, reply.Wake)
	if slices.Contains(reply.Want, wire.PartFacts) {
		if reply := report[wire.PartReply](w, d, wire.ReportPart, facts); reply.Error != nil {
			w.t.Fatalf("facts of %s: %v", d.id, reply.Error)
		}
	}
	if slices.Contains(reply.Want, wire.PartPatches) {
		w.deliver(d)
	}
	if reply.Scan {
		w.scan(d)
	}
	for id, o := range d.orders {
		if d.mayAct(w.now, o) {
			delete(d.orders, id)
			w.carryOut(d, o)
			busy = true
		}
	}
	return busy || reply.Scan || len(reply.Orders)+len(reply.Want) > 0
}

func (d *fakeDevice) mayAct(now time.Time, o wire.Order) bool {
	for _, h := range d.holds.Holds {
		if o.Kind == wire.OrderInstall && (h.Campaign == "" || h.Campaign == o.Campaign) && (h.Ring == "" || h.Ring == o.Ring) &&
			(h.Device == "" || h.Device == string(d.id)) && h.Item == "" {
			return false
		}
	}
	return inside(o.Windows, now) && (!d.patient || o.Kind != wire.OrderRollback)
}

func inside(windows []wire.Interval, now time.Time) bool {
	for _, i := range windows {
		if us := now.UnixMicro(); us >= i.StartUS && us < i.EndUS {
			return true
		}
	}
	return false
}

func (d *fakeDevice) bootID() string { return fmt.Sprintf("%s-boot-%d", d.id, d.boots) }

// facts are what the device says of itself.
func (w *world) facts(d *fakeDevice) wire.Part {
	w.t.Helper()
	f := wire.Facts{Hostname: "host", BootID: d.bootID(), MachineID: string(d.id), Hardware: wire.Hardware{Model: "T14"}}
	f.Interfaces = d.networks
	if d.signal != "" {
		f.RebootSignals = []wire.RebootSignal{{Signal: d.signal}}
	}
	if d.facts == nil || !reflect.DeepEqual(*d.facts, f) { // packing takes most of a check-in
		part, err := wire.Pack(wire.PartFacts, 0, f)
		w.must(err)
		d.facts, d.packed = &f, part
	}
	part := d.packed
	part.AtUS = w.now.UnixMicro()
	return part
}

// reboot carries an order to reboot out, as an agent does.
func (w *world) reboot(d *fakeDevice, o wire.Order) {
	w.t.Helper()
	var result wire.Result
	var cause *wire.Cause
	switch {
	case d.signal == "":
	case d.vetoes:
		result.RebootPending, cause = true, &wire.Cause{Code: string(fault.LocalVeto), Args: map[string]string{"rule": "never_reboot"}}
	default:
		w.event(d, wire.Event{Kind: wire.EventStep, Order: o.ID, Serial: o.Serial, Step: wire.StepReboot})
		if d.lost {
			d.away, d.lost, d.comeBack = true, false, func() { w.reboot(d, o) }
			return
		}
		d.reboots = append(d.reboots, o)
		if !inside(o.Windows, w.now) {
			d.outside++
		}
		d.boots++
		w.event(d, wire.Event{Kind: wire.EventRebooted, Order: o.ID, Serial: o.Serial, Step: wire.StepReboot, BootID: d.bootID()})
		if result.Rebooted, result.RebootMS = true, 90_000; d.stubborn {
			result.RebootPending, cause = true, &wire.Cause{Code: string(fault.RebootUnhelped), Args: map[string]string{"signals": d.signal}}
		} else {
			d.signal = ""
		}
	}
	w.event(d, wire.Event{Kind: wire.EventResult, Order: o.ID, Serial: o.Serial, Step: wire.StepDone, Cause: cause, Result: &result})
}

// carryOut changes the packages and reports, then scans again.
func (w *world) carryOut(d *fakeDevice, o wire.Order) {
	w.t.Helper()
	if o.Kind == wire.OrderReboot {
		w.reboot(d, o)
		return
	}
	w.event(d, wire.Event{Kind: wire.EventStep, Order: o.ID, Serial: o.Serial, Step: wire.StepInstall})
	var outcomes []wire.Outcome
	for _, item := range o.Items {
		outcomes = append(outcomes, w.apply(d, o, item))
	}
	outcomes = append(outcomes, d.cleanUp(w.now, o)...)
	if d.lost {
		w.event(d, wire.Event{Kind: wire.EventStep, Order: o.ID, Serial: o.Serial, Step: wire.StepReboot})
		d.away, d.lost, d.comeBack = true, false, func() {
			d.boots++
			w.event(d, wire.Event{Kind: wire.EventRebooted, Order: o.ID, Serial: o.Serial, Step: wire.StepReboot, BootID: d.bootID()})
			w.reported(d, o, outcomes)
		}
		return
	}
	w.reported(d, o, outcomes)
}

// reported tells what came of an order, and looks again.
func (w *world) reported(d *fakeDevice, o wire.Order, outcomes []wire.Outcome) {
	w.t.Helper()
	w.event(d, wire.Event{Kind: wire.EventResult, Order: o.ID, Serial: o.Serial, Result: &wire.Result{Outcomes: outcomes, InstallMS: d.took.Milliseconds()}})
	w.now = w.now.Add(time.Second) // a scan is later than the install it verifies
	w.scan(d)
}

// back switches a device on that was lost at its restart.
func (w *world) back(d *fakeDevice) {
	w.t.Helper()
	if d.comeBack == nil {
		w.t.Fatalf("%s was not lost", d.id)
	}
	d.away = false
	d.comeBack()
	d.comeBack = nil
}

func (w *world) apply(d *fakeDevice, o wire.Order, item wire.Item) wire.Outcome {
	out := wire.Outcome{Item: item.ID, State: wire.ItemVerified}
	for _, c := range item.Packages {
		d.installs = append(d.installs, install{at: w.now, kind: o.Kind, name: c.Name, version: c.To, inside: inside(o.Windows, w.now)})
		switch {
		case o.Kind == wire.OrderRollback && d.sticks[c.Name]:
			out.State, out.Cause = wire.ItemFailed, &wire.Cause{Code: "package_failed", Args: map[string]string{"package": c.Name}}
		case o.Kind == wire.OrderRollback:
			d.packages[c.Name] = c.To
			out.State = wire.ItemRolledBack
		case d.breaks[c.Name+c.To]:
			out.State, out.Cause = wire.ItemFailed, &wire.Cause{Code: "package_failed", Args: map[string]string{"package": c.Name}}
		case d.offers[c.Name] != c.To:
			out.State, out.Cause = wire.ItemFailed, &wire.Cause{Code: "version_gone", Args: map[string]string{"package": c.Name}}
		case d.dies[c.Name+c.To]:
			d.packages[c.Name] = c.To // installed, and its service is dead
			out.State, out.Cause = wire.ItemFailed, &wire.Cause{Code: "tool_failed", Args: map[string]string{"tool": c.Name}}
		default:
			d.packages[c.Name] = c.To
		}
		if out.State == wire.ItemFailed && d.packages[c.Name] == c.From {
			c.To = c.From // as the package database says
		}
		if c.Rollback = wire.RollbackReady; d.unkept[c.Name] {
			c.Rollback, c.Why = wire.RollbackImpossible, "no_old_package"
		}
		out.Packages = append(out.Packages, c)
	}
	return out
}

// settle lets the conductor and every device act until nobody does.
func (w *world) settle() {
	w.t.Helper()
	for range 100 {
		busy, err := w.srv.Conductor.Step(w.t.Context())
		if busy = busy || err != nil; err != nil && !errors.Is(err, errCommit) {
			w.t.Fatal(err)
		}
		cleaning, err := w.srv.Cleaner.Step(w.t.Context())
		if busy = busy || cleaning || err != nil; err != nil && !errors.Is(err, errCommit) {
			w.t.Fatal(err)
		}
		for _, name := range w.order {
			busy = w.act(w.devices[name]) || busy
		}
		if !busy {
			return
		}
	}
	w.t.Fatal("the world never settles")
}

// until advances the clock in steps, letting everybody act at each.
func (w *world) until(end time.Time, step time.Duration) {
	w.t.Helper()
	for w.now.Before(end) {
		next := w.now.Add(step)
		if next.After(end) {
			next = end
		}
		w.now = next
		w.settle()
	}
}

func (w *world) ring(c campaign.ID, amendment int, name string) gen.CampaignRing {
	w.t.Helper()
	rings, err := w.srv.DB.Read().Rings(w.t.Context(), "main", string(c))
	w.must(err)
	for _, r := range rings {
		if r.Ring == name && r.Amendment == int64(amendment) {
			return r
		}
	}
	w.t.Fatalf("no ring %s", name)
	return gen.CampaignRing{}
}

func (w *world) sign(c campaign.ID, ring, role string, tests int) {
	w.t.Helper()
	ticked := make([]int, tests)
	for i := range ticked {
		ticked[i] = i
	}
	w.ask(func() error {
		return w.srv.Conductor.Sign(w.t.Context(), "main", register.User(role+"-lead"), campaign.Sign{
			Campaign: string(c), Ring: ring, Role: role, Yes: true, Ticked: ticked,
		})
	})
}

// verifyRegister reads the whole register back and checks every byte.
func (w *world) verifyRegister() {
	w.t.Helper()
	stored, err := w.srv.DB.Register(w.t.Context(), "main")
	w.must(err)
	key, err := w.srv.Keys.RegisterKey("main")
	w.must(err)
	if _, err := register.VerifyStored(stored, register.Trust{Key: key.Verifier}); err != nil {
		w.t.Errorf("register: %v", err)
	}
}
