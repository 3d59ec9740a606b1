package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"patchring/wire"
)

func read(t testing.TB, text string) (Rules, error) {
	file := filepath.Join(t.TempDir(), "local.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Read(file)
}

func rules(t testing.TB, text string) Rules {
	t.Helper()
	r, err := read(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestNoFileForbidsNothing(t *testing.T) {
	r, err := Read(filepath.Join(t.TempDir(), "none"))
	if err != nil || r.NeverReboot || len(r.BlockedHours) != 0 || len(r.NeverPackages) != 0 {
		t.Errorf("rules %+v, error %v", r, err)
	}
}

func TestWhatCannotBeUnderstoodIsAnError(t *testing.T) {
	for _, text := range []string{
		``, `[]`, `{"never_rebot": true}`, `{} {}`, `{"never_reboot": "yes"}`,
		`{"blocked_hours": [{"from": "8", "to": "18:00"}]}`,
		`{"blocked_hours": [{"from": "08:00", "to": "24:00"}]}`,
		`{"blocked_hours": [{"from": "08:00", "to": "18:00", "days": ["monday"]}]}`,
		`{"never_packages": ["[a"]}`, `{"never_probes": ["[a"]}`, `{"never_probes": [""]}`, `{"never_packages": [""]}`,
	} {
		if _, err := read(t, text); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}

func TestForbiddenPackages(t *testing.T) {
	r := rules(t, `{"never_packages": ["postgresql*", "nginx"]}`)
	for name, want := range map[string]string{
		"postgresql-15": "postgresql*", "nginx": "nginx", "nginx-common": "", "libpq5": "",
	} {
		item := wire.Item{Packages: []wire.Change{{Name: "other"}, {Name: name}}}
		if got, yes := r.Forbids(item); got != want || yes != (want != "") {
			t.Errorf("%s: forbidden by %q, want %q", name, got, want)
		}
	}
}

func TestBlockedHours(t *testing.T) {
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string) time.Time {
		v, err := time.ParseInLocation("2006-01-02 15:04", text, paris)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	office := rules(t, `{"blocked_hours": [{"from": "08:00", "to": "18:30", "days": ["mon", "tue", "wed", "thu", "fri"]}]}`)
	night := rules(t, `{"blocked_hours": [{"from": "22:00", "to": "02:30", "days": ["sat"]}]}`)
	always := rules(t, `{"blocked_hours": [{"from": "00:00", "to": "00:00"}]}`)
	for _, c := range []struct {
		name   string
		rules  Rules
		now    string
		length time.Duration
		clear  string // empty: never
	}{
		{"before the office", office, "2026-12-08 07:00", 30 * time.Minute, "2026-12-08 07:00"},
		{"just before it", office, "2026-12-08 07:30", 30 * time.Minute, "2026-12-08 07:30"},
		{"too close to it", office, "2026-12-08 07:31", 30 * time.Minute, "2026-12-08 18:30"},
		{"at its first minute", office, "2026-12-08 08:00", 0, "2026-12-08 18:30"},
		{"at its end", office, "2026-12-08 18:30", 0, "2026-12-08 18:30"},
		{"on Saturday", office, "2026-12-12 10:00", time.Hour, "2026-12-12 10:00"},
		{"Saturday night", night, "2026-12-12 23:00", 0, "2026-12-13 02:30"},
		{"its second half, on Sunday", night, "2026-12-13 01:00", 0, "2026-12-13 02:30"},
		{"Sunday night", night, "2026-12-13 23:00", 0, "2026-12-13 23:00"},
		{"over the spring change, where 02:30 is not", night, "2026-03-29 01:00", 0, "2026-03-29 03:30"},
		{"longer than a day", office, "2026-12-11 19:00", 60 * time.Hour, "2026-12-11 19:00"},
		{"longer than a weekend", office, "2026-12-11 19:00", 62 * time.Hour, ""},
		{"every hour", always, "2026-12-08 07:00", 0, ""},
	} {
		got, ok := c.rules.Clear(at(c.now), c.length)
		switch {
		case ok != (c.clear != ""):
			t.Errorf("%s: clear %s %v, want %q", c.name, got, ok, c.clear)
		case ok && !got.Equal(at(c.clear)):
			t.Errorf("%s: clear at %s, want %s", c.name, got, c.clear)
		}
	}
}

// Against a plain model, minute by minute over ten years of instants.
func TestBlockedAgreesWithTheClockOnTheWall(t *testing.T) {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	r := rules(t, `{"blocked_hours": [{"from": "22:15", "to": "04:45", "days": ["mon", "fri"]}, {"from": "12:00", "to": "13:00"}]}`)
	rapid.Check(t, func(rt *rapid.T) {
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, zone).Add(time.Duration(rapid.Int64Range(0, 10*365*24*60).Draw(rt, "minute")) * time.Minute)
		hm := at.Hour()*60 + at.Minute()
		day := at.Weekday()
		want := hm >= 12*60 && hm < 13*60 ||
			hm >= 22*60+15 && (day == time.Monday || day == time.Friday) ||
			hm < 4*60+45 && (day == time.Tuesday || day == time.Saturday)
		until := r.Blocked(at, 0)
		if !until.IsZero() != want {
			rt.Fatalf("%s: blocked until %s, want blocked %v", at, until, want)
		}
		if start, ok := r.NextBlocked(at, 24*time.Hour); ok && (!start.After(at) || r.Blocked(start, 0).IsZero()) {
			rt.Fatalf("%s: next blocked hours begin at %s, which is free", at, start)
		}
	})
}

func hook(t *testing.T, dir string, phase Phase, name, script string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, string(phase), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return path
}

func TestHooksRunByNameWithTheOrder(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	hook(t, dir, PreInstall, "20-b", `echo "b $PATCHRING_ORDER $PATCHRING_KIND $PATCHRING_PHASE" >>`+out, 0o755)
	hook(t, dir, PreInstall, "10-a", `echo "a $#" >>`+out, 0o755)
	hook(t, dir, PreInstall, "README", `echo readme >>`+out, 0o644)
	hook(t, dir, PostInstall, "10-c", `echo c >>`+out, 0o755)
	err := Hooks{Dir: dir}.Run(t.Context(), PreInstall, wire.Order{ID: "o1; rm x", Kind: wire.OrderInstall})
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if want := "a 0\nb o1; rm x install pre-install.d\n"; err != nil || string(got) != want {
		t.Errorf("hooks wrote %q, error %v, want %q", got, err, want)
	}
}

func TestNoHooksIsFine(t *testing.T) {
	if err := (Hooks{Dir: filepath.Join(t.TempDir(), "none")}).Run(t.Context(), PreInstall, wire.Order{}); err != nil {
		t.Error(err)
	}
}

func TestHooksThatStop(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		script string
		mode   os.FileMode
		says   string
	}{
		"fails":     {"echo not now; exit 3", 0o755, `exit="3"`},
		"writable":  {"exit 0", 0o777, "written by others"},
		"not there": {"", 0, "no such file"},
		"hangs":     {"sleep 100 & wait", 0o755, "stopped after"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(dir, name)
			if c.script == "" {
				if err := os.MkdirAll(filepath.Join(dir, string(PreInstall)), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink("/nowhere", filepath.Join(dir, string(PreInstall), "x")); err != nil {
					t.Fatal(err)
				}
			} else {
				hook(t, dir, PreInstall, "x", c.script, c.mode)
			}
			hook(t, dir, PreInstall, "y", "touch "+dir+"/ran", 0o755)
			err := Hooks{Dir: dir, Timeout: 300 * time.Millisecond}.Run(t.Context(), PreInstall, wire.Order{})
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "hook_failed") {
				t.Errorf("error %v, want hook_failed that says %q", err, c.says)
			}
			if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
				t.Error("the next hook ran all the same")
			}
		})
	}
}

