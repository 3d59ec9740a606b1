package stories

import (
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/core/register"
	"patchring/internal/face/console/page"
)

// RingDevices are those of R1, each with its reason.
func RingDevices() page.RingDevices {
	return page.RingDevices{
		Campaign: Board().ID, Name: "2026-01", Ring: ringR1(), Next: "d-rh-03",
		Query:   page.RingQuery{Ring: "R1", After: "d-achats-01"},
		Devices: ringDevices(),
	}
}

func ringDevices() []page.RingDevice {
	return []page.RingDevice{
		{ID: "d-compta-02", Name: "compta-02", Kind: fleet.Workstation, Bucket: campaign.Failed, Reason: fault.Because(fault.DiskFull, "mount", "/var", "need", "1240000000", "free", "192000000"), Next: at(15, 19, 0), Updated: Now.Add(-3 * time.Minute)},
		{ID: "d-compta-07", Name: "compta-07", Kind: fleet.Workstation, Bucket: campaign.Exempt, Reason: fault.Because(fault.DeviceHeld, "by", "user:exploitation", "reason", "clôture annuelle jusqu'au 16"), Updated: at(14, 8, 12)},
		{ID: "d-nantes-04", Name: "nantes-04", Kind: fleet.Workstation, Bucket: campaign.Unreachable, Reason: fault.Because(fault.DeviceUnreachable, "since", "2026-01-02T16:30:00Z"), Updated: at(3, 17, 30)},
		{ID: "d-paie", Name: "srv-paie", Kind: fleet.Server, Bucket: campaign.NotReached, Reason: fault.Because(fault.OutsideWindow, "next", "2026-01-17T01:00:00Z"), Next: at(17, 2, 0), Updated: at(15, 0, 0)},
		{ID: "d-pompe", Name: "supervision-pompes", Kind: fleet.Critical, Bucket: campaign.NotReached, Step: "download", Updated: Now.Add(-40 * time.Second)},
		{ID: "d-rh-03", Name: "rh-03", Kind: fleet.Workstation, Bucket: campaign.Done, Updated: Now.Add(-20 * time.Second)},
	}
}

func deviceLines() []page.DeviceLine {
	return []page.DeviceLine{
		{ID: "d-compta-02", Name: "compta-02", Kind: fleet.Workstation, OS: "Debian GNU/Linux 12", State: fleet.NotReady, Reason: fault.Because(fault.DiskFull, "mount", "/var", "need", "1240000000", "free", "192000000"), Tags: fleet.Tags{"department": "finance", "site": "paris"}, Missing: 7, MissingSecurity: 5, Failing: 1, Seen: Now.Add(-41 * time.Second)},
		{ID: "d-nantes-04", Name: "nantes-04", Kind: fleet.Workstation, OS: "Debian GNU/Linux 11", State: fleet.Unreachable, Reason: fault.Because(fault.DeviceUnreachable, "since", "2026-01-02T16:30:00Z"), Tags: fleet.Tags{"site": "nantes"}, Missing: 52, MissingSecurity: 49, Seen: at(2, 17, 30)},
		{ID: "d-rh-03", Name: "rh-03", Kind: fleet.Workstation, OS: "Debian GNU/Linux 12", State: fleet.Compliant, Tags: fleet.Tags{"department": "rh", "pilot": "oui", "site": "paris"}, Seen: Now.Add(-20 * time.Second)},
		{ID: "d-paie", Name: "srv-paie", Kind: fleet.Server, OS: "Debian GNU/Linux 12", State: fleet.PendingReboot, Reason: fault.Because(fault.RebootPendingNow), Tags: fleet.Tags{"role": "paie"}, Missing: 2, MissingSecurity: 2, RebootPending: true, Seen: Now.Add(-12 * time.Second)},
		{ID: "d-pompe", Name: "supervision-pompes", Kind: fleet.Critical, OS: "Debian GNU/Linux 11", State: fleet.Overdue, Missing: 12, MissingSecurity: 9, Seen: Now.Add(-2 * time.Minute)},
	}
}

