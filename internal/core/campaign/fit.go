package campaign

import (
	"strconv"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/wire"
)

// fit leaves in the order what can be over before a window closes, by what past
// installs took: a patch that is longer than every window waits and says so, and
// what does not fit beside the others waits for the next window. It gives how
// long the order takes; 0 is not known, and then everything fits.
func (w *weighing) fit(windows []calendar.Interval) calendar.Needs {
	room := longest(windows)
	var together []patch.ID
	var need calendar.Needs
	var fits []wire.Item
	var apart int
	for _, item := range w.eligible {
		id := patch.ID(item.ID)
		alone := w.needs(id)
		if calendar.Fit(windows, w.now, calendar.Needs{Install: alone.Install}).Never() {
			w.late(id, fault.Because(fault.WindowNever, "need", alone.Install.String(), "longest", room.String()))
			continue
		}
		if with := w.needs(append(together, id)...); len(together) == 0 || with.Install <= room {
			together, need = append(together, id), with
			fits = append(fits, item)
			continue
		}
		apart++
		w.late(id, fault.Because(fault.NeedsWindows, "windows", strconv.Itoa(1+apart)))
	}
	w.eligible = fits
	if calendar.Fit(windows, w.now, need).Fits() {
		return need
	}
	need.Reboot = 0 // in the next window, by an order of its own if need be
	return need
}

// needs is what patches take inside a window of this device: they are downloaded
// before it, and may reboot in windows of their own.
func (w *weighing) needs(ids ...patch.ID) calendar.Needs {
	n := w.scene.Pace.Together(ids, w.device.Model)
	n.Download = 0
	if !w.device.RebootsInside {
		n.Reboot = 0
	}
	return n
}

// late makes an item wait for a window that is long enough.
func (w *weighing) late(id patch.ID, why fault.Reason) {
	for i := range w.items {
		if w.items[i].Item == id && w.items[i].Reason.IsZero() {
			w.items[i].State, w.items[i].Reason = patch.Waiting, why
		}
	}
	w.wait(why)
}

// Margins are how long before the end of a window an install and a reboot may
// begin at the latest.
type Margins struct {
	Install, Reboot time.Duration // Reboot 0: as Install
}

// MarginsFor are at least what past installs took, and the procedure's margin
// where that is more or nothing is known.
func (t Terms) MarginsFor(windows []calendar.Interval, need calendar.Needs) Margins {
	return Margins{Install: max(t.MarginIn(windows), need.Install+need.Reboot), Reboot: need.Reboot}
}
