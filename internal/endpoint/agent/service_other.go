//go:build !linux

package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// Install says what to do: the agent does not set itself up on this system yet.
func Install(_ context.Context, dir string) error {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own program: %w", err)
	}
	return errors.New("the agent does not install itself on this system yet: have it run \"" + exe + " run --dir " + dir + "\" at every boot, as the system's own account")
}

// Uninstall says so too.
func Uninstall(context.Context) error {
	return errors.New("the agent does not install itself on this system yet: remove what runs it at boot")
}
