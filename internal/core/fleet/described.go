package fleet

import (
	"fmt"
	"maps"
	"strings"

	"patchring/internal/core/fault"
)

// Described is what the organisation says of a device, beside its groups.
type Described struct {
	Name string `json:"name"` // as it is shown
	Kind Kind   `json:"kind"`
	Tags Tags   `json:"tags"`
}

// Describe changes a description. What is empty stays as it was.
type Describe struct {
	Name   string
	Kind   Kind
	Tags   Tags     // given, in place of those with the same key
	Untag  []string // keys taken away
	Reason string
}

// Limits of a description.
const (
	MaxTags    = 50
	maxTagText = 100
	maxName    = 253 // of a DNS name
)

// Apply gives the description after the change.
func (d Describe) Apply(was Described) (Described, error) {
	after := Described{Name: was.Name, Kind: was.Kind, Tags: Tags{}}
	maps.Copy(after.Tags, was.Tags)
	if d.Name != "" {
		if !plain(d.Name, maxName) || strings.TrimSpace(d.Name) != d.Name {
			return was, invalid("name", "not_a_word", "FIN-PC-01")
		}
		after.Name = d.Name
	}
	if d.Kind != "" {
		kind, err := ParseKind(string(d.Kind))
		if err != nil {
			return was, invalid("kind", "not_a_choice", "workstation, server, critical")
		}
		after.Kind = kind
	}
	for _, key := range d.Untag {
		if _, has := after.Tags[key]; !has {
			return was, fault.New(fault.NotFound, "what", "tag", "name", key)
		}
		delete(after.Tags, key)
	}
	maps.Copy(after.Tags, d.Tags)
	if err := CheckTags(after.Tags); err != nil {
		return was, err
	}
	if after.Name == was.Name && after.Kind == was.Kind && maps.Equal(after.Tags, was.Tags) {
		return was, fault.New(fault.NothingToDo, "what", "same_description")
	}
	return after, nil
}

// CheckTags refuses tags that could not be written as key=value.
func CheckTags(tags Tags) error {
	if len(tags) > MaxTags {
		return invalid("tags", "too_many", fmt.Sprint(MaxTags))
	}
	for k, v := range tags {
		if !plain(k, maxTagText) || !plain(v, maxTagText) || strings.Contains(k, "=") {
			return invalid("tags", "not_a_tag", "key=value")
		}
	}
	return nil
}

// plain is a text fit for a tag: something, without control characters.
func plain(text string, limit int) bool {
	return text != "" && len(text) <= limit && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd })
}

func invalid(field, problem, fix string) error {
	return fault.New(fault.InvalidField, "field", field, "problem", problem, "fix", fix)
}
