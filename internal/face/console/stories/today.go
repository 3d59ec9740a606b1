package stories

import (
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/internal/face/console/page"
)

// Today is a busy morning.
func Today() page.Today {
	b := Board()
	return page.Today{
		Devices: 12488,
		Visas: []page.AwaitedVisa{{
			Campaign: b.ID, Name: b.Name, Ring: ringR1(), Visa: ringR1().Visas[0],
		}},
		Counts: []page.Count{{Filter: "overdue", N: 402}, {Filter: "failing", N: 9}, {Filter: "unreachable", N: 63}, {Filter: "pending_reboot", N: 96}, {Filter: "duplicate"}, {Filter: "undecided", N: 14}},
		Rings:  []page.RingTrouble{{Campaign: b.ID, Name: b.Name, Ring: ringR1()}},
		Holds:  b.Holds,
		Stuck: []page.Stuck{{
			Device: "d-atelier-11", DeviceName: "atelier-11", Patch: "p-agent", PatchName: "gestion-parc 4.2.1",
			Reason: fault.Because(fault.Quarantined, "attempts", "2"), At: at(14, 23, 48),
		}},
		OpenFeedback: 1, Feedback: brokenLines(),
		RollbackImpossible: 37, Impossible: impossibleRows(),
		Unheld: []page.UnheldRole{
			{Campaign: b.ID, Name: b.Name, Ring: "R1", Role: "business", Title: "Tests métier"},
			{Campaign: "c-2026-02", Name: "2026-02", Ring: "R0", Role: "it", Title: "Tests fonctionnels"},
		},
		Incidents: incidentRows(),
		Tasks:     taskLines()[1:], Late: taskLines()[:2], Overdue: 2, Expiring: exceptionLines()[:1],
		Campaigns: campaignLines()[:2],
		Dates: []page.Date{
			{At: at(20, 19, 0), Kind: page.RingOpens, Campaign: b.ID, Name: b.Name, Ring: "GLOBAL"},
			{At: at(22, 10, 0), Kind: page.Verification, Campaign: b.ID, Name: b.Name},
			{At: time.Date(2026, 2, 10, 18, 0, 0, 0, time.UTC), Kind: page.PatchTuesday, Name: "2026-02"},
		},
	}
}

func impossibleRows() []page.ImpossibleRollback {
	b := Board()
	return []page.ImpossibleRollback{
		{Campaign: b.ID, Name: b.Name, Ring: "R1", Device: "d-compta-02", DeviceName: "compta-02", Patch: "p-glibc", PatchName: "glibc 2.36-9+deb12u13", State: patch.Verified,
			Reason: fault.Because(fault.RollbackCannot, "package", "libc6", "why", "no_old_package"), Updated: at(14, 23, 48)},
		{Campaign: b.ID, Name: b.Name, Ring: "R0", Device: "d-rh-03", DeviceName: "rh-03", Patch: "p-openssl", PatchName: "openssl 3.0.17-1~deb12u3", State: patch.InstalledPendingReboot,
			Reason: fault.Because(fault.RollbackCannot, "package", "libssl3", "why", "disk_full"), Updated: at(13, 22, 10)},
	}
}

// Impossible is a page of what could not be put back.
func Impossible() page.Impossible {
	return page.Impossible{Campaign: Board().ID, Name: Board().Name, Rows: impossibleRows(), Next: "p-openssl", After: "p-curl"}
}

// QuietToday is a morning on which nothing needs anyone.
func QuietToday() page.Today { return page.Today{Devices: 12} }

func campaignLines() []page.CampaignLine {
	return []page.CampaignLine{
		{ID: Board().ID, Name: "2026-01", Procedure: "postes-france", State: campaign.Running, Ring: "R1",
			Counters: Board().Total(), Starts: at(13, 19, 0), Verification: at(22, 10, 0)},
		{ID: "c-urgence", Name: "2026-01-urgence-openssl", Procedure: "urgence", State: campaign.Running, Held: true, Ring: "GLOBAL",
			Counters: campaign.Counters{Done: 411, Failed: 9, NotReached: 3, Unreachable: 12}, Starts: at(9, 14, 0), Verification: at(11, 14, 0)},
		{ID: "c-2025-12", Name: "2025-12", Procedure: "postes-france", State: campaign.Closed, Ring: "GLOBAL",
			Counters: campaign.Counters{Done: 12399, Failed: 4, NotReached: 6, Unreachable: 55, Exempt: 21},
			Starts:   time.Date(2025, 12, 9, 18, 0, 0, 0, time.UTC), Verification: time.Date(2025, 12, 18, 9, 0, 0, 0, time.UTC)},
		{ID: "c-2026-02", Name: "2026-02", Procedure: "postes-france", State: campaign.Scheduled,
			Starts: time.Date(2026, 2, 10, 18, 0, 0, 0, time.UTC), Verification: time.Date(2026, 2, 19, 9, 0, 0, 0, time.UTC)},
	}
}

// Campaigns is the list, with a page after it.
func Campaigns() page.Campaigns {
	return page.Campaigns{Campaigns: campaignLines(), Next: "c-2025-11"}
}
