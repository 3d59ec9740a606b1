package stories

import (
	"time"

	"patchring/internal/core/manifest"
	"patchring/internal/core/policy"
	"patchring/internal/face/console/page"
)

const policyText = `policy: parc-france
title: {fr: Postes et serveurs, en: Workstations and servers}
owner: DSI, exploitation
timezone: Europe/Paris
max_exposure: 30d
rules:
  - {name: securite, patches: 'patch.class == "security"', verdict: approve}
  - {name: preversions, patches: 'patch.class == "preview"', verdict: delay 21d}
  - {name: noyau, patches: 'patch.name.startsWith("linux")', verdict: decline, until: 2026-03-31}
profiles:
  - name: postes
    title: {fr: Postes de travail, en: Workstations}
    devices: device.kind == "workstation"
    windows:
      - {name: pause, days: [mon, tue, wed, thu, fri], start: "12:00", end: "14:00"}
      - {name: samedi, rule: "FREQ=MONTHLY;BYDAY=2SA", start: "22:00", duration: 8h}
      - {name: hors-bureau, closed: [{days: [mon, tue, wed, thu, fri], start: "08:00", end: "19:00"}]}
    reboot: {mode: user}
    people: {deadline: 3d, postpones: 3, notice: 15m, countdown: 15m, title: {fr: Service informatique, en: IT department}, message: {fr: Enregistrez votre travail., en: Save your work.}}
  - name: serveurs
    title: {fr: Serveurs, en: Servers}
    devices: device.kind == "server" && !("pilotes" in device.groups)
    rules:
      - {name: lent, patches: 'patch.class == "security"', verdict: delay 7d}
      - {name: tout-le-reste, verdict: decline}
    windows:
      - {name: nuit, days: [mon, tue, wed, thu], start: "23:00", duration: 5h}
    reboot: {mode: window, windows: [{name: dimanche, days: [mon, tue, wed, thu, fri, sat, sun], start: "03:00", end: "05:00"}]}
freezes:
  - {name: cloture, devices: 'device.department == "comptabilite"', from: 2026-01-05, to: 2026-01-16, reason: {fr: Clôture annuelle, en: Year-end closing}}
  - {name: fetes, from: 2026-12-24, to: 2027-01-01, reason: {fr: Effectifs réduits, en: Few people on duty}}
safeguards:
  - {name: nvidia, devices: 'device.software["nvidia-driver"] != ""', patches: 'patch.name.startsWith("linux")', lift_on: '!older(device.software["nvidia-driver"], "550")', reason: {fr: écran noir, en: black screen}}
limits:
  - {name: sql, devices: 'device.tags.role == "sql"', each: cluster, at_most: 1, order: ['device.tags.node == "secondary"', 'device.tags.node == "primary"'], stop_after: 1}
  - {name: serveurs, devices: 'device.kind == "server"', at_most: 25%}
`

func policyVersions() []page.PolicyVersion {
	return []page.PolicyVersion{
		{Number: 3, Name: "parc-france", By: "user:exploitation", At: at(12, 17, 40)},
		{Number: 2, Name: "parc-france", By: "user:exploitation", At: at(6, 9, 12)},
		{Number: 1, Name: "parc-france", By: "user:exploitation", At: time.Date(2025, 11, 3, 10, 0, 0, 0, time.UTC)},
	}
}

// Policy is one with everything that a policy can say. The text is the
// program's own: it parses, or the story's tests fail for want of its rules.
func Policy() page.Policy {
	out := page.Policy{PolicyVersion: policyVersions()[0], Text: policyText, SHA256: "6f0c1e5b7a", Versions: policyVersions()}
	if p, err := policy.Parse("parc-france.yaml", []byte(policyText)); err == nil {
		out.File = &p
	}
	return out
}

// OldPolicy is a version that is not in force, and that this program cannot
// read any more.
func OldPolicy() page.Policy {
	return page.Policy{PolicyVersion: policyVersions()[2], Text: "policy: parc-france\n", SHA256: "1b2c", Versions: policyVersions()}
}

