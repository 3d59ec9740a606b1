package campaign_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/core/procedure"
	"patchring/wire"
)

// complainer is what *testing.T and *rapid.T have in common.
type complainer interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// world is a campaign with its fleet: everything that keeps and carries what
// the package decides, in memory, on a clock that jumps to whatever is due
// next. It looks at rings and devices when their Look has come or something
// about them changed, and never otherwise: what it does not wake for is a fault
// of the decision. At each decision it checks what must never be.
type world struct {
	complainer
	now       time.Time
	procedure procedure.Procedure
	schedule  procedure.Schedule

	state     campaign.State
	stateLook time.Time
	started   time.Time
	items     []campaign.Item
	rings     []*ring
	amended   []time.Time   // when each amendment was made; the first is the sealing
	undos     map[int]*undo // rollbacks: campaigns of their own, numbered with the amendments
	holds     []campaign.Hold
	decisions map[policy.Scope]policy.Decision
	policies  policy.Policies
	excepted  []policy.Exception
	devices   []*device
	offers    map[string]string // the repository: name → version
	classes   map[string]patch.Class
	orders    int
	installs  []install
	windows   map[windowsKey][]calendar.Interval
}

// install is one thing an agent did.
type install struct {
	at      time.Time
	device  string
	kind    wire.OrderKind
	name    string
	version string
	ok      bool
}

type ring struct {
	campaign.Ring
	amendment, position int
	look                time.Time
	dirty               bool
	decision            campaign.RingDecision
	stopped             bool
}

// undo is a rollback campaign.
type undo struct {
	id     campaign.ID
	byRing bool
	ask    campaign.Rollback
	items  []campaign.Item
}

// row is what is kept of a device for one amendment, or for one rollback.
type row struct {
	amendment, position int
	absent              bool // it is no member: nothing is to be undone on it
	goal                campaign.Goal
	windows             []calendar.Interval // an emergency's; nil: the procedure's
	progress            []campaign.Progress
	order               *order
	look                time.Time
	dirty               bool
	decision            campaign.DeviceDecision
}

func newWorld(t complainer, p procedure.Procedure, year int, month time.Month) *world {
	s := p.Schedule(year, month)
	return &world{
		complainer: t, procedure: p, schedule: s, now: s.Rings[0].Opens.Add(-48 * time.Hour), state: campaign.Scheduled,
		decisions: map[policy.Scope]policy.Decision{}, offers: map[string]string{}, classes: map[string]patch.Class{},
	}
}

const campaignID campaign.ID = "2026-01"

// until lets time pass: everybody acts whenever they have something to do.
func (w *world) until(end time.Time) {
	w.settle()
	for w.now.Before(end) {
		w.now = w.next(end)
		w.settle()
	}
}

// heartbeat is the longest the world sleeps.
const heartbeat = 6 * time.Hour

func (w *world) next(end time.Time) time.Time {
	next := w.now.Add(heartbeat)
	sooner := func(t time.Time) {
		if t.After(w.now) && t.Before(next) {
			next = t
		}
	}
	sooner(end)
	sooner(w.stateLook)
	for _, r := range w.rings {
		sooner(r.look)
	}
	for _, d := range w.devices {
		d.times(sooner)
		for _, r := range d.rows {
			sooner(r.look)
		}
	}
	return next
}

func due(look, now time.Time) bool { return !look.IsZero() && !look.After(now) }

// settle lets everybody act until nobody has anything to do.
func (w *world) settle() {
	w.Helper()
	for range 200 {
		busy := w.stepState()
		busy = w.stepRings() || busy
		for _, d := range w.devices {
			busy = w.stepDevice(d) || busy
			busy = d.act(w) || busy
		}
		if !busy {
			return
		}
	}
	for _, d := range w.devices {
		for _, r := range d.rows {
			w.Errorf("%s of amendment %d: %+v, progress %+v, wants a scan %v, last one %s", d.member.Name, r.amendment, r.decision, r.progress, d.wantScan, d.scanAt)
		}
	}
	w.Fatalf("%s: the world never settles", w.now)
}

func (w *world) stepState() bool {
	if w.state == campaign.Closed || !w.stateLook.IsZero() && w.now.Before(w.stateLook) {
		return false
	}
	before := w.state
	w.state, w.stateLook = campaign.DecideState(w.now, w.state, w.schedule.Rings[0].Opens, w.schedule.Verification)
	w.notPast(w.stateLook)
	if before == campaign.Scheduled && w.state == campaign.Running {
		w.start()
	}
	return w.state != before
}

