package campaign_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/campaign"
	"patchring/internal/core/procedure"
)

func TestWhatAnIncidentStops(t *testing.T) {
	ring, item, all := campaign.PlaceHold{Ring: "R1"}, campaign.PlaceHold{Patch: "p"}, campaign.PlaceHold{}
	for name, c := range map[string]struct {
		response campaign.Response
		ask      campaign.Incident
		want     []campaign.PlaceHold
	}{
		"recorded":                   {campaign.RecordOnly, campaign.Incident{Severity: procedure.Minor, Ring: "R1", Patch: "p"}, nil},
		"major, a patch":             {campaign.PlacesHold, campaign.Incident{Severity: procedure.Major, Ring: "R1", Patch: "p"}, []campaign.PlaceHold{item}},
		"major, a ring":              {campaign.PlacesHold, campaign.Incident{Severity: procedure.Major, Ring: "R1"}, []campaign.PlaceHold{ring}},
		"major, neither":             {campaign.PlacesHold, campaign.Incident{Severity: procedure.Major}, []campaign.PlaceHold{all}},
		"critical, patch and ring":   {campaign.PlacesHold, campaign.Incident{Severity: procedure.Critical, Ring: "R1", Patch: "p"}, []campaign.PlaceHold{item, ring}},
		"rollback, patch and ring":   {campaign.RollsBackAll, campaign.Incident{Severity: procedure.Critical, Ring: "R1", Patch: "p"}, []campaign.PlaceHold{item, ring}},
		"rollback everywhere":        {campaign.RollsBackAll, campaign.Incident{Severity: procedure.Critical, Patch: "p"}, nil},
		"critical, a patch, no ring": {campaign.PlacesHold, campaign.Incident{Severity: procedure.Critical, Patch: "p"}, []campaign.PlaceHold{item}},
	} {
		if diff := cmp.Diff(c.want, campaign.HoldsFor(c.response, c.ask)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
