package feed

import (
	"io"
	"math"
	"strings"
	"time"
)

// Grade is how bad a publisher says a vulnerability is.
type Grade string

// Grades of CVSS. None is a score of 0: no security harm.
const (
	None     Grade = "none"
	Low      Grade = "low"
	Medium   Grade = "medium"
	High     Grade = "high"
	Critical Grade = "critical"
)

// Graded is what the NVD says of a vulnerability.
type Graded struct {
	CVE         string
	Rejected    bool  // it is none: whatever was known of it is to be forgotten
	Grade       Grade // empty: not scored yet
	Tenths      int64 // of the score
	CVSS        string
	Vector      string
	By          string // who scored it
	Description string
	Published   time.Time
	Modified    time.Time
}

// nvdCVE is one as the API 2.0 writes it, in a page of /rest/json/cves/2.0 and
// in the yearly files nvdcve-2.0-2026.json.gz:
//
//	{"timestamp":"2026-11-20T08:00:00.123","vulnerabilities":[{"cve":{
//	   "id":"CVE-2022-3602","vulnStatus":"Modified","published":"2022-11-01T18:15:10.983",
//	   "lastModified":"2026-01-02T03:15:12.073","descriptions":[{"lang":"en","value":"…"}],
//	   "metrics":{"cvssMetricV31":[{"source":"nvd@nist.gov","type":"Primary","cvssData":{
//	      "version":"3.1","vectorString":"CVSS:3.1/AV:N/…","baseScore":7.5,"baseSeverity":"HIGH"}}]}}}]}
type nvdCVE struct {
	ID           string `json:"id"`
	Status       string `json:"vulnStatus"`
	Published    string `json:"published"`
	Modified     string `json:"lastModified"`
	Descriptions []struct {
		Lang  string `json:"lang"`
		Value string `json:"value"`
	} `json:"descriptions"`
	Metrics struct {
		V40 []nvdMetric `json:"cvssMetricV40"`
		V31 []nvdMetric `json:"cvssMetricV31"`
		V30 []nvdMetric `json:"cvssMetricV30"`
	} `json:"metrics"`
}

type nvdMetric struct {
	Source string `json:"source"`
	Type   string `json:"type"`
	CVSS   struct {
		Version  string  `json:"version"`
		Vector   string  `json:"vectorString"`
		Score    float64 `json:"baseScore"`
		Severity string  `json:"baseSeverity"`
	} `json:"cvssData"`
}

const nvdFix = "https://services.nvd.nist.gov/rest/json/cves/2.0"

// ReadNVD reads a page of the National Vulnerability Database, or one of its
// yearly files, one vulnerability after the other.
func ReadNVD(r io.Reader, each func(Graded) error) (made time.Time, err error) {
	s := newScanner(r, nvdFix)
	seen, listed := map[string]bool{}, false
	err = s.object(func(key string) (err error) {
		switch key {
		case "timestamp":
			var text string
			if err = s.value(&text); err == nil {
				made, err = s.instant("", text)
			}
		case "vulnerabilities":
			listed = true
			err = s.list(func() error {
				one, err := s.graded()
				if err != nil {
					return err
				}
				if seen[one.CVE] {
					return s.refuse("repeated", one.CVE)
				}
				seen[one.CVE] = true
				return each(one)
			})
		default:
			err = s.skip()
		}
		return err
	})
	if err != nil {
		return time.Time{}, err
	}
	if !listed || len(seen) == 0 {
		return time.Time{}, refuse("vulnerabilities", "empty", nvdFix)
	}
	return made, s.end()
}

func (s *scanner) graded() (Graded, error) {
	var entry struct {
		CVE nvdCVE `json:"cve"`
	}
	if err := s.value(&entry); err != nil {
		return Graded{}, err
	}
	c := entry.CVE
	if !IsCVE(c.ID) {
		return Graded{}, refuse(s.place()+"/cve/id", "not_a_cve", "CVE-2026-1234")
	}
	out := Graded{CVE: c.ID, Rejected: c.Status == "Rejected"}
	for _, d := range c.Descriptions {
		if d.Lang == "en" {
			out.Description = clean(d.Value, maxDescription)
			break
		}
	}
	var err error
	if out.Published, err = s.instant("cve/published", c.Published); err != nil {
		return out, err
	}
	if out.Modified, err = s.instant("cve/lastModified", c.Modified); err != nil {
		return out, err
	}
	return out, s.score(&out, c)
}

// score takes the newest version of CVSS, of it the NVD's own word (Primary)
// before that of who announced the vulnerability.
func (s *scanner) score(out *Graded, c nvdCVE) error {
	for _, list := range [...][]nvdMetric{c.Metrics.V40, c.Metrics.V31, c.Metrics.V30} {
		if len(list) == 0 {
			continue
		}
		m := list[0]
		for _, other := range list {
			if other.Type == "Primary" {
				m = other
				break
			}
		}
		switch g := Grade(strings.ToLower(m.CVSS.Severity)); g {
		case None, Low, Medium, High, Critical:
			out.Grade = g
		default:
			return refuse(s.place()+"/cve/metrics/baseSeverity", "not_a_choice", "NONE | LOW | MEDIUM | HIGH | CRITICAL")
		}
		if m.CVSS.Score < 0 || m.CVSS.Score > 10 {
			return refuse(s.place()+"/cve/metrics/baseScore", "out_of_range", "0.0 - 10.0")
		}
		out.Tenths = int64(math.Round(m.CVSS.Score * 10))
		out.CVSS, out.Vector, out.By = clean(m.CVSS.Version, 16), clean(m.CVSS.Vector, maxName), clean(m.Source, maxName)
		return nil
	}
	return nil
}
