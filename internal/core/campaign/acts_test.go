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

// rollBack turns around what was installed, as a campaign of its own.
func (w *world) rollBack(ask campaign.Rollback) {
	number := len(w.amended)
	back := &undo{id: campaign.ID("back-" + strconv.Itoa(number)), byRing: ask.ByRing, ask: ask}
	members := map[*device]*row{}
	for _, d := range w.devices {
		for _, r := range d.rows {
			w.takeFrom(d, r, ask, members)
		}
	}
	for _, item := range w.items {
		if ask.Patch == item.ID || ask.Whole() {
			w.withdraw(item.ID, "rolled back")
		}
		if slices.ContainsFunc(w.devices, func(d *device) bool { return members[d] != nil && members[d].knows(item.ID) }) {
			item.Withdrawn, item.By, item.Why, item.Amendment = false, "user:admin", "rolled back", 0
			back.items = append(back.items, item)
		}
	}
	if ask.Whole() {
		w.place(campaign.Hold{Campaign: campaignID, Actor: "user:admin", Reason: "rolled back"})
	}
	if len(members) == 0 {
		return
	}
	if w.undos == nil {
		w.undos = map[int]*undo{}
	}
	w.undos[number] = back
	w.addRings(w.now)
	for _, d := range w.devices {
		w.enlist(d)
		if r := members[d]; r != nil {
			r.amendment = number
			for len(d.rows) <= number { // it is in no ring any more
				d.rows = append(d.rows, &row{absent: true})
			}
			d.rows[number] = r
			w.count(number, r.position, campaign.NotReached, 1)
		}
	}
	w.touch(everyRow)
}

// join gives a rollback what an order that was out when it was asked for has
// brought after it.
func (w *world) join(d *device, r *row, p *campaign.Progress) {
	at := slices.IndexFunc(w.items, func(i campaign.Item) bool { return i.ID == p.Item && i.Withdrawn })
	if r.goal != campaign.Install || at < 0 || !p.ToUndo(false) {
		return
	}
	for number := range w.amended {
		back := w.undos[number]
		if back == nil || !back.ask.Everywhere() || !back.ask.Covers("", "", p.Item) {
			continue
		}
		if d.rows[number].absent {
			d.rows[number] = &row{amendment: number, position: r.position, goal: campaign.RollBack}
			d.rows[number].decision.Bucket = campaign.NotReached
			w.count(number, r.position, campaign.NotReached, 1)
		}
		if item := w.items[at]; !slices.ContainsFunc(back.items, func(i campaign.Item) bool { return i.ID == item.ID }) {
			item.Withdrawn, item.By, item.Why, item.Amendment = false, "user:admin", "rolled back", 0
			back.items = append(slices.Clone(back.items), item)
		}
		*p = p.AskedBack(campaign.Asked("user:admin", "rolled back"))
		d.rows[number].dirty = true
		d.rows[number].progress = append(d.rows[number].progress, campaign.Progress{
			Item: p.Item, State: patch.Scheduled, Rollback: true, Packages: p.Packages, Updated: w.now,
		})
		return
	}
}

func (r *row) knows(id patch.ID) bool {
	return slices.ContainsFunc(r.progress, func(p campaign.Progress) bool { return p.Item == id })
}

// takeFrom gives what one row has to undo to the rollback.
func (w *world) takeFrom(d *device, r *row, ask campaign.Rollback, members map[*device]*row) {
	if r.absent || r.goal == campaign.RollBack {
		return
	}
	ring := w.ring(r.amendment, r.position).Name
	for i := range r.progress {
		p := &r.progress[i]
		out := r.order != nil && r.order.spec.Kind == wire.OrderInstall &&
			slices.ContainsFunc(r.order.spec.Items, func(i wire.Item) bool { return i.ID == string(p.Item) })
		if !p.ToUndo(out) || !ask.Covers(ring, d.member.Device, p.Item) {
			continue
		}
		*p = p.AskedBack(campaign.Asked("user:admin", "rolled back"))
		if members[d] == nil {
			members[d] = &row{position: r.position, goal: campaign.RollBack, dirty: true}
			members[d].decision.Bucket = campaign.NotReached
		}
		members[d].progress = append(members[d].progress, campaign.Progress{
			Item: p.Item, State: patch.Scheduled, Rollback: true, Packages: p.Packages, Updated: w.now,
		})
	}
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
		w.leaves(r)
	}
}

// move gives a device another ring, as an expedited device gets.
func (w *world) move(r *row, to int) {
	w.count(r.amendment, r.position, r.decision.Bucket, -1)
	w.count(r.amendment, to, r.decision.Bucket, 1)
	w.leaves(r)
	r.position, r.dirty = to, true
}

// leaves: a device that is no longer at work in the first ring leaves its places
// in rehearsals to the others.
func (w *world) leaves(r *row) {
	if r.position == 0 && w.procedure.Rollback.Rehearse && w.procedure.Rollback.RehearseDevices > 0 {
		w.touch(func(o *row) bool { return o.amendment == r.amendment && o.position == 0 })
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
