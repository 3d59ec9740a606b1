package page

import (
	"slices"
	"strconv"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/policy"
	"patchring/internal/core/procedure"
	"patchring/internal/face/console/ui"
	"patchring/internal/face/lang"
	"patchring/internal/service/rulebook"
)

// Calendar is the months of one procedure.
type Calendar struct {
	Query      CalendarQuery
	Procedures []string // names to choose from
	Months     []Month
	Zone       string
	// Freezes are all that fall in the months, of policies and by hand.
	Freezes []rulebook.FreezeLine
	// Windows are when the chosen device may act in the months.
	Windows *rulebook.WindowList
	// NoDevice: the one that was asked for does not exist.
	NoDevice bool
}

// TimeZone is where the procedure's times are told.
func (v Calendar) TimeZone() string { return v.Zone }

// CalendarQuery is which months of which procedure are asked for.
type CalendarQuery struct {
	Procedure string
	Device    string // whose windows are shown: name or id
	Year      int    // first month of the page; zero: the current one
	Month     time.Month
}

// Span is what the page's months cover.
func (q CalendarQuery) Span(zone *time.Location) (from, to time.Time) {
	return time.Date(q.Year, q.Month, 1, 0, 0, 0, 0, zone), time.Date(q.Year, q.Month+MonthsShown, 1, 0, 0, 0, 0, zone)
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
	return ui.With("/calendar", "procedure", v.Query.Procedure, "device", v.Query.Device, "from", t.Format("2006-01"))
}

// day is one square of a month's grid.
type day struct {
	Date         time.Time // noon in the procedure's zone; zero: not of this month
	Ring         int       // position of the ring open that day, or -1
	RingName     string
	PatchTuesday bool
	Verification bool
	Today        bool
	Freezes      []string // that close windows for some of the day
	Open         bool     // the chosen device has a window that opens
}

// weeks are the month's days by week from Monday, up to the week of the
// verification, which may be in the next month.
func (v Calendar) weeks(m Month, now time.Time) [][]day {
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
			v.mark(&week[i])
		}
		weeks = append(weeks, week)
	}
	return weeks
}

// mark says what freezes and windows make of a day.
func (v Calendar) mark(d *day) {
	if d.Date.IsZero() {
		return
	}
	whole := calendar.Interval{Start: midnight(d.Date), End: midnight(d.Date.AddDate(0, 0, 1))}
	for _, f := range v.Freezes {
		if !whole.Intersect(calendar.Interval{Start: f.From, End: f.Until}).Empty() {
			d.Freezes = append(d.Freezes, f.Name)
		}
	}
	if v.Windows == nil {
		return
	}
	for _, lot := range v.Windows.Alike {
		for _, s := range lot.Open {
			d.Open = d.Open || whole.Contains(s.Start)
		}
	}
}

// freezesIn are those that fall in a month's days.
func (v Calendar) freezesIn(m Month) []rulebook.FreezeLine {
	zone := m.Verification.Location()
	first := time.Date(m.PatchTuesday.Year, m.PatchTuesday.Month, 1, 0, 0, 0, 0, zone)
	in := calendar.Interval{Start: first, End: first.AddDate(0, 1, 0)}
	var out []rulebook.FreezeLine
	for _, f := range v.Freezes {
		if !in.Intersect(calendar.Interval{Start: f.From, End: f.Until}).Empty() {
			out = append(out, f)
		}
	}
	return out
}

// byHand tells that the freeze can be ended here.
func byHand(f rulebook.FreezeLine) bool {
	return f.Origin == policy.FromHand && (f.State == rulebook.FreezeOn || f.State == rulebook.FreezeAhead)
}

// freezeBy is where a freeze comes from, and who placed it.
func freezeBy(f ui.Frame, z rulebook.FreezeLine) string {
	by := f.Word(lang.FreezeOrigin, string(z.Origin))
	if z.By != "" {
		by += " · " + f.Actor(z.By)
	}
	return by
}

func freezeTone(z rulebook.FreezeLine) ui.Tone {
	if z.State == rulebook.FreezeOn {
		return ui.Warn
	}
	return ui.Idle
}

func hoursTitle(f ui.Frame, a rulebook.AlikeDevice) string {
	if a.Of == rulebook.OfNothing {
		return f.Word(lang.HoursOf, string(a.Of))
	}
	return f.T("window.of", "what", f.Word(lang.HoursOf, string(a.Of)), "name", a.Name)
}

// shownStretches of a device are read by a person.
const shownStretches = 40

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
	if len(d.Freezes) > 0 {
		out += " frozen"
	}
	if d.Open {
		out += " opens"
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
	for _, name := range d.Freezes {
		says = append(says, f.T("calendar.freeze", "name", name))
	}
	if d.Open {
		says = append(says, f.T("calendar.window_opens"))
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
