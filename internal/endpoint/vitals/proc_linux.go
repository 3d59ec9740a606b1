package vitals

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"patchring/internal/endpoint/facts"
	"patchring/wire"
)

// proc reads the kernel's files, and keeps the counters of the look before.
type proc struct {
	Host
	container bool

	busy   counter2 // processor time: busy, all
	disk   counter2 // disks: milliseconds waited, reads and writes
	booted time.Duration
	seen   map[string]bool // crash reports; nil before the first look
	log    logReader
}

// counter2 is a pair of counters that grow together.
type counter2 struct {
	part, whole float64
	known       bool
}

// since is by how much they grew since the look before. A counter that went
// back began anew.
func (c *counter2) since(part, whole float64) (dPart, dWhole float64, ok bool) {
	before := *c
	*c = counter2{part, whole, true}
	dPart, dWhole = part-before.part, whole-before.whole
	return dPart, dWhole, before.known && dWhole > 0 && dPart >= 0
}

func (p *proc) file(name string) (string, error) {
	text, err := fs.ReadFile(p.FS, name)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	return string(text), nil
}

func (p *proc) number(name string) (float64, error) {
	text, err := p.file(name)
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(strings.TrimSpace(text), 64)
}

// field is the number behind a word at the beginning of a line.
func field(text, name string) (float64, bool) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) >= 2 && words[0] == name {
			n, err := strconv.ParseFloat(words[1], 64)
			return n, err == nil
		}
	}
	return 0, false
}

// cpu is the machine's, or a container's own by its control group: /proc/stat
// is the machine's in both.
func (p *proc) cpu(_ context.Context, r *Reading) error {
	busy, all, err := p.processor()
	if err != nil {
		return err
	}
	if busy, all, ok := p.busy.since(busy, all); ok {
		r.Values[wire.MeasureCPU] = percent(busy, all)
	}
	return nil
}

func (p *proc) processor() (busy, all float64, err error) {
	if p.container {
		used, err := p.groupTime()
		return used, p.Uptime().Seconds() * p.groupCPUs(), err
	}
	text, err := p.file("proc/stat")
	if err != nil {
		return 0, 0, err
	}
	// cpu  user nice system idle iowait irq softirq steal guest guest_nice
	first, _, _ := strings.Cut(text, "\n")
	words := strings.Fields(first)
	if len(words) < 5 || words[0] != "cpu" {
		return 0, 0, fmt.Errorf("read proc/stat: it begins with %q", first)
	}
	for i, word := range words[1:min(len(words), 9)] { // guests are in user already
		n, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("read proc/stat: %w", err)
		}
		all += n
		if i != 3 && i != 4 { // waiting for a disk is not work
			busy += n
		}
	}
	return busy, all, nil
}

// groups are where control groups are mounted: the second version's one tree,
// and the first's that counts a resource.
func (p *proc) group(resource string) (unified, first string, err error) {
	text, err := p.file("proc/self/mountinfo")
	if err != nil {
		return "", "", err
	}
	// 41 30 0:36 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw,nsdelegate
	for line := range strings.Lines(text) {
		before, after, _ := strings.Cut(line, " - ")
		where, what := strings.Fields(before), strings.Fields(after)
		if len(where) < 5 || len(what) < 3 {
			continue
		}
		at := strings.TrimPrefix(where[4], "/")
		switch what[0] {
		case "cgroup2":
			unified = at
		case "cgroup":
			for option := range strings.SplitSeq(what[2], ",") {
				if option == resource {
					first = at
				}
			}
		}
	}
	if unified == "" && first == "" {
		return "", "", errors.New("no control groups are mounted")
	}
	return unified, first, nil
}

// groupTime is the processor time of the container in seconds.
func (p *proc) groupTime() (float64, error) {
	unified, first, err := p.group("cpuacct")
	if err != nil {
		return 0, err
	}
	if unified != "" {
		text, err := p.file(path.Join(unified, "cpu.stat"))
		if us, ok := field(text, "usage_usec"); ok {
			return us / 1e6, nil
		}
		if first == "" {
			return 0, errors.Join(errors.New("the container's control group counts no processor time"), err)
		}
	}
	ns, err := p.number(path.Join(first, "cpuacct.usage"))
	return ns / 1e9, err
}

