package journal

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"patchring/internal/core/fault"
	"patchring/wire"
)

func open2(t *testing.T, dir string) *Journal {
	t.Helper()
	j, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() }) // a test that closes by itself closes twice, which bbolt allows
	return j
}

// kill ends a journal as a killed process does: the lock goes with the file
// descriptor and nothing is flushed that was not.
func kill(t *testing.T, j *Journal) {
	t.Helper()
	if err := j.db.Close(); err != nil {
		t.Fatal(err)
	}
}

func order(t *testing.T, serial int64, campaign string) Order {
	t.Helper()
	payload, err := json.Marshal(wire.Order{ID: "o", Serial: serial, Campaign: campaign})
	if err != nil {
		t.Fatal(err)
	}
	return Order{Envelope: wire.Envelope{Kind: wire.EnvelopeOrder, Payload: payload}, Step: wire.StepAccepted}
}

func leaveAlone(*Order) bool { return false }

func TestAnOrderAndItsEventsSurviveTogether(t *testing.T) {
	dir := t.TempDir()
	j := open2(t, dir)
	if err := j.Keep(order(t, 7, "c"), leaveAlone, wire.Event{Kind: wire.EventStep, Step: wire.StepAccepted}); err != nil {
		t.Fatal(err)
	}
	err := j.Update(7, func(tx *Tx, o *Order) error {
		o.Step = wire.StepInstall
		tx.Emit(wire.Event{Kind: wire.EventStep, Step: wire.StepInstall})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	kill(t, j)

	j = open2(t, dir)
	got, err := j.Order(7)
	if err != nil {
		t.Fatal(err)
	}
	if got.Step != wire.StepInstall || got.Order.Campaign != "c" {
		t.Errorf("order after restart: step %s of campaign %q, want install of c", got.Step, got.Order.Campaign)
	}
	events, err := j.Pending(10, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	want := []wire.Event{
		{Seq: 1, Kind: wire.EventStep, Step: wire.StepAccepted},
		{Seq: 2, Kind: wire.EventStep, Step: wire.StepInstall},
	}
	if diff := cmp.Diff(want, events); diff != "" {
		t.Errorf("spool after restart (-want +got):\n%s", diff)
	}
}

func TestARefusedChangeStoresNothing(t *testing.T) {
	j := open2(t, t.TempDir())
	if err := j.Keep(order(t, 1, "c"), leaveAlone); err != nil {
		t.Fatal(err)
	}
	no := errors.New("no")
	err := j.Update(1, func(tx *Tx, o *Order) error {
		o.Step = wire.StepInstall
		tx.Emit(wire.Event{Kind: wire.EventStep})
		return no
	})
	if !errors.Is(err, no) {
		t.Fatalf("error %v, want the refusal itself", err)
	}
	got, err := j.Order(1)
	if err != nil || got.Step != wire.StepAccepted {
		t.Errorf("step %s, error %v, want accepted", got.Step, err)
	}
	if n, err := j.Spooled(); n != 0 || err != nil {
		t.Errorf("%d events spooled, error %v, want none", n, err)
	}
}

func TestAChangeSeesTheHoldsStoredBeforeIt(t *testing.T) {
	j := open2(t, t.TempDir())
	if err := j.Keep(order(t, 1, "c"), leaveAlone); err != nil {
		t.Fatal(err)
	}
	newer, err := j.SetHolds(wire.Holds{Serial: 3, Holds: []wire.Hold{{ID: "h"}}})
	if err != nil || !newer {
		t.Fatalf("newer %v, error %v", newer, err)
	}
	if newer, err := j.SetHolds(wire.Holds{Serial: 2}); err != nil || newer {
		t.Errorf("an older set of holds was taken: newer %v, error %v", newer, err)
	}
	err = j.Update(1, func(tx *Tx, _ *Order) error {
		holds, err := tx.Holds()
		if len(holds.Holds) != 1 {
			t.Errorf("the change sees %d holds, want 1", len(holds.Holds))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestKeepReplacesTheOlderOrderInTheSameCommit(t *testing.T) {
	dir := t.TempDir()
	j := open2(t, dir)
	if err := j.Keep(order(t, 1, "c"), leaveAlone); err != nil {
		t.Fatal(err)
	}
	err := j.Keep(order(t, 2, "c"), func(o *Order) bool { o.SupersededBy = 2; return true })
	if err != nil {
		t.Fatal(err)
	}
	kill(t, j)
	list, err := open2(t, dir).Orders()
	if err != nil || len(list) != 2 || list[0].SupersededBy != 2 || list[1].SupersededBy != 0 {
		t.Errorf("orders %+v, error %v, want the first superseded by 2", list, err)
	}
}

func TestDropForgets(t *testing.T) {
	j := open2(t, t.TempDir())
	if err := j.Keep(order(t, 1, "c"), leaveAlone); err != nil {
		t.Fatal(err)
	}
	if err := j.Drop(1); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Order(1); !errors.Is(err, ErrNoOrder) {
		t.Errorf("error %v, want ErrNoOrder", err)
	}
	if err := j.Update(1, func(*Tx, *Order) error { return nil }); !errors.Is(err, ErrNoOrder) {
		t.Errorf("error %v, want ErrNoOrder", err)
	}
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	j := open2(t, dir)
	if _, err := Peek(dir); !errors.Is(err, ErrInUse) {
		t.Errorf("error %v, want ErrInUse", err)
	}
	if err := j.Append(wire.Event{Kind: wire.EventStep}); err != nil {
		t.Fatal(err)
	}
	kill(t, j)
	peek, err := Peek(dir)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := peek.Spooled(); n != 1 || err != nil {
		t.Errorf("%d events, error %v, want 1", n, err)
	}
	if err := peek.Append(wire.Event{}); err == nil {
		t.Error("a journal opened for reading took an event")
	}
	if err := peek.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestABrokenJournalIsSetAsideAndTheIdentityStays(t *testing.T) {
	dir := t.TempDir()
	if err := WriteIdentity(dir, Identity{Device: "d1"}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, fileName), make([]byte, 1<<16), 0o600); err != nil {
		t.Fatal(err)
	}
	j := open2(t, dir)
	if j.SetAside() == "" {
		t.Fatal("nothing was set aside")
	}
	if _, err := os.Stat(j.SetAside()); err != nil {
		t.Error(err)
	}
	if err := j.Append(wire.Event{Kind: wire.EventStep}); err != nil {
		t.Error(err)
	}
	if id, err := ReadIdentity(dir); err != nil || id.Device != "d1" {
		t.Errorf("identity %+v, error %v", id, err)
	}
}

// fullDisk is a disk on which nothing can be written while the reserve stands.
func fullDisk(j *Journal) {
	j.commit = func(change func(*bbolt.Tx) error) error {
		if _, err := os.Stat(filepath.Join(j.dir, reserveName)); err == nil {
			return errors.Join(j.db.View(func(*bbolt.Tx) error { return nil }), syscall.ENOSPC)
		}
		return j.db.Update(change)
	}
}

func TestAFullDiskCostsTheReserveAndNotTheOutcome(t *testing.T) {
	dir := t.TempDir()
	j := open2(t, dir)
	if err := j.Room(); err != nil {
		t.Fatal(err)
	}
	if err := j.Keep(order(t, 1, "c"), leaveAlone); err != nil {
		t.Fatal(err)
	}
	fullDisk(j)
	err := j.Update(1, func(tx *Tx, o *Order) error {
		o.Step = wire.StepDone
		tx.Emit(wire.Event{Kind: wire.EventResult})
		return nil
	})
	if err != nil {
		t.Fatalf("the outcome was lost to a full disk: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, reserveName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the reserve is still there: %v", err)
	}
	if n, err := j.Spooled(); n != 1 || err != nil {
		t.Errorf("%d events, error %v, want the result once", n, err)
	}
}

func TestNoRoomIsDiskFullAndPasses(t *testing.T) {
	dir := t.TempDir()
	j := open2(t, dir)
	blocker := filepath.Join(dir, reserveName) // a directory in its place cannot be replaced by a file
	if err := os.MkdirAll(filepath.Join(blocker, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	err := j.Room()
	if fault.CodeOf(err) != fault.DiskFull || !fault.CanRetry(err) {
		t.Errorf("refusal %v, want disk_full that may pass", err)
	}
	if err := os.RemoveAll(blocker); err != nil {
		t.Fatal(err)
	}
	if err := j.Room(); err != nil {
		t.Errorf("room was made, still refused: %v", err)
	}
	at, err := os.Stat(filepath.Join(dir, reserveName))
	if err != nil || at.Size() != reserveBytes {
		t.Errorf("reserve %v, error %v", at, err)
	}
}

func TestIdentityIsPrivateAndSwappedWhole(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadIdentity(dir); !errors.Is(err, ErrNotEnrolled) {
		t.Fatalf("error %v, want ErrNotEnrolled", err)
	}
	want := Identity{Tenant: "main", Device: "d", Key: "k1", Certificate: "c1", Brokers: []string{"tls://b:1"}}
	if err := WriteIdentity(dir, want); err != nil {
		t.Fatal(err)
	}
	want.Key, want.Certificate = "k2", "c2"
	if err := WriteIdentity(dir, want); err != nil {
		t.Fatal(err)
	}
	got, err := ReadIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("identity (-want +got):\n%s", diff)
	}
	at, err := os.Stat(filepath.Join(dir, identityName))
	if err != nil || at.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v, want 0600", at.Mode(), err)
	}
}

func TestLeftoversOfACrashAreSwept(t *testing.T) {
	dir := t.TempDir()
	left := filepath.Join(dir, "."+reserveName+"-123")
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open2(t, dir)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("unfinished file is still there: %v", err)
	}
}

func TestPartsAreWrittenOnlyWhenTheyDiffer(t *testing.T) {
	dir := t.TempDir()
	j := open2(t, dir)
	part, err := wire.Pack(wire.PartInventory, 5, wire.Inventory{Provider: "apt"})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, false} {
		if changed, err := j.PutPart(part); changed != want || err != nil {
			t.Errorf("put %d: changed %v, error %v, want %v", i, changed, err, want)
		}
	}
	kill(t, j)
	j = open2(t, dir)
	got, found, err := j.Part(wire.PartInventory)
	if err != nil || !found {
		t.Fatalf("found %v, error %v", found, err)
	}
	if diff := cmp.Diff(part, got); diff != "" {
		t.Errorf("part (-want +got):\n%s", diff)
	}
	hashes, err := j.PartHashes()
	if diff := cmp.Diff(map[wire.PartName]string{wire.PartInventory: part.Hash}, hashes); diff != "" || err != nil {
		t.Errorf("hashes (-want +got):\n%s%v", diff, err)
	}
}

func TestAbandonReplacesTheRegisterAndKeepsItsEnd(t *testing.T) {
	dir := t.TempDir()
	j := open2(t, dir)
	for _, signed := range []string{"one", "two"} {
		if err := j.AddCheckpoint(signed); err != nil {
			t.Fatal(err)
		}
	}
	for i := range int64(maxAbandoned + 2) {
		old := Abandoned{RestoredUS: i + 1, Backup: 3, Seen: i, Proven: true, Checkpoint: "old"}
		if err := j.Abandon("new", old, wire.Event{Kind: wire.EventRestored}); err != nil {
			t.Fatal(err)
		}
	}
	kill(t, j)
	j = open2(t, dir)
	if list, err := j.Checkpoints(); err != nil || len(list) != 1 || list[0] != "new" {
		t.Errorf("remembers %q, %v; want the new register alone", list, err)
	}
	list, err := j.Abandoned()
	if err != nil || len(list) != maxAbandoned || list[maxAbandoned-1].RestoredUS != maxAbandoned+2 || list[0].RestoredUS != 3 {
		t.Errorf("kept %+v, %v; want the last %d, oldest first", list, err, maxAbandoned)
	}
	if n, err := j.Spooled(); err != nil || n != maxAbandoned+2 {
		t.Errorf("%d events, %v; want one each", n, err)
	}
}

// The testimony of a restored register outlives a full spool, as results do.
func TestAFullSpoolKeepsTestimony(t *testing.T) {
	j := open2(t, t.TempDir())
	j.limits = spoolLimits{events: 10, bytes: 1 << 20}
	if err := j.Abandon("new", Abandoned{}, wire.Event{Kind: wire.EventRestored}); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		if err := j.Append(wire.Event{Kind: wire.EventStep}); err != nil {
			t.Fatal(err)
		}
	}
	events, err := j.Pending(100, 1<<20)
	if err != nil || len(events) >= 41 || events[0].Kind != wire.EventRestored {
		t.Errorf("%d events, first %+v, %v; want the testimony still first", len(events), events[0], err)
	}
}

func TestMemoryKeepsTheLatest(t *testing.T) {
	dir := t.TempDir()
	j := open2(t, dir)
	if err := j.Keep(order(t, 1, "c"), leaveAlone); err != nil {
		t.Fatal(err)
	}
	for i := range int64(maxBoots + 3) {
		if err := j.AddCheckpoint(string(rune('a' + i))); err != nil {
			t.Fatal(err)
		}
		if err := j.Update(1, func(tx *Tx, _ *Order) error { return tx.AddBoot(i) }); err != nil {
			t.Fatal(err)
		}
	}
	want := Anchor{WallUS: 1, UptimeUS: 2, BootID: "b"}
	if err := j.SetAnchor(want); err != nil {
		t.Fatal(err)
	}
	kill(t, j)
	j = open2(t, dir)
	checkpoints, err := j.Checkpoints()
	if err != nil || len(checkpoints) != maxCheckpoints || checkpoints[maxCheckpoints-1] != string(rune('a'+maxBoots+2)) {
		t.Errorf("checkpoints %q, error %v", checkpoints, err)
	}
	boots, err := j.Boots()
	if err != nil || len(boots) != maxBoots || boots[0] != 3 {
		t.Errorf("boots %v, error %v, want the last %d", boots, err, maxBoots)
	}
	if got, err := j.Anchor(); got != want || err != nil {
		t.Errorf("anchor %+v, error %v, want %+v", got, err, want)
	}
}
