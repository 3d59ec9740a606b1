// Package apt is the provider for Debian, Ubuntu and their derivatives: it
// drives apt-get, apt-cache, dpkg and dpkg-deb and believes only the package
// database.
//
// A patch is a source package at a version in a suite; an item's packages are
// installed at exactly the versions it names, in one transaction that has been
// simulated first, or not at all. Removals, drift, vanished versions and held
// packages are refused item by item. What a failing package leaves is repaired
// by restoring the version that Preserve kept.
//
// The transaction runs on a tool.Bench: it survives the agent, and the next
// agent waits for it. The agent's service unit must not kill its control group
// (systemd: KillMode=process).
//
// Methods are for one goroutine at a time.
package apt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/provider"
	"patchring/internal/endpoint/provider/apt/dpkg"
	"patchring/internal/endpoint/provider/tool"
	"patchring/wire"
)

// Name of the provider, on the wire too.
const Name = "apt"

// Defaults of Options.
const (
	defaultStaleAfter = 48 * time.Hour
	defaultStall      = 5 * time.Minute
	defaultKeepBytes  = 2 << 30
	defaultReserve    = 512 << 20
)

// Options of a provider. The zero value but for State is this device.
type Options struct {
	// State is the agent's directory; what this provider keeps is below it:
	// apt/ for logs and the running transaction, rollback/ for old packages.
	State string
	// Root is the system the provider manages; empty is /. Another root has
	// its own etc/apt/apt.conf that names its directories, and root/.dpkg.cfg.
	Root       string
	StaleAfter time.Duration // lists older than this are not believed
	Stall      time.Duration // silence of a transaction that is worth a word
	KeepBytes  int64         // at most this much for old packages
	Reserve    int64         // keep nothing when less than this would remain free
	Now        func() time.Time
}

var _ provider.Provider = (*Provider)(nil)

// Provider implements provider.Provider.
type Provider struct {
	o       Options
	bench   tool.Bench
	native  string                    // architecture; read once, it cannot change
	details map[pkgVersion]detail     // of the candidates of the last scan
	proven  map[keptPackage]time.Time // kept files whose hash was right when they were written then
}

// New makes the provider; it touches nothing yet.
func New(o Options) *Provider {
	if o.Root == "" {
		o.Root = "/"
	}
	if o.StaleAfter == 0 {
		o.StaleAfter = defaultStaleAfter
	}
	if o.Stall == 0 {
		o.Stall = defaultStall
	}
	if o.KeepBytes == 0 {
		o.KeepBytes = defaultKeepBytes
	}
	if o.Reserve == 0 {
		o.Reserve = defaultReserve
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Provider{o: o, bench: tool.Bench{
		Dir: filepath.Join(o.State, "apt"), Tools: []string{"apt-get", "dpkg"}, Now: o.Now, Stall: o.Stall,
	}}
}

// Name implements provider.Provider.
func (p *Provider) Name() string { return Name }

// Capabilities implements provider.Provider.
func (p *Provider) Capabilities() provider.Capabilities {
	return provider.Capabilities{ExactVersion: true, DownloadOnly: true, Rollback: true, Holds: true}
}

// Present implements provider.Provider: apt may be installed as a tool on a
// device that another package manager manages, but then it has no database.
func (p *Provider) Present() bool {
	_, err := os.Stat(p.path(dpkg.AdminDir, "status"))
	return err == nil && tool.Found("apt-get") && tool.Found("dpkg")
}

// Inventory implements provider.Provider.
func (p *Provider) Inventory(context.Context) (wire.Inventory, error) {
	inventory := wire.Inventory{Provider: Name}
	err := dpkg.Read(p.o.Root, func(pkg dpkg.Package) error {
		if !pkg.Present() {
			return nil
		}
		entry := wire.Package{Name: pkg.Name, Version: pkg.Version, Arch: pkg.Arch, State: pkg.State()}
		if pkg.Source != pkg.Name {
			entry.Source = pkg.Source
		}
		inventory.Software = append(inventory.Software, entry)
		return nil
	})
	return inventory, err
}

// path is a file of the managed system.
func (p *Provider) path(elem ...string) string {
	return filepath.Join(append([]string{p.o.Root}, elem...)...)
}

// command fills in what every run of a tool has in common.
func (p *Provider) command(name string, args ...string) tool.Command {
	env := []string{
		"DEBIAN_FRONTEND=noninteractive", "APT_LISTCHANGES_FRONTEND=none",
		"NEEDRESTART_MODE=l", "UCF_FORCE_CONFFOLD=1",
	}
	if p.o.Root != "/" {
		env = append(env, "APT_CONFIG="+p.path("etc/apt/apt.conf"), "DPKG_ROOT="+p.o.Root, "HOME="+p.path("root"))
	}
	return tool.Command{Name: name, Args: args, Env: env}
}

// architecture is the device's own; packages of another one carry it in their
// name on apt's command line.
func (p *Provider) architecture(ctx context.Context) (string, error) {
	if p.native != "" {
		return p.native, nil
	}
	var native string
	exit, err := tool.Lines(ctx, p.command("dpkg", "--print-architecture"), func(line []byte) error {
		native = string(line)
		return nil
	})
	if err == nil && (exit.Code != 0 || native == "") {
		err = toolFailed("dpkg", exit.Code, exit.Stderr)
	}
	if err != nil {
		return "", fmt.Errorf("read architecture: %w", err)
	}
	p.native = native
	return native, nil
}

// packages reads the database entries of the names wanted; nil is all.
func (p *Provider) packages(ctx context.Context, wanted func(name string) bool) (map[dpkg.Key]dpkg.Package, error) {
	native, err := p.architecture(ctx)
	if err != nil {
		return nil, err
	}
	found := map[dpkg.Key]dpkg.Package{}
	err = dpkg.Read(p.o.Root, func(pkg dpkg.Package) error {
		if wanted == nil || wanted(pkg.Name) {
			found[dpkg.KeyOf(pkg.Name, pkg.Arch, native)] = pkg
		}
		return nil
	})
	return found, err
}

// toolFailed is the refusal when nothing more telling is known.
func toolFailed(name string, exit int, said string) *fault.Error {
	lines := errorLines(said)
	if len(lines) == 0 {
		lines = []string{lastLine(said)}
	}
	return fault.Again(fault.ToolFailed, "tool", name, "exit", fmt.Sprint(exit),
		"error", wire.Clean(strings.Join(lines, "; "), wire.MaxTextBytes))
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// exists tells about a file; what cannot be looked at counts as there.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func itoa(n int) string { return strconv.Itoa(n) }

// reasonOf is what an operator may see of err.
func reasonOf(err error) fault.Reason {
	var known *fault.Error
	if errors.As(err, &known) {
		return known.Reason
	}
	return fault.Because(fault.Internal, "error", wire.Clean(err.Error(), wire.MaxTextBytes))
}

// cause is a reason on the wire.
func cause(r fault.Reason) *wire.Cause { return &wire.Cause{Code: string(r.Code), Args: r.Args} }

// maxNames bounds a list of package names in a reason.
const maxNames = 20

func listNames(names []string) string {
	if more := len(names) - maxNames; more > 0 {
		return strings.Join(names[:maxNames], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}

// broken lists the packages on which dpkg left work behind.
func (p *Provider) broken(ctx context.Context) ([]string, error) {
	all, err := p.packages(ctx, nil)
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
