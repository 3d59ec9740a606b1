package policy_test

import (
	"testing"
	"time"

	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
)

var (
	now   = time.Date(2026, 1, 13, 19, 0, 0, 0, time.UTC)
	later = now.Add(48 * time.Hour)
	key   = patch.Key{Provider: "apt", Name: "openssl", Version: "3.0.22-1", Suite: "bookworm-security"}
	exact = policy.ScopeOf(key.ID())
	named = policy.ScopeOfName("apt", "openssl")
)

func TestJudge(t *testing.T) {
	type decisions = map[policy.Scope]policy.Decision
	tests := []struct {
		name      string
		class     patch.Class
		decisions decisions
		now       time.Time
		want      policy.Verdict
		rule      string
	}{
		{"security is approved by itself", patch.Security, nil, now, policy.Approved, "class:security"},
		{"anything else waits", patch.Quality, nil, now, policy.Pending, "default"},
		{"an unknown class waits too", patch.Unknown, nil, now, policy.Pending, "default"},
		{"approved by hand", patch.Quality, decisions{exact: {Verdict: policy.Approved}}, now, policy.Approved, string(exact)},
		{"declined by hand wins over its class", patch.Security, decisions{exact: {Verdict: policy.Declined}}, now, policy.Declined, string(exact)},
		{"a declined name wins over its approved version", patch.Security,
			decisions{exact: {Verdict: policy.Approved}, named: {Verdict: policy.Declined}}, now, policy.Declined, string(named)},
		{"a declined version wins over its approved name", patch.Security,
			decisions{exact: {Verdict: policy.Declined}, named: {Verdict: policy.Approved}}, now, policy.Declined, string(exact)},
		{"delayed wins over approved", patch.Security,
			decisions{exact: {Verdict: policy.Approved}, named: {Verdict: policy.Delayed, Until: later}}, now, policy.Delayed, string(named)},
		{"a delay ends at its instant", patch.Security, decisions{exact: {Verdict: policy.Delayed, Until: later}}, later, policy.Approved, "class:security"},
		{"and not before", patch.Security, decisions{exact: {Verdict: policy.Delayed, Until: later}}, later.Add(-time.Microsecond), policy.Delayed, string(exact)},
		{"a declined one may end too", patch.Quality, decisions{exact: {Verdict: policy.Declined, Until: later}}, later, policy.Pending, "default"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rules := policy.Rules{Decisions: tt.decisions, Classes: []patch.Class{patch.Security}}
			got := rules.Judge(&policy.Patch{Key: key, Class: tt.class}, policy.Holder{}, tt.now)
			if got.Verdict != tt.want || got.Rule != tt.rule {
				t.Errorf("got %s by %s, want %s by %s", got.Verdict, got.Rule, tt.want, tt.rule)
			}
		})
	}
}

func TestParseVerdictRefusesWhatNobodyMayGive(t *testing.T) {
	for _, s := range []string{"", "pending", "yes", "Approved"} {
		if _, err := policy.ParseVerdict(s); err == nil {
			t.Errorf("ParseVerdict(%q): no error", s)
		}
	}
}
