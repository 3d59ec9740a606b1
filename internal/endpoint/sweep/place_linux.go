package sweep

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"patchring/internal/core/cleanup"
	"patchring/internal/core/fault"
	"patchring/wire"
)

// place is one directory that a kind looks at.
type place struct {
	top    string // on the device, absolute: a root that the system owns, or a person's home
	below  string // from there on no link is followed; empty: top itself
	home   int    // uid whose home top is; -1: it is nobody's
	globs  []string
	files  []string // names that go; none: every name
	flat   bool     // its own entries only
	spare  []string // names directly in it that stay
	uids   func(uid int) bool
	locked bool // a lock on a directory keeps what is in it
}

func (p place) name() string { return path.Join(append([]string{p.top, p.below}, p.globs...)...) }

func (p place) owner(info fs.FileInfo) bool { return p.uids(uidOf(info)) }

func (p place) wants(name string) bool {
	return len(p.files) == 0 || slices.ContainsFunc(p.files, func(g string) bool { return matches(g, name) })
}

func (p place) spared(name string) bool {
	return slices.ContainsFunc(p.spare, func(g string) bool { return matches(g, name) })
}

// matches: the patterns are this file's own.
func matches(pattern, name string) bool {
	hit, err := path.Match(pattern, name)
	return err == nil && hit
}

func anybody(int) bool { return true }

// system are root and the users of services: _apt owns what it downloads.
func system(uid int) bool { return uid < firstPerson }

func only(uid int) func(int) bool { return func(have int) bool { return have == uid } }

// Uids of people, as login.defs has them on every distribution that we know.
const (
	firstPerson = 1000
	lastPerson  = 60000
)

// What lives in /tmp and must not go however old it is: sockets are no files
// and stay anyway; these are their directories, those that systemd makes for
// services, and locks.
var spareTemporary = []string{".X11-unix", ".ICE-unix", ".XIM-unix", ".font-unix", ".Test-unix", ".X*-lock", "systemd-private-*", "snap-private-tmp", "lost+found"}

// Browser profiles: the directories below a home, one component each. Snap and
// Flatpak keep the same trees elsewhere.
var (
	chromium = [][]string{
		{".config", "google-chrome", "*"}, {".config", "chromium", "*"}, {".config", "microsoft-edge", "*"},
		{".config", "BraveSoftware", "Brave-Browser", "*"}, {".config", "vivaldi", "*"},
		{"snap", "chromium", "common", "chromium", "*"},
		{".var", "app", "com.google.Chrome", "config", "google-chrome", "*"}, {".var", "app", "org.chromium.Chromium", "config", "chromium", "*"},
	}
	chromiumHistory = []string{"History", "History-journal", "Archived History", "Visited Links", "Top Sites", "Top Sites-journal", "Shortcuts", "Shortcuts-journal", "Network Action Predictor", "Network Action Predictor-journal"}

	firefox = [][]string{
		{".mozilla", "firefox", "*"}, {"snap", "firefox", "common", ".mozilla", "firefox", "*"},
		{".var", "app", "org.mozilla.firefox", ".mozilla", "firefox", "*"},
	}
	// Firefox keeps the pages that were visited in one file with the bookmarks
	// (places.sqlite), so that one stays.
	firefoxHistory = []string{"formhistory.sqlite", "sessionstore.jsonlz4", "sessionCheckpoints.json"}
)

// places of an item on this device.
func (s *Sweeper) places(i cleanup.Item) ([]place, error) {
	switch i.Kind {
	case wire.CleanPackageCache:
		return narrowed(i, place{home: -1, uids: system, files: []string{"*.deb", "*.rpm"}}), nil
	case wire.CleanJournal:
		// journald archives a file by giving it a name with @, and sets a broken
		// one aside with ~; the one it writes has neither.
		return narrowed(i, place{home: -1, uids: system, files: []string{"*@*.journal", "*.journal~"}}), nil
	case wire.CleanTemporaryFiles:
		return narrowed(i, place{home: -1, uids: anybody, spare: spareTemporary, locked: true}), nil
	case wire.CleanUserCaches, wire.CleanBrowserHistory:
		homes, err := s.homes()
		if err != nil {
			return nil, err
		}
		var out []place
		for _, h := range homes {
			out = append(out, h.places(i)...)
		}
		return out, nil
	}
	return nil, fault.New(fault.InvalidField, "field", "clean_up", "problem", "unknown kind "+string(i.Kind))
}

// narrowed is the place at each of the item's paths, else at each root.
func narrowed(i cleanup.Item, p place) []place {
	paths := i.Paths
	if len(paths) == 0 {
		paths = cleanup.UsualRoots(i.Kind)
	}
	var out []place
	for _, at := range paths {
		root, ok := cleanup.RootOf(i.Kind, at)
		if !ok || slices.ContainsFunc(paths, func(other string) bool { return strings.HasPrefix(at, other+"/") }) {
			continue // refused before; or swept with the one above it
		}
		next := p
		next.top, next.below = root, strings.TrimPrefix(strings.TrimPrefix(at, root), "/")
		if next.below != "" {
			next.spare = nil // of the root's own entries
			if matchesAny(p.spare, strings.SplitN(next.below, "/", 2)[0]) {
				continue
			}
		}
		out = append(out, next)
	}
	return out
}

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(g string) bool { return matches(g, name) })
}

// home of a person.
type home struct {
	uid int
	dir string
}

func (h home) places(i cleanup.Item) []place {
	base := place{top: h.dir, home: h.uid, uids: only(h.uid)}
	if i.Kind == wire.CleanBrowserHistory {
		return h.browsers(base)
	}
	paths := i.Paths
	if len(paths) == 0 {
		paths = cleanup.UsualRoots(i.Kind)
	}
	var out []place
	for _, at := range paths {
		p := base
		p.below = strings.TrimPrefix(at, "~/")
		out = append(out, p)
	}
	return out
}

func (h home) browsers(base place) []place {
	var out []place
	add := func(trees [][]string, files []string) {
		for _, t := range trees {
			p := base
			p.below, p.globs, p.files, p.flat = path.Join(t[:len(t)-1]...), t[len(t)-1:], files, true
			out = append(out, p)
		}
	}
	add(chromium, chromiumHistory)
	add(firefox, firefoxHistory)
	return out
}

// homes are those of the people in passwd, by directory. People of a network
// directory are not there, and their homes are seldom this device's own.
func (s *Sweeper) homes() ([]home, error) {
	f, err := os.Open(path.Join(s.Root, "/etc/passwd"))
	if err != nil {
		return nil, fmt.Errorf("read people: %w", err)
	}
	defer f.Close()
	var out []home
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		// name:password:uid:gid:comment:home:shell
		fields := strings.Split(lines.Text(), ":")
		if len(fields) != 7 {
			continue
		}
		uid, err := strconv.Atoi(fields[2])
		dir := path.Clean(fields[5])
		if err != nil || uid < firstPerson || uid > lastPerson || !path.IsAbs(dir) || strings.Count(dir, "/") < 2 {
			continue
		}
		if !slices.ContainsFunc(out, func(h home) bool { return h.dir == dir }) {
			out = append(out, home{uid, dir})
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read people: %w", err)
	}
	return out, nil
}