// Fleet is the first page of the devices.
func Fleet() page.Fleet {
	return page.Fleet{
		Filters: []string{"compliant", "overdue", "pending_reboot", "not_ready", "unreachable", "retired", "failing", "never_scanned", "duplicate"},
		Groups:  []string{"informatique", "pilotes", "siege"}, Devices: deviceLines(), Next: "supervision-pompes",
	}
}

// EmptyFleet is a filter nothing matches.
func EmptyFleet() page.Fleet {
	return page.Fleet{Query: page.FleetQuery{Name: "introuvable", Kind: fleet.Server}}
}

// Device is one whose disk is full in the middle of a campaign.
func Device() page.Device {
	return page.Device{
		DeviceLine: deviceLines()[0], Groups: []string{"pilotes", "siege"}, AgentVersion: "0.1.0",
		Enrolled: time.Date(2025, 11, 3, 9, 12, 0, 0, time.UTC), Booted: at(12, 8, 2), Scanned: Now.Add(-9 * time.Minute), Lists: at(15, 6, 0), ScanStatus: "ok",
		Facts: page.Facts{
			OS: "Debian GNU/Linux 12 (bookworm)", Kernel: "6.1.0-41-amd64", Arch: "amd64", Model: "Latitude 5440", CPU: "Intel Core i5-1335U", CPUs: 12,
			Memory: 16_600_000_000, TimeZone: "Europe/Paris", RebootSignals: []string{"kernel_newer"}, Actors: []string{"unattended-upgrades"},
			Disks:      []page.Disk{{Mount: "/", Size: 240_000_000_000, Free: 131_000_000_000}, {Mount: "/var", Size: 9_800_000_000, Free: 192_000_000}},
			Interfaces: []page.Interface{{Name: "enp0s31f6", MAC: "02:42:ac:11:00:02", Addresses: []string{"10.20.3.14", "fd00:20:3::14"}}},
		},
		Order: &page.Order{
			ID: "o-1", Goal: "install", Campaign: Board().ID, Name: "2026-01", Step: "wait", Since: Now.Add(-4 * time.Minute), Next: at(15, 19, 0),
			Cause: fault.Because(fault.OutsideWindow, "next", "2026-01-15T18:00:00Z"), Expires: at(20, 19, 0),
		},
		Reboot: &page.Reboot{
			Since: at(12, 8, 2), Signals: []string{"kernel_newer"}, Stopped: true,
			Reason: fault.Because(fault.RebootSurvived, "boots", "2", "signals", "kernel_newer"),
		},
		Campaigns: []page.DeviceCampaign{{ID: Board().ID, Name: "2026-01", Ring: "R1", Bucket: campaign.Failed, Goal: "install", Reason: fault.Because(fault.DiskFull, "mount", "/var", "need", "1240000000", "free", "192000000")}},
		Patches:   devicePatches(),
		Policy: page.DevicePolicy{
			Profiles: []page.PolicyProfile{{Name: "comptabilite", Title: "Comptabilité"}, {Name: "postes", Title: "Postes de travail"}},
			Windows:  []page.PolicyWindow{{Name: "pause", Start: at(15, 12, 0), End: at(15, 14, 0)}, {Name: "hiver"}},
			Frozen:   &page.PolicyFreeze{Name: "cloture", Reason: "Clôture annuelle", From: at(5, 0, 0), Until: at(17, 0, 0)},
			Freezes:  []page.PolicyFreeze{{Name: "bilan", Reason: "Bilan", From: at(28, 0, 0), Until: at(31, 0, 0)}},
			Limits:   []string{"par-site", "parc"},
		},
		Holds: Board().Holds, Exceptions: exceptionLines()[:2], Tasks: taskLines()[3:], Incidents: incidentRows()[:1],
		Events: []page.Event{
			{Index: 4820, At: Now.Add(-3 * time.Minute), Kind: string(register.OrderResult), Actor: "agent:d-compta-02", Ring: "R1", Reason: fault.Because(fault.DiskFull, "mount", "/var", "need", "1240000000", "free", "192000000")},
			{Index: 4711, At: at(15, 0, 1), Kind: string(register.OrderIssued), Actor: "system:conductor", Ring: "R1"},
			{Index: 12, At: time.Date(2025, 11, 3, 9, 12, 0, 0, time.UTC), Kind: string(register.DeviceEnrolled), Actor: "user:exploitation"},
		},
	}
}

