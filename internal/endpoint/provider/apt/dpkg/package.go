package dpkg

import (
	"strings"

	debversion "github.com/knqyf263/go-deb-version"
)

// Status is the third word of dpkg's Status field.
type Status string

// Statuses, as dpkg writes them.
const (
	NotInstalled     Status = "not-installed"
	ConfigFiles      Status = "config-files" // removed, its configuration remains: not installed
	HalfInstalled    Status = "half-installed"
	Unpacked         Status = "unpacked"
	HalfConfigured   Status = "half-configured"
	TriggersAwaited  Status = "triggers-awaited"
	TriggersPending  Status = "triggers-pending"
	Installed        Status = "installed"
	reinstallNeeded         = "reinstreq"
	selectionHold           = "hold"
	architectureAll         = "all"
	statusFieldWords        = 3
)

// Package is one entry of the database.
type Package struct {
	Name, Version, Arch   string
	Source, SourceVersion string // of the source package; never empty
	Want, Flag            string
	Status                Status
}

// Key names a package as apt's command line does: the architecture is only
// said when it is not the native one.
type Key string

// KeyOf builds the key of a package for a device of the native architecture.
func KeyOf(name, arch, native string) Key {
	if arch == "" || arch == native || arch == architectureAll {
		return Key(name)
	}
	return Key(name + ":" + arch)
}

// Present tells that some of the package's files are on the device.
func (p Package) Present() bool {
	return p.Status != "" && p.Status != NotInstalled && p.Status != ConfigFiles
}

// Sound tells that the package is plainly installed.
func (p Package) Sound() bool { return p.Status == Installed && p.Flag != reinstallNeeded }

// Broken tells that dpkg left work behind on this package.
func (p Package) Broken() bool { return p.Present() && !p.Sound() }

// Held tells that the device's administrator holds the package.
func (p Package) Held() bool { return p.Present() && p.Want == selectionHold }

// State is what to show of a package that is not plainly installed, or "".
func (p Package) State() string {
	switch {
	case p.Flag == reinstallNeeded:
		return "reinst-required"
	case p.Status != Installed:
		return string(p.Status)
	case p.Want == selectionHold:
		return "held"
	}
	return ""
}

// SplitSource reads a Source field. Without one the source has the name and
// the version of the package; a version in parentheses is said only where it
// differs, as after a rebuild (1.2-3+b1 from 1.2-3).
func SplitSource(source, name, version string) (string, string) {
	if source == "" {
		return name, version
	}
	src, rest, ok := strings.Cut(source, " ")
	if !ok {
		return src, version
	}
	if v := strings.Trim(rest, " ()"); v != "" {
		return src, v
	}
	return src, version
}

// Compare orders two versions as dpkg does: negative, zero or positive. A text
// that is no version sorts before every version.
func Compare(a, b string) int {
	va, errA := debversion.NewVersion(a)
	vb, errB := debversion.NewVersion(b)
	switch {
	case errA != nil && errB != nil:
		return strings.Compare(a, b)
	case errA != nil:
		return -1
	case errB != nil:
		return 1
	}
	return va.Compare(vb)
}

// FileName is what apt calls a downloaded package: the colon of an epoch is
// written as %3a.
func FileName(name, version, arch string) string {
	return name + "_" + strings.ReplaceAll(version, ":", "%3a") + "_" + arch + ".deb"
}
