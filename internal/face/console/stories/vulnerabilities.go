package stories

import (
	"time"

	"patchring/internal/core/feed"
	"patchring/internal/core/policy"
	"patchring/internal/core/vulnerability"
	"patchring/internal/face/console/page"
	"patchring/internal/infra/view"
)

func feeds() []view.Feed {
	const sum = "9f2c1b7a40e8d3556c0a1e2f3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e"
	return []view.Feed{
		{Name: feed.Debian, File: "data.json", SHA256: sum, Entries: 214_507, By: "user:exploitation", At: at(13, 8, 2)},
		{Name: feed.KEV, File: "known_exploited_vulnerabilities.json", SHA256: sum, Entries: 1482, Made: at(12, 17, 4), By: "user:exploitation", At: at(13, 8, 3)},
		{Name: feed.NVD, File: "nvdcve-2.0-2025.json.gz", SHA256: sum, Entries: 41_310, Made: at(13, 3, 0), At: at(13, 8, 4)},
	}
}

func exploited() *view.Exploited {
	return &view.Exploited{Added: "2026-01-13", Due: "2026-02-03", Ransomware: true, Name: "CUPS Remote Code Execution Vulnerability", Product: "OpenPrinting CUPS",
		Action: "Apply mitigations per vendor instructions."}
}

// Vulnerabilities is the first page, the worst first.
func Vulnerabilities() page.Vulnerabilities {
	return page.Vulnerabilities{VulnerabilityPage: view.VulnerabilityPage{Feeds: feeds(), Next: "next", Rows: []view.VulnerabilityRow{
		{CVE: "CVE-2025-31402", Title: "CUPS Remote Code Execution Vulnerability", Severity: policy.SeverityHigh, Exploited: exploited(), Patches: 1, Devices: 6120},
		{CVE: "CVE-2024-28801", Title: "Sudo Link Following Vulnerability", Severity: policy.SeverityUnknown, Exploited: &view.Exploited{Added: "2025-11-02"}, Patches: 1},
		{CVE: "CVE-2026-10012", Title: "A buffer overrun can be triggered in X.509 certificate verification", Severity: policy.SeverityCritical, Patches: 2, Devices: 11204},
		{CVE: "CVE-2025-30877", Title: "The scheduler reads past the end of a buffer", Severity: policy.SeverityMedium, Patches: 1, Devices: 311},
		{CVE: "CVE-2025-30112", Severity: policy.SeverityUnknown, Patches: 1, Devices: 311},
	}}}
}

// Vulnerability is an exploited one, whose patch most devices lack.
func Vulnerability() page.Vulnerability {
	return page.Vulnerability{Vulnerability: view.Vulnerability{
		VulnerabilityRow: Vulnerabilities().Rows[0], Description: "A crafted print job makes the scheduler run a command as lp.",
		Score: &view.Score{Base: 8.8, Severity: "high", CVSS: "3.1", Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H", By: "nvd@nist.gov"}, Published: time.Date(2025, 12, 4, 9, 0, 0, 0, time.UTC),
		MendedBy: []view.Mending{{
			Patch: view.PatchRef{ID: "p-cups", Name: "cups", Version: "2.4.2-3+deb12u9"}, Suite: "bookworm-updates", Fixed: "2.4.2-3+deb12u9", Severity: policy.SeverityHigh,
			By: vulnerability.NVD, Lacking: 6126, Exposed: 6120,
			Versions: []view.InstalledVersion{{Version: "2.4.2-3+deb12u7", Devices: 311, Exposed: true}, {Version: "2.4.2-3+deb12u8", Devices: 5809, Exposed: true}, {Version: "2.4.2-3+deb12u9+b1", Devices: 6}},
		}},
		Debian: []view.DebianStatus{
			{Source: "cups", Codename: "bookworm", Status: feed.Resolved, Fixed: "2.4.2-3+deb12u9", Urgency: "not yet assigned"},
			{Source: "cups", Codename: "bullseye", Status: feed.Open, Urgency: "not yet assigned"},
		},
		Feeds: feeds(),
	}}
}
