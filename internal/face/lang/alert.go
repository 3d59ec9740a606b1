package lang

import (
	"strconv"
	"strings"

	"patchring/internal/core/alert"
	"patchring/internal/core/fault"
	"patchring/wire"
)

// AlertWhat is what a rule found: "processor: 99 %, above 90 %".
func (w Words) AlertWhat(m alert.Message) string {
	if m.Measure == "" {
		return w.alertEvent(m)
	}
	name := w.Word(Measure, m.Measure)
	if isSwitch(m.Measure) {
		return name + w.downNames(m)
	}
	key := "alert.above"
	if m.Below {
		key = "alert.below"
	}
	return w.T(key, "name", name, "value", w.Measured(wire.Measure(m.Measure), m.Value), "limit", w.Measured(wire.Measure(m.Measure), m.Limit)) + w.downNames(m)
}

// isSwitch tells measures that are yes or no.
func isSwitch(measure string) bool {
	return measure == string(wire.MeasureUnsynced) || measure == string(wire.MeasureUnguarded)
}

func (w Words) downNames(m alert.Message) string {
	if m.Args["down"] == "" {
		return ""
	}
	return " (" + m.Args["down"] + ")"
}

func (w Words) alertEvent(m alert.Message) string {
	text := w.Word(AlertEvent, m.Event)
	var more []string
	add := func(s string) {
		if s != "" {
			more = append(more, s)
		}
	}
	add(m.Args["probes"])
	if m.Times > 1 && alert.Event(m.Event).InRegister() {
		add(w.N("alert.times", m.Times))
	}
	if s := m.Args["severity"]; s != "" {
		add(w.Word(Severity, s))
	}
	if c := m.Args["cause"]; c != "" {
		add(w.Cause(fault.Code(c)))
	}
	add(w.Given(m.Args["why"]))
	add(m.Args["test"])
	if n, err := strconv.Atoi(m.Args["open"]); err == nil {
		add(w.N("alert.left", int64(n)))
	}
	if len(more) > 0 {
		text += w.T("alert.colon") + strings.Join(more, ", ")
	}
	return text
}

// AlertDid is what the server did by itself; empty: nothing.
func (w Words) AlertDid(m alert.Message) string {
	if m.Did == "" {
		return ""
	}
	return w.T("alert_did."+string(m.Did), "ring", m.Ring, "campaign", m.CampaignN)
}

// AlertWhere is the device or the campaign, with its ring.
func (w Words) AlertWhere(m alert.Message) string {
	campaign := strings.TrimSpace(m.CampaignN + " " + m.Ring)
	switch {
	case m.Name == "":
		return campaign
	case campaign == "":
		return m.Name
	}
	return m.Name + " (" + campaign + ")"
}

// AlertLine is one message on one line.
func (w Words) AlertLine(m alert.Message) string {
	if m.Kind == alert.Test {
		return w.T("alert.test_line", "output", m.Rule, "when", w.Moment(m.At))
	}
	line := w.Word(AlertNotice, string(m.Kind)) + w.T("alert.colon") + m.Title.In(string(w.lang)) + " — "
	if where := w.AlertWhere(m); where != "" {
		line += where + " — "
	}
	line += w.AlertWhat(m)
	if did := w.AlertDid(m); did != "" && m.Kind != alert.Over {
		line += " — " + did
	}
	if m.Kind != alert.Over {
		line += " — " + w.T("alert.acts", "who", w.Role(m.Who))
	}
	return line
}
