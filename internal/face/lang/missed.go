package lang

import "patchring/internal/core/fault"

// MissedTask says the title of the task of a device that a campaign left
// undone, and what is to be done: why, as it was found.
func (w Words) MissedTask(campaign, bucket string, why fault.Reason) (title, what string) {
	return w.T("follow_up.task", "campaign", campaign, "bucket", w.Word(Outcome, bucket)), w.Reason(why)
}
