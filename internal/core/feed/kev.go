package feed

import (
	"io"
	"time"
)

// Exploited is a vulnerability that CISA knows to be exploited.
type Exploited struct {
	CVE        string
	Name       string
	Product    string // with its vendor
	Action     string // what CISA asks for
	Added      string // a day
	Due        string // the day by which CISA wants it done; it may come before Added
	Ransomware bool   // known to be used by ransomware
}

// Catalogue is CISA's, whole.
type Catalogue struct {
	Released time.Time
	Entries  []Exploited
}

// kevEntry is one as the catalogue writes it:
//
//	{"cveID":"CVE-2021-27104","vendorProject":"Accellion","product":"FTA",
//	 "vulnerabilityName":"Accellion FTA OS Command Injection","dateAdded":"2021-11-03",
//	 "shortDescription":"…","requiredAction":"Apply updates per vendor instructions.",
//	 "dueDate":"2021-11-17","knownRansomwareCampaignUse":"Known","notes":"","cwes":["CWE-78"]}
type kevEntry struct {
	CVE        string `json:"cveID"`
	Vendor     string `json:"vendorProject"`
	Product    string `json:"product"`
	Name       string `json:"vulnerabilityName"`
	Added      string `json:"dateAdded"`
	Due        string `json:"dueDate"`
	Action     string `json:"requiredAction"`
	Ransomware string `json:"knownRansomwareCampaignUse"`
}

const kevFix = "known_exploited_vulnerabilities.json"

// ReadKEV reads the catalogue of known exploited vulnerabilities. It counts
// itself: a count that does not fit says that something is missing.
func ReadKEV(r io.Reader) (Catalogue, error) {
	s := newScanner(r, kevFix)
	var out Catalogue
	count, seen, listed := -1, map[string]bool{}, false
	err := s.object(func(key string) (err error) {
		switch key {
		case "dateReleased":
			var text string
			if err = s.value(&text); err == nil {
				out.Released, err = s.instant("", text)
			}
		case "count":
			err = s.value(&count)
		case "vulnerabilities":
			listed = true
			err = s.list(func() error {
				one, err := s.exploited()
				if err != nil {
					return err
				}
				if seen[one.CVE] {
					return s.refuse("repeated", one.CVE)
				}
				seen[one.CVE] = true
				out.Entries = append(out.Entries, one)
				return nil
			})
		default:
			err = s.skip()
		}
		return err
	})
	if err != nil {
		return Catalogue{}, err
	}
	switch {
	case !listed || len(out.Entries) == 0:
		return Catalogue{}, refuse("vulnerabilities", "empty", kevFix)
	case count >= 0 && count != len(out.Entries):
		return Catalogue{}, refuse("count", "cut_short", "download")
	}
	return out, s.end()
}

func (s *scanner) exploited() (Exploited, error) {
	var e kevEntry
	if err := s.value(&e); err != nil {
		return Exploited{}, err
	}
	if !IsCVE(e.CVE) {
		return Exploited{}, refuse(s.place()+"/cveID", "not_a_cve", "CVE-2026-1234")
	}
	out := Exploited{
		CVE: e.CVE, Name: clean(e.Name, maxName), Product: clean(e.Vendor+" "+e.Product, maxName), Action: clean(e.Action, maxDescription),
		Ransomware: e.Ransomware == "Known",
	}
	var err error
	if out.Added, err = s.day("dateAdded", e.Added); err != nil {
		return out, err
	}
	if e.Due != "" {
		out.Due, err = s.day("dueDate", e.Due)
	}
	return out, err
}
