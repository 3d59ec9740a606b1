package page

import (
	"slices"

	"patchring/internal/core/fleet"
	"patchring/internal/face/console/ui"
)

// address is the list's own address for a query.
func (q FleetQuery) address() string {
	return ui.With("/devices", "name", q.Name, "kind", string(q.Kind), "filter", q.Filter, "tag", q.Tag,
		"group", q.Group, "after", q.After)
}

// with is the address of the same query, changed, from its first page.
func (q FleetQuery) with(change func(*FleetQuery)) string {
	q.After = ""
	change(&q)
	return q.address()
}

func (q FleetQuery) narrow() bool {
	q.After = ""
	return q != FleetQuery{}
}

func (v Fleet) first() string {
	if v.Query.After == "" {
		return ""
	}
	return v.Query.with(func(*FleetQuery) {})
}

func (v Fleet) next() string {
	if v.Next == "" {
		return ""
	}
	return v.Query.with(func(q *FleetQuery) { q.After = v.Next })
}

func flag(on bool) string {
	if on {
		return "1"
	}
	return ""
}

// sortedTags are key=value, in the order of their keys.
func sortedTags(t fleet.Tags) []string {
	out := make([]string, 0, len(t))
	for k, v := range t {
		out = append(out, k+"="+v)
	}
	slices.Sort(out)
	return out
}
