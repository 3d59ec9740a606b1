package lang

import (
	"strconv"
	"strings"

	"patchring/internal/core/fault"
)

// measured is a value with its unit: "41%", "120ms", "3/min".
func (w Words) measured(value string) string {
	end := strings.IndexFunc(value, func(r rune) bool { return r != '-' && r != '.' && (r < '0' || r > '9') })
	if end < 0 {
		return w.decimal(value)
	}
	number, unit := value[:end], value[end:]
	switch {
	case unit == "%":
		return w.share(number)
	case strings.HasPrefix(unit, "/"):
		return w.decimal(number) + unit
	}
	return w.decimal(number) + noBreak + unit
}

// decimal is a number with the digits it came with.
func (w Words) decimal(value string) string {
	f, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return value
	}
	_, fraction, _ := strings.Cut(value, ".")
	return w.locale.FmtNumber(f, uint64(len(fraction)))
}

// chance is a probability: "0.0004", or "<0.0001" for less than is spelt out.
func (w Words) chance(value string) string {
	if below, ok := strings.CutPrefix(value, "<"); ok {
		return w.T("chance.below", "p", w.decimal(below))
	}
	return w.T("chance.equal", "p", w.decimal(value))
}

func (w Words) measureList(value string) string {
	items := split(value)
	for i, it := range items {
		items[i] = w.Word(Measure, it)
	}
	return w.List(items)
}

// Given is the reason of a hold: what somebody wrote, or, of the breaker's own
// holds, the reason it wrote in place of words.
func (w Words) Given(value string) string {
	if r, ok := fault.ParseReason(value); ok && w.Has("reason."+string(r.Code)) {
		return w.Reason(r)
	}
	return value
}
