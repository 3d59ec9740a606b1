package register

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Form tells a whole log from one device's part of it.
type Form string

const (
	FormExport   Form = "export"
	FormPassport Form = "passport"
)

// formatVersion names the format of both forms: lines of JSON, each with one
// spelling only, so that every byte of a file is under a hash or a signature.
//
//	{"checkpoint":…,"format":…,"form":…,"key":…,"origin":…,"tenant":…}    header (and "device" in a passport)
//	{"i":0,"h":"<leaf hash>","e":<entry, its exact bytes>}                each entry of an export
//	{"i":7,"h":"<leaf hash>","p":["<hash>",…],"e":<entry>}                each entry of a passport, with its proof
//	{"end":"<note>"}                                                      end of a passport
//
// An export needs no end: its checkpoint says how many entries there are. The
// end of a passport is signed so that no inconvenient entry can be left out.
const formatVersion = "patchring-register/1"

// Head is what a file says of itself.
type Head struct {
	Tenant     string
	Key        string // the register's verifier key
	Checkpoint string // signed note
}

// header is a Head as it stands in the first line.
type header struct {
	Head
	form   Form
	device string
}

func (h header) line() ([]byte, error) {
	object := []member{
		{"checkpoint", h.Checkpoint}, {"form", string(h.form)}, {"format", formatVersion},
		{"key", h.Key}, {"origin", Origin(h.Tenant)}, {"tenant", h.Tenant},
	}
	if h.form == FormPassport {
		object = append(object, member{"device", h.device})
	}
	line, err := appendMembers(nil, object, 1)
	return append(line, '\n'), err
}

func parseHeader(line []byte) (header, error) {
	object, err := parseObject(line)
	if err != nil {
		return header{}, err
	}
	take := taker{object: object}
	if format := take.text("format"); format != formatVersion {
		return header{}, fmt.Errorf("format %q, this program reads %q", format, formatVersion)
	}
	h := header{
		Head: Head{
			Tenant:     take.text("tenant"),
			Key:        take.text("key"),
			Checkpoint: take.text("checkpoint"),
		},
		form:   Form(take.text("form")),
		device: take.text("device"),
	}
	if take.err != nil {
		return header{}, take.err
	}
	if h.form != FormExport && h.form != FormPassport {
		return header{}, fmt.Errorf("form %q is neither export nor passport", h.form)
	}
	again, err := h.line()
	if err != nil {
		return header{}, err
	}
	if !bytes.Equal(again, append(line, '\n')) {
		return header{}, errors.New("not as this format writes it")
	}
	return h, nil
}

// entryLine is one entry as it stands in a file.
type entryLine struct {
	index int64
	hash  string // base64, as written
	proof []Hash // in a passport
	raw   []byte
}

func (l entryLine) append(out []byte, form Form) []byte {
	out = append(out, `{"i":`...)
	out = strconv.AppendInt(out, l.index, 10)
	out = append(out, `,"h":"`...)
	out = append(out, l.hash...)
	out = append(out, '"')
	if form == FormPassport {
		out = append(out, `,"p":[`...)
		for i, hash := range l.proof {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(out, '"')
			out = base64.StdEncoding.AppendEncode(out, hash[:])
			out = append(out, '"')
		}
		out = append(out, ']')
	}
	out = append(out, `,"e":`...)
	out = append(out, l.raw...)
	return append(out, '}')
}

var errSpelling = errors.New("not as this format writes it")

// parseEntryLine takes a line apart and insists that append would write it so.
// The proof is in front of the entry because the entry's own bytes may contain
// anything.
func parseEntryLine(line []byte, form Form) (entryLine, error) {
	rest, ok1 := bytes.CutPrefix(line, []byte(`{"i":`))
	index, rest, ok2 := bytes.Cut(rest, []byte(`,"h":"`))
	hash, rest, ok3 := bytes.Cut(rest, []byte(`"`))
	if !ok1 || !ok2 || !ok3 {
		return entryLine{}, errSpelling
	}
	l := entryLine{hash: string(hash)}
	var err error
	if l.index, err = strconv.ParseInt(string(index), 10, 64); err != nil || l.index < 0 {
		return entryLine{}, errSpelling
	}
	if form == FormPassport {
		proof, after, _ := bytes.Cut(rest, []byte(`]`))
		if l.proof, err = parseProof(proof); err != nil {
			return entryLine{}, err
		}
		rest = after
	}
	raw, ok4 := bytes.CutPrefix(rest, []byte(`,"e":`))
	raw, ok5 := bytes.CutSuffix(raw, []byte(`}`))
	if !ok4 || !ok5 {
		return entryLine{}, errSpelling
	}
	l.raw = raw
	if !bytes.Equal(l.append(make([]byte, 0, len(line)), form), line) {
		return entryLine{}, errSpelling
	}
	return l, nil
}

func parseProof(text []byte) ([]Hash, error) {
	list, ok := bytes.CutPrefix(text, []byte(`,"p":[`))
	if !ok {
		return nil, errSpelling
	}
	var proof []Hash
	for len(list) > 0 {
		var item []byte
		item, list, _ = bytes.Cut(list, []byte(`,`))
		if len(proof) == 64 || len(item) < 2 {
			return nil, errSpelling
		}
		hash, err := tlog.ParseHash(string(item[1 : len(item)-1]))
		if err != nil {
			return nil, errSpelling
		}
		proof = append(proof, hash)
	}
	return proof, nil
}

