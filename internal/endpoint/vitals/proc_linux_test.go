package vitals

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"patchring/internal/endpoint/units"
	"patchring/wire"
)

// box is a device whose files can be changed between two readings.
type box struct {
	t      *testing.T
	files  fstest.MapFS
	host   Host
	up     time.Duration
	said   strings.Builder // its log
	states map[string]string
	survey units.Survey
	failed error
	lines  int
	asked  int // the system's log
	cursor string
}

// machine was recorded on Debian 12, and shortened.
var machine = map[string]string{
	"proc/stat":         "cpu  1000 0 500 8000 500 0 0 0 0 0\ncpu0 1000 0 500 8000 500 0 0 0 0 0\nbtime 1700000000\n",
	"proc/loadavg":      "0.50 0.30 0.20 1/200 1234\n",
	"proc/meminfo":      "MemTotal:        4000000 kB\nMemFree:          500000 kB\nMemAvailable:    3000000 kB\n",
	"proc/diskstats":    "   8       0 sda 100 0 800 200 50 0 400 100 0 250 300\n   8       1 sda1 90 0 700 190 50 0 400 100 0 240 290\n 252       0 dm-0 100 0 800 220 50 0 400 100 0 250 320\n   7       0 loop0 900 0 1 900 0 0 0 0 0 0 0\n",
	"sys/block/sda/dev": "8:0\n",
	"proc/self/mounts":  "/dev/sda1 / ext4 rw,relatime 0 0\n/dev/sdb1 /srv xfs rw 0 0\n/dev/sr0 /media ext4 ro 0 0\ntmpfs /run tmpfs rw 0 0\n",
	"proc/self/net/tcp": "  sl  local_address rem_address   st tx_queue rx_queue\n" +
		"   0: 0100007F:0277 00000000:0000 0A 00000000:00000000\n" +
		"   1: 00000000:0050 00000000:0000 0A 00000000:00000000\n" +
		"   2: 0100007F:0050 0100007F:9C40 01 00000000:00000000\n" +
		"   3: 0100007F:9999 0100007F:9C41 0A behind the listeners nothing is read\n",
	"proc/self/net/tcp6":           "  sl  local_address                         remote_address                        st\n   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A\n   1: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A\n",
	"var/lib/systemd/coredump/.x":  "",
	"var/crash/_usr_bin_old.crash": "",
}

func newBox(t *testing.T, more map[string]string) *box {
	b := &box{t: t, files: fstest.MapFS{}, states: map[string]string{}}
	for name, text := range machine {
		b.set(name, text)
	}
	for name, text := range more {
		b.set(name, text)
	}
	b.host = Host{
		FS: b.files, CPUs: 2, Uptime: func() time.Duration { return b.up },
		Statfs: func(mount string) (int64, int64, error) {
			return 1000, map[string]int64{"/": 400, "/srv": 125, "/media": 0}[mount], nil
		},
		Clock:       func() (time.Duration, bool, error) { return -1500 * time.Microsecond, true, nil },
		Units:       b,
		Journal:     b.journal,
		People:      func(context.Context) ([]units.Person, error) { return nil, nil },
		Workstation: func() (bool, bool) { return false, true },
	}
	return b
}

func (b *box) set(name, text string) { b.files[name] = &fstest.MapFile{Data: []byte(text)} }

func (b *box) State(_ context.Context, name string) (string, error) { return b.states[name], nil }
func (b *box) Survey(context.Context) (units.Survey, error)         { return b.survey, b.failed }
func (b *box) Boot(_ context.Context, container bool) (time.Duration, error) {
	if container {
		return 3 * time.Second, nil
	}
	return 21500 * time.Millisecond, nil
}

func (b *box) journal(_ context.Context, cursor string) (int, string, error) {
	b.asked++
	if cursor == "" {
		return 0, "c0", nil
	}
	b.cursor = cursor
	n := b.lines
	b.lines = 0
	return n, cursor + "+", nil
}

func (b *box) sampler() *Sampler {
	return New(b.host, slog.New(slog.NewTextHandler(&b.said, nil)))
}

func wantValues(t *testing.T, r Reading, want map[wire.Measure]float64) {
	t.Helper()
	for m, v := range want {
		if got, ok := r.Values[m]; !ok || got != v {
			t.Errorf("%s is %v (%v), want %v", m, got, ok, v)
		}
	}
}

