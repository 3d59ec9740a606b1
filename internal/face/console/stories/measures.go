package stories

import (
	"math"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/face/console/page"
	"patchring/internal/infra/view"
	"patchring/internal/service/sampler"
	"patchring/wire"
)

// Measures are those of a workstation that was off at night, and whose processor
// has worked more since an install.
func Measures(days int) page.Measures {
	from := Now.Add(-time.Duration(days) * 24 * time.Hour)
	m := view.Measured{
		Device: view.DeviceRef{ID: "d-1", Name: "compta-17"}, From: from, To: Now,
		Sample: &view.LastSample{At: Now.Add(-20 * time.Second), Values: map[wire.Measure]float64{wire.MeasureCPU: 41.3, wire.MeasureMemory: 63, wire.MeasureFree: 18.5}, Down: []string{"cups.service", "bluetooth.service"}},
		Installs: []view.Install{
			{Kind: wire.OrderInstall, Campaign: "c-1", Name: "2026-01", Ended: at(14, 19, 12)}, {Kind: wire.OrderReboot, Ended: at(14, 19, 15)},
		},
		Probes: []view.ProbeRow{
			{Name: "intranet", State: fleet.ProbeUp, Since: at(13, 8, 2)},
			{Name: "paie", State: fleet.ProbeDown, Since: at(15, 9, 31), Cause: &fault.Reason{Code: fault.DeviceUnreachable, Args: map[string]string{"since": "2026-01-15T08:31:00Z"}}},
			{Name: "certificat", State: fleet.ProbeUnknown, Since: at(15, 10, 40)},
		},
	}
	for i, name := range []wire.Measure{wire.MeasureCPU, wire.MeasureMemory, wire.MeasureDisk, wire.MeasureFree, wire.MeasureBoot, wire.MeasureErrors, wire.MeasureUse} {
		s := view.MeasureSeries{Measure: name}
		for t := from; t.Before(Now); t = t.Add(5 * time.Minute) {
			if hour := t.UTC().Hour(); hour >= 20 || hour < 6 {
				continue
			}
			v := float64(10+8*i) + 4*math.Sin(float64(t.Unix())/3000) + 2*math.Sin(float64(t.Unix())/470)
			if name == wire.MeasureCPU && t.After(at(14, 19, 12)) {
				v += 27
			}
			s.Points = append(s.Points, view.MeasurePoint{At: t, Seconds: 300, Samples: 5, Mean: v, Worst: v + 6})
		}
		m.Measures = append(m.Measures, s)
	}
	return page.Measures{Measured: m, Days: days}
}

// NoMeasures is a device that has sent none.
func NoMeasures() page.Measures {
	return page.Measures{Days: 7, Measured: view.Measured{Device: view.DeviceRef{ID: "d-2", Name: "rh-09"}}}
}

// CampaignMeasures are those of a campaign whose pilots work harder since.
func CampaignMeasures() page.CampaignMeasures {
	begun := at(13, 12, 5)
	from := begun.Add(-48 * time.Hour)
	m := view.CampaignMeasures{Campaign: "c-1", Ring: "R0", From: from, To: Now, Patched: 12, Waiting: 398, Read: 312, Begun: begun, Ended: at(13, 13, 40)}
	for i, name := range []wire.Measure{wire.MeasureCPU, wire.MeasureMemory, wire.MeasureDisk, wire.MeasureErrors} {
		var s view.CompareSeries
		s.Measure = name
		for t := from.Truncate(time.Hour); t.Before(Now); t = t.Add(time.Hour) {
			v := float64(14+9*i) + 5*math.Sin(float64(t.Hour())/4)
			s.Waiting = append(s.Waiting, view.Quartiles{At: t, Devices: 300, Low: v - 3, Median: v, High: v + 4})
			if t.After(begun) {
				if name == wire.MeasureCPU {
					v += 25
				}
				s.Patched = append(s.Patched, view.Quartiles{At: t, Devices: 12, Low: v - 2, Median: v + 1, High: v + 5})
			}
		}
		m.Measures = append(m.Measures, s)
	}
	return page.CampaignMeasures{CampaignMeasures: m, ID: "c-1", Title: "2026-01", Rings: []string{"R0", "R1", "GLOBAL"}}
}

// Probes are those of a fleet, one of them in full.
func Probes() page.Probes {
	device := func(id fleet.DeviceID, name string) view.DeviceRef { return view.DeviceRef{ID: id, Name: name} }
	return page.Probes{
		Query: page.ProbeQuery{Name: "intranet"},
		Sums: []view.ProbeSum{
			{Name: "ancienne", Devices: 3, Unknown: 3},
			{Name: "certificat", Devices: 12, Up: 11, Down: 1},
			{Name: "intranet", Devices: 1240, Up: 1196, Down: 4, Unknown: 31, TooOld: 7, Vetoed: 2},
		},
		Defined: []sampler.Defined{
			{Probe: wire.Probe{Name: "certificat", Type: wire.ProbeCertificate, Target: "www.exemple.fr:443", EveryS: 21600, MinDays: 21}, Devices: `device.kind == "server"`},
			{Probe: wire.Probe{Name: "intranet", Type: wire.ProbeHTTP, Target: "https://intranet.exemple.fr/health", Status: 200, Contains: "prêt", EveryS: 60}, Provider: true},
		},
		Rows: []view.ProbeRow{
			{Device: device("d-1", "compta-17"), Name: "intranet", State: fleet.ProbeDown, Since: at(15, 9, 31), Cause: &fault.Reason{Code: fault.DeviceUnreachable, Args: map[string]string{"since": "2026-01-15T08:31:00Z"}}},
			{Device: device("d-2", "rh-09"), Name: "intranet", State: fleet.ProbeTooOld, Since: at(12, 8, 0)},
			{Device: device("d-3", "srv-paie"), Name: "intranet", State: fleet.ProbeUp, Since: at(10, 7, 15)},
		},
		Next: "x",
	}
}
