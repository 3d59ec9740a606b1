package rehearsal

import (
	"container/heap"
	"slices"
	"strconv"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/wire"
)

// course is how far a class has come.
type course struct {
	state   []standing // of each of its lacks
	odd     []campaign.Progress
	order   *order
	updated time.Time // of the last result
	pending bool      // it waits for a restart that nobody does

	bucket    campaign.Bucket
	reason    fault.Reason
	judged    campaign.Bucket // at the verification
	judgedWhy fault.Reason
	due       time.Time
	touched   bool
	joined    bool   // in its crowds
	waits     *crowd // in whose list it is

	starts, ends time.Time
}

// standing is where one lack is. What it is not worth keeping is made again
// from it by the campaign's own functions.
type standing byte

const (
	open     standing = iota
	ordered           // in the order
	verified          // installed
	odd               // its progress is in the list: it failed, or waits for a restart
	loaded   standing = 1 << 4
)

func (s standing) is(of standing) bool { return s&^loaded == of }

// order is what a class has to do.
type order struct {
	items   []int // of its lacks
	windows []calendar.Interval
	issued  time.Time
	expires time.Time
	starts  time.Time // zero: never
	ends    time.Time
	restart time.Time    // when its restart ends, if it needs one; zero: nobody restarts it
	cause   fault.Reason // why it does not start now
}

// step decides on a class, again while its own act changes anything.
func (p *play) step(c *class) {
	for {
		if o := c.order; o != nil && !o.starts.IsZero() && !p.now.Before(o.ends) {
			p.finish(c)
		}
		d := campaign.DecideDevice(p.now, p.scene, p.view(c))
		if c.order != nil && (d.Cancel || d.Expired) {
			p.drop(c)
			continue
		}
		acts := c
		if d.Order != nil {
			acts = p.issue(c, d.Order)
		}
		p.settleOn(acts, d)
		if acts == c {
			return
		}
	}
}

// settleOn keeps what was decided and when to look again.
func (p *play) settleOn(c *class, d campaign.DeviceDecision) {
	if d.Bucket != c.bucket {
		r := p.rings[c.position]
		r.Counters.Add(c.bucket, -len(c.members))
		r.Counters.Add(d.Bucket, len(c.members))
		r.dirty = true
		from := c.bucket
		c.bucket = d.Bucket
		p.recount(c, from, d.Bucket)
	}
	c.reason, c.due = d.Reason, d.Look
	switch o := c.order; {
	case o != nil && !o.starts.IsZero():
		c.due = o.ends
	case o == nil && p.waitsFor(c) && !c.due.After(p.now.Add(polled)):
		c.due = time.Time{} // the others wake it
	}
	if !c.due.IsZero() && c.due.Before(p.until) {
		heap.Push(&p.queue, entry{c.due, c})
	}
}

// polled: a look as soon as this, of a class that waits for others, is the
// campaign's own repair of lost wake-ups; here none is lost.
const polled = 10 * time.Minute

// view is one device of a class as the decision sees it.
func (p *play) view(c *class) campaign.Device {
	d := campaign.Device{
		ID: c.id, Position: c.position, Goal: campaign.Install, Groups: c.groups, Match: c.match,
		LastSeen: c.silent, Scan: c.scan, ScanWhy: c.scanWhy, RebootPending: c.pending,
	}
	if c.silent.IsZero() {
		d.LastSeen = p.until // it is heard of all the time
	}
	switch {
	case !c.scanned:
	case c.silent.IsZero():
		d.ScanAt = p.start
		if !c.updated.IsZero() {
			d.ScanAt = c.updated.Add(time.Second)
		}
	default:
		d.ScanAt = c.silent
	}
	d.Missing, d.Progress = p.known(c)
	open := p.openingOf(place{c.rules, c.match})
	d.Windows, d.Frozen = open.windows, open.frozen
	if c.order != nil {
		d.Order = p.openOrder(c)
	} else if len(c.limits) > 0 {
		d.Crowds = p.crowdsOf(c)
	}
	return d
}

// known makes what scans and reports say of a class. It is valid until the next
// call.
func (p *play) known(c *class) ([]campaign.Missing, []campaign.Progress) {
	p.missing, p.progress = p.missing[:0], append(p.progress[:0], c.odd...)
	for i, l := range c.lacks {
		s := c.state[i]
		if s.is(ordered) || s.is(verified) {
			p.progress = append(p.progress, p.progressOf(c, i))
		}
		if s.is(verified) || s.is(odd) && installed(c.odd[c.oddAt(p.offers[l.offer].ID)].State) {
			continue
		}
		p.missing = append(p.missing, p.offers[l.offer])
		p.missing[len(p.missing)-1].Exposed = l.since()
	}
	return p.missing, p.progress
}

