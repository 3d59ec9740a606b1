package desktop

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// sysBattery reads Linux's own files; several batteries are one.
func sysBattery(root fs.FS) (inUse bool, percent int, err error) {
	const dir = "sys/class/power_supply"
	entries, err := fs.ReadDir(root, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, 0, nil
	}
	if err != nil {
		return false, 0, fmt.Errorf("list power supplies: %w", err)
	}
	read := func(supply, name string) string {
		text, err := fs.ReadFile(root, path.Join(dir, supply, name))
		if err != nil {
			return "" // many supplies lack most of these files
		}
		return strings.TrimSpace(string(text))
	}
	sum, count, mains := 0, 0, false
	for _, e := range entries {
		switch kind := read(e.Name(), "type"); {
		case kind == "Battery" && read(e.Name(), "scope") != "Device": // which is a mouse's
			n, err := strconv.Atoi(read(e.Name(), "capacity"))
			if err != nil {
				continue // an empty bay
			}
			sum, count = sum+n, count+1
			inUse = inUse || read(e.Name(), "status") == "Discharging"
		case kind == "Mains" || kind == "USB":
			mains = mains || read(e.Name(), "online") == "1"
		}
	}
	if count == 0 {
		return false, 0, nil
	}
	return inUse && !mains, sum / count, nil
}
