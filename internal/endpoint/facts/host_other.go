//go:build !linux

package facts

import (
	"errors"
	"os"
	"path/filepath"

	"patchring/wire"
)

// This is the device the agent runs on. Of systems other than Linux it knows
// the name and the files, not yet the disks.
func This() Host {
	root := "/"
	if volume := filepath.VolumeName(os.Getenv("SystemRoot")); volume != "" {
		root = volume + `\`
	}
	return Host{
		FS: os.DirFS(root), Hostname: os.Hostname,
		Statfs:     func(string) (int64, int64, error) { return 0, 0, errors.New("disks are not read on this system") },
		Interfaces: func() ([]wire.Interface, error) { return nil, nil },
	}
}
