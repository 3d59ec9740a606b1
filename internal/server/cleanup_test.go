package server_test

import (
	"slices"
	"testing"
	"time"

	"patchring/internal/core/cleanup"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/infra/view"
	"patchring/internal/service/cleaner"
	"patchring/wire"
)

// litter is what a fake device has to be cleaned up of.
type litter struct {
	old    int // it understands no clean-up
	veto   bool
	cut    bool // the window ends in the middle
	sweeps []sweep
}

type sweep struct {
	at     time.Time
	item   wire.CleanUp
	inside bool
}

func (l *litter) speaks() int {
	if l.old > 0 {
		return l.old
	}
	return wire.Capability
}

// cleanUp frees a hundred bytes of each kind.
func (l *litter) cleanUp(now time.Time, o wire.Order) (out []wire.Outcome) {
	for _, c := range o.CleanUp {
		l.sweeps = append(l.sweeps, sweep{now, c, inside(o.Windows, now)})
		end := wire.Outcome{Item: c.ID, State: wire.ItemCleaned, Freed: &wire.Freed{Files: 2, Bytes: 100, Places: []wire.FreedPlace{{Path: "/tmp", Files: 2, Bytes: 100}}}}
		switch {
		case l.veto:
			end = wire.Outcome{Item: c.ID, State: wire.ItemSkipped, Cause: &wire.Cause{Code: string(fault.LocalVeto), Args: map[string]string{"rule": "never_clean_up *"}}}
		case c.DryRun:
			end.State = wire.ItemCounted
		case l.cut:
			end.Cause, end.Freed.AtLeast = &wire.Cause{Code: string(fault.OrderExpired), Args: map[string]string{"at": now.UTC().Format(time.RFC3339)}}, true
		}
		out = append(out, end)
	}
	return out
}

// real are the runs that removed something.
func (l *litter) real() (list []sweep) {
	return slices.DeleteFunc(slices.Clone(l.sweeps), func(s sweep) bool { return s.item.DryRun })
}

const cleaning = `
profiles:
  - name: pcs
    devices: device.kind == "workstation"
    windows: [{name: noon, days: [mon, tue, wed, thu, fri, sat, sun], start: "12:00", duration: 1h}]
    clean_up: {every: 7d, temporary_files: {}, browser_history: {allowed: true, reason: Charter of 2026}}
`

func (w *world) item(d *fakeDevice, id string) view.CleanUpRow {
	w.t.Helper()
	page, err := w.srv.View.CleanUpDevices(w.t.Context(), "main", view.CleanUpQuery{Device: d.id, Item: id})
	w.must(err)
	if len(page.Rows) != 1 {
		w.t.Fatalf("%d rows of %s on %s, want one", len(page.Rows), id, d.id)
	}
	return page.Rows[0]
}

func (w *world) letGo(id string, device fleet.DeviceID, print string) error {
	return w.srv.Cleaner.Approve(w.t.Context(), "main", w.by, cleaner.Approve{Item: id, Fingerprint: print, Device: device})
}

const tmpItem = "pcs/temporary_files"

