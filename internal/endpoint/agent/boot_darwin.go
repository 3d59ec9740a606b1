package agent

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// bootID is the kernel's: another one at each boot.
func bootID() (string, error) {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return "", fmt.Errorf("read the boot id: %w", err)
	}
	return id, nil
}
