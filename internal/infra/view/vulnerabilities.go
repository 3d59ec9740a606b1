package view

import (
	"context"
	"database/sql"
	"strconv"
	"strings"

	"patchring/internal/core/fault"
	"patchring/internal/core/feed"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
)

// severities from the mildest; a grade is a place in it. Unknown is the first
// because a list has an order, not because it is the mildest.
var severities = []policy.Severity{policy.SeverityUnknown, policy.SeverityLow, policy.SeverityMedium, policy.SeverityHigh, policy.SeverityCritical}

const gradeOf = `CASE x.severity WHEN 'critical' THEN 4 WHEN 'high' THEN 3 WHEN 'medium' THEN 2 WHEN 'low' THEN 1 ELSE 0 END`

// debianSays is one of the descriptions that Debian has of v.cve: it has one for
// each source package, and they say the same.
const debianSays = `coalesce((SELECT d.description FROM feed f JOIN feed_debian d ON d.tenant = f.tenant AND d.generation = f.generation
  WHERE f.tenant = '' AND f.name = 'debian' AND d.cve = v.cve LIMIT 1), '')`

// The facts of feeds are everybody's: their tenant is ”. $1 is who asks.
const vulnerabilityHead = `SELECT v.cve, v.grade, v.patches, v.devices, coalesce(n.description, ''), ` + debianSays + `,
  CASE WHEN k.cve IS NULL THEN 0 ELSE 1 END, coalesce(k.name, ''), coalesce(k.product, ''), coalesce(k.action, ''), coalesce(k.added_day, ''), coalesce(k.due_day, ''), coalesce(k.ransomware, 0)
FROM (SELECT x.tenant, x.cve, max(` + gradeOf + `) AS grade, count(DISTINCT x.patch) AS patches,
    CAST(coalesce(sum(i.devices), 0) AS BIGINT) AS devices
  FROM patch_cve x LEFT JOIN patch_installed i ON i.tenant = x.tenant AND i.patch = x.patch AND i.place < x.exposes
  WHERE x.tenant = $1 GROUP BY x.tenant, x.cve) v
LEFT JOIN feed_kev k ON k.tenant = '' AND k.cve = v.cve
LEFT JOIN feed_nvd n ON n.tenant = '' AND n.cve = v.cve`

// weight puts exploited ones before all others.
const weight = "(CASE WHEN k.cve IS NULL THEN 0 ELSE 10 END + v.grade)"

