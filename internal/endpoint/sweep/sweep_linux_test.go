package sweep

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"patchring/wire"
)

// world is a device's tree. The sweeper's clock is a hundred days ahead, so
// that what was made now is old: nobody can set the time of a file's last change
// of state back.
type world struct {
	t    *testing.T
	root string
	s    *Sweeper
}

const person = 1234

func newWorld(t *testing.T) world {
	root := t.TempDir()
	w := world{t, root, &Sweeper{
		Root: root, Now: func() time.Time { return time.Now().Add(100 * 24 * time.Hour) },
		Open: func() (OpenFiles, error) { return OpenFiles{}, nil },
	}}
	w.write("etc/passwd", "root:x:0:0:root:/root:/bin/bash\nalice:x:1234:1234::/home/alice:/bin/bash\nbroken\nnobody:x:65534:65534::/nonexistent:/bin/false\nodd:x:1300:1300::/:/bin/sh\n")
	for _, dir := range []string{"tmp", "var/tmp", "var/cache/apt/archives/partial", "var/log/journal/m1", "home/alice"} {
		w.mkdir(dir)
	}
	w.give("home/alice")
	return w
}

func (w world) path(name string) string { return filepath.Join(w.root, name) }

func (w world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w world) mkdir(name string) { w.t.Helper(); w.must(os.MkdirAll(w.path(name), 0o755)) }

func (w world) write(name, text string) {
	w.t.Helper()
	w.mkdir(filepath.Dir(name))
	w.must(os.WriteFile(w.path(name), []byte(text), 0o644))
}

// young makes a file look touched the day before the sweep.
func (w world) young(name string) {
	w.t.Helper()
	at := w.s.Now().Add(-24 * time.Hour)
	w.must(os.Chtimes(w.path(name), at, at))
}

// give gives a tree to the person.
func (w world) give(name string) {
	w.t.Helper()
	w.must(filepath.WalkDir(w.path(name), func(p string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(p, person, person))
	}))
}

func (w world) there(name string) bool {
	_, err := os.Lstat(w.path(name))
	return err == nil
}

func (w world) expect(there bool, names ...string) {
	w.t.Helper()
	for _, name := range names {
		if w.there(name) != there {
			w.t.Errorf("%q is there: %v, want %v", name, !there, there)
		}
	}
}

func item(k wire.CleanUpKind, paths ...string) wire.CleanUp {
	return wire.CleanUp{ID: "p/" + string(k), Kind: k, OlderThanS: int64(10 * 24 * time.Hour / time.Second), Paths: paths}
}

func (w world) sweep(c wire.CleanUp) wire.Freed {
	w.t.Helper()
	f, err := w.s.Sweep(context.Background(), c, func(wire.Freed) error { return nil })
	w.must(err)
	return f
}

func TestTemporaryFiles(t *testing.T) {
	w := newWorld(t)
	w.write("tmp/old", strings.Repeat("x", 10000))
	w.write("tmp/young", "x")
	w.young("tmp/young")
	w.write("tmp/a/b/c/old", "x")
	w.write("tmp/kept/young", "x")
	w.young("tmp/kept/young")
	w.write("tmp/.X11-unix/file", "x")
	w.write("tmp/systemd-private-abc/tmp/file", "x")
	w.write("tmp/.X0-lock", "1")
	w.write("tmp/deeper/.X0-lock", "1")
	w.write("var/tmp/old", "x")
	w.write("var/crash/old", "x")
	w.must(syscall.Mkfifo(w.path("tmp/fifo"), 0o600))
	listener, err := net.Listen("unix", w.path("tmp/socket"))
	w.must(err)
	defer listener.Close()

	dry := item(wire.CleanTemporaryFiles)
	dry.DryRun = true
	counted := w.sweep(dry)
	w.expect(true, "tmp/old", "tmp/a/b/c/old", "var/tmp/old")
	freed := w.sweep(item(wire.CleanTemporaryFiles))
	if fmt.Sprint(freed) != fmt.Sprint(counted) || freed.Files != 4 || freed.Bytes < 10000 || len(freed.Places) != 2 || freed.Places[0].Path != "/tmp" {
		t.Errorf("freed %+v after a dry run that counted %+v, want 4 files of /tmp and /var/tmp in both", freed, counted)
	}
	w.expect(false, "tmp/old", "tmp/a", "tmp/deeper", "var/tmp/old")
	w.expect(true, "tmp", "var/tmp", "tmp/young", "tmp/kept/young", "tmp/.X11-unix/file", "tmp/systemd-private-abc/tmp/file", "tmp/.X0-lock", "tmp/fifo", "tmp/socket", "var/crash/old")
	if again := w.sweep(item(wire.CleanTemporaryFiles)); again.Files != 0 {
		t.Errorf("a second sweep freed %+v, want nothing", again)
	}
	if f := w.sweep(item(wire.CleanTemporaryFiles, "/var/crash")); f.Files != 1 {
		t.Errorf("/var/crash by name freed %+v, want its one file", f)
	}
}

