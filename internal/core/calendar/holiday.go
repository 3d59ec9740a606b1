package calendar

import (
	"github.com/rickar/cal/v2"
	"github.com/rickar/cal/v2/fr"
)

// HolidaySet names a set of public holidays.
type HolidaySet string

// Holiday sets.
const (
	NoHolidays       HolidaySet = ""
	PublicHolidaysFR HolidaySet = "public-holidays-fr"
)

// HolidaySets lists the sets a rule can name.
func HolidaySets() []HolidaySet { return []HolidaySet{PublicHolidaysFR} }

// Holiday is the name of the holiday that date is, as its country calls it,
// and whether it is one.
func (s HolidaySet) Holiday(date Date) (string, bool) {
	for _, h := range s.holidays() {
		actual, _ := h.Calc(date.Year)
		if y, m, d := actual.Date(); (Date{y, m, d}) == date {
			return h.Name, true
		}
	}
	return "", false
}

func (s HolidaySet) holidays() []*cal.Holiday {
	if s == PublicHolidaysFR {
		return fr.Holidays
	}
	return nil
}
