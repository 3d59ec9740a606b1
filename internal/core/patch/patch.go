// Package patch owns what a patch is: the smallest thing an advisory speaks of
// and a person can decide on, at an exact version. It compares and classifies;
// it knows no device, no campaign and no storage. Pure, safe from any goroutine.
package patch

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	debversion "github.com/knqyf263/go-deb-version"
)

// Key identifies a patch within a tenant: provider, name and exact version in
// a suite. For apt the name is that of the source package, because apt (since
// 2.5.2) upgrades the siblings of one source together anyway.
type Key struct {
	Provider string `json:"provider"`
	Name     string `json:"name"`
	Version  string `json:"version"`
	Suite    string `json:"suite"`
}

// ID is the short, steady text id of a key, fit for addresses and subjects.
// It is derived, so two servers and two scans agree without asking anyone.
func (k Key) ID() ID {
	sum := sha256.Sum256([]byte(strings.Join([]string{k.Provider, k.Name, k.Version, k.Suite}, "\x00")))
	return ID(hex.EncodeToString(sum[:10]))
}

// String is how people write it.
func (k Key) String() string { return k.Name + " " + k.Version }

// ID of a patch.
type ID string

// Class says what kind of change a patch is. Unknown is a value of its own:
// it never counts as low or as safe.
type Class string

// Classes. Previews are optional updates that come before the month's own.
const (
	Security   Class = "security"
	Quality    Class = "quality"
	Preview    Class = "preview"
	Feature    Class = "feature" // a new version of the system
	Driver     Class = "driver"
	Definition Class = "definition" // of malware, for example
	ThirdParty Class = "third-party"
	Unknown    Class = "unknown"
)

// Classes lists them.
func Classes() []Class {
	return []Class{Security, Quality, Preview, Feature, Driver, Definition, ThirdParty, Unknown}
}

// ParseClass reads what an agent says; anything else is Unknown.
func ParseClass(s string) Class {
	if c := Class(s); slices.Contains(Classes(), c) {
		return c
	}
	return Unknown
}

// State of one patch on one device (VOCABULARY.md, device × patch).
type State string

// States.
const (
	Applicable             State = "applicable"
	Scheduled              State = "scheduled"
	Downloading            State = "downloading"
	Ready                  State = "ready"
	Waiting                State = "waiting"
	Installing             State = "installing"
	InstalledPendingReboot State = "installed_pending_reboot"
	Rebooting              State = "rebooting"
	Verifying              State = "verifying"
	Verified               State = "verified"
	Failed                 State = "failed"
	Superseded             State = "superseded"
	NotApplicable          State = "not_applicable"
	RolledBack             State = "rolled_back"
)

// Settled tells that nothing more will happen to a patch in this state unless
// someone or a new scan asks for it.
func (s State) Settled() bool {
	switch s {
	case Verified, Failed, Superseded, NotApplicable, RolledBack:
		return true
	}
	return false
}

// Newer tells whether a is a later version than b of the same thing, as its
// provider orders versions. Versions that cannot be compared are ordered as
// text: a steady answer matters more here than a clever one.
func Newer(a, b Key) bool {
	if a.Provider == "apt" {
		return compareVersions(a.Version, b.Version) > 0
	}
	return a.Version > b.Version
}

// OlderVersion tells whether a comes before b as Debian orders versions, which
// is what people expect of any that are made of numbers and dots.
func OlderVersion(a, b string) bool { return compareVersions(a, b) < 0 }

func compareVersions(a, b string) int {
	va, errA := debversion.NewVersion(a)
	vb, errB := debversion.NewVersion(b)
	if errA != nil || errB != nil {
		return strings.Compare(a, b)
	}
	return va.Compare(vb)
}
