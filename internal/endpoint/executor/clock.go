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
	told   bool          // the anchor on disk says that it is not believed
}

// start compares the clock with the anchor of an earlier run.
func (c *clock) start(a journal.Anchor, bootID string, wall time.Time, uptime time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.uptime, c.off, c.told = wall, uptime, 0, false
	if a.WallUS == 0 {
		return // the first start ever
	}
	c.saved = time.UnixMicro(a.WallUS)
	switch {
	case a.OffUS != 0:
		c.off, c.told = time.Duration(a.OffUS)*time.Microsecond, true
	case a.BootID == bootID:
		c.wall, c.uptime = c.saved, time.Duration(a.UptimeUS)*time.Microsecond
		c.judge(wall.Sub(c.wall) - (uptime - c.uptime))
	default:
		// This boot came after the anchor. A clock that went forward over a boot
		// cannot be told from a long rest; orders expire all the same.
		if back := c.saved.Sub(wall.Add(-uptime)); back > clockTolerance {
			c.off = -back
		}
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
	c.judge(wall.Sub(server))
	return c.off
}

func (c *clock) judge(off time.Duration) {
	if off.Abs() > clockTolerance {
		c.off = off
	}
}

// anchor is what should be on disk now and is not: that the clock is no longer
// believed, that it is again, or that it still is.
func (c *clock) anchor(wall time.Time, uptime time.Duration, bootID string) (a journal.Anchor, due bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a = journal.Anchor{WallUS: us(wall), UptimeUS: uptime.Microseconds(), BootID: bootID, OffUS: c.off.Microseconds()}
	if c.off != 0 {
		return a, !c.told
	}
	return a, c.told || wall.Sub(c.saved).Abs() > anchorAge
}

func (c *clock) anchored(a journal.Anchor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.saved, c.told = time.UnixMicro(a.WallUS), a.OffUS != 0
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
	wall, uptime := e.reading()
	e.clock.start(a, boot, wall, uptime)
	if off := e.look(); off != 0 {
		e.Log.Warn("clock is not believed until the server agrees", "off", off)
	}
	return nil
}

// reading drops the monotonic part of the wall clock, which would hide that it
// was set.
func (e *Executor) reading() (wall time.Time, uptime time.Duration) {
	return e.Now().Round(0), e.Uptime()
}

// look says by how much the clock is off; 0 is believed.
func (e *Executor) look() time.Duration {
	wall, uptime := e.reading()
	return e.clock.look(wall, uptime)
}

// observeClock looks at the clock and stores what must outlive a reboot: that
// it is not believed. A clock that is believed is stored by ServerTime only,
// which knows better.
func (e *Executor) observeClock() error {
	if e.look() == 0 {
		return nil
	}
	return e.saveAnchor()
}

func (e *Executor) saveAnchor() error {
	boot, err := e.BootID()
	if err != nil {
		return fmt.Errorf("read boot id: %w", err)
	}
	wall, uptime := e.reading()
	a, due := e.clock.anchor(wall, uptime, boot)
	if !due {
		return nil
	}
	if err := e.Journal.SetAnchor(a); err != nil {
		return fmt.Errorf("store clock anchor: %w", err)
	}
	e.clock.anchored(a)
	return nil
}

// ServerTime tells the executor what the server's clock showed while the
// device's showed now.
func (e *Executor) ServerTime(server time.Time) error {
	wall, uptime := e.reading()
	before := e.clock.look(wall, uptime)
	off := e.clock.hear(wall, uptime, server.Round(0))
	if off != 0 && before == 0 {
		e.Log.Warn("clock differs from the server's: nothing is started until they agree", "off", off)
	}
	if off == 0 && before != 0 {
		e.Log.Info("clock agrees with the server's again")
		e.Wake()
	}
	return e.saveAnchor()
}
