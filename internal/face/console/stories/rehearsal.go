package stories

import (
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/rehearsal"
	"patchring/internal/face/console/page"
)

// NewRehearsal asks what to rehearse.
func NewRehearsal() page.Rehearsal {
	v := page.Rehearsal{Query: page.RehearsalQuery{Procedure: "postes-france"}, Procedures: []string{"postes-france", "urgence"}}
	for m := range 12 {
		v.Months = append(v.Months, time.Date(2026, time.January+time.Month(m), 1, 0, 0, 0, 0, time.UTC))
	}
	return v
}

// Rehearsal is February, with a freeze, some silent devices and a list of those.
func Rehearsal() page.Rehearsal {
	v := NewRehearsal()
	v.Query = page.RehearsalQuery{Procedure: "postes-france", When: "2026-02", Bucket: campaign.Unreachable, Reason: fault.DeviceUnreachable}
	v.Played, v.Title, v.Version, v.Zone, v.Campaign, v.Policy = true, "Mise à jour mensuelle des postes et des serveurs", 3, "Europe/Paris", "2026-02", "parc"
	v.Told = februaryTold()
	for i, name := range []string{"compta-07", "entrepot-12", "pc-accueil"} {
		v.Fates = append(v.Fates, rehearsal.Fate{
			Device: fleet.DeviceID("d-compta-0" + string(rune('1'+i))), Name: name, Site: "lyon", Ring: "GLOBAL", Bucket: campaign.Unreachable,
			Reason: fault.Because(fault.DeviceUnreachable, "since", "2025-12-28T00:00:00Z"),
		})
	}
	v.Next = "d-compta-03"
	return v
}

// KeptRehearsal is one in which all goes well.
func KeptRehearsal() page.Rehearsal {
	v := Rehearsal()
	v.Query, v.Fates, v.Next = page.RehearsalQuery{Procedure: "postes-france", When: "2026-02"}, nil, ""
	v.Told.Late, v.Told.Slips, v.Policy = nil, nil, ""
	v.Told.Assumed = rehearsal.Assumed{OrderSeconds: 300, PatchSeconds: 20, RebootSeconds: 300, SignOffs: 2}
	return v
}

func february(day, hour, minute int) time.Time {
	return time.Date(2026, time.February, day, hour-1, minute, 0, 0, time.UTC)
}

