package policy_test

import (
	"testing"

	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
)

func TestStarveNamesWhatARuleWouldNeverLetThrough(t *testing.T) {
	text := `
policy: p
title: t
owner: o
timezone: UTC
rules:
  - {name: all, verdict: approve}
  - {name: slow, patches: 'patch.name == "weekly"', verdict: delay 20d}
  - {name: later, patches: 'patch.class == "preview"', verdict: decline}
  - {name: never, patches: 'patch.name == "kernel"', verdict: decline}
  - {name: week, patches: 'patch.name == "fresh"', verdict: delay 7d}
  - {name: years, patches: 'patch.name == "glacial"', verdict: delay 800d}
  - {name: young, patches: 'patch.name == "young" && patch.age_days < 9', verdict: decline}
`
	release := func(name, version string, daysAgo int, class patch.Class) policy.Patch {
		p := aPatch(name, class, now.AddDate(0, 0, -daysAgo))
		p.Key.Version = version
		return p
	}
	history := []policy.Patch{release("once", "1", 5, patch.Quality), release("kernel", "1", 90, patch.Security), release("kernel", "2", 30, patch.Security),
		release("kernel", "0", 400, patch.Security), release("beta", "1", 90, patch.Preview),
		// A week's delay that is not over starves nobody; one of two years does.
		release("fresh", "1", 2, patch.Security), release("glacial", "1", 300, patch.Security)}
	for i := range 8 { // a new version each week: counted from each, a delay of 20 days would never end
		history = append(history, release("weekly", string(rune('a'+i)), 7*(8-i), patch.Quality), release("young", string(rune('a'+i)), 7*(8-i)+1, patch.Quality))
	}
	rules := policy.Rules{
		Policies:  policy.Policies{Tenant: parsed(t, text)},
		Decisions: map[policy.Scope]policy.Decision{policy.ScopeOfName("apt", "once"): {Verdict: policy.Declined}},
	}
	got := policy.Starve(rules, []policy.Match{""}, history, now.AddDate(-1, 0, 0), now)
	if len(got) != 3 || got[0] != (policy.Starved{Provider: "apt", Name: "young", Suite: "bookworm", Versions: 8, Rule: "tenant/young"}) ||
		got[2] != (policy.Starved{Provider: "apt", Name: "glacial", Suite: "bookworm", Versions: 1, Rule: "tenant/years"}) ||
		got[1] != (policy.Starved{Provider: "apt", Name: "kernel", Suite: "bookworm", Versions: 2, Rule: "tenant/never"}) {
		t.Errorf("got %+v", got)
	}
}
