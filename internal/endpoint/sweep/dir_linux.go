package sweep

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// dir is an open directory. Everything in it is reached through its descriptor.
type dir struct {
	root *os.Root
	self *os.File // the same directory, for what os.Root does not do
	dev  uint64
}

// openTop opens a place. The way to its top is the system's and may have links
// of the administrator; from there on each component must be a directory.
func openTop(root string, p place) (*dir, error) {
	at := path.Join(root, p.top)
	r, err := os.OpenRoot(at)
	if err != nil {
		return nil, err
	}
	d, err := opened(r)
	if err != nil {
		return nil, err
	}
	info, err := d.self.Stat()
	if err != nil {
		d.close()
		return nil, fmt.Errorf("look at %s: %w", p.top, err)
	}
	if p.home >= 0 && (uidOf(info) != p.home || overNetwork(d.self)) {
		d.close()
		return nil, errGone
	}
	for name := range strings.SplitSeq(p.below, "/") {
		if name == "" {
			continue
		}
		sub, err := d.enter(name)
		d.close()
		if err != nil {
			return nil, err
		}
		d = sub
	}
	return d, nil
}

// opened takes a root over.
func opened(r *os.Root) (*dir, error) {
	self, err := r.Open(".")
	if err != nil {
		r.Close()
		return nil, err
	}
	d := &dir{root: r, self: self}
	info, err := self.Stat()
	if err != nil {
		d.close()
		return nil, err
	}
	d.dev = info.Sys().(*syscall.Stat_t).Dev
	return d, nil
}

func (d *dir) close() {
	d.self.Close()
	d.root.Close()
}

// enter opens a directory in this one. What is a link, was replaced while it was
// opened, is of another file system, or is a mount (of the same one, too) is
// not entered.
func (d *dir) enter(name string) (*dir, error) {
	before, err := d.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !before.IsDir() {
		return nil, errGone
	}
	r, err := d.root.OpenRoot(name)
	if err != nil {
		return nil, errGone
	}
	sub, err := opened(r)
	if err != nil {
		return nil, errGone
	}
	after, err := sub.self.Stat()
	if err != nil || !os.SameFile(before, after) || sub.dev != d.dev || isMount(sub.self) {
		sub.close()
		return nil, errGone
	}
	return sub, nil
}

// each calls do with the name of every entry.
func (d *dir) each(do func(name string) error) error {
	for {
		names, err := d.self.Readdirnames(stepEvery)
		for _, name := range names {
			if err := do(name); err != nil {
				return err
			}
		}
		if err != nil || len(names) == 0 {
			return readErr(err)
		}
	}
}

// readErr: a directory that cannot be read to its end is left as it is.
func readErr(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("read directory: %w", err)
}

// locked tells that somebody keeps an exclusive lock on the directory.
func (d *dir) locked() bool {
	fd := int(d.self.Fd())
	if unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB) != nil {
		return true
	}
	return unix.Flock(fd, unix.LOCK_UN) != nil
}

// isMount asks the kernel, which also knows a mount of the same file system.
func isMount(f *os.File) bool {
	var st unix.Statx_t
	err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &st)
	return err != nil || st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}

// Magic numbers of file systems that other machines share: from statfs(2).
var networks = map[uint32]bool{
	0x6969: true, 0x517B: true, 0xFF534D42: true, 0xFE534D42: true, 0x5346414F: true, 0x00C36400: true, 0x65735546: true,
}

func overNetwork(f *os.File) bool {
	var st unix.Statfs_t
	return unix.Fstatfs(int(f.Fd()), &st) != nil || networks[uint32(st.Type)]
}

// removeFile removes a file that is still the one that was looked at. Between
// that look and the removal only a name in this very directory can change, and
// whoever may change it may remove it as well.
func removeFile(d *dir, name string, was fs.FileInfo) error {
	now, err := d.root.Lstat(name)
	if err != nil {
		return err
	}
	if !os.SameFile(was, now) || !lastTouched(now).Equal(lastTouched(was)) {
		return errGone
	}
	return unix.Unlinkat(int(d.self.Fd()), name, 0)
}

// removeDir removes an empty directory, and nothing else.
func removeDir(d *dir, name string) error {
	return unix.Unlinkat(int(d.self.Fd()), name, unix.AT_REMOVEDIR)
}

func uidOf(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }

// lastTouched is the latest of a file's times. The time of its last change of
// state counts too: a package that was downloaded keeps its publisher's time of
// modification, and a file that was moved here its own.
func lastTouched(info fs.FileInfo) time.Time {
	st := info.Sys().(*syscall.Stat_t)
	latest := time.Unix(st.Mtim.Unix())
	times := []syscall.Timespec{st.Ctim}
	if !info.IsDir() {
		times = append(times, st.Atim) // a directory is read by whoever looks into it, as we do
	}
	for _, t := range times {
		if at := time.Unix(t.Unix()); at.After(latest) {
			latest = at
		}
	}
	return latest
}

// diskBytes is what the disk gets back: nothing as long as another name is left.
func diskBytes(info fs.FileInfo) int64 {
	st := info.Sys().(*syscall.Stat_t)
	if st.Nlink > 1 {
		return 0
	}
	return st.Blocks * 512
}