func wantAbsent(t *testing.T, r Reading, list ...wire.Measure) {
	t.Helper()
	for _, m := range list {
		if v, ok := r.Values[m]; ok {
			t.Errorf("%s is %v, want it absent", m, v)
		}
	}
}

func TestAMachineIsMeasuredFromItsFiles(t *testing.T) {
	b := newBox(t, nil)
	s := b.sampler()
	first := s.Read(t.Context())
	wantAbsent(t, first, wire.MeasureCPU, wire.MeasureDisk, wire.MeasureCrashes, wire.MeasureErrors, wire.MeasureUnguarded, wire.MeasureProbesDown, wire.MeasureLogin)
	wantValues(t, first, map[wire.Measure]float64{
		wire.MeasureLoad: 0.25, wire.MeasureMemory: 25, wire.MeasureFree: 12.5, wire.MeasurePorts: 3, wire.MeasureBoot: 21.5,
		wire.MeasureClock: 1.5, wire.MeasureUnsynced: 0, wire.MeasureUnits: 0, wire.MeasureDown: 0, wire.MeasureUse: 100,
	})
	b.set("proc/stat", "cpu  1200 0 600 8600 600 0 0 0 0 0\n")
	b.set("proc/diskstats", "   8       0 sda 110 0 800 260 60 0 400 140 0 250 300\n   8       1 sda1 99 0 1 9999 99 0 1 9999 0 1 1\n")
	b.set("var/lib/systemd/coredump/core.app.0.boot.7.9.zst", "")
	b.set("var/crash/_usr_bin_app.0.crash", "")
	b.set("var/crash/app.lock", "")
	b.up = 5 * time.Minute
	b.lines = 10
	wantValues(t, s.Read(t.Context()), map[wire.Measure]float64{
		wire.MeasureCPU: 30, wire.MeasureDisk: 5, wire.MeasureCrashes: 2, wire.MeasureErrors: 2,
	})
	b.up += time.Minute
	third := s.Read(t.Context())
	wantAbsent(t, third, wire.MeasureCPU, wire.MeasureDisk) // nothing has moved
	wantValues(t, third, map[wire.Measure]float64{wire.MeasureCrashes: 0, wire.MeasureErrors: 2})
	if b.asked != 2 || b.cursor != "c0" {
		t.Errorf("the system's log was asked %d times, from %q: want once in five minutes, from where it was left", b.asked, b.cursor)
	}
	if said := b.said.String(); said != "" {
		t.Errorf("a device with nothing amiss logs\n%s", said)
	}
}

// A container's own share is counted by its control group, in both versions.
func TestAContainerIsMeasuredByItsControlGroup(t *testing.T) {
	for name, c := range map[string]struct {
		mountinfo     string
		before, after map[string]string
		cpu, memory   float64
	}{
		"unified": {
			"30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
			map[string]string{"sys/fs/cgroup/cpu.stat": "usage_usec 1000000\nuser_usec 1\n", "sys/fs/cgroup/memory.current": "900000000\n", "sys/fs/cgroup/memory.max": "1000000000\n", "sys/fs/cgroup/memory.stat": "anon 1\ninactive_file 400000000\n"},
			map[string]string{"sys/fs/cgroup/cpu.stat": "usage_usec 31000000\n"},
			25, 50,
		},
		"hybrid, without a memory controller": {
			"30 20 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n31 20 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
			map[string]string{"sys/fs/cgroup/unified/cpu.stat": "usage_usec 0\n"},
			map[string]string{"sys/fs/cgroup/unified/cpu.stat": "usage_usec 60000000\n"},
			50, 25,
		},
		"first version, with a quota of half a processor": {
			"30 20 0:26 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n31 20 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
			map[string]string{
				"sys/fs/cgroup/cpu,cpuacct/cpuacct.usage": "5000000000\n", "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n", "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
				"sys/fs/cgroup/memory/memory.usage_in_bytes": "800\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "1000\n", "sys/fs/cgroup/memory/memory.stat": "total_inactive_file 200\n",
			},
			map[string]string{"sys/fs/cgroup/cpu,cpuacct/cpuacct.usage": "20000000000\n"},
			50, 60,
		},
		"with a quota of one": {
			"30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
			map[string]string{"sys/fs/cgroup/cpu.stat": "usage_usec 0\n", "sys/fs/cgroup/cpu.max": "100000 100000\n", "sys/fs/cgroup/memory.current": "1\n", "sys/fs/cgroup/memory.max": "max\n"},
			map[string]string{"sys/fs/cgroup/cpu.stat": "usage_usec 30000000\n"},
			50, 25,
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, map[string]string{"run/systemd/container": "systemd-nspawn\n", "proc/self/mountinfo": c.mountinfo})
			for name, text := range c.before {
				b.set(name, text)
			}
			s := b.sampler()
			s.Read(t.Context())
			for name, text := range c.after {
				b.set(name, text)
			}
			b.up = time.Minute
			r := s.Read(t.Context())
			wantValues(t, r, map[wire.Measure]float64{wire.MeasureCPU: c.cpu, wire.MeasureMemory: c.memory, wire.MeasureBoot: 3})
			wantAbsent(t, r, wire.MeasureLoad) // it would be its machine's
		})
	}
}

