//go:build unix

package journal

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Free is the room left for ordinary users on the file system that holds path.
func Free(path string) (int64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return 0, fmt.Errorf("measure free space at %s: %w", path, err)
	}
	return int64(fs.Bavail) * int64(fs.Bsize), nil //nolint:unconvert // other types on other systems
}
