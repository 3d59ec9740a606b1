package register

import (
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/fault"
)

const restoredAt = 1_800_000_000_000_000

func TestARestoredCheckpointHasOneSpelling(t *testing.T) {
	k := newKept(t)
	k.append(aStory(3)...)
	c := k.tree.Checkpoint(testTenant)
	c.Restored = Restored{AtUS: restoredAt, Size: 2}
	signed, err := c.Sign(k.signer)
	if err != nil {
		t.Fatal(err)
	}
	if want := "\nrestored 1800000000000000 2\n\n— "; !strings.Contains(signed, want) {
		t.Fatalf("got %q, want it to contain %q", signed, want)
	}
	if got, err := OpenCheckpoint(signed, k.key); err != nil || got != c {
		t.Fatalf("got %+v, %v; want %+v", got, err, c)
	}
	plain := k.tree.Checkpoint(testTenant).text()
	later := k.signText(plain + "restored 1800000000000000 0\nlater: x\n")
	if got, err := OpenCheckpoint(later, k.key); err != nil || got.Restored != (Restored{AtUS: restoredAt}) {
		t.Fatalf("with a line of a later version: got %+v, %v", got, err)
	}
	for name, lines := range map[string]string{
		"no instant":           "restored\n",
		"no size":              "restored 1800000000000000\n",
		"a third number":       "restored 1800000000000000 2 3\n",
		"two spaces":           "restored  1800000000000000 2\n",
		"a zero in front":      "restored 01800000000000000 2\n",
		"a plus":               "restored +1800000000000000 2\n",
		"a zero before size":   "restored 1800000000000000 02\n",
		"negative size":        "restored 1800000000000000 -1\n",
		"negative instant":     "restored -5 2\n",
		"never restored":       "restored 0 0\n",
		"no instant but size":  "restored 0 2\n",
		"all of the log":       "restored 1800000000000000 3\n",
		"more than the log":    "restored 1800000000000000 4\n",
		"twice":                "restored 1800000000000000 2\nrestored 1800000000000000 2\n",
		"behind another line":  "later: x\nrestored 1800000000000000 2\n",
		"without its numbers":  "restored 1800000000000000 2\nrestored\n",
		"no number":            "restored now 2\n",
		"beyond 64 bits":       "restored 1800000000000000 9223372036854775808\n",
		"the size is no digit": "restored 1800000000000000 x\n",
	} {
		if got, err := OpenCheckpoint(k.signText(plain+lines), k.key); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
	for _, r := range []Restored{{AtUS: restoredAt, Size: 3}, {AtUS: restoredAt, Size: -1}, {AtUS: -1, Size: 2}, {Size: 2}} {
		c.Restored = r
		if _, err := c.Sign(k.signer); err == nil {
			t.Errorf("signed %+v of 3 entries, want an error", r)
		}
	}
}

// restore puts the register back to what a backup of it holds.
func (k *kept) restore(backup *kept, atUS int64) {
	k.t.Helper()
	k.tree, k.rows, k.hashes, k.restored = backup.tree, backup.rows[:len(backup.rows):len(backup.rows)], map[int64]Hash{}, Restored{AtUS: atUS, Size: backup.tree.Size()}
	for index, hash := range backup.hashes {
		k.hashes[index] = hash
	}
	entry := aStory(1)[0]
	entry.Kind, entry.AtUS, entry.Device, entry.Actor = RegisterRestored, atUS, "", System("restore")
	k.append(entry)
}

// copied is a backup.
func (k *kept) copied() *kept {
	c := *k
	c.rows = k.rows[:len(k.rows):len(k.rows)]
	c.hashes = map[int64]Hash{}
	for index, hash := range k.hashes {
		c.hashes[index] = hash
	}
	return &c
}

func (k *kept) last() Checkpoint { return k.seen[len(k.seen)-1] }

func (k *kept) offer(from int64) Offer {
	k.t.Helper()
	o := Offer{Next: k.last(), From: from}
	if from > 0 && from < o.Next.Size {
		var err error
		if o.Proof, err = ProveExtends(from, o.Next.Size, k); err != nil {
			k.t.Fatal(err)
		}
	}
	return o
}

// A month of a register: 5 entries, a backup, 4 more that are lost, restored
// with an entry of its own and 2 more.
func TestFollow(t *testing.T) {
	k := newKept(t)
	k.append(aStory(3)...)
	three := k.last()
	k.append(aStory(2)...)
	five := k.last()
	backup := k.copied()
	k.append(aStory(4)...)
	nine := k.last()
	lost := k.copied()
	other := aStory(4)
	other[0].Ring = "R9"
	k.restore(backup, restoredAt)
	six := k.last()
	k.append(other[:2]...)
	eight := k.last()
	restored := k.copied()

	rewritten := newKept(t) // says that it was restored, and has another past
	past := aStory(5)
	past[1].Actor = User("nobody")
	rewritten.append(past...)
	rewritten.restore(rewritten.copied(), restoredAt)

	silent := newKept(t) // shorter, and says nothing
	silent.append(aStory(3)...)
	silent.append(aStory(2)...)
	silent.append(other...)

	rewrittenSince := newKept(t) // has the first three entries, and other ones since
	rewrittenSince.append(aStory(3)...)
	rewrittenSince.append(other...)
	rewrittenSince.append(other...)

	forged := restored.offer(6)
	forged.Next.Restored.Size = 3
	behind := restored.offer(6)
	behind.Next.Restored.AtUS--
	again := restored.copied()
	again.restore(restored, restoredAt+1)
	noProof := restored.offer(5)
	noProof.Proof = nil
	foreign := restored.offer(5)
	foreign.Next.Origin = Origin("globex")
	sameSize := lost.offer(5)
	sameSize.Next.Root[3] ^= 1

	cases := []struct {
		name  string
		seen  []Checkpoint
		offer Offer
		want  Step
		err   error
	}{
		{"the first register seen", nil, restored.offer(0), StepLonger, nil},
		{"the same unchanged", []Checkpoint{five, nine}, lost.offer(9), StepKnown, nil},
		{"the same, longer", []Checkpoint{three, five}, lost.offer(5), StepLonger, nil},
		{"the same, proven from an older one only", []Checkpoint{three, five}, lost.offer(3), "", ErrUnproven},
		{"rewritten after an older one, and shown from there", []Checkpoint{three, five}, rewrittenSince.offer(3), "", ErrUnproven},
		{"rewritten after an older one", []Checkpoint{three, five}, rewrittenSince.offer(5), "", ErrForked},
		{"an older one that is not remembered", []Checkpoint{three, nine}, backup.offer(3), "", ErrUnproven},
		{"of the same size, another root", []Checkpoint{nine}, sameSize, "", ErrForked},
		{"of the same size, another past", []Checkpoint{three, nine}, silent.offer(5), "", ErrForked},
		{"longer, from a size never seen", []Checkpoint{three}, lost.offer(5), "", ErrUnproven},
		{"another past without a restore", []Checkpoint{three, five}, rewritten.plain(t).offer(5), "", ErrForked},
		{"another tenant's", []Checkpoint{five}, foreign, "", ErrOtherLog},
		{"another tenant's, unproven", []Checkpoint{nine}, foreign, "", ErrOtherLog},

		{"restored, proven from what the backup had", []Checkpoint{three, five, nine}, restored.offer(5), StepProven, nil},
		{"restored, nothing seen after the backup", []Checkpoint{three, five}, restored.offer(3), StepProven, nil},
		{"restored, seen only the lost part", []Checkpoint{nine}, restored.offer(5), StepUnproven, nil},
		{"restored, no proof offered", []Checkpoint{five, nine}, restored.offer(0), StepUnproven, nil},
		{"restored, proof from the lost part means nothing", []Checkpoint{five, nine}, Offer{Next: eight, From: 9}, StepUnproven, nil},
		{"restored, and its past rewritten", []Checkpoint{three, five, nine}, rewritten.offer(5), "", ErrForked},
		{"restored, and the proof left out", []Checkpoint{five, nine}, noProof, "", ErrForked},
		{"after the restore: longer", []Checkpoint{six}, restored.offer(6), StepLonger, nil},
		{"after the restore: the lost one again", []Checkpoint{six, eight}, lost.offer(5), "", ErrForked},
		{"after the restore: an older restore", []Checkpoint{six}, behind, "", ErrForked},
		{"after the restore: another story of it", []Checkpoint{six}, forged, "", ErrForked},
		{"restored once more", []Checkpoint{six, eight}, again.offer(8), StepProven, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := Follow(c.seen, c.offer)
			if got != c.want || !errors.Is(err, c.err) || (c.err == nil) != (err == nil) {
				t.Errorf("got %q, %v; want %q, %v", got, err, c.want, c.err)
			}
		})
	}
	want := fault.Because(fault.RegisterRestored, "at", "2027-01-15T08:00:00Z", "backup", "5", "seen", "9")
	if diff := cmp.Diff(want, Testimony(nine, eight, StepProven)); diff != "" {
		t.Error(diff)
	}
	if got := Testimony(nine, eight, StepUnproven); got.Code != fault.RegisterRestoredUnproven {
		t.Errorf("unproven: %v", got)
	}
}

