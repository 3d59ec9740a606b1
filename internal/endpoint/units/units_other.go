//go:build !linux && !windows

package units

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Manager asks launchd.
type Manager struct{}

// New makes a Manager.
func New() *Manager { return &Manager{} }

// Close does nothing: each question is a program of its own.
func (*Manager) Close() error { return nil }

const callTimeout = 10 * time.Second

// list is what launchctl says of the system's services: name → its process, 0
// for none, and how it last ended.
//
//	PID	Status	Label
//	312	0	com.apple.fseventsd
//	-	78	org.example.broken
func list(ctx context.Context) (map[string][2]int, error) {
	found := map[string][2]int{}
	err := Lines(ctx, Question{Name: "launchctl", Args: []string{"list"}, Timeout: callTimeout}, func(line []byte) error {
		words := strings.Fields(string(line))
		if len(words) != 3 || words[0] == "PID" {
			return nil
		}
		pid, err := strconv.Atoi(words[0])
		if err != nil {
			pid = 0 // a dash
		}
		status, err := strconv.Atoi(words[1])
		if err != nil {
			return nil // no service's line
		}
		found[words[2]] = [2]int{pid, status}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNone, err)
	}
	return found, nil
}

// State is running or stopped; empty: there is none of that name.
func (*Manager) State(ctx context.Context, name string) (string, error) {
	found, err := list(ctx)
	if err != nil {
		return "", err
	}
	at, ok := found[name]
	switch {
	case !ok:
		return "", nil
	case at[0] > 0:
		return "running", nil
	}
	return "stopped", nil
}

// Survey knows those that ended badly; which are meant to stay launchd does not
// say.
func (*Manager) Survey(ctx context.Context) (s Survey, err error) {
	found, err := list(ctx)
	for name, at := range found {
		if at[0] == 0 && at[1] > 0 {
			s.Failed = append(s.Failed, name)
		}
	}
	return s, err
}

// Boot is not told by launchd.
func (*Manager) Boot(context.Context, bool) (time.Duration, error) { return 0, ErrNone }
