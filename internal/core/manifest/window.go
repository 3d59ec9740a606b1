package manifest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"patchring/internal/core/calendar"
)

// weekday is a day of the week as files write it.
type weekday string

func weekdays() []weekday { return []weekday{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} }

// WindowFields are the fields that Window reads.
func WindowFields() []string {
	return []string{"name", "days", "rule", "from", "start", "end", "duration", "timezone", "except", "closed"}
}

// Window reads a maintenance window; zone holds where the window names none.
//
// It is written in one of three ways: on days of the week, on the dates of a
// recurrence rule, or by the hours in which it is closed.
func (o Object) Window(zone *time.Location) calendar.Window {
	refused := len(o.Reader.problems)
	o.Need("name", "name the window, for example lunch")
	w := calendar.Window{Name: o.Identifier("name"), Zone: zone}
	if o.Has("timezone") {
		w.Zone = o.Zone("timezone")
	}
	if o.Written("closed") {
		o.closed(&w)
	} else {
		o.dates(&w)
		o.hours(&w)
	}
	if w.Zone != nil && len(o.Reader.problems) == refused {
		o.checkOpens(w)
	}
	return w
}

// dates reads on which dates a window starts.
func (o Object) dates(w *calendar.Window) {
	w.Except = o.holidays("except")
	if !o.Written("rule") {
		o.Need("days", "list the days, for example days: [mon, tue, wed, thu, fri], or write a rule: FREQ=MONTHLY;BYDAY=2SA")
		w.Days = o.weekdays("days")
		o.unread("from", "is only read with rule", "take it out, or write a rule in place of days")
		return
	}
	o.unread("days", "is not read with rule", "keep one of the two; days of a rule stand in BYDAY")
	if !o.Has("rule") || o.Written("from") && !o.Has("from") {
		return // refused already
	}
	var from calendar.Date
	if o.Has("from") {
		if from = o.Date("from"); from.IsZero() {
			return
		}
	}
	text := o.Text("rule")
	if text == "" {
		return
	}
	rule, err := calendar.ParseRule(text, from)
	var refused *calendar.RuleError
	if errors.As(err, &refused) {
		o.Reader.Refuse(o.Field("rule"), refused.Problem, refused.Fix)
		return
	}
	w.Rule = rule
	if days := rule.LongestWait(); days > longWait {
		o.Reader.Warn(o.Field("rule"), fmt.Sprintf("may leave %d days between two windows, in which nothing is mended", days), "choose dates that come back each year")
	}
}

// longWait is how many days may pass between two windows before a file is
// asked whether that is meant: a year, and the days a weekday may move by.
const longWait = 400

// hours reads from when until when a window is open on its dates.
func (o Object) hours(w *calendar.Window) {
	r := o.Reader
	o.Need("start", `write when it starts, for example start: "22:00"`)
	w.Start, w.End, w.Duration = o.Clock("start", 0), o.Clock("end", 0), o.Duration("duration", 0)
	end, duration := o.Written("end"), o.Written("duration")
	switch {
	case end && duration:
		r.Refuse(o.At, "has an end and a duration", "keep end to stop at an hour of the clock, or duration to last a fixed time")
	case !end && !duration:
		r.Refuse(o.At, "has neither end nor duration", `write end: "06:00" or duration: 8h`)
	case o.Has("duration") && w.Duration == 0:
		r.Refuse(o.Field("duration"), "has no length", "write how long the window lasts, for example 8h")
	case o.Has("duration") && w.Duration > calendar.MaxDuration:
		r.Refuse(o.Field("duration"), "is longer than a week", "write 168h at most")
	default:
		o.checkClocks("window", w.Start, w.End)
	}
}

// checkClocks refuses hours without length.
func (o Object) checkClocks(what string, start, end calendar.Clock) {
	switch {
	case o.Has("start") && start == calendar.EndOfDay:
		o.Reader.Refuse(o.Field("start"), "is the end of the day", `write "00:00" and the next day`)
	case o.Has("start") && o.Has("end") && start == end:
		o.Reader.Refuse(o.Field("end"), "is the hour it starts: the "+what+" has no length", `write another hour; "00:00" to "24:00" is the whole day`)
	}
}

// closed reads a window that is open but in given hours, one stretch of them
// or a list.
func (o Object) closed(w *calendar.Window) {
	for _, name := range []string{"days", "rule", "from", "start", "end", "duration", "except"} {
		o.unread(name, "is not read beside closed", "write it inside closed, or take closed out")
	}
	if !o.Has("closed") {
		return // refused already
	}
	at := o.Field("closed")
	read := func(at Place) {
		w.Closed = append(w.Closed, o.Reader.Object(at, "days", "start", "end", "except").closedHours())
	}
	if describe(at.node) == "fields" {
		read(at)
		return
	}
	o.List("closed", read)
	if at.Empty() {
		o.Reader.Refuse(at, "is empty", `write the hours of work, for example closed: {days: [mon, tue, wed, thu, fri], start: "08:00", end: "19:00"}`)
	}
}

func (o Object) closedHours() calendar.Hours {
	o.Need("days", "list the days of work, for example days: [mon, tue, wed, thu, fri]")
	o.Need("start", `write when work begins, for example start: "08:00"`)
	o.Need("end", `write when work ends, for example end: "19:00"`)
	h := calendar.Hours{Days: o.weekdays("days"), Start: o.Clock("start", 0), End: o.Clock("end", 0), Except: o.holidays("except")}
	o.checkClocks("stretch of work", h.Start, h.End)
	return h
}

func (o Object) weekdays(name string) []time.Weekday {
	var out []time.Weekday
	o.List(name, func(at Place) {
		day := OneOf(o.Reader, at, "", weekdays())
		if i := slices.Index(weekdays(), day); i >= 0 {
			out = append(out, time.Weekday(i))
		}
	})
	if o.Has(name) && o.Field(name).Empty() {
		o.Reader.Refuse(o.Field(name), "is empty", "list the days, for example days: [mon, tue, wed, thu, fri]")
	}
	return out
}

// holidaysPrefix may be left out: fr is public-holidays-fr.
const holidaysPrefix = "public-holidays-"

func (o Object) holidays(name string) calendar.HolidaySet {
	if !o.Has(name) {
		return calendar.NoHolidays
	}
	full := calendar.HolidaySet(holidaysPrefix + strings.TrimPrefix(o.Text(name), holidaysPrefix))
	if slices.Contains(calendar.HolidaySets(), full) {
		return full
	}
	return Choice(o, name, calendar.NoHolidays, calendar.HolidaySets())
}

// unread refuses a field that the window's way of writing has no use for.
func (o Object) unread(name, problem, fix string) {
	if o.Has(name) {
		o.Reader.Refuse(o.Field(name), problem, fix)
	}
}

// checkOpens refuses a window that never opens, because its dates are all
// holidays or it is closed around the clock. Days of the week always come back.
func (o Object) checkOpens(w calendar.Window) {
	at, fix, since := "rule", "choose other dates, or take except out", calendar.Epoch
	switch {
	case len(w.Closed) > 0:
		at, fix = "closed", "leave some hours out of closed"
	case w.Rule == nil:
		return
	case o.Has("from"):
		since = o.Date("from")
	}
	if _, opens := calendar.Next([]calendar.Window{w}, since.At(0, w.Zone)); !opens {
		o.Reader.Refuse(o.Field(at), "leaves no time in which the window is open", fix)
	}
}
