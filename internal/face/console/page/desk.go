package page

import (
	"time"

	"patchring/internal/core/task"
	"patchring/internal/face/console/ui"
)

// Exceptions is the list of what is left out on purpose.
type Exceptions struct {
	Query ExceptionQuery
	Rows  []Exception
	Next  string
}

// ExceptionQuery is which of them are asked for.
type ExceptionQuery struct {
	Which string // of ExceptionFilters
	After string
}

// ExceptionFilters are the tabs of the list.
var ExceptionFilters = []string{"in_force", "expiring", "ended"}

// Exception is one thing left out until its end.
type Exception struct {
	ID         string
	State      string
	Device     string // id
	DeviceName string
	Group      string
	Patch      string // id of one exact patch
	PatchName  string
	Every      string // a name, of which every version
	Owner      string
	Reason     string
	Control    string
	Until      time.Time
	By         string
	Ended      time.Time
	EndedBy    string
	EndedWhy   string
}

func (e Exception) tone() ui.Tone {
	switch e.State {
	case "expiring":
		return ui.Warn
	case "ended":
		return ui.Idle
	default:
		return ui.Busy
	}
}

func (e Exception) endable(f ui.Frame) bool {
	return f.Account != nil && f.Account.May.Except && e.State != "ended"
}

func (v Exceptions) path(which, after string) string {
	if which == ExceptionFilters[0] {
		which = ""
	}
	return ui.With("/exceptions", "which", which, "after", after)
}

func (v Exceptions) first() string {
	return firstPage(v.Query.After, "/exceptions", "which", v.Query.Which)
}
func (v Exceptions) next() string { return nextPage(v.Next, "/exceptions", "which", v.Query.Which) }

// Tasks is the list of manual tasks.
type Tasks struct {
	Query TaskQuery
	Rows  []TaskLine
	Next  string
}

// TaskQuery is which of them are asked for.
type TaskQuery struct {
	Which    string // of TaskFilters
	Mine     bool
	Device   string // id
	Campaign string // id
	After    string
}

// TaskFilters are the tabs of the list.
var TaskFilters = []string{"open", "overdue", "closed"}

// TaskLine is a manual task in a list.
type TaskLine struct {
	ID           string
	Title        string
	State        task.State
	Device       string // id
	DeviceName   string
	Campaign     string // id
	CampaignName string
	Ring         string
	Patch        string // id
	PatchName    string
	Owner        string
	Whom         string // whose turn it is
	Due          time.Time
	Closed       time.Time
	ClosedBy     string
}

// Task is one manual task with what was shown for it.
type Task struct {
	TaskLine
	What       string
	EscalateTo string
	Escalates  time.Time
	Reminder   time.Time // the next one
	Proof      task.Proof
	By         string
	Created    time.Time
	Proofs     []Proof
	Mine       bool // the reader may close it
}

// Heading names the page.
func (t Task) Heading() string { return t.Title }

// Proof is what was shown when a task was closed.
type Proof struct {
	ID     string
	Kind   task.Proof
	Text   string
	Scan   time.Time // that shows it, of a re-scan
	Output string
	File   string
	Size   int64
	SHA256 string
	By     string
	At     time.Time
}

func (t TaskLine) path(more ...string) string {
	return ui.Path(append([]string{"tasks", t.ID}, more...)...)
}

// TaskPath is the address of the task's own page.
func (t TaskLine) TaskPath() string { return t.path() }

func (t TaskLine) tone() ui.Tone {
	switch t.State {
	case task.Escalated:
		return ui.Bad
	case task.Overdue, task.DueSoon:
		return ui.Warn
	case task.Closed:
		return ui.Good
	default:
		return ui.Busy
	}
}

func (q TaskQuery) address() string {
	which := q.Which
	if which == TaskFilters[0] {
		which = ""
	}
	return ui.With("/tasks", "which", which, "mine", flag(q.Mine), "device", q.Device, "campaign", q.Campaign, "after", q.After)
}

func (q TaskQuery) tab(which string) string {
	q.Which, q.After = which, ""
	return q.address()
}

func (q TaskQuery) mine() string {
	q.Mine, q.After = !q.Mine, ""
	return q.address()
}

func (v Tasks) first() string {
	if v.Query.After == "" {
		return ""
	}
	v.Query.After = ""
	return v.Query.address()
}

func (v Tasks) next() string {
	if v.Next == "" {
		return ""
	}
	v.Query.After = v.Next
	return v.Query.address()
}
