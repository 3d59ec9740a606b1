package lifecycle_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/lifecycle"
	"patchring/internal/core/policy"
)

// debian is shaped as endoflife.date writes it.
const debian = `[
 {"cycle":"13","codename":"Trixie","releaseDate":"2025-08-09","eol":"2028-08-09","extendedSupport":"2030-06-30","latest":"13.1","lts":false},
 {"cycle":"12","codename":"Bookworm","releaseDate":"2023-06-10","eol":"2026-06-10","extendedSupport":"2028-06-30","latest":"12.12","lts":false},
 {"cycle":"11","codename":"Bullseye","releaseDate":"2021-08-14","eol":"2024-08-14","extendedSupport":"2026-08-31","latest":"11.11"},
 {"cycle":1.3,"codename":"Bo","releaseDate":"1997-06-05","eol":true}
]`

const windows = `[
 {"cycle":"11-24h2-e","releaseDate":"2024-10-01","eol":"2027-10-12","latest":"10.0.26100"},
 {"cycle":"11-24h2-w","releaseDate":"2024-10-01","eol":"2026-10-13","latest":"10.0.26100"},
 {"cycle":"10-22h2","releaseDate":"2022-10-18","eol":"2025-10-14","latest":"10.0.19045"}
]`

func table(t *testing.T, extended bool) lifecycle.Table {
	t.Helper()
	out := lifecycle.Table{}
	for product, text := range map[string]string{"debian": debian, "windows": windows, "rolling": `[{"cycle":"now","eol":false}]`} {
		cycles, err := lifecycle.ParseCycles(product, []byte(text), extended)
		if err != nil {
			t.Fatal(err)
		}
		out.Cycles = append(out.Cycles, cycles...)
	}
	return out
}

func at(day string) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05", day)
	if err != nil {
		panic(err)
	}
	return t
}

func TestJudge(t *testing.T) {
	bookworm := policy.Traits{OS: "debian", OSVersion: "12.9", Codename: "bookworm"}
	tests := []struct {
		name     string
		device   policy.Traits
		now      string
		extended bool
		want     lifecycle.State
		cycle    string
	}{
		{"long before its end", bookworm, "2025-01-01 00:00:00", false, lifecycle.Supported, "12"},
		{"half a year before", bookworm, "2026-01-10 00:00:00", false, lifecycle.EndsSoon, "12"},
		{"on its last day", bookworm, "2026-06-10 23:59:59", false, lifecycle.EndsSoon, "12"},
		{"on the day after", bookworm, "2026-06-11 00:00:00", false, lifecycle.Ended, "12"},
		{"with the longer support that somebody has", bookworm, "2026-06-11 00:00:00", true, lifecycle.Supported, "12"},
		{"after the longer support too", bookworm, "2028-07-01 00:00:00", true, lifecycle.Ended, "12"},
		{"over, nobody says when", policy.Traits{OS: "debian", OSVersion: "1.3"}, "2025-01-01 00:00:00", false, lifecycle.Ended, "1.3"},
		{"by its codename alone", policy.Traits{OS: "debian", Codename: "trixie"}, "2026-01-01 00:00:00", false, lifecycle.Supported, "13"},
		{"121 is not 12", policy.Traits{OS: "debian", OSVersion: "121"}, "2026-01-01 00:00:00", false, lifecycle.Unknown, ""},
		{"testing, which the table does not have", policy.Traits{OS: "debian", Codename: "forky"}, "2026-01-01 00:00:00", false, lifecycle.Unknown, ""},
		{"a product that nobody imported", policy.Traits{OS: "ubuntu", OSVersion: "12"}, "2026-01-01 00:00:00", false, lifecycle.Unknown, ""},
		{"nothing is known of the device", policy.Traits{}, "2026-01-01 00:00:00", false, lifecycle.Unknown, ""},
		{"Windows by its build", policy.Traits{OS: "windows", OSVersion: "10.0.19045.5011"}, "2026-01-01 00:00:00", false, lifecycle.Ended, "10-22h2"},
		{"editions that agree: the earlier end", policy.Traits{OS: "windows", OSVersion: "10.0.26100.1"}, "2026-01-01 00:00:00", false, lifecycle.Supported, "11-24h2-w"},
		{"editions that disagree", policy.Traits{OS: "windows", OSVersion: "10.0.26100.1"}, "2026-12-01 00:00:00", false, lifecycle.Unknown, ""},
		{"no end in sight", policy.Traits{OS: "rolling", OSVersion: "now"}, "2099-01-01 00:00:00", true, lifecycle.Supported, "now"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := table(t, tt.extended).Judge(tt.device, at(tt.now))
			if got.State != tt.want || got.Cycle.Cycle != tt.cycle {
				t.Errorf("got %s of %q, want %s of %q", got.State, got.Cycle.Cycle, tt.want, tt.cycle)
			}
			if told := !got.Reason.IsZero(); told != (tt.want == lifecycle.Ended || tt.want == lifecycle.EndsSoon) {
				t.Errorf("the reason is %v", got.Reason)
			}
		})
	}
}

