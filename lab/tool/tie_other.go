//go:build !linux

package tool

import "os/exec"

// tie has nothing to add: real hosts exist on Linux only, elsewhere tools are
// plain children.
func tie(*exec.Cmd) {}

func status(exit *exec.ExitError) int { return exit.ExitCode() }
