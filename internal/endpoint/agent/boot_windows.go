package agent

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/windows/registry"
)

// bootID is the number of this boot, which the system counts in its registry.
func bootID() (string, error) {
	const path = `SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters`
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, path, registry.QUERY_VALUE)
	if err != nil {
		return "", fmt.Errorf("read the boot id: %w", err)
	}
	defer key.Close()
	n, _, err := key.GetIntegerValue("BootId")
	if err != nil {
		return "", fmt.Errorf("read the boot id: %w", err)
	}
	return "boot-" + strconv.FormatUint(n, 10), nil
}