// start gives everyone a ring, lets everyone scan, and seals the content.
func (w *world) start() {
	w.started = w.now
	w.addRings(w.schedule.Rings[0].Opens)
	for _, d := range w.devices {
		w.enlist(d)
		d.scan(w)
	}
	var candidates []campaign.Candidate
	for _, d := range w.devices {
		for _, m := range d.missing {
			at := slices.IndexFunc(candidates, func(c campaign.Candidate) bool { return c.ID == m.ID })
			if at < 0 {
				at = len(candidates)
				candidates = append(candidates, campaign.Candidate{ID: m.ID, Patch: policy.Patch{Key: m.Key, Class: m.Class}})
			}
			candidates[at].Holders = append(candidates[at].Holders, policy.Holder{Match: w.match(d), Exposed: m.Exposed})
		}
	}
	w.items, _ = campaign.Seal(w.now, candidates, w.rules(), nil)
}

// addRings gives an amendment its rings, as far apart as the procedure's.
func (w *world) addRings(start time.Time) {
	amendment := len(w.amended)
	w.amended = append(w.amended, w.now)
	by, back := start.Sub(w.schedule.Rings[0].Opens), w.undos[amendment]
	for i, span := range w.schedule.Rings {
		rule := w.procedure.Rings[i]
		w.rings = append(w.rings, &ring{amendment: amendment, position: i, dirty: true, Ring: campaign.Ring{
			Campaign: campaignID, Name: span.Ring, Ring: campaign.RingPending, Opens: span.Opens.Add(by), Closes: span.Closes.Add(by),
			Soak: rule.Soak, Gate: rule.Gate, First: i == 0,
		}})
		if back != nil {
			r := &w.rings[len(w.rings)-1].Ring
			r.Campaign, r.Undo, r.First, r.Soak, r.Opens, r.Gate = back.id, true, i == 0 || !back.byRing, 0, w.now, campaign.RollbackGate(rule.Gate)
		}
	}
}

func (w *world) enlist(d *device) {
	position, in := w.procedure.RingOf(d.member)
	if !in || d.retired {
		return
	}
	for amendment := len(d.rows); amendment < len(w.amended); amendment++ {
		r := &row{amendment: amendment, position: position, goal: campaign.Install, dirty: true, absent: w.undos[amendment] != nil}
		r.decision.Bucket = campaign.NotReached
		d.rows = append(d.rows, r)
		if r.absent {
			continue
		}
		w.count(amendment, position, campaign.NotReached, 1)
	}
}

func (w *world) count(amendment, position int, b campaign.Bucket, n int) {
	r := w.ring(amendment, position)
	r.Counters.Add(b, n)
	r.dirty = true
	if stopped := !r.Ring.Ring.Passed() && !r.Breaker().IsZero(); stopped != r.stopped {
		r.stopped = stopped
		w.touch(func(o *row) bool { return o.amendment == amendment && o.position == position })
	}
}

func (w *world) ring(amendment, position int) *ring {
	return w.rings[amendment*len(w.procedure.Rings)+position]
}

// touch lets the rows that fit be decided again, and every ring.
func (w *world) touch(fits func(*row) bool) {
	for _, d := range w.devices {
		for _, r := range d.rows {
			r.dirty = r.dirty || fits(r)
		}
	}
	for _, r := range w.rings {
		r.dirty = true
	}
}

func everyRow(*row) bool { return true }

func (w *world) stepRings() (busy bool) {
	for _, r := range w.rings {
		for r.dirty || due(r.look, w.now) {
			r.dirty = false
			w.decideRing(r)
			busy = true
		}
	}
	return busy
}

func (w *world) decideRing(r *ring) {
	r.State, r.Holds, r.Rehearsals = w.state, w.holds, w.rehearsals(r)
	if r.position > 0 {
		before := w.ring(r.amendment, r.position-1)
		r.Previous = campaign.Before{Name: before.Name, State: before.Ring.Ring}
	}
	d := campaign.DecideRing(w.now, r.Ring)
	w.checkRing(r, d)
	r.decision, r.look = d, d.Look
	moved := d.State != r.Ring.Ring
	r.Ring.Ring, r.Verdict, r.SoakUntil = d.State, d.Verdict, d.SoakUntil
	if !moved {
		return
	}
	if d.State == campaign.RingOpen {
		r.Opened = w.now
	}
	w.count(r.amendment, r.position, campaign.Done, 0) // a gate that passes takes the stop away
	for _, other := range w.rings {
		other.dirty = true
	}
	if d.State == campaign.RingOpen {
		w.promote(r)
	}
}

