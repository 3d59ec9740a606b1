package units

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

// systemd's names.
const (
	systemd        = "org.freedesktop.systemd1"
	systemdPath    = "/org/freedesktop/systemd1"
	systemdManager = systemd + ".Manager"
	systemdUnit    = systemd + ".Unit"
	systemdService = systemd + ".Service"
)

const (
	// privateSocket is PID 1's own, for root: it needs no message bus, which is
	// one service less to be stopped by what is looked for here.
	privateSocket = "/run/systemd/private"
	systemBus     = "/run/dbus/system_bus_socket"
	callTimeout   = 10 * time.Second
	// staticFor is for how many surveys it is believed what a unit is made to be,
	// which PID 1 has to read from files.
	staticFor = 5
)

// Manager asks systemd.
type Manager struct {
	private, bus string

	mu     sync.Mutex // guards the rest
	conn   *dbus.Conn
	static map[string]static // by unit
	survey int               // number of the last one
}

// static is what does not change as a unit starts and stops.
type static struct {
	lasts  bool // it starts by itself, and is meant to stay
	survey int  // in which it was read
}

// New makes a Manager; it connects when it is first asked.
func New() *Manager {
	return &Manager{private: privateSocket, bus: systemBus, static: map[string]static{}}
}

// Close lets the connection go.
func (m *Manager) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.drop()
}

func (m *Manager) drop() error {
	if m.conn == nil {
		return nil
	}
	err := m.conn.Close()
	m.conn = nil
	return err
}

// ask calls f with systemd's manager. A connection that failed is not used
// again.
func (m *Manager) ask(ctx context.Context, f func(context.Context, *dbus.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn == nil || !m.conn.Connected() {
		conn, err := m.connect()
		if err != nil {
			return err
		}
		m.conn = conn
	}
	err := f(ctx, m.conn)
	var said dbus.Error
	if err != nil && !errors.As(err, &said) { // no answer at all
		err = errors.Join(err, m.drop())
	}
	return err
}

func (m *Manager) connect() (*dbus.Conn, error) {
	conn, err := dial(m.private, false)
	if err == nil {
		return conn, nil
	}
	if _, missing := os.Stat(m.bus); errors.Is(missing, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrNone, err)
	}
	return dial(m.bus, true)
}

// dial connects; a message bus wants to be greeted, a single program does not.
func dial(path string, bus bool) (*dbus.Conn, error) {
	conn, err := dbus.Dial("unix:path=" + path)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", path, err)
	}
	if err = conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Geteuid()))}); err == nil {
		if bus {
			err = conn.Hello()
		} else {
			err = ping(conn)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("be known to %s: %w", path, err), conn.Close())
	}
	return conn, nil
}

// PID 1 (seen with systemd 252) leaves a message in its buffer that it read
// together with the end of the authentication, until more comes: the first call
// would time out, now and then.
const (
	pingEvery = 50 * time.Millisecond
	pings     = 60
)

// ping calls until one call is answered.
func ping(conn *dbus.Conn) error {
	again := time.NewTicker(pingEvery)
	defer again.Stop()
	answered := make(chan *dbus.Call, pings)
	for range pings {
		manager(conn).Go("org.freedesktop.DBus.Peer.Ping", 0, answered)
		select {
		case call := <-answered:
			return call.Err
		case <-again.C:
		}
	}
	return errors.New("it answers nothing")
}

func manager(conn *dbus.Conn) dbus.BusObject { return conn.Object(systemd, systemdPath) }

func property[T any](ctx context.Context, o dbus.BusObject, of, name string) (value T, err error) {
	var v dbus.Variant
	if err := o.CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, of, name).Store(&v); err != nil {
		return value, fmt.Errorf("read %s: %w", name, err)
	}
	value, ok := v.Value().(T)
	if !ok {
		return value, fmt.Errorf("read %s: it is a %T", name, v.Value())
	}
	return value, nil
}

// unitName completes a service's name as systemctl does.
func unitName(name string) string {
	for _, kind := range []string{".service", ".socket", ".timer", ".mount", ".target", ".path", ".slice", ".scope", ".device", ".swap", ".automount"} {
		if strings.HasSuffix(name, kind) {
			return name
		}
	}
	return name + ".service"
}

// State is what a unit does: active, inactive, failed, activating, … Empty: there
// is no such unit.
func (m *Manager) State(ctx context.Context, name string) (state string, err error) {
	err = m.ask(ctx, func(ctx context.Context, conn *dbus.Conn) error {
		var at dbus.ObjectPath
		if err := manager(conn).CallWithContext(ctx, systemdManager+".LoadUnit", 0, unitName(name)).Store(&at); err != nil {
			return fmt.Errorf("look for unit %s: %w", name, err)
		}
		unit := conn.Object(systemd, at)
		load, err := property[string](ctx, unit, systemdUnit, "LoadState")
		if err != nil || load == "not-found" {
			return err
		}
		state, err = property[string](ctx, unit, systemdUnit, "ActiveState")
		return err
	})
	return state, err
}

