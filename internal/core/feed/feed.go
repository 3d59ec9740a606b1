// Package feed reads the files that publishers of vulnerabilities put out:
// Debian's security tracker, CISA's catalogue of exploited vulnerabilities and
// the National Vulnerability Database. It owns their formats and says where a
// file breaks them; it refuses to judge (core/vulnerability does) and to keep
// (infra/store does). It reads from what it is given, piece by piece: Debian's
// file has more than 60 MB.
//
// Publishers add keys at will, so keys that are not known are passed over. What
// is read of the keys that are known must be sound, or the whole file is
// refused: half a list of vulnerabilities looks like good news.
//
// Pure, safe from any goroutine.
package feed

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"patchring/internal/core/fault"
)

// Name of a feed.
type Name string

// Feeds.
const (
	Debian Name = "debian"
	KEV    Name = "kev"
	NVD    Name = "nvd"
)

// Names lists them.
func Names() []Name { return []Name{Debian, KEV, NVD} }

// MaxText bounds a file once unpacked: four times what Debian's is in 2026. A
// few kilobytes can be packed so that they fill a disk.
const MaxText = 512 << 20

const (
	maxName        = 256
	maxDescription = 1000
	maxEntries     = 500_000 // in one part of a file
)

// Unpack gives the text of a file, which is plain or packed by gzip.
func Unpack(r io.Reader) (io.Reader, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	head, err := b.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the file: %w", err)
	}
	if string(head) != "\x1f\x8b" {
		return &bounded{r: b, left: MaxText}, nil
	}
	z, err := gzip.NewReader(b)
	if err != nil {
		return nil, refuse("file", "not_gzip", ".json, .json.gz").Wrap(err)
	}
	return &bounded{r: z, left: MaxText}, nil
}

// bounded refuses more text than fits, where io.LimitReader would end it as if
// the file were cut.
type bounded struct {
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.left -= int64(n)
	switch {
	case b.left < 0:
		return 0, refuse("file", "too_long", fmt.Sprintf("%d MB", MaxText>>20))
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), errors.Is(err, io.ErrUnexpectedEOF):
		return n, refuse("file", "cut_short", "download").Wrap(err)
	}
	return n, err
}

var cveID = regexp.MustCompile(`^CVE-[0-9]{4}-[0-9]{4,12}$`)

// IsCVE tells whether the text is the id of a vulnerability.
func IsCVE(text string) bool { return cveID.MatchString(text) }

func refuse(field, problem, fix string) *fault.Error {
	return fault.New(fault.InvalidField, "field", field, "problem", problem, "fix", fix)
}

// broken tells where a file stops being what it should.
func (s *scanner) broken(err error) error {
	var told *fault.Error
	if errors.As(err, &told) {
		return err
	}
	return refuse(fmt.Sprintf("%s (byte %d)", s.place(), s.json.InputOffset()), "not_a_feed", s.fix).Wrap(err)
}

// scanner walks through JSON token by token and knows where it is.
type scanner struct {
	json *json.Decoder
	at   []string
	fix  string // what the right file is
}

func newScanner(r io.Reader, fix string) *scanner {
	return &scanner{json: json.NewDecoder(r), fix: fix}
}

func (s *scanner) place() string {
	if len(s.at) == 0 {
		return "file"
	}
	return strings.Join(s.at, "/")
}

func (s *scanner) refuse(problem, fix string) error { return refuse(s.place(), problem, fix) }

// delim wants an opening or closing sign.
func (s *scanner) delim(want json.Delim) error {
	t, err := s.json.Token()
	if err != nil {
		return s.broken(err)
	}
	if t != want {
		return s.broken(fmt.Errorf("%v where %v is wanted", t, want))
	}
	return nil
}

// object runs each for every key of an object, which must take its value. A
// key that comes twice has two meanings, so it has none.
func (s *scanner) object(each func(key string) error) error {
	if err := s.delim('{'); err != nil {
		return err
	}
	seen := map[string]struct{}{}
	for s.json.More() {
		t, err := s.json.Token()
		if err != nil {
			return s.broken(err)
		}
		key, _ := t.(string) // the decoder lets nothing else be a key
		s.at = append(s.at, clean(key, maxName))
		if _, twice := seen[key]; twice {
			return s.refuse("repeated", "download")
		}
		if seen[key] = struct{}{}; len(seen) > maxEntries {
			return s.refuse("too_long", "download")
		}
		if err := each(key); err != nil {
			return err
		}
		s.at = s.at[:len(s.at)-1]
	}
	return s.delim('}')
}

// list runs each for every element of an array, which must take it.
func (s *scanner) list(each func() error) error {
	if err := s.delim('['); err != nil {
		return err
	}
	for i := 0; s.json.More(); i++ {
		if i >= maxEntries {
			return s.refuse("too_long", "download")
		}
		s.at = append(s.at, fmt.Sprintf("[%d]", i))
		if err := each(); err != nil {
			return err
		}
		s.at = s.at[:len(s.at)-1]
	}
	return s.delim(']')
}

// value reads the next one.
func (s *scanner) value(into any) error {
	if err := s.json.Decode(into); err != nil {
		return s.broken(err)
	}
	return nil
}

// skip passes over a value that nobody asks for.
func (s *scanner) skip() error {
	var ignored json.RawMessage
	return s.value(&ignored)
}

// end wants nothing more in the file: two files put together are no feed.
func (s *scanner) end() error {
	if _, err := s.json.Token(); !errors.Is(err, io.EOF) {
		return s.broken(errors.New("more text after the end"))
	}
	return nil
}

// day wants a date as 2026-01-31.
func (s *scanner) day(key, text string) (string, error) {
	if _, err := time.Parse(time.DateOnly, text); err != nil {
		return "", refuse(s.place()+"/"+key, "not_a_date", "2026-01-31")
	}
	return text, nil
}

// instants of publishers, who do not agree on fractions or on a zone.
var layouts = [...]string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"}

func (s *scanner) instant(key, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, refuse(s.place()+"/"+key, "not_a_date", "2026-01-31T12:00:00Z")
}

// clean takes control characters out of a text that people will read, and
// shortens it.
func clean(text string, most int) string {
	text = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return ' '
		}
		return r
	}, text)), " ")
	if len(text) <= most {
		return text
	}
	cut := most - len("…")
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
