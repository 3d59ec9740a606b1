package view

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/series"
	"patchring/wire"
)

// A device counts with those not yet patched until its own install, with nobody
// in the hour of it, and with the patched ones after.
func TestADeviceComparesOnOneSideAtATime(t *testing.T) {
	start := time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC)
	devices := []comparedDevice{{id: "early", patchedUS: start.Add(90 * time.Minute).UnixMicro()}, {id: "never"}}
	kept := map[fleet.DeviceID]series.Series{}
	for i, d := range devices {
		var list []series.Slot
		for h := range 4 {
			list = append(list, series.Slot{AtUS: start.Add(time.Duration(h) * time.Hour).UnixMicro(), StepS: 3600, N: 60, Mean: float64(100*i + h)})
		}
		kept[fleet.DeviceID(d.id)] = series.Series{wire.MeasureCPU: list}
	}
	got := compare(devices, kept)
	if len(got) != 1 || got[0].Measure != wire.MeasureCPU {
		t.Fatalf("compared %+v", got)
	}
	say := func(list []Quartiles) (out []string) {
		for _, q := range list {
			out = append(out, fmt.Sprintf("%dh %d: %g %g %g", q.At.Hour(), q.Devices, q.Low, q.Median, q.High))
		}
		return out
	}
	if want := []string{"2h 1: 2 2 2", "3h 1: 3 3 3"}; !reflect.DeepEqual(say(got[0].Patched), want) {
		t.Errorf("patched %v, want %v", say(got[0].Patched), want)
	}
	if want := []string{"0h 2: 25 50 75", "1h 1: 101 101 101", "2h 1: 102 102 102", "3h 1: 103 103 103"}; !reflect.DeepEqual(say(got[0].Waiting), want) {
		t.Errorf("not yet patched %v, want %v", say(got[0].Waiting), want)
	}
}

func TestADeviceThatWasRolledBackIsOnNoSideFromThenOn(t *testing.T) {
	start := time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC)
	hour := func(h int) int64 { return start.Add(time.Duration(h) * time.Hour).UnixMicro() }
	back := comparedDevice{id: "back", ring: "R0", triedUS: hour(1), patchedUS: hour(1), backUS: hour(3) + 1}
	failed := comparedDevice{id: "failed", ring: "R0", triedUS: hour(1)}
	patched, waiting := sides([]comparedDevice{back, failed, {id: "never", ring: "R1"}}, "R0")
	if len(patched) != 1 || patched[0].id != "back" || len(waiting) != 1 || waiting[0].id != "never" {
		t.Fatalf("patched %+v, waiting %+v", patched, waiting)
	}
	var list []series.Slot
	for h := range 5 {
		list = append(list, series.Slot{AtUS: hour(h), StepS: 3600, N: 60, Mean: float64(h)})
	}
	got := compare(patched, map[fleet.DeviceID]series.Series{"back": {wire.MeasureCPU: list}})[0]
	if len(got.Waiting) != 1 || len(got.Patched) != 2 || got.Patched[1].Median != 2 {
		t.Errorf("compared %+v", got)
	}
}

func TestQuantilesFallBetweenValues(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   [3]float64
	}{{[]float64{7}, [3]float64{7, 7, 7}}, {[]float64{1, 2}, [3]float64{1.25, 1.5, 1.75}}, {[]float64{1, 2, 3, 4, 5}, [3]float64{2, 3, 4}}} {
		got := [3]float64{quantile(tt.values, 0.25), quantile(tt.values, 0.5), quantile(tt.values, 0.75)}
		if got != tt.want {
			t.Errorf("quartiles of %v: %v, want %v", tt.values, got, tt.want)
		}
	}
}

func TestComparedDevicesAreSpreadOverAll(t *testing.T) {
	var list []comparedDevice
	for i := range 1000 {
		list = append(list, comparedDevice{patchedUS: int64(i)})
	}
	got := spread(list, 4)
	if len(got) != 4 || got[0].patchedUS != 0 || got[1].patchedUS != 250 || got[3].patchedUS != 750 || len(spread(list[:3], 4)) != 3 {
		t.Errorf("spread %+v", got)
	}
}
