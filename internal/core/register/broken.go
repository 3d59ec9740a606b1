package register

import (
	"fmt"
	"slices"
	"time"
)

// Flaw is what a verifier found wrong: a stable code that the faces put into words.
type Flaw string

const (
	FlawHeader       Flaw = "header"        // the first line is not a header of this format
	FlawKey          Flaw = "key"           // the file was made with another key than the one given
	FlawCheckpoint   Flaw = "checkpoint"    // the checkpoint is not one that the key signed for this tenant
	FlawLine         Flaw = "line"          // a line is not written as this format writes it
	FlawEntryChanged Flaw = "entry_changed" // the entry's bytes do not have their hash
	FlawEntryForeign Flaw = "entry_foreign" // the entry is of another tenant or device
	FlawUnreadable   Flaw = "unreadable"    // the entry's bytes are not an entry
	FlawOutOfPlace   Flaw = "out_of_place"  // another entry was expected here
	FlawMissing      Flaw = "missing"       // entries are missing
	FlawExtra        Flaw = "extra"         // something follows that the checkpoint does not cover
	FlawProof        Flaw = "proof"         // the entry's proof does not lead to the signed root
	FlawRoot         Flaw = "root"          // the entries together do not have the signed root
	FlawForked       Flaw = "forked"        // a checkpoint remembered elsewhere says otherwise
	FlawRestored     Flaw = "restored"      // a restore from a backup, which the register owns to, lost entries
	FlawStoredHash   Flaw = "stored_hash"   // the entry is sound, a hash kept for proofs is not
	FlawColumns      Flaw = "columns"       // the entry and what storage repeats beside it differ
	FlawTree         Flaw = "tree"          // the kept tree is not the tree of the entries
	FlawEnd          Flaw = "end"           // the signed end of a passport is missing or not its own
)

// Broken is the error of a verification that found the register changed. It
// names the first entry that does not fit; where a hash covers several entries
// and cannot say which of them was changed, First to Last are those several.
type Broken struct {
	Flaw  Flaw
	First int64 // -1: not about an entry
	Last  int64
	Kind  Kind // of entry First, where it could still be read
	// Restored is the restore that lost the entries First to Last (FlawRestored).
	Restored Restored
	Cause    error // may be nil
}

func (b *Broken) Error() string {
	where := ""
	switch {
	case b.First >= 0 && b.First == b.Last:
		where = fmt.Sprintf(" at entry %d", b.First)
	case b.First >= 0:
		where = fmt.Sprintf(" at entries %d to %d", b.First, b.Last)
	}
	if b.Kind != "" {
		where += fmt.Sprintf(" (%s)", b.Kind)
	}
	text := "register does not verify" + where + ": " + string(b.Flaw)
	if b.Flaw == FlawRestored {
		text = fmt.Sprintf("register was restored at %s to a backup of %d entries; lost%s", b.Restored.At().Format(time.RFC3339), b.Restored.Size, where)
	}
	if b.Cause != nil {
		text += ": " + b.Cause.Error()
	}
	return text
}

func (b *Broken) Unwrap() error { return b.Cause }

func brokenFile(flaw Flaw, cause error) error {
	return &Broken{Flaw: flaw, First: -1, Last: -1, Cause: cause}
}

func brokenEntry(flaw Flaw, index int64, cause error) *Broken {
	return &Broken{Flaw: flaw, First: index, Last: index, Cause: cause}
}

// Trust is what a verifier knows from elsewhere.
type Trust struct {
	// Key is the register's verifier key. When empty, the key written in the
	// file is used, which shows damage but not a forger with a key of his own.
	Key string
	// Seen are checkpoints remembered elsewhere (by agents, in older exports),
	// already opened with the key. A whole log is held against each of them
	// that is not newer than itself.
	Seen []Checkpoint
	// Document is the SHA-256 of a file, in hex: Result.Document is the entry
	// that issued it. Empty: none is looked for.
	Document string
}

