package sim

import (
	"crypto/ed25519"
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/wire"
)

// alone is a device without a server: its spool shows what it would say.
func alone(t *testing.T, change func(*Traits)) *device {
	t.Helper()
	o, err := Options{Devices: 1, Pending: 3, Pace: time.Second}.complete()
	if err != nil {
		t.Fatal(err)
	}
	s := &simulation{Options: o}
	s.counter.start(1)
	if s.stocks, err = readStocks(); err != nil {
		t.Fatal(err)
	}
	all, err := o.Traits()
	if err != nil {
		t.Fatal(err)
	}
	all[0].Packages = 800
	if change != nil {
		change(&all[0])
	}
	d := s.newDevice(all[0], identity{tenant: "main", device: "d1", fresh: true})
	d.scanned = time.Now()
	return d
}

// offered is an order for all that the device misses, valid for an hour.
func (d *device) offered(windows ...wire.Interval) wire.Order {
	now := time.Now()
	o := wire.Order{
		ID: "o1", Serial: 1, Tenant: "main", Device: "d1", Campaign: "c1", Ring: "R0", Kind: wire.OrderInstall,
		IssuedUS: now.UnixMicro(), ExpiresUS: now.Add(time.Hour).UnixMicro(), Windows: windows,
	}
	for _, p := range d.missing().Patches {
		o.Items = append(o.Items, wire.Item{ID: p.Name, Provider: provider, Name: p.Name, Version: p.Version, Packages: p.Packages})
	}
	return o
}

func open() wire.Interval {
	now := time.Now()
	return wire.Interval{StartUS: now.Add(-time.Minute).UnixMicro(), EndUS: now.Add(time.Hour).UnixMicro()}
}

