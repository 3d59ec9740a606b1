package procedure

import (
	"fmt"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fleet"
)

// weekday is a day of the week as files write it.
type weekday string

func weekdays() []weekday { return []weekday{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} }

func (o object) windows(zone *time.Location) []WindowRule {
	var out []WindowRule
	lines := map[string]int{}
	o.list("windows", func(at place) {
		rule := o.r.window(at, zone)
		if first := lines[rule.Name]; first != 0 && rule.Name != "" {
			o.r.refuse(at, fmt.Sprintf("window %s is already on line %d", rule.Name, first), "give each window its own name")
		}
		lines[rule.Name] = at.node.Line
		out = append(out, rule)
	})
	if len(out) > maxWindows {
		o.r.refuse(o.field("windows"), fmt.Sprintf("has %d windows", len(out)), fmt.Sprintf("keep %d at most", maxWindows))
	}
	if _, written := o.fields["windows"]; len(out) == 0 && (!written || o.has("windows")) {
		o.r.warn(o.or("windows"), "there is no window, so nothing will ever be installed", "add a window for the devices that may be updated")
	}
	return out
}

func (r *reader) window(at place, zone *time.Location) WindowRule {
	o := r.object(at, "name", "for", "days", "start", "end", "duration", "timezone", "except")
	o.need("name", "name the window, for example lunch")
	o.need("days", "list the days, for example days: [mon, tue, wed, thu, fri]")
	o.need("start", `write when it starts, for example start: "22:00"`)
	w := calendar.Window{
		Name:     o.identifier("name"),
		Start:    o.clock("start", 0),
		End:      o.clock("end", 0),
		Duration: o.duration("duration", 0),
		Zone:     zone,
		Except:   choice(o, "except", calendar.NoHolidays, calendar.HolidaySets()),
	}
	if o.has("timezone") {
		w.Zone = o.zone("timezone")
	}
	o.list("days", func(at place) {
		day := oneOf(r, at, "", weekdays())
		for i, d := range weekdays() {
			if d == day {
				w.Days = append(w.Days, time.Weekday(i))
			}
		}
	})
	r.checkWindow(o, w)
	rule := WindowRule{For: fleet.Selector{All: true}, Window: w}
	if o.has("for") {
		rule.For = r.object(o.field("for"), selectorFields()...).selector()
	}
	return rule
}

func (r *reader) checkWindow(o object, w calendar.Window) {
	_, end := o.fields["end"]
	_, duration := o.fields["duration"]
	switch {
	case end && duration:
		r.refuse(o.at, "has an end and a duration", "keep end to stop at an hour of the clock, or duration to last a fixed time")
	case !end && !duration:
		r.refuse(o.at, "has neither end nor duration", `write end: "06:00" or duration: 8h`)
	case o.has("duration") && w.Duration == 0:
		r.refuse(o.field("duration"), "has no length", "write how long the window lasts, for example 8h")
	case o.has("duration") && w.Duration > calendar.MaxDuration:
		r.refuse(o.field("duration"), "is longer than a week", "write 168h at most")
	case o.has("start") && w.Start == calendar.EndOfDay:
		r.refuse(o.field("start"), "is the end of the day", `write "00:00" and the next day`)
	case o.has("start") && o.has("end") && w.Start == w.End:
		r.refuse(o.field("end"), "is the hour it starts: the window has no length", `write another hour; "00:00" to "24:00" is the whole day`)
	}
	if o.has("days") && describe(o.field("days").node) == "a list" && len(o.field("days").node.Content) == 0 {
		r.refuse(o.field("days"), "is empty", "list the days, for example days: [mon, tue, wed, thu, fri]")
	}
}
