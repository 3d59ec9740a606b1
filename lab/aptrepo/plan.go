package aptrepo

import (
	"fmt"
	"slices"
	"strings"
)

// Plan says which versions the repository publishes. It is a value: each edit
// returns a new one.
type Plan struct {
	Published []ID `json:"published"` // sorted, without repetition
}

// FirstPlan is what a new repository publishes: everything but what is kept for
// later.
func FirstPlan() Plan {
	var p Plan
	for _, c := range Cases() {
		for _, v := range c.Versions {
			if !v.Unreleased {
				p.Published = append(p.Published, ID{c.Package, v.Number})
			}
		}
	}
	return p.sorted()
}

// Has reports whether that version is published.
func (p Plan) Has(id ID) bool { return slices.Contains(p.Published, id) }

// Add publishes versions. One that already is published is refused: the caller is
// wrong about the state it builds on.
func (p Plan) Add(ids ...ID) (Plan, error) {
	out := Plan{Published: slices.Clone(p.Published)}
	for _, id := range ids {
		c, err := Find(id.Package)
		if err != nil {
			return p, fmt.Errorf("publish %s: %w", id, err)
		}
		if _, err := c.version(id.Version); err != nil {
			return p, fmt.Errorf("publish %s: %w", id, err)
		}
		if out.Has(id) {
			return p, fmt.Errorf("publish %s: it already is published", id)
		}
		out.Published = append(out.Published, id)
	}
	return out.sorted(), nil
}

// Drop takes versions out.
func (p Plan) Drop(ids ...ID) (Plan, error) {
	out := Plan{Published: slices.Clone(p.Published)}
	for _, id := range ids {
		i := slices.Index(out.Published, id)
		if i < 0 {
			return p, fmt.Errorf("drop %s: it is not published", id)
		}
		out.Published = slices.Delete(out.Published, i, i+1)
	}
	return out, nil
}

// Supersede puts a newer version in the place of one that disappears, as a
// security archive does.
func (p Plan) Supersede(name, before, after string) (Plan, error) {
	out, err := p.Drop(ID{name, before})
	if err != nil {
		return p, err
	}
	return out.Add(ID{name, after})
}

// InSuite returns what the suite publishes.
func (p Plan) InSuite(suite string) ([]ID, error) {
	var ids []ID
	for _, id := range p.Published {
		c, err := Find(id.Package)
		if err != nil {
			return nil, err
		}
		v, err := c.version(id.Version)
		if err != nil {
			return nil, err
		}
		if v.Suite == suite {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (p Plan) sorted() Plan {
	slices.SortFunc(p.Published, func(a, b ID) int { return strings.Compare(a.String(), b.String()) })
	return p
}