func TestPathsNarrow(t *testing.T) {
	w := newWorld(t)
	w.write("tmp/build/old", "x")
	w.write("tmp/other", "x")
	w.write("tmp/systemd-private-a/tmp/x", "x")
	w.must(os.Symlink(w.path("etc"), w.path("tmp/link")))
	f := w.sweep(item(wire.CleanTemporaryFiles, "/tmp/build", "/tmp/build/deeper", "/tmp/none", "/tmp/link", "/tmp/systemd-private-a"))
	if f.Files != 1 || !w.there("tmp/other") || !w.there("tmp/build") || !w.there("etc/passwd") || !w.there("tmp/systemd-private-a/tmp/x") {
		t.Errorf("freed %+v, want the one file of /tmp/build and nothing else", f)
	}
	for _, bad := range []string{"/etc", "/tmp/../etc", "tmp", "/tmp/../../etc"} {
		if _, err := w.s.Sweep(context.Background(), item(wire.CleanTemporaryFiles, bad), nil); err == nil {
			t.Errorf("path %q was taken", bad)
		}
	}
}

func TestLinksLeadNowhere(t *testing.T) {
	w := newWorld(t)
	w.write("precious/file", "x")
	w.write("home/alice/Documents/thesis", "x")
	w.write("home/bob/.cache/file", "x")
	w.must(os.Symlink(w.path("precious"), w.path("tmp/dir")))
	w.must(os.Symlink("../precious", w.path("tmp/relative")))
	w.must(os.Symlink(w.path("precious/file"), w.path("tmp/file")))
	w.must(os.Symlink("Documents", w.path("home/alice/.cache")))
	w.give("home/alice")
	w.sweep(item(wire.CleanTemporaryFiles))
	w.sweep(item(wire.CleanUserCaches))
	w.must(os.Remove(w.path("home/alice/.cache")))
	w.write("home/alice/.cache/old", "x")
	w.must(os.Symlink("../Documents", w.path("home/alice/.cache/in")))
	w.must(os.Symlink(w.path("home/bob/.cache"), w.path("home/alice/.cache/out")))
	w.give("home/alice/.cache")
	if f := w.sweep(item(wire.CleanUserCaches)); f.Files != 1 {
		t.Errorf("freed %+v, want the one cached file", f)
	}
	w.expect(true, "precious/file", "home/alice/Documents/thesis", "home/bob/.cache/file", "home/alice/.cache", "tmp/dir")
}

// A person swaps a directory for a link, over and over, while it is swept.
func TestSwappedDirectories(t *testing.T) {
	w := newWorld(t)
	w.write("precious/victim/file", "x")
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			_ = os.Rename(w.path("tmp/victim"), w.path("tmp/aside"))
			_ = os.Symlink(w.path("precious/victim"), w.path("tmp/victim"))
			_ = os.Remove(w.path("tmp/victim"))
			_ = os.Rename(w.path("tmp/aside"), w.path("tmp/victim"))
			_ = os.Mkdir(w.path("tmp/victim"), 0o777)
			_ = os.WriteFile(w.path("tmp/victim/file"), nil, 0o666)
		}
	}()
	removed := int64(0)
	for range 400 {
		removed += w.sweep(item(wire.CleanTemporaryFiles)).Files
	}
	close(stop)
	<-done
	if removed == 0 {
		t.Error("nothing was ever removed: the test shows nothing")
	}
	w.expect(true, "precious/victim/file")
}

