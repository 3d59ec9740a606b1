package stories

import (
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/health"
	"patchring/internal/core/procedure"
	"patchring/internal/core/suspect"
	"patchring/internal/face/console/page"
	"patchring/internal/infra/view"
	"patchring/wire"
)

// GateProof is a ring that its measures hold, and one that is well.
func GateProof() page.GateProof {
	regression := fault.Because(fault.GateRegressions, "have", "1", "max", "0", "measures", "cpu_percent")
	signOff := fault.Because(fault.GateSignOffMissing, "role", "it")
	held := view.RingEvidence{
		Ring: "R1", Position: 1, State: "gate", Verdict: "hold",
		Seen: campaign.Seen{Looked: true, Proven: 9, UseHours: 14.5, Services: []campaign.ServiceDown{{
			Service: "cups.service", Since: Now.Add(-15 * time.Hour), Workstations: health.Stopped{Down: 2, Patched: 12, Others: 40},
			Devices: []string{"accueil-2", "compta-12"}, Shared: []string{`device.model == "Latitude 5480"`},
		}}},
		Looked: Now.Add(-20 * time.Minute),
		Health: &health.Health{Verdict: health.Worse, Look: 4, Patched: 12, Findings: []health.Finding{
			{
				Measure: wire.MeasureCPU, Verdict: health.Worse, Against: health.Others, Patched: 12, Control: 40, Before: 14, After: 41, ControlBefore: 13, ControlAfter: 13.4,
				Out: 11, Effect: 26.4, Low: 21.7, High: 31.2, Matters: 10, P: 0.00004, Level: 0.0005,
				Reason: fault.Because(fault.HealthWorse, "measure", "cpu_percent", "count", "12", "before", "14%", "after", "41%", "others", "40", "others_before", "13%", "others_after", "13%", "p", "<0.0001"),
			},
			{
				Measure: wire.MeasureLogin, Verdict: health.Insufficient, Ratio: true, Patched: 3, Control: 20, Effect: 1.2, Low: 0.7, High: 2.1, Matters: 1.5, P: 1, Level: 0.0005,
				Reason: fault.Because(fault.HealthUnsure, "measure", "login_s", "count", "3", "why", "no_values"),
			},
			{
				Measure: wire.MeasureMemory, Verdict: health.Same, Patched: 12, Control: 40, Effect: 0.4, Low: -1.1, High: 2, Matters: 10, P: 1, Level: 0.0005,
				Reason: fault.Because(fault.HealthSame, "measure", "memory_percent", "count", "12", "before", "48%", "after", "48%"),
			},
			{
				Measure: wire.MeasureBoot, Verdict: health.Better, Ratio: true, Patched: 12, Control: 40, Effect: 0.6, Low: 0.5, High: 0.7, Matters: 1.5, P: 0.0001, Level: 0.0005,
				Reason: fault.Because(fault.HealthBetter, "measure", "boot_s", "count", "12", "before", "52s", "after", "31s", "others", "40", "others_before", "50s", "others_after", "51s"),
			},
		}},
		Shared: []view.SharedTrait{{Suspect: suspect.Suspect{Field: "device.model", Value: "Latitude 5480"}, Condition: `device.model == "Latitude 5480"`}},
		Unproven: []view.UnprovenDevice{
			{Device: view.DeviceRef{ID: "d1", Name: "compta-12"}, Patched: Now.Add(-16 * time.Hour), UseHours: 1.5, ProbesDown: 0},
			{Device: view.DeviceRef{ID: "d2", Name: "srv-files"}, Patched: Now.Add(-16 * time.Hour), UseHours: 16, ProbesDown: 1},
			{Device: view.DeviceRef{ID: "d3", Name: "accueil-2"}, Patched: Now.Add(-15 * time.Hour), UseHours: -1},
			{Device: view.DeviceRef{ID: "d4", Name: "compta-14"}, Patched: Now.Add(-15 * time.Hour), UseHours: 9, Stopped: 1},
		},
		Trips: []view.BreakerTrip{{
			Kind: campaign.TripRegression, At: Now.Add(-20 * time.Minute), Hold: "h1",
			Reason: fault.Because(fault.BreakerRegressions, "measures", "cpu_percent", "role", "business").String(),
		}, {
			Kind: campaign.TripService, At: Now.Add(-14 * time.Hour), Hold: "h0", Lifted: Now.Add(-12 * time.Hour), By: "user:exploitation",
			Reason: fault.Because(fault.BreakerService, "service", "cups.service", "servers", "0", "workstations", "2", "devices", "accueil-2,compta-12", "role", "business").String(),
		}},
	}
	held.Limits = campaign.Limits(procedure.DefaultBreaker())
	held.Evaluations = []view.GateEvaluation{
		{
			At: Now.Add(-19 * time.Minute), State: "gate", Verdict: "hold", Actor: "system:conductor", Reasons: []fault.Reason{regression, signOff},
			Evidence: []campaign.Evidence{
				{Name: campaign.EvidenceDevices, Have: "12", Need: ">= 1", OK: true}, {Name: campaign.EvidenceDone, Have: "100", Need: ">= 95", OK: true},
				{Name: campaign.EvidenceProven, Have: "75", Need: ">= 80"}, {Name: campaign.EvidenceUse, Have: "14.5", Need: ">= 8", OK: true},
				{Name: campaign.EvidenceRegressions, Have: "1", Need: "<= 0"}, {Name: campaign.EvidenceHealth, Have: "worse", Need: "known", OK: true},
			},
		},
		{At: Now.Add(-3 * time.Hour), State: "soaking", Verdict: "insufficient_evidence", Actor: "user:exploitation", Reasons: []fault.Reason{fault.Because(fault.GateUnmeasured, "what", "proven_percent")}},
	}
	return page.GateProof{Title: "Evidence", CampaignEvidence: view.CampaignEvidence{
		Campaign: view.CampaignRef{ID: "c1", Name: "2026-01"}, At: Now, Rings: []view.RingEvidence{held, {
			Ring: "GLOBAL", Position: 2, State: "open", Seen: campaign.Seen{}, Tight: true, Limits: campaign.Limits(procedure.DefaultBreaker().Tightened()),
		}},
	}}
}
