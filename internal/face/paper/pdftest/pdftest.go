// Package pdftest reads the texts of prints back, page by page, as they were
// drawn: tests say with it what a reader of the paper sees. It knows the prints
// of package pdf alone, whose texts are UTF-16 in compressed streams. For tests.
package pdftest

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
)

// pageObject is a page with the number of its content; shown is a text that is
// drawn, its brackets and backslashes escaped.
var (
	pageObject = regexp.MustCompile(`(?s)<</Type /Page\n.*?/Contents (\d+) 0 R`)
	shown      = regexp.MustCompile(`(?s)\(((?:[^()\\]|\\.)*)\) ?Tj`)
	escaped    = regexp.MustCompile(`(?s)\\(.)`)
)

// Pages are the texts of each page, a line each.
func Pages(body []byte) ([]string, error) {
	var out []string
	for _, m := range pageObject.FindAllSubmatch(body, -1) {
		text, err := content(body, string(m[1]))
		if err != nil {
			return nil, fmt.Errorf("read page %d: %w", len(out)+1, err)
		}
		var lines []string
		for _, s := range shown.FindAllSubmatch(text, -1) {
			lines = append(lines, decode(s[1]))
		}
		out = append(out, strings.Join(lines, "\n"))
	}
	if len(out) == 0 {
		return nil, errors.New("read the print: it has no page")
	}
	return out, nil
}

// content unpacks an object's stream.
func content(body []byte, object string) ([]byte, error) {
	_, rest, found := bytes.Cut(body, []byte("\n"+object+" 0 obj\n"))
	if !found {
		return nil, errors.New("no object " + object)
	}
	head, rest, found := bytes.Cut(rest, []byte("stream\n"))
	if !found {
		return nil, errors.New("no stream in object " + object)
	}
	length := regexp.MustCompile(`/Length (\d+)`).FindSubmatch(head)
	if length == nil {
		return nil, errors.New("no length in object " + object)
	}
	n, err := strconv.Atoi(string(length[1]))
	if err != nil || n > len(rest) {
		return nil, fmt.Errorf("length %s of object %s", length[1], object)
	}
	in, err := zlib.NewReader(bytes.NewReader(rest[:n]))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(in)
}

func decode(text []byte) string {
	text = escaped.ReplaceAllFunc(text, func(e []byte) []byte {
		if e[1] == 'r' {
			return []byte{'\r'}
		}
		return e[1:]
	})
	units := make([]uint16, len(text)/2)
	for i := range units {
		units[i] = uint16(text[2*i])<<8 | uint16(text[2*i+1])
	}
	return string(utf16.Decode(units))
}
