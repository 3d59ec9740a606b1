// Package stories is the console's storybook: every page with realistic
// contents, in the situations that matter. Tests render each of them in both
// languages and both themes; a new page or a new situation is added here
// first.
//
// The instant of every story is Now, so they render the same every day.
package stories

import (
	"time"

	"patchring/internal/face/console/ui"
)

// Now is when all stories happen: the Thursday after a Patch Tuesday.
var Now = time.Date(2026, 1, 15, 9, 42, 0, 0, time.UTC)

// Operator may do everything and signs for IT.
func Operator() *ui.Account {
	return &ui.Account{
		Name: "exploitation", Roles: []string{"it", "operator"},
		May: ui.May{Run: true, Decide: true, Fleet: true, Except: true, Tasks: true, Policies: true, Alerts: true, Incidents: true},
	}
}

// Reader may only look.
func Reader() *ui.Account {
	return &ui.Account{Name: "lecture", Roles: []string{"auditor"}}
}

func at(day, hour, minute int) time.Time {
	return time.Date(2026, 1, day, hour-1, minute, 0, 0, time.UTC) // Paris is at UTC+1
}
