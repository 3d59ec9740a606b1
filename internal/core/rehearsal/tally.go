package rehearsal

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
)

// tally counts what happens while the campaign is played.
type tally struct {
	days  map[calendar.Date]*Day
	hours map[int64]*Hour
	sites []map[calendar.Date]int64
	ended calendar.Date // the last day whose numbers are known
	bytes int64
	slips []Slip
}

func newTally(f *Fleet) tally {
	t := tally{days: map[calendar.Date]*Day{}, hours: map[int64]*Hour{}, sites: make([]map[calendar.Date]int64, len(f.sites))}
	for i := range t.sites {
		t.sites[i] = map[calendar.Date]int64{}
	}
	return t
}

func (t *tally) day(p *play, at time.Time) *Day {
	date := calendar.DateOf(at, p.zone)
	if t.days[date] == nil {
		t.days[date] = &Day{Date: date, Installs: make([]int, len(p.rings))}
	}
	return t.days[date]
}

func (t *tally) hour(at time.Time) *Hour {
	start := at.Truncate(time.Hour)
	if t.hours[start.Unix()] == nil {
		t.hours[start.Unix()] = &Hour{Start: start.UTC()}
	}
	return t.hours[start.Unix()]
}

// downloads counts what each device of a class fetches for an order.
func (t *tally) downloads(p *play, c *class, bytes int64) {
	if bytes == 0 {
		return
	}
	d := t.day(p, p.now)
	d.Bytes += bytes * int64(len(c.members))
	t.bytes += bytes * int64(len(c.members))
	for _, m := range c.members {
		t.sites[p.devices[m].site][d.Date] += bytes
	}
}

// install counts an order that was carried out.
func (t *tally) install(p *play, c *class, share float64) {
	o, n := c.order, len(c.members)
	t.day(p, o.starts).Installs[c.position] += n
	t.hour(o.starts).Installs += n
	if share > 0 {
		t.day(p, o.restart).Reboots += share * float64(n)
		t.hour(o.restart).Reboots += share * float64(n)
	}
	r := &p.rings[c.position].out
	if r.First.IsZero() || o.starts.Before(r.First) {
		r.First = o.starts
	}
	if o.ends.After(r.Last) {
		r.Last = o.ends
	}
}

// daysTo closes the days that end before the next thing happens.
func (t *tally) daysTo(p *play, next time.Time) {
	if t.ended.IsZero() {
		t.ended = calendar.DateOf(p.start, p.zone).AddDays(-1)
	}
	for {
		date := t.ended.AddDays(1)
		end := date.AddDays(1).At(0, p.zone)
		if end.After(next) {
			return
		}
		t.ended = date
		t.day(p, end.Add(-time.Second)).Ends = p.counters()
	}
}

// counters are the five numbers of all rings.
func (p *play) counters() campaign.Counters {
	var sum campaign.Counters
	for _, r := range p.rings {
		add(&sum, r.Counters)
	}
	return sum
}

func add(sum *campaign.Counters, c campaign.Counters) {
	sum.Done += c.Done
	sum.Failed += c.Failed
	sum.NotReached += c.NotReached
	sum.Unreachable += c.Unreachable
	sum.Exempt += c.Exempt
}

// Busiest are the hours with most restarts first, else with most installs.
func Busiest(hours []Hour) []Hour {
	list := slices.Clone(hours)
	slices.SortStableFunc(list, func(a, b Hour) int {
		return cmp.Or(-cmp.Compare(a.Reboots, b.Reboots), -cmp.Compare(a.Installs, b.Installs))
	})
	return list
}

// Busiest is the day on which most is downloaded; false when nothing is.
func (s Site) Busiest() (SiteDay, bool) {
	if len(s.Days) == 0 {
		return SiteDay{}, false
	}
	return slices.MaxFunc(s.Days, func(a, b SiteDay) int { return cmp.Compare(a.Bytes, b.Bytes) }), true
}

// Played is a campaign that was played to its end.
type Played struct {
	Result
	fates []*class // by device
	fleet *Fleet
}

