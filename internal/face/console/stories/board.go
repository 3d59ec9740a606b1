package stories

import (
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/register"
	"patchring/internal/face/console/page"
)

// Board is a campaign in the middle: R0 promoted, R1 at its gate with one visa
// missing, GLOBAL waiting.
func Board() page.Board {
	return page.Board{
		ID: "0197c0aa-6a51-7c4e-9a55-0d4f4f1b8a10", Name: "2026-01", State: campaign.Running, Origin: campaign.ByCalendar,
		Procedure: "postes-france", ProcedureVersion: 4,
		Zone:   "Europe/Paris",
		Starts: at(13, 19, 0), Verification: at(22, 10, 0), Sealed: at(13, 19, 0),
		Rings:     []page.Ring{ringR0(), ringR1(), ringGlobal()},
		Content:   content(),
		Tasks:     taskLines()[1:2],
		Incidents: incidentRows(), Tests: ringTests(),
		Feedback: page.FeedbackTally{Works: 31, Broken: 2, Open: 1}, Said: brokenLines(),
		Holds: []page.Hold{{
			ID: "h1", Campaign: "0197c0aa-6a51-7c4e-9a55-0d4f4f1b8a10", Name: "2026-01", Device: "d-compta-07", DeviceName: "compta-07",
			Reason: "clôture annuelle jusqu'au 16", By: "user:exploitation", At: at(14, 8, 12),
		}},
		Causes: []page.Cause{{Code: fault.PackageFailed, N: 2}, {Code: fault.DiskFull, N: 1}},
		Events: boardEvents(),
	}
}

func ringR0() page.Ring {
	return page.Ring{
		Position: 0, Name: "R0", Title: "Informatique (pilote)", State: campaign.RingPromoted, Verdict: campaign.Pass,
		Counters: campaign.Counters{Done: 12}, Opens: at(13, 19, 0), Closes: at(15, 0, 0), Opened: at(13, 19, 0), SoakUntil: at(14, 19, 0),
		Reasons:  []fault.Reason{fault.Because(fault.GatePassed)},
		Evidence: evidence("12", "100", "0", "0", "0", true),
		Visas:    []page.Visa{{Role: "it", Title: "Tests fonctionnels", Given: true, Yes: true, By: "user:exploitation", At: at(14, 17, 5), Comment: "messagerie, impression et VPN vérifiés"}},
	}
}

func ringR1() page.Ring {
	r := page.Ring{
		Position: 1, Name: "R1", Title: "Utilisateurs représentatifs", State: campaign.RingGate, Verdict: campaign.Stop,
		Counters: campaign.Counters{Done: 44, Failed: 3, NotReached: 0, Unreachable: 2, Exempt: 1},
		Opens:    at(15, 0, 0), Closes: at(20, 19, 0), Opened: at(15, 0, 0), SoakUntil: at(15, 9, 0), RollbackImpossible: 3,
		Reasons: []fault.Reason{
			fault.Because(fault.GateFailedTooMany, "have", "3", "max", "1"),
			fault.Because(fault.GateSignOffMissing, "role", "it"),
		},
		Evidence: evidence("47", "89.8", "3", "4.1", "0", false),
		Visas: []page.Visa{
			{Role: "it", Title: "Tests fonctionnels", Checklist: []string{"Ouverture de session", "Impression", "VPN"}},
			{Role: "metier", Title: "Tests métier", Given: true, Yes: true, By: "user:controle-gestion", At: at(15, 9, 30)},
		},
	}
	r.Devices = ringDevices()[:3]
	r.Evidence[1].OK, r.Evidence[2].OK = false, false
	return r
}

func ringGlobal() page.Ring {
	return page.Ring{
		Position: 2, Name: "GLOBAL", Title: "Tous les autres postes", State: campaign.RingPending,
		Counters: campaign.Counters{NotReached: 12347, Unreachable: 61, Exempt: 18},
		Opens:    at(20, 19, 0), Closes: at(22, 10, 0),
		Reasons: []fault.Reason{fault.Because(fault.RingWaitsPrevious, "ring", "R1")},
		Evidence: []campaign.Evidence{
			{Name: campaign.EvidenceDevices, Need: ">= 100", Unknown: true},
			{Name: campaign.EvidenceDone, Need: ">= 95", Unknown: true},
			{Name: campaign.EvidenceFailed, Need: "<= 60", Unknown: true},
		},
	}
}