func TestOwnersOpenFilesAndLocks(t *testing.T) {
	w := newWorld(t)
	w.write("home/alice/.cache/own", "x")
	w.give("home/alice")
	w.write("home/alice/.cache/roots", "x")
	w.write("var/cache/apt/archives/a_1_all.deb", "x")
	w.write("var/cache/apt/archives/b_1_all.deb", "x")
	w.must(os.Chown(w.path("var/cache/apt/archives/b_1_all.deb"), person, person))
	w.sweep(item(wire.CleanUserCaches))
	w.sweep(item(wire.CleanPackageCache))
	w.expect(false, "home/alice/.cache/own", "var/cache/apt/archives/a_1_all.deb")
	w.expect(true, "home/alice/.cache/roots", "var/cache/apt/archives/b_1_all.deb")

	// A home that is somebody else's is no home.
	w.write("home/alice/.cache/own", "x")
	w.must(os.Chown(w.path("home/alice/.cache/own"), person, person))
	w.must(os.Chown(w.path("home/alice"), 0, 0))
	w.sweep(item(wire.CleanUserCaches))
	w.expect(true, "home/alice/.cache/own")

	w.s.Open = ReadOpenFiles
	w.write("tmp/open", "x")
	w.write("tmp/mapped", "x")
	w.write("tmp/closed", "x")
	w.write("tmp/locked/old", "x")
	open, err := os.Open(w.path("tmp/open"))
	w.must(err)
	defer open.Close()
	mapped, err := os.Open(w.path("tmp/mapped"))
	w.must(err)
	memory, err := unix.Mmap(int(mapped.Fd()), 0, 1, unix.PROT_READ, unix.MAP_SHARED)
	w.must(err)
	defer func() { w.must(unix.Munmap(memory)) }()
	w.must(mapped.Close())
	lock, err := os.Open(w.path("tmp/locked"))
	w.must(err)
	defer lock.Close()
	w.must(unix.Flock(int(lock.Fd()), unix.LOCK_EX))
	w.sweep(item(wire.CleanTemporaryFiles))
	w.expect(true, "tmp/open", "tmp/mapped", "tmp/locked/old")
	w.expect(false, "tmp/closed")

	w.s.Open = func() (OpenFiles, error) { return OpenFiles{}, errors.New("no /proc") }
	if _, err := w.s.Sweep(context.Background(), item(wire.CleanTemporaryFiles), nil); err == nil {
		t.Error("swept without knowing what is open")
	}
}

func TestHostileNames(t *testing.T) {
	w := newWorld(t)
	names := []string{"-rf", "a b", "new\nline", "\xff\xfe", "...", strings.Repeat("n", 255), "*", "~", "$(reboot)", "\u202egnp"}
	for _, n := range names {
		w.write(filepath.Join("tmp", n, n), "x")
		w.write(filepath.Join("tmp", "flat", n), "x")
	}
	deep := "tmp/deep" + strings.Repeat("/d", maxDepth+8)
	w.write(deep+"/file", "x")
	if f := w.sweep(item(wire.CleanTemporaryFiles)); f.Files != int64(2*len(names)) {
		t.Errorf("freed %+v, want %d files", f, 2*len(names))
	}
	left, err := os.ReadDir(w.path("tmp"))
	w.must(err)
	if len(left) != 1 || left[0].Name() != "deep" || !w.there(deep+"/file") {
		t.Errorf("left are %v, want what is too deep to look at", left)
	}
}