func (p *play) played() *Played {
	out := &Played{fleet: p.Fleet, fates: make([]*class, len(p.devices))}
	for _, c := range p.classes {
		for _, m := range c.members {
			out.fates[m] = c
		}
	}
	out.Result = Result{
		From: p.start, Verification: p.plan.Schedule.Verification, Until: p.until,
		Devices: len(p.devices) - p.outside, Outside: p.outside, Classes: len(p.classes),
		Content: Content{Patches: len(p.items), LeftOut: p.left, Bytes: p.tally.bytes},
		Rings:   p.ringList(), Days: p.dayList(), Hours: p.hourList(), Sites: p.siteList(), Late: p.lateList(), Slips: p.slipList(),
		Assumed: Assumed{
			OrderSeconds: seconds(p.plan.Pace.Order), PatchSeconds: seconds(p.plan.Pace.Patch), RebootSeconds: seconds(p.plan.Pace.Reboot),
			Learned: p.plan.Pace.Learned, Silent: p.silent, Limited: p.limited, Asked: p.people,
		},
	}
	for _, r := range out.Rings {
		add(&out.Judged, r.Judged)
		out.Assumed.SignOffs += len(r.Signs)
	}
	return out
}

func seconds(d time.Duration) int { return int(d / time.Second) }

func (p *play) ringList() []Ring {
	out := make([]Ring, 0, len(p.rings))
	for _, r := range p.rings {
		r.out.Name, r.out.State = r.Name, r.Ring.Ring
		r.out.PlannedOpens, r.out.PlannedCloses = r.planned.Opens, r.planned.Closes
		if r.Ring.Ring.Passed() {
			r.out.Reasons = nil
		}
		if r.out.Reasons == nil {
			r.out.Reasons = []fault.Reason{}
		}
		if r.out.Signs == nil {
			r.out.Signs = []string{}
		}
		out = append(out, r.out)
	}
	return out
}

// dayList ends with the last day on which anything happens, and never before
// the verification.
func (p *play) dayList() []Day {
	last := calendar.DateOf(p.plan.Schedule.Verification, p.zone)
	for date, d := range p.tally.days {
		if date.Compare(last) > 0 && (d.Bytes > 0 || slices.ContainsFunc(d.Installs, func(n int) bool { return n > 0 })) {
			last = date
		}
	}
	out := []Day{}
	for _, date := range slices.SortedFunc(maps.Keys(p.tally.days), calendar.Date.Compare) {
		if date.Compare(last) <= 0 {
			out = append(out, *p.tally.days[date])
		}
	}
	return out
}

func (p *play) hourList() []Hour {
	out := []Hour{}
	for _, at := range slices.Sorted(maps.Keys(p.tally.hours)) {
		out = append(out, *p.tally.hours[at])
	}
	return out
}

func (p *play) siteList() []Site {
	out := make([]Site, len(p.sites))
	for i, name := range p.sites {
		out[i] = Site{Name: name, Days: []SiteDay{}}
		for _, date := range slices.SortedFunc(maps.Keys(p.tally.sites[i]), calendar.Date.Compare) {
			bytes := p.tally.sites[i][date]
			out[i].Bytes += bytes
			out[i].Days = append(out[i].Days, SiteDay{date, bytes})
		}
	}
	for _, d := range p.devices {
		if d.class != nil {
			out[d.site].Devices++
		}
	}
	out = slices.DeleteFunc(out, func(s Site) bool { return s.Devices == 0 })
	slices.SortFunc(out, func(a, b Site) int { return cmp.Or(-cmp.Compare(a.Bytes, b.Bytes), cmp.Compare(a.Name, b.Name)) })
	return out
}

// examples is how many devices of a reason are named beside it.
const examples = 5

