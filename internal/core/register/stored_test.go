package register

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

func TestStoredVerifies(t *testing.T) {
	for _, n := range []int{0, 1, 9, readAhead, 2*readAhead + 3} {
		k := newKept(t)
		if n > 0 {
			k.append(aStory(n)...)
		}
		got, err := VerifyStored(k.stored(), Trust{Key: k.key, Seen: k.seen})
		if err != nil {
			t.Fatalf("%d entries: %v", n, err)
		}
		if got.Entries != int64(n) || got.SeenChecked != min(n, 1)+1 {
			t.Fatalf("%d entries: got %+v", n, got)
		}
	}
}

// Entries that came after the last checkpoint are held against their hashes.
func TestStoredMayBeAheadOfItsCheckpoint(t *testing.T) {
	k := newKept(t)
	k.append(aStory(4)...)
	signed := k.signed
	k.append(aStory(3)...)
	k.signed = signed
	if got, err := VerifyStored(k.stored(), Trust{Key: k.key}); err != nil || got.Entries != 7 {
		t.Fatalf("got %+v, %v", got, err)
	}
	k.rows[5].Raw = spoil(k.rows[5].Raw)
	_, err := VerifyStored(k.stored(), Trust{Key: k.key})
	wantBroken(t, err, Broken{Flaw: FlawEntryChanged, First: 5, Last: 5, Kind: RingOpened})
}

func spoil(raw []byte) []byte {
	out := slices.Clone(raw)
	out[len(out)/2] ^= 1
	return out
}

// Each byte of each row, each stored hash: found, and named.
func TestStoredNamesEachChangedByteAndHash(t *testing.T) {
	const n = 13
	k := newKept(t)
	k.append(aStory(n)...)
	for i := range k.rows {
		good := k.rows[i].Raw
		for at := range good {
			bad := slices.Clone(good)
			bad[at] ^= 1
			k.rows[i].Raw = bad
			_, err := VerifyStored(k.stored(), Trust{Key: k.key})
			var broken *Broken
			if !errors.As(err, &broken) || broken.Flaw != FlawEntryChanged || broken.First != int64(i) || broken.Last != int64(i) {
				t.Fatalf("entry %d byte %d: got %v, want it named", i, at, err)
			}
		}
		k.rows[i].Raw = good
	}
	for index, good := range k.hashes {
		level, number := tlog.SplitStoredHashIndex(index)
		last := (number+1)<<level - 1 // the entry that completes this node
		bad := good
		bad[3] ^= 1
		for name, change := range map[string]func(){
			"changed": func() { k.hashes[index] = bad },
			"gone":    func() { delete(k.hashes, index) },
		} {
			change()
			_, err := VerifyStored(k.stored(), Trust{Key: k.key})
			var broken *Broken
			if !errors.As(err, &broken) || broken.Flaw != FlawStoredHash || broken.First != last || broken.Kind == "" {
				t.Fatalf("hash %d %s: got %v, want it named at entry %d", index, name, err, last)
			}
			k.hashes[index] = good
		}
	}
}

func TestStoredTampering(t *testing.T) {
	cases := []struct {
		name   string
		change func(k *kept)
		want   Broken
	}{
		{"entry and its hash changed", func(k *kept) {
			k.rows[4].Raw = bytes.Replace(k.rows[4].Raw, []byte("d1"), []byte("d2"), 1)
			k.hashes[tlog.StoredHashIndex(0, 4)] = tlog.RecordHash(k.rows[4].Raw)
		}, Broken{Flaw: FlawColumns, First: 4, Last: 4, Kind: GateDecided}},
		{"entry replaced with its hash", func(k *kept) {
			entry := aStory(10)[4]
			entry.Index, entry.Ring = 4, "R2"
			k.rows[4].Columns.Ring = "R2"
			k.rows[4].Raw = mustEncode(k.t.(*testing.T), entry)
			k.hashes[tlog.StoredHashIndex(0, 4)] = tlog.RecordHash(k.rows[4].Raw)
		}, Broken{Flaw: FlawEntryChanged, First: 4, Last: 5}},
		{"whole past rewritten without the key", func(k *kept) {
			signed, seen := k.signed, k.seen
			entries := aStory(10)
			entries[2].Ring = "R2"
			*k = *newKept(k.t)
			k.append(entries...)
			k.signed, k.seen = signed, seen
		}, Broken{Flaw: FlawForked, First: 0, Last: 9}},
		{"entry deleted", func(k *kept) { k.rows = slices.Delete(k.rows, 3, 4) }, Broken{Flaw: FlawOutOfPlace, First: 3, Last: 3}},
		{"last entries deleted", func(k *kept) { k.rows = k.rows[:7] }, Broken{Flaw: FlawMissing, First: 7, Last: 9}},
		{"last entries and tree deleted", func(k *kept) {
			k.rows = k.rows[:7]
			k.tree = appendRaw(Tree{}, [][]byte{k.rows[0].Raw}).Tree
		}, Broken{Flaw: FlawMissing, First: 7, Last: 9}},
		{"entry added", func(k *kept) {
			batch, err := Append(k.tree, aStory(1))
			if err != nil {
				k.t.Fatal(err)
			}
			k.rows = append(k.rows, Row{Index: 10, Raw: batch.Leaves[0].Raw})
			for _, s := range batch.Stored {
				k.hashes[s.Index] = s.Hash
			}
		}, Broken{Flaw: FlawExtra, First: 10, Last: 10}},
		{"two entries swapped", func(k *kept) {
			k.rows[2].Raw, k.rows[5].Raw = k.rows[5].Raw, k.rows[2].Raw
		}, Broken{Flaw: FlawEntryChanged, First: 2, Last: 2, Kind: DeviceEnrolled}},
		{"index changed", func(k *kept) { k.rows[9].Index = 12 }, Broken{Flaw: FlawOutOfPlace, First: 9, Last: 9}},
		{"column changed", func(k *kept) { k.rows[6].Columns.Device = "d9" },
			Broken{Flaw: FlawColumns, First: 6, Last: 6, Kind: RingOpened}},
		{"tree changed", func(k *kept) {
			k.tree = appendRaw(Tree{}, make([][]byte, 10)).Tree
		}, Broken{Flaw: FlawTree, First: -1, Last: -1}},
		{"checkpoint changed", func(k *kept) { k.signed = string(spoil([]byte(k.signed))) }, Broken{Flaw: FlawCheckpoint, First: -1, Last: -1}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			k := newKept(t)
			k.append(aStory(10)...)
			c.change(k)
			_, err := VerifyStored(k.stored(), Trust{Key: k.key})
			wantBroken(t, err, c.want)
		})
	}
}

func TestStoredTellsAReadErrorFromTampering(t *testing.T) {
	k := newKept(t)
	k.append(aStory(10)...)
	unread := k.stored()
	unread.Hashes = tlog.HashReaderFunc(func([]int64) ([]Hash, error) { return nil, io.ErrClosedPipe })
	cut := k.stored()
	cut.Entries = func(yield func(Row, error) bool) {
		_ = yield(k.rows[0], nil) && yield(Row{}, io.ErrClosedPipe)
	}
	for name, stored := range map[string]Stored{"hashes": unread, "entries": cut} {
		_, err := VerifyStored(stored, Trust{Key: k.key})
		var broken *Broken
		if !errors.Is(err, io.ErrClosedPipe) || errors.As(err, &broken) {
			t.Errorf("%s: got %v, want the read error and no finding", name, err)
		}
	}
}
