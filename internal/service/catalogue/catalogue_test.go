package catalogue_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/fault"
	"patchring/internal/core/feed"
	"patchring/internal/core/patch"
	"patchring/internal/core/register"
	"patchring/internal/core/vulnerability"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/store/storetest"
	"patchring/internal/service/catalogue"
	"patchring/wire"
)

const tenant = "acme"

var start = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)

// site is a database with a catalogue in it.
type site struct {
	t  testing.TB
	db *store.DB
	*catalogue.Catalogue
	now   time.Time
	woken int
}

func newSite(t *testing.T, db *store.DB) *site { return newSiteFor(t, db) }

func newSiteFor(t testing.TB, db *store.DB) *site {
	s := &site{t: t, db: db, now: start}
	s.Catalogue = catalogue.New(catalogue.Options{
		DB: db, Clock: func() time.Time { return s.now }, Log: slog.New(slog.DiscardHandler), Changed: func() { s.woken++ },
	})
	s.write(func(ctx context.Context, tx *store.Tx) error {
		var errs []error
		for _, id := range []string{tenant, "other"} {
			errs = append(errs, tx.AddTenant(ctx, gen.AddTenantParams{ID: id, Name: id, CreatedUs: start.UnixMicro()}))
		}
		return errors.Join(errs...)
	})
	return s
}

func each(t *testing.T, f func(t *testing.T, s *site)) {
	storetest.Each(t, func(t *testing.T, db *store.DB) { f(t, newSite(t, db)) })
}

func (s *site) write(f func(ctx context.Context, tx *store.Tx) error) {
	s.t.Helper()
	if err := s.db.Write(s.t.Context(), func(tx *store.Tx) error { return f(s.t.Context(), tx) }); err != nil {
		s.t.Fatal(err)
	}
}

// lacks makes a device lack a patch, as a scan does.
func (s *site) lacks(tenant, device string, key patch.Key, has string) {
	s.t.Helper()
	packages := []wire.Change{{Name: key.Name, From: has, To: key.Version}}
	id := string(key.ID())
	s.write(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.PutPatch(ctx, gen.PutPatchParams{
			Tenant: tenant, ID: id, Provider: key.Provider, Name: key.Name, Version: key.Version, Suite: key.Suite, Class: string(patch.Security), FirstSeenUs: s.now.UnixMicro(),
		})
		row := gen.Missing{Tenant: tenant, Device: device, Patch: id, State: wire.PatchOffered, Packages: "[]", Installed: vulnerability.Installed(key, packages)}
		return errors.Join(err, tx.AddPatchDevices(ctx, gen.AddPatchDevicesParams{Tenant: tenant, ID: id, Delta: 1}),
			tx.JoinInstalled(ctx, row), tx.PutMissing(ctx, gen.PutMissingParams(row)))
	})
}

func (s *site) load(name feed.Name, text string) (catalogue.ImportedFeed, error) {
	s.now = s.now.Add(time.Minute)
	return s.Import(s.t.Context(), tenant, register.User("ines"), catalogue.ImportAsk{Feed: name, File: "f.json", Content: []byte(text)})
}

