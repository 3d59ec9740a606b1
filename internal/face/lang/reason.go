package lang

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"patchring/internal/core/fault"
)

// Reason is the sentence of a reason code, without a full stop so that it can
// stand in another one. Its arguments are written by machines, in one form for
// each meaning: instants as RFC 3339, durations as Go writes them ("1h30m0s"),
// bytes and counts as digits, shares as "97.5", actors as the register names
// them ("user:name"), lists joined by commas. Anything else is shown as it is.
func (w Words) Reason(r fault.Reason) string {
	if r.IsZero() {
		return ""
	}
	id := "reason." + string(r.Code)
	if !w.Has(id) {
		// A code of a newer server: better raw than nothing.
		return r.String()
	}
	pairs := make([]string, 0, 2*len(r.Args))
	for name, value := range r.Args {
		// What an operator wrote in two languages comes as NAME_fr and NAME_en.
		if own, ok := strings.CutSuffix(name, "_"+string(w.Lang())); ok {
			name = own
		}
		pairs = append(pairs, name, w.Argument(r.Code, name, value))
	}
	return w.T(id, pairs...)
}

// Error is the sentence of the first fault in err's chain. What is not a fault
// is our mistake: its text is for the log, not for people.
func (w Words) Error(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return w.Reason(f.Reason)
	}
	return w.Reason(fault.Because(fault.Internal))
}

// meaning is how an argument is written for people.
type meaning func(w Words, value string) string

// meanings of argument names; the exceptions are in meaningsOf.
var meanings = map[string]meaning{
	"opens": Words.instant, "next": Words.instant, "until": Words.instant, "since": Words.instant, "at": Words.instant,
	"wait": Words.duration, "waited": Words.duration,
	"have": Words.amount, "need": Words.amount, "max": Words.amount, "count": Words.amount,
	"not_reached": Words.amount, "attempts": Words.amount, "size": Words.amount, "boots": Words.amount,
	"by": Words.Actor, "role": Words.Role, "roles": Words.roles,
	"step": word(Step), "proof": word(ProofKind), "severity": word(Severity), "what": word(Thing),
	"state": Words.anyState, "wanted": Words.anyState,
	"packages": Words.commas, "cause": Words.nested, "why": Words.nested,
	"problem": Words.problem, "fix": Words.problem,
	"signals": Words.signals, "day": Words.day, "part": word(Hardware),
	"finding": word(Finding),
	"measure": word(Measure), "measures": Words.measureList, "p": Words.chance,
	"before": Words.measured, "after": Words.measured, "others_before": Words.measured, "others_after": Words.measured,
	"days": Words.amount, "of": Words.amount, "others": Words.amount, "others_of": Words.amount,
}

