package wire

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"
)

// ErrPartTooLarge refuses a part that would unpack to more than MaxPartBytes.
var ErrPartTooLarge = errors.New("part unpacks to more than the limit")

// Hash is the short content hash that gates a part.
func Hash(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:16])
}

// Pack encodes v as the part called name.
func Pack(name PartName, atUS int64, v any) (Part, error) {
	content, err := json.Marshal(v)
	if err != nil {
		return Part{}, fmt.Errorf("encode part %s: %w", name, err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(content); err != nil {
		return Part{}, fmt.Errorf("pack part %s: %w", name, err)
	}
	if err := z.Close(); err != nil {
		return Part{}, fmt.Errorf("pack part %s: %w", name, err)
	}
	return Part{Name: name, Hash: Hash(content), AtUS: atUS, Gzip: packed.Bytes()}, nil
}

// Unpack decodes a part into v, within MaxPartBytes, and checks its hash.
func (p Part) Unpack(v any) error {
	content, err := unzip(p.Gzip, MaxPartBytes+1)
	if err != nil {
		return fmt.Errorf("unpack part %s: %w", p.Name, err)
	}
	if len(content) > MaxPartBytes {
		return fmt.Errorf("unpack part %s: %w", p.Name, ErrPartTooLarge)
	}
	if got := Hash(content); got != p.Hash {
		return fmt.Errorf("unpack part %s: hash is %s, announced %s", p.Name, got, p.Hash)
	}
	if err := json.Unmarshal(content, v); err != nil {
		return fmt.Errorf("decode part %s: %w", p.Name, err)
	}
	return nil
}

// readers are kept because each has a window of 40 KiB, which is more than most
// parts: thousands of agents report at once after a restart.
var readers = sync.Pool{New: func() any { return new(gzip.Reader) }}

// unzip gives the first limit bytes at most.
func unzip(packed []byte, limit int64) ([]byte, error) {
	z := readers.Get().(*gzip.Reader)
	defer readers.Put(z)
	if err := z.Reset(bytes.NewReader(packed)); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(z, limit))
}

// Clean makes a text of a device fit to be stored and shown: valid UTF-8, no
// NUL or other control characters but newline and tab, at most limit bytes.
// PostgreSQL refuses NUL in text: one such byte must not lose a whole report.
func Clean(text string, limit int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r >= ' ' && r != 0x7f {
			return r
		}
		return -1
	}, text)
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
