//go:build linux

package tool

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"patchring/internal/endpoint/provider"
	"patchring/wire"
)

// Bounds of the logs kept on the device.
const (
	maxLogs     = 40
	maxLogsSize = 32 << 20
	maxLogSize  = 8 << 20 // a longer one loses its middle once it is closed
	headKept    = 1 << 20
)

// Log is the raw output of one action, which may run several tools.
type Log struct {
	file *os.File
	path string
}

// Open starts the log of an action and drops the oldest logs over the bounds.
func (b *Bench) Open(action string) (*Log, error) {
	dir := filepath.Join(b.Dir, "logs")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make log directory: %w", err)
	}
	if err := prune(dir, maxLogs-1, maxLogsSize); err != nil {
		return nil, err
	}
	name := b.Now().UTC().Format("20060102T150405Z") + "-" + action + "-" + rand.Text()[:6] + ".log"
	path := filepath.Join(dir, name)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return &Log{file: file, path: path}, nil
}

// Note adds a line of ours, told apart from the tools' own by its mark.
func (l *Log) Note(format string, args ...any) {
	// A note that cannot be written (full disk) must not stop the action.
	_, _ = fmt.Fprintf(l.file, "# "+format+"\n", args...)
}

// Include takes over what an earlier agent's log holds.
func (l *Log) Include(path string) {
	file, err := os.Open(path)
	if err != nil {
		l.Note("the earlier log cannot be read: %s", err)
		return
	}
	defer file.Close()
	if _, err := io.Copy(l.file, file); err != nil {
		l.Note("the earlier log could not be taken over: %s", err)
	}
}

// Close ends the log and says what is in it. An empty log leaves no file.
func (l *Log) Close() (provider.Log, error) {
	defer l.file.Close()
	size := l.size()
	if size == 0 {
		return provider.Log{}, os.Remove(l.path)
	}
	if size > maxLogSize {
		if err := l.dropMiddle(size); err != nil {
			return provider.Log{}, err
		}
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, io.NewSectionReader(l.file, 0, l.size())); err != nil {
		return provider.Log{}, fmt.Errorf("hash log: %w", err)
	}
	return provider.Log{
		Tail:   wire.Clean(l.tailFrom(0), wire.MaxLogTailBytes),
		SHA256: hex.EncodeToString(hash.Sum(nil)),
		File:   l.path,
	}, nil
}

// Lines hands over the lines from an offset on.
func (l *Log) Lines(from int64, each func(line []byte) error) error {
	return eachLine(io.NewSectionReader(l.file, from, 1<<62), each)
}

// Mark is the present end, for a later Lines.
func (l *Log) Mark() int64 { return l.size() }

func (l *Log) size() int64 {
	stat, err := l.file.Stat()
	if err != nil {
		return 0
	}
	return stat.Size()
}

// tailFrom is the last part of what was written after from.
func (l *Log) tailFrom(from int64) string {
	size := l.size()
	buf := make([]byte, min(size-from, wire.MaxLogTailBytes))
	n, err := l.file.ReadAt(buf, size-int64(len(buf)))
	if err != nil && !errors.Is(err, io.EOF) {
		return ""
	}
	return string(buf[:n])
}

func (l *Log) dropMiddle(size int64) error {
	head, tail := make([]byte, headKept), make([]byte, maxLogSize-headKept)
	if _, err := l.file.ReadAt(head, 0); err != nil {
		return fmt.Errorf("shorten log: %w", err)
	}
	if _, err := l.file.ReadAt(tail, size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("shorten log: %w", err)
	}
	if err := l.file.Truncate(headKept); err != nil {
		return fmt.Errorf("shorten log: %w", err)
	}
	l.Note("%d bytes left out", size-maxLogSize)
	if _, err := l.file.Write(tail); err != nil {
		return fmt.Errorf("shorten log: %w", err)
	}
	return nil
}

// prune keeps the newest logs: at most count, at most size bytes.
func prune(dir string, count int, size int64) error {
	names := dirNames(dir)
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(b, a) }) // names begin with the time
	var total int64
	for i, name := range names {
		path := filepath.Join(dir, name)
		stat, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("prune logs: %w", err)
		}
		if total += stat.Size(); i < count && total <= size {
			continue
		}
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("prune logs: %w", err)
		}
	}
	return nil
}

func dirNames(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names
}

// wholeLines cuts text at its last newline and says how many bytes that was;
// a full buffer without a newline counts as a line. dpkg rewrites its
// percentages in place: of such a line only the last state is said.
func wholeLines(text []byte, full bool) (lines []string, used int) {
	used = bytes.LastIndexByte(text, '\n') + 1
	if used == 0 && full {
		used = len(text)
	}
	for line := range bytes.Lines(text[:used]) {
		line = bytes.TrimRight(line, "\r\n")
		if cr := bytes.LastIndexByte(line, '\r'); cr >= 0 {
			line = line[cr+1:]
		}
		if len(line) > 0 {
			lines = append(lines, wire.Clean(string(line), wire.MaxTextBytes))
		}
	}
	return lines, used
}

// WriteDurable replaces a file so that after a power cut either the old or the
// new content is there.
func WriteDurable(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(file.Name())))
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes renames in a directory last.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}
