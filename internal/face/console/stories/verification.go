package stories

import (
	"time"

	"patchring/internal/core/document"
	"patchring/internal/core/fault"
	"patchring/internal/core/manifest"
	"patchring/internal/core/procedure"
	"patchring/internal/face/console/page"
	"patchring/internal/infra/view"
)

// Verified is a campaign on the day of its verification.
func Verified() page.Reached {
	n := func(done, failed, notReached, unreachable, exempt int64) view.Numbers {
		return view.Numbers{Done: done, Failed: failed, NotReached: notReached, Unreachable: unreachable, Exempt: exempt}
	}
	silent := fault.Because(fault.DeviceUnreachable, "since", "2026-01-09T08:12:00Z")
	of := func(n int64) *int64 { return &n }
	broken := fault.Because(fault.PackageFailed, "package", "openssl", "state", "half-configured")
	return page.Reached{
		Verification: view.Verification{
			Campaign: view.CampaignRow{ID: "c1", Name: "2026-01", State: "verifying", Verification: at(22, 9, 0)}, Title: manifest.Text{FR: "Mises à jour mensuelles", EN: "Monthly updates"},
			Zone: "Europe/Paris", At: at(22, 10, 0), Due: at(22, 9, 0), Total: n(12201, 31, 148, 63, 45), Proven: of(11840),
			Rings:       []view.CoverageRing{{Ring: "R0", State: "done", Numbers: n(20, 0, 0, 0, 0), Proven: of(20)}, {Position: 1, Ring: "R1", State: "done", Numbers: n(50, 0, 0, 0, 1), Proven: of(49)}, {Position: 2, Ring: "GLOBAL", State: "done", Numbers: n(12131, 31, 148, 63, 44), Proven: of(11771)}, {Amendment: 1, Ring: "R0", State: "done", Numbers: n(20, 0, 0, 0, 0)}},
			Departments: []view.CoverageLine{{Value: "Finances", Numbers: n(902, 4, 11, 3, 2), Proven: 880}, {Value: "Production", Numbers: n(6120, 22, 120, 51, 40), Proven: 5990}, {Numbers: n(14, 0, 1, 0, 0), Proven: 14}},
			Sites:       []view.CoverageLine{{Value: "Lyon", Numbers: n(4210, 9, 40, 20, 12), Proven: 4105}, {Value: "Toulouse", Numbers: n(7991, 22, 108, 43, 33), Proven: 7735}},
			Systems:     []view.CoverageLine{{Value: "Debian GNU/Linux 12 (bookworm)", Numbers: n(12201, 31, 148, 63, 45), Proven: 11840}},
			Reasons:     []view.MissingReason{{Bucket: "not_reached", Code: fault.OutsideWindow, Devices: 148}, {Bucket: "unreachable", Code: fault.DeviceUnreachable, Devices: 63}, {Bucket: "failed", Code: fault.PackageFailed, Devices: 31}},
			Signable:    true, Missing: []fault.Reason{fault.Because(fault.GateSignOffMissing, "role", "it")}, CatchUps: []view.CampaignRef{}, OpenTasks: 4,
		},
		Heads: "2026-01",
		List: []view.MissingDevice{
			{Device: view.DeviceRef{ID: "d-1", Name: "compta-17"}, Ring: "GLOBAL", Department: "Finances", Site: "Lyon", System: "Debian GNU/Linux 12 (bookworm)", Bucket: "failed", Reason: &broken},
			{Device: view.DeviceRef{ID: "d-2", Name: "atelier-03"}, Ring: "GLOBAL", Department: "Production", Site: "Toulouse", Bucket: "unreachable", Reason: &silent, Next: at(23, 20, 0)},
		},
		Next:  "x",
		Visas: []page.Visa{{Role: "it", Title: "Vérification de la campagne", Checklist: []string{"Couverture relue"}}},
		Revisions: []view.Revision{{Number: 1, Lang: "fr", Reason: "Comité de suivi", Actor: "user:exploitation", At: at(22, 9, 30), Files: []view.RevisionFile{
			{Format: "html", SHA256: "0f3a8891b2c4d5e6", Size: 48213}, {Format: "pdf", SHA256: "9e6e8848375b7cb8", Size: 120391}, {Format: "xlsx", SHA256: "ab6e8848375b7cb8", Size: 301},
		}}},
	}
}

// VerifiedNone is a small campaign that is still watched, and lacks nobody.
func VerifiedNone() page.Reached {
	return page.Reached{
		Verification: view.Verification{Campaign: view.CampaignRow{ID: "c1", Name: "2026-01", State: "running"}, At: at(20, 10, 0), Due: at(22, 9, 0), Total: view.Numbers{Done: 1},
			Rings: []view.CoverageRing{{Ring: "R0", State: "done", Numbers: view.Numbers{Done: 1}}}},
		Heads: "2026-01",
	}
}

// MonthReport is a month with two campaigns.
func MonthReport() page.MonthReport {
	first := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	numbers := view.Numbers{Done: 12201, Failed: 31, NotReached: 148, Unreachable: 63, Exempt: 45}
	return page.MonthReport{
		Monthly: view.Monthly{
			Tenant: "Ville", Month: "2026-01", Zone: "Europe/Paris", At: Now, From: first, To: first.AddDate(0, 1, 0),
			Campaigns: []view.MonthCampaign{{CampaignRow: view.CampaignRow{ID: "c1", Name: "2026-01", State: "verifying"}, Numbers: numbers, Dates: document.OnTime, Incidents: 2, Patches: 41}},
			Sum:       view.MonthSum{Campaigns: 1, Numbers: numbers, Incidents: 2, Rollbacks: 1, Patches: 41, Kept: 480, Promised: 500}, Before: view.MonthSum{Campaigns: 1, Numbers: numbers, Incidents: 1, Kept: 470, Promised: 500},
			Promises: []document.Promise{{Severity: "critical", Limit: 14 * 24 * time.Hour, InTime: 480, Late: 12, Running: 3, Overdue: 8}},
			Clocks:   []procedure.SLAClock{procedure.ClockFirstSeen}, Exceptions: 7, Fleet: view.MonthFleet{Devices: 12488, SystemEnded: 3}, OpenTasks: 9, LateTasks: 2,
		},
		Heads: "2026-01", Last: "2025-12",
	}
}
