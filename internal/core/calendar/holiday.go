package calendar

import (
	"time"

	"github.com/rickar/cal/v2"
	"github.com/rickar/cal/v2/aa"
	"github.com/rickar/cal/v2/fr"
)

// HolidaySet names a set of public holidays.
type HolidaySet string

// Holiday sets. Beside the eleven days of the Labour Code (article L3133-1),
// Alsace and Moselle keep two (article L3134-13) and each overseas department
// the day on which its slaves were freed (article L3422-2, decree 83-1003).
const (
	NoHolidays                 HolidaySet = ""
	PublicHolidaysFR           HolidaySet = "public-holidays-fr"
	PublicHolidaysFRAlsace     HolidaySet = "public-holidays-fr-alsace-moselle"
	PublicHolidaysFRGuadeloupe HolidaySet = "public-holidays-fr-guadeloupe"
	PublicHolidaysFRGuyane     HolidaySet = "public-holidays-fr-guyane"
	PublicHolidaysFRMartinique HolidaySet = "public-holidays-fr-martinique"
	PublicHolidaysFRMayotte    HolidaySet = "public-holidays-fr-mayotte"
	PublicHolidaysFRReunion    HolidaySet = "public-holidays-fr-la-reunion"
)

// HolidaySets lists the sets a rule can name.
func HolidaySets() []HolidaySet {
	return []HolidaySet{
		PublicHolidaysFR, PublicHolidaysFRAlsace, PublicHolidaysFRGuadeloupe, PublicHolidaysFRGuyane,
		PublicHolidaysFRMartinique, PublicHolidaysFRMayotte, PublicHolidaysFRReunion,
	}
}

// Holiday is the name of the holiday that date is, as its country calls it,
// and whether it is one.
func (s HolidaySet) Holiday(date Date) (string, bool) {
	local, known := localHolidays[s]
	if !known {
		return "", false
	}
	for _, list := range [][]*cal.Holiday{local, fr.Holidays} {
		for _, h := range list {
			actual, _ := h.Calc(date.Year)
			if y, m, d := actual.Date(); (Date{y, m, d}) == date {
				return h.Name, true
			}
		}
	}
	return "", false
}

// localHolidays are the days that a set has beside those of the whole country.
// The law keeps Good Friday where there is a Protestant church, which in Alsace
// and Moselle is nearly everywhere; it counts as a holiday for all.
var localHolidays = map[HolidaySet][]*cal.Holiday{
	PublicHolidaysFR: nil,
	PublicHolidaysFRAlsace: {
		aa.GoodFriday.Clone(&cal.Holiday{Name: "Vendredi saint"}),
		aa.ChristmasDay2.Clone(&cal.Holiday{Name: "Saint-Étienne"}),
	},
	PublicHolidaysFRGuadeloupe: {abolition(time.May, 27)},
	PublicHolidaysFRGuyane:     {abolition(time.June, 10)},
	PublicHolidaysFRMartinique: {abolition(time.May, 22)},
	PublicHolidaysFRMayotte:    {abolition(time.April, 27)},
	PublicHolidaysFRReunion:    {abolition(time.December, 20)},
}

func abolition(month time.Month, day int) *cal.Holiday {
	return &cal.Holiday{Name: "Abolition de l'esclavage", Type: cal.ObservancePublic, Month: month, Day: day, Func: cal.CalcDayOfMonth}
}
