package calendar_test

import (
	"slices"
	"strings"
	"testing"

	"patchring/internal/core/calendar"
)

// Easter Sundays, read off printed calendars.
var easters = strings.Fields("2025-04-20 2026-04-05 2027-03-28 2028-04-16 2029-04-01 2030-04-21 2031-04-13 2032-03-28 2033-04-17 2034-04-09")

// Each set is written out for ten years: what it has must be all it has.
func TestTenYearsOfHolidays(t *testing.T) {
	national := map[string]string{
		"01-01": "Nouvel an", "05-01": "Fête du Travail", "05-08": "Fête de la Victoire", "07-14": "Fête Nationale",
		"08-15": "Assomption", "11-01": "Toussaint", "11-11": "Armistice de 1918", "12-25": "Noël",
	}
	const abolition = "Abolition de l'esclavage"
	local := map[calendar.HolidaySet]map[string]string{
		calendar.PublicHolidaysFR:           {},
		calendar.PublicHolidaysFRAlsace:     {"12-26": "Saint-Étienne"},
		calendar.PublicHolidaysFRGuadeloupe: {"05-27": abolition},
		calendar.PublicHolidaysFRGuyane:     {"06-10": abolition},
		calendar.PublicHolidaysFRMartinique: {"05-22": abolition},
		calendar.PublicHolidaysFRMayotte:    {"04-27": abolition},
		calendar.PublicHolidaysFRReunion:    {"12-20": abolition},
	}
	for _, set := range calendar.HolidaySets() {
		if _, there := local[set]; !there {
			t.Errorf("%s is not checked", set)
		}
		for _, sunday := range easters {
			easter := mustDate(t, sunday)
			want := map[string][]string{} // two may fall on a day
			for _, days := range []map[string]string{national, local[set]} {
				for day, name := range days {
					want[sunday[:5]+day] = append(want[sunday[:5]+day], name)
				}
			}
			for after, name := range map[int]string{1: "Lundi de Pâques", 39: "Ascension", 50: "Lundi de Pentecôte", -2: "Vendredi saint"} {
				if after > 0 || set == calendar.PublicHolidaysFRAlsace {
					day := easter.AddDays(after).String()
					want[day] = append(want[day], name)
				}
			}
			for d := (calendar.Date{Year: easter.Year, Month: 1, Day: 1}); d.Year == easter.Year; d = d.AddDays(1) {
				name, is := set.Holiday(d)
				if names := want[d.String()]; is != (len(names) > 0) || is && !slices.Contains(names, name) {
					t.Errorf("%s on %s: got %q, want %q", set, d, name, names)
				}
			}
		}
	}
	if name, is := calendar.HolidaySet("public-holidays-xx").Holiday(mustDate(t, "2026-01-01")); is {
		t.Errorf("nobody knows this set: got %s", name)
	}
}
