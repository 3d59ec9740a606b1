package ui

import (
	"strings"
	"testing"
	"time"
)

func TestAPlotHasItsGaps(t *testing.T) {
	from := time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC)
	at := func(hours ...int) (out []PlotPoint) {
		for _, h := range hours {
			out = append(out, PlotPoint{At: from.Add(time.Duration(h) * time.Hour), Step: time.Hour, Low: 1, Value: 2, High: 4})
		}
		return out
	}
	p := Plot{From: from, To: from.Add(8 * time.Hour), Lines: []PlotLine{{Points: at(0, 1, 2, 5, 7)}}}
	line := p.line(p.Lines[0])
	if strings.Count(line, "M") != 3 || strings.Count(line, "L") != 2 || !strings.HasPrefix(line, "M25.00 50.00L75.00 50.00") || strings.Count(line, "h0.01") != 2 {
		t.Errorf("drew %s", line)
	}
	if around := p.around(p.Lines[0]); strings.Count(around, "Z") != 3 || !strings.Contains(around, "M25.00 0.00") {
		t.Errorf("drew around it %s", around)
	}
}

func TestAPlotBeginsAtZeroUnlessNothingWouldBeSeen(t *testing.T) {
	for _, tt := range []struct{ low, high, bottom, top float64 }{{10, 30, 0, 30}, {90, 95, 90, 95}, {0, 0, 0, 1}, {5, 5, 0, 5}} {
		p := Plot{Lines: []PlotLine{{Points: []PlotPoint{{Low: tt.low, High: tt.high}}}}}
		if bottom, top := p.Ends(); bottom != tt.bottom || top != tt.top {
			t.Errorf("of %g to %g: %g to %g", tt.low, tt.high, bottom, top)
		}
	}
	if bottom, top := (Plot{}).Ends(); bottom != 0 || top != 1 {
		t.Errorf("of nothing: %g to %g", bottom, top)
	}
}
