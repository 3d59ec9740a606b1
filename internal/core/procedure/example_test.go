package procedure_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"patchring/internal/core/procedure"
)

func example(t *testing.T, name string) procedure.Procedure {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "examples", "procedures", name))
	if err != nil {
		t.Fatal(err)
	}
	p, err := procedure.Parse(name, text)
	if err != nil {
		t.Fatalf("the example is refused:\n%v", err)
	}
	return p
}

func TestTheMissionsScheduleOfJanuary2026(t *testing.T) {
	s := example(t, "postes-france.yaml").Schedule(2026, time.January)
	want := []struct{ ring, opens, closes string }{
		{"R0", "2026-01-13T19:00:00+01:00", "2026-01-14T23:59:00+01:00"},
		{"R1", "2026-01-15T00:00:00+01:00", "2026-01-20T09:00:00+01:00"},
		{"GLOBAL", "2026-01-20T09:00:00+01:00", "2026-01-22T09:00:00+01:00"},
	}
	if s.Campaign != "2026-01" || s.PatchTuesday.String() != "2026-01-13" || s.VerificationDate().String() != "2026-01-22" {
		t.Errorf("got campaign %s, Patch Tuesday %s, verification %s", s.Campaign, s.PatchTuesday, s.VerificationDate())
	}
	if len(s.Rings) != len(want) {
		t.Fatalf("got %d rings, want %d", len(s.Rings), len(want))
	}
	for i, w := range want {
		got := s.Rings[i]
		if got.Ring != w.ring || got.Opens.Format(time.RFC3339) != w.opens || got.Closes.Format(time.RFC3339) != w.closes {
			t.Errorf("ring %d: got %s %s – %s, want %+v", i, got.Ring, got.Opens.Format(time.RFC3339), got.Closes.Format(time.RFC3339), w)
		}
	}
}