// plain is the log as if it had never said that it was restored.
func (k *kept) plain(t *testing.T) *kept {
	t.Helper()
	c := k.copied()
	c.restored = Restored{}
	c.sign()
	return c
}

func TestVerifyTellsARestoreFromAForgery(t *testing.T) {
	k := newKept(t)
	k.append(aStory(5)...)
	five := k.last()
	backup := k.copied()
	k.append(aStory(4)...)
	nine := k.last()
	lost := k.copied()
	k.restore(backup, restoredAt)
	k.append(aStory(6)...)
	twelve := k.last()
	want := Broken{Flaw: FlawRestored, First: 5, Last: 8, Restored: Restored{AtUS: restoredAt, Size: 5}}
	wantRestored := func(t *testing.T, err error) {
		t.Helper()
		var got *Broken
		if !errors.As(err, &got) {
			t.Fatalf("got %v, want the restore named", err)
		}
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Fatal(diff)
		}
		if text := "register was restored at 2027-01-15T08:00:00Z to a backup of 5 entries; lost at entries 5 to 8"; err.Error() != text {
			t.Errorf("it says %q, want %q", err, text)
		}
	}
	ok := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	seen := func(c ...Checkpoint) Trust { return Trust{Key: k.key, Seen: c} }
	t.Run("export after it", func(t *testing.T) {
		_, err := verify(k.export(), seen(five, twelve))
		ok(t, err)
		got, err := verify(k.export(), seen(five, nine, twelve))
		wantRestored(t, err)
		if got.SeenChecked != 2 || got.Entries != 12 {
			t.Errorf("checked %d remembered, %d entries; want everything else verified first", got.SeenChecked, got.Entries)
		}
	})
	t.Run("export of before it", func(t *testing.T) {
		_, err := verify(lost.export(), seen(five, nine))
		ok(t, err)
		_, err = verify(lost.export(), seen(twelve))
		wantRestored(t, err)
		_, err = verify(backup.export(), seen(twelve))
		ok(t, err)
	})
	t.Run("passports", func(t *testing.T) {
		_, err := verify(k.passport("d1"), seen(five))
		ok(t, err)
		_, err = verify(k.passport("d1"), seen(nine))
		wantRestored(t, err)
		_, err = verify(lost.passport("d1"), seen(twelve))
		wantRestored(t, err)
	})
	t.Run("where it is kept", func(t *testing.T) {
		_, err := VerifyStored(k.stored(), seen(five))
		ok(t, err)
		_, err = VerifyStored(k.stored(), seen(nine))
		wantRestored(t, err)
	})
	t.Run("restored twice", func(t *testing.T) {
		twice := k.copied()
		twice.restore(k.copied(), restoredAt+5)
		_, err := verify(twice.export(), seen(five, twelve))
		ok(t, err)
		_, err = verify(twice.export(), seen(nine))
		wantRestored(t, err)
	})
	t.Run("a rewritten past is no restore", func(t *testing.T) {
		rewritten := newKept(t)
		past := aStory(5)
		past[2].Actor = User("nobody")
		rewritten.append(past...)
		rewritten.restore(rewritten.copied(), restoredAt)
		_, err := verify(rewritten.export(), seen(five, nine))
		wantBroken(t, err, Broken{Flaw: FlawForked, First: 0, Last: 4})
	})
}