// Result is what was verified, as far as it went.
type Result struct {
	Form        Form
	Tenant      string
	Device      string // of a passport
	Document    *Entry // that issued Trust.Document; nil: none did
	Key         string // verifier key used
	KeyFromFile bool   // nobody vouched for the key: see Trust.Key
	Checkpoint  Checkpoint
	Entries     int64 // verified entries
	SeenChecked int   // how many of Trust.Seen the log was held against
}

// witnesses compares a growing tree with remembered checkpoints.
//
// Those of the log before a restore are held against the entries that the
// backup held; what is remembered beyond them was lost, and is told when
// everything else has been found in order.
type witnesses struct {
	log      Checkpoint // the one that is verified
	seen     []Checkpoint
	checked  int
	lastGood int64    // size at which the last one agreed
	latest   Restored // restore that the entries read so far tell of
	lost     *Broken
}

func newWitnesses(seen []Checkpoint, log Checkpoint) (*witnesses, error) {
	w := &witnesses{log: log}
	for _, c := range seen {
		if c.Origin != log.Origin {
			return nil, brokenFile(FlawForked, fmt.Errorf("%w: remembered %s, this is %s", ErrOtherLog, c.Origin, log.Origin))
		}
		if slices.Contains(w.seen, c) {
			continue
		}
		for _, other := range w.seen {
			if other.Size == c.Size && other.Restored == c.Restored && other.Root != c.Root {
				return nil, brokenFile(FlawForked, fmt.Errorf("%w: two remembered checkpoints of %d entries differ", ErrForked, c.Size))
			}
		}
		w.seen = append(w.seen, c)
		w.outlived(c)
	}
	return w, nil
}

// outlived: the log verified is itself one that a later restore abandoned.
func (w *witnesses) outlived(c Checkpoint) {
	if c.Restored.AtUS > w.log.Restored.AtUS && w.log.Size > c.Restored.Size {
		w.lose(c.Restored, w.log.Size)
	}
}

// entry looks for the restores that a whole log owns to.
func (w *witnesses) entry(e Entry) {
	if e.Kind == RegisterRestored {
		w.restored(Restored{AtUS: e.AtUS, Size: e.Index})
	}
}

// restored is told of each restore: by its entry in a whole log, by the
// checkpoint in a passport.
func (w *witnesses) restored(r Restored) {
	w.latest = r
	kept := w.seen[:0]
	for _, c := range w.seen {
		if c.Restored.AtUS < r.AtUS && c.Size > r.Size {
			w.lose(r, c.Size)
			continue
		}
		kept = append(kept, c)
	}
	w.seen = kept
}

func (w *witnesses) lose(r Restored, had int64) {
	if w.lost == nil || had-1 > w.lost.Last {
		w.lost = &Broken{Flaw: FlawRestored, First: r.Size, Last: had - 1, Restored: r}
	}
}

// asked tells whether somebody remembers the log at this size.
func (w *witnesses) asked(size int64) bool {
	for _, c := range w.seen {
		if w.comparable(c, size) {
			return true
		}
	}
	return false
}

// comparable: a checkpoint of a later restore shares with this log only what
// that backup held, and it is longer than that.
func (w *witnesses) comparable(c Checkpoint, size int64) bool {
	return c.Size == size && c.Restored.AtUS <= w.log.Restored.AtUS
}

// check is called at each size. A log that parted from a remembered checkpoint
// parted after the last one that still agreed.
func (w *witnesses) check(size int64, root func() Hash) error {
	for _, c := range w.seen {
		if !w.comparable(c, size) {
			continue
		}
		if root() != c.Root {
			return &Broken{Flaw: FlawForked, First: w.lastGood, Last: size - 1, Cause: ErrForked}
		}
		w.checked++
		w.lastGood = size
	}
	return nil
}

// end is the last word of a verification that found nothing else: what the
// checkpoint says of the latest restore must be what the entries say.
func (w *witnesses) end() error {
	if w.latest != w.log.Restored {
		return brokenFile(FlawCheckpoint, fmt.Errorf("it says restored at %d to %d entries, the entries say at %d to %d",
			w.log.Restored.AtUS, w.log.Restored.Size, w.latest.AtUS, w.latest.Size))
	}
	if w.lost != nil {
		return w.lost
	}
	return nil
}
