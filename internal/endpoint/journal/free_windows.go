package journal

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// Free is the room left for this user on the volume that holds path.
func Free(path string) (int64, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, fmt.Errorf("measure free space at %s: %w", path, err)
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(name, &free, nil, nil); err != nil {
		return 0, fmt.Errorf("measure free space at %s: %w", path, err)
	}
	return int64(free), nil
}