func (p *play) progressOf(c *class, i int) campaign.Progress {
	m := &p.offers[c.lacks[i].offer]
	item := wire.Item{ID: string(m.ID), Packages: m.Packages}
	if c.state[i].is(ordered) {
		return campaign.Progress{}.Ordered(wire.OrderInstall, item, c.order.issued)
	}
	was := campaign.Progress{}.Ordered(wire.OrderInstall, item, c.updated)
	return was.Apply(wire.OrderInstall, wire.Outcome{Item: item.ID, State: wire.ItemVerified}, p.terms, c.updated)
}

func (p *play) openOrder(c *class) *campaign.OpenOrder {
	o := c.order
	out := &campaign.OpenOrder{
		ID: string(rehearsed), Kind: wire.OrderInstall, Step: wire.StepWait, Cause: o.cause, Next: o.starts,
		Issued: o.issued, Expires: o.expires, Windows: o.windows,
	}
	if !o.starts.IsZero() && !p.now.Before(o.starts) {
		out.Step, out.Cause = wire.StepInstall, fault.Reason{}
	}
	for _, i := range o.items {
		out.Items = append(out.Items, p.offers[c.lacks[i].offer].ID)
	}
	return out
}

func (p *play) openingOf(at place) opening {
	known, ok := p.openings[at]
	if !ok {
		known.windows, known.frozen = campaign.Openings(p.plan.Procedure, at.rules, p.settingsOf(at.match), p.now)
		p.openings[at] = known
	}
	return known
}

// issue gives the order to those of a class that may go now, and answers who
// they are: the class, or a part of it when its limits hold the rest back.
func (p *play) issue(c *class, spec *campaign.OrderSpec) *class {
	if n := p.free(c); n < len(c.members) {
		c = p.divide(c, n)
	}
	o := &order{windows: spec.Windows, issued: p.now, expires: spec.Expires}
	at := map[patch.ID]int{}
	for i, l := range c.lacks {
		at[p.offers[l.offer].ID] = i
	}
	var bytes int64
	for _, item := range spec.Items {
		i := at[patch.ID(item.ID)]
		o.items = append(o.items, i)
		if c.state[i]&loaded == 0 && c.silent.IsZero() {
			bytes += max(0, p.offers[c.lacks[i].offer].Bytes)
			c.state[i] |= loaded
		}
		if k := c.oddAt(patch.ID(item.ID)); k >= 0 {
			c.odd[k] = c.odd[k].Ordered(wire.OrderInstall, item, p.now)
		} else {
			c.state[i] = c.state[i]&loaded | ordered
		}
	}
	c.order = o
	p.take(c, len(c.members))
	p.tally.downloads(p, c, bytes)
	p.begin(c)
	return c
}

// divide takes n devices out of a class, into one of their own.
func (p *play) divide(c *class, n int) *class {
	part := *c
	part.members, c.members = c.members[:n:n], c.members[n:]
	part.state, part.odd = slices.Clone(c.state), slices.Clone(c.odd)
	part.touched, part.joined, part.waits = false, false, nil
	p.classes = append(p.classes, &part)
	p.byRing[c.position] = append(p.byRing[c.position], &part)
	p.join(&part, 0) // they were counted with the class
	return &part
}

// begin works out when the order is carried out: as the agent does, at the
// first moment of a window that leaves its margin. People who are asked say yes.
func (p *play) begin(c *class) {
	o := c.order
	settings := p.settingsOf(c.match)
	restarts := campaign.RestartsOf(settings, p.terms, p.now)
	margin := p.terms.MarginIn(o.windows)
	if c.asked {
		margin = campaign.Announce(*settings.People, p.now, campaign.Acts{Install: o.windows, Reboot: restarts.Windows, Margin: margin}).Margin
	}
	o.starts, o.cause = p.firstRoom(o.windows, margin)
	if !c.silent.IsZero() {
		o.starts = time.Time{}
	}
	if o.starts.IsZero() {
		return
	}
	o.cause = fault.Because(fault.OutsideWindow, "next", o.starts.UTC().Format(time.RFC3339))
	o.ends = o.starts.Add(p.plan.Pace.Order + time.Duration(len(o.items))*p.plan.Pace.Patch)
	if o.restart = p.restartAt(o.ends, restarts); !o.restart.IsZero() && p.reboots(c) >= likely {
		o.ends = o.restart
	}
	if o.ends.After(o.expires) {
		o.expires = o.ends // an order lives to see its restart
	}
}

