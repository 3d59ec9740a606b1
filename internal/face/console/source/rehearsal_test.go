package source_test

import (
	"testing"

	"patchring/internal/core/campaign"
	"patchring/internal/face/console/page"
	"patchring/internal/face/lang"
)

func TestARehearsalIsPlayedOnceItIsChosen(t *testing.T) {
	s := newSite(t)
	asked, err := s.Rehearsal(t.Context(), viewer(lang.French), page.RehearsalQuery{})
	s.must(err)
	if asked.Played || len(asked.Procedures) == 0 || len(asked.Months) != 12 || asked.Months[0].Month() != s.now.Month() {
		t.Fatalf("before a choice: %+v", asked)
	}
	q := page.RehearsalQuery{Procedure: asked.Procedures[0], When: "2026-02"}
	got, err := s.Rehearsal(t.Context(), viewer(lang.French), q)
	s.must(err)
	if !got.Played || got.Title == "" || got.Version != 1 || got.Campaign != "2026-02" || got.Told.Devices == 0 || len(got.Fates) != 0 {
		t.Errorf("February: %+v", got)
	}
	q.When, q.Ring = "now", got.Told.Rings[0].Name
	listed, err := s.Rehearsal(t.Context(), viewer(lang.English), q)
	s.must(err)
	if listed.Campaign != "" || len(listed.Fates) != listed.Told.Rings[0].Devices || len(listed.Fates) == 0 {
		t.Errorf("now, with the devices of %s: %+v", q.Ring, listed.Fates)
	}
	q.Ring, q.Bucket = "", campaign.Exempt
	if none, err := s.Rehearsal(t.Context(), viewer(lang.English), q); err != nil || len(none.Fates) != none.Told.Judged.Exempt {
		t.Errorf("exempt: %+v, %v", none.Fates, err)
	}
}
