package facts

import (
	"slices"
	"strconv"
	"strings"

	"patchring/wire"
)

// Kinds of device as wire.Facts knows them.
const (
	kindWorkstation = "workstation"
	kindServer      = "server"
)

const dmi = "sys/class/dmi/id/"

// portable are the SMBIOS chassis types a person carries about: portable,
// laptop, notebook, hand held, sub notebook, tablet, convertible, detachable.
var portable = []string{"8", "9", "10", "11", "14", "30", "31", "32"}

// kind is what the device itself believes to be. Debian boots to
// graphical.target on servers too: only a display manager makes it graphical.
// A container sees its host's chassis, which says nothing of the container.
func (r *Reader) kind(container string) string {
	if container == "" && slices.Contains(portable, r.line(dmi+"chassis_type")) {
		return kindWorkstation
	}
	if r.graphical() && r.exists("etc/systemd/system/display-manager.service") {
		return kindWorkstation
	}
	return kindServer
}

func (r *Reader) graphical() bool {
	for _, name := range []string{"etc/systemd/system/default.target", "usr/lib/systemd/system/default.target", "lib/systemd/system/default.target"} {
		if to := r.target(name); to != "" {
			return strings.HasSuffix(to, "graphical.target")
		}
	}
	return false
}

func (r *Reader) hardware(container string) wire.Hardware {
	h := wire.Hardware{Virtual: container}
	h.CPU, h.CPUs = r.cpu()
	h.CPULevel = r.cpuLevel()
	h.MemoryBytes = r.memory()
	if container != "" {
		return h // the rest would be the host's
	}
	h.Vendor, h.Model, h.Serial = r.dmi("sys_vendor"), r.dmi("product_name"), r.dmi("product_serial")
	h.Virtual = r.hypervisor(h.Vendor, h.Model)
	return h
}

// fillers are what board makers leave in fields nobody filled in.
var fillers = []string{"to be filled by o.e.m.", "default string", "not specified", "system serial number", "system product name", "system manufacturer", "none", "0", "0123456789"}

func (r *Reader) dmi(field string) string {
	text := r.line(dmi + field)
	if slices.Contains(fillers, strings.ToLower(text)) {
		return ""
	}
	return text
}

// cpu reads the first model name and counts the processors. ARM has no model
// name per processor; some boards have one for all at the end.
func (r *Reader) cpu() (model string, count int) {
	board := ""
	for line := range strings.Lines(r.text("proc/cpuinfo")) {
		key, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(key) {
		case "processor":
			count++
		case "model name":
			if model == "" {
				model = strings.Join(strings.Fields(value), " ")
			}
		case "Model", "Hardware":
			board = strings.Join(strings.Fields(value), " ")
		}
	}
	if model == "" {
		model = board
	}
	return model, count
}

// cpuLevels are the flags that each level of x86-64 adds, as the kernel spells
// them (x86-64 psABI, table 3.1): pni is SSE3, abm is LZCNT.
var cpuLevels = [][]string{
	{"lm", "cmov", "cx8", "fpu", "fxsr", "mmx", "syscall", "sse2"},
	{"cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"},
	{"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"},
	{"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
}

// cpuLevel is the highest level of x86-64 that the first processor has; 0 when
// it has none, or another architecture.
func (r *Reader) cpuLevel() int {
	for line := range strings.Lines(r.text("proc/cpuinfo")) {
		key, value, _ := strings.Cut(line, ":")
		if strings.TrimSpace(key) != "flags" {
			continue
		}
		has := map[string]bool{}
		for _, flag := range strings.Fields(value) {
			has[flag] = true
		}
		for level, flags := range cpuLevels {
			if slices.ContainsFunc(flags, func(flag string) bool { return !has[flag] }) {
				return level
			}
		}
		return len(cpuLevels)
	}
	return 0
}

func (r *Reader) memory() int64 {
	for line := range strings.Lines(r.text("proc/meminfo")) {
		if words := strings.Fields(line); len(words) == 3 && words[0] == "MemTotal:" {
			if kib, err := strconv.ParseInt(words[1], 10, 64); err == nil {
				return kib << 10
			}
		}
	}
	return 0
}

// container names the container manager, or "". systemd writes it down for
// whoever asks; docker and podman leave a file each.
func (r *Reader) container() string {
	if name := r.line("run/systemd/container"); name != "" {
		return name
	}
	switch {
	case r.exists(".dockerenv"):
		return "docker"
	case r.exists("run/.containerenv"):
		return "podman"
	}
	for v := range strings.SplitSeq(r.raw("proc/1/environ"), "\x00") {
		if name, ok := strings.CutPrefix(v, "container="); ok && name != "" {
			return wire.Clean(name, wire.MaxTextBytes)
		}
	}
	return ""
}

// hypervisors by what their firmware says, as systemd-detect-virt reads it.
var hypervisors = []struct{ says, name string }{
	{"kvm", "kvm"}, {"openstack", "kvm"}, {"kubevirt", "kvm"}, {"amazon ec2", "amazon"}, {"google", "google"}, {"qemu", "qemu"},
	{"vmware", "vmware"}, {"vmw", "vmware"}, {"innotek", "virtualbox"}, {"virtualbox", "virtualbox"}, {"xen", "xen"},
	{"bochs", "bochs"}, {"parallels", "parallels"}, {"bhyve", "bhyve"}, {"hyper-v", "microsoft"}, {"apple virtualization", "apple"},
}

func (r *Reader) hypervisor(vendor, model string) string {
	if kind := r.line("sys/hypervisor/type"); kind != "" {
		return kind
	}
	says := strings.ToLower(vendor + " " + model)
	if strings.Contains(says, "microsoft") && strings.Contains(says, "virtual machine") {
		return "microsoft"
	}
	for _, h := range hypervisors {
		if strings.Contains(says, h.says) {
			return h.name
		}
	}
	for line := range strings.Lines(r.text("proc/cpuinfo")) {
		if key, flags, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "flags" {
			if slices.Contains(strings.Fields(flags), "hypervisor") {
				return "vm"
			}
			break
		}
	}
	return ""
}
