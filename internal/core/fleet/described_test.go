package fleet_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
)

func TestDescribeChangesWhatItNamesAndNothingElse(t *testing.T) {
	was := fleet.Described{Name: "pc-1", Kind: fleet.Workstation, Tags: fleet.Tags{"department": "finance", "site": "lyon"}}
	tests := []struct {
		name string
		ask  fleet.Describe
		want fleet.Described
		code fault.Code
	}{
		{"a tag is replaced, the others stay", fleet.Describe{Tags: fleet.Tags{"site": "paris"}},
			fleet.Described{Name: "pc-1", Kind: fleet.Workstation, Tags: fleet.Tags{"department": "finance", "site": "paris"}}, ""},
		{"a tag is taken away", fleet.Describe{Untag: []string{"site"}, Kind: fleet.Server},
			fleet.Described{Name: "pc-1", Kind: fleet.Server, Tags: fleet.Tags{"department": "finance"}}, ""},
		{"another name", fleet.Describe{Name: "compta-1"},
			fleet.Described{Name: "compta-1", Kind: fleet.Workstation, Tags: was.Tags}, ""},
		{"nothing", fleet.Describe{Tags: fleet.Tags{"site": "lyon"}}, was, fault.NothingToDo},
		{"a kind that is none", fleet.Describe{Kind: "toaster"}, was, fault.InvalidField},
		{"a tag that it does not have", fleet.Describe{Untag: []string{"owner"}}, was, fault.NotFound},
		{"a tag without a value", fleet.Describe{Tags: fleet.Tags{"owner": ""}}, was, fault.InvalidField},
		{"a tag with a line break", fleet.Describe{Tags: fleet.Tags{"owner": "a\nb"}}, was, fault.InvalidField},
		{"a name that is too long", fleet.Describe{Name: strings.Repeat("x", 254)}, was, fault.InvalidField},
		{"a name with spaces around it", fleet.Describe{Name: " pc"}, was, fault.InvalidField},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.ask.Apply(was)
			if code := fault.CodeOf(err); err != nil && code != tt.code || err == nil && tt.code != "" {
				t.Fatalf("got %v, want %q", err, tt.code)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if was.Tags["site"] != "lyon" {
		t.Error("the description it began with was changed")
	}
}
