// Package cleanup decides when a device may be cleaned up, of what, and
// whether for real: never outside a window, and never an item whose dry run on
// that very device was not reported, or that nobody let go.
//
// It knows the places that may be cleaned up at all. They are the agent's
// built-in table: a policy narrows them and adds none. Values in, values out;
// anybody may call it.
package cleanup

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"patchring/wire"
)

// Kind of a clean-up.
type Kind = wire.CleanUpKind

// Kinds lists them in the order in which a device works on them: what concerns
// nobody first.
func Kinds() []Kind {
	return []Kind{wire.CleanPackageCache, wire.CleanJournal, wire.CleanTemporaryFiles, wire.CleanUserCaches, wire.CleanBrowserHistory}
}

// ID names an item of a policy: PROFILE/KIND.
type ID string

// Item is one clean-up of a profile.
type Item struct {
	Kind      Kind
	OlderThan time.Duration
	Paths     []string // only below these; none: every place of the kind
}

// ID of an item in a profile.
func (i Item) ID(profile string) ID { return ID(profile + "/" + string(i.Kind)) }

// Fingerprint changes with everything that decides on what goes: a changed item
// is another one, and begins with a dry run.
func (i Item) Fingerprint() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%s", i.Kind, i.OlderThan/time.Second, strings.Join(i.Paths, "\n")))
	return hex.EncodeToString(sum[:6])
}

// AlwaysAsks tells that a policy cannot let the item go by itself: it is about
// what people did, and a person answers for it.
func (i Item) AlwaysAsks() bool { return i.Kind == wire.CleanBrowserHistory }

// Defaults of the ages, and the least that may be asked for. What is younger
// may be in use by something that does not keep it open.
var ages = map[Kind]struct{ usual, least time.Duration }{
	wire.CleanPackageCache:   {7 * day, day},
	wire.CleanJournal:        {30 * day, 7 * day},
	wire.CleanTemporaryFiles: {10 * day, day},
	wire.CleanUserCaches:     {30 * day, 7 * day},
	wire.CleanBrowserHistory: {90 * day, 7 * day},
}

const day = 24 * time.Hour

// Usual is the age of a kind where the policy says none.
func Usual(k Kind) time.Duration { return ages[k].usual }

// Least is the smallest age of a kind.
func Least(k Kind) time.Duration { return ages[k].least }

// roots are the places that each kind may be narrowed to; ~ is each person's
// home. A kind that is not here takes no paths.
var roots = map[Kind][]string{
	wire.CleanPackageCache:   {"/var/cache/apt/archives", "/var/cache/dnf", "/var/cache/zypp/packages", "/var/cache/PackageKit"},
	wire.CleanJournal:        {"/var/log/journal"},
	wire.CleanTemporaryFiles: {"/tmp", "/var/tmp", "/var/crash"},
	wire.CleanUserCaches:     {"~/.cache"},
}

// usualRoots are those a kind looks at unless the policy names paths, where
// they are not all of its roots.
var usualRoots = map[Kind][]string{wire.CleanTemporaryFiles: {"/tmp", "/var/tmp"}}

// Roots that the paths of a kind may be below.
func Roots(k Kind) []string { return slices.Clone(roots[k]) }

// UsualRoots are looked at where no paths are given.
func UsualRoots(k Kind) []string {
	if r, ok := usualRoots[k]; ok {
		return slices.Clone(r)
	}
	return Roots(k)
}

// RootOf is the root of the kind that a path is, or is below. A path that is
// not spelt plainly (a dot, a double slash) is below none.
func RootOf(k Kind, p string) (root string, ok bool) {
	if p != path.Clean(p) || strings.ContainsAny(p, "\x00*?[") {
		return "", false
	}
	for _, r := range roots[k] {
		if p == r || strings.HasPrefix(p, r+"/") {
			return r, true
		}
	}
	return "", false
}

// MaxPaths of an item.
const MaxPaths = 32

// Problem says what is wrong with an item, empty when nothing is.
func (i Item) Problem() string {
	switch {
	case !slices.Contains(Kinds(), i.Kind):
		return fmt.Sprintf("%q is no kind of clean-up", i.Kind)
	case i.OlderThan < Least(i.Kind):
		return fmt.Sprintf("older_than of %s is less than %dd", i.Kind, Least(i.Kind)/day)
	case len(i.Paths) > MaxPaths:
		return fmt.Sprintf("%s has more than %d paths", i.Kind, MaxPaths)
	}
	for _, p := range i.Paths {
		if _, ok := RootOf(i.Kind, p); !ok {
			return fmt.Sprintf("path %q is below none of the places of %s", p, i.Kind)
		}
	}
	return ""
}

// OnWire is the item as an order carries it.
func (i Item) OnWire(id ID, dryRun bool) wire.CleanUp {
	return wire.CleanUp{ID: string(id), Kind: i.Kind, OlderThanS: int64(i.OlderThan / time.Second), Paths: i.Paths, DryRun: dryRun}
}

// FromWire is the item that an order carries.
func FromWire(c wire.CleanUp) Item {
	return Item{Kind: c.Kind, OlderThan: time.Duration(c.OlderThanS) * time.Second, Paths: c.Paths}
}
