package feed

import (
	"io"
	"slices"
)

// Status of a vulnerability in a release of Debian.
type Status string

// Statuses, as the tracker says them.
const (
	Open         Status = "open"
	Resolved     Status = "resolved"
	Undetermined Status = "undetermined"
)

// Statuses lists them.
func Statuses() []Status { return []Status{Open, Resolved, Undetermined} }

// DebianRow is what the tracker says of a vulnerability of a source package in
// a release.
type DebianRow struct {
	CVE         string
	Codename    string
	Status      Status
	Fixed       string // the version that mends it; empty while open
	Urgency     string // as it says it
	Description string
}

// DebianSource is a source package with its vulnerabilities.
type DebianSource struct {
	Name string
	Rows []DebianRow
}

// debianCVE is one vulnerability of a source package, as
// https://security-tracker.debian.org/tracker/data/json writes it:
//
//	{"openssl": {"CVE-2022-3602": {
//	   "scope": "remote", "debianbug": 1021620, "description": "A buffer overrun…",
//	   "releases": {"bookworm": {"status": "resolved", "fixed_version": "3.0.7-1",
//	      "urgency": "not yet assigned", "repositories": {"bookworm": "3.0.15-1"}}}}}}
//
// A fixed_version of "0" says that the release was never concerned.
type debianCVE struct {
	Description string                    `json:"description"`
	Releases    map[string]*debianRelease `json:"releases"`
}

type debianRelease struct {
	Status  Status `json:"status"`
	Fixed   string `json:"fixed_version"`
	Urgency string `json:"urgency"`
}

const (
	debianFix   = "https://security-tracker.debian.org/tracker/data/json"
	maxReleases = 64
	unconcerned = "0"
)

// ReadDebian reads the security tracker, one source package after the other. It
// passes over entries that have no CVE yet (TEMP-…) and over releases that were
// never concerned.
func ReadDebian(r io.Reader, each func(DebianSource) error) error {
	s := newScanner(r, debianFix)
	sources := 0
	err := s.object(func(name string) error {
		if name == "" || len(name) > maxName {
			return s.refuse("not_a_feed", s.fix)
		}
		sources++
		one := DebianSource{Name: name}
		err := s.object(func(id string) error {
			var entry debianCVE
			if err := s.value(&entry); err != nil {
				return err
			}
			if !IsCVE(id) {
				return nil
			}
			rows, err := s.releases(id, entry)
			one.Rows = append(one.Rows, rows...)
			return err
		})
		if err != nil || len(one.Rows) == 0 {
			return err
		}
		return each(one)
	})
	if err != nil {
		return err
	}
	if sources == 0 {
		return refuse("file", "empty", s.fix)
	}
	return s.end()
}

func (s *scanner) releases(id string, entry debianCVE) ([]DebianRow, error) {
	if len(entry.Releases) == 0 || len(entry.Releases) > maxReleases {
		return nil, refuse(s.place()+"/releases", "not_a_feed", s.fix)
	}
	rows := make([]DebianRow, 0, len(entry.Releases))
	for codename, release := range entry.Releases {
		at := s.place() + "/releases/" + clean(codename, maxName)
		switch {
		case codename == "" || len(codename) > maxName || release == nil:
			return nil, refuse(at, "not_a_feed", s.fix)
		case !slices.Contains(Statuses(), release.Status):
			return nil, refuse(at+"/status", "not_a_choice", "open | resolved | undetermined")
		case len(release.Fixed) > maxName || release.Status == Resolved && release.Fixed == "":
			return nil, refuse(at+"/fixed_version", "empty", s.fix)
		}
		if release.Status == Resolved && release.Fixed == unconcerned {
			continue
		}
		rows = append(rows, DebianRow{
			CVE: id, Codename: codename, Status: release.Status, Fixed: release.Fixed, Urgency: clean(release.Urgency, maxName),
			Description: clean(entry.Description, maxDescription),
		})
	}
	slices.SortFunc(rows, func(a, b DebianRow) int {
		if a.Codename < b.Codename {
			return -1
		}
		return 1 // no codename comes twice
	})
	return rows, nil
}
