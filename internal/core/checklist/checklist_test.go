package checklist_test

import (
	"testing"

	"pgregory.net/rapid"

	"patchring/internal/core/checklist"
	"patchring/internal/core/manifest"
	"patchring/internal/core/procedure"
)

func rules() []procedure.TestRule {
	return []procedure.TestRule{
		{Name: "office", Items: []manifest.Text{{EN: "print"}, {EN: "save"}}, Assigned: "it"},
		{Name: "net", Probe: "intranet"},
	}
}

func TestWhatTestsAmountTo(t *testing.T) {
	red := func(procedure.TestRule) checklist.Reading { return checklist.Reading{Green: 4, Red: 1} }
	got := checklist.Weigh(rules(), []checklist.Result{
		{Test: "office", Item: 1, State: checklist.OK, Actor: "user:ann"}, {Test: "office", Item: 7, State: checklist.Failed}, {Test: "gone", State: checklist.Failed},
	}, red)
	if len(got) != 2 || got[0].Items[0].State != checklist.Open || got[0].Items[1].Actor != "user:ann" || got[0].Items[1].Text.EN != "save" {
		t.Fatalf("got %+v", got)
	}
	if sum := checklist.Sum(got); sum != (checklist.Tally{OK: 1, Open: 1, Failed: 1}) {
		t.Errorf("got %+v, want one of each: what the procedure does not have counts for nothing", sum)
	}
}

func TestAProbeThatSaysNothingIsNoPass(t *testing.T) {
	for reading, want := range map[checklist.Reading]checklist.State{
		{}: checklist.Open, {Unknown: 3}: checklist.Open, {Green: 3, Unknown: 1}: checklist.Open, {Green: 3}: checklist.OK, {Green: 3, Red: 1, Unknown: 1}: checklist.Failed,
	} {
		if got := reading.State(); got != want {
			t.Errorf("%+v: %s, want %s", reading, got, want)
		}
	}
}

// Whatever is said, every item of the rules counts once, and only an item that
// was said to be ok is.
func TestEveryItemCountsOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		reading := checklist.Reading{Green: rapid.IntRange(0, 2).Draw(rt, "green"), Red: rapid.IntRange(0, 1).Draw(rt, "red"), Unknown: rapid.IntRange(0, 1).Draw(rt, "unknown")}
		var results []checklist.Result
		ok := map[int]bool{}
		for range rapid.IntRange(0, 8).Draw(rt, "n") {
			r := checklist.Result{
				Test: rapid.SampledFrom([]string{"office", "net", "other"}).Draw(rt, "test"), Item: rapid.IntRange(-1, 3).Draw(rt, "item"),
				State: rapid.SampledFrom([]checklist.State{checklist.OK, checklist.Failed}).Draw(rt, "state"),
			}
			results = append(results, r)
			if r.Test == "office" && r.Item >= 0 && r.Item < 2 {
				ok[r.Item] = r.State == checklist.OK
			}
		}
		sum := checklist.Sum(checklist.Weigh(rules(), results, func(procedure.TestRule) checklist.Reading { return reading }))
		want := 0
		for _, is := range ok {
			if is {
				want++
			}
		}
		if reading.Green > 0 && reading.Red == 0 && reading.Unknown == 0 {
			want++
		}
		if sum.Total() != 3 || sum.OK != want {
			rt.Fatalf("got %+v, want 3 in all and %d ok", sum, want)
		}
	})
}
