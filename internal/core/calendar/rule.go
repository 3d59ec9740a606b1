package calendar

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/teambition/rrule-go"
)

// Rule is a recurrence rule of RFC 5545 that yields dates and nothing finer:
// which days, never at what time. The second Saturday of a month is
// FREQ=MONTHLY;BYDAY=2SA.
//
// A Rule comes from ParseRule, which refuses those that would never yield a
// date, so that asking a Rule always ends. It is immutable and safe from any
// goroutine.
type Rule struct {
	text string
	from Date // the zero Date when the rule counts from nowhere
	rule rrule.RRule
}

// RuleError says what is wrong with the text of a rule, and how to put it right.
type RuleError struct{ Problem, Fix string }

// Error implements error.
func (e *RuleError) Error() string { return e.Problem + "; " + e.Fix }

// Epoch is where rules that count from nowhere are tried: before everything,
// and the beginning of a week, a month and a year.
var Epoch = Date{2001, time.January, 1}

// patience is how long a rule may take to yield a date. 29 February on one
// given weekday takes 28 years, and 40 around the year 2100.
const patience = 41 * 366

// ParseRule reads a rule, with the date it counts from. The date may be zero
// unless the rule says INTERVAL. The error is a *RuleError.
func ParseRule(text string, from Date) (*Rule, error) {
	text = strings.ToUpper(strings.TrimSpace(text))
	if err := checkParts(text); err != nil {
		return nil, err
	}
	option, err := rrule.StrToROption(text)
	if err != nil {
		return nil, refuseRule("write for example FREQ=MONTHLY;BYDAY=2SA", "%v", err)
	}
	if err := checkMeaning(option, text, from); err != nil {
		return nil, err
	}
	// Without a start the library takes the instant it is called: the same text
	// read a second later would be another rule.
	option.Dtstart = Epoch.At(0, time.UTC)
	built, err := rrule.NewRRule(*option)
	if err != nil {
		return nil, refuseRule("see RFC 5545, section 3.3.10", "%v", err)
	}
	r := &Rule{text: text, from: from, rule: *built}
	if !r.returns() {
		return nil, refuseRule("check BYMONTHDAY against BYMONTH, BYDAY and INTERVAL; the last day of a month is BYMONTHDAY=-1", "%s gives no date in 40 years", text)
	}
	return r, nil
}

// looked is how many dates of a rule are looked at before it is believed: a
// rule of rare days may give one soon, and the next in a century.
const looked = 64

// returns tells that the rule gives a date within patience of its start, and
// again after each date that it gives.
func (r *Rule) returns() bool {
	at := r.begins()
	for range looked {
		found := r.dates(at, at.AddDays(patience), 1)
		if len(found) == 0 {
			return false
		}
		at = found[0].AddDays(1)
	}
	return true
}

// String is the rule as it is written, in capitals.
func (r *Rule) String() string { return r.text }

// Dates are those of the rule from one date to another, both included, in order.
func (r *Rule) Dates(from, to Date) []Date { return r.dates(from, to, to.DaysSince(from)+1) }

// LongestWait is the longest time in days between two dates of the rule, as
// twelve years show it: all leap years included, 2100 excepted.
func (r *Rule) LongestWait() int {
	longest, last := 0, r.begins()
	end := last.AddDays(12 * 366)
	for _, date := range append(r.Dates(last, end), end) {
		longest, last = max(longest, date.DaysSince(last)), date
	}
	return longest
}

func (r *Rule) begins() Date {
	if r.from.IsZero() {
		return Epoch
	}
	return r.from
}

// dates stops after so many of them.
//
// The library walks from the rule's start, so the start is put at the period
// that holds from. It looks at the end only when it has found a date, so it may
// walk past it up to the next one: ParseRule sees to it that there is a next
// one.
func (r *Rule) dates(from, to Date, most int) []Date {
	if from.Compare(r.from) < 0 { // also never, when r.from is zero
		from = r.from
	}
	if from.Compare(to) > 0 {
		return nil
	}
	walk := r.rule // a copy: DTStart builds it anew
	walk.OrigOptions.Until = to.midday()
	walk.DTStart(r.period(from).midday())
	next := walk.Iterator()
	var out []Date
	for at, ok := next(); ok && len(out) < most; at, ok = next() {
		if date := DateOf(at, time.UTC); date.Compare(from) >= 0 {
			out = append(out, date)
		}
	}
	return out
}