// firstRoom is when an order starts, else why it never does.
func (p *play) firstRoom(windows []calendar.Interval, margin time.Duration) (time.Time, fault.Reason) {
	why := fault.Because(fault.NoWindow)
	for _, w := range windows {
		start := w.Start
		if start.Before(p.now) {
			start = p.now
		}
		if start.Before(w.End) && !w.End.Add(-margin).Before(start) {
			return start, fault.Reason{}
		}
		why = fault.Because(fault.WindowTooShort, "need", margin.String(), "left", max(0, w.End.Sub(p.now)).Round(time.Second).String())
	}
	return time.Time{}, why
}

// restartAt is when a restart after an install is over; zero: nobody does it.
func (p *play) restartAt(installed time.Time, r campaign.Restarts) time.Time {
	switch r.Mode {
	case wire.RebootNever:
		return time.Time{}
	case wire.RebootWindow:
		for _, w := range r.Windows {
			if w.End.After(installed) {
				if w.Start.After(installed) {
					installed = w.Start
				}
				return installed.Add(p.plan.Pace.Reboot)
			}
		}
		return time.Time{}
	default:
		return installed.Add(p.plan.Pace.Reboot)
	}
}

const likely = 0.5

// reboots is how many of one device's order's installs end with a restart: the
// expected share.
func (p *play) reboots(c *class) float64 {
	share := 0.0
	for _, i := range c.order.items {
		share = max(share, p.plan.Pace.share(p.offers[c.lacks[i].offer].Key.Name))
	}
	return share
}

// drop forgets an order that ended without being carried out.
func (p *play) drop(c *class) {
	for _, i := range c.order.items {
		if c.state[i].is(ordered) {
			c.state[i] &= loaded // open again
		}
	}
	p.take(c, -len(c.members))
	c.order = nil
}

// finish carries the order out and lets the device report.
func (p *play) finish(c *class) {
	o := c.order
	share, refused := p.reboots(c), o.restart.IsZero()
	if refused {
		c.pending, share = c.pending || share >= likely, 0
	}
	p.tally.install(p, c, share)
	c.order, c.updated = nil, o.ends
	if c.starts.IsZero() {
		c.starts = o.starts
	}
	c.ends = o.ends
	short := p.short(c, o)
	for _, i := range o.items {
		m := &p.offers[c.lacks[i].offer]
		out := wire.Outcome{Item: string(m.ID), State: wire.ItemVerified}
		switch {
		case short != nil:
			out.State, out.Cause = wire.ItemFailed, short
		case refused && p.plan.Pace.share(m.Key.Name) >= likely:
			out.State = wire.ItemClaimed
		case c.state[i].is(ordered):
			c.state[i] = c.state[i]&loaded | verified
			continue
		}
		p.report(c, i, out)
	}
	p.take(c, -len(c.members))
}

// report keeps an outcome that is not the ordinary one.
func (p *play) report(c *class, i int, out wire.Outcome) {
	m := &p.offers[c.lacks[i].offer]
	k := c.oddAt(m.ID)
	if k < 0 {
		k = len(c.odd)
		c.odd = append(c.odd, campaign.Progress{}.Ordered(wire.OrderInstall, wire.Item{ID: out.Item, Packages: m.Packages}, c.updated))
		c.state[i] = c.state[i]&loaded | odd
	}
	c.odd[k] = c.odd[k].Apply(wire.OrderInstall, out, p.terms, c.updated)
}

func (c *class) oddAt(id patch.ID) int {
	return slices.IndexFunc(c.odd, func(g campaign.Progress) bool { return g.Item == id })
}

// short is why the order fails on a disk that is too small for it; nil when it
// is not.
func (p *play) short(c *class, o *order) *wire.Cause {
	if c.disk == 0 {
		return nil
	}
	need := int64(0)
	for _, i := range o.items {
		need += needs(p.offers[c.lacks[i].offer].Bytes)
	}
	if need <= c.disk {
		return nil
	}
	return &wire.Cause{Code: string(fault.DiskFull), Args: map[string]string{
		"mount": "/", "need": strconv.FormatInt(need, 10), "free": strconv.FormatInt(c.disk, 10),
	}}
}

// installed: no scan lists it any more.
func installed(s patch.State) bool { return s == patch.Verified || s == patch.InstalledPendingReboot }
