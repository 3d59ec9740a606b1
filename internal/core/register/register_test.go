package register

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"patchring/internal/core/fault"
)

const testTenant = "acme"

// chacha gives tests keys that are the same in every run.
func chacha(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

func testKey(t testing.TB, tenant string, seed byte) (note.Signer, string) {
	t.Helper()
	secret, public, err := note.GenerateKey(chacha(seed), Origin(tenant))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	return signer, public
}

// kept is a register in memory: what storage keeps, as storage keeps it.
type kept struct {
	t        testing.TB
	signer   note.Signer
	key      string
	tree     Tree
	rows     []Row
	hashes   map[int64]Hash
	seen     []Checkpoint // one after each append
	signed   string
	restored Restored
}

func newKept(t testing.TB) *kept {
	signer, key := testKey(t, testTenant, 1)
	k := &kept{t: t, signer: signer, key: key, hashes: map[int64]Hash{}}
	k.sign()
	return k
}

func (k *kept) sign() {
	k.t.Helper()
	cp := k.tree.Checkpoint(testTenant)
	cp.Restored = k.restored
	signed, err := cp.Sign(k.signer)
	if err != nil {
		k.t.Fatal(err)
	}
	k.signed = signed
	k.seen = append(k.seen, cp)
}

func (k *kept) append(entries ...Entry) {
	k.t.Helper()
	batch, err := Append(k.tree, entries)
	if err != nil {
		k.t.Fatal(err)
	}
	for i, leaf := range batch.Leaves {
		columns := entries[i].Columns()
		k.rows = append(k.rows, Row{leaf.Index, leaf.Raw, &columns})
	}
	for _, s := range batch.Stored {
		k.hashes[s.Index] = s.Hash
	}
	k.tree = batch.Tree
	k.sign()
}

func (k *kept) ReadHashes(indexes []int64) ([]Hash, error) {
	out := make([]Hash, len(indexes))
	for i, index := range indexes {
		hash, ok := k.hashes[index]
		if !ok {
			return nil, fmt.Errorf("read hash %d: %w", index, ErrNoHash)
		}
		out[i] = hash
	}
	return out, nil
}

func (k *kept) each() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for _, row := range k.rows {
			if !yield(row, nil) {
				return
			}
		}
	}
}

func (k *kept) stored() Stored {
	return Stored{Tenant: testTenant, Entries: k.each(), Hashes: k, Tree: k.tree, Checkpoint: k.signed, Restored: k.restored}
}

func (k *kept) head() Head { return Head{Tenant: testTenant, Key: k.key, Checkpoint: k.signed} }

func (k *kept) export() []byte {
	k.t.Helper()
	var out bytes.Buffer
	x, err := NewExporter(&out, k.head())
	if err != nil {
		k.t.Fatal(err)
	}
	for _, row := range k.rows {
		if err := x.Add(row.Index, row.Raw); err != nil {
			k.t.Fatal(err)
		}
	}
	if err := x.Close(); err != nil {
		k.t.Fatal(err)
	}
	return out.Bytes()
}

func (k *kept) passport(device string) []byte {
	k.t.Helper()
	var out bytes.Buffer
	p, err := NewPassportWriter(&out, k.head(), device, k.signer)
	if err != nil {
		k.t.Fatal(err)
	}
	for _, row := range k.rows {
		entry, err := Decode(row.Raw)
		if err != nil {
			k.t.Fatal(err)
		}
		if entry.Device != device {
			continue
		}
		proof, err := ProveEntry(k.tree.Size(), row.Index, k)
		if err != nil {
			k.t.Fatal(err)
		}
		if err := p.Add(row.Index, row.Raw, proof); err != nil {
			k.t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		k.t.Fatal(err)
	}
	return out.Bytes()
}

// aStory is n entries of a small campaign on three devices.
func aStory(n int) []Entry {
	kinds := []Kind{DeviceEnrolled, RingOpened, OrderIssued, OrderResult, GateDecided}
	entries := make([]Entry, n)
	for i := range entries {
		entries[i] = Entry{
			AtUS: 1_796_000_000_000_000 + int64(i), Tenant: testTenant,
			Actor: System("conductor"), Kind: kinds[i%len(kinds)],
			Campaign: "2026-12", Ring: "R0", Device: fmt.Sprintf("d%d", i%3),
		}
		if entries[i].Kind == GateDecided {
			entries[i].Reason = fault.Because(fault.RingSoaking, "until", "2026-12-09", "ring", "R0")
		}
		if entries[i].Kind == OrderResult {
			entries[i].Detail = map[string]any{"packages": []string{"openssl", "libé"}, "exit": 0}
		}
	}
	return entries
}

func wantBroken(t *testing.T, err error, want Broken) {
	t.Helper()
	var got *Broken
	if !errors.As(err, &got) {
		t.Fatalf("got error %v, want %s at %d", err, want.Flaw, want.First)
	}
	got = &Broken{Flaw: got.Flaw, First: got.First, Last: got.Last, Kind: got.Kind}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Fatalf("wrong finding (-want +got):\n%s%v", diff, err)
	}
}

