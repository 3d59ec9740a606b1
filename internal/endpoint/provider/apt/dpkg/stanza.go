// Package dpkg reads what dpkg and its repositories write: the package
// database, deb822 stanzas, package file names, Debian's version order. It
// runs nothing and writes nothing; package apt owns it.
package dpkg

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// maxFieldBytes cuts the value of one field; a database that holds longer ones
// in the fields read here is damaged.
const maxFieldBytes = 4 << 10

// Stanzas reads deb822 text and hands over, stanza by stanza, the first lines
// of the fields asked for. The map is reused: keep the strings, not the map.
// Nothing else is held, so a list of 63,000 packages costs no memory.
func Stanzas(r io.Reader, fields []string, each func(map[string]string) error) error {
	br := bufio.NewReaderSize(r, 16<<10)
	stanza := make(map[string]string, len(fields))
	cut := false // inside the rest of an over-long line
	for {
		line, err := br.ReadSlice('\n')
		full := errors.Is(err, bufio.ErrBufferFull)
		if !cut {
			done, eachErr := stanzaLine(line, fields, stanza, each)
			if eachErr != nil {
				return eachErr
			}
			if done {
				clear(stanza)
			}
		}
		cut = full
		switch {
		case err == nil, full:
		case errors.Is(err, io.EOF):
			if len(stanza) > 0 {
				return each(stanza)
			}
			return nil
		default:
			return fmt.Errorf("read stanzas: %w", err)
		}
	}
}

// stanzaLine takes one line in; done tells that it ended a stanza.
func stanzaLine(line []byte, fields []string, stanza map[string]string, each func(map[string]string) error) (done bool, err error) {
	line = bytes.TrimRight(line, " \t\r\n")
	if len(line) == 0 {
		if len(stanza) == 0 {
			return false, nil
		}
		return true, each(stanza)
	}
	Field(line, fields, stanza)
	return false, nil
}

// Field puts the line's value into the stanza if it is the first line of one
// of the fields; comments and continuation lines are not.
func Field(line []byte, fields []string, stanza map[string]string) {
	if len(line) == 0 || line[0] == ' ' || line[0] == '\t' || line[0] == '#' {
		return
	}
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return
	}
	i := slices.IndexFunc(fields, func(f string) bool { return len(f) == len(name) && strings.EqualFold(f, string(name)) })
	if i < 0 {
		return
	}
	value = bytes.TrimSpace(value)
	stanza[fields[i]] = string(value[:min(len(value), maxFieldBytes)])
}
