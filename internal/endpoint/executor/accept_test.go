package executor

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"patchring/internal/core/fault"
	"patchring/internal/core/register"
	"patchring/wire"
)

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*wire.Order)
		code  fault.Code
	}{
		"another device":           {func(o *wire.Order) { o.Device = "d2" }, fault.OrderForged},
		"another tenant":           {func(o *wire.Order) { o.Tenant = "other" }, fault.OrderForged},
		"expired":                  {func(o *wire.Order) { o.ExpiresUS = 1 }, fault.OrderExpired},
		"unknown kind":             {func(o *wire.Order) { o.Kind = "shell" }, fault.InvalidField},
		"unknown reboot mode":      {func(o *wire.Order) { o.Reboot = "always" }, fault.InvalidField},
		"no items":                 {func(o *wire.Order) { o.Items = nil }, fault.InvalidField},
		"the same item twice":      {func(o *wire.Order) { o.Items = append(o.Items, o.Items[0]) }, fault.InvalidField},
		"item without name":        {func(o *wire.Order) { o.Items[0].ID = "" }, fault.InvalidField},
		"no provider":              {func(o *wire.Order) { o.Items[0].Provider = "" }, fault.InvalidField},
		"no packages":              {func(o *wire.Order) { o.Items[0].Packages = nil }, fault.InvalidField},
		"a removal":                {func(o *wire.Order) { o.Items[0].Packages[0].To = "" }, fault.InvalidField},
		"a nameless package":       {func(o *wire.Order) { o.Items[0].Packages[0].Name = "" }, fault.InvalidField},
		"an option":                {func(o *wire.Order) { o.Items[0].Packages[0].Name = "--force" }, fault.InvalidField},
		"a path":                   {func(o *wire.Order) { o.Items[0].Packages[0].Name = "./x.deb" }, fault.InvalidField},
		"two words":                {func(o *wire.Order) { o.Items[0].Packages[0].To = "1 -o" }, fault.InvalidField},
		"a window backwards":       {func(o *wire.Order) { o.Windows[0].EndUS = o.Windows[0].StartUS }, fault.InvalidField},
		"a negative margin":        {func(o *wire.Order) { o.MarginS = -1 }, fault.InvalidField},
		"a negative reboot margin": {func(o *wire.Order) { o.RebootMarginS = -1 }, fault.InvalidField},
		"a reboot with items":      {func(o *wire.Order) { o.Kind = wire.OrderReboot }, fault.InvalidField},
		"a reboot, never":          {func(o *wire.Order) { o.Kind, o.Items, o.Reboot = wire.OrderReboot, nil, wire.RebootNever }, fault.InvalidField},
		"no campaign":              {func(o *wire.Order) { o.Campaign = "" }, fault.InvalidField},
		"no serial":                {func(o *wire.Order) { o.Serial = 0 }, fault.InvalidField},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			o := w.order(7, "a")
			c.spoil(&o)
			for range 3 { // the server offers it at each check-in
				if err := w.exec.Accept(w.seal(o)); fault.CodeOf(err) != c.code {
					t.Fatalf("refused with %v, want %s", err, c.code)
				}
			}
			events := w.events()
			if len(events) != 1 || events[0].Kind != wire.EventRefused || codeOf(events[0].Cause) != c.code {
				t.Errorf("spooled %v, want one refusal", describe(events))
			}
			if list, err := w.exec.Status(); err != nil || len(list) != 0 {
				t.Errorf("kept %v, error %v", list, err)
			}
		})
	}
}

func TestAnOrderSignedByAnybodyElseIsForged(t *testing.T) {
	w := newWorld(t)
	_, other, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	env, err := wire.Seal(wire.EnvelopeOrder, w.order(1, "a"), other)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.exec.Accept(env); fault.CodeOf(err) != fault.OrderForged {
		t.Errorf("an unknown key: %v", err)
	}
	env = w.seal(w.order(1, "a"))
	env.Payload[20] ^= 1
	if err := w.exec.Accept(env); fault.CodeOf(err) != fault.OrderForged {
		t.Errorf("a changed byte: %v", err)
	}
	env = w.seal(w.order(1, "a"))
	env.Kind = wire.EnvelopeHolds
	if err := w.exec.SetHolds(env); fault.CodeOf(err) != fault.OrderForged {
		t.Errorf("an order as holds: %v", err)
	}
}