// groupCPUs is how many processors the container may use.
func (p *proc) groupCPUs() float64 {
	all := float64(p.CPUs)
	unified, first, err := p.group("cpu")
	if err != nil {
		return all
	}
	var quota, period float64
	if text, err := p.file(path.Join(unified, "cpu.max")); unified != "" && err == nil { // "max 100000" or "50000 100000"
		words := strings.Fields(text)
		if len(words) == 2 {
			quota, _ = strconv.ParseFloat(words[0], 64) // max is none: zero
			period, _ = strconv.ParseFloat(words[1], 64)
		}
	} else if first != "" {
		quota, _ = p.number(path.Join(first, "cpu.cfs_quota_us")) // -1, or no file: none
		period, _ = p.number(path.Join(first, "cpu.cfs_period_us"))
	}
	if quota > 0 && period > 0 {
		return min(all, quota/period)
	}
	return all
}

// load of a container is its machine's, unless lxcfs stands in between.
func (p *proc) load(_ context.Context, r *Reading) error {
	if p.container {
		mounts, err := p.file("proc/self/mounts")
		if err != nil {
			return err
		}
		if !strings.Contains(mounts, " /proc/loadavg ") {
			return errAbsent
		}
	}
	text, err := p.file("proc/loadavg")
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(text, " ")
	load, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return fmt.Errorf("read proc/loadavg: %w", err)
	}
	r.Values[wire.MeasureLoad] = load / float64(p.CPUs)
	return nil
}

// memory in use and not to be had back; of a container with a limit, of that.
func (p *proc) memory(_ context.Context, r *Reading) error {
	text, err := p.file("proc/meminfo")
	if err != nil {
		return err
	}
	total, ok1 := field(text, "MemTotal:")
	free, ok2 := field(text, "MemAvailable:")
	if !ok1 || !ok2 || total == 0 {
		return errors.New("read proc/meminfo: no MemTotal or MemAvailable")
	}
	used, whole := total-free, total
	if p.container {
		if own, limit, ok := p.groupMemory(); ok && limit < total*1024 {
			used, whole = own, limit
		}
	}
	r.Values[wire.MeasureMemory] = percent(used, whole)
	return nil
}

// groupMemory is what a container uses of its limit; not ok without a limit.
func (p *proc) groupMemory() (used, limit float64, ok bool) {
	unified, first, err := p.group("memory")
	if err != nil {
		return 0, 0, false
	}
	for _, at := range []struct{ dir, used, limit, cache string }{
		{unified, "memory.current", "memory.max", "inactive_file"},
		{first, "memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file"},
	} {
		if at.dir == "" {
			continue
		}
		used, err1 := p.number(path.Join(at.dir, at.used))
		limit, err2 := p.number(path.Join(at.dir, at.limit)) // "max" is no number, and no limit
		if err1 != nil || err2 != nil {
			continue
		}
		stat, _ := p.file(path.Join(at.dir, "memory.stat")) // without it the cache counts as used
		cache, _ := field(stat, at.cache)
		return max(0, used-cache), limit, true
	}
	return 0, 0, false
}

// latency is the mean wait of the reads and writes of whole disks: what the
// partitions and the mapped devices on them add would count twice.
//
//	8 0 sda 5022 1213 301930 2280 1841 1570 50096 3120 0 2516 5400
func (p *proc) latency(_ context.Context, r *Reading) error {
	text, err := p.file("proc/diskstats")
	if err != nil {
		return err
	}
	var waited, count float64
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 11 || !p.wholeDisk(words[2]) {
			continue
		}
		for _, at := range []struct {
			column int
			sum    *float64
		}{{3, &count}, {7, &count}, {6, &waited}, {10, &waited}} {
			n, err := strconv.ParseFloat(words[at.column], 64)
			if err != nil {
				return fmt.Errorf("read proc/diskstats: %w", err)
			}
			*at.sum += n
		}
	}
	if waited, count, ok := p.disk.since(waited, count); ok {
		r.Values[wire.MeasureDisk] = waited / count
	}
	return nil
}

