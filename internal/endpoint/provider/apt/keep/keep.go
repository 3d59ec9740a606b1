// Package keep owns the old packages that a rollback will need: fetched before
// an update, proven to be what they say, hashed, bounded in size, forgotten
// when no campaign needs them any more.
//
// A Store is for one goroutine.
package keep

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/provider/apt/dpkg"
	"patchring/internal/endpoint/provider/apt/query"
	"patchring/internal/endpoint/provider/tool"
	"patchring/wire"
)

// Values of wire.Change.Rollback.
const (
	rollbackReady      = "ready"
	rollbackImpossible = "impossible"
)

// keptPackage is one old package kept for a rollback.
type keptPackage struct {
	Name    string `json:"name"`
	Arch    string `json:"arch"`
	Version string `json:"version"`
	File    string `json:"file"`
	SHA256  string `json:"sha256"`
	Bytes   int64  `json:"bytes"`
}

// Store keeps old packages in a directory.
type Store struct {
	Device  *query.Device
	Dir     string
	Limit   int64 // at most this many bytes in all
	Reserve int64 // keep nothing when fewer bytes than this would remain free

	proven map[keptPackage]time.Time // files whose hash was right when they were written then
}

func (s *Store) indexFile() string { return filepath.Join(s.Dir, "index.json") }

// Preserve keeps what a rollback of the items needs. Repositories keep only the newest
// version of a package, so the one in use is fetched now, while apt's cache or
// a repository still has it.
func (s *Store) Preserve(ctx context.Context, items []wire.Item) ([]wire.Item, error) {
	native, err := s.Device.Architecture(ctx)
	if err != nil {
		return nil, err
	}
	db, err := s.Device.Packages(ctx, nil)
	if err != nil {
		return nil, err
	}
	index, err := s.readIndex()
	if err != nil {
		return nil, err
	}
	var missing []keptPackage
	each := func(visit func(change *wire.Change, old keptPackage)) {
		for i := range items {
			for j := range items[i].Packages {
				change := &items[i].Packages[j]
				visit(change, oldPackage(*change, db[dpkg.KeyOf(change.Name, change.Arch, native)]))
			}
		}
	}
	items = cloneItems(items)
	each(func(_ *wire.Change, old keptPackage) {
		if old.Version != "" && !s.intact(index, old) && !slices.Contains(missing, old) {
			missing = append(missing, old)
		}
	})
	why := s.keep(ctx, &index, missing)
	if err := s.writeIndex(index); err != nil {
		return nil, err
	}
	each(func(change *wire.Change, old keptPackage) {
		switch {
		case old.Version == "":
			change.Rollback, change.Why = rollbackImpossible, string(fault.NewPackage)
		case s.intact(index, old):
			change.Rollback, change.Why = rollbackReady, ""
		default:
			change.Rollback, change.Why = rollbackImpossible, string(why[old])
		}
	})
	return items, nil
}

// oldPackage is what a rollback of the change would put back: what is
// installed now, or, when the change is done already, what was before it.
func oldPackage(change wire.Change, now dpkg.Package) keptPackage {
	old := keptPackage{Name: change.Name, Arch: change.Arch, Version: change.From}
	if now.Present() && now.Version != change.To {
		old.Arch, old.Version = now.Arch, now.Version
	}
	return old
}

func cloneItems(items []wire.Item) []wire.Item {
	items = slices.Clone(items)
	for i := range items {
		items[i].Packages = slices.Clone(items[i].Packages)
	}
	return items
}

// keep brings the missing packages into the directory, from apt's cache or a
// repository, and says of each that could not be kept why. It never fails as a
// whole: a rollback that is impossible is knowledge, not an error.
func (s *Store) keep(ctx context.Context, index *[]keptPackage, missing []keptPackage) map[keptPackage]fault.Code {
	why := map[keptPackage]fault.Code{}
	if len(missing) == 0 {
		return why
	}
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return all(missing, codeOf(err))
	}
	s.sweep()
	var ask []keptPackage
	for _, old := range missing {
		cached := s.Device.Path("var/cache/apt/archives", dpkg.FileName(old.Name, old.Version, old.Arch))
		switch err := s.adopt(ctx, index, old, cached); {
		case err == nil:
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, errOtherPackage):
			ask = append(ask, old)
		default:
			why[old] = codeOf(err)
		}
	}
	for old, code := range s.fetch(ctx, index, ask) {
		why[old] = code
	}
	return why
}