// Exporter writes a whole log: New, Add each entry from 0 on, Close.
type Exporter struct {
	w    io.Writer
	cp   Checkpoint
	next int64
	line []byte
}

// NewExporter writes the header. It refuses a checkpoint that its own verifier would.
func NewExporter(w io.Writer, head Head) (*Exporter, error) {
	h := header{Head: head, form: FormExport}
	cp, err := startFile(w, h)
	if err != nil {
		return nil, fmt.Errorf("export register of %s: %w", head.Tenant, err)
	}
	return &Exporter{w: w, cp: cp}, nil
}

func startFile(w io.Writer, h header) (Checkpoint, error) {
	cp, err := h.open()
	if err != nil {
		return Checkpoint{}, err
	}
	line, err := h.line()
	if err != nil {
		return Checkpoint{}, err
	}
	_, err = w.Write(line)
	return cp, err
}

func (h header) open() (Checkpoint, error) {
	cp, err := OpenCheckpoint(h.Checkpoint, h.Key)
	if err == nil && cp.Origin != Origin(h.Tenant) {
		err = fmt.Errorf("checkpoint of %s in a file of %s", cp.Origin, h.Tenant)
	}
	return cp, err
}

// Add writes the next entry.
func (x *Exporter) Add(index int64, raw []byte) error {
	if index != x.next || index >= x.cp.Size {
		return fmt.Errorf("export register: entry %d, want %d of %d", index, x.next, x.cp.Size)
	}
	l := entryLine{index: index, hash: tlog.RecordHash(raw).String(), raw: raw}
	x.line = append(l.append(x.line[:0], FormExport), '\n')
	if _, err := x.w.Write(x.line); err != nil {
		return fmt.Errorf("export register: write entry %d: %w", index, err)
	}
	x.next++
	return nil
}

// Close refuses an export that is not complete.
func (x *Exporter) Close() error {
	if x.next != x.cp.Size {
		return fmt.Errorf("export register: %d entries written, the checkpoint has %d", x.next, x.cp.Size)
	}
	return nil
}

// PassportWriter writes one device's entries: New, Add each in order, Close.
type PassportWriter struct {
	w      io.Writer
	cp     Checkpoint
	tenant string
	device string
	signer note.Signer
	list   *grower
	next   int64
	line   []byte
}

// NewPassportWriter writes the header; the signer is the register's, for the end.
func NewPassportWriter(w io.Writer, head Head, device string, signer note.Signer) (*PassportWriter, error) {
	h := header{Head: head, form: FormPassport, device: device}
	if device == "" {
		return nil, errors.New("write passport: no device")
	}
	cp, err := startFile(w, h)
	if err != nil {
		return nil, fmt.Errorf("write passport of %s: %w", device, err)
	}
	return &PassportWriter{w: w, cp: cp, tenant: head.Tenant, device: device, signer: signer, list: newGrower(Tree{})}, nil
}

// Add writes one entry with its proof from ProveEntry at the checkpoint's size.
func (p *PassportWriter) Add(index int64, raw []byte, proof []Hash) error {
	if index < p.next {
		return fmt.Errorf("write passport of %s: entry %d after entry %d", p.device, index, p.next-1)
	}
	if err := CheckEntry(p.cp, index, raw, proof); err != nil {
		return fmt.Errorf("write passport of %s: %w", p.device, err)
	}
	leaf := tlog.RecordHash(raw)
	l := entryLine{index: index, hash: leaf.String(), proof: proof, raw: raw}
	p.line = append(l.append(p.line[:0], FormPassport), '\n')
	if _, err := p.w.Write(p.line); err != nil {
		return fmt.Errorf("write passport of %s: write entry %d: %w", p.device, index, err)
	}
	p.list.add(leaf, nil)
	p.next = index + 1
	return nil
}

// Close signs the list of entries.
func (p *PassportWriter) Close() error {
	text := passportEnd(p.tenant, p.device, p.cp, p.list.tree)
	signed, err := note.Sign(&note.Note{Text: text}, p.signer)
	if err != nil {
		return fmt.Errorf("sign passport of %s: %w", p.device, err)
	}
	line, err := endLine(string(signed))
	if err != nil {
		return fmt.Errorf("sign passport of %s: %w", p.device, err)
	}
	if _, err := p.w.Write(line); err != nil {
		return fmt.Errorf("write passport of %s: %w", p.device, err)
	}
	return nil
}

// passportEnd is what the end of a passport signs: which device, of which log,
// and the list of its entries as a Merkle root of their own. Its first line
// keeps it from ever being read as a checkpoint.
func passportEnd(tenant, device string, cp Checkpoint, list Tree) string {
	return "patchring-passport/" + tenant + "\n" + device + "\n" +
		strconv.FormatInt(cp.Size, 10) + "\n" + cp.Root.String() + "\n" +
		strconv.FormatInt(list.Size(), 10) + "\n" + list.Root().String() + "\n"
}

func endLine(signed string) ([]byte, error) {
	line, err := appendMembers(nil, []member{{"end", signed}}, 1)
	return append(line, '\n'), err
}
