package executor

import (
	"fmt"
	"sync"
	"time"

	"patchring/internal/endpoint/journal"
)

// A clock that is further off than this is not believed. Real clocks drift by
// seconds a month; what moves by minutes at once was set, by a person or by a
// dead battery.
const clockTolerance = 10 * time.Minute

// An anchor on disk older than this is replaced at the next check-in: often
// enough to see a clock that went back, seldom enough to spare the disk.
const anchorAge = time.Hour

// clock decides whether the wall clock may be believed, by comparing it with
// the time since boot and with what the server says.
type clock struct {
	mu     sync.Mutex // guards the rest
	wall   time.Time  // when the wall clock was last believed
	uptime time.Duration
	off    time.Duration // by how much it is not believed; 0 is believed
	saved  time.Time     // wall time of the anchor on disk
}

// start compares the clock with the anchor of an earlier run.
func (c *clock) start(a journal.Anchor, bootID string, wall time.Time, uptime time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.uptime, c.off = wall, uptime, 0
	if a.WallUS == 0 {
		return // the first start ever
	}
	then := time.UnixMicro(a.WallUS)
	c.saved = then
	if a.BootID == bootID {
		since := uptime - time.Duration(a.UptimeUS)*time.Microsecond
		c.judge(wall.Sub(then) - since)
		return
	}
	// This boot came after the anchor. A clock that went forward over a boot
	// cannot be told from a long rest; orders expire all the same.
	if back := then.Sub(wall.Add(-uptime)); back > clockTolerance {
		c.off = -back
	}
}

// look compares the clock with the time since boot.
func (c *clock) look(wall time.Time, uptime time.Duration) (off time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off == 0 {
		c.judge(wall.Sub(c.wall) - (uptime - c.uptime))
	}
	return c.off
}

// hear compares the clock with the server's. Only this makes a clock believed
// again.
func (c *clock) hear(wall time.Time, uptime time.Duration, server time.Time) (off time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.uptime, c.off = wall, uptime, 0
	// Round drops the monotonic part, which Sub would use instead of the wall.
	c.judge(wall.Round(0).Sub(server.Round(0)))
	return c.off
}

func (c *clock) judge(off time.Duration) {
	if off.Abs() > clockTolerance {
		c.off = off
	}
}

// stale tells that the anchor on disk should be replaced.
func (c *clock) stale(wall time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.off == 0 && wall.Sub(c.saved).Abs() > anchorAge
}

func (c *clock) anchored(wall time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.saved = wall
}

func (e *Executor) trustClockAtStart() error {
	a, err := e.Journal.Anchor()
	if err != nil {
		return fmt.Errorf("read clock anchor: %w", err)
	}
	boot, err := e.BootID()
	if err != nil {
		return fmt.Errorf("read boot id: %w", err)
	}
	e.clock.start(a, boot, e.Now().Round(0), e.Uptime())
	if off := e.clock.look(e.Now().Round(0), e.Uptime()); off != 0 {
		e.Log.Warn("clock is not believed until the server agrees", "off", off)
	}
	return nil
}

// ServerTime tells the executor what the server's clock showed while the
// device's showed now.
func (e *Executor) ServerTime(server time.Time) error {
	wall, uptime := e.Now().Round(0), e.Uptime()
	before := e.clock.look(wall, uptime)
	off := e.clock.hear(wall, uptime, server)
	if off != 0 && before == 0 {
		e.Log.Warn("clock differs from the server's: nothing is started until they agree", "off", off)
	}
	if off == 0 && before != 0 {
		e.Log.Info("clock agrees with the server's again")
		e.Wake()
	}
	if !e.clock.stale(wall) {
		return nil
	}
	boot, err := e.BootID()
	if err != nil {
		return fmt.Errorf("read boot id: %w", err)
	}
	if err := e.Journal.SetAnchor(journal.Anchor{WallUS: us(wall), UptimeUS: uptime.Microseconds(), BootID: boot}); err != nil {
		return fmt.Errorf("store clock anchor: %w", err)
	}
	e.clock.anchored(wall)
	return nil
}
