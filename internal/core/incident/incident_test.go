package incident_test

import (
	"testing"

	"pgregory.net/rapid"

	"patchring/internal/core/fault"
	"patchring/internal/core/incident"
)

func TestALife(t *testing.T) {
	i := incident.Incident{State: incident.Open}
	steps := []struct {
		say  incident.Say
		want incident.State
		code fault.Code
	}{
		{incident.Say{Act: incident.Reopen, Text: "again"}, incident.Open, fault.Conflict},
		{incident.Say{Act: incident.Close}, incident.Open, fault.InvalidField},
		{incident.Say{Act: incident.Correct, Cause: "the driver"}, incident.Open, fault.InvalidField},
		{incident.Say{Act: incident.Note, Text: "  "}, incident.Open, fault.InvalidField},
		{incident.Say{Act: incident.Correct, Cause: "the driver", Correction: "put back"}, incident.Corrected, ""},
		{incident.Say{Act: incident.Close}, incident.Closed, ""},
		{incident.Say{Act: incident.Note, Text: "the vendor answered"}, incident.Closed, ""},
		{incident.Say{Act: incident.Join, Text: "pc-2 too"}, incident.Closed, fault.Conflict},
		{incident.Say{Act: incident.Reopen}, incident.Closed, fault.ReasonRequired},
		{incident.Say{Act: incident.Reopen, Text: "it is back"}, incident.Open, ""},
		{incident.Say{Act: incident.Close, Correction: "a newer driver"}, incident.Closed, ""},
	}
	for n, s := range steps {
		got, err := incident.Apply(i, s.say)
		if (err == nil) != (s.code == "") || err != nil && fault.CodeOf(err) != s.code || got.State != s.want {
			t.Fatalf("step %d, %s: got %s and %v, want %s and %q", n, s.say.Act, got.State, err, s.want, s.code)
		}
		i = got
	}
	if i.Cause != "the driver" || i.Correction != "a newer driver" || i.Reopened != 1 {
		t.Errorf("got %+v", i)
	}
}

// Whatever is done in whatever order: nothing is corrected or closed without
// words, a refusal changes nothing, and only a reason opens again.
func TestNothingIsClosedWithoutCauseAndCorrection(t *testing.T) {
	texts := rapid.SampledFrom([]string{"", " ", "words"})
	rapid.Check(t, func(rt *rapid.T) {
		i := incident.Incident{State: incident.Open}
		for range rapid.IntRange(1, 20).Draw(rt, "acts") {
			say := incident.Say{
				Act:  rapid.SampledFrom(incident.Acts()).Draw(rt, "act"),
				Text: texts.Draw(rt, "text"), Cause: texts.Draw(rt, "cause"), Correction: texts.Draw(rt, "correction"),
			}
			got, err := incident.Apply(i, say)
			switch {
			case err != nil && got != i:
				rt.Fatalf("refused, and changed %+v to %+v", i, got)
			case got.State != incident.Open && (got.Cause == "" || got.Correction == ""):
				rt.Fatalf("%s without words: %+v", got.State, got)
			case i.State == incident.Closed && got.State != incident.Closed && (say.Act != incident.Reopen || say.Text != "words"):
				rt.Fatalf("%s opened it again: %+v", say.Act, say)
			case got.Reopened < i.Reopened:
				rt.Fatalf("reopened %d times, then %d", i.Reopened, got.Reopened)
			}
			i = got
		}
	})
}