// sweep drops what a run that was cut off left half copied.
func (s *Store) sweep() {
	for _, pattern := range []string{"fetch-*", ".new-*"} {
		left, err := filepath.Glob(filepath.Join(s.Dir, pattern))
		if err != nil {
			continue
		}
		for _, name := range left {
			_ = os.RemoveAll(name) // tried again next time
		}
	}
}

func all(missing []keptPackage, code fault.Code) map[keptPackage]fault.Code {
	why := map[keptPackage]fault.Code{}
	for _, old := range missing {
		why[old] = code
	}
	return why
}

// fetch downloads old versions that a repository still offers, in one run.
func (s *Store) fetch(ctx context.Context, index *[]keptPackage, ask []keptPackage) map[keptPackage]fault.Code {
	if len(ask) == 0 {
		return nil
	}
	why := all(ask, fault.NoOldPackage)
	native, err := s.Device.Architecture(ctx)
	if err != nil {
		return all(ask, codeOf(err))
	}
	versions := make([]query.Version, len(ask))
	for i, old := range ask {
		versions[i] = query.Version{Key: dpkg.KeyOf(old.Name, old.Arch, native), Version: old.Version}
	}
	found, err := s.Device.LookUp(ctx, versions)
	if err != nil {
		return all(ask, fault.ToolFailed)
	}
	dir, err := os.MkdirTemp(s.Dir, "fetch-")
	if err != nil {
		return all(ask, fault.Internal)
	}
	defer func() { _ = os.RemoveAll(dir) }() // sweep tries again
	args := []string{"-q", "download"}
	offered := map[keptPackage]bool{}
	var need int64
	for i, old := range ask {
		if d := found[versions[i]]; d.Offered {
			offered[old] = true
			need += d.Bytes
			args = append(args, versions[i].Arg())
		}
	}
	if len(offered) == 0 {
		return why
	}
	if !s.room(*index, need) {
		for old := range offered {
			why[old] = fault.DiskFull
		}
		return why
	}
	c := s.Device.Command("apt-get", args...)
	c.Dir = dir
	exit, err := tool.Lines(ctx, c, func([]byte) error { return nil })
	for old := range offered {
		err := errors.Join(err, s.adopt(ctx, index, old, filepath.Join(dir, dpkg.FileName(old.Name, old.Version, old.Arch))))
		switch {
		case err == nil:
			delete(why, old)
		case exit.Code != 0:
			why[old] = fault.DownloadFailed
		default:
			why[old] = codeOf(err)
		}
	}
	return why
}

var errOtherPackage = errors.New("file holds another package")

// adopt copies a package file into the directory once it has proven to be what
// its name says.
func (s *Store) adopt(ctx context.Context, index *[]keptPackage, old keptPackage, file string) error {
	stat, err := os.Stat(file)
	if err != nil {
		return err
	}
	if !s.room(*index, stat.Size()) {
		return fault.New(fault.DiskFull)
	}
	if err := s.checkFile(ctx, file, old); err != nil {
		return err
	}
	// apt takes a percent sign in a path for the start of an escape, so an
	// epoch is set off by a character that no version holds.
	old.File = filepath.Join(s.Dir, old.Name+"_"+strings.ReplaceAll(old.Version, ":", "_")+"_"+old.Arch+".deb")
	old.Bytes, old.SHA256, err = copyDurable(old.File, file)
	if err != nil {
		return err
	}
	*index = slices.DeleteFunc(*index, func(k keptPackage) bool { return k.same(old) })
	*index = append(*index, old)
	return nil
}

// checkFile reads name, version and architecture out of a package file.
func (s *Store) checkFile(ctx context.Context, file string, old keptPackage) error {
	stanza := map[string]string{}
	exit, err := tool.Lines(ctx, s.Device.Command("dpkg-deb", "-f", file, "Package", "Version", "Architecture"), func(line []byte) error {
		dpkg.Field(line, []string{"Package", "Version", "Architecture"}, stanza)
		return nil
	})
	if err != nil {
		return err
	}
	if exit.Code != 0 || stanza["Package"] != old.Name || stanza["Version"] != old.Version || stanza["Architecture"] != old.Arch {
		return fmt.Errorf("check %s: %w", filepath.Base(file), errOtherPackage)
	}
	return nil
}

// room tells whether so many bytes more may be kept.
func (s *Store) room(index []keptPackage, more int64) bool {
	total := more
	for _, k := range index {
		total += k.Bytes
	}
	free, err := query.FreeBytes(s.Dir)
	return err == nil && total <= s.Limit && free-more >= s.Reserve
}

