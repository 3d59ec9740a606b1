package console

import (
	"net/http"
	"strings"
	"testing"
)

func TestARehearsalIsAskedForBeforeItIsPlayed(t *testing.T) {
	v := newWorld(t).as(t, "exploitation")
	asked := v.get("/campaigns/rehearse")
	if asked.status != http.StatusOK || !strings.Contains(asked.body, `name="when"`) || strings.Contains(asked.body, "<svg class=\"curve\"") {
		t.Errorf("status %d; want the form alone", asked.status)
	}
	played := v.get("/campaigns/rehearse?procedure=urgence&when=2026-02&bucket=unreachable")
	if played.status != http.StatusOK || !strings.Contains(played.body, "<svg class=\"curve\"") {
		t.Fatalf("status %d, without its curve", played.status)
	}
	for _, link := range []string{"reason=disk_full", "procedure=urgence", "after=d-compta-03"} {
		if !strings.Contains(played.body, link) {
			t.Errorf("no link has %s: the question is lost on the way to a list", link)
		}
	}
	if all := v.get("/campaigns/rehearse?procedure=urgence&when=2026-02"); strings.Contains(all.body, `id="devices"`) {
		t.Error("devices are listed that nobody asked for")
	}
}
