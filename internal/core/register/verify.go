package register

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/tlog"
)

// maxLine bounds a line: an entry, its proof (at most 64 hashes) and the rest.
const maxLine = MaxEntry + 64*48 + 1024

// Verify reads an export or a passport to its end, in constant memory. When it
// was changed in any way the error is a *Broken that names the first entry
// that does not fit; the Result says what had been verified until then.
func Verify(r io.Reader, trust Trust) (Result, error) {
	v := verifier{lines: bufio.NewReader(r), trust: trust, grow: newGrower(Tree{})}
	err := v.run()
	v.result.Entries = v.grow.tree.size
	if v.witness != nil {
		v.result.SeenChecked = v.witness.checked
	}
	return v.result, err
}

// ReadHead reads what an export or a passport says of itself, and verifies
// nothing of it.
func ReadHead(r io.Reader) (Head, error) {
	v := verifier{lines: bufio.NewReader(r)}
	line, err := v.readLine()
	if err != nil {
		return Head{}, fmt.Errorf("read the head of a register file: %w", err)
	}
	h, err := parseHeader(line)
	if err != nil {
		return Head{}, fmt.Errorf("read the head of a register file: %w", err)
	}
	return h.Head, nil
}

type verifier struct {
	lines   *bufio.Reader
	long    []byte // a line longer than the buffer of lines
	trust   Trust
	head    header
	result  Result
	witness *witnesses
	grow    *grower // of the log in an export, of the listed entries in a passport
	next    int64   // smallest index that may come next
}

func (v *verifier) run() error {
	if err := v.readHeader(); err != nil {
		return err
	}
	if v.head.form == FormPassport {
		return v.readPassport()
	}
	return v.readExport()
}

// readLine gives a line without its newline, or io.EOF at the end of the file.
// A last line without newline is a line cut short.
func (v *verifier) readLine() ([]byte, error) {
	line, err := v.lines.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		line, err = v.readLong(line)
	}
	switch {
	case err == nil:
		return line[:len(line)-1], nil
	case errors.Is(err, io.EOF) && len(line) == 0:
		return nil, io.EOF
	case errors.Is(err, io.EOF):
		return nil, brokenEntry(FlawLine, v.next, errors.New("line is cut short"))
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, brokenEntry(FlawLine, v.next, fmt.Errorf("line is longer than %d bytes", maxLine))
	default:
		return nil, fmt.Errorf("read register file: %w", err)
	}
}

// readLong gathers a line longer than the reader's buffer, up to maxLine.
func (v *verifier) readLong(line []byte) ([]byte, error) {
	v.long = append(v.long[:0], line...)
	for {
		more, err := v.lines.ReadSlice('\n')
		v.long = append(v.long, more...)
		if !errors.Is(err, bufio.ErrBufferFull) || len(v.long) > maxLine {
			return v.long, err
		}
	}
}

func (v *verifier) readHeader() error {
	line, err := v.readLine()
	var broken *Broken
	if errors.Is(err, io.EOF) || errors.As(err, &broken) {
		return brokenFile(FlawHeader, err)
	} else if err != nil {
		return err
	}
	if v.head, err = parseHeader(line); err != nil {
		return brokenFile(FlawHeader, err)
	}
	v.result = Result{Form: v.head.form, Tenant: v.head.Tenant, Device: v.head.device, Key: v.trust.Key}
	if v.trust.Key == "" {
		v.result.Key, v.result.KeyFromFile = v.head.Key, true
	} else if v.head.Key != v.trust.Key {
		return brokenFile(FlawKey, fmt.Errorf("file says %s", v.head.Key))
	}
	if v.result.Checkpoint, err = v.head.open(); err != nil {
		return brokenFile(FlawCheckpoint, err)
	}
	v.witness, err = newWitnesses(v.trust.Seen, v.result.Checkpoint)
	return err
}

func (v *verifier) readExport() error {
	cp := v.result.Checkpoint
	if err := v.witness.check(0, emptyRoot); err != nil {
		return err
	}
	for v.next < cp.Size {
		line, err := v.readLine()
		if errors.Is(err, io.EOF) {
			return &Broken{Flaw: FlawMissing, First: v.next, Last: cp.Size - 1}
		} else if err != nil {
			return err
		}
		if err := v.readEntry(line); err != nil {
			return err
		}
		if err := v.witness.check(v.next, v.grow.tree.Root); err != nil {
			return err
		}
	}
	if root := v.grow.tree.Root(); root != cp.Root {
		return &Broken{Flaw: FlawRoot, First: v.witness.lastGood, Last: cp.Size - 1,
			Cause: fmt.Errorf("entries have root %s, signed is %s", root, cp.Root)}
	}
	if err := v.readNothing(); err != nil {
		return err
	}
	return v.witness.end()
}

