package campaign_test

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/wire"
)

// knownCodes are the codes that fault declares, read from its source: a reason
// with any other has no words.
var knownCodes = sync.OnceValue(func() map[fault.Code]bool {
	text, err := os.ReadFile("../fault/codes.go")
	if err != nil {
		panic(err)
	}
	codes := map[fault.Code]bool{}
	for _, m := range regexp.MustCompile(`Code = "([a-z_]+)"`).FindAllStringSubmatch(string(text), -1) {
		codes[fault.Code(m[1])] = true
	}
	return codes
})

func (w *world) known(reasons ...fault.Reason) {
	w.Helper()
	for _, r := range reasons {
		if !r.IsZero() && !knownCodes()[r.Code] {
			w.Fatalf("%s: reason %s is not known to fault", w.now, r)
		}
	}
}

// checkRing: what must be true of every decision on a ring.
func (w *world) checkRing(r *ring, d campaign.RingDecision) {
	w.Helper()
	w.same("ring "+r.Name, d, campaign.DecideRing(w.now, r.Ring))
	w.known(d.Reasons...)
	w.notPast(d.Look)
	moved := d.State != r.Ring.Ring
	if moved && d.State == campaign.RingOpen {
		if w.now.Before(r.Opens) && !r.Expedited {
			w.Fatalf("%s: ring %s opens before %s", w.now, r.Name, r.Opens)
		}
		if !r.First && (!r.Undo || !r.Expedited) && !w.ring(r.amendment, r.position-1).Ring.Ring.Passed() {
			w.Fatalf("%s: ring %s opens past the gate of the one before", w.now, r.Name)
		}
	}
	if moved && d.State == campaign.RingPromoted && r.Ring.Ring != campaign.RingDone {
		w.checkPassed(r)
	}
	if !moved && d.State != campaign.RingDone {
		w.checkNotStuck(r, d)
	}
	if moved && w.stands(r) && !r.Ring.Ring.Passed() {
		w.Fatalf("%s: ring %s moves from %s to %s under %+v in state %s", w.now, r.Name, r.Ring.Ring, d.State, w.holds, w.state)
	}
}

func (w *world) stands(r *ring) bool {
	return w.state != campaign.Running && w.state != campaign.Verifying ||
		slices.ContainsFunc(w.holds, func(h campaign.Hold) bool {
			return (h.Campaign == "" || h.Campaign == r.Campaign) && h.Item == "" && h.Device == "" && (h.Ring == "" || h.Ring == r.Name)
		})
}

// checkPassed counts again, from the devices, what the gate asks for.
func (w *world) checkPassed(r *ring) {
	w.Helper()
	var c campaign.Counters
	for _, d := range w.devices {
		for _, o := range d.rows {
			if !o.absent && o.amendment == r.amendment && o.position == r.position {
				c.Add(o.decision.Bucket, 1)
			}
		}
	}
	share := func(n int) float64 { return 100 * float64(n) / float64(c.Expected()) }
	if r.Undo && c.Expected() == 0 {
		return // nothing to undo there
	}
	if c.Expected() == 0 || c.Done+c.Failed < max(1, r.Gate.MinDevices) || c.Failed > r.Gate.MaxFailed ||
		share(c.Done) < r.Gate.MinDonePercent || share(c.NotReached) > r.Gate.MaxNotReachedPercent || share(c.Unreachable) > r.Gate.MaxUnreachablePercent {
		w.Fatalf("%s: ring %s passes its gate %+v with %+v", w.now, r.Name, r.Gate, c)
	}
	for _, rule := range r.Gate.SignOffs {
		last := slices.IndexFunc(r.SignOffs, func(s campaign.SignOff) bool { return s.Role == rule.Role })
		for i, s := range r.SignOffs {
			if s.Role == rule.Role {
				last = i
			}
		}
		if last < 0 || !r.SignOffs[last].Yes {
			w.Fatalf("%s: ring %s passes without the yes of %s", w.now, r.Name, rule.Role)
		}
	}
}

// checkNotStuck: a ring that is not final says why, and what it waits for is
// either a date or an event that comes from elsewhere.
func (w *world) checkNotStuck(r *ring, d campaign.RingDecision) {
	w.Helper()
	if len(d.Reasons) == 0 {
		w.Fatalf("%s: ring %s is %s without a reason", w.now, r.Name, d.State)
	}
	dated := []fault.Code{fault.RingWaitsCalendar, fault.RingSoaking, fault.RingRunning}
	if slices.Contains(dated, d.Reasons[0].Code) && !d.Look.After(w.now) {
		w.Fatalf("%s: ring %s waits for %s and never looks again", w.now, r.Name, d.Reasons[0])
	}
}

