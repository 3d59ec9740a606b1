package facts_test

import (
	"context"
	"errors"
	"io/fs"
	"runtime"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/endpoint/facts"
	"patchring/wire"
)

// files makes a device out of paths and contents; a content that begins with
// -> is a link.
func files(pairs map[string]string) fstest.MapFS {
	root := fstest.MapFS{}
	for name, content := range pairs {
		if len(content) > 2 && content[:2] == "->" {
			root[name] = &fstest.MapFile{Data: []byte(content[2:]), Mode: fs.ModeSymlink}
			continue
		}
		root[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return root
}

const (
	bookworm = `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION_CODENAME=bookworm
ID=debian
`
	kernel = "6.1.0-49-amd64"
)

// laptop is a Debian workstation at rest.
func laptop() map[string]string {
	return map[string]string{
		"usr/lib/os-release":                    bookworm,
		"etc/os-release":                        bookworm,
		"etc/debian_version":                    "12.15\n",
		"etc/machine-id":                        "0123456789abcdef0123456789abcdef\n",
		"etc/localtime":                         "->../usr/share/zoneinfo/Europe/Paris",
		"proc/sys/kernel/osrelease":             kernel + "\n",
		"proc/sys/kernel/random/boot_id":        "boot-1\n",
		"proc/stat":                             "cpu 1 2 3\nbtime 1795200000\nprocesses 5\n",
		"proc/version":                          "Linux version 6.1.0-49-amd64 (debian-kernel@lists.debian.org) (gcc-12) #1 SMP PREEMPT_DYNAMIC Debian 6.1.169-1 (2026-08-01)\n",
		"proc/meminfo":                          "MemTotal:       16308236 kB\nMemFree:  1 kB\n",
		"proc/cpuinfo":                          "processor\t: 0\nmodel name\t: Intel(R)  Core(TM) i5\nflags\t\t: fpu vme\n\nprocessor\t: 1\nmodel name\t: Intel(R)  Core(TM) i5\n",
		"proc/self/mounts":                      "proc /proc proc rw 0 0\n/dev/sda2 / ext4 rw 0 0\n/dev/sda1 /boot/efi vfat rw 0 0\n/dev/sda2 /srv/bind ext4 rw 0 0\n/dev/sdb1 /data\\040two xfs rw 0 0\noverlay /var/lib/docker/x overlay rw 0 0\nnas:/x /net nfs rw 0 0\n",
		"sys/class/dmi/id/chassis_type":         "10\n",
		"sys/class/dmi/id/sys_vendor":           "LENOVO\n",
		"sys/class/dmi/id/product_name":         "20XX\n",
		"sys/class/dmi/id/product_serial":       "Default string\n",
		"boot/vmlinuz-" + kernel:                "",
		"var/lib/dpkg/status":                   "Package: linux-image-" + kernel + "\nStatus: install ok installed\nVersion: 6.1.169-1\nArchitecture: amd64\nSource: linux-signed-amd64 (6.1.169+1)\n",
		"usr/lib/systemd/system/default.target": "->graphical.target",
	}
}

func with(base map[string]string, changes map[string]string) map[string]string {
	for name, content := range changes {
		if content == "-" {
			delete(base, name)
			continue
		}
		base[name] = content
	}
	return base
}

func host(root fs.FS) facts.Host {
	return facts.Host{
		FS:       root,
		Hostname: func() (string, error) { return "pc1", nil },
		Statfs: func(mount string) (int64, int64, error) {
			if mount == "/boot/efi" {
				return 0, 0, errors.New("stale")
			}
			return 100 << 30, 10<<30 + 12345, nil
		},
		Interfaces: func() ([]wire.Interface, error) {
			return []wire.Interface{{Name: "eth0", Addresses: []string{"192.0.2.7/24"}}}, nil
		},
	}
}

func read(t *testing.T, pairs map[string]string) wire.Facts {
	t.Helper()
	f, err := facts.NewReader(host(files(pairs))).Read(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFactsOfALaptop(t *testing.T) {
	want := wire.Facts{
		Hostname: "pc1", Kind: "workstation",
		OS:       wire.OS{ID: "debian", Name: "Debian GNU/Linux 12 (bookworm)", Version: "12.15", Codename: "bookworm", Kernel: kernel, Arch: runtime.GOARCH},
		Hardware: wire.Hardware{Vendor: "LENOVO", Model: "20XX", CPU: "Intel(R) Core(TM) i5", CPUs: 2, MemoryBytes: 16308236 << 10},
		Disks: []wire.Disk{
			{Mount: "/", FS: "ext4", SizeBytes: 100 << 30, FreeBytes: 10 << 30},
			{Mount: "/data two", FS: "xfs", SizeBytes: 100 << 30, FreeBytes: 10 << 30},
		},
		Interfaces: []wire.Interface{{Name: "eth0", Addresses: []string{"192.0.2.7/24"}}},
		BootID:     "boot-1", BootedUS: 1795200000_000000, MachineID: "0123456789abcdef0123456789abcdef", TimeZone: "Europe/Paris",
	}
	if diff := cmp.Diff(want, read(t, laptop())); diff != "" {
		t.Error(diff)
	}
}

func TestKindAndVirtual(t *testing.T) {
	for name, tc := range map[string]struct {
		changes       map[string]string
		kind, virtual string
		vendor        string
	}{
		"desktop without a display manager": {map[string]string{"sys/class/dmi/id/chassis_type": "3"}, "server", "", "LENOVO"},
		"desktop with one": {map[string]string{"sys/class/dmi/id/chassis_type": "3",
			"etc/systemd/system/display-manager.service": "->/usr/lib/systemd/system/gdm.service"}, "workstation", "", "LENOVO"},
		"display manager, but boots to text": {map[string]string{"sys/class/dmi/id/chassis_type": "3",
			"etc/systemd/system/display-manager.service": "->/x", "etc/systemd/system/default.target": "->/lib/systemd/system/multi-user.target"}, "server", "", "LENOVO"},
		"container on a laptop": {map[string]string{"run/systemd/container": "systemd-nspawn\n"}, "server", "systemd-nspawn", ""},
		"docker":                {map[string]string{".dockerenv": ""}, "server", "docker", ""},
		"lxc by its init":       {map[string]string{"proc/1/environ": "A=b\x00container=lxc\x00"}, "server", "lxc", ""},
		"kvm":                   {map[string]string{"sys/class/dmi/id/sys_vendor": "QEMU", "sys/class/dmi/id/chassis_type": "1"}, "server", "qemu", "QEMU"},
		"hyper-v": {map[string]string{"sys/class/dmi/id/sys_vendor": "Microsoft Corporation", "sys/class/dmi/id/product_name": "Virtual Machine",
			"sys/class/dmi/id/chassis_type": "3"}, "server", "microsoft", "Microsoft Corporation"},
		"unknown hypervisor": {map[string]string{"proc/cpuinfo": "processor : 0\nflags : fpu hypervisor\n", "sys/class/dmi/id/chassis_type": "1"}, "server", "vm", "LENOVO"},
	} {
		f := read(t, with(laptop(), tc.changes))
		if f.Kind != tc.kind || f.Hardware.Virtual != tc.virtual || f.Hardware.Vendor != tc.vendor {
			t.Errorf("%s: %s, %q by %q; want %s, %q by %q", name, f.Kind, f.Hardware.Virtual, f.Hardware.Vendor, tc.kind, tc.virtual, tc.vendor)
		}
	}
}

func TestVersionOfTheSystem(t *testing.T) {
	for name, tc := range map[string]struct {
		changes map[string]string
		want    string
	}{
		"point release":          {nil, "12.15"},
		"ubuntu keeps its own":   {map[string]string{"etc/os-release": "ID=ubuntu\nVERSION_ID='24.04'\n", "etc/debian_version": "trixie/sid\n"}, "24.04"},
		"testing has no version": {map[string]string{"etc/os-release": "ID=debian\n", "etc/debian_version": "forky/sid\n"}, "forky/sid"},
		"only in usr/lib":        {map[string]string{"etc/os-release": "-", "usr/lib/os-release": "ID=debian\nVERSION_ID=11\n", "etc/debian_version": "12.1"}, "11"},
	} {
		if got := read(t, with(laptop(), tc.changes)).OS.Version; got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	f, err := facts.NewReader(host(files(with(laptop(), map[string]string{"etc/os-release": "-", "usr/lib/os-release": "-"})))).Read(t.Context(), false)
	if !errors.Is(err, fs.ErrNotExist) || f.OS.ID != "linux" || f.MachineID == "" {
		t.Errorf("without os-release: %v, %+v; want the rest and the error", err, f.OS)
	}
}

func TestRebootSignals(t *testing.T) {
	for name, tc := range map[string]struct {
		changes map[string]string
		want    []wire.RebootSignal
	}{
		"at rest": {nil, nil},
		"asked by packages": {map[string]string{"run/reboot-required": "*** System restart required ***\n", "run/reboot-required.pkgs": "libc6\ndbus\nlibc6\n"},
			[]wire.RebootSignal{{Signal: facts.SignalFile, Detail: []string{"dbus", "libc6"}}}},
		"newer kernel of the flavour": {map[string]string{"boot/vmlinuz-6.1.0-100-amd64": "", "boot/vmlinuz-6.1.0-200-rt-amd64": "", "boot/vmlinuz-6.1.0-9-amd64": ""},
			[]wire.RebootSignal{{Signal: facts.SignalKernel, Detail: []string{"running " + kernel, "installed 6.1.0-100-amd64"}}}},
		"only another flavour is newer": {map[string]string{"boot/vmlinuz-6.1.0-100-cloud-amd64": ""}, nil},
		"same release, newer build": {map[string]string{"var/lib/dpkg/status": "Package: linux-image-" + kernel + "\nStatus: install ok installed\nVersion: 6.1.170-1\n"},
			[]wire.RebootSignal{{Signal: facts.SignalKernel, Detail: []string{"running " + kernel + " 6.1.169-1", "installed " + kernel + " 6.1.170-1"}}}},
		"kernel from elsewhere": {map[string]string{"boot/vmlinuz-" + kernel: "-", "boot/vmlinuz-6.1.0-100-amd64": ""}, nil},
		"container":             {map[string]string{"run/systemd/container": "lxc", "boot/vmlinuz-6.1.0-100-amd64": ""}, nil},
		"container that asks": {map[string]string{"run/systemd/container": "lxc", "run/reboot-required": ""},
			[]wire.RebootSignal{{Signal: facts.SignalFile}}},
		"new names of trixie": {map[string]string{"proc/sys/kernel/osrelease": "6.12.41+deb13-amd64\n", "boot/vmlinuz-6.12.41+deb13-amd64": "", "boot/vmlinuz-6.12.43+deb13-amd64": ""},
			[]wire.RebootSignal{{Signal: facts.SignalKernel, Detail: []string{"running 6.12.41+deb13-amd64", "installed 6.12.43+deb13-amd64"}}}},
	} {
		if diff := cmp.Diff(tc.want, read(t, with(laptop(), tc.changes)).RebootSignals); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestNeedrestartStandsUntilItIsAskedAgain(t *testing.T) {
	said, failure := "NEEDRESTART-VER: 3.6\nNEEDRESTART-KCUR: 6.1.0-49-amd64\nNEEDRESTART-KEXP: 6.1.0-50-amd64\nNEEDRESTART-KSTA: 3\n", error(nil)
	asked := 0
	h := host(files(laptop()))
	h.Needrestart = func(context.Context) ([]byte, error) { asked++; return []byte(said), failure }
	r := facts.NewReader(h)
	signals := func(deep bool) []wire.RebootSignal {
		f, err := r.Read(t.Context(), deep)
		if !errors.Is(err, failure) {
			t.Errorf("read: %v, want %v", err, failure)
		}
		return f.RebootSignals
	}
	if got := signals(false); got != nil || asked != 0 {
		t.Errorf("a shallow reading asked %d times and found %v", asked, got)
	}
	want := []wire.RebootSignal{{Signal: facts.SignalNeedrestart, Detail: []string{"running 6.1.0-49-amd64", "expected 6.1.0-50-amd64"}}}
	for _, deep := range []bool{true, false} {
		if diff := cmp.Diff(want, signals(deep)); diff != "" {
			t.Errorf("deep %v: %s", deep, diff)
		}
	}
	failure = errors.New("no perl")
	if diff := cmp.Diff(want, signals(true)); diff != "" {
		t.Errorf("while it fails: %s", diff)
	}
	said, failure = "NEEDRESTART-KSTA: 1\n", nil
	if got := signals(true); got != nil {
		t.Errorf("nothing is pending, but %v", got)
	}
}

func TestBootTimeIsTakenOnceABoot(t *testing.T) {
	root := files(laptop())
	r := facts.NewReader(host(root))
	booted := func() (string, int64) {
		f, err := r.Read(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		return f.BootID, f.BootedUS
	}
	_, first := booted()
	root["proc/stat"] = &fstest.MapFile{Data: []byte("btime 1795200001\n")}
	if _, again := booted(); again != first {
		t.Errorf("boot time moved from %d to %d", first, again)
	}
	root["proc/sys/kernel/random/boot_id"] = &fstest.MapFile{Data: []byte("boot-2\n")}
	if id, next := booted(); id != "boot-2" || next != 1795200001_000000 {
		t.Errorf("after a reboot %s %d", id, next)
	}
}

func TestActors(t *testing.T) {
	unattended := map[string]string{
		"usr/bin/unattended-upgrade": "", "run/systemd/system": "",
		"usr/lib/systemd/system/apt-daily-upgrade.timer":                 "",
		"etc/systemd/system/timers.target.wants/apt-daily-upgrade.timer": "->/usr/lib/systemd/system/apt-daily-upgrade.timer",
		"etc/apt/apt.conf.d/20auto-upgrades":                             "APT::Periodic::Update-Package-Lists \"1\";\nAPT::Periodic::Unattended-Upgrade \"1\";\n",
	}
	both := func(timer, unattended bool) []wire.Actor {
		return []wire.Actor{{Name: facts.ActorTimer, Active: timer}, {Name: facts.ActorUnattended, Active: unattended}}
	}
	for name, tc := range map[string]struct {
		changes map[string]string
		want    []wire.Actor
	}{
		"on":                      {nil, both(true, true)},
		"installed but not on":    {map[string]string{"etc/apt/apt.conf.d/20auto-upgrades": "-"}, both(true, false)},
		"switched off later":      {map[string]string{"etc/apt/apt.conf.d/99off": "// off\nAPT { Periodic { /* now */ Unattended-Upgrade \"0\"; }; };\n"}, both(true, false)},
		"all of it disabled":      {map[string]string{"etc/apt/apt.conf.d/10": "# x\nAPT::Periodic::Enable \"0\";"}, both(true, false)},
		"timer masked":            {map[string]string{"etc/systemd/system/apt-daily-upgrade.timer": "->/dev/null"}, both(false, false)},
		"timer disabled":          {map[string]string{"etc/systemd/system/timers.target.wants/apt-daily-upgrade.timer": "-"}, both(false, false)},
		"cron instead of systemd": {map[string]string{"etc/systemd/system/timers.target.wants/apt-daily-upgrade.timer": "-", "run/systemd/system": "-", "etc/cron.daily/apt-compat": ""}, both(false, true)},
		"packagekit": {map[string]string{"usr/libexec/packagekitd": "", "system-update": "->/var/lib/system-update"},
			append(both(true, true), wire.Actor{Name: facts.ActorPackageKit, Active: true})},
	} {
		got := read(t, with(with(laptop(), unattended), tc.changes)).Actors
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
	if got := read(t, laptop()).Actors; got != nil {
		t.Errorf("nobody else is there, but %v", got)
	}
}

func TestThisDevice(t *testing.T) {
	f, err := facts.NewReader(facts.This()).Read(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if f.Hostname == "" || f.BootID == "" || f.BootedUS == 0 || f.OS.Kernel == "" || f.Hardware.CPUs == 0 || f.Hardware.MemoryBytes == 0 {
		t.Errorf("facts of this device miss something: %+v", f)
	}
}

func TestCPULevel(t *testing.T) {
	v1 := "fpu lm cmov cx8 fxsr mmx syscall sse sse2"
	v2 := v1 + " cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3"
	v3 := v2 + " avx avx2 bmi1 bmi2 f16c fma abm movbe xsave"
	for flags, want := range map[string]int{
		"": 0, "fpu vme": 0, v1: 1, v2: 2, v2 + " avx avx2": 2, v3: 3, v3 + " avx512f avx512bw avx512cd avx512dq avx512vl": 4,
	} {
		f := laptop()
		f["proc/cpuinfo"] = "processor\t: 0\nflags\t\t: " + flags + "\n"
		if got := read(t, f).Hardware.CPULevel; got != want {
			t.Errorf("%q is level %d, want %d", flags, got, want)
		}
	}
}
