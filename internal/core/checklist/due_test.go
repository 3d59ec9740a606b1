package checklist_test

import (
	"testing"
	"time"

	"patchring/internal/core/checklist"
	"patchring/internal/core/manifest"
	"patchring/internal/core/procedure"
	"patchring/internal/core/task"
)

var (
	opens  = time.Date(2026, 3, 26, 20, 0, 0, 0, time.UTC)
	closes = opens.AddDate(0, 0, 4)
	onTime = checklist.Span{Opens: opens, Closes: closes, Opened: opens}
)

func waiting(rule procedure.TestRule, results ...checklist.Result) checklist.Progress {
	return checklist.Weigh([]procedure.TestRule{rule}, results, func(procedure.TestRule) checklist.Reading { return checklist.Reading{} })[0]
}

func TestATestIsRemindedOfBeforeItsRingCloses(t *testing.T) {
	rule := procedure.TestRule{Name: "payroll", Assigned: "business", Items: []manifest.Text{{EN: "Pay"}, {EN: "Export"}}}
	ticked := checklist.Result{Test: "payroll", Item: 0, State: checklist.OK}
	half := waiting(rule, ticked)
	late := onTime
	late.Opened = opens.AddDate(0, 0, 2)
	for _, c := range []struct {
		name  string
		of    checklist.Progress
		span  checklist.Span
		above string
		at    time.Time
		state task.State
		whom  string
	}{
		{"as the ring opens", half, onTime, "it", opens, task.Open, "business"},
		{"a day before its close", half, onTime, "it", closes.Add(-24 * time.Hour), task.DueSoon, "business"},
		{"at its close", half, onTime, "it", closes, task.Overdue, "business"},
		{"two days late", half, onTime, "it", closes.Add(48 * time.Hour), task.Escalated, "it"},
		{"two days late, with nobody above", half, onTime, "business", closes.Add(48 * time.Hour), task.Overdue, "business"},
		{"of a ring that opened two days late", half, late, "it", closes.Add(25 * time.Hour), task.DueSoon, "business"},
		{"and then at its own close", half, late, "it", closes.Add(48 * time.Hour), task.Overdue, "business"},
		{"ticked, though an item failed", waiting(rule, ticked, checklist.Result{Test: "payroll", Item: 1, State: checklist.Failed}), onTime, "it", closes.Add(time.Hour), task.Closed, ""},
		{"of a probe", waiting(procedure.TestRule{Name: "net", Probe: "intranet"}), onTime, "it", closes.Add(time.Hour), task.Closed, ""},
	} {
		if got := c.of.Waits(c.span, c.above, c.at); got.State != c.state || got.Whom != c.whom {
			t.Errorf("%s: %+v, want %s for %q", c.name, got, c.state, c.whom)
		}
	}
}

func TestLeftCountsWhatNobodyHasTicked(t *testing.T) {
	rule := procedure.TestRule{Name: "payroll", Items: []manifest.Text{{EN: "Pay"}, {EN: "Export"}, {EN: "Print"}}}
	got := checklist.Left(rule, []checklist.Result{{Test: "payroll", Item: 0, State: checklist.OK}, {Test: "payroll", Item: 2, State: checklist.Failed}, {Test: "other", Item: 1, State: checklist.OK}})
	if got != 1 {
		t.Errorf("%d items are left, want 1", got)
	}
}
