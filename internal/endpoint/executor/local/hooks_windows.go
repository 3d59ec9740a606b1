package local

import (
	"errors"
	"io/fs"
	"os/exec"
)

// ownedByAdministrator: who may write a file is said by its access list here,
// which is not read yet, so no hook is believed.
func ownedByAdministrator(paths ...string) error {
	if len(paths) == 0 {
		return nil
	}
	return errors.New("hooks are not supported on this system")
}

func executable(at fs.FileInfo) bool { return at.Mode().IsRegular() }

func inGroup(*exec.Cmd) {}

func endGroup(*exec.Cmd) error { return nil }
