package stories

import (
	"time"

	"patchring/internal/face/console/page"
	"patchring/wire"
)

// Token opens the page of compta-07.
const Token = "AWmR2k8AAAADAZClthI0erx978ASM0VniavhY21l-Yx2"

// Personal is the page of a workstation whose user is asked.
func Personal() page.Personal {
	return page.Personal{
		Token: Token, Device: "compta-07", Zone: "Europe/Paris", Seen: Now.Add(-20 * time.Second),
		Coming: []page.Coming{{
			Order: "o-1", Campaign: "2026-01", Title: "Mises à jour de votre poste", Body: "La DSI installe les correctifs de janvier.",
			Items: []string{"openssl 3.0.15-1", "firefox-esr 128.6.0", "linux-image-amd64 6.1.124-1"},
			From:  Now.Add(-time.Hour), To: Now.Add(9 * time.Hour), Open: true, Deadline: Now.Add(50 * time.Hour), State: wire.NoticeAsked, Remaining: 2,
			Offers: []wire.Offer{
				{Choice: wire.ChoiceHour, AtUS: Now.Add(time.Hour).UnixMicro()}, {Choice: wire.ChoiceEvening, AtUS: at(15, 18, 0).UnixMicro()},
				{Choice: wire.ChoiceTomorrow, AtUS: at(16, 8, 0).UnixMicro()},
			},
		}},
		Done: []page.Arrived{{Campaign: "c-0", Name: "2025-12", Items: []page.ArrivedItem{{Patch: "p-ssl", Name: "openssl 3.0.14-1"}, {Patch: "p-agent", Name: "gestion-parc 4.2.1"}}}},
	}
}

// PersonalAway is that of a device which is away and was answered for already.
func PersonalAway() page.Personal {
	p := Personal()
	p.Seen, p.Away, p.Coming[0].Offers = Now.Add(-3*time.Hour), true, nil
	p.Said = []page.SaidLater{{Choice: wire.ChoiceEvening, State: "sent", At: Now.Add(-time.Minute)}}
	p.Later = []page.PlannedCampaign{{Name: "2026-01-urgent", Items: []string{"sudo 1.9.16-2"}, Next: at(17, 22, 0)}}
	p.Logo = true
	p.Done[0].Says = []page.SaidOf{
		{Says: "works", At: Now.Add(-26 * time.Hour)},
		{Name: "gestion-parc 4.2.1", Says: "broken", Words: "La caisse se ferme quand j'imprime un reçu.", At: Now.Add(-time.Hour)},
	}
	return p
}

// PersonalRefused is that of a question which no longer stood, with words that
// were not sent.
func PersonalRefused() page.Personal {
	p := Personal()
	p.Coming = append(p.Coming, page.Coming{
		Order: "o-2", Campaign: "2026-01", Items: []string{"cups 2.4.2-3+deb12u5"}, From: Now.Add(20 * time.Hour), To: Now.Add(28 * time.Hour), Back: true, Trial: true,
		Deadline: Now.Add(70 * time.Hour),
	})
	p.Coming[0].State, p.Coming[0].Offers, p.Coming[0].Remaining = wire.NoticeCountdown, nil, 0
	p.Coming[0].Until = Now.Add(18 * time.Minute)
	p.Said = []page.SaidLater{{Choice: wire.ChoiceHour, State: "refused", Why: "past_deadline", WhyAt: Now.Add(-time.Hour), At: Now.Add(-2 * time.Hour)}}
	p.Error, p.Words = "—", "L'imprimante"
	return p
}

// DeviceLink is the page that is printed for a device.
func DeviceLink() page.DeviceLink {
	return page.DeviceLink{ID: "d-compta-07", Name: "compta-07", URL: "https://patchring.exemple.fr:8443/p/" + Token, Expires: at(15, 9, 0).AddDate(0, 3, 0)}
}

// Feedback is what people said, of every kind.
func Feedback() page.FeedbackList {
	return page.FeedbackList{Query: page.FeedbackQuery{Which: "all"}, Next: "f-3", Rows: append(brokenLines(), page.FeedbackLine{
		ID: "f-3", Campaign: "c-0", CampaignName: "2025-12", Ring: "R1", Device: "d-compta-07", DeviceName: "compta-07", Says: "works", At: at(14, 16, 2),
	}, page.FeedbackLine{
		ID: "f-4", Campaign: "c-0", CampaignName: "2025-12", Device: "d-atelier-11", DeviceName: "atelier-11", Patch: "p-agent", PatchName: "gestion-parc 4.2.1",
		Says: "broken", Words: "Plus de son", At: at(12, 9, 30), Closed: at(13, 8, 0), ClosedBy: "user:exploitation", ClosedWhy: "Pilote audio remis",
	})}
}

func brokenLines() []page.FeedbackLine {
	return []page.FeedbackLine{{
		ID: "f-1", Campaign: "0197c0aa-6a51-7c4e-9a55-0d4f4f1b8a10", CampaignName: "2026-01", Ring: "R1", Device: "d-caisse-3", DeviceName: "caisse-3",
		Patch: "p-agent", PatchName: "gestion-parc 4.2.1", Says: "broken", Words: "La caisse se ferme quand j'imprime un reçu.", At: at(15, 8, 12),
	}}
}