func TestACleanUpIsCountedApprovedAndDone(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	pc := w.device("pc", fleet.Workstation, "", versions("2"), versions("2"))
	late := w.device("late", fleet.Workstation, "", versions("2"), versions("2"))
	srv := w.device("srv", fleet.Server, "", versions("2"), versions("2"))
	late.away = true
	w.policy(cleaning)
	w.settle()
	print := w.item(pc, tmpItem).Fingerprint
	if err := w.letGo(tmpItem, "", print); fault.CodeOf(err) != fault.Conflict {
		t.Errorf("approved before anybody counted: %v", err)
	}
	w.until(time.Date(2026, 1, 13, 9, 0, 0, 0, paris), time.Hour)
	if got := w.item(pc, tmpItem); got.State != cleanup.AwaitingApproval || got.CountedFiles != 2 || got.CountedBytes != 100 || got.FreedBytes != 0 || len(got.Places) != 1 {
		t.Fatalf("a day later: %+v, want the figures of the dry run, and a person asked", got)
	}
	w.until(time.Date(2026, 1, 15, 9, 0, 0, 0, paris), time.Hour)
	if len(pc.sweeps) != 2 || len(pc.real()) > 0 {
		t.Fatalf("while nobody approved: %+v, want one dry run of each item", pc.sweeps)
	}
	if err := w.letGo(tmpItem, "", "0000"); fault.CodeOf(err) != fault.InvalidField {
		t.Errorf("approved another form of the item: %v", err)
	}
	w.must(w.letGo(tmpItem, "", print))
	if err := w.letGo(tmpItem, "", print); fault.CodeOf(err) != fault.NothingToDo {
		t.Errorf("approved twice: %v", err)
	}
	w.until(time.Date(2026, 1, 15, 20, 0, 0, 0, paris), time.Hour)
	if real := pc.real(); len(real) != 1 || real[0].item.ID != tmpItem || real[0].at.In(paris).Hour() != 12 {
		t.Fatalf("after the approval it did %+v, want the one item at noon", real)
	}
	if got := w.item(pc, tmpItem); got.State != cleanup.Resting || got.FreedBytes != 100 || got.FreedFiles != 2 || got.Cleaned.IsZero() {
		t.Errorf("after it: %+v, want a hundred bytes freed", got)
	}
	// The one that was away is counted first, approved or not.
	late.away = false
	w.until(time.Date(2026, 1, 23, 20, 0, 0, 0, paris), time.Hour)
	if len(late.sweeps) < 3 || !late.sweeps[0].item.DryRun || len(late.real()) == 0 {
		t.Errorf("the late device did %+v, want a dry run and then the clean-up", late.sweeps)
	}
	if real := pc.real(); len(real) != 2 || real[1].at.Sub(real[0].at) < 7*24*time.Hour {
		t.Errorf("in eight days it did %+v, want two clean-ups a week apart", real)
	}
	for _, s := range append(pc.sweeps, late.sweeps...) {
		if !s.inside {
			t.Errorf("%s at %s, outside every window", s.item.ID, s.at)
		}
	}
	if len(srv.sweeps) > 0 {
		t.Errorf("a server was cleaned up: %+v", srv.sweeps)
	}
	sums, err := w.srv.View.CleanUps(t.Context(), "main")
	w.must(err)
	at := slices.IndexFunc(sums, func(s view.CleanUpSum) bool { return s.Item == tmpItem })
	if at < 0 || sums[at].Devices != 2 || sums[at].Counted != 2 || sums[at].FreedBytes != 400 || !sums[at].Approved || sums[at].ApprovedBy != string(w.by) {
		t.Errorf("the fleet's figures are %+v, want two devices, approved, and 400 bytes freed", sums)
	}
	w.verifyRegister()
}