// checkDevice: what must be true of every decision on a device.
func (w *world) checkDevice(d *device, r *row, s campaign.Scene, v campaign.Device, got campaign.DeviceDecision) {
	w.Helper()
	w.same(d.member.Name, got, campaign.DecideDevice(w.now, s, v))
	w.notPast(got.Look)
	w.known(got.Reason)
	for _, item := range got.Items {
		w.known(item.Reason)
	}
	if (got.Bucket == campaign.Done) != got.Reason.IsZero() {
		w.Fatalf("%s: %s is %s for %s", w.now, d.member.Name, got.Bucket, got.Reason)
	}
	if got.Bucket == campaign.NotReached && got.Look.IsZero() {
		w.Fatalf("%s: %s waits for %s and is never looked at again", w.now, d.member.Name, got.Reason)
	}
	if got.Cancel && !v.Retired {
		without := v
		without.Order = nil
		if then := campaign.DecideDevice(w.now, s, without); got.Bucket == campaign.Done && then.Bucket != campaign.Done {
			w.Fatalf("%s: %s is %s as its order is taken back, and %s for %s after it", w.now, d.member.Name, got.Bucket, then.Bucket, then.Reason)
		}
	}
	if got.Order != nil {
		w.checkOrder(d, r, s, v, got)
	}
	if !v.Retired && !got.Cancel {
		w.checkExplained(d, s, v, got)
	}
}

func (w *world) checkOrder(d *device, r *row, s campaign.Scene, v campaign.Device, got campaign.DeviceDecision) {
	w.Helper()
	ring := w.ring(r.amendment, r.position)
	switch {
	case r.order != nil && !got.Expired:
		w.Fatalf("%s: a second order for %s", w.now, d.member.Name)
	case v.OtherCampaign != "" && (!v.OtherYields || v.Goal != campaign.RollBack || !got.Order.Preempts):
		w.Fatalf("%s: an order for %s, busy with another", w.now, d.member.Name)
	case len(got.Order.Items) == 0 || len(got.Order.Windows) == 0 || !got.Order.Expires.After(w.now):
		w.Fatalf("%s: an order of nothing for %s: %+v", w.now, d.member.Name, got.Order)
	case len(calendar.Subtract(got.Order.Windows, v.Windows)) > 0:
		w.Fatalf("%s: ordered %v on %s, whose windows are %v", w.now, got.Order.Windows, d.member.Name, v.Windows)
	case got.Order.Kind == wire.OrderInstall && w.heldWhole(d, ring):
		w.Fatalf("%s: an order for %s under %+v", w.now, d.member.Name, w.holds)
	case got.Order.Kind == wire.OrderInstall && !ring.Ring.Ring.Opened():
		w.Fatalf("%s: an order for %s before ring %s opened", w.now, d.member.Name, ring.Name)
	}
	for _, ordered := range got.Order.Items {
		item, ok := s.Content.Item(patch.ID(ordered.ID))
		if !ok || item.Key.Version != ordered.Version || item.Amendment != s.Amendment {
			w.Fatalf("%s: ordered %+v on %s, which is not the content", w.now, ordered, d.member.Name)
		}
		if got.Order.Kind == wire.OrderInstall {
			w.checkAllowed(d, r, s, item)
		} else {
			w.checkUndo(d, r, item)
		}
	}
}

// checkUndo: only what is there goes back, and never twice: for good what a
// rollback was asked for, to be installed again what is rehearsed in the first
// ring and nobody asked back.
func (w *world) checkUndo(d *device, r *row, item campaign.Item) {
	w.Helper()
	was := d.original(item.ID)
	if was == nil || was.State == patch.RolledBack || was.State == patch.NotApplicable {
		w.Fatalf("%s: ordered %s back on %s, where it is not: %+v", w.now, item.Key, d.member.Name, was)
	}
	switch rehearsed := r.goal == campaign.Install; {
	case rehearsed && (!w.procedure.Rollback.Rehearse || r.position != 0 || was.Rollback || item.Withdrawn):
		w.Fatalf("%s: rehearses %s on %s: %+v", w.now, item.Key, d.member.Name, was)
	case rehearsed && (was.Rehearsal.Stage == campaign.ComingAgain || was.Rehearsal.Stage == campaign.RehearsalDone || was.Rehearsal.Stage == campaign.RehearsalFailed):
		w.Fatalf("%s: rehearses %s on %s again: %+v", w.now, item.Key, d.member.Name, was)
	case !rehearsed && !was.Rollback:
		w.Fatalf("%s: takes %s back on %s, and its own campaign does not know", w.now, item.Key, d.member.Name)
	}
}

