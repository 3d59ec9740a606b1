package stories

import (
	"patchring/internal/core/alert"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
	"patchring/internal/face/console/page"
	"patchring/internal/infra/view"
	"patchring/internal/service/watch"
)

// AlertRows are alerts in the situations that matter.
func AlertRows() []view.AlertRow {
	device := func(id fleet.DeviceID, name string) *view.DeviceRef { return &view.DeviceRef{ID: id, Name: name} }
	campaign := &view.CampaignRef{ID: "c1", Name: "2026-01"}
	return []view.AlertRow{
		{
			ID: "al-1", Rule: "sonde", Title: manifest.Text{FR: "Service rendu en échec", EN: "Service down"}, State: alert.Firing, Severity: alert.Critical, Who: "equipe-serveurs",
			Event: "probe_down", Device: device("srv-paie", "srv-paie"), Campaign: campaign, Args: map[string]string{"probes": "intranet, paie"}, Times: 3,
			Since: at(15, 10, 12), Fired: at(15, 10, 14), Escalated: true, Can: alert.Can("d", "c1", ""),
		},
		{
			ID: "al-2", Rule: "cpu", Title: manifest.Text{FR: "Processeur saturé pendant la campagne", EN: "Processor saturated during the campaign"}, State: alert.Firing, Severity: alert.Warning,
			Who: "operator", Measure: "cpu_percent", Value: 99, Worst: 100, Limit: 90, Device: device("compta-17", "compta-17"), Campaign: campaign, Ring: "R1", Since: at(15, 9, 50), Fired: at(15, 10, 0),
			Did: alert.HoldCampaign, DidID: "h-1", DidAt: at(15, 10, 0), Can: alert.Can("d", "c1", ""),
		},
		{
			ID: "al-3", Rule: "disque", Title: manifest.Text{FR: "Disque presque plein", EN: "Disk nearly full"}, State: alert.Acknowledged, Severity: alert.Warning, Who: "it",
			Measure: "disk_free_percent", Value: 3.5, Worst: 3, Limit: 5, Below: true, Device: device("srv-web", "srv-web"), Since: at(14, 22, 0), Fired: at(14, 22, 10),
			Acked: at(15, 8, 30), AckedBy: "user:exploitation", AckedWhy: "commande de disque en cours", Can: []alert.Do{},
		},
		{
			ID: "al-4", Rule: "jalon", Title: manifest.Text{FR: "Jalon arrêté", EN: "Gate stopped"}, State: alert.Firing, Severity: alert.Info, Who: "responsable-deploiement",
			Event: "gate_stopped", Campaign: campaign, Ring: "R0", Since: at(15, 9, 0), Fired: at(15, 9, 0), SilentUntil: at(15, 14, 0), Can: alert.Can("", "c1", ""),
		},
	}
}

// Alerts is a morning with something to do, and a mail server that fails.
func Alerts() page.Alerts {
	why := fault.Because(fault.OutputFailed, "step", "send", "said", "535 5.7.8 authentication failed")
	return page.Alerts{
		Rows: AlertRows(), Next: "x",
		Silences: []view.SilenceRow{{ID: "s1", Rule: "jalon", Reason: "comité à 14 h", By: "user:exploitation", At: at(15, 9, 5), Until: at(15, 14, 0)}},
		Dead:     []view.DeliveryRow{{ID: "l1", Output: "astreinte", State: "dead", Notices: 2, Attempts: 3, Created: at(15, 9, 0), Ended: at(15, 9, 4), Cause: &why}},
	}
}

// ResolvedAlerts are over.
func ResolvedAlerts() page.Alerts {
	a := AlertRows()[1]
	a.State, a.Ended, a.EndedWhy, a.Can = alert.Resolved, at(15, 10, 30), "cleared", []alert.Do{}
	return page.Alerts{Query: page.AlertQuery{Which: "resolved"}, Rows: []view.AlertRow{a}}
}

// OneAlert is an alert that somebody looks into.
func OneAlert() page.AlertOne { return page.AlertOne{AlertRow: AlertRows()[2]} }

// ActedAlert is an alert on which the server has acted by itself.
func ActedAlert() page.AlertOne { return page.AlertOne{AlertRow: AlertRows()[1]} }

