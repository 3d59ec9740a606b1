package dpkg

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// AdminDir is dpkg's directory under a root.
const AdminDir = "var/lib/dpkg"

var statusFields = []string{"Package", "Status", "Version", "Architecture", "Source"}

// ReadStatus reads database entries from r.
func ReadStatus(r io.Reader, each func(Package) error) error {
	return Stanzas(r, statusFields, func(s map[string]string) error {
		p, ok := entry(s)
		if !ok {
			return nil
		}
		return each(p)
	})
}

// entry refuses what is not a whole entry: dpkg never writes one without a
// name and three status words.
func entry(s map[string]string) (Package, bool) {
	words := strings.Fields(s["Status"])
	if s["Package"] == "" || len(words) != statusFieldWords {
		return Package{}, false
	}
	p := Package{
		Name: s["Package"], Version: s["Version"], Arch: s["Architecture"],
		Want: words[0], Flag: words[1], Status: Status(words[2]),
	}
	p.Source, p.SourceVersion = SplitSource(s["Source"], p.Name, p.Version)
	return p, true
}

// Read reads the database under root: the status file and, over it, the
// updates that dpkg has not merged yet. While dpkg works, and after it was
// killed, the newest truth is in updates/NNNN only.
func Read(root string, each func(Package) error) error {
	dir := filepath.Join(root, AdminDir)
	newer, err := updates(filepath.Join(dir, "updates"))
	if err != nil {
		return err
	}
	file, err := os.Open(filepath.Join(dir, "status"))
	if err != nil {
		return fmt.Errorf("read package database: %w", err)
	}
	defer file.Close()
	err = ReadStatus(file, func(p Package) error {
		id := p.Name + ":" + p.Arch
		if n, ok := newer[id]; ok {
			delete(newer, id)
			p = n
		}
		return each(p)
	})
	if err != nil {
		return fmt.Errorf("read package database: %w", err)
	}
	for _, p := range newer {
		if err := each(p); err != nil {
			return err
		}
	}
	return nil
}

// updates reads dpkg's journal in its order.
func updates(dir string) (map[string]Package, error) {
	names, err := journal(dir)
	if err != nil {
		return nil, err
	}
	newer := map[string]Package{}
	for _, name := range names {
		file, err := os.Open(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // merged between the listing and now
		}
		if err != nil {
			return nil, fmt.Errorf("read package database: %w", err)
		}
		err = ReadStatus(file, func(p Package) error {
			newer[p.Name+":"+p.Arch] = p
			return nil
		})
		file.Close()
		if err != nil {
			return nil, fmt.Errorf("read package database: %w", err)
		}
	}
	return newer, nil
}

// Interrupted tells that dpkg died before it merged its journal.
func Interrupted(root string) (bool, error) {
	names, err := journal(filepath.Join(root, AdminDir, "updates"))
	return len(names) > 0, err
}

// journal lists the numbered files; tmp.i is a write that never counted.
func journal(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read package database: %w", err)
	}
	var names []string
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err == nil {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names) // all have four digits
	return names, nil
}
