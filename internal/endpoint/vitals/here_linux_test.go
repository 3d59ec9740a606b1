package vitals

import (
	"encoding/json"
	"log/slog"
	"os"
	"testing"
	"time"

	"patchring/internal/endpoint/units"
	"patchring/wire"
)

// The device that the tests run on, whatever it is, has what every Linux has.
func TestThisDeviceIsMeasured(t *testing.T) {
	m := units.New()
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	began := time.Now()
	s := Here(m, func() time.Duration { return time.Since(began) }, func() (bool, bool) { return false, true }, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	s.Read(t.Context())
	r := s.Read(t.Context())
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", text)
	for _, always := range []wire.Measure{wire.MeasureMemory, wire.MeasurePorts, wire.MeasureFree, wire.MeasureUse} {
		if _, ok := r.Values[always]; !ok {
			t.Errorf("%s is absent", always)
		}
	}
}
