package rehearsal

import (
	"patchring/internal/core/campaign"
	"patchring/internal/core/policy"
)

// crowdKey tells devices of a limit apart: those of different values of its tag
// may be down together.
type crowdKey struct{ name, value string }

// under is a limit that devices of a class are under.
type under struct {
	crowdKey
	turn int
}

// crowd is all devices of one limit and value.
type crowd struct {
	crowdKey
	limit   policy.Limit
	size    int // of the fleet: percentages are of these
	down    int
	failed  int
	turns   []turn
	stirred bool // something changed for those that wait
}

// turn is the devices of one turn that are in the campaign.
type turn struct {
	open    int      // devices that are not through
	classes []*class // for naming one of them
	waiting []*class // for others
}

// limitsOf counts a device in each of its limits.
func (f *Fleet) limitsOf(m policy.Match, tags map[string]string) []under {
	if !f.plan.Rules.Policies.HaveLimits() {
		return nil
	}
	var out []under
	for _, placed := range f.settingsOf(m).Limits {
		value, is := placed.Value(tags)
		if !is {
			continue
		}
		key := crowdKey{placed.Name, value}
		if f.crowds[key] == nil {
			f.crowds[key] = &crowd{crowdKey: key, limit: placed.Limit}
		}
		f.crowds[key].size++
		out = append(out, under{key, placed.Turn})
	}
	return out
}

// join counts n more devices of a class in its crowds.
func (f *Fleet) join(c *class, n int) {
	for _, u := range c.limits {
		k := f.crowds[u.crowdKey]
		for len(k.turns) <= u.turn {
			k.turns = append(k.turns, turn{})
		}
		t := &k.turns[u.turn]
		t.open += n
		if !c.joined {
			t.classes = append(t.classes, c)
		}
	}
	c.joined = true
}

func through(b campaign.Bucket) bool { return b == campaign.Done || b == campaign.Exempt }

func (k *crowd) allowed() int { return k.limit.Allows(k.size) }

// before is a class whose turn comes first and that is not through; nil: none.
func (k *crowd) before(turn int) *class {
	for _, t := range k.turns[:min(turn, len(k.turns))] {
		if t.open == 0 {
			continue
		}
		for _, c := range t.classes {
			if !through(c.bucket) {
				return c
			}
		}
	}
	return nil
}

// crowdsOf is where each limit of a class stands for one of its devices.
func (p *play) crowdsOf(c *class) []campaign.Crowd {
	var out []campaign.Crowd
	for _, u := range c.limits {
		k := p.crowds[u.crowdKey]
		state := campaign.Crowd{Limit: u.name, Allowed: k.allowed(), Down: k.down, Failed: k.failed, StopAfter: k.limit.StopAfter}
		if first := k.before(u.turn); first != nil {
			state.Before = p.devices[first.members[0]].name
		}
		out = append(out, state)
	}
	return out
}

// free is how many devices of a class its limits let go at once.
func (p *play) free(c *class) int {
	n := len(c.members)
	for _, u := range c.limits {
		k := p.crowds[u.crowdKey]
		n = min(n, k.allowed()-k.down)
	}
	return max(n, 1) // the decision has just let one go
}

// take counts n devices of a class as down, or (negative) as up again.
func (p *play) take(c *class, n int) {
	for _, u := range c.limits {
		k := p.crowds[u.crowdKey]
		k.down += n
		k.stirred = k.stirred || n < 0
	}
}

// recount moves a class from one bucket to another in its crowds.
func (p *play) recount(c *class, from, to campaign.Bucket) {
	for _, u := range c.limits {
		k, n := p.crowds[u.crowdKey], len(c.members)
		if through(from) {
			k.turns[u.turn].open += n
		}
		if through(to) {
			k.turns[u.turn].open -= n
			k.stirred = true
		}
		if from == campaign.Failed {
			k.failed -= n
			k.stirred = true
		}
		if to == campaign.Failed {
			k.failed += n
		}
	}
}

// waitsFor remembers that a class waits for others of its limits.
func (p *play) waitsFor(c *class) bool {
	for _, u := range c.limits {
		k := p.crowds[u.crowdKey]
		stopped := k.limit.StopAfter > 0 && k.failed >= k.limit.StopAfter
		if !stopped && k.before(u.turn) == nil && k.down < k.allowed() {
			continue
		}
		if c.waits != k {
			c.waits = k
			k.turns[u.turn].waiting = append(k.turns[u.turn].waiting, c)
		}
		return true
	}
	return false
}

// stir lets those that wait go on, one after the other, for as long as there is
// a place: waking all of them for one place would make a large limit slow.
func (p *play) stir(k *crowd) {
	k.stirred = false
	for i := range k.turns {
		t := &k.turns[i]
		for tries := len(t.waiting); tries > 0 && k.down < k.allowed(); tries-- {
			c := t.waiting[0]
			t.waiting = t.waiting[1:]
			if c.waits == k {
				c.waits = nil
			}
			p.step(c)
		}
		if t.open > 0 {
			return
		}
	}
}
