package register

import (
	"errors"
	"fmt"
	"iter"

	"golang.org/x/mod/sumdb/tlog"
)

// Row is one entry as storage keeps it.
type Row struct {
	Index   int64
	Raw     []byte
	Columns *Columns // as kept beside Raw; nil where storage repeats nothing
}

// Stored is one tenant's register as storage keeps it.
type Stored struct {
	Tenant     string
	Entries    iter.Seq2[Row, error] // in order of index
	Hashes     tlog.HashReader       // the stored hashes
	Tree       Tree                  // the tree kept beside them
	Checkpoint string                // latest signed checkpoint; may be older than the tree
	Restored   Restored              // latest restore, as kept beside the tree: what the next checkpoint says
}

// ErrNoHash is what a hash reader over storage returns (wrapped) when a stored
// hash is gone, as opposed to storage that cannot be read.
var ErrNoHash = errors.New("stored hash is missing")

// VerifyStored reads a whole register where it is kept, in constant memory,
// and names the first entry whose bytes, hash or index do not fit. Storage that
// cannot be read is an error too, but not a *Broken.
func VerifyStored(stored Stored, trust Trust) (Result, error) {
	v := storedVerifier{Stored: stored, grow: newGrower(Tree{})}
	v.result = Result{Form: FormExport, Tenant: stored.Tenant, Key: trust.Key}
	err := v.run(trust)
	v.result.Entries = v.grow.tree.size
	if v.witness != nil {
		v.result.SeenChecked = v.witness.checked
	}
	return v.result, err
}

type storedVerifier struct {
	Stored
	result  Result
	witness *witnesses
	grow    *grower
	pending []pendingLeaf
}

// pendingLeaf is an entry whose hashes wait to be compared in one read.
type pendingLeaf struct {
	index  int64
	kind   Kind
	leaf   Hash
	hashes []StoredHash
}

// readAhead is how many entries' hashes are fetched at once.
const readAhead = 1024

func (v *storedVerifier) run(trust Trust) error {
	cp, err := OpenCheckpoint(v.Checkpoint, trust.Key)
	if err != nil {
		return brokenFile(FlawCheckpoint, err)
	}
	if cp.Origin != Origin(v.Tenant) {
		return brokenFile(FlawCheckpoint, fmt.Errorf("%w: %s", ErrOtherLog, cp.Origin))
	}
	v.result.Checkpoint = cp
	// The latest checkpoint is one more that somebody remembers.
	if v.witness, err = newWitnesses(append([]Checkpoint{cp}, trust.Seen...), cp); err != nil {
		return err
	}
	if err := v.witness.check(0, emptyRoot); err != nil {
		return err
	}
	for row, err := range v.Entries {
		if err != nil {
			return fmt.Errorf("verify register of %s: read entry %d: %w", v.Tenant, v.grow.tree.size, err)
		}
		if err := v.add(row); err != nil {
			return v.first(err)
		}
	}
	if err := v.compare(); err != nil {
		return err
	}
	return v.finish(cp)
}

// add takes the next entry. Its hashes are compared in batches, but always
// before a root is: a stored hash names its entry, a root does not.
func (v *storedVerifier) add(row Row) error {
	index := v.grow.tree.size
	if row.Index != index {
		return brokenEntry(FlawOutOfPlace, index, fmt.Errorf("entry %d stands here", row.Index))
	}
	leaf := tlog.RecordHash(row.Raw)
	entry, err := Decode(row.Raw)
	p := pendingLeaf{index: index, kind: entry.Kind, leaf: leaf}
	v.grow.add(leaf, func(s StoredHash) { p.hashes = append(p.hashes, s) })
	v.pending = append(v.pending, p)
	switch {
	case err != nil:
		return brokenEntry(FlawUnreadable, index, err)
	case entry.Index != index:
		return brokenEntry(FlawOutOfPlace, index, fmt.Errorf("entry says it is entry %d", entry.Index))
	case entry.Tenant != v.Tenant:
		return brokenEntry(FlawEntryForeign, index, fmt.Errorf("entry of tenant %s", entry.Tenant))
	case row.Columns != nil && *row.Columns != entry.Columns():
		return &Broken{Flaw: FlawColumns, First: index, Last: index, Kind: entry.Kind,
			Cause: fmt.Errorf("kept beside it is %+v", *row.Columns)}
	}
	v.witness.entry(entry)
	if !v.witness.asked(index+1) && len(v.pending) < readAhead {
		return nil
	}
	if err := v.compare(); err != nil {
		return err
	}
	return v.witness.check(index+1, v.grow.tree.Root)
}

