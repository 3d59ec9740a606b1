package facts

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"patchring/wire"
)

// OwnMark is an apt option without meaning that the agent's own transactions
// carry, so that apt's history tells them from everyone else's.
const OwnMark = "Patchring::Transaction=true"

// Activity is one time another program changed packages.
type Activity struct {
	Actor   string // unattended-upgrades, packagekit, apt-get, dpkg…
	Command string // as it was given, shortened
	By      string // the user who asked, where that is known
	At      time.Time
	Changes []wire.Change
}

const (
	historyLog  = "var/log/apt/history.log"
	dpkgLog     = "var/log/dpkg.log"
	logTime     = "2006-01-02 15:04:05"
	historyTime = "2006-01-02  15:04:05"
)

// ChangesSince lists what others changed after an instant, from the logs of
// apt and dpkg, oldest first. The logs are in the device's own time without
// saying which: zone is where their times are read. A log that is missing had
// nothing to say.
func ChangesSince(root fs.FS, since time.Time, zone *time.Location) ([]Activity, error) {
	var runs []aptRun
	for _, name := range []string{historyLog + ".1.gz", historyLog} {
		err := logLines(root, name, since, func(r io.Reader) error { return readHistory(r, zone, &runs) })
		if err != nil {
			return nil, err
		}
	}
	var found []Activity
	for _, run := range runs {
		if run.at.After(since) && !strings.Contains(run.Command, OwnMark) && len(run.Changes) > 0 {
			run.At = run.at
			found = append(found, run.Activity)
		}
	}
	var direct []Activity
	for _, name := range []string{dpkgLog + ".1.gz", dpkgLog + ".1", dpkgLog} {
		err := logLines(root, name, since, func(r io.Reader) error { return readDpkg(r, since, zone, runs, &direct) })
		if err != nil {
			return nil, err
		}
	}
	found = append(found, direct...)
	slices.SortStableFunc(found, func(a, b Activity) int { return a.At.Compare(b.At) })
	return found, nil
}

// logLines opens a log, or the rotated part of it if that was still written
// to after the instant.
func logLines(root fs.FS, name string, since time.Time, read func(io.Reader) error) error {
	file, err := root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	defer func() { _ = file.Close() }() // it was only read
	stat, err := file.Stat()
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if !stat.ModTime().After(since) {
		return nil
	}
	var r io.Reader = file
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(file); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
	}
	if err := read(r); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// aptRun is one stanza of apt's history.
type aptRun struct {
	Activity
	at, end time.Time
}

// readHistory reads stanzas such as
//
//	Start-Date: 2026-11-21  19:25:59
//	Commandline: apt-get -y install good=1.1
//	Requested-By: someone (1000)
//	Upgrade: good:amd64 (1.0, 1.1), libgood:amd64 (1:1.0, 1:1.1)
//	Install: newdep:amd64 (1.0, automatic)
//	End-Date: 2026-11-21  19:26:01
func readHistory(r io.Reader, zone *time.Location, runs *[]aptRun) error {
	var run aptRun
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 4<<20) // an upgrade of a whole system is one line
	for lines.Scan() {
		key, value, ok := strings.Cut(lines.Text(), ": ")
		if !ok {
			continue
		}
		switch key {
		case "Start-Date":
			next, err := time.ParseInLocation(historyTime, value, zone)
			if err != nil {
				continue // a line cut short is no run
			}
			endRun(runs, run, next)
			run = aptRun{at: next}
		case "Commandline":
			run.Actor, run.Command = actorOf(value), wire.Clean(value, wire.MaxTextBytes)
		case "Requested-By":
			run.By = wire.Clean(value, wire.MaxTextBytes)
		case "Install", "Reinstall", "Upgrade", "Downgrade", "Remove", "Purge":
			run.Changes = append(run.Changes, historyChanges(key, value)...)
		case "End-Date":
			if end, err := time.ParseInLocation(historyTime, value, zone); err == nil {
				endRun(runs, run, end)
				run = aptRun{}
			}
		}
	}
	endRun(runs, run, run.at.Add(24*time.Hour))
	return lines.Err()
}

// endRun closes a run. One that was killed says no end: it is taken to last
// until the next one, or for a day, so that what dpkg did for it is still its.
func endRun(runs *[]aptRun, run aptRun, end time.Time) {
	if !run.at.IsZero() {
		run.end = end
		*runs = append(*runs, run)
	}
}

// actorOf names the program behind a command line; apt writes none for what a
// library user did.
func actorOf(command string) string {
	switch name := path.Base(strings.SplitN(command, " ", 2)[0]); name {
	case "unattended-upgrade":
		return ActorUnattended
	case "":
		return "apt"
	default:
		return wire.Clean(name, 64)
	}
}

// historyChanges reads "name:arch (version[, version or automatic]), …".
func historyChanges(key, value string) []wire.Change {
	var changes []wire.Change
	for entry := range strings.SplitSeq(value, "), ") {
		name, versions, ok := strings.Cut(strings.TrimSuffix(entry, ")"), " (")
		if !ok {
			continue
		}
		c := wire.Change{}
		c.Name, c.Arch, _ = strings.Cut(name, ":")
		first, second, _ := strings.Cut(versions, ", ")
		switch key {
		case "Upgrade", "Downgrade":
			c.From, c.To = first, second
		case "Remove", "Purge":
			c.From = first
		default:
			c.To = first
		}
		changes = append(changes, c)
	}
	return changes
}

// readDpkg collects what dpkg did outside every apt run:
//
//	2026-11-21 19:26:01 upgrade bash:amd64 5.2.15-2+b8 5.2.15-2+b13
//	2026-11-21 19:26:01 install newdep:all <none> 1.0
func readDpkg(r io.Reader, since time.Time, zone *time.Location, runs []aptRun, found *[]Activity) error {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) != 6 || words[2] != "upgrade" && words[2] != "install" && words[2] != "remove" && words[2] != "purge" {
			continue
		}
		at, err := time.ParseInLocation(logTime, words[0]+" "+words[1], zone)
		if err != nil || !at.After(since) || slices.ContainsFunc(runs, func(run aptRun) bool { return !at.Before(run.at) && !at.After(run.end) }) {
			continue
		}
		c := wire.Change{From: none(words[4]), To: none(words[5])}
		c.Name, c.Arch, _ = strings.Cut(words[3], ":")
		last := len(*found) - 1
		if last < 0 || at.Sub((*found)[last].At) > time.Minute {
			*found = append(*found, Activity{Actor: "dpkg", At: at})
			last++
		}
		(*found)[last].Changes = append((*found)[last].Changes, c)
	}
	return lines.Err()
}

func none(version string) string {
	if version == "<none>" {
		return ""
	}
	return version
}