// period is the first day of the rule's day, week, month or year that date is
// in. With INTERVAL only each n-th counts, from the one that r.from is in; date
// is then in one of those that count or in one of the pauses after it.
func (r *Rule) period(date Date) Date {
	n, start := max(r.rule.OrigOptions.Interval, 1), r.begins()
	switch r.rule.OrigOptions.Freq {
	case rrule.YEARLY:
		return Date{date.Year - (date.Year-start.Year)%n, time.January, 1}
	case rrule.MONTHLY:
		months := date.Year*12 + int(date.Month) - 1
		months -= (months - start.Year*12 - int(start.Month) + 1) % n
		return Date{months / 12, time.Month(months%12 + 1), 1}
	case rrule.WEEKLY:
		monday := start.AddDays(-(int(start.Weekday()) + 6) % 7)
		return monday.AddDays(floor(date.DaysSince(monday), 7*n))
	default:
		return start.AddDays(floor(date.DaysSince(start), n))
	}
}

// floor is the greatest multiple of n that is not above days.
func floor(days, n int) int { return days - ((days%n)+n)%n }

func refuseRule(fix, problem string, args ...any) *RuleError {
	return &RuleError{Problem: fmt.Sprintf(problem, args...), Fix: fix}
}

// refusedParts are parts of RFC 5545 that a window has no use for, and what to
// write instead.
var refusedParts = map[string]string{
	"COUNT":     "take COUNT out: a window ends with the file's next version, or write a freeze",
	"UNTIL":     "take UNTIL out: a window ends with the file's next version, or write a freeze",
	"BYHOUR":    `take BYHOUR out and write the hour in start, for example start: "22:00"`,
	"BYMINUTE":  `take BYMINUTE out and write the hour in start, for example start: "22:30"`,
	"BYSECOND":  `take BYSECOND out and write the hour in start, for example start: "22:00"`,
	"BYYEARDAY": "take BYYEARDAY out and write BYMONTH and BYMONTHDAY",
	"BYWEEKNO":  "take BYWEEKNO out and write BYMONTH and BYDAY, or FREQ=WEEKLY with INTERVAL and from",
	"WKST":      "take WKST out: weeks begin on Monday",
	"DTSTART":   "take DTSTART out and write the date in from, for example from: 2026-01-05",
}

// parts lists those that are read, as patterns of their values. BYDAY=0SA is
// none: the library takes it for every Saturday.
var parts = map[string]*regexp.Regexp{
	"FREQ":       regexp.MustCompile(`^(DAILY|WEEKLY|MONTHLY|YEARLY)$`),
	"INTERVAL":   regexp.MustCompile(`^[1-9][0-9]{0,2}$`),
	"BYDAY":      regexp.MustCompile(`^([+-]?[1-9][0-9]?)?(MO|TU|WE|TH|FR|SA|SU)(,([+-]?[1-9][0-9]?)?(MO|TU|WE|TH|FR|SA|SU))*$`),
	"BYMONTHDAY": regexp.MustCompile(`^-?[1-9][0-9]?(,-?[1-9][0-9]?)*$`),
	"BYMONTH":    regexp.MustCompile(`^[1-9][0-9]?(,[1-9][0-9]?)*$`),
	"BYSETPOS":   regexp.MustCompile(`^-?[1-9][0-9]{0,2}(,-?[1-9][0-9]{0,2})*$`),
}

var partFix = map[string]string{
	"FREQ":       "write FREQ=DAILY, WEEKLY, MONTHLY or YEARLY",
	"INTERVAL":   "write a number from 1, for example INTERVAL=2",
	"BYDAY":      "write days as MO, TU, WE, TH, FR, SA, SU, with a number for one of a month: 2SA, -1FR",
	"BYMONTHDAY": "write days of the month from 1 to 31, or from the end: -1 is the last",
	"BYMONTH":    "write months from 1 to 12",
	"BYSETPOS":   "write positions from 1, or from the end: -1 is the last",
}

