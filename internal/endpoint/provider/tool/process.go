//go:build linux

package tool

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// stat is what is needed of /proc/PID/stat.
type stat struct {
	state byte
	start uint64 // field 22, clock ticks since boot
}

func (s stat) dead() bool { return s.state == 'Z' || s.state == 'X' }

// processStat reads a process's state and start. The second field, the name in
// parentheses, may itself hold spaces and parentheses:
//
//	4711 (a ) b) S 1 4711 4711 0 -1 4194560 …
func processStat(pid int) (stat, bool) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, false
	}
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return stat{}, false
	}
	fields := strings.Fields(string(text[end+1:]))
	if len(fields) < 20 {
		return stat{}, false
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return stat{}, false
	}
	return stat{state: fields[0][0], start: start}, true
}

// ProcessName is what a process calls itself, or "" when it is gone.
func ProcessName(pid int) string {
	name, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(name))
}

// markedProcess looks for a living process with one of the names and the
// variable in its environment.
func markedProcess(variable string, names []string) bool {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return false
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || !slices.Contains(names, ProcessName(pid)) {
			continue
		}
		if s, ok := processStat(pid); !ok || s.dead() {
			continue
		}
		environ, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err != nil {
			continue
		}
		for v := range bytes.SplitSeq(environ, []byte{0}) {
			if string(v) == variable {
				return true
			}
		}
	}
	return false
}

func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}
