package watch

import (
	"math"
	"strconv"
	"time"

	"patchring/internal/core/alert"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

func fromRow(r gen.Alert) alert.Alert {
	return alert.Alert{
		State: alert.State(r.State), Since: store.Instant(r.SinceUs), Last: store.Instant(r.LastUs), Episode: store.Instant(r.EpisodeUs), Told: store.Instant(r.ToldUs),
		Escalated: r.Escalated == 1, Quiet: r.Quiet == 1, Value: units(r.Value), Worst: units(r.Worst), Known: units(r.Known),
	}
}

func toRow(r *gen.Alert, a alert.Alert) {
	r.State, r.SinceUs, r.LastUs, r.EpisodeUs, r.ToldUs = string(a.State), micros(a.Since), micros(a.Last), micros(a.Episode), micros(a.Told)
	r.Escalated, r.Quiet, r.Value, r.Worst, r.Known = flag(a.Escalated), flag(a.Quiet), milli(a.Value), milli(a.Worst), milli(a.Known)
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// milli keeps a value in thousandths. A hostile device can send anything, so
// what is no number is kept as zero and the others within what fits.
func milli(v float64) int64 {
	if math.IsNaN(v) {
		return 0
	}
	return int64(math.Round(max(-1e15, min(1e15, v*1000))))
}

func units(n int64) float64 { return float64(n) / 1000 }

// decimal writes a value for the register, which knows no fractions.
func decimal(n int64) string { return strconv.FormatFloat(units(n), 'f', -1, 64) }