func TestAnOlderSerialNeverReplacesANewer(t *testing.T) {
	w := newWorld(t)
	if err := w.exec.Accept(w.seal(w.order(5, "a"))); err != nil {
		t.Fatal(err)
	}
	err := w.exec.Accept(w.seal(w.order(4, "b")))
	if fault.CodeOf(err) != fault.OrderStale {
		t.Errorf("an older one: %v, want order_stale", err)
	}
	same := w.order(5, "b")
	same.ID = "another"
	if err := w.exec.Accept(w.seal(same)); fault.CodeOf(err) != fault.OrderStale {
		t.Errorf("another one of the same serial: %v, want order_stale", err)
	}
	other := w.order(3, "b")
	other.Campaign = "emergency"
	if err := w.exec.Accept(w.seal(other)); err != nil {
		t.Errorf("an older one of another campaign: %v, want accepted", err)
	}
}

func TestHoldsOfAnotherTenantAreRefused(t *testing.T) {
	w := newWorld(t)
	env, err := wire.Seal(wire.EnvelopeHolds, wire.Holds{Tenant: "other", Serial: 9, Holds: []wire.Hold{{ID: "h"}}}, w.key)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.exec.SetHolds(env); fault.CodeOf(err) != fault.OrderForged {
		t.Errorf("error %v, want order_forged", err)
	}
	if h, err := w.journal.Holds(); err != nil || h.Serial != 0 {
		t.Errorf("holds %+v, error %v", h, err)
	}
}

// log is a server's register.
type log struct {
	t      *testing.T
	signer note.Signer
	key    string
	hashes []tlog.Hash
	size   int64
	// restored is what its checkpoints say of a restore from a backup.
	restored register.Restored
}

func storedCount(size int64) int64 { return tlog.StoredHashCount(size) }

func newLog(t *testing.T) *log {
	private, public, err := note.GenerateKey(rand.Reader, register.Origin("main"))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return &log{t: t, signer: signer, key: public}
}

func (l *log) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, 0, len(indexes))
	for _, i := range indexes {
		list = append(list, l.hashes[i])
	}
	return list, nil
}

func (l *log) add(entries ...string) {
	for _, e := range entries {
		stored, err := tlog.StoredHashes(l.size, []byte(e), l)
		if err != nil {
			l.t.Fatal(err)
		}
		l.hashes = append(l.hashes, stored...)
		l.size++
	}
}

// sign puts the log as it is at size into the order, proven from an older size.
func (l *log) sign(o *wire.Order, from, size int64) {
	root, err := tlog.TreeHash(size, l)
	if err != nil {
		l.t.Fatal(err)
	}
	o.Checkpoint, err = register.Checkpoint{Origin: register.Origin("main"), Size: size, Root: root, Restored: l.restored}.Sign(l.signer)
	if err != nil {
		l.t.Fatal(err)
	}
	o.ProofFrom = from
	o.CheckpointProof = nil
	if from == 0 {
		return
	}
	proof, err := register.ProveExtends(from, size, l)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, h := range proof {
		o.CheckpointProof = append(o.CheckpointProof, h[:])
	}
}

