package api_test

import (
	"net/http"
	"testing"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/face/api"
	"patchring/internal/service/foresight"
)

func TestARehearsalTellsAndWritesNothing(t *testing.T) {
	s := newSite(t)
	s.device("01900000-0000-7000-8000-000000000001", "pc-1")
	s.device("01900000-0000-7000-8000-000000000002", "pc-2")
	s.applyExample()
	before, err := s.db.Read().RegisterHead(t.Context(), "main")
	if err != nil {
		t.Fatal(err)
	}
	got := decode[foresight.Rehearsal](t, s.post("/campaigns/rehearse", api.Rehearse{Procedure: "postes-france", Month: "2026-02", Limit: 1}))
	if got.Devices != 2 || got.Campaign != "2026-02" || got.Zone != "Europe/Paris" || got.Version != 1 || len(got.Rings) != 3 {
		t.Errorf("told %+v", got)
	}
	if len(got.Fates) != 1 || got.Fates[0].Name != "pc-1" || got.Next == "" || got.Fates[0].Bucket != campaign.NotReached {
		t.Errorf("listed %+v, next %q", got.Fates, got.Next)
	}
	rest := decode[foresight.Rehearsal](t, s.post("/campaigns/rehearse", api.Rehearse{Procedure: "postes-france", Month: "2026-02", Limit: 1, Cursor: got.Next}))
	if len(rest.Fates) != 1 || rest.Fates[0].Name != "pc-2" || rest.Next != "" {
		t.Errorf("listed %+v, next %q", rest.Fates, rest.Next)
	}
	after, err := s.db.Read().RegisterHead(t.Context(), "main")
	if err != nil || after.Size != before.Size {
		t.Errorf("the register grew from %d to %d, %v", before.Size, after.Size, err)
	}
	if open, err := s.db.Read().OpenCampaigns(t.Context(), "main"); err != nil || len(open) != 0 {
		t.Errorf("%d campaigns, %v", len(open), err)
	}
}

func TestWhatCannotBeRehearsedIsRefused(t *testing.T) {
	s := newSite(t)
	s.applyExample()
	for what, in := range map[string]api.Rehearse{
		"no date":                     {Procedure: "postes-france"},
		"two dates":                   {Procedure: "postes-france", Month: "2026-02", Now: true},
		"no procedure":                {Now: true},
		"two procedures":              {Procedure: "postes-france", Text: "procedure: x", Now: true},
		"a month that is over":        {Procedure: "postes-france", Month: "2025-02"},
		"a file that is no procedure": {File: "p.yaml", Text: "colour: red", Now: true},
		"a file that is no policy":    {Procedure: "postes-france", Now: true, PolicyFile: "p.yaml", PolicyText: "colour: red"},
	} {
		s.wantProblem(what, s.post("/campaigns/rehearse", in), http.StatusUnprocessableEntity, fault.InvalidField)
	}
	s.wantProblem("a name that nobody has", s.post("/campaigns/rehearse", api.Rehearse{Procedure: "nothing", Now: true}), http.StatusNotFound, fault.NotFound)
}
