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
	ID        patch.ID
	Key       patch.Key
	Amendment int
	Promoted  int // position of the furthest ring it may reach
	Withdrawn bool
	By, Why   string // of the withdrawal
}

// Candidate is a patch that at least one device misses when a campaign opens.
type Candidate struct {
	ID    patch.ID
	Key   patch.Key
	Class patch.Class
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
		outcome := rules.Judge(c.Key, c.Class, now)
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
		items = append(items, Item{ID: c.ID, Key: c.Key})
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
	names  []policy.Scope // of each item: what is decided on every version of it
	byID   map[patch.ID]int
	byName map[nameKey][]int
}

// NewContent indexes items.
func NewContent(items []Item) Content {
	c := Content{
		items: items, names: make([]policy.Scope, len(items)),
		byID: make(map[patch.ID]int, len(items)), byName: make(map[nameKey][]int, len(items)),
	}
	for i, item := range items {
		c.names[i] = policy.ScopeOfName(item.Key.Provider, item.Key.Name)
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

// verdict is what policy says of the item at this place. Most items have no
// decision of their own, and are spared the work of looking for one.
func (c Content) verdict(at int, class patch.Class, rules policy.Rules, now time.Time) policy.Outcome {
	item := &c.items[at]
	if _, ok := rules.Decisions[policy.ScopeOf(item.ID)]; !ok {
		if _, ok := rules.Decisions[c.names[at]]; !ok && slices.Contains(rules.Classes, class) {
			return policy.Outcome{Verdict: policy.Approved}
		}
	}
	return rules.Judge(item.Key, class, now)
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
	for at, item := range c.items {
		if item.Amendment != amendment || item.Withdrawn {
			continue
		}
		// Without a device there is no class to judge by: only decisions count.
		switch o := c.verdict(at, patch.Unknown, rules, now); o.Verdict {
		case policy.Declined, policy.Delayed:
			out = append(out, Unfit{item, o})
		}
	}
	return out
}