// The tree must be RFC 6962's, as two other implementations understand it.
func TestTreeAgreesWithOtherImplementations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(0, 40), 1, 6).Draw(t, "batch sizes")
		factory := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
		other := factory.NewEmptyRange(0)
		var tree Tree
		stored := map[int64]Hash{}
		reader := tlog.HashReaderFunc(func(indexes []int64) ([]Hash, error) {
			out := make([]Hash, len(indexes))
			for i, index := range indexes {
				out[i] = stored[index]
			}
			return out, nil
		})
		for _, size := range sizes {
			raws := make([][]byte, size)
			for i := range raws {
				raws[i] = binary.BigEndian.AppendUint64(nil, uint64(tree.Size())+uint64(i))
			}
			next := tlog.StoredHashCount(tree.Size())
			batch := appendRaw(tree, raws)
			for _, s := range batch.Stored {
				if s.Index != next {
					t.Fatalf("stored hash %d, want %d", s.Index, next)
				}
				stored[s.Index] = s.Hash
				next++
			}
			for _, raw := range raws {
				if err := other.Append(rfc6962.DefaultHasher.HashLeaf(raw), nil); err != nil {
					t.Fatal(err)
				}
			}
			tree = reparse(t, batch.Tree)
		}
		checkAgainstOthers(t, tree, other, reader)
	})
}

func reparse(t *rapid.T, tree Tree) Tree {
	again, err := ParseTree(tree.String())
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func checkAgainstOthers(t *rapid.T, tree Tree, other *compact.Range, reader tlog.HashReader) {
	viaTlog, err := tlog.TreeHash(tree.Size(), reader)
	if err != nil {
		t.Fatal(err)
	}
	if tree.Root() != viaTlog {
		t.Fatalf("root %s, tlog has %s", tree.Root(), viaTlog)
	}
	if tree.Size() == 0 {
		return
	}
	viaRange, err := other.GetRootHash(nil)
	if err != nil {
		t.Fatal(err)
	}
	if root := tree.Root(); !bytes.Equal(root[:], viaRange) {
		t.Fatalf("root %x, compact range has %x", root, viaRange)
	}
	index := rapid.Int64Range(0, tree.Size()-1).Draw(t, "index")
	path, err := ProveEntry(tree.Size(), index, reader)
	if err != nil {
		t.Fatal(err)
	}
	raw := binary.BigEndian.AppendUint64(nil, uint64(index))
	if err := CheckEntry(tree.Checkpoint("x"), index, raw, path); err != nil {
		t.Fatal(err)
	}
	// tlog lists a path from the leaf up, as RFC 6962 does.
	hashes := make([][]byte, len(path))
	for i := range path {
		hashes[i] = path[i][:]
	}
	err = proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(index), uint64(tree.Size()),
		rfc6962.DefaultHasher.HashLeaf(raw), hashes, viaRange)
	if err != nil {
		t.Fatal(err)
	}
}

func TestAppendLeavesItsInputAlone(t *testing.T) {
	first := appendRaw(Tree{}, [][]byte{{1}, {2}, {3}}).Tree
	before := first.String()
	left := appendRaw(first, [][]byte{{4}}).Tree
	right := appendRaw(first, [][]byte{{5}}).Tree
	if first.String() != before {
		t.Fatalf("tree changed from %s to %s", before, first)
	}
	if left.Root() == right.Root() {
		t.Fatal("two different appends gave one root")
	}
}

func TestAppendGivesIndexes(t *testing.T) {
	k := newKept(t)
	k.append(aStory(3)...)
	k.append(aStory(2)...)
	for i, row := range k.rows {
		entry, err := Decode(row.Raw)
		if err != nil {
			t.Fatal(err)
		}
		if row.Index != int64(i) || entry.Index != int64(i) {
			t.Fatalf("row %d has index %d and entry index %d", i, row.Index, entry.Index)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	good := aStory(1)[0]
	cases := map[string]func(*Entry){
		"no tenant":      func(e *Entry) { e.Tenant = "" },
		"no time":        func(e *Entry) { e.AtUS = 0 },
		"no kind":        func(e *Entry) { e.Kind = "" },
		"no actor":       func(e *Entry) { e.Actor = "" },
		"actor no name":  func(e *Entry) { e.Actor = User("") },
		"strange actor":  func(e *Entry) { e.Actor = "robot:x" },
		"float":          func(e *Entry) { e.Detail = map[string]any{"share": 0.5} },
		"struct":         func(e *Entry) { e.Detail = map[string]any{"x": struct{ A int }{1}} },
		"bytes":          func(e *Entry) { e.Detail = map[string]any{"x": []byte("x")} },
		"big integer":    func(e *Entry) { e.Detail = map[string]any{"x": int64(1) << 53} },
		"bad key":        func(e *Entry) { e.Detail = map[string]any{"\xff": 1} },
		"too large":      func(e *Entry) { e.Detail = map[string]any{"x": string(make([]byte, MaxEntry))} },
		"args no reason": func(e *Entry) { e.Reason = fault.Because("", "x", "1") },
		"extra":          func(e *Entry) { e.Extra = map[string]any{"new": 1} },
		"too deep": func(e *Entry) {
			deep := any("x")
			for range maxDepth {
				deep = []any{deep}
			}
			e.Detail = map[string]any{"x": deep}
		},
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			bad := good
			spoil(&bad)
			if _, err := Append(Tree{}, []Entry{bad}); err == nil {
				t.Fatal("appended, want an error")
			}
		})
	}
	other := good
	other.Tenant = "other"
	if _, err := Append(Tree{}, []Entry{good, other}); err == nil {
		t.Fatal("appended entries of two tenants, want an error")
	}
}

func TestParseTreeRefuses(t *testing.T) {
	good := appendRaw(Tree{}, [][]byte{{1}, {2}, {3}}).Tree.String()
	for _, text := range []string{"x", "-1 ", "1", good[:len(good)-4], "7" + good[1:], "3 !" + good[3:]} {
		if tree, err := ParseTree(text); err == nil {
			t.Errorf("ParseTree(%q) = %v, want an error", text, tree)
		}
	}
	empty, err := ParseTree("")
	if err != nil || empty.Root() != (Tree{}).Root() {
		t.Fatalf("ParseTree of nothing = %v, %v", empty, err)
	}
}
