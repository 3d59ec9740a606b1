package sim

import (
	"time"

	"patchring/internal/core/fault"
	"patchring/wire"
)

// failDownload ends every item: the repository gave nothing.
func (d *device) failDownload(o *order) {
	outcomes := make([]wire.Outcome, 0, len(o.Items))
	for _, item := range o.Items {
		outcomes = append(outcomes, wire.Outcome{
			Item: item.ID, State: wire.ItemFailed, Packages: item.Packages,
			Cause: causeOf(fault.Because(fault.DownloadFailed, "error", "Connection timed out")),
		})
	}
	d.finish(o, outcomes)
}

// install changes the packages, looks at what became of them, and reports.
func (d *device) install(o *order) {
	outcomes := make([]wire.Outcome, 0, len(o.Items))
	changes, spared := 0, d.traits.Fate == Fine || d.traits.Fate == DownloadFails || o.Kind == wire.OrderRollback
	for _, item := range o.Items {
		if h, held := d.held(o, item.ID); held {
			outcomes = append(outcomes, wire.Outcome{Item: item.ID, State: wire.ItemSkipped, Cause: causeOf(because(h)), Packages: item.Packages})
			continue
		}
		out := wire.Outcome{Item: item.ID, State: wire.ItemVerified, Packages: d.described(item)}
		switch {
		case d.has(item):
			out.State = wire.ItemNotApplicable
		case !spared && changes == 0:
			d.fail(&out)
		}
		if out.State != wire.ItemFailed || d.traits.Fate == ServiceDies {
			d.apply(out.Packages)
		}
		if out.State == wire.ItemVerified && o.Kind == wire.OrderRollback {
			out.State = wire.ItemRolledBack
		}
		if out.State != wire.ItemNotApplicable {
			changes++
		}
		outcomes = append(outcomes, out)
	}
	d.enter(o, wire.StepSettle)
	d.enter(o, wire.StepVerify)
	d.suffer(outcomes)
	if len(d.pulse.watch.Probes) > 0 && changes > 0 {
		d.enter(o, wire.StepProbe)
		o.probes = d.probe(time.Now())
	}
	d.finish(o, outcomes)
	d.packagesChanged()
	d.scanned = time.Now() // to verify is to scan
	d.checkAt = d.scanned
}

// fail is the first item that changes something, as the device's fate has it:
// the package manager gives up on it and leaves it as it was, or installs it
// and its service is dead.
func (d *device) fail(out *wire.Outcome) {
	name := out.Packages[0].Name
	out.State = wire.ItemFailed
	if d.traits.Fate == ServiceDies {
		out.Cause = causeOf(fault.Because(fault.ToolFailed, "tool", "systemctl", "exit", "3", "error", name+".service is failed"))
		return
	}
	for i := range out.Packages {
		out.Packages[i].To = out.Packages[i].From
	}
	out.Cause = causeOf(fault.Because(fault.PackageFailed, "package", name, "state", "installed",
		"error", "new "+name+" package pre-installation script subprocess returned error exit status 1"))
}

// described are the item's packages as they are before the install.
func (d *device) described(item wire.Item) []wire.Change {
	list := make([]wire.Change, 0, len(item.Packages))
	for _, c := range item.Packages {
		c.From, c.Rollback = d.version(c.Name), wire.RollbackReady
		list = append(list, c)
	}
	return list
}

// has tells that there is nothing left to do for the item.
func (d *device) has(item wire.Item) bool {
	for _, c := range item.Packages {
		if d.version(c.Name) != c.To {
			return false
		}
	}
	return true
}

func (d *device) apply(changes []wire.Change) {
	for _, c := range changes {
		d.changed[c.Name] = c.To
	}
}

// remembered is how many orders a device remembers after their end.
const remembered = 8

// finish spools the result and ends the order.
func (d *device) finish(o *order, outcomes []wire.Outcome) {
	o.over, o.step = true, wire.StepDone
	d.done = append(d.done[max(0, len(d.done)-remembered+1):], o.ID)
	d.emit(wire.Event{
		Kind: wire.EventResult, Order: o.ID, Serial: o.Serial, Step: wire.StepDone, BootID: d.bootID,
		Result: &wire.Result{Outcomes: outcomes, DurationS: int64(d.takes(1) / time.Second), Probes: o.probes},
	})
	d.s.counter.change(func(c *Counts) {
		c.Orders.Done++
		c.Orders.Open--
		for _, out := range outcomes {
			c.Items[string(out.State)]++
			if out.State == wire.ItemFailed && out.Cause != nil {
				c.Failed[out.Cause.Code]++
			}
		}
	})
}