// rehearsals are those that the gate of a first ring waits for.
func (w *world) rehearsals(r *ring) campaign.Rehearsals {
	out := campaign.Rehearsals{Asked: w.procedure.Rollback.Rehearse && r.position == 0 && !r.Undo}
	if !out.Asked {
		return out
	}
	for _, item := range w.items {
		could, done := 0, 0
		w.eachRehearsal(r.amendment, func(p *campaign.Progress) {
			if _, cannot := campaign.CannotGoBack(p.Packages); cannot || p.Item != item.ID {
				return
			}
			if could++; p.Rehearsal.Stage == campaign.RehearsalDone {
				done++
			}
		})
		if n := w.procedure.Rollback.RehearseDevices; n > 0 {
			could = min(could, n)
		}
		if item.Amendment != r.amendment || item.Withdrawn || could == 0 {
			continue
		}
		if out.Need++; done >= could {
			out.Done++
		} else {
			out.Missing = append(out.Missing, item.Key.Name)
		}
	}
	return out
}

// eachRehearsal visits what devices of a first ring have, or had for a rehearsal:
// what a rollback has is its own, and one that is retired rehearses nothing more.
func (w *world) eachRehearsal(amendment int, visit func(*campaign.Progress)) {
	for _, d := range w.devices {
		for _, r := range d.rows {
			if r.amendment != amendment || r.position != 0 || r.goal != campaign.Install {
				continue
			}
			for i := range r.progress {
				p := &r.progress[i]
				stage, has := p.Rehearsal.Stage, p.State == patch.Verified || p.State == patch.InstalledPendingReboot
				if p.Rollback || len(p.Packages) == 0 || stage == campaign.RehearsalMoot || stage == "" && !has || d.retired && stage != campaign.RehearsalDone {
					continue
				}
				visit(p)
			}
		}
	}
}

// promote brings the content to a ring that opens. What was declined or delayed
// since leaves the campaign: no ring would have validated it.
func (w *world) promote(r *ring) {
	if r.position > 0 {
		for _, u := range campaign.NewContent(w.items).Unfits(w.now, r.amendment, w.rules()) {
			w.withdraw(u.Item.ID, string(u.Outcome.Verdict))
		}
	}
	for i := range w.items {
		if item := &w.items[i]; item.Amendment == r.amendment && !item.Withdrawn {
			item.Promoted = max(item.Promoted, r.position)
		}
	}
	w.touch(func(o *row) bool { return o.amendment == r.amendment && o.position <= r.position })
}

func (w *world) rules() policy.Rules {
	return policy.Rules{Policies: w.policies, Exceptions: w.excepted, Decisions: w.decisions, Classes: w.procedure.Classes}
}

func (w *world) scene(amendment int) campaign.Scene {
	s := w.sceneOf(amendment)
	if back := w.undos[amendment]; back != nil {
		s.Campaign, s.Content, s.Amendment = back.id, campaign.NewContent(back.items), 0
		return s
	}
	s.Rehearse = campaign.Rehearse{Asked: w.procedure.Rollback.Rehearse, Devices: w.procedure.Rollback.RehearseDevices, Begun: map[patch.ID]int{}}
	w.eachRehearsal(amendment, func(p *campaign.Progress) {
		if p.Rehearsal.Stage != campaign.NotRehearsed {
			s.Rehearse.Begun[p.Item]++
		}
	})
	return s
}

func (w *world) sceneOf(amendment int) campaign.Scene {
	s := campaign.Scene{
		Campaign: campaignID, State: w.state, Sealed: w.amended[amendment], Content: campaign.NewContent(w.items), Amendment: amendment,
		Rules: w.rules(), Terms: campaign.TermsOf(w.procedure, calendar.Compress{}), Holds: w.holds,
	}
	for _, r := range w.rings {
		if r.amendment == amendment {
			view := campaign.RingView{Name: r.Name, State: r.Ring.Ring, Opens: r.Opens}
			if !r.Ring.Ring.Passed() {
				view.Stopped = r.Breaker()
			}
			s.Rings = append(s.Rings, view)
		}
	}
	return s
}