// The checkpoint, the columns beside the tree and the entry of a restore say
// the same, or the register does not verify.
func TestARestoreIsToldThreeTimes(t *testing.T) {
	k := newKept(t)
	k.append(aStory(5)...)
	k.restore(k.copied(), restoredAt)
	if _, err := VerifyStored(k.stored(), Trust{Key: k.key}); err != nil {
		t.Fatal(err)
	}
	unkept := k.stored()
	unkept.Restored = Restored{}
	_, err := VerifyStored(unkept, Trust{Key: k.key})
	wantBroken(t, err, Broken{Flaw: FlawTree, First: -1, Last: -1})
	for name, r := range map[string]Restored{"nothing": {}, "another size": {AtUS: restoredAt, Size: 4}, "another instant": {AtUS: restoredAt + 1, Size: 5}} {
		liar := k.copied()
		liar.restored = r
		liar.sign()
		_, err := verify(liar.export(), Trust{Key: k.key})
		wantBroken(t, err, Broken{Flaw: FlawCheckpoint, First: -1, Last: -1})
		stored := liar.stored()
		stored.Restored = k.restored
		_, err = VerifyStored(stored, Trust{Key: k.key})
		if err == nil {
			t.Errorf("%s: verified where it is kept", name)
		}
	}
}

func TestEveryByteOfARestoredCheckpointMatters(t *testing.T) {
	k := newKept(t)
	k.append(aStory(2)...)
	k.restore(k.copied(), restoredAt)
	file := k.export()
	header := strings.Index(string(file), "\n")
	for at := range header {
		for what, changed := range changes(file, at) {
			if _, err := verify(changed, Trust{Key: k.key}); err == nil {
				t.Fatalf("byte %d (%q) %s: verified", at, file[at], what)
			}
		}
	}
}