// meaningsOf are the codes in which a name means something else.
var meaningsOf = map[fault.Code]map[string]meaning{
	fault.WindowTooShort:     {"need": Words.duration, "left": Words.duration},
	fault.WindowNever:        {"need": Words.duration, "longest": Words.duration},
	fault.BreakerUnreachable: {"devices": Words.commas},
	fault.BreakerService:     {"devices": Words.commas},
	fault.BreakerProbes:      {"probes": Words.commas},
	fault.DiskFull:           {"need": Words.size, "free": Words.size},
	fault.DiskShort:          {"need": Words.size, "free": Words.size},
	fault.HardwareShort:      {"need": Words.asIs, "have": Words.asIs},
	fault.ClockJumped:        {"by": Words.duration},
	fault.Superseded:         {"by": Words.asIs},
	fault.DeclinedByRule:     {"rule": Words.Rule},
	fault.DelayedByRule:      {"rule": Words.Rule},
	fault.PackageFailed:      {"state": Words.asIs},
	fault.NothingToDo:        {"what": Words.problem},
	fault.AnswerNotTaken:     {"why": Words.problem},
	fault.WakeRefused:        {"why": Words.problem},
	fault.WakeAsked:          {"by": Words.asIs},
	fault.WakeUnanswered:     {"by": Words.asIs},
	fault.Unavailable:        {"what": Words.problem},
	fault.OrderStale:         {"have": Words.asIs},
	fault.AgentOutdated:      {"have": Words.asIs, "need": Words.asIs},
	fault.OnBattery:          {"need": Words.asIs}, // a share, as its percent
	fault.OutputFailed:       {"step": word(OutputStep)},
	fault.SecretMissing:      {"problem": word(SecretProblem)},
	// What a device had seen of a register, and what its backup held.
	fault.RegisterRestored:         {"seen": Words.amount, "backup": Words.amount},
	fault.RegisterRestoredUnproven: {"seen": Words.amount, "backup": Words.amount},
	// What a gate compares with a share is written without its sign.
	fault.GateDoneTooLow:   {"have": Words.share, "need": Words.share},
	fault.GateUnreachable:  {"have": Words.share, "max": Words.share},
	fault.GateNotReached:   {"have": Words.share, "max": Words.share},
	fault.GateProvenTooLow: {"have": Words.share, "need": Words.share},
	fault.GateUseTooShort:  {"have": Words.decimal, "need": Words.decimal},
	fault.GateUnmeasured:   {"what": word(Evidence)},
	fault.HealthUnsure:     {"why": word(HealthWhy)},
	fault.AlertMeasure:     {"value": Words.ofMeasure, "limit": Words.ofMeasure},
}

// Argument is one argument of a reason as people read it.
func (w Words) Argument(code fault.Code, name, value string) string {
	if value == "" {
		return ""
	}
	if name == "reason" {
		return w.Given(value)
	}
	if m, ok := meaningsOf[code][name]; ok {
		return m(w, value)
	}
	if m, ok := meanings[name]; ok {
		return m(w, value)
	}
	return value
}

func (w Words) asIs(value string) string { return value }

func (w Words) instant(value string) string {
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return value
	}
	return w.Brief(t)
}

// day is a date without an hour: the same in every zone.
func (w Words) day(value string) string {
	t, err := time.ParseInLocation(time.DateOnly, value, w.zone)
	if err != nil {
		return value
	}
	return w.Date(t)
}

// Day is a date written YYYY-MM-DD as people read it.
func (w Words) Day(value string) string { return w.day(value) }

func (w Words) duration(value string) string {
	d, err := time.ParseDuration(value)
	if err != nil {
		return value
	}
	return w.Duration(d)
}

func (w Words) size(value string) string {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return value
	}
	return w.Bytes(n)
}

func (w Words) share(value string) string {
	f, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return value
	}
	return w.Percent(f)
}

func (w Words) amount(value string) string {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return value
	}
	return w.Number(n)
}

func (w Words) commas(value string) string { return strings.Join(split(value), ", ") }

func (w Words) roles(value string) string {
	items := split(value)
	for i, it := range items {
		items[i] = w.Role(it)
	}
	return w.List(items)
}

// nested is a reason code inside a reason, or a text the device gave.
func (w Words) nested(value string) string {
	for _, prefix := range []string{"cause.", "reason."} {
		if w.Has(prefix + value) {
			return w.T(prefix + value)
		}
	}
	return value
}

// problem is a code of what is wrong with an input, or a text.
func (w Words) problem(value string) string {
	if id := "problem." + value; w.Has(id) {
		return w.T(id)
	}
	return value
}

func (w Words) signals(value string) string {
	names := split(value)
	for i, name := range names {
		names[i] = w.Word(RebootSignal, name)
	}
	return strings.Join(names, ", ")
}

func split(value string) []string {
	items := strings.Split(value, ",")
	for i, it := range items {
		items[i] = strings.TrimSpace(it)
	}
	return items
}

// Why is a code or a text from a device, as people read it.
func (w Words) Why(value string) string { return w.nested(value) }

// Cause is the short title of a reason code, without arguments: for counts.
func (w Words) Cause(code fault.Code) string { return w.nested(string(code)) }
