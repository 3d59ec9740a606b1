package alert

import "fmt"

// DefaultText are the rules of a tenant that has applied none: they tell nobody,
// because nobody has said whom, and stand on the page. It is a document like
// any other, to begin with.
const DefaultText = `# Les règles qui valent tant qu'aucun document n'est appliqué. Elles ne
# préviennent personne (aucune sortie), mais paraissent à la page « Alertes ».
alerts: default
title: {fr: Règles par défaut, en: Default rules}
language: fr
outputs: []
rules:
  - {name: probe-down, title: {fr: Sonde en échec, en: Probe down}, event: probe_down, for: 2m, severity: critical, who: operator}
  - {name: install-failed, title: {fr: Installation en échec, en: Install failed}, event: install_failed, severity: warning, who: operator}
  - {name: rollback-failed, title: {fr: Retour arrière en échec, en: Rollback failed}, event: rollback_failed, severity: critical, who: operator}
  - {name: lost-after-reboot, title: {fr: Muet depuis son redémarrage, en: Unreachable after its reboot}, event: unreachable_after_reboot, for: 15m, severity: critical, who: operator}
  - {name: server-silent, title: {fr: Serveur muet, en: Server silent}, event: device_silent, for: 15m, scope: {kinds: [server, critical]}, severity: warning, who: operator}
  - {name: gate-stopped, title: {fr: Jalon arrêté, en: Gate stopped}, event: gate_stopped, severity: warning, who: operator, expires: 7d}
  - {name: breaker-tripped, title: {fr: Coupe-circuit déclenché, en: Breaker tripped}, event: breaker_tripped, severity: critical, who: operator, expires: 7d}
  - {name: incident-opened, title: {fr: Incident ouvert, en: Incident opened}, event: incident_opened, severity: critical, who: operator, expires: 7d}
  - {name: regression, title: {fr: Régression mesurée, en: Regression measured}, event: regression, severity: critical, who: operator, expires: 7d}
  - {name: feedback-broken, title: {fr: Un pilote signale une panne, en: A pilot says that something broke}, event: feedback_broken, severity: warning, who: operator, expires: 7d}
  - {name: task-overdue, title: {fr: Tâche en retard, en: Task overdue}, event: task_overdue, severity: warning, who: operator, expires: 7d}
  - {name: register-forked, title: {fr: Registre divergent, en: Register forked}, event: register_forked, severity: critical, who: admin, expires: 30d}
  - {name: disk-full, title: {fr: Disque presque plein, en: Disk nearly full}, measure: disk_free_percent, below: 5, clear: 8, for: 10m, severity: warning, who: operator}
  - {name: unguarded, title: {fr: Agent de sécurité arrêté, en: Security agent not running}, measure: security_agent_down, above: 0.5, for: 15m, severity: warning, who: operator}
  - {name: cpu-in-campaign, title: {fr: Processeur saturé pendant la campagne, en: Processor saturated during the campaign}, measure: cpu_percent, above: 95, clear: 85, for: 10m, scope: {during: campaign}, severity: warning, who: operator}
  - {name: services-in-campaign, title: {fr: Services arrêtés pendant la campagne, en: Services down during the campaign}, measure: services_down, above: 0.5, for: 10m, scope: {during: campaign}, severity: warning, who: operator}
`

// Default reads DefaultText, which is ours: it has no problem.
func Default() Book {
	b, err := Parse("default", []byte(DefaultText))
	if err != nil {
		panic(fmt.Sprintf("alert: the default rules: %v", err)) // a test reads them
	}
	return b
}
