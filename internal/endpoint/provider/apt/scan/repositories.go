package scan

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"patchring/internal/core/patch"
	"patchring/internal/endpoint/facts/osrelease"
	"patchring/internal/endpoint/provider/apt/query"
	"patchring/internal/endpoint/provider/tool"
)

// listsDir is where apt keeps what it fetched from the repositories.
const listsDir = "var/lib/apt/lists"

// repositories is what this device knows of where its packages come from.
type repositories struct {
	families  []string                // os-release ID and ID_LIKE
	codenames map[query.Origin]string // by what apt calls a suite
}

// readRepositories reads the heads of the Release files apt keeps: a few
// hundred bytes each.
func (s *Scanner) readRepositories() (repositories, error) {
	r := repositories{codenames: map[query.Origin]string{}}
	release, err := osrelease.Read(os.DirFS(s.Device.Root))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return r, err
	}
	if err == nil {
		r.families = release.Families()
	}
	for _, suffix := range []string{"Release", "InRelease"} {
		files, err := filepath.Glob(s.Device.Path(listsDir, "*_"+suffix))
		if err != nil {
			return r, fmt.Errorf("list repositories: %w", err)
		}
		for _, name := range files {
			if err := r.readHead(name); err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

// readHead stops at the checksums, which are nearly all of the file.
func (r repositories) readHead(name string) error {
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another apt replaced it since it was listed
	}
	if err != nil {
		return fmt.Errorf("read repository: %w", err)
	}
	defer file.Close()
	field := map[string]string{}
	lines := bufio.NewScanner(file)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), " ") {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok {
			field[name] = strings.TrimSpace(value)
		}
	}
	if field["Codename"] != "" {
		r.codenames[query.Origin{Label: field["Label"], Suite: field["Suite"]}] = field["Codename"]
	}
	return nil
}

// suite names the suite so that the name stays with the release: Debian's
// stable-security is another release's after the next one comes out, its
// codename is not. Ubuntu's codename says nothing of the pocket, its suite does.
func (r repositories) suite(o query.Origin) string {
	word, _, _ := strings.Cut(o.Suite, "-")
	switch word {
	case "stable", "oldstable", "oldoldstable", "testing":
		if name := r.codenames[o]; name != "" {
			return name
		}
	}
	return o.Suite
}

// class tells security from the rest by where a version comes from.
func (r repositories) class(origins []query.Origin) patch.Class {
	if len(origins) == 0 {
		return patch.Unknown
	}
	own := false
	for _, o := range origins {
		if o.Security() {
			return patch.Security
		}
		own = own || r.distribution(o)
	}
	if own {
		return patch.Quality
	}
	return patch.ThirdParty
}

// distribution tells whether a label is the distribution's own: Debian,
// Debian-Security and Debian Backports on Debian.
func (r repositories) distribution(o query.Origin) bool {
	label := strings.ToLower(o.Label)
	for _, family := range r.families {
		if family != "" && strings.HasPrefix(label, strings.ToLower(family)) {
			return true
		}
	}
	return false
}

// mainOrigin is the one a patch is named after: the security one if there is one.
func mainOrigin(origins []query.Origin) query.Origin {
	for _, o := range origins {
		if o.Security() {
			return o
		}
	}
	if len(origins) == 0 {
		return query.Origin{}
	}
	return origins[0]
}

// refreshedFile remembers when this agent last saw every repository answer.
func (s *Scanner) refreshedFile() string { return filepath.Join(s.State, "refreshed") }

// noteRefreshed is written after a refresh without any error. Crash story:
// without it the lists look older than they are, which is the safe side.
func (s *Scanner) noteRefreshed(at time.Time) error {
	return tool.WriteDurable(s.refreshedFile(), []byte(at.UTC().Format(time.RFC3339Nano)+"\n"))
}

// listed tells when the lists were last surely up to date, and whether there
// are any. apt gives a list the time at which its repository was published,
// and that it was fetched later than that is all a list says of itself: the
// newest of them is a lower bound, as is this agent's own note. A copied or
// cloned system cannot look fresher than it is by either.
func (s *Scanner) listed() (at time.Time, some bool, err error) {
	lists, err := filepath.Glob(s.Device.Path(listsDir, "*_Packages*"))
	if err != nil {
		return at, false, fmt.Errorf("list repositories: %w", err)
	}
	if len(lists) == 0 {
		return at, false, nil
	}
	releases, err := filepath.Glob(s.Device.Path(listsDir, "*Release"))
	if err != nil {
		return at, false, fmt.Errorf("list repositories: %w", err)
	}
	for _, name := range releases {
		if stat, err := os.Stat(name); err == nil && stat.ModTime().After(at) {
			at = stat.ModTime()
		}
	}
	note, err := os.ReadFile(s.refreshedFile())
	if errors.Is(err, fs.ErrNotExist) {
		return at, true, nil
	}
	if err != nil {
		return at, true, fmt.Errorf("read time of last refresh: %w", err)
	}
	noted, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(string(note)))
	if err == nil && noted.After(at) {
		at = noted
	}
	return at, true, nil
}
