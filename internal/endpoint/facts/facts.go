// Package facts reads what is known of this device but for its software: the
// system, the hardware, disks, addresses, whether it wants a reboot and who
// else installs updates on it. It looks and never changes anything; what it
// cannot read it leaves out, because a fact that is missing is better than a
// device that is silent.
//
// The files come from a file system, so that a test's device is a directory;
// the few things only the kernel tells are functions of Host.
package facts

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"patchring/internal/endpoint/facts/osrelease"
	"patchring/wire"
)

// Host is the device to read. This makes the one the agent runs on.
type Host struct {
	FS         fs.FS // the root directory
	Hostname   func() (string, error)
	Statfs     func(mount string) (size, free int64, err error)
	Interfaces func() ([]wire.Interface, error)
	// Needrestart asks needrestart for the kernel's state (-b -k) and returns
	// what it prints; nil when there is no such tool. It starts a Perl, so it
	// is run only when a caller asks for it.
	Needrestart func(ctx context.Context) ([]byte, error)
}

// Reader reads one host's facts again and again. It is for one goroutine.
type Reader struct {
	host Host
	// What a later reading would say slightly otherwise, or not at all, is kept
	// so that a steady device keeps a steady hash.
	bootID   string
	bootedUS int64
	stale    *wire.RebootSignal // of the last needrestart
}

// NewReader makes a reader.
func NewReader(h Host) *Reader { return &Reader{host: h} }

// Read reads the facts; Providers is left to the caller. With deep it also
// asks needrestart, whose answer stands until the next deep reading. The facts
// are worth keeping even with an error: it says what had to be left out.
func (r *Reader) Read(ctx context.Context, deep bool) (wire.Facts, error) {
	var f wire.Facts
	var problems []error
	left := func(what string, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("read %s: %w", what, err))
		}
	}
	var err error
	release, err := osrelease.Read(r.host.FS)
	left("system", err)
	f.OS = r.os(release)
	f.Hostname, err = r.host.Hostname()
	left("host name", err)
	container := r.container()
	f.Hardware = r.hardware(container)
	f.Kind = r.kind(container)
	f.Disks, err = r.disks()
	left("disks", err)
	f.Interfaces, err = r.host.Interfaces()
	left("interfaces", err)
	left("boot", r.boot())
	f.BootID, f.BootedUS = r.bootID, r.bootedUS
	f.MachineID = r.line("etc/machine-id")
	f.TimeZone = r.timeZone()
	f.Actors = r.actors()
	f.RebootSignals, err = r.rebootSignals(ctx, f.OS.Kernel, container != "", deep)
	left("needrestart", err)
	return f, errors.Join(problems...)
}

func (r *Reader) os(release osrelease.Release) wire.OS {
	o := wire.OS{
		ID: release["ID"], Like: release["ID_LIKE"], Name: release["PRETTY_NAME"], Version: release["VERSION_ID"],
		Codename: release["VERSION_CODENAME"], Kernel: r.line("proc/sys/kernel/osrelease"), Arch: runtime.GOARCH,
	}
	if o.ID == "" {
		o.ID = "linux" // os-release(5)
	}
	if o.Name == "" {
		o.Name = "Linux"
	}
	// Debian's VERSION_ID is 12, its point release 12.15 is here; Ubuntu has
	// the name of the Debian it grew from in the same file.
	if point := r.line("etc/debian_version"); o.ID == "debian" && (o.Version == "" || strings.HasPrefix(point, o.Version+".")) {
		o.Version = point
	}
	return o
}

// raw reads a file; what cannot be read is empty.
func (r *Reader) raw(name string) string {
	content, err := fs.ReadFile(r.host.FS, name)
	if err != nil {
		return ""
	}
	return string(content)
}

// text is a file's content fit to be sent.
func (r *Reader) text(name string) string { return wire.Clean(r.raw(name), 1<<20) }

// line is the first line of a file.
func (r *Reader) line(name string) string {
	first, _, _ := strings.Cut(r.text(name), "\n")
	return wire.Clean(strings.TrimSpace(first), wire.MaxTextBytes)
}

