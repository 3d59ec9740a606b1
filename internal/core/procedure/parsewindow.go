package procedure

import (
	"fmt"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
)

func readWindows(o manifest.Object, zone *time.Location) []WindowRule {
	var out []WindowRule
	lines := map[string]int{}
	o.List("windows", func(at manifest.Place) {
		rule := readWindow(o.Reader, at, zone)
		if first := lines[rule.Name]; first != 0 && rule.Name != "" {
			o.Reader.Refuse(at, fmt.Sprintf("window %s is already on line %d", rule.Name, first), "give each window its own name")
		}
		lines[rule.Name] = at.Line()
		out = append(out, rule)
	})
	if len(out) > maxWindows {
		o.Reader.Refuse(o.Field("windows"), fmt.Sprintf("has %d windows", len(out)), fmt.Sprintf("keep %d at most", maxWindows))
	}
	if len(out) == 0 && (!o.Written("windows") || o.Has("windows")) {
		o.Reader.Warn(o.Or("windows"), "there is no window, so nothing will ever be installed", "add a window for the devices that may be updated")
	}
	return out
}

func readWindow(r *manifest.Reader, at manifest.Place, zone *time.Location) WindowRule {
	o := r.Object(at, append(manifest.WindowFields(), "for")...)
	rule := WindowRule{For: fleet.Selector{All: true}, Window: o.Window(zone)}
	if o.Has("for") {
		rule.For = r.Object(o.Field("for"), manifest.SelectorFields()...).Selector()
	}
	return rule
}
