// Package provider is the contract between the agent's order executor and what
// installs patches on a device. One subpackage implements it for each package
// manager; providertest holds the conformance suite each of them passes.
//
// A provider runs tools with an argument list, a fixed environment and a
// capped output, never a shell. It does not decide when: windows, holds and
// journal are the executor's. Methods are called from one goroutine at a time.
package provider

import (
	"context"
	"time"

	"patchring/internal/core/fault"
	"patchring/wire"
)

// Capabilities are what a provider can do, as data.
type Capabilities struct {
	ExactVersion bool // installs the version asked for, or nothing
	DownloadOnly bool
	Rollback     bool
	Holds        bool // shows holds set by the device's administrator
}

// Plan is what the package manager says it would do for a set of items, from
// its own simulation.
type Plan struct {
	Changes []wire.Change // everything that would change, wanted or not
	// Problems stop items, by item id; an item with a problem is left out and
	// the rest is planned again without it.
	Problems map[string]fault.Reason
}

// Limits bound one action.
type Limits struct {
	LockWait time.Duration // how long to wait for another holder of the package manager's lock
	AllowNew bool          // unavoidable new dependencies may be installed
	// BytesPerS is how fast packages may be downloaded; 0: as fast as they come.
	BytesPerS int64
}

// Progress tells that an action is alive; it is called from the provider's
// goroutine with what the tool last said.
type Progress func(line string)

// Provider is one package manager on this device.
//
// Errors are *fault.Error where an operator can understand them. No method is
// cancelled in the middle of a package transaction: Install and Rollback look
// at ctx before they start and run to their end afterwards.
type Provider interface {
	Name() string
	Capabilities() Capabilities

	// Present tells whether this package manager manages this device.
	Present() bool

	// Scan refreshes the lists (unless offline is asked for) and lists the
	// applicable patches. A scan that could not run says so in Status; it
	// never returns an empty list instead. Idempotent; retry freely.
	Scan(ctx context.Context, refresh bool) wire.Patches

	// Inventory lists installed packages. Idempotent.
	Inventory(ctx context.Context) (wire.Inventory, error)

	// Plan simulates the items as one transaction and refuses, item by item,
	// what would remove a package, install anything outside the order and its
	// unavoidable dependencies, or is no longer offered at that version.
	// Changes nothing; retry freely.
	Plan(ctx context.Context, items []wire.Item, limits Limits) (Plan, error)

	// Preserve keeps what a rollback of the items needs, before they are
	// installed, and returns the items with Rollback and Why filled in for
	// each package. Idempotent. Never fails an order: what cannot be kept is
	// impossible (why).
	Preserve(ctx context.Context, items []wire.Item) ([]wire.Item, error)

	// Download fetches everything Plan would need, installs nothing. Idempotent.
	Download(ctx context.Context, items []wire.Item, limits Limits, p Progress) error

	// Install does the items in one transaction, repairs what a failed package
	// left (restoring its previous version), and returns one outcome per item
	// from the package database, not from the exit code. Running it again after
	// a crash finishes or repairs the interrupted transaction first, and tells
	// what changed since the same items were first installed. Done is claimed:
	// verified is for Verify to say. An item that Plan would refuse is failed,
	// or skipped when the device's administrator holds it, and the others are
	// done. With an error there are no outcomes; the same call again goes on
	// from what is on the device.
	Install(ctx context.Context, items []wire.Item, limits Limits, p Progress) (Log, []wire.Outcome, error)

	// Rollback puts back the version in each package's To, from what Preserve
	// kept or the repositories still offer. Same rules as Install. A package
	// that came new (To empty) stays.
	Rollback(ctx context.Context, items []wire.Item, limits Limits, p Progress) (Log, []wire.Outcome, error)

	// Verify reads the package database and says where each item is now:
	// verified (rolled_back for a rollback), no_effect when a package is still
	// behind, failed when one is broken, not_applicable when none is installed
	// or another actor went further. kind tells which way. Idempotent.
	Verify(ctx context.Context, kind wire.OrderKind, items []wire.Item) ([]wire.Outcome, error)

	// Recover makes the package manager usable again after a power cut or a
	// kill (dpkg --configure -a …). Idempotent, does nothing when all is well.
	Recover(ctx context.Context, limits Limits) (Log, error)

	// Forget drops what Preserve kept for packages that are not in keep.
	Forget(ctx context.Context, keep []wire.Item) error
}

// Log is the raw output of a tool: its last bytes, and the hash and file of
// the whole.
type Log struct {
	Tail   string
	SHA256 string
	File   string // on the device; empty when nothing ran
}
