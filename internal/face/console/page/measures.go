package page

import (
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/face/console/ui"
	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
	"patchring/internal/service/sampler"
	"patchring/wire"
)

// Measures are those of one device.
type Measures struct {
	view.Measured
	Days int // that are shown
}

// Spans are the times that one can look at, in days, with their words.
var Spans = []struct {
	Days int
	Word string
}{{1, "measures.last_day"}, {7, "measures.last_week"}, {35, "measures.last_weeks"}}

// Heading is the page's title.
func (v Measures) Heading() string { return v.Device.Name }

func measuresPath(device fleet.DeviceID) string {
	return ui.Path("devices", string(device), "measures")
}

func (v Measures) plot(f ui.Frame, s view.MeasureSeries) ui.Plot {
	p := ui.Plot{Label: f.Word(lang.Measure, string(s.Measure)), From: v.From, To: v.To, Say: sayer(f, s.Measure)}
	line := ui.PlotLine{Tone: ui.Busy}
	for _, m := range s.Points {
		line.Points = append(line.Points, ui.PlotPoint{
			At: m.At, Step: time.Duration(m.Seconds) * time.Second, Low: min(m.Mean, m.Worst), Value: m.Mean, High: max(m.Mean, m.Worst),
		})
	}
	p.Lines = []ui.PlotLine{line}
	for _, i := range v.Installs {
		p.Marks = append(p.Marks, i.Ended)
	}
	return p
}

func sayer(f ui.Frame, m wire.Measure) func(float64) string {
	return func(v float64) string { return f.Measured(m, v) }
}

// last is the value of the last sample, or else of the last point.
func (v Measures) last(f ui.Frame, s view.MeasureSeries) string {
	if v.Sample != nil {
		if value, known := v.Sample.Values[s.Measure]; known {
			return f.Measured(s.Measure, value)
		}
	}
	return f.Measured(s.Measure, s.Points[len(s.Points)-1].Mean)
}

// CampaignMeasures compare the patched devices of a campaign with the others.
type CampaignMeasures struct {
	view.CampaignMeasures
	ID    string
	Title string
	Rings []string
}

// Heading is the page's title.
func (v CampaignMeasures) Heading() string { return v.Title }

func (v CampaignMeasures) path(ring string) string {
	return ui.With(campaignPath(v.ID, "measures"), "ring", ring)
}

func (v CampaignMeasures) plot(f ui.Frame, s view.CompareSeries) ui.Plot {
	p := ui.Plot{Label: f.Word(lang.Measure, string(s.Measure)), From: v.From, To: v.To, Band: [2]time.Time{v.Begun, v.Ended}, Say: sayer(f, s.Measure)}
	for _, side := range []struct {
		tone ui.Tone
		list []view.Quartiles
	}{{ui.Idle, s.Waiting}, {ui.Busy, s.Patched}} {
		line := ui.PlotLine{Tone: side.tone}
		for _, q := range side.list {
			line.Points = append(line.Points, ui.PlotPoint{At: q.At, Step: time.Hour, Low: q.Low, Value: q.Median, High: q.High})
		}
		p.Lines = append(p.Lines, line)
	}
	return p
}

// Probes are all of them, or one with its devices.
type Probes struct {
	Query   ProbeQuery
	Sums    []view.ProbeSum
	Defined []sampler.Defined // by their names
	Rows    []view.ProbeRow
	Next    string
}

// ProbeQuery chooses a probe and its devices.
type ProbeQuery struct {
	Name  string // empty: the list of probes
	State string
	After string
}

func probePath(name, state string) string { return ui.With("/probes", "probe", name, "state", state) }

func (v Probes) first() string {
	return firstPage(v.Query.After, "/probes", "probe", v.Query.Name, "state", v.Query.State)
}

func (v Probes) next() string {
	return nextPage(v.Next, "/probes", "probe", v.Query.Name, "state", v.Query.State)
}

func (v Probes) of(name string) (out []sampler.Defined) {
	for _, d := range v.Defined {
		if d.Name == name {
			out = append(out, d)
		}
	}
	return out
}

func probeTone(s fleet.ProbeState) ui.Tone {
	switch s {
	case fleet.ProbeUp:
		return ui.Good
	case fleet.ProbeDown:
		return ui.Bad
	case fleet.ProbeTooOld:
		return ui.Warn
	default:
		return ui.Idle
	}
}

// measured are the device's own measures.
func (d Device) measured() Measures {
	m := d.Measures
	m.Device = view.DeviceRef{ID: fleet.DeviceID(d.ID), Name: d.Name}
	return m
}
