package lang

import "patchring/internal/core/readiness"

// FindingTask says the title of the task that puts a finding right, and what is
// to be done: the reason as it was found, and the fix.
func (w Words) FindingTask(f readiness.Finding) (title, what string) {
	fix := w.Word(Fix, string(f.Fix))
	return w.T("finding.task", "fix", fix, "finding", w.Word(Finding, string(f.Kind))), w.Reason(f.Reason)
}
