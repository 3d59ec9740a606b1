package feed_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/fault"
	"patchring/internal/core/feed"
)

const tracker = `{
 "openssl": {
  "CVE-2022-3602": {"scope": "remote", "debianbug": 1021620, "description": "A buffer overrun\n in X.509", "releases": {
    "bookworm": {"status": "resolved", "repositories": {"bookworm": "3.0.15-1"}, "fixed_version": "3.0.7-1", "urgency": "not yet assigned"},
    "bullseye": {"status": "resolved", "repositories": {"bullseye": "1.1.1w"}, "fixed_version": "0", "urgency": "unimportant"}}},
  "TEMP-0000000-A1B2C3": {"releases": {"bookworm": {"status": "open", "urgency": "low"}}},
  "CVE-2026-0001": {"description": "d", "releases": {"bookworm": {"status": "open", "urgency": "high**", "nodsa": "Minor"}}}},
 "vim": {"CVE-2026-0002": {"releases": {"sid": {"status": "undetermined", "urgency": "not yet assigned"}}}}
}`

func readDebian(text string) (out []feed.DebianSource, err error) {
	err = feed.ReadDebian(strings.NewReader(text), func(s feed.DebianSource) error { out = append(out, s); return nil })
	return out, err
}

func TestReadsTheTracker(t *testing.T) {
	got, err := readDebian(tracker)
	if err != nil {
		t.Fatal(err)
	}
	want := []feed.DebianSource{
		{Name: "openssl", Rows: []feed.DebianRow{
			{CVE: "CVE-2022-3602", Codename: "bookworm", Status: feed.Resolved, Fixed: "3.0.7-1", Urgency: "not yet assigned", Description: "A buffer overrun in X.509"},
			{CVE: "CVE-2026-0001", Codename: "bookworm", Status: feed.Open, Urgency: "high**", Description: "d"},
		}},
		{Name: "vim", Rows: []feed.DebianRow{{CVE: "CVE-2026-0002", Codename: "sid", Status: feed.Undetermined, Urgency: "not yet assigned"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

const kev = `{"title":"CISA Catalog of Known Exploited Vulnerabilities","catalogVersion":"2026.11.20","dateReleased":"2026-11-20T17:02:11.4021Z","count":2,
"vulnerabilities":[
 {"cveID":"CVE-2022-3602","vendorProject":"OpenSSL","product":"OpenSSL","vulnerabilityName":"Overrun","dateAdded":"2026-11-18","shortDescription":"s","requiredAction":"Apply updates.","dueDate":"2026-12-09","knownRansomwareCampaignUse":"Known","notes":"","cwes":["CWE-787"]},
 {"cveID":"CVE-2026-0002","vendorProject":"Vim","product":"Vim","vulnerabilityName":"V","dateAdded":"2026-11-19","requiredAction":"a","dueDate":"2026-11-01","knownRansomwareCampaignUse":"Unknown"}]}`

func TestReadsTheCatalogueOfExploitedVulnerabilities(t *testing.T) {
	got, err := feed.ReadKEV(strings.NewReader(kev))
	if err != nil {
		t.Fatal(err)
	}
	want := feed.Catalogue{Released: time.Date(2026, 11, 20, 17, 2, 11, 402100000, time.UTC), Entries: []feed.Exploited{
		{CVE: "CVE-2022-3602", Name: "Overrun", Product: "OpenSSL OpenSSL", Action: "Apply updates.", Added: "2026-11-18", Due: "2026-12-09", Ransomware: true},
		{CVE: "CVE-2026-0002", Name: "V", Product: "Vim Vim", Action: "a", Added: "2026-11-19", Due: "2026-11-01"}, // due before it was added: CISA does that
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

const nvd = `{"resultsPerPage":4,"startIndex":0,"totalResults":4,"format":"NVD_CVE","version":"2.0","timestamp":"2026-11-20T08:00:00.123","vulnerabilities":[
 {"cve":{"id":"CVE-2022-3602","vulnStatus":"Modified","published":"2022-11-01T18:15:10.983","lastModified":"2026-01-02T03:15:12.073",
  "descriptions":[{"lang":"es","value":"x"},{"lang":"en","value":"A buffer"}],
  "metrics":{"cvssMetricV31":[{"source":"cna@x","type":"Secondary","cvssData":{"version":"3.1","vectorString":"V1","baseScore":9.8,"baseSeverity":"CRITICAL"}},
   {"source":"nvd@nist.gov","type":"Primary","cvssData":{"version":"3.1","vectorString":"V2","baseScore":7.5,"baseSeverity":"HIGH"}}],
   "cvssMetricV2":[{"type":"Primary","baseSeverity":"LOW","cvssData":{"version":"2.0","baseScore":2}}]}}},
 {"cve":{"id":"CVE-2026-0001","vulnStatus":"Analyzed","published":"2026-11-01T00:00:00.000","lastModified":"2026-11-01T00:00:00.000",
  "metrics":{"cvssMetricV40":[{"source":"cna@x","type":"Secondary","cvssData":{"version":"4.0","vectorString":"V4","baseScore":9.3,"baseSeverity":"CRITICAL"}}],
   "cvssMetricV31":[{"source":"nvd@nist.gov","type":"Primary","cvssData":{"version":"3.1","vectorString":"V3","baseScore":5,"baseSeverity":"MEDIUM"}}]}}},
 {"cve":{"id":"CVE-2026-0002","vulnStatus":"Awaiting Analysis","published":"2026-11-01T00:00:00.000","lastModified":"2026-11-01T00:00:00.000","metrics":{}}},
 {"cve":{"id":"CVE-2026-0003","vulnStatus":"Rejected","published":"2026-11-01T00:00:00.000","lastModified":"2026-11-01T00:00:00.000"}}]}`

func TestReadsTheNationalDatabase(t *testing.T) {
	var got []feed.Graded
	made, err := feed.ReadNVD(strings.NewReader(nvd), func(g feed.Graded) error { got = append(got, g); return nil })
	if err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2026, 11, 20, 8, 0, 0, 123000000, time.UTC); !made.Equal(want) {
		t.Errorf("made at %s, want %s", made, want)
	}
	november := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	want := []feed.Graded{
		{CVE: "CVE-2022-3602", Grade: feed.High, Tenths: 75, CVSS: "3.1", Vector: "V2", By: "nvd@nist.gov", Description: "A buffer",
			Published: time.Date(2022, 11, 1, 18, 15, 10, 983000000, time.UTC), Modified: time.Date(2026, 1, 2, 3, 15, 12, 73000000, time.UTC)},
		{CVE: "CVE-2026-0001", Grade: feed.Critical, Tenths: 93, CVSS: "4.0", Vector: "V4", By: "cna@x", Published: november, Modified: november},
		{CVE: "CVE-2026-0002", Published: november, Modified: november},
		{CVE: "CVE-2026-0003", Rejected: true, Published: november, Modified: november},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func read(name feed.Name, text string) error {
	switch name {
	case feed.Debian:
		_, err := readDebian(text)
		return err
	case feed.KEV:
		_, err := feed.ReadKEV(strings.NewReader(text))
		return err
	default:
		_, err := feed.ReadNVD(strings.NewReader(text), func(feed.Graded) error { return nil })
		return err
	}
}

func TestABrokenFileIsRefusedWithItsPlace(t *testing.T) {
	tests := []struct {
		name           string
		feed           feed.Name
		text           string
		field, problem string
	}{
		{"nothing", feed.Debian, "", "file (byte 0)", "not_a_feed"},
		{"no source", feed.Debian, "{}", "file", "empty"},
		{"a page of HTML", feed.Debian, "<html>", "file (byte 0)", "not_a_feed"},
		{"a list", feed.Debian, "[]", "file (byte 1)", "not_a_feed"},
		{"cut", feed.Debian, tracker[:400], "openssl/CVE-2022-3602", "not_a_feed"},
		{"two files", feed.Debian, tracker + tracker, "file", "not_a_feed"},
		{"a source twice", feed.Debian, `{"a":{"CVE-2026-0001":{"releases":{"sid":{"status":"open"}}}},"a":{}}`, "a", "repeated"},
		{"a CVE twice", feed.Debian, `{"a":{"CVE-2026-0001":{"releases":{"sid":{"status":"open"}}},"CVE-2026-0001":{}}}`, "a/CVE-2026-0001", "repeated"},
		{"a status of no kind", feed.Debian, `{"a":{"CVE-2026-0001":{"releases":{"sid":{"status":"fine"}}}}}`, "a/CVE-2026-0001/releases/sid/status", "not_a_choice"},
		{"resolved by nothing", feed.Debian, `{"a":{"CVE-2026-0001":{"releases":{"sid":{"status":"resolved"}}}}}`, "a/CVE-2026-0001/releases/sid/fixed_version", "empty"},
		{"a null release", feed.Debian, `{"a":{"CVE-2026-0001":{"releases":{"sid":null}}}}`, "a/CVE-2026-0001/releases/sid", "not_a_feed"},
		{"no release", feed.Debian, `{"a":{"CVE-2026-0001":{}}}`, "a/CVE-2026-0001/releases", "not_a_feed"},
		{"the wrong feed", feed.KEV, tracker, "vulnerabilities", "empty"},
		{"the other wrong feed", feed.Debian, kev, "title", "not_a_feed"},
		{"fewer than it counts", feed.KEV, strings.Replace(kev, `"count":2`, `"count":3`, 1), "count", "cut_short"},
		{"no id", feed.KEV, strings.Replace(kev, "CVE-2026-0002", "CVE-26-2", 1), "vulnerabilities/[1]/cveID", "not_a_cve"},
		{"no day", feed.KEV, strings.Replace(kev, "2026-12-09", "soon", 1), "vulnerabilities/[0]/dueDate", "not_a_date"},
		{"an id twice", feed.KEV, strings.Replace(kev, "CVE-2026-0002", "CVE-2022-3602", 1), "vulnerabilities/[1]", "repeated"},
		{"a severity of no kind", feed.NVD, strings.Replace(nvd, `"HIGH"`, `"BAD"`, 1), "vulnerabilities/[0]/cve/metrics/baseSeverity", "not_a_choice"},
		{"a score too high", feed.NVD, strings.Replace(nvd, `"baseScore":7.5`, `"baseScore":75`, 1), "vulnerabilities/[0]/cve/metrics/baseScore", "out_of_range"},
		{"no instant", feed.NVD, strings.Replace(nvd, `2022-11-01T18:15:10.983`, `yesterday`, 1), "vulnerabilities/[0]/cve/published", "not_a_date"},
		{"an error in the place of a page", feed.NVD, `{"message":"rate limited"}`, "vulnerabilities", "empty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var told *fault.Error
			if err := read(tt.feed, tt.text); !errors.As(err, &told) || !strings.HasPrefix(told.Args["field"], tt.field) || told.Args["problem"] != tt.problem || told.Args["fix"] == "" {
				t.Errorf("got %v, want %s: %s", err, tt.field, tt.problem)
			}
		})
	}
}

func TestWhoReadsMayStop(t *testing.T) {
	full := errors.New("full")
	if err := feed.ReadDebian(strings.NewReader(tracker), func(feed.DebianSource) error { return full }); !errors.Is(err, full) {
		t.Errorf("tracker: %v", err)
	}
	if _, err := feed.ReadNVD(strings.NewReader(nvd), func(feed.Graded) error { return full }); !errors.Is(err, full) {
		t.Errorf("nvd: %v", err)
	}
}

func pack(text string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		panic(err)
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func TestAFileMayBePacked(t *testing.T) {
	for name, file := range map[string][]byte{"plain": []byte(kev), "packed": pack(kev)} {
		r, err := feed.Unpack(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := feed.ReadKEV(r); err != nil || len(got.Entries) != 2 {
			t.Errorf("%s: %d entries, %v", name, len(got.Entries), err)
		}
	}
	cut := pack(kev)
	r, err := feed.Unpack(bytes.NewReader(cut[:len(cut)/2]))
	if err != nil {
		t.Fatal(err)
	}
	var told *fault.Error
	if _, err := feed.ReadKEV(r); !errors.As(err, &told) || told.Args["problem"] != "cut_short" {
		t.Errorf("half a packed file: %v", err)
	}
	if _, err := feed.Unpack(strings.NewReader("\x1f\x8bno")); !errors.As(err, &told) || told.Args["problem"] != "not_gzip" {
		t.Errorf("no packed file: %v", err)
	}
}

// spaces is a file of nothing but white space, as long as anybody asks.
type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestAFileThatUnpacksToTooMuchIsRefused(t *testing.T) {
	r, err := feed.Unpack(spaces{})
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, r)
	var told *fault.Error
	if !errors.As(err, &told) || told.Args["problem"] != "too_long" || n > feed.MaxText {
		t.Errorf("after %d bytes: %v", n, err)
	}
}

func FuzzReaders(f *testing.F) {
	for _, text := range []string{tracker, kev, nvd} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, name := range feed.Names() {
			err := read(name, string(text))
			var told *fault.Error
			if err != nil && !errors.As(err, &told) {
				t.Errorf("%s: an error that nobody can be shown: %v", name, err)
			}
		}
	})
}

// TestTheTrackerIsReadInPieces: the memory that reading needs is that of one
// source package.
func TestTheTrackerIsReadInPieces(t *testing.T) {
	r, w := io.Pipe()
	go func() {
		_, err := io.WriteString(w, "{")
		for i := range 3 {
			if err == nil {
				_, err = fmt.Fprintf(w, `%s"s%d":{"CVE-2026-000%d":{"releases":{"sid":{"status":"open"}}}}`, strings.Repeat(",", min(i, 1)), i, i)
			}
		}
		w.CloseWithError(errors.Join(err, errors.New("the line broke")))
	}()
	var got []string
	err := feed.ReadDebian(r, func(s feed.DebianSource) error { got = append(got, s.Name); return nil })
	if err == nil || !slices.Equal(got, []string{"s0", "s1", "s2"}) {
		t.Errorf("read %v before %v", got, err)
	}
}
