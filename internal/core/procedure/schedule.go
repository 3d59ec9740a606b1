package procedure

import (
	"fmt"
	"time"

	"patchring/internal/core/calendar"
)

// Schedule is what the procedure's days mean in one month.
type Schedule struct {
	Campaign     string // the month, 2026-01
	PatchTuesday calendar.Date
	Release      time.Time // the patches exist from here on
	Rings        []RingSpan
	Verification time.Time
	Notes        []Note
	Compress     calendar.Compress // how Compressed made it; zero for the real calendar
}

// RingSpan is when a ring opens at the earliest (its gate may keep it shut
// longer), and when it closes to what has not begun.
type RingSpan struct {
	Ring          string
	Opens, Closes time.Time
}

// Note is something about a month that people would otherwise get wrong. Value
// completes it: a date, an hour, the name of a holiday.
type Note struct {
	Code  NoteCode
	Value string
}

// NoteCode is a stable code; faces have the words.
type NoteCode string

// Notes.
const (
	NoteVerificationNotThirdThursday NoteCode = "verification_not_third_thursday" // value: the 3rd Thursday
	NotePatchTuesdayHoliday          NoteCode = "patch_tuesday_holiday"           // value: the holiday
	NoteDayAfterHoliday              NoteCode = "day_after_holiday"               // value: the holiday
	NoteReleaseHour                  NoteCode = "release_hour"                    // value: the hour, when only the United States have changed their clocks
)

// Schedule gives the dates of a month. Every instant is in the procedure's
// zone. No ring opens before the patches exist.
func (p Procedure) Schedule(year int, month time.Month) Schedule {
	tuesday := calendar.PatchTuesday(year, month)
	s := Schedule{
		Campaign:     fmt.Sprintf("%04d-%02d", year, int(month)),
		PatchTuesday: tuesday,
		Release:      calendar.Release(tuesday).In(p.Zone),
	}
	for _, ring := range p.Rings {
		opens := ring.Opens.in(tuesday, p.Zone)
		if opens.Before(s.Release) {
			opens = s.Release
		}
		s.Rings = append(s.Rings, RingSpan{Ring: ring.Name, Opens: opens})
	}
	s.Verification = p.verification(s.Rings[len(s.Rings)-1].Opens)
	for i, ring := range p.Rings {
		s.Rings[i].Closes = p.closes(i, ring, s)
	}
	s.Notes = p.notes(s)
	return s
}

func (p Procedure) closes(i int, ring Ring, s Schedule) time.Time {
	switch {
	case !ring.Closes.IsZero():
		return ring.Closes.in(s.PatchTuesday, p.Zone)
	case i+1 < len(s.Rings):
		return s.Rings[i+1].Opens
	default:
		return s.Verification
	}
}

// verification is at the hour the last ring opened, so that it has had whole
// days.
func (p Procedure) verification(opens time.Time) time.Time {
	hour, minute, _ := opens.In(p.Zone).Clock()
	date := calendar.DateOf(opens, p.Zone).AddDays(p.Verification.DaysAfterLastRingOpens)
	return date.At(calendar.Clock(hour*60+minute), p.Zone)
}

func (p Procedure) notes(s Schedule) []Note {
	var notes []Note
	year, month := s.PatchTuesday.Year, s.PatchTuesday.Month
	if third := calendar.NthWeekday(3, time.Thursday, year, month); third != s.VerificationDate() {
		notes = append(notes, Note{NoteVerificationNotThirdThursday, third.String()})
	}
	holidays := p.holidays()
	if name, is := holidays.Holiday(s.PatchTuesday); is {
		notes = append(notes, Note{NotePatchTuesdayHoliday, name})
	}
	if name, is := holidays.Holiday(s.PatchTuesday.AddDays(1)); is {
		notes = append(notes, Note{NoteDayAfterHoliday, name})
	}
	if hour, odd := p.oddRelease(s); odd {
		notes = append(notes, Note{NoteReleaseHour, hour})
	}
	return notes
}

// oddRelease is the hour of release in a month when the United States alone
// have changed their clocks, so that it is not the usual one. It is asked of
// zones that have their summer when the United States do; elsewhere the hour
// moves with the seasons and surprises nobody.
func (p Procedure) oddRelease(s Schedule) (hour string, odd bool) {
	year := s.PatchTuesday.Year
	_, winter := time.Date(year, time.January, 15, 12, 0, 0, 0, p.Zone).Zone()
	_, summer := time.Date(year, time.July, 15, 12, 0, 0, 0, p.Zone).Zone()
	usual := calendar.Release(calendar.PatchTuesday(year, time.January)).In(p.Zone).Format("15:04")
	hour = s.Release.Format("15:04")
	return hour, summer > winter && hour != usual
}

// holidays are those that its windows keep, and else those of the procedure's
// country, as far as its zone tells it.
func (p Procedure) holidays() calendar.HolidaySet {
	for _, rule := range p.Windows {
		if set := rule.Holidays(); set != calendar.NoHolidays {
			return set
		}
	}
	if p.Zone.String() == "Europe/Paris" {
		return calendar.PublicHolidaysFR
	}
	return calendar.NoHolidays
}

// VerificationDate is the day of the verification, in the procedure's zone.
func (s Schedule) VerificationDate() calendar.Date {
	return calendar.DateOf(s.Verification, s.Verification.Location())
}

// Compressed plays the schedule from start on, 24 hours of it lasting day (a
// second at least): the first ring opens at start. What the calendar notes say
// of real dates no longer holds, so they are gone.
func (s Schedule) Compressed(start time.Time, day time.Duration) Schedule {
	c := calendar.Compress{From: s.Rings[0].Opens, To: start, Day: max(day, calendar.MinDay)}
	out := Schedule{
		Campaign:     s.Campaign,
		PatchTuesday: s.PatchTuesday,
		Release:      c.Instant(s.Release),
		Verification: c.Instant(s.Verification),
		Compress:     c,
	}
	for _, r := range s.Rings {
		out.Rings = append(out.Rings, RingSpan{Ring: r.Ring, Opens: c.Instant(r.Opens), Closes: c.Instant(r.Closes)})
	}
	return out
}