func februaryTold() rehearsal.Result {
	r := rehearsal.Result{
		From: february(10, 19, 0), Verification: february(19, 9, 0), Until: february(28, 9, 0), Devices: 1284, Outside: 16, Classes: 92,
		Content: rehearsal.Content{Patches: 41, LeftOut: 12, Bytes: 187 << 30},
		Rings: []rehearsal.Ring{
			februaryRing("R0", 12, 10, 19, campaign.Counters{Done: 12}, february(12, 20, 5)),
			februaryRing("R1", 48, 12, 20, campaign.Counters{Done: 46, Unreachable: 2}, february(16, 12, 40)),
			februaryRing("GLOBAL", 1224, 17, 9, campaign.Counters{Done: 1061, Failed: 4, NotReached: 112, Unreachable: 38, Exempt: 9}, time.Time{}),
		},
		Sites: []rehearsal.Site{
			{Name: "lyon", Devices: 640, Bytes: 93 << 30, Days: []rehearsal.SiteDay{{Date: date(17), Bytes: 88 << 30}}},
			{Name: "nantes", Devices: 512, Bytes: 75 << 30, Days: []rehearsal.SiteDay{{Date: date(17), Bytes: 71 << 30}}},
			{Devices: 132, Bytes: 19 << 30, Days: []rehearsal.SiteDay{{Date: date(17), Bytes: 18 << 30}}},
		},
		Judged:  campaign.Counters{Done: 1119, Failed: 4, NotReached: 112, Unreachable: 40, Exempt: 9},
		Assumed: rehearsal.Assumed{OrderSeconds: 60, PatchSeconds: 14, RebootSeconds: 300, Learned: 1874, SignOffs: 2, Silent: 40, Limited: 36, Asked: 1102},
	}
	r.Rings[1].PlannedOpens, r.Rings[1].Opens = february(12, 0, 0), february(12, 20, 5)
	r.Rings[2].Reasons = []fault.Reason{fault.Because(fault.GateNotReached, "have", "8.8", "max", "5")}
	r.Hours = []rehearsal.Hour{
		{Start: february(10, 20, 0), Installs: 12, Reboots: 4}, {Start: february(17, 12, 0), Installs: 702, Reboots: 210.4}, {Start: february(17, 18, 0), Installs: 318, Reboots: 96},
	}
	r.Slips = []rehearsal.Slip{
		{Code: rehearsal.SlipOpens, Ring: "R1", Planned: february(12, 0, 0), Expected: february(12, 20, 5), Devices: 48},
		{Code: rehearsal.SlipJudged, Ring: "GLOBAL", Planned: february(19, 9, 0), Devices: 112},
	}
	r.Late = []rehearsal.Late{
		late(campaign.NotReached, fault.Because(fault.Frozen, "freeze", "clôture", "reason_fr", "Clôture des comptes", "reason_en", "Closing of accounts", "until", "2026-02-21T23:00:00Z"), 104, 104),
		late(campaign.Unreachable, fault.Because(fault.DeviceUnreachable, "since", "2025-12-28T00:00:00Z"), 40, 0),
		late(campaign.Exempt, fault.Because(fault.ExceptionInForce, "exception", "e-12", "owner", "production", "reason", "banc d'essai", "until", "2026-06-30T00:00:00Z"), 9, 0),
		late(campaign.NotReached, fault.Because(fault.NoWindow), 8, 0),
		late(campaign.Failed, fault.Because(fault.DiskFull, "mount", "/", "need", "1240000000", "free", "192000000"), 4, 0),
	}
	r.Days = februaryDays()
	return r
}

func februaryRing(name string, devices, day, hour int, judged campaign.Counters, passes time.Time) rehearsal.Ring {
	return rehearsal.Ring{
		Name: name, State: campaign.RingPromoted, Devices: devices, PlannedOpens: february(day, hour, 0), PlannedCloses: february(day+2, hour, 0),
		Opens: february(day, hour, 0), First: february(day, 20, 0), Last: february(day+1, 12, 40), Passes: passes, Judged: judged,
	}
}

func late(b campaign.Bucket, why fault.Reason, devices, later int) rehearsal.Late {
	return rehearsal.Late{
		Bucket: b, Code: why.Code, Reason: why, Devices: devices, Later: later,
		Examples: []fleet.DeviceID{"d-compta-01", "d-compta-02"}, Names: []string{"compta-01", "compta-02"},
	}
}

func date(day int) calendar.Date { return calendar.Date{Year: 2026, Month: time.February, Day: day} }

func februaryDays() []rehearsal.Day {
	var out []rehearsal.Day
	done := []int{12, 12, 34, 46, 46, 46, 46, 760, 1078, 1119, 1119, 1119, 1190, 1223}
	for i, n := range done {
		d := rehearsal.Day{Date: date(10 + i), Installs: []int{0, 0, 0}, Ends: campaign.Counters{Done: n, Failed: min(4, i/7*4), Unreachable: 2 + min(38, i/7*38), Exempt: i / 7 * 9}}
		d.Ends.NotReached = max(0, 1284-d.Ends.Total())
		if i == 0 {
			d.Installs[0], d.Reboots, d.Bytes = 12, 4, 1<<30
		}
		if i > 0 && n > done[i-1] {
			ring := 2
			if i < 7 {
				ring = 1
			}
			d.Installs[ring], d.Reboots, d.Bytes = n-done[i-1], 0.3*float64(n-done[i-1]), int64(n-done[i-1])*150<<20
		}
		out = append(out, d)
	}
	return out
}
