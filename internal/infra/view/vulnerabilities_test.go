package view_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/fault"
	"patchring/internal/core/feed"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/core/vulnerability"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/view"
)

var (
	openssl15 = patch.Key{Provider: "apt", Name: "openssl", Version: "3.0.15-1", Suite: "bookworm-security"}
	vim91     = patch.Key{Provider: "apt", Name: "vim", Version: "9.1-1", Suite: "bookworm"}
)

// lacks counts devices at the versions that they have.
func (s site) lacks(in fleet.TenantID, key patch.Key, versions ...string) {
	s.t.Helper()
	s.write(func(ctx context.Context, tx *store.Tx) error {
		id := string(key.ID())
		_, err := tx.PutPatch(ctx, gen.PutPatchParams{
			Tenant: string(in), ID: id, Provider: key.Provider, Name: key.Name, Version: key.Version, Suite: key.Suite, Class: string(patch.Security), FirstSeenUs: now.UnixMicro(),
		})
		errs := []error{err, tx.AddPatchDevices(ctx, gen.AddPatchDevicesParams{Tenant: string(in), ID: id, Delta: int64(len(versions))})}
		for _, v := range versions {
			errs = append(errs, tx.JoinInstalled(ctx, gen.Missing{Tenant: string(in), Patch: id, Installed: v}))
		}
		return errors.Join(errs...)
	})
}

// known keeps the facts of three feeds.
func (s site) known() {
	s.t.Helper()
	s.write(func(ctx context.Context, tx *store.Tx) error {
		row := func(cve, codename string, status feed.Status, fixed, urgency string) feed.DebianRow {
			return feed.DebianRow{CVE: cve, Codename: codename, Status: status, Fixed: fixed, Urgency: urgency, Description: "about " + cve}
		}
		return errors.Join(
			tx.PutFeed(ctx, gen.PutFeedParams{Name: "debian", File: "data.json", Sha256: "aa", Entries: 6, Generation: 5, Importer: string(tenant), Actor: "user:ines", AtUs: now.UnixMicro()}),
			tx.AddDebian(ctx, 5, []feed.DebianSource{
				{Name: "openssl", Rows: []feed.DebianRow{
					row("CVE-2026-0001", "bookworm", feed.Resolved, "3.0.15-1", "high"), row("CVE-2026-0001", "trixie", feed.Open, "", "high"),
					row("CVE-2026-0002", "bookworm", feed.Resolved, "3.0.13-1", "low"), row("CVE-2026-0003", "bookworm", feed.Resolved, "3.0.14-1", "")}},
				{Name: "vim", Rows: []feed.DebianRow{row("CVE-2026-0004", "bookworm", feed.Resolved, "9.1-1", "medium"), row("CVE-2026-0005", "bookworm", feed.Open, "", "")}}}),
			tx.ReplaceKEV(ctx, []feed.Exploited{{CVE: "CVE-2026-0002", Name: "The two", Product: "P", Action: "Update.", Added: "2026-01-10", Due: "2026-01-31", Ransomware: true}}),
			tx.PutNVD(ctx, []feed.Graded{{CVE: "CVE-2026-0003", Grade: feed.Critical, Tenths: 98, CVSS: "3.1", Vector: "V", By: "nvd", Description: "the three", Published: now, Modified: now},
				{CVE: "CVE-2026-0005", Grade: feed.High, Tenths: 75, CVSS: "4.0", By: "nvd", Modified: now}}))
	})
}

func ids(rows []view.VulnerabilityRow) (out []string) {
	for _, r := range rows {
		out = append(out, r.CVE)
	}
	return out
}

