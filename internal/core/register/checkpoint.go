package register

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Origin is the name under which a tenant's log is signed; it is the name of
// the key and the first line of every checkpoint, so that one tenant's
// checkpoint can never pass for another's.
func Origin(tenant string) string { return "patchring/" + tenant }

// Checkpoint says how large a log is and what its root is. Whoever remembers
// one can later tell whether the log was only ever appended to.
//
// A log that was put back to an older state from a backup says so in every
// checkpoint from then on, so that who remembers more than the backup held can
// tell a restore, which is owned to, from a rewritten past, which is not.
type Checkpoint struct {
	Origin string
	Size   int64
	Root   Hash
	// Restored is the latest restore; zero when there was none.
	Restored Restored
}

// Restored is the latest restore of a log from a backup; zero: there was none.
type Restored struct {
	AtUS int64 // when; each restore is later than the one before it
	Size int64 // entries that the backup held: what a longer log had after them is lost
}

// IsZero tells that the log was never restored.
func (r Restored) IsZero() bool { return r == Restored{} }

// At is the instant of the restore.
func (r Restored) At() time.Time { return time.UnixMicro(r.AtUS).UTC() }

// Checkpoint describes the tree as it stands.
func (t Tree) Checkpoint(tenant string) Checkpoint {
	return Checkpoint{Origin: Origin(tenant), Size: t.size, Root: t.Root()}
}

// restoredWord begins the extension line (C2SP tlog-checkpoint) of a restored
// log: "restored <microseconds UTC> <entries the backup held>". It is the first
// line below the root.
const restoredWord = "restored"

// text is the C2SP tlog-checkpoint body.
func (c Checkpoint) text() string {
	text := c.Origin + "\n" + strconv.FormatInt(c.Size, 10) + "\n" + c.Root.String() + "\n"
	if c.Restored.IsZero() {
		return text
	}
	return text + restoredWord + " " + strconv.FormatInt(c.Restored.AtUS, 10) + " " + strconv.FormatInt(c.Restored.Size, 10) + "\n"
}

// check refuses a restore that no restore writes: the entry that records one
// is behind what the backup held.
func (c Checkpoint) check() error {
	if r := c.Restored; !r.IsZero() && (r.AtUS <= 0 || r.Size < 0 || r.Size >= c.Size) {
		return fmt.Errorf("a log of %d entries restored at %d to %d", c.Size, r.AtUS, r.Size)
	}
	return nil
}

// Sign writes the checkpoint as a signed note. The signer's name must be the
// checkpoint's origin.
func (c Checkpoint) Sign(signer note.Signer) (string, error) {
	if signer.Name() != c.Origin {
		return "", fmt.Errorf("sign checkpoint of %s: key belongs to %s", c.Origin, signer.Name())
	}
	if err := c.check(); err != nil {
		return "", fmt.Errorf("sign checkpoint of %s: %w", c.Origin, err)
	}
	signed, err := note.Sign(&note.Note{Text: c.text()}, signer)
	if err != nil {
		return "", fmt.Errorf("sign checkpoint of %s: %w", c.Origin, err)
	}
	return string(signed), nil
}

// OpenCheckpoint reads a signed checkpoint and checks its signature with the
// register's verifier key ("name+hash+key", the text that note.NewVerifier
// reads). Lines that a later version adds below the ones known here are under
// the signature and are passed over.
func OpenCheckpoint(signed, verifierKey string) (Checkpoint, error) {
	text, err := openNote(signed, verifierKey)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("open checkpoint: %w", err)
	}
	c, err := parseCheckpoint(text)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("open checkpoint: %w", err)
	}
	if name, _, _ := strings.Cut(verifierKey, "+"); name != c.Origin {
		return Checkpoint{}, fmt.Errorf("open checkpoint: of %s, signed by the key of %s", c.Origin, name)
	}
	return c, nil
}

func parseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) < 4 {
		return Checkpoint{}, errors.New("fewer than three lines")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 {
		return Checkpoint{}, fmt.Errorf("bad size %q", lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("bad root %q", lines[2])
	}
	c := Checkpoint{Origin: lines[0], Size: size, Root: root}
	more, isRestored := strings.CutPrefix(lines[3], restoredWord+" ")
	if isRestored {
		if c.Restored, err = parseRestored(more); err != nil {
			return Checkpoint{}, err
		}
	}
	later, canonical := strings.CutPrefix(text, c.text())
	if !canonical || slices.ContainsFunc(strings.Split(later, "\n"), isRestoredLine) {
		return Checkpoint{}, errors.New("not in canonical form")
	}
	if err := c.check(); err != nil {
		return Checkpoint{}, err
	}
	return c, nil
}

// isRestoredLine: the line has one place and one spelling, so that no reader
// passes over a restore that another one sees.
func isRestoredLine(line string) bool {
	word, _, _ := strings.Cut(line, " ")
	return word == restoredWord
}

func parseRestored(more string) (r Restored, err error) {
	line, _, _ := strings.Cut(more, "\n")
	at, size, _ := strings.Cut(line, " ")
	if r.AtUS, err = strconv.ParseInt(at, 10, 64); err != nil {
		return r, fmt.Errorf("bad instant of a restore %q", at)
	}
	if r.Size, err = strconv.ParseInt(size, 10, 64); err != nil {
		return r, fmt.Errorf("bad size of a restore %q", size)
	}
	if r.IsZero() {
		return r, errors.New("a restore that never was")
	}
	return r, nil
}

// openNote gives the text of a note signed by exactly the given key. It is
// stricter than note.Open, for which base64 has several spellings and unknown
// signatures may be added: here each note has one form, so that no byte of a
// file can change unseen.
func openNote(signed, verifierKey string) (string, error) {
	verifier, err := readKey(verifierKey)
	if err != nil {
		return "", err
	}
	opened, err := note.Open([]byte(signed), note.VerifierList(verifier))
	if err != nil {
		return "", err
	}
	signature := opened.Sigs[0].Base64
	if _, err := base64.StdEncoding.Strict().DecodeString(signature); err != nil {
		return "", fmt.Errorf("signature: %w", err)
	}
	if signed != opened.Text+"\n— "+verifier.Name()+" "+signature+"\n" {
		return "", errors.New("not in canonical form")
	}
	return opened.Text, nil
}

// readKey takes only one spelling of a key, for the same reason.
func readKey(verifierKey string) (note.Verifier, error) {
	verifier, err := note.NewVerifier(verifierKey)
	if err != nil {
		return nil, fmt.Errorf("read verifier key: %w", err)
	}
	name := fmt.Sprintf("%s+%08x+", verifier.Name(), verifier.KeyHash())
	key, ok := strings.CutPrefix(verifierKey, name)
	if !ok {
		return nil, errors.New("read verifier key: not in canonical form")
	}
	if _, err := base64.StdEncoding.Strict().DecodeString(key); err != nil || strings.ContainsAny(key, "\r\n") {
		return nil, errors.New("read verifier key: not in canonical form")
	}
	return verifier, nil
}

// Why a checkpoint does not extend an older one.
var (
	ErrOtherLog = errors.New("checkpoint of another log")
	ErrShrunk   = errors.New("register is shorter than it was")
	ErrForked   = errors.New("register does not contain what it contained before")
)

// Extends checks that the log of the newer checkpoint is the log of the older
// one with entries added at its end, by the proof that ProveExtends made. An
// agent calls it before it replaces the checkpoint it remembers.
func Extends(older, newer Checkpoint, proof []Hash) error {
	switch {
	case older.Origin != newer.Origin:
		return fmt.Errorf("%w: %s, not %s", ErrOtherLog, newer.Origin, older.Origin)
	case newer.Size < older.Size:
		return fmt.Errorf("%w: %d entries, were %d", ErrShrunk, newer.Size, older.Size)
	case older.Size == 0:
		if older.Root != emptyRoot() {
			return fmt.Errorf("%w: older checkpoint of nothing has a root", ErrForked)
		}
		return nil
	}
	err := tlog.CheckTree(proof, newer.Size, newer.Root, older.Size, older.Root)
	if err != nil {
		return fmt.Errorf("%w: from %d to %d entries: %w", ErrForked, older.Size, newer.Size, err)
	}
	return nil
}

// ProveExtends makes the proof for Extends from the stored hashes: at most
// about 2·log₂(size) hashes.
func ProveExtends(older, newer int64, hashes tlog.HashReader) ([]Hash, error) {
	if older == 0 && newer >= 0 {
		return nil, nil
	}
	proof, err := tlog.ProveTree(newer, older, hashes)
	if err != nil {
		return nil, fmt.Errorf("prove register from %d to %d entries: %w", older, newer, err)
	}
	return proof, nil
}

// ProveEntry makes the inclusion proof of one entry in the log of the given size.
func ProveEntry(size, index int64, hashes tlog.HashReader) ([]Hash, error) {
	proof, err := tlog.ProveRecord(size, index, hashes)
	if err != nil {
		return nil, fmt.Errorf("prove register entry %d of %d: %w", index, size, err)
	}
	return proof, nil
}

// CheckEntry verifies that the log of the checkpoint has these exact bytes as
// its index-th entry.
func CheckEntry(c Checkpoint, index int64, raw []byte, proof []Hash) error {
	if err := tlog.CheckRecord(proof, c.Size, c.Root, index, tlog.RecordHash(raw)); err != nil {
		return fmt.Errorf("check register entry %d of %d: %w", index, c.Size, err)
	}
	return nil
}

// CheckpointSize reads how many entries a signed checkpoint covers, without
// verifying it: for who made the checkpoint and only wants to know which one it was.
func CheckpointSize(signed string) (int64, error) {
	text, _, found := strings.Cut(signed, "\n\n")
	if !found {
		return 0, errors.New("read checkpoint: no signature")
	}
	c, err := parseCheckpoint(text + "\n")
	return c.Size, err
}