func TestADirectoryThatOthersCanWriteIsNotBelieved(t *testing.T) {
	dir := t.TempDir()
	hook(t, dir, PreInstall, "x", "exit 0", 0o755)
	if err := os.Chmod(filepath.Join(dir, string(PreInstall)), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := (Hooks{Dir: dir}).Run(t.Context(), PreInstall, wire.Order{}); err == nil {
		t.Error("ran a hook from a directory that anybody can write")
	}
}

func TestForbiddenProbes(t *testing.T) {
	r := rules(t, `{"never_probes": ["certificate", "http*://10.*", "*:3306"]}`)
	for _, c := range []struct{ kind, target, want string }{
		{"certificate", "127.0.0.1:443", "certificate"}, {"http", "https://10.1.2.3/a/b", "http*://10.*"}, {"tcp", "db:3306", "*:3306"},
		{"tcp", "db:33060", ""}, {"http", "https://intranet/10.1", ""}, {"service", "certificate", "certificate"},
	} {
		if rule, no := r.ForbidsProbe(c.kind, c.target); rule != c.want || no != (c.want != "") {
			t.Errorf("%s %s: forbidden by %q, want %q", c.kind, c.target, rule, c.want)
		}
	}
	if rule, no := (Rules{}).ForbidsProbe("tcp", "db:3306"); no {
		t.Errorf("forbidden by %q without a file", rule)
	}
}
