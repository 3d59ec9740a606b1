package fleet

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// identify returns the process of that number as it is now.
func identify(pid int) (process, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, fmt.Errorf("identify process: %w", err)
	}
	_, start, err := parseStat(string(text))
	return process{PID: pid, Start: start}, err
}

func (p process) alive() bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID))
	if p.PID == 0 || err != nil {
		return false
	}
	mode, start, err := parseStat(string(text))
	// A zombie has let go of all it had; it only waits for its parent to look.
	return err == nil && start == p.Start && mode != "Z" && mode != "X"
}

// parseStat reads the state and the start time of a line of /proc/PID/stat:
//
//	4211 (patchring (lab)) S 1 4211 4211 0 -1 4194560 … 0 0 20 0 9 0 1234567 …
//
// The name in parentheses may contain anything, so counting starts after the last.
func parseStat(line string) (mode string, start uint64, err error) {
	fields := strings.Fields(line[strings.LastIndex(line, ")")+1:])
	const modeField, startField = 0, 19
	if len(fields) <= startField {
		return "", 0, fmt.Errorf("read process state: %d fields in %q", len(fields), line)
	}
	start, err = strconv.ParseUint(fields[startField], 10, 64)
	if err != nil {
		return "", 0, fmt.Errorf("read process state: %w", err)
	}
	return fields[modeField], start, nil
}
