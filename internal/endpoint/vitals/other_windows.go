package vitals

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"

	"patchring/internal/endpoint/units"
	"patchring/wire"
)

// guardServices are security agents by the name of their service. Where another
// one is installed Windows itself stops WinDefend, so that one is not among them.
var guardServices = []string{
	"CSFalconService", "SentinelAgent", "WazuhSvc", "CbDefense", "CarbonBlack", "Sense", "ekrn", "SAVService", "Sophos Endpoint Defense Service",
	"ds_agent", "ntrtscan", "mfefire", "xagt", "cyserver", "Elastic Agent", "hurukai", "AVP", "EPSecurityService", "fsulhoster",
}

func (h *host) system() []source {
	return []source{{"system log", h.errors}, {"crashes", h.crashes}, {"clock", h.clock}, {"boot", h.boot}}
}

const (
	logEvery   = 5 * time.Minute
	logTimeout = 30 * time.Second
)

// events counts the events of a log that fit, of the last so many milliseconds.
func events(ctx context.Context, log, which string, last time.Duration) (n int, err error) {
	query := fmt.Sprintf("*[System[%s and TimeCreated[timediff(@SystemTime) <= %d]]]", which, last.Milliseconds())
	err = units.Lines(ctx, units.Question{
		Name: "wevtutil", Args: []string{"qe", log, "/q:" + query, "/c:20000", "/f:xml"}, Timeout: logTimeout,
	}, func(line []byte) error {
		n += bytes.Count(line, []byte("<Event "))
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("read the log %s: %w", log, err)
	}
	return n, nil
}

// errors is the rate of the lines of the system's log that are errors or worse.
func (h *host) errors(ctx context.Context, r *Reading) error {
	h.log.every = logEvery
	return h.log.read(h.uptime(), r, func() (map[wire.Measure]float64, error) {
		n, err := events(ctx, "System", "(Level=1 or Level=2)", logEvery)
		if err != nil {
			return nil, err
		}
		return map[wire.Measure]float64{wire.MeasureErrors: float64(n) / logEvery.Minutes()}, nil
	})
}

// crashes are those that Windows wrote down as such: each in one sample only.
func (h *host) crashes(ctx context.Context, r *Reading) error {
	h.crashed.every = logEvery
	h.crashed.last = nil
	return h.crashed.read(h.uptime(), r, func() (map[wire.Measure]float64, error) {
		n, err := events(ctx, "Application", "Provider[@Name='Application Error'] and EventID=1000", logEvery)
		if err != nil {
			return nil, err
		}
		return map[wire.Measure]float64{wire.MeasureCrashes: float64(n)}, nil
	})
}

// clock: nothing but the time service itself knows the offset.
func (h *host) clock(ctx context.Context, r *Reading) error {
	state, err := h.units.State(ctx, "W32Time")
	if err != nil {
		return err
	}
	r.Values[wire.MeasureUnsynced] = 1
	if state == "running" {
		r.Values[wire.MeasureUnsynced] = 0
	}
	return nil
}

// boot is what Windows measured of its last start, in milliseconds, until the
// desktop was to be had.
func (h *host) boot(ctx context.Context, r *Reading) error {
	h.booted.every = bootEvery
	return h.booted.read(h.uptime(), r, func() (map[wire.Measure]float64, error) {
		var took float64
		err := units.Lines(ctx, units.Question{
			Name: "wevtutil", Timeout: logTimeout,
			Args: []string{"qe", "Microsoft-Windows-Diagnostics-Performance/Operational", "/q:*[System[EventID=100]]", "/c:1", "/rd:true", "/f:xml"},
		}, func(line []byte) error {
			if _, rest, ok := bytes.Cut(line, []byte("Name='BootTime'>")); ok {
				text, _, _ := bytes.Cut(rest, []byte("<"))
				ms, err := strconv.ParseFloat(string(text), 64)
				if err != nil {
					return fmt.Errorf("read boot time: %w", err)
				}
				took = ms / 1000
			}
			return nil
		})
		if err != nil || took == 0 {
			return nil, err
		}
		return map[wire.Measure]float64{wire.MeasureBoot: took}, nil
	})
}

const bootEvery = 6 * time.Hour