func partNames() []string {
	return []string{"FREQ", "INTERVAL", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS"}
}

// checkParts looks at how a rule is written.
func checkParts(text string) *RuleError {
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ";") {
		key, value, ok := strings.Cut(part, "=")
		known, instead := parts[key], refusedParts[key]
		switch {
		case strings.HasPrefix(key, "RRULE:"):
			return refuseRule("take RRULE: out", "begins with RRULE:")
		case instead != "":
			return refuseRule(instead, "%s is not read in the rule of a window", key)
		case known == nil:
			return refuseRule("write "+strings.Join(partNames(), ", ")+", with ; between", "%q is not a part of a rule", key)
		case seen[key]:
			return refuseRule("keep it once, with commas between the values", "says %s twice", key)
		case !ok || !known.MatchString(value):
			return refuseRule(partFix[key], "%s=%s cannot be read", key, value)
		}
		seen[key] = true
	}
	if !seen["FREQ"] {
		return refuseRule(partFix["FREQ"], "%s does not say FREQ", text)
	}
	return nil
}

// longestIntervals keep a rule from pausing for longer than anyone remembers it.
var longestIntervals = map[rrule.Frequency]int{rrule.DAILY: 366, rrule.WEEKLY: 53, rrule.MONTHLY: 12, rrule.YEARLY: 10}

// checkMeaning looks at what RFC 5545 leaves without a meaning, or with one
// that libraries do not share.
func checkMeaning(o *rrule.ROption, text string, from Date) *RuleError {
	monthly := o.Freq == rrule.MONTHLY || o.Freq == rrule.YEARLY
	numbered := slices.ContainsFunc(o.Byweekday, func(w rrule.Weekday) bool { return w.N() != 0 })
	plain := slices.ContainsFunc(o.Byweekday, func(w rrule.Weekday) bool { return w.N() == 0 })
	days := len(o.Byweekday) + len(o.Bymonthday)
	switch longest := longestIntervals[o.Freq]; {
	case o.Interval > longest:
		return refuseRule(fmt.Sprintf("write %d at most", longest), "INTERVAL=%d is too long with FREQ=%s", o.Interval, o.Freq)
	case o.Interval > 1 && from.IsZero():
		return refuseRule("write the date it counts from beside the rule, for example from: 2026-01-05", "INTERVAL=%d does not say what it counts from", o.Interval)
	case o.Freq != rrule.DAILY && days == 0:
		return refuseRule("add BYDAY or BYMONTHDAY, for example FREQ=MONTHLY;BYDAY=2SA", "%s does not say which days", text)
	case o.Freq == rrule.WEEKLY && len(o.Bymonthday) > 0:
		return refuseRule("write FREQ=MONTHLY, or days of the week in BYDAY", "BYMONTHDAY has no meaning with FREQ=WEEKLY")
	case numbered && !monthly:
		return refuseRule("write FREQ=MONTHLY, or take the numbers out of BYDAY", "BYDAY counts days of a month, and FREQ is %s", o.Freq)
	case numbered && plain:
		return refuseRule("write the number of each, or two windows", "BYDAY mixes days with and without a number")
	case numbered && !countable(o):
		return refuseRule("write -5 to 5 in a month, -53 to 53 in a year", "BYDAY counts beyond the end")
	case len(o.Bysetpos) > 0 && (days == 0 || o.Freq == rrule.DAILY):
		return refuseRule("write BYDAY or BYMONTHDAY, with FREQ=WEEKLY, MONTHLY or YEARLY", "BYSETPOS has nothing to choose from")
	}
	return nil
}

// countable tells whether there can be so many such days. Beyond, the library
// reads outside its tables.
func countable(o *rrule.ROption) bool {
	most := 53
	if o.Freq == rrule.MONTHLY || len(o.Bymonth) > 0 {
		most = 5
	}
	return !slices.ContainsFunc(o.Byweekday, func(w rrule.Weekday) bool { return w.N() > most || w.N() < -most })
}
