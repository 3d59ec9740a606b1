package units

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

// Manager asks the service control manager.
type Manager struct{}

// New makes a Manager.
func New() *Manager { return &Manager{} }

// Close does nothing: each question has its own connection.
func (*Manager) Close() error { return nil }

// connect asks for no more than to look.
func connect() (*mgr.Mgr, error) {
	h, err := windows.OpenSCManager(nil, nil, windows.SC_MANAGER_CONNECT|windows.SC_MANAGER_ENUMERATE_SERVICE)
	if err != nil {
		return nil, fmt.Errorf("connect to the service control manager: %w", err)
	}
	return &mgr.Mgr{Handle: h}, nil
}

func openService(m *mgr.Mgr, name string) (*mgr.Service, error) {
	text, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return nil, fmt.Errorf("name of service %q: %w", name, err)
	}
	h, err := windows.OpenService(m.Handle, text, windows.SERVICE_QUERY_CONFIG|windows.SERVICE_QUERY_STATUS)
	if err != nil {
		return nil, err
	}
	return &mgr.Service{Name: name, Handle: h}, nil
}

var states = map[svc.State]string{
	svc.Stopped: "stopped", svc.StartPending: "starting", svc.StopPending: "stopping", svc.Running: "running",
	svc.ContinuePending: "continuing", svc.PausePending: "pausing", svc.Paused: "paused",
}

// State is what a service does; empty: there is none of that name.
func (*Manager) State(_ context.Context, name string) (state string, err error) {
	m, err := connect()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, m.Disconnect()) }()
	s, err := openService(m, name)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("open service %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	now, err := s.Query()
	if err != nil {
		return "", fmt.Errorf("ask service %s: %w", name, err)
	}
	return states[now.State], nil
}

// Survey looks at the services that start by themselves at boot. One that ended
// with an error is failed. Those that something else starts when it is needed
// are left out: they are meant to come and go.
func (*Manager) Survey(ctx context.Context) (s Survey, err error) {
	m, err := connect()
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, m.Disconnect()) }()
	names, err := m.ListServices()
	if err != nil {
		return s, fmt.Errorf("list services: %w", err)
	}
	for _, name := range names {
		if ctx.Err() != nil {
			return s, ctx.Err()
		}
		down, failed := look(m, name)
		if down {
			s.Down = append(s.Down, name)
		}
		if failed {
			s.Failed = append(s.Failed, name)
		}
	}
	slices.Sort(s.Down)
	slices.Sort(s.Failed)
	return s, nil
}

// look at one service; what cannot be asked (a protected one) says nothing.
func look(m *mgr.Mgr, name string) (down, failed bool) {
	s, err := openService(m, name)
	if err != nil {
		return false, false
	}
	defer s.Close()
	now, err := s.Query()
	if err != nil || now.State != svc.Stopped {
		return false, false
	}
	config, err := s.Config()
	if err != nil || config.StartType != mgr.StartAutomatic || config.DelayedAutoStart || triggered(s) {
		return false, false
	}
	// ERROR_SERVICE_NEVER_STARTED is what a service says that nobody has asked for
	// yet.
	failed = now.Win32ExitCode != 0 && windows.Errno(now.Win32ExitCode) != windows.ERROR_SERVICE_NEVER_STARTED
	return true, failed
}

// serviceTriggerInfo is SERVICE_TRIGGER_INFO.
type serviceTriggerInfo struct {
	count    uint32
	triggers uintptr
	reserved uintptr
}

const serviceConfigTriggerInfo = 8

func triggered(s *mgr.Service) bool {
	var need uint32
	err := windows.QueryServiceConfig2(s.Handle, serviceConfigTriggerInfo, nil, 0, &need)
	if !errors.Is(err, windows.ERROR_INSUFFICIENT_BUFFER) || need < uint32(unsafe.Sizeof(serviceTriggerInfo{})) {
		return false
	}
	buf := make([]uint64, (need+7)/8) // aligned as the struct wants it
	at := (*byte)(unsafe.Pointer(&buf[0]))
	if err := windows.QueryServiceConfig2(s.Handle, serviceConfigTriggerInfo, at, need, &need); err != nil {
		return false
	}
	return (*serviceTriggerInfo)(unsafe.Pointer(&buf[0])).count > 0
}

// Boot is not told by the service control manager.
func (*Manager) Boot(context.Context, bool) (time.Duration, error) { return 0, ErrNone }