func (w *world) heldWhole(d *device, r *ring) bool {
	return slices.ContainsFunc(w.holds, func(h campaign.Hold) bool {
		return h.Item == "" && (h.Device == "" || h.Device == string(d.member.Device)) && (h.Ring == "" || h.Ring == r.Name)
	})
}

// checkAllowed judges an ordered item again, from the rules themselves.
func (w *world) checkAllowed(d *device, r *row, s campaign.Scene, item campaign.Item) {
	w.Helper()
	h := policy.Holder{Device: d.member.Device, Groups: d.member.Groups, Match: w.match(d)}
	for _, m := range d.missing {
		if m.ID == item.ID {
			h.Exposed = m.Exposed
		}
	}
	if o := s.Rules.Judge(&item.Patch, h, w.now); o.Verdict != policy.Approved || item.Withdrawn || item.Promoted < r.position {
		w.Fatalf("%s: ordered %s on %s: %s, %+v", w.now, item.Key, d.member.Name, o.Verdict, item)
	}
	w.checkNotRefused(d, item)
	for _, h := range w.holds {
		if h.Item == string(item.ID) && (h.Device == "" || h.Device == string(d.member.Device)) && (h.Ring == "" || h.Ring == w.ring(r.amendment, r.position).Name) {
			w.Fatalf("%s: ordered %s on %s under %+v", w.now, item.Key, d.member.Name, h)
		}
	}
	for _, p := range r.progress {
		if p.Item == item.ID && (p.Rollback || p.State == patch.RolledBack) {
			w.Fatalf("%s: ordered %s on %s, where a rollback has it: %+v", w.now, item.Key, d.member.Name, p)
		}
		if p.Item == item.ID && (p.Attempts >= s.Terms.Attempts || p.NoEffects >= campaign.Quarantine) {
			w.Fatalf("%s: ordered %s on %s again after %d attempts, %d without effect", w.now, item.Key, d.member.Name, p.Attempts, p.NoEffects)
		}
	}
}

// checkNotRefused reads what people and the policy say by itself, without the
// rules of precedence: what any of these words must stop, whatever else is said.
func (w *world) checkNotRefused(d *device, item campaign.Item) {
	w.Helper()
	name := policy.ScopeOfName("apt", item.Key.Name)
	if g, ok := w.decisions[name]; ok && g.Verdict == policy.Declined && (g.Until.IsZero() || w.now.Before(g.Until)) {
		w.Fatalf("%s: ordered %s on %s, which is declined: %+v", w.now, item.Key, d.member.Name, g)
	}
	for _, e := range w.excepted {
		about := (e.Patch == "" || e.Patch == name) && (e.Device == "" || e.Device == d.member.Device) && (e.Group == "" || slices.Contains(d.member.Groups, e.Group))
		if about && !w.now.Before(e.From) && w.now.Before(e.Until) {
			w.Fatalf("%s: ordered %s on %s under exception %+v", w.now, item.Key, d.member.Name, e)
		}
	}
	if p := w.policies.Tenant; p != nil {
		for _, g := range p.Safeguards {
			if strings.Contains(g.Name, item.Key.Name) && strings.HasSuffix(g.Name, string(d.member.Kind)) {
				w.Fatalf("%s: ordered %s on %s past safeguard %s", w.now, item.Key, d.member.Name, g.Name)
			}
		}
	}
}

// checkNotFrozen reads the dates of freezes on the zone's wall calendar.
func (w *world) checkNotFrozen(d *device) {
	w.Helper()
	if w.policies.Tenant == nil {
		return
	}
	for _, f := range w.policies.Tenant.Freezes {
		about := f.Devices.Source == "" || strings.Contains(f.Devices.Source, strconv.Quote(string(d.member.Kind)))
		today := calendar.DateOf(w.now, f.Zone)
		if about && today.Compare(f.From) >= 0 && today.Compare(f.To) <= 0 {
			w.Fatalf("%s: %s acts on %s, in freeze %s from %s to %s", w.now, d.member.Name, today, f.Name, f.From, f.To)
		}
	}
}

