package calendar

import (
	"fmt"
	"time"
)

// ReleaseZone is where Patch Tuesday's 10:00 is read. The patches come out at
// 19:00 in Paris, but at 18:00 in the March weeks when only the United States
// have changed their clocks.
const ReleaseZone = "America/Los_Angeles"

// releaseClock is the hour of release in ReleaseZone.
const releaseClock Clock = 10 * 60

// PatchTuesday is the second Tuesday of the month: day 1 of its campaign.
func PatchTuesday(year int, month time.Month) Date { return NthWeekday(2, time.Tuesday, year, month) }

// NthWeekday is the n-th such weekday of the month, from 1. There may be no
// fifth: the date is then in the next month.
func NthWeekday(n int, weekday time.Weekday, year int, month time.Month) Date {
	first := Date{year, month, 1}
	ahead := (int(weekday) - int(first.Weekday()) + 7) % 7
	return first.AddDays(ahead + 7*(n-1))
}

// Day is day n of the campaign whose day 1 is patchTuesday.
func Day(patchTuesday Date, n int) Date { return patchTuesday.AddDays(n - 1) }

// Release is the instant at which the patches of a Patch Tuesday exist. It
// panics in a binary without the zone database: such a binary must not start.
func Release(patchTuesday Date) time.Time {
	zone, err := time.LoadLocation(ReleaseZone)
	if err != nil {
		panic(fmt.Sprintf("calendar: no zone database, import time/tzdata in the command: %v", err))
	}
	return patchTuesday.At(releaseClock, zone)
}