func TestVulnerabilitiesAreListedTheWorstFirst(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		s.known()
		s.lacks(tenant, openssl15, "3.0.11-1", "3.0.13-1", "3.0.13-1")
		s.lacks(tenant, vim91, "9.0-1")
		s.lacks(other, openssl15, "3.0.14-1")
		got, err := s.Vulnerabilities(t.Context(), tenant, view.VulnerabilityQuery{})
		if err != nil {
			t.Fatal(err)
		}
		want := []view.VulnerabilityRow{
			{CVE: "CVE-2026-0002", Title: "The two", Severity: policy.SeverityLow, Patches: 1, Devices: 1,
				Exploited: &view.Exploited{Added: "2026-01-10", Due: "2026-01-31", Ransomware: true, Name: "The two", Product: "P", Action: "Update."}},
			{CVE: "CVE-2026-0003", Title: "about CVE-2026-0003", Severity: policy.SeverityCritical, Patches: 1, Devices: 3},
			{CVE: "CVE-2026-0001", Title: "about CVE-2026-0001", Severity: policy.SeverityHigh, Patches: 1, Devices: 3},
			{CVE: "CVE-2026-0004", Title: "about CVE-2026-0004", Severity: policy.SeverityMedium, Patches: 1, Devices: 1},
		}
		if diff := cmp.Diff(want, got.Rows); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]view.Feed{{Name: feed.Debian, File: "data.json", SHA256: "aa", Entries: 6, By: "user:ines", At: now}}, got.Feeds); diff != "" {
			t.Error(diff)
		}
		theirs, err := s.Vulnerabilities(t.Context(), other, view.VulnerabilityQuery{})
		if err != nil || !slices.Equal(ids(theirs.Rows), []string{"CVE-2026-0001"}) || theirs.Feeds[0].By != "" {
			t.Errorf("the other sees %v, by %q, %v", ids(theirs.Rows), theirs.Feeds[0].By, err)
		}
		var paged []string
		for cursor := ""; ; {
			page, err := s.Vulnerabilities(t.Context(), tenant, view.VulnerabilityQuery{Paging: view.Paging{Limit: 1, Cursor: cursor}})
			if err != nil {
				t.Fatal(err)
			}
			paged = append(paged, ids(page.Rows)...)
			if cursor = page.Next; cursor == "" {
				break
			}
		}
		if !slices.Equal(paged, ids(want)) {
			t.Errorf("page by page: %v", paged)
		}
	})
}

func TestVulnerabilitiesAreFiltered(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		s.known()
		s.lacks(tenant, openssl15, "3.0.11-1", "3.0.13-1")
		s.write(func(ctx context.Context, tx *store.Tx) error { // the old one was mended
			return tx.LeaveInstalled(ctx, gen.Missing{Tenant: string(tenant), Patch: string(openssl15.ID()), Installed: "3.0.11-1"})
		})
		tests := []struct {
			name string
			q    view.VulnerabilityQuery
			want []string
		}{
			{"all", view.VulnerabilityQuery{}, []string{"CVE-2026-0002", "CVE-2026-0003", "CVE-2026-0001"}},
			{"open", view.VulnerabilityQuery{Open: true}, []string{"CVE-2026-0003", "CVE-2026-0001"}},
			{"exploited", view.VulnerabilityQuery{Exploited: true}, []string{"CVE-2026-0002"}},
			{"exploited and open", view.VulnerabilityQuery{Exploited: true, Open: true}, nil},
			{"high", view.VulnerabilityQuery{Severity: policy.SeverityHigh}, []string{"CVE-2026-0001"}},
			{"by id", view.VulnerabilityQuery{Text: "cve-2026-0003"}, []string{"CVE-2026-0003"}},
		}
		for _, tt := range tests {
			got, err := s.Vulnerabilities(t.Context(), tenant, tt.q)
			if err != nil || !slices.Equal(ids(got.Rows), tt.want) {
				t.Errorf("%s: %v, %v, want %v", tt.name, ids(got.Rows), err, tt.want)
			}
		}
		if _, err := s.Vulnerabilities(t.Context(), tenant, view.VulnerabilityQuery{Severity: "bad"}); fault.CodeOf(err) != fault.InvalidField {
			t.Errorf("a severity of no kind: %v", err)
		}
		for what, q := range map[string]view.PatchQuery{"exploited": {Exploited: true}, "critical": {Severity: policy.SeverityCritical}} {
			got, err := s.Patches(t.Context(), tenant, q)
			if err != nil || len(got.Rows) != 1 || got.Rows[0].Name != "openssl" {
				t.Errorf("%s patches: %+v, %v", what, got.Rows, err)
			}
		}
		if got, err := s.Patches(t.Context(), tenant, view.PatchQuery{Severity: policy.SeverityLow}); err != nil || len(got.Rows) > 0 {
			t.Errorf("low patches: %+v, %v", got.Rows, err)
		}
	})
}

