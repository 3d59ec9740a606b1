//go:build linux

// Package aptworld is a small Debian for tests: a directory with a package
// database, a shell for maintainer scripts and a repository, on which the real
// apt-get and dpkg of this machine work without touching the machine. It needs
// root (maintainer scripts run in a chroot), apt and dpkg. Here is the same in
// a whole Debian that may be thrown away.
//
// Only tests may use it.
package aptworld

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"patchring/internal/endpoint/provider/apt"
)

// Package is one version to build.
type Package struct {
	Name, Version string
	Source        string            // as in the Source field; empty is the name
	Fields        map[string]string // Depends, Conflicts, Architecture, Phased-Update-Percentage…
	Scripts       map[string]string // preinst, postinst, prerm, postrm: bodies for /bin/sh
	Conffiles     map[string]string // absolute path → content
	Suite         string            // lab if empty
}

func (p Package) suite() string {
	if p.Suite == "" {
		return "lab"
	}
	return p.Suite
}

// World is one device with its repository.
type World struct {
	t    testing.TB
	Dir  string // everything is below
	Root string // the device
	next int
}

// New makes a device with no packages and an empty repository.
func New(t testing.TB) *World {
	t.Helper()
	// Not t.TempDir: dpkg's chroot and apt want every parent readable.
	dir, err := os.MkdirTemp(memory(), "aptworld-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // what a slow script still writes is not the test's failure
	must(t, os.Chmod(dir, 0o755))
	w := &World{t: t, Dir: dir, Root: filepath.Join(dir, "root")}
	w.furnish()
	return w
}

// memory is a directory in which fsync costs nothing, where there is one that
// may hold programs.
func memory() string {
	var fs unix.Statfs_t
	if err := unix.Statfs("/dev/shm", &fs); err != nil || fs.Flags&unix.ST_NOEXEC != 0 || int64(fs.Bavail)*fs.Bsize < 256<<20 {
		return ""
	}
	return "/dev/shm"
}

// Disposable marks a whole Debian that a test may do anything to.
const Disposable = "/.aptworld-disposable"

// Here makes a world of the Debian the test itself runs in, which must carry
// the mark: its own packages stay, its repositories are replaced by one.
func Here(t testing.TB) *World {
	t.Helper()
	if _, err := os.Stat(Disposable); err != nil {
		t.Fatalf("this system is not to be thrown away: %v", err)
	}
	dir, err := os.MkdirTemp("/srv", "aptworld-")
	must(t, err)
	must(t, os.Chmod(dir, 0o755))
	w := &World{t: t, Dir: dir, Root: "/"}
	for _, pattern := range []string{"/var/lib/apt/lists/*_*", "/etc/apt/sources.list.d/*"} {
		files, err := filepath.Glob(pattern)
		must(t, err)
		for _, name := range files {
			must(t, os.Remove(name))
		}
	}
	w.publish("lab")
	return w
}

// furnish gives an empty directory what apt, dpkg and scripts need.
func (w *World) furnish() {
	t := w.t
	t.Helper()
	for _, d := range []string{
		"etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/sources.list.d", "etc/apt/trusted.gpg.d",
		"var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "var/lib/dpkg/alternatives",
		"var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/log/apt", "tmp", "run", "bin",
	} {
		must(t, os.MkdirAll(filepath.Join(w.Root, d), 0o755))
	}
	w.Write("var/lib/dpkg/status", "")
	w.Write("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n")
	w.Write("etc/apt/apt.conf", fmt.Sprintf("Dir %q;\nDir::Bin::methods \"/usr/lib/apt/methods\";\nAPT::Sandbox::User \"root\";\nAcquire::Languages \"none\";\n", w.Root))
	// dpkg takes its log for a file of this machine whatever its root is.
	w.Write("root/.dpkg.cfg", "force-unsafe-io\nlog "+filepath.Join(w.Root, "var/log/dpkg.log")+"\n")
	w.shell()
	w.publish("lab")
}

// shell gives maintainer scripts what they need: sh and sleep.
func (w *World) shell() {
	w.t.Helper()
	for _, name := range []string{"sh", "sleep", "cat"} {
		path, err := exec.LookPath(name)
		must(w.t, err)
		w.copyFile(path, "bin/"+name)
		// 	libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f…)
		for word := range strings.FieldsSeq(w.run("ldd", path)) {
			if strings.HasPrefix(word, "/") {
				w.copyFile(word, strings.TrimPrefix(word, "/"))
			}
		}
	}
}

func (w *World) copyFile(from, to string) {
	w.t.Helper()
	content, err := os.ReadFile(from)
	must(w.t, err)
	w.Write(to, string(content))
	must(w.t, os.Chmod(filepath.Join(w.Root, to), 0o755))
}

// Write puts a file on the device.
func (w *World) Write(path, content string) {
	w.t.Helper()
	path = filepath.Join(w.Root, path)
	must(w.t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(w.t, os.WriteFile(path, []byte(content), 0o644))
}

// Read reads a file of the device; a missing one is empty.
func (w *World) Read(path string) string {
	content, err := os.ReadFile(filepath.Join(w.Root, path))
	if err != nil && !os.IsNotExist(err) {
		w.t.Fatal(err)
	}
	return string(content)
}

// Provider is the agent's provider on this device, as after a start.
func (w *World) Provider(change ...func(*apt.Options)) *apt.Provider {
	o := apt.Options{State: filepath.Join(w.Dir, "agent"), Root: w.Root, Reserve: 1}
	for _, c := range change {
		c(&o)
	}
	return apt.New(o)
}

func (w *World) repo(suite string) string { return filepath.Join(w.Dir, "repo", suite) }

// Offer builds packages and publishes them beside what is offered already.
func (w *World) Offer(packages ...Package) {
	w.t.Helper()
	var suites []string
	for _, p := range packages {
		must(w.t, os.MkdirAll(w.repo(p.suite()), 0o755))
		w.build(p)
		suites = append(suites, p.suite())
	}
	slices.Sort(suites)
	w.publish(slices.Compact(suites)...)
}

// Withdraw takes a version out of the repository.
func (w *World) Withdraw(name, version string) {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.Dir, "repo", "*", fileName(name, version, "*")))
	must(w.t, err)
	if len(files) != 1 {
		w.t.Fatalf("withdraw %s %s: have %v", name, version, files)
	}
	must(w.t, os.Remove(files[0]))
	w.publish(filepath.Base(filepath.Dir(files[0])))
}

