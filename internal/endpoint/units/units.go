// Package units asks the system's own service manager which services there are
// and how they do: systemd by D-Bus, the service control manager of Windows,
// launchd. It looks and never starts, stops or changes anything.
//
// A Manager keeps one connection and is safe from any goroutine.
package units

import "errors"

// ErrNone tells that this device has no service manager that is known here.
var ErrNone = errors.New("no service manager that this agent knows")

// Survey is how the services do.
type Survey struct {
	Failed []string // what the manager itself calls failed
	Down   []string // starts by itself and does not run; those that failed are among them
}
