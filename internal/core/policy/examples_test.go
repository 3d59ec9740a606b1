package policy_test

import (
	"os"
	"path/filepath"
	"testing"

	"patchring/internal/core/policy"
)

// The examples are what people begin with: each is a policy without a warning,
// and uses what it is there to show.
func TestExamplesAreSoundPolicies(t *testing.T) {
	files, err := filepath.Glob("../../../examples/policies/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 2 {
		t.Fatalf("found %d examples, want two at least", len(files))
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p, err := policy.Parse(filepath.Base(file), text)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, w := range p.Warnings {
			t.Errorf("%s:%s", file, w)
		}
		if len(p.Rules) == 0 || len(p.Profiles) == 0 || len(p.Freezes) == 0 || len(p.Limits) == 0 || p.MaxExposure == 0 {
			t.Errorf("%s leaves out rules, profiles, freezes, limits or max_exposure", file)
		}
	}
}
