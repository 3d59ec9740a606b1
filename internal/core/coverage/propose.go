package coverage

import (
	"cmp"
	"container/heap"
	"slices"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
)

// choosing is one choice in the making.
type choosing struct {
	*Fleet
	ask     Ask
	weights []int64 // of each feature; 0: not asked for
	covered []bool  // in this round
	seen    []bool  // by any chosen device
	taken   map[int]bool
	perDep  map[string]int
	out     Proposal
}

// scale is the weight of a whole kind: whole numbers, so that equal questions
// have equal answers on every processor.
const scale = int64(1_000_000_000_000)

func (f *Fleet) choosing(ask Ask) *choosing {
	c := &choosing{
		Fleet: f, ask: ask, weights: make([]int64, len(f.features)), covered: make([]bool, len(f.features)), seen: make([]bool, len(f.features)),
		taken: map[int]bool{}, perDep: map[string]int{}, out: Proposal{Fleet: len(f.members)},
	}
	totals := map[Kind]int64{}
	for i := range f.features {
		if !c.rare(i) {
			totals[f.features[i].Kind] += int64(f.counts[i])
		}
	}
	for i := range f.features {
		if !c.rare(i) {
			c.weights[i] = max(1, scale/totals[f.features[i].Kind]*int64(f.counts[i]))
		}
	}
	return c
}

// rare tells a program that too few devices have to ask a pilot for it.
func (c *choosing) rare(feature int) bool {
	return c.features[feature].Kind == Software && int(c.counts[feature]) < c.ask.RareBelow
}

// Propose chooses up to Size devices, one after the other, each the one that
// adds most to those before it: within a factor of 1-1/e of the best there is
// when no limit binds, and far above chance. When nothing new is left to add, it
// begins again, so that a second pilot stands behind the first.
func (f *Fleet) Propose(ask Ask) Proposal {
	c := f.choosing(ask)
	free := c.split()
	base := make(map[int]int64, len(free))
	for _, at := range free {
		base[at] = c.gain(at)
	}
	for round := 1; len(c.out.Chosen) < ask.Size; round++ {
		if round > 1 {
			clear(c.covered)
		}
		if c.round(round, free, base) == 0 {
			break
		}
	}
	return c.finish()
}

// Measure says what exactly these devices reach. Those that cannot be pilots
// are refused, as Propose would.
func (f *Fleet) Measure(ask Ask, devices []fleet.DeviceID) Proposal {
	ask.Include, ask.IncludeGroups, ask.Size = devices, nil, len(f.members)
	c := f.choosing(ask)
	c.split()
	return c.finish()
}

// split takes the devices that must be there, and gives those that may.
func (c *choosing) split() (free []int) {
	order := make([]int, len(c.members))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return byName(&c.members[a], &c.members[b]) })
	barred := map[fault.Code]int{}
	for _, at := range order {
		m := &c.members[at]
		why := c.ask.barred(m)
		if !why.IsZero() {
			barred[why.Code]++
		} else {
			c.out.Eligible++
		}
		switch {
		case !c.ask.wants(m):
			if why.IsZero() {
				free = append(free, at)
			}
		case !why.IsZero():
			c.out.Refused = append(c.out.Refused, Refused{m.ID, m.Name, why})
		case c.full(m):
			c.out.Refused = append(c.out.Refused, Refused{m.ID, m.Name, c.whyFull(m)})
		default:
			c.take(at, 1, true)
		}
	}
	for code, n := range barred {
		c.out.Barred = append(c.out.Barred, Barred{code, n})
	}
	slices.SortFunc(c.out.Barred, func(a, b Barred) int { return cmp.Or(-cmp.Compare(a.Devices, b.Devices), cmp.Compare(a.Code, b.Code)) })
	return free
}

func (c *choosing) full(m *member) bool {
	return len(c.out.Chosen) >= c.ask.Size || c.departmentFull(m)
}

// departmentFull: devices without a department are no department.
func (c *choosing) departmentFull(m *member) bool {
	return c.ask.PerDepartment > 0 && m.Department != "" && c.perDep[m.Department] >= c.ask.PerDepartment
}

func (c *choosing) whyFull(m *member) fault.Reason {
	if c.departmentFull(m) {
		return fault.Because(fault.DepartmentFull, "department", m.Department, "max", itoa(c.ask.PerDepartment))
	}
	return fault.Because(fault.PilotsEnough, "max", itoa(c.ask.Size))
}

// gain is what a device adds in this round.
func (c *choosing) gain(at int) int64 {
	var sum int64
	for _, f := range c.members[at].has {
		if !c.covered[f] {
			sum += c.weights[f]
		}
	}
	return sum
}

func (c *choosing) take(at, round int, must bool) {
	m := &c.members[at]
	choice := Choice{Device: m.ID, Name: m.Name, Must: must, Round: round, Adds: []Feature{}}
	var fresh []int32
	for _, f := range m.has {
		if c.weights[f] > 0 && !c.seen[f] {
			fresh = append(fresh, f)
		}
		c.covered[f], c.seen[f] = true, true
	}
	slices.SortFunc(fresh, func(a, b int32) int {
		return cmp.Or(-cmp.Compare(c.weights[a], c.weights[b]), cmp.Compare(c.features[a].Kind, c.features[b].Kind), cmp.Compare(c.features[a].Value, c.features[b].Value))
	})
	for _, f := range fresh {
		choice.Gain += float64(c.weights[f])
		if len(choice.Adds) < shownAdds {
			choice.Adds = append(choice.Adds, c.features[f])
		}
	}
	choice.New = len(fresh)
	c.taken[at] = true
	c.perDep[m.Department]++
	c.out.Chosen = append(c.out.Chosen, choice)
}

// round chooses until nothing adds any more. A device's gain only falls while a
// round lasts, so that whoever is on top of the heap with a gain worked out
// anew is the best of all.
func (c *choosing) round(round int, free []int, base map[int]int64) (chosen int) {
	q := make(queue, 0, len(free))
	for rank, at := range free {
		if !c.taken[at] && base[at] > 0 {
			q = append(q, candidate{base[at], rank, at})
		}
	}
	heap.Init(&q)
	for len(q) > 0 && len(c.out.Chosen) < c.ask.Size {
		best := &q[0]
		gain := c.gain(best.at)
		switch {
		case gain == 0 || c.departmentFull(&c.members[best.at]):
			heap.Pop(&q)
		case gain < best.gain:
			best.gain = gain
			heap.Fix(&q, 0)
		default:
			c.take(best.at, round, false)
			heap.Pop(&q)
			chosen++
		}
	}
	return chosen
}

// candidate is a device with the most that it may still add.
type candidate struct {
	gain int64
	rank int // by name
	at   int
}

type queue []candidate

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	if q[i].gain != q[j].gain {
		return q[i].gain > q[j].gain
	}
	return q[i].rank < q[j].rank
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push implements heap.Interface.
func (q *queue) Push(x any) { *q = append(*q, x.(candidate)) }

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
