package lang

import (
	"math"
	"strconv"
	"strings"
	"time"

	"patchring/wire"
)

// Measured writes a value of a measure with its unit: "12,5 %", "31 s", "oui".
func (w Words) Measured(m wire.Measure, v float64) string {
	switch m {
	case wire.MeasureBoot, wire.MeasureLogin:
		return w.Duration(time.Duration(v * float64(time.Second)).Round(time.Second))
	case wire.MeasureDisk, wire.MeasureClock:
		return w.tenths(v) + noBreak + w.T("unit.millisecond")
	case wire.MeasureUnsynced, wire.MeasureUnguarded:
		if v == 0 {
			return w.T("measure.no")
		}
		if v == 1 {
			return w.T("measure.yes")
		}
	case wire.MeasureLoad:
		return w.locale.FmtNumber(v, 2)
	}
	if strings.HasSuffix(string(m), "_percent") {
		return w.Percent(math.Round(v*10) / 10)
	}
	return w.tenths(v)
}

// ofMeasure is a value that comes with the name of its measure: "cpu_percent 99".
func (w Words) ofMeasure(value string) string {
	name, number, _ := strings.Cut(value, " ")
	v, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return value
	}
	return w.Measured(wire.Measure(name), v)
}

// tenths writes a number with one decimal where it has some.
func (w Words) tenths(v float64) string {
	if v = math.Round(v*10) / 10; v == math.Trunc(v) {
		return w.Number(int64(v))
	}
	return w.Decimal(v)
}

// Probe says what a probe looks at, and how often.
func (w Words) Probe(p wire.Probe) string {
	line := w.Word(ProbeType, string(p.Type)) + " " + p.Target
	if p.Status > 0 {
		line += ", " + w.T("probe.status", "status", w.Number(int64(p.Status)))
	}
	if p.Contains != "" {
		line += ", " + w.T("probe.contains", "text", p.Contains)
	}
	if p.Type == wire.ProbeCertificate {
		line += ", " + w.N("probe.min_days", int64(p.MinDays))
	}
	return line + ", " + w.T("probe.every", "every", w.Duration(time.Duration(p.EveryS)*time.Second))
}
