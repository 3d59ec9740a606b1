package agent

import (
	"fmt"
	"os"
)

// bootID is the kernel's: another one at each boot.
func bootID() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the boot id: %w", err)
	}
	return string(text[:min(len(text), 36)]), nil
}
