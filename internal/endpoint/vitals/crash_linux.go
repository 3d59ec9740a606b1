package vitals

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"patchring/internal/endpoint/provider/tool"
	"patchring/wire"
)

// crashDirs are where systemd-coredump, apport and kdump put a file a crash.
var crashDirs = []string{"var/lib/systemd/coredump", "var/crash"}

// crashes counts the reports that were not there at the look before. Where
// nothing collects them the kernel's own lines are counted instead: never both,
// because a crash makes one of each.
func (p *proc) crashes(_ context.Context, r *Reading) error {
	now := map[string]bool{}
	collected := false
	for _, dir := range crashDirs {
		entries, err := fs.ReadDir(p.FS, dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("list %s: %w", dir, err)
		}
		collected = true
		for _, e := range entries {
			// A report that is still being written has a temporary name, and
			// apport keeps a .lock and others beside its own.
			if name := e.Name(); strings.HasPrefix(name, "core.") || strings.HasSuffix(name, ".crash") {
				now[dir+"/"+name] = true
			}
		}
	}
	first, fresh := p.seen == nil, 0
	for name := range now {
		if !p.seen[name] {
			fresh++
		}
	}
	p.seen = now
	lines, err := 0, error(nil)
	if p.Kernel != nil {
		lines, err = p.Kernel.crashes()
	}
	switch {
	case collected && !first:
		r.Values[wire.MeasureCrashes] = float64(fresh)
	case collected || first:
		return errAbsent
	case p.Kernel == nil:
		return errors.New("nothing on this device collects crash reports")
	case err == nil:
		r.Values[wire.MeasureCrashes] = float64(lines)
	}
	return err
}

// KernelLog reads the kernel's messages as they come.
type KernelLog struct {
	Path string
	fd   int
	open bool
}

// crashes counts the programs that the kernel ended since the call before; the
// first call counts none.
func (k *KernelLog) crashes() (n int, err error) {
	if !k.open {
		fd, err := unix.Open(k.Path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return 0, fmt.Errorf("open the kernel's log: %w", err)
		}
		if _, err := unix.Seek(fd, 0, unix.SEEK_END); err != nil {
			return 0, errors.Join(fmt.Errorf("seek the kernel's log: %w", err), unix.Close(fd))
		}
		k.fd, k.open = fd, true
		return 0, nil
	}
	buf := make([]byte, 8192)
	for {
		got, err := unix.Read(k.fd, buf)
		switch {
		case errors.Is(err, unix.EPIPE): // some were overwritten before they were read
			continue
		case errors.Is(err, unix.EAGAIN) || err == nil && got == 0:
			return n, nil
		case err != nil:
			return n, fmt.Errorf("read the kernel's log: %w", err)
		}
		if crashLine(string(buf[:got])) {
			n++
		}
	}
}

// crashLine tells whether a record of the kernel is about a program that it
// ended for a fault of its own.
//
//	4,1021,81,-;app[812]: segfault at 0 ip 000055d2 sp 00007ffc error 4 in app[55d2+1000]
//	4,1022,82,-;traps: app[813] general protection fault ip:7f3 sp:7ff error:0
func crashLine(record string) bool {
	_, text, _ := strings.Cut(record, ";")
	return strings.Contains(text, ": segfault at ") ||
		strings.HasPrefix(text, "traps: ") && (strings.Contains(text, "general protection") || strings.Contains(text, "trap "))
}

// logReader is where the reading of the system's log stands.
type logReader struct {
	seldom
	cursor string
	read   time.Duration // when it was last read
}

// logEvery is how often the system's log is asked: a program has to be started
// for it.
const logEvery = 5 * time.Minute

// errors is the rate of the lines that are errors or worse, between the last
// two looks at the log; each line counts once.
func (p *proc) errors(ctx context.Context, r *Reading) error {
	if p.Journal == nil {
		return errAbsent
	}
	p.log.every = logEvery
	now := p.Uptime()
	return p.log.seldom.read(now, r, func() (map[wire.Measure]float64, error) {
		lines, next, err := p.Journal(ctx, p.log.cursor)
		if err != nil {
			return nil, err
		}
		began := p.log.cursor == ""
		minutes := (now - p.log.read).Minutes()
		p.log.cursor, p.log.read = next, now
		if began || minutes <= 0 {
			return nil, nil
		}
		return map[wire.Measure]float64{wire.MeasureErrors: float64(lines) / minutes}, nil
	})
}

// mostLines bounds what is read of a log that runs wild: it is bad enough then.
const mostLines = "20000"

const journalTimeout = 30 * time.Second

// journalErrors asks journalctl. Without a cursor it only finds where the log
// ends.
func journalErrors(ctx context.Context, cursor string) (lines int, next string, err error) {
	ctx, cancel := context.WithTimeout(ctx, journalTimeout)
	defer cancel()
	args := []string{"--quiet", "--no-pager", "--show-cursor", "--output=json", "--output-fields=PRIORITY"}
	if cursor == "" {
		args = append(args, "--lines=1")
	} else {
		args = append(args, "--priority=err", "--after-cursor="+cursor, "--lines="+mostLines)
	}
	next = cursor
	exit, err := tool.Lines(ctx, tool.Command{Name: "journalctl", Args: args}, func(line []byte) error {
		if at, ok := bytes.CutPrefix(line, []byte("-- cursor: ")); ok {
			next = string(bytes.TrimSpace(at))
		} else if bytes.HasPrefix(line, []byte("{")) {
			lines++
		}
		return nil
	})
	if err != nil {
		return 0, "", fmt.Errorf("read the system's log: %w", err)
	}
	if exit.Code != 0 && lines == 0 && next == cursor && cursor != "" {
		return 0, "", nil // the log no longer has the place: begin anew
	}
	return lines, next, nil
}