func (p *play) lateList() []Late {
	type key struct {
		bucket campaign.Bucket
		code   fault.Code
	}
	at := map[key]*Late{}
	for _, c := range p.classes {
		if c.judged == campaign.Done || len(c.members) == 0 {
			continue
		}
		k := key{c.judged, c.judgedWhy.Code}
		l := at[k]
		if l == nil {
			l = &Late{Bucket: c.judged, Code: c.judgedWhy.Code, Reason: c.judgedWhy}
			at[k] = l
		}
		l.Devices += len(c.members)
		if c.bucket == campaign.Done {
			l.Later += len(c.members)
		}
		for _, m := range c.members[:min(len(c.members), examples-len(l.Examples))] {
			l.Examples, l.Names = append(l.Examples, p.devices[m].id), append(l.Names, p.devices[m].name)
		}
	}
	out := make([]Late, 0, len(at))
	for _, l := range at {
		out = append(out, *l)
	}
	slices.SortFunc(out, func(a, b Late) int {
		return cmp.Or(-cmp.Compare(a.Devices, b.Devices), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Bucket, b.Bucket))
	})
	return out
}

// slipList is in the order of the dates that are not kept.
func (p *play) slipList() []Slip {
	out := append([]Slip{}, p.tally.slips...)
	for i, r := range p.rings {
		planned := r.planned.Opens
		if planned.Before(p.start) {
			planned = p.start
		}
		switch {
		case r.out.Opens.IsZero():
			out = append(out, Slip{Code: SlipOpens, Ring: r.Name, Planned: planned, Devices: r.out.Devices, Reasons: p.whyShut(i)})
		case r.out.Opens.After(planned):
			out = append(out, Slip{Code: SlipOpens, Ring: r.Name, Planned: planned, Expected: r.out.Opens, Devices: r.out.Devices})
		}
		if n := r.out.Judged.NotReached; n > 0 {
			late := Slip{Code: SlipJudged, Ring: r.Name, Planned: p.plan.Schedule.Verification, Devices: n}
			if r.Counters.NotReached == 0 {
				late.Expected = r.out.Last
			}
			out = append(out, late)
		}
	}
	for i := range out {
		if out[i].Reasons == nil {
			out[i].Reasons = []fault.Reason{}
		}
		if out[i].Code == SlipUnfinish {
			out[i].Expected = p.finished(out[i].Ring)
		}
	}
	slices.SortStableFunc(out, func(a, b Slip) int { return a.Planned.Compare(b.Planned) })
	return out
}

// whyShut is what the ring before the first one that stays shut stands at.
func (p *play) whyShut(i int) []fault.Reason {
	for i > 0 && p.rings[i-1].out.Opens.IsZero() {
		i--
	}
	if i == 0 {
		return p.rings[0].out.Reasons
	}
	return p.rings[i-1].out.Reasons
}

// finished is when a ring has nobody left to reach; zero: not as far as was played.
func (p *play) finished(name string) time.Time {
	for _, r := range p.rings {
		if r.Name == name && r.Counters.NotReached == 0 {
			return r.out.Last
		}
	}
	return time.Time{}
}

// FateQuery chooses devices; what is empty does not matter.
type FateQuery struct {
	Bucket campaign.Bucket // at the verification
	Code   fault.Code
	Ring   string
	After  fleet.DeviceID // exclusive
	Limit  int
}

// Fates lists devices of the campaign in the order of their ids, and tells
// whether there are more.
func (p *Played) Fates(q FateQuery) (list []Fate, more bool) {
	devices := p.fleet.devices
	from, _ := slices.BinarySearchFunc(devices, q.After, func(d device, id fleet.DeviceID) int {
		if d.id <= id {
			return -1
		}
		return 1
	})
	list = []Fate{}
	for i := from; i < len(devices); i++ {
		c := p.fates[i]
		if c == nil || !p.fits(c, q) {
			continue
		}
		if len(list) == q.Limit {
			return list, true
		}
		d := devices[i]
		list = append(list, Fate{
			Device: d.id, Name: d.name, Site: p.fleet.sites[d.site], Ring: p.Rings[c.position].Name,
			Bucket: c.judged, Reason: c.judgedWhy, Starts: c.starts, Ends: c.ends,
		})
	}
	return list, false
}

func (p *Played) fits(c *class, q FateQuery) bool {
	return (q.Bucket == "" || q.Bucket == c.judged) && (q.Code == "" || q.Code == c.judgedWhy.Code) && (q.Ring == "" || q.Ring == p.Rings[c.position].Name)
}
