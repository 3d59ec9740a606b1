package policy

import (
	"cmp"
	"slices"
	"time"

	"patchring/internal/core/patch"
)

// Starved is something that rules would not have let through for a long time.
type Starved struct {
	Provider string `json:"provider"`
	Name     string `json:"name"`
	Suite    string `json:"suite"`
	Versions int    `json:"versions"` // published in that time
	Rule     string `json:"rule"`     // what kept the last of them back
}

// Starve plays the catalogue of the time before now over: what was published
// since from, of which no version would ever have been approved for devices of
// any of the matches. Decisions by hand and exceptions are not played: they had
// their own reasons; nor is what no rule speaks of, which a procedure may approve.
func Starve(rules Rules, matches []Match, history []Patch, from, now time.Time) []Starved {
	rules.Decisions, rules.Exceptions = nil, nil
	type lineage struct{ provider, name, suite string }
	chains := map[lineage][]Patch{}
	for _, p := range history {
		if !p.Released.Before(from) && !p.Released.After(now) {
			key := lineage{p.Key.Provider, p.Key.Name, p.Key.Suite}
			chains[key] = append(chains[key], p)
		}
	}
	var out []Starved
	for key, chain := range chains {
		slices.SortFunc(chain, func(a, b Patch) int {
			return cmp.Or(a.Released.Compare(b.Released), cmp.Compare(a.Key.Version, b.Key.Version))
		})
		for _, m := range matches {
			if rule, starved := starves(rules, m, chain, from, now); starved {
				out = append(out, Starved{key.provider, key.name, key.suite, len(chain), rule})
				break
			}
		}
	}
	slices.SortFunc(out, func(a, b Starved) int {
		return cmp.Or(-cmp.Compare(a.Versions, b.Versions), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Suite, b.Suite))
	})
	return out
}

// starves tells whether no version was approved while it was the newest. The
// device lacks the chain since its first version: nothing of it was installed.
// A previews' class is made to wait, so a chain of previews starves nobody.
// A delay that is not over yet, and shorter than the time that is played, keeps
// back what is young.
func starves(rules Rules, m Match, chain []Patch, from, now time.Time) (rule string, starved bool) {
	h := Holder{Match: m, Exposed: chain[0].Released}
	for i := range chain {
		p, end := &chain[i], now
		if p.Class == patch.Preview {
			return "", false
		}
		if i+1 < len(chain) {
			end = chain[i+1].Released
		}
		at := p.Released
		for {
			o := rules.Judge(p, h, at)
			if o.Verdict == Approved {
				return "", false
			}
			rule = o.Rule
			if o.Verdict == Delayed && !o.Until.IsZero() && !o.Until.Before(now) && o.Until.Sub(h.Exposed) < now.Sub(from) {
				return "", false
			}
			if o.Until.IsZero() || !o.Until.Before(end) || !o.Until.After(at) {
				break
			}
			at = o.Until
		}
	}
	return rule, rule != undecided
}
