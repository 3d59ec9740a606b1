package keys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// ErrExposed is the refusal of a key file that more people can read than may.
var ErrExposed = errors.New("key file is open to others")

// maxFile bounds what is read: a key or a chain of certificates, not a disk.
const maxFile = 1 << 20

// readSecret reads a key file, but not one that everybody on the machine can
// read. A group may read it (Debian's ssl-cert does); it may not write it.
func readSecret(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	// Windows has no such bits: Go reports 0666 for every file there.
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o027 != 0 {
		return nil, fmt.Errorf("%s has mode %04o: %w; run: chmod 600 %s", path, mode, ErrExposed, path)
	}
	return readFile(path, info)
}

func readPublic(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return readFile(path, info)
}

func readFile(path string, info fs.FileInfo) ([]byte, error) {
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("%s is not a file of at most %d bytes", path, maxFile)
	}
	return os.ReadFile(path)
}

// create writes a file that does not exist yet, whole or not at all. If we die
// before the link, the next start finds nothing but a stray temporary file and
// makes the key again; if we die after it, it finds the key. When another
// process was quicker, its file stands and the error is fs.ErrExist.
func create(path string, content []byte, mode fs.FileMode) error {
	return write(path, content, mode, os.Link)
}

// replace puts new content in a file's place. If we die, the next start sees
// the old content or the new, never a mixture.
func replace(path string, content []byte, mode fs.FileMode) error {
	return write(path, content, mode, os.Rename)
}

func write(path string, content []byte, mode fs.FileMode, place func(from, to string) error) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		// After a rename there is nothing left to remove.
		if gone := os.Remove(file.Name()); gone != nil && !errors.Is(gone, fs.ErrNotExist) && err == nil {
			err = fmt.Errorf("write %s: %w", path, gone)
		}
	}()
	_, err = file.Write(content)
	err = errors.Join(err, file.Chmod(mode), file.Sync(), file.Close())
	if err == nil {
		err = place(file.Name(), path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// syncDir makes a new name survive a power cut. Windows has no such call and
// keeps names in its journal.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