func TestOneVulnerabilityTellsWhoHasItAndWhatMendsIt(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		s.known()
		s.lacks(tenant, openssl15, "3.0.11-1", "3.0.13-1", "3.0.13-1")
		got, err := s.Vulnerability(t.Context(), tenant, " cve-2026-0002 ")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]view.Mending{{
			Patch: view.PatchRef{ID: openssl15.ID(), Name: "openssl", Version: "3.0.15-1"}, Suite: "bookworm-security", Fixed: "3.0.13-1",
			Severity: policy.SeverityLow, By: vulnerability.Debian, Lacking: 3, Exposed: 1,
			Versions: []view.InstalledVersion{{Version: "3.0.11-1", Devices: 1, Exposed: true}, {Version: "3.0.13-1", Devices: 2}},
		}}, got.MendedBy); diff != "" {
			t.Error(diff)
		}
		if got.Exploited == nil || got.Exploited.Due != "2026-01-31" || got.Devices != 1 || got.Description != "about CVE-2026-0002" {
			t.Errorf("got %+v", got)
		}
		one, err := s.Vulnerability(t.Context(), tenant, "CVE-2026-0001")
		if want := []view.DebianStatus{{Source: "openssl", Codename: "bookworm", Status: feed.Resolved, Fixed: "3.0.15-1", Urgency: "high"},
			{Source: "openssl", Codename: "trixie", Status: feed.Open, Urgency: "high"}}; err != nil || !cmp.Equal(want, one.Debian) {
			t.Errorf("on Debian: %+v, %v", one.Debian, err)
		}
		three, err := s.Vulnerability(t.Context(), tenant, "CVE-2026-0003")
		if want := (&view.Score{Base: 9.8, Severity: "critical", CVSS: "3.1", Vector: "V", By: "nvd"}); err != nil || !cmp.Equal(want, three.Score) || three.Description != "the three" || !three.Published.Equal(now) {
			t.Errorf("scored %+v, %v", three, err)
		}
		// No patch mends it yet, and a feed knows it all the same.
		five, err := s.Vulnerability(t.Context(), tenant, "CVE-2026-0005")
		if err != nil || five.Severity != policy.SeverityHigh || len(five.MendedBy) > 0 || five.Devices != 0 {
			t.Errorf("without a patch: %+v, %v", five, err)
		}
		if _, err := s.Vulnerability(t.Context(), tenant, "CVE-2026-9999"); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("one that nobody knows: %v", err)
		}
		if _, err := s.Vulnerability(t.Context(), tenant, "openssl"); fault.CodeOf(err) != fault.InvalidField {
			t.Errorf("no id: %v", err)
		}
	})
}

func TestAPatchTellsWhatItMends(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		s.known()
		s.lacks(tenant, openssl15, "3.0.11-1", "3.0.13-1")
		got, err := s.Patch(t.Context(), tenant, openssl15.ID())
		if err != nil {
			t.Fatal(err)
		}
		want := []view.Mended{
			{CVE: "CVE-2026-0002", Severity: policy.SeverityLow, By: vulnerability.Debian, Exploited: true, Due: "2026-01-31", Fixed: "3.0.13-1", Devices: 1},
			{CVE: "CVE-2026-0003", Severity: policy.SeverityCritical, By: vulnerability.NVD, Fixed: "3.0.14-1", Devices: 2},
			{CVE: "CVE-2026-0001", Severity: policy.SeverityHigh, By: vulnerability.Debian, Fixed: "3.0.15-1", Devices: 2},
		}
		if diff := cmp.Diff(want, got.Mends); diff != "" {
			t.Error(diff)
		}
		if got.Severity != policy.SeverityCritical || !got.Exploited || !slices.Equal(got.CVEs, []string{"CVE-2026-0001", "CVE-2026-0002", "CVE-2026-0003"}) {
			t.Errorf("got %s, exploited %t, %v", got.Severity, got.Exploited, got.CVEs)
		}
		if !got.FirstSeen.Equal(now.Truncate(time.Microsecond)) {
			t.Errorf("first seen %s", got.FirstSeen)
		}
	})
}