// sealed signs an order with a key the device trusts.
func (d *device) sealed(t *testing.T, o wire.Order) wire.Envelope {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d.s.trust.keys = append(d.s.trust.keys, wire.Key{ID: wire.KeyID(public), Public: public})
	e, err := wire.Seal(wire.EnvelopeOrder, o, key)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// live lets the device do all that is due within the next minutes.
func (d *device) live() {
	now := time.Now()
	for range 100 {
		now = now.Add(time.Second)
		for _, o := range d.orders {
			d.advance(o, now)
		}
		d.tidy()
	}
}

func (d *device) result(t *testing.T) wire.Result {
	t.Helper()
	for _, e := range d.spool {
		if e.Kind == wire.EventResult {
			return *e.Result
		}
	}
	t.Fatalf("no result among %d events", len(d.spool))
	return wire.Result{}
}

func states(r wire.Result) map[wire.ItemState]int {
	n := map[wire.ItemState]int{}
	for _, o := range r.Outcomes {
		n[o.State]++
	}
	return n
}

func TestFateDecidesTheResult(t *testing.T) {
	for fate, want := range map[Fate]struct {
		verified, failed int
		cause            fault.Code
		left             int // patches still missing
	}{
		Fine:          {3, 0, "", 0},
		DownloadFails: {0, 3, fault.DownloadFailed, 3},
		InstallFails:  {2, 1, fault.PackageFailed, 1},
		ServiceDies:   {2, 1, fault.ToolFailed, 0},
	} {
		d := alone(t, func(t *Traits) { t.Fate = fate })
		d.take(d.sealed(t, d.offered(open())))
		d.live()
		r := d.result(t)
		if n := states(r); n[wire.ItemVerified] != want.verified || n[wire.ItemFailed] != want.failed {
			t.Errorf("%s: %v, want %d verified and %d failed", fate, n, want.verified, want.failed)
		}
		for _, o := range r.Outcomes {
			if o.State == wire.ItemFailed && o.Cause.Code != string(want.cause) {
				t.Errorf("%s: cause %s, want %s", fate, o.Cause.Code, want.cause)
			}
		}
		if left := len(d.missing().Patches); left != want.left {
			t.Errorf("%s: %d patches still missing, want %d", fate, left, want.left)
		}
		if c := d.s.counter.counts(); c.Orders != (Orders{Accepted: 1, Done: 1}) || c.Failed[string(want.cause)] != want.failed {
			t.Errorf("%s: counted %+v, %v", fate, c.Orders, c.Failed)
		}
	}
}

func TestOrderIsRefused(t *testing.T) {
	later := func(o *wire.Order) { o.ExpiresUS = time.Now().Add(-time.Minute).UnixMicro() }
	for name, c := range map[string]struct {
		change func(*wire.Order)
		spoil  func(*wire.Envelope)
		code   fault.Code
	}{
		"forged":         {nil, func(e *wire.Envelope) { e.Payload = slices.Concat(e.Payload, []byte(" ")) }, fault.OrderForged},
		"unknown key":    {nil, func(e *wire.Envelope) { e.KeyID = "0000000000000000" }, fault.OrderForged},
		"another device": {func(o *wire.Order) { o.Device = "d2" }, nil, fault.OrderForged},
		"expired":        {later, nil, fault.OrderExpired},
		"bad register":   {func(o *wire.Order) { o.Checkpoint = "patchring/main\n1\nAAAA\n" }, nil, fault.RegisterForked},
	} {
		d := alone(t, nil)
		o := d.offered(open())
		if c.change != nil {
			c.change(&o)
		}
		e := d.sealed(t, o)
		if c.spoil != nil {
			c.spoil(&e)
		}
		d.take(e)
		d.live()
		if len(d.spool) != 1 || d.spool[0].Kind != wire.EventRefused || d.spool[0].Cause.Code != string(c.code) {
			t.Errorf("%s: said %+v, want a refusal for %s", name, d.spool, c.code)
		}
	}
}

func TestNothingBeginsOutsideAWindowOrUnderAHold(t *testing.T) {
	hour := func(from, to int) wire.Interval {
		return wire.Interval{StartUS: time.Now().Add(time.Duration(from) * time.Hour).UnixMicro(), EndUS: time.Now().Add(time.Duration(to) * time.Hour).UnixMicro()}
	}
	for name, c := range map[string]struct {
		windows []wire.Interval
		hold    *wire.Hold
		skew    time.Duration // against the server
		code    fault.Code
	}{
		"no window":        {nil, nil, 0, fault.NoWindow},
		"past window":      {[]wire.Interval{hour(-2, -1)}, nil, 0, fault.NoWindow},
		"coming window":    {[]wire.Interval{hour(1, 2)}, nil, 0, fault.OutsideWindow},
		"held campaign":    {[]wire.Interval{open()}, &wire.Hold{ID: "h", Campaign: "c1"}, 0, fault.CampaignHeld},
		"held ring":        {[]wire.Interval{open()}, &wire.Hold{ID: "h", Campaign: "c1", Ring: "R0"}, 0, fault.RingHeld},
		"held device":      {[]wire.Interval{open()}, &wire.Hold{ID: "h", Device: "d1"}, 0, fault.DeviceHeld},
		"unbelieved clock": {[]wire.Interval{open()}, nil, time.Hour, fault.ClockJumped},
	} {
		d := alone(t, nil)
		d.clock = c.skew
		if c.hold != nil {
			d.holds.Holds = []wire.Hold{*c.hold}
		}
		d.take(d.sealed(t, d.offered(c.windows...)))
		d.live()
		last := d.spool[len(d.spool)-1]
		if last.Kind != wire.EventWaiting || last.Cause.Code != string(c.code) || len(d.missing().Patches) != 3 {
			t.Errorf("%s: last said %+v, %d missing; want to wait for %s", name, last, len(d.missing().Patches), c.code)
		}
	}
}

func TestRollbackPutsBackTheVersions(t *testing.T) {
	d := alone(t, func(t *Traits) { t.Fate = InstallFails }) // a rollback does not meet it
	before := d.missing()
	o := d.offered(open())
	for _, item := range o.Items {
		d.apply(item.Packages)
		for i, c := range item.Packages {
			item.Packages[i].From, item.Packages[i].To = c.To, c.From
		}
	}
	o.Kind = wire.OrderRollback
	d.take(d.sealed(t, o))
	d.live()
	if n := states(d.result(t)); n[wire.ItemRolledBack] != 3 || len(d.missing().Patches) != len(before.Patches) {
		t.Errorf("%v, %d missing; want 3 rolled back and missing again", n, len(d.missing().Patches))
	}
}

func TestGoneDeviceEndsWithItsFirstOrder(t *testing.T) {
	d := alone(t, func(t *Traits) { t.Gone = true })
	d.take(d.sealed(t, d.offered(open())))
	if c := d.s.counter.counts(); !d.over || c.Gone != 1 {
		t.Errorf("over %t, gone %d", d.over, c.Gone)
	}
}

func TestPartsFitTheirHashes(t *testing.T) {
	d := alone(t, nil)
	for name, into := range map[wire.PartName]any{wire.PartFacts: &wire.Facts{}, wire.PartInventory: &wire.Inventory{}, wire.PartPatches: &wire.Patches{}} {
		announced, err := d.hash(name)
		if err != nil {
			t.Fatal(err)
		}
		p, err := d.pack(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Unpack(into); err != nil || p.Hash != announced {
			t.Errorf("%s: %v, hash %s, announced %s", name, err, p.Hash, announced)
		}
	}
}

func TestRecordedListsHoldTogether(t *testing.T) {
	all, err := readStocks()
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range sizes {
		s := all[size]
		if len(s.packages) != size {
			t.Errorf("%d packages, want %d", len(s.packages), size)
		}
		have := map[string]string{}
		for _, p := range s.packages {
			if have[p.Name] != "" {
				t.Errorf("%s is there twice", p.Name)
			}
			have[p.Name] = p.Version
		}
		if len(s.updates) < 10 {
			t.Errorf("only %d updates for %d packages", len(s.updates), size)
		}
		for _, u := range s.updates {
			for _, c := range u.Packages {
				if have[c.Name] != c.From || c.To == c.From || c.To == "" {
					t.Errorf("%s: from %q to %q, installed %q", c.Name, c.From, c.To, have[c.Name])
				}
			}
		}
	}
}
