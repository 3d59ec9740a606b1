package ui

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"patchring/internal/core/campaign"
	"patchring/internal/face/lang"
)

func TestNothingThatIsThereIsInvisible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		counts := rapid.SliceOfN(rapid.Int64Range(0, 200_000), 5, 5).Draw(t, "counts")
		parts := make([]Part, len(counts))
		present, total := 0, int64(0)
		for i, n := range counts {
			parts[i] = Part{OfBucket(Buckets[i]), n}
			total += n
			if n > 0 {
				present++
			}
		}
		slices := Divide(parts)
		if len(slices) != present {
			t.Fatalf("%d slices of %v, want %d", len(slices), counts, present)
		}
		at := 0.0
		for _, s := range slices {
			if s.Width < sliver-0.001 {
				t.Fatalf("a slice of %v is %.3f wide", counts, s.Width)
			}
			if math.Abs(s.Start-at) > 0.001 {
				t.Fatalf("a slice of %v starts at %.3f, the one before ends at %.3f", counts, s.Start, at)
			}
			at += s.Width
		}
		if total > 0 && math.Abs(at-100) > 0.001 {
			t.Fatalf("the slices of %v fill %.3f, want 100", counts, at)
		}
	})
}

func TestTheFiveNumbersAreSpoken(t *testing.T) {
	f := Frame{Words: lang.For("fr")}
	got := Spoken(f, campaign.Counters{Done: 1200, Failed: 3, NotReached: 4, Unreachable: 5, Exempt: 6})
	want := "terminés\u00a0: 1\u202f200, en échec\u00a0: 3, non atteints\u00a0: 4, injoignables\u00a0: 5 et en dérogation\u00a0: 6"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAddressesEscapeWhatNamesHold(t *testing.T) {
	if got, want := Path("devices", "a/b?c#d"), "/devices/a%2Fb%3Fc%23d"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := With("/devices", "name", "a&b", "kind", ""), "/devices?name=a%26b"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestInitials(t *testing.T) {
	for name, want := range map[string]string{"admin": "A", "exploitation": "E", "jean.dupont": "JD", "équipe de nuit": "ÉN", "": ""} {
		if got := initials(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}
