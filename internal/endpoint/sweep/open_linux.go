package sweep

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// OpenFiles are the files that processes have open or mapped.
type OpenFiles struct {
	files  map[fileID]bool
	mapped map[uint64]bool // inodes, of whatever device: maps and stat number devices differently
}

type fileID struct{ dev, ino uint64 }

// Has tells whether some process uses the file.
func (o OpenFiles) Has(info fs.FileInfo) bool {
	st := info.Sys().(*syscall.Stat_t)
	return o.files[fileID{st.Dev, st.Ino}] || o.mapped[st.Ino]
}

// ReadOpenFiles reads what all processes have open now. A process that ends
// meanwhile has nothing open; one that cannot be looked into is an error.
func ReadOpenFiles() (OpenFiles, error) {
	o := OpenFiles{files: map[fileID]bool{}, mapped: map[uint64]bool{}}
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return o, fmt.Errorf("list processes: %w", err)
	}
	for _, p := range processes {
		if _, err := strconv.Atoi(p.Name()); err != nil {
			continue
		}
		if err := o.add(filepath.Join("/proc", p.Name())); err != nil {
			return o, fmt.Errorf("look into process %s: %w", p.Name(), err)
		}
	}
	return o, nil
}

func (o OpenFiles) add(process string) error {
	fds, err := os.ReadDir(filepath.Join(process, "fd"))
	if err != nil {
		return unlessEnded(err)
	}
	for _, fd := range fds {
		var st syscall.Stat_t
		// The link leads to the open file. One that root cannot look at is on a
		// file system of somebody's own (FUSE), where nothing is ever removed.
		if syscall.Stat(filepath.Join(process, "fd", fd.Name()), &st) != nil {
			continue
		}
		o.files[fileID{st.Dev, st.Ino}] = true
	}
	err = o.addMapped(filepath.Join(process, "maps"))
	if errors.Is(err, fs.ErrPermission) {
		return nil // a container's first process, of the host's: what it has open is known
	}
	return unlessEnded(err)
}

// addMapped reads lines such as
//
//	7f0a4c000000-7f0a4c021000 r--p 00000000 fd:01 2621588    /usr/lib/locale/C.utf8/LC_CTYPE
func (o OpenFiles) addMapped(maps string) error {
	f, err := os.Open(maps)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 {
			continue
		}
		if ino, err := strconv.ParseUint(fields[4], 10, 64); err == nil && ino > 0 {
			o.mapped[ino] = true
		}
	}
	return lines.Err()
}

func unlessEnded(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}