func (v *verifier) readPassport() error {
	if r := v.result.Checkpoint.Restored; !r.IsZero() {
		v.witness.restored(r)
	}
	if err := v.witness.check(v.result.Checkpoint.Size, func() Hash { return v.result.Checkpoint.Root }); err != nil {
		return err
	}
	for {
		line, err := v.readLine()
		if errors.Is(err, io.EOF) {
			return brokenEntry(FlawEnd, v.next, errors.New("the file ends without its signed end"))
		} else if err != nil {
			return err
		}
		if bytes.HasPrefix(line, []byte(`{"end":`)) {
			return v.readTail(line)
		}
		if err := v.readEntry(line); err != nil {
			return err
		}
	}
}

func (v *verifier) readTail(end []byte) error {
	if err := v.readEnd(end); err != nil {
		return err
	}
	if err := v.readNothing(); err != nil {
		return err
	}
	return v.witness.end()
}

// readEntry verifies one entry line and adds it to the tree.
func (v *verifier) readEntry(line []byte) error {
	l, err := parseEntryLine(line, v.head.form)
	if err != nil {
		return brokenEntry(FlawLine, v.next, err)
	}
	passport := v.head.form == FormPassport
	if l.index < v.next || l.index != v.next && !passport {
		return brokenEntry(FlawOutOfPlace, v.next, fmt.Errorf("entry %d stands here", l.index))
	}
	leaf := tlog.RecordHash(l.raw)
	entry, err := Decode(l.raw)
	if broken := v.judge(l, leaf, entry, err); broken != nil {
		broken.Kind = entry.Kind
		return broken
	}
	if !passport {
		v.witness.entry(entry)
	}
	if v.trust.Document != "" && v.result.Document == nil && entry.Issued(v.trust.Document) {
		v.result.Document = &entry
	}
	v.grow.add(leaf, nil)
	v.next = l.index + 1
	return nil
}

func (v *verifier) judge(l entryLine, leaf Hash, entry Entry, unreadable error) *Broken {
	switch {
	case leaf.String() != l.hash:
		return brokenEntry(FlawEntryChanged, l.index, nil)
	case unreadable != nil:
		return brokenEntry(FlawUnreadable, l.index, unreadable)
	case entry.Index != l.index:
		return brokenEntry(FlawOutOfPlace, l.index, fmt.Errorf("entry says it is entry %d", entry.Index))
	case entry.Tenant != v.head.Tenant:
		return brokenEntry(FlawEntryForeign, l.index, fmt.Errorf("entry of tenant %s", entry.Tenant))
	}
	if v.head.form == FormExport {
		return nil
	}
	if entry.Device != v.head.device {
		return brokenEntry(FlawEntryForeign, l.index, fmt.Errorf("entry of device %s", entry.Device))
	}
	if err := CheckEntry(v.result.Checkpoint, l.index, l.raw, l.proof); err != nil {
		return brokenEntry(FlawProof, l.index, err)
	}
	return nil
}

func (v *verifier) readEnd(line []byte) error {
	object, err := parseObject(line)
	if err != nil {
		return brokenEntry(FlawEnd, v.next, err)
	}
	take := taker{object: object}
	signed := take.text("end")
	again, err := endLine(signed)
	if err != nil || string(again) != string(line)+"\n" {
		return brokenEntry(FlawEnd, v.next, errSpelling)
	}
	text, err := openNote(signed, v.result.Key)
	if err != nil {
		return brokenEntry(FlawEnd, v.next, err)
	}
	if text != passportEnd(v.head.Tenant, v.head.device, v.result.Checkpoint, v.grow.tree) {
		return brokenEntry(FlawEnd, v.next, errors.New("the signed end is of another list of entries"))
	}
	return nil
}

func (v *verifier) readNothing() error {
	_, err := v.readLine()
	var broken *Broken
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil || errors.As(err, &broken):
		return brokenEntry(FlawExtra, v.next, errors.New("something follows the end"))
	default:
		return err
	}
}
