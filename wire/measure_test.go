package wire

import (
	"encoding/json"
	"testing"
)

// Frozen, as those before it.
func TestCapability5IsFrozen(t *testing.T) {
	frozen(t, map[string]any{"measures.5.json": new(MeasuresReport), "watch.5.json": new(Watch), "event.result.5.json": new(Event)})
}

// A device that measures everything says it in a few hundred bytes.
func TestASampleIsAFewHundredBytes(t *testing.T) {
	s := Sample{AtUS: 1773388860000000, Values: map[Measure]float64{}}
	for i, m := range Measures() {
		s.Values[m] = 12.25 + float64(i)
	}
	text, err := json.Marshal(MeasuresReport{NowUS: 1773388861000000, Sample: &s})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Values) != 17 || len(text) > 600 {
		t.Errorf("%d measures in %d bytes", len(s.Values), len(text))
	}
}
