// Package register is the append-only, tamper-evident log of everything done
// in a tenant: one Merkle tree of entries (RFC 6962 hashing), checkpoints
// signed as C2SP notes, and proofs that anybody can check offline with the
// register's public key alone.
//
// It owns what an entry looks like byte for byte, how the tree grows, what is
// signed, the two export formats, and how each of them is verified. It keeps
// nothing itself: storage holds the entry bytes, the stored hashes and the
// Tree of each tenant, and writes all three in the transaction of the change
// that the entries record.
//
// It refuses: an entry with two possible spellings, a checkpoint that shrinks
// or forks, and any file of which one byte was changed.
//
// Everything here is a value or a pure function over an io.Reader or io.Writer
// that the caller gives; an Exporter belongs to one goroutine.
package register

import (
	"encoding/base64"
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Hash is a SHA-256 of RFC 6962: of a leaf, of an inner node, or of a whole log.
type Hash = tlog.Hash

// Tree is all that is needed to append: the number of entries, and the roots
// of the perfect subtrees they fall into, largest first. The zero Tree is the
// empty log. It is a value: Append never changes the slice of its input.
type Tree struct {
	size  int64
	roots []Hash
}

// Size is the number of entries in the log.
func (t Tree) Size() int64 { return t.size }

// Root is the hash that a checkpoint of this tree signs.
func (t Tree) Root() Hash {
	if t.size == 0 {
		return emptyRoot()
	}
	root := t.roots[len(t.roots)-1]
	for i := len(t.roots) - 2; i >= 0; i-- {
		root = tlog.NodeHash(t.roots[i], root)
	}
	return root
}

func emptyRoot() Hash {
	root, err := tlog.TreeHash(0, nil)
	if err != nil {
		panic(fmt.Sprintf("register: hash of the empty tree: %v", err)) // it is a constant
	}
	return root
}

// String is the form that storage keeps: the size and the roots in base64.
func (t Tree) String() string {
	roots := make([]byte, 0, len(t.roots)*tlog.HashSize)
	for _, root := range t.roots {
		roots = append(roots, root[:]...)
	}
	return strconv.FormatInt(t.size, 10) + " " + base64.StdEncoding.EncodeToString(roots)
}

// ParseTree reads what String wrote. The empty text is the empty log.
func ParseTree(text string) (Tree, error) {
	if text == "" {
		return Tree{}, nil
	}
	size, roots, _ := strings.Cut(text, " ")
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil || n < 0 {
		return Tree{}, fmt.Errorf("parse register tree %q: bad size", text)
	}
	raw, err := base64.StdEncoding.DecodeString(roots)
	if err != nil {
		return Tree{}, fmt.Errorf("parse register tree %q: %w", text, err)
	}
	if want := bits.OnesCount64(uint64(n)) * tlog.HashSize; len(raw) != want {
		return Tree{}, fmt.Errorf("parse register tree of %d entries: %d bytes of hashes, want %d", n, len(raw), want)
	}
	t := Tree{size: n}
	for ; len(raw) > 0; raw = raw[tlog.HashSize:] {
		t.roots = append(t.roots, Hash(raw))
	}
	return t, nil
}

// StoredHash is one row that proofs are made from. Index is the place in the
// dense order of tlog.StoredHashIndex: the leaf of each entry followed by the
// inner nodes that this entry completes, a little under two hashes an entry.
type StoredHash struct {
	Index int64
	Hash  Hash
}

// Leaf is one appended entry: the row that storage keeps for it.
type Leaf struct {
	Index int64
	Raw   []byte // canonical bytes, exactly as hashed
	Hash  Hash
}

// Batch is the outcome of an append, to be stored in one transaction. If only
// a part of it were stored, VerifyStored would name the first entry missing.
type Batch struct {
	Tree   Tree
	Leaves []Leaf
	Stored []StoredHash // consecutive, starting at tlog.StoredHashCount(old size)
}

// Append gives each entry its index, encodes it and adds it to the tree.
// The caller serialises appends of one tenant (it read tree in the same
// transaction that stores the batch).
func Append(tree Tree, entries []Entry) (Batch, error) {
	raws := make([][]byte, len(entries))
	for i, e := range entries {
		e.Index = tree.size + int64(i)
		if e.Tenant != entries[0].Tenant {
			return Batch{}, fmt.Errorf("append to register of %q: entry of tenant %q", entries[0].Tenant, e.Tenant)
		}
		if len(e.Extra) > 0 {
			return Batch{}, fmt.Errorf("append to register of %q: fields of another version", e.Tenant)
		}
		raw, err := e.Encode()
		if err != nil {
			return Batch{}, err
		}
		raws[i] = raw
	}
	return appendRaw(tree, raws), nil
}

func appendRaw(tree Tree, raws [][]byte) Batch {
	grow := newGrower(tree)
	batch := Batch{
		Leaves: make([]Leaf, 0, len(raws)),
		Stored: make([]StoredHash, 0, 2*len(raws)+bits.Len64(uint64(tree.size))),
	}
	keep := func(s StoredHash) { batch.Stored = append(batch.Stored, s) }
	for _, raw := range raws {
		leaf := Leaf{Index: grow.tree.size, Raw: raw, Hash: tlog.RecordHash(raw)}
		batch.Leaves = append(batch.Leaves, leaf)
		grow.add(leaf.Hash, keep)
	}
	batch.Tree = grow.tree
	return batch
}

// grower owns its tree's slice and grows it in place.
type grower struct {
	tree   Tree
	stored int64 // index of the next stored hash
}

func newGrower(t Tree) *grower {
	roots := make([]Hash, len(t.roots), len(t.roots)+16)
	copy(roots, t.roots)
	return &grower{tree: Tree{size: t.size, roots: roots}, stored: tlog.StoredHashCount(t.size)}
}

// add appends one leaf. Each hash to store for it, leaf first, goes to keep,
// which may be nil where only the root counts.
func (g *grower) add(leaf Hash, keep func(StoredHash)) {
	hash := leaf
	completed := bits.TrailingZeros64(uint64(g.tree.size + 1))
	for level := 0; ; level++ {
		if keep != nil {
			keep(StoredHash{g.stored, hash})
		}
		g.stored++
		if level == completed {
			break
		}
		last := len(g.tree.roots) - 1
		hash = tlog.NodeHash(g.tree.roots[last], hash)
		g.tree.roots = g.tree.roots[:last]
	}
	g.tree.roots = append(g.tree.roots, hash)
	g.tree.size++
}