func scanVulnerability(rows *sql.Rows) (VulnerabilityRow, error) {
	var v VulnerabilityRow
	var grade, known, ransomware int64
	var nvd, debian string
	var e Exploited
	err := rows.Scan(&v.CVE, &grade, &v.Patches, &v.Devices, &nvd, &debian, &known, &e.Name, &e.Product, &e.Action, &e.Added, &e.Due, &ransomware)
	v.Severity, v.Title = severities[grade], first(e.Name, debian, nvd)
	if known == 1 {
		e.Ransomware = ransomware == 1
		v.Exploited = &e
	}
	return v, err
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// weight is the row's place in the list.
func (v VulnerabilityRow) weight() int64 {
	n := int64(0)
	for i, s := range severities {
		if s == v.Severity {
			n = int64(i)
		}
	}
	if v.Exploited != nil {
		n += 10
	}
	return n
}

// Vulnerabilities lists what the patches mend that a tenant's scans have made
// known.
func (r *Reader) Vulnerabilities(ctx context.Context, tenant fleet.TenantID, q VulnerabilityQuery) (VulnerabilityPage, error) {
	after, err := q.cursorFor("worst")
	if err != nil {
		return VulnerabilityPage{}, err
	}
	b := builder{args: []any{tenant}}
	b.and("v.tenant = ?", tenant)
	if q.Exploited {
		b.and("k.cve IS NOT NULL")
	}
	if q.Open {
		b.and("v.devices > 0")
	}
	if q.Severity != "" {
		i, err := gradeNamed(q.Severity)
		if err != nil {
			return VulnerabilityPage{}, err
		}
		b.and("v.grade = ?", i)
	}
	if q.Text != "" {
		b.and("lower(v.cve) LIKE ? ESCAPE '!'", contains(strings.TrimSpace(q.Text)))
	}
	if after != nil {
		b.and("("+weight+", v.cve) < (?, ?)", after.N, after.ID)
	}
	rows, err := all(ctx, r, b.list("vulnerabilities", vulnerabilityHead, weight+" DESC, v.cve DESC", q.limit()), scanVulnerability)
	if err != nil {
		return VulnerabilityPage{}, err
	}
	page := pageOf(rows, q.limit(), func(v VulnerabilityRow) cursor { return cursor{Sort: "worst", N: v.weight(), ID: v.CVE} })
	out := VulnerabilityPage{Rows: page.Rows, Next: page.Next}
	out.Feeds, err = r.feeds(ctx, tenant)
	return out, err
}

func gradeNamed(s policy.Severity) (int, error) {
	names := make([]string, len(severities))
	for i, one := range severities {
		if names[i] = string(one); one == s {
			return i, nil
		}
	}
	return 0, fault.New(fault.InvalidField, "field", "severity", "problem", "not_a_choice", "fix", strings.Join(names, ", "))
}

// feeds says what was imported last. Who did it is told to their own tenant.
func (r *Reader) feeds(ctx context.Context, tenant fleet.TenantID) ([]Feed, error) {
	return all(ctx, r, ask("feeds", `SELECT f.name, f.file, f.sha256, f.entries, f.snapshot_us, f.at_us, CASE WHEN f.importer = $1 THEN f.actor ELSE '' END
FROM feed f WHERE f.tenant = '' ORDER BY f.name`, tenant), func(rows *sql.Rows) (Feed, error) {
		var f Feed
		var madeUS, atUS int64
		err := rows.Scan(&f.Name, &f.File, &f.SHA256, &f.Entries, &madeUS, &atUS, &f.By)
		f.Made, f.At = instant(madeUS), instant(atUS)
		return f, err
	})
}

// Vulnerability shows one that any feed knows.
func (r *Reader) Vulnerability(ctx context.Context, tenant fleet.TenantID, cve string) (Vulnerability, error) {
	cve = strings.ToUpper(strings.TrimSpace(cve))
	if !feed.IsCVE(cve) {
		return Vulnerability{}, fault.New(fault.InvalidField, "field", "cve", "problem", "not_a_cve", "fix", "CVE-2026-1234")
	}
	b := builder{args: []any{tenant}}
	b.and("v.cve = ?", cve)
	rows, err := all(ctx, r, b.every("vulnerability", vulnerabilityHead, "v.cve"), scanVulnerability)
	if err != nil {
		return Vulnerability{}, err
	}
	out := Vulnerability{VulnerabilityRow: VulnerabilityRow{CVE: cve, Severity: policy.SeverityUnknown}}
	if len(rows) == 1 {
		out.VulnerabilityRow = rows[0]
	}
	known := len(rows)
	for _, read := range []func(context.Context, *Vulnerability) (int, error){r.exploited, r.scored, r.onDebian} {
		n, err := read(ctx, &out)
		if err != nil {
			return Vulnerability{}, err
		}
		known += n
	}
	if known == 0 {
		return Vulnerability{}, fault.New(fault.NotFound, "what", "vulnerability", "name", cve)
	}
	if out.MendedBy, err = r.mending(ctx, tenant, cve); err != nil {
		return Vulnerability{}, err
	}
	out.Feeds, err = r.feeds(ctx, tenant)
	return out, err
}

// exploited fills what CISA knows, also where no patch is known.
func (r *Reader) exploited(ctx context.Context, v *Vulnerability) (int, error) {
	found, err := all(ctx, r, ask("exploited vulnerability", `SELECT k.name, k.product, k.action, k.added_day, k.due_day, k.ransomware FROM feed_kev k WHERE k.tenant = '' AND k.cve = $1`, v.CVE),
		func(rows *sql.Rows) (Exploited, error) {
			var e Exploited
			var ransomware int64
			err := rows.Scan(&e.Name, &e.Product, &e.Action, &e.Added, &e.Due, &ransomware)
			e.Ransomware = ransomware == 1
			return e, err
		})
	if len(found) == 1 {
		v.Exploited, v.Title = &found[0], first(found[0].Name, v.Title)
	}
	return len(found), err
}

// scored fills the NVD's word, which is the vulnerability's severity where no
// patch has one.
func (r *Reader) scored(ctx context.Context, v *Vulnerability) (int, error) {
	found, err := all(ctx, r, ask("score", `SELECT n.severity, n.score, n.cvss, n.vector, n.scored_by, n.description, n.published_us FROM feed_nvd n WHERE n.tenant = '' AND n.cve = $1`, v.CVE),
		func(rows *sql.Rows) (Score, error) {
			var s Score
			var tenths, publishedUS int64
			err := rows.Scan(&s.Severity, &tenths, &s.CVSS, &s.Vector, &s.By, &v.Description, &publishedUS)
			s.Base, v.Published = float64(tenths)/10, instant(publishedUS)
			return s, err
		})
	if len(found) == 1 {
		v.Title = first(v.Title, v.Description)
		if found[0].CVSS != "" {
			v.Score = &found[0]
			if v.Patches == 0 {
				v.Severity = policy.ParseSeverity(found[0].Severity)
			}
		}
	}
	return len(found), err
}

// onDebian fills what the tracker says, release by release.
func (r *Reader) onDebian(ctx context.Context, v *Vulnerability) (int, error) {
	described := ""
	var err error
	v.Debian, err = all(ctx, r, ask("the tracker's word", `SELECT d.source, d.codename, d.status, d.fixed_version, d.urgency, d.description
FROM feed f JOIN feed_debian d ON d.tenant = f.tenant AND d.generation = f.generation
WHERE f.tenant = '' AND f.name = 'debian' AND d.cve = $1 ORDER BY d.source, d.codename`, v.CVE), func(rows *sql.Rows) (DebianStatus, error) {
		var d DebianStatus
		return d, rows.Scan(&d.Source, &d.Codename, &d.Status, &d.Fixed, &d.Urgency, &described)
	})
	v.Description = first(v.Description, described)
	v.Title = first(v.Title, described)
	return len(v.Debian), err
}

const mendingText = `SELECT p.id, p.name, p.version, p.suite, p.devices, x.fixed_version, x.severity, x.severity_source, x.exposes,
  coalesce(i.version, ''), coalesce(i.place, 0), coalesce(i.devices, 0)
FROM patch_cve x JOIN patch p ON p.tenant = x.tenant AND p.id = x.patch
LEFT JOIN patch_installed i ON i.tenant = x.tenant AND i.patch = x.patch
WHERE x.tenant = $1 AND x.cve = $2 ORDER BY p.first_seen_us DESC, p.id, i.place`

// mending are the patches that mend a vulnerability, each with the versions
// that devices which lack it have.
func (r *Reader) mending(ctx context.Context, tenant fleet.TenantID, cve string) ([]Mending, error) {
	out := []Mending{}
	_, err := all(ctx, r, ask("patches of a vulnerability", mendingText, tenant, cve), func(rows *sql.Rows) (struct{}, error) {
		var id, name, version, installed string
		var exposes, place, devices int64
		m := Mending{Versions: []InstalledVersion{}}
		err := rows.Scan(&id, &name, &version, &m.Suite, &m.Lacking, &m.Fixed, &m.Severity, &m.By, &exposes, &installed, &place, &devices)
		if m.Patch = patchRef(id, name, version); len(out) == 0 || out[len(out)-1].Patch.ID != m.Patch.ID {
			out = append(out, m)
		}
		last := &out[len(out)-1]
		if devices > 0 {
			last.Versions = append(last.Versions, InstalledVersion{Version: installed, Devices: devices, Exposed: place < exposes})
			if place < exposes {
				last.Exposed += devices
			}
		}
		return struct{}{}, err
	})
	return out, err
}

const mendedText = `SELECT x.cve, x.severity, x.severity_source, x.exploited, x.fixed_version, coalesce(k.due_day, ''),
  CAST(coalesce((SELECT sum(i.devices) FROM patch_installed i WHERE i.tenant = x.tenant AND i.patch = x.patch AND i.place < x.exposes), 0) AS BIGINT)
FROM patch_cve x LEFT JOIN feed_kev k ON k.tenant = '' AND k.cve = x.cve
WHERE x.tenant = $1 AND x.patch = $2 ORDER BY x.exploited DESC, ` + gradeOf + ` DESC, x.cve DESC LIMIT `

// mendedAtMost bounds what a page shows: a kernel may mend thousands.
const mendedAtMost = 500

// mendedBy is what a patch mends, the worst first.
func (r *Reader) mendedBy(ctx context.Context, tenant fleet.TenantID, id patch.ID) ([]Mended, error) {
	return all(ctx, r, ask("what a patch mends", mendedText+strconv.Itoa(mendedAtMost), tenant, id), func(rows *sql.Rows) (Mended, error) {
		var m Mended
		var exploited int64
		err := rows.Scan(&m.CVE, &m.Severity, &m.By, &exploited, &m.Fixed, &m.Due, &m.Devices)
		m.Exploited = exploited == 1
		return m, err
	})
}
