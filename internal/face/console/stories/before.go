package stories

import (
	"time"

	"patchring/internal/core/coverage"
	"patchring/internal/core/fault"
	"patchring/internal/core/lifecycle"
	"patchring/internal/core/readiness"
	"patchring/internal/face/console/page"
	"patchring/internal/service/survey"
)

// Readiness is a fleet a week before its campaign.
func Readiness() page.Readiness {
	find := func(id string, k readiness.Kind, s readiness.Severity, fix readiness.Fix, why fault.Reason) survey.Found {
		return survey.Found{Device: "d-1", Name: id, Finding: readiness.Finding{Kind: k, Severity: s, Reason: why, Fix: fix}}
	}
	return page.Readiness{
		Readiness: survey.Readiness{
			At: Now, Until: at(22, 10, 0), Campaign: "2026-01", Devices: 12488, Ready: 12391, Blocked: 71, Findings: 104, Next: "x",
			Counts: []survey.KindCount{
				{Kind: readiness.Silent, Blocking: 63}, {Kind: readiness.Broken, Blocking: 2}, {Kind: readiness.Disk, Blocking: 4, Warning: 9}, {Kind: readiness.Window, Blocking: 1},
				{Kind: readiness.System, Blocking: 1, Warning: 3}, {Kind: readiness.Reboot, Warning: 21},
			},
			Rows: []survey.Found{
				find("compta-17", readiness.Silent, readiness.Blocking, readiness.StartAgent, fault.Because(fault.DeviceUnreachable, "since", "2026-01-05T08:12:00Z")),
				find("srv-paie", readiness.Broken, readiness.Blocking, readiness.RepairPackages, fault.Because(fault.ScanRefused, "cause", "dpkg_broken")),
				find("atelier-03", readiness.Disk, readiness.Blocking, readiness.FreeDisk, fault.Because(fault.DiskShort, "need", "1610612736", "free", "402653184")),
				find("caisse-2", readiness.Window, readiness.Blocking, readiness.GiveWindow, fault.Because(fault.NoWindowAhead, "until", "2026-01-22T10:00:00Z")),
				find("labo-01", readiness.System, readiness.Blocking, readiness.ReplaceSystem, fault.Because(fault.SystemEnded, "system", "debian 10", "day", "2024-06-30")),
				find("rh-09", readiness.Reboot, readiness.Warning, readiness.RebootDevice, fault.Because(fault.RebootPendingFor, "since", "2026-01-09T17:00:00Z")),
			},
		},
		Query: page.ReadinessQuery{Campaign: "2026-01"}, Campaigns: campaignLines()[:2],
	}
}

// AllReady is a fleet in which nothing is to be put right.
func AllReady() page.Readiness {
	return page.Readiness{Readiness: survey.Readiness{At: Now, Until: Now.AddDate(0, 0, 7), Devices: 12, Ready: 12, Rows: []survey.Found{}}}
}

