package manifest

import (
	"strings"

	"patchring/internal/core/fleet"
)

// SelectorFields are the fields that Selector reads.
func SelectorFields() []string { return []string{"all", "groups", "tags", "names", "kinds"} }

// Selector reads which devices are meant. Kinds alone mean every device of
// those kinds; nothing at all is refused, because it would select nobody.
func (o Object) Selector() fleet.Selector {
	s := fleet.Selector{All: o.Boolean("all"), Groups: o.Texts("groups"), Names: o.Texts("names")}
	o.List("tags", func(at Place) { s.Tags = append(s.Tags, o.Reader.tags(at)) })
	o.List("kinds", func(at Place) { s.Kinds = append(s.Kinds, OneOf(o.Reader, at, "", fleet.Kinds())) })
	named := len(s.Groups)+len(s.Names)+len(s.Tags) > 0
	switch {
	case s.All && named:
		o.Reader.Refuse(o.At, "selects all devices and some of them", "keep all: true, or the groups, tags and names")
	case !s.All && !named && len(s.Kinds) > 0:
		s.All = true
	case !s.All && !named && o.written() == 0:
		o.Reader.Refuse(o.At, "selects no device", "name groups, tags, names or kinds, or write all: true")
	}
	return s
}

// written counts the selector fields with a problem of their own, which needs
// no second complaint.
func (o Object) written() int {
	n := 0
	for _, f := range SelectorFields() {
		if node, there := o.fields[f]; there && (node == nil || describe(node) != "a list" || len(node.Content) > 0) {
			n++
		}
	}
	return n
}

func (r *Reader) tags(at Place) fleet.Tags {
	tags := fleet.Tags{}
	if describe(at.node) != "fields" {
		key, value, ok := strings.Cut(at.node.Value, "=")
		if ok && key != "" && value != "" {
			tags[key] = value
			return tags
		}
		r.Refuse(at, "wants a tag, not "+describe(at.node), "write {ring: r1} or ring=r1")
		return tags
	}
	var keys []string
	for i := 0; i+1 < len(at.node.Content); i += 2 {
		keys = append(keys, at.node.Content[i].Value)
	}
	o := r.Object(at, keys...)
	for _, k := range keys {
		tags[k] = o.Text(k)
	}
	if len(tags) == 0 {
		r.Refuse(at, "has no tag", "write {ring: r1} or ring=r1")
	}
	return tags
}
