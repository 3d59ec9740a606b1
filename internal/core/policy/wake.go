package policy

import "slices"

// MayWake tells whether a neighbour may wake the device before its windows. The
// first of its profiles that says yes or no decides; none is no.
func (s Settings) MayWake() bool { return s.Wake != nil && *s.Wake }

// HaveWakes tells whether any profile lets its devices be woken.
func (p Policies) HaveWakes() bool {
	found := false
	p.each(func(_ place, _ int, policy *Policy) {
		found = found || slices.ContainsFunc(policy.Profiles, func(pr Profile) bool { return pr.Wake != nil && *pr.Wake })
	})
	return found
}
