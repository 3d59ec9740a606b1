package desktop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type session struct {
	Person
	away bool // locked
}

// toolTimeout is of one question to a tool of the system.
const toolTimeout = 5 * time.Second

func ask(ctx context.Context, tool string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, toolTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool, args...)
	cmd.Env = []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL=C", "HOME=" + os.Getenv("HOME")}
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", tool, err)
	}
	return string(out), nil
}

// sessions is whoever has the console: the one whose session is on the screen.
// Those who were switched away from see nothing and are asked nothing.
func sessions(ctx context.Context, _ string) ([]session, error) {
	info, err := os.Stat("/dev/console")
	if err != nil {
		return nil, fmt.Errorf("read the console's owner: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, errors.New("read the console's owner: it has none")
	}
	if owner.Uid == 0 {
		return nil, nil // the login window
	}
	u, err := user.LookupId(strconv.Itoa(int(owner.Uid)))
	if err != nil {
		return nil, fmt.Errorf("know the console's owner: %w", err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("know the group of %s: %w", u.Username, err)
	}
	s := session{Person: Person{Name: u.Username, UID: owner.Uid, GID: uint32(gid)}}
	text, err := ask(ctx, "/usr/sbin/ioreg", "-n", "Root", "-d1", "-a")
	if err != nil {
		return nil, err
	}
	s.away = macLocked(text)
	return []session{s}, nil
}

// as runs a command inside a person's session: in its bootstrap, where dialogs
// are, and with that person's credentials.
func as(cmd *exec.Cmd, p Person) error {
	uid := strconv.FormatUint(uint64(p.UID), 10)
	cmd.Args = append([]string{"/bin/launchctl", "asuser", uid, "/usr/bin/sudo", "-n", "-H", "-u", "#" + uid, "--"}, cmd.Args...)
	cmd.Path, cmd.Err = cmd.Args[0], nil
	return nil
}

// Battery tells whether the device runs on battery, and how full it is.
func Battery(fs.FS) (inUse bool, percent int, err error) {
	text, err := ask(context.Background(), "/usr/bin/pmset", "-g", "batt")
	if err != nil {
		return false, 0, err
	}
	inUse, percent = macBattery(text)
	return inUse, percent, nil
}

// Help is the helper itself; see card.go.
func Help(ctx context.Context, in io.Reader, out io.Writer) error { return serve(ctx, mac{}, in, out) }

type mac struct{}

// Look implements dealer. What a tool does not say is no hint.
func (mac) Look(ctx context.Context) state {
	var s state
	if text, err := ask(ctx, "/usr/bin/defaults", "read", "-g", "AppleLanguages"); err == nil {
		s.Lang = macLanguage(text)
	}
	if text, err := ask(ctx, "/usr/bin/pmset", "-g", "assertions"); err == nil {
		s.Busy, s.App = macBusy(text)
	}
	return s
}

// Deal implements dealer: a dialog of AppleScript, which goes with its process.
func (mac) Deal(ctx context.Context, p Popup, shown func()) (string, error) {
	args, byLabel := macDialog(p)
	cmd := exec.CommandContext(ctx, "/usr/bin/osascript", args...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + os.Getenv("HOME")}
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("show a dialog: %w", err)
	}
	shown()
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return "", fmt.Errorf("show a dialog: %w", err)
	}
	return byLabel[strings.TrimSpace(out.String())], nil
}