func TestTheDeviceIsAWitnessOfTheRegister(t *testing.T) {
	w := newWorld(t)
	honest := newLog(t)
	w.exec.RegisterKey = honest.key
	honest.add("a", "b", "c")
	accept := func(serial, from, size int64, l *log) error {
		t.Helper()
		o := w.order(serial, "a")
		l.sign(&o, from, size)
		return w.exec.Accept(w.seal(o))
	}
	if err := accept(1, 0, 3, honest); err != nil {
		t.Fatalf("the first register seen: %v", err)
	}
	honest.add("d", "e", "f", "g")
	if err := accept(2, 3, 6, honest); err != nil {
		t.Fatalf("the same with more entries: %v", err)
	}
	if err := accept(3, 6, 6, honest); err != nil {
		t.Fatalf("the same unchanged: %v", err)
	}

	other := &log{t: t, signer: honest.signer, key: honest.key}
	other.add("a", "b", "X", "d", "e", "f", "g", "h")
	for name, err := range map[string]error{
		"rewritten, with a proof of its own": accept(4, 6, 8, other),
		"rewritten, of the same size":        accept(5, 6, 6, other),
	} {
		if fault.CodeOf(err) != fault.RegisterForked {
			t.Errorf("%s: %v, want register_forked", name, err)
		}
	}
	o := w.order(6, "a")
	if err := w.exec.Accept(w.seal(o)); fault.CodeOf(err) != fault.RegisterForked {
		t.Errorf("no checkpoint any more: %v, want register_forked", err)
	}
	o.Checkpoint = "rubbish"
	if err := w.exec.Accept(w.seal(o)); fault.CodeOf(err) != fault.RegisterForked {
		t.Errorf("a checkpoint that cannot be read: %v, want register_forked", err)
	}
	if err := accept(7, 6, 7, honest); err != nil {
		t.Errorf("the honest register after all that: %v", err)
	}
}

func TestAnOrderThatCameTooEarlyIsNotAForkUntilItComesAgain(t *testing.T) {
	w := newWorld(t)
	l := newLog(t)
	w.exec.RegisterKey = l.key
	l.add("a", "b", "c", "d", "e")
	first, second, third := w.order(1, "a"), w.order(2, "a"), w.order(3, "a")
	l.sign(&first, 0, 2)
	l.sign(&second, 2, 3)
	l.sign(&third, 3, 5)
	if err := w.exec.Accept(w.seal(first)); err != nil {
		t.Fatal(err)
	}
	if err := w.exec.Accept(w.seal(third)); !errors.Is(err, register.ErrUnproven) {
		t.Fatalf("the third before the second: %v, want unproven", err)
	}
	for _, e := range w.events() {
		if e.Kind == wire.EventRefused {
			t.Fatal("told as a refusal although the second may be on its way")
		}
	}
	for _, o := range []wire.Order{second, third} { // the check-in brings both
		if err := w.exec.Accept(w.seal(o)); err != nil {
			t.Fatalf("order %d at the check-in: %v", o.Serial, err)
		}
	}
	late := w.order(9, "a")
	late.Campaign = "other"
	l.add("f", "g")
	l.sign(&late, 4, 7) // from a size this device never saw
	for range 2 {
		if err := w.exec.Accept(w.seal(late)); fault.CodeOf(err) != fault.RegisterForked {
			t.Fatalf("error %v", err)
		}
	}
	events := w.events()
	last := events[len(events)-1]
	if last.Kind != wire.EventRefused || last.Cause.Args["have"] != "5" {
		t.Errorf("last event %+v, want a refusal that names the size 5 to prove from", last)
	}
	older := w.order(4, "a")
	older.Campaign = "third"
	l.sign(&older, 3, 4) // issued before the third order, and late: it proves nothing of what was seen since
	if err := w.exec.Accept(w.seal(older)); fault.CodeOf(err) != fault.RegisterForked {
		t.Errorf("an order with an older checkpoint: %v", err)
	}
	older.Serial++
	l.sign(&older, 5, 7) // written again
	if err := w.exec.Accept(w.seal(older)); err != nil {
		t.Errorf("the same order, written again from what the device named: %v", err)
	}
}

func TestAClockThatIsNotBelievedExpiresNothing(t *testing.T) {
	w := newWorld(t)
	o := w.order(1, "a")
	w.wall, w.skew = w.wall.Add(1000*time.Hour), 1000*time.Hour
	if err := w.exec.Accept(w.seal(o)); err != nil {
		t.Fatalf("error %v, want the order kept until the clock is right", err)
	}
	for range 10 {
		w.tick()
	}
	if w.done() {
		t.Error("the order ended by a clock that is not believed")
	}
}