func TestLxcfsTellsAContainersOwnLoad(t *testing.T) {
	b := newBox(t, map[string]string{
		"run/systemd/container": "lxc\n", "proc/self/mountinfo": "30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
		"proc/self/mounts": "lxcfs /proc/loadavg fuse.lxcfs rw 0 0\n",
	})
	wantValues(t, b.sampler().Read(t.Context()), map[wire.Measure]float64{wire.MeasureLoad: 0.25})
}

// What cannot be read is absent, and said once; when it can be again that is
// said too.
func TestWhatCannotBeReadIsAbsentAndLoggedOnce(t *testing.T) {
	b := newBox(t, nil)
	stat := b.files["proc/stat"]
	delete(b.files, "proc/stat")
	b.failed = errors.New("no answer")
	s := b.sampler()
	for range 3 {
		r := s.Read(t.Context())
		wantAbsent(t, r, wire.MeasureCPU, wire.MeasureUnits, wire.MeasureDown)
		wantValues(t, r, map[wire.Measure]float64{wire.MeasureMemory: 25})
	}
	if n := strings.Count(b.said.String(), "not measured"); n != 2 {
		t.Errorf("logged %d times, want the two sources once each:\n%s", n, b.said.String())
	}
	b.files["proc/stat"] = stat
	s.Read(t.Context())
	s.Read(t.Context())
	if n := strings.Count(b.said.String(), "measured again"); n != 1 {
		t.Errorf("that it is measured again is logged %d times:\n%s", n, b.said.String())
	}
}

func TestServicesThatAreDownAreNamedOnceAndBounded(t *testing.T) {
	b := newBox(t, nil)
	b.survey = units.Survey{Failed: []string{"a.service", "m.mount"}, Down: []string{"a.service", "b.service"}}
	r := b.sampler().Read(t.Context())
	wantValues(t, r, map[wire.Measure]float64{wire.MeasureUnits: 2, wire.MeasureDown: 2})
	if got := strings.Join(r.Down, " "); got != "a.service m.mount b.service" {
		t.Errorf("down are %s", got)
	}
	for range 40 {
		b.survey.Failed = append(b.survey.Failed, "x.service")
	}
	if r := b.sampler().Read(t.Context()); len(r.Down) != wire.MaxDown || r.Values[wire.MeasureUnits] != 42 {
		t.Errorf("%d named of %v", len(r.Down), r.Values[wire.MeasureUnits])
	}
	b.failed = units.ErrStarting
	b.said.Reset()
	wantAbsent(t, b.sampler().Read(t.Context()), wire.MeasureUnits)
	if b.said.Len() > 0 {
		t.Errorf("a device that starts up is logged as trouble: %s", b.said.String())
	}
}

