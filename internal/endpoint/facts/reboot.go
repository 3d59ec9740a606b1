package facts

import (
	"bytes"
	"context"
	"path"
	"slices"
	"strconv"
	"strings"

	"patchring/internal/endpoint/provider/apt/dpkg"
	"patchring/wire"
)

// Signals that a reboot is wanted. Without one there is none: that something
// was installed is no signal.
const (
	SignalFile        = "reboot_required_file" // a package's script asked for it
	SignalKernel      = "kernel_newer"         // another kernel is installed than the one that runs
	SignalNeedrestart = "needrestart"          // needrestart's own opinion of the kernel
)

func (r *Reader) rebootSignals(ctx context.Context, kernel string, container, deep bool) ([]wire.RebootSignal, error) {
	var signals []wire.RebootSignal
	if r.exists("run/reboot-required") {
		signal := wire.RebootSignal{Signal: SignalFile}
		if packages := strings.Fields(r.text("run/reboot-required.pkgs")); len(packages) > 0 {
			slices.Sort(packages)
			signal.Detail = slices.Compact(packages)
		}
		signals = append(signals, signal)
	}
	if container {
		return signals, nil // the kernel is its host's
	}
	if newer := r.kernelNewer(kernel); newer != nil {
		signals = append(signals, wire.RebootSignal{Signal: SignalKernel, Detail: newer})
	}
	var err error
	if deep && r.host.Needrestart != nil {
		var said []byte
		if said, err = r.host.Needrestart(ctx); err == nil {
			r.stale = parseNeedrestart(said)
		}
	}
	if r.stale != nil {
		signals = append(signals, *r.stale)
	}
	return signals, err
}

// kernelNewer compares the running kernel with the newest installed one of its
// flavour, then, for the same release, with the build that is installed:
// Debian's security updates often keep the release.
func (r *Reader) kernelNewer(running string) []string {
	if running == "" || !r.exists("boot/vmlinuz-"+running) && !r.exists("lib/modules/"+running) && !r.exists("usr/lib/modules/"+running) {
		return nil // the kernel did not come from this system: nothing here replaces it
	}
	version, flavour := splitKernel(running)
	newest, newestVersion := running, version
	for _, name := range r.names("boot") {
		release, ok := strings.CutPrefix(path.Base(name), "vmlinuz-")
		if !ok {
			continue
		}
		if v, f := splitKernel(release); f == flavour && compareNatural(v, newestVersion) > 0 {
			newest, newestVersion = release, v
		}
	}
	if newest != running {
		return []string{"running " + running, "installed " + newest}
	}
	build, installed := r.runningBuild(), r.installedBuild(running)
	if build != "" && installed != "" && build != installed {
		return []string{"running " + running + " " + build, "installed " + running + " " + installed}
	}
	return nil
}

// splitKernel takes the flavour off a release: 6.1.0-50-cloud-amd64 is
// 6.1.0-50 of cloud-amd64, 6.12.41+deb13-amd64 is 6.12.41+deb13 of amd64.
func splitKernel(release string) (version, flavour string) {
	parts := strings.Split(release, "-")
	i := len(parts)
	for i > 1 && parts[i-1] != "" && (parts[i-1][0] < '0' || parts[i-1][0] > '9') {
		i--
	}
	return strings.Join(parts[:i], "-"), strings.Join(parts[i:], "-")
}

// compareNatural compares runs of digits as numbers and the rest as text.
func compareNatural(a, b string) int {
	for a != "" && b != "" {
		da, db := digits(a), digits(b)
		if da == 0 || db == 0 {
			if a[0] != b[0] {
				return strings.Compare(a[:1], b[:1])
			}
			a, b = a[1:], b[1:]
			continue
		}
		na, nb := strings.TrimLeft(a[:da], "0"), strings.TrimLeft(b[:db], "0")
		if len(na) != len(nb) {
			return len(na) - len(nb)
		}
		if na != nb {
			return strings.Compare(na, nb)
		}
		a, b = a[da:], b[db:]
	}
	return len(a) - len(b)
}

// digits counts the leading digits.
func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// runningBuild reads the package version out of what Debian's kernel says:
//
//	Linux version 6.1.0-50-amd64 (debian-kernel@lists.debian.org) (gcc-12 …) #1 SMP PREEMPT_DYNAMIC Debian 6.1.170-1 (2026-09-08)
func (r *Reader) runningBuild() string {
	words := strings.Fields(r.line("proc/version"))
	for i := len(words) - 2; i >= 0; i-- {
		if words[i] == "Debian" {
			return words[i+1]
		}
	}
	return ""
}

// installedBuild is the version of the package that holds a kernel.
func (r *Reader) installedBuild(release string) string {
	file, err := r.host.FS.Open(path.Join(dpkg.AdminDir, "status"))
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }() // it was only read
	version := ""
	err = dpkg.ReadStatus(file, func(p dpkg.Package) error {
		if p.Name == "linux-image-"+release && p.Sound() {
			version = p.Version
		}
		return nil
	})
	if err != nil {
		return ""
	}
	return version
}

// parseNeedrestart reads the batch output:
//
//	NEEDRESTART-VER: 3.6
//	NEEDRESTART-KCUR: 6.1.0-49-amd64
//	NEEDRESTART-KEXP: 6.1.0-50-amd64
//	NEEDRESTART-KSTA: 3
//
// 0 is unknown, 1 nothing pending, 2 a compatible upgrade, 3 another version.
// Services that want a restart (NEEDRESTART-SVC) want no reboot.
func parseNeedrestart(said []byte) *wire.RebootSignal {
	fields := map[string]string{}
	for line := range bytes.Lines(said) {
		if key, value, ok := strings.Cut(strings.TrimSpace(string(line)), ": "); ok {
			fields[strings.TrimPrefix(key, "NEEDRESTART-")] = value
		}
	}
	if state, err := strconv.Atoi(fields["KSTA"]); err != nil || state < 2 {
		return nil
	}
	return &wire.RebootSignal{Signal: SignalNeedrestart, Detail: []string{"running " + fields["KCUR"], "expected " + fields["KEXP"]}}
}