func TestAdvice(t *testing.T) {
	needs, err := lifecycle.ParseNeeds([]byte(`[{"product":"debian","cycle":"13","ram_gb":4,"disk_gb":20,"cpus":2},{"product":"debian","cycle":"12","ram_gb":1}]`))
	if err != nil {
		t.Fatal(err)
	}
	tab := table(t, false)
	tab.Needs = needs
	const gib = 1 << 30
	big := policy.Traits{OS: "debian", OSVersion: "12.9", RAMBytes: 8 * gib, DiskSizeBytes: 100 * gib, CPUs: 4}
	with := func(change func(*policy.Traits)) policy.Traits { d := big; change(&d); return d }
	tests := []struct {
		name   string
		device policy.Traits
		now    string
		want   lifecycle.Advice
		to     string
		short  bool
	}{
		{"supported", big, "2025-12-01 00:00:00", lifecycle.Nothing, "", false},
		{"ended, and big enough for the next", big, "2026-07-01 00:00:00", lifecycle.Upgrade, "debian 13", false},
		{"ended, too little memory for the next", with(func(d *policy.Traits) { d.RAMBytes = 2 * gib }), "2026-07-01 00:00:00", lifecycle.Replace, "", false},
		{"ended, too small a disk", with(func(d *policy.Traits) { d.DiskSizeBytes = 10 * gib }), "2026-07-01 00:00:00", lifecycle.Replace, "", false},
		{"ended, too few processors", with(func(d *policy.Traits) { d.CPUs = 1 }), "2026-07-01 00:00:00", lifecycle.Replace, "", false},
		{"4 GiB of which a little is not shown", with(func(d *policy.Traits) { d.RAMBytes = 38 * gib / 10 }), "2026-07-01 00:00:00", lifecycle.Upgrade, "debian 13", false},
		{"never measured is not small", with(func(d *policy.Traits) { d.RAMBytes, d.DiskSizeBytes, d.CPUs = 0, 0, 0 }), "2026-07-01 00:00:00", lifecycle.Upgrade, "debian 13", false},
		{"supported, and too small for what it runs", with(func(d *policy.Traits) { d.RAMBytes = gib / 2 }), "2025-12-01 00:00:00", lifecycle.Replace, "", true},
		{"nothing later", policy.Traits{OS: "debian", OSVersion: "13.1"}, "2030-01-01 00:00:00", lifecycle.Replace, "", false},
		{"unknown", policy.Traits{OS: "plan9"}, "2026-01-01 00:00:00", lifecycle.Look, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tab.Assess(tt.device, at(tt.now))
			if got.Advice != tt.want || got.To != tt.to || got.Short.IsZero() == tt.short {
				t.Errorf("got %s to %q, short %v; want %s to %q", got.Advice, got.To, got.Short, tt.want, tt.to)
			}
		})
	}
}

func TestTablesThatAreRefused(t *testing.T) {
	cycles := func(text string) error { _, err := lifecycle.ParseCycles("debian", []byte(text), false); return err }
	needs := func(text string) error { _, err := lifecycle.ParseNeeds([]byte(text)); return err }
	tests := []struct {
		name, field, text string
		read              func(string) error
	}{
		{"no JSON", "file", `<html>`, cycles},
		{"an object", "file", `{"message":"not found"}`, cycles},
		{"empty", "file", `[]`, cycles},
		{"no end", "[0].eol", `[{"cycle":"12"}]`, cycles},
		{"an end that is no day", "[1].eol", `[{"cycle":"12","eol":true},{"cycle":"13","eol":"June"}]`, cycles},
		{"no version", "[0].cycle", `[{"eol":true}]`, cycles},
		{"a version twice", "[1].cycle", `[{"cycle":"12","eol":true},{"cycle":"12","eol":false}]`, cycles},
		{"a 30th of February", "[0].releaseDate", `[{"cycle":"12","eol":true,"releaseDate":"2026-02-30"}]`, cycles},
		{"too long", "file", "[" + strings.Repeat(" ", lifecycle.MaxTable) + "]", cycles},
		{"hardware of no product", "[0].product", `[{"cycle":"12","ram_gb":1}]`, needs},
		{"hardware that says nothing", "[0]", `[{"product":"debian","cycle":"12"}]`, needs},
		{"less than no memory", "[0]", `[{"product":"debian","cycle":"12","ram_gb":-1}]`, needs},
		{"hardware twice", "[1].cycle", `[{"product":"debian","cycle":"12","cpus":1},{"product":"debian","cycle":"12","cpus":2}]`, needs},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var refused *fault.Error
			if err := tt.read(tt.text); !errors.As(err, &refused) || refused.Code != fault.InvalidField || refused.Args["field"] != tt.field {
				t.Errorf("got %v, want invalid_field of %s", err, tt.field)
			}
		})
	}
	if _, err := lifecycle.ParseCycles("Debian GNU", []byte(debian), false); fault.CodeOf(err) != fault.InvalidField {
		t.Errorf("a product with a space: %v", err)
	}
}

// A level that was never read is not too low.
func TestTheProcessorsLevel(t *testing.T) {
	needs, err := lifecycle.ParseNeeds([]byte(`[{"product":"rhel","cycle":"10","cpu_level":3}]`))
	if err != nil {
		t.Fatal(err)
	}
	table := lifecycle.Table{Needs: needs}
	cycle := lifecycle.Cycle{Product: "rhel", Cycle: "10"}
	for level, short := range map[int64]bool{0: false, 1: true, 2: true, 3: false, 4: false} {
		why := table.Short(policy.Traits{CPULevel: level}, cycle)
		if why.IsZero() == short {
			t.Errorf("level %d for a system that wants 3: %q", level, why)
		}
		if short && (why.Args["part"] != "cpu_level" || why.Args["need"] != "x86-64-v3") {
			t.Errorf("level %d: %v", level, why.Args)
		}
	}
	for _, text := range []string{`[{"product":"rhel","cycle":"10","cpu_level":5}]`, `[{"product":"rhel","cycle":"10","cpu_level":-1}]`} {
		if _, err := lifecycle.ParseNeeds([]byte(text)); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}