func (s *site) loaded(name feed.Name, text string) catalogue.ImportedFeed {
	s.t.Helper()
	out, err := s.load(name, text)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// mended is what is known of a patch: severity, exploited, CVEs.
func (s *site) mended(tenant string, key patch.Key) string {
	s.t.Helper()
	p, err := s.db.Read().Patch(s.t.Context(), tenant, string(key.ID()))
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(fmt.Sprintf("%s %d %s", p.Severity, p.Exploited, p.Cves))
}

func tracker(rows ...string) string { return "{" + strings.Join(rows, ",") + "}" }

func source(name string, cves ...string) string {
	return fmt.Sprintf("%q:{%s}", name, strings.Join(cves, ","))
}

func fixed(cve, version, urgency string) string {
	return fmt.Sprintf(`%q:{"description":"d","releases":{"bookworm":{"status":"resolved","fixed_version":%q,"urgency":%q}}}`, cve, version, urgency)
}

func kevOf(day string, cves ...string) string {
	var list []string
	for _, c := range cves {
		list = append(list, fmt.Sprintf(`{"cveID":%q,"vendorProject":"V","product":"P","vulnerabilityName":"N","dateAdded":"2026-11-18","requiredAction":"a","dueDate":"2026-12-09"}`, c))
	}
	return fmt.Sprintf(`{"dateReleased":"%sT00:00:00Z","count":%d,"vulnerabilities":[%s]}`, day, len(list), strings.Join(list, ","))
}

func graded(cve, status, modified, severity string) string {
	return fmt.Sprintf(`{"cve":{"id":%q,"vulnStatus":%q,"lastModified":"%sT00:00:00.000","metrics":{"cvssMetricV31":[{"type":"Primary","cvssData":{"version":"3.1","baseScore":5,"baseSeverity":%q}}]}}}`, cve, status, modified, severity)
}

func nvdOf(rows ...string) string {
	return `{"timestamp":"2026-11-20T00:00:00.000","vulnerabilities":[` + strings.Join(rows, ",") + `]}`
}

var (
	openssl = patch.Key{Provider: "apt", Name: "openssl", Version: "3.0.15-1", Suite: "bookworm-security"}
	vim     = patch.Key{Provider: "apt", Name: "vim", Version: "9.1-1", Suite: "bookworm"}
)

func TestFeedsAreKeptAndEveryTenantsPatchesAreJudged(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.lacks(tenant, "d1", openssl, "3.0.13-1")
		s.lacks("other", "d2", openssl, "3.0.11-1")
		s.lacks(tenant, "d1", vim, "9.0-1")
		got := s.loaded(feed.Debian, tracker(
			source("openssl", fixed("CVE-2026-0002", "3.0.15-1", "medium"), fixed("CVE-2026-0001", "3.0.12-1", "high")),
			source("vim", fixed("CVE-2026-0003", "9.2-1", "high"))))
		want := catalogue.ImportedFeed{Feed: feed.Debian, File: "f.json", SHA256: got.SHA256, Entries: 3, By: "user:ines", At: s.now, Patches: 2}
		if diff := cmp.Diff(want, got); diff != "" || s.woken != 1 {
			t.Errorf("woken %d times; %s", s.woken, diff)
		}
		if got := s.mended(tenant, openssl); got != "medium 0 CVE-2026-0002" {
			t.Errorf("openssl: %s", got)
		}
		if got := s.mended("other", openssl); got != "high 0 CVE-2026-0001 CVE-2026-0002" {
			t.Errorf("openssl of the other, which has older devices: %s", got)
		}
		if got := s.mended(tenant, vim); got != "unknown 0" {
			t.Errorf("vim, whose mend is yet to come: %s", got)
		}
		s.loaded(feed.KEV, kevOf("2026-11-19", "CVE-2026-0001"))
		if a, b := s.mended(tenant, openssl), s.mended("other", openssl); a != "medium 0 CVE-2026-0002" || b != "high 1 CVE-2026-0001 CVE-2026-0002" {
			t.Errorf("exploited: %s; of the other: %s", a, b)
		}
		s.loaded(feed.NVD, nvdOf(graded("CVE-2026-0002", "Analyzed", "2026-11-19", "CRITICAL")))
		if got := s.mended(tenant, openssl); got != "critical 0 CVE-2026-0002" {
			t.Errorf("graded by the NVD: %s", got)
		}
		ids, err := s.db.Read().PatchesOfCVE(t.Context(), tenant, "CVE-2026-0002")
		if err != nil || !slices.Equal(ids, []string{string(openssl.ID())}) {
			t.Errorf("patches of the CVE: %v, %v", ids, err)
		}
		if ids, err := s.db.Read().PatchesOfCVE(t.Context(), tenant, "CVE-2026-0001"); err != nil || len(ids) > 0 {
			t.Errorf("patches of a CVE that no device of the tenant has: %v, %v", ids, err)
		}
	})
}

func TestANewFileTakesThePlaceOfTheOneBefore(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.lacks(tenant, "d1", openssl, "3.0.13-1")
		s.loaded(feed.Debian, tracker(source("openssl", fixed("CVE-2026-0001", "3.0.15-1", "high"), fixed("CVE-2026-0002", "3.0.15-1", "low"))))
		s.loaded(feed.KEV, kevOf("2026-11-18", "CVE-2026-0001"))
		s.loaded(feed.Debian, tracker(source("openssl", fixed("CVE-2026-0002", "3.0.15-1", "low"))))
		if got := s.mended(tenant, openssl); got != "low 0 CVE-2026-0002" {
			t.Errorf("after one went: %s", got)
		}
		s.loaded(feed.KEV, kevOf("2026-11-19", "CVE-2026-0002"))
		if got := s.mended(tenant, openssl); got != "low 1 CVE-2026-0002" {
			t.Errorf("after the other was exploited: %s", got)
		}
		generations, err := s.db.Read().DebianGenerations(t.Context(), store.Shared)
		if err != nil || len(generations) != 1 {
			t.Errorf("generations %v, %v: the past one is to be dropped", generations, err)
		}
	})
}