func evidence(devices, done, failed, unreachable, notReached string, ok bool) []campaign.Evidence {
	return []campaign.Evidence{
		{Name: campaign.EvidenceDevices, Have: devices, Need: ">= 5", OK: true},
		{Name: campaign.EvidenceDone, Have: done, Need: ">= 95", OK: ok},
		{Name: campaign.EvidenceFailed, Have: failed, Need: "<= 1", OK: ok},
		{Name: campaign.EvidenceUnreachable, Have: unreachable, Need: "<= 10", OK: true},
		{Name: campaign.EvidenceNotReached, Have: notReached, Need: "<= 5", OK: true},
	}
}

func content() []page.Item {
	return []page.Item{
		{ID: "p-openssl", Name: "openssl", Version: "3.0.17-1~deb12u3", Provider: "apt", Suite: "bookworm-security", Promoted: "R1", Rollback: page.WayBack{Readiness: campaign.RollbackRehearsed, Took: 4 * time.Minute}},
		{ID: "p-linux", Name: "linux-signed-amd64", Version: "6.1.158+1", Provider: "apt", Suite: "bookworm-security", Promoted: "R1", Rollback: page.WayBack{Readiness: campaign.RollbackReady}},
		{ID: "p-glibc", Name: "glibc", Version: "2.36-9+deb12u13", Provider: "apt", Suite: "bookworm-security", Promoted: "R1",
			Rollback: page.WayBack{Readiness: campaign.RollbackImpossible, Impossible: 2, Why: fault.Because(fault.RollbackCannot, "package", "libc6", "why", "no_old_package")}},
		{ID: "p-firefox", Name: "firefox-esr", Version: "140.5.0esr-1~deb12u1", Provider: "apt", Suite: "bookworm-security", Promoted: "R0", Amendment: 1},
		{ID: "p-cups", Name: "cups", Version: "2.4.2-3+deb12u9", Provider: "apt", Suite: "bookworm-security", Promoted: "R0", Withdrawn: &page.Withdrawn{By: "user:exploitation", Reason: "imprimantes de l'étage 3 muettes", At: at(14, 10, 3)}},
		{ID: "p-agent", Name: "gestion-parc", Version: "4.2.1", Provider: "apt", Suite: "bookworm-security", Promoted: "R1"},
		{ID: "p-tz", Name: "tzdata", Version: "2025b-0+deb12u2", Provider: "apt", Suite: "bookworm-security", Promoted: "R1"},
	}
}

func boardEvents() []page.Event {
	return []page.Event{
		{Index: 4821, At: Now.Add(-20 * time.Second), Kind: string(register.PatchVerified), Actor: "agent:d-rh-03", Device: "d-rh-03", DeviceName: "rh-03", Patch: "p-openssl", PatchName: "openssl 3.0.17-1~deb12u3"},
		{Index: 4820, At: Now.Add(-3 * time.Minute), Kind: string(register.OrderResult), Actor: "agent:d-compta-02", Device: "d-compta-02", DeviceName: "compta-02", Reason: fault.Because(fault.DiskFull, "mount", "/var", "need", "1240000000", "free", "192000000")},
		{Index: 4815, At: Now.Add(-12 * time.Minute), Kind: string(register.SignOff), Actor: "user:controle-gestion", Ring: "R1", Detail: "Tests métier : oui"},
		{Index: 4809, At: Now.Add(-41 * time.Minute), Kind: string(register.RingSoaking), Actor: "system:conductor", Ring: "R1"},
		{Index: 4702, At: at(14, 10, 3), Kind: string(register.ItemWithdrawn), Actor: "user:exploitation", Patch: "p-cups", PatchName: "cups 2.4.2-3+deb12u9", Detail: "imprimantes de l'étage 3 muettes"},
		{Index: 4688, At: at(13, 19, 0), Kind: string(register.ContentSealed), Actor: "system:conductor"},
	}
}

// NewBoard is a campaign of today's demonstration: nothing sealed yet, a day
// lasts two minutes.
func NewBoard() page.Board {
	r0 := page.Ring{Name: "R0", Title: "Informatique (pilote)", State: campaign.RingPending, Opens: Now.Add(time.Minute), Closes: Now.Add(4 * time.Minute),
		Reasons: []fault.Reason{fault.Because(fault.RingWaitsCalendar, "opens", Now.Add(time.Minute).Format(time.RFC3339))}}
	return page.Board{
		ID: "c-demo", Name: "demo", State: campaign.Scheduled, Held: true, Origin: campaign.ByHand, Procedure: "postes-france", ProcedureVersion: 1,
		Starts: Now.Add(time.Minute), Verification: Now.Add(20 * time.Minute), Day: 2 * time.Minute, Rings: []page.Ring{r0},
	}
}