func devicePatches() []page.DevicePatch {
	return []page.DevicePatch{
		{ID: "p-openssl", Name: "openssl", Version: "3.0.17-1~deb12u3", Class: patch.Security, Offer: "offered", State: patch.Verified, Verdict: policy.Approved, Campaign: Board().ID, CampaignOf: "2026-01", Ring: "R1", Rollback: "ready",
			Packages: []page.Package{{Name: "libssl3", From: "3.0.16-1~deb12u1", To: "3.0.17-1~deb12u3"}, {Name: "openssl", From: "3.0.16-1~deb12u1", To: "3.0.17-1~deb12u3"}}},
		{ID: "p-glibc", Name: "glibc", Version: "2.36-9+deb12u13", Class: patch.Security, Offer: "offered", State: patch.Failed, Verdict: policy.Approved, Campaign: Board().ID, CampaignOf: "2026-01", Ring: "R1", Attempts: 1, Next: at(15, 19, 0),
			Reason:   fault.Because(fault.RetryBackoff, "attempt", "1", "attempts", "3", "next", "2026-01-15T18:00:00Z"),
			Rollback: "impossible", RollbackWhy: "no_old_package",
			Packages: []page.Package{{Name: "libc6", From: "2.36-9+deb12u10", To: "2.36-9+deb12u13"}}},
		{ID: "p-linux", Name: "linux-signed-amd64", Version: "6.1.158+1", Class: patch.Security, Offer: "kept_back", State: patch.InstalledPendingReboot, Verdict: policy.Approved, Campaign: Board().ID, CampaignOf: "2026-01", Ring: "R1", Rollback: "ready",
			Reason:   fault.Because(fault.RebootPendingNow),
			Packages: []page.Package{{Name: "linux-image-6.1.0-42-amd64", To: "6.1.158-1"}}},
		{ID: "p-cups", Name: "cups", Version: "2.4.2-3+deb12u9", Class: patch.Quality, Offer: "offered", State: patch.Waiting, Verdict: policy.Declined,
			Reason: fault.Because(fault.ItemWithdrawn, "by", "user:exploitation", "reason", "imprimantes de l'étage 3 muettes")},
		{ID: "p-tz", Name: "tzdata", Version: "2025b-0+deb12u2", Class: patch.Unknown, Policy: page.PolicySaid{Verdict: policy.Delayed, Rule: "profile:comptabilite/une-semaine", Until: at(21, 9, 0), Safeguard: "horloges"}, Offer: "held", State: patch.Waiting, Reason: fault.Because(fault.HeldOnDevice, "packages", "tzdata")},
	}
}

// Why is the chain of one patch: it stops at the window.
func Why() page.Why {
	link := func(name string) page.Check { return page.Check{Name: name, OK: true} }
	return page.Why{Device: "d-compta-02", Name: "compta-02", Patches: []page.WhyPatch{{
		ID: "p-glibc", Name: "glibc 2.36-9+deb12u13", Campaign: "2026-01", Ring: "R1", State: patch.Waiting, Next: at(15, 19, 0),
		Chain: []page.Check{
			link("campaign"), link("content"), link("verdict"), link("promotion"), link("ring"), link("hold"), link("scan"), link("applicable"), link("reachable"),
			{Name: "attempts", Reason: fault.Because(fault.RetryBackoff, "attempt", "1", "attempts", "3", "next", "2026-01-15T18:00:00Z"), Next: at(15, 19, 0)},
			{Name: "window", Reason: fault.Because(fault.OutsideWindow, "next", "2026-01-15T18:00:00Z"), Next: at(15, 19, 0)},
		},
	}}}
}
