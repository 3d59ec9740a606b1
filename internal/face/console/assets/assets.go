// Package assets owns the console's static files: its style sheets and script,
// the vendored ones (VENDOR.md says which, with their hashes and licences),
// and the icons. It serves them under an address that changes with their
// content, so browsers may keep them for ever.
//
// It refuses any other file. A Store is read-only after Load, safe from any
// goroutine.
package assets

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
)

//go:embed css js vendor icons
var embedded embed.FS

// Prefix is where a Store is to be mounted.
const Prefix = "/assets/"

// Store is the set of files with the address they are served under.
type Store struct {
	base  string
	files map[string]file
}

type file struct {
	kind    string
	raw     []byte
	gzipped []byte // nil for what is compressed already
}

// Load reads the embedded files. The style sheets become one, in the order of
// their names, which is the order of their layers.
func Load() (*Store, error) {
	s := &Store{files: map[string]file{}}
	css, err := join("css")
	if err != nil {
		return nil, err
	}
	if err := s.add("console.css", "text/css; charset=utf-8", css); err != nil {
		return nil, err
	}
	js, err := join("js")
	if err != nil {
		return nil, err
	}
	if err := s.add("console.js", "text/javascript; charset=utf-8", js); err != nil {
		return nil, err
	}
	for name, kind := range map[string]string{
		"htmx.min.js":   "text/javascript; charset=utf-8",
		"hx-sse.min.js": "text/javascript; charset=utf-8",
		"inter.woff2":   "font/woff2",
		"mark.svg":      "image/svg+xml",
	} {
		raw, err := embedded.ReadFile(path.Join(directory(name), name))
		if err != nil {
			return nil, fmt.Errorf("read asset %s: %w", name, err)
		}
		if err := s.add(name, kind, raw); err != nil {
			return nil, err
		}
	}
	s.base = Prefix + s.fingerprint() + "/"
	return s, nil
}

func directory(name string) string {
	if name == "mark.svg" {
		return "icons"
	}
	return "vendor"
}

// join is every file of a folder, one after the other by name.
func join(folder string) ([]byte, error) {
	var all bytes.Buffer
	err := fs.WalkDir(embedded, folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := embedded.ReadFile(path)
		all.Write(raw)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read assets of %s: %w", folder, err)
	}
	return all.Bytes(), nil
}

func (s *Store) add(name, kind string, raw []byte) error {
	f := file{kind: kind, raw: raw}
	if kind != "font/woff2" {
		var b bytes.Buffer
		z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if err != nil {
			return fmt.Errorf("compress asset %s: %w", name, err)
		}
		if _, err := z.Write(raw); err != nil {
			return fmt.Errorf("compress asset %s: %w", name, err)
		}
		if err := z.Close(); err != nil {
			return fmt.Errorf("compress asset %s: %w", name, err)
		}
		f.gzipped = b.Bytes()
	}
	s.files[name] = f
	return nil
}

// fingerprint is of the whole set: relative addresses inside the style sheet
// then keep working.
func (s *Store) fingerprint() string {
	var sum [sha256.Size]byte
	for name, f := range s.files {
		one := sha256.Sum256(append([]byte(name+"\x00"), f.raw...))
		for i := range sum {
			sum[i] ^= one[i]
		}
	}
	return hex.EncodeToString(sum[:6])
}

// URL is the address of a file. An unknown name is a programmer's mistake; it
// yields an address that answers 404.
func (s *Store) URL(name string) string { return s.base + name }

// ServeHTTP serves the files under Prefix.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, under := strings.CutPrefix(r.URL.Path, s.base)
	f, known := s.files[name]
	if !under || !known {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	body := f.raw
	if f.gzipped != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = f.gzipped
	}
	h.Set("Content-Length", fmt.Sprint(len(body)))
	if r.Method != http.MethodHead {
		w.Write(body) //nolint:errcheck // the reader went away
	}
}

// icons are read once: they are part of the program.
var icons = sync.OnceValue(func() map[string]string {
	all := map[string]string{}
	entries, err := embedded.ReadDir("icons")
	if err != nil {
		panic(fmt.Sprintf("assets: read icons: %v", err))
	}
	for _, e := range entries {
		raw, err := embedded.ReadFile("icons/" + e.Name())
		if err != nil {
			panic(fmt.Sprintf("assets: read icon: %v", err))
		}
		_, inner, _ := strings.Cut(string(raw), "<svg")
		_, inner, _ = strings.Cut(inner, ">")
		inner, _, _ = strings.Cut(inner, "</svg>")
		all[strings.TrimSuffix(e.Name(), ".svg")] = strings.TrimSpace(inner)
	}
	return all
})

// Icon is the inside of an icon's <svg>, drawn on a field of 24 by 24.
func Icon(name string) (string, bool) {
	inner, ok := icons()[name]
	return inner, ok
}
