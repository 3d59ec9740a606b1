package campaign_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"

	"github.com/google/go-cmp/cmp"
)

func candidate(name, version, suite string, class patch.Class) campaign.Candidate {
	key := patch.Key{Provider: "apt", Name: name, Version: version, Suite: suite}
	return campaign.Candidate{ID: key.ID(), Patch: policy.Patch{Key: key, Class: class}}
}

func TestSeal(t *testing.T) {
	const stable, oldstable = "bookworm-security", "bullseye-security"
	openssl1, openssl2 := candidate("openssl", "3.0.9-1", stable, patch.Security), candidate("openssl", "3.0.10-1", stable, patch.Security)
	old, curl, vim := candidate("openssl", "1.1.1-9", oldstable, patch.Security), candidate("curl", "8.0", stable, patch.Security), candidate("vim", "9", stable, patch.Quality)
	named := func(name string, d policy.Decision) map[policy.Scope]policy.Decision {
		return map[policy.Scope]policy.Decision{policy.ScopeOfName("apt", name): d}
	}
	tests := []struct {
		name      string
		given     []campaign.Candidate
		decisions map[policy.Scope]policy.Decision
		only      []patch.ID
		sealed    []string
		left      []string
	}{
		{"what policy approves, by name", []campaign.Candidate{openssl2, curl}, nil, nil, []string{"curl 8.0", "openssl 3.0.10-1"}, nil},
		{"the newest of several versions", []campaign.Candidate{openssl1, openssl2}, nil, nil,
			[]string{"openssl 3.0.10-1"}, []string{"openssl 3.0.9-1 superseded by 3.0.10-1"}},
		{"the newest comes first", []campaign.Candidate{openssl2, openssl1}, nil, nil,
			[]string{"openssl 3.0.10-1"}, []string{"openssl 3.0.9-1 superseded by 3.0.10-1"}},
		{"one version in each suite", []campaign.Candidate{openssl2, old}, nil, nil, []string{"openssl 1.1.1-9", "openssl 3.0.10-1"}, nil},
		{"what nobody decided on is left out", []campaign.Candidate{curl, vim}, nil, nil, []string{"curl 8.0"}, []string{"vim 9 pending"}},
		{"approved by hand", []campaign.Candidate{vim}, named("vim", policy.Decision{Verdict: policy.Approved}), nil, []string{"vim 9"}, nil},
		{"declined by hand", []campaign.Candidate{curl, openssl2}, named("curl", policy.Decision{Verdict: policy.Declined}), nil,
			[]string{"openssl 3.0.10-1"}, []string{"curl 8.0 declined"}},
		{"delayed until later", []campaign.Candidate{curl}, named("curl", policy.Decision{Verdict: policy.Delayed, Until: noon.Add(time.Hour)}), nil,
			nil, []string{"curl 8.0 delayed"}},
		{"a delay that is over", []campaign.Candidate{curl}, named("curl", policy.Decision{Verdict: policy.Delayed, Until: noon}), nil, []string{"curl 8.0"}, nil},
		{"a declined newer version does not hide the approved one", []campaign.Candidate{openssl1, openssl2},
			map[policy.Scope]policy.Decision{policy.ScopeOf(openssl2.ID): {Verdict: policy.Declined}}, nil,
			[]string{"openssl 3.0.9-1"}, []string{"openssl 3.0.10-1 declined"}},
		{"only what was asked for", []campaign.Candidate{curl, openssl2}, nil, []patch.ID{openssl2.ID}, []string{"openssl 3.0.10-1"}, []string{"curl 8.0 approved"}},
		{"asking does not approve", []campaign.Candidate{vim}, nil, []patch.ID{vim.ID}, nil, []string{"vim 9 pending"}},
		{"nothing is missing", nil, nil, nil, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			items, left := campaign.Seal(noon, tt.given, policy.Rules{Classes: []patch.Class{patch.Security}, Decisions: tt.decisions}, tt.only)
			var sealed, out []string
			for _, i := range items {
				sealed = append(sealed, i.Key.String())
			}
			for _, l := range left {
				if l.Superseded != "" {
					out = append(out, fmt.Sprintf("%s superseded by %s", l.Key, l.Superseded))
				} else {
					out = append(out, fmt.Sprintf("%s %s", l.Key, l.Outcome.Verdict))
				}
			}
			slices.Sort(sealed)
			if !slices.Equal(sealed, tt.sealed) || !slices.Equal(out, tt.left) {
				t.Errorf("sealed %q, left %q; want %q, left %q", sealed, out, tt.sealed, tt.left)
			}
		})
	}
}

func TestTwoServersSealTheSame(t *testing.T) {
	given := []campaign.Candidate{
		candidate("b", "1", "s", patch.Security), candidate("a", "2", "s", patch.Security), candidate("a", "1", "s", patch.Security), candidate("a", "2", "t", patch.Security),
	}
	rules := policy.Rules{Classes: []patch.Class{patch.Security}}
	want, _ := campaign.Seal(noon, given, rules, nil)
	slices.Reverse(given)
	got, _ := campaign.Seal(noon, given, rules, nil)
	if len(want) != 3 || !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestUnfitsAreWhatWasDeclinedOrDelayedSince(t *testing.T) {
	item := func(name string, amendment int) campaign.Item {
		key := keyOf(name, "2")
		return campaign.Item{ID: key.ID(), Patch: policy.Patch{Key: key, Class: patch.Security}, Amendment: amendment}
	}
	gone := item("gone", 0)
	gone.Withdrawn = true
	content := campaign.NewContent([]campaign.Item{item("fine", 0), item("declined", 0), item("delayed", 0), item("over", 0), gone, item("delayed", 1)})
	decide := func(v policy.Verdict, until time.Time) policy.Decision {
		return policy.Decision{Verdict: v, Until: until}
	}
	rules := policy.Rules{Decisions: map[policy.Scope]policy.Decision{
		policy.ScopeOfName("apt", "declined"): decide(policy.Declined, time.Time{}),
		policy.ScopeOfName("apt", "delayed"):  decide(policy.Delayed, noon.Add(time.Hour)),
		policy.ScopeOfName("apt", "over"):     decide(policy.Delayed, noon),
		policy.ScopeOfName("apt", "gone"):     decide(policy.Declined, time.Time{}),
	}}
	var got []string
	for _, u := range content.Unfits(noon, 0, rules) {
		got = append(got, u.Item.Key.Name+" "+string(u.Outcome.Verdict))
	}
	if want := []string{"declined declined", "delayed delayed"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
