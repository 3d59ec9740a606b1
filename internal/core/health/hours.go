package health

import (
	"math"
	"slices"
	"time"
)

// Hours is a stretch of whole hours, with where each lies in the week and the
// day of the people who work there.
type Hours struct {
	From time.Time
	N    int
	week []int16 // hour of the local week, Monday 0:00 is 0
	day  []int32 // local day, counted from that of From
	// alike are, for each hour of the week, the hours of the stretch whose past
	// speaks for it: itself and the one before and after, any week.
	alike [weekHours][]int32
	// class are those at the same hour of any day of the same kind, Monday to
	// Friday or the weekend.
	class [weekHours][]int32
}

const weekHours = 7 * 24

// PastDays is how much of its own past a device is compared with: four weeks, so
// that each hour of the week was there four times.
const PastDays = 28

// NewHours counts the hours from before to; of those before past, the past of
// devices is taken.
func NewHours(from, past, to time.Time, zone *time.Location) Hours {
	from = from.Truncate(time.Hour)
	h := Hours{From: from, N: int(to.Sub(from) / time.Hour)}
	h.week, h.day = make([]int16, h.N), make([]int32, h.N)
	last, day := -1, int32(-1)
	for i := range h.N {
		t := from.Add(time.Duration(i) * time.Hour).In(zone)
		if t.YearDay() != last {
			last, day = t.YearDay(), day+1
		}
		h.day[i] = day
		h.week[i] = int16((int(t.Weekday())+6)%7*24 + t.Hour())
	}
	for i := range min(h.N, h.At(past)) {
		w := int(h.week[i])
		for _, near := range []int{w - 1, w, w + 1} {
			near = (near + weekHours) % weekHours
			h.alike[near] = append(h.alike[near], int32(i))
		}
		for d := range 7 {
			if (d >= 5) == (w/24 >= 5) {
				h.class[d*24+w%24] = append(h.class[d*24+w%24], int32(i))
			}
		}
	}
	return h
}

// At is the first whole hour that begins at t or after it.
func (h Hours) At(t time.Time) int {
	d := t.Sub(h.From)
	i := int(d / time.Hour)
	if d%time.Hour > 0 {
		i++
	}
	return max(0, i)
}

// What is asked of a past: with less it is not known what is usual.
const (
	MinPastDays = 5 // with values, of any hour
	fewestAlike = 4
	alikeDays   = 2
	fewestClass = 6
	classDays   = 3
	trimmed     = 0.2 // of the values, on each side
)

// usual is the device's own level at an hour of the week: the mean of what it
// was at that hour, the one before and the one after, without the highest and
// the lowest fifth. Where it was too seldom on then, days of the same kind stand
// in. NaN: not known.
func (h Hours) usual(values []float64, w int16, buffer []float64) float64 {
	if mean, ok := h.trimmedMean(values, h.alike[w], fewestAlike, alikeDays, buffer); ok {
		return mean
	}
	if mean, ok := h.trimmedMean(values, h.class[w], fewestClass, classDays, buffer); ok {
		return mean
	}
	return math.NaN()
}

func (h Hours) trimmedMean(values []float64, at []int32, fewest, days int, buffer []float64) (float64, bool) {
	list, last, seen := buffer[:0], int32(-1), 0
	for _, i := range at {
		if v := values[i]; !math.IsNaN(v) {
			list = append(list, v)
			if h.day[i] != last {
				last, seen = h.day[i], seen+1
			}
		}
	}
	if len(list) < fewest || seen < days {
		return 0, false
	}
	slices.Sort(list)
	cut := int(trimmed * float64(len(list)))
	list = list[cut : len(list)-cut]
	sum := 0.0
	for _, v := range list {
		sum += v
	}
	return sum / float64(len(list)), true
}
