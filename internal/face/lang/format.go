package lang

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Date is "mardi 13 janvier 2026".
func (w Words) Date(t time.Time) string {
	t = t.In(w.zone)
	return w.locale.WeekdayWide(t.Weekday()) + " " + w.dayMonth(t) + " " + strconv.Itoa(t.Year())
}

// DateShort is "13 janv. 2026".
func (w Words) DateShort(t time.Time) string {
	t = t.In(w.zone)
	return w.DayShort(t) + " " + strconv.Itoa(t.Year())
}

// DayShort is "13 janv.".
func (w Words) DayShort(t time.Time) string {
	t = t.In(w.zone)
	return w.ordinal(t.Day()) + noBreak + w.locale.MonthAbbreviated(t.Month())
}

// Weekday is the short name of the day of t.
func (w Words) Weekday(t time.Time) string {
	return w.locale.WeekdayAbbreviated(t.In(w.zone).Weekday())
}

// Month is "janvier 2026".
func (w Words) Month(year int, month time.Month) string {
	return w.locale.MonthWide(month) + " " + strconv.Itoa(year)
}

// Clock is "19:00".
func (w Words) Clock(t time.Time) string { return t.In(w.zone).Format("15:04") }

// Moment is "mardi 13 janvier 2026 à 19:00 (Europe/Paris)": a time never
// stands without its zone where it stands alone.
func (w Words) Moment(t time.Time) string {
	return w.T("time.moment", "date", w.Date(t), "clock", w.Clock(t), "zone", w.ZoneName(t))
}

// Brief is "13 janv. 2026 19:00 CET", for sentences.
func (w Words) Brief(t time.Time) string {
	return w.DateShort(t) + " " + w.Clock(t) + noBreak + t.In(w.zone).Format("MST")
}

// ClockSeconds is "19:00:07", for lists of events.
func (w Words) ClockSeconds(t time.Time) string { return t.In(w.zone).Format("15:04:05") }

// NearSecond is Near, to the second on the same day: "19:00:07".
func (w Words) NearSecond(t, now time.Time) string {
	if w.DateShort(t) == w.DateShort(now) {
		return w.ClockSeconds(t)
	}
	return w.Near(t, now)
}

// ZoneName is the zone's id, or its abbreviation where the machine only says
// "local".
func (w Words) ZoneName(t time.Time) string {
	if name := w.zone.String(); name != "Local" {
		return name
	}
	return t.In(w.zone).Format("MST")
}

func (w Words) dayMonth(t time.Time) string {
	return w.ordinal(t.Day()) + " " + w.locale.MonthWide(t.Month())
}

// ordinal: French says "1er janvier", and only that one.
func (w Words) ordinal(day int) string {
	if w.lang == French && day == 1 {
		return "1er"
	}
	return strconv.Itoa(day)
}

// Span is the shortest exact writing of an interval: "13–14 janv. 2026",
// "13 janv. 2026, 12:00–14:00" or both ends in full.
func (w Words) Span(from, to time.Time) string {
	a, b := from.In(w.zone), to.In(w.zone)
	if w.DateShort(a) == w.DateShort(b) {
		return w.DateShort(a) + ", " + w.Clock(a) + "–" + w.Clock(b)
	}
	return w.T("time.span", "from", w.DayShort(a)+" "+w.Clock(a), "to", w.DateShort(b)+" "+w.Clock(b))
}

// Ago is "il y a 3 min" or "dans 2 h", from now.
func (w Words) Ago(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case d >= time.Second:
		return w.T("time.ago", "d", w.coarse(d))
	case d <= -time.Second:
		return w.T("time.in", "d", w.coarse(-d))
	}
	return w.T("time.now")
}

// coarse is the largest unit alone.
func (w Words) coarse(d time.Duration) string {
	first, _, _ := strings.Cut(w.Duration(d), " ")
	return first
}