// exists looks at the name itself: a link that leads nowhere on this file
// system (to /dev/null in a test's) is still there.
func (r *Reader) exists(name string) bool {
	_, err := fs.Lstat(r.host.FS, name)
	return err == nil
}

// target is where a link leads, or "".
func (r *Reader) target(name string) string {
	to, err := fs.ReadLink(r.host.FS, name)
	if err != nil {
		return ""
	}
	return to
}

// boot reads the boot id, and the boot time once for each: the kernel works
// the time out anew from a clock that is being adjusted.
func (r *Reader) boot() error {
	id := r.line("proc/sys/kernel/random/boot_id")
	if id != "" && id == r.bootID {
		return nil
	}
	stat, err := fs.ReadFile(r.host.FS, "proc/stat")
	if err != nil {
		return fmt.Errorf("boot time: %w", err)
	}
	for line := range bytes.Lines(stat) {
		seconds, ok := bytes.CutPrefix(line, []byte("btime "))
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(string(bytes.TrimSpace(seconds)), 10, 64)
		if err != nil {
			return fmt.Errorf("boot time: %w", err)
		}
		r.bootID, r.bootedUS = id, n*1_000_000
		return nil
	}
	return errors.New("/proc/stat has no btime")
}

// timeZone is the zone's name: where /etc/localtime leads, or what Debian
// writes beside it.
func (r *Reader) timeZone() string {
	if _, zone, ok := strings.Cut(r.target("etc/localtime"), "zoneinfo/"); ok {
		return zone
	}
	return r.line("etc/timezone")
}

// dataFS are file systems that hold data on a disk of this device.
var dataFS = []string{"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "jfs", "zfs", "bcachefs", "vfat", "exfat", "ntfs", "ntfs3", "fuseblk", "overlay"}

// freeStep rounds free space down (wire.Disk).
const freeStep = 64 << 20

// disks lists each device once, at its first mount.
func (r *Reader) disks() ([]wire.Disk, error) {
	mounts, err := DataMounts(r.host.FS)
	if err != nil {
		return nil, err
	}
	var disks []wire.Disk
	for _, m := range mounts {
		size, free, err := r.host.Statfs(m.At)
		if err != nil || size == 0 {
			continue // a mount that answers nothing must not silence the rest
		}
		disks = append(disks, wire.Disk{Mount: m.At, FS: m.FS, SizeBytes: size, FreeBytes: free / freeStep * freeStep})
	}
	slices.SortFunc(disks, func(a, b wire.Disk) int { return strings.Compare(a.Mount, b.Mount) })
	return disks, nil
}

// Mount is where a file system that holds data is mounted.
type Mount struct {
	At, FS   string
	ReadOnly bool
}

// DataMounts lists each device once, at its first mount: bind mounts and
// subvolumes show the same space again. A container's overlay is only a disk
// as its root.
func DataMounts(root fs.FS) ([]Mount, error) {
	file, err := root.Open("proc/self/mounts")
	if err != nil {
		return nil, fmt.Errorf("open mounts: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	var mounts []Mount
	seen := map[string]bool{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 3 || !slices.Contains(dataFS, fields[2]) || seen[fields[0]] || fields[2] == "overlay" && fields[1] != "/" {
			continue
		}
		seen[fields[0]] = true
		m := Mount{At: unescape(fields[1]), FS: fields[2]}
		if len(fields) > 3 {
			m.ReadOnly = slices.Contains(strings.Split(fields[3], ","), "ro")
		}
		mounts = append(mounts, m)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read mounts: %w", err)
	}
	return mounts, nil
}

// Container names the container manager that this device runs in, or "".
func Container(root fs.FS) string { return NewReader(Host{FS: root}).container() }

// unescape undoes the kernel's \040 for a blank and its like.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// names lists a directory; one that is missing is empty.
func (r *Reader) names(dir string) []string {
	entries, err := fs.ReadDir(r.host.FS, dir)
	if err != nil {
		return nil
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = path.Join(dir, e.Name())
	}
	return names
}
