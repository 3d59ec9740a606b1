// Package units asks the system's own service manager which services there are
// and how they do: systemd by D-Bus, the service control manager of Windows,
// launchd. It looks and never starts, stops or changes anything.
//
// A Manager keeps one connection and is safe from any goroutine.
package units

import (
	"errors"
	"slices"
)

// Why nothing is known of services.
var (
	ErrNone     = errors.New("no service manager that this agent knows")
	ErrStarting = errors.New("the system is starting")
)

// Runs tells whether a state is one in which the service does its work: systemd's
// words, and those of Windows and launchd.
func Runs(state string) bool {
	return slices.Contains([]string{"active", "reloading", "refreshing", "running"}, state)
}

// Survey is how the services do.
type Survey struct {
	Failed []string // what the manager itself calls failed
	Down   []string // starts by itself and does not run; those that failed are among them
}