// Duration is "2 min 41 s", "3 j 4 h": the two largest units, the rest cut.
func (w Words) Duration(d time.Duration) string {
	if d < 0 {
		return "−" + w.Duration(-d)
	}
	units := []struct {
		id   string
		size time.Duration
	}{{"unit.day", 24 * time.Hour}, {"unit.hour", time.Hour}, {"unit.minute", time.Minute}, {"unit.second", time.Second}}
	for i, u := range units {
		if d < u.size && i < len(units)-1 {
			continue
		}
		out := w.Number(int64(d/u.size)) + noBreak + w.T(u.id)
		if i == len(units)-1 {
			return out
		}
		if rest := d % u.size / units[i+1].size; rest > 0 {
			out += " " + w.Number(int64(rest)) + noBreak + w.T(units[i+1].id)
		}
		return out
	}
	return ""
}

// Bytes is "1,2 Go": decimal units, as disks and downloads are sold.
func (w Words) Bytes(n int64) string {
	value, unit := float64(n), 0
	for math.Abs(value) >= 999.5 && unit < 4 {
		value, unit = value/1000, unit+1
	}
	digits := uint64(0)
	if unit > 0 && math.Abs(value) < 9.95 {
		digits = 1
	}
	return w.locale.FmtNumber(value, digits) + noBreak + w.T("bytes."+strconv.Itoa(unit))
}

// Share is part of whole as "98,8 %". It never rounds up to all nor down to
// none: 100 % means every one of them. An empty whole has no share: "—".
func (w Words) Share(part, whole int64) string {
	if whole <= 0 {
		return "—"
	}
	tenths := (part*2000 + whole) / (2 * whole)
	switch {
	case tenths == 0 && part > 0:
		return "<" + noBreak + w.Percent(0.1)
	case tenths == 1000 && part < whole:
		tenths = 999
	}
	return w.Percent(float64(tenths) / 10)
}

// Percent writes p as "98,8 %", without a decimal when there is none.
func (w Words) Percent(p float64) string {
	digits := uint64(1)
	if p == math.Trunc(p) {
		digits = 0
	}
	s := w.locale.FmtNumber(p, digits)
	if w.lang == French {
		return s + noBreak + "%"
	}
	return s + "%"
}

// Decimal writes a number with one decimal: "9,8".
func (w Words) Decimal(n float64) string { return w.locale.FmtNumber(n, 1) }

// Near is an instant as short as it stays clear beside now: "19:42" today,
// "13 janv. 19:42" this year, "13 janv. 2025 19:42" otherwise.
func (w Words) Near(t, now time.Time) string {
	a, b := t.In(w.zone), now.In(w.zone)
	switch {
	case a.Year() != b.Year():
		return w.DateShort(t) + " " + w.Clock(t)
	case a.YearDay() != b.YearDay():
		return w.DayShort(t) + " " + w.Clock(t)
	}
	return w.Clock(t)
}

// Range is an interval as short as it stays clear beside now.
func (w Words) Range(from, to, now time.Time) string {
	switch {
	case from.IsZero() && to.IsZero():
		return "—"
	case to.IsZero():
		return w.T("time.from", "from", w.Near(from, now))
	case w.DateShort(from) == w.DateShort(to):
		return w.Near(from, now) + "–" + w.Clock(to)
	}
	return w.T("time.span", "from", w.near(from, now), "to", w.near(to, now))
}

// near is Near that never leaves the day out.
func (w Words) near(t, now time.Time) string {
	if t.In(w.zone).Year() != now.In(w.zone).Year() {
		return w.DateShort(t) + " " + w.Clock(t)
	}
	return w.DayShort(t) + " " + w.Clock(t)
}

// DayOfMonth is the bare number of the day.
func (w Words) DayOfMonth(t time.Time) string { return strconv.Itoa(t.In(w.zone).Day()) }

// MonthShort is the month's abbreviation.
func (w Words) MonthShort(t time.Time) string {
	return w.locale.MonthAbbreviated(t.In(w.zone).Month())
}

// WeekdayFull is the name of a day of the week.
func (w Words) WeekdayFull(d time.Weekday) string { return w.locale.WeekdayWide(d) }

// WeekdayLetter is its initial, as calendars head their columns.
func (w Words) WeekdayLetter(d time.Weekday) string { return w.locale.WeekdayNarrow(d) }