func TestTheSameFileIsImportedOnce(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		text := tracker(source("openssl", fixed("CVE-2026-0001", "3.0.15-1", "high")))
		first := s.loaded(feed.Debian, text)
		again := s.loaded(feed.Debian, text)
		if !again.Unchanged || !again.At.Equal(first.At) {
			t.Errorf("again: %+v", again)
		}
		if n := s.entries(tenant); n != 1 {
			t.Errorf("%d entries in the register", n)
		}
		if n := s.entries("other"); n != 1 {
			t.Errorf("%d entries in the other's register", n)
		}
	})
}

func (s *site) entries(tenant string) int {
	s.t.Helper()
	var n int
	err := s.db.Pool().QueryRowContext(s.t.Context(), "SELECT count(*) FROM register_entry WHERE tenant = $1 AND kind = $2", tenant, string(register.FeedImported)).Scan(&n)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func TestABrokenFileChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.lacks(tenant, "d1", openssl, "3.0.13-1")
		s.loaded(feed.Debian, tracker(source("openssl", fixed("CVE-2026-0001", "3.0.15-1", "high"))))
		s.loaded(feed.KEV, kevOf("2026-11-18", "CVE-2026-0001"))
		many := []string{}
		for i := range 5000 { // more than is written at once
			many = append(many, source(fmt.Sprintf("s%d", i), fixed("CVE-2026-0009", "1", "low")))
		}
		whole := tracker(many...)
		for name, text := range map[feed.Name]string{
			feed.Debian: whole[:len(whole)-20],
			feed.KEV:    strings.Replace(kevOf("2026-11-19", "CVE-2026-0005"), `"count":1`, `"count":2`, 1),
			feed.NVD:    nvdOf(graded("CVE-2026-0001", "Analyzed", "2026-11-19", "LOW"), graded("CVE-2026-0002", "Analyzed", "2026-11-19", "BAD")),
		} {
			if _, err := s.load(name, text); fault.CodeOf(err) != fault.InvalidField {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := s.mended(tenant, openssl); got != "high 1 CVE-2026-0001" {
			t.Errorf("after the broken files: %s", got)
		}
		if generations, err := s.db.Read().DebianGenerations(t.Context(), store.Shared); err != nil || len(generations) != 1 {
			t.Errorf("generations %v, %v: parts of a broken file are left", generations, err)
		}
		if _, err := s.load("osv", "{}"); fault.CodeOf(err) != fault.InvalidField {
			t.Errorf("a feed of no kind: %v", err)
		}
		if _, err := s.load(feed.KEV, kevOf("2026-11-17", "CVE-2026-0005")); fault.CodeOf(err) != fault.InvalidField {
			t.Errorf("an older catalogue: %v", err)
		}
	})
}

func TestPartsOfTheNationalDatabaseComeInAnyOrder(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.lacks(tenant, "d1", openssl, "3.0.13-1")
		s.loaded(feed.Debian, tracker(source("openssl", fixed("CVE-2026-0001", "3.0.15-1", "low"))))
		s.loaded(feed.NVD, nvdOf(graded("CVE-2026-0001", "Modified", "2026-11-19", "CRITICAL")))
		s.loaded(feed.NVD, nvdOf(graded("CVE-2026-0001", "Analyzed", "2026-11-01", "MEDIUM"), graded("CVE-2026-0002", "Analyzed", "2026-11-01", "MEDIUM")))
		if got := s.mended(tenant, openssl); got != "critical 0 CVE-2026-0001" {
			t.Errorf("an older part took the place of a newer one: %s", got)
		}
		s.loaded(feed.NVD, nvdOf(graded("CVE-2026-0001", "Rejected", "2026-11-20", "MEDIUM")))
		if got := s.mended(tenant, openssl); got != "low 0 CVE-2026-0001" {
			t.Errorf("after the NVD took it back: %s", got)
		}
	})
}

