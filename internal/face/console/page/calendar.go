package page

import (
	"slices"
	"strconv"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/procedure"
	"patchring/internal/face/console/ui"
)

// Calendar is the months of one procedure.
type Calendar struct {
	Query      CalendarQuery
	Procedures []string // names to choose from
	Months     []Month
	Zone       string
}

// TimeZone is where the procedure's times are told.
func (v Calendar) TimeZone() string { return v.Zone }

// CalendarQuery is which months of which procedure are asked for.
type CalendarQuery struct {
	Procedure string
	Year      int // first month of the page; zero: the current one
	Month     time.Month
}

// Month is what the procedure's days mean in a month, and the campaign it led to.
type Month struct {
	procedure.Schedule
	CampaignID string // empty: not created yet
	State      campaign.State
}

// MonthsShown is how many months a page of the calendar has.
const MonthsShown = 6

func (v Calendar) address(months int) string {
	t := time.Date(v.Query.Year, v.Query.Month+time.Month(months), 1, 0, 0, 0, 0, time.UTC)
	return ui.With("/calendar", "procedure", v.Query.Procedure, "from", t.Format("2006-01"))
}

// day is one square of a month's grid.
type day struct {
	Date         time.Time // noon in the procedure's zone; zero: not of this month
	Ring         int       // position of the ring open that day, or -1
	RingName     string
	PatchTuesday bool
	Verification bool
	Today        bool
}

// weeks are the month's days by week from Monday, up to the week of the
// verification, which may be in the next month.
func (m Month) weeks(now time.Time) [][]day {
	zone := m.Verification.Location()
	first := time.Date(m.PatchTuesday.Year, m.PatchTuesday.Month, 1, 12, 0, 0, 0, zone)
	end := time.Date(m.PatchTuesday.Year, m.PatchTuesday.Month+1, 1, 12, 0, 0, 0, zone)
	if v := m.Verification.AddDate(0, 0, 1); v.After(end) {
		end = v
	}
	start := first.AddDate(0, 0, -(int(first.Weekday())+6)%7)
	var weeks [][]day
	for d := start; d.Before(end); d = d.AddDate(0, 0, 7) {
		week := make([]day, 7)
		for i := range week {
			week[i] = m.day(d.AddDate(0, 0, i), first, end, now)
		}
		weeks = append(weeks, week)
	}
	return weeks
}

func (m Month) day(d, first, end, now time.Time) day {
	if d.Before(first) || !d.Before(end) {
		return day{Ring: -1}
	}
	out := day{Date: d, Ring: -1, PatchTuesday: sameDay(d, m.tuesday()), Verification: sameDay(d, m.Verification), Today: sameDay(d, now)}
	for i, r := range m.Rings {
		from, to := midnight(r.Opens.In(d.Location())), r.Closes.In(d.Location())
		if !d.Before(from) && (d.Before(to) || sameDay(d, to) && to.Hour() > 0) {
			out.Ring, out.RingName = i, r.Ring
		}
	}
	return out
}

func (m Month) tuesday() time.Time {
	return time.Date(m.PatchTuesday.Year, m.PatchTuesday.Month, m.PatchTuesday.Day, 12, 0, 0, 0, m.Verification.Location())
}

func midnight(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, t.Location())
}

func sameDay(a, b time.Time) bool {
	b = b.In(a.Location())
	return a.Year() == b.Year() && a.YearDay() == b.YearDay()
}

// classes of a square.
func (d day) classes() string {
	out := "day"
	if d.Ring >= 0 {
		out += " in-ring ring-" + strconv.Itoa(min(d.Ring, 4))
	}
	if d.PatchTuesday {
		out += " patch-tuesday"
	}
	if d.Verification {
		out += " verification"
	}
	if d.Today {
		out += " today"
	}
	return out
}

// spoken is what a square says to those who do not see its colour.
func (d day) spoken(f ui.Frame) string {
	var says []string
	if d.PatchTuesday {
		says = append(says, "Patch Tuesday")
	}
	if d.RingName != "" {
		says = append(says, d.RingName)
	}
	if d.Verification {
		says = append(says, f.T("board.verification"))
	}
	return f.List(says)
}

// noteValue is a note's value as people read it: dates and hours come as data.
func noteValue(f ui.Frame, n procedure.Note, year int) string {
	if d, err := time.ParseInLocation("2006-01-02", n.Value, f.Zone()); err == nil {
		if d.Year() == year {
			return f.DayShort(d)
		}
		return f.DateShort(d)
	}
	return n.Value
}

func (v Calendar) chosen(name string) bool { return name == v.Query.Procedure }

func (v Calendar) hasChoice() bool {
	return len(v.Procedures) > 1 && slices.ContainsFunc(v.Procedures, v.chosen)
}