func (w *world) stepDevice(d *device) (busy bool) {
	for _, r := range d.rows {
		for range 50 {
			if r.absent || w.state == campaign.Closed || !r.dirty && !due(r.look, w.now) {
				break
			}
			r.dirty, busy = false, true
			w.decideDevice(d, r)
		}
	}
	return busy
}

// view is the device as the decision sees it.
func (w *world) view(d *device, r *row) campaign.Device {
	v := campaign.Device{
		ID: d.member.Device, Position: r.position, Goal: r.goal, Retired: d.retired, LastSeen: d.lastSeen(w.now), ScanAt: d.scanAt,
		Scan: d.scanStatus, ScanWhy: "repository_down", RebootPending: d.saidReboot, Booted: d.booted, Missing: d.missing, Progress: r.progress,
		Groups: d.member.Groups, Match: w.match(d), Windows: w.windowsOf(d, r),
	}
	if r.order != nil {
		v.Order = r.order.open()
	}
	yields := true
	for _, other := range d.rows {
		if other != r && other.order != nil {
			v.OtherCampaign = string(campaignID)
			yields = yields && w.undos[r.amendment] != nil && other.order.spec.Kind == wire.OrderInstall && !campaign.Begun(other.order.saidStep)
		}
	}
	v.OtherYields = v.OtherCampaign != "" && yields
	if w.undos[r.amendment] != nil {
		v.Progress = slices.Clone(r.progress)
		for i := range v.Progress {
			if was := d.original(v.Progress[i].Item); was != nil {
				found := *was
				v.Progress[i].Found, v.Progress[i].Packages = &found, found.Packages
			}
		}
	}
	return v
}

// original is what the campaign that is undone keeps of an item.
func (d *device) original(item patch.ID) *campaign.Progress {
	for _, r := range d.rows {
		for i := range r.progress {
			if r.goal == campaign.Install && r.progress[i].Item == item {
				return &r.progress[i]
			}
		}
	}
	return nil
}

// mirror lets the campaign that is undone know what became of an item.
func (w *world) mirror(d *device, r *row, p campaign.Progress) {
	was := d.original(p.Item)
	if w.undos[r.amendment] == nil || was == nil {
		return
	}
	*was, _ = was.Mirrored(p, campaign.Asked("user:admin", "rolled back"))
	for _, other := range d.rows {
		other.dirty = true
	}
}

const horizon = 15 * 24 * time.Hour

type windowsKey struct {
	rules procedure.RuleSet
	match policy.Match
	at    time.Time
}

func (w *world) match(d *device) policy.Match {
	return w.policies.Match(&policy.Device{Name: d.member.Name, Kind: string(d.member.Kind), Groups: d.member.Groups}, w.now)
}

func (w *world) windowsOf(d *device, r *row) []calendar.Interval {
	if r.windows != nil {
		return calendar.Intersect(r.windows, []calendar.Interval{{Start: w.now, End: w.now.Add(horizon)}})
	}
	key := windowsKey{w.procedure.RulesFor(d.member), w.match(d), w.now}
	if list, ok := w.windows[key]; ok {
		return list
	}
	if len(w.windows) > 64 {
		w.windows = nil
	}
	if w.windows == nil {
		w.windows = map[windowsKey][]calendar.Interval{}
	}
	settings, windows := w.policies.Settings(key.match), w.procedure.WindowsOf(key.rules)
	if settings.Windows != nil {
		windows = settings.Windows
	}
	list := settings.WindowsIn(calendar.Intervals(windows, w.now, w.now.Add(horizon)))
	w.windows[key] = list
	return list
}

// decideDevice carries one decision out, as the conductor does.
func (w *world) decideDevice(d *device, r *row) {
	scene, view := w.scene(r.amendment), w.view(d, r)
	got := campaign.DecideDevice(w.now, scene, view)
	w.checkDevice(d, r, scene, view, got)
	if (got.Cancel || got.Expired) && r.order != nil {
		if got.Cancel {
			d.cancels = append(d.cancels, r.order.id)
		}
		r.order = nil
		for _, other := range d.rows {
			other.dirty = true
		}
	}
	for _, item := range got.Items {
		w.keepItem(r, item, got)
		if at := slices.IndexFunc(r.progress, func(p campaign.Progress) bool { return p.Item == item.Item }); at >= 0 && item.NoEffect {
			w.mirror(d, r, r.progress[at])
		}
	}
	if got.Order != nil {
		w.issue(d, r, got.Order)
	}
	d.wantScan = d.wantScan || got.Rescan
	if got.Bucket != r.decision.Bucket {
		w.count(r.amendment, r.position, r.decision.Bucket, -1)
		w.count(r.amendment, r.position, got.Bucket, 1)
	}
	r.decision, r.look = got, got.Look
}