func TestAPackedFileIsRecordedAsItIs(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.WriteString(z, kevOf("2026-11-19", "CVE-2026-0001"))
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b.Bytes())
	if got := s.loaded(feed.KEV, b.String()); got.SHA256 != hex.EncodeToString(sum[:]) || got.Entries != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestAFilePackedForTheWayIsRecordedAsItWas(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	text := kevOf("2026-11-19", "CVE-2026-0001")
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.WriteString(z, text)
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	ask := catalogue.ImportAsk{Feed: feed.KEV, File: "f.json", Content: b.Bytes(), Wrapped: true}
	sum := sha256.Sum256([]byte(text))
	if got, err := s.Import(t.Context(), tenant, register.User("ines"), ask); err != nil || got.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("got %+v, %v", got, err)
	}
	for what, content := range map[string][]byte{"half of it": b.Bytes()[:b.Len()/2], "not packed": []byte(text)} {
		ask.Content = content
		if _, err := s.Import(t.Context(), tenant, register.User("ines"), ask); fault.CodeOf(err) != fault.InvalidField {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestTheStartFinishesWhatWasLeft(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.loaded(feed.Debian, tracker(source("openssl", fixed("CVE-2026-0001", "3.0.15-1", "high"))))
		s.lacks(tenant, "d1", openssl, "")
		// An earlier version's row, parts of a stopped import, and a feed in force by which nothing was judged.
		s.write(func(ctx context.Context, tx *store.Tx) error {
			f, err := tx.Feeds(ctx, store.Shared)
			f[0].Pending = 1
			row := gen.PutMissingParams{Tenant: tenant, Device: "d1", Patch: string(openssl.ID()), State: wire.PatchOffered, Installed: "?",
				Packages: `[{"name":"openssl","from":"3.0.13-1","to":"3.0.15-1"}]`}
			return errors.Join(err, tx.PutMissing(ctx, row), tx.PutFeed(ctx, gen.PutFeedParams(f[0])),
				tx.AddDebian(ctx, 7, []feed.DebianSource{{Name: "x", Rows: []feed.DebianRow{{CVE: "CVE-2026-0001", Codename: "sid"}}}}))
		})
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := s.mended(tenant, openssl); got != "high 0 CVE-2026-0001" {
			t.Errorf("openssl: %s", got)
		}
		rows, err := s.db.Read().InstalledVersions(t.Context(), tenant, string(openssl.ID()))
		if want := []gen.InstalledVersionsRow{{Version: "3.0.13-1", Devices: 1}}; err != nil || !slices.Equal(rows, want) {
			t.Errorf("installed %+v, %v, want %+v", rows, err, want)
		}
		feeds, err := s.db.Read().Feeds(t.Context(), store.Shared)
		if err != nil || feeds[0].Pending != 0 {
			t.Errorf("feeds %+v, %v", feeds, err)
		}
		if generations, err := s.db.Read().DebianGenerations(t.Context(), store.Shared); err != nil || len(generations) != 1 {
			t.Errorf("generations %v, %v", generations, err)
		}
	})
}

// Each commit of an import fails, not stored or stored: whoever asks again gets
// the same in the end, once.
func TestAnImportWhoseCommitFailsIsAskedAgain(t *testing.T) {
	failure := errors.New("the commit failed")
	text := tracker(source("openssl", fixed("CVE-2026-0001", "3.0.15-1", "high")))
	for _, stored := range []bool{false, true} {
		for commit := 1; commit <= 4; commit++ {
			t.Run(fmt.Sprintf("commit %d stored %t", commit, stored), func(t *testing.T) {
				left := 0
				db, err := store.Open(t.Context(), store.Options{URL: t.TempDir() + "/f.db", Clock: func() time.Time { return start }, Fault: func(after bool) error {
					if after != stored {
						return nil
					}
					if left--; left == 0 {
						return failure
					}
					return nil
				}})
				if err != nil {
					t.Fatal(err)
				}
				defer db.Close()
				s := newSite(t, db)
				s.lacks(tenant, "d1", openssl, "3.0.13-1")
				left = commit
				_, err = s.load(feed.Debian, text)
				if !errors.Is(err, failure) && err != nil {
					t.Fatal(err)
				}
				s.loaded(feed.Debian, text)
				if got := s.mended(tenant, openssl); got != "high 0 CVE-2026-0001" {
					t.Errorf("openssl: %s", got)
				}
				if n := s.entries(tenant); n != 1 {
					t.Errorf("%d entries in the register", n)
				}
			})
		}
	}
}