func TestAChangedItemIsCountedAgainAndARevokedOneStops(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	pc := w.device("pc", fleet.Workstation, "", versions("2"), versions("2"))
	w.policy(cleaning)
	w.until(time.Date(2026, 1, 12, 20, 0, 0, 0, paris), time.Hour)
	w.must(w.letGo(tmpItem, pc.id, w.item(pc, tmpItem).Fingerprint))
	w.settle()
	if len(pc.orders) != 1 {
		t.Fatalf("%d orders after the approval, want one", len(pc.orders))
	}
	w.must(w.srv.Cleaner.Revoke(t.Context(), "main", w.by, tmpItem, ""))
	if err := w.srv.Cleaner.Revoke(t.Context(), "main", w.by, tmpItem, ""); fault.CodeOf(err) != fault.NothingToDo {
		t.Errorf("revoked twice: %v", err)
	}
	w.until(time.Date(2026, 1, 14, 20, 0, 0, 0, paris), time.Hour)
	if len(pc.orders) > 0 || len(pc.real()) > 0 {
		t.Fatalf("revoked, it has %d orders and did %+v", len(pc.orders), pc.real())
	}
	w.must(w.letGo(tmpItem, "", w.item(pc, tmpItem).Fingerprint))
	w.policy(`
profiles:
  - name: pcs
    devices: device.kind == "workstation"
    windows: [{name: noon, days: [mon, tue, wed, thu, fri, sat, sun], start: "12:00", duration: 1h}]
    clean_up: {every: 7d, temporary_files: {older_than: 20d}}
`)
	w.until(time.Date(2026, 1, 16, 20, 0, 0, 0, paris), time.Hour)
	if len(pc.real()) > 0 || len(pc.sweeps) != 3 || pc.sweeps[2].item.OlderThanS != 20*86400 {
		t.Errorf("of the changed item it did %+v, want one more dry run", pc.sweeps)
	}
	gone, err := w.srv.View.CleanUpDevices(t.Context(), "main", view.CleanUpQuery{Device: pc.id, Item: "pcs/browser_history"})
	w.must(err)
	if len(gone.Rows) != 1 || gone.Rows[0].State != cleanup.Withdrawn {
		t.Errorf("the item that is gone stands as %+v, want withdrawn", gone.Rows)
	}
}

func TestThePolicyApprovesButNeverTheHistory(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	pc := w.device("pc", fleet.Workstation, "", versions("2"), versions("2"))
	vetoed := w.device("vetoed", fleet.Workstation, "", versions("2"), versions("2"))
	old := w.device("old", fleet.Workstation, "", versions("2"), versions("2"))
	vetoed.veto, old.old, pc.cut = true, 2, true
	w.policy(`
profiles:
  - name: pcs
    devices: device.kind == "workstation"
    windows: [{name: noon, days: [mon, tue, wed, thu, fri, sat, sun], start: "12:00", duration: 1h}]
    clean_up: {after_dry_run: approve, temporary_files: {}, browser_history: {allowed: true, reason: Charter of 2026}}
`)
	w.until(time.Date(2026, 1, 13, 20, 0, 0, 0, paris), time.Hour)
	for _, s := range pc.real() {
		if s.item.Kind == wire.CleanBrowserHistory {
			t.Errorf("the history went at %s, and nobody let it", s.at)
		}
	}
	if got := w.item(pc, tmpItem); !got.Cleaned.IsZero() || got.FreedBytes != 100 || !got.AtLeast || got.Cause.Code != fault.OrderExpired {
		t.Errorf("cut short: %+v, want what went, and why not all", got)
	}
	pc.cut = false
	w.until(time.Date(2026, 1, 15, 20, 0, 0, 0, paris), time.Hour)
	if got := w.item(pc, tmpItem); got.Cleaned.IsZero() || got.FreedBytes != 200 {
		t.Errorf("the day after: %+v, want the rest", got)
	}
	if got := w.item(vetoed, tmpItem); got.Cause.Code != fault.LocalVeto || got.State != cleanup.AwaitingDryRun || len(vetoed.real()) > 0 {
		t.Errorf("vetoed: %+v, want its administrator's word", got)
	}
	if got := w.item(old, tmpItem); got.Reason.Code != fault.CleanUpUnable || len(old.sweeps) > 0 {
		t.Errorf("an old agent: %+v, want unable", got)
	}
}

// Patches come first: in the window of an install nothing is cleaned up, and no
// clean-up keeps an install waiting.
func TestPatchesComeBeforeCleanUps(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	pc := w.device("pc", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	w.policy(cleaning)
	w.settle()
	w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 19, 20, 0, 0, 0, paris), time.Hour)
	if len(pc.installs) == 0 || len(pc.sweeps) == 0 {
		t.Fatalf("it did %+v and %+v, want both", pc.installs, pc.sweeps)
	}
	for _, s := range pc.sweeps {
		for _, i := range pc.installs {
			if s.at.Equal(i.at) {
				t.Errorf("cleaned up at %s, beside an install", s.at)
			}
		}
	}
}
