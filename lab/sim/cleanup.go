package sim

import "patchring/wire"

// cleanUp tells figures that are the device's own: what was counted is what goes
// the first time, and a tenth of it has come back a week later.
func (d *device) cleanUp(o *order) {
	outcomes := make([]wire.Outcome, 0, len(o.CleanUp))
	for _, c := range o.CleanUp {
		f := &wire.Freed{Files: int64(len(d.who.device)+len(c.Kind)) * 7, Bytes: int64(len(c.Kind)) * 3 << 20}
		out := wire.Outcome{Item: c.ID, State: wire.ItemCounted, Freed: f}
		if !c.DryRun {
			out.State = wire.ItemCleaned
			if d.cleaned[c.ID] {
				f.Files, f.Bytes = f.Files/10, f.Bytes/10
			}
			if d.cleaned == nil {
				d.cleaned = map[string]bool{}
			}
			d.cleaned[c.ID] = true
		}
		outcomes = append(outcomes, out)
	}
	d.finish(o, outcomes)
}
