package desk

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fault"
)

// TestADateIsTheWholeOfItsDay: also where clocks change at midnight.
func TestADateIsTheWholeOfItsDay(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		zone, err := time.LoadLocation(rapid.SampledFrom([]string{"Europe/Paris", "America/Havana", "Asia/Beirut", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Australia/Lord_Howe", "UTC"}).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		d := New(Options{Clock: func() time.Time { return now }, Zone: zone})
		day := calendar.DateOf(now, time.UTC).AddDays(rapid.IntRange(2, 365).Draw(t, "days"))
		until, err := d.until("until", day.String())
		if err != nil {
			t.Fatal(err)
		}
		if got := calendar.DateOf(until, zone); got != day {
			t.Fatalf("%s in %s ends on %s", day, zone, got)
		}
		if next := calendar.DateOf(until.Add(time.Second), zone); next != day.AddDays(1) {
			t.Fatalf("%s in %s is over a second before %s", day, zone, next)
		}
	})
}

func TestTheEndOfADayIsToldByItsZone(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 29, 21, 59, 58, 0, time.UTC) // 23:59:58 on the day of the change
	d := New(Options{Clock: func() time.Time { return now }, Zone: zone})
	if until, err := d.until("until", "2026-03-29"); err != nil || !until.Equal(now.Add(time.Second)) {
		t.Errorf("ends at %s, %v", until, err)
	}
	now = now.Add(time.Second)
	if _, err := d.until("until", "2026-03-29"); fault.CodeOf(err) != fault.InvalidField {
		t.Errorf("a day that is over: %v", err)
	}
}

func TestFileNamesMeanNothingElsewhere(t *testing.T) {
	for name, want := range map[string]string{
		"till.jpg": "till.jpg", "../../etc/passwd": "passwd", `C:\Users\x\till.jpg`: "till.jpg", "a\nb\x1b[31m.txt": "a_b_[31m.txt",
		`a"b;c.txt`: "a_b_c.txt", "..": "", "": "", "é.png": "é.png", "\xff.png": "_.png", " .hidden. ": "hidden",
	} {
		if got := fileName(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
	if got := fileName(strings.Repeat("a", 500) + ".jpg"); len(got) != longestName || !strings.HasSuffix(got, ".jpg") {
		t.Errorf("a long name becomes %q", got)
	}
}

func TestWhatIsInstalledIsReadFromWhatIsMissing(t *testing.T) {
	if from, err := installed(`[{"name":"libssl3","from":"1"},{"name":"openssl","from":"2","to":"3"}]`, "openssl"); err != nil || from != "2" {
		t.Errorf("%q, %v", from, err)
	}
	if _, err := installed(`{`, "openssl"); err == nil {
		t.Error("a broken text is read")
	}
}
