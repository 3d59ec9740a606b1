package manifest

import (
	"time"

	"patchring/internal/core/calendar"
)

// weekday is a day of the week as files write it.
type weekday string

func weekdays() []weekday { return []weekday{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} }

// WindowFields are the fields that Window reads.
func WindowFields() []string {
	return []string{"name", "days", "start", "end", "duration", "timezone", "except"}
}

// Window reads a maintenance window; zone holds where the window names none.
func (o Object) Window(zone *time.Location) calendar.Window {
	r := o.Reader
	o.Need("name", "name the window, for example lunch")
	o.Need("days", "list the days, for example days: [mon, tue, wed, thu, fri]")
	o.Need("start", `write when it starts, for example start: "22:00"`)
	w := calendar.Window{
		Name:     o.Identifier("name"),
		Start:    o.Clock("start", 0),
		End:      o.Clock("end", 0),
		Duration: o.Duration("duration", 0),
		Zone:     zone,
		Except:   Choice(o, "except", calendar.NoHolidays, calendar.HolidaySets()),
	}
	if o.Has("timezone") {
		w.Zone = o.Zone("timezone")
	}
	o.List("days", func(at Place) {
		day := OneOf(r, at, "", weekdays())
		for i, d := range weekdays() {
			if d == day {
				w.Days = append(w.Days, time.Weekday(i))
			}
		}
	})
	r.checkWindow(o, w)
	return w
}

func (r *Reader) checkWindow(o Object, w calendar.Window) {
	_, end := o.fields["end"]
	_, duration := o.fields["duration"]
	switch {
	case end && duration:
		r.Refuse(o.At, "has an end and a duration", "keep end to stop at an hour of the clock, or duration to last a fixed time")
	case !end && !duration:
		r.Refuse(o.At, "has neither end nor duration", `write end: "06:00" or duration: 8h`)
	case o.Has("duration") && w.Duration == 0:
		r.Refuse(o.Field("duration"), "has no length", "write how long the window lasts, for example 8h")
	case o.Has("duration") && w.Duration > calendar.MaxDuration:
		r.Refuse(o.Field("duration"), "is longer than a week", "write 168h at most")
	case o.Has("start") && w.Start == calendar.EndOfDay:
		r.Refuse(o.Field("start"), "is the end of the day", `write "00:00" and the next day`)
	case o.Has("start") && o.Has("end") && w.Start == w.End:
		r.Refuse(o.Field("end"), "is the hour it starts: the window has no length", `write another hour; "00:00" to "24:00" is the whole day`)
	}
	if o.Has("days") && describe(o.Field("days").node) == "a list" && len(o.Field("days").node.Content) == 0 {
		r.Refuse(o.Field("days"), "is empty", "list the days, for example days: [mon, tue, wed, thu, fri]")
	}
}