func (w *world) keepItem(r *row, item campaign.ItemDecision, got campaign.DeviceDecision) {
	at := slices.IndexFunc(r.progress, func(p campaign.Progress) bool { return p.Item == item.Item })
	if at >= 0 && item.Rehearsal != "" {
		r.progress[at].Rehearsal.Stage, r.dirty = item.Rehearsal, true
		r.progress[at].State, r.progress[at].Reason = item.State, item.Reason
		w.ring(r.amendment, r.position).dirty = true
	}
	switch {
	case item.NoEffect:
		r.progress[at] = r.progress[at].Contradict(item.Reason, campaign.TermsOf(w.procedure, calendar.Compress{}), w.now)
		r.dirty = true
	case at >= 0 && r.order == nil && got.Order == nil && item.State != r.progress[at].State:
		r.progress[at].State, r.progress[at].Reason = item.State, item.Reason
	}
}

func (w *world) issue(d *device, r *row, spec *campaign.OrderSpec) {
	w.orders++
	o := &order{
		id: fmt.Sprintf("o%d", w.orders), amendment: r.amendment, ring: w.ring(r.amendment, r.position).Name, spec: *spec,
		issued: w.now, step: wire.StepAccepted,
	}
	r.order = o
	d.mailbox = append(d.mailbox, o)
	for _, other := range d.rows {
		if spec.Preempts && other != r && other.order != nil {
			d.cancels = append(d.cancels, other.order.id)
			other.order = nil
		}
	}
	for _, item := range spec.Items {
		at := slices.IndexFunc(r.progress, func(p campaign.Progress) bool { return p.Item == patch.ID(item.ID) })
		if at < 0 {
			r.progress = append(r.progress, campaign.Progress{})
			at = len(r.progress) - 1
		}
		r.progress[at] = r.progress[at].Ordered(spec.Kind, item, w.now)
	}
	for _, other := range d.rows {
		if other != r {
			other.dirty = true
		}
	}
}

// report takes in what a device says of an order.
func (w *world) report(d *device, e event) {
	for _, r := range d.rows {
		r.dirty = true
		if r.amendment != e.order.amendment {
			continue
		}
		if e.outcomes == nil {
			if r.order == e.order {
				r.order.saidStep, r.order.saidCause, r.order.saidNext = e.step, e.cause, e.next
			}
			continue
		}
		if r.order == e.order {
			r.order = nil
		}
		for _, o := range e.outcomes {
			for i := range r.progress {
				if string(r.progress[i].Item) == o.Item {
					r.progress[i] = r.progress[i].Apply(e.order.spec.Kind, o, campaign.TermsOf(w.procedure, calendar.Compress{}), w.now)
					w.mirror(d, r, r.progress[i])
					w.join(d, r, &r.progress[i])
				}
			}
		}
	}
}

func (w *world) notPast(look time.Time) {
	w.Helper()
	if !look.IsZero() && look.Before(w.now) {
		w.Fatalf("at %s the next look is %s, in the past", w.now, look)
	}
}

func (w *world) same(what string, a, b any) {
	w.Helper()
	if diff := cmp.Diff(a, b); diff != "" {
		w.Fatalf("%s: %s, decided again on the same values, differs:\n%s", w.now, what, diff)
	}
}

func reasonCodes(list []fault.Reason) []fault.Code {
	out := make([]fault.Code, 0, len(list))
	for _, r := range list {
		out = append(out, r.Code)
	}
	return out
}

func (w *world) deviceNamed(name string) *device {
	w.Helper()
	for _, d := range w.devices {
		if d.member.Name == name {
			return d
		}
	}
	w.Fatalf("no device %s", name)
	return nil
}

func keyOf(name, version string) patch.Key {
	return patch.Key{Provider: "apt", Name: name, Version: version, Suite: "bookworm-security"}
}
