package rehearsal

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/core/procedure"
)

// play is a campaign under way: everything that keeps and carries what
// core/campaign decides, in memory, on a clock that jumps to whatever is due
// next.
type play struct {
	*Fleet
	now, start, until time.Time
	zone              *time.Location

	state     campaign.State
	stateLook time.Time
	judged    bool
	terms     campaign.Terms
	items     []campaign.Item
	left      int
	scene     campaign.Scene
	rings     []*ring
	byRing    [][]*class
	crowdList []*crowd // in a steady order
	touched   []*class
	queue     queue
	openings  map[place]opening // at now

	missing  []campaign.Missing // scratch
	progress []campaign.Progress
	tally    tally
}

// place is what decides on when devices may act.
type place struct {
	rules procedure.RuleSet
	match policy.Match
}

type opening struct {
	windows []calendar.Interval
	frozen  fault.Reason
}

// ring is one ring under way.
type ring struct {
	campaign.Ring
	planned procedure.RingSpan
	out     Ring
	look    time.Time
	dirty   bool
	stopped bool
	closed  bool // its planned end has passed
}

// Play plays the campaign to fifteen days after its verification. A fleet is
// played once.
func (f *Fleet) Play() *Played {
	p := &play{
		Fleet: f, zone: f.plan.Procedure.Zone, state: campaign.Scheduled, openings: map[place]opening{},
		terms: campaign.TermsOf(f.plan.Procedure, calendar.Compress{}), tally: newTally(f),
	}
	p.start = f.plan.Schedule.Rings[0].Opens
	if p.start.Before(f.plan.Now) {
		p.start = f.plan.Now
	}
	p.now, p.until = p.start, f.plan.Schedule.Verification.Add(campaign.Horizon)
	if p.until.Before(p.start) {
		p.until = p.start.Add(campaign.Horizon)
	}
	p.open()
	p.run()
	return p.played()
}

// open seals the content and gives everyone a ring.
func (p *play) open() {
	p.byRing = make([][]*class, len(p.plan.Procedure.Rings))
	for i, span := range p.plan.Schedule.Rings {
		rule := p.plan.Procedure.Rings[i]
		r := &ring{planned: span, dirty: true, Ring: campaign.Ring{
			Campaign: rehearsed, Name: span.Ring, Ring: campaign.RingPending, Opens: span.Opens, Closes: span.Closes,
			Soak: rule.Soak, Gate: rule.Gate, Holds: p.plan.Holds, First: i == 0,
		}}
		for _, s := range rule.Gate.SignOffs {
			r.SignOffs = append(r.SignOffs, campaign.SignOff{Role: s.Role, Yes: true, At: p.start})
			r.out.Signs = append(r.out.Signs, s.Role)
		}
		p.rings = append(p.rings, r)
	}
	for _, c := range p.classes {
		p.byRing[c.position] = append(p.byRing[c.position], c)
		p.rings[c.position].Counters.Add(campaign.NotReached, len(c.members))
	}
	for _, r := range p.rings {
		r.out.Devices = r.Counters.Total()
	}
	for _, k := range p.crowds {
		p.crowdList = append(p.crowdList, k)
	}
	slices.SortFunc(p.crowdList, func(a, b *crowd) int { return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.value, b.value)) })
	for _, c := range p.classes {
		if c.id != "" {
			p.touch(c) // a person may have left it out, which others' turns must know
		}
	}
	items, left := campaign.Seal(p.start, p.candidates(), p.plan.Rules, nil)
	p.items, p.left = items, len(left)
	p.scene = campaign.Scene{
		Campaign: rehearsed, Sealed: p.start, Rules: p.plan.Rules, Terms: p.terms, Holds: p.plan.Holds, Content: campaign.NewContent(items),
	}
}

// rehearsed is the campaign that does not exist.
const rehearsed campaign.ID = "rehearsal"

