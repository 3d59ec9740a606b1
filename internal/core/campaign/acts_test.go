package campaign_test

import (
	"slices"
	"strconv"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/wire"
)

// What people do to a campaign, as the conductor carries it out.

var scanGrades = map[string]wire.ScanStatus{"ok": wire.ScanOK, "stale": wire.ScanStale, "failed": wire.ScanFailed}

func (w *world) signOff(r *ring, role string, yes bool) {
	r.SignOffs = append(r.SignOffs, campaign.SignOff{Role: role, Yes: yes, Actor: "user:" + role, At: w.now})
	r.dirty = true
}

func (w *world) place(h campaign.Hold) {
	h.ID = "h" + strconv.Itoa(len(w.holds))
	w.holds = append(slices.Clone(w.holds), h)
	w.touch(everyRow)
}

func (w *world) lift() {
	w.holds = nil
	w.touch(everyRow)
}

func (w *world) withdraw(id patch.ID, why string) {
	w.items = slices.Clone(w.items)
	for i := range w.items {
		if w.items[i].ID == id && !w.items[i].Withdrawn {
			w.items[i].Withdrawn, w.items[i].By, w.items[i].Why = true, "user:admin", why
		}
	}
	w.touch(everyRow)
}

func (w *world) decide(scope policy.Scope, d policy.Decision) {
	decisions := map[policy.Scope]policy.Decision{scope: d}
	for s, old := range w.decisions {
		if s != scope {
			decisions[s] = old
		}
	}
	w.decisions = decisions
	w.touch(everyRow)
}

// addAmendment adds late patches, which start at the first ring.
func (w *world) addAmendment(keys []patch.Key) {
	number := len(w.amended)
	w.addRings(w.now)
	w.items = slices.Clone(w.items)
	for _, key := range keys {
		if !slices.ContainsFunc(w.items, func(i campaign.Item) bool { return i.ID == key.ID() }) {
			w.items = append(w.items, campaign.Item{ID: key.ID(), Patch: policy.Patch{Key: key, Class: patch.Security}, Amendment: number})
		}
	}
	for _, d := range w.devices {
		w.enlist(d)
		d.wantScan = true
	}
	w.touch(everyRow)
}

// rollBack turns around what was installed.
func (w *world) rollBack(ask campaign.Rollback) {
	whole := ask.Patch == "" && ask.Ring == "" && ask.Device == ""
	for _, d := range w.devices {
		for _, r := range d.rows {
			if ask.Device != "" && ask.Device != d.member.Device || ask.Ring != "" && w.ring(r.amendment, r.position).Name != ask.Ring {
				continue
			}
			r.progress = slices.Clone(r.progress)
			for i := range r.progress {
				p := &r.progress[i]
				done := p.State == patch.Verified || p.State == patch.InstalledPendingReboot || p.State == patch.Failed
				if done && len(p.Packages) > 0 && (ask.Patch == "" || ask.Patch == p.Item) {
					p.Rollback, p.State, p.Attempts, p.NoEffects, p.Next, p.Updated = true, patch.Scheduled, 0, 0, time.Time{}, w.now
					p.Reason.Code, p.Reason.Args = "", nil
					r.goal = campaign.RollBack
				}
			}
		}
	}
	for _, item := range w.items {
		if whole || item.ID == ask.Patch {
			w.withdraw(item.ID, "rolled back")
		}
	}
	if whole {
		w.state = campaign.RollingBack
	}
	w.touch(everyRow)
}

func (w *world) hurry(r *ring) {
	r.Expedited, r.dirty = true, true
}

func (w *world) comeBack(d *device) {
	d.away, d.nextScan = false, w.now
	for _, r := range d.rows {
		r.dirty = true
	}
}

func (w *world) retire(d *device) {
	d.retired = true
	for _, r := range d.rows {
		r.dirty = true
	}
}

// restart: the server hears of it before the next scan.
func (w *world) restart(d *device) {
	d.reboot, d.saidReboot, d.booted = false, false, w.now
	d.nextScan = w.now.Add(5 * time.Minute)
	for _, r := range d.rows {
		r.dirty = true
	}
}
