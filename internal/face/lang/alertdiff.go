package lang

import "patchring/internal/core/alert"

// AlertValue is the value of a field of a document of alerts: in words where it
// is a word of ours, and else as the document writes it.
func (w Words) AlertValue(field alert.Field, text string) string {
	family := map[alert.Field]Family{
		alert.FieldMeasure: Measure, alert.FieldEvent: AlertEvent, alert.FieldSeverity: AlertSeverity, alert.FieldThen: AlertDo, alert.FieldWay: OutputWay,
	}[field]
	switch {
	case text == "":
		return ""
	case field == alert.FieldWho:
		return w.Role(text)
	case family != "":
		return w.Word(family, text)
	}
	return text
}

// AlertDoes is what a rule does by itself; of one that does nothing, that.
func (w Words) AlertDoes(do alert.Do) string {
	if do == "" {
		return w.T("alert.does_nothing")
	}
	return w.Word(AlertDo, string(do))
}
