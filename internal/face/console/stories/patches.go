package stories

import (
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/core/vulnerability"
	"patchring/internal/face/console/page"
	"patchring/internal/infra/view"
)

func patchLines() []page.PatchLine {
	return []page.PatchLine{
		{ID: "p-openssl", Provider: "apt", Name: "openssl", Version: "3.0.17-1~deb12u3", Suite: "bookworm-security", Class: patch.Security, Verdict: policy.Approved, Devices: 11204, FirstSeen: at(12, 6, 40), Download: 3_481_000,
			Severity: policy.SeverityCritical, Exploited: true, Vulnerabilities: 2},
		{ID: "p-linux", Provider: "apt", Name: "linux-signed-amd64", Version: "6.1.158+1", Suite: "bookworm-security", Class: patch.Security, Devices: 12007, FirstSeen: at(10, 7, 2), Download: 98_700_000,
			Severity: policy.SeverityUnknown, Vulnerabilities: 214},
		{ID: "p-cups", Provider: "apt", Name: "cups", Version: "2.4.2-3+deb12u9", Suite: "bookworm-updates", Class: patch.Quality, Verdict: policy.Declined, Until: time.Date(2026, 2, 28, 12, 0, 0, 0, time.UTC), Devices: 6120, FirstSeen: at(11, 9, 0), Download: 1_120_000,
			Severity: policy.SeverityHigh, Exploited: true, Vulnerabilities: 3},
		{ID: "p-agent", Provider: "apt", Name: "gestion-parc", Version: "4.2.1", Suite: "fleet", Class: patch.ThirdParty, Verdict: policy.Delayed, Until: at(19, 12, 0), Devices: 311, FirstSeen: at(14, 9, 0), Download: 14_300},
		{ID: "p-tz", Provider: "apt", Name: "tzdata", Version: "2025b-0+deb12u2", Suite: "bookworm-updates", Class: patch.Unknown, Devices: 12480, FirstSeen: at(14, 18, 0), Download: 301_000},
	}
}

// Patches is the first page of the catalogue.
func Patches() page.Patches {
	return page.Patches{Patches: patchLines(), Next: "p-tz"}
}

// Patch is one that was declined.
func Patch() page.Patch {
	rules, guards := patchRules()
	return page.Patch{
		Rules: rules, Guards: guards,
		Mends: []view.Mended{
			{CVE: "CVE-2025-31402", Severity: policy.SeverityHigh, By: vulnerability.NVD, Exploited: true, Due: "2026-02-03", Fixed: "2.4.2-3+deb12u9", Devices: 6120},
			{CVE: "CVE-2025-30877", Severity: policy.SeverityMedium, By: vulnerability.Debian, Fixed: "2.4.2-3+deb12u8", Devices: 311},
			{CVE: "CVE-2025-30112", Severity: policy.SeverityUnknown, Fixed: "2.4.2-3+deb12u8", Devices: 311},
		},
		PatchLine: patchLines()[2], Origin: "Debian", Summary: "Common UNIX Printing System",
		Decisions:  []page.PatchDecision{{Verdict: policy.Declined, Until: time.Date(2026, 2, 28, 12, 0, 0, 0, time.UTC), Reason: "imprimantes de l'étage 3 muettes", By: "user:exploitation", At: at(14, 10, 3), Name: true}},
		Exceptions: exceptionLines()[1:],
		Campaigns:  []page.PatchCampaign{{ID: Board().ID, Name: "2026-01", Ring: "R0", Withdrawn: true, Open: true, Done: 9, RolledBack: 3}},
		Versions:   []page.PatchLine{{ID: "p-cups-8", Version: "2.4.2-3+deb12u8", Suite: "bookworm", Devices: 4}},
		Pace: []page.PatchPace{
			{Samples: 20, Download: 14 * time.Second, Install: 161 * time.Second, Reboot: 74 * time.Second},
			{Model: "Latitude 5440", Samples: 7, Download: 12 * time.Second, Install: 95 * time.Second},
		},
		Query: page.PatchDeviceQuery{Which: "missing"},
		Where: []page.PatchDevice{
			{Device: "d-compta-02", Name: "compta-02", State: patch.Waiting, Since: at(11, 9, 0), Reason: fault.Because(fault.PatchDeclined, "by", "user:exploitation", "reason", "imprimantes de l'étage 3 muettes")},
			{Device: "d-rh-03", Name: "rh-03", State: patch.RolledBack, Since: at(14, 11, 20)},
		},
		Next: "d-rh-03",
	}
}
