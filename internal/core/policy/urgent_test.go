package policy_test

import (
	"testing"
	"time"

	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
)

// An emergency ends waits and no decline, by whichever way the verdict is asked.
func TestUrgent(t *testing.T) {
	type decisions = map[policy.Scope]policy.Decision
	text := "policy: p\ntitle: p\nowner: it\ntimezone: UTC\nrules: [{name: slow, patches: patch.name == \"openssl\", verdict: delay 30d}]\n"
	slow := parsed(t, text)
	exception := []policy.Exception{{ID: "e1", Patch: named, From: now.Add(-time.Hour), Until: later}}
	tests := []struct {
		name  string
		rules policy.Rules
		want  policy.Verdict
		rule  string
	}{
		{"a pending one is approved", policy.Rules{}, policy.Approved, "emergency"},
		{"one delayed by a rule too", policy.Rules{Policies: policy.Policies{Tenant: slow}}, policy.Approved, "emergency"},
		{"one delayed by hand too", policy.Rules{Decisions: decisions{exact: {Verdict: policy.Delayed, Until: later}}}, policy.Approved, "emergency"},
		{"one approved keeps its rule", policy.Rules{Decisions: decisions{exact: {Verdict: policy.Approved}}}, policy.Approved, string(exact)},
		{"a declined one stays declined", policy.Rules{Decisions: decisions{named: {Verdict: policy.Declined}}}, policy.Declined, string(named)},
		{"an exception stands", policy.Rules{Exceptions: exception}, policy.Declined, "exception:e1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := policy.Patch{Key: key, Class: patch.Quality, Released: now}
			h := policy.Holder{Exposed: now}
			if calm := tt.rules.Judge(&p, h, now); calm.Verdict == policy.Approved && tt.rule == "emergency" {
				t.Fatalf("approved without an emergency, by %s", calm.Rule)
			}
			tt.rules.Urgent = true
			for by, got := range map[string]policy.Outcome{
				"judge": tt.rules.Judge(&p, h, now),
				"sheet": policy.NewSheet(tt.rules, []policy.Patch{p}, now).Judge(0, h, now),
			} {
				if got.Verdict != tt.want || got.Rule != tt.rule {
					t.Errorf("%s: got %s by %s, want %s by %s", by, got.Verdict, got.Rule, tt.want, tt.rule)
				}
			}
			if got := tt.rules.ForAll(&p, now); got.Verdict == policy.Delayed {
				t.Errorf("for all: got %s by %s", got.Verdict, got.Rule)
			}
		})
	}
}
