package desktop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

type session struct {
	Person
	away bool
}

// sessions are the sessions that are on a screen or on a remote one. A person's
// UID is the number of the session here: helpers are one to a session.
func sessions(context.Context, string) ([]session, error) {
	var first *windows.WTS_SESSION_INFO
	var count uint32
	if err := windows.WTSEnumerateSessions(0, 0, 1, &first, &count); err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	defer windows.WTSFreeMemory(uintptr(unsafe.Pointer(first)))
	var list []session
	for _, s := range unsafe.Slice(first, count) {
		if s.State != windows.WTSActive {
			continue
		}
		name, err := userOf(s.SessionID)
		if errors.Is(err, windows.ERROR_NO_TOKEN) {
			continue // the login screen
		}
		if err != nil {
			return nil, fmt.Errorf("know who has session %d: %w", s.SessionID, err)
		}
		list = append(list, session{Person: Person{Name: name, UID: s.SessionID}})
	}
	return list, nil
}

func userOf(id uint32) (string, error) {
	var token windows.Token
	if err := windows.WTSQueryUserToken(id, &token); err != nil {
		return "", err
	}
	defer token.Close()
	u, err := token.GetTokenUser()
	if err != nil {
		return "", err
	}
	name, domain, _, err := u.User.Sid.LookupAccount("")
	if err != nil {
		return "", err
	}
	return domain + `\` + name, nil
}

// as runs a command in a person's session with that person's token.
func as(cmd *exec.Cmd, p Person) error {
	var token windows.Token
	if err := windows.WTSQueryUserToken(p.UID, &token); err != nil {
		return fmt.Errorf("take the token of %s: %w", p.Name, err)
	}
	// The process has its own once it runs; ours goes when the helper is collected.
	runtime.AddCleanup(cmd, func(t windows.Token) { _ = t.Close() }, token)
	cmd.Dir, cmd.Env = "", nil // the directory and the environment of a Linux helper mean nothing here
	cmd.SysProcAttr = &syscall.SysProcAttr{Token: syscall.Token(token), HideWindow: true, CreationFlags: windows.CREATE_NO_WINDOW}
	return nil
}

var (
	kernel32 = windows.NewLazySystemDLL("kernel32.dll")
	user32   = windows.NewLazySystemDLL("user32.dll")
	shell32  = windows.NewLazySystemDLL("shell32.dll")

	procPowerStatus  = kernel32.NewProc("GetSystemPowerStatus")
	procLanguage     = kernel32.NewProc("GetUserDefaultUILanguage")
	procNotification = shell32.NewProc("SHQueryUserNotificationState")
	procOpenStation  = user32.NewProc("OpenWindowStationW")
	procSetStation   = user32.NewProc("SetProcessWindowStation")
	procOpenDesktop  = user32.NewProc("OpenDesktopW")
	procSetDesktop   = user32.NewProc("SetThreadDesktop")
	procMessageBox   = user32.NewProc("MessageBoxW")
	procFindWindow   = user32.NewProc("FindWindowW")
	procPostMessage  = user32.NewProc("PostMessageW")
)

// Battery tells whether the device runs on battery, and how full it is.
func Battery(fs.FS) (inUse bool, percent int, err error) {
	var status struct {
		ACLine, Flag, Percent, Saver byte
		Life, Full                   uint32
	}
	if ok, _, err := procPowerStatus.Call(uintptr(unsafe.Pointer(&status))); ok == 0 {
		return false, 0, fmt.Errorf("read the power's status: %w", err)
	}
	inUse, percent = winBattery(status.ACLine, status.Flag, status.Percent)
	return inUse, percent, nil
}

// Help is the helper itself; see card.go.
func Help(ctx context.Context, in io.Reader, out io.Writer) error {
	if err := visible(); err != nil {
		return err
	}
	return serve(ctx, win{}, in, out)
}

const (
	maximumAllowed = 0x02000000
	// MB_YESNOCANCEL, or only OK; MB_ICONINFORMATION, MB_SETFOREGROUND,
	// MB_TOPMOST: it must not open behind the work in hand.
	boxQuestion = 0x3 | 0x40 | 0x10000 | 0x40000
	boxNotice   = 0x0 | 0x40 | 0x10000 | 0x40000
	wmClose     = 0x10
)

// visible puts this process on the session's own window station: one that a
// service started is on the service's, where nobody looks.
func visible() error {
	name, err := windows.UTF16PtrFromString("winsta0")
	if err != nil {
		return err
	}
	station, _, err := procOpenStation.Call(uintptr(unsafe.Pointer(name)), 0, maximumAllowed)
	if station == 0 {
		return fmt.Errorf("open the session's window station: %w", err)
	}
	if ok, _, err := procSetStation.Call(station); ok == 0 {
		return fmt.Errorf("use the session's window station: %w", err)
	}
	return nil
}

// onDesktop puts this thread on the session's desktop.
func onDesktop() error {
	name, err := windows.UTF16PtrFromString("default")
	if err != nil {
		return err
	}
	desktop, _, err := procOpenDesktop.Call(uintptr(unsafe.Pointer(name)), 0, 0, maximumAllowed)
	if desktop == 0 {
		return fmt.Errorf("open the session's desktop: %w", err)
	}
	if ok, _, err := procSetDesktop.Call(desktop); ok == 0 {
		return fmt.Errorf("use the session's desktop: %w", err)
	}
	return nil
}

type win struct{}

// Look implements dealer.
func (win) Look(context.Context) state {
	id, _, _ := procLanguage.Call() // it cannot fail
	s := state{Lang: winLanguage(uint16(id))}
	var now uint32
	if failed, _, _ := procNotification.Call(uintptr(unsafe.Pointer(&now))); failed == 0 {
		s.Busy = winBusy(now)
	}
	return s
}

// Deal implements dealer: a message box, which is closed by its title when the
// popup is to go.
func (w win) Deal(ctx context.Context, p Popup, shown func()) (string, error) {
	runtime.LockOSThread() // ended with the goroutine: its desktop is not another's
	if err := onDesktop(); err != nil {
		return "", err
	}
	text, byAnswer := winBox(p, w.Look(ctx).Lang)
	body, err := windows.UTF16PtrFromString(strings.ReplaceAll(text, "\x00", ""))
	if err != nil {
		return "", err
	}
	title, err := windows.UTF16PtrFromString(strings.ReplaceAll(p.Title, "\x00", ""))
	if err != nil {
		return "", err
	}
	kind := uintptr(boxQuestion)
	if len(p.Buttons) == 0 {
		kind = boxNotice
	}
	over := make(chan struct{})
	defer close(over)
	go closeBox(ctx, over, title)
	shown()
	answer, _, err := procMessageBox.Call(0, uintptr(unsafe.Pointer(body)), uintptr(unsafe.Pointer(title)), kind)
	if answer == 0 {
		return "", fmt.Errorf("show a message: %w", err)
	}
	return byAnswer[int(answer)], nil
}

// closeBox closes a message box when ctx ends. It may just be opening: it is
// looked for until it is gone.
func closeBox(ctx context.Context, over <-chan struct{}, title *uint16) {
	select {
	case <-over:
		return
	case <-ctx.Done():
	}
	runtime.LockOSThread()
	if onDesktop() != nil {
		return
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if box, _, _ := procFindWindow.Call(0, uintptr(unsafe.Pointer(title))); box != 0 {
			_, _, _ = procPostMessage.Call(box, wmClose, 0, 0) // as whoever puts it away
		}
		select {
		case <-over:
			return
		case <-tick.C:
		}
	}
}