// candidates is what members miss, each with the sorts of devices that miss it.
func (p *play) candidates() []campaign.Candidate {
	at := map[patch.ID]int{}
	var out []campaign.Candidate
	for o := range p.offers {
		m := &p.offers[o]
		if _, known := at[m.ID]; !known && p.offered[Offer(o)] {
			at[m.ID] = len(out)
			out = append(out, campaign.Candidate{ID: m.ID, Patch: m.Patch})
		}
	}
	if p.match {
		for _, c := range p.classes {
			for _, l := range c.lacks {
				addHolder(&out[at[p.offers[l.offer].ID]], policy.Holder{Match: c.match, Exposed: l.since()})
			}
		}
	}
	slices.SortFunc(out, func(a, b campaign.Candidate) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

func addHolder(c *campaign.Candidate, h policy.Holder) {
	for i, known := range c.Holders {
		if known.Match == h.Match {
			if h.Exposed.Before(known.Exposed) {
				c.Holders[i].Exposed = h.Exposed
			}
			return
		}
	}
	c.Holders = append(c.Holders, h)
}

func (p *play) run() {
	for {
		p.settle()
		p.passDates()
		next := p.next()
		if !next.Before(p.until) {
			p.tally.daysTo(p, p.until)
			return
		}
		p.tally.daysTo(p, next)
		p.now = next
		clear(p.openings)
	}
}

// next is the next instant at which anything is due.
func (p *play) next() time.Time {
	next := p.until
	sooner := func(t time.Time) {
		if t.After(p.now) && t.Before(next) {
			next = t
		}
	}
	sooner(p.stateLook)
	sooner(p.plan.Schedule.Verification)
	for _, r := range p.rings {
		sooner(r.look)
		sooner(r.planned.Closes)
	}
	if len(p.queue) > 0 {
		sooner(p.queue[0].at)
	}
	return next
}

// settle lets everybody act until nobody has anything to do.
func (p *play) settle() {
	for p.stepState() || p.stepRings() || p.stepClasses() {
		continue
	}
}

func (p *play) stepState() bool {
	before := p.state
	p.state, p.stateLook = campaign.DecideState(p.now, p.state, p.start, p.plan.Schedule.Verification)
	if p.state == before {
		return false
	}
	for _, r := range p.rings {
		r.dirty = true
	}
	p.refresh()
	return true
}

func (p *play) stepRings() (busy bool) {
	for i, r := range p.rings {
		for r.dirty || due(r.look, p.now) {
			r.dirty, busy = false, true
			p.decideRing(i, r)
		}
	}
	return busy
}

func due(look, now time.Time) bool { return !look.IsZero() && !look.After(now) }

func (p *play) decideRing(i int, r *ring) {
	r.State = p.state
	if i > 0 {
		r.Previous = campaign.Before{Name: p.rings[i-1].Name, State: p.rings[i-1].Ring.Ring}
	}
	d := campaign.DecideRing(p.now, r.Ring)
	moved := d.State != r.Ring.Ring
	r.look, r.out.Reasons = d.Look, d.Reasons
	r.Ring.Ring, r.Verdict, r.SoakUntil = d.State, d.Verdict, d.SoakUntil
	stopped := !d.State.Passed() && !r.Breaker().IsZero()
	if !moved && stopped == r.stopped {
		return
	}
	if stopped != r.stopped {
		r.stopped = stopped
		p.touchRing(i)
	}
	p.refresh()
	if !moved {
		return
	}
	if i+1 < len(p.rings) {
		p.rings[i+1].dirty = true
	}
	r.dirty = true
	p.moved(i, r)
}

func (p *play) moved(i int, r *ring) {
	switch r.Ring.Ring {
	case campaign.RingOpen:
		r.Opened, r.out.Opens = p.now, p.now
		p.promote(i)
	case campaign.RingSoaking:
		r.out.Soaks = p.now
	case campaign.RingPromoted:
		r.out.Passes = p.now
	}
}

// promote brings the content to a ring that opens. What was declined or delayed
// since leaves the campaign: no ring has validated it.
func (p *play) promote(position int) {
	if position > 0 {
		for _, u := range p.scene.Content.Unfits(p.now, 0, p.plan.Rules) {
			for i := range p.items {
				if p.items[i].ID == u.Item.ID {
					p.items[i].Withdrawn, p.items[i].By, p.items[i].Why = true, u.Outcome.Decision.Actor, u.Outcome.Decision.Reason
				}
			}
			for i := range position {
				p.touchRing(i)
			}
		}
	}
	for i := range p.items {
		if !p.items[i].Withdrawn {
			p.items[i].Promoted = max(p.items[i].Promoted, position)
		}
	}
	p.scene.Content = campaign.NewContent(p.items)
	p.refresh()
	p.touchRing(position)
}

// refresh brings what devices see of the campaign up to date.
func (p *play) refresh() {
	p.scene.State = p.state
	p.scene.Rings = p.scene.Rings[:0]
	for _, r := range p.rings {
		view := campaign.RingView{Name: r.Name, State: r.Ring.Ring, Opens: r.Opens}
		if r.stopped {
			view.Stopped = r.Breaker()
		}
		p.scene.Rings = append(p.scene.Rings, view)
	}
}

func (p *play) touchRing(position int) {
	for _, c := range p.byRing[position] {
		p.touch(c)
	}
}

func (p *play) touch(c *class) {
	if !c.touched {
		c.touched = true
		p.touched = append(p.touched, c)
	}
}

func (p *play) stepClasses() (busy bool) {
	p.scene = p.scene.Prepared(p.now)
	for len(p.queue) > 0 && !p.queue[0].at.After(p.now) {
		e := heap.Pop(&p.queue).(entry)
		if e.at.Equal(e.class.due) {
			p.touch(e.class)
		}
	}
	for len(p.touched) > 0 {
		busy = true
		list := p.touched
		p.touched = nil
		for _, c := range list {
			c.touched = false
			p.step(c)
		}
	}
	for _, k := range p.crowdList {
		if k.stirred {
			busy = true
			p.stir(k)
		}
	}
	return busy
}

// passDates records what the calendar said of this moment.
func (p *play) passDates() {
	for i, r := range p.rings {
		last := i == len(p.rings)-1
		if r.closed || p.now.Before(r.planned.Closes) || last {
			continue
		}
		r.closed = true
		if n := r.Counters.NotReached; n > 0 {
			p.tally.slips = append(p.tally.slips, Slip{Code: SlipUnfinish, Ring: r.Name, Planned: r.planned.Closes, Devices: n})
		}
	}
	if p.judged || p.now.Before(p.plan.Schedule.Verification) {
		return
	}
	p.judged = true
	for _, c := range p.classes {
		if c.reason.IsZero() && c.bucket == campaign.NotReached {
			p.step(c) // of a ring that did not open: nobody asked yet
		}
	}
	for _, c := range p.classes {
		c.judged, c.judgedWhy = c.bucket, c.reason
	}
	for _, r := range p.rings {
		r.out.Judged = r.Counters
	}
}

// queue is what is due when, the soonest first.
type queue []entry

type entry struct {
	at    time.Time
	class *class
}

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push implements heap.Interface.
func (q *queue) Push(x any) { *q = append(*q, x.(entry)) }

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = entry{}
	*q = (*q)[:last]
	return e
}
