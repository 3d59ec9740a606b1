package agent

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// rest gives back what a scan needed, before the long wait for the next one:
// the heap, and the pages of the program itself. Those are clean copies of a
// file, which the kernel could drop at will, but as long as they are mapped
// they count as this agent's memory: eight of its twelve megabytes. What is
// still in use is mapped again at a soft fault a time.
func rest() error {
	debug.FreeOSMemory()
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("find own program: %w", err)
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return fmt.Errorf("read own memory map: %w", err)
	}
	defer maps.Close()
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		from, length, ok := unwritten(lines.Text(), self)
		if !ok {
			continue
		}
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, from, length, unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("give back program pages: %w", errno)
		}
	}
	return lines.Err()
}

// unwritten is the span of a line of /proc/PID/maps, if it maps the file and
// cannot have been changed: advice on any other mapping would lose its content.
//
//	00400000-00821000 r-xp 00000000 fe:00 1234    /usr/bin/patchring-agent
func unwritten(line, file string) (from, length uintptr, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 6 || strings.Join(fields[5:], " ") != file || fields[1] != "r-xp" && fields[1] != "r--p" {
		return 0, 0, false
	}
	first, last, _ := strings.Cut(fields[0], "-")
	start, err := strconv.ParseUint(first, 16, 64)
	if err != nil {
		return 0, 0, false
	}
	end, err := strconv.ParseUint(last, 16, 64)
	if err != nil || end < start {
		return 0, 0, false
	}
	return uintptr(start), uintptr(end - start), true
}