func (w *World) build(p Package) {
	w.t.Helper()
	w.next++
	tree := filepath.Join(w.Dir, "src", fmt.Sprint(w.next))
	arch := p.Fields["Architecture"]
	if arch == "" {
		arch = "all"
	}
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: Lab <lab@example.test>\nDescription: lab %s\n more of it\n", p.Name, p.Version, arch, p.Name)
	if p.Source != "" {
		control += "Source: " + p.Source + "\n"
	}
	for name, value := range p.Fields {
		if name != "Architecture" {
			control += name + ": " + value + "\n"
		}
	}
	write := func(path, content string, mode os.FileMode) {
		path = filepath.Join(tree, path)
		must(w.t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(w.t, os.WriteFile(path, []byte(content), mode))
	}
	write("DEBIAN/control", control, 0o644)
	write("usr/share/"+p.Name+"/VERSION", p.Version+"\n", 0o644)
	for name, body := range p.Scripts {
		write("DEBIAN/"+name, "#!/bin/sh\n"+body+"\n", 0o755)
	}
	conffiles := ""
	for path, content := range p.Conffiles {
		write(path, content, 0o644)
		conffiles += path + "\n"
	}
	if conffiles != "" {
		write("DEBIAN/conffiles", conffiles, 0o644)
	}
	file := filepath.Join(w.repo(p.suite()), fileName(p.Name, p.Version, arch))
	w.run("dpkg-deb", "-Znone", "--root-owner-group", "--build", tree, file)
	must(w.t, os.RemoveAll(tree))
}

// publish writes the indexes of the suites as apt-ftparchive would.
func (w *World) publish(suites ...string) {
	w.t.Helper()
	for _, suite := range suites {
		dir := w.repo(suite)
		must(w.t, os.MkdirAll(dir, 0o755))
		debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
		must(w.t, err)
		var packages bytes.Buffer
		for _, deb := range debs {
			packages.WriteString(w.stanza(deb))
		}
		must(w.t, os.WriteFile(filepath.Join(dir, "Packages"), packages.Bytes(), 0o644))
		label := "FleetLab"
		if strings.HasSuffix(suite, "-security") {
			label = "FleetLab-Security"
		}
		release := fmt.Sprintf("Origin: FleetLab\nLabel: %s\nSuite: %s\nCodename: %s\nDate: Sat, 21 Nov 2026 12:00:00 UTC\nSHA256:\n %s %d Packages\n",
			label, suite, suite, sum(packages.Bytes()), packages.Len())
		must(w.t, os.WriteFile(filepath.Join(dir, "Release"), []byte(release), 0o644))
	}
	all, err := filepath.Glob(filepath.Join(w.Dir, "repo", "*"))
	must(w.t, err)
	sources := ""
	for _, dir := range all {
		sources += "deb [trusted=yes] copy:" + dir + " ./\n"
	}
	w.Write("etc/apt/sources.list", sources)
}

func (w *World) stanza(deb string) string {
	w.t.Helper()
	content, err := os.ReadFile(deb)
	must(w.t, err)
	return w.run("dpkg-deb", "-f", deb) + fmt.Sprintf("Filename: ./%s\nSize: %d\nSHA256: %s\n\n", filepath.Base(deb), len(content), sum(content))
}

// fileName is what an archive calls a package: without the epoch.
func fileName(name, version, arch string) string {
	if _, rest, ok := strings.Cut(version, ":"); ok {
		version = rest
	}
	return name + "_" + version + "_" + arch + ".deb"
}

// Break makes the repository unreachable; Repair undoes it.
func (w *World) Break() {
	w.t.Helper()
	must(w.t, os.Rename(filepath.Join(w.Dir, "repo"), filepath.Join(w.Dir, "repo.gone")))
}

// Repair brings the repository back.
func (w *World) Repair() {
	w.t.Helper()
	must(w.t, os.Rename(filepath.Join(w.Dir, "repo.gone"), filepath.Join(w.Dir, "repo")))
}

// ByHand runs apt-get, apt-mark or dpkg on the device, as its administrator.
func (w *World) ByHand(name string, args ...string) string {
	w.t.Helper()
	return w.run(name, args...)
}

// Command prepares a tool to run on the device.
func (w *World) Command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive"}
	if w.Root == "/" {
		return cmd
	}
	cmd.Env = append(cmd.Env,
		"APT_CONFIG="+filepath.Join(w.Root, "etc/apt/apt.conf"), "DPKG_ROOT="+w.Root,
		"HOME="+filepath.Join(w.Root, "root"),
	)
	return cmd
}

func (w *World) run(name string, args ...string) string {
	w.t.Helper()
	cmd := w.Command(name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return string(out)
}

// Install brings packages onto the device by hand, NAME=VERSION, and leaves
// nothing in apt's cache.
func (w *World) Install(args ...string) {
	w.t.Helper()
	w.run("apt-get", "update")
	w.run("apt-get", append([]string{"-y", "--allow-downgrades", "install"}, args...)...)
	w.run("apt-get", "clean")
}

// Status is dpkg's own word on a package: "install ok installed 1.0".
func (w *World) Status(name string) string {
	w.t.Helper()
	cmd := w.Command("dpkg-query", "-W", "-f", "${Status} ${Version}", name)
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return string(out)
}

// Audit is what dpkg --audit complains about.
func (w *World) Audit() string {
	w.t.Helper()
	return w.run("dpkg", "--audit")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