func policyEdit(text string) page.PolicyEdit {
	return page.PolicyEdit{Text: text, Devices: policy.DeviceFields(), Patches: policy.PatchFields()}
}

// PolicyProblems is the editor with a text that is no policy.
func PolicyProblems() page.PolicyEdit {
	out := policyEdit("policy: parc-france\ntitel: Parc\nrules:\n  - {name: securite, patches: 'patch.clas == \"security\"', verdict: aprove}\n")
	out.Problems = []manifest.Problem{
		{Line: 2, Column: 1, Field: "titel", Problem: "is not a field of a policy here; did you mean title?"},
		{Line: 4, Column: 31, Field: "rules[0].patches", Problem: `column 1: "patch.clas" is not known here; did you mean patch.class?`, Fix: `compare fields of patches, for example patch.class == "security"`},
		{Line: 4, Column: 67, Field: "rules[0].verdict", Problem: `"aprove" is not a verdict`, Fix: "write approve, decline, or delay with a number of days: delay 7d"},
	}
	return out
}

// PolicyWeighed is the editor with what a text would change.
func PolicyWeighed() page.PolicyEdit {
	out := policyEdit(policyText)
	approved := page.PolicySaid{Verdict: policy.Approved, Rule: "tenant/securite"}
	out.Sound = true
	out.Warnings = []manifest.Problem{{Line: 33, Column: 90, Field: "freezes[1].to", Problem: "the freeze lasts 181 days, in which nothing is mended", Fix: "shorten it, or count on emergencies"}}
	out.Starved = []policy.Starved{{Provider: "apt", Name: "linux", Suite: "bookworm-security", Versions: 4, Rule: "tenant/noyau"}}
	out.Diff = &page.PolicyDiff{
		Devices: 120, Changed: 45, More: 12,
		Verdicts: []page.PolicyMoved{
			{Patch: "p-openssl", Name: "openssl", Version: "3.0.17-1~deb12u3", Before: approved, After: page.PolicySaid{Verdict: policy.Delayed, Rule: "profile:serveurs/lent", Until: at(19, 9, 0), Last: at(22, 9, 0)}, Devices: 40, Examples: []string{"srv-01", "srv-02", "srv-03", "srv-04", "srv-05"}},
			{Patch: "p-linux", Name: "linux-signed-amd64", Version: "6.1.158+1", Before: approved, After: page.PolicySaid{Verdict: policy.Approved, Rule: "tenant/securite", Safeguard: "nvidia"}, Devices: 4, Examples: []string{"cao-01", "cao-02"}},
			{Patch: "p-cups", Name: "cups", Version: "2.4.2-3+deb12u9", Before: page.PolicySaid{Verdict: policy.Pending, Rule: "default"}, After: page.PolicySaid{Verdict: policy.Declined, Rule: "profile:serveurs/tout-le-reste"}, Devices: 1, Examples: []string{"srv-01"}},
		},
		Settings: []page.PolicyResettled{
			{Parts: []policy.Part{policy.InProfiles, policy.InWindows}, After: []string{"serveurs"}, Devices: 41, Examples: []string{"srv-01", "srv-02"}},
		},
	}
	return out
}

// PolicyConfirm is the editor that asks for a yes.
func PolicyConfirm() page.PolicyEdit {
	out := PolicyWeighed()
	out.Warnings, out.Starved = nil, nil
	out.Confirm = &page.PolicyConfirm{SHA256: "6f0c1e5b7a", Base: 3}
	return out
}

// patchRules are what the policy says of a patch.
func patchRules() ([]page.PatchRule, []page.PatchGuard) {
	return []page.PatchRule{
		{Rule: "profile:serveurs/lent", Verdict: policy.Delayed, Delay: 7 * 24 * time.Hour, Profile: "Serveurs", Devices: `device.kind == "server"`},
		{Rule: "tenant/securite", Verdict: policy.Approved},
		{Rule: "global/metier", Verdict: policy.Declined, Until: at(31, 0, 0)},
	}, []page.PatchGuard{{Name: "nvidia", Devices: `device.software["nvidia-driver"] != ""`, Reason: "écran noir"}}
}
