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
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/provider"
	"patchring/internal/endpoint/provider/apt/dpkg"
	"patchring/internal/endpoint/provider/apt/keep"
	"patchring/internal/endpoint/provider/apt/query"
	"patchring/internal/endpoint/provider/apt/scan"
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
	state   string
	device  *query.Device
	bench   tool.Bench
	scanner scan.Scanner
	kept    keep.Store
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
	device := &query.Device{Root: o.Root}
	return &Provider{
		state:   filepath.Join(o.State, "apt"),
		device:  device,
		bench:   tool.Bench{Dir: filepath.Join(o.State, "apt"), Tools: []string{"apt-get", "dpkg"}, Now: o.Now, Stall: o.Stall},
		scanner: scan.Scanner{Provider: Name, Device: device, State: filepath.Join(o.State, "apt"), Now: o.Now, StaleAfter: o.StaleAfter},
		kept:    keep.Store{Device: device, Dir: filepath.Join(o.State, "rollback"), Limit: o.KeepBytes, Reserve: o.Reserve},
	}
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
	_, err := os.Stat(p.device.Path(dpkg.AdminDir, "status"))
	return err == nil && tool.Found("apt-get") && tool.Found("dpkg")
}

// Scan implements provider.Provider.
func (p *Provider) Scan(ctx context.Context, refresh bool) wire.Patches {
	return p.scanner.Scan(ctx, refresh)
}

// Preserve implements provider.Provider.
func (p *Provider) Preserve(ctx context.Context, items []wire.Item) ([]wire.Item, error) {
	return p.kept.Preserve(ctx, items)
}

// Forget implements provider.Provider.
func (p *Provider) Forget(_ context.Context, items []wire.Item) error { return p.kept.Forget(items) }

// Inventory implements provider.Provider.
func (p *Provider) Inventory(context.Context) (wire.Inventory, error) {
	inventory := wire.Inventory{Provider: Name}
	err := dpkg.Read(p.device.Root, func(pkg dpkg.Package) error {
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

// exists tells about a file; what cannot be looked at counts as there.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// cause is a reason on the wire.
func cause(r fault.Reason) *wire.Cause { return &wire.Cause{Code: string(r.Code), Args: r.Args} }