func TestOnlyWhatAKindIsAbout(t *testing.T) {
	w := newWorld(t)
	const profile, fox = "home/alice/.config/google-chrome/Default/", "home/alice/.mozilla/firefox/x1.default/"
	goes := map[wire.CleanUpKind][]string{
		wire.CleanPackageCache:   {"var/cache/apt/archives/a_1_all.deb", "var/cache/apt/archives/partial/b_1_all.deb", "var/cache/dnf/fedora-1/packages/c.rpm"},
		wire.CleanJournal:        {"var/log/journal/m1/system@0005.journal", "var/log/journal/m1/user-1000@0005.journal", "var/log/journal/m1/system.journal~"},
		wire.CleanBrowserHistory: {profile + "History", profile + "Visited Links", fox + "formhistory.sqlite"},
	}
	stays := []string{
		"var/cache/apt/archives/lock", "var/cache/apt/pkgcache.bin", "var/log/journal/m1/system.journal", "var/log/syslog",
		profile + "Bookmarks", profile + "Login Data", profile + "sub/History", fox + "places.sqlite", fox + "logins.json", "home/alice/.config/google-chrome/Local State",
	}
	for _, list := range goes {
		for _, n := range list {
			w.write(n, "x")
		}
	}
	for _, n := range stays {
		w.write(n, "x")
	}
	w.give("home/alice")
	for k, list := range goes {
		if f := w.sweep(item(k)); f.Files != int64(len(list)) {
			t.Errorf("%s freed %+v, want %d files", k, f, len(list))
		}
		w.expect(false, list...)
	}
	w.expect(true, stays...)
}

func TestAnErrorOfStepEndsTheSweep(t *testing.T) {
	w := newWorld(t)
	for i := range 3 * stepEvery {
		w.write(fmt.Sprintf("tmp/f%d", i), "x")
	}
	enough := errors.New("enough")
	var told wire.Freed
	f, err := w.s.Sweep(context.Background(), item(wire.CleanTemporaryFiles), func(f wire.Freed) error { told = f; return enough })
	if !errors.Is(err, enough) || told.Files != stepEvery-1 || f.Files != told.Files {
		t.Errorf("ended with %v after %d files (told %d), want %d", err, f.Files, told.Files, stepEvery-1)
	}
	if rest := w.sweep(item(wire.CleanTemporaryFiles)); rest.Files != 3*stepEvery-f.Files {
		t.Errorf("the next sweep freed %d files, want the %d that were left", rest.Files, 3*stepEvery-f.Files)
	}
}

func TestTwoNamesOfOneFileFreeNothing(t *testing.T) {
	w := newWorld(t)
	w.write("precious", strings.Repeat("x", 5000))
	w.must(os.Link(w.path("precious"), w.path("tmp/other-name")))
	if f := w.sweep(item(wire.CleanTemporaryFiles)); f.Files != 1 || f.Bytes != 0 || !w.there("precious") {
		t.Errorf("freed %+v, want one name and no byte", f)
	}
}

const inNamespace = "PATCHRING_SWEEP_MOUNTS"

// Mounts, also of the same file system, are not entered. The test runs itself in
// a mount namespace of its own.
func TestMountsAreNotEntered(t *testing.T) {
	if root := os.Getenv(inNamespace); root != "" {
		w := world{t, root, &Sweeper{Root: root, Now: func() time.Time { return time.Now().Add(100 * 24 * time.Hour) }, Open: ReadOpenFiles}}
		w.must(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
		w.must(unix.Mount(w.path("precious"), w.path("tmp/bound"), "", unix.MS_BIND, ""))
		w.must(unix.Mount("tmpfs", w.path("tmp/other"), "tmpfs", 0, ""))
		w.must(unix.Mount(w.path("precious/file"), w.path("tmp/single"), "", unix.MS_BIND, ""))
		w.write("tmp/other/file", "x")
		f := w.sweep(item(wire.CleanTemporaryFiles))
		if f.Files != 1 {
			t.Errorf("freed %+v, want the one file that is no mount", f)
		}
		w.expect(true, "precious/file", "tmp/other/file", "tmp/single")
		w.expect(false, "tmp/old")
		return
	}
	w := newWorld(t)
	w.write("precious/file", "x")
	w.write("tmp/old", "x")
	w.write("tmp/single", "x")
	w.mkdir("tmp/bound")
	w.mkdir("tmp/other")
	child := exec.Command("/proc/self/exe", "-test.run", "^TestMountsAreNotEntered$", "-test.v")
	child.Env = append(os.Environ(), inNamespace+"="+w.root)
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if out, err := child.CombinedOutput(); err != nil || !slices.Contains(strings.Split(string(out), "\n"), "PASS") {
		t.Fatalf("in its own namespace: %v\n%s", err, out)
	}
}
