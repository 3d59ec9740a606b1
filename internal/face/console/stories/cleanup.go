package stories

import (
	"patchring/internal/core/cleanup"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/face/console/page"
	"patchring/internal/infra/view"
	"patchring/wire"
)

// CleanUps is a fleet whose dry runs were reported.
func CleanUps() page.CleanUps {
	why := func(r fault.Reason) *fault.Reason { return &r }
	device := func(id fleet.DeviceID, name string) view.DeviceRef { return view.DeviceRef{ID: id, Name: name} }
	return page.CleanUps{
		Sums: []view.CleanUpSum{
			{Item: "postes/browser_history", Kind: wire.CleanBrowserHistory, Fingerprint: "c1", OlderDays: 90, Devices: 412, Counted: 398, Awaiting: 398, CountedFiles: 1204, CountedBytes: 6 << 30},
			{Item: "postes/temporary_files", Kind: wire.CleanTemporaryFiles, Fingerprint: "c2", OlderDays: 10, Paths: []string{"/var/tmp"}, Devices: 412, Counted: 410, CountedFiles: 220311, CountedBytes: 184 << 30,
				Approved: true, ApprovedBy: "user:exploitation", ApprovedAt: at(12, 9, 30), Stopped: 3, FreedFiles: 218000, FreedBytes: 181 << 30, AtLeast: true},
			{Item: "serveurs/journal", Kind: wire.CleanJournal, Fingerprint: "c3", OlderDays: 30, Devices: 38, Counted: 38, Awaiting: 36, Singly: 2, CountedFiles: 812, CountedBytes: 44 << 30, FreedBytes: 2 << 30},
			{Item: "serveurs/package_cache", Kind: wire.CleanPackageCache, OlderDays: 7, Devices: 38, FreedFiles: 9120, FreedBytes: 61 << 30},
		},
		Rows: []view.CleanUpRow{
			{Device: device("d-1", "compta-17"), Item: "postes/temporary_files", Kind: wire.CleanTemporaryFiles, Fingerprint: "c2", State: cleanup.Resting, Reason: why(fault.Because(fault.CleanUpResting, "next", "2026-01-20T11:00:00Z")),
				Counted: at(11, 12, 0), CountedFiles: 812, CountedBytes: 2 << 30, Cleaned: at(13, 12, 4), FreedFiles: 800, FreedBytes: 2 << 30, AtLeast: true,
				Places: []wire.FreedPlace{{Path: "/var/tmp", Files: 700, Bytes: 3 << 29}, {Path: "/tmp", Files: 112, Bytes: 1 << 29}}},
			{Device: device("d-2", "rh-09"), Item: "postes/temporary_files", Kind: wire.CleanTemporaryFiles, Fingerprint: "c2", State: cleanup.Approved, Reason: why(fault.Because(fault.CleanUpRetry, "next", "2026-01-14T11:00:00Z")),
				Cause: why(fault.Because(fault.LocalVeto, "rule", "never_clean_up temporary_files")), Counted: at(11, 12, 0), CountedBytes: 90 << 20},
			{Device: device("d-3", "srv-paie"), Item: "serveurs/journal", Kind: wire.CleanJournal, Fingerprint: "c3", State: cleanup.AwaitingApproval, Reason: why(fault.Because(fault.CleanUpAsks)),
				Counted: at(12, 3, 0), CountedFiles: 41, CountedBytes: 3 << 30, Places: []wire.FreedPlace{{Path: "/var/log/journal", Files: 41, Bytes: 3 << 30}}},
			{Device: device("d-4", "srv-web"), Item: "serveurs/journal", Kind: wire.CleanJournal, Fingerprint: "c3", State: cleanup.Ordered, Next: at(14, 3, 0)},
		},
		Next: "x",
	}
}
