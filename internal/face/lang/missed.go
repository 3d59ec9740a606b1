package lang

import (
	"strings"

	"patchring/internal/core/fault"
)

// MissedTask says the title of the task of a device that a campaign left
// undone, and what is to be done: why, as it was found.
func (w Words) MissedTask(campaign, bucket string, why fault.Reason) (title, what string) {
	return w.T("follow_up.task", "campaign", campaign, "bucket", w.Word(Outcome, bucket)), w.Reason(why)
}

// FollowUpPlan is what is to come of the devices that a campaign left undone.
// Patches below 0: no catch-up was asked for.
type FollowUpPlan struct {
	Missing                     int
	Patches                     int
	Refused                     *fault.Reason // why there can be no catch-up
	Tasks, KnownTasks           int
	Exceptions, KnownExceptions int
}

// FollowUp says the plan, for whoever is about to say yes.
func (w Words) FollowUp(p FollowUpPlan) string {
	lines := []string{w.N("follow_up.missing", int64(p.Missing))}
	switch {
	case p.Refused != nil:
		lines = append(lines, w.T("follow_up.no_catch_up", "why", w.Reason(*p.Refused)))
	case p.Patches >= 0:
		lines = append(lines, w.N("follow_up.catch_up", int64(p.Patches)))
	}
	if p.Tasks+p.KnownTasks > 0 {
		lines = append(lines, w.N("follow_up.tasks", int64(p.Tasks), "known", w.Number(int64(p.KnownTasks))))
	}
	if p.Exceptions+p.KnownExceptions > 0 {
		lines = append(lines, w.N("follow_up.exceptions", int64(p.Exceptions), "known", w.Number(int64(p.KnownExceptions))))
	}
	return strings.Join(lines, "\n")
}
