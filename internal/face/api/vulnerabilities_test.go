package api_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"testing"

	"patchring/internal/core/fault"
	"patchring/internal/face/api"
	"patchring/internal/infra/view"
	"patchring/internal/service/catalogue"
)

const kevText = `{"dateReleased":"2026-11-20T00:00:00Z","count":1,"vulnerabilities":[{"cveID":"CVE-2026-0002","vulnerabilityName":"The two","dateAdded":"2026-11-18","dueDate":"2026-12-09"}]}`

func TestAFeedIsImportedThroughTheAPI(t *testing.T) {
	s := newSite(t)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, kevText); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	send := func(feed, content string, header ...string) answer {
		return s.do(http.MethodPost, api.Prefix+"/vulnerabilities/feeds/"+feed+"?file=kev.json", s.token, content, append(header, "Content-Type", "application/octet-stream")...)
	}
	sum := sha256.Sum256([]byte(kevText))
	packed := decode[catalogue.ImportedFeed](t, send("kev", b.String(), "Content-Encoding", "gzip"))
	if packed.SHA256 != hex.EncodeToString(sum[:]) || packed.File != "kev.json" || packed.Entries != 1 || packed.By != "user:admin" {
		t.Errorf("packed for the way: %+v", packed)
	}
	if plain := decode[catalogue.ImportedFeed](t, send("kev", kevText)); !plain.Unchanged {
		t.Errorf("the same file, not packed: %+v", plain)
	}
	if p := send("kev", `{"vulnerabilities":[]}`).problem(t); p.Code != fault.InvalidField || p.Args["field"] != "vulnerabilities" {
		t.Errorf("an empty catalogue: %+v", p)
	}
	if a := send("osv", "{}"); a.status != http.StatusUnprocessableEntity {
		t.Errorf("a feed of no kind: %d %s", a.status, a.body)
	}
	large := bytes.Repeat([]byte(" "), 2<<20)
	if p := send("kev", string(large)).problem(t); p.Code != fault.InvalidField || p.Args["problem"] == "too_long" {
		t.Errorf("a file that is larger than other requests may be is read: %+v", p)
	}
	one := decode[view.Vulnerability](t, s.get("/vulnerabilities/CVE-2026-0002"))
	if one.Exploited == nil || one.Exploited.Due != "2026-12-09" || len(one.Feeds) != 1 {
		t.Errorf("one: %+v", one)
	}
	if list := decode[view.VulnerabilityPage](t, s.get("/vulnerabilities?exploited=true&open=true&severity=high&text=CVE")); len(list.Rows) > 0 || len(list.Feeds) != 1 {
		t.Errorf("list: %+v", list)
	}
	if a := s.get("/patches?exploited=true&severity=critical"); a.status != http.StatusOK {
		t.Errorf("patches: %d %s", a.status, a.body)
	}
	if p := s.get("/vulnerabilities/CVE-2026-9999").problem(t); p.Code != fault.NotFound {
		t.Errorf("one that nobody knows: %+v", p)
	}
}