// Pilots is a choice for R1 that its reader has begun to change.
func Pilots() page.Pilots {
	feature := func(k coverage.Kind, v string) coverage.Feature { return coverage.Feature{Kind: k, Value: v} }
	return page.Pilots{
		Pilots: survey.Pilots{
			Procedure: "postes-france", Version: 4, Ring: "R1", Day: "2026-02-12", Size: 50,
			Proposal: coverage.Proposal{
				Fleet: 12488, Eligible: 11902, Share: 91.4, Gaps: 37,
				Chosen: []coverage.Choice{
					{Device: "d-1", Name: "compta-04", Round: 1, New: 214, Gain: 38.2, Adds: []coverage.Feature{feature(coverage.Department, "finance"), feature(coverage.Site, "Lyon"), feature(coverage.Model, "Dell Latitude 5440"), feature(coverage.Software, "libreoffice-calc")}},
					{Device: "d-2", Name: "atelier-11", Must: true, Round: 1, New: 96, Gain: 17.9, Adds: []coverage.Feature{feature(coverage.Department, "production"), feature(coverage.Software, "freecad")}},
					{Device: "d-3", Name: "rh-02", Round: 2, Adds: []coverage.Feature{}},
				},
				Coverage: []coverage.Reached{
					{Kind: coverage.Department, Values: 11, OfValues: 12, Devices: 12210, OfDevices: 12401}, {Kind: coverage.Site, Values: 18, OfValues: 20, Devices: 12290, OfDevices: 12488},
					{Kind: coverage.Model, Values: 26, OfValues: 31, Devices: 11870, OfDevices: 12488}, {Kind: coverage.System, Values: 8, OfValues: 9, Devices: 12480, OfDevices: 12488},
					{Kind: coverage.Software, Values: 1204, OfValues: 1233, Devices: 10988, OfDevices: 12488},
				},
				Missing: []coverage.Gap{{Feature: feature(coverage.Department, "direction"), Devices: 191}, {Feature: feature(coverage.Software, "gestion-chrono"), Devices: 42}},
				Rare:    coverage.Rare{Below: 3, Values: 310, Devices: 277, Examples: []string{"qgis", "scilab"}},
				Refused: []coverage.Refused{{Device: "d-9", Name: "direction-01", Reason: fault.Because(fault.PilotAbsent, "day", "2026-02-20")}},
				Barred:  []coverage.Barred{{Code: fault.PilotRefused, Devices: 402}, {Code: fault.DeviceUnreachable, Devices: 63}},
			},
		},
		Query: page.PilotsQuery{Procedure: "postes-france", Ring: "R1", Size: 50, Measure: true, Was: 92.1},
	}
}

// Lifecycle is a fleet with a few old machines.
func Lifecycle() page.Lifecycle {
	ended := fault.Because(fault.SystemEnded, "system", "debian 10", "day", "2024-06-30")
	short := fault.Because(fault.HardwareShort, "system", "debian 12", "part", "ram", "have", "0.9 GiB", "need", "2.0 GiB")
	return page.Lifecycle{Lifecycle: survey.Lifecycle{
		At: Now, Devices: 12488, Short: 1, Upgrade: 30, Replace: 12,
		Tables: []survey.Imported{
			{Hardware: true, File: "materiel.json", SHA256: "0f3a8891b2c4d5e6", Entries: 6, By: "user:exploitation", At: at(12, 9, 0)},
			{Product: "debian", Extended: true, File: "debian.json", SHA256: "9e6e8848375b7cb8", Entries: 16, By: "user:exploitation", At: at(12, 9, 0)},
		},
		Counts: []survey.StateCount{{State: lifecycle.Ended, Devices: 41}, {State: lifecycle.EndsSoon, Devices: 310}, {State: lifecycle.Unknown, Devices: 7}, {State: lifecycle.Supported, Devices: 12130}},
		Systems: []survey.System{
			{System: "debian 10", State: lifecycle.Ended, Day: "2024-06-30", Devices: 41, Upgrade: 30, Replace: 11}, {System: "debian 11", State: lifecycle.EndsSoon, Day: "2026-06-30", Devices: 310},
			{System: "", State: lifecycle.Unknown, Devices: 7}, {System: "debian 12", State: lifecycle.Supported, Day: "2028-06-30", Devices: 12130, Replace: 1},
		},
		Rows: []survey.Aged{
			{Device: "d-1", Name: "labo-01", System: "debian 10", State: lifecycle.Ended, Reason: &ended, Advice: lifecycle.Upgrade, To: "debian 12"},
			{Device: "d-2", Name: "labo-02", System: "debian 12", State: lifecycle.Supported, Short: &short, Advice: lifecycle.Replace},
			{Device: "d-3", Name: "neuf-01", State: lifecycle.Unknown, Advice: lifecycle.Look},
		},
		Next: "x",
	}}
}

// NoTable is a fleet of which nobody has imported anything.
func NoTable() page.Lifecycle {
	return page.Lifecycle{Lifecycle: survey.Lifecycle{At: Now.Add(-time.Minute), Devices: 2, Counts: []survey.StateCount{{State: lifecycle.Unknown, Devices: 2}},
		Systems: []survey.System{{System: "Debian GNU/Linux 12", State: lifecycle.Unknown, Devices: 2}}}}
}
