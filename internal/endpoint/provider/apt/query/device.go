// Package query asks the device's own apt and dpkg and understands what they
// answer: simulations, version tables, what a repository says of a version,
// who holds a lock. It changes nothing on the device and decides nothing.
//
// Tools are asked under LC_ALL=C and their raw text stands above each parser.
// A Device is for one goroutine.
package query

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/provider/apt/dpkg"
	"patchring/internal/endpoint/provider/tool"
	"patchring/wire"
)

// Device is a Debian system. Another Root than / has its own etc/apt/apt.conf
// that names its directories, and root/.dpkg.cfg.
type Device struct {
	Root   string
	native string // architecture; read once, it cannot change
}

// Path is a file of the managed system.
func (d *Device) Path(elem ...string) string {
	return filepath.Join(append([]string{d.Root}, elem...)...)
}

// Command fills in what every run of a tool has in common.
func (d *Device) Command(name string, args ...string) tool.Command {
	env := []string{
		"DEBIAN_FRONTEND=noninteractive", "APT_LISTCHANGES_FRONTEND=none",
		"NEEDRESTART_MODE=l", "UCF_FORCE_CONFFOLD=1",
	}
	if d.Root != "/" {
		env = append(env, "APT_CONFIG="+d.Path("etc/apt/apt.conf"), "DPKG_ROOT="+d.Root, "HOME="+d.Path("root"))
	}
	return tool.Command{Name: name, Args: args, Env: env}
}

// Architecture is the device's own; packages of another one carry it in their
// name on apt's command line.
func (d *Device) Architecture(ctx context.Context) (string, error) {
	if d.native != "" {
		return d.native, nil
	}
	var native string
	exit, err := tool.Lines(ctx, d.Command("dpkg", "--print-architecture"), func(line []byte) error {
		native = string(line)
		return nil
	})
	if err == nil && (exit.Code != 0 || native == "") {
		err = Failed("dpkg", exit.Code, exit.Stderr)
	}
	if err != nil {
		return "", fmt.Errorf("read architecture: %w", err)
	}
	d.native = native
	return native, nil
}

// Packages reads the database entries of the names wanted; nil is all.
func (d *Device) Packages(ctx context.Context, wanted func(name string) bool) (map[dpkg.Key]dpkg.Package, error) {
	native, err := d.Architecture(ctx)
	if err != nil {
		return nil, err
	}
	found := map[dpkg.Key]dpkg.Package{}
	err = dpkg.Read(d.Root, func(pkg dpkg.Package) error {
		if wanted == nil || wanted(pkg.Name) {
			found[dpkg.KeyOf(pkg.Name, pkg.Arch, native)] = pkg
		}
		return nil
	})
	return found, err
}

// Failed is the refusal when nothing more telling is known.
func Failed(name string, exit int, said string) *fault.Error {
	lines := ErrorLines(said)
	if len(lines) == 0 {
		lines = []string{LastLine(said)}
	}
	return fault.Again(fault.ToolFailed, "tool", name, "exit", fmt.Sprint(exit),
		"error", wire.Clean(strings.Join(lines, "; "), wire.MaxTextBytes))
}

// LastLine is the end of what a tool said.
func LastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// Broken lists the packages on which dpkg left work behind.
func (d *Device) Broken(ctx context.Context) ([]string, error) {
	all, err := d.Packages(ctx, nil)
	if err != nil {
		return nil, err
	}
	var names []string
	for key, pkg := range all {
		if pkg.Broken() {
			names = append(names, string(key))
		}
	}
	slices.Sort(names)
	return names, nil
}

// maxNames bounds a list of package names in a reason.
const maxNames = 20

// List names packages in a reason, not too many of them.
func List(names []string) string {
	if more := len(names) - maxNames; more > 0 {
		return strings.Join(names[:maxNames], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}

// FreeBytes is what an ordinary user may still write where a directory is.
func FreeBytes(dir string) (int64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, fmt.Errorf("read free space of %s: %w", dir, err)
	}
	return int64(fs.Bavail) * fs.Bsize, nil
}