func (p *proc) wholeDisk(name string) bool {
	for _, other := range []string{"loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd"} {
		if strings.HasPrefix(name, other) {
			return false
		}
	}
	_, err := fs.Stat(p.FS, "sys/block/"+name)
	return err == nil
}

// space is that of the fullest file system that holds data and can be written.
func (p *proc) space(_ context.Context, r *Reading) error {
	mounts, err := facts.DataMounts(p.FS)
	if err != nil {
		return err
	}
	found := false
	for _, m := range mounts {
		size, free, err := p.Statfs(m.At)
		if err != nil || size == 0 || m.ReadOnly {
			continue // a mount that answers nothing must not silence the rest
		}
		share := percent(float64(free), float64(size))
		if have, ok := r.Values[wire.MeasureFree]; !ok || share < have {
			r.Values[wire.MeasureFree] = share
		}
		found = true
	}
	if !found {
		return errors.New("no file system that holds data")
	}
	return nil
}

// ports counts the TCP ports that anything listens on, each once.
func (p *proc) ports(_ context.Context, r *Reading) error {
	ports := map[string]bool{}
	if err := p.listening("proc/self/net/tcp", ports); err != nil {
		return err
	}
	if err := p.listening("proc/self/net/tcp6", ports); err != nil && !errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6
		return err
	}
	r.Values[wire.MeasurePorts] = float64(len(ports))
	return nil
}

// listening reads a table only as far as its listeners: the kernel lists them
// first, and a busy server has a hundred thousand connections behind them.
//
//	sl  local_address rem_address   st tx_queue rx_queue …
//	 0: 0100007F:0277 00000000:0000 0A 00000000:00000000 …
func (p *proc) listening(name string, ports map[string]bool) error {
	f, err := p.FS.Open(name)
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	defer func() { _ = f.Close() }() // it was only read
	lines := bufio.NewScanner(io.LimitReader(f, 4<<20))
	for first := true; lines.Scan(); first = false {
		words := strings.Fields(lines.Text())
		if first || len(words) < 4 {
			continue
		}
		if words[3] != "0A" {
			break
		}
		_, port, _ := strings.Cut(words[1], ":")
		ports[port] = true
	}
	return lines.Err()
}

// Alive tells whether a process of that name is: as the kernel calls it, or as
// its program is called.
func Alive(root fs.FS, name string) (bool, error) {
	entries, err := fs.ReadDir(root, "proc")
	if err != nil {
		return false, fmt.Errorf("list processes: %w", err)
	}
	for _, e := range entries {
		if c := e.Name()[0]; c < '0' || c > '9' {
			continue
		}
		comm, err := fs.ReadFile(root, "proc/"+e.Name()+"/comm")
		if err != nil {
			continue // it ended meanwhile
		}
		short := strings.TrimSuffix(string(comm), "\n")
		if short == name && len(name) < commLength {
			if alive(root, e.Name()) {
				return true, nil
			}
			continue
		}
		if len(name) >= commLength && short == name[:commLength] || len(short) == commLength {
			line, err := fs.ReadFile(root, "proc/"+e.Name()+"/cmdline")
			program, _, _ := strings.Cut(string(line), "\x00")
			if err == nil && path.Base(program) == name && alive(root, e.Name()) {
				return true, nil
			}
		}
	}
	return false, nil
}

// commLength is where the kernel cuts a process' name off.
const commLength = 15

// alive leaves out what has ended and is only not buried yet.
//
//	812 (nginx) Z 1 …
func alive(root fs.FS, pid string) bool {
	stat, err := fs.ReadFile(root, "proc/"+pid+"/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}
