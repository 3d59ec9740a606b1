package lang

import (
	"testing"

	"patchring/internal/core/fault"
)

func TestRulesReadAsWords(t *testing.T) {
	for rule, want := range map[string][2]string{
		"profile:postes/lent":                  {"règle « lent » du profil « postes »", "rule “lent” of profile “postes”"},
		"tenant/securite":                      {"règle « securite » de la politique", "rule “securite” of the policy"},
		"global/socle":                         {"règle « socle » de la politique commune à tous les clients", "rule “socle” of the policy for all tenants"},
		"class:security":                       {"classe « sécurité » de la procédure", "class “security” in the procedure"},
		"default":                              {"aucune règle n’en parle", "no rule speaks of it"},
		"max_exposure":                         {"exposition maximale atteinte", "longest exposure reached"},
		"exception:e-12":                       {"dérogation e-12", "exception e-12"},
		"name:apt/openssl":                     {"décision sur toutes les versions de openssl", "decision on every version of openssl"},
		"apt:0123456789abcdef0123456789abcdef": {"décision sur ce correctif précis", "decision on this very patch"},
		"":                                     {"", ""},
	} {
		for i, l := range []Lang{French, English} {
			if got := ordinary(For(string(l)).Rule(rule)); got != want[i] {
				t.Errorf("%s %s: got %q, want %q", l, rule, got, want[i])
			}
		}
	}
}

func TestAReasonNamesItsRuleInWords(t *testing.T) {
	reason := fault.Because(fault.DelayedByRule, "rule", "profile:postes/lent", "until", "2026-01-13T18:00:00Z")
	if got, want := ordinary(For("fr").In(paris(t)).Reason(reason)), "Repoussé jusqu’au 13 janv. 2026 19:00 CET : règle « lent » du profil « postes »"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := ordinary(For("en").Reason(fault.Because(fault.DeclinedByRule, "rule", "tenant/kernel"))), "Declined: rule “kernel” of the policy"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
