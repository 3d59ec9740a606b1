package page

import (
	"math"
	"strconv"

	"patchring/internal/core/health"
	"patchring/internal/face/console/ui"
	"patchring/internal/infra/view"
)

// GateProof is what the gates of a campaign are decided on.
type GateProof struct {
	view.CampaignEvidence
	Title string
}

// Heading names the page.
func (p GateProof) Heading() string { return p.Title }

// answered is what a gate said last, or what its ring waits for.
func answered(r view.RingEvidence) view.GateEvaluation {
	if len(r.Evaluations) > 0 {
		return r.Evaluations[0]
	}
	return view.GateEvaluation{Verdict: r.Verdict, Evidence: r.Evidence, Reasons: r.Reasons}
}

func ofHealth(v health.Verdict) ui.Tone {
	switch v {
	case health.Worse:
		return ui.Bad
	case health.Insufficient:
		return ui.Idle
	default:
		return ui.Good
	}
}

// interval is a finding as it is drawn: the effect and its interval, in units of
// what matters, on a line from -3 to 3. What reaches further is cut.
type interval struct{ effect, low, high float64 }

const (
	farthest  = 3.0
	plotWidth = 240.0
)

func intervalOf(f health.Finding) (interval, bool) {
	scaled := func(v float64) float64 { return v / f.Matters }
	if f.Ratio && !f.Share {
		scaled = func(v float64) float64 { return math.Log(v) / math.Log(f.Matters) }
	}
	i := interval{scaled(f.Effect), scaled(f.Low), scaled(f.High)}
	if f.Matters == 0 || f.Level == 0 || math.IsNaN(i.effect) || math.IsInf(i.effect, 0) {
		return interval{}, false // it was not asked
	}
	return i, true
}

// x is where a value is on the line.
func x(v float64) string {
	v = min(farthest, max(-farthest, v))
	return strconv.FormatFloat(plotWidth/2*(1+v/farthest), 'f', 1, 64)
}

func span(from, to float64) string {
	from, to = max(-farthest, from), min(farthest, to)
	return strconv.FormatFloat(max(1, plotWidth/2*(to-from)/farthest), 'f', 1, 64)
}

// stopped is one kind of devices on which a service stopped; ok is false where
// there is none.
func stopped(f ui.Frame, key string, s health.Stopped) (text string, ok bool) {
	text = f.T("proof.service_"+key, "down", f.Number(int64(s.Down)), "patched", f.Number(int64(s.Patched)),
		"others_down", f.Number(int64(s.OthersDown)), "others", f.Number(int64(s.Others)))
	return text, s.Down > 0
}

// unproved says why a device is not proven yet.
func unproved(f ui.Frame, d view.UnprovenDevice) string {
	switch {
	case d.ProbesDown > 0:
		return f.T("proof.probes", "count", f.Number(d.ProbesDown))
	case d.Stopped > 0:
		return f.T("proof.stopped", "count", f.Number(d.Stopped))
	case d.UseHours < 0:
		return f.T("proof.unmeasured")
	default:
		return f.T("proof.used", "hours", f.Decimal(d.UseHours))
	}
}
