package agent

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// fileBacked is how much of this process' memory is files, in kilobytes.
func fileBacked(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "RssFile:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return kb
		}
	}
	t.Fatal("no RssFile")
	return 0
}

func TestRestGivesBackTheProgramAndGoesOn(t *testing.T) {
	before := fileBacked(t)
	if err := rest(); err != nil {
		t.Fatal(err)
	}
	after := fileBacked(t)
	if after > before*3/4 {
		t.Errorf("%d kB of files mapped, %d before: too little was given back", after, before)
	}
	if err := rest(); err != nil { // the program still works
		t.Fatal(err)
	}
}

func TestOnlyUnwrittenPagesOfTheProgramAreGivenBack(t *testing.T) {
	const self = "/usr/bin/patchring-agent"
	for line, want := range map[string]uintptr{
		"00400000-00821000 r-xp 00000000 fe:00 1234 /usr/bin/patchring-agent":           0x421000,
		"00821000-00cb1000 r--p 00421000 fe:00 1234 /usr/bin/patchring-agent":           0x490000,
		"00cb1000-00d10000 rw-p 008b1000 fe:00 1234 /usr/bin/patchring-agent":           0,
		"7f2d95f10000-7f2d95f30000 r--s 00000000 fe:00 99 /var/lib/x/journal.db":        0,
		"7f2ddcd27000-7f2ddcd29000 r-xp 00000000 00:00 0 [vdso]":                        0,
		"00400000-00821000 r-xp 00000000 fe:00 1234 /usr/bin/patchring-agent (deleted)": 0,
		"7f2ddccc1000-7f2ddcd21000 rw-p 00000000 00:00 0":                               0,
		"": 0,
	} {
		if _, length, ok := unwritten(line, self); length != want || ok != (want > 0) {
			t.Errorf("%q: %#x %v, want %#x", line, length, ok, want)
		}
	}
}