// checkBegin: what must be true when an agent begins to act.
func (w *world) checkBegin(d *device, o *order) {
	w.Helper()
	if w.ring(o.amendment, 0).Opened.IsZero() {
		w.Fatalf("%s: %s acts before the first ring opened", w.now, d.member.Name)
	}
	member := d.rows[o.amendment]
	if d.away {
		return
	}
	if member.windows == nil && o.spec.Kind == wire.OrderInstall {
		w.checkNotFrozen(d)
	}
	if !slices.ContainsFunc(w.windowsOf(d, member), func(i calendar.Interval) bool { return i.Contains(w.now) }) {
		w.Fatalf("%s: %s acts outside its windows", w.now, d.member.Name)
	}
}

// checkExplained: the chain of every item names what the decision names.
func (w *world) checkExplained(d *device, s campaign.Scene, v campaign.Device, got campaign.DeviceDecision) {
	w.Helper()
	named := map[fault.Code]bool{}
	for _, item := range got.Items {
		content, _ := s.Content.Item(item.Item)
		chain := campaign.Explain(w.now, s, v, content.Key)
		here := map[fault.Code]bool{}
		for _, c := range chain {
			w.known(c.Reason)
			here[c.Reason.Code], named[c.Reason.Code] = true, true
		}
		if !item.Reason.IsZero() && !here[item.Reason.Code] {
			w.Fatalf("%s: %s is %s on %s for %s, and no link of the chain says so:\n%+v", w.now, content.Key, item.State, d.member.Name, item.Reason, chain)
		}
	}
	if len(got.Items) == 0 { // any patch will do to explain the device
		for _, c := range campaign.Explain(w.now, s, v, keyOf("none", "0")) {
			named[c.Reason.Code] = true
		}
	}
	if !got.Reason.IsZero() && !named[got.Reason.Code] && got.Order == nil {
		w.Fatalf("%s: %s is %s for %s, and no link of any chain says so", w.now, d.member.Name, got.Bucket, got.Reason)
	}
}

// checkNumbers: the five numbers of each ring are its devices, none unseen.
func (w *world) checkNumbers() {
	w.Helper()
	for _, r := range w.rings {
		var want campaign.Counters
		n := 0
		for _, d := range w.devices {
			for _, o := range d.rows {
				if !o.absent && o.amendment == r.amendment && o.position == r.position {
					want.Add(o.decision.Bucket, 1)
					n++
				}
			}
		}
		if r.Counters != want || r.Counters.Total() != n {
			w.Fatalf("%s: ring %s counts %+v, its %d devices are %+v", w.now, r.Name, r.Counters, n, want)
		}
	}
}

// checkIdle decides on everything, due or not: whatever that brings was missed
// by the looks, and would have come late.
func (w *world) checkIdle() {
	w.Helper()
	for _, r := range w.rings {
		if d := campaign.DecideRing(w.now, r.Ring); d.State != r.Ring.Ring {
			w.Fatalf("%s: nobody looked, and ring %s goes from %s to %s", w.now, r.Name, r.Ring.Ring, d.State)
		}
	}
	if w.state == campaign.Closed {
		return
	}
	for _, d := range w.devices {
		for _, r := range d.rows {
			if r.absent {
				continue
			}
			got := campaign.DecideDevice(w.now, w.scene(r.amendment), w.view(d, r))
			if got.Bucket != r.decision.Bucket || got.Order != nil || got.Cancel && r.order != nil || got.Expired && r.order != nil {
				w.Fatalf("%s: nobody looked, and %s goes from %s (%s) to %s (%s), order %v, cancel %v, expired %v", w.now, d.member.Name,
					r.decision.Bucket, r.decision.Reason, got.Bucket, got.Reason, got.Order, got.Cancel, got.Expired)
			}
		}
	}
}

func TestCodesAreRead(t *testing.T) {
	if n := len(knownCodes()); n < 50 || !knownCodes()[fault.VersionGone] {
		t.Fatalf("%d codes read from fault", n)
	}
}
