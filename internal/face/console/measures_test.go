package console

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"patchring/internal/face/console/page"
	"patchring/internal/face/console/source"
	"patchring/internal/face/console/stories"
)

func (s *storyteller) Measures(_ context.Context, _ source.Viewer, _ string, days int) (page.Measures, error) {
	return stories.Measures(days), nil
}

func (s *storyteller) CampaignMeasures(_ context.Context, _ source.Viewer, _, ring string) (page.CampaignMeasures, error) {
	out := stories.CampaignMeasures()
	out.Ring = ring
	return out, nil
}

func (s *storyteller) Probes(_ context.Context, _ source.Viewer, q page.ProbeQuery) (page.Probes, error) {
	out := stories.Probes()
	out.Query = q
	return out, nil
}

func TestMeasuresAndProbesAreShown(t *testing.T) {
	v := newWorld(t).as(t, "audit")
	for path, wants := range map[string][]string{
		"/devices/d-1/measures":             {`class="plot-area"`, `class="mark"`, "Processor", "41.3%", "cups.service", "/probes?probe=paie"},
		"/devices/d-1/measures?days=7":      {`days=7" aria-current="page"`},
		"/campaigns/c-1/measures?ring=R0":   {`class="band"`, "Not yet patched", `ring=R0" aria-current="page"`},
		"/probes":                           {"https://intranet.exemple.fr/health", "No policy in force defines it any more", "/probes?probe=intranet&amp;state=down"},
		"/probes?probe=intranet&state=down": {"compta-17", `state=down" aria-current="page"`},
	} {
		got := v.get(path)
		if got.status != http.StatusOK {
			t.Errorf("%s: status %d: %s", path, got.status, got.body)
		}
		for _, want := range wants {
			if !strings.Contains(got.body, want) {
				t.Errorf("%s lacks %q", path, want)
			}
		}
	}
	if got := v.get("/devices/d-1/measures?days=3"); got.status == http.StatusOK {
		t.Error("three days are no choice")
	}
}