// row is a unit in systemd's list.
type row struct {
	Name, Description, Load, Active, Sub, Follows string
	Path                                          dbus.ObjectPath
	Job                                           uint32
	JobType                                       string
	JobPath                                       dbus.ObjectPath
}

// Survey looks at all units. While the system starts up nothing is down yet: it
// is absent, with an error.
func (m *Manager) Survey(ctx context.Context) (s Survey, err error) {
	err = m.ask(ctx, func(ctx context.Context, conn *dbus.Conn) error {
		up, err := property[uint64](ctx, manager(conn), systemdManager, "FinishTimestampMonotonic")
		if err != nil {
			return err
		}
		if up == 0 {
			return ErrStarting
		}
		m.survey++
		var rows []row
		states := []string{"failed", "inactive", "activating"}
		if err := manager(conn).CallWithContext(ctx, systemdManager+".ListUnitsFiltered", 0, states).Store(&rows); err != nil {
			return fmt.Errorf("list units: %w", err)
		}
		for _, r := range rows {
			if r.Active == "failed" {
				s.Failed = append(s.Failed, r.Name)
			}
			if !strings.HasSuffix(r.Name, ".service") || r.Load != "loaded" || r.Job != 0 && r.Active != "activating" {
				continue // what is being started or stopped is on its way
			}
			lasts, err := m.lasts(ctx, conn, r)
			if err != nil {
				if ctx.Err() != nil {
					return err
				}
				continue // it went away meanwhile
			}
			if lasts && (r.Active != "activating" || r.Sub == "auto-restart") {
				s.Down = append(s.Down, r.Name)
			}
		}
		slices.Sort(s.Failed)
		slices.Sort(s.Down)
		return nil
	})
	return s, err
}

// lasts tells whether a service starts by itself and is meant to stay: enabled,
// no job that runs to its end, started by no socket, timer or path, and not left
// out by a condition of its own.
func (m *Manager) lasts(ctx context.Context, conn *dbus.Conn, r row) (bool, error) {
	if known, ok := m.static[r.Name]; ok && m.survey-known.survey < staticFor {
		return known.lasts, nil
	}
	if len(m.static) > 4096 { // units of instances come and go
		clear(m.static)
	}
	unit := conn.Object(systemd, r.Path)
	var all map[string]dbus.Variant
	if err := unit.CallWithContext(ctx, "org.freedesktop.DBus.Properties.GetAll", 0, systemdUnit).Store(&all); err != nil {
		return false, fmt.Errorf("read unit %s: %w", r.Name, err)
	}
	file, _ := all["UnitFileState"].Value().(string)
	triggered, _ := all["TriggeredBy"].Value().([]string)
	fits, _ := all["ConditionResult"].Value().(bool)
	tried, _ := all["ConditionTimestampMonotonic"].Value().(uint64)
	lasts := file == "enabled" && len(triggered) == 0 && (fits || tried == 0)
	if lasts {
		kind, err := property[string](ctx, unit, systemdService, "Type")
		if err != nil {
			return false, err
		}
		lasts = kind != "oneshot"
	}
	m.static[r.Name] = static{lasts: lasts, survey: m.survey}
	return lasts, nil
}

// Boot is how long the last boot took until systemd said that it was up: from
// the firmware on where it is known, and in a container from its own start on.
// Zero: it is not up yet.
func (m *Manager) Boot(ctx context.Context, container bool) (took time.Duration, err error) {
	err = m.ask(ctx, func(ctx context.Context, conn *dbus.Conn) error {
		at := map[string]uint64{}
		for _, name := range []string{"Firmware", "Userspace", "Finish"} {
			v, err := property[uint64](ctx, manager(conn), systemdManager, name+"TimestampMonotonic")
			if err != nil {
				return err
			}
			at[name] = v
		}
		took = bootTime(at["Firmware"], at["Userspace"], at["Finish"], container)
		return nil
	})
	return took, err
}

// bootTime: systemd's monotonic stamps count from the kernel's start, the
// firmware's counts backwards from it.
func bootTime(firmware, userspace, finish uint64, container bool) time.Duration {
	switch {
	case finish == 0:
		return 0
	case container:
		return time.Duration(finish-userspace) * time.Microsecond
	}
	return time.Duration(firmware+finish) * time.Microsecond
}
