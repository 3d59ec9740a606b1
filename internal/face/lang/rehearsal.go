package lang

import (
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/rehearsal"
)

// Slip says which date of the calendar would not be kept.
func (w Words) Slip(s rehearsal.Slip) string {
	id := "slip." + string(s.Code)
	pairs := []string{"ring", s.Ring, "planned", w.Brief(s.Planned), "devices", w.N("rehearse.devices", int64(s.Devices))}
	if s.Expected.IsZero() {
		return w.T(id+"_never", pairs...)
	}
	return w.T(id, append(pairs, "expected", w.Brief(s.Expected))...)
}

// Late is why devices are not done: what holds for all of them, or the title of
// the reason where its arguments differ from one device to another.
func (w Words) Late(l rehearsal.Late) string {
	if l.Devices == 1 {
		return w.Reason(l.Reason)
	}
	switch l.Code {
	case fault.DeviceUnreachable, fault.DiskFull, fault.ScanRefused, fault.OutsideWindow, fault.LimitTurn, fault.LimitReached:
		return w.Cause(l.Code)
	}
	return w.Reason(l.Reason)
}

// Assumed says, line by line, what a rehearsal rests on.
func (w Words) Assumed(a rehearsal.Assumed) []string {
	seconds := func(n int) string { return w.Duration(time.Duration(n) * time.Second) }
	lines := []string{w.T("assumed.best")}
	if a.Silent > 0 {
		lines = append(lines, w.N("assumed.silent", int64(a.Silent)))
	}
	if a.SignOffs > 0 {
		lines = append(lines, w.T("assumed.sign_offs"))
	}
	if a.Asked > 0 {
		lines = append(lines, w.N("assumed.asked", int64(a.Asked)))
	}
	pace := []string{"order", seconds(a.OrderSeconds), "patch", seconds(a.PatchSeconds), "reboot", seconds(a.RebootSeconds)}
	if a.Learned > 0 {
		lines = append(lines, w.N("assumed.learned", int64(a.Learned), pace...))
	} else {
		lines = append(lines, w.T("assumed.pace", pace...))
	}
	if a.Limited > 0 {
		lines = append(lines, w.N("assumed.limited", int64(a.Limited)))
	}
	return append(lines, w.T("assumed.catalogue"))
}
