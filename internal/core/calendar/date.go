// Package calendar owns the dates of campaigns: Patch Tuesday and the days
// counted from it, the instant the patches are released, maintenance windows
// and the concrete intervals they mean in a time zone.
//
// It refuses to know what time it is: every instant is given. It refuses to
// combine ordinals too ("the 3rd Thursday"): days are counted from Patch
// Tuesday, because the 3rd Thursday comes before the 3rd Tuesday in every month
// that starts on a Wednesday or a Thursday.
//
// Zones are used by name, never by offset, and come from the zone database,
// which is a constant of the process: a binary embeds it (time/tzdata), because
// Windows has none. Everything here is a value or a pure function, safe from
// any goroutine.
package calendar

import (
	"cmp"
	"fmt"
	"time"
)

// Date is a civil date: a day in the life of people, in no zone.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// DateOf is the civil date that people in zone read on their wall at t.
func DateOf(t time.Time, zone *time.Location) Date {
	y, m, d := t.In(zone).Date()
	return Date{y, m, d}
}

// ParseDate reads YYYY-MM-DD.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return Date{}, fmt.Errorf("date %q is not a day written YYYY-MM-DD", s)
	}
	return DateOf(t, time.UTC), nil
}

// String writes YYYY-MM-DD.
func (d Date) String() string {
	return fmt.Sprintf("%04d-%02d-%02d", d.Year, int(d.Month), d.Day)
}

// MarshalText writes YYYY-MM-DD.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads YYYY-MM-DD.
func (d *Date) UnmarshalText(text []byte) error {
	parsed, err := ParseDate(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// IsZero tells that no date was given.
func (d Date) IsZero() bool { return d == Date{} }

// AddDays is the date n days later (earlier when n is negative).
func (d Date) AddDays(n int) Date { return DateOf(d.midday().AddDate(0, 0, n), time.UTC) }

// DaysSince is how many days d is after e; negative when it is before.
func (d Date) DaysSince(e Date) int { return int(d.midday().Sub(e.midday()) / (24 * time.Hour)) }

// Weekday of the date.
func (d Date) Weekday() time.Weekday { return d.midday().Weekday() }

// Compare orders dates.
func (d Date) Compare(e Date) int {
	return cmp.Or(cmp.Compare(d.Year, e.Year), cmp.Compare(d.Month, e.Month), cmp.Compare(d.Day, e.Day))
}

// At is the first instant at which a wall clock in zone shows c on d or later.
// A time that a change of clocks skips is therefore the first instant after the
// gap, and one that happens twice is the first of the two. It never decreases
// when the date or the clock grows.
//
// time.Date is not enough: it documents no choice for either case, and takes
// 03:30 for a skipped 02:30 and the second 02:30 of an autumn night.
func (d Date) At(c Clock, zone *time.Location) time.Time {
	wall := time.Date(d.Year, d.Month, d.Day, 0, int(c), 0, 0, time.UTC)
	// No zone is further than 15 hours from UTC, so the search starts in a
	// period (a stretch of constant offset) that is not past the answer.
	period := wall.Add(-15 * time.Hour).In(zone)
	for {
		start, end := period.ZoneBounds()
		if !end.IsZero() && !end.After(period) {
			// Go 1.26 gives years that it computes (those after 2037) 365 days: on
			// the last day of a leap year the period seems to be over already.
			end = period.Add(dayLength)
		}
		_, offset := period.Zone()
		t := wall.Add(-time.Duration(offset) * time.Second)
		switch {
		case !end.IsZero() && !t.Before(end):
			period = end.In(zone)
		case t.Before(start): // start is zero, hence early, when there is no bound
			return start.In(zone)
		default:
			return t.In(zone)
		}
	}
}

// ExistsIn tells whether people in zone live through the date at all: Apia had
// no 30 December 2011.
func (d Date) ExistsIn(zone *time.Location) bool { return DateOf(d.At(0, zone), zone) == d }

// midday keeps date arithmetic away from midnight; in UTC every day has 24 hours.
func (d Date) midday() time.Time { return time.Date(d.Year, d.Month, d.Day, 12, 0, 0, 0, time.UTC) }

// Clock is a time of day on a wall, in minutes after midnight. 24:00, the end
// of a day, is the midnight that follows it.
type Clock int

// EndOfDay is 24:00.
const EndOfDay Clock = 24 * 60

// ParseClock reads HH:MM, from 00:00 to 24:00.
func ParseClock(s string) (Clock, error) {
	bad := fmt.Errorf("time of day %q is not written HH:MM, from 00:00 to 24:00", s)
	if len(s) != len("00:00") || s[2] != ':' {
		return 0, bad
	}
	for _, i := range []int{0, 1, 3, 4} {
		if s[i] < '0' || s[i] > '9' {
			return 0, bad
		}
	}
	hour, minute := int(s[0]-'0')*10+int(s[1]-'0'), int(s[3]-'0')*10+int(s[4]-'0')
	c := Clock(hour*60 + minute)
	if minute > 59 || c > EndOfDay {
		return 0, bad
	}
	return c, nil
}

// String writes HH:MM.
func (c Clock) String() string { return fmt.Sprintf("%02d:%02d", int(c)/60, int(c)%60) }