func TestLost(t *testing.T) {
	k := newKept(t)
	k.append(aStory(5)...)
	backup := k.copied()
	more := aStory(10)
	for i, kind := range []Kind{
		DeviceRetired, DeviceRevoked, AccountClosed, AccountChanged, TokenRevoked, EnrolmentRevoked, HoldPlaced, ItemWithdrawn,
		AccountAdded, HoldLifted,
	} {
		more[i].Kind, more[i].Reason, more[i].Detail = kind, fault.Reason{}, nil
	}
	k.append(more...)
	loss, err := Lost(testTenant, k.each(), backup.each())
	if err != nil || loss.From != 5 || loss.Entries != 10 || len(loss.Again) != 8 {
		t.Fatalf("got %+v, %v; want entries 5 to 14 lost, 8 of them to be done again", loss, err)
	}
	if first := loss.Again[0]; first.Kind != DeviceRetired || first.Index != 5 {
		t.Errorf("the first to repeat is %s at %d", first.Kind, first.Index)
	}
	if loss, err := Lost(testTenant, backup.each(), k.each()); err != nil || loss.Entries != 0 {
		t.Errorf("a longer backup loses %+v, %v", loss, err)
	}
	k.restore(backup, restoredAt)
	k.append(aStory(1)...)
	if loss, err := Lost(testTenant, k.each(), backup.each()); err != nil || loss.From != 5 || loss.Entries != 2 {
		t.Errorf("after a restore: %+v, %v; want what is behind the common part", loss, err)
	}
	boom := errors.New("boom")
	var broken iter.Seq2[Row, error] = func(yield func(Row, error) bool) { yield(Row{}, boom) }
	for _, pair := range [][2]iter.Seq2[Row, error]{{broken, backup.each()}, {backup.each(), broken}} {
		if _, err := Lost(testTenant, pair[0], pair[1]); !errors.Is(err, boom) {
			t.Errorf("got %v, want what could not be read", err)
		}
	}
}
