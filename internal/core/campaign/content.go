package campaign

import (
	"cmp"
	"slices"
	"time"

	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
)

// Item is one exact patch of a campaign's content.
type Item struct {
	policy.Patch
	ID        patch.ID
	Amendment int
	Promoted  int // position of the furthest ring it may reach
	Withdrawn bool
	By, Why   string // of the withdrawal
}

// Candidate is a patch that at least one device misses when a campaign opens.
type Candidate struct {
	policy.Patch
	ID patch.ID
	// Holders are the sorts of devices that miss it.
	Holders []policy.Holder
}

// verdict is the best one that any device gets: what policy approves for one is
// content, and reaches no other.
func (c *Candidate) verdict(rules policy.Rules, now time.Time) policy.Outcome {
	if len(c.Holders) == 0 {
		return rules.Judge(&c.Patch, policy.Holder{}, now)
	}
	var best policy.Outcome
	for i, h := range c.Holders {
		o := rules.Judge(&c.Patch, h, now)
		if o.Verdict == policy.Approved {
			return o
		}
		if i == 0 {
			best = o
		}
	}
	return best
}

// Renewed adds, for each named patch that nobody misses any more, the newer
// versions that took its place: an emergency of yesterday evening is to mend the
// same thing this morning.
func Renewed(named []patch.Key, candidates []Candidate) []patch.ID {
	out := make([]patch.ID, 0, len(named))
	for _, key := range named {
		out = append(out, key.ID())
		if slices.ContainsFunc(candidates, func(c Candidate) bool { return c.ID == key.ID() }) {
			continue
		}
		for _, c := range candidates {
			if nameOf(c.Key) == nameOf(key) && patch.Newer(c.Key, key) {
				out = append(out, c.ID)
			}
		}
	}
	return out
}

// LeftOut is a candidate that did not become content, and why.
type LeftOut struct {
	Candidate
	Outcome    policy.Outcome
	Superseded string // by this version, which is in the content
}

// Seal chooses the content: the candidates that policy approves, at their
// exact versions, and of several versions of one name in one suite the newest.
// The order is steady, so two servers seal the same thing.
func Seal(now time.Time, candidates []Candidate, rules policy.Rules, only []patch.ID) (items []Item, left []LeftOut) {
	newest := map[nameKey]Candidate{}
	var approved []Candidate
	for _, c := range candidates {
		outcome := c.verdict(rules, now)
		if len(only) > 0 && !slices.Contains(only, c.ID) || outcome.Verdict != policy.Approved {
			left = append(left, LeftOut{Candidate: c, Outcome: outcome})
			continue
		}
		approved = append(approved, c)
		if best, seen := newest[nameOf(c.Key)]; !seen || patch.Newer(c.Key, best.Key) {
			newest[nameOf(c.Key)] = c
		}
	}
	for _, c := range approved {
		if best := newest[nameOf(c.Key)]; best.ID != c.ID {
			left = append(left, LeftOut{Candidate: c, Superseded: best.Key.Version})
			continue
		}
		items = append(items, Item{ID: c.ID, Patch: c.Patch})
	}
	slices.SortFunc(items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(a.Key.Name, b.Key.Name), cmp.Compare(a.ID, b.ID))
	})
	return items, left
}

// nameKey is a patch without its version.
type nameKey struct{ provider, name, suite string }

func nameOf(k patch.Key) nameKey { return nameKey{k.Provider, k.Name, k.Suite} }

// Content is a campaign's items, indexed for deciding on many devices.
type Content struct {
	items  []Item
	byID   map[patch.ID]int
	byName map[nameKey][]int
}

// NewContent indexes items.
func NewContent(items []Item) Content {
	c := Content{
		items: items, byID: make(map[patch.ID]int, len(items)), byName: make(map[nameKey][]int, len(items)),
	}
	for i, item := range items {
		c.byID[item.ID] = i
		c.byName[nameOf(item.Key)] = append(c.byName[nameOf(item.Key)], i)
	}
	return c
}

// Item finds an item.
func (c Content) Item(id patch.ID) (Item, bool) {
	i, ok := c.byID[id]
	if !ok {
		return Item{}, false
	}
	return c.items[i], true
}

// Items lists all of them.
func (c Content) Items() []Item { return c.items }

// patches of the content, place by place.
func (c Content) patches() []policy.Patch {
	list := make([]policy.Patch, len(c.items))
	for i := range c.items {
		list[i] = c.items[i].Patch
	}
	return list
}

// Unfit is an item that may not go to the next ring with the others.
type Unfit struct {
	Item    Item
	Outcome policy.Outcome
}

// Unfits are the items of an amendment that somebody declined or delayed since
// they were sealed. A ring that opens now would count them as validated by
// rings that never received them: they have to leave the campaign, and come
// back as an amendment when the decision ends.
func (c Content) Unfits(now time.Time, amendment int, rules policy.Rules) []Unfit {
	var out []Unfit
	for i := range c.items {
		item := &c.items[i]
		if item.Amendment != amendment || item.Withdrawn {
			continue
		}
		if o := rules.ForAll(&item.Patch, now); o.Verdict == policy.Declined || o.Verdict == policy.Delayed {
			out = append(out, Unfit{*item, o})
		}
	}
	return out
}
