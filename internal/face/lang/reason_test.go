package lang

import (
	"fmt"
	"testing"

	"patchring/internal/core/fault"
)

func TestReasonsReadAsSentences(t *testing.T) {
	for _, c := range []struct {
		reason fault.Reason
		fr, en string
	}{
		{
			fault.Because(fault.OutsideWindow, "next", "2026-01-13T18:00:00Z"),
			"Hors fenêtre de maintenance ; la prochaine s’ouvre le 13 janv. 2026 19:00 CET",
			"Outside the maintenance window; the next one opens on 13 Jan 2026 19:00 CET",
		}, {
			fault.Because(fault.OutsideWindow),
			"Hors fenêtre de maintenance",
			"Outside the maintenance window",
		}, {
			fault.Because(fault.DiskFull, "mount", "/var", "need", "1200000000", "free", "64000000"),
			"Espace disque insuffisant sur /var : 1,2 Go nécessaires, 64 Mo libres",
			"Not enough disk space on /var: 1.2 GB needed, 64 MB free",
		}, {
			fault.Because(fault.BreakerService, "service", "cups.service", "servers", "0", "workstations", "2", "devices", "accueil-2,compta-12", "role", "it"),
			"Disjoncteur : cups.service s’est arrêté avec le correctif et ne tourne plus (accueil-2, compta-12) ; serveurs : 0, postes de travail : 2. À traiter par : tests informatiques",
			"Circuit breaker: cups.service stopped with the patch and does not run since (accueil-2, compta-12); servers: 0, workstations: 2. To act: IT test",
		}, {
			fault.Because(fault.BreakerProbes, "servers", "1", "workstations", "0", "probes", "mail,web", "role", "it"),
			"Disjoncteur : sondes en échec depuis le correctif (mail, web) ; serveurs : 1, postes de travail : 0. À traiter par : tests informatiques",
			"Circuit breaker: probes say no since the patch (mail, web); servers: 1, workstations: 0. To act: IT test",
		}, {
			fault.Because(fault.BreakerUnreachable, "have", "2", "devices", "pc-1,pc-2", "role", "it"),
			"Disjoncteur : postes non revenus de leur red\u00e9marrage : 2 (pc-1, pc-2). À traiter par : tests informatiques",
			"Circuit breaker: devices that did not come back from their restart: 2 (pc-1, pc-2). To act: IT test",
		}, {
			fault.Because(fault.GateDoneTooLow, "have", "93.5", "need", "97"),
			"Pas assez de postes terminés : 93,5 %, il en faut au moins 97 %",
			"Done is too low: 93.5%, at least 97% needed",
		}, {
			fault.Because(fault.CampaignHeld, "by", "user:claire", "reason", "incident"),
			"La campagne est suspendue par claire : incident",
			"The campaign is on hold, by claire: incident",
		}, {
			fault.Because(fault.WindowTooShort, "need", "35m0s", "left", "10m0s"),
			"Il ne reste pas assez de temps dans la fenêtre : 35 min nécessaires, 10 min restantes",
			"Not enough time left in the window: 35 min needed, 10 min left",
		}, {
			fault.Because(fault.OrderInFlight, "step", "download"),
			"L’ordre est en cours d’exécution : téléchargement",
			"The order is being carried out: download",
		}, {
			fault.Because(fault.PlanDrift, "packages", "libc6,libc-bin"),
			"Refusé : cela modifierait des paquets hors de l’ordre : libc6, libc-bin",
			"Refused: it would change packages outside the order: libc6, libc-bin",
		}, {
			fault.Because(fault.ScanRefused, "cause", "repository_down"),
			"L’analyse a échoué : Dépôt injoignable",
			"The scan failed: Repository unreachable",
		}, {
			fault.Because("of_a_newer_server", "x", "1"),
			`of_a_newer_server x="1"`,
			`of_a_newer_server x="1"`,
		}, {
			fault.Reason{}, "", "",
		},
	} {
		if got := ordinary(For("fr").In(paris(t)).Reason(c.reason)); got != c.fr {
			t.Errorf("fr %s\ngot  %s\nwant %s", c.reason, got, c.fr)
		}
		if got := ordinary(For("en").In(paris(t)).Reason(c.reason)); got != c.en {
			t.Errorf("en %s\ngot  %s\nwant %s", c.reason, got, c.en)
		}
	}
}

func TestErrorsNeverShowTheirTechnicalCause(t *testing.T) {
	err := fmt.Errorf("sign gate: %w", fault.New(fault.ReasonRequired).Wrap(fmt.Errorf("sql: no rows")))
	if got, want := For("en").Error(err), "A reason is required"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := For("en").Error(fmt.Errorf("disk I/O error")), For("en").T("reason.internal"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEvidenceReadsWithItsUnits(t *testing.T) {
	title, asked, found := For("fr").Evidence("done_percent", ">= 97", "93.5")
	if got, want := ordinary(title+" "+asked+" "+found), "Terminés ≥ 97 % 93,5 %"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	title, asked, found = For("en").Evidence("failed", "<= 0", "1")
	if got, want := ordinary(title+" "+asked+" "+found), "Failed ≤ 0 1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