// ClosedBoard is a campaign that is over, with an amendment that went its own way.
func ClosedBoard() page.Board {
	b := Board()
	b.State, b.Closed, b.Holds, b.Causes = campaign.Closed, at(23, 9, 0), nil, nil
	for i := range b.Rings {
		b.Rings[i].State, b.Rings[i].Verdict, b.Rings[i].Reasons = campaign.RingDone, campaign.Pass, nil
		b.Rings[i].Counters = campaign.Counters{Done: b.Rings[i].Counters.Total()}
	}
	late := ringR0()
	late.Amendment, late.Expedited = 1, &page.Expedited{By: "user:exploitation", Reason: "faille exploitée activement"}
	b.Amendments = []page.Amendment{{Number: 1, Reason: "firefox-esr : faille exploitée activement", By: "user:exploitation", At: at(14, 12, 0), Rings: []page.Ring{late}}}
	return b
}

// EmergencyBoard is an emergency that waits for one of its two sign-offs.
func EmergencyBoard() page.Board {
	b := NewBoard()
	b.ID, b.Name, b.State, b.Held, b.Origin, b.Day = "c-emergency", "CVE-2026-31337", campaign.Draft, false, campaign.ByEmergency, 2*time.Hour
	b.Rings[0].Reasons = []fault.Reason{fault.Because(fault.CampaignDraft)}
	b.Emergency = &page.Emergency{
		Cause: campaign.CauseCVE, Name: "CVE-2026-31337", Patches: []string{"openssl 3.0.17-1~deb12u4", "nginx 1.22.1-9+deb12u3"},
		Reason: "exploitée depuis ce matin", By: "user:exploitation", ThroughFreeze: true,
		Windows: []calendar.Interval{{Start: Now, End: Now.Add(12 * time.Hour)}},
		Visas: []page.Visa{
			{Role: "security", Title: "Sécurité des systèmes d'information", Given: true, Yes: true, By: "user:rssi", At: Now, Comment: "avis lu"},
			{Role: "it", Title: "Exploitation"},
		},
		Missing: []fault.Reason{fault.Because(fault.GateSignOffMissing, "role", "it")},
	}
	return b
}

// RollbackBoard is a rollback by rings: the first is back, the next has one
// device that cannot.
func RollbackBoard() page.Board {
	b := Board()
	b.ID, b.Name, b.State, b.Held, b.Origin, b.Holds, b.Said = "c-rollback", "2026-01-rollback", campaign.Running, false, campaign.ByRollback, nil, nil
	b.Feedback = page.FeedbackTally{}
	b.Rollback = &page.Rollback{
		Undoes: "c1", Name: "2026-01", Part: "openssl 3.0.17-1~deb12u3", Reason: "la paie n'imprime plus", By: "user:exploitation", ByRing: true,
	}
	for i := range b.Rings {
		b.Rings[i].Visas, b.Rings[i].RollbackImpossible, b.Rings[i].Reasons = nil, 0, []fault.Reason{fault.Because(fault.GatePassed)}
	}
	b.Rings[1].Counters, b.Rings[2].Counters = campaign.Counters{Done: 43, Failed: 1, Unreachable: 2}, campaign.Counters{}
	b.Rings[2].Reasons = []fault.Reason{fault.Because(fault.RingWaitsPrevious, "ring", "R1")}
	b.Rings[1].Reasons = []fault.Reason{fault.Because(fault.GateFailedTooMany, "have", "1", "max", "0")}
	b.Content = b.Content[:1]
	return b
}

// Suspects are a driver and a model that failing devices share.
func Suspects() page.Suspects {
	return page.Suspects{Campaign: "c1", Name: "2026-01", Patches: []page.PatchSuspects{{
		ID: "p-linux", Name: "linux-signed-amd64 6.1.158+1", Failed: 9, Sound: 191, Bounded: true,
		Suspects: []page.Suspect{
			{Condition: `"nvidia-driver" in device.software`, Failed: 9, With: 11, FailedWithout: 0, WithoutCount: 189,
				Safeguard: "- name: linux-signed-amd64-nvidia-driver\n  devices: '\"nvidia-driver\" in device.software'\n  patches: 'patch.name == \"linux-signed-amd64\"'\n  reason: '9/11'\n"},
			{Condition: `device.model == "Latitude 5480"`, Failed: 6, With: 20, FailedWithout: 3, WithoutCount: 180,
				Safeguard: "- name: linux-signed-amd64-latitude-5480\n  devices: 'device.model == \"Latitude 5480\"'\n  patches: 'patch.name == \"linux-signed-amd64\"'\n  reason: '6/20'\n"},
		},
	}}}
}