// copyDurable copies a file so that its name appears with its whole content or
// not at all.
func copyDurable(to, from string) (int64, string, error) {
	in, err := os.Open(from)
	if err != nil {
		return 0, "", fmt.Errorf("keep %s: %w", filepath.Base(from), err)
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(to), ".new-*")
	if err != nil {
		return 0, "", fmt.Errorf("keep %s: %w", filepath.Base(from), err)
	}
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, hash), in)
	err = errors.Join(err, out.Chmod(0o644), out.Sync(), out.Close()) // apt reads it as another user
	if err == nil {
		err = os.Rename(out.Name(), to)
	}
	if err != nil {
		return 0, "", fmt.Errorf("keep %s: %w", filepath.Base(from), errors.Join(err, os.Remove(out.Name())))
	}
	return n, hex.EncodeToString(hash.Sum(nil)), tool.SyncDir(filepath.Dir(to))
}

func (k keptPackage) same(o keptPackage) bool {
	return k.Name == o.Name && k.Version == o.Version && (k.Arch == o.Arch || o.Arch == "")
}

// intact tells that the package is kept and its file is still what it was.
// The hash is taken once for each time the file was written.
func (s *Store) intact(index []keptPackage, old keptPackage) bool {
	i := slices.IndexFunc(index, func(k keptPackage) bool { return k.same(old) })
	if i < 0 {
		return false
	}
	k := index[i]
	stat, err := os.Stat(k.File)
	if err != nil || stat.Size() != k.Bytes {
		return false
	}
	if s.proven[k].Equal(stat.ModTime()) {
		return true
	}
	if sum, err := hashFile(k.File); err != nil || sum != k.SHA256 {
		return false
	}
	if s.proven == nil {
		s.proven = map[keptPackage]time.Time{}
	}
	s.proven[k] = stat.ModTime()
	return true
}

func hashFile(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("hash: %w", err)
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", fmt.Errorf("hash %s: %w", name, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// File finds the file to go back to a version with.
func (s *Store) File(ctx context.Context, key dpkg.Key, version string) (file string, ok bool, err error) {
	index, err := s.readIndex()
	if err != nil {
		return "", false, err
	}
	native, err := s.Device.Architecture(ctx)
	if err != nil {
		return "", false, err
	}
	for _, k := range index {
		if dpkg.KeyOf(k.Name, k.Arch, native) == key && k.Version == version && s.intact(index, k) {
			return k.File, true, nil
		}
	}
	return "", false, nil
}

// Forget drops what none of the items names.
func (s *Store) Forget(keep []wire.Item) error {
	index, err := s.readIndex()
	if err != nil {
		return err
	}
	needed := func(k keptPackage) bool {
		for _, item := range keep {
			for _, c := range item.Packages {
				if c.Name == k.Name && (c.Arch == k.Arch || c.Arch == "") && (c.From == k.Version || c.To == k.Version) {
					return true
				}
			}
		}
		return false
	}
	// The files go first: an index that names a missing file only says
	// "impossible", a file without an index would stay for ever.
	var left []keptPackage
	for _, k := range index {
		if needed(k) {
			left = append(left, k)
			continue
		}
		if err := os.Remove(k.File); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("forget %s: %w", k.File, err)
		}
	}
	if len(left) == len(index) {
		return nil
	}
	return s.writeIndex(left)
}

func (s *Store) indexed() bool {
	_, err := os.Lstat(s.indexFile())
	return !errors.Is(err, fs.ErrNotExist)
}

func (s *Store) readIndex() ([]keptPackage, error) {
	text, err := os.ReadFile(s.indexFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read kept packages: %w", err)
	}
	var index []keptPackage
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, fmt.Errorf("read kept packages %s: %w", s.indexFile(), err)
	}
	return index, nil
}

// writeIndex is the last thing to happen when something is kept. Crash story:
// a copied file that the index does not name is copied again by the next run,
// under the same name.
func (s *Store) writeIndex(index []keptPackage) error {
	if len(index) == 0 && !s.indexed() {
		return nil
	}
	text, err := json.MarshalIndent(index, "", " ")
	if err != nil {
		return fmt.Errorf("encode kept packages: %w", err)
	}
	return tool.WriteDurable(s.indexFile(), text)
}

// codeOf is why something could not be kept.
func codeOf(err error) fault.Code {
	if errors.Is(err, unix.ENOSPC) {
		return fault.DiskFull
	}
	if errors.Is(err, errOtherPackage) || errors.Is(err, fs.ErrNotExist) {
		return fault.NoOldPackage
	}
	return fault.CodeOf(err)
}
