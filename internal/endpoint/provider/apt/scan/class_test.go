package scan

import (
	"testing"

	"patchring/internal/core/patch"
	"patchring/internal/endpoint/provider/apt/query"
)

func TestClassAndSuite(t *testing.T) {
	r := repositories{families: []string{"ubuntu", "debian"}, codenames: map[query.Origin]string{
		{Label: "Debian-Security", Suite: "oldstable-security"}: "bookworm-security", {Label: "Ubuntu", Suite: "noble-security"}: "noble"}}
	for _, tc := range []struct {
		origins []query.Origin
		class   patch.Class
		suite   string
	}{
		{[]query.Origin{{Label: "Debian", Suite: "oldstable"}, {Label: "Debian-Security", Suite: "oldstable-security"}}, patch.Security, "bookworm-security"},
		{[]query.Origin{{Label: "Ubuntu", Suite: "noble-security"}}, patch.Security, "noble-security"},
		{[]query.Origin{{Label: "Ubuntu", Suite: "noble-updates"}}, patch.Quality, "noble-updates"},
		{[]query.Origin{{Label: "Debian Backports", Suite: "stable-backports"}}, patch.Quality, "stable-backports"},
		{[]query.Origin{{Label: "Docker CE", Suite: "bookworm"}}, patch.ThirdParty, "bookworm"},
		{nil, patch.Unknown, ""},
	} {
		if got := r.class(tc.origins); got != tc.class {
			t.Errorf("%v is %s, want %s", tc.origins, got, tc.class)
		}
		if got := r.suite(mainOrigin(tc.origins)); got != tc.suite {
			t.Errorf("%v is of suite %q, want %q", tc.origins, got, tc.suite)
		}
	}
}
