package lang

import (
	"strings"
	"testing"

	"patchring/internal/core/alert"
	"patchring/internal/core/fault"
)

// What the breaker writes in place of words is said in words, in mails too.
func TestAnAlertSaysWhyTheBreakerHeld(t *testing.T) {
	m := alert.Message{Event: "breaker_tripped", Args: map[string]string{
		"why": fault.Because(fault.BreakerProbes, "servers", "1", "workstations", "0", "probes", "web", "role", "it").String(),
	}}
	for language, want := range map[string]string{"fr": "sondes en échec depuis le correctif (web)", "en": "probes say no since the patch (web)"} {
		if got := For(language).AlertWhat(m); !strings.Contains(got, want) || strings.Contains(got, "breaker_probes") {
			t.Errorf("%s: %s", language, got)
		}
	}
}

func TestAnAlertSaysWhatWasDoneByItself(t *testing.T) {
	for _, do := range alert.Thens() {
		m := alert.Message{Kind: alert.Fired, Measure: "cpu_percent", Did: do, Ring: "R1", CampaignN: "2026-12"}
		for _, l := range Langs() {
			did := For(string(l)).AlertDid(m)
			if did == "" || strings.HasPrefix(did, "alert_did") || !strings.Contains(For(string(l)).AlertLine(m), did) {
				t.Errorf("%s: %s is said as %q", l, do, did)
			}
			if do != alert.HoldDevice && !strings.Contains(did, "R1") {
				t.Errorf("%s: %q names no ring", l, did)
			}
			if m.Kind = alert.Over; strings.Contains(For(string(l)).AlertLine(m), did) {
				t.Errorf("%s: it is over, and says %q", l, did)
			}
			m.Kind = alert.Fired
		}
	}
	if got := For("fr").AlertDid(alert.Message{}); got != "" {
		t.Errorf("nothing was done, and it says %q", got)
	}
}