func TestASecurityAgentThatIsInstalledHasToRun(t *testing.T) {
	const unit = "clamav-daemon.service"
	for name, c := range map[string]struct {
		files map[string]string
		state string
		want  float64 // -1: absent
	}{
		"none":             {nil, "", -1},
		"runs":             {map[string]string{"lib/systemd/system/" + unit: ""}, "active", 0},
		"stopped":          {map[string]string{"usr/lib/systemd/system/" + unit: ""}, "inactive", 1},
		"failed":           {map[string]string{"etc/systemd/system/" + unit: ""}, "failed", 1},
		"program, no unit": {map[string]string{"opt/CrowdStrike/falcond": "", "proc/9/comm": "falcond\n", "proc/9/stat": "9 (falcond) S 1"}, "", 0},
		"a corpse":         {map[string]string{"opt/CrowdStrike/falcond": "", "proc/9/comm": "falcond\n", "proc/9/stat": "9 (falcond) Z 1"}, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, c.files)
			b.states[unit] = c.state
			r := b.sampler().Read(t.Context())
			if c.want < 0 {
				wantAbsent(t, r, wire.MeasureUnguarded)
			} else {
				wantValues(t, r, map[wire.Measure]float64{wire.MeasureUnguarded: c.want})
			}
		})
	}
}

func TestAWorkstationIsUsedWhileSomebodyIsAtIt(t *testing.T) {
	b := newBox(t, nil)
	at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	people := []units.Person{{Since: at, Desktop: at.Add(12 * time.Second)}, {Since: at.Add(-time.Hour), Desktop: at}}
	b.host.People = func(context.Context) ([]units.Person, error) { return people, nil }
	known := false
	b.host.Workstation = func() (bool, bool) { return true, known }
	s := b.sampler()
	wantAbsent(t, s.Read(t.Context()), wire.MeasureUse)
	known = true
	wantValues(t, s.Read(t.Context()), map[wire.Measure]float64{wire.MeasureUse: 0, wire.MeasureLogin: 12})
	people[1].Present = true
	wantValues(t, s.Read(t.Context()), map[wire.Measure]float64{wire.MeasureUse: 100})
	people = nil
	r := s.Read(t.Context())
	wantValues(t, r, map[wire.Measure]float64{wire.MeasureUse: 0})
	wantAbsent(t, r, wire.MeasureLogin)
}

func TestAClockThatNobodyKeepsSaysNoOffset(t *testing.T) {
	b := newBox(t, nil)
	b.host.Clock = func() (time.Duration, bool, error) { return 0, false, nil }
	r := b.sampler().Read(t.Context())
	wantValues(t, r, map[wire.Measure]float64{wire.MeasureUnsynced: 1})
	wantAbsent(t, r, wire.MeasureClock)
}

func TestCrashLinesOfTheKernel(t *testing.T) {
	for line, want := range map[string]bool{
		"4,1021,81,-;app[812]: segfault at 0 ip 000055d2 sp 00007ffc error 4 in app[55d2+1000]\n": true,
		"4,1022,82,-;traps: app[813] general protection fault ip:7f3 sp:7ff error:0 in libc\n":    true,
		"6,1023,83,-;traps: a note about traps\n":                                                 false,
		"6,1024,84,-;usb 1-1: new device\n":                                                       false,
		"":                                                                                        false,
	} {
		if got := crashLine(line); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}

func TestProcessesAreFoundByTheirName(t *testing.T) {
	files := fstest.MapFS{}
	for pid, p := range map[string][3]string{
		"7": {"nginx", "nginx: master process", "S"}, "8": {"gone", "gone", "Z"},
		"9": {"a-very-long-nam", "/opt/x/a-very-long-name-indeed\x00-d", "S"},
	} {
		files["proc/"+pid+"/comm"] = &fstest.MapFile{Data: []byte(p[0] + "\n")}
		files["proc/"+pid+"/cmdline"] = &fstest.MapFile{Data: []byte(p[1])}
		files["proc/"+pid+"/stat"] = &fstest.MapFile{Data: []byte(pid + " (" + p[0] + ") " + p[2] + " 1")}
	}
	for name, want := range map[string]bool{"nginx": true, "gone": false, "ngin": false, "a-very-long-name-indeed": true, "a-very-long-name-other": false, "a-very-long-nam": false} {
		if got, err := Alive(files, name); got != want || err != nil {
			t.Errorf("%s: %v %v, want %v", name, got, err, want)
		}
	}
}

func TestValuesAreShort(t *testing.T) {
	for v, want := range map[float64]float64{0: 0, 12.345678: 12.35, 0.00123456: 0.001235, 123456.7: 123457, 99.99999: 100, -3.14159: -3.142} {
		if got := short(v); got != want {
			t.Errorf("%v is shortened to %v, want %v", v, got, want)
		}
	}
}