// first lets an entry that waits for its hashes speak before a later flaw, and
// an entry that its hash shows as changed before what is odd in its changed bytes.
func (v *storedVerifier) first(flaw error) error {
	if err := v.compare(); err != nil {
		return err
	}
	return flaw
}

// compare holds the waiting entries against the stored hashes.
func (v *storedVerifier) compare() error {
	waiting := v.pending
	v.pending = nil
	err := v.compareAll(waiting)
	if errors.Is(err, ErrNoHash) {
		for i := range waiting {
			if err := v.compareAll(waiting[i : i+1]); errors.Is(err, ErrNoHash) {
				return &Broken{Flaw: FlawStoredHash, First: waiting[i].index, Last: waiting[i].index,
					Kind: waiting[i].kind, Cause: err}
			} else if err != nil {
				return err
			}
		}
	}
	return err
}

func (v *storedVerifier) compareAll(waiting []pendingLeaf) error {
	var indexes []int64
	for _, p := range waiting {
		for _, h := range p.hashes {
			indexes = append(indexes, h.Index)
		}
	}
	if len(indexes) == 0 {
		return nil
	}
	kept, err := v.Hashes.ReadHashes(indexes)
	if err != nil {
		return fmt.Errorf("verify register of %s: read hashes %d to %d: %w",
			v.Tenant, indexes[0], indexes[len(indexes)-1], err)
	}
	if len(kept) != len(indexes) {
		return fmt.Errorf("verify register of %s: %d hashes read, want %d", v.Tenant, len(kept), len(indexes))
	}
	for _, p := range waiting {
		for i, h := range p.hashes {
			if kept[i] != h.Hash {
				return v.blame(p, h.Index)
			}
		}
		kept = kept[len(p.hashes):]
	}
	return nil
}

// blame finds out what a stored hash that does not fit means. If the entry
// leads to the signed root by its neighbours' hashes, the entry is sound and
// the hash was changed. Otherwise an entry under that hash was.
func (v *storedVerifier) blame(p pendingLeaf, stored int64) error {
	level, n := tlog.SplitStoredHashIndex(stored)
	first, last := n<<level, (n+1)<<level-1
	cause := fmt.Errorf("stored hash %d (level %d, number %d) differs", stored, level, n)
	if level == 0 {
		flaw := FlawEntryChanged
		if v.sound(first, p.leaf) {
			flaw = FlawStoredHash
		}
		return &Broken{Flaw: flaw, First: first, Last: first, Kind: p.kind, Cause: cause}
	}
	if v.sound(last, p.leaf) {
		return &Broken{Flaw: FlawStoredHash, First: last, Last: last, Kind: p.kind, Cause: cause}
	}
	return &Broken{Flaw: FlawEntryChanged, First: first, Last: last, Cause: cause}
}

func (v *storedVerifier) sound(index int64, leaf Hash) bool {
	cp := v.result.Checkpoint
	proof, err := tlog.ProveRecord(cp.Size, index, v.Hashes)
	return err == nil && tlog.CheckRecord(proof, cp.Size, cp.Root, index, leaf) == nil
}

func (v *storedVerifier) finish(cp Checkpoint) error {
	size := v.grow.tree.size
	longest := max(cp.Size, v.Tree.size)
	if size < longest {
		return &Broken{Flaw: FlawMissing, First: size, Last: longest - 1}
	}
	if size > v.Tree.size {
		return &Broken{Flaw: FlawExtra, First: v.Tree.size, Last: size - 1,
			Cause: fmt.Errorf("the kept tree has %d entries", v.Tree.size)}
	}
	if v.Tree.String() != v.grow.tree.String() {
		return brokenFile(FlawTree, fmt.Errorf("kept %s, is %s", v.Tree, v.grow.tree))
	}
	if v.Restored != v.witness.latest {
		return brokenFile(FlawTree, fmt.Errorf("kept is a restore at %d to %d entries, the entries say at %d to %d",
			v.Restored.AtUS, v.Restored.Size, v.witness.latest.AtUS, v.witness.latest.Size))
	}
	return v.witness.end()
}
