package pace_test

import (
	"strconv"
	"testing"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/pace"
	"patchring/internal/core/patch"
)

func samples(n int, install time.Duration) (list []pace.Sample) {
	for i := range n {
		list = pace.Add(list, pace.Sample{Device: "d" + strconv.Itoa(i), Install: install})
	}
	return list
}

func TestHardlyAnyPastSaysNothing(t *testing.T) {
	if got := pace.Of(samples(pace.Few-1, time.Minute)); got != (calendar.Needs{}) {
		t.Errorf("%d samples say %+v", pace.Few-1, got)
	}
	if got := pace.Of(samples(pace.Few, time.Minute)); got.Install != time.Minute || got.Reboot != 0 {
		t.Errorf("%d samples say %+v, want a minute, and nothing of reboots", pace.Few, got)
	}
}

// One device out of twenty, whatever it says and however often, decides nothing.
func TestOneDeviceDecidesNothing(t *testing.T) {
	list := samples(pace.Kept-1, time.Minute)
	for range 50 {
		list = pace.Add(list, pace.Sample{Device: "liar", Install: 11 * time.Hour})
	}
	if got := pace.Of(list).Install; got != time.Minute || len(list) != pace.Kept {
		t.Errorf("%d samples say %s, want a minute of %d", len(list), got, pace.Kept)
	}
}

func TestWhatCannotBeIsNotKept(t *testing.T) {
	if list := pace.Add(nil, pace.Sample{Device: "d", Install: 13 * time.Hour, Reboot: -time.Second}); len(list) != 0 {
		t.Errorf("kept %+v", list)
	}
}

func TestAModelsOwnPastComesFirst(t *testing.T) {
	l := pace.Learned{
		{Patch: "p"}:                {Install: time.Hour, Reboot: time.Minute},
		{Patch: "p", Model: "fast"}: {Install: time.Minute},
		{Patch: "q"}:                {Install: time.Minute, Reboot: 3 * time.Minute},
		{}:                          {Reboot: 2 * time.Minute},
	}
	if got := l.On("p", "fast"); got.Install != time.Minute || got.Reboot != time.Minute {
		t.Errorf("on its model %+v", got)
	}
	if got := l.On("p", "other"); got.Install != time.Hour {
		t.Errorf("on another %+v", got)
	}
	if got := l.Together([]patch.ID{"p", "q"}, "fast"); got.Install != 2*time.Minute || got.Reboot != 3*time.Minute {
		t.Errorf("together %+v, want both installs and one reboot", got)
	}
	if got := l.Reboot("other"); got != 2*time.Minute {
		t.Errorf("a reboot takes %s", got)
	}
}