const rulesText = `alerts: parc
title: {fr: Alertes du parc, en: Alerts of the fleet}
language: fr
outputs:
  - {name: exploitation, mail: {server: "smtp.exemple.fr:587", from: p@exemple.fr, to: [exploitation@exemple.fr]}}
  - {name: equipe, teams: {url: file:teams}}
rules:
  - {name: cpu, title: {fr: Processeur saturé, en: Processor saturated}, measure: cpu_percent, above: 90, clear: 75, for: 10m, severity: warning, who: it, outputs: [equipe]}
  - {name: sonde, title: {fr: Service rendu en échec, en: Service down}, event: probe_down, for: 2m, severity: critical, who: it, outputs: [exploitation, equipe]}
`

// AlertRules is a document in force.
func AlertRules() page.AlertRules {
	b, err := alert.Parse("alerts.yaml", []byte(rulesText))
	if err != nil {
		panic(err)
	}
	return page.AlertRules{
		Name: b.Name, Version: 2, Text: rulesText, Rules: b.Rules, Outputs: b.Outputs,
		Versions: []page.AlertVersion{{PolicyVersion: page.PolicyVersion{Number: 2, Name: "parc", By: "user:exploitation", At: at(12, 9, 0)}}},
	}
}

// newRulesText is what somebody has made of rulesText.
const newRulesText = `alerts: parc
title: {fr: Alertes du parc, en: Alerts of the fleet}
language: fr
outputs:
  - {name: exploitation, mail: {server: "smtp.exemple.fr:587", from: p@exemple.fr, to: [exploitation@exemple.fr, astreinte@exemple.fr]}}
rules:
  - {name: cpu, title: {fr: Processeur saturé, en: Processor saturated}, measure: cpu_percent, above: 95, clear: 75, for: 20m, scope: {during: campaign}, then: hold, severity: critical, who: it, outputs: [exploitation]}
  - {name: disque, title: {fr: Disque presque plein, en: Disk nearly full}, measure: disk_free_percent, below: 5, clear: 8, for: 10m, scope: {kinds: [server], during: campaign}, then: hold_device, severity: warning, who: operator, outputs: [exploitation]}
`

// AlertRulesConfirm is the editor that shows what changes and asks for a yes.
func AlertRulesConfirm() page.AlertRules {
	out := AlertRules()
	b, err := alert.Parse("alerts.yaml", []byte(newRulesText))
	if err != nil {
		panic(err)
	}
	before := alert.Book{Name: b.Name, Title: b.Title, Lang: b.Lang, Rules: out.Rules, Outputs: out.Outputs}
	out.Text = newRulesText
	out.Diff = &watch.BookDiff{Changes: alert.Compare(before, b), InForce: "parc", Version: 2}
	out.Confirm = &page.PolicyConfirm{SHA256: "6f0c1e5b7a", Base: 2}
	return out
}

// ActingAlertRules act by themselves.
func ActingAlertRules() page.AlertRules {
	out := AlertRules()
	b, err := alert.Parse("alerts.yaml", []byte(newRulesText))
	if err != nil {
		panic(err)
	}
	out.Version, out.Text, out.Rules, out.Outputs = 3, newRulesText, b.Rules, b.Outputs
	return out
}

// DefaultAlertRules are those that hold without any, with a text that is wrong.
func DefaultAlertRules() page.AlertRules {
	b := alert.Default()
	return page.AlertRules{
		Name: b.Name, Text: "alerts: x\n", Rules: b.Rules,
		Problems: []manifest.Problem{{Line: 1, Column: 1, Field: "title", Problem: "is missing", Fix: "say what it is for"}},
	}
}

// AlertFeeds are two links, one of them revoked.
func AlertFeeds() page.AlertFeeds {
	return page.AlertFeeds{Links: []page.AlertFeed{
		{ID: "f1", Kind: "calendar", Name: "Outlook de la DSI", Path: "/feeds/AbCdEf.ics", By: "user:exploitation", Created: at(12, 9, 0)},
		{ID: "f2", Kind: "alerts", Name: "Ancien lecteur", By: "user:exploitation", Created: at(10, 9, 0)},
	}}
}
