package server_test

import (
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/service/survey"
	"patchring/wire"
)

// A device tells its facts after the table was imported: it is judged when they
// arrive, and never compliant once its system has ended.
func TestFactsAreJudgedByTheTableWhenTheyArrive(t *testing.T) {
	w := newWorld(t, time.Date(2026, 7, 1, 9, 0, 0, 0, paris))
	d := w.device("old", fleet.Workstation, "it-pilots", versions("1"), versions("1"))
	_, err := w.srv.Survey.Import(t.Context(), "main", w.by, survey.ImportAsk{Product: "debian", File: "debian.json", Text: []byte(`[{"cycle":"12","eol":"2026-06-30"}]`)})
	w.must(err)
	part, err := wire.Pack(wire.PartFacts, w.now.UnixMicro(), wire.Facts{Hostname: "old", OS: wire.OS{ID: "debian", Version: "12.9"}})
	w.must(err)
	part.NowUS = w.now.UnixMicro()
	if reply := report[wire.PartReply](w, d, wire.ReportPart, part); reply.Error != nil {
		t.Fatal(reply.Error)
	}
	w.scan(d)
	w.deliver(d)
	got, err := w.srv.View.Device(t.Context(), "main", d.id)
	w.must(err)
	if got.State != fleet.NotReady || got.Reason == nil || got.Reason.Code != fault.SystemEnded {
		t.Errorf("it is %s because of %v, want not_ready: its system has ended", got.State, got.Reason)
	}
}
